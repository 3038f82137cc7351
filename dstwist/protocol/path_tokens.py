"""
The tokens of paths in records, as deepstream and its clients read them.

================  ==========================  =====================================================
path              tokens                      remark
================  ==========================  =====================================================
C{a.b}            C{"a", "b"}
C{a[1]}           C{"a", 1}
C{a.1}            C{"a", "1"}                 a text: the key of an object, or the index of an array
C{[1]}            C{"", 1}
C{a b .c[ 1 ]}    C{"a b", "c", 1}            blanks around a part and around a number are ignored
C{a[0x1f]}        C{"a", 31}                  a number in brackets may have any form of JavaScript
C{a[-1]}          C{"a", "-1"}                a number that is no index can only be a key
================  ==========================  =====================================================
"""

from __future__ import annotations

import re
from functools import lru_cache

from dstwist.protocol.nesting import MAX_DEPTH
from dstwist.protocol.typed import JS_SPACE, format_number

#: The longest path, in characters.
MAX_PATH_CHARACTERS = 10000

#: Longer paths are not cached: they are rare, and a client could fill the memory with them. The tokens of a path of
#: this length take at most 5 KB.
MAX_CACHED_CHARACTERS = 200
#: The most paths that are cached.
MAX_CACHED_PATHS = 4096

_FORBIDDEN = frozenset(("__proto__", "constructor", "prototype"))
_BRACKET = re.compile(r"[\[\]]")
#: A whole number in the form that is an index.
INDEX_PATTERN = re.compile("0|[1-9][0-9]{0,15}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:[eE][+-]?[0-9]+)?|Infinity)")
_PREFIXED = {"0x": 16, "0o": 8, "0b": 2}

Token = str | int


class InvalidPath(ValueError):
    """
    A path that is never valid, or not valid in this record. The text tells the author of the write why.
    """


class _Number(str):
    """
    A number in brackets that is no index. It can only be the key of an existing object.
    """

    __slots__ = ()


def parse(path: str) -> tuple[Token, ...]:
    """
    The tokens of a path, at least one.

    @raise InvalidPath: the path has no tokens, forbidden ones, or too many.
    """
    return _remembered(path) if len(path) <= MAX_CACHED_CHARACTERS else _tokens(path)


def _tokens(path: str) -> tuple[Token, ...]:
    if len(path) > MAX_PATH_CHARACTERS:
        raise InvalidPath(f"the path is longer than {MAX_PATH_CHARACTERS} characters")
    tokens: list[Token] = []
    for part in path.split("."):
        part = part.strip(JS_SPACE)
        if not part:
            continue
        key, *numbers = _BRACKET.split(part)
        if key in _FORBIDDEN:
            raise InvalidPath(f"the key {key} is forbidden in a path")
        tokens.append(key)
        tokens.extend(_number(text) for text in numbers if text)
    if not tokens:
        raise InvalidPath("the path is empty")
    if len(tokens) > MAX_DEPTH:
        raise InvalidPath(f"the path has more than {MAX_DEPTH} parts")
    return tuple(tokens)


_remembered = lru_cache(MAX_CACHED_PATHS)(_tokens)


def _number(text: str) -> Token:
    """
    The token for the text between two brackets, as JavaScript's C{Number} converts it. The text contains no point.
    """
    text = text.strip(JS_SPACE)
    if not text:
        return 0
    if INDEX_PATTERN.fullmatch(text):
        return _token(int(text))
    if _DECIMAL.fullmatch(text):
        return _token(float(text))
    base = _PREFIXED.get(text[:2].lower())
    digits = text[2:]
    if base is None or not digits.isalnum() or not digits.isascii():
        return _Number("NaN")
    try:
        return _token(int(digits, base))
    except ValueError:
        return _Number("NaN")


def _token(number: int | float) -> Token:
    # The limit is far above any index that is accepted, and far below the integers that doubles cannot hold exactly.
    if 0 <= number <= 10**15 and number == int(number):
        return int(number)
    return _Number(format_number(number))


def key_of(token: Token) -> str:
    """
    The key of an object that a token stands for.
    """
    return token if type(token) is str else str(token)


def index_of(token: Token) -> int:
    """
    The index of an existing array that a token stands for.
    """
    if type(token) is int:
        return token
    # A number after a point addresses an element, too, but only in its usual form: for JavaScript, "01" is a key.
    if type(token) is str and INDEX_PATTERN.fullmatch(token):
        return int(token)
    shown = token if len(str(token)) <= 40 else f"{str(token)[:40]}..."
    raise InvalidPath(f'"{shown}" is no index, and there is an array in that place')
