"""
The commands about bans.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from dstwist.admin.bans import BANNED
from dstwist.connections.login import Outcome
from dstwist.interfaces import HandshakeData
from dstwist.node import Node
from dstwist.protocol.constants import AuthAction, ConnectionAction, Topic
from dstwist.protocol.message import Message
from tests.admin.helpers import AdminTestCase
from tests.http_api.stage import CALL, Program, body
from tests.nodes.client import MemoryClient


class BanTests(AdminTestCase):
    """
    C{ban}, C{unban} and C{bans}.
    """

    def refused(self, node: Node, user: str) -> Any:
        """
        How a login ends: the last message, and the close.
        """
        client = MemoryClient(node, "v4")
        client.say(
            Message(Topic.CONNECTION, ConnectionAction.CHALLENGE, url="ws://localhost", sdk_type="javascript"),
            Message(Topic.AUTH, AuthAction.REQUEST, data=b'{"username":"%s"}' % user.encode()),
        )
        last = client.heard()[-1]
        self.reactor.advance(10)
        client.heard()
        return last.action, client.closed

    def test_user(self) -> None:
        """
        A banned user loses all connections, and cannot log in again; others can. The log says why.
        """
        node = self.started()
        client = self.client(node, "ann")
        self.assertEqual(self.post("ban", user="ann"), (200, {"banned": "ann", "seconds": None, "kicked": 1}))
        self.reactor.advance(10)
        client.heard()
        self.assertEqual(client.closed, (1008, BANNED))
        self.assertEqual(self.refused(node, "ann"), (AuthAction.AUTH_UNSUCCESSFUL, (1013, "This user is banned.")))
        self.assertIn("LIMIT_EXCEEDED | ban: ann (192.0.2.1, /deepstream, #", self.lines.last("warn"))
        self.client(node, "bob")

    def test_request(self) -> None:
        """
        Neither are single requests of the user served, even if their login was remembered.
        """
        node = self.started()

        def outcome() -> Outcome:
            login = node.request_logins.login(HandshakeData("192.0.2.1"), b'{"username":"ann"}')
            return self.successResultOf(login).outcome

        self.assertIs(outcome(), Outcome.ACCEPTED)
        self.post("ban", user="ann")
        self.assertIs(outcome(), Outcome.EXCEEDED)

    def test_address(self) -> None:
        """
        Connections, streams and requests from a banned address are closed, and new ones are refused before they log in.
        Streams from other addresses go on.
        """
        node = self.started()
        client = self.client(node)
        stream, other, request = (Program(node.factory, f"192.0.2.{number}") for number in (1, 2, 1))
        for program in (stream, other):
            program.send("/api/events/news", method="GET")
        self.successResultOf(node.api.rpc.provide("slow", lambda call: Deferred()))
        request.send(body=body(CALL))
        self.reactor.pump([0] * 3)
        self.assertEqual(self.post("ban", address="192.0.2.1").value["kicked"], 3)
        self.assertIn(BANNED.encode(), stream.transport.value())
        self.assertNotIn(BANNED.encode(), other.transport.value())
        self.reactor.advance(0)
        self.assertIn(BANNED.encode(), request.transport.value())
        self.reactor.advance(10)
        client.heard()
        self.assertEqual(client.closed, (1008, BANNED))
        self.assertEqual(MemoryClient(node, "v4").status, 429)

    def test_proxy(self) -> None:
        """
        On a kept connection of a proxy each request from a banned address is refused; others are served.
        """
        node = self.started(httpServer={"options": {"trustedProxies": ["192.0.2.1"]}})
        proxy = Program(node.factory, "192.0.2.1")

        def status(address: str, method: str = "GET") -> int:
            headers = ("Content-Type: application/json", f"X-Forwarded-For: {address}")
            body = b'{"body": [{"topic": "presence", "action": "query"}]}' if method == "POST" else None
            proxy.send("/health-check" if body is None else "/api", body, method, headers)
            self.reactor.pump([0] * 3)
            (answer,) = proxy.answers()
            return answer.status

        self.assertEqual([status("198.51.100.1"), status("198.51.100.2")], [200, 200])
        self.post("ban", address="198.51.100.1")
        self.assertEqual([status("198.51.100.1"), status("198.51.100.1", "POST")], [429, 429])
        self.assertIn("LIMIT_EXCEEDED | ban: 198.51.100.1 refused: This address is banned.", self.lines.last("warn"))
        self.assertEqual([status("198.51.100.2"), status("198.51.100.2", "POST")], [200, 200])
        self.post("unban", address="198.51.100.1")
        self.assertEqual(status("198.51.100.1", "POST"), 200)

    def test_kept_connection(self) -> None:
        """
        A client without a proxy is refused on the connection that it has.
        """
        node = self.started()
        program = Program(node.factory, "192.0.2.1")
        for expected in (200, 429):
            program.send("/health-check", method="GET")
            (answer,) = program.answers()
            self.assertEqual(answer.status, expected)
            self.post("ban", address="192.0.2.1")

    def test_end(self) -> None:
        """
        A ban ends with its time, or with C{unban}.
        """
        node = self.started()
        self.post("ban", user="ann", seconds=60)
        self.post("ban", address="192.0.2.1")
        self.assertEqual(
            self.get("bans").value["bans"],
            [
                {"kind": "user", "name": "ann", "seconds": 60},
                {"kind": "address", "name": "192.0.2.1", "seconds": None},
            ],
        )
        self.assertEqual(self.post("unban", address="192.0.2.1").value, {"ended": True})
        self.assertEqual(self.post("unban", address="192.0.2.1").value, {"ended": False})
        self.assertIs(self.refused(node, "ann")[0], AuthAction.AUTH_UNSUCCESSFUL)
        self.reactor.advance(60)
        self.client(node, "ann")
        self.assertEqual(self.get("bans").value, {"bans": []})

    def test_network(self) -> None:
        """
        An address of IPv6 stands for its network.
        """
        self.started()
        self.assertEqual(self.post("ban", address="2001:db8::5").value["banned"], "2001:db8::")

    def test_refused(self) -> None:
        """
        A ban needs a user or an address.
        """
        self.started()
        for values in ({}, {"user": "a", "address": "192.0.2.1"}, {"address": "host"}, {"user": "a", "seconds": 0}):
            self.assertEqual(self.post("ban", **values).status, 400)
        self.assertEqual(self.get("bans").value, {"bans": []})
