"""
Clients of a node in memory.

==================  ================================================================================================
L{MemoryClient}     real payloads in real WebSocket frames, on a transport that is a string
L{InProcessClient}  the application that embeds the node: no WebSocket; requests are messages, and so are answers
L{AskingClient}     the same for a party that no fan-out reaches, such as a single HTTP request: it cannot subscribe
==================  ================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransportWithDisconnection

from dstwist.api.requester import Identity, InProcessRequester
from dstwist.connections.requester import Requester
from dstwist.interfaces import HandshakeData
from dstwist.log import Client as LoggedClient
from dstwist.node import Node
from dstwist.protocol import json_messages, protobuf, text
from dstwist.protocol.closing import POLICY_VIOLATION
from dstwist.protocol.constants import AuthAction, ConnectionAction, EventAction, Topic
from dstwist.protocol.dialect import PROTOBUF
from dstwist.protocol.message import Message

MASK = b"\x12\x34\x56\x78"

#: By generation: path, codec in the client's role, opcode of its frames.
GENERATIONS: dict[str, tuple[str, Any, int]] = {
    "v3": ("/deepstream-v3", text.CLIENT, 1),
    "v4": ("/deepstream", protobuf.CLIENT, 2),
    "json": ("/deepstream-json", json_messages.CLIENT, 1),
}


#: The kind of L{InProcessClient}, in the place of a generation.
API = "api"

#: The kind of L{AskingClient}.
ASKING = "asking"

#: All kinds of clients that can subscribe.
KINDS = (*GENERATIONS, API)

#: All kinds of clients.
ASKING_KINDS = (*KINDS, ASKING)


def client_frame(payload: bytes, opcode: int) -> bytes:
    """
    C{payload} in a frame as a client sends it.
    """
    length = len(payload)
    if length < 126:
        head = bytes((0x80 | opcode, 0x80 | length))
    elif length < 65536:
        head = bytes((0x80 | opcode, 0x80 | 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0x80 | 127)) + length.to_bytes(8, "big")
    mask = int.from_bytes((MASK * (length // 4 + 1))[:length], "big")
    return head + MASK + (int.from_bytes(payload, "big") ^ mask).to_bytes(length, "big")


def server_frame(data: bytes | bytearray, position: int = 0) -> tuple[int, bytes, int] | None:
    """
    The frame of a server at C{position}: its opcode, its payload, and the position behind it. C{None} if it is not
    complete.
    """
    if len(data) < position + 2:
        return None
    length, start = data[position + 1], position + 2
    if length == 126:
        length, start = int.from_bytes(data[start : start + 2], "big"), start + 2
    elif length == 127:
        length, start = int.from_bytes(data[start : start + 8], "big"), start + 8
    end = start + length
    return (data[position] & 15, bytes(data[start:end]), end) if end <= len(data) else None


class Client:
    """
    One client of a node.

    @ivar generation: the kind of client.
    @ivar closed: the code and reason with which the server has closed it.
    @ivar transport: has C{loseConnection}, with which the client leaves.
    """

    generation: str
    closed: tuple[int, str] | None
    transport: Any

    def say(self, *messages: Message) -> None:
        """
        Send messages, one after the other.
        """
        raise NotImplementedError

    def heard(self) -> list[Any]:
        """
        The messages of the server since the last call.
        """
        raise NotImplementedError

    def log_in(self, user: str, sdk_type: str | None = "javascript") -> None:
        """
        All that comes before the first request.
        """
        raise NotImplementedError

    def subscribe(self, name: str) -> None:
        """
        Subscribe to an event.
        """
        self.say(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=(name,), correlation_id="0"))

    def emit(self, name: str, data: Any) -> None:
        """
        Emit an event, its data in the encoding of this client's generation.
        """
        self.say(Message(Topic.EVENT, EventAction.EMIT, name, data))


class MemoryClient(Client):
    """
    One client at a WebSocket.
    """

    def __init__(self, node: Node, generation: str, path: str | None = None) -> None:
        default, self.codec, self.opcode = GENERATIONS[generation]
        self.generation = generation
        self.closed = None
        self.transport = StringTransportWithDisconnection(peerAddress=IPv4Address("TCP", "192.0.2.1", 50000))
        self.protocol = cast(Any, node.factory.buildProtocol(self.transport.getPeer()))
        self.transport.protocol = self.protocol
        self.protocol.makeConnection(self.transport)
        self.protocol.dataReceived(
            f"GET {path or default} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head, _, self._unread = self.transport.value().partition(b"\r\n\r\n")
        self.status = int(head.split(b" ")[1])
        self.transport.clear()

    def say(self, *messages: Message) -> None:
        for message in messages:
            self.send(self.codec.encode(message))

    def send(self, payload: bytes) -> None:
        """
        Send one payload.
        """
        self.protocol.dataReceived(client_frame(payload, self.opcode))

    def heard(self) -> list[Any]:
        data = self._unread + self.transport.value()
        self.transport.clear()
        messages = []
        position = 0
        while (frame := server_frame(data, position)) is not None:
            opcode, payload, position = frame
            if opcode == 8:
                self.closed = (int.from_bytes(payload[:2], "big"), payload[2:].decode())
            else:
                messages += self.codec.decode(payload)
        self._unread = data[position:]
        return messages

    def log_in(self, user: str, sdk_type: str | None = "javascript") -> None:
        self.say(Message(Topic.CONNECTION, ConnectionAction.CHALLENGE, url="ws://localhost", sdk_type=sdk_type))
        self.say(Message(Topic.AUTH, AuthAction.REQUEST, data=b'{"username":"%s"}' % user.encode()))
        assert self.heard()[-1].action is AuthAction.AUTH_SUCCESSFUL


class InProcessClient(Client):
    """
    One requester in the process of the node. Its login is that of a single request. C{closed} has no reason.
    """

    generation = API

    def __init__(self, node: Node) -> None:
        self.transport = self
        self._node = node
        self._heard: list[Any] = []
        self._requester: Requester | None = None

    @property
    def closed(self) -> tuple[int, str] | None:  # type: ignore[override]
        requester = self._requester
        return (POLICY_VIOLATION, "") if requester is not None and requester.closed else None

    def log_in(self, user: str, sdk_type: str | None = "javascript") -> None:
        decisions: list[Any] = []
        credentials = b'{"username":"%s"}' % user.encode()
        self._node.request_logins.login(HandshakeData("192.0.2.1"), credentials).addCallback(decisions.append)
        (decision,) = decisions
        self._requester = self._make(
            Identity(decision.user, decision.client_data, decision.login.server_data, "192.0.2.1")
        )

    def _make(self, identity: Identity) -> Requester:
        hub = self._node.api._hub
        return InProcessRequester(identity, hub._router, hub._clock, self._heard.append, hub._rates)

    def say(self, *messages: Message) -> None:
        assert self._requester is not None
        for message in messages:
            self._requester.request([message])

    def heard(self) -> list[Any]:
        heard, self._heard[:] = self._heard[:], []
        return heard

    def loseConnection(self) -> None:
        assert self._requester is not None
        self._requester.close("gone")


class _AskingRequester(Requester):
    """
    A requester without a wire.
    """

    def __init__(self, take: Callable[[Message], object], *args: Any) -> None:
        super().__init__(*args)
        self._take = take

    def send(self, message: Message) -> None:
        if not self.closed:
            self._take(message)


class AskingClient(InProcessClient):
    """
    A requester that no fan-out reaches.
    """

    generation = ASKING

    def _make(self, identity: Identity) -> Requester:
        hub = self._node.api._hub
        origin = LoggedClient(identity.user, identity.address, "/api", 0)
        requester = _AskingRequester(self._heard.append, origin, PROTOBUF, hub._router, hub._clock)
        requester.client_data, requester.server_data = identity.client_data, identity.server_data
        return requester


def connect(node: Node, kind: str) -> Client:
    """
    A client of C{kind}, one of L{ASKING_KINDS}, that is not logged in.
    """
    if kind == ASKING:
        return AskingClient(node)
    return InProcessClient(node) if kind == API else MemoryClient(node, kind)
