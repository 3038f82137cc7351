"""
How fast new connections are taken: C{limits.maxConnectionRate}.

When too many have come, the server does not look at its ports for a moment. Those that come meanwhile wait in the
system's queue and notice nothing; of more than that has room for (C{backlog} of the endpoint), the system has the
clients try again. After a restart, this is what keeps ten thousand handshakes from coming in the same second.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IListeningPort, IReadDescriptor

from dstwist.limits.rates import TokenBucket
from dstwist.log import Logger

#: How long to wait at least, in seconds: turning a port on and off costs as much as some connections.
SHORTEST_BREAK = 0.01


def listen(ports: Iterable[IListeningPort], reactor: Any) -> None:
    """
    Take what comes to C{ports}.
    """
    for port in ports:
        if IReadDescriptor.providedBy(port):
            reactor.addReader(port)


def do_not_listen(ports: Iterable[IListeningPort], reactor: Any) -> None:
    """
    Leave what comes to C{ports} in the system's queue.
    """
    for port in ports:
        if IReadDescriptor.providedBy(port):
            reactor.removeReader(port)


class AcceptRate:
    """
    Takes breaks from listening.

    @param ports: those that are listened to, whatever they are at the time.
    """

    _log = Logger()

    def __init__(self, rate: int, ports: list[IListeningPort], reactor: Any) -> None:
        self._bucket = TokenBucket("maxConnectionRate", rate, reactor)
        self._ports = ports
        self._reactor = reactor
        self._call: IDelayedCall | None = None

    def arrived(self) -> None:
        """
        There is one more connection.
        """
        wait = self._bucket.spend(1)
        if wait and self._call is None:
            self._log.warn(
                "LIMIT_EXCEEDED | maxConnectionRate: more than {rate} connections a second, new ones wait",
                rate=self._bucket.rate,
                event="LIMIT_EXCEEDED",
                once=self._bucket.name,
            )
            do_not_listen(self._ports, self._reactor)
            self._pause(wait)

    def stop(self) -> None:
        """
        No port is listened to any more.
        """
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _pause(self, wait: float) -> None:
        self._call = self._reactor.callLater(max(wait, SHORTEST_BREAK), self._go_on)

    def _go_on(self) -> None:
        self._call = None
        wait = self._bucket.wait()
        if wait:
            self._pause(wait)
        else:
            listen(self._ports, self._reactor)
