"""
The longest turn of a server's reactor, in CPU time of the thread that runs it.

A server process runs this module's text before everything else and then calls L{install}: the server may be of another
checkout, which need not have this module. The CPU time of a turn does not depend on what else the machine does. It goes
into a file of eight bytes, which the measuring process reads and sets back to zero (L{TurnMeter}).
"""

from __future__ import annotations

import mmap
import struct
import time
from pathlib import Path
from typing import Any

_SECONDS = struct.Struct("d")


def install(path: str) -> None:
    """
    Write the longest turn of the reactor, in seconds, to the file at C{path}.
    """
    from twisted.internet import epollreactor

    with open(path, "r+b") as file:
        shared = mmap.mmap(file.fileno(), _SECONDS.size)

    class TimedPoller:
        """
        A poll object that notes how much CPU time passes between two polls.
        """

        def __init__(self, poller: Any) -> None:
            self._poller = poller
            self._began: float | None = None

        def __getattr__(self, name: str) -> Any:
            return getattr(self._poller, name)

        def poll(self, *arguments: Any) -> Any:
            if self._began is not None:
                seconds = time.thread_time() - self._began
                if seconds > _SECONDS.unpack_from(shared)[0]:
                    _SECONDS.pack_into(shared, 0, seconds)
            events = self._poller.poll(*arguments)
            self._began = time.thread_time()
            return events

    original = epollreactor.EPollReactor.__init__

    def patched(reactor: Any) -> None:
        original(reactor)
        reactor._poller = TimedPoller(reactor._poller)

    epollreactor.EPollReactor.__init__ = patched  # type: ignore[method-assign]


class TurnMeter:
    """
    The other side: makes the file and reads it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.reset()

    @property
    def program(self) -> str:
        """
        The text that the server process has to run first.
        """
        # Compiled by itself: it begins with an import from the future.
        return f"exec(compile({Path(__file__).read_text()!r}, 'turns.py', 'exec'))\ninstall({str(self._path)!r})"

    def reset(self) -> None:
        """
        Forget the longest turn so far.
        """
        if self._path.exists():
            with self._path.open("r+b") as file:
                file.write(_SECONDS.pack(0))
        else:
            self._path.write_bytes(_SECONDS.pack(0))

    def longest(self) -> float:
        """
        The longest turn since the last reset, in seconds.
        """
        seconds: float = _SECONDS.unpack(self._path.read_bytes())[0]
        return seconds
