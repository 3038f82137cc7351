"""
Runs the command C{dstwist} in this process.
"""

from __future__ import annotations

import os
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from dstwist.cli import main as cli
from dstwist.config import load


class CommandTestCase(SynchronousTestCase):
    """
    Commands, as typed.
    """

    def setUp(self) -> None:
        self.patch(load, "DIRECTORIES", ())
        for name in ("DSTWIST_CONFIG", "DEEPSTREAM_CONFIG_DIRECTORY"):
            if name in os.environ:
                self.addCleanup(os.environ.__setitem__, name, os.environ.pop(name))

    def dstwist(self, *words: str) -> Result:
        return CliRunner().invoke(cli.main, list(words))

    def config(self, text: str) -> Path:
        path = Path(self.mktemp()).absolute()
        path.mkdir()
        (path / "config.yml").write_text(text)
        return path / "config.yml"
