"""
Tests for L{dstwist.limits.log_lines}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogBeginner, LogLevel, LogPublisher, formatEvent
from twisted.logger import Logger as TwistedLogger
from twisted.python import log as legacy
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.limits import LimitSettings
from dstwist.limits import log_lines as log_limit
from dstwist.limits.log_lines import LimitedObserver, LogLimit, limit_all
from dstwist.log import Logger, OperatorLogger, about
from tests.fakes import FakeConnection
from tests.logs import Lines

INTERVAL = LimitSettings().log_interval


class LimitCase(SynchronousTestCase):
    """
    A limit in force, of ten lines and of three about one client.
    """

    _log = Logger()

    def setUp(self) -> None:
        self.clock = Clock()
        self.lines = Lines(self)
        self.limit = self.start(max_log_lines=10, max_log_lines_per_client=3)

    def start(self, **settings: Any) -> LogLimit:
        limit = LogLimit(LimitSettings(**settings), self.clock)
        limit.start()
        self.addCleanup(limit.stop)
        return limit

    def refuse(self, times: int, address: str | None = "192.0.2.1", user: str | None = None) -> None:
        for number in range(times):
            self._log.warn("REFUSED | number {number}", number=number, address=address, user=user, event="REFUSED")

    def ended(self) -> list[str]:
        """
        The lines that are written at the end of the interval.
        """
        self.lines.clear()
        self.clock.advance(INTERVAL)
        return self.lines.of("warn")


class LogLimitTests(LimitCase):
    """
    L{LogLimit}.
    """

    def test_first_ones(self) -> None:
        """
        The first lines are written, and a count of the others at the end of the interval, with one of them.
        """
        self.refuse(1237)
        self.assertEqual(self.lines.of("warn"), [f"REFUSED | number {number}" for number in range(3)])
        self.assertEqual(
            self.ended(), ["REFUSED | number 3 ... and 1234 more like this from 192.0.2.1 in the last 10 s"]
        )

    def test_structure(self) -> None:
        """
        The count has the level and the event of its lines.
        """
        events: list[dict[str, Any]] = []
        publisher = Logger(observer=events.append)  # type: ignore[arg-type]
        self.patch(LogLimit, "_log", OperatorLogger(observer=events.append))  # type: ignore[arg-type]
        for _ in range(5):
            publisher.error("BROKEN | {what}", what="disk", event="BROKEN")
        self.clock.advance(INTERVAL)
        last = events[-1]
        self.assertEqual((last["log_level"], last["event"], last["count"]), (LogLevel.error, "BROKEN", 2))

    def test_few(self) -> None:
        """
        Nothing is added to lines that were all written.
        """
        self.refuse(3)
        self.assertEqual(self.ended(), [])

    def test_next_interval(self) -> None:
        """
        Each interval begins anew.
        """
        self.refuse(5)
        self.clock.advance(INTERVAL)
        self.lines.clear()
        self.refuse(5)
        self.assertEqual(len(self.lines.of("warn")), 3)
        self.assertEqual(len(self.ended()), 1)

    def test_clients(self) -> None:
        """
        A client cannot hide the lines about another.
        """
        self.refuse(1000)
        self.lines.clear()
        self.refuse(1, "192.0.2.2")
        self.assertEqual(len(self.lines.of("warn")), 1)

    def test_networks(self) -> None:
        """
        A network of IPv6 that one client may have all of is one client.
        """
        for number in range(9):
            self.refuse(1, f"2001:db8::{number}")
        self.assertEqual(len(self.lines.of("warn")), 3)

    def test_users(self) -> None:
        """
        A line without an address is about its user.
        """
        for user in ("ann", "bob"):
            self.refuse(9, None, user)
        self.assertEqual(len(self.lines.of("warn")), 6)
        self.assertEqual(
            self.ended(),
            [f"REFUSED | number 3 ... and 6 more like this from {user} in the last 10 s" for user in ("ann", "bob")],
        )

    def test_kinds(self) -> None:
        """
        Lines of one kind do not hide those of another: of another format, place, or class of exception.
        """
        self.refuse(1000)
        self.lines.clear()
        self._log.warn("other", address="192.0.2.1")
        Logger("another.place").warn("REFUSED | number {number}", number=1, address="192.0.2.1")
        self.assertEqual(len(self.lines.of("warn")), 2)
        for exception in (ValueError, KeyError):
            for _ in range(9):
                try:
                    raise exception("x")
                except exception:
                    self._log.failure("broken")
            self.assertEqual(len(self.flushLoggedErrors(exception)), 3)

    def test_failures(self) -> None:
        """
        The count of failures says which they are, and keeps nothing of them.
        """
        failures = []
        for _ in range(5):
            try:
                raise ValueError("no\nsense")
            except ValueError:
                self._log.failure("broken")
        failures = self.flushLoggedErrors(ValueError)
        self.lines.clear()
        self.clock.advance(INTERVAL)
        self.assertEqual(len(failures), 3)
        self.assertEqual(self.lines.of("critical"), ["broken: no?sense ... and 2 more like this in the last 10 s"])

    def test_many_clients(self) -> None:
        """
        Very many clients together have a limit too, and are not remembered.
        """
        for number in range(1000):
            self.refuse(1, f"192.0.{number // 256}.{number % 256}")
        self.assertEqual(len(self.lines.of("warn")), 10)
        (kind,) = self.limit._kinds.values()
        self.assertEqual(len(kind.by_client), 10)
        self.assertEqual(self.ended(), ["REFUSED | number 0 ... and 990 more like this from others in the last 10 s"])

    def test_no_limit(self) -> None:
        """
        Each of the two limits can be taken away.
        """
        self.limit.stop()
        self.start(max_log_lines=None, max_log_lines_per_client=3)
        for number in range(250):
            self.refuse(4, f"192.0.2.{number}")
        self.assertEqual(len(self.lines.of("warn")), 750)
        self.start(max_log_lines=10, max_log_lines_per_client=None)
        self.lines.clear()
        self.refuse(100)
        self.assertEqual(len(self.lines.of("warn")), 10)
        self.start(max_log_lines=None, max_log_lines_per_client=None)
        self.lines.clear()
        self.refuse(100)
        self.assertEqual(len(self.lines.of("warn")), 100)

    def test_many_kinds(self) -> None:
        """
        No more kinds are told apart than L{log_limit.MAX_LINE_KINDS}.
        """
        self.patch(log_limit, "MAX_LINE_KINDS", 5)
        for number in range(100):
            self._log.warn(f"kind {number}")
        self.assertEqual(len(self.lines.of("warn")), 8)
        self.assertEqual(self.ended(), ["kind 8 ... and 92 more like this in the last 10 s"])

    def test_stop(self) -> None:
        """
        Stopped, it leaves no timer, says what was counted, and is not in force any more.
        """
        self.refuse(5)
        self.clock.advance(4)
        self.lines.clear()
        self.limit.stop()
        self.assertEqual(
            self.lines.of("warn"), ["REFUSED | number 3 ... and 2 more like this from 192.0.2.1 in the last 4 s"]
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.refuse(100)
        self.assertEqual(len(self.lines.of("warn")), 101)

    def test_another_node(self) -> None:
        """
        If several nodes run in a process, the limit of the last one is in force; when it has gone, that of the one
        before.
        """
        second = self.start(max_log_lines_per_client=1)
        self.refuse(5)
        self.assertEqual(len(self.lines.of("warn")), 1)
        second.stop()
        self.lines.clear()
        self.refuse(5)
        self.assertEqual(len(self.lines.of("warn")), 3)

    def test_long_names(self) -> None:
        """
        A long user name makes neither the count longer than a line nor the memory larger.
        """
        for _ in range(4):
            self._log.warn("{user} did", user="x" * 100_000)
        (kind,) = self.limit._kinds.values()
        self.assertEqual([len(str(client)) for client in kind.by_client], [256])
        (line,) = self.ended()
        self.assertLess(len(line), 600)


class StateTests(LimitCase):
    """
    Lines about states that last: those with C{once}.
    """

    def fast(self, number: int = 7, limit: str = "rate", address: str = "192.0.2.1") -> list[str]:
        """
        The lines that are written when a client is still too fast.
        """
        self.lines.clear()
        client = FakeConnection("ann")
        client.number, client.address = number, address
        self._log.warn("FAST | {client} goes over {limit}", limit=limit, once=limit, **about(client))
        return self.lines.of("warn")

    def test_once(self) -> None:
        """
        A state is written when it begins, and neither written nor counted while it lasts, for however many intervals.
        """
        self.assertEqual(self.fast(), ["FAST | ann (192.0.2.1, /deepstream, #7) goes over rate"])
        for _ in range(5):
            self.assertEqual(self.fast() + self.fast(), [])
            self.assertEqual(self.ended(), [])

    def test_again(self) -> None:
        """
        When it was over for an interval, it is written again.
        """
        self.fast()
        self.clock.advance(INTERVAL)
        self.assertEqual(self.fast(), [])
        self.clock.pump([INTERVAL] * 2)
        self.assertEqual(len(self.fast()), 1)

    def test_apart(self) -> None:
        """
        Each connection has its states, and each state is one by itself; a line without C{once} is none.
        """
        self.assertEqual([len(self.fast()), len(self.fast(8)), len(self.fast(limit="size"))], [1, 1, 1])
        self.assertEqual([len(self.fast()), len(self.fast(8)), len(self.fast(limit="size"))], [0, 0, 0])
        for _ in range(2):
            self._log.warn("FAST | {client} goes over {limit}", client="x", address="192.0.2.9", limit="rate")
        self.assertEqual(len(self.lines.of("warn")), 2)

    def test_without_connection(self) -> None:
        """
        Without a connection a state is that of an address or user, or of the server.
        """
        self.lines.clear()
        for address in ("192.0.2.1", "192.0.2.2", None):
            for _ in range(2):
                self._log.warn("FULL | {address}", address=address, once="full")
        self.assertEqual(self.lines.of("warn"), ["FULL | 192.0.2.1", "FULL | 192.0.2.2", "FULL | None"])

    def test_limited(self) -> None:
        """
        The beginnings of states are limited like other lines; one that was not written is counted, and written later if
        it lasts.
        """
        self.assertEqual([len(self.fast(number)) for number in range(5)], [1, 1, 1, 0, 0])
        (count,) = self.ended()
        self.assertIn("2 more like this from 192.0.2.1", count)
        self.assertEqual([len(self.fast(number)) for number in range(5)], [0, 0, 0, 1, 1])

    def test_bound(self) -> None:
        """
        Only so many states are remembered; lines about more are limited like others.
        """
        self.patch(log_limit, "MAX_REMEMBERED_STATES", 2)
        written = [len(self.fast(number, address=f"192.0.2.{number}")) for number in (1, 2, 3, 1, 2, 3, 3, 3)]
        self.assertEqual(written, [1, 1, 1, 0, 0, 1, 1, 0])
        self.assertEqual(len(self.limit._states), 2)


class LimitedObserverTests(LimitCase):
    """
    L{LimitedObserver}: the lines of others.
    """

    def setUp(self) -> None:
        super().setUp()
        self.events: list[dict[str, Any]] = []
        publisher = LogPublisher()
        # As twistd begins to log.
        beginner = LogBeginner(publisher, _Nowhere(), _Streams(), _Streams())  # type: ignore[arg-type]
        limit_all(beginner)
        beginner.beginLoggingTo([self.events.append], redirectStandardIO=False)  # type: ignore[list-item]
        self.publisher = publisher

    def test_twisted(self) -> None:
        """
        Lines of Twisted's loggers, among them Autobahn's, are limited.
        """
        foreign = TwistedLogger("autobahn", observer=self.publisher)
        for _ in range(100):
            foreign.error("dropping connection to peer {peer}", peer="192.0.2.1")
        self.assertEqual(len(self.events), 3)

    def test_legacy(self) -> None:
        """
        Lines of the old interface are limited, too; they are all one kind.
        """
        old = legacy.LogPublisher(self.publisher, self.publisher)
        for number in range(100):
            old.msg(f"number {number}")
        self.assertEqual([formatEvent(event) for event in self.events], ["number 0", "number 1", "number 2"])

    def test_ours(self) -> None:
        """
        Lines of our loggers have been counted already, and are not counted twice.
        """
        for log in (Logger("a", observer=self.publisher), OperatorLogger("b", observer=self.publisher)):
            for _ in range(9):
                log.warn("line", address="192.0.2.1")
        self.assertEqual(len(self.events), 3 + 9)

    def test_no_limit(self) -> None:
        """
        Without a node there is no limit.
        """
        self.limit.stop()
        LimitedObserver([self.events.append])({"log_format": "a"})  # type: ignore[list-item]
        self.assertEqual(self.events, [{"log_format": "a"}])


class _Nowhere:
    def write(self, text: str) -> None:
        pass


class _Streams:
    showwarning = None
