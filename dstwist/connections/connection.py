"""
One client connection, from its opening to its end.

A L{ClientHandshake} (L{dstwist.connections.handshake}) receives everything until the login is accepted; then the
connection drops it. Once open, the connection answers messages of the topic CONNECTION itself, and hands all others to
the router::

    handshake: CHALLENGE, LOGIN, DECIDING --authenticated--> open --close, lost, limit, expiry--> closed
                         |                                                                          ^
                         +---------------- close, lost, time-out, limit ----------------------------+

Always true: nothing reaches a connection that is closed, and what it registered for its end has been called by then.
Sources: C{text-protocol.md} section 7, C{binary-protocol.md} section 7.

A client can ask in a megabyte for what takes the server minutes. So it has one slice of each turn of the reactor
(L{dstwist.scheduling.time_slices}), if the turn has time left. What is left of its requests then is served in later
turns, when the connection has its turn; until then the client is not read from, and its link keeps what it has read
already. One request may be as much: a service makes it into C{work} (L{IConnection.do}), which stands at the head of
the queue until it is done. So does what has to wait for something, as for a permission: whatever the client asks is
served in the order in which it was asked.

======================  ============================================================================================
a connection            what comes in
======================  ============================================================================================
has nothing to do       is served at once
is busy                 goes into the queue, which is served when its call comes, or what it waits for is there
======================  ============================================================================================
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from dstwist.connections.endpoint import LONG, EndpointContext, IUnauthenticatedConnection
from dstwist.connections.handshake import ClientHandshake
from dstwist.interfaces import HandshakeData, IConnection, ILink, IWire, Login, Work
from dstwist.limits.rates import RateLimit
from dstwist.log import Logger, about
from dstwist.protocol.closing import INTERNAL_ERROR, INVALID_PAYLOAD, POLICY_VIOLATION
from dstwist.protocol.constants import AuthAction, ConnectionAction, ParserAction, Topic
from dstwist.protocol.dialect import Dialect
from dstwist.protocol.jsonparts import reading
from dstwist.protocol.jsontext import HEAVY, known
from dstwist.protocol.message import Fault, Malformed, Message
from dstwist.scheduling.time_slices import Turns

# So many messages in one payload are served without a queue.
_FEW = 8

# Members of enumerations are looked up at every use; this one is used for every message.
_CONNECTION = Topic.CONNECTION

_PING = Message(Topic.CONNECTION, ConnectionAction.PING)
_PONG = Message(Topic.CONNECTION, ConnectionAction.PONG)
_UNKNOWN_TOPIC = Message(Topic.PARSER, ParserAction.UNKNOWN_TOPIC, original_topic=Topic.CONNECTION)


@implementer(IUnauthenticatedConnection)
class Connection:
    """
    One client.

    @ivar decode: the codec's; counted where there are limits.
    @ivar heard: set by the link whenever data arrived; the heartbeat looks at it.
    """

    __slots__ = (
        "_answer",
        "_awaited",
        "_busy",
        "_callbacks",
        "_handshake",
        "_fitting",
        "_is_open",
        "_link",
        "_rate_limit",
        "_opened_at",
        "_pauses",
        "_queue",
        "_context",
        "_route",
        "_short",
        "_silence",
        "_turns",
        "address",
        "client_data",
        "closed",
        "decode",
        "dialect",
        "heard",
        "number",
        "path",
        "server_data",
        "user",
        "wire",
        "write",
    )

    _log = Logger()

    def __init__(
        self, link: ILink, wire: IWire, dialect: Dialect, handshake: HandshakeData, context: EndpointContext
    ) -> None:
        self.user: str | None = None
        self.client_data: bytes | None = None
        self.server_data: Any = None
        self.address = handshake.address
        self.path = handshake.path
        self.number = handshake.number
        self.wire = wire
        self.dialect = dialect
        self.closed = False
        self.heard = True
        self.write: Callable[[bytes], None] = link.write
        self.decode: Callable[[bytes | str], list[Message | Malformed]] = wire.codec.decode
        self._answer: Callable[[bytes], None] = link.answer
        self._turns = Turns.of(context.clock)
        self._route = context.router.route
        self._fitting = context.router.name_limit.fitting
        # A payload that is no longer is decoded at once, and has no name that is too long.
        self._short = min(context.router.name_limit.limit, LONG)
        self._link = link
        self._context = context
        self._opened_at = context.clock.seconds()
        self._is_open = False
        # Until it is open.
        self._handshake: ClientHandshake | None = ClientHandshake(self, link, handshake, context)
        self._silence = 0
        self._pauses = 0
        # What waits for a later turn, decoded or not, and the rest of what has been begun; most connections never need
        # one. It is there while the queue is served, too.
        self._queue: deque[Message | Malformed | bytes | str | Work] | None = None
        # Whether it is served later: in another turn, or when what is awaited is there.
        self._busy = False
        self._awaited: Deferred[Any] | None = None
        self._callbacks: list[Callable[[IConnection], None]] = []
        self._rate_limit: RateLimit | None = None

    def count_with(self, rate_limit: RateLimit) -> None:
        """
        Have C{rate_limit} told of every message, and of the login.
        """
        self._rate_limit = rate_limit
        decode, count = self.decode, rate_limit.messages

        def counted(payload: bytes | str) -> list[Message | Malformed]:
            messages = decode(payload)
            count(len(messages))
            return messages

        self.decode = counted

    def open(self) -> None:
        """
        The socket is open: let the client come in.
        """
        assert self._handshake is not None
        self._context.heartbeat.add(self, self._beat)
        self._handshake.open()

    def authenticated(self, user: str, login: Login) -> None:
        self.user = user
        self._link.logged_in()
        if self._rate_limit is not None:
            self._rate_limit.logged_in(user)
        self.client_data = login.client_data
        self.server_data = login.server_data
        self._handshake = None
        self._is_open = True
        self.send(Message(Topic.AUTH, AuthAction.AUTH_SUCCESSFUL, data=login.client_data))
        self._context.users.add(self)
        self._log.info("AUTH_SUCCESSFUL | {client}", event="AUTH_SUCCESSFUL", **about(self))

    # -- messages

    def receive(self, payload: bytes | str) -> bool | None:
        """
        Take one payload from the client.

        @return: true if what comes behind it has to wait until the link is resumed.
        """
        if not self._is_open:
            if self._handshake is not None:
                self._handshake.receive(payload)
            return self._busy
        if len(payload) <= self._short:
            messages = self.decode(payload)
        elif len(payload) <= LONG:
            messages = self._decode(payload)
        else:
            return self.serve(self.wire.codec.pieces(payload, LONG))
        if self._busy or len(messages) > _FEW:
            return self.serve(messages)
        # The link asks for the time between payloads.
        end = self._turns.slice_end() if len(messages) > 1 else None
        for message in messages:
            if message.__class__ is Message and message.topic is not _CONNECTION:
                self._route(message, self)
            else:
                self._handle(message)
            if self._queue or (end is not None and self._turns.now() > end):
                # It is the very one: others may be equal.
                behind = next(number for number, other in enumerate(messages, 1) if other is message)
                return self._keep(messages[behind:])
        return None

    def serve(self, messages: Iterable[Message | Malformed | bytes | str]) -> bool:
        """
        Take what has come, decoded or not: behind what waits, and as far as the time allows.

        @return: whether some of it has to wait for a later turn.
        """
        if self._queue is None:
            self._queue = deque(messages)
        else:
            self._queue.extend(messages)
        if not self._busy:
            self._serve_queue()
        return self._busy

    def _keep(self, messages: list[Message | Malformed]) -> bool:
        """
        Serve C{messages} behind what waits, or if nothing does in a later turn.
        """
        if self._queue is None and messages and self._is_open:
            self._queue = deque(messages)
            self._serve_later()
            return True
        return self.serve(messages)

    def _serve_later(self) -> None:
        self._busy = True
        self._turns.later(self._go_on)
        self.pause()

    def _go_on(self) -> None:
        if self.closed:
            return
        self._busy = False
        try:
            self._serve_queue()
        except Exception:
            self._log.failure("serving {client} failed", contained=True, **about(self))
            self.close("internal error", INTERNAL_ERROR)
        self.resume()

    def _serve_queue(self) -> None:
        """
        Serve what waits, as far as the time allows.
        """
        queue = self._queue
        end, now = self._turns.slice_end(), self._turns.now
        while queue and self._is_open:
            if now() > end:
                self._serve_later()
                return
            message = queue.popleft()
            if message.__class__ is Message and message.topic is not _CONNECTION:
                self._route(message, self)
            elif isinstance(message, bytes | str):
                if len(message) <= 2 * LONG:
                    queue.extendleft(reversed(self._decode(message)))
                else:
                    self.do(self._read_long(message))
            elif isinstance(message, Message | Malformed):
                self._handle(message)
            else:
                self.do(message)
            if self._busy:
                return
        self._queue = None

    def _read_long(self, payload: bytes | str) -> Work:
        """
        Decode a payload that is one very long message, in steps: if it has very many names, or long JSON.
        """
        messages: list[Message | Malformed] | None = None
        for found in self.wire.codec.names_apart(payload):
            if found is None:
                yield None
                continue
            request, names = found
            messages = [
                replace(message, names=names, raw=payload) if isinstance(message, Message) else message
                for message in self.decode(request)
            ]
            messages = self._fitting(messages, self.dialect.is_refused_once)
        if messages is None:
            messages = yield from self._read_json(payload)
        if self._queue is not None:
            self._queue.extendleft(reversed(messages))

    def _read_json(self, payload: bytes | str) -> Generator[None, None, list[Message | Malformed]]:
        found = self.wire.codec.json_apart(payload)
        if found is None or len(found[0]) < HEAVY:
            return self._decode(payload)
        text, keep = found
        value: Any
        try:
            value = yield from reading(text if isinstance(text, bytes) else text.encode(), keep)
        except ValueError as error:
            value = error
        with known(text, value):
            return self._decode(payload)

    def do(self, work: Work) -> None:
        """
        Do the next step of C{work}; the rest of it is next in the queue.
        """
        if self.closed:
            return
        for awaited in work:
            if awaited is None or self._has_to_wait(awaited):
                self._go_on_with(work, awaited)
                return

    def _has_to_wait(self, deferred: Deferred[Any]) -> bool:
        """
        Whether C{deferred} has not fired yet; the queue is served when it does.
        """
        self._awaited = deferred
        deferred.addBoth(self._arrived)
        return self.closed or self._awaited is not None

    def _go_on_with(self, work: Work, awaited: Deferred[Any] | None) -> None:
        if self.closed:
            return
        if self._queue is not None:
            self._queue.appendleft(work)
        else:
            # Nobody is about to serve it.
            self._queue = deque((work,))
            if awaited is None:
                self._serve_later()
        if awaited is not None:
            self._busy = True
            self.pause()

    def _arrived(self, _: object) -> None:
        self._awaited = None
        if not self._busy:
            return
        if self._turns.over():
            # Many connections may have waited for the same.
            self._turns.later(self._go_on)
        else:
            self._go_on()

    def _decode(self, payload: bytes | str) -> list[Message | Malformed]:
        """
        The messages of a payload, without what is too long in them.
        """
        messages = self.decode(payload)
        return messages if len(payload) <= self._short else self._fitting(messages, self.dialect.is_refused_once)

    def _handle(self, message: Message | Malformed) -> None:
        if isinstance(message, Malformed):
            if message.fault is Fault.NOT_TEXT:
                self.close("invalid UTF-8", INVALID_PAYLOAD)
            elif message.answer is not None:
                self.send(message.answer)
                if message.request is not None and self._is_open:
                    self._context.router.malformed(message.request, self)
        elif message.topic is not Topic.CONNECTION:
            self._route(message, self)
        elif message.action is ConnectionAction.PING:
            self.send(_PONG)
        elif message.action is not ConnectionAction.PONG or not self.dialect.server_pings:
            self.send(_UNKNOWN_TOPIC)

    def send(self, message: Message) -> None:
        if not self.closed:
            frame = self.wire.encode(message)
            if frame:
                self._answer(frame)

    def pause(self) -> None:
        self._pauses += 1
        if self._pauses == 1:
            self._link.pause()

    def resume(self) -> None:
        self._pauses -= 1
        if not self._pauses and not self.closed:
            self._link.resume()

    def on_close(self, callback: Callable[[IConnection], None]) -> None:
        self._callbacks.append(callback)

    def close(self, reason: str, code: int = POLICY_VIOLATION) -> None:
        """
        End the connection: what was said so far still leaves, then the transport is closed with C{code}.
        """
        if not self.closed:
            self._end(reason)
            self._link.close(code, reason)

    def lost(self, reason: str) -> None:
        """
        The transport is gone, or has nothing more for this connection.
        """
        if not self.closed:
            self._end(reason)

    def _end(self, reason: str) -> None:
        self.closed = True
        opened, self._is_open = self._is_open, False
        self._queue = None
        self._busy = False
        if self._handshake is not None:
            self._handshake.end()
            self._handshake = None
        self._context.heartbeat.remove(self)
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            try:
                callback(self)
            except Exception:
                # All others have to know as well, and the socket has to go.
                self._log.failure("that {client} has gone could not be dealt with", **about(self))
        if opened:
            # After all others: who is told that this user left finds nothing of the connection any more.
            self._context.users.remove(self)
        self._log.info(
            "CLIENT_DISCONNECTED | {client} after {seconds:.1f} s: {reason}",
            seconds=self._context.clock.seconds() - self._opened_at,
            reason=reason,
            event="CLIENT_DISCONNECTED",
            **about(self),
        )

    # -- the clock

    def _beat(self) -> None:
        """
        Once a heartbeat interval: close if nothing came for two of them although we listened, else ping where that is
        our part.
        """
        self._silence = 0 if self.heard or self._pauses else self._silence + 1
        self.heard = False
        if self._silence >= 2:
            # Not an error, as with the Node server: clients lose their networks every day.
            self._log.info(
                "INFO | Heartbeat missing on websocket, terminating connection of {client}",
                event="INFO",
                **about(self),
            )
            self.close("heartbeat missing")
        elif self.dialect.server_pings:
            self.send(_PING)
