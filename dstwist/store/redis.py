"""
A store in a Redis. Several processes may share it, and it may be the arbiter between them.

The keys of a record are those of the Node server's connectors (L{dstwist.store.redis_layout}). Each write is one Lua
script, so that it is atomic, and an error of Redis means that nothing was written: scripts check before they write.

==================================================  ==================================================================
Redis                                               the operation fails with
==================================================  ==================================================================
cannot be reached                                   L{StoreUnreachable}: it had no effect
has no room (C{maxmemory})                          L{StoreFull}: the same
refuses it: it is read-only, loads its data, ...    L{StoreRefusal}: the same
does not answer, or the connection breaks           L{ConnectionBroken}: it is in doubt
has it on fewer replicas than C{minReplicas}        L{StoreError}: it is in doubt
==================================================  ==================================================================

Reads need no script. A long record is read a little in each turn of the reactor, so that no other client waits for it.
A record of more than C{maxReplyBytes} costs the connection once; then its length is asked for before it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from dstwist.config.redis import RedisSettings
from dstwist.errors import StoreError
from dstwist.interfaces import (
    ANY_VERSION,
    Change,
    Done,
    ICallbackStore,
    IClusterTableHost,
    IEnumerableStore,
    IReplaceableStore,
    ISharedStore,
    IStoreStatus,
    Record,
)
from dstwist.protocol.jsonparts import reading
from dstwist.protocol.jsontext import READ_IN_PARTS_LENGTH, loads
from dstwist.record import NO_RECORD
from dstwist.redis.errors import TOO_LARGE, RedisReplyError
from dstwist.redis.interface import IRedis
from dstwist.scheduling.firing import fire
from dstwist.scheduling.time_slices import TimeSlices
from dstwist.store.redis_layout import TOMBSTONE, layout_of
from dstwist.store.redis_refusals import explained
from dstwist.store.redis_replicas import ReplicatedWrites
from dstwist.store.redis_servers import NameScan, servers_of, together
from dstwist.store.redis_status import RedisStatus
from dstwist.store.redis_table import RedisTable

#: How many versions are asked for in one call.
_NAMES_PER_CALL = 200

#: How many records that are too large are remembered.
_MAX_LARGE = 1000

#: The answer of a script that has written.
_WRITTEN = 1


@implementer(ICallbackStore, ISharedStore, IStoreStatus, IEnumerableStore, IReplaceableStore, IClusterTableHost)
class RedisStore:
    """
    Records in a Redis.

    @param redis: the connection.
    @param deletion_memory: how long versions of removed records are remembered, in seconds.
    @param arbiter: whether the store decides between writers of some records, so that Redis must not evict any.
    @param tier: the name of the store in the log: C{cache} or C{storage}.
    """

    def __init__(
        self,
        redis: IRedis,
        settings: RedisSettings,
        clock: IReactorTime,
        deletion_memory: float = 0.0,
        arbiter: bool = True,
        tier: str = "storage",
    ) -> None:
        self._redis = redis
        self._is_cluster = bool(settings.nodes)
        self._layout = layout = layout_of(settings.prefix, settings.legacy_layout, self._is_cluster)
        self._keys = layout.keys
        self._value = layout.value
        self._ttl = (settings.ttl or 0) * 1000
        self._deletion_memory = int(deletion_memory * 1000)
        self._forgets = not arbiter
        self._address = settings.address
        self._slices = TimeSlices(clock)
        self._status = RedisStatus(redis, settings, layout, arbiter, tier, clock)
        self._replicated = (
            ReplicatedWrites(redis, settings.min_replicas, settings.command_timeout / 2, clock)
            if settings.min_replicas
            else None
        )
        self._run_write = redis.run if self._replicated is None else self._replicated.run
        self._replace, self._remove = layout.script("replace"), layout.script("remove")
        self._set, self._delete, self._heads = map(layout.script, ("set", "delete", "heads"))
        self._max_bytes = settings.max_reply_bytes
        # Records that were too large for an answer.
        self._large: set[str] = set()
        # How many long records are being read, and what waits for the last of them.
        self._parsing = 0
        self._parsed: Deferred[None] | None = None

    # -- start, stop, state

    def start(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._status.start())

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self._status.stop()
        if self._parsing:
            self._parsed = Deferred()
            await self._parsed

    def contents(self) -> str:
        return self._status.contents

    def on_reconnected(self, callback: Callable[[str | None], object]) -> None:
        self._status.on_reconnected(callback)

    def cluster_table(self) -> RedisTable:
        return RedisTable(self._redis, self._layout.server_key)

    def problem(self) -> str | None:
        return self._redis.problem() or self._status.problem

    # -- operations

    def get(self, name: str) -> Deferred[Record | None]:
        found: Deferred[Record | None] = Deferred()
        try:
            keys = self._keys(name)
        except StoreError:
            # No record can have that name.
            found.callback(None)
            return found
        if name in self._large:
            return Deferred.fromCoroutine(self._get_large(name, keys))
        self._redis.submit(keys[0], self._layout.read_words(keys), self._got, (name, found))
        return found

    def _got(self, argument: tuple[str, Deferred[Record | None]], error: Exception | None, reply: Any) -> None:
        name, found = argument
        if error is not None:
            self._note(name, error)
            found.errback(explained(error))
            return
        version, text = self._layout.split(reply)
        if version is None or (text is None and self._forgets):
            found.callback(None)
            return
        self._read(name, version, text, partial(fire, found))

    def _note(self, name: str, error: Exception) -> None:
        if isinstance(error, RedisReplyError) and error.code == TOO_LARGE:
            if len(self._large) >= _MAX_LARGE:
                self._large.pop()
            self._large.add(name)

    async def _get_large(self, name: str, keys: Sequence[bytes]) -> Record | None:
        """
        A record that was too large, if it is not any more.
        """
        try:
            size = await self._redis.call(keys[0], "STRLEN", keys[-1])
        except StoreError as error:
            raise explained(error) from None
        if size >= self._max_bytes:
            raise self._unreadable(name, f"it has {size} bytes, and maxReplyBytes is {self._max_bytes}")
        self._large.discard(name)
        return await self.get(name)

    def set(self, name: str, version: int, data: Any) -> Deferred[None]:
        return self.write(name, Record(version, data))

    def write(self, name: str, record: Record) -> Deferred[None]:
        written: Deferred[None] = Deferred()
        self.submit(name, ANY_VERSION, record, (), fire, written)
        return written

    def replace(
        self, name: str, expected: int | None, record: Record, changes: Sequence[Change] = ()
    ) -> Deferred[Record | None]:
        replaced: Deferred[Record | None] = Deferred()
        self.submit(name, expected, record, changes, fire, replaced)
        return replaced

    def submit(
        self, name: str, expected: int | None, record: Record, changes: Sequence[Change], done: Done, argument: Any
    ) -> None:
        try:
            keys = self._keys(name)
            value = self._value(record)
            if expected is None:
                # Other writes do not need this key. In a Redis Cluster, a key that is missing would delay them while
                # the slot moves to another server.
                keys.append(self._layout.own_key(name, TOMBSTONE))
        except StoreError as error:
            done(argument, error, None)
            return
        except (TypeError, ValueError, RecursionError, MemoryError) as error:
            problem = "not enough memory" if isinstance(error, MemoryError) else error
            done(argument, StoreError(f"the record {name!r} cannot be stored: {problem}"), None)
            return
        outcome = (name, done, argument)
        if expected is ANY_VERSION:
            self._run_write(self._set, keys, (record.version, value, self._ttl), self._written, outcome)
        else:
            before = "" if expected is None else expected
            self._run_write(self._replace, keys, (before, record.version, value, self._ttl), self._written, outcome)

    def remove(self, name: str, expected: int | None) -> Deferred[Record | None]:
        removed: Deferred[Record | None] = Deferred()
        try:
            keys = [*self._keys(name), self._layout.own_key(name, TOMBSTONE)]
        except StoreError:
            removed.callback(None if expected is None else NO_RECORD)
            return removed
        arguments = ("" if expected is None else expected, self._deletion_memory)
        self._run_write(self._remove, keys, arguments, self._written, (name, fire, removed))
        return removed

    def delete(self, name: str) -> Deferred[None]:
        deleted: Deferred[None] = Deferred()
        try:
            keys = self._keys(name)
        except StoreError:
            deleted.callback(None)
            return deleted
        self._run_write(self._delete, keys, (), self._written, (name, fire, deleted))
        return deleted

    def _written(self, outcome: tuple[str, Done, Any], error: Exception | None, reply: Any) -> None:
        """
        A script that writes has ended.
        """
        name, done, argument = outcome
        if error is not None:
            self._note(name, error)
            done(argument, explained(error), None)
        elif reply == _WRITTEN:
            done(argument, None, None)
        elif not reply:
            done(argument, None, NO_RECORD)
        elif len(reply) == 1:
            # The version at which the record was removed.
            done(argument, None, Record(int(reply[0]), None))
        else:
            self._read(name, reply[0], reply[1], lambda error, record: done(argument, error, record))

    def heads(self, names: Iterable[str]) -> Deferred[dict[str, int]]:
        versions: dict[str, int] = {}
        known: list[tuple[str, bytes]] = []
        for name in names:
            try:
                known.append((name, self._keys(name)[0]))
            except StoreError:
                versions[name] = -1
        # A script cannot look at keys of several servers of a Redis Cluster.
        most = 1 if self._is_cluster else _NAMES_PER_CALL
        asked = [self._ask_heads(known[start : start + most]) for start in range(0, len(known), most)]

        def all_found(found: list[dict[str, int]]) -> dict[str, int]:
            for part in found:
                versions.update(part)
            return versions

        return together(asked).addCallback(all_found)

    def _ask_heads(self, known: list[tuple[str, bytes]]) -> Deferred[dict[str, int]]:
        found: Deferred[dict[str, int]] = Deferred()

        def done(argument: None, error: Exception | None, reply: Any) -> None:
            if error is not None:
                found.errback(explained(error))
            else:
                pairs = zip(known, reply, strict=True)
                found.callback({name: int(version) for (name, _), version in pairs if version})

        self._redis.run(self._heads, [key for _, key in known], (), done, None)
        return found

    def fence(self) -> Deferred[None]:
        return self._redis.fence()

    def names(self, cursor: Any, limit: int) -> Deferred[tuple[Sequence[str], Any]]:
        return Deferred.fromCoroutine(self._names(cursor, limit))

    async def _names(self, cursor: NameScan | None, limit: int) -> tuple[Sequence[str], NameScan | None]:
        if cursor is None:
            cursor = NameScan(await servers_of(self._redis, self._is_cluster))
        return await cursor.next(self._redis, self._layout, limit)

    # -- records

    def _read(
        self, name: str, version: bytes, text: bytes | None, then: Callable[[Exception | None, Record | None], object]
    ) -> None:
        """
        Call C{then} with the record that these texts hold: at once, if they are short.
        """
        if text is None:
            then(self._unreadable(name, "Redis has its version, and no data"), None)
        elif len(text) < READ_IN_PARTS_LENGTH:
            try:
                record = self._layout.record(version, loads(text))
            except ValueError as error:
                then(self._unreadable(name, error), None)
            else:
                then(None, record)
        else:
            self._parsing += 1
            self._slices.do(self._reading(name, version, text, then))

    def _reading(
        self, name: str, version: bytes, text: bytes, then: Callable[[Exception | None, Record | None], object]
    ) -> Generator[None, None, None]:
        outcome: tuple[Exception | None, Record | None]
        try:
            value = yield from reading(text)
            outcome = None, self._layout.record(version, value)
        except ValueError as error:
            outcome = self._unreadable(name, error), None
        try:
            then(*outcome)
        finally:
            self._parsing -= 1
            if not self._parsing and self._parsed is not None:
                self._parsed.callback(None)

    def _unreadable(self, name: str, problem: object) -> StoreError:
        keys = ", ".join(key.decode("utf-8", "replace") for key in self._keys(name))
        return StoreError(f"the record {name!r} cannot be read from Redis at {self._address} ({keys}): {problem}")
