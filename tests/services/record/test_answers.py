"""
Tests for L{dstwist.services.record.answers}.
"""

from __future__ import annotations

from dataclasses import replace

from dstwist.errors import StoreError
from dstwist.protocol import text
from dstwist.protocol.constants import RecordAction
from dstwist.protocol.dialect import JAVASCRIPT
from tests.requesters import for_each_requester
from tests.services.record.stage import A, RecordTestCase, ask, update, wanting_ack


@for_each_requester
class FormTests(RecordTestCase):
    """
    The codes of errors.
    """

    def test_every_error_is_written(self) -> None:
        """
        W51: text has a form for every error of this topic that a service sends.
        """
        request = ask(A.UPDATE, "a", b"{}", version=1)
        for code in (
            A.VERSION_EXISTS,
            A.RECORD_UPDATE_ERROR,
            A.RECORD_CREATE_ERROR,
            A.RECORD_DELETE_ERROR,
            A.RECORD_LOAD_ERROR,
            A.CACHE_RETRIEVAL_TIMEOUT,
            A.STORAGE_RETRIEVAL_TIMEOUT,
            A.INVALID_MESSAGE_DATA,
            A.INVALID_LISTEN_REGEX,
            A.INVALID_PATCH_ON_HOTPATH,
            A.RECORD_NOT_FOUND,
            RecordAction.MESSAGE_DENIED,
        ):
            error = request.error(code, detail="why")
            error.version, error.data = 1, b"{}"
            self.assertNotEqual(text.SERVER.encode(error), b"", code.name)


@for_each_requester
class ReadErrorTests(RecordTestCase):
    """
    The errors of reads, for clients of each generation.
    """

    def test_w52_errors_belong_to_requests(self) -> None:
        """
        W52: an error says that it is one, of which request, and with its correlation id.
        """
        self.cache.outcome = "fails"
        for action in (A.READ, A.HEAD):
            (answer,) = self.say(self.young(), ask(action, "a", correlation_id="7"))
            self.assertEqual(
                (answer.action, answer.is_error, answer.original_action, answer.correlation_id, answer.name),
                (A.RECORD_LOAD_ERROR, True, action, "7", "a"),
            )
        write = wanting_ack(update("a", 1, {}), "8")
        delete = ask(A.DELETE, "a", correlation_id="9")
        create = ask(A.SUBSCRIBECREATEANDREAD, names=("a",), correlation_id="9")
        for request, code in (
            (write, A.RECORD_UPDATE_ERROR),
            (delete, A.RECORD_DELETE_ERROR),
            (create, A.RECORD_LOAD_ERROR),
        ):
            answer = self.say(self.young(), request)[-1]
            self.assertEqual(
                (answer.action, answer.is_error, answer.correlation_id), (code, True, request.correlation_id)
            )
        self.cache.behave = lambda operation, name: (0.0, "ok" if operation == "get" else "fails")
        answer = self.say(self.young(), create)[1]
        self.assertEqual((answer.action, answer.is_error, answer.name), (A.RECORD_CREATE_ERROR, True, "a"))
        self.flushLoggedErrors(StoreError)

    def test_record_stops_waiting(self) -> None:
        """
        The JavaScript client of v4+ takes no notice of these errors if it wants to hold the record. It stops waiting,
        and raises an error, at a RECORD_UPDATE_ERROR of that request without a correlation id.
        """
        create = ask(A.SUBSCRIBECREATEANDREAD, names=("a",), correlation_id="9")
        self.cache.outcome = "fails"
        for code in (A.RECORD_LOAD_ERROR, A.RECORD_CREATE_ERROR):
            ann = self.young()
            ann.dialect = JAVASCRIPT
            *_, error, ended = self.say(ann, create)
            self.assertEqual(error, create.error(code, "a", error.detail))
            expected = replace(create.error(A.RECORD_UPDATE_ERROR, "a", error.detail), correlation_id=None)
            self.assertEqual(ended, expected)
            self.cache.behave = lambda operation, name: (0.0, "ok" if operation == "get" else "fails")
        self.flushLoggedErrors(StoreError)

    def test_text_errors(self) -> None:
        """
        Text clients are told of the store first, and then get the answer to their request.
        """
        self.cache.outcome = "hangs"
        cat = self.old()
        self.say_text(cat, "R|SN|a+")
        self.clock.advance(1.1)
        self.assertEqual(cat.take(), ["R|E|CACHE_RETRIEVAL_TIMEOUT|a+", "R|E|SN|a|CACHE_RETRIEVAL_TIMEOUT+"])
        self.cache.outcome = "fails"
        why = "R|E|RECORD_LOAD_ERROR|error while loading a from cache+"
        self.assertEqual(self.say_text(cat, "R|H|a+"), [why, "R|E|H|a|RECORD_LOAD_ERROR+"])
        self.assertEqual(self.say_text(cat, "R|HD|a+"), [why, "R|E|HD|a|RECORD_LOAD_ERROR+"])
        self.assertEqual(self.say_text(cat, "R|CR|a+"), [why])
        self.flushLoggedErrors(StoreError)
