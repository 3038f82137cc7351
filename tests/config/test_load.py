"""
Tests for L{dstwist.config.load}.
"""

from __future__ import annotations

import os
from typing import Any

from dstwist.config.load import load, load_hashing
from dstwist.config.users import FileSettings, PasswordSettings
from dstwist.errors import ConfigError
from tests.config.helpers import ConfigCase


class LoadTests(ConfigCase):
    """
    A file, or no file.
    """

    def test_no_file(self) -> None:
        """
        Without a file the server runs with its defaults.
        """
        settings = load(None, {})
        self.assertIsNone(settings.source)
        self.assertEqual((), settings.notes)
        self.assertEqual(("0.0.0.0", 6020, None), (settings.http.host, settings.http.port, settings.http.ssl))
        self.assertEqual((1, 10.0), (settings.log_level, settings.shutdown_timeout))
        self.assertEqual((True, 0.5, 30.0, 10.0, 1000, 1000), tuple(vars(settings.listen).values()))
        self.assertEqual((True, True, True, True, False), tuple(vars(settings.features).values()))

    def test_empty_files(self) -> None:
        """
        An empty file, and one with nothing but empty sections, say the same as no file.
        """
        for content in ("", "# nothing\n", "{}", "listen:\nhttpServer:\n  options:\nenabledFeatures:\n"):
            settings = self.load(content)
            for name, value in vars(load(None, {})).items():
                if name not in ("server_name", "source"):
                    self.assertEqual(value, getattr(settings, name), name)

    def test_log_level_of_logger(self) -> None:
        """
        The logger's own logLevel is what counts.
        """
        self.assertEqual(3, self.load("logLevel: INFO\nlogger: {options: {logLevel: ERROR}}").log_level)
        self.assertEqual(2, self.load("logLevel: WARN\nlogger: {name: default, options: {logLevel: null}}").log_level)

    def test_json_log(self) -> None:
        """
        The type json writes JSON lines, and so does the Node server's plug-in pino, whose own options have no effect.
        """
        for section, is_json in (
            ("{}", False),
            ("{type: default}", False),
            ("{name: winston}", False),
            ("{type: json}", True),
            ("{name: pino}", True),
        ):
            self.assertEqual(self.load(f"logger: {section}").logger.json, is_json, section)
        logger = self.load("logger: {type: json, options: {maxFiles: 3}}").logger
        self.assertEqual((logger.max_files, logger.json), (3, True))
        settings = self.load("logger: {name: pino, options: {logLevel: WARN, prettyPrint: true}}")
        self.assertEqual((settings.log_level, settings.logger.json), (2, True))
        self.assertEqual(len(settings.notes), 1)
        self.assertIn("logger.options.prettyPrint", settings.notes[0])
        self.assertIn(
            "logger.options.prettyPrint: unknown option",
            self.refusal("logger: {type: json, options: {prettyPrint: true}}"),
        )
        self.assertIn("logger.options.json: unknown option", self.refusal("logger: {options: {json: true}}"))

    def test_files(self) -> None:
        """
        A file that cannot be read at all is named.
        """
        error = self.assertRaises(ConfigError, load, os.path.join(self.directory, "no.yml"), {})
        self.assertEqual(f"Configuration file not found at: {self.directory}/no.yml", str(error))
        error = self.assertRaises(ConfigError, load, self.directory, {})
        self.assertEqual(f"cannot read {self.directory}: Is a directory", str(error))
        error = self.assertRaises(ConfigError, load, "a\0b", {})
        self.assertIn("null", str(error))


class ErrorTests(ConfigCase):
    """
    Error texts about a file.
    """

    def test_all_at_once(self) -> None:
        """
        One start shows all that is wrong, the missing file included; what follows from that one is not told.
        """
        content = "serverName: 1\nlogLevel: 7\nauth: [fileLoad(a.yml)]\nhttpServer: {options: {host: fileLoad(b.txt)}}"
        error = self.assertRaises(ConfigError, self.load, content)
        lines = str(error).splitlines()
        self.assertEqual("", error.path)
        self.assertEqual(f"4 problems in {self.directory}/config.yml:", lines[0])
        self.assertEqual(
            [
                ["line 3", "auth[0]"],
                ["line 4", "httpServer.options.host"],
                ["line 1", "serverName"],
                ["line 2", "logLevel"],
            ],
            [line.strip().split(": ")[:2] for line in lines[1:]],
        )

    def test_many(self) -> None:
        """
        If there are very many problems, the error lists the first hundred.
        """
        told = str(self.assertRaises(ConfigError, self.load, "\n".join(f"x{i}: 1" for i in range(1000)))).splitlines()
        self.assertIn("1000 problems in ", told[0])
        self.assertEqual(("  line 100: x99: unknown option", "  and 900 more"), (told[100], told[101]))
        self.assertEqual(102, len(told))

    def test_place(self) -> None:
        """
        The error says the file and the line, also within lists, of files that are loaded, and of inherited keys; of an
        option that is missing, where its section begins.
        """
        users = self.write("users.yml", "ann:\n  password: x\nbob:\n  password: 5\n")
        config = os.path.join(self.directory, "config.yml")
        for content, place, path in (
            ("\n\nrpc:\n  ackTimeout: 5\n  rcp: 6\n", f"{config}: line 5", "rpc.rcp"),
            ("connectionEndpoints:\n- type: ws-text\n- type: ws-txt\n", f"{config}: line 3",
             "connectionEndpoints[1].type"),
            ("auth:\n  type: file\n  options:\n    users: fileLoad(users.yml)\n", f"{users}: line 4",
             "auth.options.users.bob.password"),
            ("auth:\n  type: file\n  options:\n    path: users.yml\n", f"{users}: line 4",
             "auth.options.path.bob.password"),
            ("auth:\n  type: file\n  options:\n    users: fileLoad(no.yml)\n", f"{config}: line 4",
             "auth.options.users"),
            ("auth:\n  type: jwt\n  options:\n    secret: x\n", f"{config}: line 3", "auth.options.algorithms"),
            ("rpc: &a\n  ackTimeout: x\nlisten:\n  matchCooldown: 7\n  <<: *a\n", "  line 2", "rpc.ackTimeout"),
            ("[1]", config, "expected a section"),
        ):  # fmt: skip
            told = str(self.assertRaises(ConfigError, self.load, content))
            self.assertIn(f"{place}: {path}", told)
        told = str(self.assertRaises(ConfigError, self.load, '{"rpc": {"x": 1}}', "config.json"))
        self.assertIn(f"{self.directory}/config.json: rpc.x: unknown option", told)

    def test_variable_not_set(self) -> None:
        """
        A variable that is not set is named where it matters, and noted where it does not; not if it has a default.
        """
        told = self.refusal("httpServer:\n  options:\n    port: ${PORT}\n    host: ${HOST:-}\n")
        self.assertIn("options.port: expected a whole number, got null; the variable PORT is not set", told)
        self.assertNotIn("HOST is not set", told)
        told = self.refusal("auth:\n  type: jwt\n  options: {secret: '${SECRET}', algorithms: [HS256]}\n")
        self.assertIn("expected exactly one of secret, publicKey, jwksUrl; the variable SECRET is not set", told)
        settings = self.load("serverName: node${N}${M:-}", M="")
        self.assertEqual(("CONFIG | serverName: the variable N is not set, and counts as empty",), settings.notes)
        self.assertEqual((), self.load("serverName: node${N}", N="").notes)

    def test_path(self) -> None:
        """
        The error says the key's path apart from the problem.
        """
        error = self.assertRaises(ConfigError, self.load, "listen: {matchCooldown: x}")
        self.assertEqual("listen.matchCooldown", error.path)
        self.assertEqual('expected a whole number, got "x"', error.problem)

    def test_same_path(self) -> None:
        """
        One port serves all paths, so each may mean only one thing.
        """
        http = "httpServer: {options: {%s}}"
        self.assert_refused(
            (http % "healthCheckPath: /deepstream", "httpServer.options.healthCheckPath: a connection endpoint has"),
        )


class HashingTests(ConfigCase):
    """
    The options for C{dstwist hash}.
    """

    def hashing(self, text: str) -> Any:
        return load_hashing(self.write("config.yml", text), {"DIGEST": "sha256"})

    def test_found(self) -> None:
        """
        The first section with passwords says it, whatever else is wrong with the file or missing.
        """
        for auth in (
            "{type: file, options: {users: fileLoad(no.yml), hash: '${DIGEST}', iterations: 5, keyLength: 6}}",
            "[{type: none}, {type: storage, options: {hash: sha256, iterations: 5, keyLength: 6}}, {type: file}]",
        ):
            found = self.hashing(f"auth: {auth}\nlogLevel: nonsense\nwhat: ever\n")
            self.assertEqual(found, PasswordSettings("sha256", 5, 6))
        self.assertIsNone(self.hashing("auth: {type: file}").hash)

    def test_not_found(self) -> None:
        """
        There may be no such section.
        """
        for text in ("", "auth: [{type: http}]", "auth: {type: none}", "auth: 5", "auth: [5, null]"):
            self.assertIsNone(self.hashing(text))

    def test_wrong(self) -> None:
        """
        Options that cannot be used are refused.
        """
        for options in ("hash: md5", "hash: nonsense", "hash: md5, iterations: 0, keyLength: 5"):
            with self.assertRaises(ConfigError):
                self.hashing(f"auth: {{type: file, options: {{{options}}}}}")
        self.assertIsInstance(FileSettings(), PasswordSettings)
