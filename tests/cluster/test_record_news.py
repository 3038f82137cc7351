"""
Tests for L{dstwist.cluster.record_news}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.record_news import MISSING, UNKNOWN, Change, News, NewsGate
from dstwist.config.cluster import ClusterSettings
from dstwist.errors import StoreError
from dstwist.record import Record


def written(version: int) -> News:
    return News("a", Change.WRITTEN, version)


def deleted(version: int) -> News:
    return News("a", Change.DELETED, version)


class NewsGateTests(SynchronousTestCase):
    """
    L{NewsGate}. What subscribers are sent is written down: a version that was passed on, C{=version} for a whole
    record, C{x} for a deletion.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.sent: list[str] = []
        self.reading: list[Deferred[Record | None]] = []
        self.back: list[tuple[int, int]] = []
        self.gate = NewsGate(
            self.clock,
            ClusterSettings(max_early_news=3),
            lambda news: self.sent.append("x" if news.change is Change.DELETED else str(news.version)),
            self.read,
            lambda name, record: self.sent.append("x" if record is None else f"={record.version}"),
            lambda name, have, version: self.back.append((have, version)),
        )

    def read(self, name: str) -> Deferred[Record | None]:
        self.assertEqual(name, "a")
        self.reading.append(Deferred())
        return self.reading[-1]

    def was_read(self, version: int) -> None:
        self.reading.pop().callback(None if version == MISSING else Record(version, {}))

    def open(self, version: int = 5) -> None:
        self.gate.begin("a")
        self.gate.opened("a", version)

    def receive(self, *news: News) -> None:
        for each in news:
            self.gate.received(each)

    def check(self, *sent: str, reading: int = 0) -> None:
        self.assertEqual((self.sent, len(self.reading)), (list(sent), reading))

    def test_next(self) -> None:
        """
        News of the next version is passed on.
        """
        self.open()
        self.receive(written(6), written(7))
        self.check("6", "7")
        self.assertEqual(self.gate.version("a"), 7)

    def test_not_subscribed(self) -> None:
        """
        News of records without subscribers is dropped, and so is a wish to look at them.
        """
        self.receive(written(6), deleted(6))
        self.gate.look("a")
        self.open()
        self.gate.closed("a")
        self.receive(written(6))
        self.check()
        self.assertEqual((len(self.gate), list(self.gate.names)), (0, []))

    def test_early(self) -> None:
        """
        Early news waits for the news before it.
        """
        self.open()
        self.receive(written(8), written(7))
        self.check()
        self.receive(written(6))
        self.check("6", "7", "8")
        self.clock.advance(1)
        self.check("6", "7", "8")

    def test_counts(self) -> None:
        """
        Early and old news, gaps, and records that differed are counted, the latter by their cause.
        """
        self.open()
        self.receive(written(8), written(9), written(7), written(6))
        counts = self.gate.counts
        self.assertEqual((counts.early, counts.gaps, counts.old, counts.differed), (3, 0, 0, {}))
        self.receive(written(4))
        self.was_read(9)
        self.assertEqual((counts.old, counts.differed), (1, {}))
        self.receive(written(11))
        self.clock.advance(1)
        self.was_read(11)
        self.assertEqual((counts.early, counts.gaps, counts.differed), (4, 1, {"gap": 1}))
        self.gate.differs("a")
        self.was_read(12)
        self.gate.seen("a", Record(13, {}))
        self.assertEqual(counts.differed, {"gap": 1, "comparison": 1, "another reading": 1})

    def test_gap(self) -> None:
        """
        If the news before it does not come, the record is read, and sent as a whole; then the early news goes on.
        """
        self.open()
        self.receive(written(8))
        self.clock.advance(0.04)
        self.check()
        self.clock.advance(0.01)
        self.check(reading=1)
        self.receive(written(10))
        self.was_read(9)
        self.check("=9", "10")

    def test_read_in_vain(self) -> None:
        """
        If the record that is read is what subscribers have, they are sent nothing.
        """
        self.open()
        self.gate.look("a")
        self.was_read(5)
        self.check()

    def test_forced(self) -> None:
        """
        If the store has another past, subscribers are sent the record whatever version they have. This holds once.
        """
        self.open()
        self.gate.look("a", force=True)
        self.was_read(5)
        self.gate.look("a")
        self.was_read(5)
        self.check("=5")

    def test_one_at_a_time(self) -> None:
        """
        A record is read once at a time; if there was a reason meanwhile, it is read once more.
        """
        self.open()
        self.gate.look("a")
        self.gate.look("a")
        self.gate.look("a")
        self.check(reading=1)
        self.was_read(5)
        self.check(reading=1)
        self.was_read(5)
        self.check()

    def test_too_early(self) -> None:
        """
        Of more early news than a record may keep, the rest is found by reading.
        """
        self.open()
        self.receive(*map(written, (8, 9, 10, 11, 12)))
        self.receive(written(6), written(7))
        self.check("6", reading=1)
        self.was_read(12)
        self.check("6", "=12", reading=1)
        self.was_read(12)
        self.check("6", "=12")

    def test_old(self) -> None:
        """
        Old news is not passed on, and is a reason to read the record.
        """
        self.open()
        self.receive(written(4))
        self.check(reading=1)

    def test_skipped(self) -> None:
        """
        News of versions that were skipped is no reason to read the record, if it comes once.
        """
        self.open()
        self.gate.look("a")
        self.was_read(7)
        self.receive(written(6), written(7))
        self.check("=7")
        self.receive(written(7))
        self.check("=7", reading=1)

    def test_went_back(self) -> None:
        """
        If the store has a lower version than subscribers, they are sent the record, and the caller is told.
        """
        self.open()
        self.gate.look("a")
        self.was_read(2)
        self.check("=2")
        self.assertEqual(self.back, [(5, 2)])
        self.receive(written(3))
        self.check("=2", "3")

    def test_lost_early_news(self) -> None:
        """
        News of writes that the store has lost is not passed on behind the writes that follow.
        """
        self.open()
        self.receive(written(7))
        self.gate.seen("a", Record(2, {}))
        self.check("=2", reading=1)
        self.was_read(2)
        for version in range(3, 7):
            self.gate.written("a", version)
        self.clock.advance(1)
        self.check("=2")

    def test_written_after_loss(self) -> None:
        """
        So it is if a write of this node is the first to show it. Some of the news may be of later writes: the record is
        read again.
        """
        self.open()
        self.receive(written(7))
        self.gate.written("a", 1)
        self.check(reading=1)
        self.was_read(1)
        self.gate.written("a", 2)
        self.clock.advance(1)
        self.check()

    def test_older_than_the_reading(self) -> None:
        """
        News that came before a reading which does not show it is of a lost write: it is dropped, and nothing is read
        again for it. News that comes while the record is read is kept.
        """
        self.open(MISSING)
        self.receive(written(7))
        self.check(reading=1)
        self.receive(written(6))
        self.was_read(4)
        self.check("=4")
        self.receive(written(5))
        self.check("=4", "5", "6")
        self.clock.advance(1)
        self.check("=4", "5", "6")

    def test_deleted(self) -> None:
        """
        The deletion of the version that subscribers have, or of a later one, is passed on and ends all.
        """
        for version in (5, 7):
            self.open()
            self.receive(deleted(version), written(version + 1))
            self.assertEqual(self.gate.version("a"), None)
        self.check("x", "x")

    def test_old_deletion(self) -> None:
        """
        The deletion of an older record of that name is not passed on: the record was created anew.
        """
        self.open()
        self.receive(deleted(4))
        self.check(reading=1)
        self.was_read(5)
        self.check()

    def test_missing(self) -> None:
        """
        If the record does not exist any more, subscribers are told so.
        """
        self.open()
        self.gate.look("a")
        self.was_read(MISSING)
        self.check("x")
        self.assertIsNone(self.gate.version("a"))

    def test_still_missing(self) -> None:
        """
        Subscribers of a record that does not exist are told of its creation only.
        """
        self.open(MISSING)
        self.gate.look("a")
        self.was_read(MISSING)
        self.check()
        self.receive(written(0))
        self.check("0")

    def test_look(self) -> None:
        """
        News that only says so makes the node look.
        """
        self.open()
        self.receive(News("a", Change.LOOK, 5))
        self.check(reading=1)

    def test_first_subscriber(self) -> None:
        """
        News that comes while the first subscriber waits for the record is sorted after that.
        """
        self.gate.begin("a")
        self.receive(written(7), written(5), written(6))
        self.check()
        self.gate.opened("a", 6)
        self.check("7")

    def test_first_subscriber_not_served(self) -> None:
        """
        If the first subscriber is not served, nothing is kept.
        """
        self.gate.begin("a")
        self.receive(written(7))
        self.gate.closed("a")
        self.open(6)
        self.check()

    def test_not_read(self) -> None:
        """
        If the record cannot be read, the gate goes on with the version that subscribers have.
        """
        self.open()
        self.receive(written(8))
        self.clock.advance(0.05)
        self.reading.pop().errback(StoreError("away"))
        self.receive(written(6))
        self.check("6")

    def test_closed_while_read(self) -> None:
        """
        A record whose last subscriber leaves while it is read is forgotten.
        """
        self.open()
        self.gate.look("a")
        self.gate.closed("a")
        self.was_read(9)
        self.check()
        self.open()
        self.gate.look("a")
        self.gate.closed("a")
        self.reading.pop().errback(StoreError("away"))

    def test_written(self) -> None:
        """
        A write of this node is sent as a change if subscribers have the version before.
        """
        self.assertTrue(self.gate.follows("a", 9))
        self.gate.written("a", 9)
        self.open()
        self.assertTrue(self.gate.follows("a", 6))
        self.gate.written("a", 6)
        self.receive(written(7))
        self.check("7")

    def test_written_early(self) -> None:
        """
        A write of this node that skips versions is sent as a whole; their news is dropped when it comes.
        """
        self.open()
        self.assertFalse(self.gate.follows("a", 8))
        self.gate.written("a", 8)
        self.receive(written(6), written(7), written(9))
        self.check("9")

    def test_written_after_early(self) -> None:
        """
        Early news goes on after a write of this node.
        """
        self.open()
        self.receive(written(7))
        self.gate.written("a", 6)
        self.check("7")
        self.clock.advance(1)
        self.check("7")

    def test_written_back(self) -> None:
        """
        If subscribers were sent an older version, because the store has gone back, the versions count on from there.
        """
        self.open(8)
        self.gate.look("a")
        self.was_read(9)
        self.gate.written("a", 3)
        self.receive(written(4), written(5))
        self.check("=9", "4", "5")

    def test_seen(self) -> None:
        """
        If the record is read for another reason, subscribers are sent it if they have another version; early news goes
        on after it.
        """
        self.open()
        self.gate.seen("a", Record(5, {}))
        self.receive(written(7), written(9))
        self.gate.seen("a", Record(8, {}))
        self.check("=8", "9")
        self.receive(written(6))
        self.clock.advance(1)
        self.check("=8", "9")
        self.gate.seen("a", None)
        self.assertIsNone(self.gate.version("a"))
        self.gate.seen("a", Record(10, {}))
        self.check("=8", "9", "x")

    def test_seen_while_read(self) -> None:
        """
        It may be read for another reason just before its turn.
        """
        self.open()
        self.gate.look("a", force=True)
        self.receive(written(7))
        self.gate.seen("a", Record(6, {}))
        self.check("=6", reading=1)
        self.was_read(6)
        self.check("=6", "7")

    def test_unknown(self) -> None:
        """
        If the version of subscribers is unknown, the first news makes the node read the record.
        """
        self.open(UNKNOWN)
        self.receive(written(7))
        self.check(reading=1)
        self.was_read(7)
        self.check("=7")

    def test_created(self) -> None:
        """
        If subscribers know of no record, news of a write is no reason to wait for that of its creation.
        """
        self.open(MISSING)
        self.receive(written(1))
        self.check(reading=1)
        self.was_read(1)
        self.receive(written(0), written(2))
        self.check("=1", "2")

    def test_look_while_read(self) -> None:
        """
        News that says only to look, and comes while the record is read, has the record read again, unless the read
        version is the one that it names.
        """
        self.open()
        for version, again in ((UNKNOWN, 1), (6, 0), (8, 1)):
            self.gate.look("a")
            self.receive(News("a", Change.LOOK, version))
            self.was_read(6)
            self.assertEqual(len(self.reading), again)
            if again:
                self.was_read(6)

    def test_look_at_skipped(self) -> None:
        """
        News that says only to look at a version that was skipped is dropped.
        """
        self.open()
        self.gate.look("a")
        self.was_read(7)
        self.receive(News("a", Change.LOOK, 6))
        self.check("=7")

    def test_stop(self) -> None:
        """
        Nothing is read after the end.
        """
        self.open()
        self.receive(written(8))
        self.gate.stop()
        self.clock.advance(1)
        self.check()

    def test_in_doubt(self) -> None:
        """
        When the store has lost writes, subscribers may have what is lost: they are sent the whole record, no change.
        """
        self.open()
        self.assertTrue(self.gate.follows("a", 6))
        self.gate.doubt_all()
        self.assertFalse(self.gate.follows("a", 6))
        self.receive(written(6))
        self.check(reading=1)
        self.was_read(6)
        self.check("=6")
        self.receive(written(7))
        self.check("=6", "7")

    def test_same_version_in_doubt(self) -> None:
        """
        Then news of the version that subscribers have is that of another write.
        """
        self.open()
        self.gate.doubt_all()
        self.receive(written(5))
        self.was_read(5)
        self.check("=5")

    def test_distrusted(self) -> None:
        """
        A record that another node has written is sent when it is read, whatever its version.
        """
        self.open()
        self.assertFalse(self.gate.differs_from("a", 5))
        self.gate.doubt_all()
        self.gate.distrust("a")
        self.assertTrue(self.gate.differs_from("a", 5))
        self.gate.seen("a", Record(5, {}))
        self.check("=5")
        self.assertFalse(self.gate.differs_from("a", 5))

    def test_trusted(self) -> None:
        """
        When all nodes have said what they have written, the other records are what they were.
        """
        self.open()
        self.gate.doubt_all()
        self.gate.trust_all()
        self.receive(written(6))
        self.check("6")

    def test_closed_in_doubt(self) -> None:
        """
        A record that has no subscribers any more is in doubt no more.
        """
        self.open()
        self.gate.doubt_all()
        self.gate.closed("a")
        self.open()
        self.receive(written(6))
        self.check("6")

    def test_kept_before_doubt(self) -> None:
        """
        Early news from before the loss may be that of a lost write: it is not passed on.
        """
        self.open()
        self.receive(written(8))
        self.gate.doubt_all()
        self.clock.advance(1)
        self.was_read(6)
        self.receive(written(7))
        self.check("=6", "7")

    def test_early_in_doubt(self) -> None:
        """
        News that comes while a record in doubt is read makes the record be read again.
        """
        self.open()
        self.gate.doubt_all()
        self.receive(written(8), written(8))
        self.was_read(6)
        self.check("=6", reading=1)
        self.was_read(6)
        self.receive(written(7))
        self.check("=6", "7")
