"""
Clients of the chaos test: of either generation, on the reactor. They connect again when their node has gone.
"""

from __future__ import annotations

import json
import random
from typing import Any

from twisted.internet import protocol
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.python.failure import Failure

from dstwist.protocol.constants import AuthAction, ConnectionAction, Topic
from dstwist.protocol.message import Message
from tests.e2e.chaos.book import Book
from tests.e2e.chaos.cluster import Cluster
from tests.nodes.client import GENERATIONS, client_frame, server_frame

#: After how long a client connects again.
RETRY_SECONDS = 0.1

#: How often a client that says nothing else says that it is there.
HEARTBEAT_SECONDS = 10.0


class Wire(protocol.Protocol):
    """
    One connection of an L{Actor}.
    """

    def __init__(self, actor: Actor) -> None:
        self._actor = actor
        self._path, self._codec, self._opcode = GENERATIONS[actor.generation]
        self._data = b""
        self._upgraded = False
        self.is_ready = False
        #: Whether the actor itself has ended the connection.
        self.left = False

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        if not self._upgraded:
            _, end, rest = self._data.partition(b"\r\n\r\n")
            if not end:
                return
            self._upgraded, self._data = True, rest
            self.say(Message(Topic.CONNECTION, ConnectionAction.CHALLENGE, url="ws://localhost"))
            credentials = json.dumps({"username": self._actor.user}).encode()
            self.say(Message(Topic.AUTH, AuthAction.REQUEST, data=credentials))
        position = 0
        while (frame := server_frame(self._data, position)) is not None:
            opcode, payload, position = frame
            if opcode == 9:
                self.transport.write(client_frame(payload, 10))
            elif opcode < 3:
                for message in self._codec.decode(payload):
                    self._take(message)
        self._data = self._data[position:]

    def abort(self) -> None:
        """
        Be gone, without a word.
        """
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()

    def say(self, *messages: Message) -> None:
        """
        Send messages, a frame each.
        """
        self.transport.write(b"".join(client_frame(self._codec.encode(message), self._opcode) for message in messages))

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        self._actor.lost(self, reason)

    def _take(self, message: Any) -> None:
        if not isinstance(message, Message):
            self._actor.book.complain(f"{self._actor.name} gets what is no message: {message}")
        elif message.topic is Topic.CONNECTION:
            if message.action is ConnectionAction.PING:
                self.say(Message(Topic.CONNECTION, ConnectionAction.PONG))
        elif message.topic is not Topic.AUTH:
            if not self.left:
                self._actor.heard(message)
        elif message.action is AuthAction.AUTH_SUCCESSFUL:
            self.is_ready = True
            self._actor.ready(self)


class Actor:
    """
    A client with something to do. It connects to its node, and again when that connection has ended.

    @ivar user: the user that it logs in as.
    @ivar node: the node that it connects to.
    @ivar wire: its connection, once it has logged in.
    """

    def __init__(self, reactor: Any, name: str, generation: str, node: str, cluster: Cluster, book: Book) -> None:
        self.reactor = reactor
        self.name = self.user = name
        self.generation = generation
        self.node = node
        self.cluster = cluster
        self.book = book
        self.random = random.Random(name)
        self.wire: Wire | None = None
        self._ended = False
        self._said = 0.0
        self._connection: Wire | None = None

    def connect(self) -> None:
        """
        Connect to the node.
        """
        if self._ended:
            return
        endpoint = HostnameEndpoint(self.reactor, "127.0.0.1", self.cluster.server(self.node).port)
        self._connection = Wire(self)
        connectProtocol(endpoint, self._connection).addErrback(lambda failure: self._again())

    def say(self, *messages: Message) -> None:
        """
        Send messages, if there is a connection.
        """
        if self.wire is not None:
            self._said = self.reactor.seconds()
            self.wire.say(*messages)

    def ready(self, wire: Wire) -> None:
        """
        The client has logged in.
        """
        self.wire = wire
        self.book.come(self.user)
        self.logged_in()

    def lost(self, wire: Wire, reason: Failure) -> None:
        """
        A connection has ended.
        """
        if wire.is_ready:
            self.book.go(self.user)
        if not wire.left and not self._ended and self.node not in self.cluster.down:
            self.book.complain(f"{self.name} was disconnected from {self.node}: {reason.getErrorMessage()}")
        if wire is self._connection:
            self.wire = self._connection = None
            self.logged_out()
            self._again()

    def leave(self) -> None:
        """
        End the connection. The actor connects again.
        """
        if self.wire is not None:
            self.wire.left = True
            self.wire.transport.loseConnection()

    def end(self) -> None:
        """
        End the connection for good.
        """
        self._ended = True
        if self._connection is not None:
            self._connection.abort()

    def beat(self) -> None:
        """
        Show the server that the client is there.
        """
        if self.reactor.seconds() > self._said + HEARTBEAT_SECONDS:
            self.say(Message(Topic.CONNECTION, ConnectionAction.PING))

    def _again(self) -> None:
        if not self._ended:
            self.reactor.callLater(RETRY_SECONDS, self.connect)

    # What actors of each topic do:

    def logged_in(self) -> None:
        """
        Subscribe to what is wanted.
        """

    def logged_out(self) -> None:
        """
        The connection has ended. Requests that were not answered will not be.
        """

    def act(self) -> None:
        """
        Do something. Called again and again while there is load.
        """

    def heard(self, message: Message) -> None:
        """
        The server says something.
        """

    def begin_rest(self) -> None:
        """
        There is no load from now on.
        """

    def ask(self) -> None:
        """
        Ask what there is. Called again and again at rest.
        """

    def wrong(self) -> list[str]:
        """
        What is not as it must be at rest.
        """
        return []
