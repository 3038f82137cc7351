"""
Paths into records: each is refused, or what it makes of a record can be written as JSON and read again.

The first line is the path, the rest a record.
"""

from __future__ import annotations

from dstwist.protocol.jsontext import dumps, loads
from dstwist.protocol.patched import plain
from dstwist.protocol.path_tokens import InvalidPath, parse
from dstwist.protocol.paths import set_at, set_many
from dstwist.protocol.typed import UNDEFINED
from tests.hostile.attacks_nonsense import NASTY_JSON, NASTY_PATHS

_RECORD = b'{"a":{"b":[1,{"c":2}]},"":[[]],"1":null}'
SEEDS = [
    *(path + b"\n" + _RECORD for path in (b"a.b[1].c", b"[0]", b"a b . c[ 1 ]", b"a.b.1.c", b"1.2.3", b"a[0x1][1e1]")),
    *(path[:500] + b"\n" + _RECORD for path in NASTY_PATHS),
    *(b"a\n" + data[:500] for data in NASTY_JSON),
]


def attempt(data: bytes) -> None:
    """
    Write there, and erase what is there.
    """
    path, _, text = data.partition(b"\n")
    try:
        record = loads(text)
    except ValueError:
        record = {}
    before = dumps(record)
    try:
        tokens = parse(path.decode("utf-8", "replace"))
        made = [set_at(record, tokens, value) for value in (1, {"x": [1]}, UNDEFINED)]
        made.append(set_many(record, [(tokens, {"y": 1}), ((*tokens, "z"), 2), (tokens, UNDEFINED)]))
    except InvalidPath:
        made = []
    if dumps(record) != before:
        raise AssertionError("the record has been changed in place")
    for changed in made:
        written = dumps(plain(changed))
        if dumps(loads(written)) != written:
            raise AssertionError(f"{written!r} is not read as it was written")
