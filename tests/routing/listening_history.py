"""
Random histories of listening on several nodes, for L{tests.routing.test_listening_histories}.

Clients subscribe and listen on all nodes, and engines and nodes fail (L{tests.cluster.simulation.world}). Listeners
accept, decline, are silent, or answer late. At the end nothing fails any more, and each name must have the provider
that it should have, as the nodes and the clients see it.

C{python -m tests.routing.listening_history 1000} runs histories of all kinds, and prints those in which something was
wrong.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from typing import Any

from dstwist.protocol.dialect import PROTOBUF, TEXT, Dialect
from tests.cluster.simulation.node import Node
from tests.cluster.simulation.plan import Plan
from tests.cluster.simulation.world import World
from tests.fakes import FakeConnection, unframed
from tests.routing.stage import Stage

NAMES = tuple(f"{letter}/{number}" for letter in "ab" for number in range(3))
PATTERNS = ("^a/", "^b/", "/1$", "^a/[12]", "^none/")

#: How long a listener has for its answer, and how late a late one is.
RESPONSE_TIMEOUT = 0.3
LATE = 0.5

PLANS = {
    "calm": Plan(users=1, procedures=0, records=0, kinds=("leave",), loss=0.0, duplicates=0.0, late=0.0, slow=0.0),
    "all": Plan(users=1, procedures=0, records=0),
    "two nodes": Plan(users=1, procedures=0, records=0, nodes=2),
    "nodes die": Plan(users=1, procedures=0, records=0, kinds=("die", "leave", "sleep"), faults=0.12),
    "store goes back": Plan(users=1, procedures=0, records=0, kinds=(*Plan.kinds, "empty", "copy")),
    "bus loses": Plan(users=1, procedures=0, records=0, kinds=("cut", "apart"), loss=0.3),
    "bus repeats": Plan(users=1, procedures=0, records=0, kinds=("leave",), loss=0.0, duplicates=0.4),
}


class ListeningNode(Node):
    """
    A node with the subscribers and listeners of one topic.
    """

    world: ListeningWorld

    def __init__(self, world: ListeningWorld, name: str) -> None:
        super().__init__(world, name)
        self.settings = world.settings
        self.stage = Stage(
            cluster=self,  # type: ignore[arg-type]  # it has the parts of one
            choose=world.random_of_node().choice,
            response_timeout=RESPONSE_TIMEOUT,
            rematch_interval=2.0,
            match_cooldown=0.5,
        )
        demand: Any = self.stage.listeners._assignment._demand
        demand._searches._random = world.random_of_node()
        self.clients: list[Client] = []

    def die(self) -> None:
        super().die()
        for client in self.clients:
            client.home = None
        self.clients.clear()


class Client(FakeConnection):
    """
    A client that subscribes and listens, and checks what it is sent.

    @ivar subscribed: the names, and whether it was told that each has a provider.
    @ivar patterns: what it listens to.
    @ivar provides: the names that it provides, as far as it knows, each with the pattern before it.
    @ivar mood: how it answers.
    """

    def __init__(self, world: ListeningWorld, node: ListeningNode, dialect: Dialect) -> None:
        super().__init__(dialect=dialect)
        self.world = world
        self.home: ListeningNode | None = node
        self.subscribed: dict[str, bool] = {}
        self.patterns: set[str] = set()
        self.provides: set[tuple[str, str]] = set()
        # The number of offers of each name; only the latest is answered.
        self.offers: Counter[tuple[str, str]] = Counter()
        self.mood = world.random.choice(("accept", "accept", "decline", "silent", "late"))
        node.clients.append(self)

    def write(self, frame: Any) -> None:
        message = unframed(frame)
        action = Stage.SHORT.get(message.action.name, message.action.name)
        wrong = self.world.wrong
        if action == "FOUND":
            self.found(message.name, message.subscription)
        elif action == "REMOVED":
            self.provides.discard((message.name, message.subscription))
        elif action in ("PROVIDED", "UNPROVIDED"):
            provided = action == "PROVIDED"
            if message.name not in self.subscribed:
                wrong["news of a provider without a subscription"] += 1
            elif self.subscribed[message.name] is provided:
                wrong[f"told twice: {action}"] += 1
            self.subscribed[message.name] = provided

    def found(self, pattern: str, name: str) -> None:
        if pattern not in self.patterns:
            self.world.wrong["an offer for a pattern without a listener"] += 1
        if (pattern, name) in self.provides:
            self.world.wrong["an offer of a name that the listener provides"] += 1
        self.offers[pattern, name] += 1
        delay = LATE if self.mood == "late" else 0.01
        if self.mood != "silent" and self.home is not None:
            self.home.clock.callLater(delay, self.answer, pattern, name, self.offers[pattern, name])

    def answer(self, pattern: str, name: str, offer: int) -> None:
        if self.home is None or self.closed or pattern not in self.patterns or offer != self.offers[pattern, name]:
            return
        if self.mood == "decline":
            self.home.stage.reject(self, pattern, name)
            return
        self.provides.add((pattern, name))
        self.home.stage.accept(self, pattern, name)

    def subscribe(self, name: str) -> None:
        if self.home is not None and name not in self.subscribed:
            self.subscribed[name] = False
            self.home.stage.subscribe(self, name)
            # The record service tells a new subscriber so.
            self.subscribed[name] = self.home.stage.listeners.provided(name)

    def unsubscribe(self, name: str) -> None:
        if self.home is not None and name in self.subscribed:
            self.home.stage.unsubscribe(self, name)
            del self.subscribed[name]

    def toggle(self, pattern: str) -> None:
        if self.home is None:
            return
        if pattern in self.patterns:
            self.home.stage.unlisten(self, pattern)
            self.patterns.discard(pattern)
            self.provides = {each for each in self.provides if each[0] != pattern}
        else:
            self.patterns.add(pattern)
            self.home.stage.listen(self, pattern)

    def leave(self) -> None:
        self.close()
        if self.home is not None:
            self.home.clients.remove(self)
            self.home = None


class ListeningWorld(World):
    """
    One history.
    """

    nodes: list[ListeningNode]  # type: ignore[assignment]

    def join(self) -> None:
        self.joins += 1
        self.nodes.append(ListeningNode(self, f"node{self.joins}"))

    @property
    def clients(self) -> list[Client]:
        return [client for node in self.nodes if not node.clock.dead for client in node.clients]

    def event(self) -> None:
        if self.time.now >= self.plan.seconds:
            return
        rng = self.random
        self.time.callLater(rng.uniform(0.02, 0.3), self.event)
        if self.plan.kinds and rng.random() < self.plan.faults:
            getattr(self, f"fault_{rng.choice(self.plan.kinds)}")()
        awake = [node for node in self.nodes if node.awake]
        if not awake:
            return
        if len(self.clients) < 8:
            Client(self, rng.choice(awake), rng.choice((PROTOBUF, PROTOBUF, TEXT)))
        able = [client for client in self.clients if client.home is not None and client.home.awake]
        if not able:
            return
        client = rng.choice(able)
        chance = rng.random()
        if chance < 0.45:
            client.subscribe(rng.choice(NAMES))
        elif chance < 0.75:
            client.unsubscribe(rng.choice(list(client.subscribed) or NAMES))
        elif chance < 0.95:
            client.toggle(rng.choice(PATTERNS))
        else:
            client.leave()

    def fault_leave(self) -> None:
        before = {node for node in self.nodes if node.stops}
        super().fault_leave()
        for node in self.nodes:
            if node.stops and node not in before:
                node.clock.callLater(0.9, lambda node=node: [client.leave() for client in list(node.clients)])

    def come_to_rest(self) -> None:
        super().come_to_rest()
        for client in self.clients:
            client.mood = self.random.choice(("accept", "decline"))
        self.time.callLater(4.0, self.listen)

    def listen(self) -> None:
        """
        One more listener comes.
        """
        client = Client(self, self.random.choice([node for node in self.nodes if node.awake]), PROTOBUF)
        client.mood = "accept"
        client.toggle(self.random.choice(PATTERNS))

    def run(self) -> ListeningWorld:
        super().run()
        for name in NAMES:
            self.check_name(name)
        return self

    def check_name(self, name: str) -> None:
        """
        At rest, a wanted name that an accepting listener matches has one provider, and no other name has one.
        """
        wrong = self.wrong
        clients = self.clients
        subscribers = [client for client in clients if name in client.subscribed]
        registries = {node: node.stage.listeners._registrations for node in self.nodes if not node.clock.dead}
        able = []
        for client in clients:
            matching = {pattern.text for pattern in registries[client.home].matching(name)} if client.home else set()
            others = [each for each in subscribers if each is not client]
            counts = subscribers if client.dialect.counts_own_subscriptions else others
            if client.mood == "accept" and client.patterns & matching and counts:
                able.append(client)
        providers = [client for client in clients for _, provided in client.provides if provided == name]
        if len(providers) > 1:
            wrong["at rest: a name with several providers"] += 1
        if able and not providers:
            wrong["at rest: a name without a provider"] += 1
        if providers and not subscribers:
            wrong["at rest: a provider of a name that is not wanted"] += 1
        for client in providers:
            node = client.home
            if node is not None and name not in node.stage.listeners._assignment.providers:
                wrong["at rest: a client believes that it is a provider"] += 1
        if sum(name in node.stage.listeners._assignment.providers for node in registries) != len(providers):
            wrong["at rest: a node believes that it has a provider"] += 1
        for client in subscribers:
            if client.subscribed[name] != bool(providers):
                wrong["at rest: a subscriber was told something else"] += 1
        if not subscribers:
            for node in registries:
                demand: Any = node.stage.listeners._assignment._demand
                if name in demand._involved or any(
                    name in names.searches or name in names.resting for names in demand._searches._names.values()
                ):
                    wrong["at rest: a name is remembered that is not wanted"] += 1


def wrong_in(plan: str, number: int) -> dict[str, int]:
    """
    What is wrong in one history of that kind.
    """
    seed = random.Random(f"{plan} {number}").getrandbits(32)
    return dict(+ListeningWorld(seed, PLANS[plan]).run().wrong)


def main(arguments: list[str]) -> int:
    failed = 0
    for number in range(int(arguments[0])):
        for plan in PLANS:
            wrong = wrong_in(plan, number)
            if wrong:
                failed += 1
                sys.stdout.write(f"{plan} {number}: {wrong}\n")
                sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
