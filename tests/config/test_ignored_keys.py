"""
Tests for L{dstwist.config.ignored_keys}.
"""

from __future__ import annotations

from typing import Any

from dstwist.config.ignored_keys import RELEASED_KEYS
from dstwist.errors import ConfigError
from tests.config.helpers import ConfigCase


class ReleasedKeyTests(ConfigCase):
    """
    Keys that have no effect.
    """

    def test_shipped_keys(self) -> None:
        """
        Each key that a release shipped and that has no effect is noted, with the reason; any other is refused.
        """
        for path, told in RELEASED_KEYS.items():
            *sections, key = path.split(".")
            tree: Any = {key: 1}
            for section in reversed(sections):
                tree = {section: tree}
            self.assertIn(f"CONFIG | {path} has no effect: {told}", self.load_tree(**tree).notes)
        for content, expected in (
            (
                "\nlisten: {shuffleProvider: true}",
                "line 2: listen.shuffleProvider: unknown option; did you mean shufflePr",
            ),
            ("\nmaxMessagePerPacket: 1", "line 2: maxMessagePerPacket: unknown option"),
            (
                "\nlogger: {options: {color: true}}",
                "line 2: logger.options.color: unknown option; did you mean colors?",
            ),
        ):
            self.assertIn(expected, str(self.assertRaises(ConfigError, self.load, content)))
