"""
Writing records: who wins, who is told, and what happens when the stores do not.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from dstwist import record
from dstwist.interfaces import IPermission, IWire, Record
from dstwist.protocol.dialect import JAVASCRIPT
from dstwist.protocol.jsontext import NoRoom, dumps
from dstwist.services.record.news import RecordNews
from dstwist.services.record.reminders import QUIET_SECONDS
from dstwist.services.record.write import RecordWriter
from tests.fakes import FakeCallbackStore
from tests.requesters import for_each_requester
from tests.services.record.stage import (
    A,
    ReadableWire,
    RecordTestCase,
    Rules,
    ask,
    exists,
    failed,
    patch,
    read_response,
    update,
    wanting_ack,
    written,
)


@for_each_requester
class HelperTests(RecordTestCase):
    """
    What these tests are made with.
    """

    def test_interfaces(self) -> None:
        """
        The stand-ins have the shape of what they stand in for.
        """
        verifyObject(IPermission, Rules())
        verifyObject(IWire, ReadableWire())


@for_each_requester
class WriteTests(RecordTestCase):
    """
    Writes, with stores that answer at once.
    """

    def test_update(self) -> None:
        """
        A write of the next version is kept, and told to all others.
        """
        self.have("a", 3, {"x": 1})
        ann, bob, cat = self.young("a"), self.young("a"), self.old("a")
        self.assertEqual(self.say(ann, update("a", 4, {"x": 2})), [])
        self.assert_stored("a", 4, {"x": 2})
        self.assertEqual(bob.take(), [update("a", 4, {"x": 2})])
        self.assertEqual(cat.take(), ['R|U|a|4|{"x":2}+'])

    def test_array(self) -> None:
        """
        A record may be an array: a list.
        """
        self.have("a", 0, {})
        self.say(self.young(), update("a", 1, ["b", "c"]))
        self.assert_stored("a", 1, ["b", "c"])

    def test_patch(self) -> None:
        """
        A write of one path changes that, and goes out as that.
        """
        self.have("a", 1, {"x": {"y": 1}, "z": 1})
        bob, cat = self.young("a"), self.old("a")
        self.assertEqual(self.say(self.young(), patch("a", 2, "x.y", "new")), [])
        self.assert_stored("a", 2, {"x": {"y": "new"}, "z": 1})
        self.assertEqual((bob.take(), cat.take()), ([patch("a", 2, "x.y", "new")], ["R|P|a|2|x.y|Snew+"]))

    def test_erase(self) -> None:
        """
        Erasing a path goes out as a patch without data.
        """
        self.have("a", 1, {"x": {"y": 1}})
        bob, cat = self.young("a"), self.old("a")
        self.say(self.young(), ask(A.ERASE, "a", path="x.y", version=2))
        self.assert_stored("a", 2, {"x": {}})
        self.assertEqual((bob.take(), cat.take()), ([ask(A.PATCH, "a", path="x.y", version=2)], ["R|P|a|2|x.y|U+"]))

    def test_path_decides(self) -> None:
        """
        Whether a write is for a path or for the whole is decided by its path, not by its action.
        """
        self.have("a", 0, {})
        ann = self.young()
        self.say(ann, ask(A.UPDATE, "a", b"1", path="x", version=1), ask(A.PATCH, "a", b'{"y":2}', version=2))
        self.assert_stored("a", 2, {"y": 2})

    def test_patch_multi_refused(self) -> None:
        """
        If one of several paths makes no sense, nothing is written.
        """
        self.have("a", 1, {})
        for changes in (b"[]", b"{}", b"1", b'[{"data":1}]', b'[{"path":"x","data":1},{"path":"constructor"}]', b"[1]"):
            request = ask(A.PATCH_MULTI, "a", changes, version=2)
            (answer,) = self.say(self.young(), request)
            self.assertEqual((answer.action, answer.original_action), (A.INVALID_MESSAGE_DATA, A.PATCH_MULTI))
        self.assert_stored("a", 1, {})

    def test_acknowledgement(self) -> None:
        """
        Who wants it is told that it was written: v4+ clients by the correlation id, others by the version they sent.
        """
        self.have("a", 0, {})
        self.assertEqual(self.say(self.young(), wanting_ack(update("a", 1, {}))), [written("a")])
        self.assertEqual(self.say_text(self.old(), 'R|U|a|2|{}|{"writeSuccess":true}+'), ["R|WA|a|[2]|L+"])
        self.assertEqual(self.say_text(self.old(), 'R|CU|a|-1|{}|{"writeSuccess":true}+'), ["R|WA|a|[-1]|L+"])

    def test_whatever_is_next(self) -> None:
        """
        Version -1 is the next one, for several in a row, and goes out as that.
        """
        self.have("a", 0, {})
        bob = self.young("a")
        self.say(self.young(), update("a", -1, {"x": 1}), update("a", -1, {"x": 2}))
        self.assertEqual(bob.take(), [update("a", 1, {"x": 1}), update("a", 2, {"x": 2})])

    def test_missing(self) -> None:
        """
        A write to what is not there fails, unless it is one that creates.
        """
        request = update("a", 1, {})
        self.assertEqual(self.say(self.young(), request), [failed(request)])
        text = "R|E|RECORD_UPDATE_ERROR|1+"
        self.assertEqual(self.say_text(self.old(), "R|U|a|1|{}+"), [text])
        acknowledged = "R|WA|a|[1]|SReceived update for non-existant record a+"
        self.assertEqual(self.say_text(self.old(), 'R|P|a|1|x|N1|{"writeSuccess":true}+'), [text, acknowledged])
        self.assert_gone("a")

    def test_create_by_writing(self) -> None:
        """
        setData creates what is not there, with version 1, and so does any write that v4+ clients want acknowledged.
        """
        ann = self.young()
        self.say(ann, ask(A.CREATEANDUPDATE, "a", b'{"x":1}', version=-1))
        self.say(ann, ask(A.CREATEANDPATCH, "b", b"1", version=1, path="x"))
        self.assertEqual(self.say(ann, wanting_ack(update("c", 1, {"x": 1}))), [written("c")])
        for name in "abc":
            self.assert_stored(name, 1, {"x": 1})

    def test_create_with_a_version(self) -> None:
        """
        On what is not there, only -1 and 1 will do.
        """
        (answer,) = self.say(self.young(), ask(A.CREATEANDUPDATE, "a", b"{}", version=5))
        self.assertEqual((answer.action, answer.version, answer.is_error), (A.INVALID_VERSION, 0, True))
        self.assertEqual(self.say_text(self.old(), "R|CU|a|5|{}|{}+"), ["R|E|VERSION_EXISTS|a|0|{}+"])
        self.assert_gone("a")

    def test_conflict(self) -> None:
        """
        Who writes a version that exists is told the current one and the complete data, whatever the write was.
        """
        self.have("a", 4, {"x": 1, "y": 2})
        bob = self.young("a")
        late = patch("a", 4, "x", 5)
        self.assertEqual(self.say(self.young("a"), late), [exists(late, 4, '{"x":1,"y":2}', A.PATCH)])
        self.assertEqual(self.say_text(self.old(), "R|P|a|2|x|N5+"), ['R|E|VERSION_EXISTS|a|4|{"x":1,"y":2}+'])
        self.assertEqual(bob.take(), [])
        self.assert_stored("a", 4, {"x": 1, "y": 2})

    def test_winner_first(self) -> None:
        """
        The loser gets the winner's write before it is told that it lost: v4+ clients merge only then.
        """
        self.have("a", 0, {})
        ann, bob = self.young("a"), self.young("a")
        late = update("a", 1, {"bob": 1})
        self.say(ann, update("a", 1, {"ann": 1}))
        self.assertEqual(self.say(bob, late), [update("a", 1, {"ann": 1}), exists(late, 1, '{"ann":1}')])

    def test_invalid_data(self) -> None:
        """
        A record is an object or an array, and paths are paths; a client that writes something else is told, and shown
        the record before.
        """
        self.have("a", 1, {"l": []})
        ann = self.young("a")
        for request in (
            update("a", 2, None),
            update("a", 2, 1),
            ask(A.UPDATE, "a", version=2),
            patch("a", 2, "__proto__.x", 1),
            patch("a", 2, "l[65536]", 1),
            patch("a", 2, "l.x", 1),
        ):
            wanting_ack(request)
            truth, refusal = self.say(ann, request)
            self.assertEqual(
                (refusal.action, refusal.is_error, refusal.is_write_ack, refusal.correlation_id, refusal.data),
                (A.INVALID_MESSAGE_DATA, True, True, "1", request.data),
            )
            self.assertEqual(truth, update("a", 1, {"l": []}))
        raw = "R|P|a|2|constructor|N1"
        shown = 'R|U|a|1|{"l":[]}+'
        self.assertEqual(self.say_text(self.old("a"), raw + "+"), [shown, f"R|E|INVALID_MESSAGE_DATA|{raw}+"])
        # Without the second message the callback of the write would wait for ever.
        raw += '|{"writeSuccess":true}'
        self.assertEqual(
            self.say_text(self.old("a"), raw + "+"),
            [shown, f"R|E|INVALID_MESSAGE_DATA|{raw}+", "R|WA|a|[2]|Sthe key constructor is forbidden in a path+"],
        )
        self.assert_stored("a", 1, {"l": []})

    def test_no_room(self) -> None:
        """
        A write that is too large to be read for lack of memory fails, the callback of its client hears of that, and the
        client is told the truth. The next write is good.
        """

        def exhausted(data: object) -> None:
            raise NoRoom

        self.have("a", 1, {"n": 1})
        ann = self.young("a")
        reads = {name: getattr(record, name) for name in ("loads", "value_of")}
        for name in reads:
            self.patch(record, name, exhausted)
        request = update("a", 2, {})
        wanting_ack(request)
        truth, refusal = self.say(ann, request)
        self.assertEqual((refusal.action, refusal.correlation_id), (A.RECORD_UPDATE_ERROR, "1"))
        self.assertEqual(truth, update("a", 1, {"n": 1}))
        self.assertEqual(
            self.say_text(self.old("a"), 'R|U|a|2|{}|{"writeSuccess":true}+'),
            ['R|U|a|1|{"n":1}+', "R|E|RECORD_UPDATE_ERROR|2+", "R|WA|a|[2]|Snot enough memory+"],
        )
        for name, read in reads.items():
            self.patch(record, name, read)
        self.say(ann, update("a", 2, {}))
        self.assert_stored("a", 2, {})

    def test_not_a_number(self) -> None:
        """
        What JSON has no number for is null.
        """
        self.have("a", 0, {})
        self.say_text(self.old(), "R|P|a|1|x|Nabc+")
        self.assert_stored("a", 1, {"x": None})

    def test_excluded(self) -> None:
        """
        What is excluded from the storage is in the cache alone.
        """
        self.serve(storage_exclusion_prefixes=("tmp/",))
        ann = self.young()
        self.assertEqual(
            self.say(ann, wanting_ack(ask(A.CREATEANDUPDATE, "tmp/a", b"{}", version=-1))), [written("tmp/a")]
        )
        self.say(ann, ask(A.DELETE, "tmp/a"), ask(A.READ, "tmp/a"))
        self.assertEqual(self.storage.calls, [])

    def test_without_storage(self) -> None:
        """
        Without a storage the cache is all there is.
        """
        self.serve(storage=False)
        self.assertEqual(
            self.say(self.young(), wanting_ack(ask(A.CREATEANDUPDATE, "a", b"{}", version=-1))), [written("a")]
        )
        self.assertEqual(self.cache.records, {"a": Record(1, {})})

    def test_w3_null_and_length(self) -> None:
        """
        W3: writing below null replaces it; the length of an array, and indexes beyond reason, are refused.
        """
        self.have("a", 0, {"n": None, "l": [1]})
        ann = self.young()
        self.assertEqual(self.say(ann, patch("a", 1, "n.x", 1)), [])
        for path in ("l.length", "l[4000000000]"):
            (answer,) = self.say(ann, patch("a", 2, path, "x"))
            self.assertEqual(answer.action, A.INVALID_MESSAGE_DATA)
        (answer,) = self.say(ann, ask(A.ERASE, "a", path="l.length", version=2))
        self.assertEqual(answer.action, A.INVALID_MESSAGE_DATA)
        self.assert_stored("a", 1, {"n": {"x": 1}, "l": [1]})

    def test_w9_no_path(self) -> None:
        """
        W9: a path without anything in it replaces nothing, and writes no key "undefined".
        """
        self.have("a", 0, {"x": 1})
        for path in ("", " ", ".", ".."):
            (answer,) = self.say(self.young(), patch("a", 1, path, 5))
            self.assertEqual(answer.action, A.INVALID_MESSAGE_DATA)
        self.assert_stored("a", 0, {"x": 1})

    def test_w10_ahead(self) -> None:
        """
        W10: a version too high is an error that says so, behind the truth; text clients get the conflict.
        """
        self.have("a", 3, {"x": 1})
        ann = self.young("a")
        request = wanting_ack(patch("a", 9, "x", 2))
        truth, refusal = self.say(ann, request)
        self.assertEqual(
            (refusal.action, refusal.is_error, refusal.is_write_ack, refusal.correlation_id, refusal.version),
            (A.INVALID_VERSION, True, True, "1", 3),
        )
        self.assertEqual(truth, update("a", 3, {"x": 1}))
        self.assertEqual(self.say_text(self.old("a"), "R|P|a|9|x|N2+"), ['R|E|VERSION_EXISTS|a|3|{"x":1}+'])

    def test_w10_not_subscribed(self) -> None:
        """
        W10: who is not subscribed gets no truth, which it would complain of.
        """
        self.have("a", 3, {"x": 1})
        (refusal,) = self.say(self.young(), update("a", 9, {}))
        self.assertEqual(refusal.action, A.INVALID_VERSION)

    def test_w11_conflict_settles_the_callback(self) -> None:
        """
        W11: after VERSION_EXISTS an error ends the wait of a v4+ writer for its acknowledgement; text clients get an
        acknowledgement that says so, before they merge and call that a success.
        """
        self.have("a", 3, {"x": 1})
        request = wanting_ack(update("a", 3, {"x": 2}))
        self.assertEqual(self.say(self.young("a"), request), [exists(request, 3, '{"x":1}'), failed(request)])
        conflict = 'R|E|VERSION_EXISTS|a|3|{"x":1}+'
        answers = ["R|WA|a|[3]|Sanother version of a exists+", conflict]
        self.assertEqual(self.say_text(self.old("a"), 'R|U|a|3|{"x":2}|{"writeSuccess":true}+'), answers)

    def test_too_large(self) -> None:
        """
        No write makes a record larger than it may be, whole or by path, at once or little by little; the writer is told
        what is true. It may be made smaller again.
        """
        self.serve(max_size=1000)
        self.have("a", 0, {})
        ann = self.young("a")
        large = update("a", 1, {"x": "y" * 1000})
        refusal = large.error(A.INVALID_MESSAGE_DATA)
        answers = self.say(ann, large)
        self.assertEqual([answer.action for answer in answers], [A.UPDATE, refusal.action])
        for action, fields in (
            (A.PATCH, {"path": "x[300]", "data": b"1"}),
            (A.PATCH, {"path": "x", "data": dumps("y" * 1000)}),
            (A.PATCH_MULTI, {"data": dumps([{"path": "x[300]", "data": 1}])}),
        ):
            answers = self.say(ann, ask(action, "a", version=1, **fields))
            self.assertEqual([answer.action for answer in answers], [A.UPDATE, A.INVALID_MESSAGE_DATA])
        version = 0
        for version in range(1, 1000):
            if self.say(ann, patch("a", version, f"k{version}", "value")):
                break
        data = self.cache.records["a"].data
        self.assertLessEqual(len(dumps(data)), 1000)
        self.assertGreater(len(dumps({**data, f"k{version}": "value"})), 1000)
        self.assertEqual(self.say(ann, update("a", version, {}), patch("a", version + 1, "x[100]", 1)), [])

    def test_too_large_after_a_failure(self) -> None:
        """
        What a failed write would have made of a record says nothing about how large it is.
        """
        self.serve(max_size=1000)
        self.have("a", 1, {"x": "y" * 900})
        ann = self.young("a")
        self.storage.outcome = "fails"
        self.say(ann, update("a", 2, {}))
        self.storage.outcome = "ok"
        self.clock.advance(60)
        ann.take()
        large = patch("a", 2, "z", "y" * 200)
        answers = self.say(ann, large)
        self.assertEqual([answer.action for answer in answers], [A.UPDATE, A.INVALID_MESSAGE_DATA])
        self.expect_complaints()

    def test_ack_of_what_is_deleted(self) -> None:
        """
        A client of v2 that has destroyed its record since it wrote throws on the acknowledgement: it gets the error
        alone. Whoever never held the record gets both.
        """
        self.have("a", 1, {})
        old, other, ann = self.old("a"), self.old(), self.young()
        self.say(ann, ask(A.DELETE, "a"))
        old.take()
        write = 'R|U|a|2|{"x":1}|{"writeSuccess":true}+'
        error = "R|E|RECORD_UPDATE_ERROR|2+"
        self.assertEqual(self.say_text(old, write), [error])
        self.assertEqual(len(self.say_text(other, write)), 2)

    def test_conflict_known_by_the_news(self) -> None:
        """
        A JavaScript client of v4+ merges when the news of the other write reach it, and VERSION_EXISTS would undo that:
        only the wait for an acknowledgement is ended. Who is not subscribed gets no news, and VERSION_EXISTS.
        """
        self.have("a", 3, {"x": 1})
        ann, bob = self.young("a"), self.young()
        ann.dialect = bob.dialect = JAVASCRIPT
        self.assertEqual(self.say(ann, update("a", 3, {"x": 2})), [])
        request = wanting_ack(update("a", 3, {"x": 2}))
        self.assertEqual(self.say(ann, request), [failed(request)])
        self.assertEqual(self.say(bob, request), [exists(request, 3, '{"x":1}'), failed(request)])

    def test_believes_that_there_is_no_record(self) -> None:
        """
        A client that writes version 0 believes that there is no record. No news correct that, so it is sent the record.
        """
        self.have("a", 3, {"x": 1})
        ann = self.young("a")
        ann.dialect = JAVASCRIPT
        request = wanting_ack(update("a", 0, {"x": 2}))
        answers = [exists(request, 3, '{"x":1}'), update("a", 3, {"x": 1}), failed(request)]
        self.assertEqual(self.say(ann, request), answers)

    def test_wrote_before_the_answer(self) -> None:
        """
        So does a text client that comes back, and writes while its request for the record waits for a slow storage.
        """
        self.have("a", 5, {"bob": 5})
        self.storage.delay = 1.0
        self.say(self.young("a"), update("a", 6, {"bob": 6}))
        ann = self.old()
        self.assertEqual(self.say_text(ann, 'R|CR|a+R|U|a|7|{"ann":7}+'), [])
        self.clock.advance(1.0)
        self.assertEqual(ann.take(), ["R|A|S|a+", 'R|R|a|6|{"bob":6}+'])
        self.clock.advance(1.0)
        self.assertEqual(ann.take(), [])
        self.clock.advance(QUIET_SECONDS)
        self.assertEqual(ann.take(), ['R|U|a|7|{"ann":7}+'])

    def test_path_with_separators(self) -> None:
        """
        Text clients are told of a path that the protocol cannot carry as the whole record, where JSON escapes it.
        """
        for separator, escape in (("\x1e", "\\u001e"), ("\x1f", "\\u001f")):
            self.have("a", 1, {})
            ann, old = self.young("a"), self.old("a")
            self.say(ann, patch("a", 2, f"b{separator}c", 1))
            self.assertEqual(old.take(), [f'R|U|a|2|{{"b{escape}c":1}}+'])
            self.say(ann, patch("a", 3, "b", f"x{separator}"))
            self.assertEqual(old.take(), [f'R|P|a|3|b|O"x{escape}"+'])

    def test_w26_data_is_nobodys_to_change(self) -> None:
        """
        W26: what the stores hold is never changed: each write makes data of its own.
        """
        self.have("a", 0, {"x": {"y": []}})
        before = self.cache.records["a"].data
        self.say(self.young(), patch("a", 1, "x.y[0]", 1), patch("a", 2, "x.length.z", 1), patch("a", 3, "x.y.z", 1))
        self.assertEqual(before, {"x": {"y": []}})
        self.assert_stored("a", 2, {"x": {"y": [1], "length": {"z": 1}}})

    def test_w49_absent_is_not_falsy(self) -> None:
        """
        W49: nothing, null, false, 0 and the empty text are five different things, for both generations.
        """
        self.have("a", 0, {})
        bob, cat = self.young("a"), self.old("a")
        values: list[tuple[Any, str]] = [(None, "L"), (False, "F"), (0, "N0"), ("", "S")]
        for version, (value, typed) in enumerate(values, 1):
            self.say(self.young(), patch("a", version, "x", value))
            self.assertEqual(self.cache.records["a"].data, {"x": value})
            self.assertEqual(
                (bob.take(), cat.take()), ([patch("a", version, "x", value)], [f"R|P|a|{version}|x|{typed}+"])
            )
        self.say(self.young(), ask(A.PATCH, "a", version=5, path="x"))
        self.assert_stored("a", 5, {})
        self.assertEqual(cat.take(), ["R|P|a|5|x|U+"])


@for_each_requester
class HotPathTests(RecordTestCase):
    """
    Records with a hot-path prefix.
    """

    def setUp(self) -> None:
        self.serve(storage_hot_path_prefixes=("hot/",), storage_exclusion_prefixes=("hot/tmp",))

    def test_w24_versions_are_kept(self) -> None:
        """
        W24: setting a hot record asks for no version, but makes the next one, in order, and is checked like any other.
        """
        bob = self.young("hot/a")
        ann = self.young()
        self.assertEqual(
            self.say(ann, wanting_ack(ask(A.CREATEANDUPDATE, "hot/a", b'{"x":1}', version=7))), [written("hot/a")]
        )
        self.say(ann, ask(A.CREATEANDUPDATE, "hot/a", b'{"x":2}', version=-1))
        self.assertEqual(bob.take(), [update("hot/a", 1, {"x": 1}), update("hot/a", 2, {"x": 2})])
        (answer,) = self.say(ann, ask(A.CREATEANDUPDATE, "hot/a", b"1", version=-1))
        self.assertEqual(answer.action, A.INVALID_MESSAGE_DATA)
        self.assert_stored("hot/a", 2, {"x": 2})

    def test_w24_exclusion_holds(self) -> None:
        """
        W24: what is excluded from the storage is so on the hot path too.
        """
        self.say(self.young(), ask(A.CREATEANDUPDATE, "hot/tmp", b"{}", version=-1))
        self.assertEqual(self.storage.calls, [])

    def test_no_paths(self) -> None:
        """
        Paths of hot records cannot be set, and that is an error.
        """
        request = wanting_ack(ask(A.CREATEANDPATCH, "hot/a", b"1", version=-1, path="x"))
        self.assertEqual(self.say(self.young(), request), [request.error(A.INVALID_PATCH_ON_HOTPATH)])
        self.assertEqual(
            self.say_text(self.old(), "R|CU|hot/a|-1|x|N1|{}+"),
            ["R|E|INVALID_MESSAGE_DATA|unable to patch record data on hot path+"],
        )
        self.assert_gone("hot/a")


@for_each_requester
class InstantWriteTests(WriteTests):
    """
    All of L{WriteTests}, with a cache that does without Deferreds and a storage behind it.
    """

    instant = True


@for_each_requester
class CallbackWriteTests(InstantWriteTests):
    """
    All of L{WriteTests}, with such a cache and a storage that writes without Deferreds.
    """

    callbacks = True


@for_each_requester
class MemoryOnlyTests(RecordTestCase):
    """
    Writes to records that are only in a cache that does without Deferreds: the fast path.
    """

    instant = True

    def setUp(self) -> None:
        self.serve(storage=False)

    def test_write(self) -> None:
        """
        A write is kept and told; a late one is refused; the cache is asked for nothing else.
        """
        self.have("a", 3, {"x": 1})
        ann, bob = self.young("a"), self.young("a")
        late = update("a", 3, {"x": 2})
        self.assertEqual(self.say(ann, update("a", 4, {"x": 2}), late), [exists(late, 4, '{"x":2}')])
        self.assertEqual(self.cache.records["a"], Record(4, {"x": 2}))
        self.assertEqual(bob.take(), [update("a", 4, {"x": 2})])
        self.assertEqual(self.cache.calls, [("get", "a"), ("set", "a", 4), ("get", "a")])

    def test_busy(self) -> None:
        """
        A cache that is busy for once is asked in the usual way, and writes keep their order.
        """
        self.have("a", 0, {})
        ann, bob = self.young("a"), self.young("a")
        self.cache.delay = 1.0
        self.say(ann, update("a", 1, {"x": 1}))
        self.cache.delay = 0.0
        self.say(ann, update("a", 2, {"x": 2}))
        self.assertEqual(bob.take(), [])
        for _ in range(3):
            self.clock.advance(1.0)
        self.assertEqual(bob.take(), [update("a", 1, {"x": 1}), update("a", 2, {"x": 2})])
        self.assertEqual(self.cache.records["a"], Record(2, {"x": 2}))

    def test_refused_to_keep(self) -> None:
        """
        So is one that can tell at once what it holds, but not keep it.
        """
        self.have("a", 0, {})
        bob = self.young("a")
        self.cache.behave = lambda operation, name: (0.0 if operation == "get" else 1.0, "ok")
        self.say(self.young("a"), update("a", 1, {"x": 1}))
        self.assertEqual(bob.take(), [])
        self.clock.advance(1.0)
        self.assertEqual(bob.take(), [update("a", 1, {"x": 1})])

    def test_rule_that_waits(self) -> None:
        """
        A permission may take its time; the write follows it.
        """
        self.have("a", 0, {})
        decision: Deferred[bool] = Deferred()
        self.rules.rule = lambda message, record: decision
        self.say(self.young("a"), update("a", 1, {"x": 1}))
        self.assertEqual(self.cache.records["a"].version, 0)
        decision.callback(True)
        self.assertEqual(self.cache.records["a"].version, 1)

    def test_excluded(self) -> None:
        """
        With a storage, the same holds for what is excluded from it.
        """
        self.serve(storage_exclusion_prefixes=("tmp/",))
        self.have("tmp/a", 0, {})
        self.storage.calls.clear()
        self.say(self.young(), update("tmp/a", 1, {"x": 1}))
        self.assertEqual(self.cache.records["tmp/a"], Record(1, {"x": 1}))
        self.assertEqual(self.storage.calls, [])


@for_each_requester
class CallbackStorageTests(RecordTestCase):
    """
    Writes to records of a storage that writes without Deferreds: the other fast path.
    """

    instant = True
    callbacks = True

    def setUp(self) -> None:
        super().setUp()
        self.have("a", 0, {"x": 0})
        self.storage.delay = 1.0

    def test_no_coroutine(self) -> None:
        """
        A write that need not wait for anything but the storage is served without a coroutine.
        """
        self.patch(RecordWriter, "serve", None)
        ann, bob = self.young("a"), self.young("a")
        self.assertEqual(self.say(ann, wanting_ack(patch("a", 1, "x", 1))), [])
        self.assertEqual((bob.take(), self.cache.records["a"].version), ([], 0))
        self.clock.advance(1.0)
        self.assertEqual((ann.take(), bob.take()), ([written("a")], [patch("a", 1, "x", 1)]))
        self.assert_stored("a", 1, {"x": 1})

    def test_fails(self) -> None:
        """
        If the storage fails, the writer is told so, and is sent the record as it is. Its next write is good.
        """
        ann, bob = self.young("a"), self.young("a")
        self.storage.outcome = "fails"
        write = wanting_ack(patch("a", 1, "x", 1))
        self.storage.delay = 0.5
        self.say(ann, write)
        self.storage.outcome = "ok"
        self.clock.pump([0.5, 0.5])
        self.assertEqual(ann.take(), [failed(write), update("a", 0, {"x": 0})])
        self.assertEqual(bob.take(), [])
        self.say(ann, patch("a", 1, "x", 2))
        self.clock.advance(0.5)
        self.assert_stored("a", 1, {"x": 2})
        self.expect_complaints()

    def test_late(self) -> None:
        """
        If the storage answers too late, the record is read again. The answer that comes after all changes nothing.
        """
        ann, bob = self.young("a"), self.young("a")
        self.storage.delay = self.settings.write_timeout + 0.5
        write = wanting_ack(patch("a", 1, "x", 1))
        self.say(ann, write, patch("a", 2, "x", 2))
        self.storage.delay = 0.0
        self.clock.advance(self.settings.write_timeout)
        self.assertEqual((ann.take()[:1], bob.take()), ([failed(write)], []))
        self.clock.advance(0.5)
        self.assert_stored("a", 2, {"x": 2})
        self.assertEqual([message.version for message in bob.take()], [1, 2])
        self.expect_complaints()

    def test_refused_to_keep(self) -> None:
        """
        A cache that can tell at once what it has, but not keep it, is waited for.
        """
        ann, bob = self.young("a"), self.young("a")
        self.cache.behave = lambda operation, name: (0.0 if operation == "get" else 1.0, "ok")
        self.say(ann, wanting_ack(patch("a", 1, "x", 1)))
        self.clock.advance(1.0)
        self.assertEqual((ann.take(), bob.take()), ([], []))
        self.clock.advance(1.0)
        self.assertEqual((ann.take(), bob.take()), ([written("a")], [patch("a", 1, "x", 1)]))
        self.assert_stored("a", 1, {"x": 1})

    def test_cache_fails(self) -> None:
        """
        If that fails, the write fails.
        """
        ann = self.young("a")
        self.cache.behave = lambda operation, name: (0.0, "ok") if operation == "get" else (1.0, "fails")
        write = wanting_ack(patch("a", 1, "x", 1))
        self.say(ann, write)
        self.clock.advance(1.0)
        self.clock.advance(1.0)
        self.assertEqual(ann.take()[:1], [failed(write)])
        self.service.stop()
        self.expect_complaints()

    def test_raises(self) -> None:
        """
        A storage that raises an exception has failed.
        """
        ann = self.young("a")

        def submit(*arguments: object) -> None:
            raise RuntimeError("broken")

        self.patch(FakeCallbackStore, "submit", submit)
        self.serve()
        self.have("a", 0, {"x": 0})
        write = wanting_ack(patch("a", 1, "x", 1))
        self.assertEqual(self.say(ann, write)[:1], [failed(write)])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_broken(self) -> None:
        """
        A client whose write cannot be told of is disconnected. The requests behind the write are served.
        """
        ann, bob = self.young(), self.young()
        works = RecordNews.written
        self.patch(RecordNews, "written", lambda *arguments: 1 // 0)
        self.serve()
        self.have("a", 0, {"x": 0})
        self.storage.delay = 1.0
        self.say(ann, patch("a", 1, "x", 1))
        self.say(bob, ask(A.READ, "a"))
        self.clock.advance(1.0)
        self.patch(RecordNews, "written", works)
        self.assertEqual(ann.reason, "internal error")
        self.assertEqual(bob.take(), [read_response("a", 1, {"x": 1})])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_bounds(self) -> None:
        """
        A write under way counts as a queued one: for the bytes of its sender, and for the end of the service.
        """
        self.serve(max_pending_bytes=300)
        self.have("a", 0, {"x": 0})
        self.have("b", 0, {"x": 0})
        self.storage.delay = 1.0
        ann = self.young()
        self.say(ann, patch("a", 1, "x", 1))
        self.assertFalse(ann.paused)
        self.say(ann, patch("b", 1, "x", 1))
        self.assertTrue(ann.paused)
        stopped = self.service.stop()
        self.assertNoResult(stopped)
        self.clock.advance(1.0)
        self.assertFalse(ann.paused)
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_timer(self) -> None:
        """
        The time-outs of all writes under way share one timer.
        """
        self.clock.advance(10.0)
        ann = self.young()
        for number in range(100):
            self.have(f"r{number}", 0, {"x": 0})
        self.storage.outcome = "hangs"
        self.storage.delay = 0.0
        self.say(ann, *(patch(f"r{number}", 1, "x", 1) for number in range(100)))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)


@for_each_requester
class SlowStoreTests(RecordTestCase):
    """
    Writes while the stores take their time.
    """

    def setUp(self) -> None:
        super().setUp()
        self.have("a", 9, {"x": 0})
        self.storage.delay = 1.0

    def test_nobody_knows_before_the_stores(self) -> None:
        """
        Neither subscribers nor readers nor the writer hear of a write before both stores have it.
        """
        self.cache.delay = 0.5
        ann, bob = self.young("a"), self.young("a")
        self.say(ann, wanting_ack(update("a", 10, {"x": 1})), ask(A.READ, "a"))
        self.clock.pump([0.5, 0.5, 0.5 - 1 / 64])
        self.assertEqual((ann.take(), bob.take()), ([], []))
        self.clock.pump([0.5, 0.5, 0.5])
        self.assertEqual(ann.take(), [written("a"), read_response("a", 10, {"x": 1})])
        self.assertEqual(bob.take(), [update("a", 10, {"x": 1})])

    def test_committed_together(self) -> None:
        """
        Writes that came while the storage was busy are told one by one, and stored in one go.
        """
        ann, bob = self.young(), self.young("a")
        self.say(ann, *(patch("a", version, "x", version) for version in range(10, 15)))
        self.clock.pump([1.0] * 3)
        self.assertEqual(bob.take(), [patch("a", version, "x", version) for version in range(10, 15)])
        self.assertEqual(self.storage.calls, [("set", "a", 10), ("set", "a", 14)])
        self.assert_stored("a", 14, {"x": 14})

    def test_w12_stale_writer_harms_nobody(self) -> None:
        """
        W12: while a record is loaded, a stale writer and those who say "whatever is next" do not get others refused.
        """
        self.cache.records.clear()
        ann, bob = self.young(), self.young()
        stale = update("a", 5, {})
        self.say(ann, stale)
        self.say(bob, update("a", 10, {"x": 10}), update("a", -1, {"x": 11}), update("a", 12, {"x": 12}))
        self.clock.pump([1.0] * 4)
        self.assertEqual((ann.take(), bob.take()), ([exists(stale, 9, '{"x":0}')], []))
        self.assert_stored("a", 12, {"x": 12})

    def test_w15_each_gets_its_own(self) -> None:
        """
        W15: of several writers that wait for a slow storage, each gets its own acknowledgement.
        """
        ann, bob, cat = self.young(), self.young(), self.old()
        self.say(ann, wanting_ack(update("a", 10, {}), "7"))
        self.say(bob, wanting_ack(update("a", 11, {}), "8"))
        self.say_text(cat, 'R|U|a|12|{}|{"writeSuccess":true}+')
        self.clock.pump([1.0] * 3)
        self.assertEqual(
            (ann.take(), bob.take(), cat.take()), ([written("a", "7")], [written("a", "8")], ["R|WA|a|[12]|L+"])
        )

    def test_w27_same_turn(self) -> None:
        """
        W27: two writes of one record in one turn are both served, and both acknowledged.
        """
        ann = self.young()
        self.say(ann, wanting_ack(update("a", 10, {}), "7"), wanting_ack(update("a", 11, {}), "8"))
        self.clock.pump([1.0] * 3)
        self.assertEqual(ann.take(), [written("a", "7"), written("a", "8")])

    def test_one_winner(self) -> None:
        """
        Of two that write the same version while the storage is busy, the first wins.
        """
        ann, bob = self.young("a"), self.young("a")
        late = update("a", 10, {"bob": 1})
        self.say(ann, update("a", 10, {"ann": 1}))
        self.say(bob, late)
        self.clock.pump([1.0] * 3)
        self.assertEqual(bob.take(), [update("a", 10, {"ann": 1}), exists(late, 10, '{"ann":1}')])
        self.assertEqual(ann.take(), [])

    def test_writer_left(self) -> None:
        """
        What a client wrote before it left is written.
        """
        ann, bob = self.young(), self.young("a")
        self.say(ann, update("a", 10, {}), wanting_ack(update("a", 11, {})))
        ann.close()
        self.clock.pump([1.0] * 3)
        self.assertEqual(len(bob.take()), 2)
        self.assertEqual(ann.take(), [])
        self.assert_stored("a", 11, {})


@for_each_requester
class InstantSlowStoreTests(SlowStoreTests):
    """
    All of L{SlowStoreTests}, with a cache that does without Deferreds and a storage that writes without them.
    """

    instant = True
    callbacks = True
