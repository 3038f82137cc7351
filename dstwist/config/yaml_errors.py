"""
Error texts for mistakes in YAML files that say how to correct them.

The parser describes an error in terms of its grammar. Most mistakes are of a few kinds: tabs, indents that do not fit,
a colon too few or too many, quotes and brackets that are not closed. This module explains these; other errors keep the
text of the parser.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class _Mistake(NamedTuple):
    """
    The error of the parser.

    @ivar problem: the text of the parser.
    @ivar line: the line of the error, counted from 0.
    @ivar column: its column, counted from 0.
    @ivar began: the line where the element began that the parser was reading; C{None} if unknown.
    @ivar lines: all lines of the file.
    """

    problem: str
    line: int
    column: int
    began: int | None
    lines: Sequence[str]

    @property
    def text(self) -> str:
        """
        The line.
        """
        return self.lines[self.line] if self.line < len(self.lines) else ""

    @property
    def before(self) -> str:
        """
        The last line before it that is not blank and no comment.
        """
        above = self.lines[: self.line]
        return next((line for line in reversed(above) if line.strip() and not line.lstrip().startswith("#")), "")


def explained(problem: str, mark: Any, context_mark: Any, text: str) -> str:
    """
    The error text for a mistake.

    @param problem: the text of the parser.
    @param mark: the place of the error.
    @param context_mark: the start of the element that the parser was reading.
    @param text: the text of the file.
    """
    if mark is None:
        return problem
    began = None if context_mark is None else context_mark.line
    mistake = _Mistake(problem, mark.line, mark.column, began, text.splitlines())
    for found, tell in _MISTAKES:
        if found in problem:
            return tell(mistake)
    return problem


def _tab(mistake: _Mistake) -> str:
    if not mistake.text[: mistake.column].strip():
        return "the line is indented with a tab; YAML takes spaces only, so replace all tabs at the start of lines"
    return "a tab in front of a value; use a space"


def _character(mistake: _Mistake) -> str:
    if "'\\t'" in mistake.problem:
        return _tab(mistake)
    character = mistake.text[mistake.column : mistake.column + 1]
    return f"a text cannot begin with {character}; put it in quotes"


def _block(mistake: _Mistake) -> str:
    begun = f" of the section that begins in line {mistake.began + 1}" if mistake.began is not None else ""
    return f"the indent of this line fits none{begun}; indent all keys of a section, or all - of a list, alike"


def _colon(mistake: _Mistake) -> str:
    text, before = mistake.text, mistake.before
    if ": " in text[: mistake.column] and text.strip():
        return 'a second colon in the line; put quotes around a text with ": " in it'
    if before and _indent(text) > _indent(before):
        if re.search(r":(\s|$)", before):
            return (
                "the line is indented more than the one before it, which has a value already; give both the same indent"
            )
        return f"a colon is missing behind {_shortened(before)} in the line before it"
    return "a colon is missing in the line before it, or the indent does not fit"


def _scalar(mistake: _Mistake) -> str:
    before = f" in line {mistake.began + 1}" if mistake.began is not None else " before it"
    return f"key: value expected; is there a colon missing{before}, with a space behind it?"


def _flow(mistake: _Mistake) -> str:
    begun = f"that is open since line {mistake.began + 1}" if mistake.began is not None else "that is open"
    hint = '; within { } or [ ] put quotes around "${NAME}"' if "'{'" in mistake.problem else ""
    return f"a comma is missing here, or the end of the {{ or [ {begun}{hint}"


def _end(mistake: _Mistake) -> str:
    begun = f" that open in line {mistake.began + 1}" if mistake.began is not None else ""
    return f"the file ends within quotes{begun}; close them"


_MISTAKES: Sequence[tuple[str, Callable[[_Mistake], str]]] = (
    ("cannot start any token", _character),
    ("expected <block end>", _block),
    ("did not find expected key", _block),
    ("mapping values are not allowed here", _colon),
    ("could not find expected ':'", _scalar),
    ("expected ',' or", _flow),
    ("unexpected end of stream", _end),
)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _shortened(line: str) -> str:
    text = line.strip()
    return text if len(text) <= 40 else f"{text[:40]}..."
