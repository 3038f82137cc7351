"""
Two record services, as of two nodes, over one store that decides between them.

Each service has a cache of its own in front of the store; what one writes the other hears a moment later.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from dstwist.cluster.node import ClusterNode
from dstwist.config.settings import ListenSettings, RecordSettings
from dstwist.interfaces import Change, Done, ICallbackStore, IStore, Record
from dstwist.protocol.constants import Topic
from dstwist.protocol.message import Message
from dstwist.routing.listeners import ListenerRegistry
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.record import attempts
from dstwist.services.record.service import RecordService
from dstwist.store.memory import MemoryStore
from dstwist.store.tiers import TieredStore
from tests.fakes import FakeCallbackStore, FakeConnection, FakeStore, FakeWire
from tests.logs import Lines
from tests.services.record.other_nodes import FakeClusterNode
from tests.services.record.stage import A, Rules, ask, exists, failed, patch, update, wanting_ack, written
from tests.store.faulty import FAULTS, FaultyStore


class Node:
    """
    One service, with all that belongs to it.
    """

    def __init__(self, cache: IStore, storage: IStore | None, settings: RecordSettings, clock: Clock) -> None:
        self.cluster = FakeClusterNode(f"node-{id(self)}")
        self.rules = Rules()
        self.subscriptions = SubscriptionRegistry(Topic.RECORD)
        self.cache = cache
        self.wire = FakeWire()
        listeners = ListenerRegistry(Topic.RECORD, self.subscriptions, ListenSettings(), clock, announce=True)
        self.tiers = TieredStore(cache, storage, settings, clock)
        self.service = RecordService(
            self.subscriptions, listeners, cast(ClusterNode, self.cluster), self.rules, self.tiers, settings, clock
        )

    def client(self, *names: str) -> FakeConnection:
        """
        A v4+ client that is subscribed to C{names}.
        """
        connection = FakeConnection("client", self.wire)
        if names:
            self.handle(connection, ask(A.SUBSCRIBEANDREAD, names=names, correlation_id="subscription"))
        return connection

    def handle(self, client: FakeConnection, *messages: Message) -> list[Any]:
        for message in messages:
            self.service.handle(message, client)
        return client.take()


@implementer(ICallbackStore)
class FaultyCallbackStore(FaultyStore):
    """
    A L{FaultyStore} that needs no Deferreds for writes.
    """

    def write(self, name: str, record: Record) -> Deferred[None]:
        return self.set(name, record.version, record.data)

    def submit(
        self, name: str, expected: Any, record: Record, changes: Sequence[Change], done: Done, argument: Any
    ) -> None:
        self.replace(name, expected, record, changes).addCallbacks(
            lambda found: done(argument, None, found), lambda failure: done(argument, failure.value, None)
        )


def writes_slowly(operation: str, name: str) -> tuple[float, str]:
    """
    How L{FakeStore} behaves.
    """
    return (0.0 if operation == "get" else 1.0), "ok"


class TwoServicesTestCase(SynchronousTestCase):
    """
    A test with two services.

    @cvar callbacks: whether the store writes without Deferreds, so that the services need no coroutines.
    """

    callbacks = False

    def serve(self, storage: Any = None, cache: Callable[[], Any] = MemoryStore, **settings: Any) -> None:
        """
        Have two services over C{storage}; by default one that writes slowly. The services may share a cache instead.
        """
        self.clock = Clock()
        if storage is None:
            storage = (FakeCallbackStore if self.callbacks else FakeStore)(self.clock)
            storage.behave = writes_slowly
        self.storage = storage
        self.settings = RecordSettings(**settings)
        self.here, self.there = (Node(cache(), self.storage, self.settings, self.clock) for _ in range(2))

    def serve_cache(self, cache: Any, **settings: Any) -> None:
        """
        Have two services without a storage, over one cache.
        """
        self.clock = Clock()
        self.settings = RecordSettings(**settings)
        self.here, self.there = (Node(cache, None, self.settings, self.clock) for _ in range(2))

    def node(self, storage: Any) -> Node:
        """
        One more service, whose way to the store is C{storage}.
        """
        return Node(MemoryStore(), storage, self.settings, self.clock)

    def have(self, version: int, data: Any) -> None:
        """
        Have the record C{a}, which both nodes know.
        """
        self.storage.put("a", version, data)
        for node in (self.here, self.there):
            node.cache.set("a", version, data)

    def deliver(self) -> None:
        """
        The messages of each node reach the other.
        """
        self.here.cluster.carry_to(self.there.cluster)
        self.there.cluster.carry_to(self.here.cluster)

    def assert_kept(self, expected: Record | None) -> None:
        """
        The store has that record. The caches may be older: they are a first guess, which the store checks.
        """
        self.assertEqual(self.storage.records.get("a"), expected)

    def settle(self) -> None:
        """
        Let everything end that is under way.
        """
        for _ in range(60):
            self.clock.advance(1.0)
            self.deliver()


class RaceTests(TwoServicesTestCase):
    """
    Both services write the same record.
    """

    def setUp(self) -> None:
        self.serve()

    def test_one_winner(self) -> None:
        """
        Of two writers of one version one wins. The other is told VERSION_EXISTS with the data of the winner.
        """
        self.have(1, {"x": 0})
        ann, bob = self.here.client("a"), self.there.client("a")
        first, second = (wanting_ack(update("a", 2, {"x": name})) for name in ("ann", "bob"))
        self.here.handle(ann, first)
        self.there.handle(bob, second)
        self.settle()
        self.assertEqual(ann.take(), [written("a")])
        answers = bob.take()
        self.assertIn(exists(second, 2, '{"x":"ann"}'), answers)
        self.assertNotIn(written("a"), answers)
        self.assert_kept(Record(2, {"x": "ann"}))

    def test_no_lost_update(self) -> None:
        """
        Writes that fit any version are decided again until they are in the record: each of them is there, once.
        """
        self.have(0, {})
        clients = [(self.here, self.here.client("a")), (self.there, self.there.client("a"))]
        for number in range(20):
            for place, (node, client) in enumerate(clients):
                message = wanting_ack(patch("a", -1, f"w{place}_{number}", number), str(number))
                node.service.handle(message, client)
            if number % 7 == 0:
                self.clock.advance(0.6)
        self.settle()
        for _, client in clients:
            acked = [each.correlation_id for each in client.take() if each.action is A.WRITE_ACKNOWLEDGEMENT]
            self.assertEqual(acked, [str(number) for number in range(20)])
        self.assert_kept(Record(40, {f"w{place}_{number}": number for place in (0, 1) for number in range(20)}))

    def test_queued_writes(self) -> None:
        """
        The writes that were decided behind a refused one are decided again with it: those that depend on what is not
        there are refused, the others are written.
        """
        self.have(1, {"x": 0})
        ann, bob = self.here.client("a"), self.there.client("a")
        self.here.handle(ann, wanting_ack(patch("a", 2, "y", "ann")))
        blocker = self.there.client()
        self.there.handle(blocker, wanting_ack(patch("a", -1, "z", 0)))
        follows = [wanting_ack(patch("a", 3, "x", 3), "3"), wanting_ack(patch("a", -1, "w", 1), "4")]
        self.there.handle(bob, *follows)
        self.settle()
        self.assertEqual(ann.take()[0], written("a"))
        self.assertEqual(blocker.take(), [written("a")])
        answers = bob.take()
        self.assertIn(A.VERSION_EXISTS, [each.action for each in answers if each.correlation_id == "3"])
        self.assertIn(written("a", "4"), answers)
        self.assert_kept(Record(4, {"x": 0, "y": "ann", "z": 0, "w": 1}))

    def test_permission(self) -> None:
        """
        Permission is decided again as well, on the record that the other service has written.
        """
        self.have(1, {"locked": False})
        for node in (self.here, self.there):
            node.rules.rule = lambda message, record: record is None or not record.data["locked"]
        ann, bob = self.here.client("a"), self.there.client("a")
        self.here.handle(ann, wanting_ack(patch("a", 2, "locked", True)))
        denied = wanting_ack(patch("a", -1, "x", 1))
        self.there.handle(bob, denied)
        self.settle()
        self.assertEqual(ann.take(), [written("a")])
        self.assertIn(denied.error(A.MESSAGE_DENIED).action, [each.action for each in bob.take()])
        self.assert_kept(Record(2, {"locked": True}))

    def test_subscribers(self) -> None:
        """
        A service whose write was refused tells its subscribers the record that was there, before the write that then
        succeeds.
        """
        self.have(1, {"x": 0})
        watcher = self.there.client("a")
        self.here.handle(self.here.client(), update("a", 2, {"x": 2}))
        self.there.handle(self.there.client(), patch("a", -1, "y", 3))
        self.clock.advance(1.0)
        self.clock.advance(1.0)
        self.assertEqual(watcher.take(), [update("a", 2, {"x": 2}), patch("a", 3, "y", 3)])

    def test_created_by_both(self) -> None:
        """
        Two clients that create a record get the same one.
        """
        self.storage.behave = lambda operation, name: (1.0, "ok")
        create = ask(A.SUBSCRIBECREATEANDREAD, names=("a",), correlation_id="1")
        ann, bob = self.here.client(), self.there.client()
        self.here.handle(ann, create)
        self.there.handle(bob, create)
        self.clock.advance(1.0)
        self.here.handle(ann, patch("a", 1, "x", 1))
        self.settle()
        for client in (ann, bob):
            (read,) = (each for each in client.take() if each.action is A.READ_RESPONSE)
            self.assertEqual((read.version, read.data), (0, b"{}"))
        self.assert_kept(Record(1, {"x": 1}))

    def test_created_meanwhile(self) -> None:
        """
        A client that creates a record which another service has created and written reads that one, if it may.
        """
        self.storage.behave = lambda operation, name: (1.0, "ok")
        create = ask(A.SUBSCRIBECREATEANDREAD, names=("a",), correlation_id="1")
        self.there.rules.rule = lambda message, record: message.action is not A.READ or record == Record(0, {})
        bob = self.there.client()
        self.there.handle(bob, create)
        self.clock.pump([1.0, 0.5])
        self.storage.put("a", 1, {"x": 1})
        self.settle()
        self.assertEqual([each.action for each in bob.take()], [A.MESSAGE_DENIED])
        self.assert_kept(Record(1, {"x": 1}))


class MemoryTests(TwoServicesTestCase):
    """
    Both services have the records in one memory, and no storage.
    """

    def test_decided_meanwhile(self) -> None:
        """
        A write whose permission takes a while is decided again if the other service has written at once; so is a
        deletion.
        """
        store = MemoryStore(evict=False)
        self.serve_cache(store)
        store.set("a", 1, {"x": 1})
        decisions: list[Deferred[bool]] = []

        def later(message: Message, record: Record | None) -> Deferred[bool]:
            decisions.append(Deferred())
            return decisions[-1]

        self.here.rules.rule = later
        ann, bob = self.here.client("a"), self.there.client("a")
        for request, answer, kept in (
            (wanting_ack(patch("a", 2, "x", 9)), A.VERSION_EXISTS, {"x": 2}),
            (wanting_ack(patch("a", -1, "y", 9)), A.WRITE_ACKNOWLEDGEMENT, {"x": 3, "y": 9}),
            (ask(A.DELETE, "a"), A.DELETE_SUCCESS, None),
        ):
            self.here.handle(ann, request)
            before = store.known("a")
            assert before is not None
            write = wanting_ack(patch("a", before.version + 1, "x", before.version + 1))
            self.assertEqual(self.there.handle(bob, write), [written("a")])
            while decisions:
                decisions.pop(0).callback(True)
            self.assertIn(answer, [each.action for each in ann.take()])
            found = store.known("a")
            self.assertEqual(None if found is None else found.data, kept)


class OutdatedCacheTests(TwoServicesTestCase):
    """
    The cache of one service has an older record than the store.
    """

    def setUp(self) -> None:
        self.serve(FakeStore())
        self.have(1, {"x": 1})
        self.bob = self.there.client("a")
        self.storage.put("a", 5, {"x": 5})

    def test_next_version(self) -> None:
        """
        A write of the next version of what the store has is not refused for the cache.
        """
        self.assertIn(written("a"), self.there.handle(self.bob, wanting_ack(patch("a", 6, "x", 6))))
        self.assert_kept(Record(6, {"x": 6}))

    def test_conflict(self) -> None:
        """
        A conflict is told with the record that the store has.
        """
        late = wanting_ack(patch("a", 1, "x", 9))
        self.assertIn(exists(late, 5, '{"x":5}', A.PATCH), self.there.handle(self.bob, late))
        self.assert_kept(Record(5, {"x": 5}))

    def test_permission(self) -> None:
        """
        A write that the rules forbid only for the old record is written; so is a deletion.
        """
        self.there.rules.rule = lambda message, record: record is None or record.version != 1
        self.assertIn(written("a"), self.there.handle(self.bob, wanting_ack(patch("a", 6, "x", 6))))
        self.there.cache.set("a", 1, {"x": 1})
        self.assertEqual(self.there.handle(self.bob, ask(A.DELETE, "a")), [ask(A.DELETE_SUCCESS, "a")])
        self.assert_kept(None)

    def test_gone(self) -> None:
        """
        A record that the store does not have any more is created by a write that may.
        """
        self.storage.records.clear()
        create = wanting_ack(ask(A.CREATEANDUPDATE, "a", b'{"new":1}', version=1))
        self.assertIn(written("a"), self.there.handle(self.bob, create))
        self.assert_kept(Record(1, {"new": 1}))

    def test_cannot_ask(self) -> None:
        """
        If the store cannot be asked, the write fails: it is not refused for what may be wrong.
        """
        self.storage.outcome = "fails"
        write = wanting_ack(patch("a", 6, "x", 6))
        self.assertEqual([each.action for each in self.there.handle(self.bob, write)], [A.RECORD_UPDATE_ERROR])
        self.flushLoggedErrors()


class CallbackRaceTests(RaceTests):
    """
    The same, with a store that writes without Deferreds.
    """

    callbacks = True


class DeletionTests(TwoServicesTestCase):
    """
    One service deletes the record that the other writes.
    """

    def setUp(self) -> None:
        self.serve()
        self.have(7, {"x": 7})

    def test_late_write(self) -> None:
        """
        A write that is decided on the deleted record does not create it anew. Its client is told that the record is
        gone.
        """
        ann, bob = self.here.client("a"), self.there.client("a")
        self.here.handle(ann, ask(A.DELETE, "a"))
        late = wanting_ack(patch("a", 8, "x", 8))
        late.is_write_ack = None
        self.there.handle(bob, late)
        self.settle()
        self.assertEqual([each.action for each in ann.take()], [A.DELETE_SUCCESS])
        self.assertEqual(bob.take(), [ask(A.DELETED, "a"), failed(late)])
        self.assert_kept(None)

    def test_late_write_to_the_next(self) -> None:
        """
        Nor is it written to the record that was created anew in the meantime.
        """
        ann = self.here.client()
        self.here.handle(ann, ask(A.DELETE, "a"))
        self.settle()
        self.here.handle(ann, ask(A.CREATEANDUPDATE, "a", b'{"new":1}', version=-1))
        self.settle()
        bob = self.there.client("a")
        self.there.cache.set("a", 7, {"x": 7})
        late = wanting_ack(update("a", 8, {"x": 8}))
        self.there.handle(bob, late)
        self.settle()
        self.assertNotIn(written("a"), bob.take())
        self.assert_kept(Record(9, {"new": 1}))

    def test_late_deletion(self) -> None:
        """
        A deletion is decided again on what the other service has written: here it is not permitted any more.
        """
        self.here.rules.rule = lambda message, record: message.action is not A.DELETE or "kept" not in record.data
        ann, watcher, bob = self.here.client("a"), self.here.client("a"), self.there.client()
        self.there.handle(bob, wanting_ack(patch("a", 8, "kept", True)))
        self.here.handle(ann, ask(A.DELETE, "a"))
        self.settle()
        self.assertEqual(bob.take(), [written("a")])
        self.assertEqual([each.action for each in ann.take()][0], A.MESSAGE_DENIED)
        self.assertIn(patch("a", 8, "kept", True), watcher.take())
        self.assert_kept(Record(8, {"x": 7, "kept": True}))

    def test_deleted_anyway(self) -> None:
        """
        If it is still permitted, it deletes the record as it is then.
        """
        ann, bob = self.here.client("a"), self.there.client("a")
        self.there.handle(self.there.client(), wanting_ack(patch("a", 8, "x", 8)))
        self.here.handle(ann, ask(A.DELETE, "a"))
        self.settle()
        self.assertEqual([each.action for each in ann.take()], [A.DELETE_SUCCESS])
        self.assertIn(ask(A.DELETED, "a"), bob.take())
        self.assert_kept(None)

    def test_deleted_by_both(self) -> None:
        """
        Both deletions succeed.
        """
        ann, bob = self.here.client("a"), self.there.client("a")
        self.here.handle(ann, ask(A.DELETE, "a"))
        self.there.handle(bob, ask(A.DELETE, "a"))
        self.settle()
        for client in (ann, bob):
            self.assertEqual([each.action for each in client.take()], [A.DELETE_SUCCESS])
        self.assert_kept(None)


class CallbackDeletionTests(DeletionTests):
    """
    The same, with a store that writes without Deferreds.
    """

    callbacks = True


class LimitTests(TwoServicesTestCase):
    """
    Limits hold for what both services write together.
    """

    def test_size(self) -> None:
        """
        Both make a record larger, in turns and at the same time: it does not become larger than C{maxSize}.
        """
        self.serve(max_size=2000)
        self.have(0, {})
        clients = [(self.here, self.here.client()), (self.there, self.there.client())]
        for number in range(20):
            for place, (node, client) in enumerate(clients):
                node.service.handle(wanting_ack(patch("a", -1, f"w{place}_{number}", "-" * 100), str(number)), client)
            self.clock.advance(number % 3 * 0.5)
        self.settle()
        answers = [each for _, client in clients for each in client.take()]
        accepted = [each for each in answers if each.action is A.WRITE_ACKNOWLEDGEMENT]
        self.assertEqual(len(answers) - len(accepted), len([each for each in answers if each.is_error]))
        kept = self.storage.records["a"]
        self.assertEqual((kept.version, len(kept.data)), (len(accepted), len(accepted)))
        self.assertTrue(1880 < len(kept.json) <= 2000, len(kept.json))
        self.flushLoggedErrors()

    def test_quota(self) -> None:
        """
        A store that both fill refuses the writes of both when it is full, and has changed nothing then.
        """
        store = MemoryStore(max_bytes=20_000, evict=False)
        self.serve_cache(store)
        answers: list[Any] = []
        for number in range(40):
            for place, node in enumerate((self.here, self.there)):
                client = node.client()
                create = ask(A.CREATEANDUPDATE, f"{place}/{number}", b'{"x":"' + b"-" * 200 + b'"}', version=-1)
                answers += [(create.name, each.action) for each in node.handle(client, wanting_ack(create))]
        kept = {name for name, action in answers if action is A.WRITE_ACKNOWLEDGEMENT}
        self.assertTrue(10 < len(kept) < 60, len(kept))
        for name, _ in answers:
            found = self.successResultOf(store.get(name))
            self.assertEqual(found is not None, name in kept, name)
        self.flushLoggedErrors()


class OtherWriter(FakeStore):
    """
    A store to which another process writes, right before each write of ours.
    """

    steps = 10**9

    def replace(self, name: str, expected: int | None, record: Record, changes: Any = ()) -> Deferred[Record | None]:
        self._other(name)
        return super().replace(name, expected, record, changes)

    def remove(self, name: str, expected: int | None) -> Deferred[Record | None]:
        self._other(name)
        return super().remove(name, expected)

    def _other(self, name: str) -> None:
        if self.steps:
            self.steps -= 1
            before = self.records.get(name)
            self.put(name, 0 if before is None else before.version + 1, {"other": self.steps})


@implementer(ICallbackStore)
class OtherCallbackWriter(OtherWriter):
    """
    The same, without Deferreds.
    """

    submit = FakeCallbackStore.submit


class AttemptTests(TwoServicesTestCase):
    """
    The arbiter refuses again and again.
    """

    def setUp(self) -> None:
        self.serve(OtherCallbackWriter() if self.callbacks else OtherWriter(), write_timeout=1.0)
        self.have(1, {})
        self.patch(random, "uniform", lambda low, high: high)

    def test_third(self) -> None:
        """
        The first attempts follow each other at once, the later ones after a short time.
        """
        self.storage.steps = 4
        ann = self.here.client()
        message = wanting_ack(patch("a", -1, "x", 1))
        self.assertEqual(self.here.handle(ann, message), [])
        self.assertEqual([call[0] for call in self.storage.calls], ["set"] * 3)
        self.clock.advance(attempts.MAX_WAIT_SECONDS)
        self.assertEqual([call[0] for call in self.storage.calls], ["set"] * 4)
        self.clock.advance(attempts.MAX_WAIT_SECONDS)
        self.assertEqual(ann.take(), [written("a")])
        self.assertEqual(self.storage.records["a"], Record(6, {"other": 0, "x": 1}))

    def test_write_given_up(self) -> None:
        """
        After C{writeTimeout} the writer gets an error, with the record as it is. A write that was refused behind it is
        decided again.
        """
        lines = Lines(self)
        ann, bob = self.here.client("a"), self.here.client("a")
        message = wanting_ack(patch("a", -1, "x", 1))
        self.here.handle(ann, message)
        self.here.handle(bob, wanting_ack(patch("a", 1, "y", 1), "2"))
        for _ in range(60):
            self.clock.advance(attempts.MAX_WAIT_SECONDS)
        answers = ann.take()
        self.assertEqual([each for each in answers if each.correlation_id], [failed(message)])
        self.assertIn(A.UPDATE, [each.action for each in answers])
        refused = [each.action for each in bob.take() if each.correlation_id]
        self.assertEqual(refused, [A.VERSION_EXISTS, A.RECORD_UPDATE_ERROR])
        self.assertNotIn("x", self.storage.records["a"].data)
        self.assertIn("storage, record a: other nodes were faster for 1 s", lines.last("error"))

    def test_deletion_given_up(self) -> None:
        """
        So it is with a deletion.
        """
        ann, watcher = self.here.client("a"), self.here.client("a")
        self.here.handle(ann, ask(A.DELETE, "a"))
        for _ in range(60):
            self.clock.advance(attempts.MAX_WAIT_SECONDS)
        self.assertIn(A.RECORD_DELETE_ERROR, [each.action for each in ann.take()])
        self.assertIn(A.UPDATE, [each.action for each in watcher.take()])
        self.assertIn("a", self.storage.records)


class CallbackAttemptTests(AttemptTests):
    """
    The same, with a store that writes without Deferreds.
    """

    callbacks = True


class FaultTests(TwoServicesTestCase):
    """
    The connection of one service to the store breaks at the worst moments, while the other service writes.
    """

    def test_doubt(self) -> None:
        """
        Whatever fault meets whichever operation: an acknowledged write is in the record once, a refused write is not,
        and a write that failed is there at most once.
        """
        for fault in FAULTS:
            for step in range(6):
                self.run_history(random.Random(step), [None] * step + [fault], (fault, step))

    def test_many_doubts(self) -> None:
        """
        The same with many faults.
        """
        for seed in range(40):
            chance = random.Random(seed)
            faults = [chance.choice((None, *FAULTS)) for _ in range(12)]
            self.run_history(chance, faults, seed)

    def run_history(self, chance: random.Random, faults: list[str | None], case: object) -> None:
        """
        Both services write, in any order; the first of them with C{faults}.
        """
        store = FakeStore()
        faulty = (FaultyCallbackStore if self.callbacks else FaultyStore)(store)
        self.serve(store, write_timeout=1.0)
        self.here = self.node(faulty)
        store.put("a", 0, {})
        clients = [(self.here, self.here.client("a")), (self.there, self.there.client("a"))]
        faulty.faults = list(faults)
        outcomes: dict[str, list[Any]] = {}
        for number in range(10):
            node, client = clients[chance.random() < 0.4]
            version = chance.choice((-1, -1, store.records["a"].version + 1))
            outcomes[f"w{number}"] = []
            node.service.handle(wanting_ack(patch("a", version, f"w{number}", number), f"w{number}"), client)
            self.clock.advance(chance.choice((0.0, 0.1, 1.0)))
            if chance.random() < 0.5:
                self.deliver()
        faulty.faults.clear()
        self.settle()
        faulty.run_late()
        for _, client in clients:
            for answer in client.take():
                if answer.correlation_id:
                    outcomes[answer.correlation_id].append(answer.action)
        kept = store.records["a"]
        self.assertEqual(kept.version, len(kept.data), case)
        for write, answers in outcomes.items():
            if answers == [A.WRITE_ACKNOWLEDGEMENT]:
                self.assertIn(write, kept.data, (case, write))
            elif answers == [A.VERSION_EXISTS, A.RECORD_UPDATE_ERROR]:
                self.assertNotIn(write, kept.data, (case, write))
            else:
                self.assertEqual(answers, [A.RECORD_UPDATE_ERROR], (case, write))
        self.flushLoggedErrors()

    def test_no_fence(self) -> None:
        """
        While the store cannot be fenced, a record in doubt is neither read nor written.
        """
        store = FakeStore()
        faulty = (FaultyCallbackStore if self.callbacks else FaultyStore)(store)
        self.serve(store, write_timeout=1.0)
        self.here = self.node(faulty)
        store.put("a", 1, {})
        ann = self.here.client("a")
        self.here.handle(ann, ask(A.READ, "a"))
        faulty.faults, faulty.unreachable = ["late"], True
        write = wanting_ack(patch("a", 2, "x", 2))
        self.here.handle(ann, write)
        self.clock.advance(1.0)
        self.assertIn(failed(write), ann.take())
        faulty.calls.clear()
        again = wanting_ack(patch("a", 2, "x", 3))
        answers = self.here.handle(ann, ask(A.READ, "a"), again)
        self.assertEqual([each.action for each in answers], [A.RECORD_LOAD_ERROR, A.RECORD_UPDATE_ERROR])
        self.assertEqual(set(faulty.calls), {"fence"})
        faulty.unreachable = False
        self.clock.pump([1.0] * 5)
        self.assertEqual(ann.take(), [update("a", 2, {"x": 2})])
        self.flushLoggedErrors()


class CallbackFaultTests(FaultTests):
    """
    The same, with a store that writes without Deferreds.
    """

    callbacks = True
