"""
What the tests of configuration files share.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.file import Reading
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
        The error about this content, without files and lines.
        """
        return without_places(str(self.assertRaises(ConfigError, self.load, content, name, **environ)))

    def not_built(self, content: str, **environ: str) -> list[str]:
        """
        The options in this content that are known, but have no effect.
        """
        notes = self.load(content, **environ).notes
        pattern = r"CONFIG \| (.*) is known but not built yet and has no effect"
        return [match[1] for note in notes if (match := re.fullmatch(pattern, note))]

    def assert_refused(self, *cases: tuple[str, str], name: str = "config.yml") -> None:
        """
        Each content is refused, with an error that starts with the text beside it.
        """
        for content, expected in cases:
            refusal = self.refusal(content, name)
            self.assertTrue(refusal.startswith(expected), f"{refusal!r} should start with {expected!r}")


class AuthCase(SynchronousTestCase):
    """
    A configuration file with an C{auth} section.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def write(self, name: str, text: str) -> str:
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def settings(self, auth: str) -> Settings:
        return load(self.write("config.yml", f"auth: {auth}"), {})

    def load(self, auth: str) -> Any:
        """
        The one authenticator of that section.
        """
        (found,) = self.settings(auth).auth
        return found

    def refused(self, auth: str) -> str:
        return without_places(str(self.assertRaises(ConfigError, self.settings, auth)))

    def check(self, *cases: tuple[str, str]) -> None:
        """
        Each of these sections is refused with these words.
        """
        for auth, words in cases:
            problem = self.refused(auth)
            self.assertTrue(problem.startswith(words), f"{auth}\nsays: {problem}\nnot:  {words}")


class FileCase(ConfigCase):
    """
    Configuration files, read without regard to settings.
    """

    def read(self, content: str | bytes, name: str = "any.yml", environ: Mapping[str, str] | None = None) -> Any:
        """
        The plain content of a file.
        """
        reading = Reading(self.directory, environ or {})
        tree = reading.read(self.write(name, content))
        for problem in reading.problems:
            raise problem
        return tree


def without_places(told: str) -> str:
    """
    An error text without files and lines.
    """
    return re.sub(r"^(/[^:\n]+: |  )(line \d+: )?", "", told, flags=re.MULTILINE)


class RedisCase(ConfigCase):
    """
    A cache of the type redis.
    """

    def redis(self, options: str, **environ: str) -> Any:
        return self.load(f"cache: {{type: redis, options: {options}}}", **environ).cache

    def refused(self, *cases: tuple[str, str]) -> None:
        self.assert_refused(
            *((f"cache: {{type: redis, options: {options}}}", f"cache.options{text}") for options, text in cases)
        )
