"""
Tests for L{dstwist.permission.valve.rule_tests}.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dstwist.errors import ConfigError
from dstwist.permission.valve.rule_tests import Result, check, load_rules

RULES = """
record:
  "*": {read: true}
  "user/$id": {write: "user.id === $id || user.data.role === '${ADMIN}'"}
event: {"*": {publish: "data.length < 5 && _('chat').open"}}
rpc: {"*": {request: "now > 10"}}
presence: {"*": {allow: true}}
"""
CASES = """
permissions: rules.yml
user: ann
records: {chat: {open: true}}
cases:
  - {action: record UPDATE, name: user/ann, data: {}, expect: allow}
  - {action: record UPDATE, name: user/bob, data: {}, expect: error}
  - {action: record UPDATE, name: user/bob, user: root, serverData: {role: admin}, data: {}, expect: allow}
  - {action: event EMIT, name: e, data: hello!, expect: allow, why: greetings are short}
  - {action: event emit, name: e, data: hi, expect: allow}
  - {action: event emit, name: e, data: hi, records: {}, expect: error}
  - {action: rpc REQUEST, name: r, now: 5, expect: deny}
  - {action: presence QUERY_ALL, expect: allow}
"""


class ExpectationTests(SynchronousTestCase):
    """
    A table held against rules.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def write(self, name: str, content: str) -> str:
        path = self.directory / name
        path.write_text(content, encoding="utf-8")
        return str(path)

    def check(self, cases: str = CASES, rules: str = RULES) -> list[Result]:
        self.write("rules.yml", rules)
        return check(self.write("cases.yml", cases), {"ADMIN": "admin"})

    def refusal(self, cases: str, rules: str = RULES) -> str:
        return str(self.assertRaises(ConfigError, self.check, cases, rules))

    def test_met(self) -> None:
        """
        Each expectation is met or it is not; what the table says at its top holds for all.
        """
        results = self.check()
        self.assertEqual([result.met for result in results], [True, True, True, False, True, True, True, True])
        self.assertEqual((results[3].title, results[3].answer.decision), ("greetings are short", "deny"))
        self.assertEqual(results[1].title, "record UPDATE user/bob by ann")

    def test_other_rules(self) -> None:
        """
        A table can be held against other rules than its own.
        """
        self.check()
        other = self.write("other.yml", RULES.replace("< 5", "< 50"))
        results = check(str(self.directory / "cases.yml"), {}, other)
        self.assertTrue(results[3].met)

    def test_refused(self) -> None:
        """
        Tables that make no sense are refused, by the key that is wrong.
        """
        start = "permissions: rules.yml\ncases:\n  - "
        for cases, expected in (
            ("[]", "expected a section"),
            ("cases: [{}]", "permissions: expected a text"),
            ("permissions: none.yml\ncases: [{}]", "cannot load"),
            ("permissions: rules.yml", "cases: expected a list"),
            ("permissions: rules.yml\ncases: []", "cases: there are none"),
            ("permissions: rules.yml\ncase: []", "case: unknown key; did you mean cases?"),
            (start + "5", "cases[0]: expected a section"),
            (start + "{expect: allow}", "cases[0].action: expected a text"),
            (start + "{action: record READ}", "cases[0].expect: expected a text"),
            (start + "{action: record READ, expect: yes}", "cases[0].expect: expected one of allow, deny, error"),
            (start + "{action: record REED, expect: deny}", "cases[0].action: unknown action of RECORD; did you mean"),
            (start + "{action: READ, expect: deny}", "cases[0].action: expected a topic and an action"),
            (start + "{action: record READ, nam: x, expect: deny}", "cases[0].nam: unknown key; did you mean name?"),
            (start + "{action: record READ, name: 5, expect: deny}", "cases[0].name: expected a text, got 5"),
            (start + "{action: record READ, now: x, expect: deny}", "cases[0].now: expected milliseconds"),
            (start + "{action: record READ, records: 5, expect: deny}", "cases[0].records: expected a section"),
        ):
            self.assertIn(expected, self.refusal(cases), cases)

    def test_bad_rules(self) -> None:
        """
        Rules that cannot be used are refused with all that is wrong with them.
        """
        self.assertIn(
            "record.a.read: function alert is not supported",
            self.refusal(CASES, RULES.replace('"*": {read: true}', '"*": {read: true}\n  a: {read: alert(1)}')),
        )

    def test_yaml(self) -> None:
        """
        Rules are read as YAML 1.2, in which yes is a text and a key can be there but once.
        """
        path = self.write("rules.yml", RULES.replace("read: true", "read: yes"))
        found, *_ = load_rules(path, {}).sets["record", "read"].matching("a")
        self.assertEqual((found.rule.text, found.rule.constant), ("yes", None))
        path = self.write("rules.yml", RULES + "event: {}\n")
        self.assertIn("twice", str(self.assertRaises(ConfigError, load_rules, path, {})))
