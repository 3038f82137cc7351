"""
The part of a page that a program writes: it stands between two comments.
"""

from __future__ import annotations

from pathlib import Path

from bench.peers import CHECKOUT

PAGE = CHECKOUT / "docs" / "performance.rst"
IMAGES = CHECKOUT / "docs" / "images"

BEGIN = ".. What follows is written by: make bench DOCS=1"
END = ".. That is all of it."


class NoPart(Exception):
    """
    The page has no such part.
    """


def replaced(page: str, part: str) -> str:
    """
    C{page} with C{part} in the place of what stood between the comments.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise NoPart(f"The page needs a line {BEGIN!r}, and below it a line {END!r}.")
    return f"{before}{begin}\n\n{part.strip()}\n\n{end}{after}"


def write(part: str, page: Path = PAGE) -> None:
    page.write_text(replaced(page.read_text(encoding="utf-8"), part), encoding="utf-8")
