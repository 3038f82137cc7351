"""
Tests for L{dstwist.services.record.updates}: notices of clients, and messages of other nodes. C{test_reconcile} has the
records that are reconciled, and C{test_reminders} and C{test_replicas} have the reminders.
"""

from __future__ import annotations

from dstwist.errors import StoreError
from dstwist.interfaces import Record
from tests.requesters import for_each_requester
from tests.services.record.stage import A, RecordTestCase, ask, update


@for_each_requester
class NotifyTests(RecordTestCase):
    """
    NOTIFY: what was changed in the storage behind the server's back.
    """

    def setUp(self) -> None:
        super().setUp()
        self.have("a", 1, {"x": 1})
        self.have("b", 1, {"x": 1})
        self.request = ask(A.NOTIFY, names=("a", "b"), correlation_id="n")

    def test_changed_and_deleted(self) -> None:
        """
        Subscribers get what is in the storage now, or that it is no more, and then the request is acknowledged.
        """
        ann, cat = self.young("a", "b"), self.old("a", "b")
        self.storage.put("a", 5, {"x": 5})
        del self.storage.records["b"]
        answers = [update("a", 5, {"x": 5}), ask(A.DELETED, "b"), self.request.ack()]
        self.assertEqual(self.say(ann, self.request), answers)
        self.assertEqual(cat.take(), ['R|U|a|5|{"x":5}+', "R|A|D|b+"])
        self.assertNotIn("b", self.subscriptions)
        self.assertEqual(self.cache.records, {"a": Record(5, {"x": 5})})

    def test_late_write_text(self) -> None:
        """
        A text client that was told that the record is no more gets no acknowledgement of a write that it sent before.
        """
        del self.storage.records["b"]
        cat = self.old("b")
        self.say(self.young(), self.request)
        self.assertEqual(cat.take(), ["R|A|D|b+"])
        self.assertEqual(self.say_text(cat, 'R|P|b|2|x|N6|{"writeSuccess":true}+'), ["R|E|RECORD_UPDATE_ERROR|2+"])

    def test_w28_w37_nothing(self) -> None:
        """
        W28, W37: notice of nothing is acknowledged.
        """
        request = ask(A.NOTIFY, correlation_id="n")
        self.assertEqual(self.say(self.young(), request), [request.ack()])

    def test_failed(self) -> None:
        """
        If a record cannot be read anew the request fails, with the reason; the others are read all the same.
        """
        self.storage.put("b", 5, {})
        self.storage.behave = lambda operation, name: (0.0, "fails" if name == "a" else "ok")
        ann = self.young("a", "b")
        news, error = self.say(ann, self.request)
        self.assertEqual(news, update("b", 5, {}))
        self.assertEqual(
            (error.action, error.is_error, error.correlation_id, error.data),
            (A.RECORD_NOTIFY_ERROR, True, "n", b'"error while loading a from storage"'),
        )
        self.flushLoggedErrors(StoreError)

    def test_only_in_the_cache(self) -> None:
        """
        A record that is only in the cache is not lost by a notice.
        """
        self.serve(storage_exclusion_prefixes=("a",))
        self.cache.put("a", 1, {"x": 1})
        ann = self.young("a")
        request = ask(A.NOTIFY, names=("a",))
        self.assertEqual(self.say(ann, request), [update("a", 1, {"x": 1}), request.ack()])

    def test_waits_for_its_turn(self) -> None:
        """
        A notice does not undo a write that is under way.
        """
        self.storage.delay = 1.0
        ann, bob = self.young(), self.young("a")
        self.say(ann, update("a", 2, {"x": 2}), ask(A.NOTIFY, names=("a",)))
        self.clock.pump([1.0] * 3)
        self.assertEqual(bob.take(), [update("a", 2, {"x": 2})] * 2)
