"""
Writing records: who wins, who is told, and what happens when the stores do not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from dstwist import record
from dstwist.errors import RuleError, StoreError
from dstwist.interfaces import IPermission, IWire, Record
from dstwist.protocol.constants import RecordAction
from dstwist.protocol.dialect import JAVASCRIPT
from dstwist.protocol.jsontext import NoRoom, dumps
from dstwist.protocol.message import Message
from dstwist.services.record.reminders import MEMORY, QUIET
from tests.fakes import FakeConnection
from tests.services.record.stage import (
    A,
    ReadableWire,
    RecordTestCase,
    Rules,
    ask,
    patch,
    read_response,
    update,
    wanting_ack,
    written,
)


def failed(message: Message) -> Message:
    """
    What a v4+ client is told of a write that was not done.
    """
    return message.error(A.RECORD_UPDATE_ERROR)


def exists(message: Message, version: int, value: str, action: RecordAction = A.UPDATE) -> Message:
    """
    What a v4+ client is told of a write that came too late.
    """
    return ask(
        A.VERSION_EXISTS,
        message.name,
        value.encode(),
        version=version,
        original_action=action,
        correlation_id=message.correlation_id,
        is_write_ack=message.is_write_ack,
    )


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


class WriteTests(RecordTestCase):
    """
    Writes, with stores that answer at once.
    """

    def test_update(self) -> None:
        """
        A write of the next version is kept, and told to all others, here and elsewhere.
        """
        self.have("a", 3, {"x": 1})
        ann, bob, cat = self.young("a"), self.young("a"), self.old("a")
        self.assertEqual(self.say(ann, update("a", 4, {"x": 2})), [])
        self.assert_stored("a", 4, {"x": 2})
        self.assertEqual(bob.take(), [update("a", 4, {"x": 2})])
        self.assertEqual(cat.take(), ['R|U|a|4|{"x":2}+'])
        self.assertEqual(self.cluster.published, [update("a", 4, {"x": 2})])

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
        conflict = 'R|E|VERSION_EXISTS|a|3|{"x":1}|{"writeSuccess":true}+'
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

    def test_conflict_of_who_came_back(self) -> None:
        """
        A client that comes back and subscribes without reading may believe anything, also after it has read the record:
        in a conflict it gets VERSION_EXISTS and what is true, until a write of its own is accepted, and that not soon
        after one that was not.
        """
        self.have("a", 3, {"x": 1})
        ann = self.young()
        ann.dialect = JAVASCRIPT
        late = update("a", 3, {"x": 2})
        truth = update("a", 3, {"x": 1})
        for subscription in (A.SUBSCRIBE, A.SUBSCRIBEANDHEAD):
            self.say(ann, ask(subscription, names=("a",)))
            self.assertEqual(self.say(ann, late), [exists(late, 3, '{"x":1}'), truth])
            self.assertEqual(self.say(ann, late), [exists(late, 3, '{"x":1}'), truth])
            self.say(ann, ask(A.READ, "a"))
            self.assertEqual(self.say(ann, late), [exists(late, 3, '{"x":1}'), truth])
            self.clock.advance(MEMORY)
            self.say(ann, update("a", 4, {"x": 1}))
            self.assertEqual(self.say(ann, late), [])
            self.say(ann, ask(A.UNSUBSCRIBE, names=("a",)))
            self.have("a", 3, {"x": 1})

    def test_won_by_accident(self) -> None:
        """
        A client lost, and what it had sent right behind was accepted as the next version. By the news of the winner it
        gives up both: so when it has not written for a while it is told what is true. Others are told as ever.
        """
        self.have("a", 1, {"start": 1})
        ann, bob = self.young("a"), self.young("a")
        ann.dialect = JAVASCRIPT
        self.say(bob, update("a", 2, {"bob": 1}))
        self.assertEqual(ann.take(), [update("a", 2, {"bob": 1})])
        self.assertEqual(self.say(ann, update("a", 2, {"ann": 1}), update("a", 3, {"ann": 2})), [])
        self.assertEqual(bob.take(), [update("a", 3, {"ann": 2})])
        self.clock.advance(QUIET)
        self.assertEqual(ann.take(), [update("a", 3, {"ann": 2})])
        self.clock.advance(MEMORY)
        self.assertEqual(ann.take() + bob.take(), [])

    def test_won_by_accident_and_lost_again(self) -> None:
        """
        While it is not sure what such a client believes, the news do not tell it why its next write is refused.
        """
        self.have("a", 1, {"start": 1})
        ann, bob = self.young("a"), self.young("a")
        ann.dialect = JAVASCRIPT
        self.say(bob, update("a", 2, {"bob": 1}))
        self.say(ann, update("a", 2, {"ann": 1}), update("a", 3, {"ann": 2}))
        late = update("a", 3, {"ann": 3})
        ann.take()
        self.assertEqual(self.say(ann, late), [exists(late, 3, '{"ann":2}'), update("a", 3, {"ann": 2})])
        self.clock.advance(QUIET + MEMORY)
        self.assertEqual(ann.take(), [])

    def test_won_by_accident_after_other_failures(self) -> None:
        """
        It does not matter why the first of the two writes was not done.
        """
        for refused, rule in (
            (update("a", 2, {"ann": 1}), lambda message, record: message.version != 2),
            (patch("a", 2, "", 1), lambda message, record: True),
            (update("a", 9, {"ann": 1}), lambda message, record: True),
        ):
            self.have("a", 1, {"start": 1})
            ann, bob = self.young("a"), self.young()
            self.rules.rule = rule
            self.say(ann, refused)
            self.rules.rule = lambda message, record: True
            self.say(bob, update("a", 2, {"bob": 1}))
            self.say(ann, update("a", 3, {"ann": 2}))
            ann.take()
            self.clock.advance(QUIET)
            self.assertEqual(ann.take(), [update("a", 3, {"ann": 2})])

    def test_wrote_before_it_was_back(self) -> None:
        """
        A v4+ client that comes back may write before it subscribes again. It takes the refusal for agreement, and so
        does the version that it is told then: so a moment later it is told what is true.
        """
        for action in (A.SUBSCRIBE, A.SUBSCRIBEANDHEAD):
            self.have("a", 5, {"bob": 5})
            ann = self.young()
            ann.dialect = JAVASCRIPT
            late = update("a", 3, {"ann": 3})
            self.assertEqual(self.say(ann, late), [exists(late, 5, '{"bob":5}')])
            self.say(ann, ask(action, names=("a",)))
            self.clock.advance(QUIET)
            self.assertEqual(ann.take(), [update("a", 5, {"bob": 5})])
            self.clock.advance(QUIET + MEMORY)
            self.assertEqual(ann.take(), [])

    def test_wrote_between_two_answers(self) -> None:
        """
        A text client that asks twice for a record, and writes between the answers, goes back to the second: a moment
        later it is told that its write stands.
        """
        self.have("a", 5, {"bob": 5})
        ann = self.old()
        self.say_text(ann, "R|CR|a+R|CR|a+")
        self.assertEqual(self.say_text(ann, 'R|U|a|6|{"ann":6}+'), [])
        self.clock.advance(QUIET)
        self.assertEqual(ann.take(), ['R|U|a|6|{"ann":6}+'])

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
        self.clock.advance(QUIET)
        self.assertEqual(ann.take(), ['R|U|a|7|{"ann":7}+'])

    def test_won_by_accident_and_left(self) -> None:
        """
        Who does not hold the record any more is told nothing of it.
        """
        self.have("a", 1, {})
        ann, bob = self.young("a"), self.young("a")
        for client in (ann, bob):
            self.say(client, update("a", 1, {}), update("a", self.cache.records["a"].version + 1, {}))
        self.say(ann, ask(A.UNSUBSCRIBE, names=("a",)))
        bob.close()
        ann.take()
        self.clock.advance(QUIET)
        self.assertEqual(ann.take(), [])

    def test_stop_with_losers(self) -> None:
        """
        A server that stops waits for nobody to be told.
        """
        self.have("a", 1, {})
        self.say(self.young("a"), update("a", 1, {}), update("a", 2, {}))
        self.successResultOf(self.service.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])

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
        self.clock.advance(QUIET)
        self.assertEqual(old.take(), ['R|U|a|3|{"n":{"x":1},"m":{"0":1}}+'])
        self.assertEqual(ann.take() + bob.take(), [])

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

    def test_who_came_back_is_forgotten(self) -> None:
        """
        Who unsubscribed, or whose record was deleted, holds nothing any more: VERSION_EXISTS alone tells of a conflict.
        """
        ann, bob = self.young(), self.young()
        for ending in (ask(A.UNSUBSCRIBE, names=("a",)), ask(A.DELETE, "a")):
            self.have("a", 3, {"x": 1})
            self.say(ann, ask(A.SUBSCRIBE, names=("a",)))
            self.say(ann if ending.names else bob, ending)
            ann.take()
            self.have("a", 3, {"x": 1})
            late = update("a", 3, {"x": 2})
            self.assertEqual(self.say(ann, late), [exists(late, 3, '{"x":1}')])
        self.say(ann, ask(A.SUBSCRIBE, names=("a",)))
        ann.close()

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


class PermissionTests(RecordTestCase):
    """
    Who may write.
    """

    def test_refused(self) -> None:
        """
        What is not permitted is not written, and its writer is told.
        """
        self.have("a", 0, {})
        self.rules.rule = lambda message, record: False
        request = wanting_ack(update("a", 1, {}))
        self.assertEqual(self.say(self.young(), request), [request.error("MESSAGE_DENIED")])
        self.assertEqual(self.say_text(self.old(), "R|U|a|1|{}+"), ["R|E|MESSAGE_DENIED|a|U|1|{}+"])
        self.assert_stored("a", 0, {})

    def test_broken_rule(self) -> None:
        """
        A rule that fails refuses as well, in its own words.
        """
        self.have("a", 0, {})
        decision: Deferred[bool] = Deferred()
        self.rules.rule = lambda message, record: decision
        ann, request = self.young(), update("a", 1, {})
        self.assertEqual(self.say(ann, request), [])
        decision.errback(RuleError("no such thing"))
        self.assertEqual(ann.take(), [request.error("MESSAGE_PERMISSION_ERROR")])
        self.assert_stored("a", 0, {})

    def test_what_is_asked(self) -> None:
        """
        A plain write needs the permission to write; one that may create needs both, and is asked with what is there.
        """
        self.have("a", 0, {"x": 1})
        ann, there, nothing = self.young(), Record(0, {"x": 1}), Record(-1, None)
        for request, expected in (
            (ask(A.ERASE, "a", path="y", version=9), [(A.ERASE, there)]),
            (ask(A.CREATEANDPATCH, "a", b"1", path="y", version=9), [(A.CREATE, there), (A.PATCH, there)]),
            (ask(A.CREATEANDUPDATE, "b", b"{}", version=9), [(A.CREATE, nothing), (A.UPDATE, nothing)]),
            (wanting_ack(update("b", 9, {})), [(A.CREATE, nothing), (A.UPDATE, nothing)]),
            (wanting_ack(update("a", 9, {})), [(A.UPDATE, there)]),
        ):
            self.rules.asked.clear()
            self.say(ann, request)
            self.assertEqual(self.rules.asked, expected)

    def test_parts_tell_of_the_whole(self) -> None:
        """
        What is asked about a part of a request tells which request that is: a rule may patch what is not there then.
        """
        seen: list[tuple[Any, Any, Any]] = []

        def rule(message: Message, record: Record | None) -> bool:
            seen.append((message.action, message.original_action, message.path))
            return True

        self.rules.rule = rule
        self.say(self.young(), ask(A.CREATEANDPATCH, "a", b"1", version=-1, path="x"), patch("a", 2, "x", 2))
        whole = A.CREATEANDPATCH
        self.assertEqual(seen, [(A.CREATE, whole, "x"), (A.PATCH, whole, "x"), (A.PATCH, None, "x")])

    def all_but(self, part: RecordAction) -> Callable[[Message, Record | None], bool]:
        return lambda message, record: message.action is not part

    def test_refused_in_part(self) -> None:
        """
        If creating or writing is refused, v4+ clients are told of their request, text clients of the part.
        """
        for part, letter in ((A.CREATE, "C"), (A.UPDATE, "U")):
            self.rules.rule = self.all_but(part)
            request = ask(A.CREATEANDUPDATE, "a", b"{}", version=-1)
            self.assertEqual(self.say(self.young(), request), [request.error("MESSAGE_DENIED")])
            self.assertEqual(self.say_text(self.old(), "R|CU|a|-1|{}|{}+"), [f"R|E|MESSAGE_DENIED|a|{letter}+"])
        self.assert_gone("a")

    def test_w8_judged_on_what_is_there(self) -> None:
        """
        W8: the rule for a write sees the data that the write will change, however fast writes follow one another.
        """
        self.have("a", 0, {"x": 0})
        self.storage.delay = 1.0
        decisions: list[Deferred[bool]] = []

        def growing(message: Message, record: Record | None) -> Deferred[bool]:
            assert record is not None and isinstance(message.data, bytes)
            decision: Deferred[bool] = Deferred()
            decisions.append(decision)
            self.clock.callLater(0.1, decision.callback, int(message.data) > record.data["x"])
            return decision

        self.rules.rule = growing
        ann = self.young()
        requests = [patch("a", -1, "x", value) for value in (1, 3, 2, 4)]
        self.say(ann, *requests)
        self.clock.pump([0.1] * 60)
        self.assertEqual(ann.take(), [requests[2].error("MESSAGE_DENIED")])
        self.assert_stored("a", 3, {"x": 4})

    def test_w17_permission_outlasts_the_line(self) -> None:
        """
        W17: a setData whose permission takes longer than all writes before it is done all the same.
        """
        self.have("a", 0, {})
        self.storage.delay = 1.0
        decision: Deferred[bool] = Deferred()
        self.rules.rule = lambda message, record: decision if message.action is A.CREATE else True
        ann = self.young()
        self.say(ann, update("a", 1, {"x": 1}), wanting_ack(ask(A.CREATEANDUPDATE, "a", b'{"x":2}', version=-1)))
        self.clock.pump([1.0] * 5)
        self.assertEqual(ann.take(), [])
        decision.callback(True)
        self.clock.pump([1.0] * 2)
        self.assertEqual(ann.take(), [written("a")])
        self.assert_stored("a", 2, {"x": 2})


class InstantWriteTests(WriteTests):
    """
    All of L{WriteTests}, with a cache that does without Deferreds and a storage behind it.
    """

    instant = True


class MemoryOnlyTests(RecordTestCase):
    """
    Writes to records that are in a cache alone which does without Deferreds: the short way.
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
        self.assertEqual((ann.take(), bob.take(), self.cluster.published), ([], [], []))
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


class FailingStoreTests(RecordTestCase):
    """
    Writes that the stores do not take.
    """

    def setUp(self) -> None:
        super().setUp()
        self.have("a", 9, {"x": 0})
        self.addCleanup(self.flushLoggedErrors, StoreError)

    def fail_once(self, store: Any, outcome: str, operation: str = "set") -> None:
        """
        Have the next operation of a kind fail, and the others not.
        """
        outcomes = [outcome]

        def behave(asked: str, name: str) -> tuple[float, str]:
            return store.delay, outcomes.pop() if outcomes and asked == operation else "ok"

        store.behave = behave

    def test_w13_worst_result(self) -> None:
        """
        W13: a write that one of the stores did not take is not acknowledged, whichever it was and however slow.
        """
        for which in ("storage", "cache"):
            for delay in (0.0, 1.0):
                self.serve(cache_retrieval_timeout=2.0)
                self.have("a", 9, {"x": 0})
                store = getattr(self, which)
                store.delay = delay
                self.fail_once(store, "fails")
                ann, request = self.young(), wanting_ack(update("a", 10, {"x": 1}))
                answers = self.say(ann, request)
                self.clock.pump([0.5] * 10)
                self.assertEqual(answers + ann.take(), [failed(request)], (which, delay))

    def test_w13_cache_failed(self) -> None:
        """
        W13: what the storage took and the cache did not is an error to its writer, and then the truth for all.
        """
        self.fail_once(self.cache, "fails")
        ann, bob, request = self.young("a"), self.young("a"), wanting_ack(update("a", 10, {"x": 1}))
        self.assertEqual(self.say(ann, request), [failed(request), update("a", 10, {"x": 1})])
        self.assertEqual(bob.take(), [update("a", 10, {"x": 1})])
        self.assert_stored("a", 10, {"x": 1})

    def test_w14_storage_failed(self) -> None:
        """
        W14: what the storage did not take is nowhere: its writer gets what is true, subscribers have heard of nothing
        else, and the next writer wins with the same version.
        """
        self.fail_once(self.storage, "fails")
        ann, bob, request = self.young("a"), self.young("a"), update("a", 10, {"x": 1})
        self.assertEqual(self.say(ann, request), [failed(request), update("a", 9, {"x": 0})])
        self.assertEqual(bob.take(), [])
        self.assert_stored("a", 9, {"x": 0})
        self.assertEqual(self.say(bob, wanting_ack(update("a", 10, {"x": 2}))), [written("a")])
        self.assertEqual(ann.take(), [update("a", 10, {"x": 2})])

    def test_in_step(self) -> None:
        """
        Who knows what is true is not told again: its next write may be on its way, and would be taken back by that.
        """
        delays = [0.0, 1.0]
        outcomes = ["ok", "fails"]
        self.storage.behave = lambda operation, name: (
            delays.pop() if delays else 0.0,
            outcomes.pop() if outcomes else "ok",
        )
        ann, bob = self.young("a"), self.young("a")
        lost = update("a", 10, {"ann": 1})
        self.say(ann, lost)
        self.say(bob, update("a", 10, {"bob": 1}))
        self.clock.pump([0.5] * 4)
        self.assertEqual(bob.take(), [])
        self.assertEqual(ann.take(), [failed(lost), update("a", 9, {"x": 0}), update("a", 10, {"bob": 1})])
        self.assert_stored("a", 10, {"bob": 1})

    def test_only_the_affected(self) -> None:
        """
        Writes that were not part of a failed commit go on, and what was refused because of it is decided again.
        """
        outcomes = ["fails", "ok"]
        self.storage.behave = lambda operation, name: (1.0, outcomes.pop() if outcomes else "ok")
        ann, bob = self.young(), self.young()
        second = wanting_ack(update("a", -1, {"ann": 2}), "3")
        self.say(self.young(), update("a", 10, {"cat": 1}))
        lost, again = wanting_ack(update("a", 11, {"ann": 1}), "1"), wanting_ack(update("a", 11, {"bob": 1}), "2")
        self.say(ann, lost)
        self.say(bob, again)
        self.say(ann, second)
        self.clock.pump([0.5] * 20)
        # Those three were committed together: none of ann's was done, and bob, who had lost to her, wins.
        self.assertEqual(ann.take(), [failed(lost), failed(second)])
        self.assertEqual(bob.take(), [written("a", "2")])
        self.assert_stored("a", 11, {"bob": 1})

    def test_mute_storage(self) -> None:
        """
        A storage that does not answer in time is an error to the writer, in time. If it has taken the write all the
        same, everybody gets that.
        """
        self.fail_once(self.storage, "mute")
        ann, bob, request = self.young("a"), self.young("a"), wanting_ack(update("a", 10, {"x": 1}))
        self.say(ann, request)
        self.clock.advance(9.9)
        self.assertEqual(ann.take(), [])
        self.clock.advance(0.2)
        self.assertEqual(ann.take(), [failed(request), update("a", 10, {"x": 1})])
        self.assertEqual(bob.take(), [update("a", 10, {"x": 1})])
        self.assert_stored("a", 10, {"x": 1})

    def test_late_write(self) -> None:
        """
        A write that comes to pass after its time-out does not undo a later one: before it has, there is none.
        """
        delays = [15.0]
        self.storage.behave = lambda operation, name: (delays.pop() if delays else 0.0, "ok")
        ann = self.young("a")
        first, second = [
            wanting_ack(ask(A.CREATEANDUPDATE, "a", value, version=-1), value.decode()) for value in (b"[1]", b"[2]")
        ]
        self.say(ann, first)
        self.clock.advance(10.1)
        self.assertEqual(self.say(ann, second), [failed(first)])
        self.clock.pump([0.5] * 30)
        self.assertEqual(ann.take(), [failed(second), update("a", 10, [1])])
        self.assertEqual(self.say(ann, second), [written("a", "[2]")])
        self.assert_stored("a", 11, [2])

    def test_tried_again(self) -> None:
        """
        What is true is found out, and told, as soon as the stores can say it, even if nobody asks.
        """
        ann, request = self.young("a"), wanting_ack(update("a", 10, {"x": 1}))
        self.storage.outcome = "lost"
        self.assertEqual(self.say(ann, request), [failed(request)])
        self.clock.pump([0.5] * 10)
        self.assertEqual(ann.take(), [])
        self.storage.outcome = "ok"
        self.clock.pump([0.5] * 20)
        self.assertEqual(ann.take(), [update("a", 10, {"x": 1})])
        self.assert_stored("a", 10, {"x": 1})

    def test_unresolved(self) -> None:
        """
        While a record is unresolved, reads and writes fail instead of showing a state that may be undone.
        """
        ann = self.young("a")
        self.storage.outcome = "lost"
        self.say(ann, update("a", 10, {"x": 1}))
        read, write = ask(A.READ, "a"), update("a", 10, {"x": 2})
        answers = self.say(ann, read, write)
        self.assertEqual(answers, [read.error(A.RECORD_LOAD_ERROR, detail=answers[0].detail), failed(write)])
        self.storage.outcome = "ok"
        self.assertEqual(self.say(ann, read), [update("a", 10, {"x": 1}), read_response("a", 10, {"x": 1})])

    def test_w16_load_failed(self) -> None:
        """
        W16: if a record cannot be loaded, every writer that waits for it is told, at once and not one after the other.
        """
        self.cache.records.clear()
        self.storage.outcome = "hangs"
        ann, bob, cat = self.young(), self.young(), self.old()
        requests = [wanting_ack(update("a", version, {})) for version in (10, 11)]
        self.say(ann, requests[0])
        self.say(bob, requests[1], ask(A.READ, "a"))
        self.say_text(cat, 'R|U|a|12|{}|{"writeSuccess":true}+')
        self.clock.advance(2.1)
        self.assertEqual(ann.take(), [failed(requests[0])])
        answer, read = bob.take()
        self.assertEqual((answer, read.action), (failed(requests[1]), A.STORAGE_RETRIEVAL_TIMEOUT))
        self.assertEqual(
            cat.take(),
            ["R|E|STORAGE_RETRIEVAL_TIMEOUT|a+", "R|E|RECORD_UPDATE_ERROR|12+", "R|WA|a|[12]|Sa+"],
        )
        self.storage.outcome = "ok"
        self.assertEqual(self.say(ann, wanting_ack(update("a", 10, {}))), [written("a")])

    def test_text_failure(self) -> None:
        """
        A text client is told which version was not written, and its callback why.
        """
        self.fail_once(self.storage, "fails")
        self.assertEqual(
            self.say_text(self.old(), 'R|U|a|10|{}|{"writeSuccess":true}+'),
            ["R|E|RECORD_UPDATE_ERROR|10+", "R|WA|a|[10]|Sstorage error+"],
        )

    def test_nothing_left(self) -> None:
        """
        A service that was stopped tries nothing again.
        """
        self.storage.outcome = "fails"
        self.say(self.young(), update("a", 10, {}))
        self.successResultOf(self.service.stop())
        self.say(FakeConnection(), update("a", 10, {}))
        self.assertEqual(self.clock.getDelayedCalls(), [])
