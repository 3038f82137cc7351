"""
The command C{trace}.
"""

from __future__ import annotations

from typing import Any

from dstwist.admin import trace as module
from dstwist.node import Node
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message
from tests.admin.helpers import AdminTestCase, Listener
from tests.nodes.client import GENERATIONS, MemoryClient

SECRET = {"v3": "Stop secret", "v4": b'"top secret"', "json": b'"top secret"'}


class TraceCase(AdminTestCase):
    """
    An operator who traces.
    """

    def trace(self, query: str = "user=ann") -> Listener:
        return Listener(self.reactor.unixServers[-1][1], f"/trace?{query}")

    def told(self, listener: Listener) -> list[tuple[Any, ...]]:
        """
        Direction, topic, action and name of the messages.
        """
        self.reactor.advance(0)
        keys = ("direction", "topic", "action", "name")
        return [tuple(row.get(key) for key in keys) for row in listener.rows() if "direction" in row]


class MessageTests(TraceCase):
    """
    The messages of the user.
    """

    def test_both_ways(self) -> None:
        """
        Requests and answers are seen, and what other clients send to the user, in all protocols; the messages of other
        users are not.
        """
        node = self.started()
        for generation in GENERATIONS:
            ann, bob = self.client(node, "ann", generation), self.client(node, "bob", generation)
            listener = self.trace()
            ann.subscribe("news")
            subscribe = ("EVENT", "SUBSCRIBE", None)
            self.assertEqual(self.told(listener), [("in", *subscribe), ("out", *subscribe)])
            bob.emit("news", SECRET[generation])
            self.assertEqual(self.told(listener), [("out", "EVENT", "EMIT", "news")])
            ann.emit("other", SECRET[generation])
            self.assertEqual(self.told(listener), [("in", "EVENT", "EMIT", "other")])
            bob.emit("other", SECRET[generation])
            self.assertEqual(self.told(listener), [])
            listener.leave()
            for client in (ann, bob):
                client.transport.loseConnection()

    def test_subscribed_before(self) -> None:
        """
        So are messages to subscriptions that are older than the trace.
        """
        node = self.started()
        ann, bob = self.client(node, "ann"), self.client(node, "bob")
        ann.subscribe("news")
        self.reactor.advance(0)
        listener = self.trace()
        bob.emit("news", b"1")
        self.assertEqual(self.told(listener), [("out", "EVENT", "EMIT", "news")])
        self.assertEqual([message.data for message in ann.heard() if message.action is EventAction.EMIT], [b"1"])

    def test_values(self) -> None:
        """
        Values are there only if they were asked for.
        """
        node = self.started()
        for generation in GENERATIONS:
            ann = self.client(node, "ann", generation)
            for query, shown in (("user=ann", False), ("user=ann&values=true", True)):
                listener = self.trace(query)
                ann.emit("news", SECRET[generation])
                self.reactor.advance(0)
                data = [row["data"] for row in listener.rows() if row.get("action") == "EMIT"]
                self.assertEqual("top secret" in data[0], shown, data)
                listener.leave()
            ann.transport.loseConnection()

    def test_connections(self) -> None:
        """
        Connections that come later are traced as well, and their ends are told.
        """
        node = self.started()
        listener = self.trace()
        ann = self.client(node)
        ann.subscribe("news")
        ann.transport.loseConnection()
        rows = listener.rows()
        self.assertEqual(rows[0]["tracing"], "ann")
        self.assertEqual(
            [row.get("event") or row["action"] for row in rows[1:]],
            ["connected", "AUTH_SUCCESSFUL", "SUBSCRIBE", "disconnected"],
        )

    def test_malformed(self) -> None:
        """
        What is no message is seen as such.
        """
        node = self.started()
        ann = self.client(node, "ann", "v3")
        listener = self.trace()
        ann.send(b"E\x1fS\x1e")
        self.reactor.advance(0)
        self.assertEqual(
            [row.get("malformed") for row in listener.rows() if row.get("direction") == "in"], ["INVALID_DATA"]
        )


class EndTests(TraceCase):
    """
    The end of a trace, and its limits.
    """

    def untouched(self, node: Node, client: MemoryClient) -> tuple[Any, ...]:
        (link,) = node.web_sockets["/deepstream"].links
        connection: Any = link.connection
        return type(link._outbox), connection.decode

    def test_end(self) -> None:
        """
        When the last operator has gone, the connection runs the same code as before.
        """
        node = self.started()
        ann = self.client(node)
        before = self.untouched(node, ann)
        first, second = self.trace(), self.trace()
        self.assertNotEqual(self.untouched(node, ann), before)
        first.leave()
        second.rows()
        ann.subscribe("news")
        self.assertEqual(len(self.told(second)), 2)
        second.leave()
        self.assertEqual(self.untouched(node, ann), before)
        ann.heard()
        ann.subscribe("more")
        self.reactor.advance(0)
        self.assertEqual(len(ann.heard()), 1)

    def test_dropped(self) -> None:
        """
        More rows than a second may have are dropped; the operator is told how many, and every message arrives.
        """
        self.patch(module, "MAX_ROWS", 10)
        node = self.started()
        ann = self.client(node)
        listener = self.trace()
        for number in range(30):
            ann.emit(f"e{number}", b"1")
        rows = listener.rows()
        self.assertEqual(len(rows), 10)
        self.reactor.advance(1)
        # The first two are about the trace.
        self.assertEqual([row["dropped"] for row in listener.rows()], [22])
        ann.emit("again", b"1")
        self.assertEqual([row["name"] for row in listener.rows()], ["again"])

    def test_slow_operator(self) -> None:
        """
        Rows for an operator who does not read are bounded.
        """
        self.patch(module, "MAX_WAITING_BYTES", 500)
        node = self.started()
        ann = self.client(node)
        listener = self.trace()
        listener.rows()
        listener.transport.producer.pauseProducing()
        for number in range(30):
            ann.emit(f"e{number}", b"1")
        self.assertEqual(listener.rows(), [])
        listener.transport.producer.resumeProducing()
        kept = len(listener.rows())
        self.assertLess(kept, 10)
        self.reactor.advance(1)
        self.assertEqual([row["dropped"] for row in listener.rows()], [30 - kept])

    def test_limits(self) -> None:
        """
        There are only so many traces, and each follows only so many connections.
        """
        self.patch(module, "MAX_TRACES", 2)
        self.patch(module, "MAX_CONNECTIONS", 1)
        node = self.started()
        self.client(node)
        self.client(node)
        listeners = [self.trace(), self.trace()]
        self.assertEqual([row.get("event") for row in listeners[0].rows()], [None, "connected"])
        self.assertEqual(self.get("trace", user="ann").status, 409)
        listeners[0].leave()
        third = self.trace()
        third.rows()
        self.assertEqual(third.status, 200)

    def test_nameless(self) -> None:
        """
        A trace needs a user.
        """
        self.started()
        self.assertEqual(self.get("trace").status, 400)

    def test_stop(self) -> None:
        """
        A trace ends with the server.
        """
        node = self.started()
        self.client(node)
        listener = self.trace()
        stopped = node.stop()
        self.reactor.advance(5)
        self.successResultOf(stopped)
        self.assertTrue(listener.transport.aborted)
        listener.leave()
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class LongTests(TraceCase):
    """
    Long messages.
    """

    def test_long(self) -> None:
        """
        A long frame is not decoded once more; a long value is cut.
        """
        node = self.started()
        ann, bob = self.client(node, "ann"), self.client(node, "bob")
        ann.subscribe("news")
        self.reactor.advance(0)
        listener = self.trace("user=ann&values=true")
        listener.rows()
        bob.emit("news", b'"%s"' % (b"x" * 70_000))
        self.reactor.advance(0)
        (row,) = listener.rows()
        self.assertEqual((row["long"], row["bytes"] > 70_000), (True, True))
        bob.emit("news", b'"%s"' % (b"x" * 5_000))
        self.reactor.advance(0)
        (row,) = listener.rows()
        self.assertEqual(row["data"], '"' + "x" * 999 + "...")

    def test_bulk(self) -> None:
        """
        Of a request with many names, a row has some.
        """
        node = self.started()
        ann = self.client(node)
        listener = self.trace()
        listener.rows()
        names = tuple(f"n{number}" for number in range(50))
        ann.say(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=names, correlation_id="1"))
        row = listener.rows()[0]
        self.assertEqual((row["names"], row["moreNames"]), (list(names[:20]), 30))
