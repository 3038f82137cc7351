"""
Tests for L{dstwist.permission.valve.rules}: a whole file, and which of its rules decides.
"""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dstwist.errors import ConfigError
from dstwist.permission.valve.rules import MAX_REMEMBERED_NAME_CHARACTERS, Rules, RuleSet, load_permissions
from dstwist.protocol.constants import EventAction, RecordAction, Topic

OPEN: dict[str, Any] = {
    "record": {"*": dict.fromkeys(("create", "read", "write", "delete", "listen", "notify"), True)},
    "event": {"*": dict.fromkeys(("publish", "subscribe", "listen"), True)},
    "rpc": {"*": dict.fromkeys(("provide", "request"), True)},
    "presence": {"*": {"allow": True}},
}


def load(**sections: Any) -> Rules:
    """
    Rules that are open but for what is said.
    """
    rules = copy.deepcopy(OPEN)
    for section, entries in sections.items():
        rules[section].update(entries)
    return load_permissions(rules)


class LoadTests(SynchronousTestCase):
    """
    Checking a file.
    """

    def refusal(self, rules: Any, path: str = "") -> str:
        return str(self.assertRaises(ConfigError, load_permissions, rules, path))

    def test_open(self) -> None:
        """
        The file that allows everything.
        """
        self.assertEqual(sum(len(rules) for rules in load_permissions(OPEN).sets.values()), 12)

    def test_not_a_file_of_rules(self) -> None:
        """
        Something that is no file of rules at all.
        """
        for content, kind in ((None, "object"), ("true", "string"), (5, "number"), (True, "boolean")):
            self.assertEqual(
                self.refusal(content), f"config should be an object literal, but was of type {kind}", content
            )

    def test_all_problems(self) -> None:
        """
        All that is wrong is told, each with its place; what is right beside it does not help.
        """
        rules = copy.deepcopy(OPEN)
        rules["record"]["user/$id"] = {"write": "alert(1)", "read": True, "update": True}
        rules["record"]["/a"] = {"read": 5}
        rules["event"] = {}
        del rules["rpc"]
        rules["events"] = {"*": {}}
        rules["presence"] = {"a": {"allow": "data"}}
        self.assertEqual(
            self.refusal(rules, "permission.rules").splitlines(),
            [
                "9 problems in the permissions:",
                '  permission.rules: missing configuration section "rpc"',
                '  permission.rules.record["user/$id"].write: function alert is not supported',
                '  permission.rules.record["user/$id"].update: unknown rule type update in section record',
                '  permission.rules.record["/a"]: path can\'t start with / for path /a in section record',
                '  permission.rules.record["/a"].read: rule must be a string',
                '  permission.rules.event: empty section "event"',
                '  permission.rules.presence: missing root entry "*" for section presence',
                "  permission.rules.presence.a.allow: rule allow for presence does not support data",
                '  permission.rules.events: unexpected configuration section "events"; did you mean event?',
            ],
        )

    def test_section_of_something_else(self) -> None:
        """
        Another value in the place of rules is refused, and is not taken for a pattern without rules.
        """
        for entry in (True, "true", 5, ["read"]):
            self.assertIn(
                "record.a: expected a section of rules", self.refusal({**OPEN, "record": {"*": {}, "a": entry}})
            )

    def test_empty_pattern(self) -> None:
        """
        A pattern whose rules are all commented out has none.
        """
        load(record={"a": None, "b": {}})

    def test_constants(self) -> None:
        """
        A rule that asks for nothing is decided when it is loaded.
        """
        for text, constant in (
            ("true", True),
            ("false", False),
            ("'no'", True),
            ("1 > 2 || ''", False),
            ("'a'.match(/b/)", False),
            ("null.x", None),
            ("user", None),
            ("undefined", None),
            ("_('a')", None),
        ):
            rules = load(record={"a": {"read": text}})
            found, *_ = rules.sets["record", "read"].matching("a")
            self.assertIs(found.rule.constant, constant, text)

    @settings(deadline=None, max_examples=200, derandomize=True)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["record", "event", "rpc", "presence", "*", "a/$id", "a(", "read", "allow", ""]),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=20,
        )
    )
    def test_any_content(self, content: Any) -> None:
        """
        Every content of a file is rules, or is refused.
        """
        try:
            load_permissions(content)
        except ConfigError:
            pass


class FindTests(SynchronousTestCase):
    """
    The rule for a name.
    """

    def where(self, rules: RuleSet, name: str) -> str | None:
        found = rules.find(name)
        return found.rule.where if found else None

    def test_longest(self) -> None:
        """
        The longest pattern decides, the last of those, and only those that have such a rule.
        """
        rules = load(
            record={
                "user/*": {"read": True},
                "*/aaaa": {"read": True},
                "user/aaaa": {"write": True},
                "user/$identifier": {"delete": True},
            }
        ).sets
        for kind, name, expected in (
            ("read", "user/aaaa", 'record["*/aaaa"].read'),
            ("read", "user/b", 'record["user/*"].read'),
            ("read", "b", 'record["*"].read'),
            ("write", "user/aaaa", 'record["user/aaaa"].write'),
            ("write", "user/b", 'record["*"].write'),
            ("delete", "user/aaaa", 'record["user/$identifier"].delete'),
            ("read", "a\nb", None),
        ):
            self.assertEqual(self.where(rules["record", kind], name), expected, (kind, name))

    def test_file_order(self) -> None:
        """
        Patterns that are numbers have their place in the file like all others.
        """
        rules = load(record={"a.": {"read": True}, "42": {"read": True}, "4.": {"read": True}}).sets["record", "read"]
        self.assertEqual(self.where(rules, "42"), 'record["4."].read')

    def test_all_guards(self) -> None:
        """
        Each guarded action finds the rules of its own topic: actions of different topics have the same numbers.
        """
        rules = load(record={"*": {"read": True}}, event={"*": {"subscribe": False, "publish": True, "listen": True}})
        self.assertEqual(int(RecordAction.READ), int(EventAction.SUBSCRIBE))
        self.assertEqual(rules.guards[Topic.RECORD][RecordAction.READ].kind, "read")
        self.assertEqual(rules.guards[Topic.EVENT][EventAction.SUBSCRIBE].kind, "subscribe")


class MemoryTests(SynchronousTestCase):
    """
    The memory for the rules of names.
    """

    def setUp(self) -> None:
        self.now = 0.0
        self.rules = load().sets["record", "read"]
        self.rules.remember(1000, 60.0, lambda: self.now)

    def test_bound(self) -> None:
        """
        However many names clients make up, no more than the limit are remembered.
        """
        for number in range(10_000):
            self.assertIsNotNone(self.rules.find(f"name{number}"))
            self.assertLessEqual(self.rules.remembered, 1000)
        self.assertGreater(self.rules.remembered, 400)

    def test_no_rule(self) -> None:
        """
        Names without a rule are not remembered.
        """
        self.assertIsNone(self.rules.find("a\nb"))
        self.assertEqual(self.rules.remembered, 0)

    def test_long_names(self) -> None:
        """
        Neither are very long ones, which would take more memory than the limit says.
        """
        self.assertIsNotNone(self.rules.find("x" * MAX_REMEMBERED_NAME_CHARACTERS))
        self.assertIsNotNone(self.rules.find("x" * (MAX_REMEMBERED_NAME_CHARACTERS + 1)))
        self.assertEqual(self.rules.remembered, 1)

    def test_evacuation(self) -> None:
        """
        A name that is not used during two intervals is forgotten; a name that is used stays.
        """
        self.rules.find("old")
        self.rules.find("young")
        for number in range(1, 5):
            self.now += 60
            self.rules.find("young")
            self.rules.find(f"new{number}")
        self.assertEqual(self.rules.remembered, 3)

    def test_same_rule(self) -> None:
        """
        The remembered rule is the rule that a search finds.
        """
        for _ in range(2):
            for name in ("a", "b/c", "", "x" * 1000):
                found, searched = self.rules.find(name), self.rules.search(name)
                assert found is not None and searched is not None
                self.assertIs(found.rule, searched.rule)
                self.assertEqual(found.groups, searched.groups)
