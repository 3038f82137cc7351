"""
The patterns of names in a permissions file.

===============  ========================================================================
in a pattern     in a name
===============  ========================================================================
C{*}             anything, nothing too, on one line
C{$id}           one or more characters, no C{/}: the path variable C{$id}
anything else    a regular expression, as deepstream has it: C{a.b} is also C{axb}
===============  ========================================================================

The whole name has to match.
"""

from __future__ import annotations

import re
from typing import Any

from dstwist.errors import RuleError
from dstwist.patterns import InvalidPattern, compile_expression
from dstwist.permission.valve.units import length
from dstwist.protocol.typed import UNDEFINED

#: The longest pattern, in characters.
MAX_LENGTH = 1000

_INVALID_VARIABLE = re.compile(r"\$[^a-zA-Z0-9]", re.S)
_VARIABLE = re.compile(r"\$[a-zA-Z0-9]+")
_LITERAL = re.compile(r"[\w/ @#%&,:;<=>~'\"!`-]*", re.A)


class BadPath(RuleError):
    """
    Something that is no pattern.
    """


class PathPattern:
    """
    One pattern.

    @ivar text: as it is in the file.
    @ivar variables: the names of the path variables, with the C{$}, and the place of each in what L{match} gives.
    @ivar weight: of the patterns that match a name, the heaviest decides.
    """

    __slots__ = ("_prefix", "_search", "text", "variables", "weight")

    def __init__(self, text: str) -> None:
        """
        @raise BadPath: why it is no pattern.
        """
        if not text:
            raise BadPath("path can't be empty")
        if text.startswith("/"):
            raise BadPath("path can't start with /")
        if invalid := _INVALID_VARIABLE.search(text):
            raise BadPath(f"invalid variable name {invalid[0]}")
        if len(text) > MAX_LENGTH:
            raise BadPath(f"path is longer than {MAX_LENGTH} characters")
        self.text = text
        self.weight = length(text)
        # The last of several groups of one name counts.
        self.variables = {name: place for place, name in enumerate(_VARIABLE.findall(text))}
        expression = _VARIABLE.sub("([^/]+)", text.replace("*", ".*"))
        try:
            self._search = compile_expression(f"^{expression}$").search
        except InvalidPattern as error:
            raise BadPath(f"path is no regular expression ({error})") from None
        # What every matching name begins with; cheaper to look at than the expression.
        literal = re.split(r"[*$]", text, maxsplit=1)[0]
        self._prefix = literal if _LITERAL.fullmatch(_VARIABLE.sub("", text).replace("*", "")) else ""

    def match(self, name: str) -> tuple[Any, ...] | None:
        """
        What the groups hold, in their order, if the name matches.
        """
        if not name.startswith(self._prefix):
            return None
        try:
            found = self._search(name)
        except UnicodeEncodeError:
            # Half a character, out of a JSON escape.
            found = self._search(name.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))
        if found is None:
            return None
        return tuple(UNDEFINED if group is None else group for group in found.groups())
