r"""
Listen patterns: JavaScript regular expressions, found anywhere in a name, matched in linear time.

Patterns come from clients and are matched with every subscribed name, so with a backtracking engine one client could
stop the server. RE2 does not backtrack; in exchange it has no look-around, no back-references and no count above 1000.
A pattern that uses these is refused as invalid, with a reason. Everything else is read as C{new RegExp(pattern)} reads
it, and translated where RE2 reads it differently:

==================  ===================================  ===================================================
JavaScript          RE2                                  meaning
==================  ===================================  ===================================================
\uABCD \xAB \012    \x{ABCD} ...                         a character by number
\cJ                 \x{A}                                a control character
\e  \-  \Q  \z      the character itself                 an escaped character that needs no escape
.                   [^\n\r\x{2028}\x{2029}]              JavaScript knows four line ends
\s  \S              all of them                          JavaScript's white space is more than ASCII's
[^]  []             any, none                            classes with nothing in them
[[a]  [\w-.]        the characters themselves            brackets and dashes that mean nothing in a class
a{,5}  {            the characters themselves            braces that are no count
(...)  (?<n>...)    (?:...)                              the server does not need the groups of listen patterns
$                   \z                                   the very end, not before a trailing line break
^*  \b+  (?i)       refused                              JavaScript refuses them as well
==================  ===================================  ===================================================

One difference is left: a character above U+FFFF is one character here, and two in JavaScript.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import re2  # type: ignore[import-untyped]

#: The bytes of memory that one compiled pattern may take. At worst, the time of a match is the length of the name times
#: this, and every pattern is matched with every name: with RE2's default of 8 MiB one long name could take seconds.
MAX_COMPILED_SIZE = 1 << 15

_options = re2.Options()
_options.max_mem = MAX_COMPILED_SIZE
_options.log_errors = False

_caseless = re2.Options()
_caseless.max_mem = MAX_COMPILED_SIZE
_caseless.log_errors = False
_caseless.case_sensitive = False

_ESCAPE = r"""
    \\u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})
  | \\u(?P<unicode>[0-9a-fA-F]{4})
  | \\x(?P<byte>[0-9a-fA-F]{2})
"""
_TOKEN = re.compile(
    _ESCAPE
    + r"""
  | \\c(?P<control>[A-Za-z])
  | \\(?P<octal>0[0-7]{0,2})
  | \\(?P<escaped>.)
  | \[(?P<negated>\^?)(?P<members>(?:[^\]\\]|\\.)*)\]
  | \((?:\?(?:(?P<plain>:)|<(?P<group>[^=!>][^>]*)>|(?P<around><?[=!])|(?P<strange>)))?
  | (?P<count>[*+?]|\{(?P<least>[0-9]+)(?P<most>,[0-9]*)?\})(?P<lazy>\??)
  | (?P<bar>[|)])
  | (?P<other>.)
    """,
    re.S | re.X,
)
_MEMBER = re.compile(
    _ESCAPE
    + r"""
  | \\c(?P<control>[A-Za-z0-9_])
  | \\(?P<octal>[0-3][0-7]{0,2}|[4-7][0-7]?)
  | \\(?P<escaped>.)
  | (?P<other>.)
    """,
    re.S | re.X,
)
# The groups of a token: None where it has no such part.
_Part = dict[str, Any]

_CONTROLS = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13}
_SPACE = r"\t-\r\x{20}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}\x{FEFF}"
_NO_SPACE = (
    r"\x{0}-\x{8}\x{E}-\x{1F}\x{21}-\x{9F}\x{A1}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027}\x{202A}-\x{202E}"
    r"\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{FEFE}\x{FF00}-\x{10FFFF}"
)
_SETS = {"d": r"\d", "D": r"\D", "w": r"\w", "W": r"\W", "s": _SPACE, "S": _NO_SPACE}
_ANYTHING = r"\x{0}-\x{10FFFF}"
_NO_LINE_END = r"[^\n\r\x{2028}\x{2029}]"


class _Form(NamedTuple):
    """
    The parts of an expression that depend on its use, or on its flags, as RE2 writes them.
    """

    group: str = "(?:"
    any: str = _NO_LINE_END
    start: str = "^"
    end: str = r"\z"


_LISTEN = _Form()


class InvalidPattern(ValueError):
    """
    A pattern that is not a regular expression, or that cannot be matched in linear time.
    """


class Pattern(NamedTuple):
    """
    A listen pattern.

    @ivar expression: the pattern as RE2 writes it.
    @ivar matches: whether a name matches it.
    """

    expression: str
    matches: Callable[[str], bool]


def compile_pattern(pattern: str, max_length: int) -> Pattern:
    """
    Compile C{pattern}, the text of a listen pattern.

    @raise InvalidPattern: with the reason.
    """
    if len(pattern) > max_length:
        raise InvalidPattern(f"longer than {max_length} characters")
    expression = "".join(_translated(pattern, _LISTEN))
    search = _compiled(expression, _options).search

    def matches(name: str) -> bool:
        return search(name) is not None

    return Pattern(expression, matches)


def compile_expression(source: str, flags: str = "") -> Any:
    """
    RE2's object for the expression C{/source/flags}, with its groups. Only the flags C{i}, C{m}, C{s} and C{u} have an
    effect on matches. With C{m}, only a line feed is a line end for C{^} and C{$}.

    @raise InvalidPattern: with the reason.
    """
    if "u" in flags:
        source = _CODE_POINT.sub(_unit_escapes, source)
    form = _Form(
        "(",
        f"[{_ANYTHING}]" if "s" in flags else _NO_LINE_END,
        *(("(?m:^)", "(?m:$)") if "m" in flags else (_LISTEN.start, _LISTEN.end)),
    )
    return _compiled("".join(_translated(source, form)), _caseless if "i" in flags else _options)


def _compiled(expression: str, options: re2.Options) -> Any:
    try:
        return re2.compile(expression, options=options)
    except re2.error as error:
        raise InvalidPattern(error.args[0].decode("utf-8", "replace")) from None


# Escapes that only expressions with the flag u have.
_CODE_POINT = re.compile(r"\\(?:u\{(?P<code>[0-9a-fA-F]{1,6})\}|.)", re.S)


def _unit_escapes(found: re.Match[str]) -> str:
    if found["code"] is None:
        if found[0] in (r"\p", r"\P"):
            raise InvalidPattern("properties of characters are not supported")
        return found[0]
    code = int(found["code"], 16)
    if code > 0x10FFFF:
        raise InvalidPattern("no such character")
    if code <= 0xFFFF:
        return f"\\u{code:04X}"
    return f"\\u{0xD800 + (code - 0x10000 >> 10):04X}\\u{0xDC00 + (code & 0x3FF):04X}"


def _translated(pattern: str, form: _Form) -> Iterator[str]:
    """
    C{pattern}, piece by piece, as RE2 writes it.
    """
    # Whether the piece before the next one can be repeated.
    repeatable = False
    groups: set[str] = set()
    for token in _TOKEN.finditer(pattern):
        part = token.groupdict()
        if part["count"]:
            if not repeatable:
                raise InvalidPattern("nothing to repeat")
            repeatable = False
            yield _count(part) + part["lazy"]
        elif part["members"] is not None:
            repeatable = True
            yield _class(part["negated"], part["members"])
        elif token[0][0] == "(":
            repeatable = False
            _check_group(part, groups)
            yield "(?:" if part["plain"] else form.group
        elif part["bar"]:
            repeatable = part["bar"] == ")"
            yield part["bar"]
        else:
            repeatable = token[0] not in ("^", "$", "\\b", "\\B")
            yield _atom(part, form)


def _count(part: _Part) -> str:
    if part["least"] is None:
        return str(part["count"])
    # RE2 does not accept leading zeros or a very large number: it would match the braces themselves.
    least, most = (number.lstrip("0") or "0" for number in (part["least"], (part["most"] or ",")[1:] or "0"))
    if max(len(least), len(most)) > 4:
        raise InvalidPattern("invalid repetition size")
    bounds = least if part["most"] is None else f"{least}," if part["most"] == "," else f"{least},{most}"
    return f"{{{bounds}}}"


def _check_group(part: _Part, groups: set[str]) -> None:
    if part["around"]:
        raise InvalidPattern("look-around is not supported")
    if part["strange"] is not None:
        raise InvalidPattern("invalid group")
    name = part["group"]
    if name is not None:
        if name in groups or not name.replace("$", "_").isidentifier():
            raise InvalidPattern("invalid or repeated group name")
        groups.add(name)


def _atom(part: _Part, form: _Form) -> str:
    """
    A piece outside of classes that is neither a group nor a count.
    """
    escaped, other = part["escaped"], part["other"]
    if escaped is not None:
        if escaped in "123456789k":
            raise InvalidPattern("back-references are not supported")
        if escaped in "bB":
            return f"\\{escaped}"
        if escaped in _SETS:
            return f"[{_SETS[escaped]}]"
        return ("\\\\" if escaped == "c" else "") + _literal(_CONTROLS.get(escaped, ord(escaped)))
    if other is not None:
        if other in "[\\":
            raise InvalidPattern("unterminated character class" if other == "[" else "\\ at end of pattern")
        if other in ".^$":
            return {".": form.any, "^": form.start, "$": form.end}[other]
        return _literal(ord(other))
    return _literal(_code(part))


def _code(part: _Part) -> int:
    """
    The character that is written as a number.
    """
    if part["control"]:
        return ord(part["control"]) % 32
    if part["octal"]:
        return int(part["octal"], 8)
    if part["high"]:
        return 0x10000 + ((int(part["high"], 16) & 0x3FF) << 10) + (int(part["low"], 16) & 0x3FF)
    return int(part["unicode"] or part["byte"], 16)


def _literal(code: int) -> str:
    if 0xD800 <= code <= 0xDFFF:
        raise InvalidPattern("a surrogate without its other half")
    character = chr(code)
    return character if character.isascii() and character.isalnum() else f"\\x{{{code:X}}}"


def _class(negated: str, text: str) -> str:
    if not text:
        negated, text = ("" if negated else "^"), _ANYTHING
    else:
        text = "".join(_ranges(list(_members(text))))
    return f"[{negated}{text}]"


def _members(text: str) -> Iterator[tuple[str, int | str]]:
    """
    The members of a class: each as it was written, with the code of its character or the text of its set.
    """
    for token in _MEMBER.finditer(text):
        part = token.groupdict()
        escaped = part["escaped"]
        if part["other"] is not None:
            yield token[0], ord(part["other"])
        elif escaped is None:
            yield token[0], _code(part)
        elif escaped in _SETS:
            yield token[0], _SETS[escaped]
        elif escaped == "c":
            yield from (("\\", ord("\\")), ("c", ord("c")))
        else:
            yield token[0], 8 if escaped == "b" else _CONTROLS.get(escaped, ord(escaped))


def _ranges(members: list[tuple[str, int | str]]) -> Iterator[str]:
    while members:
        first = members.pop(0)[1]
        if len(members) > 1 and members[0][0] == "-":
            last = members[1][1]
            if isinstance(first, int) and isinstance(last, int):
                if first > last:
                    raise InvalidPattern("range out of order in character class")
                del members[:2]
                yield f"{_literal(first)}-{_literal(last)}"
                continue
            # With a set at one end, the dash is a member, and the other end cannot begin a range.
            del members[:2]
            yield _member(first) + _literal(ord("-")) + _member(last)
            continue
        yield _member(first)


def _member(member: int | str) -> str:
    return member if isinstance(member, str) else _literal(member)
