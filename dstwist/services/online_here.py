"""
The users who are online, if there are no other nodes.

A user is online from the login of its first connection until the end of its last one (L{dstwist.connections.users}),
and for C{presence.gracePeriod} after that. A user that logs in again within this time has never been away.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from dstwist.config.settings import PresenceSettings
from dstwist.connections.users import UserRegistry
from dstwist.scheduling.deadlines import Deadlines
from dstwist.services.roster import Roster


class OnlineHere:
    """
    The users who are online on this node.

    @param joins: called with each user that has come online, and was not.
    @param leaves: called with each user that is online no more. For each user these calls alternate.
    @ivar roster: the users who have joined and not left.
    """

    def __init__(
        self,
        users: UserRegistry,
        settings: PresenceSettings,
        clock: IReactorTime,
        joins: Callable[[str], object],
        leaves: Callable[[str], object],
    ) -> None:
        self.roster = Roster()
        self._settings = settings
        self._joins = joins
        self._leaves = leaves
        # The users within the grace period.
        self._away: Deadlines[str] = Deadlines(settings.grace_period, clock, self._leave)
        self._stopped = False
        users.observe(self._logged_in, self._logged_out)

    def stop(self) -> None:
        """
        Announce no more joins and leaves.
        """
        self._stopped = True
        self._away.stop()

    def _logged_in(self, user: str) -> None:
        if user in self._away:
            self._away.remove(user)
        else:
            self.roster.add(user)
            self._joins(user)

    def _logged_out(self, user: str) -> None:
        if self._stopped:
            return
        if not self._settings.grace_period:
            self._leave(user)
            return
        # The setting is at least 1, so there is room for this user.
        if len(self._away) >= self._settings.max_users_in_grace:
            self._away.expire_first()
        self._away.add(user)

    def _leave(self, user: str) -> None:
        self.roster.remove(user)
        self._leaves(user)
