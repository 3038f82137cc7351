"""
Comparing the versions that subscribers have with those of the arbiter.

News that the bus has lost shows at the next news of the same record, or here:

- All records with subscribers are compared once in each C{compareInterval}, spread over it.
- Records of which news may have been missed are compared at once, in the order in which they were reported
  (L{dstwist.cluster.interest}), before all others.
- Records that could not be read again are compared in the next step.

Versions are asked for in batches, of which a few are under way at a time. A record with another version is read again
(L{NewsGate.differs<dstwist.cluster.record_news.NewsGate.differs>}). So comparing costs one small operation for some
hundred records, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from dstwist.cluster.record_news import NewsGate
from dstwist.config.cluster import ClusterSettings


class Comparison:
    """
    Compares the records of one node.

    @param heads: the versions that the arbiter has of some records; -1 if there is no record. It watches the time.
    """

    def __init__(
        self,
        gate: NewsGate,
        heads: Callable[[Iterable[str]], Deferred[dict[str, int]]],
        clock: IReactorTime,
        settings: ClusterSettings,
    ) -> None:
        self._gate = gate
        self._heads = heads
        self._clock = clock
        self._steps = max(1, round(settings.compare_interval / settings.lease_interval))
        self._step_seconds = settings.compare_interval / self._steps
        self._batch = settings.heads_batch
        self._window = settings.heads_window
        # The records that are compared at once. A dict is a set that keeps its order.
        self._urgent: dict[str, None] = {}
        self._round: Iterator[str] = iter(())
        # How many records are to be compared in this step, times the steps.
        self._due = 0
        self._under_way = 0
        self._timer: IDelayedCall | None = None
        gate.read_failed = self._compare_soon
        # The store has failed in this step.
        self._paused = False
        self._filling = False

    @property
    def waiting(self) -> int:
        """
        How many records are to be compared at once, and are not yet.
        """
        return len(self._urgent)

    def start(self) -> None:
        """
        Compare all records from now on.
        """
        self._timer = self._clock.callLater(self._step_seconds, self._step)

    def stop(self) -> None:
        """
        Ask for no versions any more.
        """
        self._paused = True
        self._urgent.clear()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def compare(self, name: str) -> None:
        """
        Compare C{name} at once: news of it may have been missed.
        """
        if self._gate.version(name) is not None:
            self._urgent[name] = None
            self._fill_window()

    def _compare_soon(self, name: str) -> None:
        self._urgent[name] = None

    def _step(self) -> None:
        self._timer = self._clock.callLater(self._step_seconds, self._step)
        self._paused = False
        # After an outage of the store, a round is not made up for.
        self._due = min(self._due + len(self._gate), len(self._gate) * self._steps)
        self._fill_window()

    def _fill_window(self) -> None:
        if self._filling:
            return  # A store that answers at once: the loop goes on.
        self._filling = True
        try:
            while self._under_way < self._window and not self._paused:
                names = list(islice(self._urgent, self._batch))
                for name in names:
                    del self._urgent[name]
                if not names:
                    names = self._next_of_round()
                if not names:
                    return
                self._under_way += 1
                answered = self._heads(names).addCallbacks(self._compare, self._failed, (names,), errbackArgs=(names,))
                answered.addBoth(self._ended)
        finally:
            self._filling = False

    def _next_of_round(self) -> list[str]:
        count = min(self._due // self._steps, self._batch)
        if not count:
            return []
        self._due -= count * self._steps
        names = list(islice(self._round, count))
        if not names:
            # The records of the next round; those that are new since then follow in the round after it.
            self._round = iter(list(self._gate.names))
            names = list(islice(self._round, count))
        return names

    def _compare(self, heads: dict[str, int], names: list[str]) -> None:
        for name in names:
            version = heads.get(name)
            if version is not None and self._gate.differs_from(name, version):
                self._gate.differs(name)

    def _failed(self, failure: Failure, names: list[str]) -> None:
        # The store is away. The next step begins with these records.
        self._urgent = {**dict.fromkeys(names), **self._urgent}
        self._paused = True

    def _ended(self, _: object) -> None:
        self._under_way -= 1
        self._fill_window()
