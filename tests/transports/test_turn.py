"""
Tests for L{dstwist.transports.turn}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.transports.outbox import Outbox
from dstwist.transports.turn import Turn, counted
from tests.transports.helpers import Overflow, PushTransport


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
