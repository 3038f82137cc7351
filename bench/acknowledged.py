"""
Acknowledged writes per CPU-second of a server that stores them, by how many are in flight.

One client patches 1000 records in turn, and sends the next patch when one is acknowledged. With C{--checkout}, servers
of both checkouts run in turn. The CPU time is that of dstwist, without that of Redis.

===================  ========================================================
C{--store}           where the records are
===================  ========================================================
C{sqlite}            in a file, with a cache in memory
C{redis}             in a Redis, with a cache in memory
C{redis-alone}       in a Redis only, so that each write reads it first
===================  ========================================================

::

    python -m bench.acknowledged [--store sqlite] [--checkout DIRECTORY] [--rounds 3] [--profile FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Iterator

from bench.sockets import Server, connect, free_port, running
from dstwist.protocol import protobuf
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from tests.nodes.client import client_frame, server_frame
from tests.redis_server import RedisServer

SECONDS = 3.0
RECORDS = 1000
IN_FLIGHT = (1, 50, 500)
DATA = b'{"name":"Ann Smith","at":1700000000,"position":{"x":1,"y":2},"text":"%s"}' % (b"x" * 100)

#: Runs twistd and prints the CPU time of each function of the main thread at the end.
_PROFILED = (
    "import cProfile, sys; from twisted.scripts.twistd import run; p = cProfile.Profile()\n"
    "try: p.runcall(run)\n"
    "finally: p.dump_stats({file!r})"
)


_SECTIONS = {
    "redis": "storage: {{type: redis, options: {{port: {port}}}}}",
    "redis-alone": "cache: {{type: redis, options: {{port: {port}}}}}",
}


@contextlib.contextmanager
def options_of(store: str, directory: str) -> Iterator[list[str]]:
    """
    The options of a server that stores its records in C{directory}, or in a Redis that has its file there and syncs
    each write.
    """
    if store == "sqlite":
        yield ["--data-dir", directory]
        return
    redis = RedisServer(durable=True, dir=directory)
    redis.start()
    try:
        config = os.path.join(directory, "config.yml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(_SECTIONS[store].format(port=redis.port))
        yield ["--config", config]
    finally:
        redis.destroy()


@contextlib.contextmanager
def server(checkout: str, store: list[str], profile: str | None) -> Iterator[Server]:
    """
    A server of C{checkout} with the options C{store}.
    """
    port = free_port()
    code = "from twisted.scripts.twistd import run; run()" if profile is None else _PROFILED.format(file=profile)
    listen = f"tcp:{port}:interface=127.0.0.1"
    command = ["-c", code, "--nodaemon", "--pidfile=", "dstwist", "--log-level", "error"]
    with running([*command, *store, "--listen", listen], port, checkout) as started:
        yield started


class Writer:
    """
    A client that counts the acknowledgements of its writes.

    @param prefix: that of its records.
    """

    def __init__(self, server: Server, prefix: str = "record") -> None:
        self._socket = connect(server, "writer")
        self._prefix = prefix
        self._received = b""
        self._sent = 0
        self._frames: dict[int, bytes] = {}

    def create(self) -> None:
        """
        Create all records.
        """
        for number in range(RECORDS):
            message = Message(Topic.RECORD, RecordAction.CREATEANDUPDATE, f"{self._prefix}/{number}", DATA, version=1)
            message.is_write_ack, message.correlation_id = True, str(number)
            self._socket.sendall(client_frame(protobuf.CLIENT.encode(message), 2))
        left = RECORDS
        while left:
            left -= self.acknowledgements()

    def send(self, count: int) -> None:
        """
        Send C{count} patches.
        """
        frames = []
        for number in range(self._sent, self._sent + count):
            record, version = number % RECORDS, number // RECORDS + 2
            message = Message(
                Topic.RECORD, RecordAction.PATCH, f"{self._prefix}/{record}", b"%d.5" % version, path="position.x"
            )
            message.version, message.is_write_ack, message.correlation_id = version, True, str(number)
            frames.append(client_frame(protobuf.CLIENT.encode(message), 2))
        self._sent += count
        self._socket.sendall(b"".join(frames))

    def acknowledgements(self) -> int:
        """
        Wait for answers.

        @return: how many there are.
        """
        data = self._received + self._socket.recv(1 << 18)
        position = count = 0
        while (frame := server_frame(data, position)) is not None:
            _, payload, position = frame
            for message in protobuf.CLIENT.decode(payload):
                if not isinstance(message, Message) or message.action is not RecordAction.WRITE_ACKNOWLEDGEMENT:
                    if isinstance(message, Message) and message.topic is not Topic.RECORD:
                        continue
                    raise AssertionError(f"{message!r}")
                count += 1
        self._received = data[position:]
        return count

    def run(self, in_flight: int, seconds: float) -> int:
        """
        Have C{in_flight} writes under way for C{seconds}.

        @return: how many were acknowledged.
        """
        done = 0
        end = time.monotonic() + seconds
        self.send(in_flight)
        while time.monotonic() < end:
            count = self.acknowledgements()
            done += count
            self.send(count)
        left = in_flight
        while left:
            left -= self.acknowledgements()
        return done + in_flight


def measure(checkout: str, store: str, in_flight: int, profile: str | None = None) -> tuple[float, float]:
    """
    Acknowledged writes per CPU-second of the server, and per second.
    """
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        options = stack.enter_context(options_of(store, directory))
        running = stack.enter_context(server(checkout, options, profile))
        writer = Writer(running)
        writer.create()
        cpu, start = running.cpu(), time.monotonic()
        done = writer.run(in_flight, SECONDS)
        return done / (running.cpu() - cpu), done / (time.monotonic() - start)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkout", help="another checkout to compare with")
    parser.add_argument("--store", choices=["sqlite", *_SECTIONS], default="sqlite")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--in-flight", type=int, nargs="*", default=IN_FLIGHT)
    parser.add_argument("--profile", help="write the profile of a server of this checkout into this file")
    options = parser.parse_args()
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    checkouts = [os.path.abspath(options.checkout), here] if options.checkout else [here]
    print("in flight   per CPU-second   per second   checkout", flush=True)
    for in_flight in options.in_flight:
        figures: dict[str, list[tuple[float, float]]] = {checkout: [] for checkout in checkouts}
        for _ in range(options.rounds):
            for checkout in checkouts:
                figures[checkout].append(measure(checkout, options.store, in_flight, options.profile))
        for checkout, rounds in figures.items():
            rates = [statistics.median(column) for column in zip(*rounds, strict=True)]
            print(f"{in_flight:9}{rates[0]:17,.0f}{rates[1]:13,.0f}   {checkout}", flush=True)


if __name__ == "__main__":
    main()
