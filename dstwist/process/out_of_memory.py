"""
The consequences of a MemoryError.

=====================================================  ================================================================
place                                                  consequence
=====================================================  ================================================================
reading JSON (L{dstwist.protocol.jsontext.Guarded})    the request is refused, before memory is short for all else, and
                                                       the log says so
in the thread of a store                               the read or write fails with a StoreError
where one connection or one read is served, and a      that connection is closed: nothing else has begun, and what the
large allocation failed                                connection had is released; the log line is I{contained}
anywhere else, or there is no room at all              the process ends, with L{EXIT_STATUS} and a line of the log
=====================================================  ================================================================

A MemoryError that interrupts the work at an unknown place may leave half of it done: a client that is not told of a
change, a timer that is not set again. A restart is safe at any moment, so the process ends. Twisted and our own code
log all exceptions that they do not expect, so L{Shortage} finds the MemoryErrors in the log.
"""

from __future__ import annotations

import mmap
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from twisted.logger import ILogObserver, LogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from dstwist.log import Logger, OperatorLogger, watch_failures
from dstwist.memory_limits import has_room
from dstwist.protocol.jsontext import refusals

#: The exit status of a process that has no memory left: C{EX_OSERR} of C{sysexits.h}.
EXIT_STATUS = 71

#: With less room than this, the reason is not one large allocation.
MIN_FREE_BYTES = 4 << 20

#: Kept back, so that the end can be logged.
RESERVED_BYTES = 4 << 20

_LAST_LOG_LINE = b"OUT_OF_MEMORY | the process has no memory left and ends\n"


@implementer(ILogObserver)
class Shortage:
    """
    Watches for MemoryErrors.

    @param end: ends the process at once with a status.
    @param room: whether the process can have that number of bytes in addition.
    """

    _log = OperatorLogger()
    _limited_log = Logger()

    def __init__(self, end: Callable[[int], object] = os._exit, room: Callable[[int], bool] = has_room) -> None:
        self._end = end
        self._room = room
        self._ending = False
        # It is never written to, so it takes only address space.
        self._reserve: mmap.mmap | None = mmap.mmap(-1, RESERVED_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    def install(self, publisher: LogPublisher) -> None:
        """
        Watch this process.
        """
        watch_failures(self)
        publisher.addObserver(self)
        refusals.append(self._refused)
        threading.excepthook = self._of_thread(threading.excepthook)
        sys.unraisablehook = self._of_unraisable(sys.unraisablehook)

    def __call__(self, event: dict[str, Any]) -> None:
        """
        Look at a line of the log.
        """
        failure = event.get("log_failure")
        if failure is None or not isinstance(failure.value, MemoryError):
            return
        if not event.get("contained") or not self._room(MIN_FREE_BYTES):
            self.end(failure)

    def _refused(self, size: int) -> None:
        self._limited_log.warn(
            "{event} | a JSON text of {size} bytes is refused: there is not enough memory",
            event="OUT_OF_MEMORY",
            size=size,
        )

    def end(self, failure: Failure | None) -> None:
        """
        End the process, and say why.
        """
        if self._ending:
            return
        self._ending = True
        reserve, self._reserve = self._reserve, None
        try:
            if reserve is not None:
                reserve.close()
            self._log.critical(
                "{event} | the process has no memory left; it ends with status {status}. The storage has all"
                " that was acknowledged. Allow more memory, or lower cache.options.maxBytes and the other limits",
                event="OUT_OF_MEMORY",
                status=EXIT_STATUS,
                **({} if failure is None else {"log_failure": failure}),
            )
        except MemoryError:
            os.write(2, _LAST_LOG_LINE)
        finally:
            self._end(EXIT_STATUS)

    def _of_thread(self, hook: Callable[..., Any]) -> Callable[..., Any]:
        def handle(arguments: threading.ExceptHookArgs) -> None:
            if issubclass(arguments.exc_type, MemoryError):
                self.end(None)
            hook(arguments)

        return handle

    def _of_unraisable(self, hook: Callable[..., Any]) -> Callable[..., Any]:
        def handle(arguments: Any) -> None:
            if arguments.exc_type is not None and issubclass(arguments.exc_type, MemoryError):
                self.end(None)
            hook(arguments)

        return handle


def grow_stack(depth: int = 300) -> int:
    """
    Grow the stack of the main thread now. With a limited address space it could not grow later, and the process would
    end by SIGSEGV.
    """
    # The key is called from C, so each level takes some of the stack, which stays when it returns.
    if depth:
        max((depth - 1,), key=grow_stack)
    return depth
