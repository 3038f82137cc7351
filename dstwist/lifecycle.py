"""
The order in which the parts of a node start and stop.

==========================================================  ========================================================
start                                                       stop
==========================================================  ========================================================
1. The log limit works                                      1. New WebSockets are refused. Sockets of systemd are
2. The log gets version, file and notes of configuration       left to the next server
3. Files are watched: certificates, rules, users            2. Files are no longer watched
4. The dependencies start one after the other: storage,     3. A start that is under way is cancelled
   cache, authentication                                    4. WebSockets are closed, and get C{shutdownTimeout}
5. The plug-ins start in the order of the configuration     5. The plug-ins stop in the reverse order
6. The log gets the warnings of L{dstwist.startup_checks}   6. The records wait until the stores have all writes
7. The ports accept connections                             7. The dependencies stop in the reverse order
                                                            8. The ports are closed; HTTP is served until now
                                                            9. The log limit ends
==========================================================  ========================================================

Always true:

- A dependency is stopped once if it has started, or if its start was given up. A dependency whose start has failed is
  not stopped: it has nothing to let go of. The same holds for plug-ins.
- A time-out or a stop never waits for a dependency. It cancels the Deferred of the dependency, and goes on whether the
  dependency obeys or not.
- Nothing starts after L{Lifecycle.stop} was called.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, gatherResults, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from dstwist import __version__
from dstwist.config.settings import Settings
from dstwist.connections.request_logins import RequestLogins
from dstwist.errors import DstwistError, StartError
from dstwist.interfaces import ILifecycle
from dstwist.limits.admission import Admission
from dstwist.limits.failed_logins import FailedLogins
from dstwist.limits.log_lines import LogLimit
from dstwist.log import OperatorLogger
from dstwist.protocol.closing import GOING_AWAY
from dstwist.services.topics import Topics
from dstwist.transports.accept_rate import AcceptRate
from dstwist.transports.origins import Refusal
from dstwist.transports.ports import Ports, where
from dstwist.transports.shared_port import SharedPortFactory
from dstwist.transports.websocket_factory import WebSocketFactory

_log = OperatorLogger()


def _say(text: str, **fields: object) -> None:
    _log.info(f"INFO | {text}", event="INFO", **fields)


class Dependency(NamedTuple):
    """
    A part that clients cannot do without, and that may take long to start and to stop; or a plug-in of the operator.

    @ivar name: for the log.
    @ivar part: C{None} if there is none, which the log says too.
    @ivar describe: the text for the log when the part has started.
    """

    name: str
    part: ILifecycle | None
    describe: Callable[[], str]


class Watcher(NamedTuple):
    """
    A part that looks after files while the node runs.
    """

    start: Callable[[], object]
    stop: Callable[[], object]


class Dependencies:
    """
    Starts C{dependencies} one after the other, and stops them in the reverse order.

    @param start_timeout: how long each may take to start, in seconds. C{stop_timeout} is the same for its stop.
    """

    def __init__(
        self, dependencies: Sequence[Dependency], start_timeout: float, stop_timeout: float, clock: IReactorTime
    ) -> None:
        self._dependencies = dependencies
        self._start_timeout = start_timeout
        self._stop_timeout = stop_timeout
        self._clock = clock
        # The parts that have to be stopped.
        self._started: list[tuple[str, ILifecycle]] = []

    @property
    def longest_start(self) -> float:
        """
        How long all of them may take to start, in seconds.
        """
        return len(self._dependencies) * self._start_timeout

    @property
    def longest_stop(self) -> float:
        """
        How long all of them may take to stop, in seconds.
        """
        return len(self._dependencies) * self._stop_timeout

    async def start(self) -> None:
        """
        Start all of them.

        @raise StartError: one could not start; those after it are not started.
        """
        for name, part, describe in self._dependencies:
            if part is not None:
                await self._start(name, part)
            _say("{name} ready: {description}", name=name, description=describe())

    async def _start(self, name: str, part: ILifecycle) -> None:
        entry = (name, part)
        self._started.append(entry)
        try:
            await self._within(self._start_timeout, name, part.start)
        except CancelledError:
            # It may still get ready, so it has to be stopped.
            raise
        except TimeoutError:
            reason = f"{name} wasn't initialised in time (dependencyInitializationTimeout, {self._start_timeout:g} s)"
            raise StartError(reason, "PLUGIN_INITIALIZATION_TIMEOUT") from None
        except Exception as error:
            self._started.remove(entry)
            if not isinstance(error, DstwistError):
                # The part did not report a problem: it has a mistake.
                _log.failure("{name} broke", name=name)
            raise StartError(f"{name}: {error}") from error

    async def stop(self) -> None:
        """
        Stop those that were started.
        """
        while self._started:
            name, part = self._started.pop()
            try:
                await self._within(self._stop_timeout, name, part.stop)
            except TimeoutError:
                _log.error("PLUGIN_ERROR | {name} did not stop in time", name=name, event="PLUGIN_ERROR")
            except Exception:
                _log.failure("PLUGIN_ERROR | {name} did not stop in order", name=name, event="PLUGIN_ERROR")

    def _within(self, seconds: float, name: str, work: Callable[[], Deferred[None]]) -> Deferred[None]:
        return independent(maybeDeferred(work), name).addTimeout(seconds, self._clock)


def independent(work: Deferred[None], name: str) -> Deferred[None]:
    """
    A Deferred for the outcome of C{work}. It ends as soon as it is cancelled, even if C{work} goes on. The log gets a
    later failure of C{work}.

    @param name: of C{work}, for the log.
    """

    def cancel(outcome: Deferred[None]) -> None:
        outcome.errback(CancelledError())
        work.cancel()

    def failed(failure: Failure) -> None:
        if not outcome.called:
            outcome.errback(failure)
        elif not failure.check(CancelledError):
            _log.failure("PLUGIN_ERROR | {name} failed too late", failure, name=name, event="PLUGIN_ERROR")

    outcome: Deferred[None] = Deferred(cancel)
    work.addCallbacks(lambda result: None if outcome.called else outcome.callback(None), failed)
    return outcome


class ClientSide:
    """
    All that clients reach: ports, WebSockets and topics.

    @param paths: by path, which clients are served there, for the log.
    """

    def __init__(
        self,
        settings: Settings,
        ports: Ports,
        factory: SharedPortFactory,
        web_sockets: Mapping[str, WebSocketFactory],
        paths: Mapping[str, str],
        topics: Topics,
        admission: Admission,
        failed_logins: FailedLogins,
        request_logins: RequestLogins,
        accept_rate: AcceptRate | None,
        clock: IReactorTime,
    ) -> None:
        self._settings = settings
        self._ports = ports
        self._factory = factory
        self._web_sockets = list(web_sockets.values())
        self._paths = paths
        self._topics = topics
        self._admission = admission
        self._failed_logins = failed_logins
        self._request_logins = request_logins
        self._accept_rate = accept_rate
        self._clock = clock

    @property
    def refusing(self) -> bool:
        """
        Whether new WebSockets are refused.
        """
        return self._factory.refusal is not None

    def bind(self) -> None:
        """
        Bind the ports; connections are not accepted yet.

        @raise StartError: a port cannot be bound.
        """
        self._ports.bind(self._factory)

    def open(self) -> None:
        """
        Accept connections.

        @raise StartError: another process listens at one of the addresses.
        """
        self._ports.open()
        self._factory.accept()
        http = self._settings.http
        for port in self._ports.listening:
            _say("Listening for http connections on {where}", where=where(port))
        _say("Listening for health checks on path {path}", path=http.health_check_path)
        _say("Listening for checks whether it is ready on path {path}", path=http.ready_path)
        for path, clients in self._paths.items():
            _say("Listening for websocket connections on path {path} ({clients})", path=path, clients=clients)

    def refuse(self) -> None:
        """
        Refuse new WebSockets, and leave new connections at sockets of systemd to the next server.
        """
        self._factory.refuse(Refusal(503, "The server is stopping."))
        self._ports.let_go()

    async def disconnect(self, timeout: float) -> None:
        """
        Close all WebSockets. Those that are not closed after C{timeout} seconds are dropped. The topics still serve
        requests of the server itself.
        """
        self._topics.disconnecting()
        for factory in self._web_sockets:
            factory.close(GOING_AWAY, "server shutting down")
        drained = gatherResults([factory.drained() for factory in self._web_sockets])
        late: IDelayedCall = self._clock.callLater(timeout, self._drop)
        await drained
        if late.active():
            late.cancel()

    async def stop_topics(self) -> None:
        """
        Return when the stores have all writes.
        """
        await self._topics.stop()

    def _drop(self) -> None:
        _log.warn("INFO | some clients did not close in time, dropping them", event="INFO")
        for factory in self._web_sockets:
            factory.abort()

    async def close(self) -> None:
        """
        Close the ports, and the connections that are no WebSockets.
        """
        if self._accept_rate is not None:
            self._accept_rate.stop()
        self._factory.stop_accepting()
        await self._ports.close()
        self._factory.close()
        self._admission.stop()
        self._request_logins.stop()
        self._failed_logins.stop()


class Lifecycle:
    """
    Starts and stops the parts of one node.

    @param check: logs warnings about the configuration, when the dependencies have started.
    """

    def __init__(
        self,
        settings: Settings,
        watchers: Sequence[Watcher],
        dependencies: Dependencies,
        plugins: Dependencies,
        check: Callable[[], Coroutine[Deferred[Any], Any, None]],
        client_side: ClientSide,
        log_limit: LogLimit | None,
    ) -> None:
        self._settings = settings
        self._watchers = watchers
        self._dependencies = dependencies
        self._plugins = plugins
        self._check = check
        self._client_side = client_side
        self._log_limit = log_limit
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
        return self._settings.shutdown_timeout + self._plugins.longest_stop + self._dependencies.longest_stop

    def start(self) -> Deferred[None]:
        """
        Start all parts. The Deferred fires when connections are accepted.

        It fails with a L{StartError} if a part cannot start; the log has the reason then, and the caller has to stop
        what has started. It fails with a C{CancelledError} if L{stop} was called before.
        """
        if self._log_limit is not None:
            self._log_limit.start()
        self._introduce()
        for watcher in self._watchers:
            watcher.start()
        self._starting = independent(Deferred.fromCoroutine(self._start()), "the start")
        return self._starting.addErrback(self._not_started)

    def _introduce(self) -> None:
        _say("server name: {name}", name=self._settings.server_name)
        _say("dstwist version: {version}", version=__version__)
        if self._settings.source is not None:
            _say("configuration file loaded from {path}", path=self._settings.source)
        for note in self._settings.notes:
            # A note is a warning, unless it says that a file was loaded.
            (_log.info if note.startswith("CONFIG_TRANSFORM") else _log.warn)("{note}", note=note)

    async def _start(self) -> None:
        await self._dependencies.start()
        await self._plugins.start()
        # A check may catch the error that cancels it.
        await independent(Deferred.fromCoroutine(self._check()), "a check of the configuration")
        self._client_side.open()
        _say("dstwist started")

    def _not_started(self, failure: Failure) -> Failure:
        if isinstance(failure.value, StartError):
            _log.critical("{event} | {reason}", reason=str(failure.value), event=failure.value.event)
        elif not failure.check(CancelledError):
            _log.failure("dstwist does not start", failure)
        return failure

    async def stop(self) -> None:
        """
        Stop all parts, also during or after a start that failed.
        """
        self._client_side.refuse()
        for watcher in self._watchers:
            watcher.stop()
        if self._starting is not None:
            self._starting.cancel()
        await self._client_side.disconnect(self._settings.shutdown_timeout)
        await self._plugins.stop()
        await self._client_side.stop_topics()
        await self._dependencies.stop()
        await self._client_side.close()
        if self._log_limit is not None:
            self._log_limit.stop()
        _say("dstwist stopped")
