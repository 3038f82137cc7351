"""
The state of a Redis: whether it is fit for records, and what the log says about it.

===============================================  ====================================  ===============================
found                                            at the start                          later
===============================================  ====================================  ===============================
it may evict records that no other store has     the server does not start             a line, and C{/ready} says 503
it executes no scripts                           the server does not start             -
it keeps no log of its writes (AOF)              a line                                a line, if it did before
it writes the log to the disk once a second      a line                                the same
another Redis, or one that has lost its data     -                                     a line, and the callbacks of
                                                                                       C{on_reconnected} get the reason
another process, or another history of its data  -                                     the same without a line
===============================================  ====================================  ===============================

The key C{!store} holds a random number that is made when it is missing. A Redis that has lost its data, or that was
restored from a copy of other data, has no such key or another number there.

The server looks for all of this at each later connection. Every L{LOOK_SECONDS} while it is connected, it looks for the
number and the policy of evictions only: C{FLUSHALL} and C{CONFIG SET} do not end the connection. A cache that may evict
records may evict the number as well, so there a missing number is no sign between connections. That does no harm: the
server reads a record that such a cache does not have from the storage.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from dstwist.config.redis import RedisSettings
from dstwist.errors import ConnectionBroken, StoreError, StoreUnreachable
from dstwist.log import Logger
from dstwist.redis.errors import RedisReplyError, advice_on
from dstwist.redis.interface import IRedis, ServerIdentity
from dstwist.store.redis_layout import Layout
from dstwist.store.redis_refusals import explained
from dstwist.store.redis_servers import servers_of, together
from dstwist.store.redis_table import TABLE_KEYS

#: How often a connected Redis is asked for the number of the store and for its policy of evictions, in seconds.
LOOK_SECONDS = 10.0

_NO_EVICTION = "noeviction"
_STORE = b"store"

# The command is forbidden, or has another name, or the script could not be loaded.
_FORBIDDEN = ("NOPERM", "ERR", "NOSCRIPT")


class Facts(NamedTuple):
    """
    The facts that one server tells about itself.

    @ivar appendfsync: empty if it does not say.
    """

    policy: str
    aof: bool
    appendfsync: str
    keys: int


class RedisStatus:
    """
    The state of the Redis of one store.

    @param arbiter: whether no record may be evicted.
    @ivar contents: the content that was found at the start.
    @ivar problem: why it is not fit for records; C{None} if it is.
    """

    _log = Logger()

    def __init__(
        self, redis: IRedis, settings: RedisSettings, layout: Layout, arbiter: bool, tier: str, clock: IReactorTime
    ) -> None:
        self._redis = redis
        self._settings = settings
        self._is_cluster = bool(settings.nodes)
        self._key = layout.server_key(_STORE)
        self._own_keys = [self._key, *map(layout.server_key, TABLE_KEYS)]
        self._script = layout.script("heads")
        self._arbiter = arbiter
        self._tier = tier
        self._told: tuple[str, ...] = ()
        self._id: bytes | None = None
        # The servers of the connections, by address.
        self._servers: dict[str, ServerIdentity] = {}
        # Why Redis may have less than before, until that was told.
        self._reason: str | None = None
        self._on_reconnected: list[Callable[[str | None], object]] = []
        self._started = False
        self._looks = LoopingCall(self._look_while_connected)
        self._looks.clock = clock
        self.contents = ""
        self.problem: str | None = None

    def on_reconnected(self, callback: Callable[[str | None], object]) -> None:
        """
        As of L{IReplaceableStore<dstwist.interfaces.IReplaceableStore>}.
        """
        self._on_reconnected.append(callback)

    async def start(self) -> None:
        """
        Connect, and make sure that records can be kept.

        @raise StoreError: they cannot.
        """
        self._redis.on_connected.append(self._connected)
        await self._redis.start()
        try:
            own = await self._count_own_keys()
            facts = await self._look()
            self._id = await self._identify()
            await self._try_script()
        except StoreError as error:
            await self._redis.stop()
            if isinstance(error, RedisReplyError):
                raise StoreError(self._with_advice(error)) from None
            raise
        refusal = self._refusal(fact.policy for fact in facts)
        if refusal is not None:
            await self._redis.stop()
            raise StoreError(f"Redis at {self._settings.address}: {refusal}")
        self._warn(facts)
        keys = sum(fact.keys for fact in facts) - own
        self.contents = f"{keys} {'key' if keys == 1 else 'keys'}" if keys > 0 else "nothing yet"
        self._started = True
        self._looks.start(LOOK_SECONDS, now=False)

    def stop(self) -> Deferred[None]:
        """
        Close the connection. Nothing is called after that.
        """
        if self._looks.running:
            self._looks.stop()
        return self._redis.stop()

    def _connected(self, server: ServerIdentity) -> None:
        before = self._servers.get(server.address)
        if not self._is_cluster:
            # A server that is the primary once more may have less than the one between.
            self._servers.clear()
        self._servers[server.address] = server
        if not self._started:
            return
        if before is None:
            self._reason = f"another server answers, {server.address}"
        elif before.run_id != server.run_id:
            self._reason = f"{server.address} was restarted"
        elif before.replication_id != server.replication_id:
            self._reason = f"{server.address} has been a replica"
        Deferred.fromCoroutine(self._is_back()).addErrback(self._not_looked)

    async def _is_back(self) -> None:
        try:
            await self._look_again()
        except (ConnectionBroken, StoreUnreachable):
            return  # The connection was lost again. The next one is looked at.
        except StoreError:
            pass  # Redis refuses something. Its records may be used all the same.
        self._tell()

    def _tell(self) -> None:
        reason, self._reason = self._reason, None
        for callback in self._on_reconnected:
            callback(reason)

    async def _look_again(self) -> None:
        facts = await self._look()
        self._judge(fact.policy for fact in facts)
        self._warn(facts)
        self._compare_number(await self._identify())

    def _look_while_connected(self) -> Deferred[None] | None:
        if self._redis.problem() is not None:
            return None
        return Deferred.fromCoroutine(self._look_shortly()).addErrback(self._not_looked)

    async def _look_shortly(self) -> None:
        """
        Look for what can change without a new connection.
        """
        try:
            policies = await self._policies()
            self._judge(policies)
            found = await self._number()
            if not self._looks.running:
                return
            if found is None:
                found = await self._make_number()
                if not self._arbiter and _evicting(policies):
                    self._id = found
        except StoreError:
            return  # The connection was lost, or Redis refuses something. The next look may find out more.
        if self._looks.running and self._compare_number(found):
            self._tell()

    def _judge(self, policies: Iterable[str]) -> None:
        problem = self._refusal(policies)
        if problem is not None and problem != self.problem:
            self._log.critical("{event} | {where}: {problem}", where=self._tier, problem=problem, event="REDIS")
        self.problem = problem

    def _compare_number(self, found: bytes | None) -> bool:
        """
        Compare the number of the store with the one before.

        @return: whether Redis has other data than before.
        """
        is_other = found != self._id and self._id is not None
        if is_other:
            self._log.critical(
                "{event} | {where}: Redis at {address} has lost its data, or has other data than before; acknowledged "
                "writes may be lost",
                where=self._tier,
                address=self._settings.address,
                event="REDIS",
            )
            self._reason = f"Redis at {self._settings.address} has other data than before"
        self._id = found
        return is_other

    def _not_looked(self, failure: Failure) -> None:
        self._log.failure("the state of Redis was not read", failure)

    def _refusal(self, policies: Iterable[str]) -> str | None:
        evicting = _evicting(policies)
        if not evicting or not self._arbiter:
            return None
        return (
            f"its maxmemory-policy is {', '.join(evicting)}, so it may forget records that no other store has; set "
            "maxmemory-policy noeviction in redis.conf"
        )

    def _warn(self, facts: list[Facts]) -> None:
        """
        Log what a failure could cost, if it is not what was logged last.
        """
        told = []
        if self._arbiter and self._settings.ttl is not None:
            told.append(f"records are forgotten {self._settings.ttl} s after their last write (ttl)")
        if self._arbiter and any(not fact.aof for fact in facts):
            told.append(
                "Redis has no append-only file, so acknowledged writes are lost when it ends; set appendonly yes"
            )
        elif self._arbiter and any(fact.appendfsync not in ("always", "") for fact in facts):
            told.append(
                "Redis writes to the disk once a second or less, so a power failure can take back acknowledged writes; "
                "set appendfsync always"
            )
        for problem in told:
            if problem not in self._told:
                self._log.warn("{event} | {where}: {problem}", where=self._tier, problem=problem, event="REDIS")
        self._told = tuple(told)

    async def _look(self) -> list[Facts]:
        return [await self._look_at(server) for server in await servers_of(self._redis, self._is_cluster)]

    async def _look_at(self, server: bytes) -> Facts:
        # Hosting providers forbid CONFIG, or give it another name.
        config = self._redis.call(server, "CONFIG", "GET", "appendfsync").addErrback(_not_told)
        asked = [self._redis.call(server, "INFO", section) for section in ("memory", "persistence")]
        asked += [self._redis.call(server, "DBSIZE"), config]
        memory, persistence, keys, found = await together(asked)
        return Facts(
            _policy(memory),
            _fields(persistence).get("aof_enabled") == "1",
            found[1].decode("utf-8", "replace") if found else "",
            keys,
        )

    async def _count_own_keys(self) -> int:
        """
        How many keys of the server itself there are.
        """
        asked = [self._redis.call(key, "STRLEN", key).addErrback(_is_no_text) for key in self._own_keys]
        return sum(1 for length in await together(asked) if length)

    async def _policies(self) -> list[str]:
        servers = await servers_of(self._redis, self._is_cluster)
        return [_policy(info) for info in await together([self._redis.call(key, "INFO", "memory") for key in servers])]

    async def _try_script(self) -> None:
        """
        Execute a script that changes nothing.

        @raise StoreError: Redis executes none, so that it would refuse each write.
        """
        tried: Deferred[None] = Deferred()

        def done(argument: None, error: Exception | None, reply: Any) -> None:
            if isinstance(error, RedisReplyError) and error.code in _FORBIDDEN:
                problem = f"it executes no scripts, which need +evalsha and +script|load: {error}"
                error = StoreError(f"Redis at {self._settings.address}: {problem}")
            if error is None:
                tried.callback(None)
            else:
                tried.errback(error)

        self._redis.run(self._script, [self._key], (), done, None)
        await tried

    async def _identify(self) -> bytes | None:
        """
        The number of the store, which is made if it is missing; C{None} if that is not possible, for example because
        Redis is full.
        """
        found = await self._number()
        return await self._make_number() if found is None else found

    async def _number(self) -> bytes | None:
        found: bytes | None = await self._redis.call(self._key, "GET", self._key)
        return found

    async def _make_number(self) -> bytes | None:
        number = secrets.token_hex(16)
        await self._redis.call(self._key, "SET", self._key, number, "NX").addErrback(_not_kept)
        # Another server may have made it before.
        return await self._number()

    def _with_advice(self, error: RedisReplyError) -> str:
        advice = advice_on(error.code, self._settings.where)
        return f"Redis at {self._settings.address}: {explained(error)}" + (f"; {advice}" if advice else "")


def _not_told(failure: Failure) -> None:
    failure.trap(RedisReplyError)


def _is_no_text(failure: Failure) -> bool:
    """
    Whether a key has a value, although that has no length, after a question for its length.
    """
    error = failure.value
    if not isinstance(error, RedisReplyError):
        failure.raiseException()
    return error.code == "WRONGTYPE"


def _not_kept(failure: Failure) -> Failure | None:
    """
    The error of a write, unless the reason may pass.
    """
    error = failure.value
    return None if isinstance(error, RedisReplyError) and error.code != "NOPERM" else failure


def _evicting(policies: Iterable[str]) -> list[str]:
    return sorted(set(policies) - {_NO_EVICTION, ""})


def _policy(memory: bytes) -> str:
    return _fields(memory).get("maxmemory_policy", "")


def _fields(info: bytes) -> dict[str, str]:
    lines = info.decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)
