"""
A whole node and a client that asks for thousands of names at once, next to one that has a small question.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.permission import PermissionSettings
from dstwist.config.settings import Settings
from dstwist.node import Node
from dstwist.protocol.constants import (
    ConnectionAction,
    EventAction,
    PresenceAction,
    RecordAction,
    RpcAction,
    Topic,
)
from dstwist.protocol.message import Message
from dstwist.scheduling.time_slices import NAMES_PER_STEP
from dstwist.scheduling.turns import TIME_SLICE
from tests.fakes import BusyReactor
from tests.logs import Lines
from tests.nodes.client import API, MemoryClient, connect

NAMES = tuple(f"n{number:05}" for number in range(5000))
PING = Message(Topic.CONNECTION, ConnectionAction.PING)
#: A request with one answer, for all kinds of clients.
BEHIND = Message(Topic.PRESENCE, PresenceAction.QUERY, names=("zed",), correlation_id="behind")

BULKS: list[tuple[Topic, IntEnum]] = [
    (Topic.EVENT, EventAction.SUBSCRIBE),
    (Topic.EVENT, EventAction.UNSUBSCRIBE),
    (Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD),
    (Topic.RECORD, RecordAction.UNSUBSCRIBE),
    (Topic.RECORD, RecordAction.SUBSCRIBEANDREAD),
    (Topic.RECORD, RecordAction.SUBSCRIBEANDHEAD),
    (Topic.RECORD, RecordAction.SUBSCRIBE),
    (Topic.RECORD, RecordAction.NOTIFY),
    (Topic.RPC, RpcAction.PROVIDE),
    (Topic.RPC, RpcAction.UNPROVIDE),
    (Topic.PRESENCE, PresenceAction.SUBSCRIBE),
    (Topic.PRESENCE, PresenceAction.UNSUBSCRIBE),
    (Topic.PRESENCE, PresenceAction.QUERY),
]

RULES: dict[str, Any] = {
    "record": {"*": {"create": True, "read": "name !== 'n00007' && name !== 'n04999'", "notify": True}},
    "event": {"*": {"subscribe": "name !== 'n00007' && name !== 'n04999'"}},
    "rpc": {"*": {"provide": "name !== 'n00007' && name !== 'n04999'"}},
    "presence": {"*": {"allow": "name !== 'n00007' && name !== 'n04999'"}},
}


class BulkTests(SynchronousTestCase):
    """
    Requests about many names.
    """

    #: The kind of client that asks for many names.
    kind = "v4"

    def node(self, rules: Any = None) -> None:
        Lines(self)
        self.reactor: Any = BusyReactor()
        settings = Settings()
        if rules is not None:
            settings = Settings(permission=PermissionSettings(permissions=rules, type="config", where="permissions"))
        self.at = Node(settings, [], self.reactor)
        self.at.startService()
        self.reactor.advance(0)
        self.greedy, self.modest = connect(self.at, self.kind), MemoryClient(self.at, "v4")
        self.greedy.log_in("greedy")
        self.modest.log_in("modest")
        # Ten steps, and the look at the clock that is one too many.
        self.reactor.tick = TIME_SLICE / 10

    def serve(self, topic: Topic, action: IntEnum) -> tuple[list[Message], int]:
        """
        Have a request about many names served: what its sender hears up to the answer to what it asked behind it, and
        how often another client's question was answered meanwhile: at once, or in the next turn if all the time of one
        was used up.
        """
        # In a turn that has all of its time left.
        self.reactor.advance(0)
        self.greedy.say(Message(topic, action, names=NAMES, correlation_id="1"), BEHIND)
        heard: list[Message] = []
        asked = answered = 0
        while not heard or heard[-1].correlation_id != BEHIND.correlation_id:
            self.modest.say(PING)
            asked += 1
            self.reactor.advance(0)
            answered += [message.action for message in self.modest.heard()].count(ConnectionAction.PONG)
            self.assertLessEqual(asked - answered, 1)
            heard += self.greedy.heard()
        return heard[:-1], answered

    def test_in_between(self) -> None:
        """
        Whatever is asked of five thousand names, others are served in between; the sender gets one acknowledgement, and
        what it asks behind it is answered behind it.
        """
        self.node()
        for topic, action in BULKS:
            heard, answered = self.serve(topic, action)
            self.assertGreaterEqual(answered, len(NAMES) // NAMES_PER_STEP // 11, action)
            acks = [message.action for message in heard if message.is_ack]
            self.assertEqual(acks, [] if action is PresenceAction.QUERY else [action])

    def test_refusals(self) -> None:
        """
        Exactly the refused names are refused, wherever they stand, and exactly the others are served.
        """
        subscribed = [
            (topic, action) for topic, action in BULKS if action.name not in ("UNSUBSCRIBE", "UNPROVIDE", "NOTIFY")
        ]
        for topic, action in subscribed:
            self.node(RULES)
            heard, answered = self.serve(topic, action)
            self.assertGreaterEqual(answered, len(NAMES) // NAMES_PER_STEP // 11, action)
            denied = [message.name for message in heard if message.action.name == "MESSAGE_DENIED"]
            self.assertEqual(denied, ["n00007", "n04999"], action)
            acks = [message.action for message in heard if message.is_ack]
            self.assertEqual(acks, [] if action is PresenceAction.QUERY else [action])

    def test_gone(self) -> None:
        """
        A client that leaves during a bulk request leaves nothing behind.
        """
        for topic, action in BULKS:
            self.node()
            self.greedy.say(Message(topic, action, names=NAMES, correlation_id="1"))
            self.reactor.advance(0)
            self.greedy.transport.loseConnection()
            self.reactor.tick = 0.0
            for _ in range(5):
                self.reactor.advance(0)
            for grant_type in self.at._client_side._topics.grant_types:
                self.assertEqual([each for each in grant_type.registry.connections() if each.closed], [])


class InProcessBulkTests(BulkTests):
    """
    The same for a requester in the process of the node.
    """

    kind = API
