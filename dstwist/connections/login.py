"""
The decision on a login, with all its limits, for whatever party logs in: a WebSocket client, or a single request.

===========  ===========================================================================  ==========================
outcome      reason                                                                       what the client may do
===========  ===========================================================================  ==========================
ACCEPTED     the authenticator accepts the credentials
REFUSED      the authenticator refuses them                                               try other credentials
EXCEEDED     too many failed logins from its address or of the user                       try again later
             (C{maxFailedLoginsPerAddress}, C{maxFailedLoginsPerUser}), or too many
             connections of the user (C{maxConnectionsPerUser}), or the user is banned, or too many users
             whose names are in one partition (L{dstwist.cluster.partition_room})
BUSY         the authenticator has too many logins to decide                              try again later
UNDECIDED    the authenticator failed, which is logged
===========  ===========================================================================  ==========================

Always true: each decision of the authenticator is counted for the limit of failed logins, even if the client has gone
meanwhile; the authenticator is not asked while that limit is exceeded; each outcome but ACCEPTED has one line in the
log, unless the client has gone.
The parts here know neither deepstream's handshake nor its messages. How often one client may try, how long it may take,
and when it is closed is up to its transport (L{dstwist.connections.handshake}).
Source: C{security.md} section 1.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, NamedTuple

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from dstwist.connections.expiry import Expiry
from dstwist.connections.users import UserRegistry
from dstwist.errors import BusyError
from dstwist.interfaces import HandshakeData, IAuthenticator, IRequester, Login
from dstwist.limits.bans import Bans
from dstwist.limits.exceeded import LimitExceeded, log_refusal
from dstwist.limits.failed_logins import FailedLogins
from dstwist.log import Client, Logger, about, shown
from dstwist.protocol.constants import UNNAMED_USER
from dstwist.protocol.jsontext import dumps, loads

# So many characters of refused credentials are worth a line of the log; tokens are long.
_MAX_LOGGED_CHARACTERS = 2000


class Outcome(Enum):
    """
    The kinds of decisions.
    """

    ACCEPTED = auto()
    REFUSED = auto()
    EXCEEDED = auto()
    BUSY = auto()
    UNDECIDED = auto()


class LoginDecision(NamedTuple):
    """
    The decision on one login.

    @ivar login: the authenticator's decision; C{None} if it was not asked, or could not decide.
    @ivar user: the user id, of an accepted login.
    @ivar client_data: JSON text for the client; C{None} for none.
    @ivar reason: why the login is not accepted, in a few words for the client.
    @ivar log_fields: of a refusal: for further log lines about the client (L{about}), under the name that it gave.
    """

    outcome: Outcome
    login: Login | None = None
    user: str = ""
    client_data: bytes | None = None
    reason: str = ""
    log_fields: Mapping[str, Any] = {}


class LoginAttempt:
    """
    One login, until it is decided.

    @ivar decided: the decision, if it was made at once.
    """

    __slots__ = ("_abandoned", "_client", "_count", "_credentials", "_logins", "_pending", "_text", "decided")

    _log = Logger()

    def __init__(self, logins: Logins, client: HandshakeData, text: bytes) -> None:
        self._logins = logins
        self._client = client
        self._text = text
        self._credentials = loads(text)
        self._abandoned = False
        self._count = 1
        self.decided: LoginDecision | None = None
        self._pending: Deferred[LoginDecision] | None = None
        self._decide()

    @property
    def decision(self) -> Deferred[LoginDecision]:
        """
        Fires with the decision, and has fired if that was made at once. It fails only by a mistake of ours.
        """
        if self._pending is not None:
            return self._pending
        assert self.decided is not None
        return succeed(self.decided)

    def join(self) -> None:
        """
        One more login, equal to this one, waits for the decision. A refusal counts for all of them.
        """
        self._count += 1

    def abandon(self) -> None:
        """
        The client has gone. The authenticator may stop: other clients wait for their logins.
        """
        self._abandoned = True
        if self._pending is not None:
            self._pending.cancel()

    def _decide(self) -> None:
        exceeded = self._logins.failed_logins.check(self._client.address, self._credentials)
        if exceeded is not None:
            # Perhaps it was not this client that has failed.
            self.decided = self._counted(self._exceeded(exceeded, about(self._client)))
            return
        login = self._logins.authenticator.login(self._client, self._credentials)
        if login.called and isinstance(login.result, Login):
            # The usual case, without the detour.
            self.decided = self._counted(self._decided(login.result))
        else:
            self._pending = login.addCallbacks(self._decided, self._undecided).addCallback(self._counted)

    def _counted(self, decision: LoginDecision) -> LoginDecision:
        self._logins.outcomes[decision.outcome] += self._count
        return decision

    def _decided(self, login: Login) -> LoginDecision:
        failed_logins = self._logins.failed_logins
        if login.accepted:
            failed_logins.succeeded(self._credentials)
        else:
            failed_logins.failed(self._client.address, self._credentials, self._count)
        if self._abandoned:
            return LoginDecision(Outcome.UNDECIDED)
        return self._accepted(login) if login.accepted else self._refused(login)

    def _accepted(self, login: Login) -> LoginDecision:
        user = login.user or UNNAMED_USER
        banned = self._logins.bans.check_user(user)
        if banned is not None:
            fields = {**self._fields(user), "user": user}
            return self._exceeded(banned, fields, dumps({"error": banned.text}))
        most = self._logins.max_connections_per_user
        if most is not None and self._logins.users.count(user) >= most:
            exceeded = LimitExceeded("maxConnectionsPerUser", f"there are {most} connections of this user already")
            fields = {**self._fields(user), "user": user}
            return self._exceeded(exceeded, fields, dumps({"error": exceeded.text}))
        if not self._logins.users.has_room(user):
            exceeded = LimitExceeded("maxSubscriptionBytes", "there are too many users with such names already")
            fields = {**self._fields(user), "user": user}
            return self._exceeded(exceeded, fields, dumps({"error": exceeded.text}))
        return LoginDecision(Outcome.ACCEPTED, login, user, login.client_data)

    def _refused(self, login: Login) -> LoginDecision:
        credentials = self._credentials
        name = credentials.get("username") if isinstance(credentials, dict) else None
        # The name as the client gave it, whether there is such a user or not.
        fields = self._fields(name)
        self._log.info(
            "AUTH_UNSUCCESSFUL | invalid authentication data from {client}{credentials}",
            credentials=f": {shown(self._text.decode(), _MAX_LOGGED_CHARACTERS)}"
            if self._logins.log_credentials
            else "",
            event="AUTH_UNSUCCESSFUL",
            **fields,
        )
        return LoginDecision(Outcome.REFUSED, login, client_data=login.client_data, log_fields=fields)

    def _exceeded(
        self, exceeded: LimitExceeded, fields: dict[str, Any], client_data: bytes | None = None
    ) -> LoginDecision:
        log_refusal(exceeded, fields)
        return LoginDecision(Outcome.EXCEEDED, client_data=client_data, reason=exceeded.text)

    def _undecided(self, failure: Failure) -> LoginDecision:
        if self._abandoned and failure.check(CancelledError):
            return LoginDecision(Outcome.UNDECIDED)
        fields = about(self._client)
        if failure.check(BusyError):
            self._log.warn("AUTH_ERROR | {client}: {error}", error=failure.value, event="AUTH_ERROR", **fields)
            return LoginDecision(Outcome.BUSY, reason="too many logins")
        self._log.failure("AUTH_ERROR | no decision about a login of {client}", failure, event="AUTH_ERROR", **fields)
        return LoginDecision(Outcome.UNDECIDED, reason="authentication failed")

    def _fields(self, name: object) -> dict[str, Any]:
        """
        The fields of a log line about the client, under C{name} if that is one.
        """
        fields = about(self._client)
        if isinstance(name, str):
            fields["client"] = Client(name, *fields["client"][1:])
        return fields


class Logins:
    """
    Decides on logins.

    @param max_connections_per_user: how many connections one user may have; C{None} for no limit.
    @param bans: the users who may not log in.
    @param log_credentials: whether the log has the credentials that were refused.
    @ivar outcomes: how many logins had each outcome.
    """

    def __init__(
        self,
        authenticator: IAuthenticator,
        failed_logins: FailedLogins,
        users: UserRegistry,
        clock: IReactorTime,
        max_connections_per_user: int | None = None,
        log_credentials: bool = False,
        bans: Bans | None = None,
    ) -> None:
        self.bans = bans if bans is not None else Bans(clock.seconds)
        self.authenticator = authenticator
        self.failed_logins = failed_logins
        self.users = users
        self.max_connections_per_user = max_connections_per_user
        self.log_credentials = log_credentials
        self._clock = clock
        self.outcomes = dict.fromkeys(Outcome, 0)

    def begin(self, client: HandshakeData, text: bytes) -> LoginAttempt:
        """
        Log in with the credentials in C{text}, a JSON object or array. They may be decided on at once.
        """
        return LoginAttempt(self, client, text)

    def end_in_time(self, connection: IRequester, login: Login) -> None:
        """
        Close C{connection} when C{login} ends, if it does.
        """
        if login.expires_at is not None and not connection.closed:
            Expiry(connection, login.expires_at, self._clock)
