"""
Servers that are the nodes of one cluster, over a Redis of their own.
"""

from __future__ import annotations

import itertools
import re
import tempfile
from pathlib import Path

from tests.e2e.server import Server
from tests.redis_server import RedisServer

#: What a node adds to a configuration that says nothing of stores.
_CONFIG = """
serverName: {name}
clusterNode: {{type: redis, options: {{port: {bus}, reconnectWait: 100, maxReconnectDelay: 100{more}}}}}
{tier}: {{type: redis, options: {{port: {store}, reconnectWait: 100, maxReconnectDelay: 100{more}}}}}
"""

NAMES = ("ann", "bob", "cat", "dan", "eve")


class Nodes:
    """
    A cluster. It stands in for one server: the clients that ask for its L{url} or L{port} get one node each, in turn.

    @param config: a configuration that all nodes have.
    @param tier: where the Redis has the records: C{storage}, behind a cache in memory; or C{cache}.
    @param more: more text for the configuration.
    @param before: what each process runs first, in Python.
    @param connection: more options of the connections to the Redis: C{"probeInterval: 200"}.
    @param with_data: each node has a data directory, and an administration in it.
    @ivar redis: bus and store.
    @ivar servers: the nodes.
    """

    def __init__(
        self,
        count: int = 3,
        config: Path | None = None,
        tier: str = "storage",
        more: str = "",
        durable: bool = False,
        before: str = "",
        connection: str = "",
        with_data: bool = False,
    ) -> None:
        self.redis = RedisServer(durable=durable)
        self._directory = tempfile.TemporaryDirectory(prefix="dstwist-nodes-")
        self._text = ("" if config is None else config.read_text(encoding="utf-8")) + more
        self._tier = tier
        self._before = before
        self._connection = connection
        self._with_data = with_data
        self.servers = [self._server(name) for name in NAMES[:count]]
        self._turns = itertools.cycle(range(count))

    def _server(self, name: str) -> Server:
        path = Path(self._directory.name) / f"{name}.yml"
        bus, store = self.ports(name)
        more = f", {self._connection}" if self._connection else ""
        own = _CONFIG.format(name=name, bus=bus, store=store, tier=self._tier, more=more)
        path.write_text(self._text + own, encoding="utf-8")
        return Server(None, path, self.data_dir(name) if self._with_data else None, before=self._before)

    def data_dir(self, name: str) -> Path:
        """
        The data directory of a node, if it has one.
        """
        return Path(self._directory.name) / name

    def ports(self, name: str) -> tuple[int, int]:
        """
        Where a node finds the bus, and where the store.
        """
        return self.redis.port, self.redis.port

    def start(self) -> None:
        """
        Start all nodes, and come back when each knows the others.
        """
        self.redis.start()
        for server in self.servers:
            server.start()
        for number, server in enumerate(self.servers):
            for name in NAMES[number + 1 : len(self.servers)]:
                server.wait_for_line(f"CLUSTER | node {name}-")

    @property
    def url(self) -> str:
        """
        The address of the node whose turn it is.
        """
        return self.servers[next(self._turns)].url

    @property
    def port(self) -> int:
        """
        The port of the node whose turn it is.
        """
        return self.servers[next(self._turns)].port

    @property
    def running(self) -> bool:
        """
        Whether all nodes run.
        """
        return all(server.running for server in self.servers)

    @property
    def log(self) -> str:
        """
        The logs of all nodes.
        """
        return "\n".join(server.log for server in self.servers)

    def begin_anew(self) -> None:
        """
        The first node is next.
        """
        self._turns = itertools.cycle(range(len(self.servers)))

    def stop(self) -> None:
        """
        Stop all nodes in order.
        """
        for server in self.servers:
            server.stop()
        self.destroy()

    def kill(self) -> None:
        """
        End all nodes at once.
        """
        for server in self.servers:
            server.kill()
        self.destroy()

    def destroy(self) -> None:
        """
        End the Redis as well.
        """
        self.redis.destroy()
        self._directory.cleanup()

    def take_trouble(self, expected: re.Pattern[str] | None = None) -> list[str]:
        """
        As L{Server.take_trouble}, of all nodes.
        """
        return [line for server in self.servers for line in server.take_trouble(expected)]
