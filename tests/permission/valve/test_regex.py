"""
Tests for L{dstwist.permission.valve.regex}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.permission.valve.regex import MAX_SUBJECT_CHARACTERS, Regex, regex_of_text
from dstwist.permission.valve.values import Meter, Thrown, TooMuch
from dstwist.protocol.typed import UNDEFINED


def match(source: str, text: str, flags: str = "", steps: int = 10**6) -> Any:
    return Regex(source, flags).match(text, Meter(steps))


class MatchTests(SynchronousTestCase):
    """
    Expressions match as in JavaScript.
    """

    def test_table(self) -> None:
        """
        Matches, with their groups.
        """
        for source, flags, text, expected in (
            ("b+", "", "abba", ["bb"]),
            ("^b", "", "ab", None),
            ("a$", "", "a\n", None),
            ("^$", "", "", [""]),
            ("(a)(b)?", "", "ac", ["a", "a", UNDEFINED]),
            ("(?:a)(b)", "", "ab", ["ab", "b"]),
            ("(?<year>\\d{4})", "", "in 2024", ["2024", "2024"]),
            ("^\\d$", "", "\u0663", None),
            ("^\\w$", "", "é", None),
            ("^\\s$", "", "\ufeff", ["\ufeff"]),
            ("^.$", "", "\u2028", None),
            ("^.$", "s", "\u2028", ["\u2028"]),
            ("^[^]$", "", "\n", ["\n"]),
            ("[]", "", "a", None),
            ("\\u0041\\x42", "", "AB", ["AB"]),
            ("\\u{41}", "u", "A", ["A"]),
            ("\\u{1F600}", "u", "\U0001f600", ["\U0001f600"]),
            ("u{3}", "", "uuu", ["uuu"]),
            ("\\u{3}", "", "uuu", ["uuu"]),
            ("a", "g", "banana", ["a", "a", "a"]),
            ("x*", "g", "axb", ["", "x", "", ""]),
            ("z", "g", "banana", None),
            ("B", "i", "abc", ["b"]),
            ("É", "i", "é", ["é"]),
            ("^b", "m", "a\nb", ["b"]),
            ("a$", "m", "a\nb", ["a"]),
            ("b", "y", "ab", None),
            ("a", "y", "ab", ["a"]),
            ("a{,5}", "", "a{,5}", ["a{,5}"]),
            ("", "", "abc", [""]),
        ):
            self.assertEqual(match(source, text, flags), expected, f"/{source}/{flags} in {text!r}")

    def test_place(self) -> None:
        """
        A match tells where it is, in UTF-16 units, and in which text.
        """
        found = match("y", "x\U0001f600y")
        self.assertEqual((found.place, found.text), (3, "x\U0001f600y"))

    def test_half_a_character(self) -> None:
        """
        A text with half a character can be matched.
        """
        self.assertEqual(match("a", "\ud83da"), ["a"])

    def test_shown(self) -> None:
        """
        An expression is written with its slashes.
        """
        self.assertEqual((str(Regex("a", "gi")), str(Regex(""))), ("/a/gi", "/(?:)/"))


class RefusalTests(SynchronousTestCase):
    """
    Where we do not know what JavaScript would find, or it would take too long, the rule fails.
    """

    def test_letters_of_other_cases(self) -> None:
        """
        For the engine the Kelvin sign is a k, for JavaScript it is not: the rule fails, and denies.
        """
        self.assertRaises(Thrown, match, "^kim$", "\u212aim", "i")
        self.assertRaises(Thrown, match, "^admins$", "admin\u017f", "i")
        self.assertIsNone(match("^kim$", "\u212aim"))

    def test_other_line_ends(self) -> None:
        """
        With the flag m, texts with line ends that the engine does not know cannot be matched.
        """
        for text in ("a\rb", "a\u2028b"):
            self.assertRaises(Thrown, match, "^b", text, "m")
            self.assertIsNone(match("^b", text))

    def test_long_texts(self) -> None:
        """
        Texts of more than 10,000 characters are not matched.
        """
        self.assertEqual(match("^x*", "x" * MAX_SUBJECT_CHARACTERS), ["x" * MAX_SUBJECT_CHARACTERS])
        self.assertRaises(TooMuch, match, "^x*", "x" * (MAX_SUBJECT_CHARACTERS + 1))

    def test_catastrophe(self) -> None:
        """
        Expressions that take a backtracking engine for ever are matched in steps that the text's length gives.
        """
        for source in ("(a+)+$", "(a|a)*$", "(a*)*b", "(.*)(.*)(.*)(.*)x$", "(x+x+)+y"):
            match(source, "a" * 9000 + "!", steps=3000)

    def test_text(self) -> None:
        """
        A text as an expression: a bad one, perhaps a client's, makes the rule fail.
        """
        self.assertEqual(regex_of_text("a+").match("baa", Meter(100)), ["aa"])
        for source in ("(", "(?=a)", "\\1", "a" * 1001, "x{99999}"):
            self.assertRaises(Thrown, regex_of_text, source)
