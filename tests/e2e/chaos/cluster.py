"""
The nodes of the chaos test. Each reaches the Redis through two proxies::

    node ann ---- proxy "bus" ----.
         `------- proxy "store" ---+--- Redis
    node bob ---- proxy "bus" ----'
         ...

The log of each process is kept in a directory, also of those that were killed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread

from tests.e2e.nodes import NAMES, Nodes
from tests.e2e.server import Server, ServerFailed
from tests.redis_server import start_in_thread
from tests.tcp_proxy import TCPProxy

#: How long the lease of a node is, in seconds.
LEASE_TIME = 1.5

#: The times of the nodes are short, so that a round is. News that a node has taken with it when it was killed is found
#: by comparison.
_CONFIG = f"""
cluster: {{leaseInterval: 200, leaseTime: {round(LEASE_TIME * 1000)}, absenceTimeout: 3000, compareInterval: 1000, \
linger: 1000, joinTimeout: 3000}}
presence: {{gracePeriod: 500}}
rpc: {{responseTimeout: 2000}}
"""

_CONNECTION = "commandTimeout: 800, probeInterval: 200"

#: The two connections of a node.
LINKS = ("bus", "store")


class Cluster(Nodes):
    """
    The nodes, and what may be done to them.

    @param logs: the directory for the logs.
    @ivar proxies: by the name of the node and that of the link.
    @ivar down: the nodes that may disconnect their clients.
    """

    def __init__(self, reactor: Any, logs: Path, count: int = 3, tier: str = "storage") -> None:
        self._reactor = reactor
        self._logs = logs
        self.names = NAMES[:count]
        self.proxies: dict[tuple[str, str], TCPProxy] = {}
        self.down: set[str] = set()
        super().__init__(count, tier=tier, more=_CONFIG, durable=True, connection=_CONNECTION)
        # What was written survives SIGKILL without that. A slow disk would be a fault of its own.
        self.redis.settings["appendfsync"] = "no"

    def ports(self, name: str) -> tuple[int, int]:
        for link in LINKS:
            self.proxies[name, link] = TCPProxy(self._reactor, self.redis.port)
        return self.proxies[name, "bus"].port, self.proxies[name, "store"].port

    def server(self, name: str) -> Server:
        return self.servers[self.names.index(name)]

    def links(self, name: str, link: str) -> Iterator[TCPProxy]:
        """
        The proxies of a node, or of all nodes.

        @param name: C{"all"}: of all nodes.
        @param link: C{"both"}: to the bus and to the store.
        """
        for (node, there), proxy in self.proxies.items():
            if name in (node, "all") and link in (there, "both"):
                yield proxy

    async def begin(self) -> None:
        """
        Start all, and come back when the nodes know each other.
        """
        await start_in_thread(self.redis)
        for proxy in self.proxies.values():
            proxy.listen()
        for name in self.names:
            self.server(name).launch()
        for name in self.names:
            await deferToThread(self.server(name).wait_until_started)

    async def start_node(self, name: str) -> None:
        """
        Start a node that was killed or stopped.
        """
        server = self.server(name)
        for is_last in (False, False, True):
            server.launch()
            try:
                await deferToThread(server.wait_until_started)
                break
            except ServerFailed:
                # A node that cannot reach its Redis ends, and is started again, as systemd does.
                if is_last or "Server Shut Down" not in server.log:
                    raise
                await deferToThread(server.wait_for_end)
                self._keep_log(name)
        self.down.discard(name)

    def kill_node(self, name: str) -> None:
        """
        End a node with SIGKILL.
        """
        self.down.add(name)
        self.server(name).kill()
        self._keep_log(name)

    async def stop_node(self, name: str) -> None:
        """
        End a node in order.
        """
        self.down.add(name)
        try:
            await deferToThread(self.server(name).stop)
        finally:
            self._keep_log(name)

    async def end(self) -> None:
        """
        End everything, and keep the logs.
        """
        for name in self.names:
            if self.server(name).running:
                self.kill_node(name)
        for proxy in self.proxies.values():
            await proxy.stop()
        (self._logs / "redis.log").write_text(self.redis.log, encoding="utf-8")
        self.destroy()

    def _keep_log(self, name: str) -> None:
        with (self._logs / f"{name}.log").open("a", encoding="utf-8") as file:
            file.write(self.server(name).log + "\n---- the process has ended ----\n")
