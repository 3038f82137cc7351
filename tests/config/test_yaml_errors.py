"""
Tests for L{dstwist.config.yaml_errors}.
"""

from __future__ import annotations

from types import SimpleNamespace

from dstwist.config.yaml_errors import explained
from dstwist.errors import ConfigError
from tests.config.helpers import FileCase


class MistakeTests(FileCase):
    """
    Mistakes in YAML files.
    """

    def test_mistakes(self) -> None:
        """
        The error text for a common mistake in YAML says how to correct it.
        """
        for content, expected in (
            ("rpc:\n\tackTimeout: 5", "line 2, column 1: the line is indented with a tab; YAML takes spaces only"),
            ("rpc:\n  a: 5\n\tb: 6", "line 3, column 1: the line is indented with a tab"),
            ("rpc:\n  a:\t5", "line 2, column 5: a tab in front of a value; use a space"),
            ("a: @b", "line 1, column 4: a text cannot begin with @; put it in quotes"),
            ("a: `b`", "line 1, column 4: a text cannot begin with `"),
            (
                "rpc:\n  a: 5\n b: 6",
                "line 3, column 2: the indent of this line fits none of the section",
            ),
            (
                "a:\n  - b\n - c",
                "line 3, column 2: the indent of this line fits none of the section that",
            ),
            (
                "rpc:\n  a: 5\n    # note\n    b: 6",
                "line 4, column 5: the indent of this line fits none of the section",
            ),
            ("rpc\n  a: 5", "line 2, column 4: a colon is missing behind rpc in the line before it"),
            ("a: b: c", 'line 1, column 5: a second colon in the line; put quotes around a text with ": " in it'),
            ("a: 1\nb\nc: 2", "line 3, column 1: key: value expected; is there a colon missing in line 2"),
            (
                "a: {b: 1\nc: 2",
                "line 2, column 2: a comma is missing here, or the end of the { or [ that is open si",
            ),
            ("a: 'b\nc: 1\n", "line 3, column 1: the file ends within quotes that open in line 1; close them"),
        ):
            error = self.assertRaises(ConfigError, self.read, content)
            told = str(error).removeprefix(f"{self.directory}/any.yml: ")
            self.assertTrue(told.startswith(expected), f"{told} should start with {expected}")

    def test_any_mistake(self) -> None:
        """
        Each error of the parser, at each place, gives an error text.
        """
        for problem in ("mapping values are not allowed here", "expected <block end>", "cannot start any token", "x"):
            for line, column in ((0, 0), (5, 7)):
                mark = SimpleNamespace(line=line, column=column)
                for context in (None, mark):
                    for text in ("", "a", "\n\n a: b\n"):
                        self.assertTrue(explained(problem, mark, context, text))
        self.assertEqual(explained("x", None, None, ""), "x")
