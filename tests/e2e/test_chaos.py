"""
A cluster keeps its promises while its nodes, its Redis and their connections fail.

These are few faults; C{make chaos} has many.
"""

from __future__ import annotations

from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from tests.e2e.chaos.book import Book
from tests.e2e.chaos.run import ChaosTest
from tests.tcp_proxy import TCPProxy

LENGTHY = True

FAULTS = 20

#: The faults are the same in each run; what happens meanwhile is not.
SEED = 16


class ChaosTests(TestCase):
    """
    Three nodes, and clients of all topics.
    """

    timeout = 600

    async def chaos(self, faults: int, seed: int, kinds: tuple[str, ...] | None = None, patience: float = 30) -> Book:
        logs = Path(self.mktemp()).absolute()
        logs.mkdir()
        lines: list[str] = []
        test = ChaosTest(reactor, logs, seed, lines.append, kinds, patience=patience)
        book = await test.run(faults)
        self.text = "\n".join([f"seed {seed}, logs in {logs}", *lines])
        return book

    async def test_promises(self) -> None:
        """
        After each fault all clients have what they must have, and were told nothing that is not so.
        """
        book = await self.chaos(FAULTS, SEED)
        self.assertEqual(book.problems, [], self.text)
        self.assertGreater(book.counts["calls with RESPONSE"], 100)
        for happened in ("joins", "writes acknowledged", "versions seen", "events", "names accepted"):
            self.assertGreater(book.counts[happened], 10, happened)

    async def test_noticed(self) -> None:
        """
        This test would notice: if a node never gets its bus back, clients miss what other nodes have.
        """
        self.patch(TCPProxy, "heal", lambda proxy: None)
        book = await self.chaos(1, 7, ("no network",), patience=5)
        self.assertNotEqual(book.problems, [])
