"""
Which connections are admitted: how many there are, from which address, and how fast new ones come.

::

    socket --enter--> a slot --at(address)--> counted there --logged_in--> --leave-->
              |                      |
              +----- refused --------+

Always true: a slot is counted once in the total and once at its address. Until its client has logged in, it is also
counted among the unauthenticated slots of that address. An address without a slot is not remembered for longer than a
second. Each limit is one of C{limits}; C{None} is no limit.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from dstwist.config.limits import LimitSettings
from dstwist.limits.addresses import key_of
from dstwist.limits.bans import Bans
from dstwist.limits.exceeded import LimitExceeded
from dstwist.limits.window_counter import window_counter


class ConnectionSlot:
    """
    The slot of one connection.
    """

    __slots__ = ("_admission", "_key", "_unauthenticated")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._key: str | None = None
        self._unauthenticated = True

    def at(self, address: str) -> LimitExceeded | None:
        """
        Count the connection at C{address}, and no longer at the address that was given before.

        @return: why it is refused; C{None} if it is not.
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
    The connection slots of one server.

    @param files: how many connections there may be if the settings do not say.
    @ivar bans: the addresses that are refused.
    """

    def __init__(
        self, settings: LimitSettings, clock: IReactorTime, files: int | None = None, bans: Bans | None = None
    ) -> None:
        self.bans = bans if bans is not None else Bans(clock.seconds)
        self._settings = settings
        self._most = settings.max_connections or files
        self._total = 0
        # By address: all connections, and those that have not logged in.
        self._all: dict[str, int] = {}
        self._unauthenticated: dict[str, int] = {}
        self._arrivals = window_counter(settings.max_connection_rate_per_address, 1.0, clock)

    @property
    def total(self) -> int:
        """
        How many connections there are.
        """
        return self._total

    @property
    def most(self) -> int | None:
        """
        How many there may be; C{None} for any number.
        """
        return self._most

    def enter(self) -> ConnectionSlot | LimitExceeded:
        """
        A slot for one more connection, or why there is none.
        """
        if self._most is not None and self._total >= self._most:
            return LimitExceeded("maxConnections", f"There are {self._most} connections already.", server_wide=True)
        self._total += 1
        return ConnectionSlot(self)

    def claim(self, key: str) -> LimitExceeded | None:
        """
        Count one more connection that is not logged in at the address C{key}.

        @return: why it is refused, and not counted; C{None} if it is not refused.
        """
        banned = self.bans.check_address(key)
        if banned is not None:
            return banned
        settings = self._settings
        if self._arrivals is not None:
            if self._arrivals.is_full(key):
                text = f"More than {settings.max_connection_rate_per_address} connections a second from this address."
                return LimitExceeded("maxConnectionRatePerAddress", text)
            self._arrivals.add(key)
        count, most = self._all.get(key, 0), settings.max_connections_per_address
        if most is not None and count >= most:
            return LimitExceeded("maxConnectionsPerAddress", f"There are {most} connections from this address already.")
        unauthenticated, most = self._unauthenticated.get(key, 0), settings.max_unauthenticated_per_address
        if most is not None and unauthenticated >= most:
            text = f"There are {most} connections from this address that have not logged in."
            return LimitExceeded("maxUnauthenticatedPerAddress", text)
        self._all[key] = count + 1
        self._unauthenticated[key] = unauthenticated + 1
        return None

    def release(self, key: str, unauthenticated: bool) -> None:
        """
        Count one connection less at the address C{key}.
        """
        _decrease(self._all, key)
        if unauthenticated:
            _decrease(self._unauthenticated, key)

    def logged_in(self, key: str) -> None:
        """
        A client at the address C{key} has logged in.
        """
        _decrease(self._unauthenticated, key)

    def left(self) -> None:
        """
        A connection is gone.
        """
        self._total -= 1

    def stop(self) -> None:
        """
        Forget how fast connections came, and cancel the timer.
        """
        if self._arrivals is not None:
            self._arrivals.stop()


def _decrease(counts: dict[str, int], key: str) -> None:
    if counts[key] == 1:
        del counts[key]
    else:
        counts[key] -= 1
