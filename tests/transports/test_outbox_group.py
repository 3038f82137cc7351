"""
Tests for L{dstwist.transports.outbox_group}.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.interfaces import IOutbox
from dstwist.limits.outgoing_bytes import OutgoingBytes
from dstwist.scheduling.turns import TIME_SLICE, Turns
from dstwist.transports.outbox import Outbox
from dstwist.transports.outbox_group import EagerOutbox, OutboxGroup
from tests.fakes import BusyClock
from tests.transports.helpers import Overflow, PushTransport
from tests.turns import LONGEST, turn_lengths


class TurnTests(SynchronousTestCase):
    """
    L{OutboxGroup}: frames that are written in a turn of the reactor leave at its end.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.group = OutboxGroup(self.clock)

    def outbox(self, group: OutboxGroup | None = None) -> tuple[Outbox, PushTransport]:
        transport = PushTransport()
        return Outbox(transport, group or self.group, 100, Overflow()), transport

    def test_one_write_per_turn(self) -> None:
        """
        All frames of a turn leave in one write, in the order they were written.
        """
        outbox, transport = self.outbox()
        written: list[bytes] = []
        transport.instead = written.append
        for frame in (b"one ", b"two ", b"three"):
            outbox.write(frame)
        self.assertEqual(written, [])
        self.clock.advance(0)
        self.assertEqual(written, [b"one two three"])

    def test_next_turn(self) -> None:
        """
        Frames that are written after the end of a turn leave at the end of the next.
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
        outbox, transport = self.outbox(OutboxGroup(self.clock, 0.05))
        outbox.write(b"one")
        self.clock.advance(0.04)
        self.assertEqual(transport.take(), b"")
        outbox.write(b"two")
        self.clock.advance(0.01)
        self.assertEqual(transport.take(), b"onetwo")

    def test_interface(self) -> None:
        """
        L{EagerOutbox} is an outbox.
        """
        verifyObject(IOutbox, EagerOutbox(self.outbox()[0], self.group, 10))

    def test_eager_answers(self) -> None:
        """
        It hands on answers, and flushes, like the outbox behind it.
        """
        outbox, transport = self.outbox(OutboxGroup(self.clock, 0.05))
        eager = EagerOutbox(outbox, self.group, 10)
        eager.write(b"one ")
        eager.answer(b"two")
        self.assertEqual(transport.take(), b"")
        eager.flush()
        self.assertEqual(transport.take(), b"one two")

    def test_hurry(self) -> None:
        """
        A long turn ends early if more than C{maxBufferByteSize} bytes were collected for one connection.
        """
        group = OutboxGroup(self.clock, 0.05)
        outbox, transport = self.outbox(group)
        write = EagerOutbox(outbox, group, 10).write
        write(b"12345")
        write(b"67890")
        self.clock.advance(0)
        self.assertEqual(transport.take(), b"")
        write(b"x")
        self.clock.advance(0)
        self.assertEqual(transport.take(), b"1234567890x")

    def test_large_at_once(self) -> None:
        """
        The first frame, or answer, may be larger than that already.
        """
        for kind in ("write", "answer"):
            group = OutboxGroup(self.clock, 0.05)
            outbox, transport = self.outbox(group)
            getattr(EagerOutbox(outbox, group, 10), kind)(b"12345678901")
            self.clock.advance(0)
            self.assertEqual(transport.take(), b"12345678901", kind)

    def test_answers_counted(self) -> None:
        """
        Answers count as well, also if a turn begins with one.
        """
        group = OutboxGroup(self.clock, 0.05)
        outbox, transport = self.outbox(group)
        eager = EagerOutbox(outbox, group, 10)
        for _ in range(3):
            eager.answer(b"12345")
            eager.write(b"67890")
            self.clock.advance(0)
            self.assertEqual(transport.take(), b"")
            self.clock.advance(0.05)
            self.assertEqual(transport.take(), b"1234567890")
        for _ in range(3):
            eager.answer(b"12345")
        self.clock.advance(0)
        self.assertEqual(transport.take(), b"123451234512345")

    def test_counted_anew(self) -> None:
        """
        Frames that were sent do not count any more.
        """
        group = OutboxGroup(self.clock, 0.05)
        outbox, transport = self.outbox(group)
        write = EagerOutbox(outbox, group, 10).write
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
        OutboxGroup(self.clock, 0.05).hurry()
        outbox, transport = self.outbox()
        EagerOutbox(outbox, self.group, 1).write(b"one")
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_broken(self) -> None:
        """
        A transport that fails is dropped, and does not keep the others waiting.
        """
        broken, bad_transport = self.outbox()
        outbox, transport = self.outbox()

        def write(data: bytes) -> None:
            raise RuntimeError("broken")

        bad_transport.instead = write
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

        bad_transport.instead = bad_transport.abortConnection = fail  # type: ignore[method-assign]
        broken.write(b"one")
        outbox.write(b"two")
        self.clock.advance(0)
        self.assertEqual(transport.take(), b"two")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)


class ManyOutboxesTests(SynchronousTestCase):
    """
    L{OutboxGroup} with thousands of outboxes: a write to each socket takes some microseconds.
    """

    COUNT = 5000

    def setUp(self) -> None:
        self.clock = BusyClock()
        self.outgoing = OutgoingBytes(self.clock, 10 * self.COUNT)
        self.group = OutboxGroup(self.clock, 0, self.outgoing)
        self.sent: list[tuple[int, bytes]] = []
        self.outboxes = [self.outbox(number) for number in range(self.COUNT)]

    def outbox(self, number: int) -> Outbox:
        transport = PushTransport()

        def write(data: bytes) -> None:
            self.clock.rightNow += 0.000_02
            self.sent.append((number, data))

        transport.instead = write
        return Outbox(transport, self.group, 100, Overflow())

    def publish(self, frame: bytes) -> None:
        for outbox in self.outboxes:
            outbox.write(frame)
        self.outgoing.room -= len(frame) * self.COUNT
        if self.outgoing.room < 0:
            self.outgoing.make_room()

    def test_time_slices(self) -> None:
        """
        They are flushed in several turns, none of which lasts too long, in the order in which they were written to.
        """
        lengths = turn_lengths(self.clock, lambda: self.publish(b"one"))
        self.assertLess(max(lengths), LONGEST)
        self.assertEqual(self.sent, [(number, b"one") for number in range(self.COUNT)])

    def test_order(self) -> None:
        """
        Frames that are written meanwhile arrive behind the earlier ones, whether or not those have left. Other clients
        are served meanwhile.
        """
        self.publish(b"one")
        self.clock.advance(0)
        self.clock.advance(0)
        self.assertIn(len(self.sent), range(1, self.COUNT))
        self.assertFalse(Turns.of(self.clock).over())
        self.publish(b"two")
        self.outboxes[-1].send(b"three")
        turn_lengths(self.clock, list)
        received = [b""] * self.COUNT
        for number, data in self.sent:
            received[number] += data
        self.assertEqual(received, [b"onetwo"] * (self.COUNT - 1) + [b"onetwothree"])

    def test_budget(self) -> None:
        """
        If the bytes of a turn exceed their budget, nothing more is served until all are sent. No turn lasts too long.
        """
        turns = Turns.of(self.clock)
        served: list[int] = []
        turns.later(lambda: served.append(len(self.sent)))
        lengths = turn_lengths(self.clock, lambda: self.publish(b"more than that"))
        self.assertLess(max(lengths), LONGEST)
        self.assertEqual(served, [self.COUNT])
        self.assertFalse(turns.over())

    def test_held(self) -> None:
        """
        That is so for what comes in, too.
        """
        turns = Turns.of(self.clock)
        self.publish(b"more than that")
        while len(self.sent) < self.COUNT:
            self.assertTrue(turns.over())
            self.clock.advance(0)
        self.assertFalse(turns.over())

    def test_large(self) -> None:
        """
        The time is asked for after each large frame.
        """
        self.outgoing.large = True
        for outbox in self.outboxes[:3]:
            outbox._transport.instead = self.slow
            outbox.write(b"large")
        lengths = turn_lengths(self.clock, list)
        self.assertLess(max(lengths), LONGEST)
        self.assertEqual(len(self.sent), 3)

    def slow(self, data: bytes) -> None:
        self.clock.rightNow += 0.01
        self.sent.append((0, data))


class RefillTests(SynchronousTestCase):
    """
    Transports that have room again at the same time, and say so once.
    """

    def setUp(self) -> None:
        self.clock = BusyClock()
        self.group = OutboxGroup(self.clock)
        self.made = []
        for _ in range(20):
            transport = PushTransport()
            outbox = Outbox(transport, self.group, 1 << 20, Overflow())
            outbox.pauseProducing()
            outbox.write(b"0123456789")
            self.made.append((outbox, transport))
        self.clock.advance(0)

    def resume_all(self) -> None:
        for outbox, _ in self.made:
            outbox.resumeProducing()

    def test_many(self) -> None:
        """
        If many clients begin to read in one turn, no turn is long. All get everything in the end, in order.
        """

        def slow(transport: PushTransport) -> Callable[[bytes], object]:
            def write(data: bytes) -> None:
                self.clock.rightNow += 0.003
                StringTransport.write(transport, data)

            return write

        for _, transport in self.made:
            transport.instead = slow(transport)
        lengths = turn_lengths(self.clock, self.resume_all)
        self.assertLess(max(lengths), LONGEST)
        self.assertGreater(len(lengths), 5)
        for outbox, transport in self.made:
            outbox.write(b"abc")
            outbox.flush()
            self.assertEqual(transport.take(), b"0123456789abc")
        self.assertEqual(self.group.outgoing.waiting, 0)

    def test_broken(self) -> None:
        """
        A transport that fails when its turn has come is dropped, and does not keep the others waiting.
        """

        def fail(data: bytes) -> None:
            raise RuntimeError("broken")

        self.clock.tick = TIME_SLICE
        self.resume_all()
        self.clock.tick = 0.0
        self.made[1][1].instead = fail
        turn_lengths(self.clock, list)
        self.assertTrue(self.made[1][1].aborted)
        self.assertEqual([transport.take() for _, transport in self.made[2:]], [b"0123456789"] * 18)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_gone(self) -> None:
        """
        A client that has gone before its turn gets nothing.
        """
        self.clock.tick = TIME_SLICE
        self.resume_all()
        outbox, transport = self.made[-1]
        outbox.close()
        self.clock.tick = 0.0
        turn_lengths(self.clock, list)
        self.assertEqual(transport.take(), b"")
