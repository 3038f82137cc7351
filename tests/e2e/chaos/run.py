"""
The rounds of the chaos test::

    load ... fault ... load while everything recovers | rest: within a few seconds all is as it must be | load ...

After a fault nothing is waited for but that each client has what it must have.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.task import LoopingCall, deferLater

from tests.e2e.chaos import faults
from tests.e2e.chaos.book import Book
from tests.e2e.chaos.client import Actor, Stage
from tests.e2e.chaos.cluster import Cluster
from tests.e2e.chaos.events import Emitter
from tests.e2e.chaos.listening import Listener, Wanter, wrong_providers
from tests.e2e.chaos.presence import NamedWatcher, Visitor, Watcher
from tests.e2e.chaos.record_book import RecordBook
from tests.e2e.chaos.records import Deleter, Reader, Subscriber, Writer
from tests.e2e.chaos.rpc import Caller, Provider

#: How long it may take until all is as it must be, once bus, store and nodes are back.
CONVERGENCE_SECONDS = 5.0

#: How often each client does something, and how often it asks at rest.
ACT_SECONDS = 0.05
ASK_SECONDS = 0.2
LOOK_SECONDS = 0.02

#: How late this process may be; and how long all may take, however slow the machine is.
STALL_SECONDS = 0.25
MOST_SECONDS = 60.0

#: How long there is load before a fault, and after it.
MOST_LOAD_SECONDS = 0.8
LOAD_AFTER_SECONDS = 0.3

#: After how many rounds there are new records.
EPOCH_ROUNDS = 3

#: The clients of each node: class and generation.
CLIENTS: tuple[tuple[type[Actor], str], ...] = (
    (Visitor, "v4"),
    (Visitor, "v3"),
    (Watcher, "v4"),
    (Watcher, "v3"),
    (NamedWatcher, "v4"),
    (NamedWatcher, "v3"),
    (Provider, "v4"),
    (Provider, "v3"),
    (Caller, "v4"),
    (Caller, "v3"),
    (Writer, "v4"),
    (Writer, "v3"),
    (Deleter, "v4"),
    (Reader, "v4"),
    (Subscriber, "v4"),
    (Subscriber, "v3"),
    (Emitter, "v4"),
    (Emitter, "v3"),
    (Listener, "v4"),
    (Listener, "v3"),
    (Wanter, "v4"),
    (Wanter, "v3"),
)


class ChaosTest:
    """
    A cluster under load, to which faults happen.

    @param logs: where the logs of the nodes are kept.
    @param tell: is called with each line of the output.
    @param kinds: only faults of these kinds.
    """

    def __init__(
        self,
        reactor: Any,
        logs: Path,
        seed: int,
        tell: Callable[[str], object],
        kinds: tuple[str, ...] | None = None,
        tier: str = "storage",
        patience: float = CONVERGENCE_SECONDS,
    ) -> None:
        self._reactor = reactor
        self._random = random.Random(seed)
        self._tell = tell
        self._kinds = kinds
        self._logs = logs
        self._patience = patience
        self._slowest = 0.0
        self.book = book = Book(lambda problem: tell(f"    PROBLEM: {problem}"))
        self.cluster = cluster = Cluster(reactor, logs, tier=tier)
        clients = [(kind, generation, name) for name in cluster.names for kind, generation in CLIENTS]
        writers = tuple(_name(*client) for client in clients if client[0] is Writer)
        self._stage = stage = Stage(reactor, cluster, book, RecordBook(book, cluster, writers, seed))
        stage.actors += [
            kind(stage, _name(kind, generation, name), generation, name) for kind, generation, name in clients
        ]
        self.actors = stage.actors

    async def run(self, count: int) -> Book:
        """
        Have C{count} rounds, or fewer: a problem ends them.
        """
        await self.cluster.begin()
        acting, beating = LoopingCall(self._each, "act"), LoopingCall(self._each, "beat")
        acting.clock = beating.clock = self._reactor
        try:
            for actor in self.actors:
                actor.connect()
            beating.start(1.0)
            await self._rest("at the start", [])
            for number in range(1, count + 1):
                round_faults = faults.plan(self._random, self.cluster.names, self._kinds)
                text = f"{number}: {' + '.join(map(str, round_faults))}"
                self._tell(text)
                self._begin_round(number, round_faults)
                acting.start(ACT_SECONDS)
                await deferLater(self._reactor, self._random.uniform(0.1, MOST_LOAD_SECONDS))
                await faults.run(self.cluster, round_faults, self._reactor)
                over = self._reactor.seconds()
                await deferLater(self._reactor, LOAD_AFTER_SECONDS)
                acting.stop()
                await self._rest(text, round_faults, over)
                if self.book.problems:
                    break
                self.book.count("faults")
        finally:
            for loop in (acting, beating):
                if loop.running:
                    loop.stop()
            for actor in self.actors:
                actor.end()
            await self.cluster.end()
            if self.book.problems:
                self._keep_traces()
        self._tell(f"{self.book}; the slowest convergence took {self._slowest:.2f} s")
        return self.book

    def _keep_traces(self) -> None:
        for actor in self.actors:
            (self._logs / f"{actor.name}.trace").write_text("\n".join([*actor.trace, ""]), encoding="utf-8")

    def _begin_round(self, number: int, round_faults: Sequence[faults.Fault]) -> None:
        """
        Turn a page of the book.
        """
        book, records = self.book, self._stage.records
        book.left.clear()
        book.doubtful = {node for fault in round_faults for node in fault.doubtful(self.cluster.names)}
        if records.was_emptied or number % EPOCH_ROUNDS == 0:
            records.begin_epoch()
            for actor in self.actors:
                actor.begin_epoch()
        if any(fault.kind == "empty redis" for fault in round_faults):
            records.lose()

    async def _rest(self, text: str, round_faults: Sequence[faults.Fault], since: float | None = None) -> None:
        """
        Come back when all is as it must be, or complain.
        """
        stage, records = self._stage, self._stage.records
        since = self._reactor.seconds() if since is None else since
        stage.rests += 1
        for actor in self.actors:
            actor.begin_rest()

        def ask() -> None:
            records.look()
            self._each("ask")

        asking = LoopingCall(ask)
        asking.clock = self._reactor
        asking.start(ASK_SECONDS).addErrback(lambda failure: self.book.complain(failure.getTraceback()))
        try:
            await self._until_right(text, since)
            self._slowest = max(self._slowest, self._reactor.seconds() - since)
            stage.is_sure = True
            self._each("begin_sure")
            await self._until_right(f"events after {text}", self._reactor.seconds())
        finally:
            stage.is_sure = False
            if asking.running:
                asking.stop()

    async def _until_right(self, text: str, since: float) -> None:
        """
        Come back when nothing is wrong, or complain. If the machine has no time for this process, it has none for the
        nodes either; then they get more time.
        """
        latest = since + MOST_SECONDS
        while problems := self._wrong():
            now = self._reactor.seconds()
            if now > min(since + self._patience, latest):
                for problem in problems:
                    self.book.complain(f"{problem} ({self._patience} s after {text})")
            if self.book.problems:
                return
            await deferLater(self._reactor, LOOK_SECONDS)
            if self._reactor.seconds() > now + STALL_SECONDS:
                self.book.count("stalls of the machine")
                since = self._reactor.seconds()

    def _wrong(self) -> list[str]:
        away = [f"{actor.name} is not logged in at {actor.node}" for actor in self.actors if actor.wire is None]
        of_actors = [problem for actor in self.actors for problem in actor.wrong()]
        return away + of_actors + self._stage.records.wrong() + wrong_providers(self.actors)

    def _each(self, call: str) -> None:
        for actor in self.actors:
            if actor.wire is not None:
                getattr(actor, call)()


def _name(kind: type[Actor], generation: str, node: str) -> str:
    return f"{kind.__name__.lower()}-{generation}-{node}"
