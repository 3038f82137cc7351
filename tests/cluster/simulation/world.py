"""
A cluster of product code in simulated time: the nodes, the faults of one history, and what must be true.

A history has two phases. First clients come and go while engines and nodes fail, as a random number decides. Then
nothing fails any more, and after some time everything must agree. All of a history follows from its seed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from twisted.python.failure import Failure

from dstwist.cluster.digest import GONE, State
from dstwist.cluster.directory import Directory
from dstwist.cluster.members import Membership
from dstwist.cluster.record_news import MISSING
from dstwist.cluster.settings import ClusterSettings
from tests.cluster.simulation.engines import Engine, Faults, SimNetwork, SimTable
from tests.cluster.simulation.records import Arbiter, Records
from tests.cluster.simulation.time import NodeClock, Time

#: The kinds of names: users, and procedures whose watchers are told the holders.
USER = "u"
PROCEDURE = "p"

SETTINGS = ClusterSettings(
    partitions=4,
    lease_interval=0.5,
    lease_time=2.0,
    lease_margin=0.2,
    bus_notice_time=1.6,
    bus_alone_time=1.0,
    absence_timeout=60.0,
    compare_interval=6.0,
    linger=1.0,
    subscribe_timeout=0.3,
    subscribe_window=3,
    heads_batch=2,
    heads_window=2,
    max_early_news=4,
    grace={USER: 1.0, PROCEDURE: 0.0},
    names_per_item=3,
    items_per_turn=4,
)

GRACE = SETTINGS.grace[USER]

#: For how long after a fault a node may tell something wrong.
TROUBLE_SECONDS = 8.0

#: For how long after a user is back a node may tell that the user is gone, who was away for long.
#: This is so while the bus carries; otherwise it takes as much longer.
LATE_SECONDS = 3.5


@dataclass(frozen=True)
class Plan:
    """
    What happens in a history.

    @ivar kinds: which faults there are.
    @ivar faults: how often there is one of them, for each event.
    @ivar sleeps: for how long nodes sleep, from and to.
    @ivar loss: as of L{Faults}; so are C{duplicates}, C{late} and C{slow}.
    @ivar touches: how often records are used.
    @ivar compares: whether all records are compared at intervals.
    @ivar writes_again: whether each record is written once more at the end.
    """

    nodes: int = 3
    users: int = 8
    procedures: int = 4
    records: int = 3
    touches: int = 3
    compares: bool = True
    writes_again: bool = False
    faults: float = 0.06
    sleeps: tuple[float, float] = (0.3, 5.0)
    loss: float = 0.02
    duplicates: float = 0.01
    late: float = 0.02
    slow: float = 0.02
    seconds: float = 30.0
    rest: float = 20.0
    kinds: tuple[str, ...] = ("bus", "cut", "apart", "store", "sleep", "die", "leave")


@dataclass
class User:
    """
    A user, who is connected to at most one node at a time.

    @ivar left: when the last connection ended.
    @ivar long_away: when the user was last away for the grace time.
    """

    name: str
    node: Node | None = None
    left: float = -100.0
    long_away: float = 0.0
    hosts: list[Node] = field(default_factory=list)


class Node:
    """
    One node, made of product code, and the clients it has.

    @ivar told: the users that its clients were told are online.
    @ivar stops: it stops in order, and takes no more clients.
    @ivar trouble: until when its clients may be told something wrong.
    """

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.clock = NodeClock(world.time)
        self.bus = world.network.bus()
        world.network.clocks[self.bus] = self.clock
        self.trouble = world.time.now
        self.stops = False
        self.told: set[str] = set()
        self.procedures: set[str] = set()
        self.watched: set[str] = set()
        rng = random.Random(world.random.random())
        table = SimTable(world.engine, self.clock)
        self.membership = Membership(name, "1.0", table, self.bus, self.clock, world.settings, rng)
        self.directory = Directory(
            name, self.membership, self.bus, self.clock, world.settings, self.on_told, (PROCEDURE,), rng
        )
        self.joined_as = self.membership.node
        self.membership.observe(self.on_membership)
        self.bus.start()
        if world.network.away:
            self.bus.disconnect()
        self.directory.watch_all(USER)
        self.membership.start()
        self.directory.start()
        self.records = Records(world, self)

    @property
    def awake(self) -> bool:
        return not self.clock.dead and not self.stops and self.clock.sleeps_until <= self.world.time.now

    def on_membership(self) -> None:
        if self.membership.node != self.joined_as:
            self.joined_as = self.membership.node
            self.world.check_death(self)
            self.trouble = self.world.time.now

    def on_told(self, kind: str, name: str, state: State) -> None:
        if kind != USER:
            return
        online, _ = state
        if online == (name in self.told):
            return
        if online:
            self.told.add(name)
        else:
            self.told.discard(name)
            self.world.check_leave(self, name)

    def hold(self, name: str, on: bool) -> None:
        (self.procedures.add if on else self.procedures.discard)(name)
        (self.directory.hold if on else self.directory.release)(PROCEDURE, name)

    def watch(self, name: str, on: bool) -> None:
        (self.watched.add if on else self.watched.discard)(name)
        (self.directory.watch if on else self.directory.unwatch)(PROCEDURE, name)

    def die(self) -> None:
        self.clock.dead = True
        self.trouble = self.world.time.now
        self.bus.stop()


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
        self.faults = Faults(plan.loss, plan.duplicates, plan.late, plan.slow)
        self.network = SimNetwork(self.time, self.random, self.faults)
        self.engine = Engine(self.time, self.random, self.faults)
        self.nodes: list[Node] = []
        self.users = [User(f"user{number}") for number in range(plan.users)]
        self.wrong: Counter[str] = Counter()
        self.last_change = 0.0
        self.gone_back = -100.0
        self.suspended = -100.0
        # Until when the bus has not carried all.
        self.bus_trouble = -100.0
        self.joins = 0
        self.arbiter = Arbiter()
        self.writes = 0
        self.requests = 0
        self.outcomes: dict[int, bool | None] = {}
        # Whether a write in doubt had taken effect when its outcome was looked up.
        self.settled: dict[int, bool] = {}

    def run(self) -> World:
        """
        Let the history happen.
        """
        plan = self.plan
        for _ in range(plan.nodes):
            self.time.callLater(self.random.uniform(0, 0.5), self.join)
        self.time.callLater(4.0, self.event)
        self.time.callLater(0.1, self.watch_deciders)
        self.time.run(plan.seconds)
        self.come_to_rest()
        self.time.run(plan.seconds + plan.rest)
        self.check_rest()
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

    def answered(self, token: int | None, taken: bool) -> None:
        """
        The writer of C{token} was told whether it was taken.
        """
        if token is not None:
            self.outcomes[token] = taken

    def in_doubt(self, name: str, token: int | None) -> None:
        """
        The writer of C{token} is told that the write failed, or what it has become.
        """
        if token is not None:
            self.outcomes[token] = None
            self.settled[token] = any(written == token for _, written in self.arbiter.log.get(name, ()))

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
        elif chance < 0.9:
            node.records.subscribe(name)
        else:
            node.records.unsubscribe(name)

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
        self.network.away = False
        self.network.cut_off.clear()
        self.network.apart.clear()
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
        self.engine.away = True
        self.for_a_while(0.5, 5.0, lambda: setattr(self.engine, "away", False))

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

    def come_to_rest(self) -> None:
        """
        Nothing fails any more.
        """
        self.faults.on = False
        self.engine.away = False
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

    # -- what must be true

    def watch_deciders(self) -> None:
        """
        At most one node decides about a partition.
        """
        if self.time.now > max(self.gone_back, self.suspended) + TROUBLE_SECONDS:
            for number in range(self.settings.partitions):
                deciders = [
                    n for n in self.living if n.clock.sleeps_until <= self.time.now and n.membership.may_decide(number)
                ]
                if len(deciders) > 1:
                    self.wrong["two nodes may decide about a partition"] += 1
        if self.time.now < self.plan.seconds + self.plan.rest:
            self.time.callLater(0.1, self.watch_deciders)

    def check_death(self, node: Node) -> None:
        """
        A node finds that it was found dead.
        """
        if self.time.now - node.trouble > TROUBLE_SECONDS and self.plan.late < 0.1:
            self.wrong["a node that was well was found dead"] += 1

    def check_leave(self, node: Node, name: str) -> None:
        """
        A node has told its clients that a user is gone.
        """
        now = self.time.now
        user = next(user for user in self.users if user.name == name)
        if user.node is None and now - user.left >= GRACE:
            return
        late = LATE_SECONDS if now - self.bus_trouble > LATE_SECONDS else LATE_SECONDS + TROUBLE_SECONDS
        if now - user.long_away < late or now - self.gone_back < TROUBLE_SECONDS:
            return
        hosts = user.hosts[-4:]
        if all(now - each.trouble > TROUBLE_SECONDS for each in (node, *hosts)):
            self.wrong["told of the leave of a user who was away for less than the grace time"] += 1

    def check_records(self) -> None:
        log = self.arbiter.log
        taken = Counter(written for entries in log.values() for _, written in entries)
        for token, outcome in self.outcomes.items():
            if outcome is True and taken[token] != 1:
                self.wrong["an acknowledged write is not in the history once"] += 1
            if outcome is False and taken[token]:
                self.wrong["a refused write is in the history"] += 1
            if token in self.settled and self.settled[token] != bool(taken[token]):
                self.wrong["a write took effect after its outcome was settled"] += 1
            if taken[token] > 1:
                self.wrong["a write is in the history more than once"] += 1
        for node in self.living:
            for name, believed in node.records.believed.items():
                kept, _ = self.arbiter.get(name)
                if believed != ((MISSING, None) if kept is None else (kept.version, kept.token)):
                    self.wrong["at rest: a subscriber has another record than the arbiter"] += 1

    def check_rest(self) -> None:
        living = self.living
        if len({node.membership.table.encode() for node in living}) > 1:
            self.wrong["at rest: tables differ"] += 1
        members = {node.membership.node for node in living}
        if any(set(node.membership.members) != members for node in living):
            self.wrong["at rest: the members are not the living nodes"] += 1
        for number in range(self.settings.partitions):
            if sum(node.membership.may_decide(number) for node in living) != 1:
                self.wrong["at rest: a partition without an owner"] += 1
        loads = [sum(map(node.membership.owns, range(self.settings.partitions))) for node in living]
        if max(loads) - min(loads) > 1:
            self.wrong["at rest: partitions are not even"] += 1
        self.check_records()
        online = {user.name for user in self.users if user.node is not None and not user.node.clock.dead}
        for node in living:
            if online - node.told:
                self.wrong["at rest: a user who is there is thought away"] += 1
            if node.told - online:
                self.wrong["at rest: a user who is away is thought there"] += 1
            if set(node.directory.known(USER)) != node.told:
                self.wrong["at rest: clients were told something else"] += 1
            for name in node.watched:
                holders = tuple(sorted(n.membership.node for n in living if name in n.procedures))
                if node.directory.state(PROCEDURE, name) != ((True, holders) if holders else GONE):
                    self.wrong["at rest: wrong holders of a procedure"] += 1
