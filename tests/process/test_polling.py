"""
Tests for L{dstwist.process.polling}: the number of events that the reactor serves in one turn.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from dstwist.process.polling import MAX_EVENTS_PER_TURN, BoundedPoller, bound_polls

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

    def close(self) -> None:
        os.close(self.descriptor)
        os.close(self._other)


class BoundedPollTests(SynchronousTestCase):
    """
    L{bound_polls}.
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
        self.assertTrue(bound_polls(self.reactor))
        self.add(MAX_EVENTS_PER_TURN + 10)
        self.reactor.doIteration(0)
        self.assertEqual(len(self.read), MAX_EVENTS_PER_TURN)
        self.reactor.doIteration(0)
        self.assertEqual(set(self.read[: len(self.readers)]), set(self.readers))

    def test_few(self) -> None:
        """
        If few are ready, one turn serves all of them.
        """
        bound_polls(self.reactor)
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
        asked: list[int] = []

        class Poller:
            register = modify = unregister = None

            def poll(self, timeout: float, events: int) -> list[tuple[int, int]]:
                asked.append(events)
                return []

        poller = BoundedPoller(Poller(), 5)
        for events in (3, 5, 8):
            poller.poll(0.0, events)
        self.assertEqual(asked, [3, 5, 5])

    def test_others(self) -> None:
        """
        No other reactor is touched, a subclass included.
        """

        class Special(EPollReactor):
            pass

        special: Any = Special()
        poller = special._poller
        self.assertFalse(bound_polls(special))
        self.assertIs(special._poller, poller)
        for reader in special.removeAll():
            reader.connectionLost(None)
        poller.close()
        self.assertFalse(bound_polls(MemoryReactorClock()))
