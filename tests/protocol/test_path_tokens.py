"""
Tests for L{dstwist.protocol.path_tokens}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.nesting import MAX_DEPTH
from dstwist.protocol.path_tokens import MAX_PATH_CHARACTERS, InvalidPath, index_of, key_of, parse

PARSED: list[tuple[str, tuple[str | int, ...]]] = [
    ("a", ("a",)),
    ("a.b.c", ("a", "b", "c")),
    ("a.0", ("a", "0")),
    ("a[0]", ("a", 0)),
    ("a[0][12].b", ("a", 0, 12, "b")),
    ("[1]", ("", 1)),
    (".[0]", ("", 0)),
    ("a..b.", ("a", "b")),
    (" a . b ", ("a", "b")),
    ("\ufeffa\xa0.\u2003b\u3000", ("a", "b")),
    ("\x1ca\x85", ("\x1ca\x85",)),
    ("a b.c", ("a b", "c")),
    ("a [0]", ("a ", 0)),
    ("a[ 1 ]", ("a", 1)),
    ("a[\t1\n]", ("a", 1)),
    ("a[ ]", ("a", 0)),
    ("a[]", ("a",)),
    ("a[1.5]", ("a", 1, "5")),
    ("g[0", ("g", 0)),
    ("g]0", ("g", 0)),
    ("a[1]b", ("a", 1, "NaN")),
    ("a[01]", ("a", 1)),
    ("a[1e2]", ("a", 100)),
    ("a[10e-1]", ("a", 1)),
    ("a[15e-1]", ("a", "1.5")),
    ("a[+1]", ("a", 1)),
    ("a[-1]", ("a", "-1")),
    ("a[-0]", ("a", 0)),
    ("a[0x1F]", ("a", 31)),
    ("a[0B11]", ("a", 3)),
    ("a[0o17]", ("a", 15)),
    ("a[0x]", ("a", "NaN")),
    ("a[0xg]", ("a", "NaN")),
    ("a[-0x1]", ("a", "NaN")),
    ("a[1_000]", ("a", "NaN")),
    ("a[0x1_0]", ("a", "NaN")),
    ("a[\u0661]", ("a", "NaN")),
    ("a[inf]", ("a", "NaN")),
    ("a[infinity]", ("a", "NaN")),
    ("a[Infinity]", ("a", "Infinity")),
    ("a[-Infinity]", ("a", "-Infinity")),
    ("a[1e999]", ("a", "Infinity")),
    ("a[1e21]", ("a", "1e+21")),
    ("a[9007199254740993]", ("a", "9007199254740992")),
    ("a[x]", ("a", "NaN")),
    ("a[__proto__]", ("a", "NaN")),
    ("__proto__x", ("__proto__x",)),
    ("a[1].__proto__ [0]", ("a", 1, "__proto__ ", 0)),
]

FORBIDDEN = [
    "__proto__",
    "constructor",
    "prototype",
    " prototype ",
    "__proto__.a",
    "a.__proto__.b",
    "a.constructor",
    "a[0].prototype",
    "__proto__[0]",
    "constructor]0",
    ".__proto__",
]


class ParseTests(SynchronousTestCase):
    """
    Paths are read as the Node server and its clients read them.
    """

    def test_tokens(self) -> None:
        """
        A path becomes its tokens: keys are texts, indexes are whole numbers.
        """
        for path, tokens in PARSED:
            found = parse(path)
            self.assertEqual(found, tokens, path)
            self.assertEqual([isinstance(token, int) for token in found], [isinstance(t, int) for t in tokens], path)

    def test_forbidden(self) -> None:
        """
        Keys that lead into the prototypes of JavaScript's objects are refused wherever they would be keys.
        """
        for path in FORBIDDEN:
            error = self.assertRaises(InvalidPath, parse, path)
            self.assertIn("forbidden", str(error))

    def test_w9_empty(self) -> None:
        """
        W9: a path without a single token is refused; it neither replaces the record nor writes a key "undefined".
        """
        for path in ("", " ", ".", "..", " . ", "\u3000"):
            self.assertRaises(InvalidPath, parse, path)

    def test_limits(self) -> None:
        """
        The longest and the deepest path are read; beyond, there is a clear refusal.
        """
        self.assertEqual(parse("a" * MAX_PATH_CHARACTERS), ("a" * MAX_PATH_CHARACTERS,))
        self.assertIn("longer", str(self.assertRaises(InvalidPath, parse, "a" * (MAX_PATH_CHARACTERS + 1))))
        self.assertEqual(len(parse("[0]" * (MAX_DEPTH - 1))), MAX_DEPTH)
        self.assertIn("parts", str(self.assertRaises(InvalidPath, parse, "[0]" * MAX_DEPTH)))

    def test_remembered(self) -> None:
        """
        A path is read once; what is remembered is bounded in number and in size.
        """
        self.assertIs(parse("some.path[7]"), parse("some.path[7]"))
        long = "a" * 1000 + ".b"
        self.assertIsNot(parse(long), parse(long))

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(st.text('a.[]01 -+exX"\ufeff\xa0_') | st.text())
    def test_anything(self, path: str) -> None:
        """
        Any text is either read, to at least one token, or refused.
        """
        try:
            tokens = parse(path)
        except InvalidPath:
            return
        self.assertTrue(tokens)
        self.assertIsInstance(tokens[0], str)


class TokenTests(SynchronousTestCase):
    """
    The keys and indices that tokens stand for.
    """

    def test_key(self) -> None:
        """
        Every token can be the key of an object.
        """
        for path, key in (("a", "a"), ("a[1]", "1"), ("a[-1]", "-1"), ("a.01", "01")):
            key_found = key_of(parse(path)[-1])
            self.assertEqual((key_found, type(key_found)), (key, str))

    def test_index(self) -> None:
        """
        Only whole numbers in their usual form are indices of an array, in brackets or after a point.
        """
        for path, index in (("a[7]", 7), ("a.7", 7), ("a[0x7]", 7)):
            self.assertEqual(index_of(parse(path)[-1]), index)
        for path in ("a.07", "a[-1]", "a[1e-2]", "a.x"):
            self.assertRaises(InvalidPath, index_of, parse(path)[-1])


class ModuleTests(SynchronousTestCase):
    """
    Invariants that other modules rely on.
    """

    def test_value_error(self) -> None:
        """
        A path that cannot be is a C{ValueError}, as for any text that cannot be read.
        """
        self.assertTrue(issubclass(InvalidPath, ValueError))
