"""
Many requests for one record: what one turn of the reactor does, and what it leaves to the next.
"""

from __future__ import annotations

from dstwist.interfaces import Record
from dstwist.scheduling.turns import TIME_SLICE
from tests.fakes import BusyClock
from tests.requesters import for_each_requester
from tests.services.record.stage import A, RecordTestCase, ask, patch, read_response, update, wanting_ack


@for_each_requester
class TurnTests(RecordTestCase):
    """
    What waits for one load.
    """

    def setUp(self) -> None:
        self.charging = BusyClock()
        self.serve(clock=self.charging)

    def test_time_slices(self) -> None:
        """
        Reads that wait for one load are not all served in the turn in which it comes.
        """
        self.storage.put("a", 1, {})
        self.storage.delay = 1.0
        ann = self.young()
        for _ in range(100):
            self.service.handle(ask(A.READ, "a"), ann)
        self.clock.rightNow += 1.0
        self.charging.tick = 0.001
        served: list[int] = []
        while sum(served) < 100:
            self.charging.advance(0.0)
            answers = ann.take()
            self.assertEqual(answers, [read_response("a", 1, {})] * len(answers))
            served.append(len(answers))
        self.assertTrue(max(served) <= round(TIME_SLICE / 0.001) + 2, served)

    def test_order(self) -> None:
        """
        A request that comes while the queue is served in slices is served behind it.
        """
        self.storage.put("a", 1, {})
        self.storage.delay = 1.0
        ann = self.young()
        for _ in range(50):
            self.service.handle(ask(A.READ, "a"), ann)
        self.charging.tick = 0.001
        self.clock.advance(1.0)
        self.storage.delay = 0.0
        self.service.handle(update("a", 2, {"x": 1}), ann)
        self.service.handle(ask(A.READ, "a"), ann)
        self.clock.pump([0.0] * 40)
        expected = [read_response("a", 1, {})] * 50 + [read_response("a", 2, {"x": 1})]
        self.assertEqual(ann.take(), expected)

    def test_json_is_shared(self) -> None:
        """
        Readers of one version, and the storage, share its JSON text.
        """
        self.have("a", 1, {"x": 1})
        ann, bob = self.young(), self.young()
        (first,), (second,) = self.say(ann, ask(A.READ, "a")), self.say(bob, ask(A.READ, "a"))
        self.assertIs(first.data, second.data)
        self.assertEqual(Record(1, {"x": 1}).json, first.data)


@for_each_requester
class AnnouncementTests(RecordTestCase):
    """
    What is told after the commit of a batch.
    """

    def setUp(self) -> None:
        self.charging = BusyClock()
        self.serve(clock=self.charging)
        self.storage.delay = 1.0
        self.have("a", 0, {"x": 0})

    def test_time_slices(self) -> None:
        """
        The news of one batch are told in several turns if they take long, in their order; what comes meanwhile is
        served behind them.
        """
        self.charge(0.003, self.clock)
        ann, bob = self.young(), self.young("a")
        for version in range(1, 9):
            self.service.handle(wanting_ack(patch("a", version, "x", version), str(version)), ann)
        self.clock.advance(1.0)
        bob.take()
        self.clock.rightNow += 1.0
        turns: list[list[object]] = []
        while sum(map(len, turns)) < 7:
            self.charging.advance(0.0)
            turns.append([*bob.take()])
            if len(turns) == 2:
                self.service.handle(ask(A.READ, "a"), ann)
        self.assertLessEqual(max(map(len, turns)), 3)
        self.assertEqual(sum(turns, []), [patch("a", version, "x", version) for version in range(2, 9)])
        self.clock.pump([0.0] * 3)
        answers = ann.take()
        self.assertEqual([each.correlation_id for each in answers[:-1]], [str(version) for version in range(1, 9)])
        self.assertEqual(answers[-1], read_response("a", 8, {"x": 8}))
