"""
A crowd of clients of all generations that do things at random, and a model of what each of them has to hear.

All clients live in one thread, so it is known at each moment who has said and heard what. The model is exact:

- the events of one sender under one name come in order, each once, and none of the client's own;
- of the events that come between the acknowledgements of SUBSCRIBE and UNSUBSCRIBE none is missing;
- the versions of a record come one after the other, and each has the same data for all clients.
"""

from __future__ import annotations

import json
import socket
import ssl
import time
from random import Random
from typing import Any

from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.typed import to_json, to_typed
from tests.e2e.raw import RawClient
from tests.nodes.client import client_frame, server_frame

EVENTS = tuple(f"event{number}" for number in range(5))
RECORDS = tuple(f"record{number}" for number in range(3))
GENERATIONS = ("v4", "v4", "v4", "v3", "json")

#: How long the server may take for anything, in seconds.
PATIENCE = 120.0

#: A program for the server: its sockets take little, so that it has to keep what clients do not read.
SMALL_BUFFERS = f"""
import socket
from twisted.internet.tcp import Server
made = Server.__init__
def make(self, sock, *more):
    sock.setsockopt(socket.SOL_SOCKET, {int(socket.SO_SNDBUF)}, 4096)
    made(self, sock, *more)
Server.__init__ = make
"""

_READ_BYTES = 65536

#: What a socket says that cannot be read from, or written to, at the moment.
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Subscription:
    """
    One client's subscription to events of one name.

    @ivar state: C{"asked"}, C{"on"} or C{"ending"}.
    @ivar last: by sender, the number of the last event that has come.
    @ivar before: by sender, an event that was sent before the request: neither it nor any earlier one may come.
    @ivar first: by sender, the event that has to come at the latest, once the subscription is on.
    @ivar must: by sender, an event that was sent before the end of the subscription.
    """

    def __init__(self, before: dict[str, int]) -> None:
        self.state = "asked"
        self.last: dict[str, int] = {}
        self.before = before
        self.first: dict[str, int] = {}
        self.must: dict[str, int] = {}


class CrowdClient(RawClient):
    """
    One client. It waits for nothing.

    @ivar name: its own.
    @ivar rests: how many times it will not read although it could.
    @ivar barrier: the name of an event whose SUBSCRIBE is not acknowledged yet.
    """

    def __init__(self, crowd: Crowd, name: str, generation: str, port: int, tls: ssl.SSLContext | None) -> None:
        super().__init__(port, generation, name, tls)
        self.name = name
        self.rests = 0
        self.barrier = ""
        self.subscriptions: dict[str, Subscription] = {}
        # By record: its version and data, as far as they are known.
        self.records: dict[str, tuple[int, Any] | None] = {}
        self._crowd = crowd
        self._unsent = b""
        self._requests: dict[str, str] = {}
        self._socket.setblocking(False)

    def queue(self, *messages: Message) -> None:
        """
        Send messages as soon as the server takes them.
        """
        self._unsent += b"".join(client_frame(self._codec.encode(message), self._opcode) for message in messages)

    def ask(self, action: EventAction, name: str) -> None:
        """
        Ask something about the events of a name.
        """
        number = str(len(self._requests))
        self._requests[number] = name
        self.queue(Message(Topic.EVENT, action, names=(name,), correlation_id=number))

    def data(self, value: Any) -> bytes | str:
        """
        C{value} as clients of this generation write it.
        """
        text = json.dumps(value).encode()
        return to_typed(text) if self.generation == "v3" else text

    def work(self) -> bool:
        """
        Send and read what can be sent and read now.

        @return: whether there was anything.
        """
        busy = bool(self._unsent)
        try:
            if self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except _NOT_NOW:
            busy = False
        if self.rests:
            self.rests -= 1
            return busy
        try:
            data = self._socket.recv(_READ_BYTES)
        except _NOT_NOW:
            return busy
        if not data:
            raise AssertionError(f"{self.name} was closed")
        self._take(self._data + data)
        return True

    def _take(self, data: bytes) -> None:
        position = 0
        while (frame := server_frame(data, position)) is not None:
            opcode, payload, position = frame
            if opcode != self._opcode:
                raise AssertionError(f"{self.name}: a frame of kind {opcode}: {payload[:100]!r}")
            for message in self._codec.decode(payload):
                if isinstance(message, Message):
                    self._crowd.heard += 1
                    self._hear(message)
                else:
                    raise AssertionError(f"{self.name}: not a message: {payload[:100]!r}")
        self._data = data[position:]

    def _hear(self, message: Message) -> None:
        if message.topic is Topic.RECORD:
            self._hear_record(message)
        elif message.topic is not Topic.EVENT:
            return
        elif message.action is EventAction.EMIT:
            self._hear_event(message)
        elif message.is_ack:
            name = message.names[0] if message.names else self._requests[message.correlation_id or ""]
            self._hear_ack(name, message)
        elif message.action is not EventAction.MULTIPLE_SUBSCRIPTIONS:
            raise AssertionError(f"{self.name} is told: {message}")

    # -- events

    def _hear_event(self, message: Message) -> None:
        assert message.name is not None
        sender, number, _ = json.loads(to_json(message.data) or b"")
        what = f"{self.name}: {message.name} {number} of {sender}"
        subscription = self.subscriptions.get(message.name)
        if subscription is None or sender == self.name:
            raise AssertionError(f"{what} is not for it")
        last = subscription.last.get(sender)
        if last is not None:
            if number != last + 1:
                raise AssertionError(f"{what} after {last}")
        elif number <= subscription.before.get(sender, -1):
            raise AssertionError(f"{what} is from before the subscription")
        elif subscription.state != "asked" and number > subscription.first.get(sender, 0):
            raise AssertionError(f"{what} instead of {subscription.first.get(sender, 0)}")
        subscription.last[sender] = number
        self._crowd.came(message.name, sender, number)

    def _hear_ack(self, name: str, message: Message) -> None:
        if name == self.barrier:
            self.barrier = ""
        subscription = self.subscriptions.get(name)
        if subscription is None:
            return
        if message.action is EventAction.UNSUBSCRIBE:
            self.check(name, subscription.must)
            del self.subscriptions[name]
        elif subscription.state == "asked":
            subscription.state = "on"
            subscription.first = dict(self._crowd.sent[name])

    def check(self, name: str, must: dict[str, int]) -> None:
        """
        Check that all events up to C{must} have come, by sender.
        """
        subscription = self.subscriptions[name]
        for sender, number in must.items():
            if sender == self.name or number < subscription.first.get(sender, 0):
                continue
            last = subscription.last.get(sender, -1)
            if last < number:
                raise AssertionError(f"{self.name}: {name} {number} of {sender} is missing after {last}")

    # -- records

    def _hear_record(self, message: Message) -> None:
        action, name, version = message.action, message.name, message.version
        if action not in (RecordAction.READ_RESPONSE, RecordAction.UPDATE, RecordAction.PATCH):
            if message.is_error:
                raise AssertionError(f"{self.name} is told: {message}")
            return
        assert name is not None and version is not None
        known = self.records.get(name)
        value = json.loads(to_json(message.data) or b"")
        if action is not RecordAction.READ_RESPONSE:
            if known is None or version != known[0] + 1:
                raise AssertionError(f"{self.name}: version {version} of {name} after {known}")
            if action is RecordAction.PATCH:
                value = {**known[1], message.path: value}
        self.records[name] = version, value
        self._crowd.saw(self.name, name, version, value)


class Crowd:
    """
    The clients, and what they have done.

    @param ports: by the TLS of clients, C{None} for none: the port of the server.
    @ivar sent: by name and sender, how many events were sent.
    @ivar heard: how many messages all clients have heard.
    """

    def __init__(self, seed: int, ports: dict[ssl.SSLContext | None, int], most: int) -> None:
        self._random = Random(seed)
        self._ports = ports
        self._most = most
        self._serial = 0
        self.clients: list[CrowdClient] = []
        self.sent: dict[str, dict[str, int]] = {name: {} for name in EVENTS}
        self.heard = 0
        # By name and sender: the last event that has come to any client.
        self._came: dict[str, dict[str, int]] = {name: {} for name in EVENTS}
        # By record and version: the data.
        self._states: dict[tuple[str, int], Any] = {}
        for _ in range(most):
            self._come()
        for client in self.clients:
            for name in EVENTS[:3]:
                self._subscribe(client, name)

    def came(self, name: str, sender: str, number: int) -> None:
        self._came[name][sender] = max(number, self._came[name].get(sender, -1))

    def saw(self, client: str, name: str, version: int, value: Any) -> None:
        expected = self._states.setdefault((name, version), value)
        if value != expected:
            raise AssertionError(f"{client}: {name} at version {version} is {value}, and was {expected} for others")

    def do(self, steps: int) -> None:
        """
        Do things at random, then have all clients hear all that they have to hear.
        """
        for _ in range(steps):
            self._step(self._random.choice(self.clients))
            if self._random.random() < 0.5:
                self._work()
        # Once so that all is served that was said, and once more so that all is heard that came of it.
        for _ in range(2):
            self._serial += 1
            for client in self.clients:
                client.rests = 0
                client.barrier = f"barrier{self._serial}"
                client.ask(EventAction.SUBSCRIBE, client.barrier)
                client.ask(EventAction.UNSUBSCRIBE, client.barrier)
            self._wait()
        here = {client.name for client in self.clients}
        for client in self.clients:
            for name in client.subscriptions:
                sent = {sender: count - 1 for sender, count in self.sent[name].items() if sender in here}
                client.check(name, sent)
        for name in RECORDS:
            states = {str(client.records[name]) for client in self.clients if client.records.get(name) is not None}
            if len(states) > 1:
                raise AssertionError(f"{name} is {states}")

    def close(self) -> None:
        for client in self.clients:
            client.close()

    def _wait(self) -> None:
        end = time.monotonic() + PATIENCE
        while any(client.barrier for client in self.clients):
            if not self._work():
                time.sleep(0.001)
            if time.monotonic() > end:
                raise AssertionError(f"no answer for {[client.name for client in self.clients if client.barrier]}")

    def _work(self) -> bool:
        return sum(client.work() for client in self.clients) > 0

    def _come(self) -> None:
        self._serial += 1
        tls, port = self._random.choice(list(self._ports.items()))
        generation = self._random.choice(GENERATIONS)
        self.clients.append(CrowdClient(self, f"client{self._serial}", generation, port, tls))

    def _step(self, client: CrowdClient) -> None:
        random = self._random
        kind, name, record = random.random(), random.choice(EVENTS), random.choice(RECORDS)
        if kind < 0.5:
            self._emit(client, random.choice((EVENTS, EVENTS[:3], (name,))), random.choice((1, 2, 10, 40)))
            if random.random() < 0.3:
                self._unsubscribe(client, name)
        elif kind < 0.62:
            self._subscribe(client, name)
        elif kind < 0.7:
            self._unsubscribe(client, name)
        elif kind < 0.9 and record not in client.records:
            # Subscribers do not write, so they hear of all versions.
            if random.random() < 0.3:
                client.records[record] = None
                request = RecordAction.SUBSCRIBECREATEANDREAD
                client.queue(Message(Topic.RECORD, request, names=(record,), correlation_id="1"))
            else:
                self._write(client, record)
        elif kind < 0.95:
            client.rests = random.choice((5, 50, 200))
        elif kind < 0.97 and len(self.clients) > self._most // 2:
            self.clients.remove(client)
            client.close()
        elif len(self.clients) < self._most:
            self._come()

    def _emit(self, client: CrowdClient, names: tuple[str, ...], count: int) -> None:
        messages = []
        padding = "x" * self._random.choice((0, 0, 50, 300, 20000 if count == 1 else 0))
        for _ in range(count):
            name = self._random.choice(names)
            number = self.sent[name].get(client.name, 0)
            self.sent[name][client.name] = number + 1
            messages.append(Message(Topic.EVENT, EventAction.EMIT, name, client.data([client.name, number, padding])))
        client.queue(*messages)

    def _subscribe(self, client: CrowdClient, name: str) -> None:
        subscription = client.subscriptions.get(name)
        if subscription is None:
            client.subscriptions[name] = Subscription(dict(self._came[name]))
        elif subscription.state != "on":
            return
        # Perhaps for the second time, which changes nothing.
        client.ask(EventAction.SUBSCRIBE, name)

    def _unsubscribe(self, client: CrowdClient, name: str) -> None:
        subscription = client.subscriptions.get(name)
        if subscription is not None and subscription.state == "on":
            subscription.state, subscription.must = "ending", dict(self._came[name])
            client.ask(EventAction.UNSUBSCRIBE, name)

    def _write(self, client: CrowdClient, record: str) -> None:
        self._serial += 1
        if self._random.random() < 0.3:
            action, path = RecordAction.CREATEANDUPDATE, None
            data: bytes | str = json.dumps({"whole": self._serial}).encode()
        else:
            action, path = RecordAction.CREATEANDPATCH, self._random.choice("abc")
            data = client.data(self._serial)
        client.queue(Message(Topic.RECORD, action, record, data, version=-1, path=path))
