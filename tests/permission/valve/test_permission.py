"""
Tests for L{dstwist.permission.valve.permission}.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from zope.interface.verify import verifyObject

from dstwist.errors import ConfigError, RuleError
from dstwist.interfaces import ISimplePermission, Record
from dstwist.permission.valve.permission import MEASURED_SHARE
from dstwist.protocol.constants import EventAction, PresenceAction, RecordAction, RpcAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing.router import Router
from tests.fakes import FakeService
from tests.permission.pieces import PIECES
from tests.permission.valve.helpers import EMIT, PermissionCase, allows, read, rules, write


class AllowsTests(PermissionCase):
    """
    L{ValvePermission.allows}: who gets which answer, and when.
    """

    def test_interface(self) -> None:
        """
        It is a permission.
        """
        verifyObject(ISimplePermission, self.permission("record", "read", True))

    def test_permits_all(self) -> None:
        """
        It tells at once of a name whose rule is C{true}, and of an action without rules. It does not if a rule is to be
        evaluated, forbids, or is missing.
        """
        for rule, expected in ((True, True), ("1 == 1", True), (False, False), ("user.id", False)):
            permission = self.permission("record", "read", rule, pattern="r")
            self.assertIs(permission.permits_all(Topic.RECORD, RecordAction.READ, "r"), expected, rule)
            self.assertFalse(permission.permits_all(Topic.RECORD, RecordAction.READ, "other"), rule)
        self.assertTrue(permission.permits_all(Topic.RECORD, RecordAction.UNSUBSCRIBE, "r"))

    def test_w1_nothing_but_true_allows(self) -> None:
        """
        W1 (C{security.md}): a rule that comes to null, undefined, 0, NaN or an empty text denies; the Node server lets
        all pass that is not false.
        """
        self.ann.server_data = None
        for rule in (
            "user.data && user.data.role === 'admin'",
            "user.data?.role",
            "user.id.match(/x/)",
            "0",
            "''",
            "0 * 'x'",
            "null",
            "undefined && 1",
        ):
            self.assertIs(self.permission("record", "read", rule).allows(read(), self.ann), False, rule)
        for rule in ("'no'", "[]", "({})", "1", "user.id.match(/a/)", "user"):
            self.assertIs(self.permission("record", "read", rule).allows(read(), self.ann), True, rule)

    def test_w2_bulk(self) -> None:
        """
        W2 (C{security.md}): of several names exactly the refused ones are taken out, whichever they are; the Node
        server takes out the last ones.
        """
        for refused in ("a", "b", "c"):
            service = FakeService()
            permission = self.permission("event", "subscribe", f"name !== '{refused}'")
            message = Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("a", "b", "c"), correlation_id="1")
            Router(permission, {Topic.EVENT: service}).route(message, self.ann)
            (handled,) = service.handled
            self.assertEqual(handled.names, tuple(name for name in "abc" if name != refused))
            (answer,) = self.ann.take()
            self.assertEqual((answer.action, answer.name), (EventAction.MESSAGE_DENIED, refused))

    def test_w3_one_answer(self) -> None:
        """
        W3 (C{security.md}): after an error that ends a decision nothing more comes of it, whatever the rule would say
        and whatever is still being loaded; the action is not executed.
        """
        for rule, data in (("_(5) || true", b"1"), ("data.x || true", b"{bad"), ("[_('a'), _(5)] || true", b"1")):
            permission = self.permission("event", "publish", rule, load=self.records.later)
            service = FakeService()
            message = Message(Topic.EVENT, EventAction.EMIT, "e", data)
            Router(permission, {Topic.EVENT: service}).route(message, self.ann)
            self.records.arrive()
            self.assertEqual(service.handled, [], rule)
            self.assertEqual([answer.action for answer in self.ann.take()], [EventAction.MESSAGE_PERMISSION_ERROR])

    def test_w9_data_of_emits(self) -> None:
        """
        W9 (C{security.md}): an emit's data is there for its rule, in whatever encoding it came.
        """
        permission = self.permission("event", "publish", "data === 5")
        for data, expected in ((b"5", True), ("N5", True), (b"6", False), ("S5", False), (None, False)):
            message = Message(Topic.EVENT, EventAction.EMIT, "e", data)
            self.assertIs(permission.allows(message, self.ann), expected, data)

    def test_w11_nobody(self) -> None:
        """
        W11 (C{security.md}): who has no name is not authenticated, however the login called that.
        """
        permission = self.permission("record", "read", "user.isAuthenticated")
        for user, expected in (("open", False), ("OPEN", False), (None, False), ("ann", True), ("Open", True)):
            self.ann.user = user
            self.assertIs(permission.allows(read(), self.ann), expected, user)

    def test_w12_old_data_last(self) -> None:
        """
        W12 (C{security.md}): oldData as the last word of a rule is the record; the Node server never loads it.
        """
        self.records.records["r"] = Record(1, {})
        for rule in ("!oldData", "user.id === 'root' || !oldData"):
            self.assertIs(self.permission("record", "write", rule).allows(write(b"{}"), self.ann), False)
        self.assertIs(
            self.permission("record", "create", "!oldData").allows(
                Message(Topic.RECORD, RecordAction.CREATE, "new"), self.ann
            ),
            True,
        )

    def test_no_rule(self) -> None:
        """
        A request without a matching rule is denied; an action that needs no permission is allowed.
        """
        permission = self.permission("record", "read", True)
        self.assertIs(permission.allows(write(b"{}"), self.ann), False)
        self.assertIs(permission.allows(read("a\nb"), self.ann), False)
        self.assertIs(permission.allows(Message(Topic.RECORD, RecordAction.UNSUBSCRIBE, "r"), self.ann), True)
        self.assertIs(permission.allows(Message(Topic.RPC, RpcAction.RESPONSE, "r"), self.ann), True)

    def test_everybody(self) -> None:
        """
        A request about all users has no name, whatever the text client wrote in its place.
        """
        permission = self.permission("presence", "allow", "name === undefined && $who === undefined", "$who")
        for action in (PresenceAction.QUERY_ALL, PresenceAction.SUBSCRIBE_ALL):
            for name in (None, "%_EVERYONE_%"):
                self.assertIs(permission.allows(Message(Topic.PRESENCE, action, name), self.ann), True)
        self.assertIs(permission.allows(Message(Topic.PRESENCE, PresenceAction.QUERY, "bob"), self.ann), False)

    def test_server(self) -> None:
        """
        No rule applies to the server itself, whether one denies, fails or is missing.
        """
        self.ann.is_server = True
        for rule in (False, "1 === 2", "user.data.x.y", "oldData.x === 1"):
            permission = self.permission("record", "read", rule)
            self.assertIs(permission.allows(read("r"), self.ann), True)
            self.assertIs(permission.allows(read("a\nb"), self.ann), True)

    def test_server_data(self) -> None:
        """
        user.data is what the authenticator said, and null if that is nothing.
        """
        for data, rule in (
            (None, "user.data === null"),
            ("", "user.data === null"),
            (False, "user.data === null"),
            ({}, "user.data !== null"),
            ([], "user.data.length === 0"),
            ({"role": "x"}, "user.data.role === 'x'"),
            ("text", "user.data === 'text'"),
        ):
            self.ann.server_data = data
            self.assertIs(self.permission("record", "read", rule).allows(read(), self.ann), True, rule)

    def test_actions(self) -> None:
        """
        The action is the one that is asked, by number and by each of its names.
        """
        for section, kind, topic, action, rule in (
            (
                "event",
                "publish",
                Topic.EVENT,
                EventAction.EMIT,
                "action === 2 && action === 'EMIT' && action == 'EVENT'",
            ),
            ("record", "read", Topic.RECORD, RecordAction.READ, "action === 'READ' && action === 'SNAPSHOT'"),
            ("record", "read", Topic.RECORD, RecordAction.HAS, "action === 'HAS' && action === 5"),
            ("rpc", "provide", Topic.RPC, RpcAction.PROVIDE, "['SUBSCRIBE', 'x'].indexOf(action) === 0"),
            ("presence", "allow", Topic.PRESENCE, PresenceAction.QUERY_ALL, "action === 'QUERY' || action === 'X'"),
            ("record", "read", Topic.RECORD, RecordAction.HEAD, "typeof action === 'string' && action + '' === 'HEAD'"),
        ):
            permission = self.permission(section, kind, rule)
            self.assertIs(permission.allows(Message(topic, action, "x"), self.ann), True, rule)

    def test_undecoded(self) -> None:
        """
        A rule that does not look at data is decided without decoding it, and one that does not ask for records without
        loading any.
        """
        message = Message(Topic.EVENT, EventAction.EMIT, "e", b"{bad")
        for rule in ("user.id === 'ann'", "name !== 'data'", "user.data === null"):
            self.assertIs(self.permission("event", "publish", rule).allows(message, self.ann), True, rule)
        self.assertIs(self.permission("record", "write", "user.id === 'ann'").allows(write(b"{", "a"), self.ann), True)
        self.assertEqual(self.records.loaded, [])
        decision = self.permission("event", "publish", "user.id === 'ann' || data").allows(message, self.ann)
        self.assertIn("the data of the message cannot be decoded", self.problem(decision))

    def test_time(self) -> None:
        """
        now is the time of the decision, in whole milliseconds.
        """
        self.now = 1700000000.0019
        self.assertIs(self.permission("record", "read", "now === 1700000000001").allows(read(), self.ann), True)

    def test_by_name(self) -> None:
        """
        A rule that reads nothing but the name is evaluated once for each name.
        """
        permission = self.permission("event", "publish", "$pair !== 'b' && !name.endsWith('c')", pattern="fx/$pair")
        for _ in range(3):
            for name, expected in (("fx/a", True), ("fx/b", False), ("fx/c", False), ("fx/d", True)):
                message = Message(Topic.EVENT, EventAction.EMIT, name)
                self.assertIs(permission.allows(message, self.ann), expected, name)
        self.assertEqual(permission.evaluated, 4)

    def test_not_by_name(self) -> None:
        """
        A rule that reads the user, the action, the data, the record, the time or another record is evaluated for each
        request, and so is one that fails.
        """
        for rule in (
            "$id && user.id",
            "$id && user.id !== 'bob' && true",
            "$id && action === 2",
            "$id && data",
            "$id && now",
            "$id && _('r') === null",
            "$id && usr",
            "$id && name.x.y",
        ):
            permission = self.permission("event", "publish", rule, pattern="$id")
            for number in range(1, 4):
                decision = permission.allows(EMIT, self.ann)
                if isinstance(decision, Deferred):
                    self.failureResultOf(decision, RuleError)
                self.assertEqual(permission.evaluated, number, rule)

    def test_by_name_of_each_user(self) -> None:
        """
        The decision about one user says nothing about another.
        """
        permission = self.permission("event", "publish", "user.id === $owner", pattern="$owner")
        for user in ("e", "f", "e", "f"):
            self.ann.user = user
            self.assertIs(permission.allows(EMIT, self.ann), user == "e", user)

    def test_nameless(self) -> None:
        """
        In a request without a name, the name and the path variables are undefined: the decision about a user with the
        name "undefined" is another one.
        """
        permission = self.permission("presence", "allow", "name === undefined && $id === undefined", pattern="$id")
        for _ in range(2):
            for action, name, expected in (
                (PresenceAction.QUERY, "undefined", False),
                (PresenceAction.QUERY_ALL, None, True),
                (PresenceAction.QUERY, None, True),
            ):
                message = Message(Topic.PRESENCE, action, name)
                self.assertIs(permission.allows(message, self.ann), expected, (action, name))
        self.assertEqual(permission.evaluated, 2)


class FailureTests(PermissionCase):
    """
    Rules without a value.
    """

    def test_text(self) -> None:
        """
        The failure tells the rule's place, its text, what it was asked about, and why; nothing of what it looked at.
        """
        self.ann.server_data = {"password": "geheim"}
        permission = self.permission("record", "read", "user.data.role.x === $id", "a/$id")
        self.assertEqual(
            self.problem(permission.allows(read("a/b"), self.ann)),
            'error when executing record["a/$id"].read (user.data.role.x === $id) for "a/b": '
            "TypeError: Cannot read properties of undefined (reading 'x')",
        )

    def test_values(self) -> None:
        """
        With logRuleValues it tells what the rule looked at as well.
        """
        self.ann.server_data = {"role": 5}
        permission = self.permission("record", "write", "data.a.b.c === $id", "$id", log_values=True)
        problem = self.problem(permission.allows(write(b'{"a": {}}'), self.ann))
        self.assertTrue(problem.endswith('; with data = {"a": {}}, $id = "r"'), problem)

    def test_short(self) -> None:
        """
        However long a rule, a name and values are, the failure is not.
        """
        rule = "data.x.y" + " || data.x.y" * 500
        permission = self.permission("event", "publish", rule, log_values=True)
        message = Message(Topic.EVENT, EventAction.EMIT, "n\n" * 50_000, json.dumps("x" * 100_000).encode())
        self.assertIs(permission.allows(message, self.ann), False)
        message.name = "n" * 50_000
        problem = self.problem(permission.allows(message, self.ann))
        self.assertLess(len(problem), 3000)
        self.assertNotIn("\n", problem)

    def test_refusal_to_the_client(self) -> None:
        """
        The client is told that its permission could not be found out, and nothing else.
        """
        permission = self.permission("event", "publish", "user.data.role")
        Router(permission, {Topic.EVENT: FakeService()}).route(EMIT, self.ann)
        (answer,) = self.ann.take()
        self.assertEqual(answer.action, EventAction.MESSAGE_PERMISSION_ERROR)
        self.assertEqual((answer.data, answer.detail), (None, None))

    def test_steps(self) -> None:
        """
        A decision that takes more steps than allowed fails, and one that takes less does not.
        """
        message = Message(Topic.EVENT, EventAction.EMIT, "e", json.dumps(list(range(1000))).encode())
        rule = "data.indexOf(-1) + data.indexOf(-2) < 0"
        self.assertIs(self.permission("event", "publish", rule, max_steps=5000).allows(message, self.ann), True)
        decision = self.permission("event", "publish", rule, max_steps=1500).allows(message, self.ann)
        self.assertIn("more steps than maxRuleSteps", self.problem(decision))

    def test_steps_of_all_passes(self) -> None:
        """
        The steps are those of all passes of a decision together.
        """
        rule = "data.indexOf(-1) < 0 && _('a') === null && _('b') === null"
        message = Message(Topic.EVENT, EventAction.EMIT, "e", json.dumps(list(range(1000))).encode())
        self.assertIn(
            "maxRuleSteps",
            self.problem(self.permission("event", "publish", rule, max_steps=1500).allows(message, self.ann)),
        )

    @settings(deadline=None, max_examples=300, derandomize=True)
    @given(
        st.lists(st.sampled_from(PIECES), max_size=16).map("".join),
        st.sampled_from([b"{bad", b"null", b'{"a": [1, {"b": "x"}], "x": "y"}', b'"\\ud83d"', b"[1, [2]]", None]),
    )
    def test_any_rule(self, rule: str, data: bytes | None) -> None:
        """
        Every text is refused as a rule, or decides, or fails with a RuleError.
        """
        try:
            permission = self.permission("record", "write", rule, max_steps=10_000)
        except ConfigError:
            return
        decision = allows(permission, write(data), self.ann, Record(1, {"a": 1}))
        if isinstance(decision, Deferred):
            self.failureResultOf(decision, RuleError)
        else:
            self.assertIsInstance(decision, bool)


class ReplaceTests(PermissionCase):
    """
    Other rules, while the server runs.
    """

    def test_replace(self) -> None:
        """
        From then on they decide, for names that were asked about before too.
        """
        permission = self.permission("record", "read", True)
        self.assertIs(permission.allows(read(), self.ann), True)
        permission.replace(rules("record", "read", False))
        self.assertIs(permission.allows(read(), self.ann), False)

    def test_while_waiting(self) -> None:
        """
        A decision that waits for a record ends by the rules with which it began.
        """
        permission = self.permission("record", "read", "_('a') === null", load=self.records.later)
        decision = permission.allows(read(), self.ann)
        permission.replace(rules("record", "read", False))
        self.records.arrive()
        assert isinstance(decision, Deferred)
        self.assertIs(self.successResultOf(decision), True)

    def test_figures(self) -> None:
        """
        Rules that are evaluated count, and so do decisions that wait. The time of some of them is measured.
        """
        permission = self.permission("record", "read", "_('a') === null", load=self.records.later)
        decisions: list[Any] = [permission.allows(read(), self.ann) for _ in range(2 * MEASURED_SHARE)]
        self.assertEqual((permission.evaluated, permission.times.count), (2 * MEASURED_SHARE, 2))
        self.assertEqual(permission.waits.count, 0)
        self.records.arrive()
        self.assertEqual([self.successResultOf(decision) for decision in decisions], [True] * 2 * MEASURED_SHARE)
        self.assertEqual(permission.waits.count, 2 * MEASURED_SHARE)

    def test_figures_constant(self) -> None:
        """
        A rule that is always true is not evaluated.
        """
        permission = self.permission("record", "read", True)
        permission.allows(read(), self.ann)
        self.assertEqual(permission.evaluated, 0)

    def test_none_left(self) -> None:
        """
        The Deferred of a replacement fires after the last decision by the old rules.
        """
        permission = self.permission("record", "read", "_(name) === null", load=self.records.later)
        decisions: list[Any] = [permission.allows(read(name), self.ann) for name in "abc"]
        self.successResultOf(self.permission("record", "read", True).replace(rules("record", "read", True)))
        done = permission.replace(rules("record", "read", "_('d') === null"))
        newer: Any = permission.allows(read("d"), self.ann)
        decisions[0].cancel()
        self.failureResultOf(decisions[0], CancelledError)
        self.assertNoResult(done)
        self.records.arrive()
        self.assertEqual([self.successResultOf(decision) for decision in decisions[1:]], [True, True])
        self.successResultOf(done)
        self.assertIs(self.successResultOf(newer), True)

    def test_broken(self) -> None:
        """
        Rules that cannot be used replace nothing.
        """
        permission = self.permission("record", "read", True)
        self.assertRaises(ConfigError, lambda: permission.replace(rules("record", "read", "alert(1)")))
        self.assertIs(permission.allows(read(), self.ann), True)

    def test_memory(self) -> None:
        """
        Clients that make up names do not fill the memory.
        """
        permission = self.permission("record", "read", True, max_remembered=1200)
        found = permission.guards[Topic.RECORD][RecordAction.READ].rules
        for number in range(2000):
            permission.allows(read(f"n{number}"), self.ann)
            self.assertLessEqual(found.remembered, 100)
