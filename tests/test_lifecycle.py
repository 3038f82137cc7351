"""
The order in which the parts of a node start and stop. L{tests.nodes.test_stores} has the same for a whole node.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from dstwist.config.settings import Settings
from dstwist.errors import StartError, StoppedError, StoreError
from dstwist.interfaces import ILifecycle
from dstwist.lifecycle import Dependencies, Dependency, Lifecycle, Watcher
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


class FakeClientSide:
    """
    Notes all calls.
    """

    def __init__(self, calls: list[str]) -> None:
        self._calls = calls
        self.records: Deferred[None] = succeed(None)

    def bind(self) -> None:
        self._calls.append("bind")

    def serve_application(self) -> None:
        self._calls.append("serve")

    def open(self) -> None:
        self._calls.append("open")

    def refuse(self) -> None:
        self._calls.append("refuse")

    async def disconnect(self, timeout: float) -> None:
        self._calls.append("disconnect")

    async def stop_topics(self) -> None:
        self._calls.append("stop topics")
        await self.records

    async def close(self) -> None:
        self._calls.append("close")


class LifecycleTestCase(SynchronousTestCase):
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


class DependencyTests(LifecycleTestCase):
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


class LifeTests(LifecycleTestCase):
    """
    L{Lifecycle}.
    """

    def setUp(self) -> None:
        super().setUp()
        self.checking: Deferred[None] = succeed(None)
        self.watch_problem: Exception | None = None
        self.unwatch_problem: Exception | None = None
        self.make()

    def make(self, label: str = "") -> None:
        client_side: Any = FakeClientSide(self.calls)
        self.client_side = client_side
        watcher = Watcher(self.watch, self.unwatch)
        notes = ("CONFIG | x has no effect", "CONFIG_TRANSFORM | Loaded content from a")
        settings = Settings(source="a.yml", notes=notes)
        self.plugin = FakePart("plugin", self.calls)
        self.plugin.starting = succeed(None)
        plugins = Dependencies([Dependency("plugin", self.plugin, lambda: "mine")], 2.0, 3.0, self.clock)
        self.life = Lifecycle(
            settings, [watcher], self.dependencies, plugins, self.check, client_side, None, self.clock, label
        )

    def watch(self) -> None:
        self.calls.append("watch")
        if self.watch_problem is not None:
            raise self.watch_problem

    def unwatch(self) -> None:
        self.calls.append("do not watch")
        if self.unwatch_problem is not None:
            raise self.unwatch_problem

    async def check(self) -> None:
        self.calls.append("check")
        try:
            await self.checking
        except CancelledError:
            # As a rule that fails.
            pass

    def test_order(self) -> None:
        """
        Connections are accepted last of all, and refused first. Plug-ins have the stores from their start to their
        stop; they stop when the clients have gone, and before the records are written.
        """
        started = self.life.start()
        self.storage.starting.callback(None)
        self.cache.starting.callback(None)
        self.successResultOf(started)
        self.assertEqual(
            self.calls, ["bind", "watch", "start storage", "start cache", "serve", "start plugin", "check", "open"]
        )
        del self.calls[:]
        self.successResultOf(self.life.stop())
        self.assertEqual(
            self.calls,
            [
                "refuse",
                "do not watch",
                "disconnect",
                "stop plugin",
                "stop topics",
                "stop cache",
                "stop storage",
                "close",
            ],
        )

    def test_longest(self) -> None:
        """
        A start and a stop may take the sum of the times of all dependencies and plug-ins, and twice C{shutdownTimeout}.
        """
        self.assertEqual(self.life.longest_start, 4 * 2.0)
        self.assertEqual(self.life.longest_stop, 2 * 10.0 + 4 * 3.0)

    def test_records_not_in_time(self) -> None:
        """
        Requests that nothing ends do not keep the node from stopping.
        """
        started = self.life.start()
        self.storage.starting.callback(None)
        self.cache.starting.callback(None)
        self.successResultOf(started)
        self.client_side.records = Deferred()
        stopped = self.life.stop()
        self.clock.advance(9.9)
        self.assertNoResult(stopped)
        self.clock.advance(0.1)
        self.successResultOf(stopped)
        self.assertEqual(self.calls[-3:], ["stop cache", "stop storage", "close"])
        self.assertEqual(
            self.lines.last("error"), "PLUGIN_ERROR | some requests for records could not be served in time"
        )

    def test_plugin_fails(self) -> None:
        """
        If a plug-in cannot start, nothing is opened, and the stores stop.
        """
        self.plugin.starting = fail(StartError("no license"))
        started = self.life.start()
        self.storage.starting.callback(None)
        self.cache.starting.callback(None)
        self.failureResultOf(started, StartError)
        self.assertEqual(self.lines.last("critical"), "PLUGIN_INITIALIZATION_ERROR | plugin: no license")
        self.successResultOf(self.life.stop())
        self.assertNotIn("open", self.calls)
        self.assertNotIn("stop plugin", self.calls)
        self.assertEqual(self.calls[-3:], ["stop cache", "stop storage", "close"])

    def test_log(self) -> None:
        """
        The log has name, version, configuration file and its notes before anything else.
        """
        self.life.start()
        lines = self.lines.of("info")
        for line, expected in zip(
            lines, ("server name: ", "dstwist version: ", "configuration file loaded from a.yml"), strict=False
        ):
            self.assertTrue(line.startswith(f"INFO | {expected}"), line)
        self.assertEqual(self.lines.of("warn"), ["CONFIG | x has no effect"])

    def test_failure(self) -> None:
        """
        If a part cannot start, the log says why, and nothing is opened.
        """
        started = self.life.start()
        self.storage.starting.errback(StoreError("locked"))
        self.failureResultOf(started, StartError)
        self.assertEqual(self.lines.last("critical"), "PLUGIN_INITIALIZATION_ERROR | storage: locked")
        self.successResultOf(self.life.stop())
        self.assertNotIn("open", self.calls)

    def assert_interrupted(self, *expected: str) -> None:
        """
        A stop ends the start at once, without a line about a failure, and these calls have been made.
        """
        started = self.life.start()
        if "start cache" in expected:
            self.storage.starting.callback(None)
        self.successResultOf(self.life.stop())
        self.failureResultOf(started, StoppedError)
        self.assertEqual(self.calls, ["bind", "watch", *expected])
        self.assertEqual(self.lines.of("critical"), [])
        self.assertFalse(self.clock.getDelayedCalls())

    def test_stop_while_starting(self) -> None:
        """
        A stop cancels the part that is starting, and stops it with those that have started.
        """
        self.assert_interrupted(
            "start storage",
            "start cache",
            "refuse",
            "do not watch",
            "cancel cache",
            "disconnect",
            "stop topics",
            "stop cache",
            "stop storage",
            "close",
        )

    def test_stop_first(self) -> None:
        """
        If it is the first, the others are not started.
        """
        self.assert_interrupted(
            "start storage",
            "refuse",
            "do not watch",
            "cancel storage",
            "disconnect",
            "stop topics",
            "stop storage",
            "close",
        )

    def test_stop_while_checking(self) -> None:
        """
        A stop does not wait for a check of the configuration either, which may ask a plug-in; nothing is opened.
        """
        self.checking = Deferred()
        started = self.life.start()
        self.storage.starting.callback(None)
        self.cache.starting.callback(None)
        self.successResultOf(self.life.stop())
        self.failureResultOf(started, StoppedError)
        self.assertNotIn("open", self.calls)

    def test_each_its_own(self) -> None:
        """
        All callers of a start or a stop wait for the same one, and one that waits no longer does not affect the others.
        """
        starts = [self.life.start(), self.life.start()]
        self.storage.starting.callback(None)
        self.cache.starting.callback(None)
        for started in starts:
            self.successResultOf(started)
        self.storage.stopping = Deferred()
        stops = [self.life.stop(), self.life.stop()]
        stops[0].cancel()
        self.failureResultOf(stops[0], CancelledError)
        self.assertNoResult(stops[1])
        self.storage.stopping.callback(None)
        self.successResultOf(stops[1])
        self.successResultOf(self.life.stop())
        for call in ("start storage", "stop storage", "close"):
            self.assertEqual(self.calls.count(call), 1)

    def test_failure_closes(self) -> None:
        """
        A start that fails has stopped all parts when its Deferred fails.
        """
        self.storage.stopping = Deferred()
        started = self.life.start()
        self.storage.starting.callback(None)
        self.cache.starting.errback(StoreError("locked"))
        self.assertNoResult(started)
        self.storage.stopping.callback(None)
        self.failureResultOf(started, StartError)
        self.assertEqual(self.calls[-4:], ["disconnect", "stop topics", "stop storage", "close"])

    def test_watcher_fails(self) -> None:
        """
        If a part breaks without an error of ours, the start fails with one, and the log has the traceback.
        """
        self.watch_problem = ZeroDivisionError("oops")
        failure = self.failureResultOf(self.life.start(), StartError)
        self.assertEqual(failure.getErrorMessage(), "ZeroDivisionError: oops")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.calls[-1], "close")

    def test_cancel(self) -> None:
        """
        To cancel the start stops all parts; the Deferred fails when they have stopped.
        """
        self.storage.stopping = Deferred()
        started = self.life.start()
        self.storage.starting.callback(None)
        other = self.life.start()
        started.cancel()
        self.assertNoResult(started)
        self.storage.stopping.callback(None)
        self.failureResultOf(started, CancelledError)
        self.failureResultOf(other, StoppedError)
        self.assertEqual(self.calls[-1], "close")
        self.assertEqual(self.lines.of("critical"), [])

    def test_stop_before_start(self) -> None:
        """
        A node that was stopped before does not start.
        """
        self.successResultOf(self.life.stop())
        del self.calls[:]
        self.failureResultOf(self.life.start(), StoppedError)
        self.assertEqual(self.calls, [])

    def test_refused(self) -> None:
        """
        A start that was refused fails with that problem, and closes what was bound.
        """
        self.life.refuse(StartError("port 6020 is taken"))
        self.failureResultOf(self.life.start(), StartError)
        self.assertNotIn("bind", self.calls)
        self.assertEqual(self.lines.last("critical"), "PLUGIN_INITIALIZATION_ERROR | port 6020 is taken")

    def test_step_fails(self) -> None:
        """
        A step of the stop that fails is logged, and does not prevent the next steps.
        """
        self.unwatch_problem = ZeroDivisionError()
        started = self.life.start()
        self.successResultOf(self.life.stop())
        self.failureResultOf(started, StoppedError)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.calls[-1], "close")

    def test_label(self) -> None:
        """
        All lines of the start and the stop of a node with a label end with the label.
        """
        self.make("left")
        started = self.life.start()
        self.storage.starting.callback(None)
        self.cache.starting.callback(None)
        self.successResultOf(started)
        self.successResultOf(self.life.stop())
        lines = self.lines.of("info") + self.lines.of("warn")
        self.assertGreater(len(lines), 8)
        self.assertEqual([line for line in lines if not line.endswith(" [left]")], [])


class StubbornLifeTests(LifeTests):
    """
    L{Lifecycle}, with parts that ignore a cancel.
    """

    stubborn = True
