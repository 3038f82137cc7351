"""
Names for which a provider was looked for in vain, and the next time that one is looked for.

Listeners that declined a name, were silent, or were not allowed to hear of it, are asked again every
C{listen.rematchInterval}, but not within C{listen.matchCooldown} of the last time that all were asked. Until then a
search is only for listeners that have come since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.config.settings import ListenSettings
from dstwist.scheduling.time_slices import TimeSlices


class _Failure(NamedTuple):
    """
    All registrations were asked in vain.

    @ivar time: when.
    @ivar latest: registrations up to this number were asked, then or later.
    """

    time: float
    latest: int


class Rematch:
    """
    Remembers names without success, and has them searched again.

    @param search: look for a provider of a name among all who listen.
    @param busy: whether a search for a name is under way.
    """

    def __init__(
        self,
        settings: ListenSettings,
        clock: IReactorTime,
        slices: TimeSlices,
        search: Callable[[str], None],
        busy: Callable[[str], bool],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._slices = slices
        self._search = search
        self._busy = busy
        self._failed: dict[str, _Failure] = {}
        self._running = False
        self._call: IDelayedCall | None = None

    def failed(self, name: str, latest: int) -> None:
        """
        All registrations up to number C{latest} were asked about C{name} in vain.
        """
        # A listener that comes, declines, and comes again must not keep all others from being asked: the time stays.
        failed = self._failed.get(name)
        time = self._clock.seconds() if failed is None else failed.time
        self._failed[name] = _Failure(time, latest)

    def tried(self, name: str) -> int:
        """
        Registrations up to which number were asked about C{name} in vain; 0 if all may be asked.
        """
        failed = self._failed.get(name)
        return 0 if failed is None else failed.latest

    def forget(self, name: str) -> None:
        self._failed.pop(name, None)

    def start(self) -> None:
        """
        Have a timer from now on, if there is none.
        """
        interval = self._settings.rematch_interval
        if interval is not None and self._call is None:
            self._call = self._clock.callLater(interval, self._run)

    def stop(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _run(self) -> None:
        self._call = None
        self.start()
        if not self._running:
            self._running = True
            self._slices.do(self._due())

    def _due(self) -> Iterator[None]:
        try:
            now, cooldown = self._clock.seconds(), self._settings.match_cooldown
            for name in list(self._failed):
                failed = self._failed.get(name)
                # While new listeners are being asked about it nobody else is.
                if failed is not None and now - failed.time >= cooldown and not self._busy(name):
                    del self._failed[name]
                    self._search(name)
                yield
        finally:
            self._running = False
