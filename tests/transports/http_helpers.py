"""
A server for the tests of HTTP: in memory, behind the port as everywhere.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.transports.http import Root
from dstwist.transports.http_channel import HttpFactory
from dstwist.transports.shared_port import SharedPortFactory
from tests.transports.helpers import PushTransport

#: The largest body in these tests.
LIMIT = 1000

NOT_FOUND = b"Endpoint not found.\r\n\r\n"


class Answer:
    """
    One HTTP response.
    """

    def __init__(self, data: bytes, of_head: bool = False) -> None:
        head, _, self.rest = data.partition(b"\r\n\r\n")
        line, *headers = head.decode("ascii").split("\r\n")
        self.status = int(line.split(" ")[1])
        self.headers = {name.lower(): value for name, _, value in (header.partition(": ") for header in headers)}
        length = 0 if of_head else int(self.headers.get("content-length", "0"))
        self.body, self.rest = self.rest[:length], self.rest[length:]


class HttpTestCase(SynchronousTestCase):
    """
    A server of its own for each test.
    """

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.http = HttpFactory(Root(), LIMIT, self.reactor)
        self.factory = SharedPortFactory({}, self.http, self.reactor)
        self.factory.doStart()
        self.addCleanup(self.factory.doStop)
        self.connect()

    def connect(self) -> None:
        self.transport = PushTransport()
        self.connection: Any = self.factory.buildProtocol(None)
        self.connection.makeConnection(self.transport)

    def answers(self, *pieces: bytes, of_head: bool = False) -> list[Answer]:
        """
        The answer to C{pieces}.
        """
        for piece in pieces:
            self.connection.dataReceived(piece)
        data = self.transport.take()
        found = []
        while data:
            found.append(Answer(data, of_head))
            data = found[-1].rest
        return found

    def ask(self, method: str, target: str, *headers: str, body: bytes = b"") -> Answer:
        """
        The answer to a request.
        """
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        (answer,) = self.answers("\r\n".join([*lines, "", ""]).encode() + body, of_head=method == "HEAD")
        return answer
