"""
Many clients that do a bit of everything, at a rate that is set from outside.

In turn, each client emits an event to the next client, and writes a record of its own, with an acknowledgement. Both
come back to this process with the time at which they were sent. If the server does not read what a client sends, the
client sends nothing more for the time being.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator

from bench.load.client import connect
from bench.load.dialects import Deepstream
from bench.load.loop import Loop, Received
from bench.load.target import Target
from bench.load.wire import HOLE, Numbered, frame, unfinished
from dstwist.protocol.constants import ConnectionAction, EventAction, RecordAction, Topic
from dstwist.protocol.message import Message

_STAMP = re.compile(rb"<(\d{8})>")
_STAMP_LENGTH = 10
#: Stamps are microseconds, and begin again after 100 s.
_STAMPS = 10**8
#: As much as waits in the socket of a client, in bytes.
_SOCKET = 64 * 1024
#: Seconds. The server closes clients that are silent for long.
_HEARTBEAT = 60.0
_PING = frame(Message(Topic.CONNECTION, ConnectionAction.PING))


class Mix:
    """
    The clients.

    @ivar done: how many requests of each client had their effect.
    @ivar delays: how long they took, in milliseconds.
    @ivar held_back: how many requests were not made, because the client's last ones were not even read.
    """

    def __init__(self, target: Target, clients: int) -> None:
        self._loop = Loop()
        self.done = [0] * clients
        self.delays: list[float] = []
        self.held_back = 0
        self._clients = [connect(target, f"client-{number}") for number in range(clients)]
        self._requests = [_requests(number, clients) for number in range(clients)]
        self._heartbeat = time.monotonic()
        for number, client in enumerate(self._clients):
            Deepstream().subscribe(client, [f"to/{number}"])
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET)
            self._loop.add(client, self._received(number))

    def run(self, seconds: float, per_second: float) -> None:
        """
        Make C{per_second} requests a second.
        """
        start = time.monotonic()
        made = 0
        while (now := time.monotonic()) < start + seconds:
            due = int((now - start) * per_second)
            if due > made:
                self._make(made, due)
                made = due
            self._loop.turn(0.001)
            if now > self._heartbeat + _HEARTBEAT:
                self._heartbeat = now
                for client in self._clients:
                    self._loop.send(client, _PING)

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def _make(self, first: int, end: int) -> None:
        """
        Make the requests from C{first} up to C{end}, those of each client in one go.
        """
        stamp = time.perf_counter_ns() // 1000 % _STAMPS
        for number, rounds in shares(first, end, len(self._clients)):
            client = self._clients[number]
            if self._loop.is_waiting(client):
                self.held_back += len(rounds)
            else:
                both = self._requests[number]
                self._loop.send(client, b"".join([both[index % 2].frame(stamp) for index in rounds]))

    def _received(self, number: int) -> Received:
        """
        Note what arrives at a client: events are those of the client before it.
        """
        start = b""

        def received(data: bytes) -> None:
            nonlocal start
            now = time.perf_counter_ns() // 1000
            data = start + data
            end = count = 0
            for found in _STAMP.finditer(data):
                end = found.end()
                count += 1
                self.delays.append((now - int(found[1])) % _STAMPS / 1000)
            start = unfinished(data, b"<", _STAMP_LENGTH, end)
            self.done[number] += count

        return received


def shares(first: int, end: int, clients: int) -> Iterator[tuple[int, range]]:
    """
    Which requests from C{first} up to C{end} are those of which client, if all clients make one in each round: the
    number of the client, and the rounds.
    """
    for request in range(first, min(end, first + clients)):
        number = request % clients
        yield number, range(request // clients, (end - 1 - number) // clients + 1)


def _requests(number: int, clients: int) -> tuple[Numbered, Numbered]:
    """
    The event and the write of a client.
    """
    data = f'{{"sent":"{HOLE}","text":"{"x" * 40}"}}'.encode()
    event = Message(Topic.EVENT, EventAction.EMIT, f"to/{(number + 1) % clients}", f'"<{HOLE}>"'.encode())
    write = Message(Topic.RECORD, RecordAction.CREATEANDUPDATE, f"of/{number}", data, version=-1)
    write.is_write_ack, write.correlation_id = True, f"<{HOLE}>"
    return Numbered(event), Numbered(write)
