"""
The commands about clients.
"""

from __future__ import annotations

from typing import Any

from dstwist.admin.clients import KICKED
from dstwist.node import Node
from dstwist.protocol.constants import EventAction, RecordAction, RpcAction, Topic
from dstwist.protocol.message import Message
from dstwist.streams.stream import Stream
from tests.admin.helpers import AdminTestCase
from tests.fakes import BusyReactor, FakeCodec, FakeConnection, FakeWire
from tests.http_api.stage import CALL, Program, body
from tests.turns import LONGEST, turn_lengths


class ListTests(AdminTestCase):
    """
    C{clients}.
    """

    def test_rows(self) -> None:
        """
        Each client has a row with its number, user, address and protocol, in the order in which they came.
        """
        node = self.started()
        self.client(node, "ann")
        self.reactor.advance(7)
        self.client(node, "bob", "v3")
        value = self.get("clients").value
        first, second = value["clients"]
        self.assertLess(first.pop("client"), second.pop("client"))
        self.assertEqual(
            first,
            {
                "user": "ann",
                "address": "192.0.2.1",
                "path": "/deepstream",
                "protocol": first["protocol"],
                "seconds": 7,
                "waitingBytes": 0,
            },
        )
        self.assertEqual((second["user"], second["path"], second["seconds"]), ("bob", "/deepstream-v3", 0))
        self.assertNotEqual(first["protocol"], second["protocol"])
        self.assertEqual((value["total"], value["next"]), (2, None))

    def test_user(self) -> None:
        """
        With a user, only the connections of that user are listed.
        """
        node = self.started()
        for user in ("ann", "bob", "ann"):
            self.client(node, user)
        self.assertEqual([row["user"] for row in self.get("clients", user="ann").value["clients"]], ["ann", "ann"])

    def test_pages(self) -> None:
        """
        A page has a part of the clients, and says where the next one begins.
        """
        node = self.started()
        for number in range(5):
            self.client(node, f"user{number}")
        users: list[str] = []
        after: dict[str, str] = {}
        for expected in (2, 2, 1):
            value = self.get("clients", limit=2, **after).value
            self.assertEqual((len(value["clients"]), value["total"]), (expected, 5))
            users += [row["user"] for row in value["clients"]]
            after = {"after": value["next"]}
        self.assertEqual(users, [f"user{number}" for number in range(5)])
        self.assertIsNone(value["next"])

    def test_streams(self) -> None:
        """
        Streams of server-sent events are clients as well, with numbers of the same kind.
        """
        node = self.started()
        self.client(node, "ann")
        self.stream(node, "news", "bob")
        self.reactor.advance(7)
        self.client(node, "cid")
        first, stream, last = self.get("clients").value["clients"]
        self.assertLess(first["client"], stream["client"])
        self.assertLess(stream.pop("client"), last["client"])
        self.assertEqual(
            stream,
            {
                "user": "bob",
                "address": "192.0.2.1",
                "path": "/api/events/news",
                "protocol": "sse",
                "seconds": 7,
                "waitingBytes": 0,
            },
        )
        self.assertEqual([row["user"] for row in self.get("clients", user="bob").value["clients"]], ["bob"])

    def test_stream_waits(self) -> None:
        """
        The bytes that a stream does not take are counted.
        """
        node = self.started()
        program = self.stream(node)
        program.connection._chosen.pauseProducing()
        self.client(node).say(Message(Topic.EVENT, EventAction.EMIT, "news", b'"x"'))
        (waiting,) = [row["waitingBytes"] for row in self.get("clients").value["clients"] if row["protocol"] == "sse"]
        program.go()
        self.assertGreater(waiting, 0)

    def test_gone(self) -> None:
        """
        A client that has gone is not listed.
        """
        node = self.started()
        self.client(node).transport.loseConnection()
        self.stream(node).go()
        self.reactor.advance(0)
        self.assertEqual(self.get("clients").value["total"], 0)


class KickTests(AdminTestCase):
    """
    C{kick}.
    """

    def test_user(self) -> None:
        """
        All connections of the user are closed, with the reason; others stay.
        """
        node = self.started()
        clients = [self.client(node, user) for user in ("ann", "ann", "bob")]
        self.assertEqual(self.post("kick", user="ann", reason="go home"), (200, {"kicked": 2}))
        # The close of a client that has just come is delayed.
        self.reactor.advance(10)
        for client in clients:
            client.heard()
        self.assertEqual([client.closed for client in clients], [(1008, "go home")] * 2 + [None])
        self.assertEqual(sum(line.startswith("KICKED | ann") for line in self.lines.of("info")), 2)

    def test_client(self) -> None:
        """
        With a number, only that connection is closed.
        """
        node = self.started()
        first, second = self.client(node), self.client(node)
        number = self.get("clients").value["clients"][1]["client"]
        self.assertEqual(self.post("kick", client=number).value, {"kicked": 1})
        self.reactor.advance(10)
        first.heard()
        second.heard()
        self.assertEqual((first.closed, second.closed), (None, (1008, KICKED)))

    def test_stream(self) -> None:
        """
        With the number of a stream, only that stream ends.
        """
        node = self.started()
        first, second = self.stream(node), self.stream(node)
        number = self.get("clients").value["clients"][1]["client"]
        self.assertEqual(self.post("kick", client=number).value, {"kicked": 1})
        self.assertIn(KICKED.encode(), second.transport.value())
        self.assertNotIn(KICKED.encode(), first.transport.value())
        self.assertIn(f"KICKED | ann (192.0.2.1, /api/events/news, #{number}): {KICKED}", self.lines.of("info"))

    def test_kinds(self) -> None:
        """
        A kick of a user ends streams, handles and requests as well.
        """
        node = self.started()
        self.client(node, "ann")
        self.stream(node, "news", "ann")
        self.stream(node, "news", "bob")
        handle = self.successResultOf(node.api.login({"username": "ann"}))
        provider = self.client(node, "provider")
        provider.say(Message(Topic.RPC, RpcAction.PROVIDE, names=("slow",), correlation_id="0"))
        program = Program(node.factory, "192.0.2.1")
        program.send(body=body(CALL, authData={"username": "ann"}))
        self.reactor.advance(0)
        self.assertEqual(self.post("kick", user="ann", reason="go home"), (200, {"kicked": 4}))
        self.reactor.advance(0)
        (answer,) = program.answers()
        self.assertIn(b"go home", answer.body)
        self.assertTrue(handle.closed)
        self.assertEqual([row["user"] for row in self.get("clients").value["clients"]], ["bob", "provider"])

    def test_refused(self) -> None:
        """
        A kick needs either a user or a number that exists.
        """
        self.started()
        self.assertEqual(self.post("kick").status, 400)
        self.assertEqual(self.post("kick", user="ann", client=1).status, 400)
        self.assertEqual(self.post("kick", client=10**9).status, 404)
        self.assertEqual(self.post("kick", user="nobody").value, {"kicked": 0})


class SubscriptionTests(AdminTestCase):
    """
    C{subscriptions}.
    """

    def test_name(self) -> None:
        """
        The clients that are subscribed to a name, as an event and as a record.
        """
        node = self.started()
        ann, bob = self.client(node, "ann"), self.client(node, "bob")
        ann.subscribe("news")
        bob.say(Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=("news",), correlation_id="1"))
        self.reactor.advance(0)
        rows = self.get("subscriptions", name="news").value["subscriptions"]
        self.assertEqual(
            [(row["topic"], row["kind"], row["user"]) for row in rows],
            [("EVENT", "subscribed", "ann"), ("RECORD", "subscribed", "bob")],
        )

    def test_client(self) -> None:
        """
        The names that one client holds, of all kinds.
        """
        node = self.started()
        ann = self.client(node)
        ann.subscribe("news")
        ann.say(
            Message(Topic.RPC, RpcAction.PROVIDE, names=("add",), correlation_id="1"),
            Message(Topic.EVENT, EventAction.LISTEN, "a.*"),
        )
        number = self.get("clients").value["clients"][0]["client"]
        value = self.get("subscriptions", client=number).value
        self.assertEqual((value["client"], value["user"]), (number, "ann"))
        self.assertEqual(
            value["subscriptions"],
            [
                {"topic": "EVENT", "kind": "listens", "name": "a.*"},
                {"topic": "RPC", "kind": "provides", "name": "add"},
                {"topic": "EVENT", "kind": "subscribed", "name": "news"},
            ],
        )

    def test_stream(self) -> None:
        """
        A stream holds its name.
        """
        self.stream(self.started(), "news", "bob")
        (row,) = self.get("subscriptions", name="news").value["subscriptions"]
        self.assertEqual((row["topic"], row["user"]), ("EVENT", "bob"))
        value = self.get("subscriptions", client=row["client"]).value
        self.assertEqual(value["subscriptions"], [{"topic": "EVENT", "kind": "subscribed", "name": "news"}])

    def test_client_of_all(self) -> None:
        """
        A number means a client of one node.
        """
        self.started()
        self.assertEqual(self.get("subscriptions", client=1, all="true").status, 400)

    def test_no_client(self) -> None:
        """
        A client that is not there has no names.
        """
        self.started()
        self.assertEqual(self.get("subscriptions", client=10**9).status, 404)
        self.assertEqual(self.get("subscriptions").status, 400)


class _Link:
    """
    A WebSocket for a list of ten thousand.
    """

    address, path, opened_at, waiting_bytes = "192.0.2.1", "/deepstream", 0.0, 0

    def __init__(self, number: int, connection: FakeConnection, factory: Any) -> None:
        self.number = number
        self.connection = connection
        self.user = connection.user
        self.factory = factory


class _Stream(Stream):
    """
    A stream for a list of ten thousand, which takes its time to end.
    """

    def __init__(self, number: int, reactor: Any) -> None:
        self.number = number
        self.user, self.address, self.path, self.node = "ann", "192.0.2.7", "/api/events/news", ""
        self.closed = False
        self._turns = reactor

    def close(self, reason: str) -> None:
        self.closed = True
        reactor: Any = self._turns
        reactor.rightNow += 20e-6


class ManyClientsTests(AdminTestCase):
    """
    A server with 10,000 clients. Each look at the clock takes time, and so does each client that is closed.
    """

    def make_reactor(self) -> Any:
        return BusyReactor()

    def many(self) -> Node:
        node = self.started()
        factory = node.web_sockets["/deepstream"]
        self.connections = [FakeConnection("ann", FakeWire(FakeCodec())) for _ in range(10_000)]
        links: Any = [_Link(number, connection, factory) for number, connection in enumerate(self.connections, 1)]
        factory.links.update(links)
        self.addCleanup(factory.links.difference_update, links)
        self.reactor.tick = 1e-6
        self.addCleanup(setattr, self.reactor, "tick", 0.0)
        return node

    def tearDown(self) -> None:
        self.doCleanups()
        super().tearDown()

    def check(self, target: str) -> Any:
        operators: list[Any] = []
        lengths = turn_lengths(self.reactor, lambda: operators.append(self.begin(target)))
        self.assertLess(max(lengths), LONGEST)
        self.assertGreater(len(lengths), 1)
        status, value = operators[0].reply()
        self.assertEqual(status, 200)
        return value

    def test_list(self) -> None:
        """
        A page of them takes several short turns, and holds no more than it was asked for.
        """
        self.many()
        value = self.check("/clients?limit=10")
        self.assertEqual([row["client"] for row in value["clients"]], list(range(1, 11)))
        self.assertEqual((value["total"], value["next"]), (10_000, "10"))

    def test_last_page(self) -> None:
        """
        So does the last page.
        """
        self.many()
        value = self.check("/clients?after=9998")
        self.assertEqual([row["client"] for row in value["clients"]], [9999, 10_000])

    def test_kick_streams(self) -> None:
        """
        To end all streams of an address takes several short turns.
        """
        node = self.many()
        for connection in self.connections:
            connection.user = "bob"
        streams = [_Stream(number, self.reactor) for number in range(10_000)]
        self.patch(node.http.streams, "_all", dict.fromkeys(streams))
        operators: list[Any] = []
        lengths = turn_lengths(
            self.reactor, lambda: operators.append(self.begin("/ban", "POST", b'{"address": "192.0.2.7"}'))
        )
        self.assertLess(max(lengths), LONGEST)
        self.assertEqual(operators[0].reply().value["kicked"], 10_000)
        self.assertTrue(all(stream.closed for stream in streams))

    def test_kick(self) -> None:
        """
        To close all connections of one user takes several short turns.
        """
        node = self.many()
        closed = 0

        def close(reason: str, code: int) -> None:
            nonlocal closed
            closed += 1
            self.reactor.rightNow += 20e-6

        for connection in self.connections:
            connection.close = close  # type: ignore[method-assign,assignment]
            node._users.add(connection)
        self.addCleanup(lambda: list(map(node._users.remove, self.connections)))
        operators: list[Any] = []

        def begin() -> None:
            operators.append(self.begin("/kick", "POST", b'{"user": "ann"}'))

        lengths = turn_lengths(self.reactor, begin)
        self.assertLess(max(lengths), LONGEST)
        self.assertEqual((closed, operators[0].reply()), (10_000, (200, {"kicked": 10_000})))
