"""
Tests for L{dstwist.process.out_of_memory}.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from twisted.logger import Logger as TwistedLogger
from twisted.logger import LogPublisher
from twisted.trial.unittest import SynchronousTestCase

from dstwist import log
from dstwist.log import Logger
from dstwist.process import out_of_memory
from dstwist.process.out_of_memory import EXIT_STATUS, MIN_FREE_BYTES, Shortage, grow_stack
from dstwist.protocol import jsontext
from tests.logs import Lines


class ShortageTests(SynchronousTestCase):
    """
    L{Shortage}, with a process that does not end.
    """

    def setUp(self) -> None:
        self.ended: list[int] = []
        self.free = MIN_FREE_BYTES
        self.patch(log, "_failure_watchers", [])
        self.patch(jsontext, "refusals", [])
        self.patch(out_of_memory, "refusals", jsontext.refusals)
        for module, name in ((threading, "excepthook"), (sys, "unraisablehook")):
            self.patch(module, name, lambda arguments: None)
        self.publisher = LogPublisher()
        Shortage(self.ended.append, lambda size: size <= self.free).install(self.publisher)
        self.lines = Lines(self)

    def log(self, error: Exception, logger: Any = None, **fields: Any) -> None:
        try:
            raise error
        except type(error):
            (logger or Logger("test")).failure("that failed", **fields)
        self.flushLoggedErrors(type(error))

    def test_contained(self) -> None:
        """
        A large allocation that failed where one connection was served does not end the process.
        """
        self.log(MemoryError(), contained=True)
        self.assertEqual(self.ended, [])

    def test_not_contained(self) -> None:
        """
        Anywhere else it may have left something half done: the process ends, with the status, and the log says so.
        """
        self.log(MemoryError())
        self.assertEqual(self.ended, [EXIT_STATUS])
        self.assertIn(
            "OUT_OF_MEMORY | the process has no memory left; it ends with status 71", self.lines.of("critical")[0]
        )

    def test_no_room(self) -> None:
        """
        If there is no room at all, nothing can be contained.
        """
        self.free -= 1
        self.log(MemoryError(), contained=True)
        self.assertEqual(self.ended, [EXIT_STATUS])

    def test_other_failures(self) -> None:
        """
        Other failures end nothing.
        """
        self.log(ZeroDivisionError())
        self.assertEqual((self.ended, self.lines.of("critical")), ([], ["that failed"]))

    def test_not_written(self) -> None:
        """
        A MemoryError counts also if its line is below the log level.
        """
        self.patch(Logger, "_threshold", None)
        self.log(MemoryError())
        self.assertEqual(self.ended, [EXIT_STATUS])

    def test_of_others(self) -> None:
        """
        So is the line of another library, such as Twisted's about an exception in a timer.
        """
        self.log(MemoryError(), TwistedLogger("other", observer=self.publisher))
        self.assertEqual(self.ended, [EXIT_STATUS])

    def test_thread(self) -> None:
        """
        A thread that ends for lack of memory ends the process, which needs its work.
        """

        def work() -> None:
            raise MemoryError

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        self.assertEqual(self.ended, [EXIT_STATUS])

    def test_unraisable(self) -> None:
        """
        A MemoryError that Python cannot raise anywhere ends the process, too.
        """

        class Falling:
            def __del__(self) -> None:
                raise MemoryError

        Falling()
        self.assertEqual(self.ended, [EXIT_STATUS])

    def test_once(self) -> None:
        """
        The end is logged once, even if that fails for lack of memory again.
        """
        self.log(MemoryError())
        self.log(MemoryError())
        self.assertEqual(self.ended, [EXIT_STATUS])

    def test_refusals(self) -> None:
        """
        A text that was refused for lack of memory is a line of the log.
        """
        for told in jsontext.refusals:
            told(1234)
        self.assertEqual(
            self.lines.of("warn"), ["OUT_OF_MEMORY | a JSON text of 1234 bytes is refused: there is not enough memory"]
        )

    def test_stack(self) -> None:
        """
        Growing the stack comes back.
        """
        self.assertEqual(grow_stack(100), 100)
