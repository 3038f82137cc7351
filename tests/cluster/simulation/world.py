"""
A cluster of product code in simulated time: its clients, and the faults of one history.

A history has two phases. First clients come and go while engines and nodes fail, as a random number decides. Then
nothing fails any more, and after some time everything must agree. All of a history follows from its seed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from twisted.internet.defer import TimeoutError
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure

from dstwist.cluster.record_news import MISSING
from dstwist.config.cluster import ClusterSettings
from dstwist.errors import StoreError
from tests.cluster.simulation import checks
from tests.cluster.simulation.arbiter import Arbiter, Copy
from tests.cluster.simulation.engines import Engine, Faults, SimNetwork
from tests.cluster.simulation.node import Node, User
from tests.cluster.simulation.plan import GRACE, SETTINGS, USER, Plan
from tests.cluster.simulation.time import Time

#: The content of an empty store.
NOTHING = Copy({}, {}, {})


class Floor(NamedTuple):
    """
    What the readers of a record may see.

    @ivar era: how often the store had gone back.
    @ivar entries: how many of the entries were acknowledged.
    """

    era: int
    entries: int


class World:
    """
    One history.

    @ivar wrong: what was found wrong, and how often.
    """

    def __init__(self, seed: int, plan: Plan, settings: ClusterSettings = SETTINGS) -> None:
        self.seed = seed
        self.plan = plan
        self.settings = settings if plan.compares else replace(settings, compare_interval=1e6)
        self.random = random.Random(seed)
        self.time = Time()
        self.faults = Faults(plan.loss, plan.duplicates, plan.late, plan.late_tables, plan.slow)
        self.network = SimNetwork(self.time, self.random, self.faults)
        self.engine = Engine(self.time, self.random, self.faults)
        self.nodes: list[Node] = []
        self.users = [User(f"user{number}") for number in range(plan.users)]
        self.wrong: Counter[str] = Counter()
        self.last_change = 0.0
        self.gone_back = -100.0
        self.lost_at = -100.0
        # Until when the copy is kept to which the records go back.
        self.losing_until = -100.0
        self.suspended = -100.0
        # When the outages of the shared store began, and when it could be used again last.
        self.outages: list[float] = []
        self.store_was_back = -100.0
        # Until when the bus has not carried all.
        self.bus_trouble = -100.0
        self.joins = 0
        self.arbiter = Arbiter()
        self.writes = 0
        self.requests = 0
        self.outcomes: dict[int, bool | None] = {}
        self.floors: dict[str, int] = {}
        # Whether a write in doubt had taken effect when its outcome was looked up.
        self.settled: dict[int, bool] = {}

    def run(self) -> World:
        """
        Let the history happen.
        """
        plan = self.plan
        # Some parts of the product wait for a random time.
        random.seed(self.seed)
        logged: Any = self.logged
        globalLogPublisher.addObserver(logged)
        try:
            return self._run(plan)
        finally:
            globalLogPublisher.removeObserver(logged)

    def _run(self, plan: Plan) -> World:
        for _ in range(plan.nodes):
            self.time.callLater(self.random.uniform(0, 0.5), self.join)
        self.time.callLater(4.0, self.event)
        self.time.callLater(0.1, checks.watch_deciders, self)
        self.time.run(plan.seconds)
        self.come_to_rest()
        self.time.run(plan.seconds + plan.rest)
        checks.check_rest(self)
        return self

    @property
    def living(self) -> list[Node]:
        return [node for node in self.nodes if not node.clock.dead]

    def join(self) -> None:
        self.joins += 1
        self.nodes.append(Node(self, f"node{self.joins}"))

    def random_of_node(self) -> random.Random:
        return random.Random(self.random.random())

    def crashed(self, failure: Failure) -> None:
        self.wrong[f"a node has crashed: {failure.value!r}"] += 1

    def logged(self, event: LogEvent) -> None:
        """
        Something was logged.
        """
        failure = event.get("log_failure")
        if failure is not None and not failure.check(StoreError, TimeoutError):
            self.crashed(failure)

    def acknowledged(self, name: str, token: int) -> None:
        """
        The writer of C{token} was told that it is written.
        """
        self.outcomes[token] = True
        tokens = self.arbiter.tokens(name)
        if token in tokens:
            self.floors[name] = max(self.floors.get(name, 0), tokens.index(token) + 1)

    def floor(self, name: str) -> Floor:
        """
        How many of the entries of a record are acknowledged: what is read from now on is no older, unless the store
        goes back.
        """
        return Floor(self.arbiter.era, self.floors.get(name, 0))

    def was_read(self, name: str, version: int, when_asked: Floor) -> None:
        """
        A client has read that version.

        @param when_asked: as of L{floor} when it has asked.
        """
        era, floor = when_asked
        if era != self.arbiter.era:
            return
        log = self.arbiter.log.get(name, [])
        if version == MISSING:
            fits = not floor or any(entry.token is None for entry in log[floor - 1 :])
        else:
            fits = any(entry.version == version and entry.token is not None for entry in log[max(floor - 1, 0) :])
        if not fits:
            self.wrong["a read is older than an acknowledged write"] += 1

    # -- what happens

    def event(self) -> None:
        """
        Something happens, and something more some time later.
        """
        if self.time.now >= self.plan.seconds:
            return
        rng = self.random
        self.time.callLater(rng.uniform(0.05, 0.35), self.event)
        if self.plan.kinds and rng.random() < self.plan.faults:
            getattr(self, f"fault_{rng.choice(self.plan.kinds)}")()
        self.move_user(rng.choice(self.users))
        awake = [node for node in self.living if node.awake]
        if awake and self.plan.procedures:
            node = rng.choice(awake)
            name = f"procedure{rng.randrange(self.plan.procedures)}"
            if rng.random() < 0.5:
                node.hold(name, name not in node.procedures)
            else:
                node.watch(name, name not in node.watched)
        if awake and self.plan.records:
            for _ in range(self.plan.touches):
                self.touch_record(rng.choice(awake))

    def touch_record(self, node: Node) -> None:
        rng = self.random
        name = f"record{rng.randrange(self.plan.records)}"
        chance = rng.random()
        if chance < 0.45:
            self.writes += 1
            node.records.write(name, self.writes)
        elif chance < 0.5:
            node.records.write(name, None)
        elif chance < 0.55:
            node.records.read(name)
        elif chance < 0.9:
            rng.choice(node.records.subscribers).subscribe(name)
        else:
            rng.choice(node.records.subscribers).unsubscribe(name)

    def move_user(self, user: User) -> None:
        rng = self.random
        if user.node is not None and user.node.clock.dead:
            self.disconnect(user)
        if user.node is None:
            self.connect(user)
            return
        if not user.node.awake:
            return
        chance = rng.random()
        if chance < 0.3:
            self.disconnect(user)
        elif chance < 0.6:
            self.disconnect(user)
            self.time.callLater(rng.uniform(0.01, 0.6 * GRACE), self.connect, user)

    def connect(self, user: User) -> None:
        awake = [node for node in self.living if node.awake]
        if user.node is not None or not awake:
            return
        now = self.time.now
        if now - user.left >= GRACE:
            user.long_away = now
        user.node = self.random.choice(awake)
        user.hosts.append(user.node)
        user.node.directory.hold(USER, user.name)

    def disconnect(self, user: User) -> None:
        if user.node is not None:
            # The connections of a dead node ended when it died.
            user.left = user.node.trouble if user.node.clock.dead else self.time.now
            if not user.node.clock.dead:
                user.node.directory.release(USER, user.name)
            user.node = None

    def for_a_while(self, low: float, high: float, end: Callable[[], object]) -> None:
        self.time.callLater(self.random.uniform(low, high), end)

    def for_a_while_without_bus(self, low: float, high: float, end: Callable[[], object]) -> None:
        seconds = self.random.uniform(low, high)
        # The nodes come back to the bus some time after that.
        self.bus_trouble = max(self.bus_trouble, self.time.now + seconds + 1.0)
        self.time.callLater(seconds, end)

    def may_lose_bus(self) -> bool:
        """
        Whether a loss of the bus can last until it is noticed.
        """
        return self.bus_trouble < self.time.now < self.plan.seconds - 5.0

    def fault_bus(self) -> None:
        """
        The engine of the bus is away; nodes notice it some time later.
        """
        if not self.may_lose_bus():
            return
        self.network.away = True
        for node in self.living:
            node.clock.callLater(self.random.uniform(0.1, 1.5), lambda node=node: self.lose_bus(node))
        self.for_a_while_without_bus(1.6, 5.0, self.bus_back)

    def lose_bus(self, node: Node) -> None:
        if self.network.away or node.bus in self.network.cut_off:
            node.bus.disconnect()

    def bus_back(self) -> None:
        self.network.come_back()
        for node in self.living:
            node.clock.callLater(self.random.uniform(0.05, 1.0), lambda node=node: self.find_bus(node))

    def find_bus(self, node: Node) -> None:
        if not self.network.away and node.bus not in self.network.cut_off and not node.clock.dead:
            node.bus.reconnect()

    def fault_cut(self) -> None:
        """
        One node cannot reach the bus.
        """
        if self.living and self.may_lose_bus():
            node = self.random.choice(self.living)
            self.network.cut_off.add(node.bus)
            node.clock.callLater(self.random.uniform(0.1, 1.5), lambda: self.lose_bus(node))
            self.for_a_while_without_bus(1.6, 6.0, self.bus_back)

    def fault_apart(self) -> None:
        """
        The bus does not carry between two nodes, and no node notices it.
        """
        if len(self.living) > 1:
            one, other = self.random.sample(self.living, 2)
            self.network.apart |= {(one.bus, other.bus), (other.bus, one.bus)}
            self.for_a_while_without_bus(1.0, 4.0, self.network.apart.clear)

    def fault_store(self) -> None:
        self.outages.append(self.time.now)
        self.engine.away = True
        self.for_a_while(0.5, 5.0, self.store_back)

    def store_back(self) -> None:
        self.engine.away = False
        self.store_was_back = self.time.now
        for node in self.living:
            node.clock.callLater(0, node.records.store.reconnect)

    def fault_sleep(self) -> None:
        if self.living:
            node = self.random.choice(self.living)
            node.clock.sleeps_until = self.time.now + self.random.uniform(*self.plan.sleeps)
            node.trouble = node.clock.sleeps_until

    def fault_suspend(self) -> None:
        """
        A node sleeps, and its clock stands still meanwhile.
        """
        if self.living:
            node = self.random.choice(self.living)
            if node.awake:
                seconds = self.random.uniform(2.0, 6.0)
                node.clock.sleeps_until = node.trouble = self.time.now + seconds
                node.clock.lag += seconds
                self.suspended = node.trouble

    def fault_die(self) -> None:
        if len(self.living) > 1:
            node = self.random.choice(self.living)
            node.die()
            self.for_a_while(0.2, 5.0, self.join)

    def fault_leave(self) -> None:
        """
        A node stops in order.
        """
        awake = [node for node in self.living if node.awake and node.membership.is_member]
        if len(self.living) < 3 or not awake:
            return
        node = self.random.choice(awake)
        node.trouble = self.time.now + 2.0
        node.stops = True
        node.membership.hand_over()

        def close() -> None:
            for user in self.users:
                if user.node is node:
                    self.disconnect(user)
            for name in list(node.procedures):
                node.hold(name, False)
            node.membership.leave()

        node.clock.callLater(1.0, close)
        node.clock.callLater(2.0, node.die)
        self.for_a_while(2.0, 4.0, self.join)

    def fault_empty(self) -> None:
        self.engine.empty()
        self.gone_back = self.time.now

    def fault_copy(self) -> None:
        """
        The store goes back to an older copy of the table.
        """
        self.engine.keep_copy()
        self.for_a_while(1.0, 6.0, self.go_back)

    def go_back(self) -> None:
        self.engine.restore_copy()
        self.gone_back = self.time.now

    def fault_lose(self) -> None:
        """
        The store of the records is started again without its last writes, or with no data.
        """
        if self.losing_until > self.time.now:
            return
        seconds = self.random.uniform(0.1, 4.0)
        self.losing_until = self.time.now + seconds
        copy = self.arbiter.copy() if self.random.random() < 0.8 else NOTHING
        self.time.callLater(seconds, self.restart_store, copy)

    def restart_store(self, copy: Copy) -> None:
        self.engine.starts += 1
        self.lose_writes(copy)
        for node in self.living:
            node.clock.callLater(self.random.uniform(0.01, 1.5), self.connect_to_store, node)

    def connect_to_store(self, node: Node) -> None:
        store = node.records.store
        store.connect()
        node.clock.callLater(self.random.uniform(0.001, 0.02), store.tell, "it was started again")

    def fault_flush(self) -> None:
        """
        All records are removed. A node notices it when it looks.
        """
        if self.losing_until > self.time.now:
            return
        self.lose_writes(NOTHING)
        for node in self.living:
            node.clock.callLater(self.random.uniform(0.0, 10.0), node.records.store.tell, "it has other data")

    def lose_writes(self, copy: Copy) -> None:
        self.lost_at = self.time.now
        self.arbiter.go_back(copy)
        for name, floor in self.floors.items():
            self.floors[name] = min(floor, len(self.arbiter.log.get(name, ())))

    def come_to_rest(self) -> None:
        """
        Nothing fails any more.
        """
        self.faults.on = False
        self.store_back()
        self.bus_back()
        for node in self.living:
            node.clock.sleeps_until = min(node.clock.sleeps_until, self.time.now)
        for user in self.users:
            if user.node is not None and user.node.clock.dead:
                self.disconnect(user)

        if self.plan.writes_again:
            self.time.callLater(5.0, self.write_all)

    def write_all(self) -> None:
        for number in range(self.plan.records):
            self.writes += 1
            self.living[0].records.write(f"record{number}", self.writes)
