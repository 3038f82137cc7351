"""
The RPC topic on several nodes: the whole course of calls.
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
    REQUEST,
    REQUEST_ERROR,
    RESPONSE,
    RESPONSE_TIMEOUT_ERROR,
    NodesTestCase,
)


@for_each_requester
class CallTests(NodesTestCase):
    """
    Calls that a provider of another node answers, or that no provider answers.
    """

    count = 3

    def test_accept_and_response(self) -> None:
        """
        The provider gets the request as it was made; the requestor hears that it is accepted, and the result.
        """
        provider = self.provider(1)
        requestor = self.request(0)
        self.assertEqual(provider.take(), [rpc(REQUEST, data=b"1")])
        self.say(1, provider, ACCEPT)
        self.assertEqual(requestor.take(), [rpc(ACCEPT)])
        self.say(1, provider, RESPONSE, data=b"3")
        self.assertEqual(requestor.take(), [rpc(RESPONSE, data=b"3")])
        self.assertEqual(provider.take(), [])
        self.nothing_left()

    def test_request_error(self) -> None:
        """
        The error of the procedure reaches the requestor, and ends the call.
        """
        provider = self.provider(1)
        requestor = self.request(0)
        self.say(1, provider, REQUEST_ERROR, data=b'"no"')
        self.assertEqual(requestor.take(), [rpc(REQUEST_ERROR, data=b'"no"')])
        self.nothing_left()

    def test_data(self) -> None:
        """
        Data arrives in the encoding in which its client has sent it, in both directions; so does "no value".
        """
        provider = self.provider(1)
        for data in (None, b"null", b'{"a":"\xc3\xa4\\ud800"}', "SJ\xe4", 'O{"a":1}', "N1.5", "T", "F", "L", "U"):
            requestor = self.request(0, data=data)
            request = self.asked(provider)
            self.assertEqual(request.data, data)
            self.say(1, provider, RESPONSE, call_id=request.correlation_id or "", data=data)
            self.assertEqual(requestor.take(), [rpc(RESPONSE, data=data)])

    def test_p1_calls_from_all_nodes(self) -> None:
        """
        P1: clients of each node call the procedure; each gets its own result, and the provider is asked once for each
        call.
        """
        provider = self.provider(0)
        requestors = [self.request(number, data=b'"%d"' % number) for number in (0, 0, 1, 2)]
        for number, request in zip((0, 0, 1, 2), provider.take(), strict=True):
            self.assertEqual(request.data, b'"%d"' % number)
            self.say(0, provider, RESPONSE, call_id=request.correlation_id or "", data=request.data)
        answers = [requestor.take() for requestor in requestors]
        self.assertEqual(answers, [[rpc(RESPONSE, data=b'"%d"' % number)] for number in (0, 0, 1, 2)])
        self.nothing_left()

    def test_p2_one_rejects(self) -> None:
        """
        P2: a call that one provider rejects goes to the provider of another node, with the same data.
        """
        first, second = self.provider(1), self.provider(2)
        requestor = self.request(0)
        self.asked(first)
        self.say(1, first, REJECT)
        self.assertEqual(second.take(), [rpc(REQUEST, data=b"1")])
        self.say(2, second, RESPONSE, data=b"3")
        self.assertEqual(requestor.take(), [rpc(RESPONSE, data=b"3")])
        self.assertEqual((first.take(), second.take()), ([], []))
        self.assertEqual(self.chosen_from, [2])
        self.nothing_left()

    def test_p3_only_provider_rejects(self) -> None:
        """
        P3: if the only provider rejects, there is none; it is asked once.
        """
        provider = self.provider(1)
        requestor = self.request(0)
        self.asked(provider)
        self.say(1, provider, REJECT)
        self.assertEqual(requestor.take(), [failed(NO_RPC_PROVIDER)])
        self.assertEqual(provider.take(), [])
        self.nothing_left()

    def test_p3_only_provider_is_here(self) -> None:
        """
        P3: the same if the only provider is at the requestor's node.
        """
        provider = self.provider(0)
        requestor = self.request(0)
        self.asked(provider)
        self.say(0, provider, REJECT)
        self.assertEqual(requestor.take(), [failed(NO_RPC_PROVIDER)])
        self.assertEqual(provider.take(), [])
        self.nothing_left()

    def test_p4_all_reject(self) -> None:
        """
        P4, W31: if the providers of all nodes reject, each of them is asked exactly once, those of the requestor's node
        first; then there is none.
        """
        providers = [(number, self.provider(number)) for number in (0, 0, 1, 1, 2)]
        requestor = self.request(0)
        order = []
        for _ in providers:
            self.assertEqual(requestor.take(), [])
            ((number, provider),) = [(number, provider) for number, provider in providers if provider.take()]
            order.append(number)
            self.say(number, provider, REJECT)
        self.assertEqual(order[:2], [0, 0])
        self.assertEqual(sorted(order), [0, 0, 1, 1, 2])
        self.assertEqual([provider.take() for _, provider in providers], [[]] * 5)
        self.assertEqual(requestor.take(), [failed(NO_RPC_PROVIDER)])
        self.nothing_left()

    def test_p5_no_answer(self) -> None:
        """
        P5: if the provider accepts and does not answer, the call ends with RESPONSE_TIMEOUT; no other one is asked.
        """
        provider = self.provider(1)
        requestor = self.request(0)
        self.say(1, provider, ACCEPT)
        other = self.provider(2)
        requestor.take(), provider.take()
        self.stage.advance(RESPONSE_TIMEOUT)
        self.assertEqual(requestor.take(), [failed(RESPONSE_TIMEOUT_ERROR)])
        self.assertEqual((provider.take(), other.take()), ([], []))
        self.nothing_left()

    def test_p6_local_first(self) -> None:
        """
        P6: if there are providers of the requestor's node, others are not asked.
        """
        remote, local = self.provider(1), self.provider(0)
        for _ in range(10):
            self.request(0)
        self.assertEqual((len(local.take()), remote.take()), (10, []))

    def test_p7_local_rejects(self) -> None:
        """
        P7: if the provider of the requestor's node rejects, that of another node is asked, each of them once.
        """
        remote, local = self.provider(1), self.provider(0)
        requestor = self.request(0)
        self.asked(local)
        self.say(0, local, REJECT)
        self.asked(remote)
        self.say(1, remote, RESPONSE, data=b"3")
        self.assertEqual(requestor.take(), [rpc(RESPONSE, data=b"3")])
        self.assertEqual((local.take(), remote.take()), ([], []))
        self.nothing_left()

    def test_p8_unprovided(self) -> None:
        """
        P8: a procedure that is provided no more has no provider, and the former one is not asked.
        """
        provider = self.provider(1)
        self.request(0)
        self.say(1, provider, RESPONSE)
        provider.take()
        self.unprovide(1, provider)
        requestor = self.request(0)
        self.stage.advance(ACK_TIMEOUT)
        self.assertEqual(requestor.take(), [failed(NO_RPC_PROVIDER)])
        self.stage.advance(ACK_TIMEOUT)
        self.assertEqual(self.request(0).take(), [failed(NO_RPC_PROVIDER)])
        self.assertEqual(provider.take(), [])
        self.nothing_left()

    def test_no_provider(self) -> None:
        """
        W47: a call waits for the first word of the directory, and fails at once if no node provides the procedure.
        """
        self.assertEqual(self.request(0).take(), [failed(NO_RPC_PROVIDER)])
        self.nothing_left()

    def test_pc3_joined_later(self) -> None:
        """
        PC3, W47: clients of a node that has joined later reach a provider that was there before.
        """
        provider = self.provider(1)
        node = self.stage.make_node()
        self.serve(3)
        self.stage.start(node)
        self.request(3)
        self.asked(provider)

    def test_same_id(self) -> None:
        """
        W6: calls of clients of two nodes with the same id do not mix. The provider gets the id of the requestor if that
        tells its calls apart.
        """
        provider = self.provider(2)
        requestors = [self.request(number, data=b'"%d"' % number) for number in (0, 1)]
        requests = provider.take()
        self.assertEqual(requests[0].correlation_id, "x")
        for request in reversed(requests):
            self.say(2, provider, RESPONSE, call_id=request.correlation_id or "", data=request.data)
        answers = [requestor.take() for requestor in requestors]
        self.assertEqual(answers, [[rpc(RESPONSE, data=b'"0"')], [rpc(RESPONSE, data=b'"1"')]])

    def test_accepted_twice(self) -> None:
        """
        W52: a second ACCEPT is an error of the provider, and does not reach the requestor.
        """
        provider = self.provider(1)
        requestor = self.request(0)
        self.asked(provider)
        self.say(1, provider, ACCEPT, ACCEPT)
        self.assertEqual(provider.take(), [rpc(ACCEPT).error("MULTIPLE_ACCEPT")])
        self.assertEqual(requestor.take(), [rpc(ACCEPT)])


@for_each_requester
class RequestorDataTests(NodesTestCase):
    """
    The provider is told of the requestor, as the requestor's node is configured.
    """

    def test_name_and_data(self) -> None:
        """
        The name and the client data arrive, each if it is wanted, although the provider's node would not tell them.
        """
        for name in (False, True):
            for data in (False, True):
                self.build({"provide_requestor_name": name, "provide_requestor_data": data})
                provider, requestor = self.provider(1), self.connect("ann")
                requestor.client_data = b'{"role":"admin"}'
                self.request(0, requestor=requestor)
                told = rpc(
                    REQUEST,
                    data=b"1",
                    requestor_name="ann" if name else None,
                    requestor_data=b'{"role":"admin"}' if data else None,
                )
                self.assertEqual(provider.take(), [told])

    def test_not_told(self) -> None:
        """
        The provider's node does not add what the requestor's node does not tell.
        """
        self.build({"provide_requestor_name": True, "provide_requestor_data": True})
        provider = self.provider(0)
        requestor = self.connect("ann")
        requestor.client_data = b"1"
        self.request(1, requestor=requestor)
        self.assertEqual(provider.take(), [rpc(REQUEST, data=b"1")])


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
        When the provider's node stops in order, its calls go to another node at once.
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
