"""
Keeps a connection to the primary: makes it, makes it anew when it is lost, and knows what earlier ones left behind.

::

    start --> find the primary, connect, greet it --> ready ----------> lost, or given up
                    ^           | fails                                        |
                    |           v                                              |
                    +---- a wait, longer each time <---------------------------+

Always true: a connection becomes ready only after the earlier ones that are in doubt were ended at the server, or their
process of Redis is gone. So no call of an earlier connection takes effect after a call of a later one.

If another server has become the primary, an earlier connection to the old one counts as gone. The old primary may still
execute a call, but the new one never gets its effect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from dstwist.config.redis import RedisConnectionSettings
from dstwist.errors import StoreError, StoreUnreachable
from dstwist.log import Logger
from dstwist.redis.call import Call
from dstwist.redis.errors import NO_ANSWER, RedisRefusal, reason_of
from dstwist.redis.greeting import Doubted, Greeting, greet
from dstwist.redis.interface import ServerIdentity
from dstwist.redis.primary import Place, Primary
from dstwist.redis.protocol import RedisProtocol

_T = TypeVar("_T")

#: The first wait before a new attempt to connect, in seconds.
FIRST_DELAY = 0.05

#: The longest time between two attempts before the first connection, in seconds.
MAX_START_DELAY = 0.25


class Callbacks(NamedTuple):
    """
    The methods of the link.

    @ivar answered: see L{RedisProtocol}.
    @ivar ready: called with each connection that can be used.
    @ivar lost: called with the calls that were sent on it, and not answered, when it has ended.
    """

    answered: Callable[[Call, Any], None]
    ready: Callable[[RedisProtocol, ServerIdentity], None]
    lost: Callable[[Sequence[Call], str], None]


class Reconnection:
    """
    The connections of one link, one after the other.

    @param jitter: gives a random number from 0 to 1, so that many nodes do not come back at the same moment.
    @param protocol: the class of the connections.
    @param meanwhile: what happens while there is no connection, for the log.
    @ivar problem: why there is no usable connection; C{None} if there is one.
    """

    _log = Logger()

    def __init__(
        self,
        settings: RedisConnectionSettings,
        client_name: str,
        reactor: Any,
        primary: Primary,
        callbacks: Callbacks,
        jitter: Callable[[], float],
        protocol: type[RedisProtocol] = RedisProtocol,
        meanwhile: str = "operations fail",
    ) -> None:
        self._protocol = protocol
        self._meanwhile = meanwhile
        self._settings = settings
        self._client_name = client_name
        self._reactor = reactor
        self._primary = primary
        self._callbacks = callbacks
        self._jitter = jitter
        self.problem: str | None = "there is no connection yet"
        self._connection: RedisProtocol | None = None
        # The following two are there while the connection is ready.
        self._greeting: Greeting | None = None
        self._lost: Deferred[BaseException | None] | None = None
        self._doubted: list[Doubted] = []
        self._fences: list[Deferred[None]] = []
        self._life: Deferred[None] | None = None
        self._awaited: Deferred[Any] | None = None
        self._stopped = False
        # The first connection was not made in time.
        self._is_late = False
        self._stop_waits: Deferred[None] | None = None
        # The problem that the log says last.
        self._logged: str | None = None

    # -- start and stop

    @property
    def started(self) -> bool:
        """
        Whether connections are made.
        """
        return self._life is not None and not self._life.called

    def start(self) -> Deferred[None]:
        """
        Connect, and stay connected. If the first connection takes too long, or Redis refuses, the Deferred fails.
        """
        started: Deferred[None] = Deferred(self._too_late)
        self._life = Deferred.fromCoroutine(self._live(started))
        self._life.addErrback(self._life_failed)
        return started.addTimeout(self._settings.connect_timeout, self._reactor)

    def _too_late(self, started: Deferred[None]) -> None:
        """
        There is no connection at the end of the time for the first one: the start fails for the reason of the last
        attempt.
        """
        self._is_late = True
        started.errback(StoreError(self.text(self._logged or NO_ANSWER)))
        self._primary.stop()
        if self._awaited is not None:
            self._awaited.cancel()

    def stop(self) -> Deferred[None]:
        """
        End the connection, and make no other one.

        @return: fires when the connection has ended.
        """
        self._stopped = True
        self.problem = "the server stops"
        # It is not there if the link is stopped by a callback of itself.
        if self._awaited is not None:
            self._awaited.cancel()
        self._primary.stop()
        if self._connection is not None:
            self._connection.give_up(StoreError(self.problem))
        fences, self._fences = self._fences, []
        for fence in fences:
            fence.errback(StoreUnreachable(self.text(self.problem)))
        if self._connection is None:
            return succeed(None)
        self._stop_waits = Deferred()
        return self._stop_waits

    def _life_failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("the link to Redis has ended", failure)

    async def _live(self, started: Deferred[None]) -> None:
        seconds = self._reactor.seconds
        delay = 0.0
        try:
            while not self._stopped:
                try:
                    greeting = await self._awaiting(Deferred.fromCoroutine(self._connect()))
                except CancelledError:
                    raise
                except Exception as error:
                    if self._is_late:
                        return
                    if not started.called and isinstance(error, RedisRefusal):
                        self._primary.stop()
                        started.errback(StoreError(self.text(reason_of(error))))
                        return
                    self._has_problem(reason_of(error), away=started.called)
                else:
                    lost, since = self._ready(greeting), seconds()
                    if not started.called:
                        started.callback(None)
                    reason = await self._awaiting(lost)
                    self._has_problem(reason_of(reason), away=True)
                    # A server that ends each connection at once is not asked more and more often.
                    if seconds() - since > self._settings.max_reconnect_delay:
                        delay = 0.0
                longest = self._settings.max_reconnect_delay if started.called else MAX_START_DELAY
                delay = min(max(2 * delay, FIRST_DELAY), longest)
                if not self._stopped:
                    await self._awaiting(deferLater(self._reactor, delay * (1 + self._jitter()) / 2))
        except CancelledError:
            if not started.called:
                started.errback(StoreError(self.text("the server stops")))
            raise

    async def _awaiting(self, deferred: Deferred[_T]) -> _T:
        """
        Wait for C{deferred}, which L{stop} cancels.
        """
        self._awaited = deferred
        try:
            return await deferred
        finally:
            self._awaited = None

    # -- one connection

    async def _connect(self) -> Greeting:
        place = await self._primary.find()
        attempt = Deferred.fromCoroutine(self._attempt(place))
        return await attempt.addTimeout(self._settings.connect_timeout, self._reactor)

    async def _attempt(self, place: Place) -> Greeting:
        connection = self._connection = await self._reach(place)
        try:
            return await greet(connection, self._settings, self._client_name, place.address, self._doubted)
        except GeneratorExit:
            # This coroutine is freed, and so is all that waits for it.
            raise
        except BaseException:
            connection.give_up(StoreError("it was not greeted"))
            raise

    def _reach(self, place: Place) -> Deferred[RedisProtocol]:
        def build() -> RedisProtocol:
            settings = self._settings
            return self._protocol(self._callbacks.answered, self._ended, self._reactor, settings.max_reply_bytes)

        factory: Any = Factory.forProtocol(build)
        factory.noisy = False
        reached: Any = place.endpoint.connect(factory)
        return reached  # type: ignore[no-any-return]

    def _ready(self, greeting: Greeting) -> Deferred[BaseException | None]:
        assert self._connection is not None
        lost = self._lost = Deferred()
        self._greeting = greeting
        self._doubted.clear()
        self.problem = None
        self._log_ready(greeting.server)
        self._primary.watch(self._moved)
        self._callbacks.ready(self._connection, greeting.server)
        fences, self._fences = self._fences, []
        for fence in fences:
            fence.callback(None)
        return lost

    def _moved(self, reason: str) -> None:
        if self._connection is not None:
            self._connection.give_up(StoreError(reason))

    def retire(self, problem: str) -> None:
        """
        The connection is ready no more, but answers are still taken in.
        """
        self._has_problem(problem, away=True)

    def _ended(self, connection: RedisProtocol, reason: Failure) -> None:
        if connection is not self._connection:
            return
        self._connection = None
        greeting, self._greeting = self._greeting, None
        unanswered = list(connection.unanswered)
        connection.unanswered.clear()
        if greeting is not None and unanswered:
            self._doubted.append(Doubted(greeting.client_id, greeting.server.run_id))
        if self.problem is None:
            self.problem = reason_of(reason.value)
        self._callbacks.lost(unanswered, reason_of(reason.value))
        lost, self._lost = self._lost, None
        if lost is not None:
            lost.callback(reason.value)
        stop, self._stop_waits = self._stop_waits, None
        if stop is not None:
            stop.callback(None)

    # -- doubt, and problems

    def fence(self) -> Deferred[None]:
        """
        Fires when no connection is in doubt: see L{IRedis.fence<dstwist.redis.interface.IRedis.fence>}.
        """
        if not self._doubted:
            return succeed(None)
        fence: Deferred[None] = Deferred(self._fences.remove)
        self._fences.append(fence)

        def too_late(result: Any, timeout: float) -> Any:
            return Failure(StoreUnreachable(self.text(self.problem or "the old connection is not ended yet")))

        return fence.addTimeout(self._settings.connect_timeout, self._reactor, too_late)

    def text(self, problem: str) -> str:
        """
        A problem, with the server that has it.
        """
        return f"Redis at {self._primary.name}: {problem}"

    def _has_problem(self, problem: str, away: bool) -> None:
        """
        @param away: there was a connection before.
        """
        self.problem = problem
        if problem == self._logged or self._stopped:
            return
        self._logged = problem
        self._log.error(
            "REDIS_CONNECTION | {server}: {problem}{meanwhile}",
            server=shown(self._primary.name, self._settings),
            problem=problem,
            meanwhile=f"; until it is back, {self._meanwhile}" if away else "; trying again",
            event="REDIS_CONNECTION",
        )

    def _log_ready(self, server: ServerIdentity) -> None:
        self._logged = None
        self._log.info(
            "REDIS_CONNECTION | connected to {server}",
            server=shown(server.address, self._settings, server.version),
            event="REDIS_CONNECTION",
        )


def shown(address: str, settings: RedisConnectionSettings, version: str = "") -> str:
    """
    A Redis and the part of the server that uses it, for the log: a server may have several connections to one Redis.
    """
    part = f" ({settings.part})" if settings.part else ""
    return f"Redis{version and f' {version}'} at {address}{part}"
