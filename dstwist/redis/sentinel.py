"""
Where the primary is, as the Sentinels know it.

All Sentinels are asked at the same time, and one connection to each of them is kept. Each answer has a number, the
I{epoch}, which grows with each fail-over. The answer with the highest one counts, so that a Sentinel that was cut off
from the others does not lead back to the old primary. As soon as more than half of the Sentinels have answered, the
others are not waited for.

While a connection to the primary is in use, the Sentinels are asked every C{probe_interval}. If they name another
server, with a higher epoch, the link leaves the old one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from dstwist.config.redis import RedisConnectionSettings
from dstwist.config.redis_nodes import RedisAddress
from dstwist.errors import StoreError
from dstwist.redis.call import Call
from dstwist.redis.errors import RedisReplyError, reason_of
from dstwist.redis.primary import Endpoints, Place
from dstwist.redis.protocol import RedisProtocol

# The answer of a Sentinel is small.
_MAX_REPLY_BYTES = 2**20


class Found(NamedTuple):
    """
    The answer of a Sentinel.

    @ivar epoch: the number of the fail-over by which the server became the primary.
    """

    epoch: int
    host: str
    port: int


class _Sentinel:
    """
    One Sentinel, and the connection to it.
    """

    def __init__(
        self, address: RedisAddress, settings: RedisConnectionSettings, reactor: Any, endpoints: Endpoints
    ) -> None:
        self.address = address
        self._settings = settings
        self._reactor = reactor
        self._endpoints = endpoints
        self._connection: RedisProtocol | None = None
        # The question that is not answered yet, and those who wait for the answer.
        self._asked: Deferred[Any] | None = None
        self._waiting: list[Deferred[Found]] = []

    def ask(self) -> Deferred[Found]:
        """
        The primary, as this Sentinel knows it. If it is being asked already, the answer is for all.
        """
        waiting: Deferred[Found] = Deferred()
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            asked = self._asked = Deferred.fromCoroutine(self._ask())
            asked.addTimeout(self._settings.connect_timeout, self._reactor).addBoth(self._came)
        return waiting

    def _came(self, found: Any) -> None:
        self._asked = None
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(found)

    async def _ask(self) -> Found:
        try:
            if self._connection is None:
                await self._connect()
            assert self._connection is not None
            answer = await self._connection.ask("SENTINEL", "MASTER", self._settings.name or "")
            if isinstance(answer, Exception):
                raise answer
            facts = dict(zip(answer[::2], answer[1::2], strict=True))
            return Found(int(facts[b"config-epoch"]), facts[b"ip"].decode(), int(facts[b"port"]))
        except RedisReplyError:
            raise
        except BaseException:
            self._end()
            raise

    async def _connect(self) -> None:
        settings = self._settings

        def build() -> RedisProtocol:
            return RedisProtocol(_answered, self._ended, self._reactor, _MAX_REPLY_BYTES)

        factory: Any = Factory.forProtocol(build)
        factory.noisy = False
        reached: Any = await self._endpoints.sentinel(*self.address).connect(factory)
        connection: RedisProtocol = reached
        self._connection = connection
        if settings.sentinel_password is not None:
            user = () if settings.sentinel_username is None else (settings.sentinel_username,)
            answer = await connection.ask("AUTH", *user, settings.sentinel_password)
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

    def stop(self) -> None:
        """
        End the question and the connection.
        """
        if self._asked is not None:
            self._asked.cancel()
        self._end()


class SentinelPrimary:
    """
    The primary that the Sentinels of the settings know by a name.
    """

    def __init__(self, settings: RedisConnectionSettings, reactor: Any, endpoints: Endpoints | None = None) -> None:
        self.name = settings.address
        self._settings = settings
        self._reactor = reactor
        self._endpoints = endpoints or Endpoints(settings, reactor)
        self._sentinels = [_Sentinel(address, settings, reactor, self._endpoints) for address in settings.sentinels]
        self._known: Found | None = None
        self._moved: Callable[[str], object] | None = None
        self._timer: IDelayedCall | None = None

    async def find(self) -> Place:
        self._moved = None
        found, most = await self._ask_all()
        # If only a few Sentinels answer, they may be those that were cut off.
        if most or self._known is None or found.epoch >= self._known.epoch:
            self._known = found
        _, host, port = self._known
        return Place(self._endpoints.server(host, port), str(RedisAddress(host, port)))

    def watch(self, moved: Callable[[str], object]) -> None:
        self._moved = moved
        if self._timer is None:
            self._timer = self._reactor.callLater(self._settings.probe_interval, self._look)

    def stop(self) -> None:
        self._moved = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for sentinel in self._sentinels:
            sentinel.stop()

    def _look(self) -> None:
        self._timer = None
        if self._moved is not None:
            asked = Deferred.fromCoroutine(self._ask_all())
            # If no Sentinel answers, the primary may be well all the same.
            asked.addCallbacks(self._looked, lambda failure: None)
            self._timer = self._reactor.callLater(self._settings.probe_interval, self._look)

    def _looked(self, answer: tuple[Found, bool]) -> None:
        found, _ = answer
        moved, known = self._moved, self._known
        if moved is not None and known is not None and found.epoch > known.epoch and found[1:] != known[1:]:
            self._moved = None
            moved(f"the Sentinels say that the primary is now {RedisAddress(found.host, found.port)}")

    async def _ask_all(self) -> tuple[Found, bool]:
        """
        The answer that counts, and whether more than half of the Sentinels have answered.
        """
        answers: list[Found] = []
        problems: list[str] = []
        enough: Deferred[None] = Deferred()
        needed = len(self._sentinels) // 2 + 1

        def count() -> None:
            if not enough.called and (len(answers) >= needed or len(answers) + len(problems) == len(self._sentinels)):
                enough.callback(None)

        def came(found: Found) -> None:
            answers.append(found)
            count()

        def failed(failure: Failure, sentinel: _Sentinel) -> None:
            problems.append(f"{sentinel.address}: {reason_of(failure.value)}")
            count()

        for sentinel in self._sentinels:
            sentinel.ask().addCallback(came).addErrback(failed, sentinel)
        await enough
        if not answers:
            raise StoreError(f"no Sentinel says where {self._settings.name} is ({'; '.join(problems)})")
        return max(answers), len(answers) >= needed


def _answered(call: Call, reply: Any) -> None:
    call.done(call.argument, None, reply)
