"""
Rules judge the effect of a write, whatever the write is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from dstwist.errors import RuleError
from dstwist.interfaces import Record
from dstwist.permission.valve.permission import ValvePermission
from dstwist.permission.valve.rules import load_permissions
from dstwist.protocol.constants import RecordAction
from dstwist.protocol.dialect import FOREIGN
from dstwist.protocol.jsontext import loads
from dstwist.protocol.message import Message
from dstwist.protocol.path_tokens import parse
from dstwist.protocol.paths import set_many
from dstwist.protocol.typed import UNDEFINED
from dstwist.services.record.service import RecordService
from dstwist.store.tiers import TieredStore
from tests.fakes import FakeConnection, FakeWire
from tests.requesters import for_each_requester
from tests.services.record.stage import (
    A,
    RecordTestCase,
    ask,
    patch,
    update,
    wanting_ack,
    written,
)

OPEN = {"create": True, "read": True, "write": True, "delete": True, "listen": True, "notify": True}


class ValveTestCase(RecordTestCase):
    """
    A record service with the rules of a file.
    """

    def guard(self, **rules: Any) -> None:
        """
        Have rules for all records; those that are not named allow.
        """
        self.serve()
        sections = {
            "record": {"*": {**OPEN, **rules}},
            "event": {"*": {}},
            "rpc": {"*": {}},
            "presence": {"*": {}},
        }
        self.tiers = TieredStore(self.cache, self.storage, self.settings, self.clock)
        self.permission = ValvePermission(load_permissions(sections), self.clock.seconds, load=self.tiers.load)
        self.put_up()
        self.have("a", 1, {"owner": "ann", "n": 1})

    def put_up(self, storage: bool = True) -> None:
        self.service = RecordService(
            self.subscriptions,
            self.listeners,
            None,
            self.permission,
            self.tiers if storage else TieredStore(self.cache, None, self.settings, self.clock),
            self.settings,
            self.clock,
        )

    def assert_denied(self, request: Message, connection: FakeConnection | None = None) -> None:
        """
        A write is refused for want of permission, and changes nothing.
        """
        answers = self.say(connection or self.young(), request)
        self.assertEqual([answer.action for answer in answers], [A.MESSAGE_DENIED], request)
        self.assert_stored("a", 1, {"owner": "ann", "n": 1})

    def assert_written(self, request: Message, value: Any, connection: FakeConnection | None = None) -> None:
        """
        A write is done, and subscribers are told of just that.
        """
        watcher, foreign = self.young("a"), self.foreign("a")
        self.assertEqual(self.say(connection or self.young(), request), [], request)
        self.assert_stored("a", 2, value)
        for connection in (watcher, foreign):
            (news,) = connection.take()
            before = {"owner": "ann", "n": 1}
            self.assertEqual(after(before, news), value, news)
            self.assertEqual(news.version, 2)

    def foreign(self, *names: str) -> FakeConnection:
        """
        A v4+ client that knows PATCH_MULTI.
        """
        connection = self.connect("foreign", FakeWire(patches_many=True), FOREIGN)
        for name in names:
            self.subscriptions.add(name, connection)
        return connection


def after(before: Any, news: Message) -> Any:
    """
    The data of a client that applies news as its action says, like the official clients.
    """
    value = UNDEFINED if news.data is None else loads(news.data)
    if news.action is A.UPDATE:
        return value
    if news.action is A.PATCH:
        return set_many(before, [(parse(news.path or ""), value)])
    assert news.action is A.PATCH_MULTI and news.path is None, news
    return set_many(before, [(parse(each["path"]), each.get("data", UNDEFINED)) for each in value])


@for_each_requester
class EffectTests(ValveTestCase):
    """
    Every combination of action and fields, those included that no client sends.
    """

    #: Writes that set a value: the rule for writing judges the record as it would be.
    SETS: tuple[tuple[Message, Any], ...] = (
        (update("a", 2, {"owner": "bob"}), {"owner": "bob"}),
        (ask(A.UPDATE, "a", b'"bob"', version=2, path="owner"), {"owner": "bob", "n": 1}),
        (patch("a", 2, "owner", "bob"), {"owner": "bob", "n": 1}),
        (ask(A.PATCH, "a", b'{"owner":"bob"}', version=2), {"owner": "bob"}),
        (ask(A.ERASE, "a", b'"bob"', version=2, path="owner"), {"owner": "bob", "n": 1}),
        (ask(A.ERASE, "a", b'{"owner":"bob"}', version=2), {"owner": "bob"}),
        (ask(A.CREATEANDUPDATE, "a", b'{"owner":"bob"}', version=-1), {"owner": "bob"}),
        (ask(A.CREATEANDUPDATE, "a", b'"bob"', version=-1, path="owner"), {"owner": "bob", "n": 1}),
        (ask(A.CREATEANDPATCH, "a", b'"bob"', version=-1, path="owner"), {"owner": "bob", "n": 1}),
        (ask(A.CREATEANDPATCH, "a", b'{"owner":"bob"}', version=-1), {"owner": "bob"}),
        (ask(A.PATCH_MULTI, "a", b'[{"path":"owner","data":"bob"}]', version=2), {"owner": "bob", "n": 1}),
        (ask(A.PATCH_MULTI, "a", b'[{"path":"owner","data":"bob"}]', version=2, path="n"), {"owner": "bob", "n": 1}),
    )

    #: Writes that erase the owner.
    ERASES: tuple[Message, ...] = (
        ask(A.ERASE, "a", version=2, path="owner"),
        ask(A.UPDATE, "a", version=2, path="owner"),
        ask(A.PATCH, "a", version=2, path="owner"),
        ask(A.CREATEANDUPDATE, "a", version=-1, path="owner"),
        ask(A.CREATEANDPATCH, "a", version=-1, path="owner"),
        ask(A.PATCH_MULTI, "a", b'[{"path":"owner"}]', version=2),
    )

    def test_set(self) -> None:
        """
        A rule on the data sees what the record becomes, and that is what is stored and told.
        """
        for request, value in self.SETS:
            self.guard(write="data.owner !== 'bob'")
            self.assert_denied(request)
            self.guard(write="data.owner === 'bob' && oldData.owner === 'ann'", delete=False)
            self.assert_written(request, value)

    def test_set_needs_write(self) -> None:
        """
        No write that sets a value is let through by another rule.
        """
        for request, _ in self.SETS:
            self.guard(write=False)
            self.assert_denied(request)

    def test_erase_needs_delete(self) -> None:
        """
        No erasure of a v4+ client is let through by the rule for writing alone.
        """
        for request in self.ERASES:
            self.guard(delete=False)
            self.assert_denied(request)
            self.guard()
            self.assert_written(request, {"n": 1})

    def test_erasing_and_setting(self) -> None:
        """
        What erases and may set or create as well needs both rules.
        """
        both = ask(A.PATCH_MULTI, "a", b'[{"path":"owner"},{"path":"n","data":2}]', version=2)
        for request in (both, ask(A.CREATEANDPATCH, "a", version=-1, path="owner")):
            for rule in ("write", "delete"):
                self.guard(**{rule: False})
                self.assert_denied(request)

    def test_text_erases_by_writing(self) -> None:
        """
        Text clients erase by a patch without a value: the rule for writing judges that, as on every deepstream server.
        """
        self.guard(delete=False, write="data.owner === undefined")
        self.assertEqual(self.say_text(self.old(), "R|P|a|2|owner|U+"), [])
        self.assert_stored("a", 2, {"n": 1})
        self.guard(write=False)
        self.assertEqual(self.say_text(self.old(), "R|P|a|2|owner|U+"), ["R|E|MESSAGE_DENIED|a|P|2|owner|U+"])

    def test_creating(self) -> None:
        """
        A write that creates a record needs the rule for that besides.
        """
        for request in (
            ask(A.CREATEANDUPDATE, "b", b"{}", version=-1),
            ask(A.CREATEANDPATCH, "b", b"1", version=-1, path="x"),
            wanting_ack(update("b", 1, {})),
            wanting_ack(patch("b", 1, "x", 1)),
            wanting_ack(ask(A.PATCH_MULTI, "b", b'[{"path":"x","data":1}]', version=1)),
        ):
            self.guard(create=False)
            answers = self.say(self.young(), request)
            self.assertEqual([answer.action for answer in answers], [A.MESSAGE_DENIED])
            self.assert_gone("b")

    def test_nonsense_is_denied_first(self) -> None:
        """
        A client without permission does not learn whether its write would fit the record.
        """
        self.guard(write=False, delete=False)
        for request in (
            patch("a", 2, "n.constructor", 1),
            ask(A.PATCH_MULTI, "a", b"[]", version=2),
            ask(A.UPDATE, "a", b"5", version=2),
        ):
            self.assert_denied(request)


@for_each_requester
class ShownTests(ValveTestCase):
    """
    A conflict shows the record only to a client that may see it.
    """

    STALE = update("a", 1, {"mine": True})

    def test_hidden(self) -> None:
        """
        A writer that may not read gets an error without data, in both generations.
        """
        self.guard(read=False)
        answer = self.STALE.error(A.RECORD_UPDATE_ERROR)
        self.assertEqual(self.say(self.young(), self.STALE), [answer])
        self.assertEqual(answer.data, None)
        self.assertEqual(self.say_text(self.old(), "R|U|a|1|{}+"), ["R|E|RECORD_UPDATE_ERROR|1+"])
        self.assertEqual(
            self.say_text(self.old(), 'R|U|a|1|{}|{"writeSuccess":true}+'),
            ["R|E|RECORD_UPDATE_ERROR|1+", "R|WA|a|[1]|Sanother version of a exists+"],
        )

    def test_shown(self) -> None:
        """
        A writer that may read the record as it is now gets it.
        """
        self.guard(read="oldData.owner === 'ann'")
        (answer,) = self.say(self.young(), self.STALE)
        self.assertEqual((answer.action, answer.data), (A.VERSION_EXISTS, b'{"owner":"ann","n":1}'))
        self.have("a", 5, {"owner": "bob"})
        (answer,) = self.say(self.young(), self.STALE)
        self.assertEqual((answer.action, answer.data), (A.RECORD_UPDATE_ERROR, None))

    def test_subscribed(self) -> None:
        """
        A subscriber gets it, whatever the rule says by now: it is told all news anyway.
        """
        self.guard(read=False)
        (answer,) = self.say(self.young("a"), self.STALE)
        self.assertEqual((answer.action, answer.data), (A.VERSION_EXISTS, b'{"owner":"ann","n":1}'))

    def test_rule_fails(self) -> None:
        """
        A rule that cannot be evaluated hides the record, and is in the log.
        """
        self.guard(read="oldData.x.y")
        (answer,) = self.say(self.young(), self.STALE)
        self.assertEqual((answer.action, answer.data), (A.RECORD_UPDATE_ERROR, None))

    def test_instant(self) -> None:
        """
        So it is with a cache that answers at once, and no storage.
        """
        self.instant = True
        self.guard(read=False)
        self.storage.records.clear()
        self.service = RecordService(
            self.subscriptions,
            self.listeners,
            None,
            self.permission,
            TieredStore(self.cache, None, self.settings, self.clock),
            self.settings,
            self.clock,
        )
        (answer,) = self.say(self.young(), self.STALE)
        self.assertEqual((answer.action, answer.data), (A.RECORD_UPDATE_ERROR, None))
        (answer,) = self.say(self.young("a"), self.STALE)
        self.assertEqual(answer.action, A.VERSION_EXISTS)


@for_each_requester
class PermissionTests(RecordTestCase):
    """
    Who may write.
    """

    def test_refused(self) -> None:
        """
        What is not permitted is not written, and its writer is told.
        """
        self.have("a", 0, {})
        self.rules.rule = lambda message, record: False
        request = wanting_ack(update("a", 1, {}))
        self.assertEqual(self.say(self.young(), request), [request.error("MESSAGE_DENIED")])
        self.assertEqual(self.say_text(self.old(), "R|U|a|1|{}+"), ["R|E|MESSAGE_DENIED|a|U|1|{}+"])
        self.assert_stored("a", 0, {})

    def test_broken_rule(self) -> None:
        """
        A rule that fails refuses as well, in its own words.
        """
        self.have("a", 0, {})
        decision: Deferred[bool] = Deferred()
        self.rules.rule = lambda message, record: decision
        ann, request = self.young(), update("a", 1, {})
        self.assertEqual(self.say(ann, request), [])
        decision.errback(RuleError("no such thing"))
        self.assertEqual(ann.take(), [request.error("MESSAGE_PERMISSION_ERROR")])
        self.assert_stored("a", 0, {})

    def test_what_is_asked(self) -> None:
        """
        A plain write needs the permission to write; one that may create needs both, and is asked with what is there.
        """
        self.have("a", 0, {"x": 1})
        ann, there, nothing = self.young(), Record(0, {"x": 1}), Record(-1, None)
        for request, expected in (
            (ask(A.ERASE, "a", path="y", version=9), [(A.ERASE, there)]),
            (ask(A.CREATEANDPATCH, "a", b"1", path="y", version=9), [(A.CREATE, there), (A.PATCH, there)]),
            (ask(A.CREATEANDUPDATE, "b", b"{}", version=9), [(A.CREATE, nothing), (A.UPDATE, nothing)]),
            (wanting_ack(update("b", 9, {})), [(A.CREATE, nothing), (A.UPDATE, nothing)]),
            (wanting_ack(update("a", 9, {})), [(A.UPDATE, there)]),
        ):
            self.rules.asked.clear()
            self.say(ann, request)
            self.assertEqual(self.rules.asked, expected)

    def test_parts_tell_of_the_whole(self) -> None:
        """
        What is asked about a part of a request tells which request that is: a rule may patch what is not there then.
        """
        seen: list[tuple[Any, Any, Any]] = []

        def rule(message: Message, record: Record | None) -> bool:
            seen.append((message.action, message.original_action, message.path))
            return True

        self.rules.rule = rule
        self.say(self.young(), ask(A.CREATEANDPATCH, "a", b"1", version=-1, path="x"), patch("a", 2, "x", 2))
        whole = A.CREATEANDPATCH
        self.assertEqual(seen, [(A.CREATE, whole, "x"), (A.PATCH, whole, "x"), (A.PATCH, None, "x")])

    def all_but(self, part: RecordAction) -> Callable[[Message, Record | None], bool]:
        return lambda message, record: message.action is not part

    def test_refused_in_part(self) -> None:
        """
        If creating or writing is refused, v4+ clients are told of their request, text clients of the part. Requesters
        in the process are told of the part as well.
        """
        for part, letter in ((A.CREATE, "C"), (A.UPDATE, "U")):
            self.rules.rule = self.all_but(part)
            request = ask(A.CREATEANDUPDATE, "a", b"{}", version=-1)
            self.assertEqual(self.say(self.young(), request), [self.denied(request, part)])
            self.assertEqual(self.say_text(self.old(), "R|CU|a|-1|{}|{}+"), [f"R|E|MESSAGE_DENIED|a|{letter}+"])
        self.assert_gone("a")

    def test_w8_judged_on_what_is_there(self) -> None:
        """
        W8: the rule for a write sees the data that the write will change, however fast writes follow one another.
        """
        self.have("a", 0, {"x": 0})
        self.storage.delay = 1.0
        decisions: list[Deferred[bool]] = []

        def growing(message: Message, record: Record | None) -> Deferred[bool]:
            assert record is not None and isinstance(message.data, bytes)
            decision: Deferred[bool] = Deferred()
            decisions.append(decision)
            self.clock.callLater(0.1, decision.callback, int(message.data) > record.data["x"])
            return decision

        self.rules.rule = growing
        ann = self.young()
        requests = [patch("a", -1, "x", value) for value in (1, 3, 2, 4)]
        self.say(ann, *requests)
        self.clock.pump([0.1] * 60)
        self.assertEqual(ann.take(), [requests[2].error("MESSAGE_DENIED")])
        self.assert_stored("a", 3, {"x": 4})

    def test_w17_permission_outlasts_the_line(self) -> None:
        """
        W17: a setData whose permission takes longer than all writes before it is done all the same.
        """
        self.have("a", 0, {})
        self.storage.delay = 1.0
        decision: Deferred[bool] = Deferred()
        self.rules.rule = lambda message, record: decision if message.action is A.CREATE else True
        ann = self.young()
        self.say(ann, update("a", 1, {"x": 1}), wanting_ack(ask(A.CREATEANDUPDATE, "a", b'{"x":2}', version=-1)))
        self.clock.pump([1.0] * 5)
        self.assertEqual(ann.take(), [])
        decision.callback(True)
        self.clock.pump([1.0] * 2)
        self.assertEqual(ann.take(), [written("a")])
        self.assert_stored("a", 2, {"x": 2})
