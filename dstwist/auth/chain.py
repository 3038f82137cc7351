"""
Several authenticators, asked one after the other.

Each says yes, no, or that it is not its business (a L{Login} that is not final); the first that says yes or no
decides. If it is nobody's business, the client is refused without a reason. An authenticator that fails, by an
L{AuthError} or by a mistake of its own, has refused: going on to the next would let in whom it was to keep out. Only
L{BusyError} passes through: it says nothing about the client, which is disconnected and comes back by itself.

Source: C{security.md} section 1.8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.python.failure import Failure
from zope.interface import implementer

from dstwist.errors import AuthError, BusyError
from dstwist.interfaces import HandshakeData, IAuthenticator, IDepartures, ILifecycle, Login
from dstwist.log import Logger, about

_REFUSED = Login(False)


@implementer(IAuthenticator, ILifecycle, IDepartures)
class ChainAuthentication:
    """
    Asks C{authenticators} in turn, and starts and stops them together.

    @ivar departures: those of them that want to know when their users leave.
    """

    _log = Logger()

    def __init__(self, authenticators: Sequence[IAuthenticator]) -> None:
        self.authenticators = tuple(authenticators)
        self.departures = [part for part in self.authenticators if IDepartures.providedBy(part)]
        self._pending: set[Deferred[Login]] = set()
        self._started: list[Any] = []
        self._ready = False
        self._early: list[Deferred[None]] = []

    def start(self) -> Deferred[None]:
        """
        Get all of them ready. Logins that come before that wait for it.
        """
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        for part in self.authenticators:
            if ILifecycle.providedBy(part):
                try:
                    await part.start()
                except Exception:
                    await self._stop()
                    raise
                self._started.append(part)
        self._ready = True
        while self._early:
            self._early.pop(0).callback(None)

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        # Nobody waits for these any more, and some might take minutes.
        for decision in list(self._pending):
            decision.cancel()
        for part in reversed(self._started):
            try:
                await part.stop()
            except Exception:
                self._log.failure("AUTH_ERROR | an authenticator did not stop", event="AUTH_ERROR")
        self._started.clear()

    def departed(self, user: str) -> None:
        for part in self.departures:
            try:
                part.departed(user)
            except Exception:
                self._log.failure("AUTH_ERROR | an authenticator failed", event="AUTH_ERROR")

    def login(self, handshake: HandshakeData, credentials: Any) -> Deferred[Login]:
        decision = Deferred.fromCoroutine(self._login(handshake, credentials))
        self._pending.add(decision)
        return decision.addBoth(self._forget, decision)

    def _forget(self, result: Login | Failure, decision: Deferred[Login]) -> Login | Failure:
        self._pending.discard(decision)
        return result

    async def _login(self, handshake: HandshakeData, credentials: Any) -> Login:
        if not self._ready:
            early: Deferred[None] = Deferred(self._early.remove)
            self._early.append(early)
            try:
                await early
            except CancelledError:
                return _REFUSED
        for part in self.authenticators:
            try:
                login = await maybeDeferred(part.login, handshake, credentials)
                if not isinstance(login, Login):
                    raise AuthError(f"{type(part).__name__} gave no Login, but {type(login).__name__}")
                if login.accepted and not (login.user is None or isinstance(login.user, str)):
                    raise AuthError(f"{type(part).__name__} gave a user id that is no str: {type(login.user).__name__}")
            except CancelledError:
                # The client has gone, or the server stops: nobody waits for this.
                return _REFUSED
            except BusyError:
                # That says nothing about the client, which may come back.
                raise
            except AuthError as error:
                self._log.error(
                    "AUTH_ERROR | no decision about a login of {client}: {error}",
                    error=error,
                    event="AUTH_ERROR",
                    **about(handshake),
                )
                return _REFUSED
            except Exception:
                # A shortage of memory has refused this login, and nothing else.
                self._log.failure(
                    "AUTH_ERROR | an authenticator failed at a login of {client}",
                    event="AUTH_ERROR",
                    contained=True,
                    **about(handshake),
                )
                return _REFUSED
            if login.accepted or login.final:
                return login
        return _REFUSED
