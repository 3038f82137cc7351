"""
Tests for L{dstwist.process.waking}: other threads wake the reactor.
"""

from __future__ import annotations

import gc
import os
import threading
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SkipTest, SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.process.waking import CounterWaker, light_wakes

try:
    from twisted.internet.epollreactor import EPollReactor
except ImportError:
    EPollReactor = None  # type: ignore[assignment, misc]


def _close(reactor: Any) -> None:
    for reader in [*reactor.removeAll(), *reactor._internalReaders]:
        reader.connectionLost(None)
    reactor._poller.close()


class LightWakeTests(SynchronousTestCase):
    """
    L{light_wakes}.
    """

    def setUp(self) -> None:
        if EPollReactor is None or not hasattr(os, "eventfd"):
            raise SkipTest("this system has no epoll or no eventfd")
        self.reactor: Any = EPollReactor()
        self.addCleanup(_close, self.reactor)
        self.assertTrue(light_wakes(self.reactor))

    def test_interface(self) -> None:
        verifyObject(IReadDescriptor, self.reactor.waker)
        self.assertEqual(self.reactor.waker.logPrefix(), "waker")

    def test_woken(self) -> None:
        """
        A call of another thread ends the wait of the reactor, and is made in its turn. One read takes all wakes.
        """
        called: list[int] = []
        for number in range(2):
            thread = threading.Thread(target=self.reactor.callFromThread, args=(called.append, number))
            thread.start()
            thread.join()
        # Without the wake, this would last for ever.
        self.reactor.doIteration(None)
        self.reactor.runUntilCurrent()
        self.assertEqual(called, [0, 1])
        self.assertEqual(self.reactor._poller.poll(0, 10), [])

    def test_again(self) -> None:
        """
        The reactor can be woken again and again.
        """
        for _ in range(3):
            self.reactor.wakeUp()
            self.assertEqual(len(self.reactor._poller.poll(0, 10)), 1)
            self.reactor.doIteration(0)
            self.assertEqual(self.reactor._poller.poll(0, 10), [])

    def test_read_already(self) -> None:
        """
        A read without a wake has no effect.
        """
        self.assertIsNone(self.reactor.waker.doRead())
        self.reactor.wakeUp()
        self.assertEqual(len(self.reactor._poller.poll(0, 10)), 1)

    def test_stays(self) -> None:
        """
        The waker is one of the reactor's own readers: it stays when all others are removed.
        """
        self.assertEqual(self.reactor.removeAll(), [])
        self.reactor.wakeUp()
        self.assertEqual(len(self.reactor._poller.poll(0, 10)), 1)

    def test_once(self) -> None:
        """
        A reactor that has a L{CounterWaker} keeps it.
        """
        waker = self.reactor.waker
        self.assertFalse(light_wakes(self.reactor))
        self.assertIs(self.reactor.waker, waker)

    def test_descriptors(self) -> None:
        """
        The pipe is closed, and the counter at the end. To close it twice has no effect.
        """
        # It may close files that earlier tests have left open.
        gc.collect()
        before = len(os.listdir("/dev/fd"))
        reactor: Any = EPollReactor()
        self.addCleanup(_close, reactor)
        self.assertTrue(light_wakes(reactor))
        # That of the poller, and that of the counter.
        self.assertEqual(len(os.listdir("/dev/fd")), before + 2)
        waker = reactor.waker
        waker.connectionLost(None)
        waker.connectionLost(None)
        self.assertEqual(waker.fileno(), -1)
        self.assertEqual(len(os.listdir("/dev/fd")), before + 1)

    def test_no_counter(self) -> None:
        """
        On a system without such counters, the reactor keeps its pipe.
        """
        for error in (AttributeError, OSError):

            def missing(*arguments: int, error: type[Exception] = error) -> int:
                raise error

            self.patch(os, "eventfd", missing)
            other: Any = EPollReactor()
            pipe = other.waker
            self.assertFalse(light_wakes(other))
            self.assertIs(other.waker, pipe)
            _close(other)

    def test_others(self) -> None:
        """
        No other reactor is touched, a subclass included.
        """

        class Special(EPollReactor):
            pass

        special: Any = Special()
        self.addCleanup(_close, special)
        self.assertFalse(light_wakes(special))
        self.assertNotIsInstance(special.waker, CounterWaker)
        self.assertFalse(light_wakes(MemoryReactorClock()))
