"""
Tests for L{dstwist.services.record.nodes}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from dstwist.interfaces import ICallbackStore, Record
from dstwist.protocol.jsontext import loads
from dstwist.protocol.message import Message
from dstwist.services.record import node_news
from tests.fakes import FakeCallbackStore, FakeConnection, FakeReplaceableStore
from tests.logs import Lines
from tests.services.record.nodes_stage import NodesTestCase, Served
from tests.services.record.stage import (
    A,
    ask,
    exists,
    failed,
    patch,
    read_response,
    update,
    wanting_ack,
    written,
)


class NewsTests(NodesTestCase):
    """
    Clients of one node hear what clients of another one do.
    """

    def setUp(self) -> None:
        self.serve()
        self.have("a", 5, {"x": 5})

    def test_written(self) -> None:
        """
        A write on one node reaches the subscribers of the other.
        """
        ann, bob = self.here.young("a"), self.there.young("a")
        self.assertEqual(self.here.say(ann, wanting_ack(update("a", 6, {"x": 6}))), [written("a")])
        self.turn()
        self.assertEqual(bob.take(), [update("a", 6, {"x": 6})])
        self.there.say(bob, patch("a", 7, "x", 7))
        self.turn()
        self.assertEqual((ann.take(), bob.take()), ([patch("a", 7, "x", 7)], []))
        self.assert_kept("a", 7, {"x": 7})

    def test_erased(self) -> None:
        """
        So does the end of a path.
        """
        ann, bob = self.here.young("a"), self.there.young("a")
        self.here.say(ann, ask(A.ERASE, "a", version=6, path="x"))
        self.turn()
        self.assertEqual(bob.take(), [ask(A.PATCH, "a", version=6, path="x")])

    def test_generations(self) -> None:
        """
        Text clients get the news of v4+ clients, and the other way round.
        """
        ann, cat = self.here.young("a"), self.there.old("a")
        self.here.say(ann, patch("a", 6, "x", "text"), update("a", 7, {"y": 1}))
        self.turn()
        self.assertEqual(cat.take(), ["R|P|a|6|x|Stext+", 'R|U|a|7|{"y":1}+'])
        self.there.service.handle(ask(A.PATCH, "a", "N1.50", version=8, path="x"), cat)
        self.turn()
        self.assertEqual(ann.take(), [ask(A.PATCH, "a", b"1.5", version=8, path="x")])

    def test_other_paths(self) -> None:
        """
        If some clients would read a path in another way, all get the whole record.
        """
        self.have("a", 5, {"n": None})
        ann, cat, bob = self.here.young("a"), self.there.old("a"), self.there.young("a")
        self.here.say(ann, patch("a", 6, "n.x", 1))
        self.turn()
        self.assertEqual(cat.take(), ['R|U|a|6|{"n":{"x":1}}+'])
        self.assertEqual(bob.take(), [update("a", 6, {"n": {"x": 1}})])

    def test_no_patches(self) -> None:
        """
        If a client here takes no PATCH, the record is read, and all get the whole of it.
        """
        ann, bob, dan = self.here.young("a"), self.there.young("a"), self.there.whole("a")
        self.here.say(ann, patch("a", 6, "y", 6))
        self.turn()
        self.assertEqual([bob.take(), dan.take()], [[update("a", 6, {"x": 5, "y": 6})]] * 2)

    def test_several_paths(self) -> None:
        """
        So it is with a write of several paths, and with a large one.
        """
        ann, bob = self.here.young("a"), self.there.young("a")
        self.here.say(ann, ask(A.PATCH_MULTI, "a", b'[{"path":"y","data":6}]', version=6))
        self.turn()
        self.assertEqual(bob.take(), [update("a", 6, {"x": 5, "y": 6})])
        large = update("a", 7, {"x": "x" * node_news.MAX_DATA_LENGTH})
        self.here.say(ann, large)
        self.turn()
        self.assertEqual(bob.take(), [large])
        self.assertNotIn("x" * 1000, repr(self.stage.network))

    def test_deleted(self) -> None:
        """
        A deletion ends the subscriptions on all nodes.
        """
        ann, bob = self.here.young("a"), self.there.young("a")
        self.assertEqual(self.here.say(ann, ask(A.DELETE, "a")), [ask(A.DELETE_SUCCESS, "a")])
        self.turn()
        self.assertEqual(bob.take(), [ask(A.DELETED, "a")])
        self.assertNotIn("a", self.there.subscriptions)

    def test_created(self) -> None:
        """
        Clients that are subscribed to a record that does not exist hear of its creation, and then of writes.
        """
        bob = self.there.young("b")
        ann = self.here.young()
        self.here.say(ann, ask(A.SUBSCRIBECREATEANDREAD, names=("b",), correlation_id="1"))
        self.turn()
        self.assertEqual(ann.take()[-1], read_response("b", 0, {}))
        self.here.say(ann, patch("b", 1, "x", 1))
        self.turn()
        self.assertEqual(bob.take(), [update("b", 0, {}), patch("b", 1, "x", 1)])

    def test_created_by_write(self) -> None:
        """
        A write that creates the record is the first version that they are sent, as a whole.
        """
        bob = self.there.young("b")
        create = wanting_ack(ask(A.CREATEANDPATCH, "b", b"1", version=-1, path="x"))
        self.assertEqual(self.here.say(self.here.young(), create), [written("b")])
        self.turn()
        self.assertEqual(bob.take(), [update("b", 1, {"x": 1})])

    def test_created_anew(self) -> None:
        """
        The version of a record that is created anew on another node goes on from the deleted one.
        """
        ann = self.here.young("a")
        self.here.say(ann, ask(A.DELETE, "a"))
        self.turn()
        bob, cat = self.there.young("a"), self.here.young("a")
        create = wanting_ack(ask(A.CREATEANDUPDATE, "a", b'{"new":1}', version=-1))
        self.assertEqual(self.there.say(self.there.young(), create), [written("a")])
        self.turn()
        self.assertEqual([bob.take(), cat.take()], [[update("a", 7, {"new": 1})]] * 2)

    def test_list(self) -> None:
        """
        Lists are records whose data are arrays.
        """
        self.have("l", 1, ["a"])
        ann, bob, cat = self.here.young("l"), self.there.young("l"), self.there.old("l")
        self.assertEqual(self.here.say(ann, wanting_ack(update("l", 2, ["a", "b"]))), [written("l")])
        self.turn()
        self.assertEqual((bob.take(), cat.take()), ([update("l", 2, ["a", "b"])], ['R|U|l|2|["a","b"]+']))

    def test_busy(self) -> None:
        """
        News of a record that is busy waits for its turn: a client that subscribes meanwhile is sent the record first,
        and then the news.
        """
        self.there.young("a")
        decision: Deferred[bool] = Deferred()
        self.there.rules.rule = lambda message, record: decision
        bob = self.there.young()
        self.there.say(bob, ask(A.SUBSCRIBEANDREAD, names=("a",), correlation_id="1"))
        ann = self.here.young()
        self.here.say(ann, patch("a", 6, "x", 6), patch("a", 7, "x", 7))
        self.turn()
        bob.take()
        decision.callback(True)
        self.assertEqual(bob.take(), [read_response("a", 5, {"x": 5}), patch("a", 6, "x", 6), patch("a", 7, "x", 7)])

    def test_busy_for_long(self) -> None:
        """
        Of more news than may wait, the rest is found by reading.
        """
        bob = self.there.young("a")
        decision: Deferred[bool] = Deferred()
        self.there.rules.rule = lambda message, record: decision
        self.there.say(self.there.young(), ask(A.READ, "a"))
        many = self.stage.settings.max_early_news + 3
        self.here.say(self.here.young(), *(patch("a", 6 + number, "x", number) for number in range(many)))
        self.turn()
        decision.callback(True)
        self.turn()
        self.assertEqual(bob.take()[-1], update("a", 5 + many, {"x": many - 1}))

    def test_malformed(self) -> None:
        """
        News that cannot be read costs a line in the log.
        """
        lines = Lines(self)
        bob = self.there.young("a")
        for _ in range(5):
            self.here.cluster.subjects("r", lambda name, payload: None, lambda name: None).publish("a", b"nonsense")
        self.turn()
        self.assertEqual(bob.take(), [])
        self.assertIn("news of the record a cannot be read", lines.last("warn"))

    def test_left(self) -> None:
        """
        After the last subscriber of a node has gone, the node lets go of the subject. A later one gets all news again.
        """
        bob = self.there.young("a")
        self.there.say(bob, ask(A.UNSUBSCRIBE, names=("a",), correlation_id="1"))
        ann = self.here.young()
        self.assertEqual(self.receivers(lambda: self.here.say(ann, ask(A.READ, "a"), patch("a", 6, "x", 6))), {1})
        self.stage.advance(self.stage.settings.linger + 1)
        self.assertEqual(self.receivers(lambda: self.here.say(ann, patch("a", 7, "x", 7))), set())
        cat = self.there.young("a")
        self.here.say(ann, patch("a", 8, "x", 8))
        self.turn()
        self.assertEqual((bob.take(), cat.take()), ([], [patch("a", 8, "x", 8)]))


@implementer(ICallbackStore)
class ReplaceableStore(FakeReplaceableStore):
    """
    A store that may go back, and needs no Deferreds for writes.
    """

    submit = FakeCallbackStore.submit


class NodesReplaceableStore(ReplaceableStore):
    """
    The same, which each node finds again for itself.
    """

    def reconnect_one(self, number: int, reason: str) -> None:
        """
        One node can use the store again.
        """
        self._callbacks[number](reason)


class View:
    """
    The copy of a client that merges nothing.
    """

    def __init__(self) -> None:
        self.version = 5
        self.data: dict[str, Any] = {}

    def take(self, news: Message) -> None:
        """
        News of a write of another client.
        """
        assert news.version is not None and news.version > self.version, (news, self.version)
        self.version = news.version
        if news.path is None:
            self.data = loads(news.data)  # type: ignore[arg-type]
        else:
            self.data[news.path] = loads(news.data)  # type: ignore[arg-type]


class RaceTests(NodesTestCase):
    """
    Clients of several nodes write to one record at the same time.
    """

    def setUp(self) -> None:
        self.serve(3)
        self.have("a", 5, {})

    def held(self, node: Served) -> list[Deferred[bool]]:
        """
        The decisions about what clients of C{node} ask from now on, in their order.
        """
        decisions: list[Deferred[bool]] = []

        def later(message: Message, record: Record | None) -> Deferred[bool]:
            decisions.append(Deferred())
            return decisions[-1]

        node.rules.rule = later
        return decisions

    def test_w22_one_winner(self) -> None:
        """
        W22: of several writers of one version one wins. The others are told VERSION_EXISTS, with what the winner has
        written.
        """
        ann, bob = self.here.young("a"), self.there.young("a")
        decisions = self.held(self.here)
        late = wanting_ack(update("a", 6, {"x": "ann"}))
        self.here.say(ann, late)
        self.assertEqual(self.there.say(bob, wanting_ack(update("a", 6, {"x": "bob"}))), [written("a")])
        while decisions:
            decisions.pop(0).callback(True)
        self.turn()
        answers = [each for each in ann.take() if each.correlation_id]
        self.assertEqual(answers, [exists(late, 6, '{"x":"bob"}'), failed(late)])
        self.assertEqual(bob.take(), [])
        self.assert_kept("a", 6, {"x": "bob"})

    def test_w22_w23_all_agree(self) -> None:
        """
        W22, W23: many writes on all nodes at the same time are all in the record, once; all subscribers have it then.
        """
        self.storage.delay = 0.002
        clients: list[tuple[Served, FakeConnection]] = []
        for node in self.nodes:
            clients += [(node, node.young("a")), (node, node.young("a"))]
        views = [View() for _ in clients]
        acked = 0
        for number in range(30):
            for place, (node, client) in enumerate(clients):
                node.service.handle(wanting_ack(patch("a", -1, f"w{place}_{number}", number)), client)
            self.stage.advance(0.001 * (number % 4))
        self.stage.advance(5)
        for (_, client), view in zip(clients, views, strict=True):
            for message in client.take():
                if message.action is A.WRITE_ACKNOWLEDGEMENT:
                    acked += 1
                else:
                    view.take(message)
        self.assertEqual(acked, 30 * len(clients))
        every = {f"w{place}_{number}": number for place in range(len(clients)) for number in range(30)}
        self.assert_kept("a", 5 + len(every), every)
        for place, view in enumerate(views):
            own = {path: number for path, number in every.items() if path.startswith(f"w{place}_")}
            self.assertEqual({**own, **view.data}, every)

    def test_permission(self) -> None:
        """
        A write whose record has changed meanwhile is permitted, or not, by the record of the arbiter.
        """
        ann, bob = self.here.young("a"), self.there.young("a")
        decisions = self.held(self.here)
        denied = wanting_ack(patch("a", -1, "x", 1))
        self.here.say(ann, denied)
        self.there.say(bob, wanting_ack(patch("a", 6, "locked", True)))
        asked: list[Record | None] = []

        def unlocked(message: Message, record: Record | None) -> bool:
            asked.append(record)
            return record is None or "locked" not in record.data

        self.here.rules.rule = unlocked
        decisions.pop().callback(True)
        self.turn()
        self.assertEqual(asked[0], Record(6, {"locked": True}))
        self.assertIn(A.MESSAGE_DENIED, [each.action for each in ann.take()])
        self.assert_kept("a", 6, {"locked": True})

    def test_deleted_meanwhile(self) -> None:
        """
        A write that is decided on a record which another node deletes does not create it anew.
        """
        ann, bob = self.here.young("a"), self.there.young("a")
        decisions = self.held(self.here)
        late = patch("a", 6, "x", 6, correlation_id="1")
        self.here.say(ann, late)
        self.there.say(bob, ask(A.DELETE, "a"))
        self.here.rules.rule = lambda message, record: True
        decisions.pop().callback(True)
        self.turn()
        self.assertEqual(ann.take(), [ask(A.DELETED, "a"), failed(late)])
        self.assertNotIn("a", self.storage.records)

    def test_late_write_of_old_client(self) -> None:
        """
        A text client whose write is on its way when another node deletes the record, and creates it anew, is not taken
        for a writer of the new one.
        """
        cat, bob = self.here.old("a"), self.there.young("a")
        self.there.say(bob, ask(A.DELETE, "a"))
        self.turn()
        self.assertEqual(cat.take(), ["R|A|D|a+"])
        self.there.say(bob, ask(A.CREATEANDUPDATE, "a", b'{"new":1}', version=-1))
        self.turn()
        self.here.service.handle(ask(A.UPDATE, "a", b'{"late":1}', version=8), cat)
        self.turn()
        self.assert_kept("a", 7, {"new": 1})

    def test_deletion_lost(self) -> None:
        """
        So it is if the node finds the deletion by itself, when the arbiter refuses the write. With other nodes this is
        no sign that the store has gone back.
        """
        lines = Lines(self)
        self.serve(storage=ReplaceableStore)
        self.have("a", 5, {})
        cat, bob = self.here.old("a"), self.there.young()
        restore = self.lose_news()
        self.there.say(bob, ask(A.DELETE, "a"))
        restore()
        self.here.service.handle(ask(A.UPDATE, "a", b'{"late":1}', version=6), cat)
        self.turn()
        self.assertIn("R|A|D|a+", cat.take())
        self.there.say(bob, ask(A.CREATEANDUPDATE, "a", b'{"new":1}', version=-1))
        self.here.service.handle(ask(A.UPDATE, "a", b'{"late":2}', version=8), cat)
        self.turn()
        self.assert_kept("a", 7, {"new": 1})
        self.assertEqual([line for line in lines.of("warn") if "STORE_GONE_BACK" in line], [])

    def test_deleted_by_both(self) -> None:
        """
        A record that two nodes delete at the same time is deleted, and both clients are told so.
        """
        ann, bob, cat = self.here.young("a"), self.there.young("a"), self.nodes[2].young("a")
        decisions = self.held(self.here)
        self.here.say(ann, ask(A.DELETE, "a"))
        self.assertEqual(self.there.say(bob, ask(A.DELETE, "a")), [ask(A.DELETE_SUCCESS, "a")])
        self.here.rules.rule = lambda message, record: True
        decisions.pop().callback(True)
        self.turn()
        self.assertIn(ask(A.DELETE_SUCCESS, "a"), ann.take())
        self.assertEqual(cat.take(), [ask(A.DELETED, "a")])

    def test_earlier_removal(self) -> None:
        """
        Writes that create a record, and are decided on an earlier removal than the last one, use no versions that the
        record has had in the meantime.
        """
        bob, watcher = self.there.young(), self.nodes[2].young()
        self.there.say(bob, ask(A.DELETE, "a"))
        replace = self.storage.replace
        self.storage.delay = 0.1

        def meanwhile(name: str, expected: int | None, record: Record, changes: Any = ()) -> Any:
            if record.version < 7:
                return replace(name, expected, record, changes)
            self.storage.replace, self.storage.delay = replace, 0.0
            self.there.say(bob, *(ask(A.CREATEANDUPDATE, "a", b'{"b":1}', version=-1) for _ in range(2)))
            self.assert_kept("a", 8, {"b": 1})
            self.nodes[2].say(watcher, ask(A.SUBSCRIBEANDREAD, names=("a",), correlation_id="1"))
            self.turn()
            self.assertEqual(watcher.take()[-1], read_response("a", 8, {"b": 1}))
            restore = self.lose_news()
            self.there.say(bob, ask(A.DELETE, "a"))
            restore()
            return replace(name, expected, record, changes)

        self.storage.replace = meanwhile
        for number in range(5):
            create = ask(A.CREATEANDPATCH, "a", b"1", version=-1, path=f"p{number}")
            self.here.say(self.here.young(), wanting_ack(create))
        self.stage.advance(1)
        data = {f"p{number}": 1 for number in range(5)}
        self.assert_kept("a", 14, data)
        self.assertEqual(watcher.take()[-1], update("a", 14, data))


class FirstSubscriberTests(NodesTestCase):
    """
    The order of the first subscription: the bus, the arbiter, the answer.
    """

    def setUp(self) -> None:
        self.serve()
        self.have("a", 5, {"x": 5})

    def requests(self) -> list[Message]:
        """
        The requests that subscribe.
        """
        actions = (A.SUBSCRIBECREATEANDREAD, A.SUBSCRIBEANDREAD, A.SUBSCRIBEANDHEAD, A.SUBSCRIBE)
        return [ask(action, names=("a",), correlation_id="1") for action in actions]

    def test_order(self) -> None:
        """
        The record is read when the subject is in force, and the client gets all news after what it was sent.
        """
        for request in self.requests():
            self.setUp()
            bob = self.there.young()
            self.assertEqual([each.action for each in self.there.say(bob, request) if each.data], [])
            self.assertEqual(self.storage.calls, [])
            self.here.say(self.here.young(), patch("a", 6, "x", 6))
            self.turn()
            if request.action in (A.SUBSCRIBECREATEANDREAD, A.SUBSCRIBEANDREAD):
                self.assertIn(read_response("a", 6, {"x": 6}), bob.take())
            bob.take()
            self.here.say(self.here.young(), patch("a", 7, "x", 7))
            self.turn()
            self.assertEqual(bob.take(), [patch("a", 7, "x", 7)], request.action)

    def test_written_while_read(self) -> None:
        """
        News that comes while the record is read is passed on after the answer, unless the answer has it.
        """
        self.storage.behave = lambda operation, name: ((0.5 if operation == "get" else 0.0), "ok")
        bob = self.there.young()
        self.there.say(bob, ask(A.SUBSCRIBEANDREAD, names=("a",), correlation_id="1"))
        self.turn()
        bob.take()
        ann = self.here.young()
        self.here.say(ann, patch("a", -1, "x", 6))
        self.stage.advance(0.6)
        self.stage.advance(0.6)
        answer, *news = bob.take()
        self.assertEqual(answer.action, A.READ_RESPONSE)
        self.assertIn([answer.version, *(each.version for each in news)], ([5, 6], [6]))

    def test_not_subscribed(self) -> None:
        """
        A client that may not subscribe leaves nothing behind.
        """
        self.there.rules.rule = lambda message, record: False
        bob = self.there.young()
        for request in self.requests():
            self.there.service.handle(request, bob)
            self.turn()
            self.assertIn(A.MESSAGE_DENIED, [each.action for each in bob.take()])
        self.stage.advance(self.stage.settings.linger + 1)
        ann = self.here.young()
        self.assertEqual(self.receivers(lambda: self.here.say(ann, patch("a", 6, "x", 6))), set())
        self.turn()
        self.assertEqual(bob.take(), [])

    def test_late(self) -> None:
        """
        If the bus does not confirm, the client is answered after C{subscribeTimeout}. When it does at last, the record
        is compared.
        """
        restore = self.lose_news()
        bob = self.there.young()
        self.there.say(bob, ask(A.SUBSCRIBEANDREAD, names=("a",), correlation_id="1"))
        self.stage.advance(self.stage.settings.subscribe_timeout + 0.1)
        self.assertEqual(bob.take()[-1], read_response("a", 5, {"x": 5}))
        self.here.say(self.here.young(), patch("a", 6, "x", 6))
        restore()
        self.stage.bus(1).disconnect()
        self.stage.bus(1).reconnect()
        self.stage.advance(self.stage.settings.recovery_delay + 0.1)
        self.assertEqual(bob.take(), [update("a", 6, {"x": 6})])

    def test_late_while_read(self) -> None:
        """
        So it is if the bus confirms while the record is being read.
        """
        ann = self.here.young()
        self.here.say(ann, ask(A.READ, "a"))
        reading: Deferred[Record] = Deferred()
        restore = self.patch(self.storage, "get", lambda name: reading).restore
        self.patch(self.stage.network, "travel_times", lambda sender, receiver: (1.5,))
        bob = self.there.young()
        self.there.service.handle(ask(A.SUBSCRIBEANDREAD, names=("a",), correlation_id="1"), bob)
        self.stage.advance(self.stage.settings.subscribe_timeout + 0.1)
        self.here.say(ann, patch("a", 6, "x", 6))
        self.stage.advance(0.6)
        restore()
        reading.callback(Record(5, {"x": 5}))
        self.turn()
        self.assertEqual(bob.take()[-2:], [read_response("a", 5, {"x": 5}), update("a", 6, {"x": 6})])

    def test_unreadable(self) -> None:
        """
        A client that subscribes while the record cannot be read is sent it when it can.
        """
        self.storage.outcome = "fails"
        bob = self.there.young()
        self.there.say(bob, ask(A.SUBSCRIBEANDHEAD, names=("a",), correlation_id="1"))
        self.turn()
        self.assertIn(A.RECORD_LOAD_ERROR, [each.action for each in bob.take()])
        self.storage.outcome = "ok"
        self.stage.advance(self.stage.settings.lease_interval + 0.1)
        self.assertEqual(bob.take(), [update("a", 5, {"x": 5})])
        self.flushLoggedErrors()

    def test_second_subscriber(self) -> None:
        """
        A second subscriber may be sent a version of which no news has come yet. Then the first one is sent it as well,
        and the news is dropped.
        """
        bob = self.there.young("a")
        self.patch(self.stage.network, "travel_times", lambda sender, receiver: (0.2,))
        self.here.say(self.here.young(), patch("a", 6, "x", 6))
        cat = self.there.young("a")
        self.assertEqual((bob.take(), cat.take()), ([update("a", 6, {"x": 6})], []))
        self.stage.advance(0.3)
        self.assertEqual((bob.take(), cat.take()), ([], []))

    def test_second_subscriber_of_missing(self) -> None:
        """
        If the second one finds that the record was deleted, the first one is told so; the second one gets what follows.
        """
        bob = self.there.young("a")
        restore = self.lose_news()
        self.here.say(self.here.young(), ask(A.DELETE, "a"))
        restore()
        cat = self.there.young()
        answers = self.there.say(cat, ask(A.SUBSCRIBEANDREAD, names=("a",), correlation_id="1"))
        self.assertEqual(answers[-1], read_response("a", -1, {}))
        self.turn()
        self.assertEqual(bob.take(), [ask(A.DELETED, "a")])
        self.stage.advance(self.stage.settings.linger + 1)
        self.here.say(self.here.young(), ask(A.CREATEANDUPDATE, "a", b'{"new":1}', version=-1))
        self.turn()
        self.assertEqual((bob.take(), cat.take()), ([], [update("a", 7, {"new": 1})]))


class LossTests(NodesTestCase):
    """
    News gets lost, and so does the bus.
    """

    def setUp(self) -> None:
        self.serve()
        self.have("a", 5, {"x": 5})
        self.ann, self.bob = self.here.young("a"), self.there.young("a")

    def test_w23_compared(self) -> None:
        """
        W23: news that the bus has lost is found by comparing the versions.
        """
        restore = self.lose_news()
        self.here.say(self.ann, patch("a", 6, "x", 6))
        self.turn()
        restore()
        self.assertEqual(self.bob.take(), [])
        self.stage.advance(self.stage.settings.compare_interval + 1)
        self.assertEqual(self.bob.take(), [update("a", 6, {"x": 6})])

    def test_w23_next_write(self) -> None:
        """
        W23: or with the next write.
        """
        restore = self.lose_news()
        self.here.say(self.ann, patch("a", 6, "x", 6))
        self.turn()
        restore()
        self.here.say(self.ann, patch("a", 7, "y", 7))
        self.stage.advance(0.1)
        self.assertEqual(self.bob.take(), [update("a", 7, {"x": 6, "y": 7})])

    def test_deletion_lost(self) -> None:
        """
        So it is with the news of a deletion.
        """
        restore = self.lose_news()
        self.here.say(self.ann, ask(A.DELETE, "a"))
        self.turn()
        restore()
        self.stage.advance(self.stage.settings.compare_interval + 1)
        self.assertEqual(self.bob.take(), [ask(A.DELETED, "a")])
        self.assertNotIn("a", self.there.subscriptions)

    def test_w46_bus_lost(self) -> None:
        """
        W46: when the bus of a node is back, its subscribers get what they have missed.
        """
        self.stage.bus(1).disconnect()
        self.here.say(self.ann, patch("a", 6, "x", 6))
        self.turn()
        self.assertEqual(self.bob.take(), [])
        self.stage.bus(1).reconnect()
        self.stage.advance(self.stage.settings.recovery_delay + 0.1)
        self.assertEqual(self.bob.take(), [update("a", 6, {"x": 6})])

    def test_w46_bus_of_writer_lost(self) -> None:
        """
        W46: when the bus of the writer's node is back, others are told to look.
        """
        self.stage.bus(0).disconnect()
        self.here.say(self.ann, patch("a", 6, "x", 6))
        self.turn()
        self.stage.bus(0).reconnect()
        self.turn()
        self.assertEqual(self.bob.take(), [update("a", 6, {"x": 6})])

    def test_without_bus(self) -> None:
        """
        Without a bus, clients subscribe, read and write as before.
        """
        for number in range(2):
            self.stage.bus(number).disconnect()
        cat = self.there.young("a")
        self.assertEqual(self.here.say(self.ann, wanting_ack(patch("a", 6, "x", 6))), [written("a")])
        self.assertIn(read_response("a", 6, {"x": 6}), self.there.say(cat, ask(A.READ, "a")))
        conflict = wanting_ack(patch("a", 6, "x", 7))
        self.assertIn(A.VERSION_EXISTS, [each.action for each in self.there.say(self.bob, conflict)])

    def test_in_doubt(self) -> None:
        """
        When a write whose outcome was unknown turns out to be in the record, the subscribers of other nodes get it.
        """
        self.storage.behave = lambda operation, name: (0.0, "lost" if operation == "set" else "ok")
        self.assertIn(A.RECORD_UPDATE_ERROR, [each.action for each in self.here.say(self.ann, patch("a", 6, "x", 6))])
        self.turn()
        self.assertEqual(self.bob.take(), [update("a", 6, {"x": 6})])
        self.flushLoggedErrors()

    def test_missed_before_doubt(self) -> None:
        """
        When a write whose outcome was unknown has not happened, its writer is sent the record; so are all others if
        they have missed news of it.
        """
        restore = self.lose_news()
        self.here.say(self.here.young(), patch("a", 6, "x", 6))
        self.turn()
        restore()
        cat = self.there.young()
        self.storage.behave = lambda operation, name: (0.0, "fails" if operation == "set" else "ok")
        self.there.tiers.write_cache("a", Record(6, {"x": 6}))
        write = wanting_ack(patch("a", 7, "x", 7))
        self.assertEqual(self.there.say(cat, write), [failed(write)])
        self.assertEqual(self.bob.take(), [update("a", 6, {"x": 6})])
        self.flushLoggedErrors()

    def test_stopped(self) -> None:
        """
        A service that has stopped asks the store nothing more.
        """
        for node in self.nodes:
            node.service.stop()
        self.storage.calls.clear()
        self.stage.advance(2 * self.stage.settings.compare_interval)
        self.assertEqual(self.storage.calls, [])


class StoreLossTests(NodesTestCase):
    """
    The store loses writes, and nodes find it again one after the other.
    """

    def setUp(self) -> None:
        self.serve(storage=NodesReplaceableStore)
        self.have("a", 5, {"x": 5})
        self.ann, self.bob = self.here.young("a"), self.there.young("a")
        self.storage.put("a", 4, {"x": 4})
        self.storage.reconnect_one(1, "restarted")
        self.turn()
        self.assertEqual(self.bob.take(), [update("a", 4, {"x": 4})])

    def test_same_version(self) -> None:
        """
        A node writes the version that was lost, and the other node does not hear of it: its subscribers are sent the
        record all the same.
        """
        restore = self.lose_news()
        self.there.say(self.bob, patch("a", 5, "y", 5))
        self.turn()
        restore()
        self.assertEqual(self.ann.take(), [])
        self.storage.reconnect_one(0, "restarted")
        self.stage.advance(0.1)
        self.assertEqual(self.ann.take(), [update("a", 5, {"x": 4, "y": 5})])

    def test_lost_guess(self) -> None:
        """
        No node changes a path in what it has in its memory of the lost record.
        """
        self.lose_news()
        self.there.say(self.bob, patch("a", 5, "y", 5))
        self.storage.reconnect_one(0, "restarted")
        self.turn()
        self.here.say(self.ann, patch("a", 6, "z", 6))
        self.turn()
        self.assert_kept("a", 6, {"x": 4, "y": 5, "z": 6})


class ReadTests(NodesTestCase):
    """
    No read is older than what was acknowledged before.
    """

    def setUp(self) -> None:
        self.serve()
        self.have("a", 5, {"x": 5})

    def test_reads(self) -> None:
        """
        Reads come from the arbiter, also if the node has the record in its cache, and news of it is late.
        """
        bob = self.there.young()
        self.there.say(bob, ask(A.READ, "a"))
        self.lose_news()
        self.here.say(self.here.young(), wanting_ack(patch("a", 6, "x", 6)))
        self.assertEqual(self.there.say(bob, ask(A.READ, "a")), [read_response("a", 6, {"x": 6})])
        (head,) = self.there.say(bob, ask(A.HEAD, "a"))
        self.assertEqual(head.version, 6)
        self.here.say(self.here.young(), ask(A.DELETE, "a"))
        (has,) = self.there.say(bob, ask(A.HAS, "a"))
        self.assertEqual(has.data, "F")

    def test_rules(self) -> None:
        """
        So do the records that permission rules refer to.
        """
        self.there.say(self.there.young(), ask(A.READ, "a"))
        self.here.say(self.here.young(), patch("a", 6, "x", 6))
        self.assertEqual(self.successResultOf(self.there.tiers.load("a")), Record(6, {"x": 6}))

    def test_first_guess(self) -> None:
        """
        A write is decided on the record in the cache, without a read; the arbiter checks it.
        """
        bob = self.there.young()
        self.there.say(bob, ask(A.READ, "a"))
        self.storage.calls.clear()
        self.assertEqual(self.there.say(bob, wanting_ack(patch("a", 6, "x", 6))), [written("a")])
        self.assertEqual(self.storage.calls, [("set", "a", 6)])

    def test_reader_with_subscription(self) -> None:
        """
        A subscriber that reads a version of which no news has come yet is sent the record first, as all others.
        """
        bob, cat = self.there.young("a"), self.there.young("a")
        self.patch(self.stage.network, "travel_times", lambda sender, receiver: (0.2,))
        self.here.say(self.here.young(), patch("a", 6, "x", 6))
        news = update("a", 6, {"x": 6})
        self.assertEqual(self.there.say(bob, ask(A.READ, "a")), [news, read_response("a", 6, {"x": 6})])
        self.assertEqual(cat.take(), [news])
        self.stage.advance(0.3)
        self.assertEqual((bob.take(), cat.take()), ([], []))


class NotifyTests(NodesTestCase):
    """
    Another program changes the stores, and a client says so.
    """

    def test_w28_notify(self) -> None:
        """
        W28: the subscribers of all nodes get the record, also if its version is the same; and no node decides a write
        on what it had in its memory.
        """
        self.serve()
        self.have("a", 5, {"x": 5})
        ann, bob = self.here.young("a"), self.there.young("a")
        cat = self.there.young()
        self.have("b", 1, {"x": 1})
        self.there.say(cat, ask(A.READ, "b"))
        self.have("a", 5, {"x": "changed"})
        self.have("b", 1, {"x": "changed"})
        request = ask(A.NOTIFY, names=("a", "b"), correlation_id="1")
        news = update("a", 5, {"x": "changed"})
        self.assertEqual(self.here.say(ann, request), [news, request.ack()])
        self.turn()
        self.assertEqual((ann.take(), bob.take()), ([], [news]))
        self.there.say(cat, patch("b", 2, "y", 2))
        self.assert_kept("b", 2, {"x": "changed", "y": 2})

    def test_many(self) -> None:
        """
        Very many names are sent in several messages.
        """
        self.serve()
        names = tuple(f"r{number}" for number in range(self.stage.settings.names_per_item + 1))
        bob = self.there.young(names[-1])
        self.have(names[-1], 1, {"x": 1})
        self.here.say(self.here.young(), ask(A.NOTIFY, names=names, correlation_id="1"))
        self.turn()
        self.assertEqual(bob.take(), [update(names[-1], 1, {"x": 1})])

    def test_no_room(self) -> None:
        """
        If other nodes cannot be told, because too many messages for them wait, the client gets an error. It can repeat
        its request.
        """
        self.serve()
        names = tuple(f"r{number}" for number in range(2 * self.stage.settings.names_per_item + 1))
        self.have("r0", 1, {"x": 1})
        ann, bob = self.here.young(), self.there.young("r0")
        peers = self.stage.nodes[0].peers
        send_all, room = peers.send_all, [True, False, True]
        self.patch(peers, "send_all", lambda item: send_all(item) if not room or room.pop() else False)
        request = ask(A.NOTIFY, names=names, correlation_id="1")
        (error,) = self.here.say(ann, request)
        self.assertEqual(
            (error.action, error.is_error, error.correlation_id, error.data),
            (A.RECORD_NOTIFY_ERROR, True, "1", b'"other nodes could not be told"'),
        )
        self.turn()
        bob.take()
        self.assertEqual(self.here.say(ann, request), [request.ack()])
        self.turn()
        self.assertEqual(bob.take(), [update("r0", 1, {"x": 1})])


class ListeningTests(NodesTestCase):
    """
    Subscribers of one node, and a listener of another one.
    """

    def setUp(self) -> None:
        self.serve()
        self.have("a", 5, {"x": 5})
        self.listener = self.there.young()
        self.there.say(self.listener, ask(A.LISTEN, "^a"))
        self.turn()
        self.listener.take()

    def test_first_subscriber(self) -> None:
        """
        The first subscriber waits until it is known that the record has no provider, and is told when it has one.
        """
        ann = self.here.young()
        read = ask(A.SUBSCRIBEANDREAD, names=("a",), correlation_id="1")
        self.assertEqual(self.here.say(ann, read), [read.ack()])
        self.turn()
        self.assertEqual(ann.take(), [read_response("a", 5, {"x": 5})])
        self.assertEqual(self.listener.take(), [ask(A.SUBSCRIPTION_FOR_PATTERN_FOUND, "^a", subscription="a")])
        self.there.say(self.listener, ask(A.LISTEN_ACCEPT, "^a", subscription="a"))
        self.turn()
        self.assertEqual(ann.take(), [ask(A.SUBSCRIPTION_HAS_PROVIDER, "a")])

    def test_later_subscriber(self) -> None:
        """
        The first subscriber of a node hears of a provider before it gets the record, as later ones do.
        """
        self.there.young("a")
        self.turn()
        self.there.say(self.listener, ask(A.LISTEN_ACCEPT, "^a", subscription="a"))
        self.turn()
        for _ in range(2):
            ann = self.here.young()
            read = ask(A.SUBSCRIBECREATEANDREAD, names=("a",), correlation_id="1")
            self.here.service.handle(read, ann)
            self.turn()
            self.assertEqual(
                ann.take(), [read.ack(), ask(A.SUBSCRIPTION_HAS_PROVIDER, "a"), read_response("a", 5, {"x": 5})]
            )
            ann.close()
            self.stage.advance(20)

    def test_no_answer(self) -> None:
        """
        It waits no longer than C{subscribeTimeout}.
        """
        self.lose_news()
        ann = self.here.young()
        self.here.service.handle(ask(A.SUBSCRIBEANDREAD, names=("a",), correlation_id="1"), ann)
        self.stage.advance(1.1)
        self.assertEqual(ann.take()[1:], [read_response("a", 5, {"x": 5})])
