"""
Users and addresses that an operator has banned: their logins and connections are refused.

Always true: a ban ends by itself when its time is over, and all bans end with the process. An address is a key of
L{dstwist.limits.addresses}: one address of IPv4, or a /64 network of IPv6.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from dstwist.limits.exceeded import LimitExceeded

#: The most bans of users, and of addresses.
MAX_BANS = 10_000


class BanTable:
    """
    Bans of one kind.

    @param now: a clock that is never set back.
    """

    def __init__(self, now: Callable[[], float], most: int = MAX_BANS) -> None:
        self._now = now
        self._most = most
        self._ends: dict[str, float] = {}

    def __bool__(self) -> bool:
        """
        Whether there may be bans: some of them may have ended.
        """
        return bool(self._ends)

    def __contains__(self, name: str) -> bool:
        # Nearly always there are none.
        if not self._ends:
            return False
        end = self._ends.get(name)
        if end is None:
            return False
        if end > self._now():
            return True
        del self._ends[name]
        return False

    def add(self, name: str, seconds: float | None) -> bool:
        """
        Ban C{name} for C{seconds}; C{None}: until L{discard}. It replaces an earlier ban.

        @return: whether there was room for one more.
        """
        if name not in self._ends and len(self._ends) >= self._most and len(self.left()) >= self._most:
            return False
        self._ends[name] = math.inf if seconds is None else self._now() + seconds
        return True

    def discard(self, name: str) -> bool:
        """
        End a ban.

        @return: whether there was one.
        """
        found = name in self
        self._ends.pop(name, None)
        return found

    def left(self) -> dict[str, float | None]:
        """
        How many seconds each ban still lasts; C{None}: without end.
        """
        now = self._now()
        self._ends = {name: end for name, end in self._ends.items() if end > now}
        return {name: None if end == math.inf else end - now for name, end in self._ends.items()}


class Bans:
    """
    The bans of one node.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.users = BanTable(now)
        self.addresses = BanTable(now)

    def check_user(self, user: str) -> LimitExceeded | None:
        """
        Why C{user} may not log in; C{None} if there is no reason.
        """
        return LimitExceeded("ban", "This user is banned.") if user in self.users else None

    def check_address(self, key: str) -> LimitExceeded | None:
        """
        Why clients at an address are refused; C{None} if they are not.
        """
        return LimitExceeded("ban", "This address is banned.") if key in self.addresses else None
