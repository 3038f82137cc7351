"""
Tests for L{dstwist.services.rpc.calls}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.constants import RpcAction, Topic
from dstwist.protocol.message import Message
from dstwist.scheduling.deadlines import Deadlines
from dstwist.services.rpc import calls
from dstwist.services.rpc.calls import MAX_ID_CHARACTERS, Call, LocalProvider, Requestor
from tests.fakes import FakeConnection


class ProviderTests(SynchronousTestCase):
    """
    L{LocalProvider}: under which id it knows a call, and for how long.
    """

    def setUp(self) -> None:
        self.connection = FakeConnection("bob")
        self.provider = LocalProvider(self.connection, lambda name, connection: True)
        self.times: Deadlines[Call] = Deadlines(1.0, Clock(), lambda call: None)

    def take(self, call_id: str) -> str:
        """
        Give the provider a call of a new requestor; the id in the request that it is sent.
        """
        request = Message(Topic.RPC, RpcAction.REQUEST, "add", correlation_id=call_id, verbatim=object())
        requestor = Requestor(FakeConnection("ann"), self.times, self.times)
        self.provider.ask(Call(requestor, request, call_id, 10))
        (sent,) = self.connection.take()
        assert sent.correlation_id is not None
        # A request that is sent as it came must have the id that it came with.
        self.assertEqual(sent is request, sent.correlation_id == call_id)
        self.assertEqual(sent.verbatim is None, sent.correlation_id != call_id)
        return sent.correlation_id

    def test_own_id(self) -> None:
        """
        The provider gets the id of the requestor.
        """
        self.assertEqual(self.take("a"), "a")

    def test_same_id(self) -> None:
        """
        Calls of two requestors with the same id have different ids for their provider, and so has a call with the id of
        one that has ended.
        """
        ids = [self.take("a"), self.take("a"), self.take("a")]
        self.assertEqual(len(set(ids)), 3)
        self.provider.release(ids[0])
        self.assertNotIn(self.take("a"), ids)

    def test_chosen_by_a_client(self) -> None:
        """
        The new id is not one that a client has chosen.
        """
        self.take("call-1")
        self.take("a")
        self.assertNotIn(self.take("a"), ("call-1", "a"))

    def test_unfit_ids(self) -> None:
        """
        An id that is too long, or contains separators of the text protocol, is replaced.
        """
        self.assertEqual(self.take("x" * MAX_ID_CHARACTERS), "x" * MAX_ID_CHARACTERS)
        for call_id in ("y" * (MAX_ID_CHARACTERS + 1), "a\x1fb", "a\x1eb"):
            self.assertNotEqual(self.take(call_id), call_id)

    def test_forgotten(self) -> None:
        """
        Only the latest ended calls are remembered, and whether an answer to them is an error.
        """
        self.patch(calls, "MAX_ENDED_CALLS", 2)
        for call_id, complain in (("a", True), ("b", True), ("c", False)):
            self.take(call_id)
            self.provider.release(call_id, complain)
        self.assertEqual(dict(self.provider.ended), {"b": True, "c": False})
        self.assertEqual(self.provider.running, {})
