"""
Tests for L{dstwist.cli.main}.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from dstwist import __version__
from dstwist.auth.hashing import Passwords
from dstwist.cli import main as cli
from dstwist.config import load
from dstwist.config.users import FileSettings
from tests.e2e.certificates import Authority, pem_of


class CommandTests(SynchronousTestCase):
    """
    The command C{dstwist}.
    """

    def setUp(self) -> None:
        self.started: list[list[str]] = []
        self.patch(cli, "run_twistd", lambda arguments: self.started.append(list(arguments)))
        # What is installed on this machine is not to matter.
        self.patch(load, "DIRECTORIES", ())
        self.patch(os, "environ", {})

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

    def test_options_of_the_node_server(self) -> None:
        """
        The options of the Node server are taken. The log has no colors, which is said if they are wanted.
        """
        for words, expected in (
            (["--server-name", "one", "--lib-dir", "lib"], ["--server-name", "one", "--lib-dir", "lib"]),
            (["--colors"], []),
            (["--colors", "true"], []),
            (["--colors", "false"], []),
        ):
            self.started.clear()
            result = self.dstwist("start", *words)
            self.assertEqual(self.started, [["--nodaemon", "--pidfile=", "dstwist", *expected]])
            self.assertEqual("the log of dstwist has none" in result.stderr, words[-1] in ("--colors", "true"))
        result = self.dstwist("start", "--colors", "maybe")
        self.assertEqual(result.exit_code, 1)
        self.assertIn("Invalid argument for --colors, please provide true or false", result.stderr)

    def test_start_finds_config(self) -> None:
        """
        Without C{--config} the file that a variable names is taken, or the first there is where files are looked for;
        and the operator is told which.
        """
        first, second = Path(self.mktemp()), Path(self.mktemp())
        for directory, name in ((first, "config.json"), (second, "config.yml"), (second, "config.json")):
            directory.mkdir(exist_ok=True)
            (directory / name).write_text("{}")
        self.patch(load, "DIRECTORIES", (str(first / "no"), str(first), str(second)))
        for environ, found in (
            ({}, str(first / "config.json")),
            ({"DSTWIST_CONFIG": "", "DEEPSTREAM_CONFIG_DIRECTORY": str(second)}, str(second / "config.yml")),
            ({"DSTWIST_CONFIG": "not-there.yml", "DEEPSTREAM_CONFIG_DIRECTORY": str(second)}, "not-there.yml"),
            ({"DSTWIST_CONFIG": str(second.parent)}, str(second.parent / "config.yml")),
        ):
            self.patch(os, "environ", environ)
            self.started.clear()
            result = self.dstwist("start", "--data-dir", "d")
            self.assertEqual(
                self.started, [["--nodaemon", "--pidfile=", "dstwist", "--config", found, "--data-dir", "d"]]
            )
            self.assertIn(f"Configuration: {found}", result.stderr)

    def test_start_without_config(self) -> None:
        """
        If there is no configuration the operator is told that, and the server runs with its defaults.
        """
        self.assertIn("Configuration: none found, all options have their defaults", self.dstwist("start").stderr)

    def test_check_found_config(self) -> None:
        """
        C{dstwist check-config} alone looks at the file that C{dstwist start} would take; without one it fails.
        """
        result = self.dstwist("check-config")
        self.assertEqual((result.exit_code, result.stderr), (1, "No config file found\n"))
        path = self.file("serverName: one\n")
        self.patch(os, "environ", {"DSTWIST_CONFIG": path})
        self.assertEqual(self.dstwist("check-config").output, f"{path} is fine.\n")

    def test_check_storage(self) -> None:
        """
        C{dstwist check-config} says what the command line must add.
        """
        result = self.dstwist("check-config", self.file("storage: {type: sqlite}"))
        self.assertIn("the server starts with --data-dir only.", result.output)

    def test_start_options(self) -> None:
        """
        The options of C{dstwist start} go to twistd as they are, C{--listen} as often as given.
        """
        for options in (
            "--config c.yml --listen tcp:1 --listen tcp:2 --data-dir d --log-level warn",
            "--config c.yml --host ::1 --port 7000 --disable-auth --disable-permissions",
        ):
            self.started.clear()
            self.dstwist("start", *options.split())
            self.assertEqual(self.started, [["--nodaemon", "--pidfile=", "dstwist", *options.split()]])

    def test_unknown_command(self) -> None:
        """
        An unknown command is refused, and nothing is started.
        """
        result = self.dstwist("stop")
        self.assertEqual((result.exit_code, self.started), (2, []))

    def hashed(self, *arguments: str, password: str = "password\n") -> str:
        """
        The password that C{dstwist hash} prints, out of its line.
        """
        result = CliRunner().invoke(cli.main, ["hash", *arguments], input=password)
        self.assertEqual(result.exit_code, 0, result.output)
        return self.password_in(result)

    def password_in(self, result: Result) -> str:
        (line,) = result.stdout.splitlines()
        return line.removeprefix('password: "').removesuffix('"')

    def configured(self, auth: str) -> str:
        return self.file(f"auth:\n  - type: none\n  - {auth}\n")

    def test_hash(self) -> None:
        """
        C{dstwist hash} hashes what is on standard input by argon2id, each time with another salt.
        """
        stored = self.hashed()
        self.assertTrue(stored.startswith("$argon2id$"), stored)
        passwords = Passwords(FileSettings())
        self.assertTrue(passwords.matches("password", stored))
        self.assertFalse(passwords.matches("passwore", stored))
        self.assertNotEqual(stored, self.hashed())

    def test_hash_legacy(self) -> None:
        """
        C{--legacy} has deepstream's own format, and says what must be configured for it.
        """
        result = self.dstwist("hash", "--legacy", "password")
        self.assertIn("{hash: sha512, iterations: 210000, keyLength: 32}", result.stderr)
        passwords = Passwords(FileSettings(hash="sha512", iterations=210_000, key_length=32))
        self.assertTrue(passwords.matches("password", self.password_in(result)))

    def test_hash_by_config(self) -> None:
        """
        Hole 8, W21: C{--config} is honoured. What its first section with passwords says holds; the users' file need not
        be there.
        """
        for options in ("--config", "-c"):
            path = self.configured(
                "{type: file, options: {users: fileLoad(no.yml), hash: md5, iterations: 100, keyLength: 32}}"
            )
            stored = self.hashed(options, path)
            passwords = Passwords(FileSettings(hash="md5", iterations=100, key_length=32))
            self.assertEqual(len(stored), 44 + 24)
            self.assertTrue(passwords.matches("password", stored))
        path = self.configured("{type: storage, options: {table: users}}")
        self.assertTrue(self.hashed("-c", path).startswith("$argon2id$"))

    def test_hash_refused(self) -> None:
        """
        If the password cannot be hashed, the command ends with status 1 and a reason, and prints no hash.
        """
        bare = self.configured("{type: file, options: {users: fileLoad(no.yml)}}")
        half = self.configured("{type: file, options: {hash: md5, iterations: 5}}")
        for arguments, password, reason in (
            ([], "", "Error: Must provide password to hash"),
            ([], "\n", "Error: Must provide password to hash"),
            (
                ["-c", self.file("auth: {type: none}")],
                "p",
                "Error: Can only use hash with file authentication as auth type",
            ),
            (["-c", self.file("logLevel: 1")], "p", "Error: Can only use hash with file authentication as auth type"),
            (["--legacy", "-c", bare], "p", "Error: Can only use hash with file authentication"),
            (["-c", half], "p", "auth[1].options.keyLength: Missing key keyLength"),
            (["-c", "not-there.yml"], "p", "not-there.yml"),
        ):
            result = CliRunner().invoke(cli.main, ["hash", *arguments], input=password)
            self.assertEqual((result.exit_code, result.stdout), (1, ""), reason)
            self.assertIn(reason, result.stderr)

    def test_check_good_config(self) -> None:
        """
        C{dstwist check-config} says so of a file that can be used, and opens nothing.
        """
        path = self.file("serverName: one\n")
        result = self.dstwist("check-config", path)
        self.assertTrue(result.output.endswith(f"{path} is fine.\n"), result.output)
        self.assertEqual((result.exit_code, self.started), (0, []))

    def test_check_plugins(self) -> None:
        """
        C{dstwist check-config} names the plug-ins of all sections, which it does not load.
        """
        path = self.file(
            "cache: {module: 'mine:Cache'}\n"
            "storage: {name: mine}\n"
            "auth: [{module: 'mine:Users'}, {type: none}]\n"
            "permission: {module: 'mine:Rules'}\n"
            "plugins: {audit: {module: 'mine:Audit'}, greeter: {name: greeter}}\n"
        )
        result = self.dstwist("check-config", path)
        self.assertEqual(result.exit_code, 0, result.output)
        sections = (
            "cache.module: mine:Cache",
            "storage.name: mine",
            "auth[0].module: mine:Users",
            "permission.module: mine:Rules",
            "plugins.audit.module: mine:Audit",
            "plugins.greeter.name: greeter",
        )
        lines = [f"not checked: {section} is loaded at a start only" for section in sections]
        self.assertEqual(result.output.splitlines()[-7:], [*lines, f"{path} is fine, as far as it was checked."])

    def test_check_bad_config(self) -> None:
        """
        C{dstwist check-config} names the key of what is wrong, each of them, and exits with 1.
        """
        path = self.file("httpServer:\n  options:\n    port: many\nlisten:\n  responseTimeout: soon\n")
        result = self.dstwist("check-config", path)
        self.assertIn("httpServer.options.port: ", result.output)
        self.assertIn("listen.responseTimeout: ", result.output)
        self.assertEqual(result.exit_code, 1)

    def test_check_bad_rules(self) -> None:
        """
        C{dstwist check-config} looks at the permission rules as well.
        """
        rules = '{record: {"*": {read: alert(1)}}, event: {"*": {}}, rpc: {"*": {}}, presence: {"*": {}}}'
        path = self.file(f"permission: {{type: config, options: {{permissions: {rules}}}}}\n")
        result = self.dstwist("check-config", path)
        self.assertIn('permission.options.permissions.record["*"].read: function alert', result.output)
        self.assertEqual(result.exit_code, 1)

    def test_check_doubtful_rules(self) -> None:
        """
        C{dstwist check-config} warns of rules that hardly do what they are meant to do, with their line.
        """
        rules = Path(f"{self.mktemp()}.yml")
        rules.write_text('record: {"*": {}}\nevent: {"*": {}}\nrpc: {"*": {}}\npresence: {"*": {allow: yes}}\n')
        path = self.file(f"permission: {{type: config, options: {{permissions: fileLoad({rules.absolute()})}}}}")
        result = self.dstwist("check-config", path)
        self.assertEqual(result.exit_code, 0)
        self.assertIn(
            f'warning: {rules.absolute()}: line 4: permission.options.permissions.presence["*"].allow: yes is not '
            "defined",
            result.output,
        )

    def test_check_rules_in_file(self) -> None:
        """
        A problem with rules is printed with its file and line.
        """
        rules = os.path.abspath(
            self.file(
                'record:\n  "*":\n    read: alert(1)\n    write: true\nevent: {"*": {}}\nrpc: {"*": {}}\n'
                'presence:\n  "*":\n    allow: bla bla\n'
            )
        )
        os.rename(rules, f"{rules}.yml")
        config = self.file(f"permission: {{type: config, options: {{permissions: 'fileLoad({rules}.yml)'}}}}\n")
        result = self.dstwist("check-config", config)
        file = f"{rules}.yml"
        self.assertIn(f'{file}: line 3: permission.options.permissions.record["*"].read: function alert', result.output)
        self.assertIn(f'{file}: line 9: permission.options.permissions.presence["*"].allow: ', result.output)
        self.assertEqual(result.exit_code, 1)

    def test_check_certificate(self) -> None:
        """
        C{dstwist check-config} looks whether key and certificate belong together.
        """
        certificate, key = Authority().issue()
        _, other = Authority().issue()
        for given, expected, status in (
            (key, "is fine.", 0),
            (other, "httpServer.options.ssl: key and cert do not belong together", 1),
        ):
            ssl = {"key": pem_of(given), "cert": pem_of(certificate)}
            path = self.file(json.dumps({"httpServer": {"options": {"ssl": ssl}}}))
            result = self.dstwist("check-config", path)
            self.assertIn(expected, result.output)
            self.assertEqual(result.exit_code, status)

    def test_check_missing_config(self) -> None:
        """
        C{dstwist check-config} of a file that is not there says which, and exits with 1.
        """
        result = self.dstwist("check-config", "not-there.yml")
        self.assertIn("not-there.yml", result.output)
        self.assertEqual(result.exit_code, 1)
