"""
Two record services, as of two nodes, over a real Redis: as their storage, and as all that they have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from dstwist.config.settings import RecordSettings
from dstwist.errors import StoreError
from dstwist.interfaces import Record
from dstwist.protocol.message import Message
from dstwist.store.memory import MemoryStore
from tests.fakes import FakeConnection
from tests.services.record.stage import A, ask, exists, failed, patch, update, wanting_ack, written
from tests.services.record.test_two_services import Node
from tests.store.redis_stage import RedisTestCase
from tests.store.test_redis_faults import FAULTS, late
from tests.tcp_proxy import TCPProxy

#: How many writes each client sends.
WRITES = 60


class RedisServicesTestCase(RedisTestCase):
    """
    Two services.

    @cvar alone: whether Redis is the cache, and there is no storage.
    """

    alone = False
    deletion_memory = 3600.0

    def node(self, port: int | None = None) -> Node:
        store = self.started(self.make(port=port or self.server.port))
        settings = RecordSettings()
        cache, storage = (store, None) if self.alone else (MemoryStore(), store)
        node = Node(cache, storage, settings, self.reactor)
        self.addCleanup(lambda: self.result(node.service.stop()))
        return node

    def serve(self, port: int | None = None) -> None:
        """
        @param port: that of Redis for the first of the nodes, if it is another one.
        """
        self.here, self.there = self.node(port), self.node()
        self.witness = self.started(self.make())

    def have(self, name: str, version: int, data: Any) -> None:
        self.result(self.witness.set(name, version, data))

    def found(self, name: str) -> Record | None:
        record: Record | None = self.result(self.witness.get(name))
        return record

    def say(self, node: Node, client: FakeConnection, *messages: Message) -> None:
        for message in messages:
            node.service.handle(message, client)

    def hear(self, client: FakeConnection, count: int = 1) -> list[Message]:
        """
        The messages that the client is sent, when there are at least C{count}.
        """
        heard: list[Message] = []

        def enough() -> bool:
            heard.extend(client.take())
            return len(heard) >= count

        self.reactor.run_until(enough)
        return heard

    def hear_all(self, client: FakeConnection, ids: set[str]) -> dict[str, Message]:
        """
        The answers to the writes with these correlation ids.
        """
        answers: dict[str, Message] = {}

        def all_there() -> bool:
            for message in client.take():
                if message.correlation_id in ids:
                    self.assertNotIn(message.correlation_id, answers)
                    answers[message.correlation_id] = message
            return len(answers) == len(ids)

        self.reactor.run_until(all_there)
        return answers


class RaceTests(RedisServicesTestCase):
    """
    Both services write the same record.
    """

    def setUp(self) -> None:
        super().setUp()
        self.serve()

    def test_one_winner(self) -> None:
        """
        If two clients write one version, one wins. The other is told VERSION_EXISTS with the data of the winner.
        """
        self.have("a", 1, {"x": 0})
        clients = [node.client() for node in (self.here, self.there)]
        writes = [wanting_ack(update("a", 2, {"x": number})) for number in range(2)]
        for node, client, write in zip((self.here, self.there), clients, writes, strict=True):
            self.say(node, client, write)
        heard = [self.hear(client) for client in clients]
        (winner,) = (number for number in range(2) if written("a") in heard[number])
        self.assertIn(exists(writes[1 - winner], 2, f'{{"x":{winner}}}'), heard[1 - winner])
        self.assertEqual(Record(2, {"x": winner}), self.found("a"))

    def test_no_lost_update(self) -> None:
        """
        Writes that fit any version are decided again until they are in the record: each of them is there, once.
        """
        self.have("a", 0, {})
        ids = {str(number) for number in range(WRITES)}
        clients = [(node, node.client("a")) for node in (self.here, self.there)]
        for number in range(WRITES):
            for place, (node, client) in enumerate(clients):
                self.say(node, client, wanting_ack(patch("a", -1, f"w{place}_{number}", number), str(number)))
            if number % 10 == 0:
                self.reactor.iterate(0)
        for _, client in clients:
            answers = self.hear_all(client, ids)
            self.assertEqual({A.WRITE_ACKNOWLEDGEMENT}, {answer.action for answer in answers.values()})
        data = {f"w{place}_{number}": number for place in (0, 1) for number in range(WRITES)}
        self.assertEqual(Record(2 * WRITES, data), self.found("a"))

    def test_created_by_both(self) -> None:
        """
        Two clients that create a record get the same one.
        """
        create = ask(A.SUBSCRIBECREATEANDREAD, names=("a",), correlation_id="1")
        clients = [(node, node.client()) for node in (self.here, self.there)]
        for node, client in clients:
            self.say(node, client, create)
        for _, client in clients:
            heard: list[Message] = []
            while A.READ_RESPONSE not in [each.action for each in heard]:
                heard += self.hear(client)
            (read,) = (each for each in heard if each.action is A.READ_RESPONSE)
            self.assertEqual((0, b"{}"), (read.version, read.data))
        self.assertEqual(Record(0, {}), self.found("a"))

    def test_deleted_and_written(self) -> None:
        """
        A deletion and a write have an order. A record that is made anew afterwards counts on.
        """
        self.have("a", 7, {"x": 0})
        ann, bob = self.here.client("a"), self.there.client("a")
        self.hear(ann)
        self.hear(bob)
        self.say(self.here, ann, ask(A.DELETE, "a"))
        self.say(self.there, bob, wanting_ack(update("a", 8, {"x": 1})))
        self.assertIn(A.DELETE_SUCCESS, [each.action for each in self.hear(ann)])
        self.hear(bob)
        found = self.found("a")
        self.assertTrue(found is None or found.version > 8, found)
        if found is None:
            self.say(self.here, ann, wanting_ack(ask(A.CREATEANDUPDATE, "a", b"{}", version=-1)))
            self.hear(ann)
            self.assertGreater(self.found("a").version, 7)


class AloneRaceTests(RaceTests):
    """
    The same without a storage.
    """

    alone = True


class FaultyNetworkTests(RedisServicesTestCase):
    """
    The network of one service fails in the middle of its writes.
    """

    options: dict[str, Any] = {
        "command_timeout": 0.7,
        "probe_interval": 0.2,
        "max_reconnect_delay": 0.05,
        "reconnect_wait": 0.2,
    }

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.flushLoggedErrors, StoreError)
        self.proxy = TCPProxy(self.reactor, self.server.port)
        self.proxy.listen()
        # After the stop of the services.
        self._cleanups.insert(1, (lambda: self.result(Deferred.fromCoroutine(self.proxy.stop())), (), {}))
        self.serve(self.proxy.port)

    def test_each_write_once(self) -> None:
        """
        Any fault may meet the writes of two services: each is answered once. The acknowledged ones are in the record,
        and both services go on.
        """
        for number, fault in enumerate(FAULTS):
            self._check(f"r/{number}", fault)

    def _check(self, name: str, fault: Callable[[TCPProxy], None]) -> None:
        self.have(name, 0, {})
        clients = [(node, node.client(name)) for node in (self.here, self.there)]
        ids = {str(number) for number in range(WRITES)}
        for number in range(WRITES):
            for place, (node, client) in enumerate(clients):
                self.say(node, client, wanting_ack(patch(name, -1, f"w{place}_{number}", number), str(number)))
            if number == WRITES // 2:
                fault(self.proxy)
            if number % 10 == 0:
                self.reactor.iterate(0)
        acknowledged = set()
        for place, (_, client) in enumerate(clients):
            for correlation_id, answer in self.hear_all(client, ids).items():
                self.assertIn(answer.action, (A.WRITE_ACKNOWLEDGEMENT, A.RECORD_UPDATE_ERROR))
                if answer.action is A.WRITE_ACKNOWLEDGEMENT:
                    acknowledged.add(f"w{place}_{correlation_id}")
        if fault is late:
            self.proxy.resume()
        self.reactor.run_until(lambda: not any(name in node.tiers.unresolved for node, _ in clients))
        found = self.found(name)
        self.assertLessEqual(acknowledged, found.data.keys(), fault.__doc__)
        self.assertEqual(found.version, len(found.data), fault.__doc__)
        # The writes of the other service had no trouble.
        self.assertGreaterEqual(len(acknowledged), WRITES)
        for node, client in clients:
            request = wanting_ack(patch(name, -1, "last", 1), "last")
            self.say(node, client, request)
            self.assertEqual(A.WRITE_ACKNOWLEDGEMENT, self.hear_all(client, {"last"})["last"].action)


class FaultyNetworkAloneTests(FaultyNetworkTests):
    """
    The same without a storage.
    """

    alone = True


class RefusalTests(RedisServicesTestCase):
    """
    Redis takes no writes.
    """

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.flushLoggedErrors, StoreError)
        self.serve()

    def test_full(self) -> None:
        """
        If Redis is full, a writer is told at once and keeps the record; it can be read and deleted.
        """
        self.have("a", 1, {"x": 0})
        ann = self.here.client("a")
        self.hear(ann)
        self.addCleanup(self.server.command, "CONFIG", "SET", "maxmemory", "0")
        self.server.command("CONFIG", "SET", "maxmemory", "1")
        request = wanting_ack(update("a", 2, {"x": 1}))
        self.say(self.here, ann, request)
        self.assertEqual([update("a", 1, {"x": 0}), failed(request)], self.hear(ann, 2))
        self.say(self.here, ann, ask(A.READ, "a", correlation_id="1"))
        self.assertEqual(A.READ_RESPONSE, self.hear(ann)[0].action)
        self.say(self.here, ann, ask(A.DELETE, "a"))
        self.assertIn(A.DELETE_SUCCESS, [each.action for each in self.hear(ann)])
        self.assertIsNone(self.found("a"))
