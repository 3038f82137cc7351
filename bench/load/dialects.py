"""
Publish and subscribe, as each kind of server has it. Data are JSON texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bench.load.client import Client, connect
from bench.load.target import Target
from bench.load.wire import frame
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message


class Dialect(Protocol):
    """
    A kind of server.
    """

    def connect(self, target: Target, user: str) -> Client:
        """
        A client that can publish and subscribe.
        """

    def subscribe(self, client: Client, names: Sequence[str]) -> None:
        """
        Subscribe to all of them, and wait until the server has done so.
        """

    def publish(self, name: str, data: bytes) -> bytes:
        """
        The bytes that a client sends.
        """


class Deepstream:
    """
    Events of dstwist and of the Node server.
    """

    def connect(self, target: Target, user: str) -> Client:
        return connect(target, user)

    def subscribe(self, client: Client, names: Sequence[str]) -> None:
        client.send(frame(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=tuple(names), correlation_id="1")))
        client.await_message(Topic.EVENT, EventAction.SUBSCRIBE)

    def publish(self, name: str, data: bytes) -> bytes:
        return frame(Message(Topic.EVENT, EventAction.EMIT, name, data))


class Redis:
    """
    Channels of a Redis. It answers the publisher, too.
    """

    def connect(self, target: Target, user: str) -> Client:
        return Client(target)

    def subscribe(self, client: Client, names: Sequence[str]) -> None:
        client.send(_command(b"SUBSCRIBE", *(name.encode() for name in names)))
        client.receive_until(b":%d\r\n" % len(names))

    def publish(self, name: str, data: bytes) -> bytes:
        return _command(b"PUBLISH", name.encode(), data)


class Nats:
    """
    Subjects of a NATS server.
    """

    def connect(self, target: Target, user: str) -> Client:
        client = Client(target)
        client.receive_until(b"\r\n")
        client.send(b'CONNECT {"verbose":false,"pedantic":false}\r\nPING\r\n')
        client.receive_until(b"PONG\r\n")
        return client

    def subscribe(self, client: Client, names: Sequence[str]) -> None:
        lines = (b"SUB %s %d\r\n" % (name.encode(), number) for number, name in enumerate(names, 1))
        client.send(b"".join(lines) + b"PING\r\n")
        client.receive_until(b"PONG\r\n")

    def publish(self, name: str, data: bytes) -> bytes:
        return b"PUB %s %d\r\n%s\r\n" % (name.encode(), len(data), data)


DIALECTS: dict[str, Dialect] = {"deepstream": Deepstream(), "redis": Redis(), "nats": Nats()}


def _command(*parts: bytes) -> bytes:
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
