"""
Histories of simulated clusters (L{tests.cluster.simulation}), and the proof that they find mistakes.

C{python -m tests.cluster.simulation.run 10000} runs more of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster import leases, messages
from dstwist.cluster.absences import Absences
from dstwist.cluster.comparison import Comparison
from dstwist.cluster.holdings import Holdings
from dstwist.cluster.interest import Interest
from dstwist.cluster.members import Membership
from dstwist.cluster.messages import Envelope
from dstwist.cluster.owned import OwnedPartition
from dstwist.cluster.peers import Peers
from dstwist.cluster.recent_writes import RecentWrites
from dstwist.cluster.record_news import Change, News, NewsGate
from dstwist.cluster.subjects import Subjects
from dstwist.cluster.table import Table
from dstwist.cluster.table_memory import MemoryTable
from dstwist.cluster.unsent_news import UnsentNews
from dstwist.services.record import node_news
from dstwist.services.record.comparison import Comparison as RecordComparison
from dstwist.services.record.nodes import RecordNodes
from dstwist.store.tiers import TieredStore
from tests.cluster.simulation.arbiter import NodeStore
from tests.cluster.simulation.run import PLANS, seed_of
from tests.cluster.simulation.world import World

#: How many histories of each kind the suite runs. Each history takes about 0.2 s of CPU.
HISTORIES = 5

#: In how many histories a mistake is looked for.
MAX_HISTORIES = 200


def wrong_in(plan: str, number: int) -> dict[str, int]:
    """
    What is wrong in one history of that kind.
    """
    return dict(World(seed_of(plan, number), PLANS[plan]).run().wrong)


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
    yield patch.object(leases, "MAX_GAP_INTERVALS", 1e9)


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

    def close(self: Absences, is_answered: object) -> list[str]:
        gone = [key for key in self if self._is_due(key, self._now())]
        for key in gone:
            self.end(key)
        return gone

    yield patch.object(Absences, "close", close)


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

    def complete(decide: Callable[..., int]) -> Callable[..., int]:
        def mutated(self: OwnedPartition, *room: int) -> int:
            if not self.is_complete:
                self.is_complete = True
                self._changed.update(dict.fromkeys(self._watchers))
            return decide(self, *room)

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
        if news.change is Change.LOOK:
            self.look(news.name)
        else:
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
    A record is read for its first subscriber before the bus has the subject.
    """
    yield _method(Subjects, "want", lambda want: lambda self, name: want(self, name) and None)


def no_subscription_again() -> Patches:
    """
    Subjects are not asked for again when the bus is back.
    """

    def recover(self: Interest) -> None:
        self._is_ready = True

    yield patch.object(Interest, "_recover", recover)


def no_unsent_news() -> Patches:
    """
    A node does not tell of records that it has written without a bus.
    """
    yield patch.object(UnsentNews, "published", lambda *ignored: None)


def no_fence() -> Patches:
    """
    A write that is in doubt may take effect after its outcome was looked up.
    """
    yield patch.object(NodeStore, "_fence", lambda self: None)


def reads_cache() -> Patches:
    """
    Records are read from the cache of the node.
    """
    yield patch.object(TieredStore, "share", lambda self: None)


def out_of_turn() -> Patches:
    """
    News is passed on while a client subscribes.
    """

    def received(self: RecordNodes, name: str, payload: bytes) -> None:
        self._receive(node_news.decode(name, payload))

    yield patch.object(RecordNodes, "_received", received)


def always_follows() -> Patches:
    """
    The change of a write that skips versions is sent.
    """
    yield patch.object(NewsGate, "follows", lambda self, name, version: True)


def no_question_after_loss() -> Patches:
    """
    After the store has lost writes, nodes do not ask each other what they have written since.
    """
    yield patch.object(RecentWrites, "ask", lambda self: self._all_heard())


def no_doubt() -> Patches:
    """
    After the store has lost writes, news of the next version is passed on.
    """
    yield patch.object(NewsGate, "doubt_all", lambda self: None)


def no_comparison_after_loss() -> Patches:
    """
    A store that has lost writes is taken for one that has what it had.
    """
    yield patch.object(RecordComparison, "begin", lambda *ignored: None)


def confirms_same_version() -> Patches:
    """
    After the store has lost writes, a record in the memory of a node counts as that of the store if it has its version.
    """

    def confirming(init: Callable[..., None]) -> Callable[..., None]:
        def __init__(self: RecordComparison, *args: Any) -> None:
            init(self, *args)
            if self._cache is not None:
                self._cache.drop = self._cache.confirm  # type: ignore[method-assign]

        return __init__

    yield _method(RecordComparison, "__init__", confirming)


#: Mistakes, and the kind of histories that show each soonest.
MUTATIONS: dict[Callable[[], Patches], str] = {
    no_expiry: "all",
    no_lease_in_verdict: "late verdicts",
    no_series: "all",
    decides_while_giving: "late store",
    goes_back: "store goes back",
    no_numbers: "bus repeats",
    no_digests: "all",
    no_sums: "all",
    no_question: "bus loses",
    no_released: "bus loses",
    no_collecting: "all",
    no_told: "all",
    no_new_number: "all",
    old_members: "all",
    no_gate: "all",
    no_reading: "no comparison",
    no_comparison: "bus loses",
    nothing_is_late: "bus away",
    read_first: "slow answers",
    no_subscription_again: "bus away",
    no_unsent_news: "bus away",
    no_fence: "late store",
    reads_cache: "all",
    out_of_turn: "busy records",
    always_follows: "busy records",
    no_question_after_loss: "store loses",
    no_doubt: "store is emptied",
    no_comparison_after_loss: "store loses",
    confirms_same_version: "store is emptied",
}


class MutationTests(SynchronousTestCase):
    """
    The simulation finds each of some mistakes.
    """

    def find(self, mutation: Callable[[], Patches]) -> None:
        with ExitStack() as stack:
            for each in mutation():
                stack.enter_context(each)
            found = any(wrong_in(MUTATIONS[mutation], number) for number in range(MAX_HISTORIES))
        self.assertTrue(found, mutation.__doc__)


def _add_tests() -> None:
    for mutation in MUTATIONS:

        def test(self: MutationTests, mutation: Callable[[], Patches] = mutation) -> None:
            self.find(mutation)

        test.__doc__ = mutation.__doc__
        setattr(MutationTests, f"test_{mutation.__name__}", test)


_add_tests()


class HistoryTests(SynchronousTestCase):
    """
    Histories of product code.
    """

    def check(self, plan: str) -> None:
        wrong = {number: found for number in range(HISTORIES) if (found := wrong_in(plan, number))}
        self.assertEqual(wrong, {}, f"the histories of the kind {plan!r}, by number")

    def test_histories(self) -> None:
        """
        Nothing is wrong in any of them, whatever fails.
        """
        for plan in PLANS:
            self.check(plan)

    def test_again(self) -> None:
        """
        A history follows from its seed alone.
        """
        once, again = (World(seed_of("all", 1), PLANS["all"]).run() for _ in range(2))
        self.assertEqual((once.network.carried, once.arbiter.log), (again.network.carried, again.arbiter.log))
