"""
At most so many at a time, at most so many waiting.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from dstwist.auth.concurrency import ConcurrencyLimit
from dstwist.errors import BusyError


class GateTests(SynchronousTestCase):
    """
    L{ConcurrencyLimit}.
    """

    def setUp(self) -> None:
        self.running: dict[str, Deferred[Any]] = {}
        self.limit = ConcurrencyLimit(2, 2, "it is full")

    def call(self, name: str) -> Deferred[Any]:
        return self.limit.run(self.run_one, name)

    def run_one(self, name: str) -> Deferred[Any]:
        self.running[name] = Deferred()
        return self.running[name]

    def test_order(self) -> None:
        """
        Two run, the others wait and come in order, one whenever one ends, however it ends.
        """
        results = {name: self.call(name) for name in "abcd"}
        self.assertEqual(list(self.running), ["a", "b"])
        self.running["b"].callback("done")
        self.assertEqual(self.successResultOf(results["b"]), "done")
        self.assertEqual(list(self.running), ["a", "b", "c"])
        self.running["a"].errback(ValueError("no"))
        self.failureResultOf(results["a"], ValueError)
        self.assertEqual(list(self.running), ["a", "b", "c", "d"])

    def test_full(self) -> None:
        """
        A call is refused while two others wait; afterwards there is room again.
        """
        results = [self.call(name) for name in "abcd"]
        error = self.failureResultOf(self.call("e"), BusyError)
        self.assertEqual(str(error.value), "it is full")
        self.running["a"].callback(None)
        self.successResultOf(results[0])
        self.assertNoResult(self.call("f"))

    def test_cancel(self) -> None:
        """
        A call that is cancelled while it waits never runs, and leaves room.
        """
        results = [self.call(name) for name in "abcd"]
        results[2].cancel()
        self.failureResultOf(results[2], CancelledError)
        self.assertNoResult(self.call("e"))
        self.running["a"].callback(None)
        self.assertEqual(list(self.running), ["a", "b", "d"])

    def test_raises(self) -> None:
        """
        A function that raises has run, and gives its place away.
        """
        limit = ConcurrencyLimit(1, 1, "full")
        self.failureResultOf(limit.run(int, "x"), ValueError)
        self.assertEqual(self.successResultOf(limit.run(int, "1")), 1)

    def test_many_at_once(self) -> None:
        """
        A queue of calls that end at once does not exhaust the stack.
        """
        limit = ConcurrencyLimit(1, 100_000, "full")
        first: Deferred[Any] = Deferred()
        results = [limit.run(lambda: first), *(limit.run(int) for _ in range(20_000))]
        first.callback(None)
        self.assertEqual({self.successResultOf(result) for result in results[1:]}, {0})
