"""
Tests for L{dstwist.permission.valve.parser}.
"""

from __future__ import annotations

import inspect

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dstwist.permission.valve.compiler import compiled
from dstwist.permission.valve.lexer import RuleSyntaxError
from dstwist.permission.valve.parser import parse
from dstwist.permission.valve.tree import MAX_RULE_DEPTH
from tests.permission.pieces import PIECES

ACCEPTED = (
    "a",
    "a.b.c[d]?.[e]?.f",
    "a\n.b",
    "a ? b : c ? d : e",
    "a ? b ? c : d : e",
    "{a: 1}",
    "{}",
    "[]",
    "a ?? (b || c)",
    "(a ?? b) || c",
    "typeof void !a",
    "(-1) ** 2",
    "2 ** -1",
    "a / b / c",
    "a + +b",
    "a - -b",
    "/[/]\\//g",
    "a.match(/x/)",
    "[/x/]",
    "a ? /x/ : /y/",
    "typeof /x/",
    "a.in / b",
    "a.typeof / b / c",
    "({a, b})",
    "({a: 1,})",
    "[1,]",
    "a.indexOf(1,)",
    "`a${`b${c}`}`",
    "`${{a: 1}.a}`",
    "'\u2028'",
    "a;",
    "a ;// x",
    "é + ñ$1 + $_",
    "let",
    "of",
    "async",
    "1..x",
    "1.5.x",
    ".5.x",
    "a?.5:1",
    "a<!b",
    "0",
    "0.5",
    "0e1",
)
REFUSED = (
    ("", "Unexpected end of input"),
    ("  // nothing", "Unexpected end of input"),
    ("a b", "Unexpected identifier b"),
    ("a.", "Unexpected end of input"),
    ("a.(b)", "Unexpected token ("),
    ("a.[b]", "Unexpected token ["),
    ("a..b", "Unexpected token ."),
    ("a.1", "Unexpected token number"),
    ("a.#b", "Invalid or unexpected token"),
    ("(a", "Unexpected end of input"),
    ("a)", "Unexpected token )"),
    ("()", "Unexpected token )"),
    ("[1", "Unexpected end of input"),
    ("[,1]", "Unexpected token ,"),
    ("[1,,2]", "Unexpected token ,"),
    ("{a}}", "Unexpected token }"),
    ("({1})", "Unexpected token }"),
    ("({null})", "Unexpected token }"),
    ("({'a'})", "Unexpected token }"),
    ("({if})", "Unexpected identifier if"),
    ("a ? b", "Unexpected end of input"),
    ("a : b", "Unexpected token :"),
    ("a &&", "Unexpected end of input"),
    ("* a", "Unexpected token *"),
    ("a ?? b || c", "?? among || or && needs parentheses"),
    ("a || b ?? c", "?? among || or && needs parentheses"),
    ("a && b ?? c", "?? among || or && needs parentheses"),
    ("a ?? b && c", "?? among || or && needs parentheses"),
    ("-1 ** 2", "put the left side of ** into parentheses"),
    ("!a ** 2", "put the left side of ** into parentheses"),
    ("a = 1", "a rule cannot assign"),
    ("a => 1", "Unexpected token =>"),
    ("a >>>= 1", "a rule cannot assign"),
    ("a ||= 1", "a rule cannot assign"),
    ("a++", "a rule cannot assign"),
    ("--a", "a rule cannot assign"),
    ("a; b", "Unexpected identifier b"),
    ("a;;", "a rule is one expression"),
    (";a", "a rule is one expression"),
    ("return a", "Unexpected identifier return"),
    ("delete a.b", "Unexpected identifier delete"),
    ("if", "Unexpected identifier if"),
    ("...a", "Unexpected token ..."),
    ("010", "not a number"),
    ("09", "not a number"),
    ("1_", "not a number"),
    ("1__0", "not a number"),
    ("0x", "not a number"),
    ("0xg", "not a number"),
    ("1n", "not a number"),
    ("3in a", "not a number"),
    ("1e", "not a number"),
    ("'a", "a text that does not end"),
    ("'a\nb'", "a text that does not end"),
    ("'\\07'", "Invalid escape sequence"),
    ("'\\8'", "Invalid escape sequence"),
    ("'\\x4'", "Invalid escape sequence"),
    ("'\\u12'", "Invalid escape sequence"),
    ("'\\u{110000}'", "Undefined Unicode code-point"),
    ("`a", "Unterminated template literal"),
    ("`a${b", "Unexpected end of input"),
    ("`${}`", "Unexpected token piece"),
    ("}`", "Unterminated template literal"),
    ("} a", "Unexpected token }"),
    ("a`b`", "Unexpected token template"),
    ("a.b`c`", "Unexpected token template"),
    ("/a", "missing /"),
    ("/[/", "missing /"),
    ("/a\n/", "missing /"),
    ("/* a", "Invalid or unexpected token"),
    ("a @ b", "Invalid or unexpected token"),
    ("a \\u0062", "Invalid or unexpected token"),
    ("a(1)", "only methods and _ can be called"),
    ("_(1)(2)", "only methods and _ can be called"),
    ("a.b(1)", "function b is not supported"),
    ("a.trim()(1)", "only methods and _ can be called"),
    ("a?.(1)", "Unexpected token ("),
    ("a[b](1)", "only methods and _ can be called"),
    ("(trim)()", "only methods and _ can be called"),
)


class GrammarTests(SynchronousTestCase):
    """
    Texts that are rules, and texts that are none.
    """

    def test_accepted(self) -> None:
        """
        The table of expressions.
        """
        for text in ACCEPTED:
            compiled(parse(text), {})

    def test_refused(self) -> None:
        """
        The table of what is none, with the reason.
        """
        for text, problem in REFUSED:
            error = str(self.assertRaises(RuleSyntaxError, parse, text))
            self.assertTrue(error.startswith("SyntaxError: ") and problem in error, f"{text}: {error}")

    def test_bad_regular_expressions(self) -> None:
        """
        A regular expression that could not be matched, or not in linear time, is refused when the rule is loaded.
        """
        for text, problem in (
            ("/(/", "missing )"),
            ("/a**/", "nothing to repeat"),
            ("/(?=a)/", "look-around is not supported"),
            ("/(a)[1]\\1/", "back-references are not supported"),
            ("/\\p{L}/u", "properties of characters are not supported"),
            ("/a/gg", "invalid flags"),
            ("/a/x", "invalid flags"),
            ("/a/v", "invalid flags"),
            ("/a/gy", "invalid flags"),
            ("/\u212a/i", "without regard to case"),
            (f"/{'a' * 1001}/", "longer than 1000 characters"),
        ):
            error = str(self.assertRaises(RuleSyntaxError, lambda text=text: compiled(parse(text), {})))
            self.assertIn("SyntaxError: Invalid regular expression", error)
            self.assertIn(problem, error)

    def test_place_of_an_error(self) -> None:
        """
        An error tells where in the rule it is.
        """
        self.assertIn("(character 8)", str(self.assertRaises(RuleSyntaxError, parse, "data.a @ 1")))

    def test_places(self) -> None:
        """
        Each part of a tree knows its text.
        """
        tree = parse("(a.b) + [c]")
        self.assertEqual([(part.start, part.end) for part in (tree, *tree.parts())], [(0, 11), (1, 4), (8, 11)])


class LimitTests(SynchronousTestCase):
    """
    How large a rule may be.
    """

    def test_depth(self) -> None:
        """
        Up to 200 levels of brackets, and of operators within each other.
        """
        for opening, closing in (
            ("(", ")"),
            ("[", "]"),
            ("_(", ")"),
            ("{a:", "}"),
            ("a[", "]"),
            ("!", ""),
            ("`${", "}`"),
        ):
            most = MAX_RULE_DEPTH - 1
            parse(opening * most + "a" + closing * most)
            for depth in (MAX_RULE_DEPTH + 1, 1000):
                text = opening * depth + "a" + closing * depth
                error = str(self.assertRaises(RuleSyntaxError, parse, text))
                self.assertIn("nested more than 200 levels deep", error, opening)

    def test_depth_of_conditions(self) -> None:
        """
        Conditions within conditions are nested, conditions after each other are not.
        """
        self.assertRaises(RuleSyntaxError, parse, "a?" * 1000 + "b" + ":c" * 1000)
        parse("a?b:" * 1000 + "c")

    def test_depth_of_the_stack(self) -> None:
        """
        How deep a rule may be does not depend on who loads it.
        """

        def deep(levels: int) -> None:
            if levels:
                deep(levels - 1)
            else:
                compiled(parse("(" * 199 + "a" + ")" * 199), {})

        deep(900 - len(inspect.stack(0)))


class FuzzTests(SynchronousTestCase):
    """
    Every text is a rule, or is refused.
    """

    @settings(deadline=None, max_examples=300, derandomize=True)
    @given(st.text(max_size=60))
    def test_any_text(self, text: str) -> None:
        """
        Texts of any characters.
        """
        try:
            compiled(parse(text), {})
        except RuleSyntaxError:
            pass

    @settings(deadline=None, max_examples=500, derandomize=True)
    @given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
    def test_any_pieces(self, text: str) -> None:
        """
        Texts of JavaScript's words, in any order.
        """
        try:
            compiled(parse(text), {})
        except RuleSyntaxError:
            pass
