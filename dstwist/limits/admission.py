"""
Who may still come in: how many connections there are, from where, how fast they come, and whose logins fail too often.

::

    socket --enter--> a slot --at(address)--> counted there --logged_in--> --leave-->
              |                      |
              +----- refused --------+

Always true: a slot is counted once in the total, once at its address, and among those there that have not logged in
until it has. An address that has no slot, and no failure within the window, is not remembered. Each limit is one of
C{limits}; C{None} is none.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from twisted.internet.interfaces import IReactorTime

from dstwist.config.limits import LimitSettings
from dstwist.limits.addresses import key_of
from dstwist.log import Logger
from dstwist.scheduling.deadlines import Deadlines

#: How many addresses, or users, each of the limits within a time remembers; of more, the oldest are forgotten.
MOST_REMEMBERED = 100_000

# A longer user name is as good as its beginning.
_LONGEST_NAME = 256


class LimitExceeded(NamedTuple):
    """
    Why somebody is refused.

    @ivar limit: the name of the limit, as in the configuration.
    @ivar everybody: it is not about this client, but there is no room for anybody.
    """

    limit: str
    text: str
    everybody: bool = False


class Window:
    """
    Counts by key, each from its first time on and for so long.

    @param most: how many are not too many.
    """

    def __init__(self, most: int, seconds: float, clock: IReactorTime) -> None:
        self._most = most
        self._counts: dict[str, int] = {}
        self._ends: Deadlines[str] = Deadlines(seconds, clock, self._forget)

    def __len__(self) -> int:
        return len(self._counts)

    def is_full(self, key: str) -> bool:
        """
        Whether one more would be too many.
        """
        return self._counts.get(key, 0) >= self._most

    def add(self, key: str) -> None:
        """
        Count one.
        """
        count = self._counts.get(key, 0)
        if not count:
            if len(self._counts) >= MOST_REMEMBERED:
                self._ends.hurry()
            self._ends.add(key)
        self._counts[key] = count + 1

    def clear(self, key: str) -> None:
        """
        Begin anew with C{key}.
        """
        self._counts.pop(key, None)
        self._ends.remove(key)

    def stop(self) -> None:
        self._counts.clear()
        self._ends.stop()

    def _forget(self, key: str) -> None:
        del self._counts[key]


class ConnectionSlot:
    """
    One connection's.
    """

    __slots__ = ("_admission", "_key", "_unauthenticated")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._key: str | None = None
        self._unauthenticated = True

    def at(self, address: str) -> LimitExceeded | None:
        """
        The connection is one of C{address}, and of no other that was said before. Why it is refused; C{None} if not.
        """
        key = key_of(address)
        if key == self._key:
            return None
        self._let_go()
        exceeded = self._admission.claim(key) if key is not None else None
        if exceeded is None:
            self._key = key
        return exceeded

    def logged_in(self) -> None:
        """
        The client has logged in.
        """
        if self._unauthenticated:
            self._unauthenticated = False
            if self._key is not None:
                self._admission.logged_in(self._key)

    def leave(self) -> None:
        """
        The connection is gone. Called once.
        """
        self._let_go()
        self._admission.left()

    def _let_go(self) -> None:
        key, self._key = self._key, None
        if key is not None:
            self._admission.release(key, self._unauthenticated)


class Admission:
    """
    The slots of one server.

    @param files: how many connections there may be if the settings do not say.
    """

    _log = Logger()

    def __init__(self, settings: LimitSettings, clock: IReactorTime, files: int | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._most = settings.max_connections or files
        self._total = 0
        # By address: all, and those that have not logged in.
        self._all: dict[str, int] = {}
        self._waiting: dict[str, int] = {}
        self._arrivals = _window(settings.max_connection_rate_per_address, 1.0, clock)
        window = settings.failed_login_window
        self._failures_of_address = _window(settings.max_failed_logins_per_address, window, clock)
        self._failures_of_user = _window(settings.max_failed_logins_per_user, window, clock)

    @property
    def total(self) -> int:
        """
        How many connections have a slot.
        """
        return self._total

    # -- connections

    def enter(self) -> ConnectionSlot | LimitExceeded:
        """
        A slot for one more connection, or why there is none.
        """
        if self._most is not None and self._total >= self._most:
            return LimitExceeded("maxConnections", f"There are {self._most} connections already.", everybody=True)
        self._total += 1
        return ConnectionSlot(self)

    def claim(self, key: str) -> LimitExceeded | None:
        settings = self._settings
        if self._arrivals is not None:
            if self._arrivals.is_full(key):
                text = f"More than {settings.max_connection_rate_per_address} connections a second from this address."
                return LimitExceeded("maxConnectionRatePerAddress", text)
            self._arrivals.add(key)
        count, most = self._all.get(key, 0), settings.max_connections_per_address
        if most is not None and count >= most:
            return LimitExceeded("maxConnectionsPerAddress", f"There are {most} connections from this address already.")
        waiting, most = self._waiting.get(key, 0), settings.max_unauthenticated_per_address
        if most is not None and waiting >= most:
            text = f"There are {most} connections from this address that have not logged in."
            return LimitExceeded("maxUnauthenticatedPerAddress", text)
        self._all[key] = count + 1
        self._waiting[key] = waiting + 1
        return None

    def release(self, key: str, unauthenticated: bool) -> None:
        _decrease(self._all, key)
        if unauthenticated:
            _decrease(self._waiting, key)

    def logged_in(self, key: str) -> None:
        _decrease(self._waiting, key)

    def left(self) -> None:
        self._total -= 1

    # -- logins

    def check_login(self, address: str, credentials: Any) -> LimitExceeded | None:
        """
        Why C{credentials} are not even looked at; C{None} if they are.
        """
        key, name = key_of(address), _name(credentials)
        if self._failures_of_address is not None and key is not None and self._failures_of_address.is_full(key):
            return LimitExceeded("maxFailedLoginsPerAddress", "too many failed logins from this address")
        if self._failures_of_user is not None and name is not None and self._failures_of_user.is_full(name):
            return LimitExceeded("maxFailedLoginsPerUser", "too many failed logins of this user")
        return None

    def login_failed(self, address: str, credentials: Any) -> None:
        """
        They were refused.
        """
        key, name = key_of(address), _name(credentials)
        if self._failures_of_address is not None and key is not None:
            self._failures_of_address.add(key)
        if self._failures_of_user is not None and name is not None:
            self._failures_of_user.add(name)

    def login_succeeded(self, credentials: Any) -> None:
        """
        They were accepted: whoever knows the password may mistype it again.
        """
        name = _name(credentials)
        if self._failures_of_user is not None and name is not None:
            self._failures_of_user.clear(name)

    # -- the log

    def tell(self, exceeded: LimitExceeded, client: dict[str, Any]) -> None:
        """
        Log that a client is refused.

        @param client: the fields of lines about it, see L{dstwist.log.about}.
        """
        self._log.warn(
            "LIMIT_EXCEEDED | {limit}: {client} refused: {text}",
            limit=exceeded.limit,
            text=exceeded.text,
            event="LIMIT_EXCEEDED",
            **client,
        )

    def stop(self) -> None:
        """
        Forget what is remembered for a time.
        """
        for window in (self._arrivals, self._failures_of_address, self._failures_of_user):
            if window is not None:
                window.stop()


def _name(credentials: Any) -> str | None:
    name = credentials.get("username") if isinstance(credentials, dict) else None
    return name[:_LONGEST_NAME] if isinstance(name, str) else None


def _window(most: int | None, seconds: float, clock: IReactorTime) -> Window | None:
    return None if most is None else Window(most, seconds, clock)


def _decrease(counts: dict[str, int], key: str) -> None:
    if counts[key] == 1:
        del counts[key]
    else:
        counts[key] -= 1


def too_many_of_user(most: int) -> LimitExceeded:
    """
    Why a connection is refused whose user has C{most} others.
    """
    return LimitExceeded("maxConnectionsPerUser", f"there are {most} connections of this user already")
