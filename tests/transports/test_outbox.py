"""
Tests for L{dstwist.transports.outbox}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import ssl
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.transports import outbox
from dstwist.transports.outbox import Outbox, TcpOutbox, Turn, counted, outbox_for
from tests.transports.helpers import Idle, PushTransport, SocketStub, tcp, turn


class Overflow:
    """
    Counts how often an outbox overflowed.
    """

    count = 0

    def __call__(self) -> None:
        self.count += 1


class TurnTests(SynchronousTestCase):
    """
    L{Turn}: what is written in a reactor turn leaves at its end.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.turn = Turn(self.clock)

    def outbox(self, turn: Turn | None = None) -> tuple[Outbox, PushTransport]:
        transport = PushTransport()
        return Outbox(transport, turn or self.turn, 100, Overflow()), transport

    def test_one_write_per_turn(self) -> None:
        """
        All frames of a turn leave in one write, in the order they were written.
        """
        outbox, transport = self.outbox()
        written: list[bytes] = []
        transport.write = written.append  # type: ignore[method-assign, assignment]
        for frame in (b"one ", b"two ", b"three"):
            outbox.write(frame)
        self.assertEqual(written, [])
        self.clock.advance(0)
        self.assertEqual(written, [b"one two three"])

    def test_next_turn(self) -> None:
        """
        What is written after the end of a turn leaves at the end of the next.
        """
        outbox, transport = self.outbox()
        for frame in (b"one", b"two"):
            outbox.write(frame)
            self.clock.advance(0)
            self.assertEqual(transport.take(), frame)

    def test_flushed_before(self) -> None:
        """
        A flush sends at once; at the end of the turn nothing is sent again.
        """
        outbox, transport = self.outbox()
        outbox.write(b"one")
        outbox.flush()
        self.assertEqual(transport.take(), b"one")
        self.clock.advance(0)
        self.assertEqual(transport.take(), b"")

    def test_pause(self) -> None:
        """
        C{outgoingBufferTimeout} makes a turn longer.
        """
        outbox, transport = self.outbox(Turn(self.clock, 0.05))
        outbox.write(b"one")
        self.clock.advance(0.04)
        self.assertEqual(transport.take(), b"")
        outbox.write(b"two")
        self.clock.advance(0.01)
        self.assertEqual(transport.take(), b"onetwo")

    def test_hurry(self) -> None:
        """
        A long turn ends early if more than C{maxBufferByteSize} bytes were collected for one connection.
        """
        turn = Turn(self.clock, 0.05)
        outbox, transport = self.outbox(turn)
        write = counted(outbox, turn, 10)
        write(b"12345")
        write(b"67890")
        self.clock.advance(0)
        self.assertEqual(transport.take(), b"")
        write(b"x")
        self.clock.advance(0)
        self.assertEqual(transport.take(), b"1234567890x")

    def test_counted_anew(self) -> None:
        """
        What was sent does not count any more.
        """
        turn = Turn(self.clock, 0.05)
        outbox, transport = self.outbox(turn)
        write = counted(outbox, turn, 10)
        for _ in range(3):
            write(b"1234567890")
            self.clock.advance(0)
            self.assertEqual(transport.take(), b"")
            self.clock.advance(0.05)
            self.assertEqual(transport.take(), b"1234567890")

    def test_nothing_to_hurry(self) -> None:
        """
        Hurrying a turn that has nothing to send, or ends soon anyway, changes nothing.
        """
        Turn(self.clock, 0.05).hurry()
        outbox, transport = self.outbox()
        counted(outbox, self.turn, 1)(b"one")
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_broken(self) -> None:
        """
        A transport that fails is dropped, and does not keep the others waiting.
        """
        broken, bad_transport = self.outbox()
        outbox, transport = self.outbox()

        def write(data: bytes) -> None:
            raise RuntimeError("broken")

        bad_transport.write = write  # type: ignore[method-assign]
        broken.write(b"one")
        outbox.write(b"two")
        self.clock.advance(0)
        self.assertTrue(bad_transport.aborted)
        self.assertEqual(transport.take(), b"two")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_broken_twice(self) -> None:
        """
        Not even if it cannot be dropped.
        """
        broken, bad_transport = self.outbox()
        outbox, transport = self.outbox()

        def fail(*args: object) -> None:
            raise RuntimeError("broken")

        bad_transport.write = bad_transport.abortConnection = fail  # type: ignore[method-assign, assignment]
        broken.write(b"one")
        outbox.write(b"two")
        self.clock.advance(0)
        self.assertEqual(transport.take(), b"two")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)


class OutboxTests(SynchronousTestCase):
    """
    L{Outbox}, on a transport that says when it has too much.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.overflow = Overflow()
        self.transport = PushTransport()
        self.transport.high = 10
        self.outbox = Outbox(self.transport, Turn(self.clock), 20, self.overflow)

    def write(self, data: bytes) -> None:
        self.outbox.write(data)
        self.clock.advance(0)

    def test_interface(self) -> None:
        """
        It produces on its own account.
        """
        verifyObject(IPushProducer, self.outbox)

    def test_answers(self) -> None:
        """
        Answers leave at the end of the turn, in order with all else, but do not gather: when there are enough, they
        are sent in the midst of it.
        """
        self.patch(outbox, "AT_ONCE", 8)
        self.transport.high = 100
        self.outbox.write(b"one ")
        self.outbox.answer(b"two ")
        self.assertEqual(self.transport.take(), b"")
        self.outbox.answer(b"three ")
        self.assertEqual(self.transport.take(), b"one two three ")
        self.outbox.answer(b"four")
        self.assertEqual(self.transport.take(), b"")
        self.clock.advance(0)
        self.assertEqual(self.transport.take(), b"four")

    def test_too_many_answers(self) -> None:
        """
        Of answers to a client that does not read no more are kept than the limit says, however many there are in one
        turn; the overflow is told at its end, and not from within a service that answers.
        """
        self.patch(outbox, "AT_ONCE", 8)
        self.write(b"0123456789+")
        for _ in range(1000):
            self.outbox.answer(b"12345")
        self.assertEqual(self.overflow.count, 0)
        kept = sum(map(len, self.outbox._backlog)) + sum(map(len, self.outbox._frames))
        self.assertLess(kept, 20 + 2 * 8 + 5)
        self.clock.advance(0)
        self.assertEqual(self.overflow.count, 1)

    def test_stalled(self) -> None:
        """
        While the transport has too much, frames wait; then they leave in order.
        """
        self.write(b"0123456789+")
        self.write(b"one ")
        self.write(b"two")
        self.assertEqual(self.transport.take(), b"0123456789+")
        self.outbox.resumeProducing()
        self.assertEqual(self.transport.take(), b"one two")
        self.write(b"three")
        self.assertEqual(self.transport.take(), b"three")

    def test_resumed_without_backlog(self) -> None:
        """
        If nothing waited, the next frame leaves as usual.
        """
        self.write(b"0123456789+")
        self.transport.take()
        self.outbox.resumeProducing()
        self.assertEqual(self.transport.take(), b"")
        self.write(b"one")
        self.assertEqual(self.transport.take(), b"one")

    def test_stalled_again(self) -> None:
        """
        A backlog may be too much in its turn.
        """
        self.write(b"0123456789+")
        self.write(b"0123456789-")
        self.transport.take()
        self.outbox.resumeProducing()
        self.write(b"one")
        self.assertEqual(self.transport.take(), b"0123456789-")
        self.outbox.resumeProducing()
        self.assertEqual(self.transport.take(), b"one")

    def test_overflow(self) -> None:
        """
        More than the limit in the backlog is told once; what the transport has is sent, and then the last word.
        """
        self.write(b"0123456789+")
        self.write(b"x" * 20)
        self.assertEqual(self.overflow.count, 0)
        self.write(b"y")
        self.write(b"y" * 30)
        self.assertEqual(self.overflow.count, 1)
        self.assertEqual(self.transport.take(), b"0123456789+")

    def test_last_word(self) -> None:
        """
        What is sent because of the overflow waits for the transport, however long it is.
        """
        self.outbox._overflow = lambda: self.outbox.send(b"slow consumer, closing")
        self.write(b"0123456789+")
        self.write(b"x" * 21)
        self.transport.take()
        self.outbox.resumeProducing()
        self.assertEqual(self.transport.take(), b"slow consumer, closing")

    def test_send(self) -> None:
        """
        What is sent follows what is queued, at once.
        """
        self.outbox.write(b"one ")
        self.outbox.send(b"two")
        self.assertEqual(self.transport.take(), b"one two")

    def test_finish(self) -> None:
        """
        At the end the transport gets all that waits, and nothing after that.
        """
        self.write(b"0123456789+")
        self.write(b"one ")
        self.outbox.write(b"two")
        self.outbox.finish()
        self.write(b"three")
        self.assertEqual(self.transport.take(), b"0123456789+one two")
        self.assertIsNone(self.transport.producer)

    def test_finish_empty(self) -> None:
        """
        There may be nothing left to say.
        """
        self.outbox.finish()
        self.assertEqual(self.transport.take(), b"")

    def test_closed(self) -> None:
        """
        A closed outbox takes frames and drops them, even if its transport wants more.
        """
        self.write(b"0123456789+")
        self.write(b"one")
        self.transport.take()
        self.outbox.close()
        self.write(b"two")
        self.outbox.resumeProducing()
        self.assertEqual(self.transport.take(), b"")

    def test_lost(self) -> None:
        """
        A transport that is gone stops its producer, which drops what it has.
        """
        self.write(b"0123456789+")
        self.write(b"x" * 20)
        self.outbox.stopProducing()
        self.write(b"y" * 20)
        self.assertEqual(self.overflow.count, 0)


class TcpOutboxTests(SynchronousTestCase):
    """
    L{TcpOutbox}, on Twisted's own TCP transport.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.overflow = Overflow()

    def outbox(self, room: int | None = None, limit: int = 20) -> tuple[Outbox, Any, SocketStub]:
        transport = tcp(self.reactor, Idle(), room)
        outbox = outbox_for(transport, Turn(self.reactor), limit, self.overflow)
        return outbox, transport, transport.socket

    def test_interface(self) -> None:
        """
        It is asked for each piece.
        """
        verifyObject(IPullProducer, self.outbox()[0])

    def test_direct(self) -> None:
        """
        What the socket takes never goes through the reactor.
        """
        outbox, transport, socket = self.outbox()
        outbox.write(b"one ")
        outbox.write(b"two")
        self.reactor.advance(0)
        self.assertEqual(socket.sent, [b"one two"])
        self.assertNotIn(transport, self.reactor.writers)

    def test_partly(self) -> None:
        """
        What the socket does not take follows, before anything written meanwhile.
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
        Once closed the outbox lets go of its transport, which sends what it has.
        """
        outbox, transport, socket = self.outbox(room=3)
        outbox.write(b"0123456789")
        turn(self.reactor)
        outbox.close()
        socket.room = None
        turn(self.reactor, transport)
        outbox.write(b"one")
        turn(self.reactor, transport)
        self.assertEqual(socket.take(), b"0123456789")
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


class OutboxForTests(SynchronousTestCase):
    """
    L{outbox_for}: only what is certainly plain TCP is written to directly.
    """

    def kind(self, transport: Any) -> type:
        return type(outbox_for(transport, Turn(Clock()), 1, Overflow()))

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
