"""
One client connection, from its handshake to its end.

It owns the topics CONNECTION and AUTH; once open, it hands everything else to the router. What arrives before that is
looked up in the handshake table of the client's dialect (L{dstwist.protocol.dialect}), and the step found there is
carried out here::

    CHALLENGE --admit--> LOGIN --login--> DECIDING --accepted--> OPEN
                           ^                  |
                           +---- refused -----+            (any) --close, lost, time-out, limit--> CLOSED

Always true: nothing reaches a connection that is closed, and what it registered for its end has been called by then.
Sources: C{text-protocol.md} sections 5 to 7, C{binary-protocol.md} sections 5 to 7, C{security.md} section 1.1.

Limits, each a setting of the endpoint: C{unauthenticatedClientTimeout} until the login is *accepted*,
C{maxAuthAttempts} refusals, C{maxMessagesBeforeLogin} messages other than heartbeats before the login is accepted. A
login that ends at a certain time (L{Login.expires_at}) takes the connection with it.
Messages that arrive while the authenticator decides wait; the transport is paused, so that only those wait which had
been read already.

A client can ask in a megabyte for what takes the server minutes. So it has a time in each turn of the reactor,
L{SLICE}. What is left when that is over is served in later turns, after what the others had to say; until then the
client is not read from, and its link keeps what it has read already.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from dstwist.admission import Admission, Excess, too_many_of_user
from dstwist.config.settings import WebSocketEndpoint
from dstwist.errors import BusyError
from dstwist.heartbeat import Heartbeat
from dstwist.interfaces import Handshake, IAuthenticator, IConnection, ILink, IWire, Login
from dstwist.log import Logger
from dstwist.metering import Meter
from dstwist.protocol.constants import UNNAMED_USER, AuthAction, ConnectionAction, ParserAction, Topic
from dstwist.protocol.dialect import Dialect, Received, State, Step, refined
from dstwist.protocol.jsontext import dumps, loads
from dstwist.protocol.message import Fault, Malformed, Message
from dstwist.router import Router
from dstwist.users import UserRegistry

# WebSocket close codes (RFC 6455, section 7.4.1).
NORMAL = 1000
GOING_AWAY = 1001
INVALID_PAYLOAD = 1007
POLICY_VIOLATION = 1008
INTERNAL_ERROR = 1011
TRY_AGAIN_LATER = 1013

#: How long what one client asks may keep all others waiting at a time, in seconds. A request is never interrupted.
SLICE = 0.01

# So many characters of what a client sent are worth a log line.
_LOGGED = 200

# A payload that is longer is decoded in pieces of this size, each when it is its turn: that takes a third of a second
# for a megabyte of short messages.
_LONG = 16384

# Of so many messages in one payload it is not asked how long they take.
_FEW = 8

# How long to trust that the time of day goes on as it did: after that, an expiry is looked at anew.
_LONGEST_WAIT = 3600.0

# Members of enumerations are looked up at every use; these are used for every message.
_OPEN = State.OPEN
_CONNECTION = Topic.CONNECTION

_PING = Message(Topic.CONNECTION, ConnectionAction.PING)
_PONG = Message(Topic.CONNECTION, ConnectionAction.PONG)
_GREETING = Message(Topic.CONNECTION, ConnectionAction.CHALLENGE_REQUEST)
_UNKNOWN_TOPIC = Message(Topic.PARSER, ParserAction.UNKNOWN_TOPIC, original_topic=Topic.CONNECTION)

_OF_CONNECTION: Mapping[object, Received] = {
    ConnectionAction.CHALLENGE: Received.CHALLENGE,
    ConnectionAction.PING: Received.PING,
    ConnectionAction.PONG: Received.PONG,
}
_UNCOUNTED = frozenset({Received.PING, Received.PONG})


class Reception(NamedTuple):
    """
    What all connections of one endpoint share.
    """

    settings: WebSocketEndpoint
    authenticator: IAuthenticator
    router: Router
    heartbeat: Heartbeat
    clock: IReactorTime
    users: UserRegistry
    admission: Admission
    #: How many connections one user may have.
    max_connections_per_user: int | None = None


@implementer(IConnection)
class Connection:
    """
    One client.

    @ivar heard: set by the link whenever data arrived; the heartbeat looks at it.
    """

    __slots__ = (
        "_answer",
        "_attempts",
        "_before_login",
        "_callbacks",
        "_decision",
        "_deadline",
        "_decode",
        "_handshake",
        "_link",
        "_meter",
        "_pauses",
        "_queue",
        "_reception",
        "_rest",
        "_route",
        "_seconds",
        "_silence",
        "_state",
        "_timeout",
        "address",
        "client_data",
        "closed",
        "dialect",
        "heard",
        "server_data",
        "user",
        "wire",
        "write",
    )

    _log = Logger()

    def __init__(self, link: ILink, wire: IWire, dialect: Dialect, handshake: Handshake, reception: Reception) -> None:
        self.user: str | None = None
        self.client_data: bytes | None = None
        self.server_data: Any = None
        self.address = handshake.address
        self.wire = wire
        self.dialect = dialect
        self.closed = False
        self.heard = True
        self.write: Callable[[bytes], None] = link.write
        self._answer: Callable[[bytes], None] = link.answer
        self._seconds = reception.clock.seconds
        self._decode = wire.codec.decode
        self._route = reception.router.route
        self._link = link
        self._handshake = handshake
        self._reception = reception
        self._state = State.CHALLENGE
        self._attempts = 0
        self._before_login = 0
        self._silence = 0
        self._pauses = 0
        # What waits for the end of a login, or for a later turn, decoded or not.
        self._queue: deque[Message | Malformed | bytes | str] = deque()
        self._deadline = 0.0
        self._rest: IDelayedCall | None = None
        self._callbacks: list[Callable[[IConnection], None]] = []
        self._meter: Meter | None = None
        self._timeout: IDelayedCall | None = None
        self._decision: Deferred[None] | None = None

    def count_with(self, meter: Meter) -> None:
        """
        Have C{meter} told of every message, and of the login.
        """
        self._meter = meter
        decode, count = self._decode, meter.messages

        def counted(payload: bytes | str) -> list[Message | Malformed]:
            messages = decode(payload)
            count(len(messages))
            return messages

        self._decode = counted

    def open(self) -> None:
        """
        The socket is open: start the clocks, and greet clients that wait for it.
        """
        reception = self._reception
        reception.heartbeat.add(self, self._beat)
        limit = reception.settings.unauthenticated_client_timeout
        if limit is not None:
            self._timeout = reception.clock.callLater(limit, self._not_authenticated_in_time)
        self._log.info(
            "INCOMING_CONNECTION | from {referer} ({address})",
            referer=_shown(self._handshake.referer),
            address=self._handshake.address,
            event="INCOMING_CONNECTION",
        )
        if self.dialect.server_speaks_first:
            self.send(_GREETING)

    def receive(self, payload: bytes | str) -> bool | None:
        """
        Take one payload from the client.

        @return: true if the turn is over (L{turn_is_over}) because of it.
        """
        if len(payload) > _LONG:
            return self._receive_long(payload)
        messages = self._decode(payload)
        if self._state is _OPEN:
            if self._rest is not None or len(messages) > _FEW:
                self._queue.extend(messages)
                if self._rest is None:
                    self._serve_queue()
                return self._rest is not None
            for message in messages:
                if message.__class__ is Message and message.topic is not _CONNECTION:
                    self._route(message, self)
                else:
                    self._handle_while_open(message)
            return None
        if not messages and self._state is State.CHALLENGE and self.dialect.empty_payload_is_unparsable:
            messages = [Malformed(Fault.UNPARSABLE)]
        for message in messages:
            if isinstance(message, Malformed) and message.fault is Fault.UNPARSABLE:
                # Before login the complaint is about the payload as a whole.
                message.raw = payload
            self._handle(message)
        return None

    def _receive_long(self, payload: bytes | str) -> bool:
        pieces = deque(self.wire.codec.pieces(payload, _LONG))
        # Before login, and one by one: most of them will not be needed.
        while pieces and self._state is not _OPEN and self._state is not State.DECIDING:
            for message in self._decode(pieces.popleft()):
                if isinstance(message, Malformed) and message.fault is Fault.UNPARSABLE:
                    message.raw = payload
                self._handle(message)
            if self._state is State.CLOSED:
                return False
        self._queue.extend(pieces)
        if self._rest is None:
            self._serve_queue()
        return self._rest is not None

    def begin_turn(self) -> None:
        """
        Much has come at once: the link will ask from time to time whether C{turn_is_over}.
        """
        self._deadline = self._seconds() + SLICE

    def turn_is_over(self) -> bool:
        """
        Whether all else has to wait. The link is resumed when that is over.
        """
        if self._rest is None and self._state is _OPEN and self._seconds() > self._deadline:
            self._serve_later()
        return self._rest is not None

    def _serve_later(self) -> None:
        self._rest = self._reception.clock.callLater(0, self._serve_rest)
        self.pause()

    def _serve_rest(self) -> None:
        self._rest = None
        try:
            self._serve_queue()
        except Exception:
            self._log.failure("handling a message failed")
            self.close("internal error", INTERNAL_ERROR)
        self.resume()

    def _serve_queue(self) -> None:
        """
        Serve what waits, as far as the time allows.
        """
        queue = self._queue
        deadline = self._seconds() + SLICE
        while queue and self._state is _OPEN:
            message = queue.popleft()
            if isinstance(message, bytes | str):
                queue.extendleft(reversed(self._decode(message)))
            elif message.__class__ is Message and message.topic is not _CONNECTION:
                self._route(message, self)
            else:
                self._handle_while_open(message)
            if self._seconds() > deadline and queue and self._state is _OPEN:
                self._serve_later()
                return

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
            self._end()
            self._link.close(code, reason)

    def lost(self) -> None:
        """
        The transport is gone.
        """
        if not self.closed:
            self._end()

    def _end(self) -> None:
        self.closed = True
        opened = self._state is State.OPEN
        self._state = State.CLOSED
        self._queue.clear()
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        self._stop_timeout()
        if self._decision is not None:
            # Work for somebody who has gone keeps those waiting who are there.
            self._decision.cancel()
        self._reception.heartbeat.remove(self)
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)
        if opened:
            # After all others: who is told that this user left finds nothing of the connection any more.
            self._reception.users.remove(self)
            self._log.info("CLIENT_DISCONNECTED | {user}", user=self.user, event="CLIENT_DISCONNECTED")

    # -- handling messages

    def _handle(self, message: Message | Malformed) -> None:
        state = self._state
        if state is State.OPEN:
            self._handle_while_open(message)
        elif state is State.DECIDING:
            self._queue.append(message)
        elif state is not State.CLOSED:
            if isinstance(message, Malformed) and message.fault is Fault.NOT_TEXT:
                self.close("invalid UTF-8", INVALID_PAYLOAD)
                return
            received = _kind(message)
            if received not in _UNCOUNTED:
                self._before_login += 1
                limit = self._reception.settings.max_messages_before_login
                if self._before_login > limit:
                    self._log.warn(
                        "INVALID_MESSAGE | more than {limit} messages before login from {address}",
                        limit=limit,
                        address=self._handshake.address,
                        event="INVALID_MESSAGE",
                    )
                    self.close("too many messages before login")
                    return
            _STEPS[self.dialect.handshake[state, received]](self, message)

    def _handle_while_open(self, message: Message | Malformed) -> None:
        if isinstance(message, Malformed):
            if message.fault is Fault.NOT_TEXT:
                self.close("invalid UTF-8", INVALID_PAYLOAD)
            elif message.answer is not None:
                self.send(message.answer)
        elif message.topic is not Topic.CONNECTION:
            self._route(message, self)
        elif message.action is ConnectionAction.PING:
            self.send(_PONG)
        elif message.action is not ConnectionAction.PONG or not self.dialect.server_pings:
            self.send(_UNKNOWN_TOPIC)

    def _ignore(self, message: Message | Malformed) -> None:
        pass

    def _pong(self, message: Message | Malformed) -> None:
        self.send(_PONG)

    def _admit(self, message: Message | Malformed) -> None:
        settings = self._reception.settings
        assert isinstance(message, Message)
        if settings.reject_clients:
            self._say(ConnectionAction.REJECT)
            self.close("rejected", NORMAL)
        elif settings.redirect_url is not None:
            self._say(ConnectionAction.REDIRECT, url=settings.redirect_url)
            self.close("redirected", NORMAL)
        else:
            self.dialect = refined(self.dialect, message.sdk_type)
            self._state = State.LOGIN
            self._say(ConnectionAction.ACCEPT)

    def _not_a_challenge(self, message: Message | Malformed) -> None:
        self._complain("invalid connection message")
        self._say(ConnectionAction.INVALID_MESSAGE, is_error=True if self.dialect.server_speaks_first else None)

    def _unknown_action(self, message: Message | Malformed) -> None:
        action = message.action if isinstance(message, Malformed) else message.action.name
        self._complain(f"unknown action {action}")
        self._say(ConnectionAction.UNKNOWN_ACTION, is_error=True, detail=f"unknown action {action}")

    def _parse_error(self, message: Message | Malformed) -> None:
        self._log.warn(
            "MESSAGE_PARSE_ERROR | error parsing connection message from {address}",
            address=self._handshake.address,
            event="MESSAGE_PARSE_ERROR",
        )
        self._say(ConnectionAction.MESSAGE_PARSE_ERROR, is_error=True, raw=message.raw)
        self.close("not a message")

    def _not_a_login(self, message: Message | Malformed) -> None:
        self._complain("invalid auth message")
        self._say_auth(AuthAction.INVALID_MESSAGE)

    def _invalid_login(self, message: Message | Malformed) -> None:
        self._log.warn(
            "INVALID_MESSAGE_DATA | invalid auth message from {address}",
            address=self._handshake.address,
            event="INVALID_MESSAGE_DATA",
        )
        self._say_auth(AuthAction.INVALID_MESSAGE_DATA)
        self.close("invalid login message")

    def _complain(self, problem: str) -> None:
        self._log.warn(
            "INVALID_MESSAGE | {problem} from {address}",
            problem=problem,
            address=self._handshake.address,
            event="INVALID_MESSAGE",
        )

    # -- login

    def _login(self, message: Message | Malformed) -> None:
        assert isinstance(message, Message) and isinstance(message.data, bytes)
        credentials = loads(message.data)
        excess = self._reception.admission.check_login(self.address, credentials)
        if excess is not None:
            # Not TOO_MANY_AUTH_ATTEMPTS, to which official clients do not try again: it is not this client, perhaps,
            # who has failed.
            self._exceeded(excess, code=TRY_AGAIN_LATER)
            return
        self._state = State.DECIDING
        self._link.pause()
        login = self._reception.authenticator.login(self._handshake, credentials)
        decision = login.addCallback(self._decided, message.data, credentials)
        # First, since the authenticator may have decided already.
        self._decision = decision
        decision.addErrback(self._undecided).addBoth(self._forget_decision, decision)

    def _decided(self, login: Login, payload: bytes, credentials: Any) -> None:
        admission = self._reception.admission
        if login.accepted:
            admission.login_succeeded(credentials)
        else:
            admission.login_failed(self.address, credentials)
        # The client may have gone, or been sent away, while the authenticator was busy.
        if self.closed:
            return
        if login.accepted:
            self._accept(login)
        else:
            self._refuse(login, payload)
        if not self.closed:
            self._link.resume()
        queue, self._queue = self._queue, deque()
        while queue and not self.closed and self._state is not _OPEN and self._state is not State.DECIDING:
            message = queue.popleft()
            if isinstance(message, bytes | str):
                queue.extendleft(reversed(self._decode(message)))
            else:
                self._handle(message)
        if not self.closed:
            self._queue.extend(queue)
            self._serve_queue()

    def _accept(self, login: Login) -> None:
        self._stop_timeout()
        user = login.user or UNNAMED_USER
        most = self._reception.max_connections_per_user
        if most is not None and self._reception.users.count(user) >= most:
            excess = too_many_of_user(most)
            self._say_auth(AuthAction.AUTH_UNSUCCESSFUL, dumps({"error": excess.text}))
            self._exceeded(excess, user)
            return
        self.user = user
        self._link.logged_in()
        if self._meter is not None:
            self._meter.logged_in(user)
        self.client_data = login.client_data
        self.server_data = login.server_data
        self._state = State.OPEN
        self.send(Message(Topic.AUTH, AuthAction.AUTH_SUCCESSFUL, data=login.client_data))
        self._reception.users.add(self)
        self._log.info("AUTH_SUCCESSFUL | {user}", user=self.user, event="AUTH_SUCCESSFUL")
        if login.expires_at is not None:
            self._await_expiry(login.expires_at)
        # Last: it may turn out that the client does not read, and then this is the end of the connection.
        self._link.flush()

    def _refuse(self, login: Login, credentials: bytes) -> None:
        settings = self._reception.settings
        self._state = State.LOGIN
        self._attempts += 1
        self._log.info(
            "AUTH_UNSUCCESSFUL | invalid authentication data{credentials}",
            credentials=f": {credentials.decode()}" if settings.log_invalid_auth_data else "",
            event="AUTH_UNSUCCESSFUL",
        )
        self._say_auth(AuthAction.AUTH_UNSUCCESSFUL, login.client_data)
        if self._attempts >= settings.max_auth_attempts:
            self._log.info("TOO_MANY_AUTH_ATTEMPTS | too many authentication attempts", event="TOO_MANY_AUTH_ATTEMPTS")
            self._say_auth(AuthAction.TOO_MANY_AUTH_ATTEMPTS)
            self.close("too many authentication attempts")

    def _exceeded(self, excess: Excess, user: str | None = None, code: int = POLICY_VIOLATION) -> None:
        self._reception.admission.tell(excess, self.address, user)
        self.close(excess.text, code)

    def _forget_decision(self, result: None, decision: Deferred[None]) -> None:
        if self._decision is decision:
            self._decision = None

    def _undecided(self, failure: Failure) -> None:
        if self.closed and failure.check(CancelledError):
            return
        if failure.check(BusyError):
            self._log.warn("AUTH_ERROR | {error}", error=failure.value, event="AUTH_ERROR")
            self.close("too many logins", TRY_AGAIN_LATER)
            return
        self._log.failure("AUTH_ERROR | no decision about a login", failure, event="AUTH_ERROR")
        if not self.closed:
            self.close("authentication failed", INTERNAL_ERROR)

    # -- clocks

    def _not_authenticated_in_time(self) -> None:
        self._timeout = None
        self._log.info(
            "AUTHENTICATION_TIMEOUT | connection has not authenticated successfully in the expected time",
            event="AUTHENTICATION_TIMEOUT",
        )
        self._say(ConnectionAction.AUTHENTICATION_TIMEOUT)
        self.close("not authenticated in time")

    def _await_expiry(self, when: float) -> None:
        clock = self._reception.clock
        wait = min(max(when - clock.seconds(), 0.0), _LONGEST_WAIT)
        self._timeout = clock.callLater(wait, self._check_expiry, when)

    def _check_expiry(self, when: float) -> None:
        self._timeout = None
        if self._reception.clock.seconds() < when:
            self._await_expiry(when)
            return
        self._log.info("AUTH_EXPIRED | the login of {user} has expired", user=self.user, event="AUTH_EXPIRED")
        self.close("login expired")

    def _stop_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

    def _beat(self) -> None:
        """
        Once a heartbeat interval: close if nothing came for two of them, else ping where that is our part.
        """
        self._silence = 0 if self.heard else self._silence + 1
        self.heard = False
        if self._silence >= 2:
            self._log.error(
                "INFO | Heartbeat missing on websocket, terminating connection of {user} ({address})",
                user=self.user,
                address=self._handshake.address,
                event="INFO",
            )
            self.close("heartbeat missing")
        elif self.dialect.server_pings:
            self.send(_PING)

    # -- saying things

    def _say(self, action: ConnectionAction, **fields: object) -> None:
        self.send(Message(Topic.CONNECTION, action, **fields))  # type: ignore[arg-type]
        self._link.flush()

    def _say_auth(self, action: AuthAction, data: bytes | None = None) -> None:
        self.send(Message(Topic.AUTH, action, data=data))
        self._link.flush()


def _shown(header: str | None) -> str | None:
    """
    What a client sent, fit for a line of the log: no control characters, which could forge others, and not long.
    """
    return header and "".join(char if char.isprintable() else "?" for char in header[:_LOGGED])


def _kind(message: Message | Malformed) -> Received:
    if isinstance(message, Malformed) and message.fault is Fault.UNPARSABLE:
        return Received.UNPARSABLE
    if message.topic is Topic.CONNECTION:
        return _OF_CONNECTION.get(message.action, Received.CONNECTION)
    if message.topic is Topic.AUTH:
        return Received.LOGIN if isinstance(message, Message) else Received.AUTH
    return Received.OTHER


_STEPS: Mapping[Step, Callable[[Connection, Message | Malformed], None]] = {
    Step.IGNORE: Connection._ignore,
    Step.PONG: Connection._pong,
    Step.ADMIT: Connection._admit,
    Step.LOGIN: Connection._login,
    Step.NOT_A_CHALLENGE: Connection._not_a_challenge,
    Step.UNKNOWN_ACTION: Connection._unknown_action,
    Step.PARSE_ERROR: Connection._parse_error,
    Step.NOT_A_LOGIN: Connection._not_a_login,
    Step.INVALID_LOGIN: Connection._invalid_login,
}
