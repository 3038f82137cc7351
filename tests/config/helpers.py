"""
What the tests of configuration files share.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.load import load
from dstwist.config.settings import Settings
from dstwist.errors import ConfigError


class ConfigCase(SynchronousTestCase):
    """
    A directory to put configuration files into.
    """

    def setUp(self) -> None:
        self.directory = os.path.abspath(self.mktemp())
        os.mkdir(self.directory)

    def write(self, name: str, content: str | bytes) -> str:
        """
        Puts a file into the directory, and tells its path.
        """
        path = os.path.join(self.directory, name)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return path

    def load(self, content: str | bytes, name: str = "config.yml", **environ: str) -> Settings:
        """
        The settings that this content gives.
        """
        return load(self.write(name, content), environ)

    def load_tree(self, **tree: Any) -> Settings:
        return self.load(json.dumps(tree), "config.json")

    def refusal(self, content: str | bytes, name: str = "config.yml", **environ: str) -> str:
        """
        What the operator is told about this content, apart from where in the file it is.
        """
        return without_places(str(self.assertRaises(ConfigError, self.load, content, name, **environ)))


def without_places(told: str) -> str:
    """
    What is wrong, without the file and the line in front of it.
    """
    return re.sub(r"^(/[^:\n]+: |  )(line \d+: )?", "", told, flags=re.MULTILINE)
