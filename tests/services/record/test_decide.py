"""
Tests for L{dstwist.services.record.decide}: the batches. C{test_write} has the decisions.
"""

from __future__ import annotations

from dstwist.scheduling.turns import TIME_SLICE
from dstwist.services.record import decide
from tests.fakes import BusyClock
from tests.services.record.stage import A, RecordTestCase, patch, update, wanting_ack


class BatchTests(RecordTestCase):
    """
    Writes that queue behind a slow storage.
    """

    def setUp(self) -> None:
        self.charging = BusyClock()
        self.serve(clock=self.charging)
        self.storage.delay = 1.0
        self.have("a", 0, {"x": 0, "filler": "-" * 1000})

    def commits(self) -> list[int]:
        """
        The versions that the storage was given.
        """
        return [call[2] for call in self.storage.calls if call[0] == "set"]

    def test_bytes(self) -> None:
        """
        The states of one batch are limited by their weight; the writes behind it form the next. All are acknowledged,
        and told in their order.
        """
        self.patch(decide, "MAX_BATCH_WEIGHT", 6000)
        ann, bob = self.young(), self.young("a")
        for version in range(1, 11):
            self.service.handle(wanting_ack(patch("a", version, "x", version), str(version)), ann)
        for _ in range(10):
            self.clock.advance(1.0)
        commits = self.commits()
        self.assertEqual((commits[0], commits[-1]), (1, 10))
        self.assertTrue(
            all(1 < later - earlier <= 4 for earlier, later in zip(commits[1:-1], commits[2:], strict=False))
        )
        self.assertGreater(len(commits), 3)
        self.assertEqual([each.correlation_id for each in ann.take()], [str(version) for version in range(1, 11)])
        self.assertEqual(bob.take(), [patch("a", version, "x", version) for version in range(1, 11)])

    def test_time(self) -> None:
        """
        A batch ends when its time is up.
        """
        ann = self.young()
        for version in range(1, 101):
            self.service.handle(wanting_ack(patch("a", version, "x", version), str(version)), ann)
        self.charging.tick = 0.001
        for _ in range(30):
            self.clock.advance(1.0)
        commits = self.commits()
        most = round(TIME_SLICE / 0.001) + 2
        self.assertTrue(all(later - earlier <= most for earlier, later in zip(commits, commits[1:], strict=False)))
        self.assertEqual(commits[-1], 100)
        self.assertEqual(len(ann.take()), 100)

    def test_stale(self) -> None:
        """
        Refusals that show the record count like states of it, and all of them share its JSON text.
        """
        self.patch(decide, "MAX_BATCH_WEIGHT", 3000)
        ann = self.young()
        self.service.handle(update("a", 1, {"filler": "-" * 1000}), self.young())
        for _ in range(10):
            self.service.handle(update("a", 1, {}), ann)
        self.clock.advance(1.0)
        answers = ann.take()
        self.assertEqual([each.action for each in answers], [A.VERSION_EXISTS] * 10)
        self.assertEqual(len({id(each.data) for each in answers}), 1)

    def test_failed_commit(self) -> None:
        """
        If the commit of a batch fails, the writes behind it are decided on the state before it.
        """
        self.patch(decide, "MAX_BATCH_WEIGHT", 2000)
        ann = self.young()
        for version in (1, 2, 3, 4):
            self.service.handle(wanting_ack(patch("a", version, "x", version), str(version)), ann)
        self.storage.outcome = "fails"
        self.clock.advance(0.5)
        self.clock.advance(0.5)
        self.storage.outcome = "ok"
        for _ in range(10):
            self.clock.advance(1.0)
        answers = [(each.correlation_id, each.action) for each in ann.take() if each.correlation_id]
        self.assertEqual({each for each, _ in answers}, {"1", "2", "3", "4"})
        kept = self.storage.records["a"]
        self.assertEqual(self.cache.records["a"], kept)
        self.expect_complaints()
