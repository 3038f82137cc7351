"""
The parameters of commands.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.admin.commands import CommandError, Parameters


class ParametersTests(SynchronousTestCase):
    """
    L{Parameters}.
    """

    def test_given(self) -> None:
        """
        Texts of a query and values of JSON mean the same.
        """
        for values in ({"a": "12", "b": "true"}, {"a": 12, "b": True}):
            parameters = Parameters(values)
            self.assertEqual((parameters.number("a", 0), parameters.text("a"), parameters.flag("b")), (12, "12", True))

    def test_missing(self) -> None:
        """
        Parameters that are not given have their defaults.
        """
        parameters = Parameters({})
        self.assertEqual((parameters.number("a", 7), parameters.text("a"), parameters.flag("a")), (7, None, False))
        self.assertRaises(CommandError, parameters.needed, "a")

    def test_wrong(self) -> None:
        """
        Values of another type are refused.
        """
        value: Any
        for value in ("x", "-1", "1.5", 1.5, True, [1], {}, "1" * 30, "\u0661"):
            self.assertRaises(CommandError, Parameters({"a": value}).number, "a", 0)
        for value in ("", [1], {}, True):
            self.assertRaises(CommandError, Parameters({"a": value}).text, "a")
        for value in ("yes", 2, [1], {}):
            self.assertRaises(CommandError, Parameters({"a": value}).flag, "a")
