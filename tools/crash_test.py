"""
Kills a server under load again and again, and sees what it remembers: L{tests.e2e.crash}::

    seed 2763081
    50 rounds: 31231 writes acknowledged, 0 of them lost, 0 refused; 174225 versions seen, 0 gone back; ...; 0 problems

With a Redis as the store, the server is killed, the Redis is killed, and the Redis is stopped for a while (SIGSTOP) in
turn, each as often as C{--rounds} says. The exit status is 0 only if there are no problems. With the same seed clients
ask for the same, and the server is killed after as many acknowledgements.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.e2e.crash import CrashTest
from tests.e2e.crash_redis import KINDS, RedisCrashTest
from tests.e2e.crash_sqlite import SqliteCrashTest


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill a server under load, and see what it remembers.")
    parser.add_argument("--rounds", type=int, default=50, help="how often")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument(
        "--store",
        choices=("sqlite", "redis", "redis-cache"),
        default="sqlite",
        help="a file, a Redis as the storage, or a Redis as the cache without a storage",
    )
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)

    def progress(rounds: int) -> None:
        if sys.stdout.isatty():
            print(f"\r{rounds} rounds", end="", flush=True)

    rounds = arguments.rounds
    with tempfile.TemporaryDirectory(prefix="dstwist-crash-") as name:
        directory = Path(name)
        test: CrashTest
        if arguments.store == "sqlite":
            test = SqliteCrashTest(directory, arguments.seed)
        else:
            tier = "cache" if arguments.store == "redis-cache" else "storage"
            test = RedisCrashTest(directory, arguments.seed, tier)
            rounds *= KINDS
        book = test.run(rounds, progress)
    for problem in book.problems[:50]:
        print(f"\r{problem}")
    print(f"\r{rounds} rounds: {book}")
    return 1 if book.problems else 0


if __name__ == "__main__":
    sys.exit(main())
