"""
Tests for L{dstwist.scheduling.drain}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from dstwist.scheduling.drain import InFlight


class InFlightTests(SynchronousTestCase):
    """
    L{InFlight}.
    """

    def setUp(self) -> None:
        self.work = InFlight()

    def test_nothing(self) -> None:
        """
        With nothing under way a change waits for nothing, also after something has been.
        """
        self.successResultOf(self.work.drain())
        with self.work.group:
            pass
        self.successResultOf(self.work.drain())

    def test_what_began_before(self) -> None:
        """
        A change waits for all that began before it, and not for what begins after it; each change by itself.
        """
        first: Deferred[str] = Deferred()
        self.work.group.add(first)
        with self.work.group:
            one = self.work.drain()
            second: Deferred[str] = Deferred()
            self.work.group.add(second)
            two = self.work.drain()
            first.callback("first")
            self.assertNoResult(one)
        self.successResultOf(one)
        self.assertNoResult(two)
        second.callback("second")
        self.successResultOf(two)

    def test_results(self) -> None:
        """
        A Deferred keeps its result, and is counted before callbacks that are added later; a failure ends as well.
        """
        good: Deferred[str] = Deferred()
        bad: Deferred[str] = Deferred()
        for deferred in (good, bad):
            self.work.group.add(deferred)
        changed = self.work.drain()
        bad.errback(KeyError("x"))
        self.failureResultOf(bad, KeyError)
        good.callback("result")
        self.successResultOf(changed)
        self.assertEqual(self.successResultOf(good), "result")

    def test_broken(self) -> None:
        """
        An operation that ends with an exception has ended.
        """
        changed: list[Deferred[None]] = []

        def work() -> None:
            with self.work.group:
                changed.append(self.work.drain())
                raise KeyError("x")

        self.assertRaises(KeyError, work)
        self.successResultOf(changed[0])
