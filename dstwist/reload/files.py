"""
Files that change while the server runs.

A timer looks at the size and the time of each file. A change counts when two looks in a row find the same size and
time, so that a program has the time to write several files, or a large one.
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

    @param files: returns the paths; called at each look.
    @param changed: called after each change. The log has its exceptions.
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
        """
        Look no more.
        """
        call, self._call = self._call, None
        if call is not None:
            call.stop()

    def reset(self) -> None:
        """
        The caller is about to read the files, so their present state counts as known.
        """
        self._seen, self._unsettled = self._look_of_files(), None

    def _look(self) -> None:
        looks = self._look_of_files()
        if looks == self._seen:
            self._unsettled = None
        elif looks != self._unsettled:
            # A program may still be writing.
            self._unsettled = looks
        else:
            self.reset()
            try:
                self._changed()
            except Exception:
                self._log.failure("reading the changed files failed")

    def _look_of_files(self) -> tuple[object, ...]:
        """
        A value that is another one after each change of a file.
        """
        return tuple(_looks(path) for path in self._files())


def _looks(path: str) -> object:
    try:
        found = os.stat(path)
    except OSError as error:
        return path, error.errno
    return path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
