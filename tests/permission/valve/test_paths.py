"""
Tests for L{dstwist.permission.valve.paths}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dstwist.permission.valve.paths import BadPath, PathPattern
from dstwist.protocol.typed import UNDEFINED


class PatternTests(SynchronousTestCase):
    """
    Which names a pattern matches, and what its variables hold.
    """

    def test_matches(self) -> None:
        """
        The table of names.
        """
        for pattern, name, expected in (
            ("*", "", ()),
            ("*", "a/b", ()),
            ("*", "a\nb", None),
            ("*", "a\u2028b", None),
            ("a", "a", ()),
            ("a", "ab", None),
            ("a", "ba", None),
            ("a/*", "a/", ()),
            ("a/*", "a", None),
            ("a/*/c", "a/b/b/c", ()),
            ("$id", "ann", ("ann",)),
            ("$id", "", None),
            ("$id", "a/b", None),
            ("$id", "a\nb", ("a\nb",)),
            ("user/$id", "user/ann", ("ann",)),
            ("user/$id", "User/ann", None),
            ("$a/$b", "x/y", ("x", "y")),
            ("$a-$b", "x-y-z", ("x-y", "z")),
            ("$user_id", "x_id", ("x",)),
            ("*/$id", "a/b/c", ("c",)),
            ("a.b", "axb", ()),
            ("a\\.b", "axb", None),
            ("a\\.b", "a.b", ()),
            ("cards/.*", "cards/", None),
            ("cards/.*", "cards/1", ()),
            ("(a|b)/$id", "a/7", ("a", "7")),
            ("(x)?$id", "7", (UNDEFINED, "7")),
            ("a|b", "b", ()),
            # ^a|b$ is what stands there in the end.
            ("a|b", "axx", ()),
            ("[ab]+", "abba", ()),
            ("x{2}", "xx", ()),
            ("a$", "a", ()),
            ("é/$id", "é/ñ", ("ñ",)),
        ):
            self.assertEqual(PathPattern(pattern).match(name), expected, (pattern, name))

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(
        st.lists(st.sampled_from(["a", "b-", "/", "$x", "$y", "*", "."]), min_size=1, max_size=6).map("".join),
        st.text("ab-/\n\u2028\u00ad\ue000\ud800", max_size=6),
    )
    def test_without_expression(self, text: str, name: str) -> None:
        """
        Patterns that are matched without their expression match the same names, and their groups hold the same.
        """
        if text.startswith("/"):
            return
        pattern = PathPattern(text)
        quick = pattern.match(name)
        pattern._open, pattern._segments = False, None
        self.assertEqual(quick, pattern.match(name))

    def test_half_a_character(self) -> None:
        """
        A name with half a character, out of a JSON escape, is matched like any other.
        """
        self.assertEqual(PathPattern("user/$id").match("user/\ud83d"), ("\ufffd",))

    def test_variables(self) -> None:
        """
        If two variables have one name, the last one counts.
        """
        self.assertEqual(PathPattern("$a/$b/$a").variables, {"$a": 2, "$b": 1})

    def test_weight(self) -> None:
        """
        The longer pattern is the heavier one, in UTF-16 units, whatever is in it.
        """
        self.assertEqual([PathPattern(text).weight for text in ("*", "user/$id", "\U0001f600")], [1, 8, 2])

    def test_refused(self) -> None:
        """
        Texts that are no pattern, with the reason.
        """
        for text, problem in (
            ("", "path can't be empty"),
            ("/a", "path can't start with /"),
            ("a$$b", "invalid variable name $$"),
            ("a/$-", "invalid variable name $-"),
            ("a$/$", "invalid variable name $/"),
            ("a(", "path is no regular expression (missing ): ^a($)"),
            ("a\\$b", "path is no regular expression"),
            ("+", "path is no regular expression (nothing to repeat)"),
            ("a(?=b)", "path is no regular expression (look-around is not supported)"),
            ("x" * 1001, "path is longer than 1000 characters"),
        ):
            error = str(self.assertRaises(BadPath, PathPattern, text))
            self.assertTrue(error.startswith(problem.split("(missing")[0]), error)

    def test_linear(self) -> None:
        """
        A client cannot hold up the server by a name that nearly matches.
        """
        pattern = PathPattern("*a*a*a*a*a*a*a*a*a*a*b")
        self.assertIsNone(pattern.match("a" * 20_000))
