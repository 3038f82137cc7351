"""
Tests for L{dstwist.services.record.comparison}.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, globalLogPublisher
from zope.interface import implementer

from dstwist.interfaces import Record
from dstwist.record import NO_RECORD
from dstwist.services.record.comparison import (
    BATCH_NAMES,
    BATCHES_UNDER_WAY,
    COMPARE_AGAIN_SECONDS,
    FIRST_RETRY_SECONDS,
)
from dstwist.store.memory import MemoryStore
from tests.fakes import FakeConnection, FakeReplaceableStore
from tests.services.record.other_nodes import FakeClusterNode
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


class HeldHeads(FakeReplaceableStore):
    """
    A store whose answers to C{heads} can be on their way for as long as a test wants.

    @ivar hold: whether they are.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self.hold = False
        self.held: list[tuple[Deferred[dict[str, int]], dict[str, int]]] = []

    def heads(self, names: Iterable[str]) -> Deferred[dict[str, int]]:
        names = list(names)
        if not self.hold:
            return super().heads(names)
        answer: Deferred[dict[str, int]] = Deferred()
        self.held.append((answer, {name: self.records.get(name, NO_RECORD).version for name in names}))
        return answer

    def release(self) -> None:
        """
        The first of the answers arrives.
        """
        answer, versions = self.held.pop(0)
        answer.callback(versions)


class ComparisonTestCase(RecordTestCase):
    """
    A node alone, whose storage can go back.
    """

    storage: Any
    cache: Any

    def setUp(self) -> None:
        self.lines: list[str] = []

        @implementer(ILogObserver)
        def log(event: dict[str, Any]) -> None:
            if event.get("event") == "STORE_GONE_BACK":
                self.lines.append(event["log_format"].format(**event))

        globalLogPublisher.addObserver(log)
        self.addCleanup(globalLogPublisher.removeObserver, log)
        self.serve()

    def make_cache(self) -> Any:
        return MemoryStore(max_entries=100_000, kept=("x/",))

    def make_storage(self) -> Any:
        return HeldHeads(self.clock)

    def have(self, name: str, version: int, value: Any = None) -> None:
        """
        Have a record in both stores.
        """
        data = {"n": version} if value is None else value
        self.cache.keep(name, Record(version, data))
        self.storage.put(name, version, data)

    def reader(self, *names: str) -> FakeConnection:
        """
        A client of v4+ that has subscribed to C{names}, and was sent their records.
        """
        connection = self.young()
        self.say(connection, ask(A.SUBSCRIBECREATEANDREAD, names=names, correlation_id="0"))
        return connection

    def text_reader(self, name: str) -> FakeConnection:
        """
        The same of a text client.
        """
        connection = self.old()
        self.say_text(connection, f"R|CR|{name}+")
        return connection


class SignTests(ComparisonTestCase):
    """
    The store says that it may have gone back.
    """

    def test_lower(self) -> None:
        """
        Subscribers of both generations are sent what is there now; the log counts and names the record.
        """
        self.have("a", 5)
        young, old = self.reader("a"), self.text_reader("a")
        self.storage.replace_by(a=3)
        self.assertEqual(young.take(), [update("a", 3, {"n": 3})])
        self.assertEqual(old.take(), ['R|U|a|3|{"n":3}+'])
        self.assertEqual(
            self.lines,
            [
                "STORE_GONE_BACK | the storage may have less than before: another server; records are compared",
                "STORE_GONE_BACK | the storage has lost writes of 1 of 1 records: a",
            ],
        )
        self.assertEqual(self.cache.known("a"), Record(3, {"n": 3}))

    def test_gone(self) -> None:
        """
        If the record is gone, they are told that it is deleted.
        """
        self.have("a", 5)
        young, old = self.reader("a"), self.text_reader("a")
        self.storage.replace_by()
        self.assertEqual(young.take(), [ask(A.DELETED, "a")])
        self.assertEqual(old.take(), ["R|A|D|a+"])
        self.assertNotIn("a", self.subscriptions)
        self.assertIsNone(self.cache.known("a"))

    def test_same(self) -> None:
        """
        No client is told of a record that is what it was, and the memory has it as before.
        """
        self.have("a", 5)
        self.have("b", 6)
        young = self.reader("a", "b")
        self.storage.replace_by(a=5, b=6)
        self.assertEqual(young.take(), [])
        self.assertEqual(
            self.lines[1:], ["STORE_GONE_BACK | the storage has the same versions of all 2 records that are known here"]
        )
        self.storage.calls.clear()
        self.say(young, ask(A.READ, "a"))
        self.assertEqual(self.storage.calls, [])

    def test_news(self) -> None:
        """
        The versions that count are those of the last news.
        """
        self.have("a", 5)
        young, writer = self.reader("a"), self.young()
        self.say(writer, patch("a", 6, "n", 6))
        young.take()
        self.storage.replace_by(a=6)
        self.assertEqual(young.take(), [])
        self.storage.replace_by(a=5)
        self.assertEqual(young.take(), [update("a", 5, {"n": 5})])

    def test_forgotten_by_the_cache(self) -> None:
        """
        A subscribed record that is not in the memory is compared as well.
        """
        self.have("a", 5)
        self.have("b", 5)
        young = self.reader("a", "b")
        self.successResultOf(self.cache.delete("a"))
        self.successResultOf(self.cache.delete("b"))
        self.storage.replace_by(a=3, b=5)
        self.assertEqual(young.take(), [update("a", 3, {"n": 3})])

    def test_not_subscribed(self) -> None:
        """
        A record that is only in the memory is read from the store the next time.
        """
        self.have("a", 5)
        self.storage.replace_by(a=3)
        self.assertEqual(self.lines[1:], ["STORE_GONE_BACK | the storage has lost writes of 1 of 1 records: a"])
        self.assertEqual(self.say(self.young(), ask(A.READ, "a")), [read_response("a", 3, {"n": 3})])

    def test_unknown_copy(self) -> None:
        """
        A client that came with a copy is sent the record: nothing shows what it has.
        """
        self.storage.put("a", 5, {"n": 5})
        young = self.young()
        self.say(young, ask(A.SUBSCRIBE, names=("a",)))
        self.storage.replace_by(a=5)
        self.assertEqual(young.take(), [update("a", 5, {"n": 5})])

    def test_copy_of_before(self) -> None:
        """
        But not if the record is what it was since.
        """
        self.have("a", 5)
        young = self.young()
        self.say(young, ask(A.SUBSCRIBE, names=("a",)))
        self.storage.replace_by(a=5)
        self.assertEqual(young.take(), [])

    def test_unstored(self) -> None:
        """
        Records that are only in the cache stay what they are.
        """
        young = self.young()
        self.cache.keep("x/a", Record(5, {"n": 5}))
        self.say(young, ask(A.SUBSCRIBECREATEANDREAD, names=("x/a",)))
        self.serve(storage_exclusion_prefixes=("x/",))
        self.cache.keep("x/a", Record(5, {"n": 5}))
        young = self.reader("x/a")
        self.storage.replace_by()
        self.assertEqual((young.take(), self.storage.asked), ([], []))
        self.assertEqual(self.cache.known("x/a"), Record(5, {"n": 5}))

    def test_not_there(self) -> None:
        """
        A client that is subscribed to a record that does not exist is told nothing if that is still so.
        """
        young = self.young()
        self.say(young, ask(A.SUBSCRIBEANDREAD, names=("a",)))
        self.storage.replace_by()
        self.assertEqual(young.take(), [])

    def test_the_same_store(self) -> None:
        """
        If the store is back with what it had, nothing is compared, and the records whose last write is in doubt are
        read at once.
        """
        self.have("a", 5)
        young = self.reader("a")
        self.storage.outcome = "fails"
        self.say(young, patch("a", 6, "n", 6))
        self.clock.pump([1.0] * 20)
        self.storage.outcome = "ok"
        self.storage.reconnect()
        self.assertEqual(young.take(), [update("a", 5, {"n": 5})])
        self.assertEqual((self.lines, self.storage.asked), ([], []))
        self.expect_complaints()

    def test_stopped(self) -> None:
        """
        A node that stops compares nothing.
        """
        self.have("a", 5)
        self.service.stop()
        self.storage.replace_by()
        self.assertEqual((self.lines, self.storage.asked), ([], []))


class WriteTests(ComparisonTestCase):
    """
    Writes that come before, during and after the comparison.
    """

    def test_meanwhile(self) -> None:
        """
        A write that comes during the comparison is decided on what the store has, and not on the memory.
        """
        self.have("a", 5)
        self.storage.behave = lambda operation, name: (1.0 if operation == "heads" else 0.0, "ok")
        self.storage.replace_by(a=3)
        write = wanting_ack(update("a", 4, {"n": "new"}))
        self.assertEqual(self.say(self.young(), write), [written("a")])
        self.assertEqual(self.storage.records["a"], Record(4, {"n": "new"}))
        self.clock.pump([1.0] * 3)
        self.assertEqual(self.cache.known("a"), Record(4, {"n": "new"}))

    def test_in_flight(self) -> None:
        """
        A write that a client of v4+ sent before it was told is refused, and the client is sent the record.
        """
        self.have("a", 5)
        young = self.reader("a")
        self.storage.replace_by(a=3)
        young.take()
        write = wanting_ack(update("a", 6, {"n": "late"}))
        self.assertEqual([each.action for each in self.say(young, write)], [A.UPDATE, A.INVALID_VERSION])
        self.assertEqual(self.storage.records["a"], Record(3, {"n": 3}))
        after = wanting_ack(update("a", 4, {"n": "new"}))
        self.assertEqual(self.say(young, after), [written("a")])

    def test_in_flight_text(self) -> None:
        """
        The same of a text client, which is told of a conflict.
        """
        self.have("a", 5)
        old = self.text_reader("a")
        self.storage.replace_by(a=3)
        old.take()
        answers = self.say_text(old, 'R|U|a|6|{"n":"late"}|{"writeSuccess":true}+')
        self.clock.advance(1)
        answers += old.take()
        self.assertIn('R|E|VERSION_EXISTS|a|3|{"n":3}+', answers)
        self.assertTrue(any(answer.startswith("R|WA|a|[6]|") for answer in answers), answers)
        self.assertEqual(self.say_text(old, 'R|U|a|4|{"n":"new"}+'), [])
        self.assertEqual(self.storage.records["a"], Record(4, {"n": "new"}))

    def test_gone_in_flight(self) -> None:
        """
        If the record is gone, a client of v4+ hears that such a write has failed.
        """
        self.have("a", 5)
        young = self.reader("a")
        self.storage.replace_by()
        young.take()
        write = patch("a", 6, "n", "late")
        self.assertEqual(self.say(young, write), [failed(write)])

    def test_gone_in_flight_text(self) -> None:
        """
        A text client has destroyed its callbacks with its copy, so it hears of the failure without an acknowledgement.
        """
        self.have("a", 5)
        old = self.text_reader("a")
        self.storage.replace_by()
        old.take()
        write = 'R|P|a|6|n|Slate|{"writeSuccess":true}+'
        self.assertEqual(self.say_text(old, write), ["R|E|RECORD_UPDATE_ERROR|6+"])

    def test_created_in_flight_text(self) -> None:
        """
        The same if another client has created the record anew, even if the write has the next version by accident. When
        the text client has the new record, its writes are acknowledged.
        """
        self.have("a", 1)
        old = self.text_reader("a")
        self.storage.replace_by()
        other = self.reader("a")
        self.say(other, update("a", 1, {"n": "new"}))
        old.take()
        write = 'R|P|a|2|n|Slate|{"writeSuccess":true}+'
        self.assertEqual(self.say_text(old, write), ["R|E|RECORD_UPDATE_ERROR|2+"])
        self.assertEqual(self.storage.records["a"], Record(1, {"n": "new"}))
        self.say_text(old, "R|CR|a+")
        self.assertEqual(self.say_text(old, write), ["R|WA|a|[2]|L+"])

    def test_by_accident(self) -> None:
        """
        If others have used up the versions between, a write in flight has the next version, and is accepted. Its client
        is sent the record once more, since it has taken its write back in its copy.
        """
        self.have("a", 5)
        young, other = self.reader("a"), self.young()
        self.storage.replace_by(a=4)
        self.say(other, update("a", 5, {"n": "other"}))
        young.take()
        self.say(young, patch("a", 6, "m", "late"))
        self.assertEqual(young.take(), [])
        self.clock.advance(1)
        self.assertEqual(young.take(), [update("a", 6, {"n": "other", "m": "late"})])

    def test_written_meanwhile(self) -> None:
        """
        A write that is made between the answer of the store and the look at it is no sign of a loss.
        """
        self.have("a", 5)
        young = self.reader("a")
        self.storage.hold = True
        self.storage.replace_by(a=5)
        self.say(young, patch("a", 6, "n", 6))
        self.storage.release()
        self.assertEqual(young.take(), [])
        self.assertIn("same versions", self.lines[-1])

    def test_deleted_meanwhile(self) -> None:
        """
        The same of a deletion that the store has not answered yet.
        """
        self.have("a", 5)
        self.storage.behave = lambda operation, name: (0.0, "mute" if operation == "delete" else "ok")
        self.say(self.young(), ask(A.DELETE, "a"))
        self.storage.replace_by()
        self.assertIn("same versions", self.lines[-1])

    def test_in_doubt_meanwhile(self) -> None:
        """
        The client whose write is in doubt is told what came of it.
        """
        self.have("a", 5)
        young, other = self.reader("a"), self.reader("a")
        self.storage.hold = True
        self.storage.replace_by(a=5)
        self.say(young, patch("a", 6, "n", 6))
        other.take()
        self.storage.outcome = "fails"
        self.say(young, patch("a", 7, "n", 7))
        self.storage.outcome = "ok"
        self.storage.release()
        self.assertEqual((young.take(), other.take()), ([update("a", 6, {"n": 6})], []))
        self.expect_complaints()


class OrdinaryAnswerTests(ComparisonTestCase):
    """
    The store has gone back without a word, and an ordinary answer shows it.
    """

    def gone_back(self, **versions: int) -> None:
        callbacks, self.storage._callbacks = self.storage._callbacks, []
        self.storage.replace_by(**versions)
        self.storage._callbacks = callbacks

    def test_refusal(self) -> None:
        """
        A write is refused by the store: its subscribers are told, and all other records are compared.
        """
        self.have("a", 5)
        self.have("b", 5)
        young = self.reader("b")
        self.gone_back(a=3, b=2)
        write = wanting_ack(update("a", 6, {"n": 6}))
        self.say(self.young(), write)
        self.assertIn("the record a has version 3 again", self.lines[0])
        self.assertEqual(young.take(), [update("b", 2, {"n": 2})])

    def test_refusal_of_lost_text(self) -> None:
        """
        If the record is gone, and the refused write is that of a text client, this client hears of the deletion first.
        By then it has no callback, so it gets no acknowledgement.
        """
        self.have("a", 5)
        old = self.text_reader("a")
        self.gone_back()
        write = 'R|P|a|6|n|N6|{"writeSuccess":true}+'
        self.assertEqual(self.say_text(old, write), ["R|A|D|a+", "R|E|RECORD_UPDATE_ERROR|6+"])

    def test_deletion(self) -> None:
        """
        The same if a deletion is refused.
        """
        self.have("a", 5)
        self.have("b", 5)
        young = self.reader("b")
        self.gone_back(a=3, b=2)
        self.say(self.young(), ask(A.DELETE, "a"))
        self.assertNotIn("a", self.storage.records)
        self.assertEqual(young.take(), [update("b", 2, {"n": 2})])

    def test_read(self) -> None:
        """
        The same if a record is read that has a subscriber.
        """
        self.have("a", 5)
        young = self.reader("a")
        self.successResultOf(self.cache.delete("a"))
        self.gone_back(a=3)
        self.assertEqual(self.say(self.young(), ask(A.READ, "a")), [read_response("a", 3, {"n": 3})])
        self.assertEqual(young.take(), [update("a", 3, {"n": 3})])
        self.assertIn("the record a has version 3 again", self.lines[0])

    def test_deleted_by_another_node(self) -> None:
        """
        With other nodes, a record that is gone is no sign: one of them may have deleted it.
        """
        self.serve(cluster=FakeClusterNode())
        self.have("a", 5)
        young = self.reader("a")
        self.gone_back()
        self.say(self.young(), update("a", 6, {"n": 6}))
        self.assertEqual(young.take(), [ask(A.DELETED, "a")])
        self.assertEqual(self.lines, [])

    def test_not_too_often(self) -> None:
        """
        Such signs begin a comparison once in a while only; the subscribers of the record are told each time.
        """
        self.have("a", 9)
        young = self.reader("a")
        for version in (5, 4):
            self.gone_back(a=version)
            self.successResultOf(self.cache.delete("a"))
            self.say(self.young(), ask(A.READ, "a"))
            self.assertEqual(young.take(), [update("a", version, {"n": version})])
        self.assertEqual(len(self.lines), 2)
        self.clock.advance(COMPARE_AGAIN_SECONDS)
        self.gone_back()
        self.successResultOf(self.cache.delete("a"))
        self.say(self.young(), ask(A.READ, "a"))
        self.assertEqual(young.take(), [ask(A.DELETED, "a")])
        self.assertEqual((len(self.lines), "is gone" in self.lines[2]), (4, True))

    def test_store_says_so_soon(self) -> None:
        """
        If the store itself says that it has other data, all records are compared, however short ago that was.
        """
        for name in ("a", "b"):
            self.have(name, 9)
        self.reader("a")
        young = self.reader("b")
        self.gone_back(a=5, b=9)
        self.successResultOf(self.cache.delete("a"))
        self.say(self.young(), ask(A.READ, "a"))
        self.assertEqual((young.take(), len(self.lines)), ([], 2))
        self.storage.replace_by()
        self.assertEqual(young.take(), [ask(A.DELETED, "b")])
        self.assertEqual(len(self.lines), 4)


class BatchTests(ComparisonTestCase):
    """
    Many names are compared in batches.
    """

    def test_batches(self) -> None:
        """
        A few questions are under way at a time; the records that were used last come first.
        """
        count = BATCH_NAMES * (BATCHES_UNDER_WAY + 2)
        for number in range(count):
            self.have(f"r/{number}", 1)
        self.storage.delay = 1.0
        self.storage.replace_by()
        self.assertEqual([len(names) for names in self.storage.asked], [BATCH_NAMES] * BATCHES_UNDER_WAY)
        self.assertEqual(self.storage.asked[0][0], f"r/{count - 1}")
        self.clock.pump([1.0] * 10)
        self.assertEqual(sum(map(len, self.storage.asked)), count)
        self.assertIn(f"lost writes of {count} of {count} records: r/", self.lines[-1])
        self.assertTrue(self.lines[-1].endswith(", ..."))
        self.assertEqual(len(self.cache), 0)

    def test_away_again(self) -> None:
        """
        If the store is away again, the question is repeated until it is answered.
        """
        self.have("a", 5)
        young = self.reader("a")
        self.storage.outcome = "unreachable"
        self.storage.replace_by(a=3)
        self.clock.advance(FIRST_RETRY_SECONDS)
        self.assertEqual((young.take(), self.storage.asked), ([], [["a"]] * 2))
        self.storage.outcome = "ok"
        self.clock.pump([FIRST_RETRY_SECONDS] * 5)
        self.assertEqual(young.take(), [update("a", 3, {"n": 3})])
        self.assertEqual(len(self.lines), 2)
        self.assertEqual(self.clock.getDelayedCalls()[1:], [])

    def test_hangs(self) -> None:
        """
        An answer that does not come is not waited for without end.
        """
        self.have("a", 5)
        young = self.reader("a")
        self.storage.outcome = "hangs"
        self.storage.replace_by(a=3)
        self.storage.outcome = "ok"
        self.clock.pump([1.0] * 10)
        self.assertEqual(young.take(), [update("a", 3, {"n": 3})])

    def test_anew(self) -> None:
        """
        If another server follows during a comparison, the comparison begins anew, and the first answers do not count.
        """
        self.have("a", 5)
        young = self.reader("a")
        self.storage.hold = True
        self.storage.replace_by(a=5)
        self.storage.replace_by(a=3)
        self.storage.release()
        self.assertIsNone(self.cache.known("a"))
        self.storage.release()
        self.assertEqual(young.take(), [update("a", 3, {"n": 3})])
        self.assertEqual(self.cache.known("a"), Record(3, {"n": 3}))
        self.assertEqual(len(self.lines), 3)

    def test_unreadable(self) -> None:
        """
        If the record itself cannot be read, its subscribers are told as soon as it can.
        """
        self.have("a", 5)
        young = self.reader("a")
        self.storage.behave = lambda operation, name: (0.0, "fails" if operation == "get" else "ok")
        self.storage.replace_by(a=3)
        self.assertEqual(young.take(), [])
        self.storage.behave = lambda operation, name: (0.0, "ok")
        self.clock.pump([1.0] * 3)
        self.assertEqual(young.take(), [update("a", 3, {"n": 3})])
        self.expect_complaints()

    def test_stopped(self) -> None:
        """
        A stop ends the comparison under way, and leaves no timer.
        """
        self.have("a", 5)
        young = self.reader("a")
        self.storage.outcome = "unreachable"
        self.storage.replace_by(a=3)
        self.service.stop()
        self.storage.outcome = "ok"
        self.clock.pump([1.0] * 10)
        self.assertEqual((young.take(), self.clock.getDelayedCalls()), ([], []))


class CacheOnlyTests(ComparisonTestCase):
    """
    A server without a storage, whose cache can go back: nothing knows better than the copies of the clients.
    """

    def setUp(self) -> None:
        super().setUp()
        self.serve(storage=False)

    def make_cache(self) -> Any:
        return FakeReplaceableStore(self.clock)

    def have(self, name: str, version: int, value: Any = None) -> None:
        self.cache.put(name, version, {"n": version})

    def test_lower(self) -> None:
        """
        Subscribers are sent the records that went back, and no others.
        """
        for name in ("a", "b", "c"):
            self.have(name, 5)
        young = self.reader("a", "b", "c")
        self.cache.replace_by(a=5, b=3)
        self.assertEqual(young.take(), [update("b", 3, {"n": 3}), ask(A.DELETED, "c")])
        self.assertEqual(self.lines[-1], "STORE_GONE_BACK | the cache has lost writes of 2 of 3 records: b, c")

    def test_read(self) -> None:
        """
        An ordinary read shows it as well.
        """
        self.have("a", 5)
        young = self.reader("a")
        self.have("a", 3)
        self.say(self.young(), ask(A.READ, "a"))
        self.assertEqual(young.take(), [update("a", 3, {"n": 3})])
        self.assertIn("has version 3 again", self.lines[0])

    def test_read_counts(self) -> None:
        """
        The record that shows it is counted once, and named first, whether it is lower or gone.
        """
        for version in (3, -1):
            self.serve(storage=False)
            for name in ("a", "b", "c"):
                self.have(name, 5)
            self.reader("a", "b", "c")
            if version < 0:
                self.successResultOf(self.cache.delete("c"))
            else:
                self.have("c", version)
            self.have("b", 3)
            self.say(self.young(), ask(A.READ, "c"))
            self.assertEqual(self.lines[-1], "STORE_GONE_BACK | the cache has lost writes of 2 of 3 records: c, b")
