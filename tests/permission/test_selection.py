"""
Tests for L{dstwist.permission.selection}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.permission import PermissionSettings
from dstwist.errors import ConfigError
from dstwist.permission.selection import build_permission
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from tests.fakes import FakeConnection

READ = Message(Topic.RECORD, RecordAction.READ, "r")


class BuildTests(SynchronousTestCase):
    """
    The permission that the settings ask for.
    """

    def settings(self, read: Any, **options: Any) -> PermissionSettings:
        rules = {"record": {"*": {"read": read}}, "event": {"*": {}}, "rpc": {"*": {}}, "presence": {"*": {}}}
        return PermissionSettings(permissions=rules, type="config", where="permission.options.permissions", **options)

    def test_none(self) -> None:
        """
        Without rules everything is allowed.
        """
        self.assertIs(build_permission(PermissionSettings(), lambda: 0.0).allows(READ, FakeConnection()), True)

    def test_rules(self) -> None:
        """
        With rules they decide.
        """
        for rule, expected in ((True, True), ("user.id === 'bob'", False), ("now === 5000", True)):
            self.assertIs(
                build_permission(self.settings(rule), lambda: 5.0).allows(READ, FakeConnection("ann")), expected
            )

    def test_refused(self) -> None:
        """
        Rules that cannot be used are refused by the key that has them.
        """
        error = self.assertRaises(ConfigError, build_permission, self.settings("alert(1)"), lambda: 0.0)
        self.assertEqual(str(error), 'permission.options.permissions.record["*"].read: function alert is not supported')

    def test_options(self) -> None:
        """
        The options reach the decisions.
        """
        for options, rule in (({"max_rule_iterations": 1}, "_('a')"), ({"max_rule_steps": 100}, "now" + "+now" * 200)):
            decision: Any = build_permission(self.settings(rule, **options), lambda: 0.0).allows(READ, FakeConnection())
            self.failureResultOf(decision)
