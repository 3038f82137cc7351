"""
The results of items, as JSON texts, with their properties in the order of the Node server.

Data that a service sends are a JSON text already, and are not read again. C{errorEventName}, the name of an error, is
an addition: the numbers of errors differ from topic to topic.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from dstwist.protocol.constants import EventAction, ParserAction, PresenceAction, RecordAction, RpcAction, Topic
from dstwist.protocol.jsontext import dumps
from dstwist.protocol.message import Message
from dstwist.protocol.typed import to_json

SUCCESS = b'{"success":true}'

_EVENT_DENIED = (
    b'{"success":false,"error":"Message denied. Action \'emit\' is not permitted.","errorEvent":"MESSAGE_DENIED",'
    b'"errorAction":"emit","errorTopic":"event"}'
)


def _of_connection(event: str, text: str) -> bytes:
    return b'{"success":false,"error":%b,"errorTopic":"connection","errorEvent":"%b"}' % (dumps(text), event.encode())


TIMED_OUT = _of_connection("HTTP_REQUEST_TIMEOUT", "Request exceeded timeout before a response was received.")
#: The same, as v3 has it.
TIMED_OUT_V3 = _of_connection("TIMEOUT", "Request exceeded timeout before a response was received.")
TOO_LARGE = _of_connection(ParserAction.MAXIMUM_MESSAGE_SIZE_EXCEEDED.name, "The answer would be too large.")
FAILED = _of_connection("ERROR", "Internal server error.")


def closed(reason: str) -> bytes:
    """
    The result of an item whose user was kicked.
    """
    return _of_connection("CLOSED", reason)


_TOPICS = {Topic.EVENT: b"event", Topic.RECORD: b"record", Topic.RPC: b"rpc", Topic.PRESENCE: b"presence"}

#: Of a message that says nothing about the outcome.
_ACCEPT = (Topic.RPC, RpcAction.ACCEPT)

_DENIED: frozenset[tuple[Topic, IntEnum]] = frozenset(
    (
        (Topic.RECORD, RecordAction.MESSAGE_DENIED),
        (Topic.RPC, RpcAction.MESSAGE_DENIED),
        (Topic.PRESENCE, PresenceAction.MESSAGE_DENIED),
    )
)
_EVENT_REFUSALS = (EventAction.MESSAGE_DENIED, EventAction.MESSAGE_PERMISSION_ERROR)


class Results:
    """
    Makes results.

    @param by_name: C{errorEvent} is the name of an error, as in v3, and not its number.
    @ivar timed_out: the result of an item that has none in time.
    """

    def __init__(self, by_name: bool = False) -> None:
        self._event = _name if by_name else _number_and_name
        self.timed_out = TIMED_OUT_V3 if by_name else TIMED_OUT

    def of(self, request: Message, answer: Message) -> tuple[bool, bytes] | None:
        """
        Whether C{request} succeeded, and its result; C{None} if C{answer} is not the outcome.
        """
        kind = (answer.topic, answer.action)
        if kind == _ACCEPT:
            return None
        make = _SUCCESSES.get(kind)
        if make is not None:
            return True, make(answer)
        if answer.is_ack:
            return True, SUCCESS
        return False, self._error(request, answer)

    def unknown_topic(self, topic: Topic) -> bytes:
        """
        The result of an item whose topic is switched off.
        """
        word = _TOPICS[topic]
        text = dumps(f'Topic "{word.decode()}" is disabled on this server.')
        return b'{"errorTopic":"%b","errorEvent":%b,"success":false,"error":%b}' % (
            word,
            self._event(ParserAction.UNKNOWN_TOPIC),
            text,
        )

    def _error(self, request: Message, answer: Message) -> bytes:
        topic, action = answer.topic, answer.action
        word = _TOPICS[request.topic]
        if action is RpcAction.REQUEST_ERROR:
            return b'{"errorTopic":"rpc","error":%b,"success":false}' % (to_json(answer.data) or b"null")
        if topic is Topic.EVENT and action in _EVENT_REFUSALS:
            return _EVENT_DENIED
        if (topic, action) == (Topic.RECORD, RecordAction.VERSION_EXISTS):
            return self._conflict(request, answer)
        event, name = action, _name_of(request)
        if (topic, action) in _DENIED:
            text = f'Message denied. Action "{request.action.name}" is not permitted.'
            more = b'"action":%d,"error":%b' % (request.action, dumps(text))
        elif (topic, action) == (Topic.RECORD, RecordAction.RECORD_NOT_FOUND):
            more = b'"error":%b' % dumps(f'Record read failed. Record "{name}" could not be found.')
        elif (topic, action) == (Topic.RPC, RpcAction.NO_RPC_PROVIDER):
            more = b'"error":%b' % dumps(f'No provider was available to handle the RPC "{name}".')
        elif (topic, action) == (Topic.RPC, RpcAction.RESPONSE_TIMEOUT):
            more = b'"error":"The RPC response timeout was exceeded by the provider."'
        else:
            more = b'"error":%b,"errorParams":%b' % (dumps(f"An error occurred: {action.name}."), dumps(name))
        return b'{"errorTopic":"%b","errorEvent":%b,"success":false,%b}' % (word, self._event(event), more)

    def _conflict(self, request: Message, answer: Message) -> bytes:
        """
        Another write came first, or the version of the write is too high.
        """
        name, current = _name_of(request), answer.version or 0
        wanted = request.version if request.version is not None else -1
        if wanted > current + 1:
            event, text = RecordAction.INVALID_VERSION, f'Version {current} is not valid for record "{name}".'
        else:
            event, text = RecordAction.VERSION_EXISTS, f'Version {current} exists for record "{name}".'
        return (
            b'{"errorTopic":"record","errorEvent":%b,"success":false,"error":%b,"currentVersion":%d,"currentData":%b}'
            % (self._event(event), dumps(f"Record update failed. {text}"), current, to_json(answer.data) or b"null")
        )


def _number_and_name(event: IntEnum) -> bytes:
    return b'%d,"errorEventName":"%b"' % (event, event.name.encode())


def _name(event: IntEnum) -> bytes:
    return b'"%b"' % event.name.encode()


def _name_of(request: Message) -> str:
    """
    The name that an error is about; of several, the error does not tell which.
    """
    return request.name if request.name is not None else ",".join(request.names)


def _read(answer: Message) -> bytes:
    return b'{"version":%d,"data":%b,"success":true}' % (_version(answer), to_json(answer.data) or b"null")


def _head(answer: Message) -> bytes:
    return b'{"version":%d,"success":true}' % _version(answer)


def _version(answer: Message) -> int:
    return -1 if answer.version is None else answer.version


def _response(answer: Message) -> bytes:
    data = to_json(answer.data)
    return SUCCESS if data is None else b'{"data":%b,"success":true}' % data


def _users(answer: Message) -> bytes:
    return b'{"users":%b,"success":true}' % dumps(list(answer.names))


def _states(answer: Message) -> bytes:
    return b'{"users":%b,"success":true}' % (to_json(answer.data) or b"{}")


def _done(answer: Message) -> bytes:
    return SUCCESS


_SUCCESSES: dict[tuple[Topic, IntEnum], Callable[[Message], bytes]] = {
    (Topic.RECORD, RecordAction.READ_RESPONSE): _read,
    (Topic.RECORD, RecordAction.HEAD_RESPONSE): _head,
    (Topic.RECORD, RecordAction.DELETE_SUCCESS): _done,
    (Topic.RECORD, RecordAction.WRITE_ACKNOWLEDGEMENT): _done,
    (Topic.RPC, RpcAction.RESPONSE): _response,
    (Topic.PRESENCE, PresenceAction.QUERY_ALL_RESPONSE): _users,
    (Topic.PRESENCE, PresenceAction.QUERY_RESPONSE): _states,
}


def whole_answer(results: list[bytes], succeeded: int) -> bytes:
    """
    The answer to a request.

    @param succeeded: how many results say that their item succeeded.
    """
    outcome = b"SUCCESS" if succeeded == len(results) else b"PARTIAL_SUCCESS" if succeeded else b"FAILURE"
    return b'{"result":"%b","body":[%b]}' % (outcome, b",".join(results))
