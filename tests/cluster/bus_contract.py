"""
What each bus does, whatever engine carries it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.interfaces import IBus

#: Names that an engine may take for something else.
NAMES = ["news", "a b", "*", "n?ws", "[n]ews", "a\r\nb", "é", "\ud800", "", "x" * 500]


class BusTestCase(SynchronousTestCase):
    """
    A test with two buses of one cluster, which have the addresses C{ann} and C{bob}.

    @ivar got: all payloads that have come: the bus, the subject or C{to} and the address, and the payload.
    @ivar changes: when the bus of Bob was lost and when it was back.
    """

    def make(self) -> Any:
        """
        A bus that is not started.
        """
        raise NotImplementedError

    def until(self, true: Callable[[], bool]) -> None:
        """
        Let the engine work until C{true()}.
        """
        raise NotImplementedError

    def disconnect(self, bus: Any) -> None:
        """
        The engine cannot be reached by that bus.
        """
        raise NotImplementedError

    def reconnect(self, bus: Any) -> None:
        """
        It can again.
        """
        raise NotImplementedError

    def start_both(self) -> None:
        self.got: list[tuple[str, str, bytes]] = []
        self.changes: list[str] = []
        self.ann, self.bob = self.make(), self.make()
        for name, bus in (("ann", self.ann), ("bob", self.bob)):
            bus.listen(name, self.receive(name, f"to {name}"))
        self.bob.observe(lambda: self.changes.append("lost"), lambda: self.changes.append("back"))
        for bus in (self.ann, self.bob):
            self.wait(bus.start())

    def receive(self, name: str, subject: str) -> Callable[[bytes], object]:
        return lambda payload: self.got.append((name, subject, payload))

    def wait(self, outcome: Deferred[Any]) -> Any:
        self.until(lambda: bool(outcome.called))
        return self.successResultOf(outcome)

    def subscribe(self, bus: Any, *subjects: str) -> None:
        name = "ann" if bus is self.ann else "bob"
        for confirmed in [bus.subscribe(subject, self.receive(name, subject)) for subject in subjects]:
            self.wait(confirmed)

    def until_ended(self, *senders: Any) -> None:
        """
        Wait for all that was sent so far. The payloads of one sender arrive in their order.
        """
        for sender in senders:
            for name in ("ann", "bob"):
                sender.send(name, b"end")
                end = (name, f"to {name}", b"end")
                self.until(lambda end=end: end in self.got)  # type: ignore[misc]
                self.got.remove(end)


class BusContract(BusTestCase):
    """
    The contract of L{IBus}. To be mixed into a test case.
    """

    def test_interface(self) -> None:
        """
        The bus provides L{IBus}.
        """
        verifyObject(IBus, self.ann)

    def test_start(self) -> None:
        """
        A bus is lost before its start, and back with it.
        """
        self.assertTrue(self.make().is_lost)
        self.assertFalse(self.bob.is_lost)
        self.assertEqual(self.changes, ["back"])

    def test_publish(self) -> None:
        """
        A payload reaches all subscribers of its subject, the sender too, and nobody else.
        """
        self.subscribe(self.ann, "news", "other")
        self.subscribe(self.bob, "news")
        self.ann.publish("news", b"1\r\n\xff")
        self.assertEqual(self.got, [])
        self.until_ended(self.ann)
        self.assertEqual(sorted(self.got), [("ann", "news", b"1\r\n\xff"), ("bob", "news", b"1\r\n\xff")])

    def test_send(self) -> None:
        """
        A payload reaches the node with that address only, and no subscriber of a subject with that name.
        """
        self.subscribe(self.ann, "bob")
        self.ann.send("bob", b"1")
        self.ann.send("cat", b"2")
        self.ann.publish("ann", b"3")
        self.until_ended(self.ann)
        self.assertEqual(self.got, [("bob", "to bob", b"1")])

    def test_order(self) -> None:
        """
        The payloads of a sender arrive in their order, whatever their subjects and addresses.
        """
        self.subscribe(self.bob, "a", "b")
        expected = []
        for number in range(300):
            payload = b"%d" % number
            subject = ("a", "b", "to bob")[number * 7 % 3]
            if subject == "to bob":
                self.ann.send("bob", payload)
            else:
                self.ann.publish(subject, payload)
            expected.append(("bob", subject, payload))
        self.until_ended(self.ann)
        self.assertEqual(self.got, expected)

    def test_names(self) -> None:
        """
        All names are names, and no patterns.
        """
        self.subscribe(self.bob, *NAMES)
        for name in NAMES:
            self.ann.publish(name, b"1")
        self.until_ended(self.ann)
        self.assertEqual(self.got, [("bob", name, b"1") for name in NAMES])

    def test_unsubscribe(self) -> None:
        """
        After the end of a subscription nothing arrives, until there is another one.
        """
        self.subscribe(self.bob, "news", "other")
        self.wait(self.bob.unsubscribe("news"))
        self.ann.publish("news", b"1")
        self.ann.publish("other", b"2")
        self.until_ended(self.ann)
        self.assertEqual(self.got, [("bob", "other", b"2")])
        self.subscribe(self.bob, "news")
        self.ann.publish("news", b"3")
        self.until_ended(self.ann)
        self.assertEqual(self.got[1:], [("bob", "news", b"3")])

    def test_many(self) -> None:
        """
        Many subjects can be asked for at once. Each is confirmed for itself.
        """
        subjects = [f"s{number}" for number in range(2000)]
        self.subscribe(self.bob, *subjects)
        ended = [self.bob.unsubscribe(subject) for subject in subjects[::2]]
        for each in ended:
            self.wait(each)
        for subject in subjects:
            self.ann.publish(subject, b"1")
        self.until_ended(self.ann)
        self.assertEqual(self.got, [("bob", subject, b"1") for subject in subjects[1::2]])

    def test_lost(self) -> None:
        """
        A bus that is lost has no subscriptions when it is back. What was asked for before is never confirmed.
        """
        self.subscribe(self.bob, "news")
        early = self.bob.subscribe("early", self.fail)
        self.disconnect(self.bob)
        self.until(lambda: self.bob.is_lost)
        late, end = self.bob.subscribe("late", self.fail), self.bob.unsubscribe("news")
        self.reconnect(self.bob)
        self.until(lambda: not self.bob.is_lost)
        self.assertEqual(self.changes, ["back", "lost", "back"])
        for subject in ("news", "early", "late"):
            self.ann.publish(subject, b"1")
        self.until_ended(self.ann)
        for confirmed in (early, late, end):
            self.assertNoResult(confirmed)
        self.assertEqual(self.got, [])
        self.subscribe(self.bob, "news")
        self.ann.publish("news", b"2")
        self.bob.send("ann", b"3")
        self.until_ended(self.ann, self.bob)
        self.assertEqual(sorted(self.got), [("ann", "to ann", b"3"), ("bob", "news", b"2")])

    def test_stop(self) -> None:
        """
        A bus that was stopped calls nothing and sends nothing.
        """
        self.subscribe(self.bob, "news")
        self.wait(self.bob.stop())
        self.assertTrue(self.bob.is_lost)
        self.bob.send("ann", b"1")
        self.ann.publish("news", b"2")
        self.ann.send("bob", b"3")
        self.ann.send("ann", b"end")
        self.until(lambda: ("ann", "to ann", b"end") in self.got)
        self.assertEqual(self.got, [("ann", "to ann", b"end")])
        self.assertEqual(self.changes, ["back"])
