"""
The order in which the parts of a node start and stop.

==========================================================  ========================================================
start                                                       stop
==========================================================  ========================================================
1. The log limit works                                      1. Clients are sent away in groups, for C{drainTime}
2. The log gets version, file and notes of configuration    2. New WebSockets are refused. Sockets of systemd are
3. The ports are bound, if they are not bound already          left to the next server
4. Files are watched: certificates, rules, users            3. Files are no longer watched
5. The dependencies start one after the other: storage,     4. A start that is under way is cancelled
   cache, authentication, cluster                           5. The other nodes take over what this one decides
6. The application may use C{Node.api}                      6. WebSockets are closed, and get C{shutdownTimeout}
7. The plug-ins start in the order of the configuration     7. The plug-ins stop in the reverse order
8. The log gets the warnings of L{dstwist.startup_checks}   8. The handles of C{Node.api} are closed
9. The ports accept connections                             9. The records wait until the stores have all writes
                                                            10. The dependencies stop in the reverse order
                                                            11. The ports are closed; HTTP is served until now
                                                            12. The log limit ends
==========================================================  ========================================================

Always true:

- A node starts at most once and stops at most once, however often it is asked to. A start that fails stops the node.
- Each caller gets a Deferred of its own.
- Nothing starts after L{Lifecycle.stop} was called. A step of the stop that fails does not prevent the next steps.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, fail
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from dstwist import __version__
from dstwist.client_side import ClientSide
from dstwist.config.settings import Settings
from dstwist.connections.client_drain import GROUP_SECONDS
from dstwist.dependencies import Dependencies, independent
from dstwist.errors import DstwistError, StartError, StoppedError
from dstwist.limits.log_lines import LogLimit
from dstwist.log import OperatorLogger, labelled

_log = OperatorLogger()

_STOPPED = "the node was stopped, and cannot start again"


def _say(text: str, **fields: object) -> None:
    _log.info(f"INFO | {text}", event="INFO", **fields)


class Watcher(NamedTuple):
    """
    A part that looks after files while the node runs.
    """

    start: Callable[[], object]
    stop: Callable[[], object]


class _Run:
    """
    Work that is done once, and whose outcome any number of callers wait for.
    """

    def __init__(self) -> None:
        self._done = False
        self._failure: Failure | None = None
        self._waiting: list[Deferred[None]] = []

    def begin(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        """
        Do C{work}.
        """
        Deferred.fromCoroutine(work).addCallbacks(self._end, self._end)

    def outcome(self) -> Deferred[None]:
        """
        A Deferred for the outcome, of the caller's own: to cancel it does not affect the work.
        """
        outcome: Deferred[None] = Deferred()
        self._waiting.append(outcome)
        if self._done:
            self._tell()
        return outcome

    @property
    def succeeded(self) -> bool:
        """
        Whether the work is done.
        """
        return self._done and self._failure is None

    def _end(self, result: Failure | None) -> None:
        self._done, self._failure = True, result
        self._tell()

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for outcome in waiting:
            if self._failure is None:
                outcome.callback(None)
            else:
                # Each has a failure of its own, because the code that handles a failure changes it.
                outcome.errback(Failure(self._failure.value))


class Lifecycle:
    """
    Starts and stops the parts of one node, once.

    @param hand_over: gives what this node decides to the other nodes, while clients are still served.
    @param check: logs warnings about the configuration, when the dependencies have started.
    @param label: the label of the node, for logs.
    """

    def __init__(
        self,
        settings: Settings,
        watchers: Sequence[Watcher],
        dependencies: Dependencies,
        plugins: Dependencies,
        hand_over: Callable[[], Deferred[None]] | None,
        check: Callable[[], Coroutine[Deferred[Any], Any, None]],
        client_side: ClientSide,
        log_limit: LogLimit | None,
        clock: IReactorTime,
        label: str = "",
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._watchers = watchers
        self._dependencies = dependencies
        self._plugins = plugins
        self._hand_over = hand_over
        self._check = check
        self._client_side = client_side
        self._log_limit = log_limit
        self._label = label
        self._bound = False
        self._problem: StartError | None = None
        self._start: _Run | None = None
        self._stop: _Run | None = None
        # The part of the start that a stop cancels.
        self._starting: Deferred[None] | None = None

    @property
    def longest_start(self) -> float:
        """
        How long the start may take, in seconds.
        """
        return self._dependencies.longest_start + self._plugins.longest_start

    @property
    def longest_stop(self) -> float:
        """
        How long the stop may take, in seconds.
        """
        # Once for the hand-over, once for the clients, once for their last requests.
        own = (2 if self._hand_over is None else 3) * self._settings.shutdown_timeout
        return self._settings.drain_time + own + self._plugins.longest_stop + self._dependencies.longest_stop

    def bind(self) -> None:
        """
        Bind the ports now, and not in L{start}.

        @raise StartError: a port cannot be bound; then no port is bound.
        """
        self._client_side.bind()
        self._bound = True

    def refuse(self, problem: StartError) -> None:
        """
        Have the start fail with C{problem}.
        """
        self._problem = problem

    def start(self) -> Deferred[None]:
        """
        Start all parts; called again, wait for the same start. The Deferred fires when connections are accepted.

        If the start fails, the Deferred fails when all parts that had started are stopped: with a L{StartError}, or
        with a L{ConfigError} if a file has become invalid after the configuration was read. The log has the reason. It
        fails with a L{StoppedError} if L{stop} was called before. To cancel the Deferred stops the node; the Deferred
        then fails with a C{CancelledError} when the node has stopped.
        """
        if self._stop is not None and (self._start is None or self._start.succeeded):
            return fail(StoppedError(_STOPPED))
        if self._start is None:
            self._start = _Run()
            with labelled(self._label):
                self._start.begin(self._do_start())
        return self._start.outcome().addErrback(self._given_up)

    def _given_up(self, failure: Failure) -> Deferred[None]:
        if failure.check(CancelledError):
            # The outcome of a start is never a CancelledError, so the caller has cancelled.
            return self.stop().addBoth(lambda _: failure)
        return fail(failure)

    async def _do_start(self) -> None:
        self._starting = independent(Deferred.fromCoroutine(self._start_parts()), "the start")
        try:
            await self._starting
        except Exception as error:
            problem = self._explained(error)
            await self.stop()
            raise problem from None

    async def _start_parts(self) -> None:
        if self._log_limit is not None:
            self._log_limit.start()
        self._introduce()
        if self._problem is not None:
            raise self._problem
        if not self._bound:
            self.bind()
        for watcher in self._watchers:
            watcher.start()
        await self._dependencies.start()
        self._client_side.serve_application()
        await self._plugins.start()
        # A check may catch the error that cancels it.
        await independent(Deferred.fromCoroutine(self._check()), "a check of the configuration")
        self._client_side.open()
        _say("dstwist started")

    def _introduce(self) -> None:
        _say("server name: {name}", name=self._settings.server_name)
        _say("dstwist version: {version}", version=__version__)
        if self._settings.source is not None:
            _say("configuration file loaded from {path}", path=self._settings.source)
        for note in self._settings.notes:
            # A note is a warning, unless it says that a file was loaded.
            (_log.info if note.startswith("CONFIG_TRANSFORM") else _log.warn)("{note}", note=note)

    def _explained(self, error: Exception) -> DstwistError:
        """
        Log why the node does not start.

        @return: the error for the caller.
        """
        if self._stop is not None:
            return StoppedError(_STOPPED)
        if isinstance(error, DstwistError):
            event = getattr(error, "event", StartError.event)
            _log.critical("{event} | {reason}", reason=str(error), event=event)
            return error
        _log.failure("dstwist does not start", Failure(error))
        return StartError(f"{type(error).__name__}: {error}")

    def stop(self) -> Deferred[None]:
        """
        Stop all parts, also before, during or after a start; called again, wait for the same stop. The Deferred fires
        when all parts have stopped. To cancel the Deferred does not affect the stop.
        """
        if self._stop is None:
            self._stop = _Run()
            with labelled(self._label):
                self._stop.begin(self._do_stop())
        return self._stop.outcome()

    async def _do_stop(self) -> None:
        steps: list[tuple[str, Callable[[], object]]] = [
            ("the drain", self._drain),
            ("refusing clients", self._client_side.refuse),
            *(("a watch of files", watcher.stop) for watcher in self._watchers),
            ("the start", self._cancel_start),
            ("the hand-over", self._hand_over_in_time),
            ("disconnecting clients", lambda: self._client_side.disconnect(self._settings.shutdown_timeout)),
            ("the plug-ins", self._plugins.stop),
            ("the records", self._stop_topics),
            ("the stores", self._dependencies.stop),
            ("the ports", self._client_side.close),
        ]
        for name, step in steps:
            try:
                done = step()
                if isinstance(done, Coroutine):
                    await done
            except Exception:
                # The other steps have to be done as well.
                _log.failure("PLUGIN_ERROR | {name} did not stop in order", name=name, event="PLUGIN_ERROR")
        if self._log_limit is not None:
            self._log_limit.stop()
        _say("dstwist stopped")

    async def _drain(self) -> None:
        seconds = self._settings.drain_time
        if not seconds:
            return
        # A node that does not accept clients yet has none, and goes on at once.
        self._client_side.drain.begin(seconds)
        try:
            await self._client_side.drain.over().addTimeout(seconds + GROUP_SECONDS, self._clock)
        except TimeoutError:
            # An operator has begun a longer drain before the stop.
            pass

    async def _hand_over_in_time(self) -> None:
        if self._hand_over is None:
            return
        try:
            await independent(self._hand_over(), "the hand-over").addTimeout(
                self._settings.shutdown_timeout, self._clock
            )
        except TimeoutError:
            _log.warn("CLUSTER | what this node decides could not be handed over in time", event="CLUSTER")

    async def _stop_topics(self) -> None:
        # A permission of the operator may never decide, and then the queue of a record is never empty.
        stopped = independent(Deferred.fromCoroutine(self._client_side.stop_topics()), "the end of the records")
        try:
            await stopped.addTimeout(self._settings.shutdown_timeout, self._clock)
        except TimeoutError:
            _log.error("PLUGIN_ERROR | some requests for records could not be served in time", event="PLUGIN_ERROR")

    def _cancel_start(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
