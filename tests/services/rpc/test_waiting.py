"""
Tests for L{dstwist.services.rpc.waiting}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.constants import RpcAction, Topic
from dstwist.protocol.message import Message
from dstwist.scheduling.deadlines import Deadlines
from dstwist.services.rpc.calls import Call, Requestor
from dstwist.services.rpc.waiting import WaitingCalls
from tests.fakes import FakeConnection


class WaitingCallsTests(SynchronousTestCase):
    """
    L{WaitingCalls}.
    """

    def call(self, name: str) -> Call:
        times: Deadlines[Call] = Deadlines(1.0, Clock(), lambda call: None)
        request = Message(Topic.RPC, RpcAction.REQUEST, name, correlation_id="x")
        return Call(Requestor(FakeConnection(), times, times), request, "x", 10)

    def test_by_name(self) -> None:
        """
        The calls of each procedure are found until they are released.
        """
        waiting = WaitingCalls()
        a, b, c = calls = [self.call(name) for name in ("add", "add", "sub")]
        for call in calls:
            waiting.ask(call)
        self.assertEqual((waiting.of_name("add"), waiting.of_name("sub")), ([a, b], [c]))
        waiting.release(a.provider_id)
        self.assertEqual(waiting.of_name("add"), [b])
        waiting.release(b.provider_id)
        self.assertEqual((waiting.of_name("add"), list(waiting.names())), ([], ["sub"]))
        waiting.release(c.provider_id)
        self.assertEqual((list(waiting.names()), waiting.running), ([], {}))

    def test_provides_nothing(self) -> None:
        """
        If the time of a call is up, it ends as if the provider had left: another one may have come meanwhile.
        """
        self.assertFalse(WaitingCalls().provides("add"))
