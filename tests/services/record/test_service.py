"""
Tests for L{dstwist.services.record.service}: the RECORD topic as a whole, changes by others, listening, the end.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from dstwist.interfaces import ITopicService, Record
from dstwist.protocol.constants import FROM_CLIENT, RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.services.record.service import RecordService
from tests.requesters import for_each_requester
from tests.services.record.stage import A, RecordTestCase, ask, read_response, update, wanting_ack, written


@for_each_requester
class RecordServiceTests(RecordTestCase):
    """
    L{RecordService}.
    """

    def test_interface(self) -> None:
        """
        L{RecordService} provides L{ITopicService}.
        """
        verifyObject(ITopicService, self.service)

    def test_every_action(self) -> None:
        """
        Whatever a client may send is served, and answered.
        """
        fields: dict[str, Any] = {"names": ("a",), "version": 1, "path": "x", "subscription": "a"}
        for action in sorted(FROM_CLIENT[Topic.RECORD]):
            self.serve()
            self.have("a", 0, {})
            request = wanting_ack(ask(RecordAction(action), "a", b'{"x":1}', **fields))
            silent = action in (A.LISTEN_REJECT, A.UNLISTEN)
            self.assertTrue(self.say(self.young("a"), request) or silent, action.name)

    def test_authorizes_itself(self) -> None:
        """
        Reads, writes and deletions are judged here, with the data they are about; all else before it comes here.
        """
        writes = {A.UPDATE, A.PATCH, A.ERASE, A.PATCH_MULTI, A.CREATEANDUPDATE, A.CREATEANDPATCH, A.DELETE}
        subscribes = {A.SUBSCRIBE, A.SUBSCRIBEANDHEAD, A.SUBSCRIBEANDREAD, A.SUBSCRIBECREATEANDREAD}
        self.assertEqual(RecordService.authorizes_itself, writes | subscribes | {A.READ, A.HEAD, A.HAS})

    def test_listening(self) -> None:
        """
        A provider is found for what is wanted; subscribers are told that there is one, and that there is none any more.
        """
        ann, pat = self.young("a"), self.young()
        listen, unlisten = ask(A.LISTEN, "a"), ask(A.UNLISTEN, "a")
        found = ask(A.SUBSCRIPTION_FOR_PATTERN_FOUND, "a", subscription="a")
        self.assertEqual(self.say(pat, listen), [listen.ack(), found])
        self.say(pat, ask(A.LISTEN_ACCEPT, "a", subscription="a"))
        self.assertEqual(ann.take(), [ask(A.SUBSCRIPTION_HAS_PROVIDER, "a")])
        self.assertEqual(self.say(pat, unlisten), [unlisten.ack()])
        self.assertEqual(ann.take(), [ask(A.SUBSCRIPTION_HAS_NO_PROVIDER, "a")])

    def test_w51_every_error_has_a_text_form(self) -> None:
        """
        W51: whatever can go wrong, text clients are told in their own words, and never with an empty message.
        """
        self.have("a", 3, {})
        self.rules.rule = lambda message, record: message.name != "denied"
        cat = self.old("a")
        for payload in (
            "R|U|a|9|{}+",
            "R|U|a|1|{}+",
            "R|U|b|1|{}+",
            "R|P|a|4|constructor|N1+",
            "R|U|denied|4|{}+",
            "R|D|denied+",
            "R|CR|denied+",
            "R|L|(+",
            "R|LA|x|y+",
            "R|SN|b+",
        ):
            answers = self.say_text(cat, payload)
            # A refused write is answered behind the record as it is.
            truth = ["R|U|a|3|{}+"] if payload.startswith("R|P|") else []
            self.assertEqual(answers[:-1], truth, payload)
            self.assertTrue(answers[-1].startswith("R|E|"), answers)
        self.storage.outcome = "fails"
        for payload in ("R|U|a|4|{}+", "R|D|a+"):
            answers = self.say_text(cat, payload)
            self.assertTrue(answers and all(answer.startswith("R|E|") for answer in answers), answers)

    def test_stop(self) -> None:
        """
        A service ends when everything that was asked of it is done.
        """
        self.have("a", 0, {})
        self.storage.delay = 1.0
        ann = self.young()
        self.say(ann, wanting_ack(update("a", 1, {}), "1"), wanting_ack(update("a", 2, {}), "2"))
        stopped = self.service.stop()
        self.assertNoResult(stopped)
        self.clock.pump([1.0] * 2)
        self.successResultOf(stopped)
        self.assertEqual(ann.take(), [written("a", "1"), written("a", "2")])

    def test_refused_when_full(self) -> None:
        """
        When too many requests wait for a record, further ones fail, each with its own error; other records do not care.
        """
        self.serve(max_queued_requests=2)
        self.have("a", 0, {})
        self.have("b", 0, {})
        self.storage.delay = 1.0
        ann, cat = self.young("a"), self.old()
        self.say(ann, update("a", 1, {}), update("a", 2, {}), update("a", 3, {}))
        write, read, delete = wanting_ack(update("a", 4, {})), ask(A.READ, "a"), ask(A.DELETE, "a")
        reason = "too many requests are waiting for a"
        self.assertEqual(
            self.say(ann, write, read, delete),
            [
                write.error(A.RECORD_UPDATE_ERROR),
                read.error(A.RECORD_LOAD_ERROR, detail=reason),
                delete.error(A.RECORD_DELETE_ERROR, detail=reason),
            ],
        )
        self.assertEqual(
            self.say_text(cat, 'R|U|a|4|{}|{"writeSuccess":true}+R|D|a+R|CR|a+'),
            [
                "R|E|RECORD_UPDATE_ERROR|4+",
                f"R|WA|a|[4]|S{reason}+",
                f"R|E|MESSAGE_DENIED|a|D+R|E|RECORD_DELETE_ERROR|{reason}+",
                f"R|E|RECORD_LOAD_ERROR|{reason}+",
            ],
        )
        self.assertEqual(self.say(ann, ask(A.READ, "b")), [read_response("b", 0, {})])
        discard = ask(A.UNSUBSCRIBE, names=("a",), correlation_id="a")
        self.say(ann, discard)
        self.clock.pump([1.0] * 4)
        self.assertEqual(ann.take(), [discard.ack()])
        self.assert_stored("a", 3, {})


@for_each_requester
class BackPressureTests(RecordTestCase):
    """
    Clients that send faster than the stores take.
    """

    def setUp(self) -> None:
        self.serve(max_pending_bytes=1000)
        self.have("a", 0, {})
        self.storage.delay = 1.0

    def test_paused(self) -> None:
        """
        A client for whose requests too much waits is not read from until there is less; others are.
        """
        ann, bob = self.young(), self.young()
        self.say(ann, *(update("a", -1, {}) for _ in range(4)))
        self.assertFalse(ann.paused)
        self.say(ann, update("a", -1, {"text": "x" * 1000}))
        self.say(bob, ask(A.READ, "a"))
        self.assertEqual((ann.paused, bob.paused), (True, False))
        self.clock.pump([1.0] * 2)
        self.assertFalse(ann.paused)
        self.assertEqual(bob.take(), [read_response("a", 5, {"text": "x" * 1000})])

    def test_broken_step(self) -> None:
        """
        If serving a request breaks, its sender is closed, and the next ones are served.
        """
        ann, bob = self.young("a"), self.young()
        decisions: list[Deferred[bool]] = []

        def rule(message: Message, record: Record | None) -> Deferred[bool] | bool:
            if message.action is A.READ:
                return True
            decisions.append(Deferred())
            return decisions[-1]

        self.rules.rule = rule
        self.say(ann, update("a", 1, {}))
        self.say(bob, ask(A.READ, "a"))
        self.cache.set = None
        decisions[0].callback(True)
        self.clock.pump([1.0] * 2)
        self.assertEqual(ann.reason, "internal error")
        self.assertEqual(bob.take(), [read_response("a", 0, {})])
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
