"""
Reading a long JSON text little by little.

Reading a megabyte of JSON takes up to 50 ms, if it has very many small values. So a long text is cut at commas, each
part is completed to a valid JSON text, and its value is added to the value read so far::

    text        [[1,2],{"a":[3,4],"b":5}]
    first part  [[1,2],{"a":[3                 completed: [[1,2],{"a":[3,"E"]}]
    next part   ,4],"b":5}]                    completed: [{"M":["M",4],"b":5}]

M and E are texts that no client can guess. E follows the last value of the innermost container that is still open, so
that this container is found again even if an object repeats a key. M stands for the members that the open containers
already have.

The result is that of L{dstwist.protocol.jsontext.loads} for the whole text: the same value, or ValueError.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterable
from typing import Any

from dstwist.protocol.freeing import freeing
from dstwist.protocol.jsontext import find_room, loads
from dstwist.protocol.nesting import MAX_DEPTH

#: The length of a part, in bytes. Reading a part takes less than two milliseconds.
PART_BYTES = 32768

#: The most strings between two commas: the keys that lead to a value, and the value.
_MAX_STRINGS_BETWEEN_COMMAS = MAX_DEPTH + 2

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
#: The text up to a string that is not complete.
_WHOLE_STRINGS = re.compile(rb'[^"]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"]*+)*+', re.DOTALL)
_COMMA_OR_STRING = re.compile(rb'[",]')
_RUNS = re.compile(rb"\[+|\{+|\]+|\}+")
_FEW_BRACKETS = 100
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

_ARRAY, _OBJECT = b"[{"
_CLOSING = bytes.maketrans(b"[{", b"]}")


def reading(text: bytes, keep: bool = True, size: int = PART_BYTES) -> Generator[None, None, Any]:
    """
    Read C{text} in steps, each of which ends with a C{yield}. The generator returns the value.

    @param keep: whether the value is wanted. Without it, the result is C{None}, and the text is only checked.
    @raise ValueError: the text is not JSON, or there is not enough memory for its value.
    """
    find_room(len(text))
    read: list[Any] = []
    try:
        return (yield from _reading(text, keep, size, read))
    except ValueError as error:
        # Tracebacks refer to the value as well: that of the error, and that of the error that led to it.
        problem = error.with_traceback(None)
        problem.__context__ = None
    yield from freeing(read)
    raise problem


def _reading(text: bytes, keep: bool, size: int, read: list[Any]) -> Generator[None, None, Any]:
    """
    L{reading}.

    @param read: gets the value as soon as a part of it is read.
    """
    marks = _Marks()
    kinds = b""  # the opening brackets of the containers that are open
    opened: list[Any] = []  # these containers, from the outermost to the innermost
    root: Any = None
    position = 0
    while True:
        end = _cut(text, position, size)
        if end - position == len(text):
            value = loads(text)
            return value if keep else None
        part = text[position:end]
        left, new = _brackets(part, kinds)
        after = kinds[:left] + new
        last = end == len(text)
        if last == bool(after):
            raise ValueError("the text ends too early, or has more than one value")
        value = loads(b"".join((marks.opening(kinds), part, marks.closing(after))))
        if keep:
            added = [] if last else marks.spine(value, after)
            if opened:
                marks.add(opened, value)
            else:
                root = value
                read.append(root)
            opened = opened[:left] + added[left:]
            if not last:
                opened[-1].pop(*marks.last[after[-1]])
        if last:
            return root
        kinds = after
        position = end
        yield None


class _Marks:
    """
    The texts that complete the parts of one text, and the removal of their marks.
    """

    def __init__(self) -> None:
        self._start, self._end = os.urandom(12).hex(), os.urandom(12).hex()
        self._start_text, self._end_text = (b'"%s"' % text.encode() for text in (self._start, self._end))
        #: By opening bracket: the arguments of C{pop} that remove the last mark.
        self.last: dict[int, tuple[str, ...]] = {_ARRAY: (), _OBJECT: (self._end,)}

    def opening(self, kinds: bytes) -> bytes:
        """
        The start of a part that lies within these containers.
        """
        if not kinds:
            return b""
        outer = kinds[:-1].replace(b"{", b"{" + self._start_text + b":")
        return outer + kinds[-1:] + self._start_text + (b"" if kinds[-1] == _ARRAY else b":0")

    def closing(self, kinds: bytes) -> bytes:
        """
        The end of a part that leaves these containers open.
        """
        if not kinds:
            return b""
        mark = self._end_text + (b"" if kinds[-1] == _ARRAY else b":0")
        return b"," + mark + kinds[::-1].translate(_CLOSING)

    def add(self, opened: list[Any], value: Any) -> None:
        """
        Add the value of a part to the containers that were open before it.
        """
        for container in opened:
            if type(container) is list:
                container += value[1:]
                value = value[0]
            else:
                first = value.pop(self._start)
                container.update(value)
                value = first

    def spine(self, value: Any, kinds: bytes) -> list[Any]:
        """
        The containers in C{value} that are open at its end.
        """
        found = self._spine(value, kinds)
        assert found is not None, "the mark is in there"
        return found

    def _spine(self, value: Any, kinds: bytes) -> list[Any] | None:
        if not isinstance(value, list if kinds[0] == _ARRAY else dict) or not value:
            return None
        if len(kinds) == 1:
            last = value[-1] if kinds == b"[" else self._end if self._end in value else None
            return [value] if last == self._end else None
        # An object may repeat a key; then its last member is not the one that came last.
        children: Iterable[Any] = value[-1:] if isinstance(value, list) else reversed(value.values())
        for child in children:
            found = self._spine(child, kinds[1:])
            if found is not None:
                return [value, *found]
        return None


def _cut(text: bytes, position: int, size: int) -> int:
    """
    The end of the next part: at a comma, or at the end of the text.
    """
    if len(text) - position <= 2 * size:
        return len(text)
    found = _WHOLE_STRINGS.match(text, position, position + size)
    at = position + size if found is None else found.end()
    for _ in range(_MAX_STRINGS_BETWEEN_COMMAS):
        sign = _COMMA_OR_STRING.search(text, at)
        if sign is None:
            return len(text)
        at = sign.start()
        if text[at] == 44:  # a comma
            return at
        at = _end_of_string(text, at)
    raise ValueError("there is no comma")


def _end_of_string(text: bytes, at: int) -> int:
    """
    The end of the string that begins at C{at}. Searching for its quote takes a hundredth of the time of the regular
    expression, which needs 5 ms per megabyte.
    """
    quote = text.find(b'"', at + 1)
    if quote > 0 and text[quote - 1] != 92:  # no backslash before it: the quote is not escaped
        return quote + 1
    string = _STRING.match(text, at)
    if string is None:
        raise ValueError("a string does not end")
    return string.end()


def _brackets(part: bytes, kinds: bytes) -> tuple[int, bytes]:
    """
    The number of open containers that stay open, and the brackets of the containers that the part opens.
    """
    rest = _STRING.sub(b"", part).translate(None, _NO_BRACKETS)
    size = 0
    while len(rest) > _FEW_BRACKETS and (not size or len(rest) < size - size // 4):
        # Most containers are flat, and this is the fastest way to remove them.
        size = len(rest)
        rest = rest.replace(b"[]", b"").replace(b"{}", b"")
    opened: list[bytes] = []
    closing = b""
    for run in _RUNS.findall(rest):
        if run[0] in b"[{":
            opened.append(run)
            continue
        while run and opened:
            last = opened.pop()
            count = min(len(last), len(run))
            if last[:count].translate(_CLOSING) != run[:count]:
                raise ValueError("the brackets do not match")
            run = run[count:]
            if count < len(last):
                opened.append(last[count:])
        closing += run
    opening = b"".join(opened)
    left = len(kinds) - len(closing)
    if left < 0 or len(opening) + left > MAX_DEPTH:
        raise ValueError("the brackets do not match, or there are too many")
    if kinds[left:][::-1].translate(_CLOSING) != closing:
        raise ValueError("the brackets do not match")
    return left, opening
