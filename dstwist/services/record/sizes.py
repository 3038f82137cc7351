"""
How large records are, so that none grows without end: many small writes make a large record.

=====================  =============================================================================
of a record            is at most
=====================  =============================================================================
its JSON text          C{record.maxSize}
its weight in memory   L{MEMORY} times that, see L{dstwist.protocol.weights}: usual documents reach the limit
                       for the text first, arrays of empty arrays this one
=====================  =============================================================================

To measure a record takes as long as to write its JSON text. So the weight of a new record is that of the old one and
what the write adds, estimated from above without a look at the data. A record is measured when that passes its
I{ceiling}: twice what was measured last, and L{SLACK}. So estimates stay below twice the measure, and what measuring
costs in the long run is in proportion to what is written. Above L{PLAIN} times C{maxSize} the record may be near one
of its limits, and the ceiling is so low that it cannot pass any before it is measured.

A record that is larger than the limits, since they were lowered, may become smaller.
"""

from __future__ import annotations

from functools import lru_cache

from dstwist.protocol.constants import RecordAction
from dstwist.protocol.jsontext import dumps
from dstwist.protocol.paths import Limits, filled, parse
from dstwist.protocol.weights import TEXT, weigh_json
from dstwist.record import Change, Record

#: How many times as much as its JSON text a record may weigh.
MEMORY = 24

#: The JSON text has at most half as many bytes as the record weighs (L{dstwist.protocol.weights}): up to twice
#: C{maxSize} it cannot be too long.
PLAIN = 2

#: Measuring more often would cost small records more than the writes themselves.
SLACK = 4096

#: What a path adds for each of its parts, at most, besides the text of the part: an object or array, and its place.
_PART = 280
#: And for each character of that text: six bytes of JSON, as C{\u0001}.
_CHARACTER = 12
#: The weight of C{null,}, in a gap.
_GAP_ELEMENT = 51

_PATCH_MULTI = RecordAction.PATCH_MULTI

#: With more changes than this in one write the record is measured.
_MANY = 1000

#: The bytes with which the JSON texts begin that have nothing in them but one number, text or constant.
_SCALARS = frozenset(b'"-0123456789tfn')


class RecordSizes:
    """
    Makes the records that are not too large.

    @ivar limits: what the paths of a write may make.
    @param limit: how large the JSON text of a record may be, in bytes.
    @param gap: how many elements may be filled in before an index.
    """

    def __init__(self, limit: int, gap: int) -> None:
        self._limit = limit
        self._most = MEMORY * limit
        self._plain = PLAIN * limit
        self.limits = Limits(gap)

    def make(self, version: int, change: Change) -> Record:
        """
        The record after C{change}.

        @raise ValueError: the record would be too large, or the change makes no sense.
        """
        data = change.apply()
        message = change.message
        old = change.old
        text = message.data
        if not change.adds and text.__class__ is bytes:
            # Nearly all writes: a number, text or constant in the place of another value.
            weight = (old.weight or old.weigh()) + TEXT + 6 * len(text)
            ceiling = old.ceiling
            if weight <= ceiling:
                return Record(version, data, weight, ceiling)
        else:
            path = message.path
            ceiling = old.ceiling
            if message.action is _PATCH_MULTI:
                if len(change.changes) > _MANY:
                    # To look at each path would take longer.
                    return self._measured(Record(version, data), old)
                weight = old.weigh() + _by_value(text)
                weight += sum(self._by_path(each, old) for each, _ in change.changes if each is not None)
            elif path is not None:
                weight = old.weigh()
                if text is not None and weight + 2 * len(text) > ceiling:
                    # Each character weighs 2 at least. To weigh the text would be in vain.
                    return self._measured(Record(version, data), old)
                weight += _by_value(text)
                if change.adds:
                    weight += self._by_path(path, old)
            else:
                weight = weigh_json(text or b"")
                # The old record does not matter: what is written is all there is.
                ceiling = min(2 * weight + SLACK, self._plain)
            if weight <= ceiling:
                return Record(version, data, weight, ceiling)
        return self._measured(Record(version, data), old)

    def _measured(self, record: Record, old: Record) -> Record:
        text = dumps(record.data)
        size = len(text)
        weight = weigh_json(text)
        if (size > self._limit and size >= len(old.json)) or (weight > self._most and weight >= weigh_json(old.json)):
            if size > self._limit:
                raise ValueError(f"a record of more than {self._limit} bytes")
            raise ValueError(f"a record that takes more than {self._most} bytes of memory")
        record.weight = weight
        if weight <= self._plain:
            record.ceiling = min(2 * weight + SLACK, self._plain)
        else:
            record.ceiling = min(2 * weight, self._most, weight + 2 * (self._limit - size))
        return record

    def _by_path(self, path: str, old: Record) -> int:
        """
        What a write to C{path} adds at most, beside its value.
        """
        weight, indexed = _parts(path) if len(path) <= _MOST_REMEMBERED else _parts_of(path)
        if indexed:
            weight += _GAP_ELEMENT * min(filled(old.data, parse(path)), self.limits.gap)
        return weight


def _by_value(text: bytes | str | None) -> int:
    """
    What the value of a write adds at most.
    """
    if text is None:
        return 0
    if text.__class__ is bytes and text and text[0] in _SCALARS:
        return TEXT + 6 * len(text)
    # The texts of text clients are not JSON: each character may come to six.
    return weigh_json(text) + (10 * len(text) if text.__class__ is str else 0)


def _parts_of(path: str) -> tuple[int, bool]:
    """
    What the parts of C{path} add at most, and whether one of them may be an index.
    """
    tokens = parse(path)
    weight = sum(_PART + _CHARACTER * len(token) if isinstance(token, str) else _PART for token in tokens)
    return weight, any(isinstance(token, int) or token.isdigit() for token in tokens)


#: Longer paths are not remembered: see L{dstwist.protocol.paths}.
_MOST_REMEMBERED = 200

_parts = lru_cache(4096)(_parts_of)
