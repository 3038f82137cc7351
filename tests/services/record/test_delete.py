"""
Tests for L{dstwist.services.record.delete}.
"""

from __future__ import annotations

from dstwist.interfaces import Record
from dstwist.protocol import text
from dstwist.services.record import delete as record_delete
from dstwist.services.record.acks import ACK_DELAY_SECONDS
from tests.logs import Lines
from tests.requesters import for_each_requester
from tests.services.record.stage import A, RecordTestCase, ask, read_response, update, wanting_ack, written


@for_each_requester
class DeleteTests(RecordTestCase):
    """
    DELETE.
    """

    def setUp(self) -> None:
        super().setUp()
        self.have("a", 7, {"x": 1})

    def test_delete(self) -> None:
        """
        A deleted record is nowhere; whoever deleted it and all subscribers are told, and none is subscribed any more.
        """
        ann, bob, cat = self.young("a"), self.young("a"), self.old("a")
        self.assertEqual(self.say(ann, ask(A.DELETE, "a")), [ask(A.DELETE_SUCCESS, "a")])
        self.assertEqual((bob.take(), cat.take()), ([ask(A.DELETED, "a")], ["R|A|D|a+"]))
        self.assertNotIn("a", self.subscriptions)
        self.assert_gone("a")

    def test_text(self) -> None:
        """
        A text client that deletes is told in the same words.
        """
        self.assertEqual(self.say_text(self.old(), "R|D|a+"), ["R|A|D|a+"])

    def test_acknowledgement_first(self) -> None:
        """
        A client of v2 or v3 gets the acknowledgement of its write before the deletion by another client: after the
        deletion it could not find the callback.
        """
        cat = self.old("a")
        write = text.SERVER.decode('R|U|a|8|{"x":2}|{"writeSuccess":true}+'.replace("|", "\x1f").replace("+", "\x1e"))
        self.say(cat, *write)  # type: ignore[arg-type]
        self.say(self.young(), ask(A.DELETE, "a"))
        self.assertEqual(cat.take(), ["R|WA|a|[8]|L+", "R|A|D|a+"])
        self.clock.advance(ACK_DELAY_SECONDS)
        self.assertEqual(cat.take(), [])

    def test_lost(self) -> None:
        """
        A client of v2 or v3 has a copy of a record that the stores have lost. After the deletion, its late write fails,
        and is not acknowledged.
        """
        cat = self.old("b")
        self.say(self.young(), ask(A.DELETE, "b"))
        self.assertEqual(cat.take(), ["R|A|D|b+"])
        self.assertEqual(self.say_text(cat, 'R|P|b|6|x|N6|{"writeSuccess":true}+'), ["R|E|RECORD_UPDATE_ERROR|6+"])

    def test_missing(self) -> None:
        """
        Deleting what is not there is a success, and ends the subscriptions to it.
        """
        bob = self.young("b")
        self.assertEqual(self.say(self.young(), ask(A.DELETE, "b")), [ask(A.DELETE_SUCCESS, "b")])
        self.assertEqual(bob.take(), [ask(A.DELETED, "b")])
        self.assertNotIn("b", self.subscriptions)

    def test_provider_is_told(self) -> None:
        """
        Who provides a record is told that nobody wants it any more when it is deleted.
        """
        pat = self.young()
        self.young("a")
        self.say(pat, ask(A.LISTEN, "a"), ask(A.LISTEN_ACCEPT, "a", subscription="a"))
        self.say(self.young(), ask(A.DELETE, "a"))
        self.assertEqual(pat.take(), [ask(A.SUBSCRIPTION_FOR_PATTERN_REMOVED, "a", subscription="a")])

    def test_denied(self) -> None:
        """
        The rule for deletions sees what is to be deleted.
        """
        self.rules.rule = lambda message, record: False
        request = ask(A.DELETE, "a")
        self.assertEqual(self.say(self.young(), request), [request.error("MESSAGE_DENIED")])
        self.assertEqual(self.rules.asked, [(A.DELETE, Record(7, {"x": 1}))])
        self.assertEqual(self.say_text(self.old(), "R|D|a+"), ["R|E|MESSAGE_DENIED|a|D+"])
        self.assert_stored("a", 7, {"x": 1})

    def test_let_go(self) -> None:
        """
        A client of v2 or v3 that asks to delete a record drops the record at once: if the deletion fails, the client is
        not subscribed any more, and may subscribe again. A v4+ client stays subscribed.
        """
        ann, bob, cat = self.young("a"), self.young("a"), self.old()
        self.rules.rule = lambda message, record: message.action is not A.DELETE
        self.say_text(cat, "R|CR|a+")
        self.say_text(cat, "R|D|a+")
        self.say(ann, ask(A.DELETE, "a"))
        ann.take()
        self.say(bob, update("a", 8, {"x": 2}))
        self.assertEqual((ann.take(), cat.take()), ([update("a", 8, {"x": 2})], []))
        self.assertEqual(self.say_text(cat, "R|CR|a+"), ["R|A|S|a+", 'R|R|a|8|{"x":2}+'])
        self.storage.behave = lambda operation, name: (0.0, "fails" if operation == "delete" else "ok")
        self.rules.rule = lambda message, record: True
        self.say_text(cat, "R|D|a+")
        self.say(bob, update("a", 9, {"x": 3}))
        self.assertEqual(cat.take(), [])

    def test_created_anew(self) -> None:
        """
        After a deletion the versions of a record go on. The first write of version 1 is accepted all the same: its
        client has not heard of the version. So the client is sent it. Only the first write is accepted like that.
        """
        ann = self.young("a")
        self.say(ann, ask(A.DELETE, "a"))
        get = ask(A.SUBSCRIBECREATEANDREAD, names=("a",))
        first = wanting_ack(update("a", 1, {"y": 1}))
        self.assertEqual(
            self.say(ann, get, first),
            [get.ack(), read_response("a", 8, {}), update("a", 9, {"y": 1}), self.counted_on(9)],
        )
        self.assert_stored("a", 9, {"y": 1})
        self.assertEqual(self.say(ann, update("a", 1, {"y": 2}))[-1].action, A.VERSION_EXISTS)
        self.assert_stored("a", 9, {"y": 1})

    def test_w18_waits_for_its_turn(self) -> None:
        """
        W18: a deletion waits for the writes before it, so that none comes after it; those behind it are answered.
        """
        self.storage.delay = 1.0
        ann, bob, behind = self.young("a"), self.young("a"), update("a", 9, {})
        self.say(ann, wanting_ack(update("a", 8, {})))
        self.say(bob, ask(A.DELETE, "a"))
        self.say(ann, behind)
        self.clock.pump([0.5] * 10)
        self.assertEqual(ann.take(), [written("a"), ask(A.DELETED, "a"), behind.error(A.RECORD_UPDATE_ERROR)])
        self.assertEqual(bob.take(), [update("a", 8, {}), ask(A.DELETE_SUCCESS, "a")])
        self.assert_gone("a")

    def test_storage_failed(self) -> None:
        """
        If it is not deleted, whoever wanted that is told; to the others nothing happened.
        """
        self.storage.behave = lambda operation, name: (0.0, "fails" if operation == "delete" else "ok")
        ann, bob, cat = self.young("a"), self.young("a"), self.old()
        request = ask(A.DELETE, "a")
        error = request.error(A.RECORD_DELETE_ERROR, detail="storage error")
        self.assertEqual(self.say(ann, request), [error])
        self.assertEqual(bob.take(), [])
        self.assertEqual(
            self.say_text(cat, "R|D|a+"), ["R|E|MESSAGE_DENIED|a|D+R|E|RECORD_DELETE_ERROR|storage error+"]
        )
        self.assert_stored("a", 7, {"x": 1})

    def test_hostile_name(self) -> None:
        """
        The name of a record that the stores do not take forges no line of the log.
        """
        lines = Lines(self)
        self.storage.behave = lambda operation, name: (0.0, "fails")
        self.say(self.young(), ask(A.READ, "b\n\x1b[2J" + "x" * 1000))
        self.assertIn("record b??[2Jxxx", lines.last("error"))
        self.assertLess(len(lines.last("error")), 500)
        self.expect_complaints()

    def test_half_deleted(self) -> None:
        """
        What is gone from the storage and, by a failure, not from the cache is gone for good, and all are told.
        """
        outcomes = ["fails"]
        self.cache.behave = lambda operation, name: (
            0.0,
            outcomes.pop() if outcomes and operation == "delete" else "ok",
        )
        bob, request = self.young("a"), ask(A.DELETE, "a")
        (error,) = self.say(self.young(), request)
        self.assertEqual(error, request.error(A.RECORD_DELETE_ERROR, detail="cache error"))
        self.assertEqual(bob.take(), [ask(A.DELETED, "a")])
        self.assert_gone("a")

    def test_timeouts(self) -> None:
        """
        A store that does not answer in time is an error that says so.
        """
        cat = self.old()
        for store, which in ((self.storage, "storage"), (self.cache, "cache")):
            store.behave = lambda operation, name: (0.0, "hangs" if operation == "delete" else "ok")
            self.say_text(cat, "R|D|a+")
            self.clock.advance(10.1)
            self.assertEqual(cat.take(), [f"R|E|MESSAGE_DENIED|a|D+R|E|RECORD_DELETE_ERROR|{which} timeout+"])
            store.behave = lambda operation, name: (0.0, "ok")
        self.cache.outcome = "hangs"
        self.cache.behave = lambda operation, name: (0.0, "hangs")
        self.say_text(cat, "R|D|a+")
        self.clock.advance(1.1)
        self.assertEqual(cat.take(), ["R|E|MESSAGE_DENIED|a|D+R|E|RECORD_DELETE_ERROR|cache timeout+"])

    def test_many_subscribers(self) -> None:
        """
        Very many subscribers are told in a turn of their own. Requests for the record in the meantime are served after
        that.
        """
        self.patch(record_delete, "ONE_TURN_SUBSCRIBERS", 2)
        self.have("a", 3, {})
        ann, bob, cat = self.young("a"), self.young("a"), self.young("a")
        ann.take(), bob.take(), cat.take()
        self.assertEqual(self.say(ann, ask(A.DELETE, "a"), update("a", 4, {}), ask(A.READ, "a")), [])
        self.assertEqual(bob.take(), [])
        self.clock.pump([0.0] * 5)
        answers = [answer.action for answer in ann.take()]
        self.assertEqual(answers, [A.DELETE_SUCCESS, A.RECORD_UPDATE_ERROR, A.RECORD_NOT_FOUND])
        self.assertEqual((bob.take(), cat.take()), ([ask(A.DELETED, "a")], [ask(A.DELETED, "a")]))
        self.assertNotIn("a", self.subscriptions)


@for_each_requester
class StaleWriterTests(RecordTestCase):
    """
    W25: writers of a deleted record, and the next record of its name.
    """

    def setUp(self) -> None:
        super().setUp()
        self.have("a", 7, {"old": 1})
        self.get = ask(A.SUBSCRIBECREATEANDREAD, names=("a",))
        self.head = ask(A.SUBSCRIBEANDHEAD, names=("a",))
        self.bob = self.young("a")

    def delete_and_rewrite(self, versions: int) -> None:
        """
        Have bob delete the record, and make a new one.
        """
        first = self.say(self.bob, ask(A.DELETE, "a"), self.get)[-1].version
        assert first is not None
        self.say(self.bob, *(update("a", first + number, {"new": number}) for number in range(1, versions + 1)))

    def test_w25_offline_client(self) -> None:
        """
        W25: a client that comes back with version 8 of the old record does not overwrite the new one: it is a conflict,
        with the truth behind it, and after that it writes like everybody else.
        """
        self.delete_and_rewrite(7)
        ann = self.young()
        self.say(ann, self.head)
        late = wanting_ack(update("a", 8, {"old": 2}))
        exists, truth, failed = self.say(ann, late)
        self.assertEqual((exists.action, exists.version, exists.data), (A.VERSION_EXISTS, 15, b'{"new":7}'))
        self.assertEqual((failed.action, truth), (A.RECORD_UPDATE_ERROR, update("a", 15, {"new": 7})))
        self.assertEqual(self.say(ann, wanting_ack(update("a", 16, {"merged": 1}))), [written("a")])

    def test_w25_write_on_its_way(self) -> None:
        """
        W25: a write that was on its way when its record was deleted is not taken for one to the next record.
        """
        self.have("a", 0, {})
        ann = self.young("a")
        self.delete_and_rewrite(0)
        ann.take()
        (exists,) = self.say(ann, update("a", 1, {"old": 1}))
        self.assertEqual((exists.action, exists.version), (A.VERSION_EXISTS, 1))
        self.assertEqual(self.say(ann, self.get, update("a", 2, {"new": 1}))[-1], read_response("a", 1, {}))
        self.assert_stored("a", 2, {"new": 1})

    def test_w25_who_read_may_write(self) -> None:
        """
        W25: whoever was told what the new record holds, or never held the old one, writes as usual.
        """
        self.delete_and_rewrite(1)
        ann, cat = self.young(), self.young()
        self.say(ann, self.head, ask(A.READ, "a"))
        self.assertEqual(self.say(ann, wanting_ack(update("a", 10, {}))), [written("a")])
        self.assertEqual(self.say(cat, wanting_ack(update("a", 11, {}))), [written("a")])

    def test_w25_first_version(self) -> None:
        """
        W25: version 1 of a client that may hold the old record is a conflict: it is no first write to the new one.
        """
        self.delete_and_rewrite(0)
        ann = self.young()
        self.say(ann, self.head)
        self.assertEqual(self.say(ann, update("a", 1, {"old": 1}))[0].action, A.VERSION_EXISTS)
        self.assert_stored("a", 8, {})

    def test_w25_first_versions_race(self) -> None:
        """
        W25: if several clients create the record with version 1, the first one wins, also if the deleted record had
        version 0.
        """
        self.have("a", 0, {})
        self.say(self.bob, ask(A.DELETE, "a"))
        create = wanting_ack(ask(A.CREATEANDUPDATE, "a", b'{"new":1}', version=1))
        self.assertEqual(self.say(self.young(), create), [written("a")])
        self.assertEqual(self.say(self.young(), create)[0].action, A.VERSION_EXISTS)
        self.assert_stored("a", 1, {"new": 1})

    def test_w25_many_first_writes(self) -> None:
        """
        W25: no write to the new record makes a version that the deleted one has had, also if many writes create it.
        """
        self.say(self.bob, ask(A.DELETE, "a"))
        self.have("a", 1, {})
        self.say(self.bob, ask(A.DELETE, "a"))
        self.storage.removed["a"] = 1
        watcher = self.young("a")
        self.storage.delay = 1.0
        write = ask(A.CREATEANDUPDATE, "a", b"{}", version=-1)
        self.say(self.young(), write, write, write)
        self.clock.pump([0.5] * 20)
        self.assertEqual([message.version for message in watcher.take()], [3, 4, 5])

    def test_w25_created_by_a_write(self) -> None:
        """
        W25: a write that creates the record counts on as well, with version 1 and without a version. A subscribed
        client is sent the record after version 1, since it believes in that.
        """
        ann = self.young("a")
        for version, kept in ((1, 9), (-1, 11)):
            self.say(self.bob, ask(A.DELETE, "a"))
            self.subscriptions.add("a", ann)
            ann.take()
            write = wanting_ack(ask(A.CREATEANDUPDATE, "a", b'{"new":1}', version=version))
            truth = [update("a", kept, {"new": 1})] if version == 1 else []
            answer = self.counted_on(kept) if version == 1 else written("a")
            self.assertEqual(self.say(ann, write), [*truth, answer])
            self.assert_stored("a", kept, {"new": 1})
