"""
Kills a server under load again and again, and sees what it remembers: L{tests.e2e.crash}::

    seed 2763081
    50 kills: 31231 writes acknowledged, 0 of them lost; 174225 versions seen, 0 gone back; 0 problems

The exit status is 0 only if there are no problems. With the same seed clients ask for the same, and the server is
killed after as many acknowledgements.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.e2e.crash import run


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill a server under load, and see what it remembers.")
    parser.add_argument("--rounds", type=int, default=50, help="how often")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)

    def progress(rounds: int) -> None:
        if sys.stdout.isatty():
            print(f"\r{rounds} kills", end="", flush=True)

    with tempfile.TemporaryDirectory(prefix="dstwist-crash-") as directory:
        book = run(arguments.rounds, arguments.seed, Path(directory), progress=progress)
    for problem in book.problems[:50]:
        print(f"\r{problem}")
    print(f"\r{arguments.rounds} kills: {book}")
    return 1 if book.problems else 0


if __name__ == "__main__":
    sys.exit(main())
