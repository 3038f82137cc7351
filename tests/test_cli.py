"""
Tests for L{dstwist.cli}.
"""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from dstwist import __version__, cli


class CommandTests(SynchronousTestCase):
    """
    The command C{dstwist}.
    """

    def setUp(self) -> None:
        self.started: list[list[str]] = []
        self.patch(cli, "run_twistd", lambda arguments: self.started.append(list(arguments)))

    def dstwist(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli.main, list(arguments))

    def file(self, text: str) -> str:
        path = Path(self.mktemp())
        path.write_text(text, encoding="utf-8")
        return str(path)

    def test_version(self) -> None:
        """
        C{dstwist --version} prints the version.
        """
        result = self.dstwist("--version")
        self.assertIn(__version__, result.output)
        self.assertEqual(result.exit_code, 0)

    def test_help(self) -> None:
        """
        C{dstwist --help} names the commands.
        """
        result = self.dstwist("--help")
        self.assertIn("check-config", result.output)
        self.assertIn("start", result.output)
        self.assertEqual(result.exit_code, 0)

    def test_start(self) -> None:
        """
        C{dstwist start} is twistd in the foreground, without a pid file.
        """
        result = self.dstwist("start")
        self.assertEqual(self.started, [["--nodaemon", "--pidfile=", "dstwist"]])
        self.assertEqual(result.exit_code, 0)

    def test_start_options(self) -> None:
        """
        The options of C{dstwist start} go to twistd as they are, C{--listen} as often as given.
        """
        options = "--config c.yml --listen tcp:1 --listen tcp:2 --data-dir d --log-level warn".split()
        self.dstwist("start", *options)
        self.assertEqual(self.started, [["--nodaemon", "--pidfile=", "dstwist", *options]])

    def test_unknown_command(self) -> None:
        """
        An unknown command is refused, and nothing is started.
        """
        result = self.dstwist("stop")
        self.assertEqual((result.exit_code, self.started), (2, []))

    def test_check_good_config(self) -> None:
        """
        C{dstwist check-config} says so of a file that can be used, and opens nothing.
        """
        path = self.file("serverName: one\n")
        result = self.dstwist("check-config", path)
        self.assertTrue(result.output.endswith(f"{path} is fine.\n"), result.output)
        self.assertEqual((result.exit_code, self.started), (0, []))

    def test_check_bad_config(self) -> None:
        """
        C{dstwist check-config} names the key of what is wrong, each of them, and exits with 1.
        """
        path = self.file("httpServer:\n  options:\n    port: many\nlisten:\n  responseTimeout: soon\n")
        result = self.dstwist("check-config", path)
        self.assertIn("httpServer.options.port: ", result.output)
        self.assertIn("listen.responseTimeout: ", result.output)
        self.assertEqual(result.exit_code, 1)

    def test_check_missing_config(self) -> None:
        """
        C{dstwist check-config} of a file that is not there says which, and exits with 1.
        """
        result = self.dstwist("check-config", "not-there.yml")
        self.assertIn("not-there.yml", result.output)
        self.assertEqual(result.exit_code, 1)
