"""
Tests for L{dstwist.transports.ports}, with sockets that only this process connects to.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import AdoptedStreamServerEndpoint, TCP4ServerEndpoint, UNIXServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.errors import StartError
from dstwist.transports.ports import Ports, binding


class StillReactor(PosixReactorBase):
    """
    A reactor that makes ports, and does not run.
    """

    def __init__(self) -> None:
        self.readers: set[Any] = set()
        ReactorBase.__init__(self)

    def installWaker(self) -> None:
        pass

    def addReader(self, reader: Any) -> None:
        self.readers.add(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers.discard(reader)

    def removeWriter(self, writer: Any) -> None:
        pass

    def callLater(self, delay: float, callable: Any, *args: object, **kw: object) -> Any:
        # Ports are closed in a later turn.
        callable(*args, **kw)


class PortTests(SynchronousTestCase):
    """
    Binding, opening and closing.
    """

    def setUp(self) -> None:
        self.reactor = StillReactor()
        self.factory = Factory()
        self.factory.noisy = False

    def ports(self, endpoint: Any) -> Ports:
        ports = Ports([endpoint], self.reactor)
        self.addCleanup(ports._close, ports.listening)
        return ports

    def tcp(self, port: int = 0) -> Ports:
        return self.ports(TCP4ServerEndpoint(binding(self.reactor), port, interface="127.0.0.1"))

    def connects(self, family: int, address: Any) -> bool:
        """
        Whether the system accepts a connection.
        """
        with socket.socket(family) as client:
            return client.connect_ex(address) == 0

    def test_bound(self) -> None:
        """
        Until a port is opened the address is taken, and the system refuses connections.
        """
        ports = self.tcp()
        ports.bind(self.factory)
        (host,) = ports.hosts
        self.assertFalse(self.connects(socket.AF_INET, ("127.0.0.1", host.port)))
        self.assertEqual(self.reactor.readers, set())
        with socket.socket() as other:
            self.assertRaises(OSError, other.bind, ("127.0.0.1", host.port))
        ports.open()
        self.assertTrue(self.connects(socket.AF_INET, ("127.0.0.1", host.port)))
        self.assertEqual(self.reactor.readers, set(ports.listening))

    def test_unix(self) -> None:
        """
        The same for Unix sockets.
        """
        # The path of a Unix socket has to be short.
        path = f"/tmp/dstwist-test-{os.getpid()}.sock"
        ports = self.ports(UNIXServerEndpoint(binding(self.reactor), path))
        ports.bind(self.factory)
        self.assertFalse(self.connects(socket.AF_UNIX, path))
        ports.open()
        self.assertTrue(self.connects(socket.AF_UNIX, path))
        ports._close(ports.listening[:])
        self.assertFalse(os.path.exists(path))

    def test_taken(self) -> None:
        """
        An address that is taken cannot be bound, and then no other is.
        """
        first = self.tcp()
        first.bind(self.factory)
        first.open()
        (host,) = first.hosts
        free = TCP4ServerEndpoint(binding(self.reactor), 0, interface="127.0.0.1")
        taken = TCP4ServerEndpoint(binding(self.reactor), host.port, interface="127.0.0.1")
        ports = Ports([free, taken], self.reactor)
        error = self.assertRaises(StartError, ports.bind, self.factory)
        self.assertIn(f"127.0.0.1:{host.port}", str(error))
        self.assertIn("Another program has this port, perhaps another dstwist", str(error))
        self.assertEqual(ports.listening, [])

    def test_waits(self) -> None:
        """
        C{close} waits for all ports, also for those that were given up because another address is taken.
        """
        closed: Deferred[None] = Deferred()

        class Port:
            def stopListening(self) -> Deferred[None]:
                return closed

        class Free:
            def listen(self, factory: Any) -> Any:
                return succeed(Port())

        class Taken:
            def listen(self, factory: Any) -> Any:
                return fail(CannotListenError("10.0.0.1", 80, OSError(errno.EADDRINUSE, "no")))

        endpoints: list[Any] = [Free(), Taken()]
        ports = Ports(endpoints, self.reactor)
        self.assertRaises(StartError, ports.bind, self.factory)
        done = Deferred.fromCoroutine(ports.close())
        self.assertNoResult(done)
        closed.callback(None)
        self.successResultOf(done)

    def test_taken_later(self) -> None:
        """
        If two servers begin to start at the same time, the second one to be ready is refused.
        """
        first = self.tcp()
        first.bind(self.factory)
        second = self.tcp(first.hosts[0].port)
        second.bind(self.factory)
        first.open()
        error = self.assertRaises(StartError, second.open)
        self.assertIn("Address already in use", str(error))
        self.assertIn("choose another port", str(error))

    def test_advice(self) -> None:
        """
        The error text has advice for the other usual reasons, too.
        """

        class Refused:
            def __init__(self, number: int) -> None:
                self.error = CannotListenError("10.0.0.1", 80, OSError(number, "no"))

            def listen(self, factory: Any) -> Any:
                return fail(self.error)

        for number, advice in (
            (errno.EACCES, "CAP_NET_BIND_SERVICE"),
            (errno.EADDRNOTAVAIL, "choose another one"),
        ):
            endpoint: Any = Refused(number)
            error = self.assertRaises(StartError, Ports([endpoint], self.reactor).bind, self.factory)
            self.assertIn(advice, str(error))

    def test_from_systemd(self) -> None:
        """
        Connections at a socket that systemd has opened wait in its queue: before the server is ready, and as soon as it
        begins to stop. Closing it does not end it for the next server.
        """
        for family, address in ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_UNIX, f"\0dstwist-test-{os.getpid()}")):
            with socket.socket(family) as given:
                given.bind(address)
                given.listen(5)
                given.setblocking(False)
                endpoint = AdoptedStreamServerEndpoint(binding(self.reactor), os.dup(given.fileno()), family)
                ports = self.ports(endpoint)
                ports.bind(self.factory)
                self.assertTrue(self.connects(family, given.getsockname()))
                self.assertEqual(self.reactor.readers, set())
                ports.open()
                self.assertEqual(len(self.reactor.readers), 1)
                ports.let_go()
                self.assertEqual((ports.listening, self.reactor.readers), ([], set()))
                self.assertTrue(self.connects(family, given.getsockname()))

    def test_own_stay(self) -> None:
        """
        Ports of the server's own stay open until it has stopped.
        """
        ports = self.tcp()
        ports.bind(self.factory)
        ports.open()
        (host,) = ports.hosts
        ports.let_go()
        self.assertTrue(self.connects(socket.AF_INET, ("127.0.0.1", host.port)))

    def test_in_memory(self) -> None:
        """
        A reactor in memory is left as it is.
        """
        reactor = MemoryReactorClock()
        self.assertIs(binding(reactor), reactor)
