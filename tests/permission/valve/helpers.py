"""
Rules, and clients that ask them, for the tests of this package.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from dstwist.errors import RuleError
from dstwist.interfaces import Change, IPermission, Record
from dstwist.permission.valve.lint import warnings_of
from dstwist.permission.valve.permission import ValvePermission
from dstwist.permission.valve.rules import load_permissions
from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from tests.fakes import FakeConnection
from tests.permission.cases import Records

SECTIONS = ("record", "event", "rpc", "presence")

EMIT = Message(Topic.EVENT, EventAction.EMIT, "e", b"1")


def read(name: str = "r") -> Message:
    return Message(Topic.RECORD, RecordAction.READ, name)


def write(data: bytes | str | None, path: str | None = None, action: RecordAction = RecordAction.UPDATE) -> Message:
    if path is not None:
        action = RecordAction.PATCH
    return Message(Topic.RECORD, action, "r", data, path=path, version=2)


def rules(section: str, kind: str, rule: Any, pattern: str = "*") -> Any:
    content: dict[str, Any] = {name: {"*": {}} for name in ("record", "event", "rpc", "presence")}
    content[section][pattern] = {kind: rule}
    return load_permissions(content)


def allows(permission: IPermission, message: Message, sender: Any, record: Record | None) -> bool | Deferred[bool]:
    """
    The decision on a write to C{record}; C{None}: the asker does not have it at hand.
    """
    return permission.allows(message, sender, None if record is None else Change(record, message))


def linted(rule: Any, pattern: str = "a/$id", kind: str = "write", section: str = "record", **others: Any) -> list[str]:
    """
    The warnings about one rule, without its place.
    """
    rules: dict[str, Any] = {each: {"*": {}} for each in SECTIONS}
    rules[section] = {"*": {}, pattern: {kind: rule}, **others}
    return [warning.split(": ", 1)[1] for warning in warnings_of(load_permissions(rules))]


class PermissionCase(SynchronousTestCase):
    """
    One rule, and a client.
    """

    def setUp(self) -> None:
        self.ann = FakeConnection("ann")
        self.records = Records({})
        self.now = 1.7e9

    def permission(self, section: str, kind: str, rule: Any, pattern: str = "*", **options: Any) -> ValvePermission:
        options.setdefault("load", self.records.at_once)
        return ValvePermission(rules(section, kind, rule, pattern), lambda: self.now, **options)

    def problem(self, decision: bool | Deferred[bool]) -> str:
        """
        Why a rule has no value.
        """
        assert isinstance(decision, Deferred)
        return str(self.failureResultOf(decision, RuleError).value)


class LintCase(SynchronousTestCase):
    """
    One rule, and the warnings about it.
    """

    def says(self, rule: str, *expected: str, **place: Any) -> None:
        self.assertEqual(linted(rule, **place), list(expected))

    def says_nothing(self, *rules: str, **place: Any) -> None:
        for rule in rules:
            self.assertEqual(linted(rule, **place), [], rule)
