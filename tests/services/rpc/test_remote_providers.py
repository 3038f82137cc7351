"""
Tests for L{dstwist.services.rpc.remote_providers}: which nodes are asked, and when.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.digest import GONE
from dstwist.cluster.table import partition_of
from dstwist.limits import lingering
from dstwist.protocol.constants import RpcAction, Topic
from dstwist.protocol.message import Message
from dstwist.scheduling.deadlines import Deadlines
from dstwist.services.rpc.calls import CALL_BYTES, Call, Requestor
from dstwist.services.rpc.remote_providers import MIN_LINGER, RemoteProvider
from tests.fakes import FakeConnection
from tests.services.rpc.cases import ACK_TIMEOUT, PROVIDE, failed, rpc
from tests.services.rpc.nodes import ACCEPT, NO_RPC_PROVIDER, REJECT, RESPONSE, NodesTestCase


class RemoteProviderTests(SynchronousTestCase):
    """
    L{RemoteProvider}: what the other node is sent.
    """

    def setUp(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        attempts = iter("123")
        self.provider = RemoteProvider(
            "bob",
            lambda node, item: self.sent.append((node, item)),
            lambda: next(attempts),
            lambda name, node: True,
            2.5,
        )
        times: Deadlines[Call] = Deadlines(1.0, Clock(), lambda call: None)
        self.call = Call(Requestor(FakeConnection(), times, times), rpc(RpcAction.REQUEST, data=b"1"), "x", 10)

    def test_ask(self) -> None:
        """
        Each time the node is asked is an attempt of its own.
        """
        for attempt in "12":
            self.provider.ask(self.call)
            item = ["rpc-request", attempt, "add", "x", "J1", None, None, 2500]
            self.assertEqual(self.sent[-1], ("bob", item))
        self.assertEqual(list(self.provider.running), ["1", "2"])

    def test_release(self) -> None:
        """
        A node that has not ended the attempt is told that it has ended, and whether an answer is an error.
        """
        for attempt, complain in (("1", True), ("2", False)):
            self.provider.ask(self.call)
            self.provider.release(attempt, complain)
            self.assertEqual(self.sent[-1], ("bob", ["rpc-cancel", attempt, complain]))
        self.assertEqual(self.provider.running, {})

    def test_ended_there(self) -> None:
        """
        A node that has ended the attempt, or is dead, is not told.
        """
        self.provider.ask(self.call)
        del self.provider.running["1"]
        self.provider.release("1")
        self.provider.ask(self.call)
        self.provider.has_left = True
        self.provider.release("2")
        self.assertEqual([item[0] for _, item in self.sent], ["rpc-request"] * 2)


class WaitingTests(NodesTestCase):
    """
    Calls that wait until it is known who provides the procedure.
    """

    count = 3

    def setUp(self) -> None:
        super().setUp()
        self.find_owner()

    def find_owner(self) -> None:
        """
        Find a node that owns the name, and two others.
        """
        partition = partition_of("add", self.stage.settings.partitions)
        numbers = sorted(range(3), key=lambda number: self.stage.nodes[number].membership.owns(partition))
        self.caller, self.other, self.owner = numbers

    def travel(self, *times: float) -> None:
        """
        Messages between nodes are on their way for so long; without a time, they get lost.
        """
        self.patch(self.stage.network, "travel_times", lambda sender, receiver: times)

    def test_w47_first_call(self) -> None:
        """
        W47: the first call of a procedure waits until the directory has told which nodes provide it.
        """
        provider = self.provider(self.other)
        self.travel(0.2)
        requestor = self.request(self.caller)
        self.assertEqual((requestor.take(), provider.take()), ([], []))
        self.stage.advance(ACK_TIMEOUT - 0.1)
        self.asked(provider)
        self.assertEqual(requestor.take(), [])

    def test_second_call(self) -> None:
        """
        The next call does not wait: it fails at once if there is no provider.
        """
        self.request(self.caller)
        self.travel()
        self.assertEqual(self.request(self.caller).take(), [failed(NO_RPC_PROVIDER)])

    def test_never_told(self) -> None:
        """
        If the directory does not tell in time, there is no provider: none has been asked.
        """
        provider = self.provider(self.other)
        self.travel()
        requestor = self.request(self.caller)
        self.stage.advance(ACK_TIMEOUT - 0.1)
        self.assertEqual(requestor.take(), [])
        self.stage.advance(0.1)
        self.assertEqual(requestor.take(), [failed(NO_RPC_PROVIDER)])
        self.assertEqual(provider.take(), [])
        self.nothing_left()

    def test_time_to_answer_is_shorter(self) -> None:
        """
        If the time to answer is shorter than that to accept, the call ends in the same way.
        """
        self.build(ack_timeout=5.0, response_timeout=2.0)
        self.find_owner()
        self.travel()
        requestor = self.request(self.caller)
        self.stage.advance(2.0)
        self.assertEqual(requestor.take(), [failed(NO_RPC_PROVIDER)])
        self.nothing_left()

    def test_requestor_leaves(self) -> None:
        """
        If the requestor disconnects, its call waits no longer.
        """
        provider = self.provider(self.other)
        self.travel(0.2)
        requestor = self.request(self.caller)
        requestor.close()
        self.nothing_left()
        self.stage.advance(1)
        self.assertEqual(provider.take(), [])

    def test_provider_moves(self) -> None:
        """
        A call that is made just after the last provider has left waits a moment: the provider may be on its way to
        another node.
        """
        first = self.provider(self.other)
        self.request(self.caller)
        self.say(self.other, first, RESPONSE)
        first.close()
        self.stage.turn()
        requestor = self.request(self.caller)
        self.assertEqual(requestor.take(), [])
        second = FakeConnection()
        self.services[self.owner].handle(PROVIDE, second)
        self.stage.turn()
        self.assertEqual(second.take(), [PROVIDE.ack(), rpc(RpcAction.REQUEST, data=b"1")])

    def test_local_provider_comes(self) -> None:
        """
        A call that waits goes to a provider of this node that has come meanwhile, when its time is up.
        """
        self.travel()
        requestor = self.request(self.caller)
        self.services[self.caller].handle(PROVIDE, provider := self.connect())
        self.stage.advance(ACK_TIMEOUT - 0.1)
        self.assertEqual(provider.take(), [])
        self.stage.advance(0.2)
        self.assertIn(rpc(RpcAction.REQUEST, data=b"1"), provider.take())
        self.assertEqual(requestor.take(), [])

    def test_once(self) -> None:
        """
        A call waits once: if the nodes that the directory has told of reject, there is no provider.
        """
        provider = self.provider(self.other)
        requestor = self.request(self.caller)
        self.say(self.other, provider, REJECT)
        self.assertEqual(requestor.take(), [failed(NO_RPC_PROVIDER)])

    def test_many(self) -> None:
        """
        All calls that wait for a procedure go to its provider.
        """
        provider = self.provider(self.other)
        self.travel(0.2)
        for number in range(100):
            self.request(self.caller, str(number))
        self.stage.advance(1)
        self.assertEqual(len(provider.take()), 100)


class BusTests(NodesTestCase):
    """
    Calls while the bus is lost.
    """

    def setUp(self) -> None:
        super().setUp()
        self.remote = self.provider(1)
        self.request(0)
        self.say(1, self.remote, RESPONSE)
        self.remote.take()
        self.stage.bus(0).disconnect()

    def test_back_in_time(self) -> None:
        """
        A call that only other nodes can serve waits for the bus.
        """
        requestor = self.request(0)
        self.stage.advance(ACK_TIMEOUT - 0.1)
        self.assertEqual(requestor.take(), [])
        self.stage.bus(0).reconnect()
        self.stage.turn()
        self.asked(self.remote)
        self.assertEqual(requestor.take(), [])

    def test_not_back(self) -> None:
        """
        If the bus is not back in time, there is no provider: none has been asked.
        """
        requestor = self.request(0)
        self.stage.advance(ACK_TIMEOUT)
        self.assertEqual(requestor.take(), [failed(NO_RPC_PROVIDER)])
        self.stage.bus(0).reconnect()
        self.stage.advance(1)
        self.assertEqual(self.remote.take(), [])
        self.nothing_left()

    def test_own_clients(self) -> None:
        """
        The providers of the same node are called as ever.
        """
        provider = self.provider(0)
        requestor = self.request(0)
        self.asked(provider)
        self.say(0, provider, RESPONSE)
        self.assertEqual(requestor.take(), [rpc(RESPONSE)])

    def test_answer_after_the_loss(self) -> None:
        """
        A call that was accepted before the loss gets the answer that is sent when the bus is back.
        """
        self.stage.bus(0).reconnect()
        requestor = self.request(0)
        call_id = self.asked(self.remote).correlation_id or ""
        self.say(1, self.remote, ACCEPT, call_id=call_id)
        self.stage.bus(0).disconnect()
        self.stage.advance(2)
        self.stage.bus(0).reconnect()
        self.say(1, self.remote, RESPONSE, call_id=call_id)
        self.assertEqual(requestor.take(), [rpc(ACCEPT), rpc(RESPONSE)])


class ChoiceTests(NodesTestCase):
    """
    Which of several nodes is asked.
    """

    count = 3

    def test_bus_of_the_other_lost(self) -> None:
        """
        A node that has lost its bus is not asked if another node provides the procedure; else it is asked, since it may
        have the bus again.
        """
        first = self.provider(1)
        second = self.provider(2)
        self.stage.bus(1).disconnect()
        self.stage.advance(2)
        for _ in range(3):
            self.request(0)
        self.assertEqual((len(second.take()), first.take()), (3, []))
        second.close()
        self.stage.turn()
        self.stage.bus(1).reconnect()
        self.request(0)
        self.asked(first)

    def test_no_more_than_needed(self) -> None:
        """
        A node that has ended a call is not told that the call has ended.
        """
        provider = self.provider(1)
        sent: list[bytes] = []
        bus = self.stage.bus(0)
        send = bus.send

        def record(address: str, payload: bytes) -> None:
            sent.append(payload)
            send(address, payload)

        self.patch(bus, "send", record)
        self.request(0)
        self.say(1, provider, ACCEPT, RESPONSE)
        self.assertEqual(sum(payload.count(b'"rpc-request"') for payload in sent), 1)
        self.assertEqual(sum(payload.count(b'"rpc-cancel"') for payload in sent), 0)

    def test_chosen_from_all(self) -> None:
        """
        The choice is among all nodes that provide the procedure.
        """
        self.provider(1), self.provider(2)
        self.request(0)
        self.assertEqual(self.chosen_from, [2])


class WatchTests(NodesTestCase):
    """
    Which procedures a node watches.
    """

    count = 3

    def state(self, name: str = "add") -> Any:
        """
        What the first node has been told of a procedure, if it watches it.
        """
        return self.stage.nodes[0].directory.state("p", name)

    def call(self, name: str, number: int = 0) -> None:
        request = Message(Topic.RPC, RpcAction.REQUEST, name, correlation_id="x")
        self.services[number].handle(request, FakeConnection())
        self.stage.turn()

    def test_not_of_its_own(self) -> None:
        """
        Calls that providers of the same node answer need no watch.
        """
        self.provider(0)
        self.stage.advance(2 * self.stage.settings.linger)
        self.request(0)
        self.assertIsNone(self.state())

    def test_linger(self) -> None:
        """
        A procedure that is called again and again is watched all the time, and not for
        longer than twice C{linger} after the last call.
        """
        linger = self.stage.settings.linger
        for _ in range(5):
            self.call("add")
            self.assertEqual(self.state(), GONE)
            self.stage.advance(linger - 1)
        self.stage.advance(2 * linger)
        self.assertIsNone(self.state())

    def test_bounded(self) -> None:
        """
        Calls of very many names do not have them all watched.
        """
        self.patch(lingering, "MAX_LINGERING", 3)
        for number in range(10):
            self.call(f"n{number}")
        self.assertEqual([number for number in range(10) if self.state(f"n{number}")], [7, 8, 9])

    def test_bounded_while_calls_wait(self) -> None:
        """
        A name that a call waits for is watched, however many names are.
        """
        self.patch(lingering, "MAX_LINGERING", 1)
        provider = self.provider(1)
        partition = partition_of("add", self.stage.settings.partitions)
        number = 2 if self.stage.nodes[0].membership.owns(partition) else 0
        self.patch(self.stage.network, "travel_times", lambda sender, receiver: (0.2,))
        for name in ("add", *(f"n{number}" for number in range(10))):
            self.call(name, number)
        self.stage.advance(ACK_TIMEOUT)
        self.asked(provider)


class NoLingerTests(NodesTestCase):
    """
    Subjects of the bus do not linger.
    """

    def serve(self, number: int, **settings: Any) -> None:
        node = self.stage.nodes[number]
        node.settings = replace(node.settings, linger=0.0)
        super().serve(number, **settings)

    def test_watched(self) -> None:
        """
        Procedures are watched for a short time nevertheless, and calls wait as ever.
        """
        provider = self.provider(1)
        self.patch(self.stage.network, "travel_times", lambda sender, receiver: (0.2,))
        self.request(0)
        self.stage.advance(ACK_TIMEOUT - 0.1)
        self.asked(provider)
        self.stage.advance(3 * MIN_LINGER)
        self.assertIsNone(self.stage.nodes[0].directory.state("p", "add"))


class MembershipTests(NodesTestCase):
    """
    Nodes that the table does not have any more.
    """

    def expel(self, number: int) -> None:
        """
        The other nodes take a node, which lives, for dead; it joins anew.
        """
        membership = self.stage.nodes[1 - number].membership
        table = membership.table
        others = {node: member for node, member in table.members.items() if node == membership.node}
        version = table.version + 1
        document = table.planned(version, others, others).encode()
        self.stage.table.document = document.replace(b'"version":%d' % table.version, b'"version":%d' % version)
        self.stage.advance(3)
        self.assertEqual(len(membership.members), 2)

    def test_found_dead(self) -> None:
        """
        A node that was found dead, and lives, gives its calls to providers once more: the other nodes have dropped
        them. The answer of the first time goes nowhere.
        """
        self.build(ack_timeout=60.0, response_timeout=60.0)
        provider = self.provider(1)
        requestor = self.request(0)
        self.asked(provider)
        self.expel(0)
        second = self.asked(provider).correlation_id or ""
        self.say(1, provider, RESPONSE, data=b"1")
        self.assertEqual(requestor.take(), [])
        self.say(1, provider, RESPONSE, call_id=second, data=b"2")
        self.assertEqual(requestor.take(), [rpc(RESPONSE, data=b"2")])
        self.nothing_left()

    def test_provider_found_dead(self) -> None:
        """
        The calls that were given to a node that was found dead, and lives, are given to it again.
        """
        self.build(ack_timeout=60.0, response_timeout=60.0)
        provider = self.provider(1)
        requestor = self.request(0)
        self.asked(provider)
        self.expel(1)
        # It has dropped the first attempt.
        self.assertLess(self.rooms[1].used, 2 * CALL_BYTES)
        second = self.asked(provider).correlation_id or ""
        self.say(1, provider, RESPONSE, data=b"1")
        self.assertEqual(requestor.take(), [])
        self.say(1, provider, RESPONSE, call_id=second, data=b"2")
        self.assertEqual(requestor.take(), [rpc(RESPONSE, data=b"2")])
        self.nothing_left()
