"""
A Redis server that does what a test says, at the other end of connections without a network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hiredis import Reader
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionLost
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from dstwist.config.redis import RedisConnectionSettings
from dstwist.redis.link import RedisLink
from dstwist.redis.primary import Place

#: The answers to a client that introduces itself.
FACTS = {
    "run_id": "a" * 40,
    "redis_version": "7.0.15",
    "redis_mode": "standalone",
    "master_replid": "b" * 40,
    "master_repl_offset": "17",
}

Command = tuple[Any, ...]
Answer = Callable[[Command], bytes | None]


def packed(value: Any) -> bytes:
    """
    An answer in the bytes of Redis; an L{Exception} is an error.
    """
    if isinstance(value, Exception):
        return b"-%s\r\n" % str(value).encode()
    if isinstance(value, int):
        return b":%d\r\n" % value
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, list):
        return b"*%d\r\n" % len(value) + b"".join(map(packed, value))
    data = value.encode() if isinstance(value, str) else value
    return b"$%d\r\n%s\r\n" % (len(data), data)


class Peer(StringTransport):
    """
    The server's end of one connection.
    """

    def __init__(self, protocol: Any, number: int) -> None:
        super().__init__()
        self.protocol = protocol
        self.number = number
        self.writes = 0
        self.closed = False
        self._reader = Reader()

    def writeSequence(self, data: Any) -> None:
        self.writes += 1
        super().writeSequence(data)

    def take(self) -> list[Command]:
        """
        The commands that have come since the last time.
        """
        self._reader.feed(self.value())
        self.clear()
        commands = []
        while (command := self._reader.gets()) is not False:
            commands.append(tuple(command))
        return commands

    def answer(self, *values: Any) -> None:
        """
        Send answers, in one piece.
        """
        self.protocol.dataReceived(b"".join(map(packed, values)))

    def close(self, error: Exception | None = None) -> None:
        """
        The connection is lost.
        """
        if not self.closed:
            self.closed = True
            self.protocol.connectionLost(Failure(error or ConnectionLost()))

    def abortConnection(self) -> None:
        super().abortConnection()
        self.close()

    def loseConnection(self) -> None:
        super().loseConnection()
        self.close()


@implementer(IStreamClientEndpoint)
class Endpoint:
    """
    A server that can be reached, or not.

    @ivar refuses: why a connection is refused; C{None}: it is accepted. C{...}: nothing comes back.
    """

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self.attempts = 0
        self.refuses: Any = None

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        self.attempts += 1
        connected: Deferred[Any] = Deferred()
        if self.refuses is ...:
            return connected
        if self.refuses is not None:
            connected.errback(ConnectError(string=self.refuses))
            return connected
        protocol = protocolFactory.buildProtocol(None)
        peer = Peer(protocol, len(self.peers) + 1)
        self.peers.append(peer)
        protocol.makeConnection(peer)
        connected.callback(protocol)
        return connected


class KnownPrimary:
    """
    The address of the server of a test.
    """

    name = "here:6379"

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    async def find(self) -> Place:
        return Place(self.endpoint, self.name)

    def watch(self, moved: Callable[[str], object]) -> None:
        pass

    def stop(self) -> None:
        pass


def greeted(command: Command, facts: dict[str, str], number: int) -> Any:
    """
    The answer of a server to a command by which a link introduces itself; C{None} for other commands.
    """
    text = " ".join(word.decode() for word in command)
    if command[0] == b"INFO":
        return "\r\n".join(["# Part", *(f"{key}:{value}" for key, value in facts.items())])
    answers = {
        "ROLE": ["master", 17, []],
        "CLIENT ID": 100 + number,
        "CLIENT SETNAME": "OK",
        "CLIENT KILL": 0,
        "PING": "PONG",
        "AUTH": "OK",
        "SELECT": "OK",
    }
    return next((answer for start, answer in answers.items() if text.startswith(start)), None)


class LinkTestCase(SynchronousTestCase):
    """
    A test with a link, and with the server.

    @ivar facts: the answers to INFO.
    @ivar special: the answers to single commands, by their first words.
    @ivar outcomes: the outcomes of the calls, in their order: (argument, answer or error).
    """

    settings = RedisConnectionSettings()

    def setUp(self) -> None:
        self.clock = Clock()
        self.endpoint = Endpoint()
        self.facts = dict(FACTS)
        self.special: dict[str, Any] = {}
        self.outcomes: list[tuple[Any, Any]] = []
        self.greetings: list[list[Command]] = []
        self.link = self.make()

    def make(self, **options: Any) -> RedisLink:
        settings = replace(self.settings, **options)
        primary = KnownPrimary(self.endpoint)
        self.link = RedisLink(settings, self.clock, "dstwist-n1", primary, jitter=lambda: 1.0)
        return self.link

    @property
    def peer(self) -> Peer:
        """
        The last connection.
        """
        return self.endpoint.peers[-1]

    def turn(self) -> None:
        """
        Let all be done that is due now.
        """
        self.clock.advance(0)

    def greet(self) -> list[Command]:
        """
        Answer the commands with which the link introduces itself.

        @return: these commands.
        """
        seen: list[Command] = []
        while True:
            self.turn()
            commands = self.peer.take()
            if not commands:
                self.greetings.append(seen)
                return seen
            seen += commands
            # Calls come last, and are not answered.
            answers = map(self._greeted, commands)
            self.peer.answer(*[answer for answer in answers if answer is not ...])

    def _greeted(self, command: Command) -> Any:
        text = " ".join(word.decode() for word in command)
        for start, answer in self.special.items():
            if text.startswith(start):
                return answer
        answer = greeted(command, self.facts, self.peer.number)
        return ... if answer is None else answer

    def connect(self, **options: Any) -> Peer:
        """
        A link that is ready.

        @return: the server's end.
        """
        if options:
            self.make(**options)
        started = self.link.start()
        self.greet()
        self.successResultOf(started)
        return self.peer

    def submit(self, key: str | None, *words: Any, name: Any = None) -> None:
        """
        Make a call; its outcome gets into C{outcomes} under C{name}, or the last word.
        """
        self.link.submit(key, words, self.done, words[-1] if name is None else name)

    def done(self, argument: Any, error: Exception | None, reply: Any) -> None:
        self.outcomes.append((argument, reply if error is None else error))

    def sent(self) -> list[Command]:
        """
        The commands of this turn.
        """
        self.turn()
        return self.peer.take()

    def kinds(self) -> list[Any]:
        """
        The outcomes with the class of an error in place of the error.
        """
        return [(name, type(found) if isinstance(found, Exception) else found) for name, found in self.outcomes]

    def pass_time(self, seconds: float) -> None:
        """
        Let time pass in small steps. The server does nothing.
        """
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05)

    def reconnect(self) -> Peer:
        """
        Wait for the next connection, and answer it.
        """
        known = len(self.endpoint.peers)
        while len(self.endpoint.peers) == known:
            assert self.clock.seconds() < 1000, "there is no attempt to connect"
            self.clock.advance(0.01)
        self.greet()
        return self.peer
