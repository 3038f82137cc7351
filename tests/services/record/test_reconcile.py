"""
Tests for L{dstwist.services.record.reconcile}.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.settings import RecordSettings
from dstwist.errors import StoreError
from dstwist.interfaces import IRequester, Record
from dstwist.services.record import reconcile
from dstwist.services.record.failures import RecordError
from dstwist.services.record.queue import RecordQueue
from dstwist.services.record.reconcile import RETRIED_AT_ONCE, Reconciliation
from dstwist.store.tiers import TieredStore
from tests.fakes import FakeConnection, FakeStore
from tests.requesters import for_each_requester
from tests.services.record.stage import (
    A,
    RecordTestCase,
    ask,
    failed,
    read_response,
    update,
    wanting_ack,
    written,
)

BEFORE = Record(1, {"n": 1})
AFTER = Record(2, {"n": 2})


class ReconciliationTests(SynchronousTestCase):
    """
    L{Reconciliation}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.cache, self.storage = FakeStore(self.clock), FakeStore(self.clock)
        settings = RecordSettings()
        self.tiers = TieredStore(self.cache, self.storage, settings, self.clock)
        self.queue = RecordQueue(settings, lambda name, message, sender: None, self.clock)
        self.resolved: list[tuple[str, Record | None, list[IRequester] | None]] = []
        self.reconciliation = Reconciliation(self.tiers, self.queue, self.clock, self.on_resolved)
        self.ann = FakeConnection("ann", None)

    def on_resolved(self, name: str, record: Record | None, writers: list[IRequester] | None) -> None:
        self.resolved.append((name, record, writers))

    def run_now(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.successResultOf(Deferred.fromCoroutine(work))

    def run_failing(self, work: Coroutine[Any, Any, Any]) -> None:
        self.failureResultOf(Deferred.fromCoroutine(work), RecordError)

    def test_retries(self) -> None:
        """
        The next attempt is made after one second, then twice as late each time, at most every minute.
        """
        self.storage.outcome = "fails"
        self.reconciliation.add("a")
        attempts = []
        for _ in range(500):
            self.clock.advance(0.5)
            if self.storage.calls:
                attempts.append(self.clock.seconds())
                self.storage.calls.clear()
        self.assertEqual(attempts, [1.0, 3.0, 7.0, 15.0, 31.0, 63.0, 123.0, 183.0, 243.0])
        self.storage.outcome = "ok"
        self.clock.pump([0.5] * 500)
        self.assertEqual((len(self.storage.calls), self.resolved), (1, [("a", None, None)]))

    def test_stop(self) -> None:
        """
        After the end there are no more attempts.
        """
        self.reconciliation.add("a")
        self.reconciliation.stop()
        self.reconciliation.add("b")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_many(self) -> None:
        """
        A read that fails makes no more records unresolved if there are too many.
        """
        self.patch(reconcile, "MAX_UNRESOLVED_RECORDS", 2)
        self.storage.outcome = "fails"
        for name in "abc":
            self.run_failing(self.reconciliation.refresh(name))
        self.assertEqual((len(self.reconciliation), "c" in self.tiers.unresolved), (2, False))
        self.reconciliation.add("c")
        self.assertEqual(len(self.reconciliation), 3)
        self.reconciliation.stop()

    def test_back(self) -> None:
        """
        When a store can be used again, all unresolved records are retried at once, a limited number at a time.
        """
        count = 2 * RETRIED_AT_ONCE + 1
        for number in range(count):
            self.storage.put(f"r/{number}", 1, {})
            self.reconciliation.add(f"r/{number}")
        self.storage.delay = 0.25
        self.reconciliation.retry()
        self.assertEqual(len(self.storage.calls), RETRIED_AT_ONCE)
        self.reconciliation.retry()
        self.clock.advance(0.25)
        self.assertEqual(len(self.storage.calls), 2 * RETRIED_AT_ONCE)
        self.clock.pump([0.25] * 2)
        self.assertEqual((len(self.storage.calls), len(self.resolved)), (count, count))
        self.assertEqual((len(self.reconciliation), self.clock.getDelayedCalls()), (0, []))
        self.reconciliation.add("a")
        self.reconciliation.retry()
        self.clock.advance(0.25)
        self.assertEqual(len(self.resolved), count + 1)

    def test_back_when_stopped(self) -> None:
        """
        But not by a server that stops.
        """
        self.reconciliation.add("a")
        self.reconciliation.stop()
        self.reconciliation.retry()
        self.assertEqual(self.storage.calls, [])

    def test_unchanged(self) -> None:
        """
        If the failed writes did nothing, only their clients are told, each once.
        """
        self.storage.put("a", 1, {"n": 1})
        self.reconciliation.add("a")
        self.reconciliation.assume("a", BEFORE)
        bob = FakeConnection("bob", None)
        for connection in (self.ann, bob, self.ann):
            self.assertTrue(self.reconciliation.add_writer("a", connection))
        self.assertEqual(self.run_now(self.reconciliation.reconcile("a")), BEFORE)
        self.assertEqual(self.resolved, [("a", BEFORE, [self.ann, bob])])

    def test_changed(self) -> None:
        """
        If one of the failed writes took effect, all subscribers are told.
        """
        self.storage.put("a", 2, {"n": 2})
        self.reconciliation.add("a")
        self.reconciliation.assume("a", BEFORE)
        self.reconciliation.add_writer("a", self.ann)
        self.run_now(self.reconciliation.reconcile("a"))
        self.assertEqual(self.resolved, [("a", AFTER, None)])

    def test_first_assumption(self) -> None:
        """
        A second write that fails does not change what all clients knew before the first.
        """
        self.storage.put("a", 2, {"n": 2})
        self.reconciliation.add("a")
        self.reconciliation.assume("a", BEFORE)
        self.reconciliation.assume("a", AFTER)
        self.run_now(self.reconciliation.reconcile("a"))
        self.assertEqual(self.resolved, [("a", AFTER, None)])

    def test_did_not_exist(self) -> None:
        """
        A record that did not exist, and still does not, is unchanged.
        """
        self.reconciliation.add("a")
        self.reconciliation.assume("a", None)
        self.run_now(self.reconciliation.reconcile("a"))
        self.assertEqual(self.resolved, [("a", None, [])])

    def test_resolved(self) -> None:
        """
        A resolved record has no timer, takes no writers, and is read from the cache, which agrees with the storage.
        """
        self.cache.put("a", 1, {"n": 1})
        self.storage.put("a", 2, {"n": 2})
        self.reconciliation.add("a")
        self.assertEqual((len(self.reconciliation), "a" in self.tiers.unresolved), (1, True))
        self.run_now(self.reconciliation.reconcile("a"))
        self.assertEqual((len(self.reconciliation), "a" in self.tiers.unresolved), (0, False))
        self.assertEqual(self.cache.records["a"], AFTER)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.reconciliation.add_writer("a", self.ann))

    def test_fails(self) -> None:
        """
        A record whose authority cannot be asked stays unresolved, and the subscribers are told nothing.
        """
        self.storage.outcome = "fails"
        self.reconciliation.add("a")
        self.run_failing(self.reconciliation.reconcile("a"))
        self.run_now(self.reconciliation.try_to_reconcile("a"))
        self.assertEqual((len(self.reconciliation), "a" in self.tiers.unresolved, self.resolved), (1, True, []))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_refresh(self) -> None:
        """
        A refresh resolves the record and leaves it to the caller to tell subscribers. If it fails, the record is
        unresolved from then on.
        """
        self.storage.outcome = "fails"
        self.run_failing(self.reconciliation.refresh("a"))
        self.assertIn("a", self.tiers.unresolved)
        self.storage.outcome = "ok"
        self.assertIsNone(self.run_now(self.reconciliation.refresh("a")))
        self.assertEqual(("a" in self.tiers.unresolved, self.resolved), (False, []))


@for_each_requester
class FailingStoreTests(RecordTestCase):
    """
    Writes that the stores do not take.
    """

    def setUp(self) -> None:
        super().setUp()
        self.have("a", 9, {"x": 0})
        self.addCleanup(self.flushLoggedErrors, StoreError)

    def fail_once(self, store: Any, outcome: str, operation: str = "set") -> None:
        """
        Have the next operation of a kind fail, and the others not.
        """
        outcomes = [outcome]

        def behave(asked: str, name: str) -> tuple[float, str]:
            return store.delay, outcomes.pop() if outcomes and asked == operation else "ok"

        store.behave = behave

    def test_w13_worst_result(self) -> None:
        """
        W13: a write that one of the stores did not take is not acknowledged, whichever it was and however slow.
        """
        for which in ("storage", "cache"):
            for delay in (0.0, 1.0):
                self.serve(cache_retrieval_timeout=2.0)
                self.have("a", 9, {"x": 0})
                store = getattr(self, which)
                store.delay = delay
                self.fail_once(store, "fails")
                ann, request = self.young(), wanting_ack(update("a", 10, {"x": 1}))
                answers = self.say(ann, request)
                self.clock.pump([0.5] * 10)
                self.assertEqual(answers + ann.take(), [failed(request)], (which, delay))

    def test_w13_cache_failed(self) -> None:
        """
        W13: what the storage took and the cache did not is an error to its writer, and then the truth for all.
        """
        self.fail_once(self.cache, "fails")
        ann, bob, request = self.young("a"), self.young("a"), wanting_ack(update("a", 10, {"x": 1}))
        self.assertEqual(self.say(ann, request), [failed(request), update("a", 10, {"x": 1})])
        self.assertEqual(bob.take(), [update("a", 10, {"x": 1})])
        self.assert_stored("a", 10, {"x": 1})

    def test_w14_storage_failed(self) -> None:
        """
        W14: what the storage did not take is nowhere: its writer gets what is true, subscribers have heard of nothing
        else, and the next writer wins with the same version.
        """
        self.fail_once(self.storage, "fails")
        ann, bob, request = self.young("a"), self.young("a"), update("a", 10, {"x": 1})
        self.assertEqual(self.say(ann, request), [failed(request), update("a", 9, {"x": 0})])
        self.assertEqual(bob.take(), [])
        self.assert_stored("a", 9, {"x": 0})
        self.assertEqual(self.say(bob, wanting_ack(update("a", 10, {"x": 2}))), [written("a")])
        self.assertEqual(ann.take(), [update("a", 10, {"x": 2})])

    def refuse(self, store: FakeStore) -> None:
        """
        Have a store refuse all operations from now on.
        """
        store.calls.clear()
        store.outcome = "refuses"

    def assert_left_alone(self) -> None:
        """
        No store is asked for a record later.
        """
        before = len(self.storage.calls) + len(self.cache.calls)
        self.clock.pump([1.0] * 100)
        self.assertEqual(before, len(self.storage.calls) + len(self.cache.calls))

    def test_refused_write(self) -> None:
        """
        A write of which it is certain that the storage has not executed it leaves no doubt: its writer is told at once,
        and the storage is not asked for the record.
        """
        ann, bob, cat = self.young("a"), self.young("a"), self.young()
        self.refuse(self.storage)
        for version in (10, 10):
            request = wanting_ack(update("a", version, {"x": 1}))
            self.assertEqual(self.say(ann, request), [update("a", 9, {"x": 0}), failed(request)])
            self.assertEqual(self.say(cat, request), [failed(request)])
        self.assert_left_alone()
        self.assertEqual([("set", "a", 10)] * 4, self.storage.calls)
        self.assertEqual([], bob.take())
        self.storage.outcome = "ok"
        self.assertEqual(self.say(ann, wanting_ack(update("a", 10, {"x": 2}))), [written("a")])
        self.assertEqual([update("a", 10, {"x": 2})], bob.take())

    def test_refused_creation(self) -> None:
        """
        The same of a record that does not exist.
        """
        ann = self.young()
        self.refuse(self.storage)
        self.storage.behave = lambda operation, name: (0.0, "refuses" if operation == "set" else "ok")
        answers = self.say(ann, ask(A.SUBSCRIBECREATEANDREAD, names=("b",)))
        self.assertEqual(A.RECORD_CREATE_ERROR, answers[-1].action)
        self.assert_left_alone()
        self.assertEqual([("get", "b"), ("set", "b", 0)], self.storage.calls)

    def test_refused_deletion(self) -> None:
        """
        The same of a deletion.
        """
        ann = self.young("a")
        self.refuse(self.storage)
        (answer,) = self.say(ann, ask(A.DELETE, "a"))
        self.assertEqual(A.RECORD_DELETE_ERROR, answer.action)
        self.assert_left_alone()
        self.assertEqual([("delete", "a")], self.storage.calls)
        self.assert_stored("a", 9, {"x": 0})

    def test_refused_by_cache(self) -> None:
        """
        If only the cache refuses a write, the storage has it: the record is read again, and all are told.
        """
        self.fail_once(self.cache, "refuses")
        ann, bob, request = self.young("a"), self.young("a"), wanting_ack(update("a", 10, {"x": 1}))
        self.assertEqual(self.say(ann, request), [failed(request), update("a", 10, {"x": 1})])
        self.assertEqual(bob.take(), [update("a", 10, {"x": 1})])
        self.assert_stored("a", 10, {"x": 1})

    def test_refused_by_sole_cache(self) -> None:
        """
        Without a storage, the cache decides, so its refusal leaves no doubt.
        """
        self.serve(storage=False)
        self.cache.put("a", 9, {"x": 0})
        ann, request = self.young("a"), wanting_ack(update("a", 10, {"x": 1}))
        self.fail_once(self.cache, "refuses")
        self.assertEqual(self.say(ann, request), [update("a", 9, {"x": 0}), failed(request)])
        self.assert_left_alone()

    def test_in_step(self) -> None:
        """
        Who knows what is true is not told again: its next write may be on its way, and would be taken back by that.
        """
        delays = [0.0, 1.0]
        outcomes = ["ok", "fails"]
        self.storage.behave = lambda operation, name: (
            delays.pop() if delays else 0.0,
            outcomes.pop() if outcomes else "ok",
        )
        ann, bob = self.young("a"), self.young("a")
        lost = update("a", 10, {"ann": 1})
        self.say(ann, lost)
        self.say(bob, update("a", 10, {"bob": 1}))
        self.clock.pump([0.5] * 4)
        self.assertEqual(bob.take(), [])
        self.assertEqual(ann.take(), [failed(lost), update("a", 9, {"x": 0}), update("a", 10, {"bob": 1})])
        self.assert_stored("a", 10, {"bob": 1})

    def test_only_the_affected(self) -> None:
        """
        Writes that were not part of a failed commit go on, and what was refused because of it is decided again.
        """
        outcomes = ["fails", "ok"]
        self.storage.behave = lambda operation, name: (1.0, outcomes.pop() if outcomes else "ok")
        ann, bob = self.young(), self.young()
        second = wanting_ack(update("a", -1, {"ann": 2}), "3")
        self.say(self.young(), update("a", 10, {"cat": 1}))
        lost, again = wanting_ack(update("a", 11, {"ann": 1}), "1"), wanting_ack(update("a", 11, {"bob": 1}), "2")
        self.say(ann, lost)
        self.say(bob, again)
        self.say(ann, second)
        self.clock.pump([0.5] * 20)
        # Those three were committed together: none of ann's was done, and bob, who had lost to her, wins.
        self.assertEqual(ann.take(), [failed(lost), failed(second)])
        self.assertEqual(bob.take(), [written("a", "2")])
        self.assert_stored("a", 11, {"bob": 1})

    def test_mute_storage(self) -> None:
        """
        A storage that does not answer in time is an error to the writer, in time. If it has taken the write all the
        same, everybody gets that.
        """
        self.fail_once(self.storage, "mute")
        ann, bob, request = self.young("a"), self.young("a"), wanting_ack(update("a", 10, {"x": 1}))
        self.say(ann, request)
        self.clock.advance(9.9)
        self.assertEqual(ann.take(), [])
        self.clock.advance(0.2)
        self.assertEqual(ann.take(), [failed(request), update("a", 10, {"x": 1})])
        self.assertEqual(bob.take(), [update("a", 10, {"x": 1})])
        self.assert_stored("a", 10, {"x": 1})

    def test_late_write(self) -> None:
        """
        A write that comes to pass after its time-out does not undo a later one: before it has, there is none.
        """
        delays = [15.0]
        self.storage.behave = lambda operation, name: (delays.pop() if delays else 0.0, "ok")
        ann = self.young("a")
        first, second = [
            wanting_ack(ask(A.CREATEANDUPDATE, "a", value, version=-1), value.decode()) for value in (b"[1]", b"[2]")
        ]
        self.say(ann, first)
        self.clock.advance(10.1)
        self.assertEqual(self.say(ann, second), [failed(first)])
        self.clock.pump([0.5] * 30)
        self.assertEqual(ann.take(), [failed(second), update("a", 10, [1])])
        self.assertEqual(self.say(ann, second), [written("a", "[2]")])
        self.assert_stored("a", 11, [2])

    def test_tried_again(self) -> None:
        """
        What is true is found out, and told, as soon as the stores can say it, even if nobody asks.
        """
        ann, request = self.young("a"), wanting_ack(update("a", 10, {"x": 1}))
        self.storage.outcome = "lost"
        self.assertEqual(self.say(ann, request), [failed(request)])
        self.clock.pump([0.5] * 10)
        self.assertEqual(ann.take(), [])
        self.storage.outcome = "ok"
        self.clock.pump([0.5] * 20)
        self.assertEqual(ann.take(), [update("a", 10, {"x": 1})])
        self.assert_stored("a", 10, {"x": 1})

    def test_unresolved(self) -> None:
        """
        While a record is unresolved, reads and writes fail instead of showing a state that may be undone.
        """
        ann = self.young("a")
        self.storage.outcome = "lost"
        self.say(ann, update("a", 10, {"x": 1}))
        read, write = ask(A.READ, "a"), update("a", 10, {"x": 2})
        answers = self.say(ann, read, write)
        self.assertEqual(answers, [read.error(A.RECORD_LOAD_ERROR, detail=answers[0].detail), failed(write)])
        self.storage.outcome = "ok"
        self.assertEqual(self.say(ann, read), [update("a", 10, {"x": 1}), read_response("a", 10, {"x": 1})])

    def test_w16_load_failed(self) -> None:
        """
        W16: if a record cannot be loaded, every writer that waits for it is told, at once and not one after the other.
        """
        self.cache.records.clear()
        self.storage.outcome = "hangs"
        ann, bob, cat = self.young(), self.young(), self.old()
        requests = [wanting_ack(update("a", version, {})) for version in (10, 11)]
        self.say(ann, requests[0])
        self.say(bob, requests[1], ask(A.READ, "a"))
        self.say_text(cat, 'R|U|a|12|{}|{"writeSuccess":true}+')
        self.clock.advance(2.1)
        self.assertEqual(ann.take(), [failed(requests[0])])
        answer, read = bob.take()
        self.assertEqual((answer, read.action), (failed(requests[1]), A.STORAGE_RETRIEVAL_TIMEOUT))
        self.assertEqual(
            cat.take(),
            ["R|E|STORAGE_RETRIEVAL_TIMEOUT|a+", "R|E|RECORD_UPDATE_ERROR|12+", "R|WA|a|[12]|Sa+"],
        )
        self.storage.outcome = "ok"
        self.assertEqual(self.say(ann, wanting_ack(update("a", 10, {}))), [written("a")])

    def test_text_failure(self) -> None:
        """
        A text client is told which version was not written, and its callback why.
        """
        self.fail_once(self.storage, "fails")
        self.assertEqual(
            self.say_text(self.old(), 'R|U|a|10|{}|{"writeSuccess":true}+'),
            ["R|E|RECORD_UPDATE_ERROR|10+", "R|WA|a|[10]|Sstorage error+"],
        )

    def test_nothing_left(self) -> None:
        """
        A service that was stopped tries nothing again.
        """
        self.storage.outcome = "fails"
        self.say(self.young(), update("a", 10, {}))
        self.successResultOf(self.service.stop())
        self.say(self.connect(), update("a", 10, {}))
        self.assertEqual(self.clock.getDelayedCalls(), [])
