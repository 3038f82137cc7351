"""
Acknowledged writes per CPU-second on a Redis: dstwist and the Node server in turn, on the same Redis.

Both keep their records in C{cache: {type: redis}} and have no storage. One client patches 1000 records in turn, as in
L{bench.acknowledged}. The CPU time of Redis is not counted. With C{--durable}, Redis writes each change to the disk
before it answers. C{make test} installs the Node server.

The Node server acknowledges a write when Redis has it. It does not compare versions in Redis, so it has less to do.

::

    python -m bench.redis_writes [--rounds 3] [--in-flight 1 50 500] [--durable]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.acknowledged import IN_FLIGHT, SECONDS, Writer
from bench.sockets import TWISTD, Server, free_port, running
from tests.e2e.node_server import NodeServer
from tests.redis_server import RedisServer

#: Runs a server on the Redis at a port, with its files in a directory.
Serve = Callable[[int, Path], contextlib.AbstractContextManager[Server]]


@contextlib.contextmanager
def dstwist(redis_port: int, directory: Path) -> Iterator[Server]:
    config = directory / "config.yml"
    cache = {"type": "redis", "options": {"host": "127.0.0.1", "port": redis_port}}
    config.write_text(json.dumps({"cache": cache, "storage": {"type": "none"}}))
    port = free_port()
    listen = f"tcp:{port}:interface=127.0.0.1"
    command = [*TWISTD, "dstwist", "--log-level", "error", "--config", str(config), "--listen", listen]
    with running(command, port) as server:
        yield server


@contextlib.contextmanager
def node(redis_port: int, directory: Path) -> Iterator[Server]:
    cache = {"name": "redis", "options": {"host": "127.0.0.1", "port": redis_port}}
    server = NodeServer(directory, cache)
    server.start()
    try:
        yield Server(server.pid, server.port)
    finally:
        server.stop()


SERVERS: dict[str, Serve] = {"dstwist": dstwist, "Node server": node}


def measure(serve: Serve, redis: RedisServer, in_flight: int) -> tuple[float, float]:
    """
    Acknowledged writes per CPU-second of the server, and per second.
    """
    redis.command("FLUSHALL")
    with tempfile.TemporaryDirectory() as directory, serve(redis.port, Path(directory)) as server:
        writer = Writer(server)
        writer.create()
        cpu, start = server.cpu(), time.monotonic()
        done = writer.run(in_flight, SECONDS)
        return done / (server.cpu() - cpu), done / (time.monotonic() - start)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--in-flight", type=int, nargs="*", default=IN_FLIGHT)
    parser.add_argument("--durable", action="store_true", help="appendonly yes, appendfsync always")
    options = parser.parse_args()
    redis = RedisServer(durable=options.durable)
    redis.start()
    try:
        print("in flight   per CPU-second   per second   server", flush=True)
        for in_flight in options.in_flight:
            figures: dict[str, list[tuple[float, float]]] = {name: [] for name in SERVERS}
            for _ in range(options.rounds):
                for name, serve in SERVERS.items():
                    figures[name].append(measure(serve, redis, in_flight))
            for name, rounds in figures.items():
                rates = [statistics.median(column) for column in zip(*rounds, strict=True)]
                print(f"{in_flight:9}{rates[0]:17,.0f}{rates[1]:13,.0f}   {name}", flush=True)
    finally:
        redis.destroy()


if __name__ == "__main__":
    main()
