"""
Rules judge the effect of a write, whatever the write is called.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dstwist.interfaces import Record
from dstwist.permission.valve.permission import ValvePermission
from dstwist.permission.valve.rules import load_permissions
from dstwist.protocol.dialect import FOREIGN
from dstwist.protocol.jsontext import loads
from dstwist.protocol.message import Message
from dstwist.protocol.path_tokens import parse
from dstwist.protocol.paths import set_many
from dstwist.protocol.typed import UNDEFINED
from dstwist.services.record.service import RecordService
from dstwist.store.tiers import TieredStore
from tests.fakes import FakeConnection, FakeWire
from tests.services.record.stage import A, RecordTestCase, ask, patch, read_response, update, wanting_ack

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
            self.cluster,
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
        connection = FakeConnection("foreign", FakeWire(patches_many=True), FOREIGN)
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


class SeveralTests(ValveTestCase):
    """
    PATCH_MULTI.
    """

    def test_known(self) -> None:
        """
        Clients that know PATCH_MULTI are told of it as that, all others of the whole record.
        """
        self.guard()
        young, old, foreign = self.young("a"), self.old("a"), self.foreign("a")
        changes = b'[{"path":"n","data":2},{"path":"owner"}]'
        self.say(self.young(), ask(A.PATCH_MULTI, "a", changes, version=2))
        self.assertEqual(foreign.take(), [ask(A.PATCH_MULTI, "a", changes, version=2)])
        self.assertEqual(young.take(), [update("a", 2, {"n": 2})])
        self.assertEqual(old.take(), ['R|U|a|2|{"n":2}+'])

    def test_whole_record_is_not_made(self) -> None:
        """
        Where all subscribers know PATCH_MULTI, the record is not written out.
        """
        made: list[Record] = []
        self.guard()
        self.patch(Record, "json", property(made.append))
        self.foreign("a")
        self.say(self.young(), ask(A.PATCH_MULTI, "a", b'[{"path":"n","data":2}]', version=2))
        self.assertEqual(made, [])

    def test_remote(self) -> None:
        """
        Other nodes read the record anew: not all of their clients know PATCH_MULTI.
        """
        self.guard()
        self.say(self.young(), ask(A.PATCH_MULTI, "a", b'[{"path":"n","data":2}]', version=2))
        (news,) = self.cluster.published
        young = self.young("a")
        self.service.handle_remote(news)
        self.assertEqual(young.take(), [update("a", 2, {"owner": "ann", "n": 2})])


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
            self.cluster,
            self.permission,
            TieredStore(self.cache, None, self.settings, self.clock),
            self.settings,
            self.clock,
        )
        (answer,) = self.say(self.young(), self.STALE)
        self.assertEqual((answer.action, answer.data), (A.RECORD_UPDATE_ERROR, None))
        (answer,) = self.say(self.young("a"), self.STALE)
        self.assertEqual(answer.action, A.VERSION_EXISTS)


class ReadTurnTests(ValveTestCase):
    """
    Reads are judged when they are served.
    """

    #: The rule lets everybody read what is open.
    RULE = "oldData.open === true"

    READS: tuple[Message, ...] = (
        ask(A.READ, "a"),
        ask(A.HEAD, "a"),
        ask(A.HAS, "a"),
        ask(A.SUBSCRIBE, names=("a",), correlation_id="1"),
        ask(A.SUBSCRIBEANDHEAD, names=("a",), correlation_id="1"),
        ask(A.SUBSCRIBEANDREAD, names=("a",), correlation_id="1"),
        ask(A.SUBSCRIBECREATEANDREAD, names=("a",), correlation_id="1"),
    )

    def test_closed_meanwhile(self) -> None:
        """
        A client that asks for a record while its owner closes it, and writes a secret into it, sees nothing of that.
        """
        for request in self.READS:
            self.guard(read=self.RULE)
            self.have("a", 1, {"open": True})
            self.storage.delay = 1.0
            owner, eve = self.young(), self.young()
            self.service.handle(update("a", 2, {"secret": 1}), owner)
            self.service.handle(request, eve)
            self.clock.advance(1.0)
            self.clock.advance(1.0)
            answers = eve.take()
            self.assertIn(A.MESSAGE_DENIED, [answer.action for answer in answers], request)
            self.assertNotIn("secret", str([answer.data for answer in answers]))
            self.assertFalse(self.subscriptions.wants("a", eve), request)
            self.assertNotIn(2, [answer.version for answer in answers], request)

    def test_opened_meanwhile(self) -> None:
        """
        What its owner opens by a write under way may be read behind it.
        """
        self.guard(read=self.RULE)
        self.storage.delay = 1.0
        eve = self.young()
        self.service.handle(update("a", 2, {"open": True}), self.young())
        self.service.handle(ask(A.READ, "a"), eve)
        self.clock.advance(1.0)
        self.assertEqual(eve.take(), [read_response("a", 2, {"open": True})])

    def test_denied(self) -> None:
        """
        Each read that is denied is answered with its own name, and nothing is served.
        """
        for request in self.READS:
            self.guard(read=False)
            eve = self.young()
            answers = self.say(eve, request)
            (denial,) = [answer for answer in answers if answer.action is A.MESSAGE_DENIED]
            self.assertEqual((denial.name, denial.original_action), ("a", request.action))
            self.assertTrue(denial.is_error)
            self.assertFalse(self.subscriptions.wants("a", eve))
            self.assertFalse({A.READ_RESPONSE, A.HEAD_RESPONSE, A.HAS_RESPONSE} & {each.action for each in answers})

    def test_some_denied(self) -> None:
        """
        Of several names those that are permitted are served.
        """
        self.guard(read="name !== 'b'")
        self.have("b", 1, {"open": True})
        for request in self.READS[3:]:
            eve = self.young()
            request = replace(request, names=("a", "b", "c"))
            answers = self.say(eve, request)
            self.assertEqual([each.name for each in answers if each.action is A.MESSAGE_DENIED], ["b"], request)
            self.assertEqual([name for name in "abc" if self.subscriptions.wants(name, eve)], ["a", "c"])

    def test_rule_fails(self) -> None:
        """
        A rule that cannot be evaluated denies, in other words.
        """
        self.guard(read="oldData.x.y")
        (answer,) = self.say(self.young(), ask(A.READ, "a"))
        self.assertEqual(answer.action, A.MESSAGE_PERMISSION_ERROR)
