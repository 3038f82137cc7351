"""
A connection to the server under load.

It blocks until it is added to a loop (L{bench.load.loop}).
"""

from __future__ import annotations

import socket
import ssl
from enum import IntEnum

from bench.load.target import Target
from bench.load.wire import frame
from dstwist.protocol import protobuf
from dstwist.protocol.constants import AuthAction, ConnectionAction, Topic
from dstwist.protocol.message import Message
from tests.nodes.client import server_frame

#: How long an answer may take, in seconds.
PATIENCE = 30.0

_SIZE = 1 << 18

#: A socket that does not block has nothing to read, or no room to write.
NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class LoadFailed(Exception):
    """
    The server did not do its part.
    """


class Client:
    """
    A socket, and messages of the binary protocol on it.
    """

    def __init__(self, target: Target) -> None:
        plain = socket.create_connection(("127.0.0.1", target.port), PATIENCE)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = _over_tls(plain) if target.tls else plain
        self._received = b""

    def send(self, data: bytes) -> None:
        """
        Send all of it, and wait for that.
        """
        self.socket.sendall(data)

    def receive(self) -> bytes:
        """
        The next bytes from the server.
        """
        data = self.socket.recv(_SIZE)
        if not data:
            raise LoadFailed("The server has closed a connection.")
        return data

    def receive_until(self, end: bytes) -> bytes:
        """
        All bytes up to the first ones that contain C{end}.
        """
        data = b""
        while end not in data:
            data += self.receive()
        return data

    def await_message(self, topic: Topic, action: IntEnum) -> Message:
        """
        The next message of this kind. Those before it are dropped; an error is a failure.
        """
        while True:
            while (found := server_frame(self._received)) is not None:
                _, payload, end = found
                # Messages behind it in the same frame are dropped with it.
                self._received = self._received[end:]
                for message in protobuf.CLIENT.decode(payload):
                    if not isinstance(message, Message) or message.is_error:
                        raise LoadFailed(f"The server answered {message!r}.")
                    if message.topic is topic and message.action is action:
                        return message
            self._received += self.receive()

    def take(self) -> bytes:
        """
        All that a socket that does not block has now; C{b""} if it has nothing.
        """
        parts: list[bytes] = []
        while True:
            try:
                data = self.socket.recv(_SIZE)
            except NOT_NOW:
                return b"".join(parts)
            if not data:
                raise LoadFailed("The server has closed a connection.")
            if not isinstance(self.socket, ssl.SSLSocket):
                return data
            # A record of TLS at a time; the system does not tell that there are more.
            parts.append(data)

    def close(self) -> None:
        self.socket.close()


def connect(target: Target, user: str) -> Client:
    """
    A client of the binary protocol, logged in.
    """
    client = Client(target)
    client.send(
        b"GET /deepstream HTTP/1.1\r\nHost: localhost:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" % target.port
    )
    head = client.receive_until(b"\r\n\r\n")
    if b" 101 " not in head.partition(b"\r\n")[0]:
        raise LoadFailed(f"The server does not speak WebSocket: {head!r}")
    client.send(_CHALLENGE)
    client.await_message(Topic.CONNECTION, ConnectionAction.ACCEPT)
    client.send(
        frame(Message(Topic.AUTH, AuthAction.REQUEST, data=b'{"username":"%s","password":"x"}' % user.encode()))
    )
    client.await_message(Topic.AUTH, AuthAction.AUTH_SUCCESSFUL)
    return client


_CHALLENGE = frame(
    Message(
        Topic.CONNECTION,
        ConnectionAction.CHALLENGE,
        url="ws://localhost/deepstream",
        protocol_version="0.1a",
        sdk_version="7.0.0",
        sdk_type="javascript",
    )
)


def _over_tls(plain: socket.socket) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The certificate was made for this run.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(plain)
