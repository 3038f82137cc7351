"""
A class of the operator's own decides who may do what.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer
from zope.interface.verify import verifyObject

from dstwist.config.load import load
from dstwist.errors import ConfigError, RuleError
from dstwist.interfaces import IPermission
from dstwist.permission.selection import build_permission
from dstwist.plugins import PluginContext
from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from tests.requesters import RequesterTestCase, for_each_requester

EXAMPLES = Path(__file__).parent.parent.parent / "docs" / "examples"
EMIT = Message(Topic.EVENT, EventAction.EMIT, "news", b"1")
READ = Message(Topic.RECORD, RecordAction.READ, "a")
HERE = __name__


@implementer(IPermission)
class Given:
    """
    Gives the decision that its option C{decision} makes.
    """

    decision: Any = True

    def __init__(self, options: dict[str, Any], context: Any) -> None:
        self.options, self.context = options, context

    def allows(self, message: Message, sender: Any, record: Any = None) -> Any:
        return type(self).decision()


@implementer(IPermission)
class Requiring:
    """
    Requires the third argument, which it is always given.
    """

    def __init__(self, options: dict[str, Any], context: Any) -> None:
        pass

    def allows(self, message: Message, sender: Any, change: Any) -> bool:  # type: ignore[override]
        return change is None


@implementer(IPermission)
class Short:
    """
    Takes too few arguments.
    """

    def __init__(self, options: dict[str, Any], context: Any) -> None:
        pass

    def allows(self, message: Message, sender: Any) -> bool:  # type: ignore[override]
        return True


class Nothing:
    """
    Is no permission.
    """

    def __init__(self, options: dict[str, Any], context: Any) -> None:
        pass


@for_each_requester
class PluginPermissionTests(RequesterTestCase):
    """
    From the configuration to the decision.
    """

    def build(self, section: str) -> IPermission:
        directory = self.mktemp()
        os.mkdir(directory)
        path = os.path.join(directory, "config.yml")
        Path(path).write_text(f"permission: {section}\n")
        for example in EXAMPLES.glob("*.py"):
            Path(directory, example.name).write_bytes(example.read_bytes())
        permission = build_permission(load(path, {}).permission, lambda: 0.0, context=PluginContext(None))
        verifyObject(IPermission, permission)
        return permission

    def allows(self, permission: IPermission, message: Message = EMIT) -> Any:
        decision = permission.allows(message, self.connect())
        return self.successResultOf(decision) if isinstance(decision, Deferred) else decision

    def given(self, decision: Any) -> IPermission:
        self.patch(Given, "decision", staticmethod(decision))
        return self.build(f"{{module: '{HERE}:Given'}}")

    def test_example(self) -> None:
        """
        The example in the manual works as it is.
        """
        self.assertIn("<examples/office_hours.py>`_", (EXAMPLES.parent / "permissions.rst").read_text())
        always = self.build("{path: office_hours.py:OfficeHours, options: {from: 0, until: 24}}")
        never = self.build("{path: office_hours.py:OfficeHours, options: {from: 0, until: 0}}")
        self.assertEqual([self.allows(each) for each in (always, never)], [True, False])
        self.assertTrue(self.allows(never, READ))

    def test_decisions(self) -> None:
        """
        It may say so at once, later, or as a coroutine; only True allows.
        """

        async def later(decision: Any) -> Any:
            return decision

        self.assertTrue(self.allows(self.given(lambda: True)))
        self.assertFalse(self.allows(self.given(lambda: False)))
        self.assertTrue(self.allows(self.given(lambda: later(True))))
        self.assertFalse(self.allows(self.given(lambda: later("yes"))))

    def test_waits(self) -> None:
        """
        Decisions that are not there at once are counted with their time.
        """

        async def later() -> bool:
            raise ValueError("no idea")

        decided: Deferred[bool] = Deferred()
        permission: Any = self.given(lambda: decided)
        decision = permission.allows(EMIT, self.connect())
        self.assertEqual(permission.waits.count, 0)
        decided.callback(True)
        self.assertIs(self.successResultOf(decision), True)
        self.given(later)
        self.failureResultOf(permission.allows(EMIT, self.connect()), RuleError)
        self.assertEqual(permission.waits.count, 2)
        self.assertTrue(self.allows(self.given(lambda: True)))

    def test_server(self) -> None:
        """
        It is not asked about requests of the server itself.
        """
        server = self.connect("ann")
        server.is_server = True
        self.assertIs(self.given(lambda: False).allows(EMIT, server), True)
        self.assertIs(self.given(lambda: 1 // 0).allows(EMIT, server), True)

    def test_required(self) -> None:
        """
        A method may require the change, since it is given one in each call.
        """
        self.assertTrue(self.allows(self.build(f"{{module: '{HERE}:Requiring'}}")))

    def test_mistakes_deny(self) -> None:
        """
        A plug-in that fails denies, and the error names the class.
        """

        def broken() -> Any:
            raise ValueError("no idea")

        async def broken_later() -> Any:
            raise ValueError("no idea")

        for decision, problem in (
            (broken, "ValueError: no idea"),
            (broken_later, "ValueError: no idea"),
            (lambda: "yes", "TypeError: expected True, False or a Deferred, got 'yes'"),
        ):
            answer: Any = self.given(decision).allows(EMIT, self.connect())
            error = self.failureResultOf(answer, RuleError).value
            self.assertEqual(str(error), f"{HERE}:Given: {problem}")

    def test_refused(self) -> None:
        """
        A class that cannot be used keeps the server from starting, with the key that named it.
        """
        for section, problem in (
            (f"{{module: '{HERE}:Nothing'}}", f"permission.module: {HERE}:Nothing does not provide"),
            (f"{{module: '{HERE}:Short'}}", f"permission.module: {HERE}:Short is not what IPermission asks for"),
            (f"{{module: '{HERE}:Absent'}}", f"permission.module: cannot load {HERE}:Absent: AttributeError"),
            ("{path: office_hours.py:OfficeHours}", "permission.path: cannot load"),
            ("{name: absent}", "permission.name: the entry point absent of dstwist.permission is not installed"),
        ):
            error = self.assertRaises(ConfigError, self.build, section)
            self.assertIn(problem, str(error))
