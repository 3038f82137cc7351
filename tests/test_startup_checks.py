"""
Warnings at the start.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.config.auth import CertificateSettings, OpenSettings
from dstwist.config.users import StorageSettings
from dstwist.interfaces import IIdentity, Record
from dstwist.protocol.constants import RecordAction
from dstwist.startup_checks import (
    tell_of_open_files,
    warn_of_open_doors,
    warn_of_open_tables,
    warn_of_unasked_certificates,
)
from tests.auth.helpers import AuthCase
from tests.logs import Lines


class FakePermission:
    """
    One decision for all, and what it was about.
    """

    def __init__(self, decision: Any) -> None:
        self.decision = decision
        self.asked: list[tuple[Any, Any, Any]] = []

    def allows(self, message: Any, sender: Any, change: Any = None) -> Any:
        self.asked.append((message, sender, change))
        return self.decision


class OpenDoorTests(AuthCase):
    """
    L{warn_of_open_doors}.
    """

    def warnings(self, decision: Any, settings: Any, *hosts: str) -> list[str]:
        addresses: list[object] = [(IPv6Address if ":" in host else IPv4Address)("TCP", host, 6020) for host in hosts]
        addresses.append(UNIXAddress("/run/dstwist.sock"))
        log = self.log()
        done = warn_of_open_doors([settings], FakePermission(decision), addresses)  # type: ignore[arg-type]
        self.successResultOf(Deferred.fromCoroutine(done))
        return log.lines

    def test_open(self) -> None:
        """
        A server on the network that accepts all clients, and permits everything, logs a warning at the start.
        """
        (line,) = self.warnings(True, OpenSettings(), "127.0.0.1", "0.0.0.0", "::")
        self.assertIn("every client that can reach 0.0.0.0, :: may do everything", line)

    def test_not_open(self) -> None:
        """
        There is no warning on this machine alone, with rules, or with logins.
        """
        self.assertEqual(self.warnings(True, OpenSettings(), "127.0.0.1", "::1", "127.0.0.2", "localhost"), [])
        for decision in (False, fail(ValueError("rule"))):
            self.assertEqual(self.warnings(decision, OpenSettings(), "0.0.0.0"), [])
        self.assertEqual(self.warnings(True, StorageSettings(table="users"), "0.0.0.0"), [])


class OpenTableTests(AuthCase):
    """
    L{warn_of_open_tables}.
    """

    def warnings(self, decision: Any, *settings: Any) -> list[str]:
        self.permission = FakePermission(decision)
        log = self.log()
        self.successResultOf(Deferred.fromCoroutine(warn_of_open_tables(settings, self.permission)))  # type: ignore[arg-type]
        return log.lines

    def test_w18_open(self) -> None:
        """
        W18: if a stranger may read a record of the table, there is a warning with the pattern to forbid.
        """
        for decision in (True, succeed(True)):
            (line,) = self.warnings(decision, OpenSettings(), StorageSettings(table="users"))
            self.assertIn('a rule for "users/*"', line)
            ((message, sender, change),) = self.permission.asked
            self.assertEqual((message.name, message.action), ("users/x", RecordAction.READ))
            self.assertEqual((sender.user, change.old), ("open", Record(-1, None)))
            verifyObject(IIdentity, sender)

    def test_closed(self) -> None:
        """
        If not, or if the rule fails, which denies as well, there is none.
        """
        for decision in (False, succeed(False), fail(ValueError("rule"))):
            self.assertEqual(self.warnings(decision, StorageSettings(table="users")), [])

    def test_no_table(self) -> None:
        """
        Without users in the storage nothing is asked.
        """
        self.assertEqual(self.warnings(True, OpenSettings()), [])
        self.assertEqual(self.permission.asked, [])


class OpenFileTests(SynchronousTestCase):
    """
    L{tell_of_open_files}.
    """

    def line(self, files: int | None, most: int | None = None) -> tuple[str, str]:
        lines = Lines(self)
        tell_of_open_files(files, most)
        ((level, line),) = [(level, line) for level in ("info", "warn") for line in lines.of(level)]
        return level, line

    def test_line(self) -> None:
        """
        The start says how many connections there may be, and warns if there are few, or fewer than configured.
        """
        self.assertEqual(self.line(4096), ("info", "INFO | open files: 4096 at most, which allows 3996 connections"))
        self.assertEqual(self.line(600)[0], "info")
        level, line = self.line(599)
        self.assertEqual(level, "warn")
        self.assertIn("599 at most, which allows 499 connections. Raise the limit", line)
        level, line = self.line(4096, most=5000)
        self.assertEqual(level, "warn")
        self.assertIn("allows 3996 connections instead of the 5000 of limits.maxConnections", line)
        self.assertEqual(self.line(None), ("info", "INFO | open files: no limit, so there is none for connections"))


class CertificateTests(SynchronousTestCase):
    """
    L{warn_of_unasked_certificates}.
    """

    def test_not_asked(self) -> None:
        """
        There is a warning if logins need a certificate that no port asks for, and none otherwise.
        """
        for settings, asked, expected in (
            (CertificateSettings(), False, 1),
            (CertificateSettings(), True, 0),
            (OpenSettings(), False, 0),
        ):
            lines = Lines(self)
            warn_of_unasked_certificates([settings], asked)
            self.assertEqual(len(lines.of("warn")), expected)
