"""
Regular expressions in rules: JavaScript's, matched in linear time (L{dstwist.patterns.javascript}), so that no text
from a client can block the server.

Look-around, back-references, properties of characters and the flags C{v} and C{d} are refused. Besides the differences
that L{dstwist.patterns.javascript} lists, these expressions differ from JavaScript:

- Without the flag C{u}, JavaScript takes a character above U+FFFF for two. Here it is one.
- A group within a repetition keeps the text that it matched in an earlier round.
- With C{i}, some letters are equal for the engine but not for JavaScript (the Kelvin sign and k). They cannot be
  matched: the rule fails, and denies. So do texts with other line ends than C{\\n}, with C{m}.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from dstwist.patterns.javascript import InvalidPattern, compile_expression
from dstwist.permission.valve.utf16 import length
from dstwist.permission.valve.values import Meter, Thrown, TooMuch
from dstwist.protocol.typed import UNDEFINED

#: The longest expression, and the longest text to be matched, in characters.
MAX_EXPRESSION_CHARACTERS = 1000
MAX_SUBJECT_CHARACTERS = 10_000

_FOLDED_OTHERWISE = re.compile(
    "[\u017f\u019b\u0264\u0390\u03b0\u03f4\u1c89\u1c8a\u1e9e\u1f80-\u1faf\u1fb3\u1fbc\u1fc3\u1fcc\u1fd3\u1fe3\u1ff3\u1ffc"
    "\u2126\u212a\u212b\ua7cb-\ua7dc\ufb05\ufb06]"
)
_OTHER_LINE_ENDS = re.compile("[\r\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Regex:
    """
    A regular expression as a value: C{/a/i}.
    """

    __slots__ = ("_compiled", "flags", "source")

    def __init__(self, source: str, flags: str = "") -> None:
        """
        @raise InvalidPattern: the source is no regular expression, or is not supported.
        """
        if len(source) > MAX_EXPRESSION_CHARACTERS:
            raise InvalidPattern(f"longer than {MAX_EXPRESSION_CHARACTERS} characters")
        if len(set(flags)) < len(flags) or not set(flags) <= set("gimsuy") or {"g", "y"} <= set(flags):
            raise InvalidPattern(f"invalid flags {flags}")
        if "i" in flags and _FOLDED_OTHERWISE.search(source):
            raise InvalidPattern("a letter that cannot be matched without regard to case")
        self.source = source
        self.flags = flags
        self._compiled = compile_expression(source, flags)

    def __str__(self) -> str:
        return f"/{self.source or '(?:)'}/{self.flags}"

    def match(self, text: str, meter: Meter) -> Match | list[str] | None:
        """
        The result of JavaScript's C{text.match(expression)}.
        """
        if len(text) > MAX_SUBJECT_CHARACTERS:
            raise TooMuch(f"a text of more than {MAX_SUBJECT_CHARACTERS} characters is not matched")
        if not text.isascii():
            text = self._checked(text)
        elif "m" in self.flags and "\r" in text:
            text = self._checked(text)
        meter.spend(1 + (len(text) >> 4))
        if "g" in self.flags:
            return [found.group(0) for found in self._compiled.finditer(text)] or None
        found = self._compiled.match(text) if "y" in self.flags else self._compiled.search(text)
        if found is None:
            return None
        groups = [UNDEFINED if group is None else group for group in found.groups()]
        return Match([found.group(0), *groups], length(text[: found.start()]), text)

    def _checked(self, text: str) -> str:
        if "i" in self.flags and _FOLDED_OTHERWISE.search(text):
            raise Thrown("TypeError: the text has letters that cannot be matched without regard to case")
        if "m" in self.flags and _OTHER_LINE_ENDS.search(text):
            raise Thrown("TypeError: the text has line ends that cannot be matched with the flag m")
        # The engine has no half characters.
        return _SURROGATE.sub("\ufffd", text)


class Match(list[Any]):
    """
    A match: the text, and the texts of its groups.
    """

    __slots__ = ("place", "text")

    def __init__(self, items: list[Any], place: int, text: str) -> None:
        super().__init__(items)
        self.place = float(place)
        self.text = text


@lru_cache(256)
def regex_of_text(source: str) -> Regex:
    """
    The expression for a text that is passed to C{match}.
    """
    try:
        return Regex(source)
    except InvalidPattern as error:
        raise Thrown(f"SyntaxError: Invalid regular expression: {error}") from None
