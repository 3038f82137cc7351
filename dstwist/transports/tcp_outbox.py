"""
The outbox of a connection on plain TCP, which writes to the socket directly.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPullProducer
from twisted.internet.tcp import Server as TcpTransport
from zope.interface import implementer

from dstwist.transports.outbox import Outbox
from dstwist.transports.outbox_group import OutboxGroup

#: How many pieces the system takes in one call.
_IOV_MAX = min(os.sysconf("SC_IOV_MAX"), 1024)


@implementer(IPullProducer)
class TcpOutbox(Outbox):
    """
    An outbox that writes to the socket directly.

    That saves the detour through the reactor, with two C{epoll_ctl} calls a message, and the copies that the transport
    would make. The transport itself never has data to send. While the socket is full, the transport asks the outbox, as
    its producer, when there is room again.
    """

    __slots__ = ("_asked", "_socket_send", "_socket_sendmsg")

    def _start(self) -> None:
        # Not C{transport.writeSomeData}, whose extra calls cost a tenth of a delivery.
        self._socket_send = self._transport.socket.send
        self._socket_sendmsg = self._transport.socket.sendmsg

    def _send(self, data: bytes) -> None:
        try:
            sent = self._socket_send(data)
        except OSError:
            # There is no room, or the connection is lost: the transport finds out which one when it writes itself.
            sent = 0
        if sent < len(data):
            self._backlog.add(data)
            self._backlog.sent(sent)
            self._stall()
            self._check()

    def _send_backlog(self) -> None:
        while self._backlog:
            pieces = self._backlog.views(_IOV_MAX)
            size = sum(map(len, pieces))
            try:
                sent = self._socket_sendmsg(pieces)
            except OSError:
                sent = 0
            self._backlog.sent(sent)
            if sent < size:
                self._stall()
                return

    def _stall(self) -> None:
        """
        Have the transport ask for data when the socket has room.
        """
        self._backlog.begun = True
        if not self._stalled:
            self._stalled = True
            # Registering asks for data at once, while the socket is still full.
            self._asked = False
            self._transport.registerProducer(self, False)
        if self._open:
            self._transport.startWriting()

    def resumeProducing(self) -> None:
        if not self._asked:
            self._asked = True
            return
        if self._open:
            if not self._group.may_refill():
                # The transport has stopped asking.
                self._transport.startWriting()
                return
            self._send_backlog()
            self._account()
            if self._backlog:
                return
            if self._mute:
                self._room_meanwhile = True
                return
            self._stalled = False
        self._transport.unregisterProducer()
        if self._finishing:
            self._finished()


def outbox_for(transport: Any, group: OutboxGroup, limit: int, overflow: Callable[[], None]) -> Outbox:
    """
    The outbox that suits C{transport}.
    """
    # Exactly this class: a TLS transport passes through the attributes of the socket below it, to which data would be
    # written without encryption.
    kind = TcpOutbox if type(transport) is TcpTransport else Outbox
    return kind(transport, group, limit, overflow)
