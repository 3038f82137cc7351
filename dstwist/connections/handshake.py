"""
One client from its handshake until it is logged in, or has gone.

Each message is looked up in the handshake table of the client's dialect (L{dstwist.protocol.dialect}), which gives the
step to take::

    CHALLENGE --admit--> LOGIN --login--> DECIDING --accepted--> OPEN
                           ^                  |
                           +---- refused -----+            (any) --close, lost, time-out, limit--> CLOSED

A connection has a L{ClientHandshake} until it is open. Then it drops it, with everything that only a login needs.
Always true: messages are taken in order, each in the state after the message before it. Messages behind an accepted
login go on to the connection, and messages of a client that has gone are dropped.
Sources: C{text-protocol.md} sections 5 and 6, C{binary-protocol.md} sections 5 and 6, C{security.md} section 1.1.

L{dstwist.connections.login} decides on logins, and L{dstwist.connections.before_login} has the limits until then.
C{maxAuthAttempts} refusals end the connection. While the authenticator decides, messages wait. The server does not read
from the client meanwhile, so only messages that it has read already wait.

A client that waits for the server to speak is greeted C{greetingDelay} after the opening: clients on Poco (C++) lose
data that they read together with the response to the WebSocket handshake. If the client speaks earlier, it is greeted
then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from dstwist.connections.before_login import BeforeLogin
from dstwist.connections.endpoint import PAYLOAD_PIECE_BYTES, EndpointContext, IUnauthenticatedConnection
from dstwist.connections.login import LoginAttempt, LoginDecision, Outcome
from dstwist.connections.received import HEARTBEATS, received_as
from dstwist.connections.wrong_protocol import is_of_other_generation, log_generation, log_silence
from dstwist.interfaces import HandshakeData, ILink
from dstwist.log import Logger, about, shown
from dstwist.protocol.closing import INTERNAL_ERROR, INVALID_PAYLOAD, NORMAL, TRY_AGAIN_LATER
from dstwist.protocol.constants import AuthAction, ConnectionAction, Topic
from dstwist.protocol.dialect import State, Step, refined
from dstwist.protocol.message import UNREADABLE, Fault, Malformed, Message

_ACCEPT = Message(Topic.CONNECTION, ConnectionAction.ACCEPT)
_PONG = Message(Topic.CONNECTION, ConnectionAction.PONG)
_GREETING = Message(Topic.CONNECTION, ConnectionAction.CHALLENGE_REQUEST)


class ClientHandshake:
    """
    The handshake of one client.
    """

    __slots__ = (
        "_attempt",
        "_attempts",
        "_before_login",
        "_connection",
        "_greeting",
        "_is_paused",
        "_request",
        "_link",
        "_opened_at",
        "_context",
        "_state",
        "_waiting",
    )

    _log = Logger()

    def __init__(
        self, connection: IUnauthenticatedConnection, link: ILink, request: HandshakeData, context: EndpointContext
    ) -> None:
        self._connection = connection
        self._link = link
        self._request = request
        self._context = context
        self._state = State.CHALLENGE
        self._attempts = 0
        self._before_login = BeforeLogin(connection, request, context)
        self._opened_at = 0.0
        # Messages that wait for a decision, decoded or not.
        self._waiting: list[Message | Malformed | bytes | str] = []
        self._greeting: IDelayedCall | None = None
        self._attempt: LoginAttempt | None = None
        # Nothing is read while a login waits for its decision.
        self._is_paused = False

    def open(self) -> None:
        """
        The link can send and receive: start the time-out, and greet a client that waits for that.
        """
        self._opened_at = self._context.clock.seconds()
        self._before_login.start_timeout(self._not_authenticated_in_time)
        if Logger.informs():
            self._log.info(
                "INCOMING_CONNECTION | from {page} ({client.place})",
                page=_page(self._request),
                event="INCOMING_CONNECTION",
                **about(self._request),
            )
        if self._connection.dialect.server_speaks_first:
            delay = self._context.settings.greeting_delay
            if delay:
                self._greeting = self._context.clock.callLater(delay, self._greet_late)
            else:
                self._connection.send_constant(_GREETING)

    def receive(self, payload: bytes | str) -> None:
        """
        Take one payload from the client.
        """
        connection = self._connection
        if self._greeting is not None:
            self._greeting.cancel()
            self._greeting = None
            connection.send_constant(_GREETING)
        arrived: deque[Message | Malformed | bytes | str]
        if len(payload) > PAYLOAD_PIECE_BYTES:
            # They are decoded one by one: most of them will not be needed.
            arrived = deque(connection.wire.codec.pieces(payload, PAYLOAD_PIECE_BYTES))
        else:
            arrived = deque(connection.decode(payload))
            if not arrived:
                if self._state is State.CHALLENGE and connection.dialect.empty_payload_is_unparsable:
                    arrived.append(Malformed(Fault.UNPARSABLE))
                else:
                    self._before_login.count_heartbeat()
        self._take(arrived, payload)

    def end(self) -> None:
        """
        The connection has ended.
        """
        if self._before_login.nothing_said and not self._connection.dialect.server_speaks_first:
            seconds = self._context.clock.seconds() - self._opened_at
            log_silence(self._request, seconds, self._connection.dialect)
        self._state = State.CLOSED
        self._waiting.clear()
        self._settle()
        if self._attempt is not None:
            self._attempt.abandon()

    # -- handling messages

    def _take(self, arrived: deque[Message | Malformed | bytes | str], payload: bytes | str | None = None) -> None:
        """
        Handle messages until the client is logged in or gone, or a login waits for its decision.

        @param payload: the payload that all of them came in; C{None} if they have waited.
        """
        while arrived and (self._state is State.CHALLENGE or self._state is State.LOGIN):
            message = arrived.popleft()
            if isinstance(message, bytes | str):
                pieces = self._connection.wire.codec.pieces(message, PAYLOAD_PIECE_BYTES)
                arrived.extendleft(reversed(pieces if len(pieces) > 1 else self._connection.decode(message)))
                continue
            if payload is not None and isinstance(message, Malformed) and message.fault is Fault.UNPARSABLE:
                # Before the login, the error is about the payload as a whole.
                message.raw = payload
            self._handle(message)
        if self._state is State.DECIDING:
            self._waiting.extend(arrived)
        elif arrived and self._state is State.OPEN and not self._connection.closed:
            self._connection.serve(arrived)

    def _handle(self, message: Message | Malformed) -> None:
        if isinstance(message, Malformed) and message.fault in UNREADABLE:
            if is_of_other_generation(message, self._connection.dialect):
                log_generation(self._request, self._connection.dialect)
            else:
                self._complain(UNREADABLE[message.fault])
            self._connection.close(UNREADABLE[message.fault], INVALID_PAYLOAD)
            return
        received = received_as(message)
        if received in HEARTBEATS:
            self._before_login.count_heartbeat()
        else:
            self._before_login.count_message()
        if not self._connection.closed:
            _STEPS[self._connection.dialect.handshake[self._state, received]](self, message)

    def _ignore(self, message: Message | Malformed) -> None:
        pass

    def _pong(self, message: Message | Malformed) -> None:
        self._connection.send_constant(_PONG)

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
            self._connection.send_constant(_ACCEPT)
            self._link.outbox.flush()

    def _not_a_challenge(self, message: Message | Malformed) -> None:
        if is_of_other_generation(message, self._connection.dialect):
            log_generation(self._request, self._connection.dialect)
        else:
            self._complain("invalid connection message")
        is_error = True if self._connection.dialect.server_speaks_first else None
        self._say(
            ConnectionAction.INVALID_MESSAGE,
            is_error=is_error,
            original_topic=message.topic,
            original_action=message.action,
        )

    def _unknown_action(self, message: Message | Malformed) -> None:
        action = message.action if isinstance(message, Malformed) else message.action.name
        self._complain(f"unknown action {action}")
        self._say(ConnectionAction.UNKNOWN_ACTION, is_error=True, detail=f"unknown action {action}")

    def _parse_error(self, message: Message | Malformed) -> None:
        if is_of_other_generation(message, self._connection.dialect):
            log_generation(self._request, self._connection.dialect)
        else:
            self._complain("error parsing connection message", "MESSAGE_PARSE_ERROR")
        self._say(ConnectionAction.MESSAGE_PARSE_ERROR, is_error=True, raw=message.raw)
        self._connection.close("not a message")

    def _not_a_login(self, message: Message | Malformed) -> None:
        self._complain("invalid auth message")
        self._say_auth(AuthAction.INVALID_MESSAGE, original_topic=message.topic, original_action=message.action)

    def _invalid_login(self, message: Message | Malformed) -> None:
        self._complain("invalid auth message", "INVALID_MESSAGE_DATA")
        self._say_auth(AuthAction.INVALID_MESSAGE_DATA)
        self._connection.close("invalid login message")

    def _complain(self, problem: str, event: str = "INVALID_MESSAGE") -> None:
        """
        Log a problem of a message.
        """
        self._log.warn("{event} | {problem} from {client}", event=event, problem=problem, **about(self._request))

    # -- login

    def _login(self, message: Message | Malformed) -> None:
        assert isinstance(message, Message) and isinstance(message.data, bytes)
        self._state = State.DECIDING
        try:
            attempt = self._context.logins.begin(self._request, message.data)
            if attempt.decided is not None:
                self._decided(attempt.decided)
                return
        except Exception:
            self._broken(Failure())
            return
        # Not for a login that is decided by now: to pause reading and to resume it takes two system calls.
        self._attempt = attempt
        self._is_paused = True
        self._connection.pause()
        attempt.decision.addCallback(self._decided).addErrback(self._broken).addBoth(self._forget, attempt)

    def _decided(self, decision: LoginDecision) -> None:
        # The client may have gone meanwhile, or its connection may have been closed.
        if self._connection.closed:
            return
        if decision.outcome is Outcome.ACCEPTED:
            self._accept(decision)
        else:
            self._state = State.LOGIN
            self._refuse(decision)
        if self._is_paused:
            self._is_paused = False
            self._connection.resume()
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._take(deque(waiting))

    def _accept(self, decision: LoginDecision) -> None:
        assert decision.login is not None
        self._settle()
        self._state = State.OPEN
        self._connection.authenticated(decision.user, decision.login)
        self._context.logins.end_in_time(self._connection, decision.login)
        # Last, because this closes the connection if the client does not read.
        self._link.outbox.flush()

    def _refuse(self, decision: LoginDecision) -> None:
        if decision.outcome is Outcome.REFUSED:
            self._say_auth(AuthAction.AUTH_UNSUCCESSFUL, decision.client_data)
            self._attempts += 1
            if self._attempts >= self._context.settings.max_auth_attempts:
                self._close_after_attempts(decision.log_fields)
            elif not self._before_login.closes_later:
                # The user may have mistyped the password, and gets the whole time to try again: official clients never
                # come back after AUTHENTICATION_TIMEOUT.
                self._before_login.start_timeout(self._not_authenticated_in_time)
            return
        # Not TOO_MANY_AUTH_ATTEMPTS, after which official clients do not try again.
        if decision.client_data is not None:
            self._say_auth(AuthAction.AUTH_UNSUCCESSFUL, decision.client_data)
        self._before_login.close_later(
            decision.reason, INTERNAL_ERROR if decision.outcome is Outcome.UNDECIDED else TRY_AGAIN_LATER
        )

    def _close_after_attempts(self, log_fields: Mapping[str, Any]) -> None:
        self._log.info(
            "TOO_MANY_AUTH_ATTEMPTS | too many authentication attempts by {client}",
            event="TOO_MANY_AUTH_ATTEMPTS",
            **log_fields,
        )
        self._say_auth(AuthAction.TOO_MANY_AUTH_ATTEMPTS)
        self._connection.close("too many authentication attempts")

    def _forget(self, result: None, attempt: LoginAttempt) -> None:
        if self._attempt is attempt:
            self._attempt = None

    def _broken(self, failure: Failure) -> None:
        """
        A mistake of ours: log it, and close this connection.
        """
        self._log.failure("handling a login of {client} failed", failure, **about(self._request))
        self._connection.close("internal error", INTERNAL_ERROR)

    # -- the clock

    def _greet_late(self) -> None:
        self._greeting = None
        self._connection.send_constant(_GREETING)
        self._link.outbox.flush()

    def _not_authenticated_in_time(self) -> None:
        self._log.info(
            "AUTHENTICATION_TIMEOUT | connection has not authenticated successfully in the expected time: {client}",
            event="AUTHENTICATION_TIMEOUT",
            **about(self._request),
        )
        self._say(ConnectionAction.AUTHENTICATION_TIMEOUT)
        self._connection.close("not authenticated in time")

    def _settle(self) -> None:
        """
        The client is logged in, or has gone: cancel all timers.
        """
        self._before_login.end()
        if self._greeting is not None:
            self._greeting.cancel()
            self._greeting = None

    # -- saying things

    def _say(self, action: ConnectionAction, **fields: object) -> None:
        self._connection.send(Message(Topic.CONNECTION, action, **fields))  # type: ignore[arg-type]
        self._link.outbox.flush()

    def _say_auth(self, action: AuthAction, data: bytes | None = None, **fields: object) -> None:
        self._connection.send(Message(Topic.AUTH, action, data=data, **fields))  # type: ignore[arg-type]
        self._link.outbox.flush()


def _page(handshake: HandshakeData) -> str:
    """
    The origin of a client, for the log. Browsers send an Origin, which may be C{null}.
    """
    pages = [
        f"{name} {shown(value)}" for name, value in (("origin", handshake.origin), ("page", handshake.referer)) if value
    ]
    return ", ".join(pages) or "no page"


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
