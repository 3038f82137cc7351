"""
The patterns of names in a permissions file.

===============  ========================================================================
in a pattern     in a name
===============  ========================================================================
C{*}             any characters but line ends, or none
C{$id}           one or more characters other than C{/}: the path variable C{$id}
anything else    a regular expression, as deepstream has it: C{a.b} is also C{axb}
===============  ========================================================================

The whole name must match.
"""

from __future__ import annotations

import re
from typing import Any

from dstwist.errors import RuleError
from dstwist.patterns.javascript import InvalidPattern, compile_expression
from dstwist.permission.valve.utf16 import length
from dstwist.protocol.typed import UNDEFINED

#: The longest pattern, in characters.
MAX_PATTERN_CHARACTERS = 1000

_INVALID_VARIABLE = re.compile(r"\$[^a-zA-Z0-9]", re.S)
_VARIABLE = re.compile(r"\$[a-zA-Z0-9]+")
_LITERAL = re.compile(r"[\w/ @#%&,:;<=>~'\"!`-]*", re.A)


class BadPath(RuleError):
    """
    A text that cannot be a pattern.
    """


class PathPattern:
    """
    One pattern.

    @ivar text: the pattern as it is in the file.
    @ivar variables: by the name of each path variable, with the C{$}: its place in the result of L{match}.
    @ivar weight: of all patterns that match a name, the one with the highest weight decides.
    """

    __slots__ = ("_open", "_prefix", "_search", "_segments", "text", "variables", "weight")

    def __init__(self, text: str) -> None:
        """
        @raise BadPath: the text is no pattern; the error says why.
        """
        if not text:
            raise BadPath("path can't be empty")
        if text.startswith("/"):
            raise BadPath("path can't start with /")
        if invalid := _INVALID_VARIABLE.search(text):
            raise BadPath(f"invalid variable name {invalid[0]}")
        if len(text) > MAX_PATTERN_CHARACTERS:
            raise BadPath(f"path is longer than {MAX_PATTERN_CHARACTERS} characters")
        self.text = text
        self.weight = length(text)
        # If a variable occurs several times, its last group counts.
        self.variables = {name: place for place, name in enumerate(_VARIABLE.findall(text))}
        expression = _VARIABLE.sub("([^/]+)", text.replace("*", ".*"))
        try:
            self._search = compile_expression(f"^{expression}$").search
        except InvalidPattern as error:
            raise BadPath(f"path is no regular expression ({error})") from None
        # The text that every matching name begins with. Comparing it is cheaper than the expression.
        literal = re.split(r"[*$]", text, maxsplit=1)[0]
        self._prefix = literal if _LITERAL.fullmatch(_VARIABLE.sub("", text).replace("*", "")) else ""
        # Most patterns are of two kinds that need no expression: a text with a star at its end, and segments between
        # slashes, where each segment is a text or a variable (None).
        self._open = text == f"{literal}*" and _LITERAL.fullmatch(literal) is not None
        self._segments: list[str | None] | None = None
        segments = text.split("/")
        if all(_VARIABLE.fullmatch(segment) or _LITERAL.fullmatch(segment) for segment in segments):
            self._segments = [None if segment.startswith("$") else segment for segment in segments]

    def match(self, name: str) -> tuple[Any, ...] | None:
        """
        The values of the groups, in their order; C{None} if the name does not match.
        """
        if not name.startswith(self._prefix):
            return None
        # A star does not match line ends, and half characters need care. A printable name has neither.
        if self._open and name.isprintable():
            return ()
        if self._segments is not None and name.isprintable():
            return self._between_slashes(self._segments, name.split("/"))
        try:
            found = self._search(name)
        except UnicodeEncodeError:
            # Half a character from a JSON escape.
            found = self._search(name.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))
        if found is None:
            return None
        return tuple(UNDEFINED if group is None else group for group in found.groups())

    @staticmethod
    def _between_slashes(segments: list[str | None], parts: list[str]) -> tuple[str, ...] | None:
        if len(parts) != len(segments):
            return None
        groups = []
        for segment, part in zip(segments, parts, strict=True):
            if segment is None and part:
                groups.append(part)
            elif segment != part:
                return None
        return tuple(groups)
