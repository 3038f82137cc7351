"""
Neither a server that is killed forgets anything that its clients were told, nor does it when its Redis is killed.

These are few rounds; C{make crash-test STORE=redis} has many.
"""

from __future__ import annotations

import random
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.crash_book import Book
from tests.e2e.crash_redis import KINDS, RedisCrashTest

ROUNDS = 2 * KINDS


class CrashTests(SynchronousTestCase):
    """
    SIGKILL or SIGSTOP at random moments.
    """

    def crash(self, rounds: int, seed: int, tier: str, durable: bool = True) -> Book:
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        return RedisCrashTest(directory, seed, tier, durable).run(rounds)

    def check(self, tier: str) -> None:
        seed = random.SystemRandom().getrandbits(32)
        book = self.crash(ROUNDS, seed, tier)
        self.assertEqual(book.problems, [], f"seed {seed}: {book}")
        self.assertGreater(book.acknowledgements, 20)
        self.assertGreater(book.observations, 20)
        self.assertGreater(book.revivals, 0)

    def test_storage(self) -> None:
        """
        No acknowledged write is lost, and no reader ever sees a version go back. After an outage subscribers know what
        there is.
        """
        self.check("storage")

    def test_cache(self) -> None:
        """
        The same holds for a Redis that is the cache, and no storage behind it.
        """
        self.check("cache")

    def test_noticed(self) -> None:
        """
        This test would notice: of a Redis that keeps records in memory only, it finds the losses.
        """
        book = self.crash(2, 1, "storage", durable=False)
        self.assertGreater(book.lost, 0)
        self.assertGreater(book.gone_back, 0)
