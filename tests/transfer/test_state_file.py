"""
Tests for L{dstwist.transfer.state_file}.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dstwist.errors import TransferError
from dstwist.transfer.state_file import State, StateFile


class StateFileTests(SynchronousTestCase):
    """
    L{StateFile}.
    """

    def setUp(self) -> None:
        self.imported = self.mktemp()
        Path(self.imported).write_text("a file")
        self.path = self.mktemp()

    def file(self) -> StateFile:
        return StateFile(self.path, self.imported)

    def refusal(self) -> str:
        with self.assertRaises(TransferError) as caught:
            self.file().load()
        return str(caught.exception)

    def test_saved(self) -> None:
        """
        The state comes back, and is gone in the end.
        """
        self.assertEqual(self.file().load(), State(0, None, -1))
        for state in (State(5, "a\u00e9", 3), State(7, None, -1)):
            self.file().save(state)
            self.assertEqual(self.file().load(), state)
        self.file().remove()
        self.file().remove()
        self.assertFalse(os.path.exists(self.path))

    def test_other_file(self) -> None:
        """
        A file that was changed has another state.
        """
        self.file().save(State(5, "a", 1))
        Path(self.imported).write_text("another file")
        self.assertIn("is about another file", self.refusal())

    def test_no_state(self) -> None:
        """
        Any other file is refused, and so not overwritten.
        """
        for text in ("", "[]", "{}", "null", "precious", '{"file": 1, "line": 2}'):
            Path(self.path).write_text(text)
            self.assertIn(self.path, self.refusal())
