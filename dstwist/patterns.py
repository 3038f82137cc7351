r"""
Listen patterns: JavaScript regular expressions, found anywhere in a name, matched in linear time.

Patterns come from clients and run on every subscribed name, so a backtracking engine would let one client stop the
server. RE2 cannot backtrack; in exchange it has no look-around and no back-references, which are refused as an invalid
pattern with a reason. Where JavaScript spells a thing differently from RE2, it is translated:

==============  ==================  ==================================================
JavaScript      RE2                 meaning
==============  ==================  ==================================================
\uABCD          \x{ABCD}            a code unit by number
\cJ             \x{A}               a control character
\e  \-          e  \-               an escaped character that needs no escape
[^]  []         any, none           classes with nothing in them
\s              \s and more         JavaScript's white space is more than ASCII's
$               \z                  the very end, not before a trailing line break
==============  ==================  ==================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable

import re2

#: What one pattern may occupy when compiled. RE2's default of 8 MiB times all patterns of all clients is too much.
MAX_COMPILED_SIZE = 1 << 20

_options = re2.Options()
_options.max_mem = MAX_COMPILED_SIZE
_options.log_errors = False

_ESCAPES_OF_BOTH = frozenset("dDwWsSbBntrfv0123456789.*+?()[]{}|^$\\")
_TOKEN = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})|\\c([A-Za-z])|\\(.)|(\[\^?\])|(\(\?)|([\[\]$])", re.S)


class InvalidPattern(ValueError):
    """
    A pattern that is no regular expression, or one that cannot be matched in linear time.
    """


def compile_pattern(pattern: str, max_length: int) -> Callable[[str], bool]:
    """
    What tells whether a name matches C{pattern}.

    @raise InvalidPattern: with the reason.
    """
    if len(pattern) > max_length:
        raise InvalidPattern(f"longer than {max_length} characters")
    try:
        compiled = re2.compile(_translate(pattern), options=_options)
    except re2.error as error:
        text = error.args[0] if error.args else error
        raise InvalidPattern(text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)) from None
    except UnicodeEncodeError:
        raise InvalidPattern("a surrogate without its other half") from None
    search = compiled.search

    def matches(name: str) -> bool:
        return search(name) is not None

    return matches


def _translate(pattern: str) -> str:
    out: list[str] = []
    position = 0
    in_class = False
    for token in _TOKEN.finditer(pattern):
        if in_class and token.lastindex == 5:
            # Inside a class "[]" and "[^]" are no class of their own: an opening bracket, perhaps more, and the end.
            out += (pattern[position : token.start()], "\\", token[0])
            in_class = False
        else:
            text, in_class = _translated(token, in_class)
            out += (pattern[position : token.start()], text)
        position = token.end()
    return "".join(out) + pattern[position:]


def _translated(token: re.Match[str], in_class: bool) -> tuple[str, bool]:
    unicode, byte, control, escaped, empty_class, group, bracket = token.groups()
    if unicode or byte:
        return f"\\x{{{unicode or byte}}}", in_class
    if control:
        return f"\\x{{{ord(control.upper()) % 32:X}}}", in_class
    if escaped is not None:
        if escaped in "123456789k" and not in_class:
            raise InvalidPattern("back-references are not supported")
        if escaped == "0":
            return "\\x{0}", in_class
        if escaped == "b" and in_class:
            return "\\x{8}", in_class
        if escaped == "s":
            # JavaScript's white space is more than RE2's.
            return ("" if in_class else "[") + r"\s\x{B}\x{A0}\x{FEFF}\p{Z}" + ("" if in_class else "]"), in_class
        if escaped in _ESCAPES_OF_BOTH:
            return token[0], in_class
        # Any other escaped character stands for itself.
        return (escaped if escaped.isalnum() or ord(escaped) > 127 else token[0]), in_class
    if empty_class:
        return (r"[\x{0}-\x{10FFFF}]" if empty_class == "[^]" else r"[^\x{0}-\x{10FFFF}]"), in_class
    if group:
        return group, in_class
    if bracket == "[":
        return ("\\[" if in_class else "["), True
    if bracket == "]":
        return ("]" if in_class else "\\]"), False
    return ("$" if in_class else "\\z"), in_class
