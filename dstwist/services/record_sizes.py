"""
How large records are, so that none grows without end: many small writes make a large record.

The size of a record is that of its JSON text. To measure it takes as long as to write it out, so it is measured only
when what was added since the last time might have made it too large; until then it is estimated from above.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from dstwist.protocol.constants import RecordAction
from dstwist.protocol.jsontext import dumps
from dstwist.protocol.paths import parse
from dstwist.record import Change, Record

#: A character of what a client sends comes to no more bytes than this in nearly all cases: not in those of C{1e15}, but
#: these are found when the record is measured.
_BYTES = 4

_PATCH_MULTI = RecordAction.PATCH_MULTI

#: Estimates are kept of so many records.
_MOST = 100000


class RecordSizes:
    """
    Says which records are too large.

    @param limit: how large a record may be, in bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # At most so large is each, as far as is known.
        self._estimates: dict[str, int] = {}

    def check(self, name: str, change: Change) -> Any:
        """
        The data of C{change}, which is about to be made.

        @raise ValueError: the record would be too large, or the change makes no sense.
        """
        data = change.data
        message = change.message
        added = _BYTES * len(message.data) if message.data is not None else 0
        size = self._estimates.get(name)
        path = message.path
        # Several changes at once would have to be looked at one by one.
        if message.action is _PATCH_MULTI or (path is not None and size is None):
            estimate = self._limit + 1
        elif path is None:
            estimate = added
        else:
            estimate = size + added + _added_by(path)  # type: ignore[operator]
        if estimate > self._limit:
            estimate = len(dumps(data))
            if estimate > self._limit:
                raise ValueError(f"a record of more than {self._limit} bytes")
        if size is None:
            self._remember(name, estimate)
        else:
            self._estimates[name] = estimate
        return data

    def estimate(self, name: str, record: Record) -> int:
        """
        The size of C{record}, the latest state of that name, in bytes of JSON: not less than it is.
        """
        size = self._estimates.get(name)
        if size is None:
            size = len(record.json)
            self._remember(name, size)
        return size

    def _remember(self, name: str, size: int) -> None:
        if len(self._estimates) >= _MOST:
            self._estimates.clear()
        self._estimates[name] = size

    def forget(self, name: str) -> None:
        """
        The record may be another than the last that was looked at.
        """
        self._estimates.pop(name, None)


@lru_cache(10000)
def _added_by(path: str) -> int:
    """
    At most so many bytes are added by a write to C{path}, beside its value.
    """
    # A place in an array may be far behind its end: what is between becomes "null,".
    return _BYTES * len(path) + sum(5 * (token + 1) for token in parse(path) if isinstance(token, int))
