"""
docs/administration.rst names each command, with its options and parameters.
"""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import click

from dstwist.cli.admin import admin
from dstwist.config.admin import AdminSettings
from dstwist.config.fields import key_of
from tests.admin.helpers import AdminTestCase

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "administration.rst"


class ManualTests(AdminTestCase):
    """
    The page.
    """

    def setUp(self) -> None:
        super().setUp()
        self.text = PAGE.read_text(encoding="utf-8")

    def sections(self) -> dict[str, str]:
        """
        The sections of the commands, by name.
        """
        found = re.split(r"^([a-z-]+)\n~+\n", self.text.partition("\nThe same by HTTP\n")[0], flags=re.MULTILINE)
        return dict(zip(found[1::2], found[2::2], strict=True))

    def test_sections(self) -> None:
        """
        Each command has a section with an example, and there are no others.
        """
        assert isinstance(admin, click.Group)
        sections = self.sections()
        self.assertEqual(set(sections), set(admin.commands))
        for name, text in sections.items():
            self.assertIn(f"    $ dstwist admin {name}", text)

    def test_options(self) -> None:
        """
        The options of each command are in its section, and those of all commands in their table.
        """
        assert isinstance(admin, click.Group)
        sections = self.sections()
        shared = {"--limit", "--after", *re.findall(r"^``.*?(--[a-z-]+)`` ", self.text, re.MULTILINE)}
        shared |= {"-d", "-c"}
        self.assertIn("--token-file", shared)
        for name, command in admin.commands.items():
            for option in {option for each in command.params for option in each.opts if option.startswith("-")}:
                if option not in shared:
                    self.assertIn(f"``{option}``", sections[name])

    def test_routes(self) -> None:
        """
        The table of the paths has each route, with its method and its parameters.
        """
        self.started()
        rows = re.findall(r"^``/([a-z-]+)`` +(GET|POST) *(.*)$", self.text, re.MULTILINE)
        written = {name: (method, tuple(re.findall("``([a-z]+)``", names))) for name, method, names in rows}
        table = self.reactor.unixServers[-1][1].resource.table
        routes = [route for routes in table._paths.values() for route in routes]
        made = {route.path[1:]: (next(iter(route.methods)), route.handler._command.parameters) for route in routes}
        self.assertEqual(written, made)

    def test_settings(self) -> None:
        """
        The table of the configuration has each option.
        """
        written = re.findall(r"^``([a-zA-Z]+)`` +(?:flag|text)", self.text, re.MULTILINE)
        self.assertEqual(written, [key_of(field) for field in fields(AdminSettings)])
