"""
Random histories of presence on several nodes, for L{tests.services.test_presence_histories}.

Users log in and out on all nodes, clients subscribe and ask, and nodes come and go. Each client checks each message at
once; at the end everything is at rest, and what clients know has to be true.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.bus_memory import MemoryBus
from dstwist.config.settings import PresenceSettings
from dstwist.connections.users import UserRegistry
from dstwist.protocol.constants import PresenceAction, Topic
from dstwist.protocol.dialect import PROTOBUF, TEXT, Dialect
from dstwist.protocol.jsontext import loads
from dstwist.protocol.message import Message
from dstwist.services.presence import PresenceService
from tests.cluster.stage import NAMES, Stage
from tests.fakes import FakeConnection, unframed
from tests.services.presence_messages import QUERY_ALL, SUBSCRIBE_ALL, UNSUBSCRIBE_ALL

GRACE = 2.0

USERS = ("ann", "bob", "cat", "dan", "eve", "fay")

#: How long a user has to be there, or to have gone, until each answer says so.
SURE_THERE, SURE_GONE = 0.5, GRACE + 4

#: The longest way of a message, in seconds.
LATENCY = 0.02

JOINS = {PresenceAction.PRESENCE_JOIN_ALL: "all", PresenceAction.PRESENCE_JOIN: "single"}
LEAVES = {PresenceAction.PRESENCE_LEAVE_ALL: "all", PresenceAction.PRESENCE_LEAVE: "single"}


def named(action: PresenceAction, *users: str) -> Message:
    return Message(Topic.PRESENCE, action, names=users, correlation_id="1")


class Node:
    """
    One node.

    @ivar lives: it has not been killed, and has not stopped.
    """

    def __init__(self, history: History, number: int) -> None:
        stage = history.stage
        self.number = number
        self.cluster = stage.nodes[number]
        self.users = UserRegistry()
        self.service = PresenceService(self.users, PresenceSettings(), stage.clock, cluster=self.cluster)
        self.lives = True


class Client(FakeConnection):
    """
    A client that checks what it is sent.

    @ivar known: the users that it was told are online, by subscription: to all users, or to single ones. A client of v2
        or v3 does not tell these two kinds of messages apart, and is subscribed in one way.
    @ivar single: the users that it is subscribed to.
    @ivar asked: the request that it waits for.
    """

    def __init__(self, history: History, node: Node, dialect: Dialect) -> None:
        super().__init__("OPEN", dialect=dialect)
        self.history = history
        self.home = node
        self.known: dict[str, set[str]] = {}
        self.single: set[str] = set()
        self.asked: Message | None = None
        self.asked_at = 0.0

    def ask(self, request: Message) -> None:
        self.asked, self.asked_at = request, self.history.stage.clock.now
        self.home.service.handle(request, self)

    def write(self, frame: Any) -> None:
        message = unframed(frame)
        action = message.action
        if action in JOINS or action in LEAVES:
            self.hear(message)
            return
        request, self.asked = self.asked, None
        assert request is not None, message
        if self.history.stage.clock.now > self.asked_at + 1.1:
            self.history.wrong["an answer took too long"] += 1
        online = self.home.service._online
        if action == PresenceAction.SUBSCRIBE_ALL:
            self.known["all"] = {user for user in USERS if user in online}
        elif action == PresenceAction.UNSUBSCRIBE_ALL:
            self.known.pop("all", None)
        elif action == PresenceAction.SUBSCRIBE:
            new = set(request.names) - self.single
            self.single |= new
            self.known.setdefault("single", set()).update(user for user in new if user in online)
        elif action == PresenceAction.UNSUBSCRIBE:
            self.single -= set(request.names)
            self.known["single"] = self.known.get("single", set()) & self.single
        elif action == PresenceAction.QUERY_ALL_RESPONSE:
            self.history.check_answer(self, {user: user in message.names for user in USERS})
        else:
            assert isinstance(message.data, bytes)
            self.history.check_answer(self, loads(message.data))

    def hear(self, message: Message) -> None:
        user = message.name
        assert user is not None
        kind = {**JOINS, **LEAVES}[message.action]  # type: ignore[index]
        wrong = self.history.wrong
        known = self.known.get(kind)
        asked = self.asked
        if kind == "single" and asked is not None and asked.action == PresenceAction.SUBSCRIBE and user in asked.names:
            # Some of the users are known already, and of these it may be told at once.
            return
        if known is None or (kind == "single" and user not in self.single):
            wrong[f"{kind}: news without a subscription"] += 1
        elif message.action in JOINS:
            wrong[f"{kind}: a second join"] += user in known
            known.add(user)
        else:
            wrong[f"{kind}: a second leave"] += user not in known
            known.discard(user)
            self.history.check_leave(user)


class History:
    """
    One history.

    @ivar wrong: what was wrong, and how often.
    @param faults: whether nodes die, buses are lost, and messages get lost.
    """

    def __init__(self, tests: SynchronousTestCase, seed: str, faults: bool) -> None:
        self.random = rng = random.Random(seed)
        self.faults = faults
        self.wrong: Counter[str] = Counter()
        self.stage = stage = Stage(tests, rng.randint(1, 3), grace={"u": GRACE})
        self.loss = 0.0
        self._arrivals: dict[MemoryBus, float] = {}
        tests.patch(stage.network, "travel_times", self._travel_times)
        self.nodes = [Node(self, number) for number in range(len(stage.nodes))]
        stage.start()
        self.connections: dict[FakeConnection, Node] = {}
        self.clients: list[Client] = []
        # Since when each user is online, or not; longer ago than anything else at first.
        self.since: dict[str, float] = dict.fromkeys(USERS, -1000.0)
        # All changes of that.
        self.changes: dict[str, list[tuple[float, bool]]] = {user: [(-1000.0, False)] for user in USERS}

    def _travel_times(self, sender: MemoryBus, receiver: MemoryBus) -> tuple[float, ...]:
        if sender is not receiver and self.random.random() < self.loss:
            return ()
        now = self.stage.clock.now
        arrival = max(self._arrivals.get(sender, 0.0), now + self.random.random() * LATENCY)
        self._arrivals[sender] = arrival
        return (arrival - now,)

    @property
    def online(self) -> set[str]:
        return {connection.user or "" for connection in self.connections}

    # -- checks

    def check_leave(self, user: str) -> None:
        """
        A client was told that C{user} leaves.
        """
        if self.faults:
            return
        # What has happened since then was not known to all nodes when the directory decided.
        then = self.stage.clock.now - 3 * LATENCY
        changed, was_online = [each for each in self.changes[user] if each[0] <= then][-1]
        if was_online or then - changed < GRACE - 3 * LATENCY:
            self.wrong["the leave of a user who was away for less than the grace time"] += 1

    def check_answer(self, client: Client, online: dict[str, bool]) -> None:
        if self.faults:
            return
        now = self.stage.clock.now
        for user, is_online in online.items():
            if not is_online and user in self.online and self.since[user] + SURE_THERE < client.asked_at:
                self.wrong["an answer without a user who is online"] += 1
            if is_online and user not in self.online and self.since[user] + SURE_GONE < now:
                self.wrong["an answer with a user who has gone"] += 1

    def check_rest(self) -> None:
        """
        Everything is at rest.
        """
        online = self.online
        for client in self.clients:
            if client.asked is not None:
                self.wrong["a request without an answer"] += 1
            if client.known.get("all", online) != online:
                self.wrong["at rest: all: not true"] += 1
            if client.known.get("single", set()) != online & client.single:
                self.wrong["at rest: single: not true"] += 1
        for node in self.living:
            if set(node.service._online._homes) - online:
                self.wrong["at rest: a user in a roster who has gone"] += 1
        for node in self.living:
            for request in (QUERY_ALL, named(PresenceAction.QUERY, *USERS)):
                asking = FakeConnection("OPEN")
                node.service.handle(request, asking)
                self.stage.advance(1)
                (answer,) = asking.take()
                names = (
                    set(answer.names)
                    if request is QUERY_ALL
                    else {u for u, is_online in loads(answer.data or b"").items() if is_online}
                )
                if names != online:
                    self.wrong[f"at rest: an answer to {request.action.name}"] += 1

    # -- what happens

    @property
    def living(self) -> list[Node]:
        return [node for node in self.nodes if node.lives]

    def run(self, steps: int) -> Counter[str]:
        rng = self.random
        actions = [self.log_in, self.log_out, self.move, self.connect, self.leave] + 3 * [self.request]
        rare = [self.add_node, self.stop_node]
        if self.faults:
            rare += [self.kill, self.lose_bus, self.lose_all, self.lose_messages]
        for _ in range(steps):
            rng.choice(actions)()
            if rng.random() < 0.04:
                rng.choice(rare)()
            self.stage.advance(rng.choice((0, 0, 0.001, 0.03, 0.3, rng.random() * 3)))
            if rng.random() < 0.02:
                self.stage.advance(rng.choice((5, 12, 130)))
        self.loss = 0.0
        for node in self.living:
            self.stage.bus(node.number).reconnect()
        self.stage.advance(60)
        self.check_rest()
        return +self.wrong

    def log_in(self, user: str | None = None) -> None:
        user = user or self.random.choice(USERS)
        node = self.random.choice(self.living)
        connection = FakeConnection(user)
        if user not in self.online:
            self._changed(user, True)
        self.connections[connection] = node
        node.users.add(connection)

    def _changed(self, user: str, is_online: bool) -> None:
        self.since[user] = self.stage.clock.now
        self.changes[user].append((self.stage.clock.now, is_online))

    def log_out(self) -> str | None:
        if not self.connections:
            return None
        connection = self.random.choice(list(self.connections))
        self._end(connection)
        return connection.user

    def _end(self, connection: FakeConnection) -> None:
        node = self.connections.pop(connection)
        user = connection.user or ""
        if user not in self.online:
            self._changed(user, False)
        connection.close()
        if node.lives:
            node.users.remove(connection)

    def move(self) -> None:
        """
        A user goes to another node within the grace time.
        """
        user = self.log_out()
        if user is not None:
            self.stage.clock.callLater(self.random.random() * GRACE * 0.95, self.log_in, user)

    def connect(self) -> None:
        if len(self.clients) < 8:
            dialect = self.random.choice((PROTOBUF, PROTOBUF, TEXT))
            self.clients.append(Client(self, self.random.choice(self.living), dialect))

    def leave(self) -> None:
        if self.clients and self.random.random() < 0.3:
            client = self.random.choice(self.clients)
            self.clients.remove(client)
            client.close()

    def request(self) -> None:
        idle = [client for client in self.clients if client.asked is None]
        if not idle:
            return
        client = self.random.choice(idle)
        users = self.random.sample(USERS, self.random.randint(0, 3))
        request = self.random.choice(
            (
                SUBSCRIBE_ALL,
                UNSUBSCRIBE_ALL,
                QUERY_ALL,
                named(PresenceAction.SUBSCRIBE, *users),
                named(PresenceAction.UNSUBSCRIBE, *users),
                named(PresenceAction.QUERY, *users),
            )
        )
        if request.action == PresenceAction.SUBSCRIBE_ALL and (
            "all" in client.known or (client.dialect is TEXT and client.single)
        ):
            return
        if request.action == PresenceAction.SUBSCRIBE:
            if client.dialect is TEXT and "all" in client.known:
                return
            if client.single & set(users):
                return
        client.ask(request)

    def add_node(self) -> None:
        if len(self.nodes) < len(NAMES):
            node = self.stage.make_node()
            self.nodes.append(Node(self, len(self.nodes)))
            node.start()
            self.stage.advance(self.random.random() * 7)

    def _take_off(self, node: Node) -> None:
        node.lives = False
        self.clients = [client for client in self.clients if client.home is not node]
        node.service.stop()

    def stop_node(self) -> None:
        if len(self.living) < 2:
            return
        node = self.random.choice(self.living)
        node.cluster.hand_over()
        self.stage.advance(1)
        self._take_off(node)
        for connection in [each for each, home in self.connections.items() if home is node]:
            self._end(connection)
        node.cluster.stop()

    def kill(self) -> None:
        if len(self.living) < 2:
            return
        node = self.random.choice(self.living)
        self._take_off(node)
        self.stage.kill(node.number)
        for connection in [each for each, home in self.connections.items() if home is node]:
            self._end(connection)

    def lose_bus(self) -> None:
        bus = self.stage.bus(self.random.choice(self.living).number)
        bus.disconnect()
        self.stage.clock.callLater(self.random.choice((0.1, 1, 6, 12)), bus.reconnect)

    def lose_all(self) -> None:
        after = self.random.choice((0.1, 1, 6, 12))
        for node in self.living:
            bus = self.stage.bus(node.number)
            bus.disconnect()
            self.stage.clock.callLater(after, bus.reconnect)

    def lose_messages(self) -> None:
        self.loss = self.random.choice((0.0, 0.02, 0.2))
