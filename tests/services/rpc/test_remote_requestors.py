"""
Tests for L{dstwist.services.rpc.remote_requestors}: calls of other nodes.
"""

from __future__ import annotations

from typing import Any

from dstwist.cluster.messages import Envelope, encode
from dstwist.services.rpc import node_messages, remote_requestors
from dstwist.services.rpc.calls import CALL_BYTES
from dstwist.services.rpc.remote_requestors import PATIENCE
from tests.services.rpc.cases import ACK_TIMEOUT, RESPONSE_TIMEOUT, failed, rpc
from tests.services.rpc.nodes import (
    ACCEPT,
    ACCEPT_TIMEOUT,
    NO_RPC_PROVIDER,
    REJECT,
    RESPONSE,
    RESPONSE_TIMEOUT_ERROR,
    NodesTestCase,
)


class LossTests(NodesTestCase):
    """
    Messages between the nodes that get lost: the times of the requestor's node end the call, on both nodes.
    """

    def setUp(self) -> None:
        super().setUp()
        self.remote = self.provider(1)
        self.request(0, "first")
        self.say(1, self.remote, RESPONSE, call_id="first")
        self.remote.take()

    def lose(self, *times: float) -> None:
        """
        Have all messages between the nodes get lost from now on, or take so long.
        """
        self.stage.network.travel_times = lambda sender, receiver: times  # type: ignore[method-assign]

    def test_request(self) -> None:
        """
        The request gets lost: ACCEPT_TIMEOUT.
        """
        self.lose()
        requestor = self.request(0)
        self.lose(0.0)
        self.stage.advance(ACK_TIMEOUT)
        self.assertEqual(requestor.take(), [failed(ACCEPT_TIMEOUT)])
        self.assertEqual(self.remote.take(), [])
        self.nothing_left()

    def test_accept(self) -> None:
        """
        ACCEPT gets lost: the same. The provider is told that its answer comes too late.
        """
        requestor = self.request(0)
        self.lose()
        self.say(1, self.remote, ACCEPT)
        self.lose(0.0)
        self.stage.advance(ACK_TIMEOUT)
        self.assertEqual(requestor.take(), [failed(ACCEPT_TIMEOUT)])
        self.remote.take()
        self.say(1, self.remote, RESPONSE)
        self.assertEqual(self.remote.take(), [rpc(RESPONSE).error("INVALID_RPC_CORRELATION_ID")])
        self.nothing_left()

    def test_response(self) -> None:
        """
        The answer gets lost: RESPONSE_TIMEOUT.
        """
        requestor = self.request(0)
        self.say(1, self.remote, ACCEPT)
        self.lose()
        self.say(1, self.remote, RESPONSE)
        self.lose(0.0)
        requestor.take()
        self.stage.advance(RESPONSE_TIMEOUT)
        self.assertEqual(requestor.take(), [failed(RESPONSE_TIMEOUT_ERROR)])
        self.nothing_left()

    def test_cancel(self) -> None:
        """
        The message that the requestor has left gets lost: the provider's node drops the call some time after the
        requestor's node would have done so.
        """
        requestor = self.request(0)
        self.say(1, self.remote, ACCEPT)
        self.remote.take()
        self.lose()
        requestor.close()
        self.stage.turn()
        self.lose(0.0)
        self.stage.advance(RESPONSE_TIMEOUT)
        self.assertGreater(self.rooms[1].used, 0)
        self.stage.advance(PATIENCE)
        self.nothing_left()
        self.say(1, self.remote, RESPONSE)
        self.assertEqual(self.remote.take(), [])

    def test_late(self) -> None:
        """
        A message about an attempt that has ended is dropped.
        """
        for action in (ACCEPT, RESPONSE, REJECT):
            requestor = self.request(0)
            call_id = self.asked(self.remote).correlation_id or ""
            self.lose(ACK_TIMEOUT)
            self.say(1, self.remote, action, call_id=call_id)
            self.stage.advance(2 * ACK_TIMEOUT)
            self.assertEqual(requestor.take(), [failed(ACCEPT_TIMEOUT)])
            self.lose(0.0)
            self.stage.advance(2 * ACK_TIMEOUT)
            self.remote.take()
            self.assertEqual(requestor.take(), [])
            self.nothing_left()


class BoundsTests(NodesTestCase):
    """
    The memory that calls of other nodes take.
    """

    count = 3

    def test_no_room(self) -> None:
        """
        A node whose calls take too much memory rejects further ones of other nodes, which ask the next node.
        """
        first = self.provider(1)
        self.rooms[1].limit = 2 * CALL_BYTES
        self.request(0)
        self.asked(first)
        requestor = self.request(0)
        self.assertEqual(requestor.take(), [failed(NO_RPC_PROVIDER)])
        second = self.provider(2)
        self.request(0)
        self.asked(second)
        self.assertEqual(first.take(), [])

    def test_every_end_frees(self) -> None:
        """
        Whatever ends a call, it takes no memory any more.
        """
        for action in (RESPONSE, REJECT, ACCEPT):
            provider = self.provider(1)
            requestor = self.request(0)
            self.assertGreater(min(self.rooms[0].used, self.rooms[1].used), CALL_BYTES)
            self.say(1, provider, action)
            if action is ACCEPT:
                requestor.close()
                self.stage.turn()
            provider.close()
            self.stage.advance(ACK_TIMEOUT)
            self.nothing_left()


class HostileTests(NodesTestCase):
    """
    Messages that no node of this release sends.
    """

    def send(self, *items: Any) -> None:
        """
        Have the first node get items from the second.
        """
        sender, receiver = (self.stage.nodes[number].membership.node for number in (1, 0))
        payload = encode(Envelope(sender, receiver, 10**6, list(items)))
        self.stage.bus(1).send(receiver.rpartition("#")[0], payload)
        self.stage.turn()

    def test_unknown_attempts(self) -> None:
        """
        Messages about attempts that there are not have no effect.
        """
        provider = self.provider(0)
        self.send(
            [node_messages.ACCEPT, "1"],
            [node_messages.RESPONSE, "1", None],
            [node_messages.ERROR, "1", "J1"],
            [node_messages.REJECT, "1"],
            [node_messages.LOST, "1"],
            [node_messages.ANOTHER, "1"],
            [node_messages.CANCEL, "1", True],
        )
        self.assertEqual(provider.take(), [])
        self.nothing_left()

    def test_attempts_of_another_node(self) -> None:
        """
        Only the node that was asked can answer.
        """
        self.build()
        provider = self.provider(1)
        requestor = self.request(0)
        self.asked(provider)
        node = self.stage.make_node()
        self.stage.start(node)
        self.request(0, "y", requestor=requestor)
        receiver = self.stage.nodes[0].membership.node
        for attempt in "0123456":
            node.peers.send(receiver, [node_messages.RESPONSE, attempt, None])
        self.stage.turn()
        self.assertNotIn(RESPONSE, [message.action for message in requestor.take()])

    def test_attempt_twice(self) -> None:
        """
        A node that uses the id of an attempt again gives no second call.
        """
        provider = self.provider(0)
        request = [node_messages.REQUEST, "1", "add", "x", None, None, None, 1000]
        self.send(request, request)
        self.asked(provider)

    def test_endless_timeout(self) -> None:
        """
        The time until the answer that a node asks for is bounded.
        """
        self.patch(remote_requestors, "MAX_TIMEOUT", 5.0)
        provider = self.provider(0)
        self.send([node_messages.REQUEST, "1", "add", "x", None, None, None, 2**62])
        self.asked(provider)
        self.stage.advance(5.0 + PATIENCE)
        self.nothing_left()

    def test_accepted_twice(self) -> None:
        """
        A node that says twice that a call is accepted has the requestor told once.
        """
        self.provider(1)
        requestor = self.request(0)
        receiver = self.stage.nodes[0].membership.node
        for _ in range(2):
            self.stage.nodes[1].peers.send(receiver, [node_messages.ACCEPT, "1"])
        self.stage.turn()
        self.assertEqual(requestor.take(), [rpc(ACCEPT)])
