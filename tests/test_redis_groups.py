"""
The groups of Redis servers that tests start.
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.e2e.certificates import make_certificates
from tests.redis_groups import RedisCluster, SentinelGroup, start_group_in_thread
from tests.redis_server import RedisError, encode


class ClusterTests(SynchronousTestCase):
    """
    L{RedisCluster}.
    """

    def test_slots(self) -> None:
        """
        Each server has a third of the slots, and sends clients to the owner of any other slot; a slot can be moved.
        """
        cluster = RedisCluster(durable=True)
        self.addCleanup(cluster.destroy)
        cluster.start()
        slot = cluster.slot("a")
        owner = cluster.owner(slot)
        other, target = (server for server in cluster.servers if server is not owner)
        self.assertRaisesRegex(RedisError, f"^MOVED {slot} 127.0.0.1:{owner.port}$", other.command, "SET", "a", 1)
        owner.command("SET", "a", 1)

        cluster.begin_move(slot, target)
        self.assertEqual(owner.command("GET", "a"), b"1")
        cluster.move_key("a", target)
        self.assertRaisesRegex(RedisError, f"^ASK {slot} 127.0.0.1:{target.port}$", owner.command, "GET", "a")
        cluster.finish_move(slot, target)
        self.assertIs(cluster.owner(slot), target)
        self.assertRaisesRegex(RedisError, f"^MOVED {slot} 127.0.0.1:{target.port}$", owner.command, "GET", "a")

        # Killed and started again, they still know each other.
        for server in cluster.servers:
            server.kill()
        cluster.start()
        self.assertEqual(target.command("GET", "a"), b"1")


class SentinelTests(SynchronousTestCase):
    """
    L{SentinelGroup}.
    """

    def group(self, **options: Any) -> SentinelGroup:
        group = SentinelGroup(**options)
        self.addCleanup(group.destroy)
        group.start()
        return group

    def test_fail_over(self) -> None:
        """
        When the primary is killed, a replica takes its place; the old one comes back as a replica. A fail-over can be
        had without a failure, too.
        """
        group = self.group(password="secret")
        first = group.primary
        self.assertEqual(len(group.replicas), 2)
        first.command("SET", "a", 1)
        first.command("WAIT", 2, 60_000)
        group.kill_primary()
        group.wait_for_fail_over(first)
        second = group.primary
        self.assertEqual(second.contents(), {"a": b"1"})
        first.start()
        first.wait_for(lambda: first.info("replication")["role"] == "slave")

        group.fail_over()
        self.assertIsNot(group.primary, second)
        self.assertRaisesRegex(RedisError, "READONLY", second.command, "SET", "a", 2)

    def test_tls(self) -> None:
        """
        With certificates, the Sentinels and the servers whose addresses they give speak TLS only.
        """
        directory = Path(self.mktemp())
        directory.mkdir()
        certificates = make_certificates(directory)
        group = self.group(replicas=1, certificates=certificates)
        context = ssl.create_default_context(cafile=str(certificates.authority))
        for port in (group.addresses[0][1], group.primary.tls_port, group.replicas[0].tls_port):
            plain = socket.create_connection(("127.0.0.1", port))
            with context.wrap_socket(plain, server_hostname="localhost") as connection:
                connection.sendall(encode(["PING"]))
                self.assertEqual(connection.recv(100), b"+PONG\r\n")
        for server in group.servers:
            self.assertRaises(OSError, socket.create_connection, ("127.0.0.1", server.port))


class ThreadTests(TestCase):
    """
    L{start_group_in_thread}.
    """

    async def test_start(self) -> None:
        """
        The servers know each other when the Deferred fires.
        """
        group = SentinelGroup(replicas=1, sentinels=3)
        self.addCleanup(group.destroy)
        await start_group_in_thread(group)
        self.assertEqual(group.sentinels[0].command("SENTINEL", "CKQUORUM", group.name)[:4], b"OK 3")
