"""
Asks a server about other servers: a Sentinel about the primary, or a node of a Redis Cluster about the others.

The connection is kept for the next question, and ends when a question fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from dstwist.config.redis_nodes import RedisAddress
from dstwist.errors import StoreError
from dstwist.redis.call import Call
from dstwist.redis.errors import RedisReplyError, reason_of
from dstwist.redis.interface import Word
from dstwist.redis.protocol import RedisProtocol

_T = TypeVar("_T")

# What is asked for is small.
_MAX_REPLY_BYTES = 4 * 2**20


class Asker(Generic[_T]):
    """
    One server, and the connection to it.

    @param endpoint: makes an endpoint for a host and a port.
    @param login: user and password; C{None} for what is not needed.
    @param timeout: how long a question may take, in seconds.
    @param commands: the question.
    @param read: makes the answer of those of the commands. Errors of Redis do not get here.
    """

    def __init__(
        self,
        address: RedisAddress,
        endpoint: Callable[[str, int], IStreamClientEndpoint],
        login: tuple[str | None, str | None],
        timeout: float,
        reactor: Any,
        commands: tuple[tuple[Word, ...], ...],
        read: Callable[[list[Any]], _T],
    ) -> None:
        self.address = address
        self._endpoint = endpoint
        self._login = login
        self._timeout = timeout
        self._reactor = reactor
        self._commands = commands
        self._read = read
        self._connection: RedisProtocol | None = None
        # The question that is not answered yet, and those who wait for the answer.
        self._asked: Deferred[Any] | None = None
        self._waiting: list[Deferred[_T]] = []

    def ask(self) -> Deferred[_T]:
        """
        The answer. If the server is being asked already, that answer is for all.
        """
        waiting: Deferred[_T] = Deferred()
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            asked = self._asked = Deferred.fromCoroutine(self._ask())
            asked.addTimeout(self._timeout, self._reactor).addBoth(self._came)
        return waiting

    def stop(self) -> None:
        """
        End the question and the connection.
        """
        if self._asked is not None:
            self._asked.cancel()
        self._end()

    def _came(self, found: Any) -> None:
        self._asked = None
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(found)

    async def _ask(self) -> _T:
        try:
            if self._connection is None:
                await self._connect()
            connection = self._connection
            if connection is None:
                raise StoreError("it has ended the connection")
            answers = []
            for asked in [connection.ask(*words) for words in self._commands]:
                answer = await asked
                if isinstance(answer, Exception):
                    raise answer
                answers.append(answer)
            return self._read(answers)
        except (RedisReplyError, GeneratorExit):
            # The connection is in order; or this coroutine is freed, and so is all that waits for the connection.
            raise
        except BaseException:
            self._end()
            raise

    async def _connect(self) -> None:
        def build() -> RedisProtocol:
            return RedisProtocol(_answered, self._ended, self._reactor, _MAX_REPLY_BYTES)

        factory: Any = Factory.forProtocol(build)
        factory.noisy = False
        reached: Any = await self._endpoint(*self.address).connect(factory)
        connection: RedisProtocol = reached
        self._connection = connection
        username, password = self._login
        if password is not None:
            user = () if username is None else (username,)
            answer = await connection.ask("AUTH", *user, password)
            if isinstance(answer, Exception):
                raise StoreError(f"it refuses AUTH: {str(answer).partition(', with args')[0]}")

    def _ended(self, connection: RedisProtocol, reason: Failure) -> None:
        if connection is self._connection:
            self._connection = None
        for call in connection.unanswered:
            call.done(call.argument, StoreError(reason_of(reason.value)), None)

    def _end(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.give_up(StoreError("it is not asked any more"))


def _answered(call: Call, reply: Any) -> None:
    call.done(call.argument, None, reply)
