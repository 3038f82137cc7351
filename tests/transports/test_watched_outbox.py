"""
Outboxes whose frames are watched.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.transports.outbox import Outbox
from dstwist.transports.outbox_group import OutboxGroup
from dstwist.transports.tcp_outbox import TcpOutbox
from dstwist.transports.watched_outbox import unwatch, watch
from tests.transports.helpers import PushTransport, SocketStub


class _TcpTransport(PushTransport):
    """
    A transport whose socket the outbox writes to.
    """

    def __init__(self) -> None:
        super().__init__()
        self.socket = SocketStub()

    def take(self) -> bytes:
        return self.socket.take()


class WatchTests(SynchronousTestCase):
    """
    L{watch}, for both kinds of outboxes.
    """

    def outboxes(self) -> Any:
        for kind, transport in ((Outbox, PushTransport()), (TcpOutbox, _TcpTransport())):
            reactor: Any = MemoryReactorClock()
            outbox = kind(transport, OutboxGroup(reactor), 1000, lambda: None)
            # As fan-outs keep it.
            yield outbox, outbox.write, transport, reactor

    def test_frames(self) -> None:
        """
        Each frame is seen once, however it is sent, and all of them arrive in their order.
        """
        for outbox, write, transport, reactor in self.outboxes():
            seen: list[bytes] = []
            watch(outbox, seen.extend)
            write(b"a")
            outbox.answer(b"b")
            reactor.advance(0)
            write(b"c")
            outbox.send(b"d")
            self.assertEqual((seen, transport.take()), ([b"a", b"b", b"c", b"d"], b"abcd"))
            write(b"e")
            outbox.shut()
            write(b"late")
            reactor.advance(0)
            self.assertEqual((seen[4:], transport.take()), ([b"e"], b"e"))

    def test_end(self) -> None:
        """
        Afterwards the outbox has its own class again, and nothing is seen.
        """
        for outbox, write, transport, reactor in self.outboxes():
            kind = type(outbox)
            seen: list[bytes] = []
            watch(outbox, seen.extend)
            self.assertIsNot(type(outbox), kind)
            write(b"a")
            unwatch(outbox)
            self.assertIs(type(outbox), kind)
            reactor.advance(0)
            self.assertEqual((seen, transport.take()), ([], b"a"))
            unwatch(outbox)
