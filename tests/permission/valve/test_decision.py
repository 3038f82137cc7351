"""
Tests for L{dstwist.permission.valve.decision}.
"""

from __future__ import annotations

import json

from twisted.internet.defer import CancelledError, Deferred

from dstwist.interfaces import Record
from dstwist.permission.valve.permission import ValvePermission
from dstwist.protocol.constants import RecordAction
from dstwist.protocol.patched import plain
from dstwist.protocol.path_tokens import parse
from dstwist.protocol.paths import set_at, set_many
from dstwist.protocol.typed import UNDEFINED
from tests.permission.valve.helpers import EMIT, PermissionCase, allows, read, rules, write


class RecordTests(PermissionCase):
    """
    Rules that ask for records.
    """

    def test_at_hand(self) -> None:
        """
        The record that the caller passes in is not loaded, whether the rule uses oldData or its name.
        """
        rule = "oldData.n === 1 && _('r').n === 1 && _(name) === oldData"
        permission = self.permission("record", "write", rule)
        self.assertIs(allows(permission, write(b"{}"), self.ann, Record(1, {"n": 1})), True)
        self.assertEqual(self.records.loaded, [])

    def test_missing_at_hand(self) -> None:
        """
        Neither is a record of which is known that it does not exist: it is null.
        """
        permission = self.permission("record", "write", "oldData === null && _('r') === null")
        self.assertIs(allows(permission, write(b"{}"), self.ann, Record(-1, None)), True)
        self.assertEqual(self.records.loaded, [])

    def test_at_once(self) -> None:
        """
        With records that are there at once, the answer is there at once.
        """
        self.records.records["a"] = Record(3, {"ok": True})
        permission = self.permission("record", "read", "_('a').ok && _('b') === null")
        self.assertIs(permission.allows(read(), self.ann), True)
        self.assertEqual(self.records.loaded, ["a", "b"])

    def test_later(self) -> None:
        """
        With records that take their time, the answer comes when the last of them is there.
        """
        self.records.records["a"] = Record(3, {"ok": True})
        permission = self.permission("record", "read", "_('a').ok && _('b') === null", load=self.records.later)
        decision = permission.allows(read(), self.ann)
        assert isinstance(decision, Deferred)
        self.assertNoResult(decision)
        self.records.arrive()
        self.assertIs(self.successResultOf(decision), True)

    def test_together(self) -> None:
        """
        Records that a rule asks for independently are loaded at the same time, each once.
        """
        permission = self.permission(
            "record", "read", "[_('a'), _('b'), _('a'), oldData].length === 4", load=self.records.later
        )
        decision = permission.allows(read(), self.ann)
        self.assertEqual(self.records.loaded, ["r", "a", "b"])
        for deferred, _ in self.records.waiting:
            assert isinstance(decision, Deferred)
            self.assertNoResult(decision)
            deferred.callback(None)
        assert isinstance(decision, Deferred)
        self.assertIs(self.successResultOf(decision), True)
        self.assertEqual(len(self.records.loaded), 3)

    def test_passes(self) -> None:
        """
        Records that lead to each other take a pass each: as many as maxRuleIterations allows, however fast they come.
        """
        self.records.records = {name: Record(1, {"n": following}) for name, following in ("ab", "bc", "cd", "de")}
        rule = "_(_(_('a').n).n).n === 'd'"
        for load in (self.records.at_once, self.records.later):
            for most, allowed in ((4, True), (3, False)):
                permission = self.permission("record", "read", rule, load=load, max_iterations=most)
                decision = permission.allows(read(), self.ann)
                self.records.arrive()
                if allowed:
                    result = self.successResultOf(decision) if isinstance(decision, Deferred) else decision
                    self.assertIs(result, True)
                else:
                    self.assertIn("Exceeded max iteration count", self.problem(decision))

    def test_nothing_is_kept(self) -> None:
        """
        The next decision looks anew.
        """
        permission = self.permission("record", "read", "_('a') !== null")
        self.assertIs(permission.allows(read(), self.ann), False)
        self.records.records["a"] = Record(0, {})
        self.assertIs(permission.allows(read(), self.ann), True)

    def test_failure(self) -> None:
        """
        A record that cannot be had makes the rule fail, at once or later, even if others are still on their way.
        """
        self.records.failing = {"a"}
        for load in (self.records.at_once, self.records.later):
            permission = self.permission("record", "read", "[_('a'), _('b')].length > 0 || true", load=load)
            decision = permission.allows(read(), self.ann)
            self.records.arrive()
            self.assertIn("failed to load record a for permissioning: out of order", self.problem(decision))

    def test_no_records(self) -> None:
        """
        A server without records has none to refer to.
        """
        permission = ValvePermission(rules("record", "read", "_('a')"), lambda: 0.0)
        self.assertIn("there are no records", self.problem(permission.allows(read(), self.ann)))

    def test_cancelled(self) -> None:
        """
        Records that arrive after the decision was cancelled are ignored.
        """
        permission = self.permission("record", "read", "_('a') === null", load=self.records.later)
        decision = permission.allows(read(), self.ann)
        assert isinstance(decision, Deferred)
        decision.cancel()
        self.failureResultOf(decision, CancelledError)
        self.records.arrive()

    def test_w10_patch(self) -> None:
        """
        W10 (C{security.md}): the data of a patch is the record as it would be, of setData with a path too.
        """
        rule = "data.owner === 'ann' && data.n === 5 && data.gone === undefined"
        permission = self.permission("record", "write", rule)
        record = Record(1, {"owner": "ann", "n": 4})
        self.assertIs(allows(permission, write(b"5", "n"), self.ann, record), True)
        self.assertIs(allows(permission, write("N5", "n"), self.ann, record), True)
        self.assertIs(allows(permission, write(b'"bob"', "owner"), self.ann, record), False)
        self.assertEqual(record.data, {"owner": "ann", "n": 4})
        new = write(b'{"b": 1}', "a")
        new.original_action = RecordAction.CREATEANDPATCH
        permission = self.permission("record", "write", "oldData === null && data.a.b === 1")
        self.assertIs(allows(permission, new, self.ann, Record(-1, None)), True)

    def test_patch_of_nothing(self) -> None:
        """
        A patch of a record that does not exist, and is not to be created, has no data.
        """
        permission = self.permission("record", "write", "data.a === 1")
        for record in (Record(-1, None), None):
            self.assertIn(
                "Tried to apply patch to non-existant record r",
                self.problem(allows(permission, write(b"1", "a"), self.ann, record)),
            )

    def test_erased(self) -> None:
        """
        A patch without a value takes the key away.
        """
        permission = self.permission("record", "write", "!('a' in data) && data.b === 2")
        for nothing in (None, "U"):
            self.assertIs(allows(permission, write(nothing, "a"), self.ann, Record(1, {"a": 1, "b": 2})), True)

    def test_patch_multi(self) -> None:
        """
        Several changes are applied in their order.
        """
        changes = [{"path": "a", "data": 1}, {"path": "a", "data": 2}, {"path": "b"}]
        message = write(json.dumps(changes).encode(), action=RecordAction.PATCH_MULTI)
        permission = self.permission("record", "write", "data.a === 2 && !('b' in data) && data.c === 3")
        self.assertIs(allows(permission, message, self.ann, Record(1, {"b": 1, "c": 3})), True)
        for wrong in (b"{}", b"[1]", b'[{"data": 1}]', b'[{"path": 5}]'):
            message = write(wrong, action=RecordAction.PATCH_MULTI)
            self.assertIn("Invalid MultiPatch Data r", self.problem(permission.allows(message, self.ann)))

    def test_w14_forbidden_paths(self) -> None:
        """
        W14 (C{security.md}): paths into the prototypes of a JavaScript client are refused.
        """
        permission = self.permission("record", "write", "data !== null")
        for path in ("__proto__.x", "constructor.x", "prototype"):
            self.problem(allows(permission, write(b"1", path), self.ann, Record(1, {})))

    def test_update(self) -> None:
        """
        The data of an update is what is written, whatever was there.
        """
        permission = self.permission("record", "write", "data.a === 1 && data.b === undefined")
        self.assertIs(allows(permission, write(b'{"a": 1}'), self.ann, Record(1, {"b": 1})), True)
        self.assertIs(permission.allows(write('O{"a": 1}'), self.ann), True)

    def test_events(self) -> None:
        """
        A request about no record has no oldData, even if a record of that name exists.
        """
        permission = self.permission("event", "publish", "oldData")
        self.assertIs(permission.allows(EMIT, self.ann), False)
        self.assertEqual(self.records.loaded, [])


class LargeRecordTests(PermissionCase):
    """
    Rules about large records. They see no difference between patched and ordinary containers.
    """

    RULES = (
        "oldData.keys.k7 === 7 && data.keys.k7 === 8",
        "oldData.keys['k' + 8] === 'fresh'",
        "oldData.keys.gone === undefined && oldData.keys.k9 === undefined",
        "'k7' in oldData.keys && !('gone' in oldData.keys) && !('k9' in oldData.keys)",
        "oldData.rows.length === 1501 && oldData.rows[1500] === 'end' && oldData.rows[1501] === undefined",
        "oldData.rows[7].x === 1 && oldData.rows[8] === 'fresh' && oldData.rows['9'] === 9",
        "7 in oldData.rows && 'length' in oldData.rows && !(1501 in oldData.rows)",
        "oldData.rows.indexOf('fresh') === 8 && oldData.rows.indexOf('end', -1) === 1500",
        "oldData.rows.includes('fresh') && oldData.rows.includes(oldData.rows[7]) && !oldData.rows.includes(8)",
        "oldData.rows === oldData.rows && oldData.keys === oldData.keys && oldData === _('r')",
        "oldData.rows !== data.rows || data.rows === oldData.rows",
        "oldData.keys != oldData.rows && oldData.keys != null && oldData != undefined",
        "oldData.rows instanceof Array && oldData.rows instanceof Object && !(oldData.keys instanceof Array)",
        "oldData.keys instanceof Object && oldData instanceof Object",
        "typeof oldData.rows === 'object' && typeof oldData.keys === 'object'",
        "'' + oldData.keys === '[object Object]' && oldData + '' === '[object Object]'",
        "('' + oldData.rows).startsWith('0,1,2,3,4,5,6,[object Object],fresh,9,10')",
        "oldData.rows == '' + oldData.rows",
        "oldData && oldData.rows && oldData.keys ? true : false",
        "oldData.rows.indexOf && !oldData.keys.indexOf && !oldData.rows.foo",
        "oldData.names[0] === 'ann' && oldData.names.length === 2 && oldData.names.includes('bob')",
    )

    def setUp(self) -> None:
        super().setUp()
        ordinary = {"keys": {f"k{n}": n for n in range(1500)}, "rows": [*range(1500)], "names": ["ann", "bob"]}
        changes = (
            ("keys.k8", "fresh"),
            ("keys.k9", UNDEFINED),
            ("rows[7]", {"x": 1}),
            ("rows[8]", "fresh"),
            ("rows[1500]", "end"),
        )
        patched = set_many(ordinary, [(parse(path), value) for path, value in changes])
        self.contents = [patched, plain(patched)]

    def test_same(self) -> None:
        """
        Each rule permits the write to either.
        """
        for rule in self.RULES:
            permission = self.permission("record", "write", rule)
            for content in self.contents:
                record = self.records.records["r"] = Record(1, content)
                self.assertIs(allows(permission, write(b"8", "keys.k7"), self.ann, record), True, rule)
                self.assertIs(record.content, content)

    def test_failures(self) -> None:
        """
        Each rule fails in the same way for either.
        """
        for rule in ("oldData.rows.startsWith('a')", "oldData.keys.indexOf(1)", "'x' in oldData.keys.k7"):
            problems = set()
            for content in self.contents:
                permission = self.permission("record", "write", rule)
                problems.add(self.problem(allows(permission, write(b"8", "keys.k7"), self.ann, Record(1, content))))
            self.assertEqual(len(problems), 1, problems)

    def test_logged(self) -> None:
        """
        The log shows the values of either.
        """
        permission = self.permission("record", "write", "oldData.a.b.c", log_values=True)
        for content in self.contents:
            problem = self.problem(allows(permission, write(b"8", "keys.k7"), self.ann, Record(1, content)))
            self.assertIn('with oldData = {"keys": {"k0": 0, "k1": 1', problem)

    def test_old_version(self) -> None:
        """
        A rule that waits for another record sees the version that it was given, whatever is written meanwhile.
        """
        permission = self.permission(
            "record", "read", "_('a').rows[7].x === 1 && _('b') === null", load=self.records.later
        )
        content = self.records.records["a"] = Record(1, self.contents[0])
        decision = permission.allows(read(), self.ann)
        assert isinstance(decision, Deferred)
        self.records.arrive()
        later = content.content
        for number in range(1000):
            later = set_at(later, ("rows", number), 2)
        self.records.arrive()
        self.assertIs(self.successResultOf(decision), True)
