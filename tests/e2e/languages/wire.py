"""
A socket that speaks the text protocol as older clients do, message by message, and nothing by itself.
"""

from __future__ import annotations

import socket
import time
from collections import deque

from dstwist.config.endpoints import WebSocketEndpoint
from tests.e2e.server import PATIENCE
from tests.nodes.client import client_frame, server_frame

_PING = "C\x1fPI"
_PONG = "C|PO"

#: How long the server waits with its first message, in seconds.
_GREETING_DELAY = WebSocketEndpoint().greeting_delay


class Hangup(Exception):
    """
    The server has closed the connection.
    """


class Wire:
    """
    One connection. Messages are written with C{|} between their parts, and without their end.

    Data in the same read as the answer to the handshake are lost, as they are for clients on Poco (C++), unless this
    process was so slow that the server had waited for them to be apart. Heartbeats are answered, and are no messages.

    @param single: whether the client loses messages if a frame has more than one (deepstream-ruby, deepstreampy).
    @ivar url: what the client connects to.
    @ivar pings: how many heartbeats have come.
    """

    def __init__(self, port: int, path: str, single: bool) -> None:
        self.pings = 0
        self._single = single
        self._heard: deque[str] = deque()
        self.url = f"ws://127.0.0.1:{port}{path}"
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        asked = time.monotonic()
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            data = self._socket.recv(65536)
            if not data:
                raise Hangup(answer.decode("latin-1"))
            answer += data
        if not answer.startswith(b"HTTP/1.1 101 "):
            raise Hangup(answer.decode("latin-1"))
        was_slow = time.monotonic() - asked >= _GREETING_DELAY
        self._data = answer.partition(b"\r\n\r\n")[2] if was_slow else b""

    def say(self, message: str) -> None:
        """
        Send one message in a frame of its own.
        """
        self._socket.sendall(client_frame(message.replace("|", "\x1f").encode() + b"\x1e", 1))

    def hear(self, patience: float = PATIENCE) -> str | None:
        """
        The next message; C{None} if there is none in time.
        """
        late = time.monotonic() + patience
        while not self._heard:
            payload = self._frame()
            if payload is not None:
                self._take(payload.decode())
                continue
            self._socket.settimeout(max(late - time.monotonic(), 0.001))
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                return None
            if not data:
                raise Hangup("the connection has ended")
            self._data += data
        return self._heard.popleft()

    def cut(self) -> None:
        """
        End the connection without a word.
        """
        self._socket.close()

    def _take(self, text: str) -> None:
        *messages, rest = text.split("\x1e")
        if rest or (self._single and len(messages) != 1):
            raise AssertionError(f"not one message in a frame: {text!r}")
        for message in messages:
            if message == _PING:
                self.pings += 1
                self.say(_PONG)
            else:
                self._heard.append(message.replace("\x1f", "|"))

    def _frame(self) -> bytes | None:
        frame = server_frame(self._data)
        if frame is None:
            return None
        opcode, payload, end = frame
        self._data = self._data[end:]
        if opcode == 8:
            raise Hangup(payload[2:].decode())
        if opcode == 9:
            return self._frame()
        return payload
