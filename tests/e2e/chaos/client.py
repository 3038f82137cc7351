"""
Clients of the chaos test: of either generation, on the reactor. They connect again when their node has gone.
"""

from __future__ import annotations

import json
import random
import re
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from twisted.internet import protocol
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.python.failure import Failure

from dstwist.protocol.constants import AuthAction, ConnectionAction, Topic
from dstwist.protocol.message import Message
from tests.e2e.chaos.book import Book
from tests.e2e.chaos.cluster import Cluster
from tests.e2e.chaos.record_book import RecordBook
from tests.nodes.client import GENERATIONS, client_frame, server_frame

_A = TypeVar("_A", bound="Actor")

#: After how long a client connects again.
RETRY_SECONDS = 0.1

_GREETING = b"C\x1fCH\x1e"

#: How often a client that says nothing else says that it is there.
HEARTBEAT_SECONDS = 10.0

#: How much of what a client said and heard is kept.
_TRACE_LENGTH = 1000
_EMPTY_FIELD = re.compile(r", \w+=(None|\(\))(?=[,)])")


@dataclass
class Stage:
    """
    All that actors share.

    @ivar rests: how many rests there have been; events say in which one they were emitted.
    @ivar is_sure: whether everything was found as it must be in this rest, so that no event may be missed.
    """

    reactor: Any
    cluster: Cluster
    book: Book
    records: RecordBook
    actors: list[Actor] = field(default_factory=list)
    rests: int = 0
    is_sure: bool = False


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
            if message.raw == _GREETING:
                # The server greets clients of both generations if they do not speak first in time.
                return
            self._actor.book.complain(f"{self._actor.name} gets what is no message: {message}")
        elif message.topic is Topic.CONNECTION:
            if message.action is ConnectionAction.PING:
                self.say(Message(Topic.CONNECTION, ConnectionAction.PONG))
        elif message.topic is not Topic.AUTH:
            if not self.left:
                self._actor.hear(message)
        elif message.action is AuthAction.AUTH_SUCCESSFUL:
            self.is_ready = True
            self._actor.ready(self)


class Actor:
    """
    A client with something to do. It connects to its node, and again when that connection has ended.

    @ivar user: the user that it logs in as.
    @ivar node: the node that it connects to.
    @ivar wire: its connection, once it has logged in.
    @ivar trace: what it has said and heard.
    """

    def __init__(self, stage: Stage, name: str, generation: str, node: str) -> None:
        self.stage = stage
        self.reactor = stage.reactor
        self.name = self.user = name
        self.generation = generation
        self.node = node
        self.cluster = stage.cluster
        self.book = stage.book
        self.random = random.Random(name)
        self.trace: deque[str] = deque(maxlen=_TRACE_LENGTH)
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
            for message in messages:
                self._trace(f"> {message}")
            self.wire.say(*messages)

    def ready(self, wire: Wire) -> None:
        """
        The client has logged in.
        """
        self._trace(f"logged in at {self.node} as {self.user}")
        self.wire = wire
        self.book.homes[self.user] = self.node
        self.book.come(self.user)
        self.logged_in()

    def lost(self, wire: Wire, reason: Failure) -> None:
        """
        A connection has ended.
        """
        self._trace(f"disconnected: {reason.getErrorMessage()}")
        if wire.is_ready:
            self.book.go(self.user)
            # Its user may have another connection, so the node of the user's last login does not tell.
            self.book.left.add(self.user)
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
            self.book.left.add(self.user)
            self.wire.left = True
            self.wire.transport.loseConnection()

    def hear(self, message: Message) -> None:
        """
        The server says something.
        """
        self._trace(f"< {message}")
        self.heard(message)

    def _trace(self, text: str) -> None:
        self.trace.append(f"{datetime.fromtimestamp(self.reactor.seconds()).time()} {_shortened(text)}")

    def others(self, kind: type[_A]) -> list[_A]:
        """
        The other actors of a kind that are logged in.
        """
        return [
            actor
            for actor in self.stage.actors
            if isinstance(actor, kind) and actor is not self and actor.wire is not None
        ]

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

    def begin_epoch(self) -> None:
        """
        There are new records.
        """

    def begin_rest(self) -> None:
        """
        There is no load from now on.
        """

    def begin_sure(self) -> None:
        """
        All was found as it must be. What the actor does now has to reach all others.
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


def _shortened(text: str) -> str:
    return _EMPTY_FIELD.sub("", text)[:300]
