"""
The RPC topic on several nodes: calls that take too long, and clients and nodes that leave.
"""

from __future__ import annotations

from dstwist.protocol.dialect import TEXT
from tests.requesters import for_each_requester
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


@for_each_requester
class TimeTests(NodesTestCase):
    """
    Calls that take too long: the times are those of the requestor's node.
    """

    def test_not_accepted(self) -> None:
        """
        A call that is not accepted in time fails. A later answer is an error of the provider, and goes nowhere.
        """
        provider = self.provider(1)
        requestor = self.request(0)
        self.stage.advance(ACK_TIMEOUT)
        self.assertEqual(requestor.take(), [failed(ACCEPT_TIMEOUT)])
        self.asked(provider)
        self.say(1, provider, RESPONSE)
        self.assertEqual(provider.take(), [rpc(RESPONSE).error("INVALID_RPC_CORRELATION_ID")])
        self.assertEqual(requestor.take(), [])
        self.nothing_left()

    def test_times_of_the_requestors_node(self) -> None:
        """
        The times of the provider's node do not count, whether they are shorter or longer.
        """
        for number, accepts_after, answers_after in ((0, 29.0, 60.0), (1, 0.5, RESPONSE_TIMEOUT)):
            self.build({"ack_timeout": 30.0, "response_timeout": 60.0})
            provider = self.provider(1 - number)
            requestor = self.request(number)
            self.stage.advance(accepts_after)
            self.say(1 - number, provider, ACCEPT)
            self.assertEqual(requestor.take(), [rpc(ACCEPT)])
            self.stage.advance(answers_after - accepts_after - 0.5)
            self.assertEqual(requestor.take(), [])
            self.stage.advance(0.5)
            self.assertEqual(requestor.take(), [failed(RESPONSE_TIMEOUT_ERROR)])
            self.nothing_left()

    def test_unprovided(self) -> None:
        """
        W30: a provider that ceases to provide, and does not accept in time, has rejected.
        """
        first = self.provider(1)
        requestor = self.request(0)
        self.asked(first)
        self.unprovide(1, first)
        self.stage.advance(ACK_TIMEOUT)
        second = self.provider(1)
        self.assertEqual(requestor.take(), [failed(NO_RPC_PROVIDER)])
        self.assertEqual(second.take(), [])
        self.nothing_left()

    def test_second_provider_has_the_whole_time(self) -> None:
        """
        If a provider rejects, the next one of the same node has the whole time, and its ACCEPT counts.
        """
        first, second = self.provider(1), self.provider(1)
        requestor = self.request(0)
        self.stage.advance(ACK_TIMEOUT - 0.1)
        self.say(1, first, ACCEPT)
        self.stage.advance(RESPONSE_TIMEOUT - ACK_TIMEOUT - 0.1)
        self.say(1, first, REJECT)
        self.asked(second)
        self.stage.advance(ACK_TIMEOUT - 0.1)
        self.say(1, second, ACCEPT)
        self.assertEqual(requestor.take(), [rpc(ACCEPT)] * 2)
        self.stage.advance(RESPONSE_TIMEOUT - ACK_TIMEOUT - 0.1)
        self.assertEqual(requestor.take(), [])
        self.stage.advance(0.5)
        self.assertEqual(requestor.take(), [failed(RESPONSE_TIMEOUT_ERROR)])
        self.nothing_left()


@for_each_requester
class LeavingTests(NodesTestCase):
    """
    Clients that disconnect, and nodes that stop or die.
    """

    count = 3

    def test_w30_provider_gone(self) -> None:
        """
        W30: if the provider disconnects, its calls go to another one at once, whether it had accepted or not; first to
        one of the same node.
        """
        for actions in ((), (ACCEPT,)):
            self.build()
            first, second, third = self.provider(1), self.provider(1), self.provider(2)
            requestor = self.request(0)
            for provider in (first, second):
                self.asked(provider)
                self.say(1, provider, *actions)
                provider.close()
                self.stage.turn()
                self.assertEqual(len(requestor.take()), len(actions))
            self.asked(third)
            self.say(2, third, RESPONSE)
            self.assertEqual(requestor.take(), [rpc(RESPONSE)])

    def test_w30_last_provider_gone(self) -> None:
        """
        W30: if there is no other one, the requestor is told at once.
        """
        for actions in ((), (ACCEPT,)):
            self.build()
            provider = self.provider(1)
            requestor = self.request(0)
            self.say(1, provider, *actions)
            requestor.take()
            provider.close()
            self.stage.advance(ACK_TIMEOUT + 0.1)
            self.assertEqual(requestor.take(), [failed(NO_RPC_PROVIDER)])
            self.nothing_left()

    def test_not_twice(self) -> None:
        """
        With C{rerouteAccepted} off, a call that the provider had accepted is not executed a second time when it
        disconnects: the requestor is told at once that there will be no answer.
        """
        self.build(reroute_accepted=False)
        first = self.provider(1)
        requestor = self.request(0, "accepted")
        self.request(0, "asked", requestor=requestor)
        self.say(1, first, ACCEPT, call_id="accepted")
        second = self.provider(2)
        requestor.take()
        first.close()
        self.stage.turn()
        self.assertEqual(requestor.take(), [failed(RESPONSE_TIMEOUT_ERROR, "accepted")])
        self.assertEqual(self.asked(second).correlation_id, "asked")

    def test_w32_requestor_gone(self) -> None:
        """
        W32: if the requestor disconnects, no node remembers its call, and the provider gets no error for its answer.
        """
        provider = self.provider(1)
        self.request(0).close()
        self.stage.turn()
        self.nothing_left()
        self.asked(provider)
        self.say(1, provider, ACCEPT, RESPONSE)
        self.assertEqual(provider.take(), [])

    def test_node_dies(self) -> None:
        """
        When the provider's node is found dead, its calls go to another node, whether they were accepted or not.
        """
        for actions in ((), (ACCEPT,)):
            self.build(ack_timeout=60.0, response_timeout=60.0)
            first = self.provider(1)
            requestor = self.request(0)
            self.say(1, first, *actions)
            requestor.take()
            second = self.provider(2)
            self.stage.kill(1)
            self.stage.advance(10)
            self.assertEqual(self.asked(second).data, b"1")
            self.say(2, second, RESPONSE, data=b"3")
            self.assertEqual(requestor.take(), [rpc(RESPONSE, data=b"3")])
            self.assertEqual([room.used for room in self.rooms[::2]], [0, 0])

    def test_node_dies_after_accept(self) -> None:
        """
        With C{rerouteAccepted} off, a call that was accepted is not executed on another node, too.
        """
        self.build(ack_timeout=60.0, response_timeout=60.0, reroute_accepted=False)
        first = self.provider(1)
        requestor = self.request(0, "accepted")
        self.request(0, "asked", requestor=requestor)
        self.say(1, first, ACCEPT, call_id="accepted")
        requestor.take()
        second = self.provider(2)
        self.stage.kill(1)
        self.stage.advance(10)
        self.assertEqual(requestor.take(), [failed(RESPONSE_TIMEOUT_ERROR, "accepted")])
        self.assertEqual(self.asked(second).correlation_id, "asked")

    def test_requestors_node_dies(self) -> None:
        """
        W32: when the requestor's node is found dead, its calls are dropped, and the provider gets no error for its
        answers.
        """
        self.build(ack_timeout=60.0, response_timeout=60.0)
        provider = self.provider(1)
        self.request(0)
        self.asked(provider)
        self.stage.kill(0)
        self.stage.advance(10)
        self.assertEqual(self.rooms[1].used, 0)
        self.say(1, provider, ACCEPT, RESPONSE)
        self.assertEqual(provider.take(), [])

    def test_orderly_stop(self) -> None:
        """
        W40: when the provider's node stops in order, its calls go to another node at once.
        """
        for actions in ((), (ACCEPT,)):
            self.build()
            first = self.provider(1)
            requestor = self.request(0)
            self.say(1, first, *actions)
            requestor.take()
            second = self.provider(2)
            self.services[1].stop()
            self.stage.turn()
            self.asked(second)
            self.request(0, "y", requestor=requestor)
            self.assertEqual(self.asked(second).correlation_id, "y")
            self.say(2, second, RESPONSE)
            self.assertEqual(requestor.take(), [rpc(RESPONSE)])

    def test_orderly_stop_after_accept(self) -> None:
        """
        With C{rerouteAccepted} off, the requestor of a call that was accepted is told that there will be no answer.
        """
        self.build(reroute_accepted=False)
        provider = self.provider(1)
        requestor = self.request(0)
        self.say(1, provider, ACCEPT)
        requestor.take()
        self.services[1].stop()
        self.stage.turn()
        self.assertEqual(requestor.take(), [failed(RESPONSE_TIMEOUT_ERROR)])

    def test_pc1_restart(self) -> None:
        """
        PC1, PC2: when the provider is connected again, its procedure is called; before that, it has no provider.
        """
        provider = self.provider(1)
        self.request(0)
        self.asked(provider)
        provider.close()
        self.stage.advance(3)
        for number in range(3):
            requestor = self.request(number)
            self.stage.advance(ACK_TIMEOUT)
            self.assertEqual(requestor.take(), [failed(NO_RPC_PROVIDER)])
        provider = self.provider(2)
        for number in range(3):
            self.request(number)
        self.assertEqual(len(provider.take()), 3)

    def test_text_requestor(self) -> None:
        """
        A client of v2 or v3 is told of the calls that other nodes have when its node stops.
        """
        self.provider(1)
        requestor = self.request(0, requestor=self.connect(dialect=TEXT))
        self.services[0].stop()
        self.assertEqual(requestor.take(), [failed(RESPONSE_TIMEOUT_ERROR)])
