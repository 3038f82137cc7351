"""
The command C{dstwist}, from its first instruction on.
"""

from __future__ import annotations

import sys

from dstwist.process.signals import hold


def main() -> None:
    """
    Do what the command line asks for.
    """
    if "start" in sys.argv[1:2]:
        # The imports take a second.
        hold()
    from dstwist.cli.main import main as command

    command(prog_name="dstwist")


if __name__ == "__main__":
    main()
