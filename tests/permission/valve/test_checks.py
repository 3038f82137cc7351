"""
Tests for L{dstwist.permission.valve.checks}: which texts may be rules, as the Node server has it.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.errors import RuleError
from dstwist.permission.valve.checks import RULES, checked

NEW = "rule can't contain the new keyword"
FUNCTIONS = "rule can't contain user functions"


class CheckTests(SynchronousTestCase):
    """
    The checks look at the text, so they see strings and comments as well.
    """

    def refusal(self, rule: Any, section: str = "record", kind: str = "write") -> str:
        return str(self.assertRaises(RuleError, checked, rule, section, kind))

    def test_booleans(self) -> None:
        """
        true and false are rules.
        """
        self.assertIs(checked(True, "rpc", "request"), True)
        self.assertIs(checked(False, "rpc", "request"), False)

    def test_no_texts(self) -> None:
        """
        Nothing else is, but a text with something in it.
        """
        others: list[Any] = [1, 0, None, [], {}, 1.5]
        for rule in others:
            self.assertEqual(self.refusal(rule), "rule must be a string")
        self.assertEqual(self.refusal(""), "rule can't be empty")

    def test_words(self) -> None:
        """
        Words that a rule must not contain, and what only looks like them.
        """
        for rule, problem in (
            ("new Date", NEW),
            ("a === 'new'", NEW),
            ("'a new day' === a", NEW),
            ("(function () {})", FUNCTIONS),
            ("a => a", FUNCTIONS),
            ("a === '=>'", FUNCTIONS),
            ("alert(1)", "function alert is not supported"),
            ("data.a.substr (1)", "function substr is not supported"),
            ("data.a.substr\u00a0\n(1)", "function substr is not supported"),
            ("a['log'](1)", "function log'] is not supported"),
            ("a['indexOf'](1)", "function indexOf'] is not supported"),
            ("typeof(a)", "function typeof is not supported"),
            ("'a' in (data)", "function in is not supported"),
            ("a === 'Smith (jr)'", "function Smith is not supported"),
            ("a.trim().substr(1)", "function substr is not supported"),
            ("__(1)", "function __ is not supported"),
        ):
            self.assertEqual(self.refusal(rule), problem, rule)
        for rule in (
            "data.newest && data.renew && data.$new",
            "data.a.new",
            "functional && data.function",
            "(a) && (b) || !(c)",
            "a.match(/^[0-9](c)$/)",
            "_('a') && _ ('b')",
            "a .trim ()",
        ):
            checked(rule, "record", "write")

    def test_order(self) -> None:
        """
        The error is that of the first check that fails.
        """
        self.assertEqual(self.refusal("new function() {} substr(1"), NEW)
        self.assertEqual(self.refusal("x => alert(data"), FUNCTIONS)
        self.assertEqual(self.refusal("alert(data", "record", "read"), "function alert is not supported")
        self.assertIn("SyntaxError", self.refusal("data.a === ", "record", "read"))

    def test_data(self) -> None:
        """
        Only rules whose action has data may mention it, and only those of a record that is there oldData.
        """
        for section, kinds in RULES.items():
            for kind, sees in kinds.items():
                for letter, name, rule in (("d", "data", "data.a"), ("o", "oldData", "oldData.a")):
                    if letter in sees:
                        checked(rule, section, kind)
                    else:
                        expected = f"rule {kind} for {section} does not support {name}"
                        self.assertEqual(self.refusal(rule, section, kind), expected)

    def test_mentions_of_data(self) -> None:
        """
        Texts that count as a use of data.
        """
        problem = "rule read for record does not support data"
        for rule in ("data", "name === 'data'", "$data", "a /* data */", "[data]", "a. data"):
            self.assertEqual(self.refusal(rule, "record", "read"), problem, rule)
        for rule in ("user.data.a", "data1", "mydata", "_data", "a.data"):
            checked(rule, "record", "read")
        # Without anything behind it, oldData escapes the check.
        checked("!oldData", "record", "create")
        self.assertIn("does not support oldData", self.refusal("!oldData ", "record", "create"))
