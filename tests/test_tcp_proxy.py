"""
The proxy by which tests break connections.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.protocol import Factory, Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.tcp_proxy import TO_CLIENT, TO_SERVER, TCPProxy


class Party(Protocol):
    """
    One end of a connection: remembers what it hears.
    """

    def __init__(self, made: Deferred[Party] | None = None, echo: bool = False) -> None:
        self.heard = b""
        self.lost: Deferred[Any] = Deferred()
        self._made = made
        self._echo = echo
        self._awaited: list[tuple[bytes, Deferred[None]]] = []

    def connectionMade(self) -> None:
        if self._made is not None:
            self._made.callback(self)

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        if self._echo:
            self.transport.write(data.upper())
        for wait in [wait for wait in self._awaited if wait[0] in self.heard]:
            self._awaited.remove(wait)
            wait[1].callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(reason.type)

    def say(self, data: bytes) -> None:
        self.transport.write(data)

    def hear(self, data: bytes) -> Deferred[None]:
        """
        Fires when C{data} is in what was heard.
        """
        heard: Deferred[None] = Deferred()
        if data in self.heard:
            heard.callback(None)
        else:
            self._awaited.append((data, heard))
        return heard


class Server(ServerFactory):
    """
    Says everything again, in capitals.
    """

    noisy = False

    def __init__(self) -> None:
        self.parties: list[Party] = []
        self._awaited: Deferred[Party] = Deferred()

    def buildProtocol(self, address: Any) -> Party:
        party = Party(self._awaited, echo=True)
        self._awaited = Deferred()
        self.parties.append(party)
        return party

    def next(self) -> Deferred[Party]:
        """
        The next connection that comes.
        """
        return self._awaited


class ProxyTests(TestCase):
    """
    L{TCPProxy} between a client and a server that says everything again.
    """

    def setUp(self) -> None:
        self.server = Server()
        listener: Any = reactor.listenTCP(0, self.server, interface="127.0.0.1")
        self.addCleanup(listener.stopListening)
        self.proxy = TCPProxy(reactor, listener.getHost().port)
        self.addCleanup(self.proxy.stop)
        self.proxy.listen()

    async def client(self) -> Party:
        """
        A client that is connected to the proxy.
        """
        endpoint: Any = HostnameEndpoint(reactor, "127.0.0.1", self.proxy.port)
        party: Party = await endpoint.connect(Factory.forProtocol(Party))
        return party

    async def pair(self) -> tuple[Party, Party]:
        """
        A client, and what the server has of it.
        """
        coming = self.server.next()
        client = await self.client()
        return client, await coming

    async def test_pass(self) -> None:
        """
        Bytes pass in both directions; each side learns that the other has closed.
        """
        client, server = await self.pair()
        client.say(b"hello")
        await client.hear(b"HELLO")
        client.transport.loseConnection()
        self.assertIs(await server.lost, ConnectionDone)
        client, server = await self.pair()
        server.transport.loseConnection()
        self.assertIs(await client.lost, ConnectionDone)
        self.assertEqual(self.proxy.accepted, 2)

    async def test_delay(self) -> None:
        """
        Bytes that are delayed arrive in order, also those that were sent when the delay was over.
        """
        client, server = await self.pair()
        self.proxy.delay(0.01)
        client.say(b"a")
        await server.hear(b"a")
        client.say(b"b")
        await self.proxy.when_passed(b"A", TO_CLIENT)
        self.proxy.delay(0)
        client.say(b"c")
        client.transport.loseConnection()
        await server.lost
        self.assertEqual(server.heard, b"abc")

    async def test_stall(self) -> None:
        """
        Bytes in a stalled direction arrive when it is resumed; those of a connection that is made later go on.
        """
        client, server = await self.pair()
        self.proxy.stall(TO_SERVER, later=False)
        client.say(b"late")
        server.say(b"other way")
        await client.hear(b"other way")
        other, _ = await self.pair()
        other.say(b"early")
        await other.hear(b"EARLY")
        self.assertEqual(server.heard, b"")
        self.proxy.resume()
        await client.hear(b"LATE")

    async def test_stall_all(self) -> None:
        """
        Connections that are made later are stalled, too, if they are not left out. Also their end is kept back.
        """
        self.proxy.stall()
        client, server = await self.pair()
        client.say(b"late")
        client.transport.loseConnection()
        await client.lost
        self.assertEqual(server.heard, b"")
        self.assertFalse(server.lost.called)
        self.proxy.resume()
        await server.lost
        self.assertEqual(server.heard, b"late")

    async def test_swallow(self) -> None:
        """
        On a half-open connection nothing arrives, and no side learns that the other is gone; a connection that is made
        after it was healed works.
        """
        client, server = await self.pair()
        self.proxy.swallow()
        client.say(b"lost")
        client.transport.loseConnection()
        await client.lost
        self.proxy.heal()
        other, _ = await self.pair()
        other.say(b"found")
        await other.hear(b"FOUND")
        self.assertEqual(server.heard, b"")
        self.assertFalse(server.lost.called)
        self.proxy.cut()
        await server.lost

    async def test_cut(self) -> None:
        """
        Both sides learn of a cut: of an orderly one, or of one with RST.
        """
        for rst, reason in ((False, ConnectionDone), (True, ConnectionLost)):
            client, server = await self.pair()
            self.proxy.cut(rst)
            self.assertIs(await client.lost, reason)
            self.assertIs(await server.lost, reason)

    async def test_cut_before_reply(self) -> None:
        """
        The server gets the request, and the client loses its connection instead of getting the reply.
        """
        for rst, reason in ((False, ConnectionDone), (True, ConnectionLost)):
            client, server = await self.pair()
            client.say(b"first")
            await client.hear(b"FIRST")
            cut = self.proxy.cut_before_reply(b"second", rst)
            client.say(b"other")
            await client.hear(b"OTHER")
            # In two parts.
            client.say(b"sec")
            await client.hear(b"SEC")
            client.say(b"ond")
            await cut
            self.assertIs(await client.lost, reason)
            await server.lost
            self.assertEqual(server.heard, b"firstothersecond")
            self.assertEqual(client.heard, b"FIRSTOTHERSEC")

    async def test_cut_after(self) -> None:
        """
        A connection is cut in the middle of a request, or of a reply.
        """
        client, server = await self.pair()
        cut = self.proxy.cut_after(3, TO_SERVER)
        client.say(b"request")
        await cut
        await client.lost
        await server.lost
        self.assertEqual(server.heard, b"req")
        client, server = await self.pair()
        cut = self.proxy.cut_after(4, TO_CLIENT)
        client.say(b"request")
        await cut
        await client.lost
        self.assertEqual(server.heard, b"request")
        self.assertEqual(client.heard, b"REQU")

    async def test_refuse(self) -> None:
        """
        While it refuses connections, the present ones go on; later it listens at the same port.
        """
        client, _ = await self.pair()
        await self.proxy.refuse()
        refused: Deferred[Any] = Deferred.fromCoroutine(self.client())
        await self.assertFailure(refused, ConnectionRefusedError)
        client.say(b"still there")
        await client.hear(b"STILL THERE")
        self.proxy.listen()
        await self.pair()

    async def test_no_server(self) -> None:
        """
        If the server cannot be reached, the client loses its connection.
        """
        proxy = TCPProxy(reactor, self.proxy.port)
        self.addCleanup(proxy.stop)
        await self.proxy.refuse()
        proxy.listen()
        self.proxy = proxy
        self.assertIs(await (await self.client()).lost, ConnectionLost)
        self.assertEqual(proxy.links, [])
