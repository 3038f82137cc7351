"""
A record, and the change that a write makes to it.

A L{Change} is made once for each write. All parts use the same object: permission rules decide about it, the stores
keep its result, and subscribers are sent its changes. So a rule always decides about the exact effect of the write.

==================================  ============================================  =====================
write                               C{changes}                                    C{action}
==================================  ============================================  =====================
UPDATE, CREATEANDUPDATE             one value, no path: the whole record          UPDATE
PATCH, CREATEANDPATCH, ERASE        one path and its value                        PATCH
the same without a value            one path and L{UNDEFINED}: it is erased       ERASE
PATCH_MULTI                         several paths, each with a value or erased    PATCH_MULTI
==================================  ============================================  =====================
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from dstwist.protocol.constants import RecordAction
from dstwist.protocol.drafts import Limits
from dstwist.protocol.jsonparts import reading
from dstwist.protocol.jsontext import READ_IN_PARTS_LENGTH, dumps, loads
from dstwist.protocol.message import UNREAD, Message
from dstwist.protocol.nesting import MAX_DEPTH, containers
from dstwist.protocol.patched import PATCHED, plain
from dstwist.protocol.path_tokens import parse
from dstwist.protocol.paths import (
    ADDS_PATH,
    DEFAULT_LIMITS,
    check_depth,
    set_many,
    setting_many,
    value_at,
    write_at,
)
from dstwist.protocol.typed import UNDEFINED, is_undefined, utf8, value_of
from dstwist.protocol.weights import weigh_json

_UPDATE = RecordAction.UPDATE
_PATCH = RecordAction.PATCH
_ERASE = RecordAction.ERASE
_PATCH_MULTI = RecordAction.PATCH_MULTI

#: The content of a change before it is computed: C{None} is that of a record that does not exist.
_UNKNOWN: Any = object()

#: How many changes of one write are read in one step.
_CHANGES_PER_STEP = 500

#: orjson returns a text in a buffer of at least this size, which does not shrink. So shorter texts are copied.
_ORJSON_BUFFER_BYTES = 4096


class Record:
    """
    A record: its version and its data.

    @ivar version: 0 when it was created, one more with each write; -1 if it does not exist.
    @ivar content: its data, which may be patched (L{dstwist.protocol.patched}). It is never modified: a write makes new
        data, which shares parts with the old.
    @ivar weight: an upper bound for the memory of the data and its JSON text, in bytes (L{dstwist.protocol.weights});
        C{None} before the first call of L{weigh}. It does not change afterwards.
    @ivar ceiling: the weight above which the record that follows is measured (L{dstwist.services.record.sizes}).
    """

    __slots__ = ("_json", "ceiling", "content", "version", "weight")
    __match_args__ = ("version", "data")
    __hash__ = None  # type: ignore[assignment]  # its data has none either

    def __init__(self, version: int, data: Any, weight: int | None = None, ceiling: int = 0) -> None:
        self.version = version
        self.content = data
        self.weight = weight
        self.ceiling = ceiling
        self._json: bytes | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record):
            return NotImplemented
        return self.version == other.version and bool(self.data == other.data)

    def __repr__(self) -> str:
        return f"Record(version={self.version!r}, data={self.data!r})"

    @property
    def data(self) -> Any:
        """
        The data as ordinary Python values: an object or array.
        """
        data = self.content
        if type(data) in PATCHED:
            data = self.content = plain(data)
        return data

    @property
    def json(self) -> bytes:
        """
        The data as JSON text. It is made at the first use, and kept: the answers to all clients and the stores share
        it.
        """
        text = self._json
        if text is None:
            text = dumps(self.data)
            if len(text) < _ORJSON_BUFFER_BYTES:
                text = bytes(memoryview(text))
            self._json = text
        return text

    def weigh(self) -> int:
        """
        The weight. The first call estimates it.
        """
        weight = self.weight
        if weight is None:
            weight = self.weight = weigh_json(dumps(self.data) if self._json is None else self._json)
        return weight


#: The record that permission rules get if there is none.
NO_RECORD = Record(-1, None)


class Change:
    """
    The effect of a write on a record. It is computed at its first use: to compute it can take longer than to find out
    that the write is not permitted, or comes too late.

    @ivar old: the record before the write; L{NO_RECORD} if it does not exist.
    @ivar message: the write; any other message leaves the record as it is.
    @ivar alike: whether every client that has the old data computes the same new data from the changes. Clients of v2
        and v3 read some paths in another way (C{services.md} section 4.11). It is set by L{apply}.
    @ivar adds: what the write may add to the memory of the record (L{dstwist.protocol.paths}). It is set by L{apply}.
    @param limits: the limits for the paths of the write.
    """

    __slots__ = ("_changes", "_data", "_limits", "_value", "adds", "alike", "message", "old")

    _changes: list[tuple[str | None, Any]]

    def __init__(self, old: Record, message: Message, limits: Limits = DEFAULT_LIMITS) -> None:
        self.old = old
        self.message = message
        self._limits = limits
        self._data = _UNKNOWN

    def apply(self) -> Any:
        """
        The L{content<Record>} after the write.

        @raise ValueError: the write is invalid, or does not fit the old data; L{InvalidPath
            <dstwist.protocol.path_tokens.InvalidPath>} if a path is the reason.
        """
        value = self._data
        if value is not _UNKNOWN:
            if value.__class__ is _Failed:
                raise value.error
            return value
        message = self.message
        path = message.path
        base = self.old.content
        if base is None:
            base = {}
        if message.action is _PATCH_MULTI:
            changes = [(parse(each), value) for each, value in self.changes]  # type: ignore[arg-type]
            value = set_many(base, changes, self._limits)
            self.alike, self.adds = True, ADDS_PATH
        else:
            value = message.value
            if value is UNREAD:
                raw = message.data
                value = loads(raw) if raw.__class__ is bytes else value_of(raw)
            if path is not None:
                value, self.alike, self.adds = write_at(base, path, value, self._limits)
            elif isinstance(value, dict | list):
                self.alike, self.adds = True, ADDS_PATH
            else:
                raise ValueError("a record is an object or an array")
        self._data = value
        return value

    @property
    def data(self) -> Any:
        """
        The data after the write, as ordinary Python values. Raises as L{apply}.
        """
        data = self.apply()
        if type(data) in PATCHED:
            data = self._data = plain(data)
        return data

    @property
    def is_long(self) -> bool:
        """
        Whether it takes long to read the data of the write. If so, use L{computing}.
        """
        raw = self.message.data
        return raw is not None and len(raw) >= READ_IN_PARTS_LENGTH and self.message.value is UNREAD

    def computing(self) -> Generator[None, None, None]:
        """
        Compute the effect in steps. If the write is invalid, this does not raise an exception; L{apply} does
        afterwards.
        """
        try:
            self._data = yield from self._computing()
        except ValueError as error:
            # The traceback refers to the value of the write.
            self._data = _Failed(error.with_traceback(None))

    def _computing(self) -> Generator[None, None, Any]:
        message = self.message
        raw = message.data
        if isinstance(raw, bytes):
            value = yield from reading(raw)
        elif isinstance(raw, str) and raw.startswith("O"):
            value = yield from reading(utf8(raw[1:]))
        else:
            value = value_of(raw)
        self._value = value
        base = self.old.content
        if base is None:
            base = {}
        path = message.path
        if message.action is _PATCH_MULTI:
            changes = self._changes = yield from _reading_many(value)
            self.alike, self.adds = True, ADDS_PATH
            return (yield from setting_many(base, changes, self._limits))  # type: ignore[arg-type]
        if path is not None:
            tokens = parse(path)
            # To count brackets is fast, and is enough for most values.
            if containers(raw or b"") > MAX_DEPTH - len(tokens):
                yield from check_depth(tokens, value)
            data, self.alike, self.adds = write_at(base, path, value, self._limits, flat=True)
            return data
        if not isinstance(value, dict | list):
            raise ValueError("a record is an object or an array")
        self.alike, self.adds = True, ADDS_PATH
        return value

    @property
    def changes(self) -> list[tuple[str | None, Any]]:
        """
        The paths that the write changes, in their order, and their new values. L{UNDEFINED} stands for no value: the
        path is erased. The path C{None} stands for the whole record.

        @raise ValueError: the write is invalid.
        """
        message = self.message
        if self._data.__class__ is _Failed:
            raise self._data.error
        if message.action is not _PATCH_MULTI:
            try:
                return [(message.path, self._value)]
            except AttributeError:
                return [(message.path, value_of(message.data))]
        try:
            return self._changes
        except AttributeError:
            changes = self._changes = _many(value_of(message.data))
            return changes

    def replaced(self) -> list[Any]:
        """
        The parts of the old data that the new data do not have, after a write that is valid. They may share parts with
        the new data.
        """
        message = self.message
        old = self.old.content
        if message.path is None or message.action is _PATCH_MULTI or type(old) in PATCHED:
            return [old]
        return [value_at(old, parse(message.path))]

    def release(self) -> list[Any]:
        """
        Give up the values that L{computing} has made: that of the write, and the new data. The caller frees them.
        Afterwards this change is of no use. An exception of L{apply} refers to it, in a circle of references.
        """
        try:
            value = self._value
        except AttributeError:
            return []
        data = self._data
        self._data = self._value = None
        self._changes = []
        # The value of an UPDATE is the new data.
        return [value] if data is value or data.__class__ is _Failed else [value, data]

    @property
    def action(self) -> RecordAction:
        """
        The kind of the change, which may differ from the action of the message: UPDATE, PATCH, ERASE or PATCH_MULTI.
        """
        message = self.message
        if message.action is _PATCH_MULTI:
            return _PATCH_MULTI
        if message.path is None:
            return _UPDATE
        return _ERASE if is_undefined(message.data) else _PATCH

    @property
    def erases(self) -> bool:
        """
        Whether the write erases the value at a path.

        @raise ValueError: the write is invalid.
        """
        message = self.message
        if message.action is _PATCH_MULTI:
            return any(value is UNDEFINED for _, value in self.changes)
        return message.path is not None and is_undefined(message.data)


class _Failed:
    """
    Stands for the data if the write is invalid.
    """

    __slots__ = ("error",)

    def __init__(self, error: ValueError) -> None:
        self.error = error


def _many(value: Any) -> list[tuple[str | None, Any]]:
    """
    The changes of a PATCH_MULTI.

    @raise ValueError: its data are not a list of at least one object, each with a path.
    """
    work = _reading_many(value)
    while True:
        try:
            next(work)
        except StopIteration as end:
            changes: list[tuple[str | None, Any]] = end.value
            return changes


def _reading_many(value: Any) -> Generator[None, None, list[tuple[str | None, Any]]]:
    """
    L{_many}, in steps.
    """
    if not isinstance(value, list) or not value:
        raise ValueError("several changes are an array of at least one")
    changes: list[tuple[str | None, Any]] = []
    for number, change in enumerate(value, 1):
        if not isinstance(change, dict) or not isinstance(change.get("path"), str):
            raise ValueError("each change is an object with a path")
        changes.append((change["path"], change.get("data", UNDEFINED)))
        if not number % _CHANGES_PER_STEP:
            yield None
    return changes
