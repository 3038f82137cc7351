"""
Files that change while the server runs.

They are looked at every now and then. A change counts once they look the same twice in a row, so that nobody has to
write several files, or one large one, in one instant.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.task import LoopingCall

from dstwist.log import Logger


class FileWatch:
    """
    Calls C{changed} when one of some files has changed.

    @param files: gives their paths; asked again at each look.
    @param changed: a call of it that fails is logged, and not the last one.
    """

    _log = Logger()

    def __init__(self, files: Callable[[], Iterable[str]], changed: Callable[[], object]) -> None:
        self._files = files
        self._changed = changed
        self._seen = self._look_of_files()
        self._unsettled: object = None
        self._call: LoopingCall | None = None

    def start(self, interval: float, clock: Any) -> None:
        """
        Look every C{interval} seconds.
        """
        self._call = LoopingCall(self._look)
        self._call.clock = clock
        self._call.start(interval, now=False)

    def stop(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.stop()

    def reset(self) -> None:
        """
        The files are about to be read: how they look now is no change any more.
        """
        self._seen, self._unsettled = self._look_of_files(), None

    def _look(self) -> None:
        looks = self._look_of_files()
        if looks == self._seen:
            self._unsettled = None
        elif looks != self._unsettled:
            # Perhaps somebody is still writing.
            self._unsettled = looks
        else:
            self.reset()
            try:
                self._changed()
            except Exception:
                self._log.failure("reading files again that have changed failed")

    def _look_of_files(self) -> tuple[object, ...]:
        """
        What changes whenever one of the files does.
        """
        return tuple(_looks(path) for path in self._files())


def _looks(path: str) -> object:
    try:
        found = os.stat(path)
    except OSError as error:
        return path, error.errno
    return path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
