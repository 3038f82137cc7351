"""
Tests for L{dstwist.permission.valve.lexer}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dstwist.permission.valve.lexer import MAX_RULE_CHARACTERS, RuleSyntaxError, tokens_of
from dstwist.permission.valve.parser import parse
from tests.permission.pieces import PIECES


class TokenTests(SynchronousTestCase):
    """
    L{tokens_of}.
    """

    def test_kinds(self) -> None:
        """
        Each kind of token, with its value.
        """
        for text, *tokens in (
            ("5", ("number", 5.0)),
            ("1_000.5e1", ("number", 10005.0)),
            ("0xff", ("number", 255.0)),
            ("'a\\n'", ("string", "a\n")),
            ('"\\u{1f600}"', ("string", "\U0001f600")),
            ("`a`", ("template", ("a", False))),
            ("`a${b}c`", ("template", ("a", True)), ("name", "b"), ("piece", ("c", False))),
            ("$id", ("name", "$id")),
            ("a?.b", ("name", "a"), ("punctuator", "?."), ("name", "b")),
            ("a?.5:b", ("name", "a"), ("punctuator", "?"), ("number", 0.5), ("punctuator", ":"), ("name", "b")),
        ):
            self.assertEqual([(token.kind, token.value) for token in tokens_of(text)], [*tokens, ("end", None)], text)

    def test_slash(self) -> None:
        """
        A slash begins a regular expression where an operand is expected, and divides elsewhere.
        """
        for text, kinds in (
            ("/a/i", ["regex"]),
            ("a / b / c", ["name", "punctuator", "name", "punctuator", "name"]),
            ("(a) / b", ["punctuator", "name", "punctuator", "punctuator", "name"]),
            ("typeof /a/", ["name", "regex"]),
            ("x.typeof / a", ["name", "punctuator", "name", "punctuator", "name"]),
        ):
            self.assertEqual([token.kind for token in tokens_of(text)[:-1]], kinds, text)

    def test_refused(self) -> None:
        """
        Text that is no token is refused with its position; so are the outdated octal forms.
        """
        for text, position in (("'a", 0), ("a #", 2), ("010", 0), ("1 + '\\07'", 5), ("3a", 0), ("`a", 0), ("/* a", 0)):
            error = self.assertRaises(RuleSyntaxError, tokens_of, text)
            self.assertEqual(error.position, position, text)

    def test_length(self) -> None:
        """
        Up to 10,000 characters.
        """
        parse("a" * MAX_RULE_CHARACTERS)
        error = self.assertRaises(RuleSyntaxError, parse, "a" * (MAX_RULE_CHARACTERS + 1))
        self.assertIn("more than 10000 characters", str(error))

    @settings(deadline=None, max_examples=200, derandomize=True)
    @given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
    def test_tokens(self, text: str) -> None:
        """
        The words of a text are in order and do not overlap.
        """
        try:
            tokens = tokens_of(text)
        except RuleSyntaxError:
            return
        for before, after in zip(tokens, tokens[1:], strict=False):
            self.assertLessEqual(before.end, after.start)
        self.assertEqual(tokens[-1].end, len(text))
