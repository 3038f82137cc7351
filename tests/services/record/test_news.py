"""
Tests for L{dstwist.services.record.news}.
"""

from __future__ import annotations

from dstwist.interfaces import Record
from dstwist.services.record import answers
from dstwist.services.record.acks import Acknowledgements
from dstwist.services.record.held_conflicts import HeldConflicts
from dstwist.services.record.news import RecordNews
from dstwist.services.record.queue import RecordQueue
from dstwist.services.record.reminders import QUIET_SECONDS
from dstwist.services.record.replicas import Replicas
from tests.requesters import for_each_requester
from tests.services.record.stage import (
    A,
    RecordTestCase,
    ask,
    patch,
    update,
    wanting_ack,
    written,
)
from tests.services.record.test_write_permission import ValveTestCase


@for_each_requester
class WrittenTests(RecordTestCase):
    """
    The news of a write.
    """

    def test_news_are_nothing_but_news(self) -> None:
        """
        What a writer says besides its write stays with it: others would take it for answers to them.
        """
        self.have("a", 0, {})
        bob = self.young("a")
        request = wanting_ack(update("a", 1, {}))
        request.is_ack = request.is_error = True
        request.names = ("b",)
        self.say(self.young(), request)
        self.assertEqual(bob.take(), [update("a", 1, {})])

    def test_path_of_many_meanings(self) -> None:
        """
        A path that not all clients would take alike is told of as the whole record; a client that takes it its own way
        is told as well, when it has not written for a while.
        """
        self.have("a", 1, {"n": None})
        ann, old, bob = self.young("a"), self.old("a"), self.old("a")
        self.say(ann, patch("a", 2, "n.x", 1))
        self.assertEqual(old.take(), ['R|U|a|2|{"n":{"x":1}}+'])
        self.say_text(old, "R|P|a|3|m.0|N1+")
        self.assertEqual(bob.take(), ['R|U|a|2|{"n":{"x":1}}+', 'R|U|a|3|{"n":{"x":1},"m":{"0":1}}+'])
        self.assertEqual(ann.take(), [update("a", 3, {"n": {"x": 1}, "m": {"0": 1}})])
        self.clock.advance(QUIET_SECONDS)
        self.assertEqual(old.take(), ['R|U|a|3|{"n":{"x":1},"m":{"0":1}}+'])
        self.assertEqual(ann.take() + bob.take(), [])

    def test_patch_multi(self) -> None:
        """
        Several paths are one step, in their order; all are told of the whole, since not all clients know the action.
        """
        self.have("a", 1, {"x": 1, "y": 1})
        bob, cat = self.young("a"), self.old("a")
        changes = b'[{"path":"x","data":{"z":2}},{"path":"x.z","data":null},{"path":"y"}]'
        self.say(self.young(), ask(A.PATCH_MULTI, "a", changes, version=2))
        self.assert_stored("a", 2, {"x": {"z": None}})
        self.assertEqual(bob.take(), [update("a", 2, {"x": {"z": None}})])
        self.assertEqual(cat.take(), ['R|U|a|2|{"x":{"z":null}}+'])


@for_each_requester
class InstantWrittenTests(WrittenTests):
    """
    The same with a cache that answers at once.
    """

    instant = True


@for_each_requester
class UnheardTests(RecordTestCase):
    """
    Writes of a client that is the only one to hear of the record.
    """

    instant = True

    def test_unheard(self) -> None:
        """
        It is acknowledged as usual. A later subscriber hears of the writes after that.
        """
        self.serve(storage=False)
        ann = self.young("a")
        self.have("a", 0, {})
        self.assertEqual(self.say(ann, wanting_ack(update("a", 1, {"x": 1}))), [written("a")])
        bob = self.young("a")
        self.assertEqual(self.say(ann, wanting_ack(patch("a", 2, "x", 2))), [written("a")])
        self.assertEqual(bob.take(), [patch("a", 2, "x", 2)])


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
        made: list[str] = []
        self.guard()
        self.patch(answers, "update", lambda name, record: made.append(name))
        self.foreign("a")
        self.say(self.young(), ask(A.PATCH_MULTI, "a", b'[{"path":"n","data":2}]', version=2))
        self.assertEqual(made, [])


@for_each_requester
class NewsTests(RecordTestCase):
    """
    News that no write leads to.
    """

    def setUp(self) -> None:
        super().setUp()
        replicas = Replicas(self.settings, self.clock, lambda name, connection: None)
        self.acks = Acknowledgements(self.subscriptions, replicas, self.clock)
        queue = RecordQueue(self.settings, lambda name, message, sender: None, self.clock)
        conflicts = HeldConflicts(self.subscriptions, self.listeners, replicas, queue, self.load, self.clock)
        self.news = RecordNews(self.subscriptions, replicas, self.acks, conflicts, None)
        self.ann, self.bob = self.young("a"), self.young("a")

    async def load(self, name: str) -> Record | None:
        return None

    def test_deleted(self) -> None:
        """
        A deletion is told to all subscribers but the client that has deleted the record. No client is
        subscribed any more.
        """
        self.news.deleted("a", 7, self.ann)
        deleted = ask(A.DELETED, "a")
        self.assertEqual((self.ann.take(), self.bob.take()), ([], [deleted]))
        self.assertEqual(self.subscriptions.subscribers("a"), [])

    def test_acknowledgements_first(self) -> None:
        """
        A text client gets its acknowledgements before it is told that the record is deleted: the news destroys its
        callbacks.
        """
        old = self.old("a")
        self.acks.accepted("a", wanting_ack(update("a", 2, {})), old)
        self.assertEqual(old.take(), [])
        self.news.deleted("a", 7, self.ann)
        self.assertEqual(old.take(), ["R|WA|a|[2]|L+", "R|A|D|a+"])

    def test_resolved(self) -> None:
        """
        What an unresolved record holds is told to all subscribers.
        """
        self.news.resolved("a", Record(3, {"x": 1}))
        expected = update("a", 3, {"x": 1})
        self.assertEqual((self.ann.take(), self.bob.take()), ([expected], [expected]))

    def test_refreshed(self) -> None:
        """
        A record that was read anew is told to the subscribers; if it is gone, it is deleted for them.
        """
        self.news.refreshed("a", Record(3, {}))
        self.assertEqual((self.ann.take(), self.bob.take()), ([update("a", 3, {})], [update("a", 3, {})]))
        self.news.refreshed("a", None)
        self.assertEqual((self.ann.take(), self.bob.take()), ([ask(A.DELETED, "a")], [ask(A.DELETED, "a")]))
