"""
The ports of a node, from binding to closing.

==================  ================================================================================================
L{Ports.bind}       the addresses are bound, but no port listens: the system refuses connections. A socket from
                    systemd listens already; connections wait in its queue
L{Ports.open}       connections are accepted
L{Ports.let_go}     the server begins to stop: it closes its sockets from systemd, whose new connections wait in the
                    queue for the next server. All other ports stay open
L{Ports.close}      all ports are closed
==================  ================================================================================================

Twisted's ports listen as soon as they are bound. A client that connects while the stores open would be accepted, and
its connection would be reset if a store does not open. L{binding} gives a reactor whose ports listen later.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from typing import Any, cast

from twisted.internet import tcp, unix
from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.python.failure import Failure
from zope.interface import directlyProvides, providedBy

from dstwist.errors import StartError
from dstwist.transports.accept_rate import do_not_listen, listen


class _LateSocket(socket.socket):
    """
    A socket whose C{listen} only records the call.
    """

    _backlog = 0

    def listen(self, backlog: int = 0, /) -> None:
        self._backlog = backlog

    def listen_now(self) -> None:
        super().listen(self._backlog)


def _late(made: socket.socket) -> _LateSocket:
    late = _LateSocket(made.family, made.type, made.proto, fileno=made.detach())
    late.setblocking(False)
    return late


class LateTcpPort(tcp.Port):
    """
    A TCP port that is bound, and that listens when C{socket.listen_now} is called.
    """

    def createInternetSocket(self) -> Any:
        return _late(super().createInternetSocket())


class LateUnixPort(unix.Port):
    """
    A Unix port that is bound, and that listens when C{socket.listen_now} is called.
    """

    def createInternetSocket(self) -> Any:
        return _late(super().createInternetSocket())


class _BindingReactor:
    """
    A reactor whose ports are bound without listening.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        made = LateTcpPort(port, factory, backlog, interface, self._reactor)
        made.startListening()
        return made

    def listenUNIX(self, address: Any, factory: Any, backlog: int = 50, mode: int = 0o666, wantPID: int = 0) -> Any:
        made = LateUnixPort(address, factory, backlog, mode, self._reactor, wantPID)
        made.startListening()
        return made

    def adoptStreamPort(self, descriptor: int, family: Any, factory: Any) -> Any:
        made = self._reactor.adoptStreamPort(descriptor, family, factory)
        made.kept_by_system = True
        # Twisted would shut down Unix sockets of systemd, and that ends the socket for the next server too.
        made._shouldShutdown = False
        return made


def binding(reactor: Any) -> Any:
    """
    A reactor for endpoints whose ports listen when L{Ports.open} is called.
    """
    return _BindingReactor(reactor) if isinstance(reactor, ReactorBase) else reactor


class Ports:
    """
    The ports of one node.

    @ivar listening: the ports that are bound.
    """

    def __init__(self, endpoints: Iterable[IStreamServerEndpoint], reactor: Any) -> None:
        self._endpoints = list(endpoints)
        self._reactor = reactor
        # Fire when ports that were given up are closed.
        self._closing: list[Deferred[Any]] = []
        self.listening: list[IListeningPort] = []

    def add(self, endpoints: Iterable[IStreamServerEndpoint]) -> None:
        """
        Bind C{endpoints}, too.
        """
        self._endpoints += endpoints

    @property
    def hosts(self) -> list[Any]:
        """
        The addresses of the bound ports.
        """
        return [port.getHost() for port in self.listening]

    def bind(self, factory: Any) -> None:
        """
        Bind the addresses. Some may need privileges that the process is about to give up.

        @raise StartError: an address cannot be bound; then no address is bound.
        """
        problems: list[str] = []

        def failed(failure: Failure) -> None:
            problems.append(_problem(failure))

        for endpoint in self._endpoints:
            endpoint.listen(factory).addCallbacks(self.listening.append, failed)
        # Connections to ports that listen already wait in the system's queue.
        do_not_listen(self.listening, self._reactor)
        if problems:
            self._closing.append(self._close(list(self.listening)))
            raise StartError("\n".join(problems))

    def open(self) -> None:
        """
        Accept connections.

        @raise StartError: another process has begun to listen at an address meanwhile.
        """
        for port in self.listening:
            bound = getattr(port, "socket", None)
            if isinstance(bound, _LateSocket):
                try:
                    bound.listen_now()
                except OSError as error:
                    raise StartError(f"Couldn't listen on {where(port)}: {error}.{_advice(error)}") from None
        listen(self.listening, self._reactor)

    def let_go(self) -> None:
        """
        Leave new connections to sockets from systemd to the next server.
        """
        self._closing.append(self._close([port for port in self.listening if getattr(port, "kept_by_system", False)]))

    async def close(self) -> None:
        """
        Close all ports.
        """
        closing, self._closing = [*self._closing, self._close(list(self.listening))], []
        await gatherResults(closing)

    def _close(self, ports: list[IListeningPort]) -> Deferred[Any]:
        for port in ports:
            self.listening.remove(port)
        return gatherResults([maybeDeferred(port.stopListening) for port in ports])


def where(port: IListeningPort) -> str:
    """
    The address of C{port} for people.
    """
    host = cast(Any, port.getHost())
    if hasattr(host, "port"):
        return f"[{host.host}]:{host.port}" if ":" in host.host else f"{host.host}:{host.port}"
    return str(getattr(host, "name", host))


def _problem(failure: Failure) -> str:
    """
    Why an address cannot be bound.
    """
    return failure.getErrorMessage() + _advice(getattr(failure.value, "socketError", failure.value))


#: By error number: the advice for the operator.
_ADVICE = {
    errno.EADDRINUSE: " Another program has this port, perhaps another dstwist: stop it, or choose another port.",
    errno.EACCES: " Ports below 1024 need the capability CAP_NET_BIND_SERVICE; or choose another port.",
    errno.EADDRNOTAVAIL: " This machine does not have that address; choose another one.",
}


def _advice(error: object) -> str:
    return _ADVICE.get(getattr(error, "errno", None) or 0, "")
