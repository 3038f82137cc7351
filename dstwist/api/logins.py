"""
Logins of users in whose name the application makes requests: C{api.login}.

::

    login --> RequestLogins: limits, authenticator --> accepted: a handle, until the login expires
                                                   --> refused: LoginRefused
                                                   --> no decision: LoginUndecided

Always true: each login ends: by its decision, by the caller, who may cancel it, or by the end of the node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from dstwist.api.deliveries import Deliveries
from dstwist.api.errors import HandleClosed, LoginRefused, LoginUndecided
from dstwist.api.handle import Handle
from dstwist.api.values import from_data
from dstwist.connections.login import LoginDecision, Outcome
from dstwist.connections.request_logins import RequestLogins
from dstwist.interfaces import HandshakeData

_REFUSALS = {Outcome.REFUSED: "AUTH_UNSUCCESSFUL", Outcome.EXCEEDED: "TOO_MANY_AUTH_ATTEMPTS"}

#: Makes the handle of an accepted login.
Accept = Callable[[HandshakeData, LoginDecision], Handle]


class _Login:
    """
    A login that is not decided.

    @ivar decision: of the authenticator.
    @ivar outcome: for the caller.
    @ivar is_given: the caller has it.
    @ivar is_over: the caller does not wait any more.
    """

    def __init__(self) -> None:
        self.decision: Deferred[LoginDecision] | None = None
        self.outcome: Deferred[Handle] = Deferred(self._cancel)
        self.is_given = False
        self.is_over = False

    def _cancel(self, outcome: Deferred[Handle]) -> None:
        self.is_over = True
        if self.decision is not None:
            self.decision.cancel()

    def fire(self, result: Any) -> None:
        """
        Give the caller a handle, or a failure.
        """
        if not self.outcome.called:
            self.outcome.callback(result)
        elif isinstance(result, Handle):
            # The caller has cancelled meanwhile.
            result.close("the login was cancelled")


class UserLogins:
    """
    The logins that are under way.

    @param deliveries: calls the application.
    """

    def __init__(self, logins: RequestLogins, deliveries: Deliveries, accept: Accept) -> None:
        self._logins = logins
        self._deliveries = deliveries
        self._accept = accept
        self._under_way: dict[_Login, None] = {}

    def begin(self, client: HandshakeData, credentials: bytes) -> Deferred[Handle]:
        """
        Log in.

        @param credentials: JSON text.
        """
        login = _Login()
        self._under_way[login] = None
        decision = login.decision = self._logins.login(client, credentials)
        decision.addBoth(self._decided, login, client)
        login.is_given = True
        return login.outcome

    def stop(self, error: HandleClosed) -> None:
        """
        Cancel all of them.
        """
        under_way, self._under_way = self._under_way, {}
        for login in under_way:
            login.is_over = True
            self._deliveries.add(login.fire, Failure(error))
            if login.decision is not None:
                login.decision.cancel()

    def _decided(self, result: LoginDecision | Failure, login: _Login, client: HandshakeData) -> None:
        self._under_way.pop(login, None)
        if login.is_over:
            return
        login.is_over = True
        outcome: Handle | Failure
        if isinstance(result, Failure):
            outcome = result
        elif result.outcome is Outcome.ACCEPTED:
            outcome = self._accept(client, result)
        elif result.outcome in _REFUSALS:
            data = from_data(result.client_data)
            outcome = Failure(LoginRefused(_REFUSALS[result.outcome], result.reason, data))
        else:
            outcome = Failure(LoginUndecided(result.reason))
        if login.is_given:
            self._deliveries.add(login.fire, outcome)
        else:
            login.fire(outcome)
