"""
One ordered link to one Redis server, over one connection at a time (L{dstwist.redis.reconnection}).

============================  ==========================================================================================
a call                        how it ends
============================  ==========================================================================================
was answered                  with the answer, or with a L{RedisReplyError}
waits for a connection        after C{reconnect_wait} it fails with L{StoreUnreachable}, and is never sent
was sent, no answer came      it fails with L{ConnectionBroken} when the connection ends
finds too many others         it fails at once with L{TooManyCalls}
============================  ==========================================================================================

Calls are sent at once while the connection is I{open}. It is open from the moment at which it is ready until it ends,
except for two states, in which no call is sent until all sent ones are answered:

- Redis has lost its scripts: L{dstwist.redis.redo}.
- Redis has become unusable, for example a replica (L{dstwist.redis.trouble}): then the connection is ended.

Always true: a call is sent at most once, unless Redis has answered that it did not execute it. Calls are sent in the
order in which they were made.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

from dstwist.config.redis import RedisConnectionSettings
from dstwist.errors import ConnectionBroken, StoreError, StoreUnreachable
from dstwist.log import Logger
from dstwist.redis.call import Call, pack
from dstwist.redis.errors import RedisReplyError, TooManyCalls
from dstwist.redis.interface import Done, IRedis, ServerIdentity, Word
from dstwist.redis.outcomes import Outcomes
from dstwist.redis.primary import FixedPrimary, Primary
from dstwist.redis.protocol import RedisProtocol
from dstwist.redis.reconnection import Callbacks, Reconnection, shown
from dstwist.redis.redo import MAX_TRIES, Redo
from dstwist.redis.scripts import Script
from dstwist.redis.sentinel import SentinelPrimary
from dstwist.redis.trouble import LEFT, STAYS, Trouble
from dstwist.redis.watch import Watch
from dstwist.scheduling.deadlines import Deadlines
from dstwist.scheduling.firing import fire


@implementer(IRedis)
class RedisLink:
    """
    The link to one server.

    @param reactor: an L{IReactorTCP<twisted.internet.interfaces.IReactorTCP>} and
        L{IReactorTime<twisted.internet.interfaces.IReactorTime>}.
    @param client_name: the name that Redis shows for the connection.
    @param primary: where the server is; by default where the settings say.
    @param jitter: see L{Reconnection}.
    """

    _log = Logger()

    def __init__(
        self,
        settings: RedisConnectionSettings,
        reactor: Any,
        client_name: str = "dstwist",
        primary: Primary | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._reactor = reactor
        if primary is None:
            primary = (SentinelPrimary if settings.sentinels else FixedPrimary)(settings, reactor)
        self.on_connected: list[Callable[[ServerIdentity], object]] = []
        callbacks = Callbacks(self._answered, self._ready, self._lost)
        self._reconnection = Reconnection(settings, client_name, reactor, primary, callbacks, jitter)
        self._trouble = Trouble(shown(primary.name, settings), settings.probe_interval, reactor)
        self._outcomes = Outcomes(reactor, self._pause)
        # The calls that wait until the connection is open, in their order.
        self._waiting: Deadlines[Call] = Deadlines(settings.reconnect_wait, reactor, self._waited_too_long)
        # The calls without an outcome, and their bytes.
        self._count = 0
        self._bytes = 0
        # The connection, and the same again while it is open.
        self._connection: RedisProtocol | None = None
        self._open: RedisProtocol | None = None
        self._watch: Watch | None = None
        self._redo: Redo[Call] | None = None
        # Why the connection is ended when all calls are answered.
        self._leaves: str | None = None
        self._stopped: Deferred[None] | None = None
        self._stop_call: IDelayedCall | None = None
        self._ending = False

    # -- start and stop

    def start(self) -> Deferred[None]:
        return self._reconnection.start()

    def stop(self) -> Deferred[None]:
        if self._ending:
            return succeed(None)
        stopped = self._stopped = Deferred()
        self._stop_call = self._reactor.callLater(self._settings.command_timeout, self._end)
        if not self._reconnection.started:
            self._end()
        else:
            self._stop_if_done()
        return stopped

    def _stop_if_done(self) -> None:
        if self._stopped is not None and not self._ending and not self._count and not len(self._outcomes):
            self._end()

    def _end(self) -> None:
        """
        End everything, whether there are calls or not.
        """
        stopped, self._ending = self._stopped, True
        assert stopped is not None
        if self._stop_call is not None and self._stop_call.active():
            self._stop_call.cancel()
        ended = self._reconnection.stop()
        while len(self._waiting):
            self._waiting.expire_first()
        self._waiting.stop()
        ended.addCallback(stopped.callback)

    # -- the connection

    def _ready(self, connection: RedisProtocol, server: ServerIdentity) -> None:
        settings = self._settings
        self._connection = self._open = connection
        self._leaves = None
        self._watch = Watch(connection, settings.command_timeout, settings.probe_interval, self._reactor, self._probed)
        for notice in list(self.on_connected):
            try:
                notice(server)
            except Exception:
                self._log.failure("a new connection to Redis was not taken notice of")
        self._send_waiting(connection)

    def _lost(self, unanswered: Sequence[Call], reason: str) -> None:
        text = self._reconnection.text(reason)
        self._connection = self._open = None
        if self._watch is not None:
            self._watch.stop()
        self._trouble.forget()
        redo, self._redo = self._redo, None
        if redo is not None:
            for call in redo.take():
                self._finish(call, StoreUnreachable(text), None)
        for call in unanswered:
            if call.own:
                call.done(call.argument, ConnectionBroken(reason), None)
            else:
                self._finish(call, ConnectionBroken(text), None)

    def _pause(self, paused: bool) -> None:
        if self._connection is not None:
            self._connection.pause(paused)
        if not paused:
            self._stop_if_done()

    @property
    def ready(self) -> bool:
        """
        Whether there is a connection that takes calls.
        """
        return self._connection is not None and self._leaves is None

    # -- calls

    def take_asking(self, call: Call) -> None:
        """
        Make a call about a key that moves to this node of a cluster. The link is ready.
        """
        connection = self._connection
        assert connection is not None
        connection.ask("ASKING")
        self._count += 1
        self._bytes += len(call.data)
        connection.send(call)

    def call(self, key: Word | None, *words: Word) -> Deferred[Any]:
        outcome: Deferred[Any] = Deferred()
        self.take(Call(key, pack(words), fire, outcome))
        return outcome

    def submit(self, key: Word | None, words: Sequence[Word], done: Done, argument: Any) -> None:
        self.take(Call(key, pack(tuple(words)), done, argument))

    def run(self, script: Script, keys: Sequence[Word], arguments: Sequence[Word], done: Done, argument: Any) -> None:
        data = pack(("EVALSHA", script.sha, len(keys), *keys, *arguments))
        self.take(Call(keys[0], data, done, argument, script))

    def take(self, call: Call) -> None:
        """
        Make a call that was made ready.
        """
        settings, size = self._settings, len(call.data)
        if self._stopped is not None:
            call.done(call.argument, self._unreachable("the server stops"), None)
            return
        if self._count >= settings.max_waiting or self._bytes + size > settings.max_waiting_bytes:
            reason = "too many operations wait (maxWaiting, maxWaitingBytes)"
            call.done(call.argument, TooManyCalls(self._reconnection.text(reason)), None)
            return
        self._count += 1
        self._bytes += size
        if self._open is not None:
            self._open.send(call)
        else:
            self._waiting.add(call)

    def _send_waiting(self, connection: RedisProtocol) -> None:
        for call in list(self._waiting):
            self._waiting.remove(call)
            connection.send(call)

    def _waited_too_long(self, call: Call) -> None:
        self._finish(call, self._unreachable(self._reconnection.problem or "it is busy"), None)

    def _unreachable(self, reason: str) -> StoreUnreachable:
        return StoreUnreachable(self._reconnection.text(reason))

    def _finish(self, call: Call, error: Exception | None, reply: Any) -> None:
        self._count -= 1
        self._bytes -= len(call.data)
        self._outcomes.add(call, error, reply)
        if not self._count:
            self._stop_if_done()

    # -- answers

    def _answered(self, call: Call, reply: Any) -> None:
        if call.own:
            call.done(call.argument, None, reply)
        elif type(reply) is RedisReplyError:
            self._refused(call, reply)
        else:
            if self._redo is not None:
                self._overtaken(self._redo, call)
            self._finish(call, None, reply)
        if self._open is None and self._connection is not None and not self._connection.unanswered:
            self._all_answered(self._connection)

    def _refused(self, call: Call, error: RedisReplyError) -> None:
        code, connection = error.code, self._connection
        if self._redo is not None and not error.refused:
            self._overtaken(self._redo, call)
        if connection is None:
            # The connection has ended; these are its last answers.
            pass
        elif code == "NOSCRIPT" and call.script is not None and call.tries < MAX_TRIES:
            if self._redo is None:
                self._redo, self._open = Redo(), None
            self._redo.refused(call)
            return
        elif code in LEFT:
            self._leave(LEFT[code])
        elif code in STAYS:
            self._trouble.noticed(connection, call, error)
        self._finish(call, error, None)

    def _probed(self, answer: Any) -> None:
        if isinstance(answer, RedisReplyError) and answer.code in LEFT:
            self._leave(LEFT[answer.code])

    def _leave(self, problem: str) -> None:
        """
        Send nothing more on this connection, and end it when all calls are answered.
        """
        if self._leaves is None:
            self._leaves, self._open = problem, None
            self._reconnection.retire(problem)

    def _overtaken(self, redo: Redo[Call], call: Call) -> None:
        for earlier in redo.executed(call):
            text = "it had lost its scripts, and has executed a later operation on the same key"
            self._finish(earlier, self._unreachable(text), None)

    def _all_answered(self, connection: RedisProtocol) -> None:
        """
        There is an answer to everything that was sent before the connection was closed for calls.
        """
        if self._leaves is not None:
            connection.give_up(StoreError(self._leaves))
            return
        redo, self._redo = self._redo, None
        if redo is None:
            return
        calls = redo.take()
        for script in dict.fromkeys(call.script for call in calls if call.script is not None):
            connection.ask("SCRIPT", "LOAD", script.text)
        for call in calls:
            call.tries += 1
            connection.send(call)
        self._open = connection
        self._send_waiting(connection)

    # -- doubt, and problems

    def fence(self) -> Deferred[None]:
        return self._reconnection.fence()

    def problem(self) -> str | None:
        problem = self._reconnection.problem or self._trouble.problem
        return None if problem is None else self._reconnection.text(problem)
