"""
The rate at which new connections are accepted: C{limits.maxConnectionRate}.

When connections come faster, the server does not accept any for a moment. New connections then wait in the system's
queue, and their clients notice nothing. If that queue (C{backlog} of the endpoint) is full, the system has further
clients try again. So after a restart, ten thousand handshakes do not come in the same second.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IListeningPort, IReadDescriptor

from dstwist.limits.rates import TokenBucket
from dstwist.log import Logger

#: The shortest pause, in seconds: turning a port off and on costs as much as some connections.
MIN_PAUSE_SECONDS = 0.01


def listen(ports: Iterable[IListeningPort], reactor: Any) -> None:
    """
    Accept the connections that come to C{ports}.
    """
    for port in ports:
        if IReadDescriptor.providedBy(port):
            reactor.addReader(port)


def do_not_listen(ports: Iterable[IListeningPort], reactor: Any) -> None:
    """
    Leave the connections that come to C{ports} in the system's queue.
    """
    for port in ports:
        if IReadDescriptor.providedBy(port):
            reactor.removeReader(port)


class AcceptRate:
    """
    Pauses the ports when connections come too fast.

    @param ports: the ports that listen; the list may change.
    """

    _log = Logger()

    def __init__(self, rate: int, ports: list[IListeningPort], reactor: Any) -> None:
        self._bucket = TokenBucket("maxConnectionRate", rate, reactor)
        self._ports = ports
        self._reactor = reactor
        self._call: IDelayedCall | None = None

    def arrived(self) -> None:
        """
        Count a new connection.
        """
        wait = self._bucket.spend(1)
        if wait and self._call is None:
            self._log.warn(
                "LIMIT_EXCEEDED | {limit}: more than {rate} connections a second, new ones wait",
                limit=self._bucket.name,
                rate=self._bucket.rate,
                event="LIMIT_EXCEEDED",
                once=self._bucket.name,
            )
            do_not_listen(self._ports, self._reactor)
            self._pause(wait)

    def stop(self) -> None:
        """
        Cancel a pause: all ports are closed.
        """
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _pause(self, wait: float) -> None:
        self._call = self._reactor.callLater(max(wait, MIN_PAUSE_SECONDS), self._go_on)

    def _go_on(self) -> None:
        self._call = None
        wait = self._bucket.wait()
        if wait:
            self._pause(wait)
        else:
            listen(self._ports, self._reactor)
