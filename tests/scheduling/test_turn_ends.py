"""
Tests for L{dstwist.scheduling.turn_ends}.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.scheduling.turn_ends import TurnEnds
from tests.logs import Lines


class LoopReactor(Clock):
    """
    A reactor whose turns consist of C{handled} and of nothing else.
    """

    def __init__(self) -> None:
        super().__init__()
        self.handled: list[Any] = []
        self.waits: list[Any] = []

    def doIteration(self, timeout: Any) -> None:
        self.waits.append(timeout)
        handled, self.handled = self.handled, []
        for handle in handled:
            handle()


class TurnEndsTests(SynchronousTestCase):
    """
    L{TurnEnds}.
    """

    def setUp(self) -> None:
        self.reactor: Any = LoopReactor()
        self.ends = TurnEnds.of(self.reactor)
        self.ends.watch()
        self.did: list[str] = []

    def do(self, what: str) -> Any:
        return lambda: self.did.append(what)

    def test_end(self) -> None:
        """
        A function runs behind all that has come in, in the same turn, and once.
        """
        self.reactor.handled = [lambda: self.ends.call(self.do("end")), self.do("one"), self.do("two")]
        self.reactor.doIteration(5)
        self.assertEqual((self.did, self.reactor.waits), (["one", "two", "end"], [5]))
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.reactor.doIteration(5)
        self.assertEqual(len(self.did), 3)

    def test_between(self) -> None:
        """
        Outside of that a function is a delayed call, so that the reactor does not wait first. This is so for what the
        end of a turn wants done, too.
        """
        self.ends.call(self.do("soon"))
        self.assertEqual([call.getTime() for call in self.reactor.getDelayedCalls()], [0])
        self.reactor.advance(0)
        self.assertEqual(self.did, ["soon"])
        self.reactor.handled = [lambda: self.ends.call(lambda: self.ends.call(self.do("later")))]
        self.reactor.doIteration(None)
        self.assertEqual(self.did, ["soon"])
        self.reactor.advance(0)
        self.assertEqual(self.did, ["soon", "later"])

    def test_failures(self) -> None:
        """
        A function that fails is logged, and the others run. So they do if the turn itself fails.
        """
        lines = Lines(self)

        def fail() -> None:
            raise ValueError("a mistake")

        self.reactor.handled = [lambda: self.ends.call(fail), lambda: self.ends.call(self.do("end")), fail]
        self.assertRaises(ValueError, self.reactor.doIteration, 0)
        self.assertEqual(self.did, ["end"])
        self.assertIn("work at the end of a turn failed", lines.of("critical")[0])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_shared(self) -> None:
        """
        All users of a reactor share its ends; to watch twice is to watch once.
        """
        self.assertIs(TurnEnds.of(self.reactor), self.ends)
        self.ends.watch()
        self.reactor.handled = [lambda: self.ends.call(self.do("end"))]
        self.reactor.doIteration(0)
        self.assertEqual((self.did, self.reactor.waits), (["end"], [0]))

    def test_nested(self) -> None:
        """
        If an event has the reactor make a turn, that turn does not wait before what was to run.
        """

        def handle() -> None:
            self.ends.call(self.do("end"))
            self.reactor.handled = [self.do("handled")]
            self.reactor.doIteration(1)
            self.did.append("back")

        self.reactor.handled = [handle]
        self.reactor.doIteration(5)
        self.assertEqual(self.did, ["end", "handled", "back"])

    def test_no_turns(self) -> None:
        """
        Where the turns cannot be watched, all functions are delayed calls.
        """
        clock = Clock()
        ends = TurnEnds.of(clock)
        ends.watch()
        ends.call(self.do("soon"))
        clock.advance(0)
        self.assertEqual(self.did, ["soon"])

    def test_real(self) -> None:
        """
        So it is with Twisted's own reactor.
        """
        reactor: Any = EPollReactor()
        ends = TurnEnds.of(reactor)
        ends.watch()
        here, there = socket.socketpair()
        self.addCleanup(there.close)

        class Reader:
            def fileno(self) -> int:
                return here.fileno()

            def logPrefix(self) -> str:
                return "-"

            def doRead(reader) -> None:
                ends.call(self.do("end"))
                self.did.append(here.recv(10).decode())

        reactor.addReader(Reader())
        there.send(b"read")
        reactor.doIteration(10)
        self.assertEqual(self.did, ["read", "end"])
        reactor.removeAll()
        here.close()
