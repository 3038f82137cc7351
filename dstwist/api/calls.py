"""
Requests and their answers.

Each request gets a correlation id, which most answers repeat. The others name the record: the answers to requests of
one kind for one record come in the order of the requests. So an answer without an id belongs to the oldest such request
that has had no answer::

    request                             answer                        found by
    EMIT                                none, or an error             see L{Calls.tell}
    READ, SUBSCRIBEANDREAD              READ_RESPONSE                 kind and name
    HEAD                                HEAD_RESPONSE                 kind and name
    DELETE                              DELETE_SUCCESS                kind and name
    QUERY_ALL                           QUERY_ALL_RESPONSE            kind
    all others                          various                       id
    any                                 an error                      id
    any of a topic that is off          UNKNOWN_TOPIC                 topic

A request that was cancelled, or whose time is over, is kept until its answer has come. So the answer is not taken for
that of a later request, and the request counts until then.

Always true: the application is called in a later turn (L{dstwist.api.deliveries}). A request that is answered at once
gives a Deferred that has fired. Each request ends: by its answer, a time-out, or the end of the handle. The requests
that wait are limited in number and in bytes.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import IntEnum
from typing import NamedTuple

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from dstwist.api.deliveries import Deliveries
from dstwist.api.errors import ApiError, CallError, HandleClosed, TooManyRequests, VersionExists, error_of, make_error
from dstwist.api.requester import InProcessRequester
from dstwist.api.values import from_data
from dstwist.api.wire import message_bytes
from dstwist.protocol.constants import ParserAction, PresenceAction, RecordAction, RpcAction, Topic
from dstwist.protocol.message import Message
from dstwist.scheduling.deadlines import Deadlines

#: How many requests of one handle may wait for their answers.
MAX_WAITING_REQUESTS = 100_000

#: How many bytes they may have.
MAX_WAITING_REQUEST_BYTES = 64 << 20

#: How long a request waits for its answer, in seconds. The server itself gives up earlier: stores, rules and procedures
#: have time-outs of their own.
REQUEST_TIMEOUT = 60.0

_Kind = tuple[Topic, IntEnum]

#: The answers that do not repeat the id.
_ANSWERS_BY_NAME: dict[_Kind, _Kind] = {
    (Topic.RECORD, RecordAction.READ): (Topic.RECORD, RecordAction.READ_RESPONSE),
    (Topic.RECORD, RecordAction.SUBSCRIBEANDREAD): (Topic.RECORD, RecordAction.READ_RESPONSE),
    (Topic.RECORD, RecordAction.HEAD): (Topic.RECORD, RecordAction.HEAD_RESPONSE),
    (Topic.RECORD, RecordAction.DELETE): (Topic.RECORD, RecordAction.DELETE_SUCCESS),
    (Topic.PRESENCE, PresenceAction.QUERY_ALL): (Topic.PRESENCE, PresenceAction.QUERY_ALL_RESPONSE),
}

_KINDS_BY_NAME = frozenset(_ANSWERS_BY_NAME.values())

_UNKNOWN_TOPIC: _Kind = (Topic.PARSER, ParserAction.UNKNOWN_TOPIC)
_VERSION_EXISTS: _Kind = (Topic.RECORD, RecordAction.VERSION_EXISTS)
_REQUEST_ERROR: _Kind = (Topic.RPC, RpcAction.REQUEST_ERROR)
_ACCEPT: _Kind = (Topic.RPC, RpcAction.ACCEPT)


#: These messages have the id of another requester's call, which may equal one of ours.
_POSTED: dict[Topic, frozenset[IntEnum]] = {
    Topic.RPC: frozenset((RpcAction.ACCEPT, RpcAction.RESPONSE, RpcAction.REQUEST_ERROR, RpcAction.REJECT)),
}


class _Place(NamedTuple):
    """
    The requests whose answers have the same kind and name.
    """

    kind: _Kind
    name: str | None


class _Call:
    """
    A request that has had no answer.

    @ivar deferred: for the caller; C{None} while the caller does not have it.
    @ivar outcome: of a request that was answered before that.
    @ivar is_over: the caller does not wait any more.
    @ivar always: it is made even if the caller gives up.
    """

    __slots__ = ("always", "deferred", "is_over", "message", "outcome", "place", "size")

    def __init__(self, message: Message, place: _Place | None, size: int, always: bool) -> None:
        self.message = message
        self.always = always
        self.place = place
        self.size = size
        self.deferred: Deferred[Message] | None = None
        self.outcome: Message | ApiError | None = None
        self.is_over = False


class Calls:
    """
    Makes the requests of one requester.

    @param deliveries: calls the application.
    @param refusal: the error of all requests, until L{start} is called; C{None}: requests can be made at once.
    """

    def __init__(
        self,
        requester: InProcessRequester,
        deliveries: Deliveries,
        clock: IReactorTime,
        refusal: HandleClosed | None = None,
    ) -> None:
        self._requester = requester
        self._deliveries = deliveries
        self._count = 0
        self._calls: dict[str, _Call] = {}
        self._places: dict[_Place, OrderedDict[str, None]] = {}
        self._bytes = 0
        self._deadlines: Deadlines[str] = Deadlines(REQUEST_TIMEOUT, clock, self._too_late)
        self._refusal: ApiError | None = refusal

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def closed(self) -> bool:
        """
        Whether no requests are made now.
        """
        return self._refusal is not None

    def ask(self, message: Message, always: bool = False) -> Deferred[Message]:
        """
        Make a request.

        @param always: it ends something. So it is made however many requests wait, and even if the caller gives up.
        @return: gives the answer, or fails with an L{ApiError}.
        """
        call = self._begin(message, always)
        if isinstance(call, ApiError):
            return fail(call)
        self._requester.request((message,))
        return self._give(call)

    def tell(self, message: Message) -> Deferred[Message]:
        """
        Make a request that has no answer but errors.

        @return: gives the request when it has been served.
        """
        call = self._begin(message)
        if isinstance(call, ApiError):
            return fail(call)
        self._requester.request((message,))
        self._requester.when_served(lambda: self._served(call))
        return self._give(call)

    def post(self, message: Message) -> None:
        """
        Make a request whose outcome does not matter. Errors that answer it are ignored.
        """
        if self._refusal is None:
            self._requester.request((message,))

    def received(self, message: Message) -> None:
        """
        Take a message of the server that answers a request.
        """
        call_id = message.correlation_id
        kind = (message.topic, message.action)
        if call_id is None:
            if kind in _KINDS_BY_NAME:
                ids = self._places.get(_Place(kind, message.name))
                if ids:
                    self._finish(self._calls[next(iter(ids))], message)
            elif kind == _UNKNOWN_TOPIC:
                self._refuse_topic(message.original_topic)
            return
        call = self._calls.get(call_id)
        if call is None or kind[0] is not call.message.topic or message.original_action in _POSTED.get(kind[0], ()):
            # It answers a request for the second time, or one that was posted.
            return
        if message.is_error or kind == _VERSION_EXISTS or kind == _REQUEST_ERROR:
            self._finish(call, _error_of(message))
        elif call.place is None and kind != _ACCEPT:
            self._finish(call, message)

    def _refuse_topic(self, topic: Topic | None) -> None:
        """
        The server does not serve C{topic}, so it answers none of its requests.
        """
        for call in [call for call in self._calls.values() if call.message.topic is topic]:
            self._finish(call, make_error("UNKNOWN_TOPIC", call.message.name, "enabledFeatures: it is switched off"))

    def start(self) -> None:
        """
        Make requests from now on.
        """
        self._refusal = None

    def close(self, error: HandleClosed) -> None:
        """
        Fail all requests that wait, and those to come.
        """
        self._refusal = error
        self._deadlines.stop()
        calls, self._calls = self._calls, {}
        self._places.clear()
        self._bytes = 0
        for call in calls.values():
            self._end(call, error)

    # -- one call

    def _begin(self, message: Message, always: bool = False) -> _Call | ApiError:
        if self._refusal is not None:
            return self._refusal
        size = message_bytes(message)
        full = len(self._calls) >= MAX_WAITING_REQUESTS or self._bytes + size > MAX_WAITING_REQUEST_BYTES
        if full and self._calls and not always:
            return TooManyRequests(message.name)
        self._count += 1
        call_id = message.correlation_id = str(self._count)
        answer = _ANSWERS_BY_NAME.get((message.topic, message.action))
        place = None
        if answer is not None:
            place = _Place(answer, message.names[0] if message.names else message.name)
            self._places.setdefault(place, OrderedDict())[call_id] = None
        call = self._calls[call_id] = _Call(message, place, size, always)
        self._bytes += size
        self._deadlines.add(call_id)
        return call

    def _give(self, call: _Call) -> Deferred[Message]:
        """
        The Deferred for the caller.
        """
        outcome = call.outcome
        if outcome is not None:
            return fail(outcome) if isinstance(outcome, ApiError) else succeed(outcome)
        call.deferred = Deferred(lambda _: self._cancel(call))
        return call.deferred

    def _finish(self, call: _Call, outcome: Message | ApiError) -> None:
        """
        The request is answered.
        """
        self._forget(call)
        self._end(call, outcome)

    def _forget(self, call: _Call) -> None:
        call_id: str = call.message.correlation_id  # type: ignore[assignment]  # _begin sets it
        del self._calls[call_id]
        self._bytes -= call.size
        self._deadlines.remove(call_id)
        if call.place is not None:
            ids = self._places[call.place]
            del ids[call_id]
            if not ids:
                del self._places[call.place]

    def _end(self, call: _Call, outcome: Message | ApiError) -> None:
        """
        Give the caller the outcome, if it still waits.
        """
        if call.is_over:
            return
        if call.deferred is None:
            call.outcome = outcome
        else:
            self._deliveries.add(_fire, (call, outcome))

    def _served(self, call: _Call) -> None:
        if call.message.correlation_id in self._calls:
            self._finish(call, call.message)

    def _cancel(self, call: _Call) -> None:
        call.is_over = True
        if self._refusal is None and not call.outcome and self._withdraw(call):
            self._forget(call)

    def _too_late(self, call_id: str) -> None:
        call = self._calls.get(call_id)
        if call is None:
            return
        error = make_error("RESPONSE_TIMEOUT", call.message.name, f"no answer within {REQUEST_TIMEOUT:g} s")
        if self._withdraw(call):
            self._forget(call)
        self._end(call, error)

    def _withdraw(self, call: _Call) -> bool:
        """
        Do not make the request, if the server has not got it.

        @return: whether it is not made.
        """
        return not call.always and self._requester.withdraw(call.message)


def _fire(item: tuple[_Call, Message | ApiError]) -> None:
    call, outcome = item
    deferred = call.deferred
    if deferred is None or call.is_over:
        return
    call.is_over = True
    if isinstance(outcome, ApiError):
        deferred.errback(Failure(outcome))
    else:
        deferred.callback(outcome)


def _error_of(message: Message) -> ApiError:
    kind = (message.topic, message.action)
    if kind == _VERSION_EXISTS:
        return VersionExists(message.name, message.version or 0, from_data(message.data))
    if kind == _REQUEST_ERROR:
        return CallError(from_data(message.data), message.name)
    return error_of(message)
