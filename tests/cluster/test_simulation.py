"""
Histories of simulated clusters (L{tests.cluster.simulation}), and the proof that they find mistakes.

C{python -m tests.cluster.simulation.run 10000} runs more of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster import members, messages
from dstwist.cluster.comparison import Comparison
from dstwist.cluster.holdings import Holdings
from dstwist.cluster.interest import Interest
from dstwist.cluster.members import Membership
from dstwist.cluster.messages import Envelope
from dstwist.cluster.owned import OwnedPartition
from dstwist.cluster.peers import Peers
from dstwist.cluster.record_news import News, NewsGate
from dstwist.cluster.table import Assignment, Table
from dstwist.cluster.table_memory import MemoryTable
from tests.cluster.simulation.records import Records
from tests.cluster.simulation.run import plan_of
from tests.cluster.simulation.world import World

#: How many histories the suite runs. Each takes some 0.12 s of CPU.
HISTORIES = 60

#: Histories in which the simulation has found a mistake in the product, and the mistake.
FOUND = {
    787: "a user who changed nodes while a question was open was told to be gone",
    2247: "a member that had missed the end of an old question was taken for silent",
}


def wrong_in(seed: int) -> dict[str, int]:
    """
    What is wrong in the history with that seed.
    """
    return dict(World(seed, plan_of(seed)).run().wrong)


class HistoryTests(SynchronousTestCase):
    """
    Nothing is wrong in any history.
    """

    def check(self, seeds: Iterable[int]) -> None:
        wrong = {seed: found for seed in seeds if (found := wrong_in(seed))}
        self.assertEqual(wrong, {})

    def test_histories(self) -> None:
        """
        The first histories.
        """
        self.check(range(HISTORIES))

    def test_found(self) -> None:
        """
        Histories that were wrong once.
        """
        self.check(FOUND)


Patches = Iterator[AbstractContextManager[Any]]


def _method(cls: type, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Any:
    return patch.object(cls, name, make(getattr(cls, name)))


def no_expiry() -> Patches:
    """
    An owner decides although its lease is old.
    """

    def may_decide(self: Membership, partition: int) -> bool:
        return self.assignments[partition] == self._read.assignments[partition] and self.owns(partition)

    yield patch.object(Membership, "may_decide", may_decide)


def no_lease_in_verdict() -> Patches:
    """
    A node is found dead although its lease has moved before the verdict was executed.
    """
    yield _method(MemoryTable, "replace", lambda replace: lambda self, old, new, forget=(): replace(self, old, new))


def no_series() -> Patches:
    """
    Readings count that are far apart: an outage of the store makes nodes dead.
    """
    yield patch.object(members, "MAX_GAP_INTERVALS", 1e9)


def decides_while_giving() -> Patches:
    """
    A node decides about a partition that it may have given away.
    """

    class Nothing(set[int]):
        def __ior__(self, other: object) -> Nothing:  # type: ignore[override]
            return self

    def forgetful(init: Callable[..., None]) -> Callable[..., None]:
        def __init__(self: Membership, *args: Any, **kw: Any) -> None:
            init(self, *args, **kw)
            self._given = Nothing()

        return __init__

    yield _method(Membership, "__init__", forgetful)


def goes_back() -> Patches:
    """
    A node takes the table of a store that has gone back as it is.
    """
    yield patch.object(Table, "merged", lambda self, stale: stale)
    yield patch.object(Table, "repaired", lambda self, known, version: self)


def no_token() -> Patches:
    """
    Messages of owners that were replaced count.
    """

    def heard(self: Membership, partition: int, owner: str, token: int) -> bool:
        if token > self.assignments[partition].token:
            self.assignments[partition] = Assignment(owner, token)
        return True

    yield patch.object(Membership, "heard", heard)


def no_numbers() -> Patches:
    """
    Messages that arrive twice count twice.
    """
    count = iter(range(1, 10**9))

    def renumbered(decode: Callable[[bytes], Envelope]) -> Callable[[bytes], Envelope]:
        return lambda payload: decode(payload)._replace(number=next(count))

    yield patch.object(messages, "decode", renumbered(messages.decode))


def no_digests() -> Patches:
    """
    Owners do not notice that they have other entries than a member.
    """
    yield patch.object(OwnedPartition, "differs", lambda self, node, digest: False)


def no_sums() -> Patches:
    """
    Watchers do not notice that they were told something else.
    """
    yield patch.object(Holdings, "summed", lambda *ignored: None)


def no_question() -> Patches:
    """
    A name is gone at the end of its grace time.
    """

    def close(self: OwnedPartition) -> None:
        for key, began in list(self._grace.items()):
            if began + self._grace_time(key) <= self._now():
                del self._grace[key]
                self._changed[key] = None

    yield patch.object(OwnedPartition, "_close_questions", close)


def no_released() -> Patches:
    """
    Members do not say what they have released lately.
    """
    answered = OwnedPartition.answered
    yield patch.object(
        OwnedPartition, "answered", lambda self, node, number, held, _: answered(self, node, number, held, ())
    )


def no_collecting() -> Patches:
    """
    A new owner does not wait for the members.
    """

    def complete(decide: Callable[..., None]) -> Callable[..., None]:
        def mutated(self: OwnedPartition) -> None:
            if not self._is_complete:
                self._is_complete = True
                self._changed.update(dict.fromkeys(self._watchers))
            decide(self)

        return mutated

    yield _method(OwnedPartition, "decide", complete)


def no_told() -> Patches:
    """
    A new owner does not learn what clients were told.
    """
    collect = OwnedPartition._collect
    yield patch.object(
        OwnedPartition, "_collect", lambda self, member, part, parts, told: collect(self, member, part, parts, ())
    )


def no_new_number() -> Patches:
    """
    A node that was found dead goes on under its old name.
    """
    yield patch.object(Membership, "_take_new_number", lambda self: None)


def old_members() -> Patches:
    """
    Messages of nodes that are dead count.
    """
    yield patch.object(Peers, "_changed", lambda self: None)


def no_gate() -> Patches:
    """
    All news is passed on.
    """

    def pass_all(self: NewsGate, news: News) -> None:
        self._pass_on(news)

    yield patch.object(NewsGate, "_sort_one", pass_all)


def no_reading() -> Patches:
    """
    Early news is kept for ever.
    """
    yield _method(NewsGate, "look", lambda look: lambda self, name, force=False: None)


def no_comparison() -> Patches:
    """
    Versions are not compared.
    """
    yield patch.object(Comparison, "_compare", lambda *ignored: None)


def nothing_is_late() -> Patches:
    """
    When the bus is back, records are not compared.
    """
    yield patch.object(Comparison, "compare", lambda *ignored: None)


def read_first() -> Patches:
    """
    News that comes while the first subscriber waits is not kept.
    """
    yield patch.object(NewsGate, "begin", lambda *ignored: None)


def no_subscription_again() -> Patches:
    """
    Subjects are not asked for again when the bus is back.
    """

    def recover(self: Interest) -> None:
        self._is_ready = True

    yield patch.object(Interest, "_recover", recover)


def no_fence() -> Patches:
    """
    A write that is in doubt may take effect after its outcome was looked up. This is a mutation of the model of the
    record service.
    """
    yield patch.object(Records, "_fence", lambda self: None)


MUTATIONS = [
    value for value in list(globals().values()) if getattr(value, "__annotations__", {}).get("return") == "Patches"
]
