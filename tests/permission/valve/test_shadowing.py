"""
Tests for L{dstwist.permission.valve.shadowing}.
"""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dstwist.permission.valve import shadowing
from dstwist.permission.valve.paths import PathPattern
from dstwist.permission.valve.shadowing import covers, shape_of

#: All short names of three letters.
NAMES = ["".join(letters) for length in range(6) for letters in product("a/b", repeat=length)]
PIECES = st.lists(st.sampled_from(["a", "/", "$x", "*", "."]), min_size=1, max_size=4).map("".join)


def covered(wide: str, narrow: str) -> bool:
    shapes = shape_of(wide), shape_of(narrow)
    assert shapes[0] is not None and shapes[1] is not None
    return covers(shapes[0], shapes[1])


class HidingTests(SynchronousTestCase):
    """
    Which patterns match all that others match.
    """

    def test_examples(self) -> None:
        """
        Path variables stop at a slash, and stars do not.
        """
        for wide, narrow in (
            ("user/$identifier", "user/admin"),
            ("user/$identifier", "user/$id"),
            ("*", "a/$b/c"),
            ("a/*", "a/b/*"),
            (r"a\.b", r"a\.b"),
            ("a.b", "a-b"),
            ("$a/$b", "x/$y"),
        ):
            self.assertTrue(covered(wide, narrow), (wide, narrow))
        for wide, narrow in (
            ("user/$identifier", "user/*"),
            ("user/$identifier", "user/a/b"),
            ("user/$identifier", "game/admin"),
            (r"a\.b", "a.b"),
            ("a/$b", "a/"),
            ("$a/b", "*"),
            ("a*b", "a$b"),
        ):
            self.assertFalse(covered(wide, narrow), (wide, narrow))

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(PIECES, PIECES)
    def test_like_matching(self, wide: str, narrow: str) -> None:
        """
        One pattern covers another if each name that the other one matches is matched by it.
        """
        if "/" in (wide[0], narrow[0]):
            return
        one, other = PathPattern(wide), PathPattern(narrow)
        expected = all(one.match(name) is not None for name in NAMES if other.match(name) is not None)
        self.assertEqual(covered(wide, narrow), expected)

    def test_others(self) -> None:
        """
        Other regular expressions are not compared.
        """
        for pattern in ("(a|b)/$id", "a+", "[ab]", "a{2}", r"\d", "a^", "a$"):
            self.assertIsNone(shape_of(pattern), pattern)

    def test_much_work(self) -> None:
        """
        Patterns whose comparison takes too many steps do not count as covered.
        """
        wide, narrow = "*", "*a*a*a*"
        self.assertTrue(covered(wide, narrow))
        self.patch(shadowing, "MAX_PAIR_STEPS", 3)
        self.assertFalse(covered(wide, narrow))
