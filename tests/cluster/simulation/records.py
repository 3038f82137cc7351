"""
Records in a simulated cluster: the arbiter, and the record service of a node in short.

The gate, the comparison and the interest are product code. The service around them is a model of the order that the
product keeps: the arbiter, then the subscribers, then the writer; and a fence before an outcome in doubt is looked up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, DeferredLock, TimeoutError

from dstwist.cluster.comparison import Comparison
from dstwist.cluster.interest import Interest
from dstwist.cluster.record_news import MISSING, Change, News, NewsGate
from dstwist.cluster.unsent_news import UnsentNews
from dstwist.protocol.jsontext import dumps, loads
from dstwist.record import Record

if TYPE_CHECKING:
    from tests.cluster.simulation.node import Node
    from tests.cluster.simulation.world import World

#: How long a node waits for the arbiter.
STORE_TIMEOUT = 0.2


@dataclass
class Kept:
    """
    A record of the arbiter, or the version that its deletion has left behind.
    """

    version: int
    token: int | None


class Arbiter:
    """
    The records, and all that has happened to them.

    @ivar log: for each name, the version and the token of each write, and of each deletion (without token).
    """

    def __init__(self) -> None:
        self.records: dict[str, Kept] = {}
        self.log: dict[str, list[tuple[int, int | None]]] = {}

    def get(self, name: str) -> tuple[Kept | None, int]:
        """
        The record, and the version that the next write makes.
        """
        kept = self.records.get(name)
        if kept is None:
            return None, 0
        return (None if kept.token is None else kept), kept.version + 1

    def put(self, name: str, expected: int, version: int, token: int | None) -> bool:
        """
        Write, or delete if there is no token, if the record has the version C{expected}.
        """
        found, following = self.get(name)
        if (MISSING if found is None else found.version) != expected:
            return False
        if found is None and version != following:
            # It was decided on an older deletion: versions do not go back.
            return False
        self.records[name] = Kept(version, token)
        self.log.setdefault(name, []).append((version, token))
        return True


class Records:
    """
    The records of one node, each with at most one subscriber.

    @ivar believed: what the subscriber of each name has: a version and a token.
    @ivar connection: the number of the connection to the store; a fence ends the old ones.
    """

    def __init__(self, world: World, node: Node) -> None:
        self._world = world
        self._node = node
        self._clock = node.clock
        self.believed: dict[str, tuple[int, int | None]] = {}
        self._subscribing: set[str] = set()
        self._turns: dict[str, DeferredLock] = {}
        self._ended_connections = 0
        settings = world.settings
        self.gate = NewsGate(self._clock, settings, self._passed, self._read, self._tell, self._went_back)
        self.comparison = Comparison(self.gate, self._heads, self._clock, settings)
        self.interest = Interest(
            node.bus, self._clock, settings, self._payload, self.comparison.compare, world.random_of_node()
        )
        self.unsent = UnsentNews(
            node.bus, self._clock, settings, lambda name: self._publish(name, Change.LOOK, 0, None)
        )
        self.comparison.start()

    # -- what clients do

    def subscribe(self, name: str) -> None:
        if name not in self.believed and name not in self._subscribing:
            self._subscribing.add(name)
            self.gate.begin(name)
            self._in_turn(name, lambda: self._subscribe(name))

    def unsubscribe(self, name: str) -> None:
        if name in self.believed:
            self._end(name)

    def write(self, name: str, token: int | None) -> None:
        """
        Write, or delete if there is no token.
        """
        self._world.requests += 1
        self._in_turn(name, lambda: self._write(name, token))

    # -- requests in their turn

    def _in_turn(self, name: str, make: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            turn = self._turns.setdefault(name, DeferredLock())
            await turn.acquire()
            try:
                await make()
            finally:
                turn.release()

        Deferred.fromCoroutine(run()).addErrback(self._world.crashed)

    async def _subscribe(self, name: str) -> None:
        waiting = self.interest.want(name)
        if waiting is not None:
            await waiting
        try:
            kept, _ = await self._operation(lambda: self._world.arbiter.get(name))
        except TimeoutError:
            self.gate.closed(name)
            self.interest.unwant(name)
            return
        finally:
            self._subscribing.discard(name)
        version = MISSING if kept is None else kept.version
        self.believed[name] = (version, None if kept is None else kept.token)
        self.gate.opened(name, version)

    async def _write(self, name: str, token: int | None) -> None:
        arbiter = self._world.arbiter
        for _ in range(5):
            try:
                kept, version = await self._operation(lambda: arbiter.get(name))
            except TimeoutError:
                break
            if kept is None and token is None:
                break
            expected = MISSING if kept is None else kept.version
            if kept is not None and token is None:
                version = kept.version
            try:
                done = await self._operation(lambda: arbiter.put(name, expected, version, token))  # noqa: B023
            except TimeoutError:
                await self._resolve(name, token)
                return
            if done:
                self._written(name, version, token)
                self._world.answered(token, True)
                return
        self._world.answered(token, False)

    async def _resolve(self, name: str, token: int | None) -> None:
        """
        A write is in doubt: make sure that it cannot take effect any more, and have everybody look.
        """
        while True:
            try:
                await self._operation(self._fence)
                await self._operation(lambda: self._world.in_doubt(name, token))
                break
            except TimeoutError:
                continue
        self.gate.look(name)
        self._publish(name, Change.LOOK, 0, None)

    def _fence(self) -> None:
        self._ended_connections += 1

    def _written(self, name: str, version: int, token: int | None) -> None:
        if token is None:
            self._publish(name, Change.DELETED, version, None)
            if name in self.believed:
                self._end(name)
            return
        self._publish(name, Change.WRITTEN, version, token)
        # Whether subscribers are sent the change or the whole: here they get the same.
        self._has(name, version, token)
        self.gate.written(name, version)

    # -- what the gate asks for

    def _passed(self, news: News) -> None:
        if news.change is Change.DELETED:
            self._end(news.name)
        else:
            self._has(news.name, news.version, news.message)

    def _read(self, name: str) -> Deferred[Record | None]:
        read: Deferred[Record | None] = Deferred()

        async def in_turn() -> None:
            try:
                kept, _ = await self._operation(lambda: self._world.arbiter.get(name))
            except TimeoutError as error:
                read.errback(error)
                return
            read.callback(None if kept is None else Record(kept.version, kept.token))

        self._in_turn(name, in_turn)
        return read

    def _tell(self, name: str, record: Record | None) -> None:
        if record is None:
            self._end(name)
        else:
            self._has(name, record.version, record.content)

    def _went_back(self, name: str, have: int, version: int) -> None:
        self._world.wrong["the store has gone back, by the versions of a record"] += 1

    def _heads(self, names: Iterable[str]) -> Deferred[dict[str, int]]:
        names = list(names)

        def heads() -> dict[str, int]:
            found = ((name, self._world.arbiter.get(name)[0]) for name in names)
            return {name: MISSING if kept is None else kept.version for name, kept in found}

        return self._operation(heads)

    # -- the subscriber

    def _has(self, name: str, version: int, token: int | None) -> None:
        if name in self.believed:
            if version <= self.believed[name][0]:
                self._world.wrong["a subscriber was sent an old version"] += 1
            if (version, token) not in self._world.arbiter.log[name]:
                self._world.wrong["a subscriber was sent what was never written"] += 1
            self.believed[name] = (version, token)

    def _end(self, name: str) -> None:
        if self.believed.pop(name, None) is not None:
            self.gate.closed(name)
            self.interest.unwant(name)

    # -- engines

    def _operation(self, execute: Callable[[], Any]) -> Deferred[Any]:
        connection = self._ended_connections
        operation = self._world.engine.operation(
            self._clock, execute, lambda: connection == self._ended_connections or execute == self._fence
        )
        return operation.addTimeout(STORE_TIMEOUT, self._clock)

    def _publish(self, name: str, change: Change, version: int, token: int | None) -> None:
        if change is not Change.LOOK or self._node.bus.is_lost:
            self.unsent.published(name)
        self._node.bus.publish(name, dumps([self._node.name, change.value, version, token]))

    def _payload(self, name: str, payload: bytes) -> None:
        sender, change, version, token = loads(payload)
        if sender != self._node.name:
            self.gate.received(News(name, Change(change), version, token))
