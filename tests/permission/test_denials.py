"""
The log lines about refused requests.
"""

from __future__ import annotations

from typing import Any

from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from dstwist.errors import RuleError
from dstwist.interfaces import IDecider
from dstwist.log import Logger
from dstwist.permission.denials import Denials
from dstwist.permission.valve.permission import ValvePermission
from dstwist.permission.valve.rules import load_permissions
from dstwist.protocol.constants import EventAction, PresenceAction, RecordAction, Topic
from dstwist.protocol.message import Message
from tests.fakes import FakePermission
from tests.logs import Lines
from tests.requesters import RequesterTestCase, for_each_requester

RULES: dict[str, Any] = {
    "record": {"*": {"read": True}, "price/$id": {"write": "user.id === $id"}},
    "event": {"*": {"publish": "false"}},
    "rpc": {"*": {}},
    "presence": {"*": {"allow": False}},
}


@for_each_requester
class DenialTests(RequesterTestCase):
    """
    L{Denials}.
    """

    def setUp(self) -> None:
        self.permission = ValvePermission(load_permissions(RULES), lambda: 0.0)
        self.lines = Lines(self)

    def tell(self, request: Message, decision: object = False, **options: Any) -> None:
        Denials(self.permission, **options).tell(decision, request, self.connect())

    def check(self, request: Message, line: str) -> None:
        self.tell(request, at_info=True)
        self.assertEqual(self.lines.last("info"), f"MESSAGE_DENIED | {self.shown_client('ann')}: {line}")

    def test_interface(self) -> None:
        """
        Rules can tell which of them decides.
        """
        verifyObject(IDecider, self.permission)

    def test_rule(self) -> None:
        """
        The line names the client, the request and the rule that decided.
        """
        self.check(
            Message(Topic.RECORD, RecordAction.PATCH, "price/bob", b"1", path="a"),
            'RECORD PATCH of price/bob is denied by record["price/$id"].write: user.id === $id',
        )

    def test_line(self) -> None:
        """
        For rules in a file, the log names the file and the line in it; so does the reason of a rule that failed.
        """
        places: list[str] = []

        def place(path: str) -> str:
            places.append(path)
            return f"rules.yml: line {len(path)}"

        rules = dict(RULES, event={"*": {"publish": "data.a.b === 1"}})
        loaded = load_permissions(rules, "permission.options.permissions", place)
        self.assertIn('permission.options.permissions.record["price/$id"].write', places)
        self.permission = ValvePermission(loaded, lambda: 0.0)
        path = 'permission.options.permissions.record["price/$id"].write'
        self.check(
            Message(Topic.RECORD, RecordAction.UPDATE, "price/bob", b"1"),
            f'RECORD UPDATE of price/bob is denied by record["price/$id"].write (rules.yml: line {len(path)}): '
            "user.id === $id",
        )
        decision: Any = self.permission.allows(Message(Topic.EVENT, EventAction.EMIT, "a", b"1"), self.connect())
        self.assertIn(
            'error when executing event["*"].publish (rules.yml: line 49) (data.a.b === 1) for "a"',
            self.failureResultOf(decision).getErrorMessage(),
        )

    def test_no_rule(self) -> None:
        """
        Without a rule for the name the line says so.
        """
        self.check(
            Message(Topic.RECORD, RecordAction.DELETE, "price/bob"),
            "RECORD DELETE of price/bob is denied by default: no delete rule of record matches",
        )

    def test_no_name(self) -> None:
        """
        A request that is not about a name.
        """
        self.check(
            Message(Topic.PRESENCE, PresenceAction.SUBSCRIBE_ALL),
            'PRESENCE SUBSCRIBE_ALL is denied by presence["*"].allow: false',
        )

    def test_hostile_name(self) -> None:
        """
        A name cannot forge lines.
        """
        self.tell(Message(Topic.EVENT, EventAction.EMIT, "a\nAUTH_SUCCESSFUL | root" + "x" * 1000), at_info=True)
        self.assertNotIn("\n", self.lines.last("info"))
        self.assertLess(len(self.lines.last("info")), 500)

    def test_debug(self) -> None:
        """
        Without the option the line is one of level debug.
        """
        self.addCleanup(Logger.set_level, "INFO")
        request = Message(Topic.EVENT, EventAction.EMIT, "news")
        self.tell(request)
        self.assertEqual(self.lines.of("debug") + self.lines.of("info"), [])
        Logger.set_level("DEBUG")
        self.tell(request)
        self.assertEqual((len(self.lines.of("debug")), self.lines.of("info")), (1, []))

    def test_cheap(self) -> None:
        """
        Nothing is looked up for a line that is not written.
        """
        self.patch(self.permission, "decider", lambda message, name: self.fail("looked up"))
        self.tell(Message(Topic.EVENT, EventAction.EMIT, "news"))

    def test_failed_rule(self) -> None:
        """
        A rule that failed is a warning, with the client.
        """
        self.tell(Message(Topic.EVENT, EventAction.EMIT, "news"), Failure(RuleError("no value")))
        self.assertEqual(self.lines.of("warn"), [f"MESSAGE_PERMISSION_ERROR | {self.shown_client('ann')}: no value"])
        failure = Failure(RuleError("no record a\nAUTH_SUCCESSFUL | root" + "x" * 10000))
        self.tell(Message(Topic.EVENT, EventAction.EMIT, "news"), failure)
        self.assertIn("no record a?AUTH_SUCCESSFUL | root", self.lines.last("warn"))
        self.assertLess(len(self.lines.last("warn")), 1200)

    def test_other_permission(self) -> None:
        """
        A permission that cannot tell what decided is named as a whole.
        """
        denials = Denials(FakePermission(), at_info=True)
        denials.tell(False, Message(Topic.EVENT, EventAction.EMIT, "news"), self.connect())
        self.assertEqual(
            self.lines.last("info"),
            f"MESSAGE_DENIED | {self.shown_client('ann')}: EVENT EMIT of news is denied by the permission",
        )

    def test_counted(self) -> None:
        """
        Denied requests and failed rules count by the request of the client, whether a line is written or not.
        """
        denials = Denials(self.permission)
        check = Message(Topic.RECORD, RecordAction.READ, "a")
        request = Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=("a", "b"))
        denials.tell(False, check, self.connect(), part_of=request)
        denials.tell(False, request, self.connect(), "b")
        denials.tell(Failure(RuleError("no value")), check, self.connect())
        self.assertEqual(denials.denied.named(), {"RECORD": {"SUBSCRIBECREATEANDREAD": 2}})
        self.assertEqual(denials.failed.named(), {"RECORD": {"READ": 1}})
