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
from twisted.python.failure import Failure

from dstwist.config.redis import RedisConnectionSettings
from dstwist.config.redis_nodes import RedisAddress
from dstwist.errors import StoreError
from dstwist.redis.asker import Asker
from dstwist.redis.errors import reason_of
from dstwist.redis.interface import Word
from dstwist.redis.primary import Endpoints, Place


class Found(NamedTuple):
    """
    The answer of a Sentinel.

    @ivar epoch: the number of the fail-over by which the server became the primary.
    """

    epoch: int
    host: str
    port: int


class SentinelPrimary:
    """
    The primary that the Sentinels of the settings know by a name.
    """

    def __init__(self, settings: RedisConnectionSettings, reactor: Any, endpoints: Endpoints | None = None) -> None:
        self.name = settings.address
        self._settings = settings
        self._reactor = reactor
        self._endpoints = endpoints or Endpoints(settings, reactor)
        login = (settings.sentinel_username, settings.sentinel_password)
        question: tuple[tuple[Word, ...], ...] = (("SENTINEL", "MASTER", settings.name or ""),)
        self._sentinels = [
            Asker(address, self._endpoints.sentinel, login, settings.connect_timeout, reactor, question, _read)
            for address in settings.sentinels
        ]
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

        def failed(failure: Failure, sentinel: Asker[Found]) -> None:
            problems.append(f"{sentinel.address}: {reason_of(failure.value)}")
            count()

        for sentinel in self._sentinels:
            sentinel.ask().addCallback(came).addErrback(failed, sentinel)
        await enough
        if not answers:
            raise StoreError(f"no Sentinel says where {self._settings.name} is ({'; '.join(problems)})")
        return max(answers), len(answers) >= needed


def _read(answers: list[Any]) -> Found:
    (answer,) = answers
    facts = dict(zip(answer[::2], answer[1::2], strict=True))
    return Found(int(facts[b"config-epoch"]), facts[b"ip"].decode(), int(facts[b"port"]))
