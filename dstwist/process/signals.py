"""
The signals of the server.

==================  ============================  ==================================================================
signal              before the server is ready    after that
==================  ============================  ==================================================================
SIGHUP              remembered                    the configuration is read again
SIGUSR1             remembered                    the log file is reopened
SIGUSR2             ignored                       the figures are written to the log
SIGTERM, SIGINT     ends a process that has       the first one stops the server in order, with exit status 0. Others
                    opened nothing; later as      within a second are ignored: a service manager and a terminal may both
                    on the right                  send one. A later one ends the process at once
==================  ============================  ==================================================================

By default, the system ends a process by each of these signals. So L{hold} is called before anything else is imported;
this module itself imports little.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

#: How long further requests to stop are ignored after the first one, in seconds.
REPEATED_SIGNAL_SECONDS = 1.0

_held: set[int] = set()


def hold() -> None:
    """
    Remember the signals that the server acts on when it is ready, and ignore SIGUSR2 until then.

    SIGINT ends the process as SIGTERM does, without the traceback of a C{KeyboardInterrupt}.
    """
    for number in (signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, _hold)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ignore() -> None:
    """
    Ignore all signals. The server has stopped, and a signal would change the exit status while Python ends.
    """
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def _hold(number: int, frame: object) -> None:
    _held.add(number)


class Signals:
    """
    The reactions to signals.

    @param reactor: an C{IReactorFromThreads}. Signals arrive anywhere in the code, so the reactor calls all reactions.
    @param reload: reads the configuration again.
    @param stop: stops the server; called with the name of the signal.
    @param quit: ends the process at once, with a status.
    @param reopen: functions that reopen the log file.
    @param log_figures: writes the figures to the log.
    """

    def __init__(
        self,
        reactor: Any,
        reload: Callable[[], object],
        stop: Callable[[str], object],
        quit: Callable[[int], object],
        reopen: Sequence[Callable[[], object]],
        log_figures: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reactor = reactor
        self._reload = reload
        self._stop = stop
        self._quit = quit
        self._reopen = reopen
        self._log_figures = log_figures
        self._clock = clock
        self._stopping_since: float | None = None

    def take_stops(self) -> None:
        """
        From now on the server can be stopped in order. If the reactor does not run yet, it stops when it does.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.on_stop)

    def take_all(self) -> None:
        """
        The server is ready: react to the signals that came before as well.
        """
        signal.signal(signal.SIGHUP, self.on_reload)
        signal.signal(signal.SIGUSR1, self.on_reopen)
        signal.signal(signal.SIGUSR2, self.on_figures)
        for number, handler in ((signal.SIGUSR1, self.on_reopen), (signal.SIGHUP, self.on_reload)):
            if number in _held:
                _held.discard(number)
                handler(number, None)

    def on_reload(self, number: int, frame: object) -> None:
        if self._stopping_since is None:
            self._reactor.callFromThread(self._reload)

    def on_reopen(self, number: int, frame: object) -> None:
        for reopen in self._reopen:
            self._reactor.callFromThread(reopen)

    def on_figures(self, number: int, frame: object) -> None:
        self._reactor.callFromThread(self._log_figures)

    def on_stop(self, number: int, frame: object) -> None:
        now = self._clock()
        if self._stopping_since is None:
            self._stopping_since = now
            self._reactor.callFromThread(self._stop, signal.Signals(number).name)
        elif now - self._stopping_since >= REPEATED_SIGNAL_SECONDS:
            self._quit(128 + number)
