"""
Logins of single requests: of HTTP requests with credentials, and of users of an application that embeds a node.

A client with a connection logs in once. Such a requester logs in for each request, and a password takes a large part of
a second to check. So an accepted login is remembered for C{limits.requestLoginCacheTime}, and equal logins that come
at the same time ask the authenticator once::

    login --> remembered? --yes--> ACCEPTED
                   |no
              being decided? --yes--> waits for the same decision
                   |no
              authenticator --> accepted: remembered; all other decisions: not remembered

Two logins are equal if the credentials are the same bytes, and all facts that an authenticator can look at
(L{HandshakeData}) are the same: address, headers, client certificate and so on. So no request gets the login of another
client. The header C{Content-Length} differs from request to request, and would make most of these logins different:
authenticators do not see it.

====================================  ==================================================================================
limit                                 logins of single requests
====================================  ==================================================================================
failed logins                         Each refused login counts, also one that waited for the decision of an equal one.
                                      A remembered login changes no count.
failed logins, exceeded               A remembered login stays valid: its credentials were right, and another client
                                      with the same address may have failed. But the acceptance tells that client which
                                      guess was right. So each login that is refused here counts as a guess, and
                                      remembered logins are refused too after as many guesses as the limit permits
                                      (L{FailedLogins.check}).
connections of a user                 A request is no connection: the limit does not apply, and it does not count.
busy authenticator                    The login is not accepted, and not remembered. A remembered login stays valid.
====================================  ==================================================================================

Always true:

- Credentials are not remembered, only a hash of them, with a key that is new in each process.
- A login is not accepted after its own end (C{Login.expires_at}).
- A login that began before L{RequestLogins.forget} is not remembered, and no later login waits for its decision.
- The remembered logins take at most about L{MAX_REMEMBERED_BYTES} of memory; the oldest are forgotten first.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import partial
from hashlib import blake2b
from typing import NamedTuple

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from dstwist.connections.login import LoginAttempt, LoginDecision, Logins, Outcome
from dstwist.interfaces import HandshakeData
from dstwist.log import Logger, about
from dstwist.protocol.jsontext import dumps, loads
from dstwist.protocol.weights import ENTRY_WEIGHT, weigh_json, weigh_name
from dstwist.scheduling.clocks import steady_time, wall_time
from dstwist.scheduling.deadlines import Deadlines

#: How many bytes of memory the remembered logins may take, as far as they can be estimated.
MAX_REMEMBERED_BYTES = 16 << 20

#: The bytes of memory of a remembered login without its texts and data: hash, decision, deadline, and the places of
#: these in dictionaries. Measured with CPython 3.11.
REMEMBERED_LOGIN_WEIGHT = 900

_EXPIRED = b'{"error":"login expired"}'


class RequestLogins:
    """
    Decides on logins of single requests.

    @param logins: decides on the logins that are not remembered. It has no limit for the connections of a user.
    @param lifetime: how long an accepted login is remembered, in seconds; 0 for not at all.
    """

    _log = Logger()

    def __init__(self, logins: Logins, lifetime: float, clock: IReactorTime) -> None:
        self._logins = logins
        self._lifetime = lifetime
        self._seconds = steady_time(clock)
        self._wall_time = wall_time(clock)
        self._secret = secrets.token_bytes(32)
        self._pending: dict[bytes, _SharedLogin] = {}
        self._remembered: dict[bytes, _RememberedLogin] = {}
        self._deadlines: Deadlines[bytes] = Deadlines(lifetime, clock, self._remove)
        self._keys_of_user: dict[str, set[bytes]] = {}
        self._weight = 0

    def login(self, client: HandshakeData, credentials: bytes) -> Deferred[LoginDecision]:
        """
        Log in for one request, with C{credentials}, a JSON object or array.

        If the requester goes, it cancels the Deferred, which then fails with C{CancelledError}; equal logins go on.
        Otherwise the Deferred fails only by a mistake of ours. It may have fired already. The decision is valid now; a
        requester that goes on for longer looks at C{decision.login.expires_at}.

        @raise ValueError: C{credentials} is not JSON.
        """
        if "content-length" in client.headers:
            headers = {name: value for name, value in client.headers.items() if name != "content-length"}
            client = replace(client, headers=headers)
        key = self._key(client, credentials)
        failed_logins, content = self._logins.failed_logins, loads(credentials)
        remembered = self._recall(key)
        if failed_logins.check(client.address, content, remembered is not None) is not None:
            failed_logins.guessed(client.address, content)
            # This is decided at once: the limit is exceeded.
            return self._logins.begin(client, credentials).decision
        if remembered is not None:
            self._logins.outcomes[Outcome.ACCEPTED] += 1
            return succeed(remembered)
        if key in self._pending:
            return self._pending[key].join()
        return self._begin(key, client, credentials)

    @property
    def outcomes(self) -> Mapping[Outcome, int]:
        """
        How many logins had each outcome.
        """
        return self._logins.outcomes

    def forget(self, user: str | None = None) -> None:
        """
        Forget the logins of C{user}, or of all users: the authenticator may decide otherwise now.
        """
        # The users of logins that are being decided are not known yet. These logins go on, but only for the requests
        # that wait for them already.
        self._pending.clear()
        keys = self._remembered if user is None else self._keys_of_user.get(user, ())
        for key in list(keys):
            self._deadlines.remove(key)
            self._remove(key)

    def stop(self) -> None:
        """
        Forget all logins, remember none from now on, and cancel the timer.
        """
        self._lifetime = 0.0
        self.forget()
        self._deadlines.stop()

    def _key(self, client: HandshakeData, credentials: bytes) -> bytes:
        # All fields, so that a new one is not left out. Their values are texts, numbers, and tuples of texts: an object
        # of another class may have a text that does not tell it apart.
        facts = {field.name: getattr(client, field.name) for field in fields(client)}
        facts["headers"] = sorted(client.headers.items())
        key = blake2b(len(credentials).to_bytes(8, "big"), key=self._secret, digest_size=32)
        key.update(credentials)
        key.update(repr(facts).encode())
        return key.digest()

    # -- logins that are being decided

    def _begin(self, key: bytes, client: HandshakeData, credentials: bytes) -> Deferred[LoginDecision]:
        attempt = self._logins.begin(client, credentials)
        shared = self._pending[key] = _SharedLogin(attempt, client, partial(self._end_pending, key))
        decision = shared.wait()
        attempt.decision.addBoth(self._decided, key, shared)
        return decision

    def _end_pending(self, key: bytes, shared: _SharedLogin) -> bool:
        """
        Let no more logins wait for C{shared}.

        @return: whether others could wait for it until now.
        """
        current = self._pending.get(key) is shared
        if current:
            del self._pending[key]
        return current

    def _decided(self, result: LoginDecision | Failure, key: bytes, shared: _SharedLogin) -> Failure | None:
        current = self._end_pending(key, shared)
        if isinstance(result, LoginDecision) and result.outcome is Outcome.ACCEPTED:
            if self._has_ended(result):
                self._log.info(
                    "AUTH_EXPIRED | the login of {client} has expired", event="AUTH_EXPIRED", **about(shared.client)
                )
                result = LoginDecision(Outcome.REFUSED, result.login, client_data=_EXPIRED, reason="login expired")
            elif current and self._lifetime:
                self._remember(key, result)
        return shared.answer(result)

    # -- remembered logins

    def _has_ended(self, decision: LoginDecision) -> bool:
        assert decision.login is not None
        expires_at = decision.login.expires_at
        return expires_at is not None and expires_at <= self._wall_time()

    def _recall(self, key: bytes) -> LoginDecision | None:
        remembered = self._remembered.get(key)
        if remembered is None:
            return None
        # Timers are late if they are those of the wall clock, and that was put back.
        age = self._seconds() - remembered.since
        if age < self._lifetime and not self._has_ended(remembered.decision):
            return remembered.decision
        self._deadlines.remove(key)
        self._remove(key)
        return None

    def _remember(self, key: bytes, decision: LoginDecision) -> None:
        weight = _weigh(decision)
        if weight > MAX_REMEMBERED_BYTES:
            return
        while self._weight + weight > MAX_REMEMBERED_BYTES:
            self._deadlines.expire_first()
        self._weight += weight
        self._remembered[key] = _RememberedLogin(decision, self._seconds(), weight)
        self._deadlines.add(key)
        self._keys_of_user.setdefault(decision.user, set()).add(key)

    def _remove(self, key: bytes) -> None:
        """
        Forget a login that has no deadline any more.
        """
        remembered = self._remembered.pop(key)
        self._weight -= remembered.weight
        user = remembered.decision.user
        keys = self._keys_of_user[user]
        keys.remove(key)
        if not keys:
            del self._keys_of_user[user]


class _RememberedLogin(NamedTuple):
    """
    A login that was accepted.

    @ivar since: when it was accepted.
    @ivar weight: the bytes of memory that it takes.
    """

    decision: LoginDecision
    since: float
    weight: int


class _SharedLogin:
    """
    A login that is being decided, and the requests that wait for the decision.

    @param abandoned: called with this login when no request waits any more, before the authenticator is told.
    """

    __slots__ = ("_abandoned", "_attempt", "_waiting", "client")

    def __init__(
        self, attempt: LoginAttempt, client: HandshakeData, abandoned: Callable[[_SharedLogin], object]
    ) -> None:
        self._attempt = attempt
        self._abandoned = abandoned
        self._waiting: dict[Deferred[LoginDecision], None] = {}
        self.client = client

    def join(self) -> Deferred[LoginDecision]:
        """
        The decision, for one more login that is equal to the first.
        """
        self._attempt.join()
        return self.wait()

    def wait(self) -> Deferred[LoginDecision]:
        """
        The decision, for one request.
        """
        decision: Deferred[LoginDecision] = Deferred(self._leave)
        self._waiting[decision] = None
        return decision

    def answer(self, result: LoginDecision | Failure) -> Failure | None:
        """
        Give the decision, or the failure, to all requests that wait.

        @return: a failure for which no request waits.
        """
        if not self._waiting and isinstance(result, Failure):
            return result
        while self._waiting:
            # One by one: a callback may cancel others.
            decision = next(iter(self._waiting))
            del self._waiting[decision]
            decision.callback(result)
        return None

    def _leave(self, decision: Deferred[LoginDecision]) -> None:
        del self._waiting[decision]
        if not self._waiting:
            # First: no later login may wait for a decision that is cancelled.
            self._abandoned(self)
            self._attempt.abandon()


def _weigh(decision: LoginDecision) -> int:
    """
    The bytes of memory that an accepted login takes. Data of an authenticator of the operator's own that is not JSON
    cannot be weighed, and counts as little.
    """
    login = decision.login
    assert login is not None
    weight = REMEMBERED_LOGIN_WEIGHT + weigh_name(decision.user) + len(login.client_data or b"")
    for data in (login.server_data, login.token):
        if data is not None:
            try:
                weight += weigh_json(dumps(data))
            except (TypeError, ValueError, RecursionError):
                weight += ENTRY_WEIGHT
    return weight
