"""
All attacks on a larger scale than a test run can afford, as a table::

    make hostile
    python -m tests.hostile [--scale N] [NAME ...]
"""

from __future__ import annotations

import argparse
import sys

from tests.hostile.campaign import campaign, complaints, name_of
from tests.hostile.stage import Cost, table


def main() -> int:
    """
    Run them.

    @return: how many cost more than a line in the log.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.hostile")
    parser.add_argument("--scale", type=int, default=10)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    names = {name.replace("_", " ") for name in options.names}
    costs: list[Cost] = []

    def tell(cost: Cost) -> None:
        costs.append(cost)
        sys.stderr.write(f"{cost.name}: {cost.seconds:.1f} s\n")

    try:
        campaign(options.scale, lambda attack: not names or name_of(attack) in names, tell)
    finally:
        if costs:
            sys.stdout.write(table(costs) + "\n")
    bad = [complaint for cost in costs for complaint in complaints(cost)]
    sys.stdout.write("".join(f"{complaint}\n" for complaint in bad))
    return len(bad)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
