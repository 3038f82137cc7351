"""
A server that is killed while it is busy forgets nothing that anybody was told.

These are few rounds; C{make crash-test} has many.
"""

from __future__ import annotations

import random
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.crash_sqlite import SqliteBook, SqliteCrashTest

ROUNDS = 5


class CrashTests(SynchronousTestCase):
    """
    SIGKILL at random moments.
    """

    def crash(self, rounds: int, seed: int, config: str | None = None) -> SqliteBook:
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        path = None
        if config is not None:
            path = directory / "config.yml"
            path.write_text(config)
        test = SqliteCrashTest(directory, seed, path)
        test.run(rounds)
        return test.book

    def test_nothing_lost(self) -> None:
        """
        No acknowledged write is lost, and no reader ever sees a version go back.
        """
        seed = random.SystemRandom().getrandbits(32)
        book = self.crash(ROUNDS, seed)
        self.assertEqual(book.problems, [], f"seed {seed}: {book}")
        self.assertGreater(book.acknowledgements, 20)
        self.assertGreater(book.unfolded, 0)
        self.assertGreater(book.observations, 20)
        self.assertGreater(book.revivals, 0)

    def test_less_careful(self) -> None:
        """
        The same holds with C{synchronous: normal}, which gives up something for a power failure only, and with a cache
        so small that most of what is read comes from the storage.
        """
        seed = random.SystemRandom().getrandbits(32)
        config = "storage: {type: sqlite, options: {synchronous: normal}}\ncache: {options: {maxEntries: 3}}\n"
        book = self.crash(ROUNDS, seed, config)
        self.assertEqual(book.problems, [], f"seed {seed}: {book}")

    def test_noticed(self) -> None:
        """
        This test would notice: of a server that keeps records in memory only, it finds the losses.
        """
        book = self.crash(3, 1, "storage: {type: memory}\n")
        self.assertGreater(book.lost, 0)
        self.assertGreater(book.gone_back, 0)
