"""
Tests for L{dstwist.transports.outbox}.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet import ssl
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.outgoing import Outgoing
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

    def test_shut(self) -> None:
        """
        What a fan-out queues after a last word is dropped, and keeps no memory.
        """
        self.outbox.write(b"before ")
        self.outbox.send(b"bye")
        self.outbox.shut()
        self.write(b"after")
        self.assertTrue(self.outbox.empty)
        self.outbox.write(b"after")
        self.outbox.send(b"!")
        self.outbox.write(b"after")
        self.outbox.finish()
        self.assertEqual(self.transport.take(), b"before bye!")

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
        self.outgoing = Outgoing(self.reactor)
        self.turn = Turn(self.reactor, outgoing=self.outgoing)
        self.overflow = Overflow()
        self.patch(outbox, "LARGE", 10)

    def outbox(self, room: int | None = None, limit: int = 1000) -> tuple[Outbox, Any, SocketStub]:
        transport = tcp(self.reactor, Idle(), room)
        return outbox_for(transport, self.turn, limit, self.overflow), transport, transport.socket

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
        self.patch(outbox, "AT_ONCE", 15)
        box, _, socket = self.outbox()
        large = b"0123456789"
        box.answer(large)
        box.answer(large)
        self.assertEqual([[id(piece) for piece in pieces] for pieces in socket.pieces], [[id(large)] * 2])

    def test_little_by_little(self) -> None:
        """
        Whatever the socket takes at a time, all frames leave in order, and the transport itself never has any of them.
        """
        self.patch(outbox, "_IOV_MAX", 3)
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
        self.patch(outbox, "LARGE", 1000)
        box, transport, socket = self.outbox(room=0, limit=10000)
        for number in range(1000):
            box.write(b"%04d" % number)
            turn(self.reactor, transport)
        self.assertLess(len(box._backlog), 8)
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
        self.patch(outbox, "AT_ONCE", 30)
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


class BudgetTests(SynchronousTestCase):
    """
    The bytes of all connections together.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.outgoing = Outgoing(self.reactor, turn_limit=50, most=800)
        self.turn = Turn(self.reactor, outgoing=self.outgoing)
        self.patch(outbox, "LARGE", 10)

    def tcp(self, room: int | None = 0, limit: int = 1 << 20) -> tuple[Outbox, Any, Overflow]:
        transport, overflow = tcp(self.reactor, Idle(), room), Overflow()
        return outbox_for(transport, self.turn, limit, overflow), transport, overflow

    def test_answers(self) -> None:
        """
        Small answers to many clients do not gather beyond the budget of the turn.
        """
        boxes = [self.tcp(None) for _ in range(10)]
        for box, _, _ in boxes:
            box.answer(b"12345678")
        sent = sum(len(transport.socket.take()) for _, transport, _ in boxes)
        self.assertEqual(sent, 7 * 8)
        turn(self.reactor)
        self.assertEqual(sum(len(transport.socket.take()) for _, transport, _ in boxes), 3 * 8)

    def test_other_turns(self) -> None:
        """
        All ports are flushed when the budget is used up, those with an C{outgoingBufferTimeout} as well.
        """
        turn = Turn(self.reactor, 5.0, self.outgoing)
        transport = tcp(self.reactor, Idle())
        outbox_for(transport, turn, 100, Overflow()).answer(b"x" * 40)
        self.assertEqual(transport.socket.take(), b"")
        self.tcp()[0].answer(b"y" * 11)
        self.assertEqual(transport.socket.take(), b"x" * 40)

    def test_slowest(self) -> None:
        """
        Past the budget of the process, the client with most waiting bytes loses them at once, in the midst of a turn,
        but its connection is told only after it.
        """
        slow, transport, overflow = self.tcp()
        other, _, fine = self.tcp()
        for _ in range(7):
            slow.answer(b"x" * 100)
        self.assertEqual(self.outgoing.waiting, 700)
        other.answer(b"y" * 150)
        self.assertEqual((self.outgoing.waiting, overflow.count), (150, 0))
        slow.answer(b"x" * 100)
        self.assertEqual(self.outgoing.waiting, 150)
        turn(self.reactor)
        self.assertEqual((overflow.count, fine.count), (1, 0))
        self.assertIn("maxOutgoingBytes", slow.excess)

    def test_torn(self) -> None:
        """
        The rest of a frame that has left in part is kept, so that the client can be told why it is closed; if that is
        too much as well the connection is aborted.
        """
        slow, transport, overflow = self.tcp(room=10)
        slow.answer(b"x" * 700)
        slow.answer(b"x" * 100)
        other = self.tcp()[0]
        other.answer(b"y" * 60)
        self.assertEqual(self.outgoing.waiting, 690 + 60)
        slow._overflow = lambda: slow.send(b"closing")
        turn(self.reactor)
        self.assertEqual(self.outgoing.waiting, 690 + 60 + 7)
        other.answer(b"y" * 60)
        self.assertEqual(self.outgoing.waiting, 120)
        self.assertFalse(transport._aborting)
        turn(self.reactor)
        self.assertTrue(transport._aborting)

    def test_torn_at_once(self) -> None:
        """
        That may be so before the client could be told: the connection hears of it, and nothing more is sent.
        """
        slow, transport, overflow = self.tcp(room=10)
        socket = transport.socket
        slow.answer(b"x" * 1000)
        self.assertEqual(self.outgoing.waiting, 0)
        self.assertEqual(overflow.count, 0)
        turn(self.reactor)
        self.assertEqual(overflow.count, 1)
        self.assertTrue(transport._aborting)
        self.assertEqual(socket.take(), b"x" * 10)

    def check_silent(self, box: Outbox, take: Callable[[], bytes], make_room: Callable[[], None]) -> None:
        box._overflow = lambda: box.send(b"closing")
        box.answer(b"y" * 700)
        box.answer(b"y" * 101)
        self.assertEqual(take(), b"")
        make_room()
        box.write(b"not this")
        box.flush()
        self.assertEqual(take(), b"")
        turn(self.reactor)
        make_room()
        self.assertEqual(take(), b"closing")

    def test_silent(self) -> None:
        """
        Once some frames are dropped nothing leaves but the last word, even if there is room again before that.
        """
        self.patch(outbox, "AT_ONCE", 10)
        box, transport, _ = self.tcp()

        def make_room() -> None:
            transport.socket.room = None
            for _ in range(2):
                if transport in self.reactor.writers:
                    transport.doWrite()

        self.check_silent(box, transport.socket.take, make_room)

    def test_silent_over_tls(self) -> None:
        """
        That is so on all transports.
        """
        self.patch(outbox, "AT_ONCE", 10)
        transport = PushTransport()
        box = Outbox(transport, self.turn, 1 << 20, Overflow())
        box.pauseProducing()
        self.check_silent(box, transport.take, box.resumeProducing)

    def test_lost_before_it_is_told(self) -> None:
        """
        A client may be gone before its connection is told that it is too slow: then that is not told.
        """
        slow, transport, overflow = self.tcp()
        slow.answer(b"x" * 801)
        transport.connectionLost(Failure(ConnectionLost()))
        turn(self.reactor)
        self.assertEqual((overflow.count, self.outgoing.waiting), (0, 0))

    def test_finishing(self) -> None:
        """
        A connection that is closing anyway is not told again, but aborted.
        """
        self.patch(outbox, "AT_ONCE", 10)
        slow, transport, overflow = self.tcp()
        slow.answer(b"x" * 500)
        slow.finish()
        self.tcp()[0].answer(b"y" * 400)
        turn(self.reactor)
        self.assertEqual(overflow.count, 0)
        self.assertTrue(transport._aborting)
        self.assertEqual(self.outgoing.waiting, 400)

    def test_lost(self) -> None:
        """
        What waited for a client that is gone does not count.
        """
        slow, transport, overflow = self.tcp()
        slow.answer(b"x" * 700)
        transport.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.outgoing.waiting, 0)

    def test_pieces(self) -> None:
        """
        Other transports copy what they are given, so they are given no more than they want at a time; what they hold
        counts while they have too much of it.
        """
        self.patch(outbox, "PIECE", 16)
        self.patch(outbox, "AT_ONCE", 20)
        transport = PushTransport()
        transport.high = 20
        box = Outbox(transport, self.turn, 1000, Overflow())
        frames = [b"%020d" % number for number in range(5)]
        for frame in frames:
            box.write(frame)
        self.reactor.advance(0)
        self.assertEqual(transport.take(), b"".join(frames)[:32])
        self.assertEqual(self.outgoing.waiting, 68 + 20)
        received = b""
        while self.outgoing.waiting:
            box.resumeProducing()
            received += transport.take()
        self.assertEqual(received, b"".join(frames)[32:])

    def test_finish_in_pieces(self) -> None:
        """
        That is so at the end, too: the transport is closed when it has taken everything.
        """
        self.patch(outbox, "PIECE", 16)
        self.patch(outbox, "AT_ONCE", 20)
        transport = PushTransport()
        transport.high = 20
        box = Outbox(transport, self.turn, 1000, Overflow())
        box.write(b"x" * 100)
        box.finish()
        received = transport.take()
        while not transport.disconnecting:
            box.resumeProducing()
            received += transport.take()
        self.assertEqual(received, b"x" * 100)
        self.assertIsNone(transport.producer)


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
