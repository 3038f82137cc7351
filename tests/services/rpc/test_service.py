"""
The RPC topic: who is asked, who may answer, and what ends a call.
"""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from typing import Any

from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer
from zope.interface.verify import verifyObject

from dstwist.config.settings import RpcSettings
from dstwist.interfaces import ITopicService
from dstwist.limits.budgets import Budget
from dstwist.protocol import protobuf, text
from dstwist.protocol.constants import RpcAction, Topic
from dstwist.protocol.dialect import TEXT
from dstwist.protocol.message import Message
from dstwist.services.rpc.calls import CALL_BYTES, MAX_ENDED_CALLS, MAX_ID_CHARACTERS
from dstwist.services.rpc.service import TOO_MANY_CALLS, RpcService
from tests.fakes import BusyClock
from tests.logs import limit_lines
from tests.requesters import for_each_requester
from tests.services.rpc.cases import (
    ACK_TIMEOUT,
    PROVIDE,
    RESPONSE_TIMEOUT,
    UNPROVIDE,
    RpcTestCase,
    failed,
    rpc,
    unknown,
)
from tests.turns import LONGEST, turn_lengths
from tests.wire import readable


@for_each_requester
class CallTests(RpcTestCase):
    """
    The ordinary course of a call, with C{services.md} section 5.2 beside it.
    """

    def test_interface(self) -> None:
        """
        L{RpcService} provides L{ITopicService}.
        """
        verifyObject(ITopicService, self.service)

    def test_accept_and_response(self) -> None:
        """
        The provider gets the request as it was made; the requestor hears that it is accepted, and the result.
        """
        provider = self.provider()
        request = self.request()
        self.assertEqual(provider.take(), [request])
        self.say(provider, RpcAction.ACCEPT)
        self.assertEqual(self.requestor.take(), [rpc(RpcAction.ACCEPT)])
        self.say(provider, RpcAction.RESPONSE, data=b"3")
        self.assertEqual(self.requestor.take(), [rpc(RpcAction.RESPONSE, data=b"3")])
        self.assertEqual(provider.take(), [])
        self.nothing_left()

    def test_response_without_accept(self) -> None:
        """
        A result needs no acceptance before it, and ends the call.
        """
        provider = self.provider()
        self.request()
        self.say(provider, RpcAction.RESPONSE, data=b"3")
        self.assertEqual(self.requestor.take(), [rpc(RpcAction.RESPONSE, data=b"3")])
        self.nothing_left()

    def test_request_error(self) -> None:
        """
        The error of the procedure reaches the requestor, and ends the call.
        """
        provider = self.provider()
        self.request()
        self.say(provider, RpcAction.REQUEST_ERROR, data=b'"no"')
        self.assertEqual(self.requestor.take(), [rpc(RpcAction.REQUEST_ERROR, data=b'"no"')])
        self.nothing_left()

    def test_own_call(self) -> None:
        """
        A client may call what it provides itself.
        """
        self.service.handle(PROVIDE, self.requestor)
        self.requestor.take()
        request = self.request()
        self.assertEqual(self.requestor.take(), [request])
        self.say(self.requestor, RpcAction.RESPONSE, data=b"3")
        self.assertEqual(self.requestor.take(), [rpc(RpcAction.RESPONSE, data=b"3")])

    def test_parallel(self) -> None:
        """
        Calls are answered in any order, each with its own result.
        """
        provider = self.provider()
        for call_id in ("a", "b", "c"):
            self.request(call_id)
        for call_id in ("b", "c", "a"):
            self.say(provider, RpcAction.RESPONSE, call_id=call_id, data=call_id.encode())
        results = [(message.correlation_id, message.data) for message in self.requestor.take()]
        self.assertEqual(results, [("b", b"b"), ("c", b"c"), ("a", b"a")])
        self.nothing_left()

    def test_only_what_a_request_has_to_say(self) -> None:
        """
        What a request says beyond its own is not handed on: with isAck the provider would take it for one.
        """
        provider = self.provider()
        request = rpc(RpcAction.REQUEST, data=b"1", is_ack=True, is_error=True, original_action=RpcAction.PROVIDE)
        self.service.handle(request, self.requestor)
        self.assertEqual(provider.take(), [rpc(RpcAction.REQUEST, data=b"1")])

    def test_only_what_an_answer_has_to_say(self) -> None:
        """
        Nor is what an answer says beyond its own; its name is that of the call.
        """
        provider = self.provider()
        self.request()
        answer = Message(Topic.RPC, RpcAction.RESPONSE, "other", b"3", correlation_id="x", is_error=True, is_ack=True)
        self.service.handle(answer, provider)
        self.assertEqual(self.requestor.take(), [rpc(RpcAction.RESPONSE, data=b"3")])

    def test_nobody(self) -> None:
        """
        W52: a call that nobody provides fails at once, with the error flagged and the id of the call, and leaves
        nothing behind.
        """
        self.request()
        self.assertEqual(self.requestor.take(), [failed(RpcAction.NO_RPC_PROVIDER)])
        self.assertEqual(self.requestor.callbacks, [])
        self.nothing_left()

    def test_unprovided(self) -> None:
        """
        A procedure that is provided no more is not called.
        """
        provider = self.provider()
        self.request()
        self.say(provider, RpcAction.RESPONSE)
        self.service.handle(UNPROVIDE, provider)
        provider.take(), self.requestor.take()
        self.request("y")
        self.assertEqual(self.requestor.take(), [failed(RpcAction.NO_RPC_PROVIDER, "y")])
        self.assertEqual(provider.take(), [])

    def test_stop(self) -> None:
        """
        After a stop no timer runs, and clients that go away cause nothing.
        """
        provider, other = self.provider(), self.provider()
        self.request()
        self.service.stop()
        provider.close()
        self.requestor.close()
        self.assertEqual(other.take(), [])
        self.assertEqual(self.requestor.take(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_call_after_stop(self) -> None:
        """
        After a stop no procedure has a provider, neither one from before the stop nor one from after it.
        """
        self.provider()
        self.service.stop()
        self.provider()
        self.request()
        self.assertEqual(self.requestor.take(), [failed(RpcAction.NO_RPC_PROVIDER)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_tells_callers(self) -> None:
        """
        A client of v2 or v3 does not call back when its connection ends, so it is told of each call that has no answer.
        """
        provider, old = self.provider(), self.connect("old", dialect=TEXT)
        for call_id in ("a", "b", "c"):
            self.request(call_id, requestor=old)
        self.request()
        self.say(provider, RpcAction.ACCEPT, call_id="a")
        self.say(provider, RpcAction.RESPONSE, call_id="c", data=b"1")
        old.take(), provider.take()
        self.service.stop()
        self.assertEqual(old.take(), [failed(RpcAction.RESPONSE_TIMEOUT, call_id) for call_id in ("a", "b")])
        self.assertEqual((self.requestor.take(), provider.take()), ([], []))

    def test_sending_away_tells_caller(self) -> None:
        """
        A client of v2 or v3 whose connection the server closes is told of each call that has no answer. Other calls go
        on.
        """
        provider, old, other = self.provider(), self.connect("old", dialect=TEXT), self.connect("b", dialect=TEXT)
        for call_id, requestor in (("a", old), ("b", self.requestor), ("c", other)):
            self.request(call_id, requestor=requestor)
        for client in (old, self.requestor, provider, self.connect("idle", dialect=TEXT)):
            self.service.sending_away(client)
        self.assertEqual(old.take(), [failed(RpcAction.RESPONSE_TIMEOUT, "a")])
        self.assertEqual((self.requestor.take(), other.take()), ([], []))
        old.close()
        self.say(provider, RpcAction.RESPONSE, call_id="c", data=b"1")
        self.assertEqual(len(other.take()), 1)


@for_each_requester
class AnswerTests(RpcTestCase):
    """
    Who may answer, and when.
    """

    def test_w6_stranger(self) -> None:
        """
        W6: nobody but the provider that was asked can accept, reject or answer a call, though he knows its id and
        provides the procedure too.
        """
        provider, other, stranger = self.provider(), self.provider("eve"), self.connect("mallory")
        self.request()
        for action in (RpcAction.ACCEPT, RpcAction.REJECT, RpcAction.RESPONSE, RpcAction.REQUEST_ERROR):
            for connection in (other, stranger, self.requestor):
                self.say(connection, action)
                self.assertEqual(connection.take(), [unknown(action)])
        self.asked(provider)
        self.say(provider, RpcAction.RESPONSE, data=b"3")
        self.assertEqual(self.requestor.take(), [rpc(RpcAction.RESPONSE, data=b"3")])

    def test_w6_same_id(self) -> None:
        """
        W6: two requestors that use the same id each get their own answer, under that id.
        """
        provider, other = self.provider(), self.connect("eve")
        self.request(data=b'"ann"')
        self.request(data=b'"eve"', requestor=other)
        requests = provider.take()
        self.assertEqual(len({request.correlation_id for request in requests}), 2)
        for request in reversed(requests):
            self.say(provider, RpcAction.ACCEPT, call_id=request.correlation_id or "")
            self.say(provider, RpcAction.RESPONSE, call_id=request.correlation_id or "", data=request.data)
        for connection, data in ((self.requestor, b'"ann"'), (other, b'"eve"')):
            self.assertEqual(connection.take(), [rpc(RpcAction.ACCEPT), rpc(RpcAction.RESPONSE, data=data)])
        self.nothing_left()

    def test_relayed(self) -> None:
        """
        An answer goes on with the provider's bytes if the call has the same id and name for the requestor.
        """
        provider, other = self.provider(), self.connect("eve")
        self.request("a")
        self.request("a", requestor=other)
        second = provider.take()[1].correlation_id
        assert second is not None and second != "a"
        for action in (RpcAction.ACCEPT, RpcAction.RESPONSE):
            answer = rpc(action, "a", b"3", verbatim=protobuf.SERVER, raw=b"raw")
            self.service.handle(answer, provider)
            self.assertIs(self.requestor.take()[0], answer)
            self.service.handle(replace(answer, correlation_id=second), provider)
            (told,) = other.take()
            self.assertEqual((told.correlation_id, told.verbatim), ("a", None))
        self.request("b")
        self.service.handle(replace(answer, name="sub", correlation_id="b"), provider)
        (told,) = self.requestor.take()
        self.assertEqual((told.name, told.verbatim), ("add", None))

    def test_w6_guessed_id(self) -> None:
        """
        W6: an id that looks like one of the server's own is kept apart from it.
        """
        provider, other, third = self.provider(), self.connect("eve"), self.connect("joe")
        self.request("x")
        self.request("x", requestor=other)
        made = provider.take()[1].correlation_id or ""
        self.request(made, requestor=third)
        self.assertNotIn(self.asked(provider), ("x", made))
        # And the other way round: the next one of the server's own is in use already.
        following = made[:-1] + str(int(made[-1]) + 2)
        self.request(following)
        self.assertEqual(self.asked(provider), following)
        self.request("x", requestor=self.connect())
        self.assertNotIn(self.asked(provider), ("x", made, following))

    def test_w6_late_answer_to_an_earlier_call(self) -> None:
        """
        W6: a late answer to a call that timed out is not taken for that to a later call of the same id.
        """
        provider, other = self.provider(), self.connect("eve")
        self.request()
        self.say(provider, RpcAction.ACCEPT)
        self.clock.advance(RESPONSE_TIMEOUT)
        self.request(requestor=other)
        second = provider.take()[1].correlation_id or ""
        self.say(provider, RpcAction.RESPONSE, data=b'"for ann"')
        self.assertEqual(provider.take(), [unknown(RpcAction.RESPONSE)])
        self.assertEqual(other.take(), [])
        self.say(provider, RpcAction.RESPONSE, call_id=second, data=b'"for eve"')
        self.assertEqual(other.take(), [rpc(RpcAction.RESPONSE, data=b'"for eve"')])

    def test_w56_same_id_twice(self) -> None:
        """
        W56: a requestor that uses an id again while that call runs is refused, and the running call is untouched.
        """
        provider = self.provider()
        self.request()
        self.request()
        self.assertEqual(self.requestor.take(), [unknown(RpcAction.REQUEST)])
        self.asked(provider)
        self.say(provider, RpcAction.RESPONSE)
        self.assertEqual(self.requestor.take(), [rpc(RpcAction.RESPONSE)])
        self.request()
        self.asked(provider)

    def test_w6_answered_twice(self) -> None:
        """
        W6: nor is a second answer of a provider to the same call.
        """
        provider, other = self.provider(), self.connect("eve")
        self.request()
        self.say(provider, RpcAction.RESPONSE, data=b'"for ann"')
        self.request(requestor=other)
        provider.take()
        self.say(provider, RpcAction.RESPONSE, data=b'"for ann"')
        self.assertEqual(provider.take(), [unknown(RpcAction.RESPONSE)])
        self.assertEqual(other.take(), [])

    def test_long_id(self) -> None:
        """
        Of an id of any length nothing is kept beyond its call; the requestor gets it back whole.
        """
        provider, long = self.provider(), "i" * (MAX_ID_CHARACTERS + 1)
        self.request(long)
        call_id = self.asked(provider)
        self.assertLess(len(call_id), MAX_ID_CHARACTERS)
        self.say(provider, RpcAction.RESPONSE, call_id=call_id)
        self.assertEqual(self.requestor.take(), [rpc(RpcAction.RESPONSE, long)])

    def test_w52_accepted_twice(self) -> None:
        """
        W52: accepting again is a flagged MULTIPLE_ACCEPT to the provider, and nothing to the requestor.
        """
        provider = self.provider()
        self.request()
        self.asked(provider)
        self.say(provider, RpcAction.ACCEPT, RpcAction.ACCEPT)
        self.assertEqual(provider.take(), [rpc(RpcAction.ACCEPT).error("MULTIPLE_ACCEPT")])
        self.assertEqual(self.requestor.take(), [rpc(RpcAction.ACCEPT)])

    def test_over(self) -> None:
        """
        Whatever comes after the end of a call is INVALID_RPC_CORRELATION_ID, a second result included.
        """
        provider = self.provider()
        self.request()
        self.say(provider, RpcAction.RESPONSE)
        self.requestor.take(), provider.take()
        for action in (RpcAction.ACCEPT, RpcAction.REJECT, RpcAction.RESPONSE, RpcAction.REQUEST_ERROR):
            self.say(provider, action)
            self.assertEqual(provider.take(), [unknown(action)])
        self.assertEqual(self.requestor.take(), [])

    def test_ended_is_bounded(self) -> None:
        """
        However many calls a provider had, only so many are remembered.
        """
        provider = self.provider()
        for number in range(MAX_ENDED_CALLS + 10):
            gone = self.connect()
            self.request(str(number), requestor=gone)
            gone.close()
        provider.take()
        # The oldest are strange to the server by now; the others it expects.
        self.say(provider, RpcAction.RESPONSE, call_id="9")
        self.assertEqual(provider.take(), [unknown(RpcAction.RESPONSE, "9")])
        self.say(provider, RpcAction.RESPONSE, call_id="10")
        self.assertEqual(provider.take(), [])


@for_each_requester
class RequestorTests(RpcTestCase):
    """
    What a requestor is to the server, and what it may cost.
    """

    def test_w32_requestor_gone(self) -> None:
        """
        W32: nothing is kept of the calls of a client that is gone. Its provider, who has done nothing wrong, is not
        told that his answer is unknown; a second one is.
        """
        provider = self.provider()
        self.request()
        self.asked(provider)
        self.requestor.close()
        known = weakref.ref(self.requestor)
        self.requestor = self.connect()
        gc.collect()
        self.assertIsNone(known())
        self.clock.advance(RESPONSE_TIMEOUT)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.say(provider, RpcAction.ACCEPT, RpcAction.RESPONSE)
        self.assertEqual(provider.take(), [])
        self.say(provider, RpcAction.RESPONSE)
        self.assertEqual(provider.take(), [unknown(RpcAction.RESPONSE)])

    def test_w32_not_rerouted(self) -> None:
        """
        W32: nobody is asked any more on behalf of a client that is gone.
        """
        first, second = self.provider(), self.provider()
        self.request()
        self.requestor.close()
        self.say(first, RpcAction.REJECT)
        first.close()
        self.assertEqual(second.take(), [])

    def test_both_gone(self) -> None:
        """
        A client that calls what it provides itself leaves nothing, in whichever role it came first.
        """
        for first in (PROVIDE, rpc(RpcAction.REQUEST, "y")):
            self.build()
            self.service.handle(first, self.requestor)
            self.service.handle(PROVIDE, self.requestor)
            other = self.provider()
            self.request()
            self.requestor.close()
            self.assertEqual(other.take(), [])

    def test_too_many_calls(self) -> None:
        """
        A client with too many calls that wait for an answer gets an error that says so, until some are answered; the
        log says it once. Others are not affected.
        """
        events: list[LogEvent] = []

        @implementer(ILogObserver)
        def log(event: LogEvent) -> None:
            events.append(event)

        globalLogPublisher.addObserver(log)
        self.addCleanup(globalLogPublisher.removeObserver, log)
        limit_lines(self)
        self.build(max_pending_calls=2)
        provider, other = self.provider(), self.connect()
        for call_id in ("a", "b", "c", "d"):
            self.request(call_id)
        self.assertEqual([event["event"] for event in events], ["TOO_MANY_PENDING_CALLS"])
        self.assertIn(f"{self.shown_client('ann')} has 2 calls of ", formatEvent(events[0]))
        self.assertEqual(
            self.requestor.take(), [rpc(RpcAction.REQUEST_ERROR, call_id, TOO_MANY_CALLS) for call_id in ("c", "d")]
        )
        self.request("e", requestor=other)
        self.say(provider, RpcAction.RESPONSE, call_id="a")
        self.request("f")
        self.assertEqual([request.correlation_id for request in provider.take()], ["a", "b", "e", "f"])

    def test_too_many_bytes(self) -> None:
        """
        The same for what they hold; a single call may always be as large as a message may be.
        """
        self.build(max_pending_bytes=20)
        provider = self.provider()
        self.request("a", b'"%s"' % (b"x" * 100))
        self.request("b", b"1")
        self.assertEqual(self.requestor.take(), [rpc(RpcAction.REQUEST_ERROR, "b", TOO_MANY_CALLS)])
        self.say(provider, RpcAction.RESPONSE, call_id="a")
        self.requestor.take()
        for call_id in ("c", "d", "e", "f"):  # each of five bytes
            self.request(call_id, b"1")
        self.assertEqual(self.requestor.take(), [])
        self.request("g", b"1")
        self.assertEqual(self.requestor.take(), [rpc(RpcAction.REQUEST_ERROR, "g", TOO_MANY_CALLS)])

    def test_too_many_bytes_of_all(self) -> None:
        """
        All clients together hold only so much: a call past that is refused, whoever makes it, until others end.
        """
        room = Budget(2 * CALL_BYTES + 300)
        self.service = RpcService(self.providers, RpcSettings(), self.clock, self.choose, room)
        provider = self.provider()
        other = self.connect("cat")
        self.request("a", b'"%s"' % (b"x" * 100))
        self.request("b", b'"%s"' % (b"x" * 100), requestor=other)
        for requestor in (other, self.requestor):
            self.request("c", requestor=requestor)
            self.assertEqual(requestor.take(), [rpc(RpcAction.REQUEST_ERROR, "c", TOO_MANY_CALLS)])
        other.close()
        self.request("d")
        self.assertEqual(self.requestor.take(), [])
        self.assertGreater(room.used, 2 * CALL_BYTES)
        self.say(provider, RpcAction.RESPONSE, call_id="a")
        self.requestor.take()
        self.clock.advance(RESPONSE_TIMEOUT + 1)
        self.requestor.take()
        self.assertEqual(room.used, 0)
        self.nothing_left()

    def test_every_end_frees(self) -> None:
        """
        Whatever ends a call, it counts no more.
        """
        self.build(max_pending_calls=1, max_pending_bytes=1)
        for action in (RpcAction.RESPONSE, RpcAction.REQUEST_ERROR, RpcAction.REJECT):
            provider = self.provider()
            self.request()
            self.say(provider, action)
            self.requestor.take()
            provider.close()
        self.provider()
        for wait in (ACK_TIMEOUT, RESPONSE_TIMEOUT):
            self.request()
            self.clock.advance(wait)
            self.assertEqual(self.requestor.take(), [failed(RpcAction.ACCEPT_TIMEOUT)])

    def test_requestor_name_and_data(self) -> None:
        """
        The provider is told who asks, and what the authentication says of him to clients, each if that is wanted;
        also the second one that is asked, in the same words.
        """
        for name in (False, True):
            for data in (False, True):
                self.build(provide_requestor_name=name, provide_requestor_data=data)
                self.requestor.client_data = b'{"role":"admin"}'
                first, second = self.provider(), self.provider()
                self.request()
                told = rpc(
                    RpcAction.REQUEST,
                    data=b"1",
                    requestor_name="ann" if name else None,
                    requestor_data=b'{"role":"admin"}' if data else None,
                )
                self.assertEqual(first.take(), [told])
                self.say(first, RpcAction.REJECT)
                self.assertEqual(second.take(), [told])

    def test_no_requestor_data(self) -> None:
        """
        Of a requestor without client data there is none to tell.
        """
        self.build(provide_requestor_data=True)
        provider = self.provider()
        self.request()
        self.assertEqual(provider.take(), [rpc(RpcAction.REQUEST, data=b"1")])


@for_each_requester
class WireTests(RpcTestCase):
    """
    What the answers look like on the wire.
    """

    def written(self, *messages: Message) -> list[str]:
        return [readable(text.SERVER.encode(message)) for message in messages]

    def test_text_errors(self) -> None:
        """
        The errors are spelled as clients of v2 and v3 know them.
        """
        provider = self.provider()
        self.request("a")
        self.clock.advance(ACK_TIMEOUT)
        self.request("b")
        self.say(provider, RpcAction.ACCEPT, RpcAction.ACCEPT, call_id="b")
        self.clock.advance(RESPONSE_TIMEOUT)
        provider.close()
        self.request("c")
        self.assertEqual(
            self.written(*self.requestor.take()),
            [
                "P|E|ACK_TIMEOUT|add|a+",
                "P|A|REQ|add|b+",
                "P|E|RESPONSE_TIMEOUT|add|b+",
                "P|E|NO_RPC_PROVIDER|add|c+",
            ],
        )
        self.assertEqual(self.written(provider.take()[-1]), ["P|E|MULTIPLE_ACK|add|b+"])

    def test_text_refusal(self) -> None:
        """
        So is the limit of calls, which arrives as the error of the procedure.
        """
        self.build(max_pending_calls=1)
        self.provider()
        self.request("a")
        self.request("b")
        self.assertEqual(self.written(*self.requestor.take()), ["P|E|TOO_MANY_PENDING_CALLS|add|b+"])

    def test_text_without_data(self) -> None:
        """
        A text request without a data field reaches text providers without one, and v4+ providers without data.
        """
        (request,) = text.SERVER.decode("P\x1fREQ\x1fadd\x1fx\x1e")
        assert isinstance(request, Message)
        provider = self.provider()
        self.service.handle(request, self.requestor)
        (sent,) = provider.take()
        self.assertEqual(self.written(sent), ["P|REQ|add|x+"])
        self.assertEqual(protobuf.CLIENT.decode(protobuf.SERVER.encode(sent)), [rpc(RpcAction.REQUEST)])

    def test_text_without_data_under_another_id(self) -> None:
        """
        The same if the provider knows the call by another id: that is what it gets.
        """
        provider = self.provider()
        self.request()
        (request,) = text.SERVER.decode("P\x1fREQ\x1fadd\x1fx\x1e")
        assert isinstance(request, Message)
        self.service.handle(request, self.connect())
        sent = provider.take()[1]
        self.assertEqual(self.written(sent), [f"P|REQ|add|{sent.correlation_id}|U+"])
        self.assertNotEqual(sent.correlation_id, "x")


@for_each_requester
class ManyCallsTests(RpcTestCase):
    """
    The end of connections with thousands of calls, each of which takes its time to deal with.
    """

    COUNT = 3000

    def setUp(self) -> None:
        super().setUp()
        self.clock: Any = BusyClock()
        self.build()
        self.first, self.second = self.provider("bob"), self.provider("cat")
        for number in range(self.COUNT):
            self.request(str(number))
        self.first.take()

    def test_provider_leaves(self) -> None:
        """
        Each call goes to another provider, and no turn lasts too long. A call that is made meanwhile goes to that one.
        """
        self.charge(2e-5, self.clock, self.second)
        lengths = turn_lengths(self.clock, self.first.close)
        self.assertLess(max(lengths), LONGEST)
        self.assertGreater(len(lengths), 3)
        self.assertEqual(len(self.second.take()), self.COUNT)

    def test_call_meanwhile(self) -> None:
        """
        The provider that leaves gets no call any more, from the moment at which it closes.
        """
        self.charge(2e-5, self.clock, self.second)
        self.first.close()
        asked = len(self.second.take())
        self.assertLess(asked, self.COUNT)
        self.request("new")
        self.assertEqual([message.correlation_id for message in self.second.take()], ["new"])
        self.assertEqual(self.first.take(), [])

    def test_timeout_meanwhile(self) -> None:
        """
        A call that is over before its turn has come is dealt with once.
        """
        self.charge(2e-5, self.clock, self.second)
        self.first.close()
        asked = len(self.second.take())
        self.clock.rightNow += ACK_TIMEOUT
        turn_lengths(self.clock, self.requestor.take)
        told = [message.correlation_id for message in self.requestor.take()]
        self.assertEqual(len(told), len(set(told)))
        self.assertEqual(len(self.second.take()) + asked, self.COUNT)

    def test_requestor_leaves(self) -> None:
        """
        Its calls end, and what their providers answer meanwhile is nobody's business. Nothing of them is left.
        """
        self.clock.tick = 1e-5
        lengths = turn_lengths(self.clock, self.requestor.close)
        self.assertLess(max(lengths), LONGEST)
        self.clock.tick = 0.0
        self.say(self.first, RpcAction.ACCEPT, RpcAction.RESPONSE, call_id=str(self.COUNT - 1))
        self.assertEqual(self.first.take(), [])
        self.nothing_left()
