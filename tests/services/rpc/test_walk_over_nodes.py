"""
What holds for calls over nodes whatever clients, nodes and the bus do, and in whatever order.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from dstwist.cluster.bus_memory import MemoryBus
from dstwist.protocol.constants import RpcAction
from dstwist.protocol.message import Message
from dstwist.services.rpc.remote_requestors import PATIENCE
from tests.fakes import FakeConnection
from tests.services.rpc.cases import ACK_TIMEOUT, ENDS, PROVIDE, RESPONSE_TIMEOUT, UNPROVIDE, rpc
from tests.services.rpc.nodes import ACCEPT, REJECT, REQUEST, RESPONSE, NodesTestCase


def data_of(client: FakeConnection, call_id: str | None) -> bytes:
    """
    The data of a call, which its provider sends back.
    """
    return f'"{client.user} {call_id}"'.encode()


class Walk:
    """
    Clients of some nodes that provide, cease, call, accept, reject, answer, come and go at random, while the bus is
    late, loses messages, and is lost, and a node may die.
    """

    def __init__(self, tests: NodesTestCase, seed: int) -> None:
        self.tests = tests
        self.chance = random.Random(seed)
        self.stage = tests.stage
        self.stage.network.travel_times = self.travel_times  # type: ignore[method-assign]
        self.clients: list[FakeConnection] = []
        self.node_of: dict[FakeConnection, int] = {}
        self.calls: dict[FakeConnection, list[str]] = {}
        self.requests: list[tuple[FakeConnection, Message]] = []
        self.ended: list[tuple[FakeConnection, str]] = []
        self.results: list[tuple[FakeConnection, Message]] = []
        # The node of the provider that was asked last, for the data of each call.
        self.asked_at: dict[Any, int] = {}
        self.tried: Counter[tuple[FakeConnection, Any]] = Counter()
        # How many answers came from another node.
        self.remote_results = 0
        self.loss = self.chance.choice((0.0, 0.0, 0.02, 0.2))
        self.delay = self.chance.choice((0.0, 0.05, 0.5))
        # When the last node dies; in half of the walks it does not.
        self.dies_at = self.chance.choice((0, self.chance.randrange(1, 300)))
        self.living = list(range(len(self.stage.nodes)))
        for number in range(6):
            self.connect(number)

    def travel_times(self, sender: MemoryBus, receiver: MemoryBus) -> Iterable[float]:
        # Messages of one sender stay in their order.
        return () if self.chance.random() < self.loss else (self.delay,)

    def choose(self, providers: Sequence[Any]) -> Any:
        return self.chance.choice(providers)

    def connect(self, number: int) -> None:
        client = FakeConnection(f"client-{len(self.node_of)}")
        self.clients.append(client)
        self.node_of[client] = self.living[number % len(self.living)]
        self.calls[client] = []

    def handle(self, message: Message, client: FakeConnection) -> None:
        self.tests.services[self.node_of[client]].handle(message, client)

    def listen(self) -> None:
        for client in self.clients:
            for message in client.take():
                if message.action is REQUEST:
                    self.requests.append((client, message))
                    self.asked_at[message.data] = self.node_of[client]
                    self.tried[client, message.data] += 1
                elif message.action in (*ENDS, RpcAction.REQUEST_ERROR) and message.original_action is None:
                    assert message.correlation_id is not None
                    self.ended.append((client, message.correlation_id))
                    if message.action is RESPONSE:
                        self.results.append((client, message))
                        self.remote_results += self.asked_at[message.data] != self.node_of[client]

    def step(self) -> None:
        chance = self.chance
        client = chance.choice(self.clients)
        kind = chance.random()
        if kind < 0.1:
            self.handle(chance.choice((PROVIDE, UNPROVIDE, UNPROVIDE)), client)
        elif kind < 0.35:
            # Ids of different clients collide all the time.
            call_id = str(len(self.calls[client]))
            self.calls[client].append(call_id)
            self.handle(rpc(REQUEST, call_id, data_of(client, call_id)), client)
        elif kind < 0.85 and self.requests:
            # Mostly to calls that still run.
            client, request = chance.choice(self.requests[-chance.choice((2, 10, 1000)) :])
            action = chance.choice((ACCEPT, REJECT, RESPONSE, RESPONSE))
            self.handle(rpc(action, request.correlation_id or "", request.data), client)
        elif kind < 0.95:
            self.stage.advance(chance.choice((0.001, 0.1, 0.1, 1.0)) * chance.random())
        elif kind < 0.97:
            self.clients.remove(client)
            client.close()
            self.connect(chance.randrange(6))
        else:
            bus = self.stage.bus(chance.choice(self.living))
            if bus.is_lost:
                bus.reconnect()
            elif chance.random() < 0.2:
                bus.disconnect()
        self.stage.advance(chance.choice((0.0, 0.01)))
        self.listen()

    def kill(self) -> None:
        """
        The last node dies, and with it the connections of its clients.
        """
        number = self.living.pop()
        self.stage.kill(number)
        self.tests.services[number].stop()
        self.clients = [client for client in self.clients if self.node_of[client] != number]
        self.requests = [(client, request) for client, request in self.requests if self.node_of[client] != number]
        self.connect(0)

    def end(self) -> None:
        """
        Let all calls end.
        """
        self.loss = self.delay = 0.0
        for number in self.living:
            self.stage.bus(number).reconnect()
        # Providers that have ceased to provide may be asked one after the other.
        for _ in range(10):
            self.stage.advance(RESPONSE_TIMEOUT + ACK_TIMEOUT)
            self.listen()
        self.stage.advance(PATIENCE)


class WalkTests(NodesTestCase):
    """
    Random walks.
    """

    count = 3

    def choose(self, providers: Sequence[Any]) -> Any:
        return self.walk.choose(providers)

    def test_every_call_ends_once(self) -> None:
        """
        Each call of a client that stays ends exactly once, with its own result if any. No provider is asked twice for
        one call. In the end no node remembers a call.
        """
        remote_results = 0
        for seed in range(20):
            self.build()
            walk = self.walk = Walk(self, seed)
            for number in range(300):
                if number and number == walk.dies_at:
                    walk.kill()
                walk.step()
            walk.end()
            for client in walk.clients:
                ended = [call_id for other, call_id in walk.ended if other is client]
                self.assertEqual(sorted(ended), sorted(walk.calls[client]), seed)
            for client, answer in walk.results:
                self.assertEqual(answer.data, data_of(client, answer.correlation_id), seed)
            self.assertEqual(max(walk.tried.values(), default=1), 1, seed)
            self.assertEqual([self.rooms[number].used for number in walk.living], [0] * len(walk.living), seed)
            remote_results += walk.remote_results
        self.assertGreater(remote_results, 20)
