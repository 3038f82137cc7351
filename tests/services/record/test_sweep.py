"""
Tests for L{dstwist.services.record.sweep}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from dstwist.interfaces import IEnumerableStore, Record
from dstwist.services.record.sweep import FIRST_RETRY_SECONDS, PAGE_NAMES
from tests.fakes import FakeReplaceableStore
from tests.logs import Lines
from tests.services.record.stage import A, RecordTestCase, ask, patch, read_response, update, wanting_ack, written


@implementer(IEnumerableStore)
class FarCache(FakeReplaceableStore):
    """
    A cache in a server of its own, which can go back, and can tell its names.
    """

    def names(self, cursor: Any, limit: int) -> Deferred[tuple[Sequence[str], Any]]:
        found = sorted(name for name in self.records if cursor is None or name > cursor)[:limit]
        return self._do("names", "!names", lambda: (found, found[-1] if len(found) == limit else None))


class SweepTests(RecordTestCase):
    """
    A cache in another server, in front of a storage in another server.
    """

    cache: Any
    storage: Any

    def setUp(self) -> None:
        self.serve(storage_exclusion_prefixes=("x/",))
        self.ann = self.young()

    def make_cache(self) -> Any:
        return FarCache(self.clock)

    def make_storage(self) -> Any:
        return FakeReplaceableStore(self.clock)

    def reads(self, name: str) -> Any:
        """
        The answer to a read.
        """
        [answer] = self.say(self.ann, ask(A.READ, name))
        return answer

    def test_cache_restored(self) -> None:
        """
        A cache that has old records is not read, and is corrected.
        """
        for name, version in (("a", 5), ("b", 5), ("c", 5)):
            self.have(name, version, {"n": version})
        self.cache.put("x/a", 7, {})
        self.storage.delay = 1.0
        self.cache.replace_by(**{"a": 3, "b": 5, "gone": 2, "x/a": 7})
        self.service.handle(ask(A.READ, "a"), self.ann)
        self.clock.advance(1.0)
        self.assertEqual(self.ann.take(), [read_response("a", 5, {"n": 5})])
        self.clock.pump([1.0] * 5)
        self.assertEqual(
            {name: record.version for name, record in self.cache.records.items()}, {"a": 5, "b": 5, "x/a": 7}
        )
        self.assertNotIn("x/a", [name for names in self.storage.asked for name in names])
        self.storage.delay = 0.0
        self.storage.calls.clear()
        self.assertEqual(self.reads("b"), read_response("b", 5, {"n": 5}))
        self.assertEqual(self.storage.calls, [])

    def test_storage_restored(self) -> None:
        """
        A cache that has newer records than the storage is corrected as well, and its subscribers are told.
        """
        self.have("a", 5, {"n": 5})
        self.have("b", 5, {"n": 5})
        bob = self.young()
        self.say(bob, ask(A.SUBSCRIBECREATEANDREAD, names=("a",)))
        self.storage.replace_by(a=3)
        self.assertEqual(bob.take(), [update("a", 3, {"n": 3})])
        self.assertEqual(self.cache.records, {"a": Record(3, {"n": 3})})

    def test_meanwhile(self) -> None:
        """
        Writes go on meanwhile, and a permission rule gets the record of the storage.
        """
        self.have("a", 5, {"n": 5})
        self.cache.behave = lambda operation, name: (1.0 if operation == "names" else 0.0, "ok")
        self.cache.replace_by(a=3)
        loaded = self.successResultOf(self.service._store._tiers.load("a"))
        self.assertEqual(loaded, Record(5, {"n": 5}))
        write = wanting_ack(update("a", 6, {"n": 6}))
        self.assertEqual(self.say(self.ann, write), [written("a")])
        self.clock.pump([1.0] * 3)
        self.assert_stored("a", 6, {"n": 6})

    def test_filled(self) -> None:
        """
        A record that is read meanwhile is in the cache afterwards.
        """
        self.have("a", 5, {"n": 5})
        self.cache.behave = lambda operation, name: (1.0 if operation == "names" else 0.0, "ok")
        self.cache.replace_by(a=3)
        self.assertEqual(self.reads("a"), read_response("a", 5, {"n": 5}))
        self.assertEqual(self.cache.records["a"], Record(5, {"n": 5}))

    def test_in_doubt(self) -> None:
        """
        The client of a write that gets in doubt meanwhile is told what came of it.
        """
        self.have("a", 5, {"n": 5})
        self.cache.behave = lambda operation, name: (0.5 if operation == "names" else 0.0, "ok")
        self.cache.replace_by(a=3)
        writer = self.young("a")

        def fail_from_the_write_on(operation: str, name: str) -> tuple[float, str]:
            return 0.0, "fails" if ("set", "a", 6) in self.storage.calls else "ok"

        self.storage.behave = fail_from_the_write_on
        self.say(writer, patch("a", 6, "n", 6))
        self.storage.behave = lambda operation, name: (0.0, "ok")
        self.assertIn("a", self.service._store.unresolved)
        self.cache.put("a", 3, {"n": 3})
        self.clock.advance(0.5)
        self.assertEqual(writer.take(), [update("a", 5, {"n": 5})])
        self.expect_complaints()

    def test_log(self) -> None:
        """
        The log tells of the sweep alone if the cache is the arbiter of no record.
        """
        self.serve()
        lines = Lines(self)
        self.have("a", 5, {"n": 5})
        self.cache.replace_by(a=3)
        self.assertEqual(
            [line.partition(" | ")[2] for line in lines.of("warn") + lines.of("info")],
            [
                "the cache may have less than before: another server; records are compared",
                "the cache agrees with the storage, after 1 of 1 records were corrected",
            ],
        )

    def test_many(self) -> None:
        """
        A large cache is compared in pages.
        """
        count = 2 * PAGE_NAMES + 1
        for number in range(count):
            self.storage.put(f"r/{number}", 2, {})
        self.cache.replace_by(**{f"r/{number}": 1 for number in range(count)})
        self.assertEqual({record.version for record in self.cache.records.values()}, {2})
        self.assertEqual(list(map(len, self.cache.asked)), [PAGE_NAMES, PAGE_NAMES, 1])

    def test_away_again(self) -> None:
        """
        If one of the stores is away again, the cache stays bypassed until it could be swept.
        """
        self.have("a", 5, {"n": 5})
        self.cache.outcome = "unreachable"
        self.cache.replace_by(a=3)
        self.clock.pump([FIRST_RETRY_SECONDS] * 3)
        self.cache.outcome = "ok"
        self.assertEqual(self.reads("a"), read_response("a", 5, {"n": 5}))
        self.cache.put("a", 3, {"n": 3})
        self.clock.pump([FIRST_RETRY_SECONDS] * 10)
        self.assertEqual(self.cache.records["a"], Record(5, {"n": 5}))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_anew(self) -> None:
        """
        If the cache goes back once more, the sweep begins anew.
        """
        self.have("a", 5, {"n": 5})
        self.have("b", 5, {"n": 5})
        self.cache.behave = lambda operation, name: (1.0 if operation in ("names", "heads") else 0.0, "ok")
        self.cache.replace_by(a=3)
        self.clock.advance(0.5)
        self.cache.replace_by(b=3)
        self.clock.pump([0.5] * 10)
        self.assertEqual(self.cache.records, {"b": Record(5, {"n": 5})})
        self.cache.behave = lambda operation, name: (0.0, "ok")
        self.storage.calls.clear()
        self.reads("b")
        self.assertEqual(self.storage.calls, [])

    def test_stopped(self) -> None:
        """
        A node that stops does not sweep.
        """
        self.cache.outcome = "unreachable"
        self.cache.replace_by(a=3)
        self.service.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.cache.calls.clear()
        self.cache.reconnect("another server")
        self.assertEqual(self.cache.calls, [])

    def test_not_needed(self) -> None:
        """
        A cache that is back with what it had is read as before.
        """
        self.have("a", 5, {"n": 5})
        self.cache.reconnect()
        self.reads("a")
        self.assertEqual(self.storage.calls, [])
