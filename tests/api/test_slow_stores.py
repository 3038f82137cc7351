"""
The API in front of stores that are slow, fail or are silent, and a model of what it shows.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from dstwist import node as node_module
from dstwist.api.errors import ApiError, HandleClosed
from dstwist.api.record_feed import Snapshot
from dstwist.config.settings import RecordSettings, Settings
from dstwist.node import Node
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.store.from_settings import Stores
from tests.api.stage import ApiTestCase
from tests.fakes import FakeStore


class SlowTestCase(ApiTestCase):
    """
    A node whose cache is as slow and as unreliable as a test wants it.
    """

    def make_node(self, settings: Settings) -> Node:
        def build_stores(*ignored: Any) -> Stores:
            self.store = FakeStore(ignored[3])
            return Stores(self.store, None, "fake", "none")

        self.patch(node_module, "build_stores", build_stores)
        return super().make_node(settings)

    def slow(self, delay: float = 0.25, outcome: str = "ok") -> None:
        self.store.delay = delay
        self.store.outcome = outcome


class SlowTests(SlowTestCase):
    """
    Slow stores.
    """

    def test_order(self) -> None:
        """
        Requests for one record are answered in their order, each when the store has it.
        """
        self.slow()
        answers: list[Any] = []
        self.api.records.set("a", {"n": 1}).addCallback(lambda _: answers.append("set"))
        self.api.records.get("a").addCallback(answers.append)
        self.api.records.patch("a", "n", 2).addCallback(lambda _: answers.append("patch"))
        self.api.records.get("a").addCallback(answers.append)
        self.turn()
        self.assertEqual(answers, [])
        self.reactor.pump([0.25] * 8)
        self.assertEqual(answers, ["set", Snapshot("a", 1, {"n": 1}), "patch", Snapshot("a", 2, {"n": 2})])

    def test_close(self) -> None:
        """
        A handle that is closed while the store writes: the caller gets an error, and the write is done.
        """
        ann = self.api.as_user("ann")
        self.slow()
        written = ann.records.set("a", {"n": 1})
        subscribed = ann.records.subscribe("a")
        given_up = self.api.records.set("b", {})
        ann.close()
        given_up.cancel()
        self.turn()
        self.failureResultOf(written, HandleClosed)
        self.failureResultOf(subscribed, HandleClosed)
        self.failureResultOf(given_up, CancelledError)
        self.reactor.pump([0.25] * 8)
        self.assertEqual(sorted(self.store.records), ["a", "b"])
        self.assertEqual(self.api.figures().records, 0)

    def test_stop(self) -> None:
        """
        A stop waits for the writes that the application has begun, and does not let it begin others.
        """
        self.slow()
        written = self.api.records.set("a", {"n": 1})
        updated = self.api.records.update("b", lambda data: {"n": 1})
        stopped = self.node.stop()
        self.turn()
        for each in (written, updated, self.api.records.set("c", {})):
            self.refused(each, HandleClosed)
        self.reactor.pump([0.25] * 8)
        self.successResultOf(stopped)
        self.assertEqual(list(self.store.records), ["a"])

    def test_races(self) -> None:
        """
        Many updates of one record at the same time: none is lost.
        """
        self.slow(0.125)

        def count(data: Any) -> Any:
            return {"n": data.get("n", 0) + 1}

        updating = [self.api.records.update("a", count) for _ in range(8)]
        self.reactor.pump([0.125] * 200)
        versions = sorted(self.successResultOf(each).version for each in updating)
        self.assertEqual(versions, list(range(1, 9)))
        self.assertEqual(self.store.records["a"].data, {"n": 8})


class UnreliableTests(SlowTestCase):
    """
    Stores that fail.
    """

    settings = Settings(record=RecordSettings(cache_retrieval_timeout=1.0, write_timeout=1.0))

    def assert_fails(self, asked: Deferred[Any], event: str) -> None:
        self.reactor.pump([0.25] * 12)
        self.assertEqual(self.refused(asked, ApiError).event, event)

    def test_reads(self) -> None:
        """
        A store that fails, or is silent: each read gets an error with the name of the failure.
        """
        for outcome, event in (("fails", "RECORD_LOAD_ERROR"), ("hangs", "CACHE_RETRIEVAL_TIMEOUT")):
            self.slow(0.25, outcome)
            records = self.api.records
            asks: list[Callable[[str], Deferred[Any]]] = [
                records.get,
                records.head,
                records.has,
                records.subscribe,
                self.api.lists.entries,
            ]
            for number, ask in enumerate(asks):
                self.assert_fails(ask(f"{outcome}{number}"), event)
            self.assert_fails(records.delete(outcome), "RECORD_DELETE_ERROR")
        self.assertEqual(self.api.figures().records, 0)

    def test_subscription_read_again(self) -> None:
        """
        A subscription whose record has to be read again, and cannot, ends with the error, also for the server.
        """
        self.done(self.api.records.set("a", {"x": 1}))
        subscription = self.done(self.api.records.subscribe("a"))
        self.slow(0, "fails")
        handle: Any = self.api._handle
        handle._received(Message(Topic.RECORD, RecordAction.PATCH, "a", b"1", version=7, path="x"))
        self.turn()
        self.assertEqual((subscription.error.event, self.api.figures().records), ("RECORD_LOAD_ERROR", 0))

    def test_writes(self) -> None:
        """
        A store that fails a write.
        """
        self.store.behave = lambda operation, name: (0.25, "ok" if operation == "get" else "fails")
        self.assert_fails(self.api.records.set("a", {}), "RECORD_UPDATE_ERROR")
        self.assert_fails(self.api.lists.add("b", "x"), "RECORD_UPDATE_ERROR")


class ModelTests(SlowTestCase):
    """
    Random writes of clients of both generations and of the application, on stores of random speed.
    """

    def test_subscriptions(self) -> None:
        """
        A subscription ends with the state of the store, and its versions do not go back while the record exists.
        """
        for seed in range(30):
            self.walk(random.Random(seed))

    def walk(self, chance: random.Random) -> None:
        self.node = self.make_node(Settings())
        self.node.startService()
        self.api = self.node.api
        self.store.behave = lambda operation, name: (chance.choice((0, 0, 0.0625, 0.25)), "ok")
        taken: list[Snapshot] = []
        late: list[Snapshot] = []
        waiting: list[Deferred[Any]] = [self.api.records.subscribe("a", taken.append)]
        ann = self.api.as_user("ann")
        for step in range(60):
            api = chance.choice((self.api, ann))
            kind = chance.randrange(8)
            if kind < 2:
                waiting.append(api.records.set("a", {"n": step}))
            elif kind < 5:
                waiting.append(api.records.patch("a", f"x{chance.randrange(5)}[{chance.randrange(3)}]", step))
            elif kind == 5:
                waiting.append(api.records.erase("a", f"x{chance.randrange(5)}"))
            elif kind == 6:
                waiting.append(api.records.update("a", lambda data: {**data, "u": data.get("u", 0) + 1}))
            elif chance.random() < 0.4:
                waiting.append(api.records.delete("a"))
            if step == 30:
                waiting.append(self.api.records.subscribe("a", late.append))
            self.reactor.advance(chance.choice((0, 0, 0.0625)))
        self.store.behave = lambda operation, name: (0, "ok")
        self.reactor.pump([0.25] * 80)
        for each in waiting:
            result: list[Any] = []
            each.addBoth(result.append)
            self.assertEqual(len(result), 1)
            # A record may be deleted between reading and writing it.
            if getattr(result[0], "value", None) is not None and not isinstance(result[0], Snapshot):
                self.assertIsInstance(result[0].value, ApiError)
        stored = self.store.records.get("a")
        expected = Snapshot("a", -1, None) if stored is None else Snapshot("a", stored.version, stored.data)
        for states in (taken, late):
            self.assertEqual(states[-1], expected)
            for before, after in zip(states, states[1:], strict=False):
                if before.exists and after.exists:
                    self.assertGreater(after.version, before.version)
        self.assertEqual(self.done(self.api.records.head("a")), expected.version)
