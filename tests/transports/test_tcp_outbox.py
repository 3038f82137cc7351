"""
Tests for L{dstwist.transports.tcp_outbox}.
"""

from __future__ import annotations

import sys
from random import Random
from typing import Any

from twisted.internet import ssl
from twisted.internet.interfaces import IPullProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.limits.outgoing_bytes import OutgoingBytes
from dstwist.transports import backlog, outbox, tcp_outbox
from dstwist.transports.outbox import Outbox
from dstwist.transports.outbox_group import OutboxGroup
from dstwist.transports.tcp_outbox import TcpOutbox, outbox_for
from tests.fakes import BusyReactor
from tests.transports.helpers import Idle, Overflow, PushTransport, SocketStub, tcp, turn
from tests.turns import LONGEST, turn_lengths


class TcpOutboxTests(SynchronousTestCase):
    """
    L{TcpOutbox}, on Twisted's own TCP transport.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.overflow = Overflow()

    def outbox(self, room: int | None = None, limit: int = 20) -> tuple[Outbox, Any, SocketStub]:
        transport = tcp(self.reactor, Idle(), room)
        outbox = outbox_for(transport, OutboxGroup(self.reactor), limit, self.overflow)
        return outbox, transport, transport.socket

    def test_interface(self) -> None:
        """
        It is asked for each piece.
        """
        verifyObject(IPullProducer, self.outbox()[0])

    def test_direct(self) -> None:
        """
        Data that the socket takes never goes through the reactor.
        """
        outbox, transport, socket = self.outbox()
        outbox.write(b"one ")
        outbox.write(b"two")
        self.reactor.advance(0)
        self.assertEqual(socket.sent, [b"one two"])
        self.assertNotIn(transport, self.reactor.writers)

    def test_partly(self) -> None:
        """
        Data that the socket does not take follows, before anything that is written meanwhile.
        """
        outbox, transport, socket = self.outbox(room=5)
        outbox.write(b"0123456789")
        turn(self.reactor)
        self.assertEqual(socket.take(), b"01234")
        outbox.write(b"one ")
        turn(self.reactor, transport)
        outbox.write(b"two ")
        turn(self.reactor, transport)
        self.assertEqual(socket.take(), b"")
        socket.room = None
        for _ in range(5):
            turn(self.reactor, transport)
        self.assertEqual(socket.take(), b"56789one two ")
        self.assertNotIn(transport, self.reactor.writers)
        outbox.write(b"three")
        turn(self.reactor)
        self.assertEqual(socket.take(), b"three")

    def test_drop_by_drop(self) -> None:
        """
        However little the socket takes at a time, all arrives in order.
        """
        outbox, transport, socket = self.outbox(room=0, limit=10000)
        expected = received = b""
        for number in range(100):
            frame = b"<%d>" % number
            expected += frame
            outbox.write(frame)
            socket.room = number % 4
            turn(self.reactor, transport)
            received += socket.take()
        socket.room = None
        for _ in range(5):
            turn(self.reactor, transport)
        self.assertEqual(received + socket.take(), expected)
        self.assertEqual(self.overflow.count, 0)

    def test_overflow(self) -> None:
        """
        A client that does not read: told once, and what had been handed to its transport is not torn.
        """
        outbox, transport, socket = self.outbox(room=3)
        for frame in (b"0123456789", b"x" * 20, b"y", b"z"):
            outbox.write(frame)
            turn(self.reactor, transport)
        self.assertEqual(self.overflow.count, 1)
        socket.room = None
        for _ in range(5):
            turn(self.reactor, transport)
        self.assertEqual(socket.take(), b"0123456789" + b"z")

    def test_finish(self) -> None:
        """
        A stalled client that is closed gets all that waits, and then the end.
        """
        outbox, transport, socket = self.outbox(room=3)
        outbox.write(b"0123456789")
        turn(self.reactor)
        outbox.write(b"one")
        turn(self.reactor)
        outbox.finish()
        transport.loseConnection()
        socket.room = None
        turn(self.reactor, transport)
        self.assertEqual(socket.take(), b"0123456789one")
        self.assertFalse(transport.connected)

    def test_broken(self) -> None:
        """
        A connection that turns out to be lost while writing is lost in the usual way.
        """
        outbox, transport, socket = self.outbox()
        socket.broken = True
        outbox.write(b"one")
        turn(self.reactor, transport)
        self.assertFalse(transport.connected)
        outbox.write(b"two")
        turn(self.reactor, transport)
        self.assertEqual(socket.take(), b"")

    def test_closed_while_stalled(self) -> None:
        """
        Once closed the outbox lets go of its transport, and drops what the socket did not take.
        """
        outbox, transport, socket = self.outbox(room=3)
        outbox.write(b"0123456789")
        turn(self.reactor)
        outbox.close()
        socket.room = None
        turn(self.reactor, transport)
        outbox.write(b"one")
        turn(self.reactor, transport)
        self.assertEqual(socket.take(), b"012")
        self.assertIsNone(transport.producer)

    def test_asked_once_too_often(self) -> None:
        """
        A transport that asks a closed outbox for more is left alone.
        """
        outbox, transport, socket = self.outbox(room=3)
        outbox.write(b"0123456789")
        turn(self.reactor)
        outbox.close()
        outbox.resumeProducing()
        outbox.write(b"one")
        turn(self.reactor)
        self.assertEqual(socket.take(), b"012")


class LargeFrameTests(SynchronousTestCase):
    """
    Large frames on plain TCP: the outbox does not copy them.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.outgoing = OutgoingBytes(self.reactor)
        self.group = OutboxGroup(self.reactor, outgoing=self.outgoing)
        self.overflow = Overflow()
        self.patch(backlog, "LARGE_FRAME_BYTES", 10)

    def outbox(self, room: int | None = None, limit: int = 1000) -> tuple[Outbox, Any, SocketStub]:
        transport = tcp(self.reactor, Idle(), room)
        return outbox_for(transport, self.group, limit, self.overflow), transport, transport.socket

    def fan_out(self, frame: bytes, *outboxes: Outbox) -> None:
        for each in outboxes:
            each.write(frame)
        self.outgoing.large = True

    def test_scattered(self) -> None:
        """
        The system gathers large frames and joined small ones by itself.
        """
        box, _, socket = self.outbox()
        large = b"0123456789"
        for frame in (b"one ", b"two ", large, b"three"):
            box.write(frame)
        self.outgoing.large = True
        turn(self.reactor)
        self.assertEqual(socket.pieces, [[b"one two ", large, b"three"]])
        self.assertIs(socket.pieces[0][1], large)

    def test_shared(self) -> None:
        """
        The backlogs of all subscribers hold the same frames, however much of them the sockets took.
        """
        made = [self.outbox(room) for room in (0, 0, 3, 25)]
        boxes = [box for box, _, _ in made]
        frames = [b"%010d" % number for number in range(5)]
        before = [sys.getrefcount(frames[number]) for number in range(5)]
        for frame in frames[:3]:
            self.fan_out(frame, *boxes)
        turn(self.reactor)
        for frame in frames[3:]:
            self.fan_out(frame, *boxes)
            turn(self.reactor)
        for _, _, socket in made:
            socket.pieces.clear()
        del frame
        held = [sys.getrefcount(frames[number]) - before[number] for number in range(5)]
        self.assertEqual(held, [3, 3, 4, 4, 4])
        self.assertEqual(self.outgoing.waiting, 50 + 50 + 47 + 25)

    def test_answer(self) -> None:
        """
        An answer is not copied either.
        """
        self.patch(outbox, "MAX_WAITING_ANSWER_BYTES", 15)
        box, _, socket = self.outbox()
        large = b"0123456789"
        box.answer(large)
        box.answer(large)
        self.assertEqual([[id(piece) for piece in pieces] for pieces in socket.pieces], [[id(large)] * 2])

    def test_little_by_little(self) -> None:
        """
        Whatever the socket takes at a time, all frames leave in order, and the transport itself never has any of them.
        """
        self.patch(tcp_outbox, "_IOV_MAX", 3)
        random = Random(5)
        box, transport, socket = self.outbox(room=0, limit=1 << 20)
        expected = received = b""
        for number in range(3000):
            frame = b"<%d>" % number * random.choice((1, 1, 1, 2, 9))
            expected += frame
            box.write(frame)
            if random.random() < 0.3:
                self.outgoing.large = random.random() < 0.5
                socket.room = random.choice((0, 1, 5, 40, 100))
                turn(self.reactor, transport)
                self.assertEqual(transport.dataBuffer, b"")
                received += socket.take()
                # What has not been sent is in the backlog, and counted.
                self.assertEqual(self.outgoing.waiting, len(expected) - len(received))
        socket.room = None
        for _ in range(5):
            turn(self.reactor, transport)
        self.assertEqual(received + socket.take(), expected)
        self.assertNotIn(transport, self.reactor.writers)
        self.assertEqual((self.outgoing.waiting, self.overflow.count), (0, 0))

    def test_tiny_frames(self) -> None:
        """
        Tiny frames are joined while they wait: each by itself would take several times its size.
        """
        self.patch(backlog, "LARGE_FRAME_BYTES", 1000)
        box, transport, socket = self.outbox(room=0, limit=10000)
        for number in range(1000):
            box.write(b"%04d" % number)
            turn(self.reactor, transport)
        self.assertLess(len(box._backlog.pieces), 8)
        socket.room = None
        turn(self.reactor, transport)
        self.assertEqual(socket.take(), b"".join(b"%04d" % number for number in range(1000)))

    def test_one_large_frame(self) -> None:
        """
        A client may be sent a frame that is larger than its limit: only what waits behind it counts.
        """
        box, transport, socket = self.outbox(room=1, limit=20)
        self.fan_out(b"x" * 100, box)
        turn(self.reactor, transport)
        self.fan_out(b"y" * 20, box)
        turn(self.reactor, transport)
        self.assertEqual(self.overflow.count, 0)
        self.fan_out(b"z", box)
        turn(self.reactor, transport)
        self.assertEqual(self.overflow.count, 1)

    def test_many_in_one_turn(self) -> None:
        """
        The frames of a single turn are held to the limit as well.
        """
        box, transport, socket = self.outbox(room=15, limit=100)
        for _ in range(50):
            self.fan_out(b"0123456789", box)
        turn(self.reactor, transport)
        self.assertEqual(self.overflow.count, 1)
        # Only the frame that is torn is kept.
        self.assertEqual(self.outgoing.waiting, 5)
        socket.room = None
        turn(self.reactor, transport)
        self.assertEqual(socket.take(), b"01234567890123456789")

    def test_finish(self) -> None:
        """
        A long backlog is not handed to the transport at the end: the outbox sends it, and closes the transport then.
        """
        self.patch(outbox, "MAX_WAITING_ANSWER_BYTES", 30)
        box, transport, socket = self.outbox(room=5)
        for _ in range(5):
            self.fan_out(b"0123456789", box)
        turn(self.reactor, transport)
        box.finish()
        self.assertFalse(transport.disconnecting)
        box.write(b"too late")
        socket.room = 20
        turn(self.reactor, transport)
        self.assertTrue(transport.connected)
        socket.room = None
        for _ in range(3):
            turn(self.reactor, transport)
        self.assertEqual(socket.take(), b"0123456789" * 5)
        self.assertFalse(transport.connected)
        self.assertEqual(self.outgoing.waiting, 0)


class RefillTests(SynchronousTestCase):
    """
    Sockets that have room again at the same time.
    """

    def test_many(self) -> None:
        """
        If many clients begin to read large frames in one turn, the turn is not long. All get all of them in the end.
        """
        reactor: Any = BusyReactor()

        def slow(socket: SocketStub, pieces: list[Any]) -> int:
            reactor.rightNow += 0.003
            return socket.send(b"".join(pieces))

        self.patch(SocketStub, "sendmsg", slow)
        shared = OutboxGroup(reactor)
        made = []
        for _ in range(20):
            transport = tcp(reactor, Idle(), 0)
            made.append((outbox_for(transport, shared, 1 << 20, Overflow()), transport))
        for box, _ in made:
            box.write(b"0123456789" * 1000)
        turn_lengths(reactor, list)

        for _, transport in made:
            transport.socket.room = 6000

        def poll() -> float:
            began = reactor.rightNow
            # A socket that is full is not asked.
            turn(reactor, *(transport for _, transport in made if transport.socket.room != 0))
            return float(reactor.rightNow - began)

        lengths = [poll() for _ in range(50)]
        self.assertLess(max(lengths), LONGEST)
        self.assertEqual([len(transport.socket.take()) for _, transport in made], [6000] * 20)
        for _, transport in made:
            transport.socket.room = None
        lengths = [poll() for _ in range(50)]
        self.assertLess(max(lengths), LONGEST)
        self.assertEqual([len(transport.socket.take()) for _, transport in made], [4000] * 20)


class OutboxForTests(SynchronousTestCase):
    """
    L{outbox_for}: only what is certainly plain TCP is written to directly.
    """

    def kind(self, transport: Any) -> type:
        return type(outbox_for(transport, OutboxGroup(Clock()), 1, Overflow()))

    def test_tcp(self) -> None:
        """
        Plain TCP is.
        """
        self.assertIs(self.kind(tcp(MemoryReactorClock(), Idle())), TcpOutbox)

    def test_tls(self) -> None:
        """
        TLS is not, although its transport has all the methods of the one below it.
        """
        below = tcp(MemoryReactorClock(), Idle())
        factory = TLSMemoryBIOFactory(
            ssl.CertificateOptions(), False, Factory.forProtocol(Protocol), MemoryReactorClock()
        )
        transport = factory.buildProtocol(None)
        assert transport is not None
        transport.makeConnection(below)
        self.assertTrue(hasattr(transport, "writeSomeData"))
        self.assertIs(self.kind(transport), Outbox)

    def test_other(self) -> None:
        """
        Nor is anything else.
        """
        self.assertIs(self.kind(PushTransport()), Outbox)
