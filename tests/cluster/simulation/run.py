"""
Many histories, from the command line::

    python -m tests.cluster.simulation.run [histories [first seed]]

It prints each history in which something was wrong, with its seed, and exits with 1 then.
"""

from __future__ import annotations

import sys
import time
from collections import Counter

from tests.cluster.simulation.plan import Plan
from tests.cluster.simulation.world import World

DEFAULT_HISTORIES = 1000

#: After so many histories there is a line that says how many there were.
HISTORIES_PER_LINE = 500


#: The kinds of histories. Each puts some of the faults to the fore.
PLANS = {
    "all": Plan(),
    "two nodes": Plan(nodes=2),
    "five nodes": Plan(nodes=5),
    "store goes back": Plan(kinds=(*Plan.kinds, "empty", "copy")),
    "late store": Plan(kinds=("sleep", "die", "cut", "leave"), late=0.25),
    "late verdicts": Plan(
        nodes=2, users=1, procedures=0, records=0, kinds=("sleep",), faults=0.08, sleeps=(1.9, 2.8), late_tables=0.5
    ),
    "bus loses": Plan(kinds=("cut", "apart"), loss=0.3),
    "bus repeats": Plan(kinds=("leave",), loss=0.0, duplicates=0.4),
    "machines are suspended": Plan(kinds=("suspend",), loss=0.0, late=0.2),
    "no comparison": Plan(compares=False, writes_again=True),
    "bus away": Plan(records=40, kinds=("bus", "cut"), faults=0.4, compares=False, loss=0.0, late=0.0),
    "store loses": Plan(
        users=1,
        procedures=0,
        records=20,
        touches=10,
        kinds=("lose",),
        faults=0.2,
        seconds=15.0,
        duplicates=0.0,
        loss=0.1,
    ),
    "store is emptied": Plan(
        users=1, procedures=0, records=20, touches=10, kinds=("flush",), seconds=15.0, duplicates=0.0, loss=0.1
    ),
    "store and bus lose": Plan(kinds=("lose", "flush", "bus", "cut", "sleep", "die"), faults=0.15, duplicates=0.0),
    "busy records": Plan(kinds=(), seconds=15.0, touches=30, compares=False, loss=0.0, late=0.05),
    "slow answers": Plan(
        users=2, records=6, kinds=(), seconds=10.0, rest=5.0, touches=6, compares=False, loss=0.0, late=0.0, slow=0.5
    ),
}


def plan_of(seed: int) -> Plan:
    """
    The plan of the history with C{seed}: the kinds take turns.
    """
    return list(PLANS.values())[seed % len(PLANS)]


def seed_of(plan: str, number: int) -> int:
    """
    The seed of a history of that kind.
    """
    return number * len(PLANS) + list(PLANS).index(plan)


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
        if not (seed + 1) % HISTORIES_PER_LINE:
            sys.stdout.write(f"{seed + 1 - first} histories, {time.process_time() - began:.1f} s of CPU\n")
        sys.stdout.flush()
    seconds = time.process_time() - began
    sys.stdout.write(f"{histories} histories from seed {first}, {seconds:.1f} s of CPU\n")
    for text, count in found.most_common():
        sys.stdout.write(f"{count:6d} histories: {text}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
