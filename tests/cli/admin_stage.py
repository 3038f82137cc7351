"""
Commands of C{dstwist admin} at a node in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from unittest import mock

from click.testing import CliRunner, Result

from dstwist.cli import admin_command
from dstwist.cli.failure import failed
from dstwist.cli.main import main
from tests.admin.helpers import AdminTestCase, Reply


class AdminCommandTestCase(AdminTestCase):
    """
    Commands, as typed, at the node that was started last.
    """

    def setUp(self) -> None:
        super().setUp()
        self.patch(admin_command, "connect", self.connect_client)
        self.places: list[Any] = []

    def connect_client(self, *place: Any) -> Any:
        self.places.append(place)
        client = mock.Mock()
        client.get = lambda command, values: self.read(self.get(command, **_given(values)))
        client.post = lambda command, values: self.read(self.post(command, **_given(values)))
        return client

    def read(self, reply: Reply) -> Any:
        if reply.status != 200:
            raise failed(reply.value["error"])
        return reply.value

    def type(self, *words: str) -> Result:
        result = CliRunner().invoke(main, ["admin", *words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def typed(self, *words: str) -> list[str]:
        """
        The lines that a command prints.
        """
        result = self.type(*words)
        self.assertEqual(result.exit_code, 0, result.output)
        return result.output.splitlines()


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: "true" if value is True else value
        for name, value in values.items()
        if value is not None and value is not False
    }
