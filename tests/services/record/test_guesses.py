"""
Writes that are decided on a guess: records are in a cache in a server of its own, and in no storage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer

from dstwist.config.settings import RecordSettings
from dstwist.interfaces import IReplaceableStore, Record
from dstwist.services.record.guesses import Guesses
from tests.fakes import BusyClock, FakeCallbackStore
from tests.services.record import test_two_services as two
from tests.services.record.stage import A, ask, exists, patch, update, wanting_ack, written
from tests.turns import LONGEST, turn_lengths


@implementer(IReplaceableStore)
class RemoteCache(two.FaultyCallbackStore):
    """
    A cache that has to be asked for each record, and that can be lost.
    """

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._callbacks: list[Callable[[str | None], object]] = []

    def on_reconnected(self, callback: Callable[[str | None], object]) -> None:
        self._callbacks.append(callback)

    def reconnect(self, reason: str | None) -> None:
        for callback in self._callbacks:
            callback(reason)


class GuessTestCase(two.TwoServicesTestCase):
    """
    A test with two services over one such cache.
    """

    def serve(self, storage: Any = None, cache: Any = None, **settings: Any) -> None:
        self.clock = Clock()
        if storage is None:
            storage = FakeCallbackStore(self.clock)
            storage.behave = two.writes_slowly
        self.storage = storage
        self.remote = RemoteCache(storage)
        self.settings = RecordSettings(**settings)
        self.here, self.there = (two.Node(self.remote, None, self.settings, self.clock) for _ in range(2))

    def node(self, storage: Any) -> two.Node:
        return two.Node(storage, None, self.settings, self.clock)

    def have(self, version: int, data: Any) -> None:
        self.storage.put("a", version, data)
        for node in (self.here, self.there):
            node.handle(node.client(), ask(A.READ, "a"))
        self.clock.advance(1.0)
        self.storage.calls.clear()
        self.remote.calls.clear()


class GuessTests(GuessTestCase):
    """
    A guess saves the question before a write, and changes no outcome.
    """

    def setUp(self) -> None:
        self.serve(FakeCallbackStore())
        self.have(1, {"x": 1})
        self.ann = self.here.client("a")
        self.remote.calls.clear()

    def write(self, *messages: Any) -> list[Any]:
        return [answer.action for answer in self.here.handle(self.ann, *messages)]

    def test_one_question(self) -> None:
        """
        A write of a record that was read or written before asks the cache once. Reads always ask.
        """
        self.assertEqual(self.write(wanting_ack(patch("a", 2, "x", 2))), [A.WRITE_ACKNOWLEDGEMENT])
        self.assertEqual(self.write(wanting_ack(patch("a", 3, "x", 3))), [A.WRITE_ACKNOWLEDGEMENT])
        self.assertEqual(self.remote.calls, ["replace"] * 2)
        self.storage.put("a", 9, {"x": 9})
        read = self.here.handle(self.ann, ask(A.READ, "a"))[-1]
        self.assertEqual((read.version, read.data), (9, b'{"x":9}'))

    def test_outdated(self) -> None:
        """
        A write that is decided on an outdated guess is decided again on the record that is there, permission included.
        """
        self.storage.put("a", 5, {"x": 5})
        self.here.rules.rule = lambda message, record: record is None or record.version != 5
        self.assertEqual(self.write(wanting_ack(patch("a", -1, "y", 1)))[-1:], [A.MESSAGE_DENIED])
        self.here.rules.rule = lambda message, record: record is None or record.version == 5
        self.assertEqual(self.write(wanting_ack(patch("a", 6, "x", 6))), [A.WRITE_ACKNOWLEDGEMENT])
        self.assert_kept(Record(6, {"x": 6}))

    def test_refused(self) -> None:
        """
        A write is not refused for an outdated guess: not for its version, and not by a rule.
        """
        self.storage.put("a", 5, {"x": 5})
        late = wanting_ack(patch("a", 1, "x", 9))
        self.assertIn(exists(late, 5, '{"x":5}', A.PATCH), self.here.handle(self.ann, late))
        self.storage.put("a", 8, {"x": 8})
        self.here.rules.rule = lambda message, record: record is None or record.version != 5
        self.assertIn(A.WRITE_ACKNOWLEDGEMENT, self.write(wanting_ack(patch("a", 9, "x", 9))))
        self.assert_kept(Record(9, {"x": 9}))

    def test_gone(self) -> None:
        """
        So it is if the record is gone: a write that may create it does.
        """
        self.storage.records.clear()
        create = wanting_ack(ask(A.CREATEANDUPDATE, "a", b'{"new":1}', version=1))
        self.assertIn(A.WRITE_ACKNOWLEDGEMENT, self.write(create))
        self.assert_kept(Record(1, {"new": 1}))

    def test_deleted(self) -> None:
        """
        A record that was deleted here is no guess any more.
        """
        self.assertEqual(self.write(ask(A.DELETE, "a")), [A.DELETE_SUCCESS])
        self.remote.calls.clear()
        self.write(wanting_ack(ask(A.CREATEANDUPDATE, "a", b'{"new":1}', version=-1)))
        self.assertEqual(self.remote.calls[0], "get")
        self.assert_kept(Record(3, {"new": 1}))

    def test_reconnected(self) -> None:
        """
        After the cache was away, a version may mean another record. So the guesses of before are not used.
        """
        self.storage.put("a", 1, {"other": 1})
        for reason in ("another server answers", None):
            self.remote.reconnect(reason)
            self.remote.calls.clear()
            self.write(wanting_ack(patch("a", -1, "x", 2)))
            self.assertEqual([call for call in self.remote.calls if call != "heads"][0], "get")
        self.assert_kept(Record(3, {"other": 1, "x": 2}))

    def test_many_forgotten(self) -> None:
        """
        Very many guesses are forgotten at once, and freed in several turns.
        """
        clock = BusyClock()
        guesses = Guesses(self.remote, 1_000_000, clock, None)
        for number in range(1000):
            guesses.learn(str(number), Record(1, {}))
        clock.tick = 0.001
        lengths = turn_lengths(clock, lambda: self.remote.reconnect(None))
        self.assertGreater(len(lengths), 2)
        self.assertLess(max(lengths), LONGEST)
        self.assertEqual({guesses.known(str(number)) for number in range(1000)}, {None})
        self.assertEqual(len(guesses._records), 0)

    def test_bounded(self) -> None:
        """
        The guesses take at most C{maxGuessBytes}.
        """
        self.serve(FakeCallbackStore(), max_guess_bytes=3000)
        for number in range(20):
            self.storage.put(f"r{number}", 1, {"text": "x" * 100})
        client = self.here.client()
        for round_ in (2, 3):
            for number in range(20):
                message = wanting_ack(patch(f"r{number}", round_, "x", 1))
                self.assertEqual(self.here.handle(client, message), [written(f"r{number}")])
        self.assertEqual(self.remote.calls, ["get", "replace"] * 40)
        self.remote.calls.clear()
        self.here.handle(client, wanting_ack(patch("r19", 4, "x", 1)))
        self.assertEqual(self.remote.calls, ["replace"])

    def test_none(self) -> None:
        """
        There are none with C{maxGuessBytes} 0.
        """
        self.serve(FakeCallbackStore(), max_guess_bytes=0)
        self.have(1, {"x": 1})
        self.here.handle(self.here.client(), wanting_ack(patch("a", 2, "x", 2)), wanting_ack(patch("a", 3, "x", 3)))
        self.assertEqual(self.remote.calls, ["get", "replace"] * 2)

    def test_slow_permission(self) -> None:
        """
        A write whose permission takes a while asks for it once if the guess is right.
        """
        decision: Deferred[bool] = Deferred()
        self.here.rules.rule = lambda message, record: decision
        self.here.rules.asked.clear()
        self.assertEqual(self.write(wanting_ack(patch("a", 2, "x", 2))), [])
        decision.callback(True)
        self.assertEqual(self.ann.take(), [written("a")])
        self.assertEqual([action for action, _ in self.here.rules.asked], [A.PATCH])

    def test_subscribers(self) -> None:
        """
        All subscribers get the news of a write, also if its guess was outdated.
        """
        watcher = self.here.client("a")
        self.storage.put("a", 2, {"x": 2})
        self.here.handle(self.here.client(), patch("a", -1, "y", 3))
        self.assertEqual(watcher.take(), [update("a", 2, {"x": 2}), patch("a", 3, "y", 3)])


class GuessRaceTests(two.RaceTests, GuessTestCase):
    """
    The races of two services end as they do with a storage.
    """


class GuessFaultTests(two.FaultTests, GuessTestCase):
    """
    So do those with a connection that breaks.
    """

    callbacks = True
