"""
Long JSON texts that are read little by little.
"""

from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol import jsonparts
from dstwist.protocol.jsonparts import reading
from dstwist.protocol.jsontext import loads
from dstwist.protocol.nesting import MAX_DEPTH

#: The time, in seconds, that the expression takes for a character of a string.
CHARACTER = 5e-9

_BLANKS = ("", "", "", " ", "\n")
_SCALARS = ('"a"', '"x\\"y"', '"\\\\"', '"[{,"', '""', "1", "-2.5", "null", "true", '"\\u00e9,"', '"é"', '"\\ud800"')
_KEYS = ('"a"', '"b"', '""', '"k,"')

QUICK = settings(deadline=None, derandomize=True, database=None)


def _document(chance: random.Random, depth: int) -> str:
    """
    A text of JSON; its objects repeat keys.
    """
    kind = chance.random()
    if depth == 0 or kind < 0.3:
        return chance.choice(_SCALARS)
    blank = chance.choice(_BLANKS)
    items = [_document(chance, depth - 1) for _ in range(chance.randint(0, 4))]
    if kind < 0.65:
        return f"[{blank}{(',' + blank).join(items)}]"
    return "{" + ",".join(f"{blank}{chance.choice(_KEYS)}:{item}" for item in items) + "}"


def _spoilt(chance: random.Random, text: str) -> str:
    """
    The text with a character more, less, or in the place of another.
    """
    place = chance.randrange(len(text))
    return text[:place] + chance.choice('[]{},:"\\1 ') * chance.randint(0, 1) + text[place + chance.randint(0, 1) :]


def read(text: bytes, size: int = 10, keep: bool = True) -> tuple[Any, int]:
    """
    The value, and in how many steps it was read; the L{ValueError} class in the place of the value if there is none.
    """
    work = reading(text, keep, size)
    steps = 1
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value, steps
        except ValueError:
            return ValueError, steps
        steps += 1


class ReadingTests(SynchronousTestCase):
    """
    L{reading}.
    """

    def check(self, text: bytes, size: int) -> None:
        try:
            expected = loads(text)
        except ValueError:
            expected = ValueError
        value, _ = read(text, size)
        checked, _ = read(text, size, keep=False)
        if expected is ValueError:
            self.assertEqual((value, checked), (ValueError, ValueError), text)
        else:
            # The order of the keys counts as well.
            self.assertEqual(json.dumps(value), json.dumps(expected), text)
            self.assertIsNone(checked)

    @QUICK
    @given(st.integers(0), st.integers(1, 20))
    def test_same_value(self, seed: int, size: int) -> None:
        """
        The value is that of the whole text, wherever it is cut, and also if objects repeat keys.
        """
        self.check(_document(random.Random(seed), 6).encode(), size)

    @QUICK
    @given(st.integers(0), st.integers(1, 20))
    def test_same_refusal(self, seed: int, size: int) -> None:
        """
        A text that is no JSON as a whole is refused.
        """
        chance = random.Random(seed)
        self.check(_spoilt(chance, _document(chance, 6)).encode(), size)

    def test_commas(self) -> None:
        """
        A comma that nothing follows, or that nothing comes before, is refused also where the text is cut at it.
        """
        for text in (
            b"[[1,2,3,4,5,6,],1]",
            b'[{"a":1,"b":2,"c":3,}]',
            b"[,1,2,3,4,5,6]",
            b"[1,2,3,4,5,6],1,2,3,4",
            b"[1,2,3,4,5,6",
        ):
            self.assertEqual(read(text, 1)[0], ValueError)

    def test_repeated_key(self) -> None:
        """
        If the text is cut in a member of an object whose key was there before, what follows is added to that member.
        """
        text = b'{"a":[1,2,3],"b":{"x":[1,2]},"a":[4,5,6,7,8,9],"b":{"x":[3,4,5]}}'
        value, steps = read(text, 1)
        self.assertEqual(value, {"a": [4, 5, 6, 7, 8, 9], "b": {"x": [3, 4, 5]}})
        self.assertGreater(steps, 10)

    def test_depth(self) -> None:
        """
        As many levels are read as in one go, and no more.
        """
        for levels, size in ((MAX_DEPTH, 1), (MAX_DEPTH, 300), (MAX_DEPTH + 1, 1), (MAX_DEPTH + 1, 300), (5000, 50)):
            for opening, closing in ((b"[1,", b"]"), (b'{"a":1,"b":', b"}")):
                self.check(opening * levels + b"2" + closing * levels, size)

    def test_steps(self) -> None:
        """
        Each step reads little, also if there are long strings, many strings, or deep nests.
        """
        sizes: list[int] = []

        def count(text: bytes) -> Any:
            sizes.append(len(text))
            return loads(text)

        self.patch(jsonparts, "loads", count)
        for item in (b"[]", b"1", b'""', b'{"a":"b"}', b"[" * 200 + b"]" * 200, b'{"a":' * 200 + b"1" + b"}" * 200):
            text = b"[%s]" % b",".join([item] * (200_000 // len(item)))
            value, steps = read(text, 4096)
            self.assertEqual(value, loads(text))
            self.assertGreater(steps, 20)
        self.assertLess(max(sizes), 12_000)

    def test_long_strings(self) -> None:
        """
        To find the end of a string takes little time, unless it may have quotes in it.
        """
        clock = Clock()
        expression = jsonparts._STRING

        class Charged:
            sub = expression.sub

            def match(self, text: bytes, at: int) -> Any:
                found = expression.match(text, at)
                if found is not None:
                    clock.rightNow += CHARACTER * len(found.group())
                return found

        self.patch(jsonparts, "_STRING", Charged())
        long = b"x" * 500_000
        for string, slow in ((long, False), (long + b"\\u00e9", False), (b'\\"' + long, True), (long + b"\\\\", True)):
            text = b'["%s",1,{"a":"%s"}]' % (string, string)
            began = clock.seconds()
            value, steps = read(text, 1000)
            self.assertTrue(value == loads(text))
            self.assertGreater(steps, 1)
            self.assertIs(clock.seconds() - began > 0.001, slow)

    def test_no_commas(self) -> None:
        """
        Strings without commas between them do not take long to be refused.
        """
        self.assertEqual(read(b"[" + b'"a"' * 100_000 + b"]", 1000), (ValueError, 1))
        self.assertEqual(read(b'["' + b"a" * 100_000, 1000), (ValueError, 1))
