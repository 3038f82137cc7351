"""
The limits for the size of a record. Without them, many small writes could make a record of any size.

===========================  =========================================================================================
size of a record             limit
===========================  =========================================================================================
length of its JSON text      C{record.maxSize}
weight in memory             L{WEIGHT_PER_TEXT_BYTE} times C{record.maxSize}; see L{dstwist.protocol.weights}. Usual
                             documents reach the limit for the text first, arrays of empty arrays reach this limit first
===========================  =========================================================================================

To measure a record takes as long as to write its JSON text. So most writes only estimate the weight of the new record:
it is the weight of the old record plus an upper bound for what the write adds, which does not depend on the old data. A
record is measured when the estimate exceeds its I{ceiling}, which is twice the last measured weight plus
L{MIN_UNMEASURED_GROWTH}. So estimates stay below about twice the true weight, and the cost of measuring is in
proportion to the bytes written. Above L{SURELY_SHORT_WEIGHT_FACTOR} times C{maxSize} a record may be near one of its
limits; there the ceiling is so low that the record cannot exceed a limit before it is measured.

A large record also takes the memory of the items that writes have replaced and its bases keep
(L{dstwist.protocol.patched}). The estimate counts them, since it never becomes smaller; each write adds the memory of
its copies. To measure a record merges it, which frees these items.

If the limits were lowered, a record that exceeds them may still become smaller.
"""

from __future__ import annotations

from functools import lru_cache

from dstwist.protocol.constants import RecordAction
from dstwist.protocol.drafts import Limits
from dstwist.protocol.jsontext import dumps, has_plenty
from dstwist.protocol.patched import PATCHED
from dstwist.protocol.path_tokens import parse
from dstwist.protocol.paths import ADDS_PATH, filled
from dstwist.protocol.weights import TEXT_WEIGHT, weigh_json
from dstwist.record import Change, Record

#: The limit for the weight, as a multiple of the limit for the JSON text.
WEIGHT_PER_TEXT_BYTE = 24

#: The JSON text has at most half as many bytes as the record weighs (L{dstwist.protocol.weights}). So the text of a
#: record that weighs up to this multiple of C{maxSize} is not too long.
SURELY_SHORT_WEIGHT_FACTOR = 2

#: Measuring more often would cost small records more than the writes themselves.
MIN_UNMEASURED_GROWTH = 4096

#: The weight that a path adds at most for each of its parts, besides the text: an object or array, and its place.
_PATH_PART_WEIGHT = 280
#: The weight of each character of that text at most: six bytes of JSON, as C{\u0001}.
_CHARACTER_WEIGHT = 12
#: The weight of C{null,}, in a gap.
_GAP_ELEMENT_WEIGHT = 51

_PATCH_MULTI = RecordAction.PATCH_MULTI

#: If one write has more changes than this, the record is measured.
_MAX_UNMEASURED_CHANGES = 1000

#: The first bytes of the JSON texts that contain only one number, text or constant.
_SCALARS = frozenset(b'"-0123456789tfn')


class RecordSizes:
    """
    Makes records, unless they are too large.

    @ivar limits: the limits for the paths of a write.
    @param limit: the largest JSON text of a record, in bytes.
    @param gap: how many elements a write may fill in before an index.
    """

    def __init__(self, limit: int, gap: int) -> None:
        self._limit = limit
        self._most = WEIGHT_PER_TEXT_BYTE * limit
        self._plain = SURELY_SHORT_WEIGHT_FACTOR * limit
        self.limits = Limits(gap)

    def make(self, version: int, change: Change) -> Record:
        """
        The record after C{change}.

        @raise ValueError: the record would be too large, or the change is invalid.
        """
        data = change.apply()
        message = change.message
        old = change.old
        text = message.data
        if not change.adds and text.__class__ is bytes:
            # Nearly all writes: a number, text or constant in the place of another value.
            weight = (old.weight or old.weigh()) + TEXT_WEIGHT + 6 * len(text)
            ceiling = old.ceiling
            if weight <= ceiling:
                return Record(version, data, weight, ceiling)
        else:
            path = message.path
            ceiling = old.ceiling
            if message.action is _PATCH_MULTI:
                if len(change.changes) > _MAX_UNMEASURED_CHANGES:
                    # To estimate each path would take longer.
                    return self._measured(Record(version, data), old)
                weight = old.weigh() + _by_value(text)
                weight += sum(self._by_path(each, old) for each, _ in change.changes if each is not None)
            elif path is not None:
                weight = old.weigh()
                if text is not None and weight + 2 * len(text) > ceiling:
                    # Each character weighs at least 2, so the estimate exceeds the ceiling.
                    return self._measured(Record(version, data), old)
                weight += _by_value(text)
                if change.adds == ADDS_PATH:
                    weight += self._by_path(path, old)
            else:
                weight = weigh_json(text or b"")
                # The write replaces all data, so the old weight does not matter.
                ceiling = 2 * weight + MIN_UNMEASURED_GROWTH
                if ceiling > self._plain:
                    ceiling = self._plain
            if data.__class__ in PATCHED:
                weight += data.retained
            if weight <= ceiling:
                return Record(version, data, weight, ceiling)
        return self._measured(Record(version, data), old)

    def _measured(self, record: Record, old: Record) -> Record:
        text = record.json if has_plenty() else dumps(record.data)
        size = len(text)
        weight = weigh_json(text)
        if (size > self._limit and size >= len(old.json)) or (weight > self._most and weight >= weigh_json(old.json)):
            if size > self._limit:
                raise ValueError(f"a record of more than {self._limit} bytes")
            raise ValueError(f"a record that takes more than {self._most} bytes of memory")
        record.weight = weight
        if weight <= self._plain:
            record.ceiling = min(2 * weight + MIN_UNMEASURED_GROWTH, self._plain)
        else:
            record.ceiling = min(2 * weight, self._most, weight + 2 * (self._limit - size))
        return record

    def _by_path(self, path: str, old: Record) -> int:
        """
        The weight that a write to C{path} adds at most, besides its value.
        """
        weight, indexed = _parts(path) if len(path) <= _MAX_CACHED_CHARACTERS else _parts_of(path)
        if indexed:
            weight += _GAP_ELEMENT_WEIGHT * min(filled(old.content, parse(path)), self.limits.gap)
        return weight


def _by_value(text: bytes | str | None) -> int:
    """
    The weight that the value of a write adds at most.
    """
    if text is None:
        return 0
    if text.__class__ is bytes and text and text[0] in _SCALARS:
        return TEXT_WEIGHT + 6 * len(text)
    # The typed values of text clients are not JSON: each character may become six.
    return weigh_json(text) + (10 * len(text) if text.__class__ is str else 0)


def _parts_of(path: str) -> tuple[int, bool]:
    """
    The weight that the parts of C{path} add at most, and whether one of them may be an index.
    """
    tokens = parse(path)
    weight = sum(
        _PATH_PART_WEIGHT + _CHARACTER_WEIGHT * len(token) if isinstance(token, str) else _PATH_PART_WEIGHT
        for token in tokens
    )
    return weight, any(isinstance(token, int) or token.isdigit() for token in tokens)


#: The results for longer paths are not cached: see L{dstwist.protocol.paths}.
_MAX_CACHED_CHARACTERS = 200

_parts = lru_cache(4096)(_parts_of)
