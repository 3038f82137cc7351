"""
Tests for L{dstwist.transports.outbox}.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.interfaces import IOutbox
from dstwist.limits.outgoing_bytes import OutgoingBytes
from dstwist.routing.shared_frames import SharedFrames
from dstwist.transports import backlog, outbox
from dstwist.transports.outbox import Outbox
from dstwist.transports.outbox_group import OutboxGroup
from dstwist.transports.tcp_outbox import outbox_for
from tests.transports.helpers import Idle, Overflow, PushTransport, tcp, turn


class OutboxTests(SynchronousTestCase):
    """
    L{Outbox}, on a transport that says when it has too much.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.overflow = Overflow()
        self.transport = PushTransport()
        self.transport.high = 10
        self.outbox = Outbox(self.transport, OutboxGroup(self.clock), 20, self.overflow)

    def write(self, data: bytes) -> None:
        self.outbox.write(data)
        self.clock.advance(0)

    def test_interface(self) -> None:
        """
        It takes frames, and produces on its own account.
        """
        verifyObject(IOutbox, self.outbox)
        verifyObject(IPushProducer, self.outbox)

    def test_answers(self) -> None:
        """
        Answers leave at the end of the turn, in order with all else, but do not gather: when there are enough, they
        are sent in the midst of it.
        """
        self.patch(outbox, "MAX_WAITING_ANSWER_BYTES", 8)
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
        Answers to a client that does not read are kept up to the limit only, however many there are in one turn. The
        overflow is reported at the end of the turn, and not while a service answers.
        """
        self.patch(outbox, "MAX_WAITING_ANSWER_BYTES", 8)
        self.write(b"0123456789+")
        for _ in range(1000):
            self.outbox.answer(b"12345")
        self.assertEqual(self.overflow.count, 0)
        kept = sum(map(len, self.outbox._backlog.pieces)) + sum(map(len, self.outbox._frames))
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
        Data that is sent because of the overflow waits for the transport, however long it is.
        """
        self.outbox._overflow = lambda: self.outbox.send(b"slow consumer, closing")
        self.write(b"0123456789+")
        self.write(b"x" * 21)
        self.transport.take()
        self.outbox.resumeProducing()
        self.assertEqual(self.transport.take(), b"slow consumer, closing")

    def test_send(self) -> None:
        """
        Data is sent at once, behind the queued frames.
        """
        self.outbox.write(b"one ")
        self.outbox.send(b"two")
        self.assertEqual(self.transport.take(), b"one two")

    def test_shut(self) -> None:
        """
        Frames that a fan-out queues after the last data are dropped, and take no memory.
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


class BudgetTests(SynchronousTestCase):
    """
    The bytes of all connections together.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.outgoing = OutgoingBytes(self.reactor, turn_limit=50, most=800)
        self.group = OutboxGroup(self.reactor, outgoing=self.outgoing)
        self.patch(backlog, "LARGE_FRAME_BYTES", 10)

    def tcp(self, room: int | None = 0, limit: int = 1 << 20) -> tuple[Outbox, Any, Overflow]:
        transport, overflow = tcp(self.reactor, Idle(), room), Overflow()
        return outbox_for(transport, self.group, limit, overflow), transport, overflow

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
        group = OutboxGroup(self.reactor, 5.0, self.outgoing)
        transport = tcp(self.reactor, Idle())
        outbox_for(transport, group, 100, Overflow()).answer(b"x" * 40)
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
        self.patch(outbox, "MAX_WAITING_ANSWER_BYTES", 10)
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
        self.patch(outbox, "MAX_WAITING_ANSWER_BYTES", 10)
        transport = PushTransport()
        box = Outbox(transport, self.group, 1 << 20, Overflow())
        box.pauseProducing()
        self.check_silent(box, transport.take, box.resumeProducing)

    def test_queued_meanwhile(self) -> None:
        """
        Frames that are queued after the drop, and before the client is told, would follow a gap: they are dropped, too.
        """
        group = OutboxGroup(self.reactor, 5.0, self.outgoing)
        for is_shared in (False, True):
            transport = tcp(self.reactor, Idle(), 0)
            box = outbox_for(transport, group, 20, Overflow())
            box._overflow = partial(box.send, b"closing")
            for data in (b"x" * 10, b"y" * 30):
                box.write(data)
                box.flush()
            if is_shared:
                box.share(SharedFrames(None, b"not this"))
            else:
                box.write(b"not this")
            turn(self.reactor)
            transport.socket.room = None
            for _ in range(2):
                transport.doWrite()
            self.assertEqual(transport.socket.take(), b"closing")
            self.assertTrue(box.empty)

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
        self.patch(outbox, "MAX_WAITING_ANSWER_BYTES", 10)
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
        The backlog of a client that has gone does not count.
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
        self.patch(outbox, "PIECE_BYTES", 16)
        self.patch(outbox, "MAX_WAITING_ANSWER_BYTES", 20)
        transport = PushTransport()
        transport.high = 20
        box = Outbox(transport, self.group, 1000, Overflow())
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
        self.patch(outbox, "PIECE_BYTES", 16)
        self.patch(outbox, "MAX_WAITING_ANSWER_BYTES", 20)
        transport = PushTransport()
        transport.high = 20
        box = Outbox(transport, self.group, 1000, Overflow())
        box.write(b"x" * 100)
        box.finish()
        received = transport.take()
        while not transport.disconnecting:
            box.resumeProducing()
            received += transport.take()
        self.assertEqual(received, b"x" * 100)
        self.assertIsNone(transport.producer)
