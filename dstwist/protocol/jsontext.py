"""
JSON as JavaScript reads and writes it: by orjson where it is installed, by the standard library otherwise.

Both give the same values for the same text (C{tests/protocol/test_jsontext.py}): C{NaN} and C{Infinity} are refused
as input and become C{null} as output, integers beyond 64 bits become floats, lone surrogates written as escapes are
kept, and what is nested too deeply is refused instead of exhausting the stack.

Numbers that no double can hold (C{1e400}) are refused as well. JavaScript reads them as C{Infinity}, writes that as
C{null}, and so never sends such a text. If one was let through, rules would judge another value than the stores keep,
and subscribers would receive a third one.

orjson does not check whether its allocations succeed (3.13.0: C{loads} stores into the list that C{PyList_New} has
not made, C{dumps} into the bytes that could not grow): a shortage of memory ends the process by SIGSEGV. So where the
system may refuse memory, L{Guarded} stands in front of it.

Values that were put together from several texts can be nested deeper than any of them: whoever builds such a value
asks L{deeper_than} before storing a text that nobody could read again.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
from collections.abc import Callable, Generator, Iterator
from itertools import chain, islice
from typing import Any, AnyStr, NoReturn

from dstwist.memory import allocations_can_fail, has_room

#: Deeper nested texts are not JSON to us. orjson would read up to 1024 levels but writes no more than 254; the standard
#: library's limit depends on how deep its caller stands already. This is well below, and no honest document is near.
MAX_DEPTH = 256

#: Texts that are no longer, in bytes, cannot be nested too deeply.
BRIEF = 2 * MAX_DEPTH

#: Texts of this length and more, in bytes, are read in parts if they come from a client.
HEAVY = 65536

#: Texts of this length and more, in bytes, are read without Python's collector of garbage.
UNCOLLECTED = 4096

#: Objects and arrays with so many items are copied without it.
LARGE = 1000

#: So many objects and arrays, and so many items of them, are looked at in one step.
_HOLDERS = 1000
_ITEMS = 5000

#: The collector may look at the values of so many bytes of JSON in one pass, texts of at most L{BRIEF} bytes not
#: counted. At the worst they are 65,000 numbers, or 45,000 arrays.
APART = 131072

#: So many bytes for one byte of the text are enough for its value and for what orjson needs while it reads. The most
#: that was measured is 46, for C{[[[[]]]],} again and again.
ORJSON_FACTOR = 64

#: Without orjson's own buffer, which has 12 bytes for one byte of the text.
STDLIB_FACTOR = 40

#: Address space that orjson leaves to all threads that run at the same time, each password hash takes 46 MiB of it, and
#: each new thread up to 136.
ORJSON_MARGIN = 256 << 20

#: The same for writing: how long the text will be is not known before. The buffer doubles, and the largest texts are
#: those of whole records and of all users.
ORJSON_WRITES = 1 << 30

#: Address space that no text may take: it is for all that has to go on when texts are refused.
RESERVE = 32 << 20

#: Texts that are no longer are not worth looking for room; it is looked for once for so many bytes of them.
SHORT = 4096
UNSEEN = 65536

_MAX_INTEGER = 2**64 - 1
_MIN_INTEGER = -(2**63)


class NoRoom(ValueError):
    """
    There is not enough memory for the value of a JSON text. It is a ValueError: the text is refused like any other that
    cannot be read.
    """

    def __init__(self) -> None:
        super().__init__("not enough memory")


#: Told how long a text was that is refused since there is not enough memory.
refusals: list[Callable[[int], object]] = []


#: Whether the owner of the process has asked for L{gc.freeze}.
_sets_apart = False


def set_values_apart() -> None:
    """
    From now on have the garbage collector not look at large values (C{gc.freeze}): reference counting frees them, and a
    pass over millions of items would stop the process for a second. This concerns the whole process, so its owner asks
    for it.
    """
    global _sets_apart
    _sets_apart = True


#: How many bytes of JSON the values have, about, that were made since values were last set apart.
_young = 0


def _uncollected(make: Callable[[Any], Any], source: Any) -> Any:
    """
    The value that C{make} makes of C{source}; it is counted in L{_young} already.
    """
    # A collector that is called for every few hundred of many thousand new containers takes three times as long as
    # reading, and finds nothing: all of them are in use. A pass over one array of numbers looks at each number.
    global _young
    collects = gc.isenabled()
    apart = _young >= APART
    if apart:
        _young = 0
        apart = collects and _sets_apart
        if apart:
            # The young circles, which would be set apart as well.
            gc.collect(1)
    gc.disable()
    try:
        return make(source)
    finally:
        if apart:
            gc.freeze()
        if collects:
            gc.enable()


def copy_uncollected(container: Any) -> Any:
    """
    A copy of an object or array that has L{LARGE} items or more.
    """
    global _young
    _young += 2 * len(container)
    return _uncollected(type(container).copy, container)


#: A long text that was already read, and the outcome.
_known: tuple[bytes | str, Any] | None = None


@contextlib.contextmanager
def known(text: bytes | str, outcome: Any) -> Iterator[None]:
    """
    Meanwhile do not read C{text} again, if it has at least L{HEAVY} bytes: it was read in parts
    (L{dstwist.protocol.jsonparts}).

    @param outcome: the value, or the ValueError that says why it is none.
    """
    global _known
    _known = (text, outcome)
    try:
        yield
    finally:
        _known = None


def _outcome() -> Any:
    assert _known is not None
    outcome = _known[1]
    if isinstance(outcome, ValueError):
        raise outcome
    return outcome


def containers(text: bytes | str) -> int:
    """
    How many objects and arrays the value of a text has at most.
    """
    if isinstance(text, str):
        return text.count("[") + text.count("{")
    return text.count(b"[") + text.count(b"{")


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number is too great")
    return value


def _integer(digits: str) -> int | float:
    # JavaScript has no integers of any length; int() of a million digits would also take minutes.
    if len(digits) > 20:
        return _float(digits)
    value = int(digits)
    return value if _MIN_INTEGER <= value <= _MAX_INTEGER else float(digits)


_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_float, parse_int=_integer)


def stdlib_loads(text: bytes | str) -> Any:
    """
    The value of a JSON text.

    @raise ValueError: it is none, or is nested deeper than L{MAX_DEPTH}.
    """
    if len(text) >= HEAVY and _known is not None and text == _known[0]:
        return _outcome()
    if not isinstance(text, str):
        text = text.decode("utf-8")
    try:
        value = _decoder.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return _checked(value, text, "[", "{")


def _checked(
    value: Any, text: AnyStr, bracket: AnyStr, brace: AnyStr, is_flat: Callable[[Any], bool] = lambda value: False
) -> Any:
    # Counting is cheap and clears nearly every text; looking into the value is not.
    if len(text) > BRIEF and text.count(bracket) + text.count(brace) > MAX_DEPTH:
        if not is_flat(value) and deeper_than(value, MAX_DEPTH):
            raise ValueError("nested too deeply")
    return value


def deeper_than(value: Any, depth: int) -> bool:
    """
    Whether more than C{depth} objects and arrays stand in each other.
    """
    kinds = (dict, list)
    layer = [value] if type(value) in kinds else []
    for _ in range(depth):
        if not layer:
            return False
        layer = [
            item
            for holder in layer
            if holder
            for item in (holder.values() if type(holder) is dict else holder)
            if type(item) in kinds
        ]
    return bool(layer)


def looking_deeper(value: Any, depth: int) -> Generator[None, None, bool]:
    """
    L{deeper_than}, in steps.
    """
    kinds = (dict, list)
    layer = [value] if type(value) in kinds else []
    for _ in range(depth):
        if not layer:
            return False
        below: list[Any] = []
        for start in range(0, len(layer), _HOLDERS):
            holders = layer[start : start + _HOLDERS]
            items = chain.from_iterable([each.values() if type(each) is dict else each for each in holders])
            while True:
                yield None
                some = list(islice(items, _ITEMS))
                below += [item for item in some if type(item) in kinds]
                if len(some) < _ITEMS:
                    break
        layer = below
    return bool(layer)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def stdlib_dumps(value: Any) -> bytes:
    """
    The compact JSON text of a value, as UTF-8.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:  # lone surrogates: only as escapes
        return json.dumps(_finite(value), separators=(",", ":")).encode("ascii")


loads: Callable[[bytes | str], Any] = stdlib_loads
dumps: Callable[[Any], bytes] = stdlib_dumps

#: L{loads} without its own steps, for texts of at most L{BRIEF} bytes. It may refuse a text that L{loads} reads, so the
#: caller calls L{loads} then.
brief_loads: Callable[[bytes | str], Any] = stdlib_loads

try:
    import orjson
except ImportError:  # orjson is a speed-up, not a requirement
    pass
else:
    _orjson_loads = orjson.loads
    _orjson_dumps = orjson.dumps
    brief_loads = _orjson_loads

    def loads(text: bytes | str) -> Any:
        """
        The value of a JSON text.

        @raise ValueError: it is none, or is nested deeper than L{MAX_DEPTH}.
        """
        global _young
        size = len(text)
        if size > BRIEF:
            if size >= HEAVY and _known is not None and text == _known[0]:
                return _outcome()
            _young += size
        try:
            if size < UNCOLLECTED and _young < APART:
                value = _orjson_loads(text)
            else:
                value = _uncollected(_orjson_loads, text)
        except ValueError:
            # orjson refuses lone surrogates, JavaScript does not. They are rare: let the other one decide.
            return stdlib_loads(text)
        if size <= BRIEF:
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

    def dumps(value: Any) -> bytes:
        """
        The compact JSON text of a value, as UTF-8.
        """
        try:
            return _orjson_dumps(value)
        except TypeError:
            return stdlib_dumps(value)


class Guarded:
    """
    Reading where the system may refuse memory: with orjson only if there is room for the worst case, with the standard
    library if there is less, and not at all if that would use up L{RESERVE}.

    @param fast: reads quickly, and may end the process if there is not enough memory.
    @param room: whether there are so many more bytes.
    @param write: writes quickly, likewise.
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
        return self._write(value) if self._room(ORJSON_WRITES) else stdlib_dumps(value)

    def loads(self, text: bytes | str) -> Any:
        """
        The value of a JSON text.

        @raise ValueError: it is none, or is nested deeper than L{MAX_DEPTH}.
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
        Refuse a text of C{size} that is to be read in parts if there is not enough memory for its whole value. The
        parts would take memory until L{RESERVE} is left, and the work with the value needs more.

        @raise NoRoom: there is not enough.
        """
        if not self._room(STDLIB_FACTOR * size + RESERVE):
            for told in refusals:
                told(size)
            raise NoRoom

    def _loads(self, text: bytes | str) -> Any:
        size = len(text)
        if size > SHORT:
            if size >= HEAVY and _known is not None and text == _known[0]:
                return _outcome()
            if self._room(ORJSON_FACTOR * size + ORJSON_MARGIN):
                return self._fast(text)
            if not self._room(STDLIB_FACTOR * size + RESERVE):
                raise NoRoom
        else:
            self._unseen -= size
            if self._unseen < 0:
                if not self._room(RESERVE):
                    raise NoRoom
                self._unseen = UNSEEN
        return stdlib_loads(text)


def find_room(size: int) -> None:
    """
    See L{Guarded.find_room}. Where the system never refuses memory there is nothing to find out.
    """


if allocations_can_fail():
    _guarded = Guarded(loads, write=dumps)
    loads = brief_loads = _guarded.loads
    dumps = _guarded.dumps
    find_room = _guarded.find_room


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
    Whether a text is JSON, or too large to find out with the memory that there is.
    """
    try:
        loads(text)
    except NoRoom:
        return True
    except ValueError:
        return False
    return True
