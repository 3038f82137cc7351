"""
The comparison of an arbiter that may have gone back with what its clients know.

A store in a server of its own may lose writes that were acknowledged: the server was restarted without its data, was
restored, or a replica that was behind took over. Clients, and the cache in this process, then have more than the store.
All of them are made to agree with the store, because nothing else is left that decides::

    a sign --> the records in the cache are set aside --> heads of all known names --> lower or gone --> dropped, told
                                                                |
                                                                +--> the same: used again, and no client is told

=============================================  =========================================================================
sign                                           then
=============================================  =========================================================================
the store says so (L{IReplaceableStore})       all known names are compared, anew if a comparison is under way, and
                                               however short ago the last one was
a refusal or a read shows a version that is    the subscribers of the record are told at once. All known names are
lower than the one that clients have, or no    compared, unless that was done in the last L{COMPARE_AGAIN_SECONDS}
record. With other nodes, no record is no
sign: one of them may have deleted it
=============================================  =========================================================================

The known names are those in the memory cache, the most recently used first, and the subscribed names. A record that is
set aside answers no request, so a request that comes meanwhile is decided on the record of the arbiter.

Subscribers are sent the record as UPDATE, or DELETED if it is gone, whatever version they have. Clients of both
generations take an UPDATE of any version: if it is not the next one, they merge, and by default the remote record wins.
A write that a client sent before it was told has a version that means another record now. It is refused as any other
write of a wrong version. If other writes have used up the versions between, it may be accepted by accident; so all
copies of the record are C{refused} (L{dstwist.services.record.replicas}), and a client whose write is accepted is
sent the record once more.

Only the names are compared whose arbiter is the store that has gone back. A cache in another server is swept
(L{dstwist.services.record.sweep}), whether it has gone back itself or the storage behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.task import deferLater

from dstwist.errors import StoreError
from dstwist.interfaces import IDoubtingCache
from dstwist.log import Logger, shown
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.record import Record
from dstwist.scheduling.time_slices import TurnPause
from dstwist.scheduling.turns import Turns
from dstwist.services.record.failures import RecordError
from dstwist.services.record.parts import RecordParts
from dstwist.services.record.passed_on import Versions
from dstwist.services.record.sweep import CacheSweep
from dstwist.store.tiers import STORAGE_TIER, ReplaceableArbiter, within

#: How many names the store is asked for at once, and how many of these questions are under way.
BATCH_NAMES = 500
BATCHES_UNDER_WAY = 4

#: The shortest time between two comparisons because of a version in an ordinary answer, in seconds. A store whose
#: records expire gives many such answers.
COMPARE_AGAIN_SECONDS = 60.0

#: How long a question that failed waits for the next attempt, in seconds: the first and the longest time.
FIRST_RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 5.0

#: How many names of lost records the log has.
NAMED_RECORDS = 10

#: The request of the server itself.
_COMPARE = Message(Topic.RECORD, RecordAction.NOTIFY)


class _Run:
    """
    One comparison of all known names.

    @ivar names: the names that are not taken yet.
    @ivar sign: the record that is the sign; C{None} if the store said so. Its subscribers are told already.
    @ivar compared: how many names were compared.
    @ivar lost: how many records are gone, or have a lower version.
    @ivar named: the first of their names.
    @ivar workers: how many questions may still follow each other.
    """

    __slots__ = ("compared", "lost", "named", "names", "sign", "workers")

    def __init__(self, sign: str | None) -> None:
        self.names: Iterator[str] = iter(())
        self.sign = sign
        self.compared = 0
        self.lost = 0
        self.named: list[str] = []
        if sign is not None:
            self.compared = 1
            self.add_lost(sign)
        self.workers = BATCHES_UNDER_WAY

    def add_lost(self, name: str) -> None:
        """
        A record is gone, or has a lower version.
        """
        self.lost += 1
        if len(self.named) < NAMED_RECORDS:
            self.named.append(name)


class Comparison:
    """
    Compares one arbiter.

    @param arbiter: the store, which calls L{reconnected}.
    @param sweep: the sweep of the cache; C{None} if the cache needs none.
    """

    _log = Logger()

    def __init__(
        self, arbiter: ReplaceableArbiter, parts: RecordParts, passed_on: Versions, sweep: CacheSweep | None
    ) -> None:
        self._tier = tier = arbiter.tier
        self._sweep = sweep
        # A cache in front of a storage may be the arbiter of no record.
        self._decides = (
            tier == STORAGE_TIER or parts.tiers.storage is None or bool(parts.settings.storage_exclusion_prefixes)
        )
        self._heads = arbiter.store.heads
        self._tiers = parts.tiers
        self._cache = IDoubtingCache(parts.tiers.cache, None) if tier == STORAGE_TIER else None
        self._queue = parts.queue
        self._reconciliation = parts.reconciliation
        self._subscriptions = parts.subscriptions
        self._replicas = parts.replicas
        self._news = parts.news
        self._passed_on = passed_on
        self._nodes = parts.nodes
        self._timeout = parts.settings.storage_retrieval_timeout
        self._step_timeout = parts.settings.write_timeout
        self._clock = parts.clock
        self._turns = Turns.of(parts.clock)
        self._run: _Run | None = None
        self._next = float("-inf")
        self._waits: set[Deferred[None]] = set()
        self._stopped = False

    # -- signs

    def reconnected(self, reason: str | None) -> None:
        """
        The store can be used again.

        @param reason: why it may have less than before; C{None} if it has what it had.
        """
        self._reconciliation.retry()
        if reason is not None:
            self.begin(reason)

    def begin(self, reason: str, sign: str | None = None) -> None:
        """
        Compare all known names. If a comparison is under way, it begins anew.

        @param reason: the sign, for the log.
        @param sign: the record that is the sign.
        """
        if self._stopped:
            return
        self._next = self._clock.seconds() + COMPARE_AGAIN_SECONDS
        if self._sweep is not None:
            self._sweep.begin()
        if self._cache is not None:
            self._cache.set_aside()
        self._log.warn(
            "STORE_GONE_BACK | the {where} may have less than before: {reason}; records are compared",
            where=self._tier,
            reason=reason,
            event="STORE_GONE_BACK",
        )
        if not self._decides:
            return
        if self._nodes is not None:
            self._nodes.lost()
        self._run = run = _Run(sign)
        run.names = self._known_names()
        for _ in range(run.workers):
            work = Deferred.fromCoroutine(self._compare(run))
            work.addErrback(lambda failure: self._log.failure("the comparison of records failed", failure))
            work.addCallback(lambda _: self._ended(run))

    def is_sign(self, record: Record | None, version: int) -> bool:
        """
        Whether it is a sign that the arbiter has C{record} where clients have C{version}. With other nodes, a record
        that is gone is none: one of them may have deleted it.
        """
        return (record is not None or self._nodes is None) and (-1 if record is None else record.version) < version

    async def check(self, name: str, record: Record | None) -> None:
        """
        For a step of the record's queue: the arbiter has given C{record} as an answer. If subscribers have a higher
        version, this is a sign.
        """
        passed = self._passed_on.version(name)
        if passed is not None and self.is_sign(record, passed):
            await self.found_lower(name, record)

    async def found_lower(self, name: str, record: Record | None) -> None:
        """
        For a step of the record's queue: the arbiter has a lower version than the one that clients have, or no record,
        which is a sign.
        """
        await self._tell(name, record)
        if self._run is not None:
            self._run.add_lost(name)
        elif self._clock.seconds() >= self._next:
            version = "is gone" if record is None else f"has version {record.version} again"
            self.begin(f"the record {shown(name)} {version}", name)

    def stop(self) -> None:
        """
        Compare nothing from now on.
        """
        self._stopped = True
        self._run = None
        if self._sweep is not None:
            self._sweep.stop()
        for wait in list(self._waits):
            wait.cancel()

    # -- the work

    def _known_names(self) -> Iterator[str]:
        cache, subscriptions = self._cache, self._subscriptions
        seen: set[str] = set()
        while cache is not None and (names := cache.next_aside(BATCH_NAMES)):
            seen.update(name for name in names if name in subscriptions)
            yield from names
        arbiter, tier = self._tiers.arbiter, self._tier
        for name in list(subscriptions.names()):
            if name not in seen and arbiter(name)[1] == tier:
                yield name

    async def _compare(self, run: _Run) -> None:
        """
        Ask one question after the other.
        """
        pause = TurnPause(self._turns)
        while run is self._run and (names := list(islice(run.names, BATCH_NAMES))):
            versions = await self._ask(run, names)
            if run is self._run:
                await self._judge(run, names, versions, pause)
            if pause.due():
                await pause.wait()

    async def _ask(self, run: _Run, names: list[str]) -> dict[str, int]:
        """
        The versions that the store has, as soon as it answers.
        """
        wait = FIRST_RETRY_SECONDS
        while run is self._run:
            try:
                versions: dict[str, int] = await within(self._heads(names), self._timeout, self._clock)
                return versions
            except (StoreError, TimeoutError):
                # The store is away again. The log has the reason, from the part that noticed it.
                await self._wait(wait)
                wait = min(wait * 2, MAX_RETRY_SECONDS)
        return {}

    async def _wait(self, seconds: float) -> None:
        wait: Deferred[None] = deferLater(self._clock, seconds)
        self._waits.add(wait)
        try:
            await wait
        except CancelledError:
            pass  # L{stop}
        finally:
            self._waits.discard(wait)

    async def _judge(self, run: _Run, names: list[str], versions: dict[str, int], pause: TurnPause) -> None:
        """
        Compare the answer to one question. Returns when the subscribers of these names are told.
        """
        cache = self._cache
        told: list[Deferred[None]] = []
        for name in names:
            if pause.due():
                await pause.wait()
                if run is not self._run:
                    return
            run.compared += name != run.sign
            found = versions.get(name, -1)
            passed = self._passed_on.version(name)
            lost = False
            if cache is not None and (kept := cache.aside(name)) is not None:
                # With other nodes, the same version may be another record.
                if kept == found and self._nodes is None:
                    cache.confirm(name)
                else:
                    cache.drop(name)
                    # A deletion may be under way.
                    lost = found < kept and name not in self._queue.busy
                if passed is None:
                    passed = kept
            if passed != found and name in self._subscriptions:
                served: Deferred[None] = Deferred()
                told.append(served)
                step = partial(self._compare_in_turn, run)
                self._queue.submit(step, name, _COMPARE, None, partial(served.callback, None), always=True)
            elif lost and name != run.sign:
                run.add_lost(name)
        for served in told:
            try:
                await within(served, self._step_timeout, self._clock)
            except TimeoutError:
                pass  # A request for the record waits for something else, such as a permission. The step follows it.

    async def _compare_in_turn(self, run: _Run, name: str, message: Message, sender: None) -> None:
        """
        Make sure of a difference, and tell the subscribers. The version may have changed since it was asked for.
        """
        passed = self._passed_on.version(name)
        if name in self._tiers.unresolved:
            # This tells the subscribers, and those whose writes have failed.
            await self._reconciliation.try_to_reconcile(name)
            return
        try:
            record = await self._reconciliation.refresh(name)
        except RecordError:
            return  # The record is unresolved now. When it can be read, the subscribers are told.
        found = -1 if record is None else record.version
        if passed is not None and found < passed:
            run.add_lost(name)
        if found != passed:
            await self._tell(name, record)

    async def _tell(self, name: str, record: Record | None) -> None:
        pause = TurnPause(self._turns)
        for subscriber in self._subscriptions.subscribers(name):
            self._replicas.refused(name, subscriber)
            if pause.due():
                # No other request for the record is served meanwhile.
                await pause.wait()
        self._news.refreshed(name, record)

    def _ended(self, run: _Run) -> None:
        run.workers -= 1
        if run.workers or run is not self._run:
            return
        self._run = None
        if self._nodes is not None:
            self._nodes.compared()
        if run.lost:
            self._log.error(
                "STORE_GONE_BACK | the {where} has lost writes of {lost} of {compared} records: {names}",
                where=self._tier,
                lost=run.lost,
                compared=run.compared,
                names=", ".join(map(shown, run.named)) + (", ..." if run.lost > len(run.named) else ""),
                event="STORE_GONE_BACK",
            )
        else:
            self._log.info(
                "STORE_GONE_BACK | the {where} has the same versions of all {compared} records that are known here",
                where=self._tier,
                compared=run.compared,
                event="STORE_GONE_BACK",
            )
