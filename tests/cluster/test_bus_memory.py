"""
Tests for L{dstwist.cluster.bus_memory}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock

from dstwist.cluster.bus_memory import MemoryBus, MemoryNetwork
from tests.cluster import bus_contract


class MemoryBusTests(bus_contract.BusContract):
    """
    L{MemoryNetwork} and its buses.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = MemoryNetwork(self.clock)
        self.start_both()

    def make(self) -> MemoryBus:
        return self.network.bus()

    def until(self, true: Callable[[], bool]) -> None:
        self.clock.advance(0)
        self.assertTrue(true())

    def disconnect(self, bus: Any) -> None:
        bus.disconnect()

    def reconnect(self, bus: Any) -> None:
        bus.reconnect()

    def test_later_turn(self) -> None:
        """
        A payload and a confirmation arrive in a later turn.
        """
        confirmed = self.bob.subscribe("news", self.receive("bob", "news"))
        self.assertNoResult(confirmed)
        self.clock.advance(0)
        self.successResultOf(confirmed)
        self.ann.publish("news", b"1")
        self.assertEqual(self.got, [])
        self.clock.advance(0)
        self.assertEqual(self.got, [("bob", "news", b"1")])

    def test_drop(self) -> None:
        """
        A bus that is lost drops payloads.
        """
        self.subscribe(self.ann, "news")
        self.bob.disconnect()
        self.bob.publish("news", b"1")
        self.bob.send("ann", b"2")
        self.bob.reconnect()
        self.until_ended(self.bob)
        self.assertEqual(self.got, [])
