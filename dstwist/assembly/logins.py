"""
Which clients may log in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dstwist.auth.methods import build_authentication
from dstwist.auth.reload import AuthReload
from dstwist.config.settings import Settings
from dstwist.connections.login import Logins
from dstwist.connections.request_logins import RequestLogins
from dstwist.connections.users import UserRegistry
from dstwist.interfaces import IRequester, IStore
from dstwist.limits.bans import Bans
from dstwist.limits.failed_logins import FailedLogins
from dstwist.scheduling.clocks import steady_time


class LoginParts:
    """
    The parts that decide on logins, and know who is logged in.

    @param storage: the store whose records survive the server, if there is one: users may be records.
    @param count: how many connections, streams and handles a user has.
    @param kick: closes these, for a reason.
    @ivar users: the users that have connections.
    @ivar request_logins: decides on logins of single requests.
    @ivar reload: reads the users again.
    """

    def __init__(
        self,
        settings: Settings,
        storage: IStore | None,
        count: Callable[[str], int],
        kick: Callable[[str, str], object],
        reactor: Any,
    ) -> None:
        self.authenticator = build_authentication(settings.auth, reactor, storage)
        self.users = UserRegistry()
        self.failed_logins = FailedLogins(settings.limits, reactor)
        self.bans = Bans(steady_time(reactor))
        self.request_logins = RequestLogins(
            # Without the limits of users: a request is no connection.
            Logins(self.authenticator, self.failed_logins, UserRegistry(), reactor, bans=self.bans),
            settings.limits.request_login_cache_time,
            reactor,
        )
        self.reload = AuthReload(self.authenticator, settings.auth, count, kick, self.request_logins.forget, reactor)

    @property
    def departed(self) -> Callable[[IRequester], None] | None:
        """
        To be called with each connection that has closed; C{None} if no authenticator wants to know.
        """
        return self._departed if self.authenticator.departures else None

    def _departed(self, connection: IRequester) -> None:
        if connection.user is not None:
            self.authenticator.departed(connection.user)
