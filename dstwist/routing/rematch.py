"""
Names for which no listener was found, and the next search for one.

Listeners that declined a name, were silent, or may not be told the name, are tried again every
C{listen.rematchInterval}, but not within C{listen.matchCooldown} of the last search that tried all listeners. Until
then, a search tries only the listeners that began to listen after that search.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.config.settings import ListenSettings
from dstwist.scheduling.time_slices import TimeSlices


class _Failure(NamedTuple):
    """
    A search that has tried all registrations in vain.

    @ivar time: when it ended.
    @ivar latest: registrations up to this number were tried, by this search or a later one.
    """

    time: float
    latest: int


class Rematch:
    """
    Remembers names for which no provider was found, and searches again.

    @param search: searches for a provider of a name among all listeners.
    @param busy: whether a name has a search.
    """

    def __init__(
        self,
        settings: ListenSettings,
        clock: IReactorTime,
        time_slices: TimeSlices,
        search: Callable[[str], None],
        busy: Callable[[str], bool],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._time_slices = time_slices
        self._search = search
        self._busy = busy
        self._failed: dict[str, _Failure] = {}
        self._running = False
        self._call: IDelayedCall | None = None

    def failed(self, name: str, latest: int) -> None:
        """
        All registrations up to number C{latest} were tried for C{name} in vain.
        """
        # The time stays: otherwise a listener that comes, declines and comes again would keep all others from being
        # tried again.
        failed = self._failed.get(name)
        time = self._clock.seconds() if failed is None else failed.time
        self._failed[name] = _Failure(time, latest)

    def tried_up_to(self, name: str) -> int:
        """
        The number up to which registrations were tried for C{name} in vain; 0 if there are none.
        """
        failed = self._failed.get(name)
        return 0 if failed is None else failed.latest

    def forget(self, name: str) -> None:
        """
        C{name} has a provider, or no subscriber any more.
        """
        self._failed.pop(name, None)

    def start(self) -> None:
        """
        Start the timer, if it does not run.
        """
        interval = self._settings.rematch_interval
        if interval is not None and self._call is None:
            self._call = self._clock.callLater(interval, self._run)

    def stop(self) -> None:
        """
        Stop the timer.
        """
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _run(self) -> None:
        self._call = None
        self.start()
        if not self._running:
            self._running = True
            self._time_slices.do(self._due())

    def _due(self) -> Iterator[None]:
        try:
            now, cooldown = self._clock.seconds(), self._settings.match_cooldown
            for name in list(self._failed):
                failed = self._failed.get(name)
                # A search among new listeners may be running.
                if failed is not None and now - failed.time >= cooldown and not self._busy(name):
                    del self._failed[name]
                    self._search(name)
                yield
        finally:
            self._running = False
