"""
Tests for L{dstwist.permission.valve.comparisons}.
"""

from __future__ import annotations

from tests.permission.valve.helpers import LintCase


class ComparisonTests(LintCase):
    """
    Comparisons that are always true, or never.
    """

    def test_actions(self) -> None:
        """
        An action that the rule never decides about; names of both generations and numbers are known.
        """
        asked = "this rule is asked about UPDATE, PATCH, PATCH_MULTI"
        self.says("action === 'WRITE'", f"action === 'WRITE' is never true: {asked}")
        self.says("'update' == action", f"'update' == action is never true: {asked}; did you mean 'UPDATE'?")
        self.says("action !== 'READ'", f"action !== 'READ' is always true: {asked}")
        self.says("action === 99", f"action === 99 is never true: {asked}")
        self.says("['PATCH', 'WRITE'].includes(action)", f"action is never 'WRITE': {asked}")
        self.says_nothing("action === 'UPDATE'", "action === 18", "action == '18'", "['PATCH'].indexOf(action) !== -1")
        self.says_nothing("action === 'EVENT' || action === 'EMIT'", section="event", kind="publish")
        self.says_nothing("['SNAPSHOT', 'READ', 'HAS', 'HEAD'].includes(action)", kind="read")

    def test_never_equal(self) -> None:
        """
        Values of kinds that have nothing in common.
        """
        self.says("$id === 5", "$id === 5 is never true: $id is a text or null or undefined, and 5 is a number")
        self.says(
            "user.isAuthenticated === 'true'",
            "user.isAuthenticated === 'true' is never true: user.isAuthenticated is true or false, and 'true' is a "
            "text",
        )
        self.says("now !== 'x'", "now !== 'x' is always true: now is a number, and 'x' is a text")
        self.says(
            "$id.startsWith('a') === 1",
            "$id.startsWith('a') === 1 is never true: $id.startsWith('a') is true or false, and 1 is a number",
        )
        own = "an array, an object or a regular expression that the rule itself makes is equal to no other"
        self.says("data.a === []", f"data.a === [] is never true: {own}")
        self.says(
            "$id.toLowerCase() === 'Ann'",
            "$id.toLowerCase() === 'Ann' is never true: toLowerCase() never gives such a text",
        )
        self.says(
            "typeof data === 'strng'",
            "typeof data === 'strng' is never true: typeof gives one of undefined, object, boolean, number, string, "
            "function; did you mean 'string'?",
        )
        self.says_nothing(
            "$id === '5'",
            "$id == 5",
            "$id === undefined",
            "user.id === null",
            "user === null || data === 5",
            "user?.id === undefined",
            "name.indexOf('a') === 0",
            "name.match(/a/) === null",
            "(data.a || 5) === 'x'",
            "(data ? 1 : 'x') === 'x'",
            "(1, 'x') === 'x'",
            "user.data === 'x'",
            "data.a + 1 === 'x1'",
            "-data.a === 5",
            "_('x') === null",
            "`a${$id}` === name",
            "$id.toUpperCase() === 'ANN'",
            "typeof data === 'string'",
            "(data > 1) === true",
        )
