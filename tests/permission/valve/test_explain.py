"""
Tests for L{dstwist.permission.valve.explain}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.permission.valve.explain import Answer, Question, answer
from dstwist.permission.valve.rules import load_permissions
from dstwist.protocol.constants import EventAction, RecordAction, Topic
from tests.permission.cases import TABLE, Records, message_of, permissions, sender_of

RULES = load_permissions(
    {
        "record": {
            "*": {"read": False},
            "user/$id": {
                "read": True,
                "write": "user.id === $id || data.n > oldData.n && _('lock/' + $id).by === user.data.role",
            },
        },
        "event": {"*": {"publish": "data.x"}},
        "rpc": {"*": {}},
        "presence": {"*": {}},
    }
)


class AnswerTests(SynchronousTestCase):
    """
    Decisions, and the reasons for them.
    """

    def ask(self, action: Any = RecordAction.UPDATE, name: str | None = "user/ann", **question: Any) -> Answer:
        topic = Topic.EVENT if isinstance(action, EventAction) else Topic.RECORD
        return answer(RULES, Question(topic, action, name, **question))

    def test_parts(self) -> None:
        """
        All parts of the rule have the values of the last pass; those that were not looked at have none.
        """
        found = self.ask(
            user="bob",
            server_data={"role": "x"},
            data=b'{"n": 2}',
            records={"user/ann": {"n": 1}, "lock/ann": {"by": "x"}},
        )
        self.assertEqual(found.decision, "allow")
        values = {part.text: part.value for part in found.parts}
        self.assertEqual(values["user.id === $id"], "false")
        self.assertEqual(values["data.n > oldData.n"], "true")
        self.assertEqual(values["_('lock/' + $id)"], '{"by": "x"}')
        self.assertEqual(values["_('lock/' + $id).by"], '"x"')
        self.assertEqual(values["user.data"], '{"role": "x"}')
        self.assertEqual(found.parts[0].level, 0)
        self.assertEqual(found.variables, {"$id": '"ann"'})
        found = self.ask(user="ann", data=b"{}", records={"user/ann": {}})
        values = {part.text: part.value for part in found.parts}
        self.assertIsNone(values["data.n > oldData.n"])

    def test_levels(self) -> None:
        """
        Parts stand within those that they are part of.
        """
        found = self.ask(EventAction.EMIT, "e", data=b'{"x": 1}')
        self.assertEqual(
            [(part.level, part.text, part.value) for part in found.parts],
            [(0, "data.x", "1"), (1, "data", '{"x": 1}')],
        )

    def test_rule(self) -> None:
        """
        The rule that decides, and those that it comes before.
        """
        found = self.ask(RecordAction.READ)
        self.assertEqual((found.decision, found.kind), ("allow", "read"))
        self.assertEqual(found.rule.where, 'record["user/$id"].read')
        self.assertEqual([rule.where for rule in found.others], ['record["*"].read'])

    def test_none(self) -> None:
        """
        Where no rule is, and where none is needed.
        """
        self.assertEqual(self.ask(RecordAction.DELETE), Answer("deny", "delete"))
        self.assertEqual(self.ask(RecordAction.UNSUBSCRIBE), Answer("allow"))

    def test_error(self) -> None:
        """
        Why a rule has no value, and where it ended.
        """
        found = self.ask(EventAction.EMIT, "e")
        self.assertEqual(found.decision, "error")
        self.assertIn("Cannot read properties of undefined", found.error or "")
        self.assertTrue((found.parts[0].value or "").startswith("! TypeError"))

    def test_same_as_the_server(self) -> None:
        """
        All cases of the table are decided as the server decides them.
        """
        for case in TABLE["cases"]:
            message = case.get("message")
            if not message or case.get("stage") == "config" or "permissions_yaml" in case or "failing_records" in case:
                continue
            asked = message_of(case)
            sender = sender_of(case)
            question = Question(
                asked.topic,
                asked.action,
                asked.name,
                sender.user,
                sender.server_data,
                asked.data if isinstance(asked.data, bytes) else None,
                asked.path,
                {name: record.data for name, record in Records(case).records.items()},
                case.get("now", TABLE["base_now"]),
            )
            options = {"max_iterations": case.get("options", {}).get("maxRuleIterations", 3)}
            found = answer(load_permissions(permissions(case)), question, **options)
            self.assertEqual(found.decision, case["expect"], case["id"])
