"""
Tests for requests for records while a store cannot be reached.
"""

from __future__ import annotations

from twisted.logger import ILogObserver, globalLogPublisher
from zope.interface import implementer

from tests.requesters import for_each_requester
from tests.services.record.stage import (
    A,
    RecordTestCase,
    ask,
    failed,
    patch,
    read_response,
    update,
    wanting_ack,
    written,
)


@for_each_requester
class UnreachableTests(RecordTestCase):
    """
    A store that could not be asked leaves no doubt: the write has no effect, and the record is what it was.
    """

    def setUp(self) -> None:
        self.serve()

    def test_write(self) -> None:
        """
        The writer gets an error, and the record that it had before its write; other clients are told nothing, and no
        timer is left.
        """
        self.have("a", 1, {"n": 1})
        ann, bob = self.young("a"), self.young("a")
        self.storage.outcome = "unreachable"
        write = wanting_ack(update("a", 2, {"n": 2}))
        self.assertEqual(self.say(ann, write), [update("a", 1, {"n": 1}), failed(write)])
        self.assertEqual(bob.take(), [])
        self.assertNotIn("a", self.service._store.unresolved)
        self.expect_complaints()

    def test_heals(self) -> None:
        """
        The next write succeeds as soon as the store can be reached.
        """
        self.have("a", 1, {"n": 1})
        ann = self.young("a")
        self.storage.outcome = "unreachable"
        self.say(ann, update("a", 2, {"n": 2}))
        self.storage.outcome = "ok"
        write = wanting_ack(update("a", 2, {"n": 3}))
        self.assertEqual(self.say(ann, write), [written("a")])
        self.assert_stored("a", 2, {"n": 3})
        self.expect_complaints()

    def test_batch(self) -> None:
        """
        Writes that were queued behind it are decided on the record as it is: the second of the same client has a
        version that is too high now, and that of the other client fails in the same way.
        """
        self.have("a", 1, {"n": 1})
        self.storage.delay = 1.0
        self.storage.outcome = "unreachable"
        ann, bob = self.young("a"), self.young("a")
        for connection, write in (
            (ann, wanting_ack(update("a", 2, {"n": 2}))),
            (ann, wanting_ack(update("a", 3, {"n": 3}))),
            (bob, wanting_ack(update("a", 2, {"n": 4}))),
        ):
            self.service.handle(write, connection)
        self.clock.pump([1.0] * 3)
        self.assertEqual(
            [message.action for message in ann.take()], [A.UPDATE, A.RECORD_UPDATE_ERROR, A.UPDATE, A.INVALID_VERSION]
        )
        self.assertEqual([message.action for message in bob.take()], [A.UPDATE, A.RECORD_UPDATE_ERROR])
        self.expect_complaints()

    def test_read(self) -> None:
        """
        A record that the memory has is read as before; any other one is an error.
        """
        self.have("a", 1, {"n": 1})
        self.storage.put("b", 1, {})
        ann = self.young()
        self.storage.outcome = "unreachable"
        self.assertEqual(self.say(ann, ask(A.READ, "a")), [read_response("a", 1, {"n": 1})])
        [answer] = self.say(ann, ask(A.READ, "b"))
        self.assertEqual(answer.action, A.RECORD_LOAD_ERROR)
        self.expect_complaints()

    def test_delete(self) -> None:
        """
        A deletion fails, and the record stays.
        """
        self.have("a", 1, {"n": 1})
        ann = self.young("a")
        self.storage.outcome = "unreachable"
        [answer] = self.say(ann, ask(A.DELETE, "a"))
        self.assertEqual(answer.action, A.RECORD_DELETE_ERROR)
        self.assertNotIn("a", self.service._store.unresolved)
        self.storage.outcome = "ok"
        self.assertEqual(self.say(ann, ask(A.READ, "a")), [read_response("a", 1, {"n": 1})])
        self.expect_complaints()

    def test_cache_behind(self) -> None:
        """
        If the storage has taken a write and the cache cannot be reached, the cache is made to agree later.
        """
        self.have("a", 1, {"n": 1})
        ann = self.young("a")
        self.cache.behave = lambda operation, name: (0.0, "unreachable" if operation == "set" else "ok")
        self.say(ann, update("a", 2, {"n": 2}))
        self.assertIn("a", self.service._store.unresolved)
        self.cache.behave = lambda operation, name: (0.0, "ok")
        self.clock.pump([1.0] * 3)
        self.assert_stored("a", 2, {"n": 2})
        self.expect_complaints()

    def test_many(self) -> None:
        """
        However many writes are refused, few timers are left, and the log has one line.
        """
        lines = []

        @implementer(ILogObserver)
        def log(event: dict[str, object]) -> None:
            if "event" in event:
                lines.append((event["event"], event.get("once")))

        globalLogPublisher.addObserver(log)
        self.addCleanup(globalLogPublisher.removeObserver, log)
        for number in range(1000):
            self.have(f"r/{number}", 1, {})
        ann = self.young()
        self.storage.outcome = "unreachable"
        for number in range(1000):
            self.say(ann, patch(f"r/{number}", 2, "n", number))
        self.assertLess(len(self.clock.getDelayedCalls()), 5)
        # Lines with the same C{once} are written once.
        self.assertEqual(set(lines), {("RECORD_UPDATE_ERROR", "storage")})
        self.expect_complaints()


class UnreachableCallbackTests(UnreachableTests):
    """
    The same with a storage that needs no Deferreds, and a cache that answers at once.
    """

    instant = True
    callbacks = True
