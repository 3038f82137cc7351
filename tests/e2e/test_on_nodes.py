"""
The scenarios of one server, with each client at another node of a cluster: users cannot tell one from the other.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from tests.e2e import (
    test_conflicts,
    test_events,
    test_listening,
    test_lists,
    test_presence,
    test_record_listening,
    test_records,
    test_rpc,
)
from tests.e2e.on_nodes import OnNodes
from tests.e2e.records import Record
from tests.e2e.server import PATIENCE


def on_nodes(variants: Any, first: str, second: str = "v2") -> None:
    """
    Put the test case of C{variants}, for clients of these generations, into this module.
    """
    scenarios = variants[0].__base__
    name = scenarios.__name__
    places = {"__doc__": scenarios.__doc__, "__module__": __name__, "__qualname__": name}
    attributes = {"first": first, "second": second, "tls": False}
    setattr(sys.modules[__name__], name, type(name, (OnNodes, scenarios), {**attributes, **places}))


class ListeningTests(OnNodes, test_listening.ListeningTests[0].__base__):  # type: ignore[misc]
    """
    Listening to events. Which node is asked first is a matter of luck.
    """

    first, second = "v7", "v2"

    def served(self, of: str) -> tuple[Any, Any, str, str]:
        """
        A provider that has accepted a name, and a listener at another node that has not been asked.

        @return: both, their pattern, and the name.
        """
        provider, spare, subscriber = self.one(), self.other(), self.other()
        pattern, name = self.name(f"{of}/.*"), self.name(f"{of}/x")
        provider.listen(pattern)
        subscriber.subscribe(name)
        provider.wait_for_report(1, "offer", name=name)
        spare.listen(pattern)
        return provider, spare, pattern, name

    def rejecting(self, count: int, pattern: str) -> list[Any]:
        """
        So many listeners at different nodes, which reject all.
        """
        listeners = [(self.one, self.other)[number % 2]() for number in range(count)]
        for listener in listeners:
            listener.listen(pattern, "reject")
        return listeners

    def test_reject(self) -> None:
        """
        EL4: The listener that accepts is found, whichever is asked first.
        """
        for number in range(4):
            refuser, provider, subscriber = self.one(), self.other(), self.other()
            pattern, name = self.name(f"r{number}/.*"), self.name(f"r{number}/x")
            refuser.listen(pattern, "reject")
            provider.listen(pattern)
            subscriber.subscribe(name)
            provider.wait_for_report(1, "offer", name=name)
            subscriber.unsubscribe(name)
            provider.wait_for_report(1, "stop", name=name)
            self.assertLessEqual(len(refuser.offers()), 1)
            self.assertEqual(refuser.stops(), [])

    def test_several_reject(self) -> None:
        """
        EL7, EL8: Of three listeners, and of four, all but one reject: none is asked twice, and the one is found.
        """
        for count in (3, 4):
            pattern, name = self.name(f"m{count}/.*"), self.name(f"m{count}/x")
            provider, subscriber = self.other(), self.other()
            listeners = [*self.rejecting(count - 1, pattern), provider]
            provider.listen(pattern)
            subscriber.subscribe(name)
            provider.wait_for_report(1, "offer", name=name)
            for listener in listeners:
                self.fence(provider, listener)
            self.assertLessEqual(max(len(listener.offers()) for listener in listeners), 1)

    def test_accept(self) -> None:
        """
        EL5: Of two listeners one is asked, and accepts: the other one is not asked.
        """
        listeners, subscriber = (self.one(), self.other()), self.other()
        pattern, name = self.name("a/.*"), self.name("a/x")
        for listener in listeners:
            listener.listen(pattern)
        subscriber.subscribe(name)
        subscriber.driver.wait(lambda: any(listener.offers() for listener in listeners), "an offer")
        # The answer of the provider has been handled when something it sent after it has arrived.
        for one, other in (listeners, listeners[::-1]):
            self.fence(one, other)
        self.assertEqual(sorted(len(listener.offers()) for listener in listeners), [0, 1])

    def test_handover(self) -> None:
        """
        EL9: The active provider unlistens: a listener at another node is asked.
        """
        provider, spare, pattern, name = self.served("h")
        provider.unlisten(pattern)
        spare.wait_for_report(1, "offer", name=name)
        self.assertEqual((provider.offers(), provider.stops()), ([(pattern, name)], []))

    def test_provider_gone(self) -> None:
        """
        The active provider's connection closes: a listener at another node is asked.
        """
        provider, spare, _, name = self.served("g")
        provider.close()
        spare.wait_for_report(1, "offer", name=name)

    def test_all_reject(self) -> None:
        """
        Four listeners on all nodes reject: each is asked exactly once.
        """
        pattern, name = self.name("n/.*"), self.name("n/x")
        listeners = self.rejecting(4, pattern)
        subscriber = self.other()
        subscriber.subscribe(name)
        for listener in listeners:
            listener.wait_for_report(1, "offer", name=name)
        self.fence(subscriber, listeners[0])
        self.assertEqual([listener.offers() for listener in listeners], [[(pattern, name)]] * 4)


class RecordListeningTests(OnNodes, test_record_listening.RecordListeningTests[0].__base__):  # type: ignore[misc]
    """
    Listening to records. Holders do not hear of a provider that another one replaces at once.
    """

    first, second = "v2", "v7"

    def served(self) -> tuple[Any, Record]:
        """
        A listener that has not been asked, and a record that the provider provides.
        """
        spare = self.other()
        self.listen(self.provider)
        record = Record(self.holder, self.wanted)
        self.has_provider(record, True)
        self.listen(spare)
        return spare, record

    def test_own_subscription(self) -> None:
        """
        A provider of v2 that holds what it provides is told to stop when the other holder, at another node, leaves.
        """
        self.listen(self.provider)
        record = Record(self.holder, self.wanted)
        self.offered(self.provider)
        own = Record(self.provider, self.wanted)
        own.set('{"provided":1}')
        record.until('{"provided":1}')
        record.drop()
        self.stopped(self.provider)
        self.provider.driver.wait(lambda: not own.has_provider, "no provider")
        record = Record(self.holder, self.wanted)
        self.offered(self.provider, 2)
        record.drop()
        self.stopped(self.provider, 2)

    def test_first_accepts(self) -> None:
        """
        Of two listeners one is asked, and accepts: the other one is not asked.
        """
        second = self.other()
        self.listen(self.provider)
        self.listen(second)
        record = Record(self.holder, self.wanted)
        self.has_provider(record, True)
        self.fence(self.provider, second)
        self.fence(second, self.provider)
        self.assertEqual(sorted(len(client.offers()) for client in (self.provider, second)), [0, 1])

    def test_reject(self) -> None:
        """
        Of two listeners one rejects: the other one is the provider, whichever is asked first.
        """
        second = self.other()
        self.listen(self.provider, "reject")
        self.listen(second)
        record = Record(self.holder, self.wanted)
        self.has_provider(record, True)
        self.assertLessEqual(len(self.provider.offers()), 1)
        self.assertEqual(len(second.offers()), 1)
        record.discard()
        self.stopped(second)
        self.assertEqual(self.provider.stops(), [])

    def test_handover(self) -> None:
        """
        The provider unlistens: another one is asked, and the holders have a provider at last.
        """
        spare, record = self.served()
        self.provider.unlisten(self.pattern, "record")
        self.offered(spare)
        spare.set_data(self.wanted, '{"from":"spare"}')
        record.until('{"from":"spare"}')
        self.holder.driver.wait(lambda: record.has_provider, "a provider")

    def test_provider_gone(self) -> None:
        """
        The same if the provider's connection closes.
        """
        spare, record = self.served()
        self.provider.close()
        self.offered(spare)
        self.holder.driver.wait(lambda: record.has_provider, "a provider")


class RpcTests(OnNodes, test_rpc.RpcTests[0].__base__):  # type: ignore[misc]
    """
    Calls. A node that was told lately that a procedure has no provider hears of a new one a moment after the client of
    another node was told that it provides the procedure.
    """

    first, second = "v7", "v2"

    def call_when_provided(self, data: str) -> str:
        late = time.monotonic() + PATIENCE
        while (answer := str(self.b.call(self.rpc, data))) == "NO_RPC_PROVIDER":
            self.assertLess(time.monotonic(), late, "the node does not hear of the provider")
        return answer


class SilenceTests(OnNodes, test_listening.SilenceTests[0].__base__):  # type: ignore[misc]
    """
    A listener that does not say whether it accepts.
    """

    first, second = "v7", "v2"

    def test_silence(self) -> None:
        """
        A listener that does not answer in time is passed over, and one at another node is asked.
        """
        sleeper, provider, subscriber = self.one(), self.other(), self.other()
        pattern, name = self.name("s/.*"), self.name("s/x")
        sleeper.listen(pattern, "silence")
        # A v7 client has no notion of that answer, and raises whatever it does not know.
        sleeper.tolerate_error("UNSOLICITED_MESSAGE")
        subscriber.subscribe(name)
        sleeper.wait_for_report(1, "offer", name=name)
        provider.listen(pattern)
        provider.wait_for_report(1, "offer", name=name)
        self.assertEqual(sleeper.offers(), [(pattern, name)])


# Those with the same configuration are together, as trial runs them in the order of their names. The generations take
# turns: the other pairings differ at one server already.
on_nodes(test_events.EventTests, "v2", "v7")
on_nodes(test_rpc.RpcValueTests, "v2", "v7")
on_nodes(test_presence.PresenceTests, "v7", "v2")
on_nodes(test_presence.QueryTests, "v2", "v7")
on_nodes(test_records.CoreTests, "v7")
on_nodes(test_records.LookTests, "v2")
on_nodes(test_records.PathTests, "v7")
on_nodes(test_records.AcknowledgementTests, "v2")
on_nodes(test_records.SetDataTests, "v7")
on_nodes(test_lists.ListTests, "v2")
on_nodes(test_lists.AnonymousRecordTests, "v7")
on_nodes(test_conflicts.ConflictTests, "v2", "v7")
on_nodes(test_conflicts.SeveralPathsTests, "v7", "v2")
