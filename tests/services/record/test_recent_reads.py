"""
Clients that read a record and subscribe to it at the same time.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.dialect import JAVASCRIPT, TEXT
from dstwist.services.record import recent_reads as record_reads
from dstwist.services.record.recent_reads import MAX_READS, MAX_READS_EACH, READ_MEMORY_SECONDS, RecentReads
from dstwist.services.record.reminders import QUIET_SECONDS
from tests.fakes import FakeConnection
from tests.requesters import for_each_requester
from tests.services.record.stage import A, RecordTestCase, ask, update


class ReadsTests(SynchronousTestCase):
    """
    L{RecentReads}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.reads = RecentReads(self.clock)
        self.ann = FakeConnection("ann")

    def test_taken_once(self) -> None:
        """
        The first version that was read is remembered until it is asked for, or for some time.
        """
        self.assertIsNone(self.reads.take("a", self.ann))
        self.reads.add("a", self.ann, 1)
        self.reads.add("a", self.ann, 2)
        self.assertIsNone(self.reads.take("b", self.ann))
        self.assertEqual(self.reads.take("a", self.ann), 1)
        self.assertIsNone(self.reads.take("a", self.ann))
        self.reads.add("a", self.ann, 3)
        self.clock.advance(READ_MEMORY_SECONDS)
        self.assertIsNone(self.reads.take("a", self.ann))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_error(self) -> None:
        """
        An error counts more than the version that was read before or behind it.
        """
        for versions in ((1, -1), (-1, 1)):
            for version in versions:
                self.reads.add("a", self.ann, version)
            self.assertEqual(self.reads.take("a", self.ann), -1)

    def test_too_many(self) -> None:
        """
        If there are too many, or they take too much memory, the first are forgotten.
        """
        self.patch(record_reads, "MAX_READS", 3)
        for number in range(5):
            self.reads.add(str(number), self.ann, 1)
        self.assertEqual([self.reads.take(str(number), self.ann) for number in range(5)], [None, None, 1, 1, 1])
        self.patch(record_reads, "MAX_READ_BYTES", 10_000)
        for number in range(3):
            self.reads.add(str(number) * 4000, self.ann, 1)
        self.assertEqual(len(self.reads), 2)

    def test_share(self) -> None:
        """
        If one client reads too many records, or their names take too much memory, its own first reads are forgotten.
        """
        bob = FakeConnection("bob")
        self.reads.add("a", bob, 1)
        for number in range(MAX_READS + 1):
            self.reads.add(str(number), self.ann, 1)
        self.assertEqual(len(self.reads), MAX_READS_EACH + 1)
        self.assertIsNone(self.reads.take("0", self.ann))
        self.assertEqual(self.reads.take(str(MAX_READS), self.ann), 1)
        self.patch(record_reads, "MAX_READ_BYTES_EACH", 10_000)
        for number in range(3):
            self.reads.add(str(number) * 4000, self.ann, 1)
        self.assertLessEqual(len(self.reads), 5)
        self.assertEqual(self.reads.take("a", bob), 1)

    def test_stop(self) -> None:
        """
        A server that stops remembers nothing, and no timer is left.
        """
        self.reads.add("a", self.ann, 1)
        self.reads.stop()
        self.assertEqual((len(self.reads), self.clock.getDelayedCalls()), (0, []))


@for_each_requester
class SnapshotTests(RecordTestCase):
    """
    Client 7.0.5: a snapshot, and the record itself right behind.
    """

    def setUp(self) -> None:
        super().setUp()
        self.have("a", 1, {"start": 1})
        self.ann, self.bob = self.young(), self.young()
        self.ann.dialect = JAVASCRIPT
        self.read = ask(A.READ, "a")
        self.subscription = ask(A.SUBSCRIBECREATEANDREAD, names=("a",))

    def test_lost_before_the_subscription(self) -> None:
        """
        Its write is refused before it is subscribed: a moment later it is sent the record.
        """
        self.say(self.ann, self.read)
        self.say(self.bob, update("a", 2, {"bob": 1}))
        self.say(self.ann, update("a", 2, {"ann": 1}), self.subscription)
        self.clock.advance(QUIET_SECONDS)
        self.assertEqual(self.ann.take(), [update("a", 2, {"bob": 1})])
        self.clock.advance(60)
        self.assertEqual(self.ann.take(), [])

    def test_news_before_the_subscription(self) -> None:
        """
        The same holds if another client wrote before it is subscribed, since it got no update. Its next write meets a
        conflict that it understands.
        """
        self.say(self.ann, self.read)
        self.say(self.bob, update("a", 2, {"bob": 1}))
        self.say(self.ann, self.subscription)
        self.assertEqual(
            [each.action for each in self.say(self.ann, update("a", 2, {"ann": 1}))], [A.VERSION_EXISTS, A.UPDATE]
        )
        self.say(self.ann, ask(A.UNSUBSCRIBE, names=("a",)), self.read)
        self.say(self.bob, update("a", 3, {"bob": 2}))
        self.say(self.ann, self.subscription)
        self.clock.advance(QUIET_SECONDS)
        self.assertEqual(self.ann.take(), [update("a", 3, {"bob": 2})])

    def test_nothing_happened(self) -> None:
        """
        Nothing follows if the record is the same, or the read was long ago.
        """
        self.say(self.ann, self.read, self.subscription)
        self.clock.advance(60)
        self.assertEqual(self.ann.take(), [])
        self.say(self.ann, ask(A.UNSUBSCRIBE, names=("a",)), self.read)
        self.clock.advance(READ_MEMORY_SECONDS)
        self.say(self.bob, update("a", 2, {"bob": 1}))
        self.say(self.ann, self.subscription)
        self.clock.advance(60)
        self.assertEqual(self.ann.take(), [])

    def take_last(self) -> list[Any]:
        """
        What Ann is sent when she has not written for a while.
        """
        self.ann.take()
        self.clock.advance(QUIET_SECONDS)
        return self.ann.take()

    def test_missing(self) -> None:
        """
        There was no record when it read: it takes the error for the record, so it is sent the new one a moment later.
        """
        for store in (self.cache, self.storage):
            del store.records["a"]
        self.say(self.ann, self.read, self.subscription)
        self.assertEqual(self.take_last(), [update("a", 0, {})])

    def test_missing_and_refused(self) -> None:
        """
        So it is if another client creates the record before it is subscribed, and its write is refused: the answer has
        given it the version, and not the data.
        """
        for store in (self.cache, self.storage):
            del store.records["a"]
        self.say(self.ann, self.read)
        self.say(self.bob, self.subscription)
        self.say(self.ann, update("a", 0, {"ann": 1}), self.subscription)
        self.assertEqual(self.take_last(), [update("a", 0, {})])

    def test_deleted(self) -> None:
        """
        A client that holds the record reads it, while another client deletes it. The error comes when it has asked for
        the new record.
        """
        self.say(self.ann, ask(A.SUBSCRIBEANDHEAD, names=("a",)))
        self.say(self.bob, ask(A.DELETE, "a"))
        self.say(self.ann, self.read, self.subscription)
        self.assertEqual(self.take_last(), [update("a", 2, {})])

    def test_forgotten_by_the_client(self) -> None:
        """
        A client that has taken the record for a deleted one, when it came back, does not know that it is subscribed.
        """
        for store in (self.cache, self.storage):
            del store.records["a"]
        self.say(self.ann, ask(A.SUBSCRIBEANDHEAD, names=("a",)), self.read, self.subscription)
        self.assertEqual(self.take_last(), [update("a", 0, {})])

    def test_not_read(self) -> None:
        """
        The same holds if the record cannot be read.
        """
        self.cache.outcome = "fails"
        self.say(self.ann, self.read)
        self.cache.outcome = "ok"
        self.say(self.ann, self.subscription)
        self.assertEqual(self.take_last(), [update("a", 1, {"start": 1})])
        self.expect_complaints()

    def test_subscriber_not_read(self) -> None:
        """
        A subscribed client reads a record because news of it did not fit. If that fails, it is sent the record when it
        can be read.
        """
        for client in (self.young("a"), self.old("a")):
            self.cache.outcome = "fails"
            self.say(client, self.read)
            self.cache.outcome = "ok"
            client.take()
            self.clock.advance(QUIET_SECONDS)
            news = update("a", 1, {"start": 1})
            self.assertEqual(client.take(), [news] if client.dialect is not TEXT else ['R|U|a|1|{"start":1}+'])
            self.clock.advance(60)
            self.assertEqual(client.take(), [])
        self.expect_complaints()

    def test_refused_subscriber(self) -> None:
        """
        So it is if its read was refused because too many requests were waiting.
        """
        self.serve(max_queued_requests=0)
        self.have("a", 1, {"start": 1})
        self.subscriptions.add("a", self.ann)
        self.storage.delay = 0.1
        self.say(self.bob, update("a", 2, {"bob": 1}))
        (error,) = self.say(self.ann, self.read)
        self.assertEqual(error.action, A.RECORD_LOAD_ERROR)
        self.clock.advance(0.1)
        self.assertEqual(self.take_last(), [update("a", 2, {"bob": 1})])
