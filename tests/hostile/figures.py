"""
The figures of all measured attacks, as a table::

    python -m tests.hostile.figures [--checkout DIRECTORY] [--memory MIB] [NAME ...]

Each attack has a server of its own, of this checkout or of another one. C{wait} is the longest wait of a client that
does no harm; other programs on the machine lengthen it. C{turn} is the longest turn of the server's reactor, in CPU
time.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.e2e.server import CHECKOUT
from tests.hostile import attacks_outgoing, attacks_records, attacks_turns
from tests.hostile.measured import Figures, Measured, measure, table

ATTACKS: list[Measured] = [*attacks_records.ATTACKS, *attacks_outgoing.ATTACKS, *attacks_turns.ATTACKS]


def main() -> None:
    """
    Run them.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.figures")
    parser.add_argument("--checkout", type=Path, default=CHECKOUT, help="run the server of this checkout")
    parser.add_argument("--memory", type=int, default=5120, help="address space of the server, in MiB; 0: no limit")
    parser.add_argument("--list", action="store_true", help="only print the names")
    parser.add_argument("names", nargs="*", help="only these attacks (with _ in the place of blanks)")
    options = parser.parse_args()
    names = {name.replace("_", " ") for name in options.names}
    wanted = [measured for measured in ATTACKS if not names or measured.name in names]
    if options.list:
        sys.stdout.write("".join(f"{measured.name}\n" for measured in wanted))
        return
    all_figures: list[Figures] = []
    try:
        for measured in wanted:
            try:
                all_figures.append(measure(measured, options.checkout.resolve(), options.memory << 20))
            except Exception as error:
                sys.stderr.write(f"{measured.name}: not measured: {error!r}\n")
                continue
            sys.stderr.write(table(all_figures[-1:]).splitlines()[1] + "\n")
    finally:
        if all_figures:
            sys.stdout.write(table(all_figures) + "\n")


if __name__ == "__main__":
    main()
