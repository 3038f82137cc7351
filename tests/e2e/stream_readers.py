"""
Programs that read streams of server-sent events: line by line as curl does, and as a page does.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
from functools import cache
from typing import Any
from urllib.parse import quote

from twisted.trial.unittest import SkipTest

from tests.e2e.scenario import HERE, QUICK, Scenario, certificates
from tests.e2e.server import PATIENCE, LoggedProcess, Server

_FLAG = "--experimental-eventsource"


class Reader:
    """
    A program that reads one stream, like curl.

    @param context: connect with TLS.
    """

    def __init__(
        self, port: int, target: str, headers: dict[str, str] | None = None, context: ssl.SSLContext | None = None
    ) -> None:
        make = http.client.HTTPConnection if context is None else http.client.HTTPSConnection
        more: dict[str, Any] = {} if context is None else {"context": context}
        self._connection = make("127.0.0.1", port, timeout=PATIENCE, **more)
        self._connection.request("GET", target, headers=headers or {})
        self.answer = self._connection.getresponse()
        self.status = self.answer.status

    def block(self) -> str:
        """
        The next block of lines that is no heartbeat; empty at the end. An answer that is cut raises C{IncompleteRead}.
        """
        lines: list[str] = []
        while (line := self.answer.readline().decode()) not in ("", "\n"):
            lines.append(line)
        # A busy machine may take longer than the time between two heartbeats.
        return self.block() if lines == [":\n"] else "".join(lines).rstrip("\n")

    def close(self) -> None:
        """
        Go away.
        """
        self._connection.close()


class EventSource(LoggedProcess):
    """
    A page: the C{EventSource} of Node.js. It reconnects by itself.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        node = _node_with_event_source()
        environ = {**os.environ, "NODE_EXTRA_CA_CERTS": str(certificates().authority)}
        self._run([node, "--no-warnings", _FLAG, str(HERE / "event_source.js"), url], environ)

    def wait_for_event(self, count: int = 1, **fields: Any) -> None:
        """
        Come back when it has heard C{count} events like this one.
        """
        self.wait_for_line(json.dumps(fields, ensure_ascii=False, separators=(",", ":")), count)

    @property
    def events(self) -> list[dict[str, Any]]:
        """
        What it has heard.
        """
        return [json.loads(line) for line in self.log.splitlines()]


@cache
def _node_with_event_source() -> str:
    node = shutil.which("node")
    assert node is not None
    asked = f"process.exit(process.allowedNodeEnvironmentFlags.has({_FLAG!r}) ? 0 : 1)"
    if subprocess.run([node, "-e", asked], check=False).returncode:
        raise SkipTest("This version of Node.js has no EventSource.")
    return node


class StreamScenario(Scenario):
    """
    A test with programs that read streams.
    """

    options = QUICK

    def open(
        self,
        server: Server,
        kind: str,
        name: str,
        headers: dict[str, str] | None = None,
        context: ssl.SSLContext | None = None,
    ) -> Reader:
        """
        A program whose stream has begun.
        """
        reader = Reader(server.port, target_of(kind, name), headers, context)
        self.addCleanup(reader.close)
        self.assertEqual(reader.status, 200)
        self.assertTrue(reader.block().startswith("retry: "))
        return reader

    def page(self, server: Any, kind: str, name: str) -> EventSource:
        """
        A page that reads a stream.
        """
        page = EventSource(server.url.replace("ws", "http", 1) + target_of(kind, name))
        self.addCleanup(page.kill)
        return page

    def silent(self, server: Server, kind: str, name: str, context: ssl.SSLContext | None = None) -> socket.socket:
        """
        A program that takes the beginning of a stream, and then nothing, with little room in its system.
        """
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(PATIENCE)
        connection.connect(("127.0.0.1", server.port))
        if context is not None:
            connection = context.wrap_socket(connection, server_hostname="localhost")
        self.addCleanup(connection.close)
        connection.sendall(f"GET {target_of(kind, name)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        data = b""
        while b"retry: " not in data:
            data += connection.recv(100)
        return connection

    def state(self, version: int, data: object) -> str:
        """
        The block of a state of a record.
        """
        return f"id: {version}\nevent: record\ndata: {json.dumps(data, separators=(',', ':'))}"


def target_of(kind: str, name: str) -> str:
    """
    The path of a stream: C{kind} is C{events} or C{records}.
    """
    return f"/api/{kind}/{quote(name, safe='')}"
