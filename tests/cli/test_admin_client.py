"""
Where C{dstwist admin} finds the server.
"""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

from click.testing import Result

from dstwist.cli import admin_client
from dstwist.cli.admin_client import _target
from tests.cli.helpers import CommandTestCase


class PlaceTests(CommandTestCase):
    """
    Options and configuration.
    """

    def setUp(self) -> None:
        super().setUp()
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.patch(admin_client, "PACKAGE_DIRECTORY", str(self.directory / "package"))

    def failed(self, *words: str) -> str:
        """
        The error text of a command.
        """
        result: Result = self.dstwist("admin", "status", *words)
        self.assertEqual(result.exit_code, 1, result.output)
        return result.output

    def test_no_server(self) -> None:
        """
        Without a server, the error names the socket.
        """
        self.assertEqual(
            self.failed("--socket", "/nowhere/s"), "no server answers at /nowhere/s: No such file or directory\n"
        )
        self.assertIn("/nowhere/admin.sock: No such file", self.failed("--data-dir", "/nowhere"))

    def test_config(self) -> None:
        """
        The configuration may name the socket.
        """
        config = self.config("admin: {socket: /nowhere/of-config}")
        self.assertIn("/nowhere/of-config", self.failed("-c", str(config)))
        self.assertIn("missing.yml", self.failed("-c", "missing.yml"))

    def test_config_without_socket(self) -> None:
        """
        A configuration that does not name the socket never means the server of the Debian package.
        """
        (self.directory / "package").mkdir()
        (self.directory / "package" / "admin.sock").touch()
        config = self.config("serverName: other")
        self.assertEqual(
            self.failed("-c", str(config)),
            f"{config} has no admin.socket; name the server with --data-dir, --socket or --url\n",
        )

    def test_found_config(self) -> None:
        """
        A file that the operator did not name, and that needs variables of the service, is no problem.
        """
        os.environ["DSTWIST_CONFIG"] = str(self.config("serverName: ${NOT_SET_HERE}"))
        self.addCleanup(os.environ.pop, "DSTWIST_CONFIG")
        self.assertIn("name the server with --data-dir", self.failed())
        self.assertIn("NOT_SET_HERE", self.failed("-c", os.environ["DSTWIST_CONFIG"]))

    def test_package(self) -> None:
        """
        Without options, it is the server of the Debian package.
        """
        self.assertIn("name the server with --data-dir, --socket or --url", self.failed())
        (self.directory / "package").mkdir()
        path = self.directory / "package" / "admin.sock"
        path.touch()
        self.assertIn(f"no server answers at {path}: ", self.failed())

    def test_urls(self) -> None:
        """
        A URL that cannot be meant is refused, and so is a token that is not there.
        """
        for url in ("host:1", "ftp://h", "http://", "http://h:x", "http://h/path"):
            self.assertIn(f"--url {url}: ", self.failed("--url", url))
        self.assertIn("--token-file nowhere: ", self.failed("--url", "http://h:1", "--token-file", "nowhere"))
        self.assertEqual(self.failed("--token-file", os.devnull), "--token-file is for --url\n")

    def test_trace_ends(self) -> None:
        """
        A trace fails if the server ends it, so that its end is no silence of the user.
        """
        response = mock.Mock(status=200, readline=mock.Mock(side_effect=[b'{"time": 1, "tracing": "ann"}\n', b""]))
        connection = mock.Mock(getresponse=lambda: response)
        self.patch(admin_client, "_UnixConnection", lambda path: connection)
        result = self.dstwist("admin", "trace", "ann", "--socket", "s")
        self.assertEqual(result.exit_code, 1)
        self.assertIn("tracing=ann", result.output)
        self.assertIn("s: the server has closed the connection", result.output)

    def test_target(self) -> None:
        """
        Names of any characters fit into a target.
        """
        self.assertEqual(_target("x", {"a": None, "b": False, "c": True, "d": 1}), "/x?c=true&d=1")
        self.assertEqual(_target("x", {"a": "ä b&c=\u2028"}), "/x?a=%C3%A4+b%26c%3D%E2%80%A8")
        self.assertEqual(_target("x", {}), "/x")
