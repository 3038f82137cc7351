"""
Tests for L{dstwist.http_api.batches}: users who are kicked while their requests are under way, on a node in memory.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred, succeed

from dstwist.connections.login import LoginDecision, Outcome
from dstwist.interfaces import HandshakeData, Login
from dstwist.protocol.constants import EventAction, RpcAction, Topic
from dstwist.protocol.message import Message
from tests.http_api.stage import CALL, EVENT, HttpApiTestCase, Program, body
from tests.logs import Lines
from tests.turns import next_turn


class KickTests(HttpApiTestCase):
    """
    Requests of C{ann}, and a client that provides a procedure and never answers.
    """

    def setUp(self) -> None:
        super().setUp()
        self.user = "ann"

        def login(client: HandshakeData, credentials: bytes) -> Deferred[LoginDecision]:
            return succeed(LoginDecision(Outcome.ACCEPTED, Login(True, self.user), self.user))

        self.patch(self.node.request_logins, "login", login)
        self.provider = self.client("provider")
        self.provider.say(
            Message(Topic.RPC, RpcAction.PROVIDE, names=("slow",), correlation_id="0"),
            Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("e",), correlation_id="1"),
        )
        self.turn()
        self.provider.heard()

    def results(self, program: Program) -> list[Any]:
        (answer,) = program.answers()
        self.assertEqual(answer.status, 200)
        found: list[Any] = json.loads(answer.body)["body"]
        return found

    def test_kick(self) -> None:
        """
        Items without a result are refused with the reason; the others have their results. The log has a line.
        """
        lines = Lines(self)
        self.program.send(body=body(EVENT, CALL))
        self.turn()
        self.assertEqual(self.node.kick("ann", "enough"), 1)
        self.turn()
        self.assertEqual(
            self.results(self.program),
            [
                {"success": True},
                {"success": False, "error": "enough", "errorTopic": "connection", "errorEvent": "CLOSED"},
            ],
        )
        self.assertEqual(lines.last("info"), "KICKED | ann (192.0.2.9, /api): enough")
        self.assertEqual((self.node.kick("ann", "again"), self.node.http.charges.used), (0, 0))

    def test_others(self) -> None:
        """
        Requests of other users go on.
        """
        self.program.send(body=body(CALL))
        self.turn()
        self.assertEqual(self.node.kick("bob", "enough"), 0)
        (call,) = self.provider.heard()
        self.provider.say(Message(Topic.RPC, RpcAction.RESPONSE, "slow", b"1", correlation_id=call.correlation_id))
        self.turn()
        self.assertEqual(self.results(self.program), [{"data": 1, "success": True}])

    def test_not_begun(self) -> None:
        """
        Items that have not begun do not begin.
        """
        self.reactor.tick = 0.001
        self.program.send(body=body(*[EVENT] * 2000))
        heard: list[Message] = []
        while not heard:
            next_turn(self.reactor)
            heard += self.provider.heard()
        self.assertEqual(self.node.kick("ann", "enough"), 1)
        self.reactor.tick = 0.0
        self.turn()
        heard += self.provider.heard()
        self.assertLess(len(heard), 2000)
        succeeded = [result["success"] for result in self.results(self.program)]
        self.assertEqual(succeeded.count(True), len(heard))

    def test_gone(self) -> None:
        """
        A request whose client has gone is not under way.
        """
        self.program.send(body=body(CALL))
        self.turn()
        self.program.go()
        self.turn()
        self.assertEqual(self.node.kick("ann", "enough"), 0)
