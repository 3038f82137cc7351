"""
Parts of a node that may take long to start and to stop: the stores, the authentication, the cluster and the plug-ins.

Always true:

- A dependency is stopped once if it has started, or if its start was given up. A dependency whose start has failed is
  not stopped: it has nothing to let go of.
- A time-out or a stop never waits for a dependency. It cancels the Deferred of the dependency, and goes on whether the
  dependency obeys or not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from dstwist.errors import DstwistError, StartError
from dstwist.interfaces import ILifecycle
from dstwist.log import OperatorLogger

_log = OperatorLogger()


class Dependency(NamedTuple):
    """
    A part that clients cannot do without, and that may take long to start and to stop; or a plug-in of the operator.

    @ivar name: for the log.
    @ivar part: C{None} if there is none, which the log says too.
    @ivar describe: the text for the log when the part has started.
    @ivar waits: how much longer than others it may take to start, because it waits for other nodes, in seconds.
    """

    name: str
    part: ILifecycle | None
    describe: Callable[[], str]
    waits: float = 0.0


class Dependencies:
    """
    Starts C{dependencies} one after the other, and stops them in the reverse order.

    @param start_timeout: how long each may take to start, in seconds, besides C{Dependency.waits}. C{stop_timeout} is
        the same for its stop.
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
        return sum(self._start_timeout + dependency.waits for dependency in self._dependencies)

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
        for name, part, describe, waits in self._dependencies:
            if part is not None:
                await self._start(name, part, waits)
            _log.info("INFO | {name} ready: {description}", name=name, description=describe(), event="INFO")

    async def _start(self, name: str, part: ILifecycle, waits: float) -> None:
        entry = (name, part)
        self._started.append(entry)
        try:
            await self._within(self._start_timeout + waits, name, part.start)
        except CancelledError:
            # It may still get ready, so it has to be stopped.
            raise
        except TimeoutError:
            limit = f"dependencyInitializationTimeout, {self._start_timeout:g} s"
            if waits:
                limit += f", and {waits:g} s for other nodes"
            raise StartError(f"{name} wasn't initialised in time ({limit})", "PLUGIN_INITIALIZATION_TIMEOUT") from None
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
    later failure of C{work}. It never fails with a C{SystemExit}: that is a RuntimeError for the server.

    @param name: of C{work}, for the log.
    """

    def cancel(outcome: Deferred[None]) -> None:
        outcome.errback(CancelledError())
        work.cancel()

    def failed(failure: Failure) -> None:
        error = failure.value
        if not isinstance(error, Exception):
            # A SystemExit, or a cancellation of asyncio. It would end the coroutines of the start and the stop as well.
            problem = RuntimeError(f"{type(error).__name__}: {error}")
            problem.__cause__ = error
            failure = Failure(problem)
        if not outcome.called:
            outcome.errback(failure)
        elif isinstance(error, DstwistError):
            _log.critical(
                "PLUGIN_ERROR | {name} failed too late: {error}", name=name, error=error, event="PLUGIN_ERROR"
            )
        elif not failure.check(CancelledError):
            _log.failure("PLUGIN_ERROR | {name} failed too late", failure, name=name, event="PLUGIN_ERROR")

    outcome: Deferred[None] = Deferred(cancel)
    work.addCallbacks(lambda result: None if outcome.called else outcome.callback(None), failed)
    return outcome
