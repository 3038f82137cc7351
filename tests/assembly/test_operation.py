"""
Tests for L{dstwist.assembly.operation}.
"""

from __future__ import annotations

from typing import Any

from dstwist.assembly.operation import OperationParts
from dstwist.config.admin import AdminSettings
from dstwist.http_api.charges import Charges
from dstwist.limits.admission import Admission
from tests.assembly.steps import StepsTestCase
from tests.fakes import FakeConnection


class OperationPartsTests(StepsTestCase):
    """
    L{OperationParts}.
    """

    def operation(self, data_dir: str | None = None, **settings: Any) -> OperationParts:
        self.assemble(**settings)
        return OperationParts(
            self.settings,
            self.stores,
            self.logins,
            self.permitted,
            self.requests,
            self.clients,
            Admission(self.settings.limits, self.reactor),
            Charges(1000),
            lambda: None,
            lambda: True,
            lambda seconds: True,
            data_dir,
            self.reactor,
            "",
        )

    def test_admin(self) -> None:
        """
        There is an administration if there is a place for its socket, and it is not switched off.
        """
        self.assertIsNone(self.operation().admin)
        self.assertIsNotNone(self.operation("data").admin)
        self.assertIsNone(self.operation("data", admin=AdminSettings(enabled=False)).admin)

    def test_figures(self) -> None:
        """
        The figures count the users that are logged in.
        """
        monitoring = self.operation().monitoring
        self.logins.users.add(FakeConnection("ann"))
        self.assertEqual(monitoring.values()["dstwist_users"], 1)
