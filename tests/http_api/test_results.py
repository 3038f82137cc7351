"""
Tests for L{dstwist.http_api.results}. The examples of the specification are in L{tests.http_api.test_examples}.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.http_api.results import Results, closed, whole_answer
from dstwist.protocol.constants import EventAction, PresenceAction, RecordAction, RpcAction, Topic
from dstwist.protocol.message import Message

READ = Message(Topic.RECORD, RecordAction.READ, 'r"1', correlation_id="7")
WRITE = Message(Topic.RECORD, RecordAction.CREATEANDUPDATE, "r", b"{}", correlation_id="7", version=5)
CALL = Message(Topic.RPC, RpcAction.REQUEST, "p", correlation_id="7")
NOTIFY = Message(Topic.RECORD, RecordAction.NOTIFY, names=("a", "b"), correlation_id="7")


class ResultTests(SynchronousTestCase):
    """
    From messages to results.
    """

    def result(self, request: Message, answer: Message, by_name: bool = False) -> tuple[bool, Any]:
        found = Results(by_name).of(request, answer)
        assert found is not None
        return found[0], json.loads(found[1])

    def test_not_the_outcome(self) -> None:
        """
        The acceptance of a call is no outcome.
        """
        self.assertIsNone(Results().of(CALL, Message(Topic.RPC, RpcAction.ACCEPT, "p", correlation_id="7")))

    def test_verbatim(self) -> None:
        """
        Data are sent as the text that they are, also those of a client of v2 or v3.
        """
        for data, text in ((b'{"a": 1.0}', b'{"a": 1.0}'), ("SX", b'"X"'), ("N1", b"1"), ("L", b"null")):
            found = Results().of(CALL, Message(Topic.RPC, RpcAction.RESPONSE, "p", data, correlation_id="7"))
            self.assertEqual(found, (True, b'{"data":%b,"success":true}' % text))

    def test_closed(self) -> None:
        """
        The result of an item whose user was kicked has the reason.
        """
        result = json.loads(closed('go "home"'))
        self.assertEqual((result["success"], result["errorEvent"], result["error"]), (False, "CLOSED", 'go "home"'))

    def test_every_error(self) -> None:
        """
        Each error that a service may send becomes a JSON text, with number and name, or with the name alone.
        """
        requests = {Topic.RECORD: READ, Topic.RPC: CALL, Topic.PRESENCE: Message(Topic.PRESENCE, PresenceAction.QUERY)}
        for topic, actions in ((Topic.RECORD, RecordAction), (Topic.RPC, RpcAction), (Topic.PRESENCE, PresenceAction)):
            for action in actions:
                if action < 100:
                    continue
                request = requests[topic]
                answer = Message(topic, action, request.name, correlation_id="7", is_error=True)
                for by_name in (False, True):
                    succeeded, result = self.result(request, answer, by_name)
                    self.assertEqual((succeeded, result["success"]), (False, False))
                    self.assertEqual(result["errorTopic"], topic.name.lower())
                    expected = result["errorEvent"], result.get("errorEventName")
                    if action.name in ("VERSION_EXISTS",):
                        self.assertIn(action.name, expected)
                    else:
                        self.assertEqual(expected, (action.name, None) if by_name else (action, action.name))

    def test_denied(self) -> None:
        """
        The action that is not permitted is a number, also if errors have only names.
        """
        answer = Message(Topic.RECORD, RecordAction.MESSAGE_DENIED, "r", is_error=True)
        for by_name, event in ((False, 115), (True, "MESSAGE_DENIED")):
            _, result = self.result(READ, answer, by_name)
            self.assertEqual((result["errorEvent"], result["action"]), (event, 3))

    def test_names(self) -> None:
        """
        An error has the name of its request, in the text or beside it; of several, all of them.
        """
        answer = Message(Topic.RECORD, RecordAction.RECORD_NOT_FOUND, 'r"1', is_error=True)
        self.assertEqual(self.result(READ, answer)[1]["error"], 'Record read failed. Record "r"1" could not be found.')
        answer = Message(Topic.RECORD, RecordAction.RECORD_LOAD_ERROR, "a", is_error=True)
        self.assertEqual(self.result(NOTIFY, answer)[1]["errorParams"], "a,b")

    def test_conflicts(self) -> None:
        """
        Whether a version is too low or too high depends on that of the record.
        """
        for version, event in ((7, 102), (5, 102), (4, 102), (3, 108), (0, 108)):
            answer = Message(Topic.RECORD, RecordAction.VERSION_EXISTS, "r", b'{"x":1}', version=version)
            _, result = self.result(WRITE, answer)
            self.assertEqual((result["errorEvent"], result["currentVersion"]), (event, version))
            self.assertEqual(result["currentData"], {"x": 1})

    def test_refused_events(self) -> None:
        """
        An event that is not permitted has an error of its own form, also if the rule failed; for any other reason, it
        has the usual one.
        """
        request = Message(Topic.EVENT, EventAction.EMIT, "e")
        for action in (EventAction.MESSAGE_DENIED, EventAction.MESSAGE_PERMISSION_ERROR):
            _, result = self.result(request, Message(Topic.EVENT, action, "e", is_error=True))
            self.assertEqual((result["errorEvent"], result["errorAction"]), ("MESSAGE_DENIED", "emit"))
        _, result = self.result(request, Message(Topic.EVENT, EventAction.INVALID_MESSAGE_DATA, "e", is_error=True))
        self.assertEqual(result["errorEventName"], "INVALID_MESSAGE_DATA")

    def test_unknown_topic(self) -> None:
        """
        The result of an item whose topic is switched off.
        """
        self.assertEqual(
            Results().unknown_topic(Topic.RPC),
            b'{"errorTopic":"rpc","errorEvent":1,"errorEventName":"UNKNOWN_TOPIC","success":false,'
            b'"error":"Topic \\"rpc\\" is disabled on this server."}',
        )

    def test_timeouts(self) -> None:
        """
        The error of a request that takes too long has another name in v3.
        """
        for by_name, event in ((False, "HTTP_REQUEST_TIMEOUT"), (True, "TIMEOUT")):
            self.assertEqual(json.loads(Results(by_name).timed_out)["errorEvent"], event)

    def test_whole(self) -> None:
        """
        The answer says whether all, some or none of the items succeeded.
        """
        for succeeded, outcome in ((2, "SUCCESS"), (1, "PARTIAL_SUCCESS"), (0, "FAILURE")):
            self.assertEqual(json.loads(whole_answer([b"1", b"2"], succeeded)), {"result": outcome, "body": [1, 2]})
