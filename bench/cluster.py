"""
The nodes of a cluster: CPU time of messages at each process, acknowledged writes, and the latency that the bus adds.

The nodes run over a Redis, which is the bus and the storage. It writes nothing to the disk. A client at the first node
sends; each node has the same number of subscribers. All clusters run at the same time and are measured in turn, so that
other work on the machine touches them alike. "alone" is one server with the same storage and without C{clusterNode}.

================  ====================================================================================================
part              measures
================  ====================================================================================================
C{messages}       events, and record updates that the client has not acknowledged, per CPU-second at the sender's node,
                  at the other nodes (on average) and at Redis; in brackets the CPU microseconds of one message. "50 at
                  once" is a busy server, which has much to do in each turn; "1 at once" is the next message when all
                  subscribers have the last one
C{acknowledged}   acknowledged patches of 1000 records, with one client at each node; the clients have other records
C{latency}        one message at a time, from the client that sends it to a subscriber at the same node and at another
                  node, in turn; so the difference is what the bus adds
================  ====================================================================================================

C{--names} is another benchmark: L{bench.cluster_names}.

::

    python -m bench.cluster [--rounds 3] [--parts messages acknowledged latency]
    python -m bench.cluster --names 100000
"""

from __future__ import annotations

import argparse
import itertools
import select
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench import cluster_names
from bench.acknowledged import Writer
from bench.sockets import Server, connect, say
from dstwist.protocol import protobuf
from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from tests.e2e import server as e2e
from tests.e2e.nodes import Nodes
from tests.nodes.client import client_frame
from tests.redis_server import RedisServer

PARTS = ("messages", "acknowledged", "latency")
COUNTS = (0, 1, 2, 3)
SUBSCRIBERS = (1, 100)
SECONDS = 2.0
IN_FLIGHT = (1, 50)
LATENCIES = 3000

#: How many messages the sender sends at once, and how many of these batches may be on their way.
BATCHES = {50: 8, 1: 1}

#: The clients here send no heartbeat.
CONFIG = "connectionEndpoints: [{type: ws-binary, options: {heartbeatInterval: 3600000}}]\n"

#: How many records are written in turn.
RECORDS = 20

#: Is in the data of each message, once.
MARK = b"~#"


class Cluster:
    """
    A cluster of C{count} nodes; 0: one server that is alone.
    """

    def __init__(self, count: int) -> None:
        self.title = f"{count} nodes" if count > 1 else f"{count} node" if count else "alone"
        self._nodes: Nodes | None = None
        if count:
            self._nodes = nodes = Nodes(count, more=CONFIG)
            self.redis = nodes.redis
            nodes.start()
            servers = nodes.servers
        else:
            self.redis = RedisServer()
            self.redis.start()
            self._directory = tempfile.TemporaryDirectory()
            path = Path(self._directory.name) / "config.yml"
            path.write_text(f"{CONFIG}storage: {{type: redis, options: {{port: {self.redis.port}}}}}")
            self._alone = e2e.Server(None, path)
            self._alone.start()
            servers = [self._alone]
        self.servers = [Server(server.pid, server.port) for server in servers]
        self._redis = Server(self.redis.pid, self.redis.port)

    def cpu(self) -> list[float]:
        """
        Seconds of CPU time of each node and of Redis so far.
        """
        return [process.cpu() for process in (*self.servers, self._redis)]

    def stop(self) -> None:
        if self._nodes is not None:
            self._nodes.kill()
        else:
            self._alone.kill()
            self.redis.destroy()
            self._directory.cleanup()


def frame(message: Message) -> bytes:
    return client_frame(protobuf.CLIENT.encode(message), 2)


def receive(client: socket.socket, marks: int) -> None:
    """
    Come back when C{client} has got so many messages with data.
    """
    while marks > 0:
        marks -= client.recv(1 << 18).count(MARK)


# -- messages


class Load:
    """
    The clients of one cluster, and the messages that they send.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._sender = connect(cluster.servers[0], "sender")
        most = max(SUBSCRIBERS)
        clients = [[connect(server, f"s{number}") for number in range(most)] for server in cluster.servers]
        self._clients = {count: [client for some in clients for client in some[:count]] for count in SUBSCRIBERS}
        self._records = {count: [f"{count}/{number}" for number in range(RECORDS)] for count in SUBSCRIBERS}
        for count in SUBSCRIBERS:
            for name in self._records[count]:
                say(self._sender, write(name, 1))
            time.sleep(0.5)
            for client in self._clients[count]:
                say(client, subscription(f"{count}"))
                client.recv(4096)
                names = tuple(self._records[count])
                say(client, Message(Topic.RECORD, RecordAction.SUBSCRIBEANDREAD, names=names, correlation_id="1"))
                receive(client, RECORDS)
        self._frames: dict[tuple[str, int], Iterator[bytes]] = {}
        for count in SUBSCRIBERS:
            self._frames["events", count] = itertools.repeat(frame(event(f"{count}")))
            self._frames["record updates", count] = self._updates(count)

    def _updates(self, count: int) -> Iterator[bytes]:
        for version in itertools.count(2):
            for name in self._records[count]:
                yield frame(write(name, version))

    def run(self, kind: str, count: int, batch: int) -> list[float]:
        """
        Send as much as subscribers receive, C{batch} messages at once.

        @return: the CPU seconds of a message, at each node and at Redis.
        """
        frames, clients = self._frames[kind, count], self._clients[count]
        window = batch * BATCHES[batch] * len(clients)
        by_number = {client.fileno(): client for client in clients}
        poll = select.epoll()
        for number in by_number:
            poll.register(number, select.EPOLLIN)
        sent = received = missing = 0
        before, end = self.cluster.cpu(), time.monotonic() + SECONDS
        while True:
            while sent * len(clients) - received < window and time.monotonic() < end:
                self._sender.sendall(b"".join(itertools.islice(frames, batch)))
                sent += batch
            ready = poll.poll(2)
            for number, _ in ready:
                received += by_number[number].recv(1 << 18).count(MARK)
            if not ready:
                # A node has read a record again, as it does each compareInterval, and has sent the whole of it.
                missing += sent * len(clients) - received
                received = sent * len(clients)
            if received == sent * len(clients) and time.monotonic() >= end:
                break
        if missing:
            print(
                f"  {self.cluster.title}: {missing / sent / len(clients):.1%} of the {kind} were left out", flush=True
            )
        return [(now - then) / sent for now, then in zip(self.cluster.cpu(), before, strict=True)]


def event(name: str) -> Message:
    return Message(Topic.EVENT, EventAction.EMIT, name, b'{"price":"%s1.34325","id":7}' % MARK)


def subscription(name: str) -> Message:
    return Message(Topic.EVENT, EventAction.SUBSCRIBE, names=(name,), correlation_id="0")


def write(name: str, version: int) -> Message:
    if version == 1:
        data = b'{"name":"Ann Smith","position":{"x":"%s","y":2},"text":"%s"}' % (MARK, b"x" * 100)
        return Message(Topic.RECORD, RecordAction.CREATEANDUPDATE, name, data, version=1)
    data = b'"%s%d"' % (MARK, version)
    return Message(Topic.RECORD, RecordAction.PATCH, name, data, path="position.x", version=version)


def figure(seconds: float) -> str:
    """
    How many there are in a CPU-second, and the microseconds of one.
    """
    return f"{1 / seconds:12,.0f} ({seconds * 1e6:6.1f})" if seconds else f"{'-':>21}"


def messages(clusters: list[Cluster], rounds: int) -> None:
    loads = [Load(cluster) for cluster in clusters]
    print("per CPU-second (microseconds):         sender's node     each other node               Redis")
    for kind, count, batch in itertools.product(("events", "record updates"), SUBSCRIBERS, BATCHES):
        print(f"{kind}, {count} subscribers at each node, {batch} at once", flush=True)
        for load, costs in in_turn(loads, rounds, partial(Load.run, kind=kind, count=count, batch=batch)):
            sender, *others, redis = costs
            columns = [sender, statistics.mean(others) if others else 0.0, redis]
            print(f"  {load.cluster.title:28}{''.join(map(figure, columns))}", flush=True)


def in_turn(loads: list[Load], rounds: int, run: Callable[[Load], list[float]]) -> Iterator[tuple[Load, list[float]]]:
    """
    The medians of all rounds.
    """
    figures: list[list[list[float]]] = [[] for _ in loads]
    for _ in range(rounds):
        for load, rows in zip(loads, figures, strict=True):
            rows.append(run(load))
    for load, rows in zip(loads, figures, strict=True):
        yield load, [statistics.median(column) for column in zip(*rows, strict=True)]


# -- acknowledged writes


def acknowledged(clusters: list[Cluster], rounds: int) -> None:
    writers = [
        [Writer(server, f"node{number}") for number, server in enumerate(cluster.servers)] for cluster in clusters
    ]
    for some in writers:
        for writer in some:
            writer.create()
    print("acknowledged writes per CPU-second (microseconds):  a node               Redis   all nodes and Redis")
    for in_flight in IN_FLIGHT:
        print(f"{in_flight} in flight at each node", flush=True)
        figures: list[list[list[float]]] = [[] for _ in clusters]
        for _ in range(rounds):
            for cluster, some, rows in zip(clusters, writers, figures, strict=True):
                before = cluster.cpu()
                done = run_all(some, in_flight)
                *nodes, redis = [now - then for now, then in zip(cluster.cpu(), before, strict=True)]
                rows.append([sum(nodes) / done, redis / done])
        for cluster, rows in zip(clusters, figures, strict=True):
            node, redis = (statistics.median(column) for column in zip(*rows, strict=True))
            print(f"  {cluster.title:36}{figure(node)}{figure(redis)}{figure(node + redis)}", flush=True)


def run_all(writers: list[Writer], in_flight: int) -> int:
    """
    Have all write at the same time.

    @return: how many writes were acknowledged.
    """
    done: list[int] = []
    threads = [threading.Thread(target=lambda w=writer: done.append(w.run(in_flight, SECONDS))) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done)


# -- latency


def latency(clusters: list[Cluster], rounds: int) -> None:
    cluster = next(cluster for cluster in clusters if len(cluster.servers) == 2)
    sender = connect(cluster.servers[0], "sender")
    receivers = [(connect(server, "receiver"), name) for server, name in zip(cluster.servers, "ab", strict=True)]
    for client, name in receivers:
        say(client, subscription(name))
        client.recv(4096)
        say(sender, write(name, 1))
        time.sleep(0.5)
        say(client, Message(Topic.RECORD, RecordAction.SUBSCRIBEANDREAD, names=(name,), correlation_id="1"))
        receive(client, 1)
    print("latency, ms                          p50       p99")
    makers: list[tuple[str, Callable[[str, int], Message]]] = [
        ("events", lambda name, version: event(name)),
        ("record updates", write),
    ]
    for kind, make in makers:
        times: list[list[float]] = [[], []]
        for version in range(2, LATENCIES * rounds + 2):
            for (client, name), some in zip(receivers, times, strict=True):
                data = frame(make(name, version))
                start = time.perf_counter()
                sender.sendall(data)
                receive(client, 1)
                some.append((time.perf_counter() - start) * 1e3)
        rows = [(percentile(some, 50), percentile(some, 99)) for some in times]
        rows.append((rows[1][0] - rows[0][0], rows[1][1] - rows[0][1]))
        for title, row in zip(("the same node", "another node", "the bus adds"), rows, strict=True):
            print(f"  {kind:15} {title:14}{row[0]:10.2f}{row[1]:10.2f}", flush=True)


def percentile(times: list[float], percent: int) -> float:
    return sorted(times)[len(times) * percent // 100]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--names", type=int, help="measure so many names of each topic when nodes come and go")
    options = parser.parse_args()
    if options.names:
        cluster_names.run(options.names)
        return
    clusters: list[Cluster] = []
    try:
        clusters += map(Cluster, COUNTS)
        for part, run in zip(PARTS, (messages, acknowledged, latency), strict=True):
            if part in options.parts:
                run(clusters, options.rounds)
    finally:
        for cluster in clusters:
            cluster.stop()


if __name__ == "__main__":
    main()
