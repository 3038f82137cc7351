"""
JSON as JavaScript reads and writes it: by orjson, and by the standard library where orjson cannot do it.

Both give the same values for the same text (C{tests/protocol/test_jsontext.py}):

- C{NaN} and C{Infinity} are refused in a text, and written as C{null};
- integers beyond 64 bits become floats, and the standard library is made to do the same
  (L{dstwist.protocol.json_stdlib});
- lone surrogates that are written as escapes are kept;
- a text that is nested too deeply is refused, and does not exhaust the stack;
- a number that no double can hold (C{1e400}) is refused. JavaScript reads C{Infinity} and writes C{null}, so it never
  sends such a number. If the server accepted it, rules, stores and subscribers would each see another value.

orjson does not check whether its allocations succeed. In 3.13.0 C{loads} writes into a list that C{PyList_New} failed
to make, and C{dumps} into bytes that could not grow: a shortage of memory ends the process by SIGSEGV. Where the system
may refuse memory, L{Guarded} decides whether orjson is called.

A value that is made of several texts can be nested deeper than each of them. Code that builds such a value calls
L{dstwist.protocol.nesting.deeper_than} before it stores the text, because no reader would accept it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, AnyStr

import orjson

from dstwist.memory_limits import allocations_can_fail, has_room
from dstwist.protocol.json_stdlib import decode, stdlib_dumps
from dstwist.protocol.nesting import MAX_DEPTH, deeper_than
from dstwist.protocol.uncollected import make_uncollected

#: Texts of at most this length, in bytes, cannot be nested too deeply: each level takes two bytes.
NEVER_TOO_DEEP_LENGTH = 2 * MAX_DEPTH

#: Texts of this length and more, in bytes, are read in parts if they come from a client.
READ_IN_PARTS_LENGTH = 65536

#: Texts of this length and more, in bytes, are read with Python's garbage collector switched off.
UNCOLLECTED_LENGTH = 4096

#: Objects and arrays with this number of items and more are copied with the garbage collector switched off.
UNCOLLECTED_ITEMS = 1000

#: After texts of this length together, in bytes, their values are set apart (L{dstwist.protocol.uncollected}), so that
#: no pass of the garbage collector looks at more values. In the worst case these are 65,000 numbers, or 45,000 arrays.
#: Texts of at most L{NEVER_TOO_DEEP_LENGTH} bytes are not counted.
FREEZE_INTERVAL_LENGTH = 131072

#: The most bytes of memory that orjson needs for one byte of text, the value included. The highest figure measured is
#: 46, for C{[[[[]]]],} repeated.
ORJSON_BYTES_PER_BYTE = 64

#: The most bytes of memory that the standard library needs for one byte of text. It has no buffer; the buffer of orjson
#: has 12 bytes for one byte of text.
STDLIB_BYTES_PER_BYTE = 40

#: The address space, in bytes, that must stay free for the other threads while orjson reads: a password hash takes
#: 46 MiB, a new thread up to 136 MiB.
ORJSON_READ_MARGIN_BYTES = 256 << 20

#: The address space, in bytes, that must be free before orjson writes. The length of the text is not known in advance,
#: and the buffer doubles when it is full. The largest texts are those of whole records and of all users.
ORJSON_WRITE_BYTES = 1 << 30

#: The address space, in bytes, that no text may take. The server needs it to go on while texts are refused. With half
#: of it, a server with many large records was left without memory now and then, because the rest was in small pieces.
RESERVED_BYTES = 64 << 20

#: Free memory is checked for each text that is longer than this, in bytes.
MAX_UNCHECKED_LENGTH = 4096

#: Free memory is checked once for shorter texts of this length together, in bytes.
UNCHECKED_TOTAL_LENGTH = 65536


class NoRoom(ValueError):
    """
    There is not enough memory for the value of a JSON text. It is a ValueError, so that the text is refused like any
    other text that cannot be read.
    """

    def __init__(self) -> None:
        super().__init__("not enough memory")


#: Called with the length of each text that is refused because there is not enough memory.
refusals: list[Callable[[int], object]] = []


#: About how many bytes of JSON were read into values since values were last set apart.
_young = 0


def _uncollected(make: Callable[[Any], Any], source: Any) -> Any:
    """
    The result of C{make(source)}, made without the garbage collector. The caller has counted it in L{_young}.
    """
    global _young
    set_apart = _young >= FREEZE_INTERVAL_LENGTH
    if set_apart:
        _young = 0
    return make_uncollected(make, source, set_apart)


def copy_uncollected(container: Any) -> Any:
    """
    A copy of an object or array that has L{UNCOLLECTED_ITEMS} items or more.
    """
    global _young
    _young += 2 * len(container)
    return _uncollected(type(container).copy, container)


#: The long texts that were read in parts, and their outcomes.
_known: tuple[tuple[bytes | str, Any], ...] = ()


@contextlib.contextmanager
def known(text: bytes | str, outcome: Any) -> Iterator[None]:
    """
    Within this block, L{loads} of C{text} gives C{outcome}, if the text has at least L{READ_IN_PARTS_LENGTH} bytes: it
    was read in parts (L{dstwist.protocol.jsonparts}).

    @param outcome: the value, or the ValueError if the text is not JSON.
    """
    global _known
    before, _known = _known, (*_known, (text, outcome))
    try:
        yield
    finally:
        _known = before


def is_known(text: bytes | str) -> bool:
    """
    Whether the outcome of C{text} is L{known}.
    """
    return any(text == other for other, _ in _known)


def _outcome(text: bytes | str) -> Any:
    outcome = next(outcome for other, outcome in _known if text == other)
    if isinstance(outcome, ValueError):
        raise outcome
    return outcome


def stdlib_loads(text: bytes | str) -> Any:
    """
    The value of a JSON text.

    @raise ValueError: the text is not JSON, or is nested deeper than L{MAX_DEPTH}.
    """
    if len(text) >= READ_IN_PARTS_LENGTH and _known and is_known(text):
        return _outcome(text)
    if not isinstance(text, str):
        text = text.decode("utf-8")
    return _checked(decode(text), text, "[", "{")


def _checked(
    value: Any, text: AnyStr, bracket: AnyStr, brace: AnyStr, is_flat: Callable[[Any], bool] = lambda value: False
) -> Any:
    # Counting brackets is cheap and sufficient for nearly every text; looking into the value is expensive.
    if len(text) > NEVER_TOO_DEEP_LENGTH and text.count(bracket) + text.count(brace) > MAX_DEPTH:
        if not is_flat(value) and deeper_than(value, MAX_DEPTH):
            raise ValueError("nested too deeply")
    return value


_orjson_loads = orjson.loads
_orjson_dumps = orjson.dumps


def orjson_loads(text: bytes | str) -> Any:
    """
    The value of a JSON text.

    @raise ValueError: the text is not JSON, or is nested deeper than L{MAX_DEPTH}.
    """
    global _young
    size = len(text)
    if size > NEVER_TOO_DEEP_LENGTH:
        if size >= READ_IN_PARTS_LENGTH and _known and is_known(text):
            return _outcome(text)
        _young += size
    try:
        if size < UNCOLLECTED_LENGTH and _young < FREEZE_INTERVAL_LENGTH:
            value = _orjson_loads(text)
        else:
            value = _uncollected(_orjson_loads, text)
    except ValueError:
        # orjson refuses lone surrogates, JavaScript does not. They are rare: the standard library decides.
        return stdlib_loads(text)
    if size <= NEVER_TOO_DEEP_LENGTH or value.__class__ is str:
        return value
    if isinstance(text, str):
        return _checked(value, text, "[", "{", _is_writable)
    return _checked(value, text, b"[", b"{", _is_writable)


def _is_writable(value: Any) -> bool:
    # By far the fastest way to learn that a value is not nested deeply: orjson writes no more than 254 levels.
    try:
        _orjson_dumps(value)
    except TypeError:
        return False
    return True


def orjson_dumps(value: Any) -> bytes:
    """
    The compact JSON text of a value, as UTF-8.
    """
    try:
        return _orjson_dumps(value)
    except TypeError:
        return stdlib_dumps(value)


class Guarded:
    """
    Reads and writes where the system may refuse memory:

    ================================================  ==================================
    memory that is free                               the text is
    ================================================  ==================================
    enough for the worst case of C{fast}              read by C{fast}
    enough for the standard library                   read by the standard library
    less, so that L{RESERVED_BYTES} would be used up  refused
    ================================================  ==================================

    @param fast: reads quickly, and may end the process if memory runs out.
    @param room: whether that number of bytes is free.
    @param write: writes quickly, and may end the process if memory runs out.
    """

    def __init__(
        self,
        fast: Callable[[bytes | str], Any],
        room: Callable[[int], bool] = has_room,
        write: Callable[[Any], bytes] = stdlib_dumps,
    ) -> None:
        self._fast = fast
        self._room = room
        self._write = write
        self._unseen = 0

    def dumps(self, value: Any) -> bytes:
        """
        The compact JSON text of a value, as UTF-8.

        @raise MemoryError: there is not enough memory for it.
        """
        return self._write(value) if self._room(ORJSON_WRITE_BYTES) else stdlib_dumps(value)

    def has_plenty(self) -> bool:
        """
        Whether so much memory is free that a text may be kept only because it may be needed again. Where memory is
        short, kept texts lie between the pieces that reading needs, and these cannot be given back to the system.
        """
        return self._room(ORJSON_WRITE_BYTES)

    def loads(self, text: bytes | str) -> Any:
        """
        The value of a JSON text.

        @raise ValueError: the text is not JSON, or is nested deeper than L{MAX_DEPTH}.
        @raise NoRoom: there is not enough memory for it.
        """
        try:
            return self._loads(text)
        except (MemoryError, NoRoom):
            for told in refusals:
                told(len(text))
            raise NoRoom from None

    def find_room(self, size: int) -> None:
        """
        Check that there is enough memory for the whole value of a text of C{size} bytes that is to be read in parts.
        Each part is checked alone, so the parts could use up all memory but L{RESERVED_BYTES}, and the work with the
        value needs more.

        @raise NoRoom: there is not enough.
        """
        if not self._room(STDLIB_BYTES_PER_BYTE * size + RESERVED_BYTES):
            for told in refusals:
                told(size)
            raise NoRoom

    def _loads(self, text: bytes | str) -> Any:
        size = len(text)
        if size > MAX_UNCHECKED_LENGTH:
            if size >= READ_IN_PARTS_LENGTH and _known and is_known(text):
                return _outcome(text)
            if self._room(ORJSON_BYTES_PER_BYTE * size + ORJSON_READ_MARGIN_BYTES):
                return self._fast(text)
            if not self._room(STDLIB_BYTES_PER_BYTE * size + RESERVED_BYTES):
                raise NoRoom
        else:
            self._unseen -= size
            if self._unseen < 0:
                if not self._room(RESERVED_BYTES):
                    raise NoRoom
                self._unseen = UNCHECKED_TOTAL_LENGTH
        return stdlib_loads(text)


def _find_no_room(size: int) -> None:
    """
    For systems that never refuse memory: there is nothing to find out.
    """


def _plenty() -> bool:
    return True


loads: Callable[[bytes | str], Any] = orjson_loads
dumps: Callable[[Any], bytes] = orjson_dumps

#: L{loads} without its own steps, for texts of at most L{NEVER_TOO_DEEP_LENGTH} bytes. It may refuse a text that
#: L{loads} accepts, so the caller then calls L{loads}.
brief_loads: Callable[[bytes | str], Any] = _orjson_loads

#: L{Guarded.find_room}.
find_room: Callable[[int], None] = _find_no_room

#: L{Guarded.has_plenty}.
has_plenty: Callable[[], bool] = _plenty

if allocations_can_fail():
    _guarded = Guarded(loads, write=dumps)
    loads = brief_loads = _guarded.loads
    dumps = _guarded.dumps
    find_room = _guarded.find_room
    has_plenty = _guarded.has_plenty


def is_json(text: bytes | str) -> bool:
    """
    Whether a text is JSON.
    """
    try:
        loads(text)
    except ValueError:
        return False
    return True


def may_be_json(text: bytes | str) -> bool:
    """
    Whether a text is JSON, or too large to be checked with the memory that is free.
    """
    try:
        loads(text)
    except NoRoom:
        return True
    except ValueError:
        return False
    return True
