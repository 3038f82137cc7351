"""
A node in memory, programs that read its streams, and clients beside them.
"""

from __future__ import annotations

import json
from typing import Any

from dstwist.config.endpoints import HttpEndpoint, WebSocketEndpoint
from dstwist.config.settings import Settings
from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from tests.http_api.stage import HttpApiTestCase, Program, rules
from tests.transports.http_helpers import Answer


class Reader(Program):
    """
    A program that reads one stream.

    @ivar ended: the answer has ended.
    """

    ended = False

    def head(self) -> Answer:
        """
        The head of the answer; what has come behind it is kept.
        """
        answer = Answer(self.transport.take())
        self.rest = answer.rest
        return answer

    def read(self) -> list[str]:
        """
        The blocks of lines that have come since the last call.
        """
        data, text = self.rest + self.transport.take(), b""
        self.rest = b""
        while data:
            size, _, data = data.partition(b"\r\n")
            length = int(size, 16)
            text += data[:length]
            data = data[length + 2 :]
            self.ended = self.ended or not length
        assert text.endswith(b"\n\n") or not text, text
        return text.decode().split("\n\n")[:-1]

    def resume(self) -> None:
        """
        Take everything, and have the server go on.
        """
        self.rest += self.transport.take()
        self.connection._chosen.resumeProducing()

    rest = b""


class StreamTestCase(HttpApiTestCase):
    """
    A node with streams, whose rules permit everything.
    """

    def make_settings(self) -> Settings:
        return Settings(
            endpoints=(WebSocketEndpoint("ws-binary", "/deepstream"), HttpEndpoint(**self.options)),
            permission=rules({}),
        )

    def ask_for(self, target: str, *headers: str, address: str = "192.0.2.9", method: str = "GET") -> Reader:
        """
        A program that has asked for a stream.
        """
        reader = Reader(self.node.factory, address)
        reader.send(target, method=method, headers=headers or ("Accept: text/event-stream",))
        self.turn()
        return reader

    def open(self, target: str, *headers: str, address: str = "192.0.2.9") -> Reader:
        """
        A program whose stream has begun.
        """
        reader = self.ask_for(target, *headers, address=address)
        answer = reader.head()
        self.assertEqual(answer.status, 200, reader.rest)
        self.assertEqual(answer.headers["content-type"], "text/event-stream")
        return reader

    def refused(self, target: str, *headers: str, address: str = "192.0.2.9") -> tuple[int, str, str]:
        """
        Status, C{errorEvent} and text of a stream that does not begin.
        """
        answer = Answer(self.ask_for(target, *headers, address=address).transport.take())
        self.assertEqual(answer.headers["content-type"], "application/json; charset=utf-8")
        error = json.loads(answer.body)
        self.assertIs(error["success"], False)
        return answer.status, error.get("errorEventName", error["errorEvent"]), error["error"]

    def say(self, client: Any, *messages: Message) -> None:
        """
        Have C{client} send messages.
        """
        client.say(*messages)
        self.turn()

    def emit(self, client: Any, name: str, data: bytes | None = None) -> None:
        """
        Have C{client} emit an event.
        """
        self.say(client, Message(Topic.EVENT, EventAction.EMIT, name, data))

    def write(self, client: Any, name: str, data: bytes, version: int = -1) -> None:
        """
        Have C{client} write a record.
        """
        self.say(client, Message(Topic.RECORD, RecordAction.CREATEANDUPDATE, name, data, version=version))

    def delete(self, client: Any, name: str) -> None:
        """
        Have C{client} delete a record.
        """
        self.say(client, Message(Topic.RECORD, RecordAction.DELETE, name))
