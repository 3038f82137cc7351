"""
Tests for L{dstwist.transports.accept_rate}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from dstwist.config.limits import LimitSettings
from dstwist.transports.accept_rate import AcceptRate, do_not_listen, listen
from tests.logs import Lines, limit_lines


class PaceTests(SynchronousTestCase):
    """
    Taking connections at a pace.
    """

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        # As much of a port as is looked at.
        self.port: Any = Factory()
        directlyProvides(self.port, IReadDescriptor)
        # One of another kind, which cannot be told to wait.
        self.ports: list[Any] = [self.port, object()]
        self.pace = AcceptRate(10, self.ports, self.reactor)
        listen(self.ports, self.reactor)

    @property
    def listening(self) -> bool:
        return self.port in self.reactor.readers

    def arrive(self, count: int) -> None:
        for _ in range(count):
            self.pace.arrived()

    def test_pace(self) -> None:
        """
        Ten at once are taken; after more, the port is left alone for as long as those would have taken.
        """
        self.arrive(10)
        self.assertTrue(self.listening)
        self.arrive(5)
        self.assertFalse(self.listening)
        self.reactor.advance(0.4)
        self.assertFalse(self.listening)
        self.reactor.advance(0.11)
        self.assertTrue(self.listening)
        self.reactor.advance(10)
        self.assertTrue(self.listening)

    def test_more_meanwhile(self) -> None:
        """
        Connections that were accepted in the same moment count, and make the pause longer.
        """
        self.arrive(11)
        self.arrive(10)
        self.reactor.pump([0.1] * 10)
        self.assertFalse(self.listening)
        self.reactor.pump([0.1] * 2)
        self.assertTrue(self.listening)

    def test_stop(self) -> None:
        """
        A server that stops does not listen again.
        """
        self.arrive(11)
        self.pace.stop()
        self.reactor.advance(10)
        self.assertFalse(self.listening)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_log(self) -> None:
        """
        A line says when it begins to happen, and not again while it lasts.
        """
        clock = limit_lines(self)
        lines = Lines(self)
        for _ in range(5):
            self.arrive(50)
            self.reactor.pump([1.0] * 5)
        self.assertEqual(
            lines.of("warn"),
            ["LIMIT_EXCEEDED | maxConnectionRate: more than 10 connections a second, new ones wait"],
        )
        clock.pump([LimitSettings().log_interval] * 2)
        self.reactor.advance(60.0)
        self.arrive(50)
        self.assertEqual(len(lines.of("warn")), 2)

    def test_listening(self) -> None:
        """
        Ports can be left alone, and looked at again.
        """
        do_not_listen(self.ports, self.reactor)
        self.assertFalse(self.listening)
        listen(self.ports, self.reactor)
        self.assertTrue(self.listening)
