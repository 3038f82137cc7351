"""
One client from its handshake until it is logged in, or has gone.

What arrives is looked up in the handshake table of the client's dialect (L{dstwist.protocol.dialect}), and the step
found there is carried out here::

    CHALLENGE --admit--> LOGIN --login--> DECIDING --accepted--> OPEN
                           ^                  |
                           +---- refused -----+            (any) --close, lost, time-out, limit--> CLOSED

A connection has a L{ClientHandshake} until it is open. Then it drops it, and with it all that only a login needs.
Always true: messages are taken in order, each in the state that the one before has led to; what finds the client logged
in goes on to the connection, and what finds it gone is dropped.
Sources: C{text-protocol.md} sections 5 and 6, C{binary-protocol.md} sections 5 and 6, C{security.md} section 1.1.

Limits, each a setting of the endpoint: C{unauthenticatedClientTimeout} from the opening, or from the last refusal,
until the login is *accepted*; C{maxAuthAttempts} refusals; C{maxMessagesBeforeLogin} messages before the login is
accepted; heartbeats are not among these, but there may not be more of them in a second. A login that ends at a certain
time (L{Login.expires_at}) takes the connection with it.
Messages that arrive while the authenticator decides wait; the transport is paused, so that only those wait which had
been read already.

A client that waits for the server to speak is greeted C{greetingDelay} after the opening: clients on Poco (C++) lose
what they read together with the response to the WebSocket handshake. If the client speaks before, it is greeted then.

A client that cannot be let in now, but perhaps soon, is not closed at once. Whoever is closed comes back without any
delay, if it is an official client, and logs in again by itself; so it stays for C{closeDelay} before that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from dstwist.connections.endpoint import LONG, EndpointContext, IUnauthenticatedConnection
from dstwist.connections.expiry import Expiry
from dstwist.connections.wrong_protocol import log_generation, log_silence
from dstwist.errors import BusyError
from dstwist.interfaces import HandshakeData, ILink, Login
from dstwist.limits.exceeded import LimitExceeded, log_refusal
from dstwist.limits.rates import TokenBucket
from dstwist.log import Client, Logger, about, shown
from dstwist.protocol.closing import INTERNAL_ERROR, INVALID_PAYLOAD, NORMAL, TRY_AGAIN_LATER
from dstwist.protocol.constants import UNNAMED_USER, AuthAction, ConnectionAction, Topic
from dstwist.protocol.dialect import Received, State, Step, refined
from dstwist.protocol.jsontext import dumps, loads
from dstwist.protocol.message import Fault, Malformed, Message

# So many characters of what somebody has failed to log in with are worth a line of the log; tokens are long.
_LOGGED = 2000

_TOO_MANY_MESSAGES = LimitExceeded("maxMessagesBeforeLogin", "too many messages before login")

_PONG = Message(Topic.CONNECTION, ConnectionAction.PONG)
_GREETING = Message(Topic.CONNECTION, ConnectionAction.CHALLENGE_REQUEST)

_OF_CONNECTION: Mapping[object, Received] = {
    ConnectionAction.CHALLENGE: Received.CHALLENGE,
    ConnectionAction.PING: Received.PING,
    ConnectionAction.PONG: Received.PONG,
}
_HEARTBEATS = frozenset({Received.PING, Received.PONG})


class ClientHandshake:
    """
    One client that is not logged in.
    """

    __slots__ = (
        "_attempts",
        "_before_login",
        "_connection",
        "_decision",
        "_farewell",
        "_greeting",
        "_handshake",
        "_heartbeats",
        "_link",
        "_opened_at",
        "_context",
        "_state",
        "_timeout",
        "_waiting",
    )

    _log = Logger()

    def __init__(
        self, connection: IUnauthenticatedConnection, link: ILink, handshake: HandshakeData, context: EndpointContext
    ) -> None:
        self._connection = connection
        self._link = link
        self._handshake = handshake
        self._context = context
        self._state = State.CHALLENGE
        self._attempts = 0
        self._before_login = 0
        self._opened_at = 0.0
        self._heartbeats: TokenBucket | None = None
        # For the end of a login, decoded or not.
        self._waiting: list[Message | Malformed | bytes | str] = []
        self._timeout: IDelayedCall | None = None
        self._farewell: IDelayedCall | None = None
        self._greeting: IDelayedCall | None = None
        self._decision: Deferred[None] | None = None

    def open(self) -> None:
        """
        The socket is open: start the clock, and greet clients that wait for it.
        """
        self._opened_at = self._context.clock.seconds()
        self._start_timeout()
        self._log.info(
            "INCOMING_CONNECTION | from {page} ({client.place})",
            page=_page(self._handshake),
            event="INCOMING_CONNECTION",
            **about(self._handshake),
        )
        if self._connection.dialect.server_speaks_first:
            delay = self._context.settings.greeting_delay
            if delay:
                self._greeting = self._context.clock.callLater(delay, self._greet_late)
            else:
                self._connection.send(_GREETING)

    def receive(self, payload: bytes | str) -> None:
        """
        Take one payload from the client.
        """
        connection = self._connection
        if self._greeting is not None:
            self._greeting.cancel()
            self._greeting = None
            connection.send(_GREETING)
        arrived: deque[Message | Malformed | bytes | str]
        if len(payload) > LONG:
            # One by one: most of them will not be needed.
            arrived = deque(connection.wire.codec.pieces(payload, LONG))
        else:
            arrived = deque(connection.decode(payload))
            if not arrived:
                if self._state is State.CHALLENGE and connection.dialect.empty_payload_is_unparsable:
                    arrived.append(Malformed(Fault.UNPARSABLE))
                else:
                    self._count_heartbeat()
        self._take(arrived, payload)

    def end(self) -> None:
        """
        The connection has ended.
        """
        dialect, nothing_said = self._connection.dialect, not self._before_login and self._heartbeats is None
        if nothing_said and not dialect.server_speaks_first:
            seconds = self._context.clock.seconds() - self._opened_at
            log_silence(self._handshake, seconds)
        self._state = State.CLOSED
        self._waiting.clear()
        self._settle()
        if self._decision is not None:
            # Work for somebody who has gone keeps those waiting who are there.
            self._decision.cancel()

    # -- handling messages

    def _take(self, arrived: deque[Message | Malformed | bytes | str], payload: bytes | str | None = None) -> None:
        """
        Handle what has arrived, as far as it is for us.

        @param payload: in which all of it has come just now; C{None} if it has waited.
        """
        while arrived and (self._state is State.CHALLENGE or self._state is State.LOGIN):
            message = arrived.popleft()
            if isinstance(message, bytes | str):
                arrived.extendleft(reversed(self._connection.decode(message)))
                continue
            if payload is not None and isinstance(message, Malformed) and message.fault is Fault.UNPARSABLE:
                # Before login the complaint is about the payload as a whole.
                message.raw = payload
            self._handle(message)
        if self._state is State.DECIDING:
            self._waiting.extend(arrived)
        elif arrived and self._state is State.OPEN and not self._connection.closed:
            self._connection.serve(arrived)

    def _handle(self, message: Message | Malformed) -> None:
        if isinstance(message, Malformed) and message.fault is Fault.NOT_TEXT:
            self._log_generation()
            self._connection.close("invalid UTF-8", INVALID_PAYLOAD)
            return
        received = _kind(message)
        if received in _HEARTBEATS:
            self._count_heartbeat()
        else:
            self._before_login += 1
            if self._before_login > self._context.settings.max_messages_before_login:
                self._exceeded(_TOO_MANY_MESSAGES)
        if not self._connection.closed:
            _STEPS[self._connection.dialect.handshake[self._state, received]](self, message)

    def _count_heartbeat(self) -> None:
        """
        Count what comes again and again from clients that do nothing else: it may, but not too often.
        """
        if self._heartbeats is None:
            most = self._context.settings.max_messages_before_login
            self._heartbeats = TokenBucket("maxMessagesBeforeLogin", most, self._context.clock)
        if self._heartbeats.spend(1):
            self._exceeded(_TOO_MANY_MESSAGES)

    def _ignore(self, message: Message | Malformed) -> None:
        pass

    def _pong(self, message: Message | Malformed) -> None:
        self._connection.send(_PONG)

    def _admit(self, message: Message | Malformed) -> None:
        settings = self._context.settings
        assert isinstance(message, Message)
        if settings.reject_clients:
            self._say(ConnectionAction.REJECT)
            self._connection.close("rejected", NORMAL)
        elif settings.redirect_url is not None:
            self._say(ConnectionAction.REDIRECT, url=settings.redirect_url)
            self._connection.close("redirected", NORMAL)
        else:
            dialect = self._connection.dialect = refined(self._connection.dialect, message.sdk_type)
            if dialect.patches_many and self._context.many_wire is not None:
                self._connection.wire = self._context.many_wire
            elif not dialect.takes_patches and self._context.whole_wire is not None:
                self._connection.wire = self._context.whole_wire
            self._state = State.LOGIN
            self._say(ConnectionAction.ACCEPT)

    def _not_a_challenge(self, message: Message | Malformed) -> None:
        if self._is_of_other_generation(message):
            self._log_generation()
        else:
            self._complain("invalid connection message")
        is_error = True if self._connection.dialect.server_speaks_first else None
        self._say(ConnectionAction.INVALID_MESSAGE, is_error=is_error)

    def _unknown_action(self, message: Message | Malformed) -> None:
        action = message.action if isinstance(message, Malformed) else message.action.name
        self._complain(f"unknown action {action}")
        self._say(ConnectionAction.UNKNOWN_ACTION, is_error=True, detail=f"unknown action {action}")

    def _parse_error(self, message: Message | Malformed) -> None:
        if self._is_of_other_generation(message):
            self._log_generation()
        else:
            self._complain("error parsing connection message", "MESSAGE_PARSE_ERROR")
        self._say(ConnectionAction.MESSAGE_PARSE_ERROR, is_error=True, raw=message.raw)
        self._connection.close("not a message")

    def _not_a_login(self, message: Message | Malformed) -> None:
        self._complain("invalid auth message")
        self._say_auth(AuthAction.INVALID_MESSAGE)

    def _invalid_login(self, message: Message | Malformed) -> None:
        self._complain("invalid auth message", "INVALID_MESSAGE_DATA")
        self._say_auth(AuthAction.INVALID_MESSAGE_DATA)
        self._connection.close("invalid login message")

    def _complain(self, problem: str, event: str = "INVALID_MESSAGE") -> None:
        """
        Have the log say what is wrong with a message.
        """
        self._log.warn("{event} | {problem} from {client}", event=event, problem=problem, **about(self._handshake))

    def _is_of_other_generation(self, message: Message | Malformed) -> bool:
        # Text clients may send text in binary frames; then it is a message.
        frame = bytes if self._connection.dialect.server_speaks_first else str
        return isinstance(message, Malformed) and isinstance(message.raw, frame)

    def _log_generation(self) -> None:
        served = "text" if self._connection.dialect.server_speaks_first else "binary"
        log_generation(self._handshake, served)

    # -- login

    def _login(self, message: Message | Malformed) -> None:
        assert isinstance(message, Message) and isinstance(message.data, bytes)
        credentials = loads(message.data)
        exceeded = self._context.failed_logins.check(self._handshake.address, credentials)
        if exceeded is not None:
            # Not TOO_MANY_AUTH_ATTEMPTS, to which official clients do not try again: it is not this client, perhaps,
            # who has failed.
            self._try_later(exceeded)
            return
        self._state = State.DECIDING
        self._connection.pause()
        login = self._context.authenticator.login(self._handshake, credentials)
        decision = login.addCallbacks(self._decided, self._undecided, (message.data, credentials))
        # First, since the authenticator may have decided already.
        self._decision = decision
        decision.addErrback(self._broken).addBoth(self._forget_decision, decision)

    def _decided(self, login: Login, payload: bytes, credentials: Any) -> None:
        failed_logins = self._context.failed_logins
        if login.accepted:
            failed_logins.succeeded(credentials)
        else:
            failed_logins.failed(self._handshake.address, credentials)
        # The client may have gone, or been sent away, while the authenticator was busy.
        if self._connection.closed:
            return
        if login.accepted:
            self._accept(login)
        else:
            self._refuse(login, payload, credentials)
        self._go_on()

    def _go_on(self) -> None:
        """
        There is a decision: take what has come meanwhile.
        """
        self._connection.resume()
        waiting, self._waiting = self._waiting, []
        self._take(deque(waiting))

    def _accept(self, login: Login) -> None:
        user = login.user or UNNAMED_USER
        most = self._context.max_connections_per_user
        if most is not None and self._context.users.count(user) >= most:
            exceeded = LimitExceeded("maxConnectionsPerUser", f"there are {most} connections of this user already")
            self._state = State.LOGIN
            self._say_auth(AuthAction.AUTH_UNSUCCESSFUL, dumps({"error": exceeded.text}))
            self._try_later(exceeded, user)
            return
        self._settle()
        self._state = State.OPEN
        self._connection.authenticated(user, login)
        if login.expires_at is not None and not self._connection.closed:
            Expiry(self._connection, login.expires_at, self._context.clock)
        # Last: it may turn out that the client does not read, and then this is the end of the connection.
        self._link.flush()

    def _refuse(self, login: Login, payload: bytes, credentials: Any) -> None:
        settings = self._context.settings
        self._state = State.LOGIN
        self._attempts += 1
        fields = about(self._handshake)
        name = credentials.get("username") if isinstance(credentials, dict) else None
        if isinstance(name, str):
            # The name as the client gave it, whether there is such a user or not.
            fields["client"] = Client(name, *fields["client"][1:])
        self._log.info(
            "AUTH_UNSUCCESSFUL | invalid authentication data from {client}{credentials}",
            credentials=f": {shown(payload.decode(), _LOGGED)}" if settings.log_invalid_auth_data else "",
            event="AUTH_UNSUCCESSFUL",
            **fields,
        )
        self._say_auth(AuthAction.AUTH_UNSUCCESSFUL, login.client_data)
        if self._attempts >= settings.max_auth_attempts:
            self._log.info(
                "TOO_MANY_AUTH_ATTEMPTS | too many authentication attempts by {client}",
                event="TOO_MANY_AUTH_ATTEMPTS",
                **fields,
            )
            self._say_auth(AuthAction.TOO_MANY_AUTH_ATTEMPTS)
            self._connection.close("too many authentication attempts")
        elif self._farewell is None:
            # The user may have mistyped the password, and gets the whole time to try again: official clients that are
            # told AUTHENTICATION_TIMEOUT never come back.
            self._start_timeout()

    def _exceeded(self, exceeded: LimitExceeded) -> None:
        log_refusal(exceeded, about(self._handshake))
        self._connection.close(exceeded.text)

    def _try_later(self, exceeded: LimitExceeded, user: str | None = None) -> None:
        fields = about(self._handshake)
        if user is not None:
            fields["user"] = user
            fields["client"] = Client(user, *fields["client"][1:])
        log_refusal(exceeded, fields)
        self._close_later(exceeded.text, TRY_AGAIN_LATER)

    def _close_later(self, reason: str, code: int) -> None:
        """
        Close the connection when it has been kept from trying again for a while, unless a login is accepted until then.
        """
        if self._farewell is None and not self._connection.closed:
            # The client is to come back, and would not after AUTHENTICATION_TIMEOUT.
            self._stop_timeout()
            self._farewell = self._context.clock.callLater(self._context.close_delay, self._say_farewell, reason, code)

    def _say_farewell(self, reason: str, code: int) -> None:
        self._farewell = None
        self._connection.close(reason, code)

    def _forget_decision(self, result: None, decision: Deferred[None]) -> None:
        if self._decision is decision:
            self._decision = None

    def _undecided(self, failure: Failure) -> None:
        if self._connection.closed and failure.check(CancelledError):
            return
        fields = about(self._handshake)
        if failure.check(BusyError):
            self._log.warn("AUTH_ERROR | {client}: {error}", error=failure.value, event="AUTH_ERROR", **fields)
            reason, code = "too many logins", TRY_AGAIN_LATER
        else:
            self._log.failure(
                "AUTH_ERROR | no decision about a login of {client}", failure, event="AUTH_ERROR", **fields
            )
            reason, code = "authentication failed", INTERNAL_ERROR
        if not self._connection.closed:
            self._state = State.LOGIN
            self._close_later(reason, code)
            self._go_on()

    def _broken(self, failure: Failure) -> None:
        """
        Our own mistake: log it, and close this one connection.
        """
        self._log.failure("handling a login of {client} failed", failure, **about(self._handshake))
        self._connection.close("internal error", INTERNAL_ERROR)

    # -- the clock

    def _greet_late(self) -> None:
        self._greeting = None
        self._connection.send(_GREETING)
        self._link.flush()

    def _start_timeout(self) -> None:
        """
        From now on the client has the whole C{unauthenticatedClientTimeout} to log in.
        """
        self._stop_timeout()
        limit = self._context.settings.unauthenticated_client_timeout
        if limit is not None:
            self._timeout = self._context.clock.callLater(limit, self._not_authenticated_in_time)

    def _stop_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

    def _not_authenticated_in_time(self) -> None:
        self._timeout = None
        self._log.info(
            "AUTHENTICATION_TIMEOUT | connection has not authenticated successfully in the expected time: {client}",
            event="AUTHENTICATION_TIMEOUT",
            **about(self._handshake),
        )
        self._say(ConnectionAction.AUTHENTICATION_TIMEOUT)
        self._connection.close("not authenticated in time")

    def _settle(self) -> None:
        """
        The client is in, or has gone: nothing is due any more.
        """
        self._stop_timeout()
        for call in (self._farewell, self._greeting):
            if call is not None:
                call.cancel()
        self._farewell = self._greeting = None

    # -- saying things

    def _say(self, action: ConnectionAction, **fields: object) -> None:
        self._connection.send(Message(Topic.CONNECTION, action, **fields))  # type: ignore[arg-type]
        self._link.flush()

    def _say_auth(self, action: AuthAction, data: bytes | None = None) -> None:
        self._connection.send(Message(Topic.AUTH, action, data=data))
        self._link.flush()


def _page(handshake: HandshakeData) -> str:
    """
    The origin of a client. Browsers send an Origin; C{null} is logged as well.
    """
    pages = [
        f"{name} {shown(value)}" for name, value in (("origin", handshake.origin), ("page", handshake.referer)) if value
    ]
    return ", ".join(pages) or "no page"


def _kind(message: Message | Malformed) -> Received:
    if isinstance(message, Malformed) and message.fault is Fault.UNPARSABLE:
        return Received.UNPARSABLE
    if message.topic is Topic.CONNECTION:
        if isinstance(message, Malformed) and message.fault is Fault.INVALID_DATA:
            return Received.OTHER
        return _OF_CONNECTION.get(message.action, Received.CONNECTION)
    if message.topic is Topic.AUTH:
        return Received.LOGIN if isinstance(message, Message) else Received.AUTH
    return Received.OTHER


_STEPS: Mapping[Step, Callable[[ClientHandshake, Message | Malformed], None]] = {
    Step.IGNORE: ClientHandshake._ignore,
    Step.PONG: ClientHandshake._pong,
    Step.ADMIT: ClientHandshake._admit,
    Step.LOGIN: ClientHandshake._login,
    Step.NOT_A_CHALLENGE: ClientHandshake._not_a_challenge,
    Step.UNKNOWN_ACTION: ClientHandshake._unknown_action,
    Step.PARSE_ERROR: ClientHandshake._parse_error,
    Step.NOT_A_LOGIN: ClientHandshake._not_a_login,
    Step.INVALID_LOGIN: ClientHandshake._invalid_login,
}
