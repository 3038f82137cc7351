"""
Redis servers that work together, for tests and for plain scripts: a Redis Cluster, and a primary under Sentinel.

As with L{RedisServer}, C{start} waits; L{start_group_in_thread} is for tests with the real reactor.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.e2e.certificates import Certificates
from tests.e2e.free_port import free_port
from tests.redis_server import RedisError, RedisServer

#: A Redis Cluster has that many slots.
SLOTS = 16384

#: How often a Sentinel looks at the servers and at the other Sentinels, in milliseconds. Its own periods, up to ten
#: seconds, would make for long tests. While the primary is down it promotes only a replica whose INFO is not older than
#: five ping periods, and it asks for INFO once in a second then, whatever the info period is: with a ping period of 200
#: or less it may find no replica for as long as the two stay in step. In a fail-over that a test begins, the INFO may
#: be as old as three info periods.
_PERIODS = ("info-period", 300, "ping-period", 400, "ask-period", 100, "publish-period", 200, "election-timeout", 2000)

#: After a pause of so many milliseconds a Sentinel does nothing for half a minute, since its clock may be wrong. By
#: default it is two seconds, and a busy machine has such pauses.
_PAUSE = ("tilt-trigger", 600_000)

#: How many milliseconds a server may not answer before it counts as dead: one that was not killed, and may be on a busy
#: machine; and one that was.
_ALIVE, _KILLED = 30_000, 500


class RedisGroup:
    """
    Servers that start and end together.
    """

    servers: list[RedisServer]

    def start(self) -> None:
        """
        Start them, and return when they know each other.
        """
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """
        Start the processes, and return at once.
        """
        for server in self.servers:
            server.launch()

    def wait_until_ready(self) -> None:
        """
        Return when servers that were launched know each other.
        """
        raise NotImplementedError

    def destroy(self) -> None:
        """
        End them, and remove their directories.
        """
        for server in self.servers:
            server.destroy()


class RedisCluster(RedisGroup):
    """
    Three primaries without replicas, each with a third of the slots.

    @param certificates: all connections may be encrypted, and those between the servers are.
    @param settings: of all three, as with L{RedisServer}.
    """

    def __init__(self, certificates: Certificates | None = None, **settings: Any) -> None:
        options: dict[str, Any] = {"cluster_enabled": "yes", "cluster_node_timeout": "2000", **settings}
        if certificates is not None:
            options |= {"certificates": certificates, "tls_cluster": "yes", "tls_replication": "yes"}
        self.servers = [RedisServer(cluster_port=str(free_port()), **options) for _ in range(3)]

    def wait_until_ready(self) -> None:
        for server in self.servers:
            server.wait_until_ready()
        first = self.servers[0]
        if int(_cluster_info(first)["cluster_slots_assigned"]) == 0:
            self._found()
        for server in self.servers:
            # Each has to know the other two and their slots before it serves.
            server.wait_for(
                lambda server=server: (
                    _cluster_info(server)["cluster_state"] == "ok" and _cluster_info(server)["cluster_size"] == "3"
                )
            )
        # A server that knows another one may still have no connection to it: what is published is lost then.
        for receiver in self.servers:
            with receiver.subscribe("ready") as subscriber:
                subscriber.settimeout(0.1)
                for sender in self.servers:
                    receiver.wait_for(lambda sender=sender, subscriber=subscriber: _passes(sender, subscriber))

    def slot(self, key: str) -> int:
        """
        The slot of a key.
        """
        slot: int = self.servers[0].command("CLUSTER", "KEYSLOT", key)
        return slot

    def owner(self, slot: int) -> RedisServer:
        """
        The server that has a slot.
        """
        for start, end, primary, *_ in self.servers[0].command("CLUSTER", "SLOTS"):
            if start <= slot <= end:
                return next(server for server in self.servers if primary[1] in (server.port, server.tls_port))
        raise LookupError(slot)

    def begin_move(self, slot: int, target: RedisServer) -> None:
        """
        Begin to move a slot: for keys that are not at their owner, that answers with ASK from now on.
        """
        owner = self.owner(slot)
        target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", _identity(owner))
        owner.command("CLUSTER", "SETSLOT", slot, "MIGRATING", _identity(target))

    def move_key(self, key: str, target: RedisServer) -> None:
        """
        Move one key of a slot for which L{begin_move} was called.
        """
        self.owner(self.slot(key)).command("MIGRATE", "127.0.0.1", _port(target), key, 0, 60_000)

    def finish_move(self, slot: int, target: RedisServer) -> None:
        """
        Move the remaining keys, and give the slot to C{target}: the earlier owner answers with MOVED from now on.
        """
        owner = self.owner(slot)
        while keys := owner.command("CLUSTER", "GETKEYSINSLOT", slot, 1000):
            owner.command("MIGRATE", "127.0.0.1", _port(target), "", 0, 60_000, "KEYS", *keys)
        # The target first: a slot that its old owner gives away before the new one takes it belongs to no server.
        for server in (target, owner, *self.servers):
            server.command("CLUSTER", "SETSLOT", slot, "NODE", _identity(target))

    def _found(self) -> None:
        first = self.servers[0]
        share = -(-SLOTS // len(self.servers))
        for number, server in enumerate(self.servers):
            server.command("CLUSTER", "ADDSLOTS", *range(number * share, min((number + 1) * share, SLOTS)))
            server.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if server is not first:
                server.command("CLUSTER", "MEET", "127.0.0.1", _port(first), first.settings["cluster-port"])


class SentinelGroup(RedisGroup):
    """
    A primary, its replicas, and Sentinels that watch them.

    @param replicas: how many.
    @param sentinels: how many; more than half of them have to agree on a fail-over.
    @param password: of the servers.
    @param sentinel_password: of the Sentinels.
    @param sentinel_users: lines of the ACL file of the Sentinels, as with L{RedisServer}.
    @param certificates: all connections are encrypted, and the plain ports are closed.
    @param settings: of the primary and the replicas, as with L{RedisServer}.
    """

    #: The name of the primary for the Sentinels.
    name = "mymaster"

    def __init__(
        self,
        replicas: int = 2,
        sentinels: int = 1,
        password: str = "",
        sentinel_password: str = "",
        sentinel_users: Sequence[str] = (),
        certificates: Certificates | None = None,
        **settings: Any,
    ) -> None:
        encrypted: dict[str, Any] = {} if certificates is None else {"port": "0", "tls_replication": "yes"}
        options: dict[str, Any] = {"password": password, "certificates": certificates, **encrypted, **settings}
        first = RedisServer(**options)
        self.data_servers = [first, *(RedisServer(replica_of=first, **options) for _ in range(replicas))]
        watched = first.port if certificates is None else first.tls_port
        lines = [
            f"sentinel monitor {self.name} 127.0.0.1 {watched} {sentinels // 2 + 1}",
            f"sentinel down-after-milliseconds {self.name} {_ALIVE}",
            # It gives up a fail-over if a replica is not known as promoted in time, which takes it up to a second: it
            # asks once in a second. A new attempt begins after twice this time.
            f"sentinel failover-timeout {self.name} 5000",
        ]
        if password:
            lines.append(f"sentinel auth-pass {self.name} {password}")
        if sentinel_users:
            # As this user they log in at each other.
            lines += ["sentinel sentinel-user controller", "sentinel sentinel-pass controller"]
        login: dict[str, Any] = {"password": sentinel_password, "users": sentinel_users}
        self.sentinels = [
            RedisServer(sentinel=True, certificates=certificates, lines=lines, **login, **encrypted)
            for _ in range(sentinels)
        ]
        self.servers = [*self.data_servers, *self.sentinels]

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """
        Where the Sentinels listen.
        """
        return [("127.0.0.1", sentinel.tls_port or sentinel.port) for sentinel in self.sentinels]

    @property
    def primary(self) -> RedisServer:
        """
        The server that the first Sentinel in service names as the primary.
        """
        sentinel = next(sentinel for sentinel in self.sentinels if sentinel.running)
        port = int(sentinel.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)[1])
        return next(server for server in self.data_servers if port in (server.port, server.tls_port))

    @property
    def replicas(self) -> list[RedisServer]:
        """
        The other servers that run.
        """
        primary = self.primary
        return [server for server in self.data_servers if server is not primary and server.running]

    def wait_until_ready(self) -> None:
        for server in self.servers:
            server.wait_until_ready()
        for sentinel in self.sentinels:
            sentinel.command("SENTINEL", "DEBUG", *_PERIODS, *_PAUSE)
        for replica in self.data_servers[1:]:
            replica.wait_for_replica()
        known = {"num-slaves": len(self.data_servers) - 1, "num-other-sentinels": len(self.sentinels) - 1}
        for sentinel in self.sentinels:
            sentinel.wait_for(lambda sentinel=sentinel: self._knows(sentinel, known))

    def fail_over(self) -> None:
        """
        Have a replica promoted although the primary is well, and return when the other servers follow it.
        """
        before = self.primary
        self.sentinels[0].wait_for(self._begin_fail_over)
        self.wait_for_fail_over(before)
        for server in self.replicas:
            server.wait_for_replica()

    def kill_primary(self) -> RedisServer:
        """
        Kill the primary, and have the Sentinels notice it soon.
        """
        primary = self.primary
        primary.kill()
        self._have_sentinels_wait(_KILLED)
        return primary

    def wait_for_fail_over(self, before: RedisServer) -> None:
        """
        Return when another server than C{before} is the primary.
        """
        self.sentinels[0].wait_for(
            lambda: self.primary is not before and self.primary.info("replication")["role"] == "master"
        )
        self._have_sentinels_wait(_ALIVE)

    def _have_sentinels_wait(self, milliseconds: int) -> None:
        for sentinel in self.sentinels:
            if sentinel.running:
                sentinel.command("SENTINEL", "SET", self.name, "down-after-milliseconds", milliseconds)

    def _begin_fail_over(self) -> bool:
        try:
            self.sentinels[0].command("SENTINEL", "FAILOVER", self.name)
        except RedisError as error:
            # An earlier one is not over yet, or no replica has been heard since.
            if str(error).startswith(("INPROG", "NOGOODSLAVE")):
                return False
            raise
        return True

    def _knows(self, sentinel: RedisServer, known: dict[str, int]) -> bool:
        words = [word.decode() for word in sentinel.command("SENTINEL", "MASTER", self.name)]
        told = dict(zip(words[::2], words[1::2], strict=True))
        return told["flags"] == "master" and all(int(told[field]) == count for field, count in known.items())


def start_group_in_thread(group: RedisGroup) -> Deferred[None]:
    """
    As L{RedisGroup.start}, for tests with the real reactor.
    """
    # Linux ends the processes with the thread that has launched them, so that must be the main thread.
    group.launch()
    return deferToThread(group.wait_until_ready)


def _port(server: RedisServer) -> int:
    """
    The port for other servers of a cluster.
    """
    return server.tls_port or server.port


def _cluster_info(server: RedisServer) -> dict[str, str]:
    lines = server.command("CLUSTER", "INFO").decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _passes(sender: RedisServer, subscriber: socket.socket) -> bool:
    """
    Whether a message that is published at C{sender} arrives soon.
    """
    word = b"from %d" % _port(sender)
    sender.command("PUBLISH", "ready", word)
    try:
        return word in subscriber.recv(1000)
    except TimeoutError:
        return False


def _identity(server: RedisServer) -> str:
    identity: bytes = server.command("CLUSTER", "MYID")
    return identity.decode()
