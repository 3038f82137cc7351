"""
Tests for L{dstwist.process.polling}: how the reactor asks for events, and serves them.
"""

from __future__ import annotations

import os
from typing import Any
from unittest import mock

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from dstwist.process.polling import MAX_EVENTS_PER_TURN, Polling, light_polls
from tests.logs import Lines

try:
    from twisted.internet.epollreactor import EPollReactor
except ImportError:
    EPollReactor = None  # type: ignore[assignment, misc]


class _Reader:
    """
    A descriptor that can always be read from.

    @param read: told of each time that it is.
    """

    def __init__(self, read: list[_Reader]) -> None:
        self._read = read
        self.descriptor, self._other = os.pipe()
        os.write(self._other, b"x")

    def fileno(self) -> int:
        return self.descriptor

    def doRead(self) -> None:
        self._read.append(self)

    def logPrefix(self) -> str:
        return "reader"

    def connectionLost(self, reason: object) -> None:
        pass

    def close(self) -> None:
        os.close(self.descriptor)
        os.close(self._other)


class PollingTests(SynchronousTestCase):
    """
    L{light_polls}.
    """

    def setUp(self) -> None:
        if EPollReactor is None:
            raise SkipTest("this system has no epoll")
        self.reactor: Any = EPollReactor()
        self.addCleanup(self._close)
        self.read: list[_Reader] = []
        self.readers: list[_Reader] = []

    def _close(self) -> None:
        for reader in self.readers:
            self.reactor.removeReader(reader)
            reader.close()
        for reader in self.reactor.removeAll():
            reader.connectionLost(None)
        self.reactor._poller.close()

    def add(self, count: int) -> None:
        for _ in range(count):
            reader = _Reader(self.read)
            self.readers.append(reader)
            self.reactor.addReader(reader)

    def test_bound(self) -> None:
        """
        If more descriptors are ready than one turn serves, the others are served in the next turns, and each has been
        served before one is served again.
        """
        self.assertTrue(light_polls(self.reactor))
        self.add(MAX_EVENTS_PER_TURN + 10)
        self.reactor.doIteration(0)
        self.assertEqual(len(self.read), MAX_EVENTS_PER_TURN)
        self.reactor.doIteration(0)
        self.assertEqual(set(self.read[: len(self.readers)]), set(self.readers))

    def test_few(self) -> None:
        """
        If few are ready, one turn serves all of them.
        """
        light_polls(self.reactor)
        self.add(3)
        self.reactor.doIteration(0)
        self.assertEqual(len(self.read), 3)
        self.reactor.removeReader(self.readers[0])
        self.reactor.doIteration(0)
        self.assertEqual(len(self.read), 5)

    def test_least(self) -> None:
        """
        The bound is a ceiling: a poll is asked for no more events than the reactor wants.
        """
        asked: list[tuple[float, int]] = []

        class Poller:
            def poll(self, timeout: float, events: int) -> list[tuple[int, int]]:
                asked.append((timeout, events))
                return []

        polling = Polling(mock.Mock(_poller=Poller(), _selectables={}), 5)
        for count in (3, 5, 8):
            polling._selectables.update(dict.fromkeys(range(count)))
            polling.turn(0.5)
        polling.turn(None)
        self.assertEqual(asked, [(0.5, 3), (0.5, 5), (0.5, 5), (-1, 5)])

    def test_gone(self) -> None:
        """
        A descriptor that another event of the same turn has ended is not served.
        """
        light_polls(self.reactor)
        self.add(2)
        for reader, other in (self.readers, self.readers[::-1]):
            self.patch(reader, "doRead", lambda reader=reader, other=other: self._end(reader, other))
        self.reactor.doIteration(0)
        self.assertEqual(len(self.read), 1)

    def _end(self, reader: _Reader, other: _Reader) -> None:
        self.read.append(reader)
        self.reactor.removeReader(other)

    def test_failure(self) -> None:
        """
        A party that fails at its end is logged, and the others are served.
        """
        light_polls(self.reactor)
        self.add(3)

        def fail(*arguments: object) -> None:
            raise ValueError("a mistake")

        self.patch(self.readers[0], "doRead", lambda: ConnectionDone())
        self.patch(self.readers[0], "connectionLost", fail)
        lines = Lines(self)
        self.reactor.doIteration(0)
        self.assertEqual(len(self.read), 2)
        self.assertIn("serving an event failed", lines.of("critical")[0])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_others(self) -> None:
        """
        No other reactor is touched, a subclass included.
        """

        class Special(EPollReactor):
            pass

        special: Any = Special()
        self.assertFalse(light_polls(special))
        self.assertEqual(special.doIteration, special.doPoll)
        for reader in special.removeAll():
            reader.connectionLost(None)
        special._poller.close()
        self.assertFalse(light_polls(MemoryReactorClock()))
