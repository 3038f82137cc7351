"""
One ordered connection to one Redis server, made anew whenever it is lost.

::

    start --> find the server, connect, greet it --> ready --------------> lost, or given up --+
                    ^           | fails               calls are sent       calls that were     |
                    |           v                     at once              sent are in doubt   |
                    +---- a wait, longer each time <-------------------------------------------+
                          calls wait, and fail after maxWait

============================  ==========================================================================================
a call                        when it ends
============================  ==========================================================================================
was answered                  its outcome is the answer, or a L{RedisReplyError}
waits for a connection        it fails after C{max_wait} with L{StoreUnreachable}, and is never sent
was sent, no answer came      it fails with L{ConnectionBroken} when the connection ends
finds too many others         it fails at once with L{StoreUnreachable}
============================  ==========================================================================================

Always true: a call is sent at most once, unless Redis has answered that it did not execute it (L{dstwist.redis.redo}).
Calls are sent in the order in which they were made. No call is sent on a new connection before the earlier ones that
are in doubt have been ended at the server.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, succeed
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from dstwist.errors import ConnectionBroken, StoreError, StoreUnreachable
from dstwist.log import Logger
from dstwist.redis.call import Call, pack
from dstwist.redis.errors import RedisRefusal, RedisReplyError
from dstwist.redis.greeting import Doubted, Greeting, greet
from dstwist.redis.interface import Done, IRedis, ServerIdentity, Word
from dstwist.redis.outcomes import Outcomes
from dstwist.redis.primary import FixedPrimary, Place, Primary
from dstwist.redis.protocol import RedisProtocol
from dstwist.redis.redo import MAX_TRIES, Redo
from dstwist.redis.scripts import Script
from dstwist.redis.settings import LinkSettings
from dstwist.scheduling.deadlines import Deadlines


@implementer(IRedis)
class RedisLink:
    """
    The link to one server.

    @param reactor: an L{IReactorTCP<twisted.internet.interfaces.IReactorTCP>} and
        L{IReactorTime<twisted.internet.interfaces.IReactorTime>}.
    @param primary: where the server is; by default at the address of the settings.
    @param jitter: a random number from 0 to 1, so that many nodes do not come back at the same moment.
    """

    _log = Logger()

    def __init__(
        self,
        settings: LinkSettings,
        reactor: Any,
        primary: Primary | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._reactor = reactor
        self._primary = primary or FixedPrimary(settings, reactor)
        self._jitter = jitter
        self.on_connected: list[Callable[[ServerIdentity], object]] = []
        self._outcomes = Outcomes(reactor, self._pause)
        # The calls that wait for a connection, in their order.
        self._waiting: Deadlines[Call] = Deadlines(settings.max_wait, reactor, self._waited_too_long)
        # The counted calls without an outcome, and their bytes.
        self._count = 0
        self._bytes = 0
        # The connection, and the same again if calls are sent on it at once.
        self._connection: RedisProtocol | None = None
        self._open: RedisProtocol | None = None
        self._greeting: Greeting | None = None
        self._lost: Deferred[BaseException | None] | None = None
        self._redo: Redo | None = None
        self._doubted: list[Doubted] = []
        self._fences: list[Deferred[None]] = []
        self._problem: str | None = "the connection is not made yet"
        self._life: Deferred[None] | None = None
        self._stopped = False

    # -- start and stop

    def start(self) -> Deferred[None]:
        started: Deferred[None] = Deferred()
        self._life = Deferred.fromCoroutine(self._live(started))
        self._life.addErrback(self._life_failed)
        return started

    def stop(self) -> Deferred[None]:
        self._stopped = True
        self._end()
        return succeed(None)

    def _end(self) -> None:
        if self._life is not None:
            self._life.cancel()
        if self._connection is not None:
            self._connection.give_up(StoreUnreachable(self._text("the server stops")))
        for call in list(self._waiting):
            self._waited_too_long(call)
        self._waiting.stop()

    def _life_failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("the link to Redis has ended", failure)

    async def _live(self, started: Deferred[None]) -> None:
        begun, delay = self._reactor.seconds(), 0.0
        while not self._stopped:
            try:
                greeting = await self._connect()
            except Exception as error:
                self._has_problem(_reason(error))
                over = self._reactor.seconds() - begun >= self._settings.connect_timeout
                if not started.called and (over or isinstance(error, RedisRefusal)):
                    started.errback(StoreError(self._text(_reason(error))))
                    return
            else:
                lost = self._lost = Deferred()
                self._ready(greeting)
                if not started.called:
                    started.callback(None)
                delay = 0.0
                self._has_problem(_reason(await lost))
            delay = min(max(2 * delay, self._settings.reconnect_delay), self._settings.max_reconnect_delay)
            await deferLater(self._reactor, delay * (1 + self._jitter()) / 2)

    # -- the connection

    async def _connect(self) -> Greeting:
        return await Deferred.fromCoroutine(self._attempt()).addTimeout(self._settings.connect_timeout, self._reactor)

    async def _attempt(self) -> Greeting:
        place = await self._primary.find()
        connection = await self._reach(place)
        self._connection = connection
        try:
            return await greet(connection, self._settings, place.address, self._doubted)
        except BaseException:
            connection.give_up(StoreError("it was not greeted"))
            raise

    def _reach(self, place: Place) -> Deferred[RedisProtocol]:
        def build() -> RedisProtocol:
            return RedisProtocol(self, self._reactor, self._settings.max_reply_bytes)

        factory: Any = Factory.forProtocol(build)
        factory.noisy = False
        reached: Any = place.endpoint.connect(factory)
        return reached  # type: ignore[no-any-return]

    def _ready(self, greeting: Greeting) -> None:
        connection = self._open = self._connection
        assert connection is not None
        self._greeting = greeting
        self._doubted.clear()
        fences, self._fences = self._fences, []
        self._problem = None
        for notice in list(self.on_connected):
            notice(greeting.server)
        self._send_waiting()
        for fence in fences:
            fence.callback(None)

    def ended(self, connection: RedisProtocol, reason: Failure) -> None:
        if connection is not self._connection:
            return
        self._connection = self._open = None
        greeting, self._greeting = self._greeting, None
        unanswered = list(connection.unanswered)
        connection.unanswered.clear()
        if greeting is not None and unanswered:
            self._doubted.append(Doubted(greeting.client_id, greeting.server.run_id))
        text = self._text(_reason(reason.value))
        if self._redo is not None:
            self._fail_all(self._redo.take(), StoreUnreachable(text))
            self._redo = None
        self._fail_all(unanswered, ConnectionBroken(text))
        if self._lost is not None:
            lost, self._lost = self._lost, None
            lost.callback(reason.value)

    def _pause(self, paused: bool) -> None:
        connection = self._connection
        if connection is not None and connection.connected:
            if paused:
                connection.transport.pauseProducing()
            else:
                connection.transport.resumeProducing()

    # -- calls

    def call(self, key: Word | None, *words: Word) -> Deferred[Any]:
        outcome: Deferred[Any] = Deferred()
        self._take(Call(key, pack(words), _fire, outcome))
        return outcome

    def submit(self, key: Word | None, words: Sequence[Word], done: Done, argument: Any) -> None:
        self._take(Call(key, pack(tuple(words)), done, argument))

    def run(self, script: Script, keys: Sequence[Word], arguments: Sequence[Word], done: Done, argument: Any) -> None:
        data = pack(("EVALSHA", script.sha, len(keys), *keys, *arguments))
        self._take(Call(keys[0], data, done, argument, script))

    def _take(self, call: Call) -> None:
        settings, size = self._settings, len(call.data)
        if self._stopped or self._count >= settings.max_waiting or self._bytes + size > settings.max_waiting_bytes:
            reason = "the server stops" if self._stopped else "too many operations wait"
            call.done(call.argument, StoreUnreachable(self._text(reason)), None)
            return
        self._count += 1
        self._bytes += size
        if self._open is not None:
            self._open.send(call)
        else:
            self._waiting.add(call)

    def _send_waiting(self) -> None:
        connection = self._open
        assert connection is not None
        for call in list(self._waiting):
            self._waiting.remove(call)
            connection.send(call)

    def _waited_too_long(self, call: Call) -> None:
        self._finish(call, StoreUnreachable(self._text(self._problem or "it is busy")), None)

    def _fail_all(self, calls: Sequence[Call], error: StoreError) -> None:
        for call in calls:
            if call.own:
                call.done(call.argument, error, None)
            else:
                self._finish(call, error, None)

    def _finish(self, call: Call, error: Exception | None, reply: Any) -> None:
        self._count -= 1
        self._bytes -= len(call.data)
        self._outcomes.add(call, error, reply)

    # -- answers

    def answered(self, call: Call, reply: Any) -> None:
        if call.own:
            call.done(call.argument, None, reply)
        elif type(reply) is RedisReplyError:
            self._refused(call, reply)
        else:
            if self._redo is not None:
                self._overtaken(self._redo, call)
            self._finish(call, None, reply)
        if self._redo is not None:
            self._redo_if_quiet(self._redo)

    def _refused(self, call: Call, error: RedisReplyError) -> None:
        if error.code == "NOSCRIPT" and call.script is not None and call.tries < MAX_TRIES:
            if self._redo is None:
                self._redo, self._open = Redo(), None
            self._redo.refused(call)
        else:
            self._finish(call, error, None)

    def _overtaken(self, redo: Redo, call: Call) -> None:
        for earlier in redo.executed(call):
            text = "Redis had lost its scripts, and has executed a later operation on the same key"
            self._finish(earlier, StoreUnreachable(self._text(text)), None)

    def _redo_if_quiet(self, redo: Redo) -> None:
        connection = self._connection
        if connection is None or connection.unanswered:
            return
        self._redo = None
        calls = redo.take()
        for script in dict.fromkeys(call.script for call in calls if call.script is not None):
            connection.ask("SCRIPT", "LOAD", script.text)
        for call in calls:
            call.tries += 1
            connection.send(call)
        self._open = connection
        self._send_waiting()

    # -- doubt, and problems

    def fence(self) -> Deferred[None]:
        if not self._doubted:
            return succeed(None)
        fence: Deferred[None] = Deferred()
        self._fences.append(fence)
        return fence

    def problem(self) -> str | None:
        return None if self._problem is None else self._text(self._problem)

    def _has_problem(self, problem: str) -> None:
        self._problem = problem

    def _text(self, problem: str) -> str:
        return f"Redis at {self._primary.name}: {problem}"


def _fire(outcome: Deferred[Any], error: Exception | None, reply: Any) -> None:
    if error is None:
        outcome.callback(reply)
    else:
        outcome.errback(error)


def _reason(error: BaseException | None) -> str:
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return str(error) or type(error).__name__
