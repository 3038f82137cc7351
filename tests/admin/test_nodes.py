"""
Commands on several nodes.
"""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock

from dstwist.admin.nodes import ANSWER_TIMEOUT
from dstwist.assembly import requests as requests_module
from dstwist.cluster.bus_memory import MemoryBus, MemoryNetwork
from dstwist.cluster.kinds import EXACT
from dstwist.cluster.node import ClusterNode
from dstwist.cluster.table_memory import MemoryTable
from dstwist.config.cluster import ClusterSettings
from dstwist.node import Node
from tests.admin.helpers import SOCKET, AdminTestCase, Operator, Reply
from tests.nodes.client import MemoryClient
from tests.nodes.test_embedding import SLOW_STORAGE
from tests.nodes.test_stores import SlowStore, _stores


class ClusterTestCase(AdminTestCase):
    """
    Nodes on a bus in memory, over one storage.
    """

    def setUp(self) -> None:
        super().setUp()
        self.network = MemoryNetwork(self.reactor)
        table, settings = MemoryTable(), ClusterSettings(partitions=4)

        def build(settings_: Any, arbiter: Any, reactor: Any, clock: Any) -> ClusterNode:
            number = len(self.nodes)
            rng = random.Random(number)
            return ClusterNode(f"n{number}", self.network.bus(), table, reactor, settings, EXACT, rng)

        self.patch(requests_module, "build_cluster", build)
        _stores["storage"] = self.storage = SlowStore("storage", [])
        self.addCleanup(_stores.clear)
        self.storage.starting.callback(None)

    def make_reactor(self) -> Any:
        return MemoryReactorClock()

    def tearDown(self) -> None:
        stops = [node.stop() for node in self.nodes]
        self.advance(60)
        for stopped in stops:
            self.successResultOf(stopped)
        self.nodes.clear()
        super().tearDown()

    def advance(self, seconds: float) -> None:
        self.reactor.pump([0.1] * round(seconds * 10))

    def start(self, count: int) -> None:
        """
        Start nodes, and wait until they have joined.
        """
        for _ in range(count):
            node = Node.from_config(
                {"admin": {"socket": SOCKET}, **SLOW_STORAGE}, reactor=self.reactor, listen=["tcp:6020"]
            )
            self.nodes.append(node)
            started = node.start()
            self.advance(10)
            self.successResultOf(started)
        self.advance(10)

    def name(self, number: int) -> str:
        cluster = self.nodes[number]._cluster
        assert cluster is not None
        return cluster.membership.node

    def lose(self, number: int) -> None:
        """
        Have the others not reach a node, before they notice it.
        """
        lost = self.network.buses[number]

        def times(sender: MemoryBus, receiver: MemoryBus) -> tuple[float, ...]:
            return () if lost in (sender, receiver) else (0.0,)

        self.network.travel_times = times  # type: ignore[method-assign]

    def ask(self, method: str, target: str, body: bytes = b"", number: int = 0, seconds: float = 1) -> Reply:
        operator = Operator(self.reactor.unixServers[number][1])
        operator.send(method, target, body)
        self.advance(seconds)
        reply = operator.reply()
        assert reply is not None
        return reply


class EverywhereTests(ClusterTestCase):
    """
    C{clients}, C{kick} and C{ban}.
    """

    def test_clients(self) -> None:
        """
        C{clients} has the clients of all nodes if that is asked for, in pages.
        """
        self.start(2)
        for number, user in ((0, "ann"), (1, "bob"), (0, "cid"), (1, "dan")):
            self.client(self.nodes[number], user)
        self.assertEqual([row["user"] for row in self.ask("GET", "/clients").value["clients"]], ["ann", "cid"])
        for size in (1, 2, 3, 4, 5):
            found: list[Any] = []
            after = ""
            while True:
                value = self.ask("GET", f"/clients?all=true&limit={size}{after}").value
                self.assertEqual((value["total"], value["missing"]), (4, {}))
                found += [(row["user"], row["node"]) for row in value["clients"]]
                if value["next"] is None:
                    break
                after = "&after=" + value["next"].replace("#", "%23").replace(" ", "%20")
            here, there = self.name(0), self.name(1)
            self.assertEqual(found, [("ann", here), ("bob", there), ("cid", here), ("dan", there)])

    def test_kick(self) -> None:
        """
        C{kick} closes the connections of the user on all nodes, or on this one only.
        """
        self.start(3)
        clients = [self.client(node) for node in self.nodes]
        value = self.ask("POST", "/kick", b'{"user": "ann", "here": true}').value
        self.assertEqual(value, {"kicked": 1})
        value = self.ask("POST", "/kick", b'{"user": "ann", "reason": "go"}').value
        self.assertEqual(value, {"kicked": 0, "nodes": {self.name(1): {"kicked": 1}, self.name(2): {"kicked": 1}}})
        self.advance(10)
        for client in clients:
            client.heard()
        self.assertEqual([client.closed for client in clients][1:], [(1008, "go")] * 2)

    def test_missing(self) -> None:
        """
        A node that cannot be reached is named, after a while.
        """
        self.start(2)
        self.lose(1)
        value = self.ask("POST", "/kick", b'{"user": "ann"}', seconds=ANSWER_TIMEOUT).value
        self.assertEqual(value, {"kicked": 0, "nodes": {self.name(1): {"error": "no answer within 8 s"}}})

    def test_ban(self) -> None:
        """
        A ban and its end are those of all nodes.
        """
        self.start(2)
        value = self.ask("POST", "/ban", b'{"address": "192.0.2.1", "seconds": 1000}').value
        self.assertEqual(value["nodes"], {self.name(1): {"banned": "192.0.2.1", "seconds": 1000, "kicked": 0}})
        self.assertEqual(MemoryClient(self.nodes[1], "v4").status, 429)
        value = self.ask("POST", "/unban", b'{"address": "192.0.2.1"}', number=1).value
        self.assertEqual(value, {"ended": True, "nodes": {self.name(0): {"ended": True}}})
        self.assertEqual(MemoryClient(self.nodes[0], "v4").status, 101)

    def test_newcomer(self) -> None:
        """
        A node that comes later is told the bans that there are.
        """
        self.start(1)
        self.ask("POST", "/ban", b'{"user": "ann"}')
        self.ask("POST", "/ban", b'{"address": "192.0.2.7", "seconds": 1000}')
        self.start(1)
        rows = self.ask("GET", "/bans", number=1).value["bans"]
        self.assertEqual([row["name"] for row in rows], ["ann", "192.0.2.7"])
        self.assertIsNone(rows[0]["seconds"])
        self.assertGreater(rows[1]["seconds"], 900)

    def test_operator_goes(self) -> None:
        """
        If the operator goes before the answers have come, they are not waited for.
        """
        self.start(2)
        self.lose(1)
        operator = Operator(self.reactor.unixServers[0][1])
        operator.send("POST", "/kick", b'{"user": "ann"}')
        operator.leave()
        self.advance(ANSWER_TIMEOUT + 1)

    def test_unknown(self) -> None:
        """
        A question that a node does not know has an error, and a broken one too; a question of a mistake of ours is
        logged.
        """
        self.start(2)
        cluster: Any = self.nodes[0]._cluster
        answers: list[Any] = []
        cluster.peers._handlers["admin.answer"] = lambda sender, *answer: answers.append(answer)
        for question, values in (("other", "{}"), ("kick", "["), ("kick", "[]"), ("kick", "{}")):
            cluster.peers.send(self.name(1), ["admin.ask", 5, question, values])
        self.advance(1)
        self.assertEqual(len(answers), 4)
        for identity, answer in answers:
            self.assertEqual(identity, 5)
            self.assertTrue(answer.startswith('{"error": '), answer)


class ClusterCommandTests(ClusterTestCase):
    """
    C{cluster}.
    """

    def test_members(self) -> None:
        """
        All members are listed, with their partitions.
        """
        self.start(2)
        value = self.ask("GET", "/cluster").value
        self.assertEqual([row["node"] for row in value["members"]], sorted([self.name(0), self.name(1)]))
        self.assertEqual(sum(row["partitions"] for row in value["members"]), 4)
        self.assertEqual([row["this"] for row in value["members"] if row["node"] == self.name(0)], [True])
        self.assertEqual([(row["well"], row["problem"]) for row in value["members"]], [(True, None)] * 2)
        self.assertEqual((value["partitions"], value["busIsLost"], value["news"]["notCompared"]), (2, False, 0))

    def test_bus_lost(self) -> None:
        """
        A node that has lost its bus says so of itself.
        """
        self.start(2)
        self.network.buses[0].disconnect()
        value = self.ask("GET", "/cluster").value
        self.assertTrue(value["busIsLost"])
        found = {row["node"]: (row["well"], row["problem"]) for row in value["members"]}
        self.assertEqual(found, {self.name(0): (False, "its bus is lost"), self.name(1): (True, None)})


class CheckTests(ClusterTestCase):
    """
    C{check} with other nodes.
    """

    def results(self, value: Any) -> dict[str, str]:
        return {f"{step['step']}, {step['place']}": step["result"] for step in value["steps"]}

    def test_fine(self) -> None:
        """
        Each node reads the record.
        """
        self.start(3)
        value = self.ask("POST", "/check").value
        self.assertTrue(value["fine"], value)
        self.assertEqual(
            list(self.results(value)),
            [
                "write 1, this node",
                "read 1, this node",
                "read 1, storage",
                f"read 1, {self.name(1)}",
                f"read 1, {self.name(2)}",
                "write 2, this node",
                "read 2, this node",
                "read 2, storage",
                f"read 2, {self.name(1)}",
                f"read 2, {self.name(2)}",
                "delete, this node",
                "read after the deletion, storage",
            ],
        )

    def test_wrong(self) -> None:
        """
        A node that has no record, an earlier version or other data is named.
        """
        self.start(2)
        for answer, expected in (
            ({"version": -1, "data": None}, "lost: there is no record"),
            ({"version": 0, "data": {}}, "stale: version 0, not 1"),
            ({"version": 1, "data": {"x": 1}}, "forked: other data under version 1"),
            ({"version": 9, "data": {"x": 1}}, "forked: version 9, not 1"),
            ({}, "failed: the answer has no version"),
            ({"error": "it broke"}, "failed: it broke"),
        ):
            check = self.check_of(1)
            check._answers["read"] = lambda parameters, answer=answer: answer
            value = self.ask("POST", "/check").value
            self.assertFalse(value["fine"])
            self.assertEqual(self.results(value)[f"read 1, {self.name(1)}"], expected)

    def check_of(self, number: int) -> Any:
        """
        The questions that a node answers.
        """
        cluster: Any = self.nodes[number]._cluster
        return cluster.peers._handlers["admin.ask"].__self__

    def test_other_hangs(self) -> None:
        """
        A node whose storage hangs says so.
        """
        self.start(2)
        records = self.nodes[1].api.records
        self.patch(records, "get", lambda name: Deferred())
        value = self.ask("POST", "/check", seconds=15).value
        self.assertEqual(self.results(value)[f"read 1, {self.name(1)}"], "failed: no answer within 5 s")

    def test_other_records(self) -> None:
        """
        Other nodes read the records of checks only.
        """
        self.start(2)
        answers: list[Any] = []
        cluster: Any = self.nodes[0]._cluster
        cluster.peers._handlers["admin.answer"] = lambda sender, *answer: answers.append(answer[1])
        cluster.peers.send(self.name(1), ["admin.ask", 5, "read", '{"name": "private"}'])
        self.advance(1)
        self.assertEqual(answers, ['{"error": "that is no record of a check"}'])
