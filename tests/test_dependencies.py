"""
Tests for L{dstwist.dependencies}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from dstwist.dependencies import Dependencies, Dependency
from dstwist.errors import StartError, StoreError
from dstwist.interfaces import ILifecycle
from tests.logs import Lines


@implementer(ILifecycle)
class FakePart:
    """
    A store that starts and stops when the test says so, and notes all calls.

    @param stubborn: whether it ignores a cancel, as a coroutine can.
    """

    def __init__(self, name: str, calls: list[str], stubborn: bool = False) -> None:
        self._name = name
        self._calls = calls
        self._inner: Deferred[None] = Deferred()
        self.starting = Deferred.fromCoroutine(self._stubborn()) if stubborn else Deferred(self._cancelled)
        self.stopping: Deferred[None] = succeed(None)

    def _cancelled(self, starting: Deferred[None]) -> None:
        self._calls.append(f"cancel {self._name}")

    async def _stubborn(self) -> None:
        try:
            await self._inner
        except CancelledError:
            self._calls.append(f"cancel {self._name}")
            self._inner = Deferred()
            await self._inner

    def end(self) -> None:
        """
        End the start that went on in spite of a cancel.
        """
        self._inner.errback(StoreError("too late"))

    def start(self) -> Deferred[None]:
        self._calls.append(f"start {self._name}")
        return self.starting

    def stop(self) -> Deferred[None]:
        self._calls.append(f"stop {self._name}")
        return self.stopping


class PartsTestCase(SynchronousTestCase):
    """
    Two dependencies, 2 s to start and 3 s to stop each.
    """

    stubborn = False

    def setUp(self) -> None:
        self.calls: list[str] = []
        self.clock = Clock()
        self.lines = Lines(self)
        self.storage, self.cache = (FakePart(name, self.calls, self.stubborn) for name in ("storage", "cache"))
        self.dependencies = Dependencies(
            [
                Dependency("storage", self.storage, lambda: "sqlite"),
                Dependency("cache", self.cache, lambda: "memory"),
                Dependency("nothing", None, lambda: "none"),
            ],
            2.0,
            3.0,
            self.clock,
        )


class DependencyTests(PartsTestCase):
    """
    L{Dependencies}, of parts that obey a cancel.
    """

    def start(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.dependencies.start())

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.dependencies.stop())

    def test_fake(self) -> None:
        """
        The parts of these tests are what the node expects.
        """
        verifyObject(ILifecycle, self.storage)

    def test_order(self) -> None:
        """
        The second starts when the first has; they stop in the reverse order. The log has a line for each.
        """
        started = self.start()
        self.assertEqual(self.calls, ["start storage"])
        self.storage.starting.callback(None)
        self.assertEqual(self.calls, ["start storage", "start cache"])
        self.cache.starting.callback(None)
        self.successResultOf(started)
        self.assertEqual(
            self.lines.of("info"),
            ["INFO | storage ready: sqlite", "INFO | cache ready: memory", "INFO | nothing ready: none"],
        )
        self.successResultOf(self.stop())
        self.assertEqual(self.calls[2:], ["stop cache", "stop storage"])
        self.assertFalse(self.clock.getDelayedCalls())

    def test_failure(self) -> None:
        """
        One that fails is not stopped, and those after it are not started.
        """
        started = self.start()
        self.storage.starting.errback(StoreError("locked"))
        failure = self.failureResultOf(started, StartError)
        self.assertEqual(failure.getErrorMessage(), "storage: locked")
        self.successResultOf(self.stop())
        self.assertEqual(self.calls, ["start storage"])

    def test_other_nodes(self) -> None:
        """
        One that waits for other nodes has so much more time than others.
        """
        part = FakePart("cluster", self.calls, False)
        cluster = Dependency("cluster", part, lambda: "3 nodes", waits=5.0)
        self.dependencies = Dependencies([cluster], 2.0, 3.0, self.clock)
        self.assertEqual(self.dependencies.longest_start, 7.0)
        started = self.start()
        self.clock.advance(6.9)
        self.assertNoResult(started)
        self.clock.advance(0.1)
        self.assertEqual(
            self.failureResultOf(started, StartError).getErrorMessage(),
            "cluster wasn't initialised in time (dependencyInitializationTimeout, 2 s, and 5 s for other nodes)",
        )

    def test_mistake(self) -> None:
        """
        If it is a mistake in the part, the log has the traceback.
        """
        started = self.start()
        self.storage.starting.errback(ZeroDivisionError())
        self.failureResultOf(started, StartError)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_exit(self) -> None:
        """
        One that wants to end the process fails like any other; all of them are stopped.
        """
        started = self.start()
        self.storage.starting.callback(None)
        self.cache.starting.errback(SystemExit(1))
        failure = self.failureResultOf(started, StartError)
        self.assertEqual(failure.getErrorMessage(), "cache: SystemExit: 1")
        self.storage.stopping = fail(SystemExit(1))
        self.successResultOf(self.stop())
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)

    def test_timeout(self) -> None:
        """
        One that takes too long is given up, and stopped.
        """
        started = self.start()
        self.clock.advance(1.9)
        self.assertNoResult(started)
        self.clock.advance(0.1)
        error: Any = self.failureResultOf(started, StartError).value
        self.assertEqual(error.event, "PLUGIN_INITIALIZATION_TIMEOUT")
        self.successResultOf(self.stop())
        self.assertEqual(self.calls, ["start storage", "cancel storage", "stop storage"])

    def test_stop_timeout(self) -> None:
        """
        One that does not stop in time does not keep the others from stopping.
        """
        for part in (self.storage, self.cache):
            part.starting = succeed(None)
            part.stopping = Deferred()
        self.successResultOf(self.start())
        stopped = self.stop()
        self.clock.advance(3)
        self.assertNoResult(stopped)
        self.clock.advance(3)
        self.successResultOf(stopped)
        self.assertEqual(self.calls[2:], ["stop cache", "stop storage"])
        self.assertEqual(self.lines.last("error"), "PLUGIN_ERROR | storage did not stop in time")

    def test_stop_fails(self) -> None:
        """
        One that fails does not keep the others from stopping either.
        """
        for part in (self.storage, self.cache):
            part.starting = succeed(None)
            part.stopping = fail(StoreError("cannot let go"))
        self.successResultOf(self.start())
        self.successResultOf(self.stop())
        self.assertEqual(len(self.flushLoggedErrors(StoreError)), 2)
        self.assertEqual(self.calls[2:], ["stop cache", "stop storage"])


class StubbornDependencyTests(DependencyTests):
    """
    L{Dependencies}, of parts that ignore a cancel.
    """

    stubborn = True

    def test_late_failure(self) -> None:
        """
        If a part fails after it was given up, the log has that.
        """
        started = self.start()
        self.clock.advance(2)
        self.failureResultOf(started, StartError)
        self.storage.end()
        self.assertEqual(self.lines.last("critical"), "PLUGIN_ERROR | storage failed too late: too late")
        self.assertEqual(self.flushLoggedErrors(), [])
