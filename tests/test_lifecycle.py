"""
The order in which the parts of a node start and stop. L{tests.nodes.test_stores} has the same for a whole node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed

from dstwist.config.settings import Settings
from dstwist.connections.client_drain import GROUP_SECONDS
from dstwist.dependencies import Dependencies, Dependency
from dstwist.errors import StartError, StoppedError, StoreError
from dstwist.lifecycle import Lifecycle, Watcher
from tests.test_dependencies import FakePart, PartsTestCase


class FakeDrain:
    """
    Notes when it begins. C{ending} fires when it is over.
    """

    def __init__(self, calls: list[str]) -> None:
        self._calls = calls
        self.ending: Deferred[None] = Deferred()

    def begin(self, seconds: float) -> bool:
        self._calls.append(f"drain for {seconds:g} s")
        return True

    def over(self) -> Deferred[None]:
        return self.ending


class FakeClientSide:
    """
    Notes all calls.
    """

    def __init__(self, calls: list[str]) -> None:
        self._calls = calls
        self.drain = FakeDrain(calls)
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


class LifeTests(PartsTestCase):
    """
    L{Lifecycle}.
    """

    def setUp(self) -> None:
        super().setUp()
        self.checking: Deferred[None] = succeed(None)
        self.watch_problem: Exception | None = None
        self.unwatch_problem: Exception | None = None
        self.hand_over: Callable[[], Deferred[None]] | None = None
        self.make()

    def make(self, label: str = "", drain_time: float = 0.0) -> None:
        client_side: Any = FakeClientSide(self.calls)
        self.client_side = client_side
        watcher = Watcher(self.watch, self.unwatch)
        notes = ("CONFIG | x has no effect", "CONFIG_TRANSFORM | Loaded content from a")
        settings = Settings(source="a.yml", notes=notes, drain_time=drain_time)
        self.plugin = FakePart("plugin", self.calls)
        self.plugin.starting = succeed(None)
        plugins = Dependencies([Dependency("plugin", self.plugin, lambda: "mine")], 2.0, 3.0, self.clock)
        self.life = Lifecycle(
            settings,
            [watcher],
            self.dependencies,
            plugins,
            self.hand_over,
            self.check,
            client_side,
            None,
            self.clock,
            label,
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

    def draining(self) -> Deferred[None]:
        """
        Stop a node that has started and has a drainTime.
        """
        self.make(drain_time=30.0)
        self.life.start()
        self.storage.starting.callback(None)
        self.cache.starting.callback(None)
        del self.calls[:]
        return self.life.stop()

    def test_drain(self) -> None:
        """
        With C{drainTime}, clients are sent away before anything else of the stop.
        """
        stopped = self.draining()
        self.assertEqual(self.calls, ["drain for 30 s"])
        self.client_side.drain.ending.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(self.calls[1:4], ["refuse", "do not watch", "disconnect"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_longer_drain(self) -> None:
        """
        A drain that an operator began before the stop, and that takes longer, does not delay it any more.
        """
        stopped = self.draining()
        self.clock.advance(30.0)
        self.assertNoResult(stopped)
        self.clock.advance(GROUP_SECONDS)
        self.successResultOf(stopped)
        self.assertIn("disconnect", self.calls)

    def test_longest_with_drain(self) -> None:
        """
        A stop may take C{drainTime} longer.
        """
        without = self.life.longest_stop
        self.make(drain_time=30.0)
        self.assertEqual(self.life.longest_stop, without + 30.0)

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

    def test_hand_over(self) -> None:
        """
        The other nodes take over while clients are still served. A stop waits for that, within shutdownTimeout.
        """
        handed_over: Deferred[None] = Deferred()

        def hand_over() -> Deferred[None]:
            self.calls.append("hand over")
            return handed_over

        self.hand_over = hand_over
        self.make()
        started = self.life.start()
        self.storage.starting.callback(None)
        self.cache.starting.callback(None)
        self.successResultOf(started)
        self.calls.clear()
        stopped = self.life.stop()
        self.assertEqual(self.calls, ["refuse", "do not watch", "hand over"])
        self.clock.advance(Settings().shutdown_timeout - 0.1)
        self.assertNoResult(stopped)
        self.clock.advance(0.2)
        self.successResultOf(stopped)
        self.assertIn("disconnect", self.calls)
        self.assertIn("could not be handed over in time", self.lines.last("warn"))

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
