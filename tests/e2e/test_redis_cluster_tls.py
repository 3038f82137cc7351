"""
A Redis Cluster of real servers, over TLS.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

from cryptography import x509
from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from dstwist.config.redis import RedisConnectionSettings
from dstwist.config.redis_nodes import RedisAddress
from dstwist.config.redis_tls import RedisTlsSettings
from dstwist.errors import StoreError
from dstwist.redis.cluster import RedisCluster
from tests.e2e.certificates import Authority
from tests.redis_groups import RedisCluster as Servers
from tests.redis_groups import start_group_in_thread

#: One key at each of the three servers.
KEYS = ("a", "b", "c")


class TlsTests(TestCase):
    """
    Three primaries, and connections with TLS between all.
    """

    timeout = 300

    async def servers(self, authority: Authority, *names: x509.GeneralName, **settings: Any) -> Servers:
        own, client = Path(self.mktemp()), Path(self.mktemp())
        own.mkdir()
        client.mkdir()
        # At the bus of a cluster, each server wants the certificate of the other.
        others = authority.write(client, client=True)
        settings |= {"tls_client_cert_file": str(others.chain.absolute())}
        settings |= {"tls_client_key_file": str(others.key.absolute())}
        servers = Servers(authority.write(own, names=names), **settings)
        self.addCleanup(servers.destroy)
        await start_group_in_thread(servers)
        return servers

    def cluster(
        self, servers: Servers, tls: RedisTlsSettings, host: str = "127.0.0.1", patience: float = 20.0
    ) -> RedisCluster:
        """
        A cluster that knows one of the servers, and finds the others.
        """
        nodes = (RedisAddress(host, servers.servers[0].tls_port),)
        cluster = RedisCluster(RedisConnectionSettings(nodes=nodes, tls=tls, connect_timeout=patience), reactor)
        self.addCleanup(cluster.stop)
        return cluster

    async def check(self, servers: Servers, cluster: RedisCluster) -> None:
        """
        Each server gets its calls, also for a slot that moves.
        """
        self.assertEqual(len({servers.owner(servers.slot(key)) for key in KEYS}), 3)
        await cluster.start()
        for key in KEYS:
            self.assertEqual(await cluster.call(key, "SET", key, key), b"OK")
        slot = servers.slot("a")
        target = next(server for server in servers.servers if server is not servers.owner(slot))
        servers.begin_move(slot, target)
        await deferToThread(servers.move_key, "a", target)
        # The answer of the first server is ASK, and later MOVED.
        self.assertEqual(await cluster.call("a", "GET", "a"), b"a")
        await deferToThread(servers.finish_move, slot, target)
        self.assertEqual(await cluster.call("a", "GET", "a"), b"a")
        self.assertEqual(target.command("GET", "a"), b"a")
        for server in servers.servers:
            clients = server.command("CLIENT", "LIST").decode().splitlines()
            ports = {line.split(" laddr=")[1].split()[0] for line in clients if " name=dstwist " in line}
            self.assertEqual(ports, {f"127.0.0.1:{server.tls_port}"})

    async def test_addresses(self) -> None:
        """
        The servers name each other by their IP addresses, for which their certificates are.
        """
        authority = Authority()
        servers = await self.servers(authority, x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        await self.check(servers, self.cluster(servers, RedisTlsSettings(ca=authority.pem)))

    async def test_names(self) -> None:
        """
        The servers name each other by their hosts.
        """
        authority = Authority()
        servers = await self.servers(
            authority,
            x509.DNSName("localhost"),
            cluster_announce_hostname="localhost",
            cluster_preferred_endpoint_type="hostname",
        )
        await self.check(servers, self.cluster(servers, RedisTlsSettings(ca=authority.pem), "localhost"))

    async def test_refused(self) -> None:
        """
        The certificates have to be of a known authority, and for the addresses that the servers name, unless the
        settings name one host for all.
        """
        authority = Authority()
        servers = await self.servers(authority, x509.DNSName("localhost"))
        known = RedisTlsSettings(ca=authority.pem)
        # The first server is asked as localhost, and names 127.0.0.1.
        for tls, text in ((known, "for another host"), (RedisTlsSettings(), "certificate verify failed")):
            error: Any = await self.assertFailure(self.cluster(servers, tls, "localhost", 2.0).start(), StoreError)
            self.assertIn(text, str(error))
        named = RedisTlsSettings(ca=authority.pem, servername="localhost")
        await self.check(servers, self.cluster(servers, named))
