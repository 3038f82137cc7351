"""
Clients on blocking sockets, for tests that need many requests under way, and to know exactly what was answered.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl

from dstwist.protocol.constants import AuthAction, ConnectionAction, RecordAction, Topic
from dstwist.protocol.message import Message
from tests.e2e.server import PATIENCE
from tests.nodes.client import GENERATIONS, client_frame, server_frame


class RawClient:
    """
    One client of either generation, on a blocking socket.
    """

    def __init__(
        self,
        port: int,
        generation: str,
        user: str,
        tls: ssl.SSLContext | None = None,
        password: str | None = None,
    ) -> None:
        self.generation = generation
        path, self._codec, self._opcode = GENERATIONS[generation]
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self._socket = tls.wrap_socket(self._socket, server_hostname="localhost")
        self._data = b""
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self._data:
            self._receive()
        self._data = self._data.partition(b"\r\n\r\n")[2]
        self.say(Message(Topic.CONNECTION, ConnectionAction.CHALLENGE, url="ws://localhost"))
        credentials = {"username": user} if password is None else {"username": user, "password": password}
        self.say(Message(Topic.AUTH, AuthAction.REQUEST, data=json.dumps(credentials).encode()))
        while all(message.action is not AuthAction.AUTH_SUCCESSFUL for message in self.hear()):
            pass

    def say(self, *messages: Message) -> None:
        """
        Send messages, a frame each.
        """
        self._socket.sendall(b"".join(client_frame(self._codec.encode(message), self._opcode) for message in messages))

    def send(self, data: bytes) -> None:
        """
        Send bytes as they are.
        """
        self._socket.sendall(data)

    def hear(self) -> list[Message]:
        """
        What the server says next, at least one message; OSError when it is gone.
        """
        messages: list[Message] = []
        while not messages:
            while (frame := self._frame()) is not None:
                for message in self._codec.decode(frame):
                    if not isinstance(message, Message):
                        raise AssertionError(f"not a message: {frame!r}")
                    messages.append(message)
            if not messages:
                self._receive()
        return messages

    def answer(self, message: Message, *actions: RecordAction) -> Message:
        """
        Say something, and have the first of what the server says to it.
        """
        self.say(message)
        names = message.names or (message.name,)
        while True:
            for heard in self.hear():
                if heard.topic is Topic.RECORD and heard.action in actions and heard.name in names:
                    return heard

    def close(self) -> None:
        """
        Be gone, without a word.
        """
        self._socket.close()

    def hang_up(self) -> None:
        """
        End the connection while another thread listens to it: that one gets an OSError.
        """
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    @property
    def certificate(self) -> bytes | None:
        """
        The certificate that the server has shown, if there is TLS.
        """
        return self._socket.getpeercert(True) if isinstance(self._socket, ssl.SSLSocket) else None

    def _receive(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("the server is gone")
        self._data += data

    def _frame(self) -> bytes | None:
        frame = server_frame(self._data)
        if frame is None:
            return None
        opcode, payload, end = frame
        self._data = self._data[end:]
        if opcode == 8:
            raise ConnectionError("the server says goodbye")
        return payload
