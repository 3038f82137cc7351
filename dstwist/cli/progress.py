"""
How far a command has come, as a line on a terminal.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import click

#: The least time between two lines, in seconds.
INTERVAL = 0.2


class Progress:
    """
    One line on the standard error, which is written anew from time to time. If the standard error is no terminal, there
    is none.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._terminal = sys.stderr.isatty()
        self._next = 0.0
        self._length = 0

    def show(self, text: Callable[[], str]) -> None:
        """
        Write a line, if the last one is old enough.
        """
        if self._terminal and (now := self._clock()) >= self._next:
            self._next = now + INTERVAL
            line = text()
            click.echo(f"\r{line:{self._length}}", err=True, nl=False)
            self._length = len(line)

    def clear(self) -> None:
        """
        Remove the line.
        """
        if self._length:
            click.echo(f"\r{'':{self._length}}\r", err=True, nl=False)
            self._length = 0

    def tell(self, text: str) -> None:
        """
        Write a text that stays.
        """
        self.clear()
        click.echo(text, err=True)


def size(count: int) -> str:
    """
    A number of bytes, for people.
    """
    return f"{count} bytes" if count < 10_000 else f"{count / 1e6:.4g} MB"


def number(count: int, thing: str = "record") -> str:
    """
    C{1 record}, C{2 records}.
    """
    return f"{count} {thing}{'' if count == 1 else 's'}"
