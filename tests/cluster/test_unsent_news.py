"""
Tests for L{dstwist.cluster.unsent_news}.
"""

from __future__ import annotations

from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster import remembered_names, unsent_news
from dstwist.cluster.bus_memory import MemoryNetwork
from dstwist.cluster.unsent_news import UnsentNews
from dstwist.config.cluster import ClusterSettings
from tests.fakes import BusyClock


class UnsentNewsTests(SynchronousTestCase):
    """
    L{UnsentNews}.
    """

    def setUp(self) -> None:
        self.clock = BusyClock()
        self.bus = MemoryNetwork(self.clock).bus()
        self.told: list[str] = []
        self.unsent = UnsentNews(self.bus, self.clock, ClusterSettings(bus_notice_time=5), self.told.append)
        self.bus.start()

    def lose(self, names: str) -> None:
        self.bus.disconnect()
        for name in names:
            self.unsent.published(name)

    def test_back(self) -> None:
        """
        When the bus is back, other nodes are told to look at each record that was written meanwhile, once.
        """
        self.lose("aba")
        self.bus.reconnect()
        self.clock.advance(0)
        self.lose("")
        self.bus.reconnect()
        self.clock.advance(0)
        self.assertEqual(self.told, ["a", "b"])

    def test_noticed_late(self) -> None:
        """
        News that was published shortly before the bus was lost may not have left.
        """
        for name in "abc":
            self.unsent.published(name)
            for _ in range(4):
                self.clock.advance(1)
        self.lose("d")
        self.bus.reconnect()
        self.clock.advance(0)
        self.assertEqual(self.told, ["c", "d"])

    def test_quiet(self) -> None:
        """
        Without news no timer is left.
        """
        self.unsent.published("a")
        for _ in range(3):
            self.clock.advance(5)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_turns(self) -> None:
        """
        Many records are told in several turns. If the bus is lost again, the rest waits.
        """
        with patch.object(unsent_news, "NAMES_PER_TURN", 2):
            self.lose("abcde")
            self.bus.reconnect()
            self.clock.advance(0)
            self.assertEqual(self.told, ["a", "b"])
            self.bus.disconnect()
            self.clock.advance(0)
            self.assertEqual((self.told, len(self.unsent)), (["a", "b"], 3))
            self.bus.reconnect()
            for _ in range(3):
                self.clock.advance(0)
        self.assertEqual(self.told, list("abcde"))

    def test_limit(self) -> None:
        """
        Only so many names are remembered, also if most of them were published before the loss was noticed.
        """
        with patch.object(remembered_names, "MAX_NAMES", 2):
            for name in "abc":
                self.unsent.published(name)
            self.lose("cd")
        self.assertEqual(len(self.unsent), 2)

    def test_limit_of_bytes(self) -> None:
        """
        Only so many bytes of names are remembered.
        """
        with patch.object(remembered_names, "MAX_BYTES", 2000):
            for number in range(4):
                self.unsent.published(f"{number}" + "x" * 900)
            self.bus.disconnect()
            for number in range(4, 8):
                self.unsent.published(f"{number}" + "x" * 900)
        self.assertEqual(len(self.unsent), 3)

    def test_stop(self) -> None:
        """
        Nothing is told after the end.
        """
        self.lose("a")
        self.bus.reconnect()
        self.unsent.stop()
        self.clock.advance(0)
        self.assertEqual((self.told, self.clock.getDelayedCalls()), ([], []))

    def test_published_after_stop(self) -> None:
        """
        Writes that end after that start no timer, and neither does the bus.
        """
        self.unsent.stop()
        self.unsent.published("a")
        self.lose("b")
        self.bus.reconnect()
        self.assertEqual(self.clock.getDelayedCalls(), [])
