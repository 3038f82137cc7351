"""
Several authenticators, asked one after the other.

==========================================  ==========================================================================
the authenticator                           the chain
==========================================  ==========================================================================
accepts or refuses                          does the same; later authenticators are not asked
is not responsible (C{Login.final} false)   asks the next authenticator; without a next one, refuses without a reason
fails with L{BusyError}                     fails likewise: the client is disconnected and tries again by itself
fails otherwise                             refuses, and logs it. The next authenticator could accept a client that
                                            this one would have kept out
==========================================  ==========================================================================

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

    @ivar departures: the authenticators that are told when a connection of a user closes.
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
        Start all authenticators. Logins that come earlier wait until all have started.
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
        # Their clients are gone, and some of these logins could take minutes.
        for decision in list(self._pending):
            decision.cancel()
        for part in reversed(self._started):
            try:
                await part.stop()
            except Exception:
                self._log.failure("AUTH_ERROR | an authenticator failed to stop", event="AUTH_ERROR")
        self._started.clear()

    def departed(self, user: str) -> None:
        for part in self.departures:
            try:
                part.departed(user)
            except Exception:
                self._log.failure("AUTH_ERROR | an authenticator failed when a user left", event="AUTH_ERROR")

    def login(self, handshake: HandshakeData, credentials: Any) -> Deferred[Login]:
        first: Deferred[Any] | None = None
        if self._ready and self.authenticators:
            first = maybeDeferred(self.authenticators[0].login, handshake, credentials)
            if first.called and isinstance(first.result, Login) and _stands(first.result):
                # Most authenticators decide at once. Then a coroutine would take most of the time.
                return first
        decision = Deferred.fromCoroutine(self._login(handshake, credentials, first))
        self._pending.add(decision)
        return decision.addBoth(self._forget, decision)

    def _forget(self, result: Login | Failure, decision: Deferred[Login]) -> Login | Failure:
        self._pending.discard(decision)
        return result

    async def _login(self, handshake: HandshakeData, credentials: Any, first: Deferred[Any] | None) -> Login:
        """
        @param first: the answer of the first authenticator, if that was asked already.
        """
        if not self._ready:
            early: Deferred[None] = Deferred(self._early.remove)
            self._early.append(early)
            try:
                await early
            except CancelledError:
                return _REFUSED
        for part in self.authenticators:
            try:
                asked, first = first, None
                login = await (asked if asked is not None else maybeDeferred(part.login, handshake, credentials))
                if not isinstance(login, Login):
                    raise AuthError(f"{type(part).__name__} returned {type(login).__name__}, expected a Login")
                if not _is_valid(login):
                    raise AuthError(f"{type(part).__name__} returned a user id of type {type(login.user).__name__}")
            except CancelledError:
                # The client has disconnected, or the server stops: the result is not needed.
                return _REFUSED
            except BusyError:
                # This is no decision about the client, which may try again.
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
                # If memory ran out, only this login is lost: the failure is contained.
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


def _is_valid(login: Login) -> bool:
    return not login.accepted or login.user is None or isinstance(login.user, str)


def _stands(login: Login) -> bool:
    """
    Whether C{login} is valid, and no other authenticator is to be asked.
    """
    return (login.accepted or login.final) and _is_valid(login)
