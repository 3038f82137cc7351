"""
The paths of streams, below C{getPath} of an endpoint of the HTTP API.

=================================  ===================================================================================
C{GET getPath/events/<name>}       the events of that name
C{GET getPath/records/<name>}      the record of that name, and all of its later states
=================================  ===================================================================================

HEAD gets the head of the same answer. The rest of the path, percent-decoded as UTF-8, is the name; it may have slashes.
The token of the login is in C{Authorization: Bearer <token>}, or in C{?token=<token>} for web pages, whose
C{EventSource} sends no headers of its own.

Before the stream begins, errors have a status and a JSON text, that of the result of an item:

=========  ==========================================================================================================
status     reason
=========  ==========================================================================================================
400        there is no name, or it is too long or no UTF-8
401        the login is refused
403        the permission denies the subscription
404        the record does not exist; the topic is switched off
429        the user, or the address, has exceeded a limit
503        no decision about the login; too many streams; a store fails; the server stops
=========  ==========================================================================================================

A client that has had the record (C{Last-Event-ID}) gets no 404: it is told that the record was deleted, and gets it
when it is created again.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import parse_qs, unquote_to_bytes

from twisted.internet.defer import Deferred
from zope.interface import implementer

from dstwist.config.endpoints import HttpEndpoint
from dstwist.connections.expiry import Expiry
from dstwist.connections.login import LoginDecision
from dstwist.connections.requester import NUMBERS
from dstwist.http_api.body import BadRequest
from dstwist.http_api.envelope import NO_CREDENTIALS
from dstwist.http_api.handlers import ApiParts
from dstwist.http_api.results import Results
from dstwist.interfaces import HandshakeData, HttpAnswer, HttpOutcome, HttpRequest, HttpStream, IHttpHandler, Route
from dstwist.limits.exceeded import log_refusal
from dstwist.limits.outgoing_bytes import OutgoingBytes
from dstwist.log import Client, LoggedClient, about
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.jsontext import dumps
from dstwist.protocol.message import Message
from dstwist.scheduling.deadlines import Deadlines
from dstwist.streams.kinds import EventStream, RecordStream
from dstwist.streams.registry import Streams
from dstwist.streams.stream import Stream, StreamParts, connection_error

_METHODS = frozenset(("GET", "HEAD"))

_HEADERS = {
    "Cache-Control": "no-store",
    # Proxies that gather answers (nginx) would hold the events back.
    "X-Accel-Buffering": "no",
}

#: The events of errors with a status that are not about an event or a record.
_ERRORS = {400: "INVALID_MESSAGE", 401: "AUTH_UNSUCCESSFUL", 429: "TOO_MANY_REQUESTS", 503: "UNAVAILABLE"}

_LATER = {"Retry-After": "1"}

_BROKEN_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_BEARER = re.compile(r"bearer(?: +(.*))?", re.IGNORECASE)
_VERSION = re.compile("-1|[0-9]{1,16}")

#: Decides about the login of a client with credentials. It raises L{BadRequest} if it refuses; the last argument is the
#: text for a refused login.
Decide = Callable[[HandshakeData, bytes, str], Awaitable[LoginDecision]]

#: Makes the stream of a client.
_Make = Callable[[HttpRequest, LoggedClient, LoginDecision, str], Stream]


class StreamApi:
    """
    The streams of one endpoint of the API.

    @param streams: all streams of the node.
    @ivar routes: its paths.
    """

    def __init__(
        self, settings: HttpEndpoint, parts: ApiParts, streams: Streams, outgoing: OutgoingBytes, decide: Decide
    ) -> None:
        self._parts = parts
        self._streams = streams
        self._decide = decide
        self._results = results = Results(settings.error_event_format == "name")
        self._stream_parts = StreamParts(
            parts.router, outgoing, results, parts.clock, settings.max_outgoing_buffer_size
        )
        self._first = b"retry: %d\n\n" % round(settings.reconnect_time * 1000)
        self._heartbeats: Deadlines[Stream] = Deadlines(settings.heartbeat_interval, parts.clock, self._heartbeat)
        below = settings.get_path.rstrip("/")
        self.routes = [
            Route(_METHODS, path, _Handler(partial(self._handle, topic, path, make)), is_prefix=True)
            for topic, path, make in (
                (Topic.EVENT, f"{below}/events/", self._of_event),
                (Topic.RECORD, f"{below}/records/", self._of_record),
            )
        ]

    def stop(self) -> None:
        """
        Cancel the timer.
        """
        self._heartbeats.stop()

    def _handle(self, topic: Topic, path: str, make: _Make, request: HttpRequest) -> Deferred[HttpOutcome]:
        return Deferred.fromCoroutine(self._answer(topic, path, make, request))

    async def _answer(self, topic: Topic, path: str, make: _Make, request: HttpRequest) -> HttpOutcome:
        try:
            if topic not in self._parts.topics:
                return HttpAnswer.json(404, self._results.unknown_topic(topic))
            name = _name(request.path[len(path) :])
            credentials = _credentials(request)
            self._check_open()
            exceeded = self._streams.enter(request.client.address)
            if exceeded is not None:
                log_refusal(exceeded, about(request.client))
                status = 503 if exceeded.server_wide else 429
                raise BadRequest(HttpAnswer.text(status, f"There are {exceeded.text}.", _LATER))
            return await self._begin(request, name, credentials, make)
        except BadRequest as problem:
            return _as_json(problem.answer)

    async def _begin(self, request: HttpRequest, name: str, credentials: bytes, make: _Make) -> HttpOutcome:
        """
        Log in, and subscribe.
        """
        client = request.client
        stream: Stream | None = None
        begins = False
        try:
            decision = await self._decide(client, credentials, "Unsuccessful authentication attempt.")
            # The login may have waited.
            self._check_open()
            logged_in = Client(decision.user, client.address, client.path, next(NUMBERS), self._parts.node)
            wait = self._parts.rates.spend(logged_in, 1, len(request.target))
            if wait:
                text = "Too many requests. Try again later."
                raise BadRequest(HttpAnswer.text(429, text, {"Retry-After": str(wait)}))
            stream = make(request, logged_in, decision, name)
            self._streams.add(stream)
            if decision.login is not None and decision.login.expires_at is not None:
                Expiry(stream, decision.login.expires_at, self._parts.clock)
            refusal = await stream.open()
            if refusal is not None:
                return self._refuse(stream, refusal)
            self._check_open()
            if stream.closed:
                raise BadRequest(HttpAnswer.text(503, "The stream was ended.", _LATER))
            if request.method == "HEAD":
                return HttpStream(200, "text/event-stream", _nothing, _HEADERS)
            stream.on_close(partial(self._ended, client.address))
            self._heartbeats.add(stream)
            begins = True
            return HttpStream(200, "text/event-stream", partial(stream.begin, first=self._first), _HEADERS)
        finally:
            if not begins:
                self._streams.leave(client.address)
                if stream is not None:
                    stream.close("it does not begin")

    def _check_open(self) -> None:
        if self._streams.refusal is not None:
            raise BadRequest(HttpAnswer.text(503, self._streams.refusal))

    def _refuse(self, stream: Stream, refusal: Message) -> HttpAnswer:
        status, headers = _status(refusal), {}
        if status == 503:
            headers = _LATER
        return HttpAnswer.json(status, stream.error_text(refusal), headers)

    def _ended(self, address: str, stream: Stream) -> None:
        self._heartbeats.remove(stream)
        self._streams.leave(address)

    def _heartbeat(self, stream: Stream) -> None:
        stream.heartbeat()
        if not stream.closed:
            self._heartbeats.add(stream)

    # -- the kinds of streams

    def _of_event(self, request: HttpRequest, client: LoggedClient, decision: LoginDecision, name: str) -> Stream:
        return EventStream(client, decision, name, self._stream_parts)

    def _of_record(self, request: HttpRequest, client: LoggedClient, decision: LoginDecision, name: str) -> Stream:
        last = request.headers.get("last-event-id", "")
        version = int(last) if _VERSION.fullmatch(last) else None
        return RecordStream(client, decision, name, self._stream_parts, version)


def _nothing(writer: object) -> None:
    """
    The answer to HEAD has no body.
    """


def _name(path: str) -> str:
    """
    The name in the rest of a path.

    @raise BadRequest: there is none.
    """
    if not path:
        raise BadRequest(HttpAnswer.text(400, "There is no name in the path."))
    if _BROKEN_ESCAPE.search(path):
        raise BadRequest(HttpAnswer.text(400, "The name in the path is not percent-encoded."))
    try:
        return unquote_to_bytes(path.encode("latin-1")).decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest(HttpAnswer.text(400, "The name in the path is not UTF-8.")) from None


def _credentials(request: HttpRequest) -> bytes:
    """
    The credentials of a request, as JSON text. Other schemes of C{Authorization} are for proxies.

    @raise BadRequest: there is a token without any text.
    """
    found = _BEARER.fullmatch(request.headers.get("authorization", ""))
    if found is not None:
        token = found[1] or ""
    else:
        tokens = parse_qs(request.query, keep_blank_values=True, errors="replace").get("token")
        if tokens is None:
            return NO_CREDENTIALS
        token = tokens[0]
    if not token:
        raise BadRequest(HttpAnswer.text(400, "The token must be a non-empty string."))
    return dumps({"token": token})


def _status(refusal: Message) -> int:
    event = refusal.action.name
    if event in ("MESSAGE_DENIED", "MESSAGE_PERMISSION_ERROR"):
        return 403
    if refusal.action is RecordAction.RECORD_NOT_FOUND:
        return 404
    return 400 if event == "INVALID_MESSAGE_DATA" else 503


def _as_json(answer: HttpAnswer) -> HttpAnswer:
    """
    An error of the API, which is a text, as a JSON text.
    """
    text = answer.body.decode("utf-8", "replace").strip()
    headers = dict(answer.headers)
    if answer.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return HttpAnswer.json(answer.status, connection_error(_ERRORS.get(answer.status, "ERROR"), text), headers)


@implementer(IHttpHandler)
class _Handler:
    def __init__(self, handle: Callable[[HttpRequest], HttpOutcome | Deferred[HttpOutcome]]) -> None:
        self.handle = handle
