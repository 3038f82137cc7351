"""
Every decision in C{valve_cases.json}: what the Node server's own code decides, and where we decide otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from dstwist.config.file import Reading
from dstwist.errors import ConfigError, RuleError
from dstwist.interfaces import Change, Record
from dstwist.permission.valve.actions import GUARDS
from dstwist.permission.valve.rules import load_permissions
from dstwist.protocol.constants import ACTIONS, Topic
from tests.permission.cases import TABLE, Records, message_of, permission_of, permissions, sender_of
from tests.requesters import RequesterTestCase, for_each_requester

#: That one is about an option, and tested with the configuration.
_ELSEWHERE = "cfg-max-iterations-zero"


@for_each_requester
class CaseTests(RequesterTestCase):
    """
    The table, group by group.
    """

    def rules_of(self, case: Mapping[str, Any]) -> Any:
        """
        The rules of a case; those given as a text are read as a file.
        """
        if "permissions_yaml" not in case:
            return permissions(case)
        path = Path(self.mktemp())
        path.mkdir()
        (path / "permissions.yml").write_text(case["permissions_yaml"], encoding="utf-8")
        reading = Reading(str(path), case.get("env", {}))
        rules = reading.load("permissions.yml", "permissions")
        for problem in reading.problems:
            raise problem
        return rules

    def decided(self, case: Mapping[str, Any], how: str) -> str:
        """
        The decision about a case.

        @param how: when records are there: C{at once}, C{later}, or the record in question C{at hand}.
        """
        try:
            rules = self.rules_of(case)
            if case.get("stage") == "config":
                load_permissions(rules)
                return "valid"
            records = Records(case)
            permission = permission_of(case, records.later if how == "later" else records.at_once, rules)
        except ConfigError as error:
            return f"error {error}"
        message = message_of(case)
        change = None
        if how == "at hand" and message.topic is Topic.RECORD:
            change = Change(records.records.get(message.name or "", Record(-1, None)), message)
        decision = permission.allows(message, sender_of(case, self.connect), change)
        records.arrive()
        if isinstance(decision, Deferred):
            results: list[Any] = []
            decision.addBoth(results.append)
            (result,) = results
            if not isinstance(result, bool):
                result.trap(RuleError)
                return f"error {result.value}"
            decision = result
        return "allow" if decision else "deny"

    def check(self, group: str, how: str = "at once") -> None:
        wrong = []
        for case in TABLE["cases"]:
            if case["group"] == group and case["id"] != _ELSEWHERE:
                decided = self.decided(case, how)
                if not decided.startswith(case["expect"]) or case.get("error", "") not in decided:
                    wrong.append(f"{case['id']}: {decided} instead of {case['expect']} {case.get('error', '')}")
        self.assertEqual(wrong, [])

    def test_all_groups(self) -> None:
        """
        No group is left out below.
        """
        tested = {name.removeprefix("test_group_") for name in dir(self) if name.startswith("test_group_")}
        self.assertEqual(tested, {case["group"].lower() for case in TABLE["cases"]})
        self.assertEqual(len(TABLE["cases"]), TABLE["counts"]["cases"])

    def test_flows(self) -> None:
        """
        A request that needs several decisions is decided by the rules that the table of flows names.
        """
        for flow in TABLE["flows"]:
            for asked, rules in flow["checks"]:
                for action in [] if asked == "per name" else asked.split(" or "):
                    topic, _, name = action.rpartition(" ")
                    topics = [Topic[topic.upper()]] if topic else list(GUARDS)
                    found = {
                        GUARDS[topic][ACTIONS[topic][name]]
                        for topic in topics
                        if name in ACTIONS[topic].__members__ and ACTIONS[topic][name] in GUARDS[topic]
                    }
                    self.assertIn(rules, found, flow["id"])


def _group_test(group: str) -> Callable[[CaseTests], None]:
    def test(self: CaseTests) -> None:
        for how in ("at once", "later", "at hand"):
            self.check(group, how)

    test.__doc__ = f"""
        The group {group}: with records that are there at once, that take their time, or that the asker has at hand.
        """
    return test


def _groups() -> Iterator[str]:
    yield from dict.fromkeys(case["group"] for case in TABLE["cases"])


for _group in _groups():
    setattr(CaseTests, f"test_group_{_group.lower()}", _group_test(_group))
