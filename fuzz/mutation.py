"""
Changed input, for where there is no atheris and for test runs, which are to try the same every time.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

_TOKENS = (
    *(b"\x1e", b"\x1f", b"\x00", b"\xff", b"\xed\xa0\x80", b"\\ud800", b"[", b"]", b"{", b"}", b'"', b",", b":", b"'"),
    *(b"1e999", b"-1", b"NaN", b"9" * 30, b"[" * 300, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\r\n", b"\n  "),
    *(b"__proto__", b".", b"[65535]", b"*", b"&a", b"*a", b"<<: ", b"!!python/object:x", b"${", b"fileLoad("),
    *(b"&&", b"||", b"(", b")", b"?", b"+", b"/", b"\x00\xfe\x00", b"\x88\x80abcd", b"\x89\xfe", b"\x01\x80abcd"),
)


def mutate(generator: random.Random, seeds: Sequence[bytes]) -> bytes:
    """
    One of C{seeds}, after a few changes.
    """
    data = bytearray(generator.choice(seeds))
    for _ in range(generator.choice((1, 1, 2, 3, 8))):
        at, length = generator.randrange(len(data) + 1), generator.choice((1, 1, 2, 4, 16))
        kind = generator.randrange(7)
        if kind == 0:
            del data[at : at + length]
        elif kind == 1:
            data[at:at] = data[at : at + length] * generator.choice((1, 1, 50))
        elif kind == 2:
            data[at : at + 1] = generator.randbytes(1)
        elif kind == 3:
            data[at:at] = generator.choice(_TOKENS)
        elif kind == 4:
            other = generator.choice(seeds)
            start = generator.randrange(len(other) + 1)
            data[at:at] = other[start : start + 8 * length]
        elif kind == 5 and at < len(data):
            data[at] ^= 1 << generator.randrange(8)
        else:
            data[at : at + length] = generator.choice(_TOKENS)
    return bytes(data[:4096])
