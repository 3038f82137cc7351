"""
Logins that end at a certain time, and the connection with them.
"""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.interfaces import IRequester
from dstwist.log import Logger, about
from dstwist.scheduling.clocks import wall_time

# The time of day may be set, so the time that is left is computed again at least this often, in seconds.
_MAX_WAIT_SECONDS = 60.0


class Expiry:
    """
    Closes a connection when its login ends.

    @param when: in seconds since 1970.
    """

    _log = Logger()

    def __init__(self, connection: IRequester, when: float, clock: IReactorTime) -> None:
        self._connection = connection
        self._when = when
        self._clock = clock
        self._wall_time = wall_time(clock)
        self._call: IDelayedCall | None = None
        connection.on_close(self._stop)
        self._await()

    def _await(self) -> None:
        wait = min(max(self._when - self._wall_time(), 0.0), _MAX_WAIT_SECONDS)
        self._call = self._clock.callLater(wait, self._check)

    def _check(self) -> None:
        self._call = None
        if self._wall_time() < self._when:
            self._await()
            return
        self._log.info(
            "AUTH_EXPIRED | the login of {client} has expired", event="AUTH_EXPIRED", **about(self._connection)
        )
        self._connection.close("login expired")

    def _stop(self, connection: IRequester) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None
