"""
Many histories, from the command line::

    python -m tests.cluster.simulation.run [histories [first seed]]

It prints each history in which something was wrong, with its seed, and exits with 1 then.
"""

from __future__ import annotations

import sys
import time
from collections import Counter

from tests.cluster.simulation.world import Plan, World

DEFAULT_HISTORIES = 1000


def plan_of(seed: int) -> Plan:
    """
    The plan of the history with C{seed}: 2 to 5 nodes. In each fourth history the store of the table goes back, and in
    each fifth records are not compared.
    """
    kinds = Plan.kinds
    if not seed % 4:
        kinds = kinds | {"empty", "copy"}
    return Plan(nodes=2 + seed % 4 if seed % 3 else 3, kinds=kinds, compares=seed % 5 > 0)


def main(arguments: list[str]) -> int:
    histories = int(arguments[0]) if arguments else DEFAULT_HISTORIES
    first = int(arguments[1]) if len(arguments) > 1 else 0
    found: Counter[str] = Counter()
    began = time.process_time()
    for seed in range(first, first + histories):
        wrong = World(seed, plan_of(seed)).run().wrong
        found.update(wrong.keys())
        for text, count in wrong.items():
            sys.stdout.write(f"seed {seed}: {text} ({count})\n")
        sys.stdout.flush()
    seconds = time.process_time() - began
    sys.stdout.write(f"{histories} histories from seed {first}, {seconds:.1f} s of CPU\n")
    for text, count in found.most_common():
        sys.stdout.write(f"{count:6d} histories: {text}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
