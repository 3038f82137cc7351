"""
Which keys of a Redis a record has, and what they hold.

==================  ==========================================  =====================================================
layout              keys of the record C{a/b}, prefix C{p:}     values
==================  ==========================================  =====================================================
L{TwoKeys}          C{p:a/b_v}, C{p:a/b_d}                      C{3} and C{{"x":1}}, as the Node server's connector
                                                                for v4 and later writes them
L{ClusterKeys}      C{p:{a/b}_v}, C{p:{a/b}_d}                  the same. A Redis Cluster puts all keys with the same
                                                                text in braces on one server
L{OneKey}           C{p:a/b}                                    C{{"_v":3,"_d":{"x":1}}}, as the connectors for v2 and
                                                                v3 write it
==================  ==========================================  =====================================================

Beside a record there may be a I{tombstone} (C{_t}: the version at which it was removed) and a I{token} (C{_k}: who may
fill a cache). C{p:!store} is a key of the server itself. A key of the first two layouts belongs to a record only if it
ends with C{_v} or C{_d}, so no record can have the server's own keys. In the last layout any key may be a record, so
the server's own keys begin with C{p:!dstwist/}, and records with such names are refused.

Always true: the keys of different names differ, and all keys of one name are on the same server of a Redis Cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Protocol

from dstwist.errors import StoreError
from dstwist.protocol.jsontext import dumps
from dstwist.record import Record
from dstwist.redis.scripts import Script
from dstwist.redis.slots import SLOTS, slot_of

#: The first letters of the server's own keys of L{OneKey}, behind the prefix.
RESERVED = "!dstwist/"

#: The kinds of a record's keys that are the server's own.
TOMBSTONE = b"t"
TOKEN = b"k"

_MAX_VERSION_DIGITS = 16


class Layout(Protocol):
    """
    A layout.

    @ivar pattern: matches at least the first key of each record, for C{SCAN}.
    """

    pattern: bytes

    def keys(self, name: str) -> list[bytes]:
        """
        The keys of a record.

        @raise StoreError: no record can have that name.
        """

    def own_key(self, name: str, kind: bytes) -> bytes:
        """
        A key of the server's own beside a record.
        """

    def server_key(self, name: bytes) -> bytes:
        """
        A key of the server itself.
        """

    def name_of(self, key: bytes) -> str | None:
        """
        The name of the record that has this first key; C{None} if no record has.
        """

    def value(self, record: Record) -> bytes:
        """
        The value of the last key of a record.
        """

    def read_words(self, keys: Sequence[bytes]) -> tuple[bytes, ...]:
        """
        The command that reads a record. L{split} takes its answer.
        """

    def split(self, answer: Any) -> tuple[bytes | None, bytes | None]:
        """
        The version, or a text that contains it, and the value. C{None} stands for a key that does not exist.
        """

    def record(self, version: bytes, value: Any) -> Record:
        """
        A record from its version and the value as Python reads it.

        @raise ValueError: this is no record.
        """

    def script(self, operation: str) -> Script:
        """
        The script for an operation.
        """


class TwoKeys:
    """
    Two keys for each record.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix.encode()
        self.pattern = _escaped(self._prefix) + b"*_v"

    def keys(self, name: str) -> list[bytes]:
        stem = self._stem(name)
        return [stem + b"_v", stem + b"_d"]

    def own_key(self, name: str, kind: bytes) -> bytes:
        return b"%b_%b" % (self._stem(name), kind)

    def server_key(self, name: bytes) -> bytes:
        return b"%b!%b" % (self._prefix, name)

    def name_of(self, key: bytes) -> str | None:
        if not key.startswith(self._prefix) or not key.endswith(b"_v"):
            return None
        return _decoded(key[len(self._prefix) : -2])

    def value(self, record: Record) -> bytes:
        return record.json

    def read_words(self, keys: Sequence[bytes]) -> tuple[bytes, ...]:
        return (b"MGET", *keys)

    def split(self, answer: Any) -> tuple[bytes | None, bytes | None]:
        version, value = answer
        return version, value

    def record(self, version: bytes, value: Any) -> Record:
        return _record(_number(version), value)

    def script(self, operation: str) -> Script:
        return _script("two_keys", operation)

    def _stem(self, name: str) -> bytes:
        return self._prefix + _encoded(name)


class ClusterKeys(TwoKeys):
    """
    Two keys for each record, on the same server of a Redis Cluster.

    Redis looks at the text between the first brace and the next closing one, if it is not empty. A name that would make
    it empty, because it begins with a closing brace or has no letters, gets a backslash in front. So does a name that
    begins with a backslash, because its keys could be those of another name otherwise.
    """

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix)
        self.pattern = _escaped(self._prefix) + b"{*}_v"

    def name_of(self, key: bytes) -> str | None:
        start = self._prefix + b"{"
        if not key.startswith(start) or not key.endswith(b"}_v"):
            return None
        name = key[len(start) : -3]
        return _decoded(name[1:] if name.startswith(b"\\") else name)

    def _stem(self, name: str) -> bytes:
        text = _encoded(name)
        if not text or text[0] in b"}\\":
            text = b"\\" + text
        return b"%b{%b}" % (self._prefix, text)


class OneKey:
    """
    One key for each record.

    @param cluster: whether the keys are in a Redis Cluster. The record keeps its key there; the server's own keys begin
        with a text in braces that has the same slot.
    """

    def __init__(self, prefix: str, cluster: bool = False) -> None:
        self._prefix = prefix.encode()
        self._reserved = RESERVED.encode()
        self._tags = _tags() if cluster else None
        self.pattern = _escaped(self._prefix) + b"*"

    def keys(self, name: str) -> list[bytes]:
        if name.startswith(RESERVED):
            raise StoreError(f"the record {name!r} cannot be stored: names that begin with {RESERVED} are reserved")
        return [self._prefix + _encoded(name)]

    def own_key(self, name: str, kind: bytes) -> bytes:
        (key,) = self.keys(name)
        tag = b"" if self._tags is None else b"{%b}" % self._tags[slot_of(key)]
        return b"%b%b%b/%b%b" % (self._prefix, self._reserved, kind, tag, key[len(self._prefix) :])

    def server_key(self, name: bytes) -> bytes:
        return b"%b%b%b" % (self._prefix, self._reserved, name)

    def name_of(self, key: bytes) -> str | None:
        if not key.startswith(self._prefix):
            return None
        text = key[len(self._prefix) :]
        return None if text.startswith(self._reserved) else _decoded(text)

    def value(self, record: Record) -> bytes:
        return b'{"_v":%d,"_d":%b}' % (record.version, record.json)

    def read_words(self, keys: Sequence[bytes]) -> tuple[bytes, ...]:
        return (b"GET", *keys)

    def split(self, answer: Any) -> tuple[bytes | None, bytes | None]:
        return answer, answer

    def record(self, version: bytes, value: Any) -> Record:
        if not isinstance(value, dict) or "_v" not in value or "_d" not in value:
            raise ValueError('it is no object with "_v" and "_d"')
        return _record(_number(dumps(value["_v"])), value["_d"])

    def script(self, operation: str) -> Script:
        return _script("one_key", operation)


def layout_of(prefix: str, legacy: bool, cluster: bool) -> Layout:
    """
    The layout for these options.
    """
    if legacy:
        return OneKey(prefix, cluster)
    return ClusterKeys(prefix) if cluster else TwoKeys(prefix)


def tag_of(slot: int) -> bytes:
    """
    A text whose slot is C{slot}.
    """
    return _tags()[slot]


_known_tags: list[bytes] = []


def _tags() -> list[bytes]:
    """
    A text for each slot.
    """
    if not _known_tags:
        found: dict[int, bytes] = {}
        number = 0
        while len(found) < SLOTS:
            text = b"%x" % number
            found.setdefault(slot_of(text), text)
            number += 1
        _known_tags.extend(found[slot] for slot in range(SLOTS))
    return _known_tags


def _encoded(name: str) -> bytes:
    try:
        return name.encode()
    except UnicodeError as error:
        raise StoreError(f"the record {name!r} cannot be stored: {error}") from None


def _decoded(text: bytes) -> str | None:
    try:
        return text.decode()
    except UnicodeError:
        return None


def _number(version: bytes) -> int:
    """
    The number of a version. Scripts compare versions as texts, so only the shortest form is one.
    """
    if not version.isdigit() or len(version) > _MAX_VERSION_DIGITS or (version[0] == ord("0") and version != b"0"):
        raise ValueError("its version is no number")
    return int(version)


def _record(version: int, data: Any) -> Record:
    if not isinstance(data, dict | list):
        raise ValueError("its data are neither an object nor an array")
    return Record(version, data)


def _escaped(text: bytes) -> bytes:
    """
    A pattern of Redis that matches only C{text}.
    """
    for special in (b"\\", b"*", b"?", b"[", b"]", b"^"):
        text = text.replace(special, b"\\" + special)
    return text


def _script(layout: str, operation: str) -> Script:
    folder = files("dstwist.store").joinpath("lua")
    texts = [folder.joinpath(f"{name}.lua").read_text(encoding="utf-8") for name in (layout, operation)]
    return Script(operation, "".join(texts))
