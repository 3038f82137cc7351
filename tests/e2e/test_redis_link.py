"""
The link to Redis, with real servers and a network that fails.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from cryptography import x509
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from dstwist.config.redis import RedisConnectionSettings
from dstwist.config.redis_nodes import RedisAddress
from dstwist.config.redis_tls import RedisTlsSettings
from dstwist.errors import ConnectionBroken, StoreError, StoreUnreachable
from dstwist.redis.errors import RedisReplyError
from dstwist.redis.interface import ServerIdentity
from dstwist.redis.link import RedisLink
from dstwist.redis.scripts import Script
from dstwist.scheduling.firing import fire
from tests.e2e.certificates import Authority, Certificates
from tests.redis_groups import SentinelGroup
from tests.redis_server import RedisError, RedisServer, start_in_thread
from tests.tcp_proxy import TO_CLIENT, TO_SERVER, TCPProxy

APPEND = Script("append", "return redis.call('RPUSH', KEYS[1], ARGV[1])")

#: How long a link tries that is to be refused, in seconds. It tries for all of that time, and a busy machine needs some
#: of it for the first attempt.
REFUSED = 2.0


class LinkTestCase(TestCase):
    """
    A test with links and servers of its own.
    """

    timeout = 300

    def link(self, **options: Any) -> RedisLink:
        """
        A link that ends with the test.
        """
        link = RedisLink(RedisConnectionSettings(**{"connect_timeout": 20.0, **options}), reactor)
        self.addCleanup(link.stop)
        return link

    async def server(self, **options: Any) -> RedisServer:
        server = RedisServer(**options)
        self.addCleanup(server.destroy)
        await start_in_thread(server)
        return server

    async def proxy(self, server: RedisServer) -> TCPProxy:
        proxy = TCPProxy(reactor, server.port)
        self.addCleanup(proxy.stop)
        proxy.listen()
        return proxy

    async def until(self, true: Any) -> None:
        """
        Wait until C{true()}.
        """
        while not true():
            await deferLater(reactor, 0.01)

    def run_script(self, link: RedisLink, key: str, value: bytes | int) -> Deferred[Any]:
        """
        Append to a list by a script.
        """
        outcome: Deferred[Any] = Deferred()
        link.run(APPEND, [key], [value], fire, outcome)
        return outcome


def begins(group: SentinelGroup) -> bool:
    """
    Have the Sentinels move the primary.

    @return: whether they do.
    """
    try:
        group.sentinels[0].command("SENTINEL", "FAILOVER", group.name)
    except RedisError:
        return False
    return True


class ServerTests(LinkTestCase):
    """
    One server.
    """

    async def test_scripts_flushed(self) -> None:
        """
        Writes of one name keep their order although Redis is told to forget its scripts between them.
        """
        server = await self.server()
        link = self.link(port=server.port)
        await link.start()
        outcomes = []
        for number in range(300):
            if number % 50 == 25:
                link.call(None, "SCRIPT", "FLUSH")
            outcomes.append(self.run_script(link, "list", number))
        self.assertEqual(await gatherResults(outcomes), list(range(1, 301)))
        self.assertEqual(await link.call("list", "LRANGE", "list", 0, -1), [b"%d" % number for number in range(300)])

    async def test_killed(self) -> None:
        """
        When Redis is killed, its calls are in doubt; when it is back, calls go on, and nothing is in doubt any more.
        """
        server = await self.server(durable=True)
        link = self.link(port=server.port, reconnect_wait=60.0)
        await link.start()
        await link.call("a", "SET", "a", 1)
        server.pause()
        doubtful = link.call("a", "SET", "a", 2)
        await deferLater(reactor, 0.05)
        server.kill()
        await self.assertFailure(doubtful, ConnectionBroken)
        waiting = link.call("a", "GET", "a")
        await start_in_thread(server)
        await link.fence()
        self.assertEqual(await waiting, b"1")

    async def test_late_request(self) -> None:
        """
        A request that is on its way when the link gives up its connection takes no effect after the fence.
        """
        server = await self.server()
        proxy = await self.proxy(server)
        link = self.link(port=proxy.port, command_timeout=2.0, probe_interval=0.2, reconnect_wait=30.0)
        await link.start()
        await link.call("a", "SET", "a", 1)
        proxy.stall(TO_SERVER, later=False)
        await self.assertFailure(link.call("a", "SET", "a", 2), ConnectionBroken)
        await link.fence()
        self.assertEqual(await link.call("a", "GET", "a"), b"1")
        proxy.resume()
        await deferLater(reactor, 0.2)
        self.assertEqual(await link.call("a", "GET", "a"), b"1")

    async def test_without_fence_late(self) -> None:
        """
        The same without the fence: the proxy does deliver what it kept back.
        """
        server = await self.server()
        proxy = await self.proxy(server)
        link = self.link(port=proxy.port, command_timeout=30.0)
        await link.start()
        proxy.stall(TO_SERVER, later=False)
        late = link.call("a", "SET", "a", 2)
        await deferLater(reactor, 0.1)
        self.assertIsNone(server.command("GET", "a"))
        proxy.resume()
        self.assertEqual(await late, b"OK")

    async def test_lost_reply(self) -> None:
        """
        A write whose reply is lost is in doubt, and was executed.
        """
        server = await self.server()
        proxy = await self.proxy(server)
        link = self.link(port=proxy.port, reconnect_wait=30.0)
        await link.start()
        cut = proxy.cut_before_reply(b"SET")
        await self.assertFailure(link.call("a", "SET", "a", 2), ConnectionBroken)
        await cut
        await link.fence()
        self.assertEqual(await link.call("a", "GET", "a"), b"2")

    async def test_half_open(self) -> None:
        """
        A link that is half-open while nothing is asked is found by the probe, before the next call.
        """
        server = await self.server()
        proxy = await self.proxy(server)
        link = self.link(port=proxy.port, command_timeout=2.0, probe_interval=0.1, reconnect_wait=30.0)
        await link.start()
        proxy.swallow(later=False)
        await self.until(lambda: proxy.accepted >= 2 and link.problem() is None)
        self.assertEqual(await link.call("a", "SET", "a", 1), b"OK")

    async def test_cut_in_reply(self) -> None:
        """
        A reply of which a part has come is no reply.
        """
        server = await self.server()
        proxy = await self.proxy(server)
        link = self.link(port=proxy.port, reconnect_wait=30.0)
        await link.start()
        await link.call("a", "SET", "a", "x" * 100_000)
        proxy.cut_after(50_000, TO_CLIENT)
        await self.assertFailure(link.call("a", "GET", "a"), ConnectionBroken)
        self.assertEqual(len(await link.call("a", "GET", "a")), 100_000)

    async def test_login(self) -> None:
        """
        A user of the access control list, with a database and a name.
        """
        server = await self.server(users=["user ann on >secret ~* +@all"])
        link = self.link(port=server.port, username="ann", password="secret", db=3)
        await link.start()
        listed = (await link.call(None, "CLIENT", "LIST", "ID", await link.call(None, "CLIENT", "ID"))).decode()
        self.assertIn(" user=ann ", listed)
        self.assertIn(" db=3 ", listed)
        self.assertIn(" name=dstwist ", listed)
        wrong = self.link(port=server.port, username="ann", password="other")
        error: Any = await self.assertFailure(wrong.start(), StoreError)
        self.assertIn("WRONGPASS", str(error))

    async def test_few_rights(self) -> None:
        """
        The rights that dstwist needs beside those for its keys; without the right to end connections it does not start.
        """
        rights = "+evalsha +script|load +rpush +info +ping +role +select +client|id +client|setname"
        server = await self.server(
            users=[f"user ann on >secret ~* {rights} +client|kill", f"user bob on >secret ~* {rights} -client|kill"]
        )
        link = self.link(port=server.port, username="ann", password="secret", db=1)
        await link.start()
        self.assertEqual(await self.run_script(link, "a", 1), 1)
        error: Any = await self.assertFailure(
            self.link(port=server.port, username="bob", password="secret").start(), StoreError
        )
        self.assertIn("+client|kill", str(error))

    async def test_full(self) -> None:
        """
        A full server refuses writes of scripts and of commands with the code OOM.
        """
        server = await self.server(maxmemory="1mb")
        link = self.link(port=server.port)
        await link.start()
        for call in (link.call("a", "SET", "a", "x"), self.run_script(link, "b", 1)):
            error: Any = await self.assertFailure(call, RedisReplyError)
            self.assertEqual(error.code, "OOM")
        self.assertIsNone(link.problem())

    async def test_becomes_replica(self) -> None:
        """
        A server that becomes a replica refuses the script; the link waits until it is a primary again.
        """
        server, other = await self.server(), await self.server()
        link = self.link(port=server.port, reconnect_wait=30.0)
        await link.start()
        await self.run_script(link, "a", 1)
        server.command("REPLICAOF", "127.0.0.1", other.port)
        await self.until(lambda: server.info("replication")["master_link_status"] == "up")
        error: Any = await self.assertFailure(self.run_script(link, "a", 2), RedisReplyError)
        self.assertEqual(error.code, "READONLY")
        self.assertIn("replica", str(link.problem()))
        waiting = self.run_script(link, "a", 3)
        server.command("REPLICAOF", "NO", "ONE")
        self.assertEqual(await waiting, 1)

    async def test_socket(self) -> None:
        """
        A link by the unix socket of the server.
        """
        server = await self.server()
        link = self.link(path=str(server.unix_socket))
        await link.start()
        self.assertEqual(await link.call("a", "SET", "a", 1), b"OK")

    async def test_family(self) -> None:
        """
        A server that listens on IPv4 only is not found over IPv6.
        """
        server = await self.server()
        await self.link(host="localhost", port=server.port, family=4).start()
        other = self.link(host="localhost", port=server.port, family=6, connect_timeout=1.0)
        await self.assertFailure(other.start(), StoreError)


class TlsTests(LinkTestCase):
    """
    Servers with TLS.
    """

    def certificates(self, authority: Authority, **options: Any) -> Certificates:
        directory = Path(self.mktemp())
        directory.mkdir()
        return authority.write(directory, **options)

    async def refusal(self, port: int, tls: RedisTlsSettings, host: str = "127.0.0.1") -> str:
        error: Any = await self.assertFailure(
            self.link(host=host, port=port, tls=tls, connect_timeout=REFUSED).start(), StoreError
        )
        return str(error)

    async def test_verified(self) -> None:
        """
        The certificate has to be of a known authority, and for the address that was connected to.
        """
        authority = Authority()
        server = await self.server(certificates=self.certificates(authority))
        for host in ("127.0.0.1", "localhost"):
            link = self.link(host=host, port=server.tls_port, tls=RedisTlsSettings(ca=authority.pem))
            await link.start()
            self.assertEqual(await link.call("a", "SET", "a", 1), b"OK")
        stranger = RedisTlsSettings(ca=Authority("other").pem)
        self.assertIn("certificate verify failed", await self.refusal(server.tls_port, stranger))
        self.assertIn("certificate verify failed", await self.refusal(server.tls_port, RedisTlsSettings()))

    async def test_name(self) -> None:
        """
        A certificate for another host is refused, unless the settings name that host.
        """
        authority = Authority()
        names = (x509.DNSName("redis.example"),)
        server = await self.server(certificates=self.certificates(authority, names=names))
        port = server.tls_port
        self.assertIn("for another host", await self.refusal(port, RedisTlsSettings(ca=authority.pem)))
        self.assertIn(
            "for another host",
            await self.refusal(port, RedisTlsSettings(ca=authority.pem, servername="other.example")),
        )
        tls = RedisTlsSettings(ca=authority.pem, servername="redis.example")
        await self.link(port=port, tls=tls).start()

    async def test_unverified(self) -> None:
        """
        Verification can be switched off.
        """
        server = await self.server(certificates=self.certificates(Authority()))
        await self.link(port=server.tls_port, tls=RedisTlsSettings(reject_unauthorized=False)).start()

    async def test_client_certificate(self) -> None:
        """
        A server may ask for the certificate of the client.
        """
        authority = Authority()
        server = await self.server(certificates=self.certificates(authority), tls_auth_clients="yes")
        own = self.certificates(authority, client=True)
        tls = RedisTlsSettings(ca=authority.pem, cert=own.chain.read_text(), key=own.key.read_text())
        await self.link(port=server.tls_port, tls=tls).start()
        self.assertIn("TLS", await self.refusal(server.tls_port, RedisTlsSettings(ca=authority.pem)))

    async def test_no_tls(self) -> None:
        """
        A server without TLS is no server with TLS.
        """
        server = await self.server()
        self.assertIn("TLS", await self.refusal(server.port, RedisTlsSettings(ca=Authority().pem)))


class SentinelTests(LinkTestCase):
    """
    A primary with replicas, watched by Sentinels.
    """

    async def group(self, **options: Any) -> SentinelGroup:
        group = SentinelGroup(replicas=1, **options)
        self.addCleanup(group.destroy)
        group.launch()
        await deferToThread(group.wait_until_ready)
        return group

    def follow(self, group: SentinelGroup, **options: Any) -> RedisLink:
        sentinels = tuple(RedisAddress(*address) for address in group.addresses)
        defaults = {"reconnect_wait": 120.0, "probe_interval": 0.2, "command_timeout": 10.0}
        return self.link(sentinels=sentinels, **{"name": group.name, **defaults, **options})

    async def test_killed(self) -> None:
        """
        When the primary is killed, the link goes on with the replica that takes its place.
        """
        group = await self.group(password="pw")
        link = self.follow(group, password="pw")
        await link.start()
        first = group.primary
        await link.call("a", "SET", "a", 1)
        await deferToThread(first.command, "WAIT", 1, 5000)
        group.kill_primary()
        await self.until(lambda: link.problem() is not None)
        self.assertEqual(await link.call("a", "GET", "a"), b"1")
        self.assertIsNot(group.primary, first)
        await link.fence()

    async def test_fail_over(self) -> None:
        """
        When the Sentinels move the primary, the link follows, although the old server still answers.
        """
        group = await self.group()
        link = self.follow(group)
        servers: list[ServerIdentity] = []
        link.on_connected.append(servers.append)
        await link.start()
        first = group.primary
        # The Sentinel takes a moment to see that the replica is good.
        await deferToThread(group.sentinels[0].wait_for, lambda: begins(group))
        await self.until(lambda: group.primary is not first)
        await self.until(lambda: servers[-1].address.endswith(str(group.primary.port)))
        self.assertEqual(await link.call("a", "SET", "a", 1), b"OK")

    async def test_dead_sentinel(self) -> None:
        """
        The other Sentinels are asked if one of them does not answer.
        """
        group = await self.group(sentinels=3)
        await deferToThread(group.sentinels[0].kill)
        await self.follow(group).start()

    async def test_unknown_name(self) -> None:
        """
        A name that the Sentinels do not know ends the start; the text says what they answer.
        """
        group = await self.group()
        error: Any = await self.assertFailure(
            self.follow(group, name="other", connect_timeout=REFUSED).start(), StoreError
        )
        self.assertIn("No such master", str(error))

    async def test_tls(self) -> None:
        """
        The connections to the Sentinels and to the server that they name are verified.
        """
        authority = Authority()
        directory = Path(self.mktemp())
        directory.mkdir()
        group = await self.group(certificates=authority.write(directory))
        tls = RedisTlsSettings(ca=authority.pem)
        await self.follow(group, tls=tls, sentinel_tls=tls).start()
        wrong = RedisTlsSettings(ca=authority.pem, servername="redis.example")
        for options in ({"tls": wrong, "sentinel_tls": tls}, {"tls": tls, "sentinel_tls": wrong}):
            error: Any = await self.assertFailure(
                self.follow(group, connect_timeout=REFUSED, **options).start(), StoreError
            )
            self.assertIn("for another host", str(error))


class BreakTests(LinkTestCase):
    """
    Writers who know what they did, over a network that fails all the time.
    """

    #: How long the network fails at least, in seconds.
    DURATION = 4.0

    #: More writes than that are to be in doubt.
    DOUBTS = 10

    async def test_breaks(self) -> None:
        """
        Acknowledged writes happen once, in their order. A write in doubt happens at most once, and not after a fence.
        """
        server = await self.server()
        proxy = await self.proxy(server)
        link = self.link(port=proxy.port, command_timeout=0.3, probe_interval=0.1, reconnect_wait=5.0)
        await link.start()
        chance = random.Random(7)
        end = reactor.seconds() + self.DURATION
        doubts: list[str] = []

        def goes_on() -> bool:
            # On a busy machine little may happen in that time.
            return reactor.seconds() < end or len(doubts) <= self.DOUBTS

        async def break_it() -> None:
            while goes_on():
                await deferLater(reactor, chance.uniform(0.01, 0.15))
                act = chance.choice(("fin", "rst", "reply", "part", "stall", "script"))
                if act in ("fin", "rst"):
                    proxy.cut(rst=act == "rst")
                elif act == "reply":
                    proxy.cut_before_reply(b"EVALSHA")
                elif act == "part":
                    proxy.cut_after(chance.randrange(1, 200), chance.choice((TO_SERVER, TO_CLIENT)))
                elif act == "stall":
                    # The requests arrive when the link has given up their connection.
                    proxy.stall(TO_SERVER, later=False)
                    await deferLater(reactor, 0.6)
                    proxy.resume()
                else:
                    server.command("SCRIPT", "FLUSH")

        async def resolve(key: str) -> list[bytes]:
            while True:
                try:
                    await link.fence()
                    return list(await link.call(key, "LRANGE", key, 0, -1))
                except StoreError:
                    await deferLater(reactor, 0.01)

        async def write(key: str) -> None:
            known: list[bytes] = []
            number = 0
            while goes_on():
                number += 1
                batch = [b"%d.%d" % (number, part) for part in range(5)]
                outcomes = await DeferredList(
                    [self.run_script(link, key, value) for value in batch], consumeErrors=True
                )
                if all(good for good, _ in outcomes):
                    self.assertEqual([length for _, length in outcomes], [len(known) + part for part in range(1, 6)])
                    known += batch
                    continue
                found = await resolve(key)
                doubts.append(key)
                # Those that have an answer have happened; the others may have.
                self.assertEqual(found[: len(known)], known)
                happened = found[len(known) :]
                self.assertEqual(happened, [value for value in batch if value in happened])
                for value, (good, outcome) in zip(batch, outcomes, strict=True):
                    if good:
                        self.assertIn(value, happened)
                    elif outcome.check(StoreUnreachable):
                        self.assertNotIn(value, happened)
                known = found
            self.assertEqual(await resolve(key), known)

        await gatherResults([Deferred.fromCoroutine(part) for part in (break_it(), *map(write, "abcde"))])
        self.assertGreater(len(doubts), self.DOUBTS)
