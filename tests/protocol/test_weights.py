"""
Tests for L{dstwist.protocol.weights}: the estimates, compared with what the interpreter says that it allocates.
"""

from __future__ import annotations

import gc
import json
import tracemalloc
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.jsontext import dumps, loads, stdlib_loads
from dstwist.protocol.weights import ENTRY_WEIGHT, weigh_json, weigh_name
from tests.garbage import make_collections_short

#: What an estimate may be below the truth.
LEAST = 0.9


def repeated(text: str, count: int = 500) -> bytes:
    return ("[" + ",".join([text] * count) + "]").encode()


def numbered(template: str, count: int = 500) -> bytes:
    return ("[" + ",".join(template % number for number in range(1000, 1000 + count)) + "]").encode()


def keys(count: int, each: int = 60) -> bytes:
    return dumps([{f"{number}-{key}": None for key in range(count)} for number in range(each)])


#: JSON texts that weigh much, by what they are made of.
HEAVY = {
    "empty arrays": repeated("[]"),
    "empty objects": repeated("{}"),
    "an object in an object": repeated('{"a":{}}'),
    "no key": repeated('{"":{}}'),
    "nested arrays": repeated("[" * 100 + "]" * 100, 50),
    "nested objects": repeated('{"":' * 100 + "0" + "}" * 100, 50),
    "arrays of one": numbered("[%d]"),
    "arrays of four": repeated("[null,null,null,null]"),
    "arrays of five": repeated("[null,null,null,null,null]"),
    "null": repeated("null", 10_000),
    "integers": numbered("%d"),
    "large integers": numbered("1844674407370955%d"),
    "floats": numbered("%d.5"),
    "short floats": numbered("%de15"),
    "numbers in objects": numbered('{"a":%d}'),
    "short texts": numbered('"%d"'),
    "one long text": dumps("x" * 100_000),
    "escapes": dumps('"\\\n\x01' * 10_000),
    "euros": dumps("\u20ac" * 10_000),
    "one euro in a long text": dumps("x" * 100_000 + "\u20ac"),
    "one emoji in a long text": dumps("x" * 100_000 + "\U0001f600"),
    "one escaped emoji in a long text": json.dumps("x" * 100_000 + "\U0001f600").encode(),
    "one umlaut in each short text": numbered('"\xe4%d"'),
    "emojis": dumps("\U0001f600" * 10_000),
    "long keys": numbered('{"' + "k" * 70 + '%d":0}'),
    "keys with an emoji": numbered('{"' + "k" * 20 + '\U0001f600%d":0}'),
    "documents": dumps([{"id": n, "name": f"user {n}", "value": n + 0.5, "tags": ["a", "b"]} for n in range(500)]),
    **{f"{count} keys": keys(count) for count in (1, 2, 5, 6, 10, 11, 21, 22, 42, 43, 85, 86, 171)},
    "one large object": dumps({f"key {number}": number for number in range(1000, 7000)}),
}


def traced(make: Any) -> int:
    """
    How many bytes are allocated for what C{make} gives.
    """
    # What is made once for all is not to be counted.
    make()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        made = make()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    del made
    return after - before


class WeightTests(SynchronousTestCase):
    """
    The weight of a value is not below the memory that it takes.
    """

    def setUp(self) -> None:
        make_collections_short(self)

    def test_from_above(self) -> None:
        """
        No kind of value takes more than its estimate, by more than a tenth, with its JSON text; whichever parser made
        it, and after it was written out, for which Python keeps the UTF-8 text of some texts.
        """
        for kind, text in HEAVY.items():
            for parse in (loads, stdlib_loads):

                def make(text: bytes = text, parse: Any = parse) -> Any:
                    value = parse(text)
                    return value, bytes(memoryview(dumps(value)))

                truth = traced(make)
                self.assertGreaterEqual(weigh_json(text), LEAST * truth, f"{kind} take {truth} bytes")

    def test_not_far_above(self) -> None:
        """
        For usual documents the estimate is at most some two times the truth.
        """
        for kind in ("documents", "one long text", "short texts", "large integers", "one large object"):
            text = HEAVY[kind]
            self.assertLess(weigh_json(text), 2.3 * traced(lambda text=text: (loads(text), text[1:])), kind)

    def test_text_or_bytes(self) -> None:
        """
        Text clients send texts, all others bytes: the weight is the same.
        """
        for text in ('{"a":[1,"\u20ac"]}', "[]", '"x"'):
            self.assertEqual(weigh_json(text), weigh_json(text.encode()))
        self.assertGreater(weigh_json('"\ud800"'), 6 * 5)

    def test_bounds_text(self) -> None:
        """
        The JSON text of a value has at most half as many bytes as the value weighs.
        """
        for kind, text in HEAVY.items():
            self.assertLessEqual(2 * len(dumps(loads(text))), weigh_json(text), kind)

    def test_entries(self) -> None:
        """
        An entry of a dictionary, with its name and a small object, is not heavier than it is said to be.
        """
        names = [f"record/{number}" for number in range(100_000)]
        truth = traced(lambda: {"".join((name, "")) + "x": (number, None) for number, name in enumerate(names, 1000)})
        self.assertGreaterEqual(sum(ENTRY_WEIGHT + weigh_name(name) for name in names), truth)
        for name in ("a" * 1000, "\xe4" * 1000, "\u20ac" * 1000, "\U0001f600" * 1000):
            self.assertGreaterEqual(weigh_name(name), LEAST * traced(lambda name=name: name[1:] + "a"))
