"""
Tests for L{dstwist.reload.on_sighup}.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.file import FileText
from dstwist.config.http_server import HttpSettings, SslSettings
from dstwist.config.settings import Settings
from dstwist.errors import ConfigError
from dstwist.reload.on_sighup import Reloads
from tests.logs import Lines


class ReloadsTests(SynchronousTestCase):
    """
    Reading again on SIGHUP.
    """

    def setUp(self) -> None:
        self.lines = Lines(self)
        self.settings = Settings()
        self.problem: Exception | None = None
        self.reloads = Reloads(self.settings, self.read)
        self.done: list[object] = []

    def take(self, what: object) -> str:
        self.done.append(what)
        return "taken"

    def read(self) -> Settings:
        if self.problem is not None:
            raise self.problem
        return self.settings

    def test_parts(self) -> None:
        """
        Each part is read again, and the log says what is in force now.
        """
        self.reloads.add("certificate", lambda: "serving it")
        self.reloads.add_section("log_level", lambda settings: f"{settings.log_level}")
        self.assertTrue(self.reloads.run())
        self.assertEqual(self.lines.of("info"), ["RELOAD | certificate: serving it", "RELOAD | logLevel: 1"])

    def test_one_fails(self) -> None:
        """
        A part that cannot use its new settings reports that and stays as it was. The others are reloaded.
        """

        def refuse(*args: object) -> str:
            raise ConfigError("auth[0].options.users", "no users present in user file")

        for fail in (0, 1, 2):
            self.done.clear()
            self.lines.clear()
            reloads = Reloads(self.settings, self.read)
            reloads.add("certificate", refuse if fail == 0 else lambda: self.take("certificate"))
            reloads.add_section("auth", refuse if fail == 1 else lambda settings: self.take("auth"))
            reloads.add_section("log_level", refuse if fail == 2 else lambda settings: self.take("level"))
            self.assertFalse(reloads.run())
            self.assertEqual(self.done, [name for i, name in enumerate(("certificate", "auth", "level")) if i != fail])
            (line,) = self.lines.of("error")
            self.assertEqual(
                line,
                f"RELOAD | {('certificate', 'auth', 'logLevel')[fail]} not reloaded, what was in force stays: "
                "auth[0].options.users: no users present in user file",
            )

    def test_one_section(self) -> None:
        """
        When it is known what has changed, only that section is read again; what is said is the same.
        """
        self.reloads.add_section("auth", self.take)
        self.reloads.add_section("log_level", lambda settings: f"{settings.log_level}")
        self.assertTrue(self.reloads.run_section("log_level"))
        self.assertEqual((self.done, self.lines.of("info")), ([], ["RELOAD | logLevel: 1"]))
        self.problem = ConfigError("rpc.ackTimeout", 'expected a whole number, got "1s"')
        self.assertFalse(self.reloads.run_section("log_level"))
        self.assertEqual(
            self.lines.of("error"),
            [
                "RELOAD | logLevel not reloaded, what was in force stays: rpc.ackTimeout: expected a whole number, "
                'got "1s"'
            ],
        )

    def test_broken_file(self) -> None:
        """
        A configuration file that cannot be used changes nothing, and certificates are renewed all the same.
        """
        self.reloads.add("certificate", lambda: "serving it")
        self.reloads.add_section("auth", self.take)
        self.problem = ConfigError("rpc.ackTimeout", 'expected a whole number, got "1s"')
        self.assertFalse(self.reloads.run())
        self.assertEqual(self.done, [])
        self.assertEqual(self.lines.of("info"), ["RELOAD | certificate: serving it"])
        self.assertEqual(
            self.lines.of("error"),
            [
                "RELOAD | the configuration not reloaded, what was in force stays: "
                'rpc.ackTimeout: expected a whole number, got "1s"'
            ],
        )

    def test_mistake(self) -> None:
        """
        A mistake of ours in one part does not reach the others.
        """
        self.reloads.add("one", lambda: str(1 // 0))
        self.reloads.add("two", lambda: "fine")
        self.assertFalse(self.reloads.run())
        self.problem = ZeroDivisionError()
        self.assertFalse(self.reloads.run())
        self.assertEqual(self.lines.of("info"), ["RELOAD | two: fine"] * 2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)

    def test_no_file(self) -> None:
        """
        A server without a configuration file renews what has files of its own.
        """
        reloads = Reloads(self.settings, None)
        reloads.add("certificate", lambda: "serving it")
        reloads.add_section("auth", self.take)
        self.assertTrue(reloads.run())
        self.assertEqual(self.done, [])

    def test_takes_a_restart(self) -> None:
        """
        The log names changed sections that take a restart.
        """
        self.reloads.add_section("log_level", lambda settings: "done")
        self.reloads.run()
        self.assertEqual(self.lines.of("warn"), [])
        self.settings = replace(self.settings, log_level=0, shutdown_timeout=5.0, http=HttpSettings(port=7000))
        self.assertTrue(self.reloads.run())
        self.assertEqual(
            self.lines.of("warn"),
            ["RELOAD | has changed in the configuration and takes a restart: httpServer, shutdownTimeout"],
        )

    def test_certificates_are_no_change(self) -> None:
        """
        New contents of the files of TLS are taken up by the certificate itself; other options take a restart.
        """

        def settings(content: str, version: str) -> Settings:
            ssl = SslSettings(key=FileText(content, "/key.pem"), cert=FileText(content, "/c.pem"), min_version=version)
            return Settings(http=HttpSettings(ssl=ssl))

        reloads = Reloads(settings("old", "TLSv1.2"), self.read)
        self.settings = settings("new", "TLSv1.2")
        reloads.run()
        self.assertEqual(self.lines.of("warn"), [])
        self.settings = settings("new", "TLSv1.3")
        reloads.run()
        self.assertIn("takes a restart: httpServer", self.lines.last("warn"))
