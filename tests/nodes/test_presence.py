"""
Presence on a whole node, among clients of both generations.
"""

from __future__ import annotations

from dstwist.config.settings import PresenceSettings, Settings
from dstwist.node import Node
from dstwist.protocol.constants import PresenceAction, Topic
from dstwist.protocol.message import Message
from tests.nodes.client import KINDS, Client, MemoryClient
from tests.nodes.test_node import NodeTestCase

SUBSCRIBE_ALL = Message(Topic.PRESENCE, PresenceAction.SUBSCRIBE_ALL)
QUERY_ALL = Message(Topic.PRESENCE, PresenceAction.QUERY_ALL)


def subscribe(*users: str) -> Message:
    return Message(Topic.PRESENCE, PresenceAction.SUBSCRIBE, names=users, correlation_id="1")


class PresenceTests(NodeTestCase):
    """
    Users of both generations, and who is told of them.
    """

    def watcher(self, node: Node, generation: str, *requests: Message) -> Client:
        client = self.client(node, generation, f"watcher-{generation}")
        client.say(*requests)
        self.turn()
        self.assertTrue(all(answer.is_ack for answer in client.heard()))
        return client

    def lose(self, client: Client) -> None:
        client.transport.loseConnection()
        self.turn()

    def told(self, client: Client) -> list[tuple[bool, str]]:
        """
        News about users that log in and leave.
        """
        self.turn()
        coming = (PresenceAction.PRESENCE_JOIN, PresenceAction.PRESENCE_JOIN_ALL)
        return [(message.action in coming, message.name) for message in client.heard()]

    def test_coming_and_going(self) -> None:
        """
        Subscribers of both generations hear of users of both, once each, however many connections they have.
        """
        node = self.start()
        watchers = [
            self.watcher(node, generation, request)
            for generation in KINDS
            for request in (SUBSCRIBE_ALL, subscribe("ann", "bob"))
        ]
        for watcher in watchers:
            watcher.heard()
        ann, again, bob = (self.client(node, *who) for who in (("v3", "ann"), ("v4", "ann"), ("v4", "bob")))
        for client in (ann, bob, again):
            self.lose(client)
        for watcher in watchers:
            self.assertEqual(
                [event for event in self.told(watcher) if event[1] in ("ann", "bob")],
                [(True, "ann"), (True, "bob"), (False, "bob"), (False, "ann")],
            )

    def test_own_join(self) -> None:
        """
        A client is told of its login first; nothing of its own coming reaches it.
        """
        for generation in KINDS:
            node = self.start()
            client = self.client(node, generation)
            client.say(SUBSCRIBE_ALL, subscribe("ann"))
            self.turn()
            self.assertTrue(all(answer.is_ack for answer in client.heard()))

    def test_refused_login(self) -> None:
        """
        A connection without a login is no user.
        """
        node = self.start()
        watcher = self.watcher(node, "v4", SUBSCRIBE_ALL)
        stranger = MemoryClient(node, "v4")
        self.turn()
        self.lose(stranger)
        self.assertEqual(self.told(watcher), [])

    def test_queries(self) -> None:
        """
        Both generations get the same answers, each in its form: the others who are there, and who of the named is.
        """
        node = self.start()
        clients = [self.client(node, generation, user) for generation, user in (("v3", "ann"), ("v4", "bob"))]
        query = Message(Topic.PRESENCE, PresenceAction.QUERY, names=("ann", "zed"), correlation_id="2")
        for client, other in zip(clients, ("bob", "ann"), strict=True):
            client.say(QUERY_ALL, query)
            self.turn()
            everybody, some = client.heard()
            self.assertEqual((everybody.action, everybody.names), (PresenceAction.QUERY_ALL_RESPONSE, (other,)))
            self.assertEqual((some.correlation_id, some.data), ("2", b'{"ann":true,"zed":false}'))
        self.lose(clients[0])
        clients[1].say(QUERY_ALL)
        self.turn()
        self.assertEqual(clients[1].heard()[0].names, ())

    def test_w37_no_names(self) -> None:
        """
        W37: requests of no users at all are answered, in both dialects.
        """
        for generation in KINDS:
            client = self.client(self.start(), generation)
            for number, action in enumerate(("SUBSCRIBE", "UNSUBSCRIBE", "QUERY")):
                client.say(Message(Topic.PRESENCE, PresenceAction[action], correlation_id=str(number)))
                self.turn()
                (answer,) = client.heard()
                self.assertEqual(answer.correlation_id, str(number), generation)

    def test_grace(self) -> None:
        """
        A user who is back within the time of grace was never away; a stop does not wait for those who are not.
        """
        node = self.start(Settings(presence=PresenceSettings(grace_period=5.0)))
        watcher = self.watcher(node, "v3", SUBSCRIBE_ALL)
        ann, bob = (self.client(node, "v4", user) for user in ("ann", "bob"))
        self.assertEqual(self.told(watcher), [(True, "ann"), (True, "bob")])
        self.lose(ann)
        self.lose(bob)
        self.reactor.advance(4)
        self.client(node, "v3", "ann").transport.loseConnection()
        self.reactor.advance(1)
        self.assertEqual(self.told(watcher), [(False, "bob")])
        stopped = node.stopService()
        self.turn()
        self.assertEqual(self.told(watcher), [])
        watcher.transport.loseConnection()
        self.turn()
        self.successResultOf(stopped)
        self.assertFalse(self.reactor.getDelayedCalls())

    def test_stop(self) -> None:
        """
        A stopping server does not tell each client of all others that go.
        """
        node = self.start()
        clients = [self.client(node, "v4", user) for user in ("ann", "bob", "cat")]
        for client in clients:
            client.say(SUBSCRIBE_ALL)
        self.turn()
        for client in clients:
            client.heard()
        stopped = node.stopService()
        self.turn()
        for client in clients:
            self.assertEqual(client.heard(), [])
            client.transport.loseConnection()
        self.turn()
        self.successResultOf(stopped)
