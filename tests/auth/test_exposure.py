"""
Whether clients may read the users' records.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface.verify import verifyObject

from dstwist.auth.exposure import warn_of_open_tables
from dstwist.config.auth import OpenSettings
from dstwist.config.users import StorageSettings
from dstwist.interfaces import IConnection, Record
from dstwist.protocol.constants import RecordAction
from tests.auth.helpers import AuthCase


class FakePermission:
    """
    One verdict for all, and what it was about.
    """

    def __init__(self, verdict: Any) -> None:
        self.verdict = verdict
        self.asked: list[tuple[Any, Any, Any]] = []

    def allows(self, message: Any, sender: Any, record: Any = None) -> Any:
        self.asked.append((message, sender, record))
        return self.verdict


class ExposureTests(AuthCase):
    """
    L{warn_of_open_tables}.
    """

    def warnings(self, verdict: Any, *settings: Any) -> list[str]:
        self.permission = FakePermission(verdict)
        log = self.log()
        self.successResultOf(Deferred.fromCoroutine(warn_of_open_tables(settings, self.permission)))  # type: ignore[arg-type]
        return log.lines

    def test_w18_open(self) -> None:
        """
        W18: if a stranger may read a record of the table, there is a warning with the pattern to forbid.
        """
        for verdict in (True, succeed(True)):
            (line,) = self.warnings(verdict, OpenSettings(), StorageSettings(table="users"))
            self.assertIn('a rule for "users/*"', line)
            ((message, sender, record),) = self.permission.asked
            self.assertEqual((message.name, message.action), ("users/x", RecordAction.READ))
            self.assertEqual((sender.user, record), ("open", Record(-1, None)))
            verifyObject(IConnection, sender)

    def test_closed(self) -> None:
        """
        If not, or if the rule fails, which denies as well, there is none.
        """
        for verdict in (False, succeed(False), fail(ValueError("rule"))):
            self.assertEqual(self.warnings(verdict, StorageSettings(table="users")), [])

    def test_no_table(self) -> None:
        """
        Without users in the storage nothing is asked.
        """
        self.assertEqual(self.warnings(True, OpenSettings()), [])
        self.assertEqual(self.permission.asked, [])
