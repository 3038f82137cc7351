"""
Tests for L{dstwist.services.online_anywhere}: presence on several nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.digest import GONE as GONE_STATE
from dstwist.cluster.kinds import USER
from dstwist.cluster.node import ClusterNode
from dstwist.cluster.table import partition_of
from dstwist.config.settings import PresenceSettings
from dstwist.connections.users import UserRegistry
from dstwist.limits import lingering
from dstwist.protocol.constants import PresenceAction
from dstwist.protocol.dialect import PROTOBUF, TEXT, Dialect
from dstwist.protocol.jsontext import loads
from dstwist.protocol.message import Message
from dstwist.services.online_anywhere import ALL_LINGER, OnlineAnywhere
from dstwist.services.presence import LEARNED_AT_ONCE, PresenceService
from tests.cluster.stage import Stage
from tests.fakes import FakeConnection, FakeWire
from tests.services.presence_messages import QUERY_ALL, SUBSCRIBE_ALL, UNSUBSCRIBE_ALL, query, subscribe, unsubscribe

GRACE = 2.0

#: Longer than it takes until a user who has gone is announced as gone: the grace time, a question, and its answers.
GONE = GRACE + 2

#: Longer than it takes until a node is found dead.
DEAD = 8.0


class NodeUsers:
    """
    The users and the presence service of one node.
    """

    def __init__(self, stage: Stage, node: ClusterNode, settings: PresenceSettings) -> None:
        self.node = node
        self.users = UserRegistry()
        self.service = PresenceService(self.users, settings, stage.clock, cluster=node)

    def log_in(self, user: str, dialect: Dialect = PROTOBUF) -> FakeConnection:
        connection = FakeConnection(user, dialect=dialect)
        self.users.add(connection)
        return connection

    def log_out(self, connection: FakeConnection) -> None:
        connection.close()
        self.users.remove(connection)

    def client(self, dialect: Dialect = PROTOBUF) -> FakeConnection:
        """
        A client that is no user.
        """
        return FakeConnection("OPEN", dialect=dialect)


class NodesTestCase(SynchronousTestCase):
    """
    Presence on several nodes. The watcher of each node is subscribed to all users, the friend to C{ann} alone.
    """

    max_name_bytes: int | None = None

    def build(self, count: int = 3, **settings: Any) -> None:
        self.stage = stage = Stage(self, count, grace={"u": GRACE}, max_name_bytes=self.max_name_bytes)
        self.settings = PresenceSettings(**settings)
        self.nodes = [NodeUsers(stage, node, self.settings) for node in stage.nodes]
        stage.start()

    def setUp(self) -> None:
        self.build()

    def add_node(self) -> NodeUsers:
        node = NodeUsers(self.stage, self.stage.make_node(), self.settings)
        self.nodes.append(node)
        self.stage.start(node.node)
        return node

    def subscriber(self, number: int, *requests: Message, dialect: Dialect = PROTOBUF) -> FakeConnection:
        """
        A client of one node that is subscribed, and has been answered.
        """
        client = self.nodes[number].client(dialect)
        for request in requests:
            self.nodes[number].service.handle(request, client)
            self.stage.turn()
        self.assertEqual(client.take(), [request.ack() for request in requests])
        return client

    def watchers(self) -> list[FakeConnection]:
        return [self.subscriber(number, SUBSCRIBE_ALL) for number in range(len(self.nodes))]

    def silence_others(self) -> Any:
        """
        Have all messages lost that other nodes send to the first one.

        @return: what ends it by C{restore}.
        """
        first = self.stage.bus(0)
        return self.patch(
            self.stage.network,
            "travel_times",
            lambda sender, receiver: () if sender is not first is receiver else (0.0,),
        )

    def told(self, client: FakeConnection) -> list[str]:
        """
        Joins and leaves that C{client} was sent: C{+ann}, C{-ann}.
        """
        shown = {
            PresenceAction.PRESENCE_JOIN_ALL: "+",
            PresenceAction.PRESENCE_LEAVE_ALL: "-",
            PresenceAction.PRESENCE_JOIN: "+",
            PresenceAction.PRESENCE_LEAVE: "-",
        }
        return [f"{shown[message.action]}{message.name}" for message in client.take()]  # type: ignore[index]

    def ask(self, number: int, request: Message, user: str = "OPEN", turn: bool = True) -> Any:
        """
        What a client of C{user} is answered: the users who are online.
        """
        client = FakeConnection(user)
        self.nodes[number].service.handle(request, client)
        if turn:
            self.stage.turn()
        (answer,) = client.take()
        if request.action == PresenceAction.QUERY_ALL:
            return sorted(answer.names)
        assert isinstance(answer.data, bytes)
        return loads(answer.data)


class TellingTests(NodesTestCase):
    """
    Joins and leaves on other nodes.
    """

    def test_everyone(self) -> None:
        """
        A user joins for the clients of all nodes, and leaves for them after the grace time.
        """
        watchers = self.watchers()
        ann = self.nodes[1].log_in("ann")
        self.assertEqual(self.told(watchers[1]), ["+ann"])
        self.stage.turn()
        self.assertEqual([self.told(watcher) for watcher in watchers], [["+ann"], [], ["+ann"]])
        self.nodes[1].log_out(ann)
        self.stage.advance(GRACE)
        self.assertEqual([self.told(watcher) for watcher in watchers], [[], [], []])
        self.stage.advance(GONE - GRACE)
        self.assertEqual([self.told(watcher) for watcher in watchers], [["-ann"]] * 3)

    def test_one(self) -> None:
        """
        A subscriber to one user is told of that user alone.
        """
        friend = self.subscriber(0, subscribe("ann"))
        connections = [self.nodes[1].log_in(user) for user in ("ann", "bob")]
        self.stage.turn()
        for connection in connections:
            self.nodes[1].log_out(connection)
        self.stage.advance(GONE)
        self.assertEqual(self.told(friend), ["+ann", "-ann"])

    def test_both(self) -> None:
        """
        A client of v2 or v3 that is subscribed both ways is told once, of users on other nodes, too.
        """
        client = self.subscriber(0, subscribe("ann"), SUBSCRIBE_ALL, dialect=TEXT)
        self.nodes[1].log_in("ann")
        self.stage.turn()
        self.assertEqual(self.told(client), ["+ann"])

    def test_names(self) -> None:
        """
        A user's name may have any characters.
        """
        names = ["\0", "*u", "u", " ", "\x1e\x1f", "ünï\U0001f600", "a" * 3000, '["x"]']
        watcher, friend = self.subscriber(0, SUBSCRIBE_ALL), self.subscriber(0, subscribe(*names))
        for name in names:
            self.nodes[1].log_in(name)
        self.stage.turn()
        joins = sorted(f"+{name}" for name in names)
        self.assertEqual((sorted(self.told(watcher)), sorted(self.told(friend))), (joins, joins))
        self.assertEqual(self.ask(2, QUERY_ALL), sorted(names))
        self.assertEqual(self.ask(2, query(*names)), dict.fromkeys(names, True))

    def test_moves(self) -> None:
        """
        A user who goes from node to node within the grace time is online all the time.
        """
        watchers = self.watchers()
        ann = self.nodes[0].log_in("ann")
        self.stage.turn()
        self.assertEqual([self.told(watcher) for watcher in watchers], [["+ann"]] * 3)
        for number in (1, 2, 0, 1):
            self.nodes[number - 1].log_out(ann)
            self.stage.advance(GRACE - 0.5)
            self.assertEqual(self.ask(number, query("ann")), {"ann": True})
            ann = self.nodes[number].log_in("ann")
        self.stage.advance(10)
        self.assertEqual([self.told(watcher) for watcher in watchers], [[]] * 3)

    def test_w41_on_two_nodes(self) -> None:
        """
        W41: a user who is online on several nodes joins once, and leaves once, in whatever order the connections end.
        """
        watchers = self.watchers()
        for order in ((0, 1, 2), (1, 0, 2), (2, 1, 0)):
            connections = [node.log_in("ann") for node in self.nodes]
            second = self.nodes[0].log_in("ann")
            self.stage.turn()
            self.assertEqual([self.told(watcher) for watcher in watchers], [["+ann"]] * 3)
            self.nodes[0].log_out(second)
            for number in order[:2]:
                self.nodes[number].log_out(connections[number])
                self.stage.advance(GONE)
            self.assertEqual([self.told(watcher) for watcher in watchers], [[]] * 3)
            # The user comes back to a node while another one has the user as well.
            again = self.nodes[order[0]].log_in("ann")
            self.stage.turn()
            self.nodes[order[0]].log_out(again)
            self.stage.advance(GONE)
            self.assertEqual([self.told(watcher) for watcher in watchers], [[]] * 3)
            self.nodes[order[2]].log_out(connections[order[2]])
            self.stage.advance(GONE)
            self.assertEqual([self.told(watcher) for watcher in watchers], [["-ann"]] * 3)

    def test_short(self) -> None:
        """
        A user who logs in and out at once joins and leaves.
        """
        watchers = self.watchers()
        for _ in range(3):
            self.nodes[0].log_out(self.nodes[0].log_in("ann"))
        self.stage.advance(10)
        self.assertEqual(self.told(watchers[0]), ["+ann", "-ann"])
        self.assertIn(self.told(watchers[1]), ([], ["+ann", "-ann"]))
        self.assertEqual(self.ask(0, QUERY_ALL), [])


class SubscribingTests(NodesTestCase):
    """
    Subscriptions to users of whom this node knows nothing yet.
    """

    def test_online_already(self) -> None:
        """
        A user who is online when a client subscribes does not join for that client; the acknowledgement waits until
        that is known.
        """
        ann = self.nodes[1].log_in("ann")
        self.stage.turn()
        for request, other in ((subscribe("ann", "zed"), "zed"), (SUBSCRIBE_ALL, "bob")):
            client = self.nodes[0].client()
            self.nodes[0].service.handle(request, client)
            self.assertEqual(client.take(), [])
            self.stage.turn()
            self.assertEqual(client.take(), [request.ack()])
            self.nodes[2].log_in(other)
            self.stage.turn()
            self.assertEqual(self.told(client), [f"+{other}"])
        self.nodes[1].log_out(ann)
        self.stage.advance(GONE)
        self.assertEqual(self.told(client), ["-ann"])

    def test_second_subscriber(self) -> None:
        """
        What is known already is not waited for.
        """
        self.subscriber(0, subscribe("ann"))
        client = self.nodes[0].client()
        self.nodes[0].service.handle(subscribe("ann"), client)
        self.assertEqual(client.take(), [subscribe("ann").ack()])
        self.subscriber(0, SUBSCRIBE_ALL)
        for request in (SUBSCRIBE_ALL, subscribe("bob")):
            self.nodes[0].service.handle(request, client)
            self.assertEqual(client.take(), [request.ack()])

    def test_in_order(self) -> None:
        """
        Joins and leaves alternate for a client that is subscribed while another one waits for the owners.
        """
        first = self.nodes[0].client()
        self.nodes[0].service.handle(subscribe("ann"), first)
        ann = self.nodes[0].log_in("ann")
        second = self.nodes[0].client()
        self.nodes[0].service.handle(subscribe("ann"), second)
        self.assertEqual((first.take(), second.take()), ([subscribe("ann").ack()], [subscribe("ann").ack()]))
        self.stage.turn()
        self.nodes[0].log_out(ann)
        self.stage.advance(GONE)
        self.assertEqual((self.told(first), self.told(second)), (["-ann"], ["-ann"]))

    def test_no_owner(self) -> None:
        """
        If an owner does not answer, the client is acknowledged after subscribeTimeout, and told of users who are online
        when that is known.
        """
        users = "abcdefghij"
        for user in users:
            self.nodes[1].log_in(user)
        self.stage.turn()
        # This node tells itself of those whose owner it is.
        owns = self.nodes[0].node.membership.owns
        late = [f"+{user}" for user in users if not owns(partition_of(user, self.stage.settings.partitions))]
        silence = self.silence_others()
        clients = []
        for request in (SUBSCRIBE_ALL, subscribe(*users)):
            client = self.nodes[0].client()
            self.nodes[0].service.handle(request, client)
            self.stage.advance(0.9)
            self.assertEqual(client.take(), [])
            self.stage.advance(0.2)
            self.assertEqual(client.take(), [request.ack()])
            clients.append(client)
        silence.restore()
        self.stage.advance(3)
        self.assertEqual(self.ask(0, QUERY_ALL), list(users))
        self.assertEqual([sorted(self.told(client)) for client in clients], [late, late])
        self.assertTrue(0 < len(late) < len(users))

    def test_second_waits(self) -> None:
        """
        A client that subscribes to all users, while others are told of them already, is told of those who come behind
        its acknowledgement.
        """
        silence = self.silence_others()
        first, second = self.nodes[0].client(), self.nodes[0].client()
        self.nodes[0].service.handle(SUBSCRIBE_ALL, first)
        self.stage.advance(1.1)
        self.assertEqual(first.take(), [SUBSCRIBE_ALL.ack()])
        self.nodes[0].service.handle(SUBSCRIBE_ALL, second)
        self.nodes[0].log_in("ann")
        self.assertEqual((self.told(first), second.take()), (["+ann"], []))
        silence.restore()
        self.stage.advance(1)
        self.assertEqual(second.take(), [SUBSCRIBE_ALL.ack()])
        self.nodes[0].log_in("bob")
        self.assertEqual((self.told(first), self.told(second)), (["+bob"], ["+bob"]))

    def test_waits_for_all(self) -> None:
        """
        A client of v2 or v3 that is subscribed to a user, and waits for a subscription to all, is told of that user.
        """
        client = self.subscriber(0, subscribe("ann"), dialect=TEXT)
        silence = self.silence_others()
        self.nodes[0].service.handle(SUBSCRIBE_ALL, client)
        ann = self.nodes[0].log_in("ann")
        self.assertEqual(self.told(client), ["+ann"])
        silence.restore()
        self.stage.advance(2)
        self.assertEqual(client.take(), [SUBSCRIBE_ALL.ack()])
        self.nodes[0].log_out(ann)
        self.stage.advance(GONE)
        self.assertEqual(self.told(client), ["-ann"])

    def test_nothing_encoded(self) -> None:
        """
        While all subscribers to all users wait, nothing is encoded for them: this node may be told of very many users.
        """
        self.silence_others()
        frames = FakeWire()
        clients = [FakeConnection("OPEN", frames) for _ in range(3)]
        for client in clients:
            self.nodes[0].service.handle(SUBSCRIBE_ALL, client)
        clients[0].close()
        self.nodes[0].log_in("ann")
        self.assertEqual(frames.encoded, 0)
        self.stage.advance(1.1)
        self.assertEqual([client.take() for client in clients], [[], [SUBSCRIBE_ALL.ack()], [SUBSCRIBE_ALL.ack()]])
        self.nodes[0].log_in("bob")
        self.assertEqual([self.told(client) for client in clients], [[], ["+bob"], ["+bob"]])

    def test_all_again(self) -> None:
        """
        All users are wanted again while their watch is being ended, a part in each turn: none is forgotten. Nor is one
        whose own watch ends meanwhile.
        """
        users = list("abcdefghij")
        for user in users:
            self.nodes[1].log_in(user)
        self.stage.turn()
        directory, clock = self.nodes[0].node.directory, self.stage.clock
        unwatch_all = directory.unwatch_all
        steps: list[int] = []

        def slow(kind: str) -> Iterator[list[str]]:
            for forgotten in unwatch_all(kind):
                steps.append(len(forgotten))
                clock.now += 0.02
                yield forgotten

        self.patch(directory, "unwatch_all", slow)
        client = self.subscriber(0, subscribe(*users[::2]))
        self.assertEqual(self.ask(0, QUERY_ALL), users)
        while not steps:
            self.stage.advance(0.005)
        done = len(steps)
        self.assertLess(done, self.stage.settings.partitions)
        self.patch(lingering, "MAX_LINGERING", 0)
        for request in (unsubscribe(*users[::2]), QUERY_ALL):
            self.nodes[0].service.handle(request, client)
        self.stage.advance(0.5)
        _, answer = client.take()
        self.assertEqual(sorted(answer.names), users)
        self.stage.advance(20)
        self.assertEqual((len(steps), self.ask(0, QUERY_ALL)), (done, users))

    def test_closed(self) -> None:
        """
        A client that goes while it waits leaves nothing behind.
        """
        for number, request in ((0, subscribe("ann")), (0, query("bob")), (0, SUBSCRIBE_ALL), (1, QUERY_ALL)):
            client = self.nodes[number].client()
            self.nodes[number].service.handle(request, client)
            client.close()
            self.stage.turn()
            self.assertEqual(client.take(), [])
        self.stage.advance(ALL_LINGER + 1)
        self.nodes[2].log_in("ann")
        self.stage.turn()
        for node in self.nodes[:2]:
            service = node.service
            self.assertEqual((list(service.all_users.names()), list(service.single_users.names())), ([], []))
            self.assertEqual(len(service._online), 0)

    def test_watched_both_ways(self) -> None:
        """
        The end of the watch of one user changes nothing while all users are watched, even for a user of whom the
        directory has not told.
        """
        self.ask(0, query("ann"))
        watcher = self.subscriber(0, SUBSCRIBE_ALL)
        self.stage.advance(self.stage.settings.linger - 1)
        self.nodes[0].log_out(self.nodes[0].log_in("ann"))
        self.stage.advance(2)
        self.assertEqual(self.ask(0, QUERY_ALL), ["ann"])
        self.stage.advance(10)
        self.assertEqual(self.told(watcher), ["+ann", "-ann"])

    def test_unwatched(self) -> None:
        """
        A user is watched for a while after the last subscription, and then forgotten. Subscribed to again, the user is
        known again.
        """
        ann = self.nodes[1].log_in("ann")
        for request, ending, seconds in (
            (subscribe("ann"), unsubscribe("ann"), self.stage.settings.linger),
            (SUBSCRIBE_ALL, UNSUBSCRIBE_ALL, ALL_LINGER),
        ):
            online = self.nodes[0].service._online
            client = self.subscriber(0, request)
            self.nodes[0].service.handle(ending, client)
            self.stage.advance(seconds - 1)
            self.assertIn("ann", online)
            self.stage.advance(2)
            self.assertNotIn("ann", online)
            client = self.subscriber(0, request)
            self.nodes[1].log_out(ann)
            self.stage.advance(GONE)
            self.assertEqual(self.told(client), ["-ann"])
            ann = self.nodes[1].log_in("ann")
            self.stage.turn()
            self.assertEqual(self.told(client), ["+ann"])
            self.nodes[0].service.handle(ending, client)
            client.take()
            self.stage.advance(seconds + 1)


class QueryTests(NodesTestCase):
    """
    Queries on a node that watches nobody.
    """

    def test_query_all(self) -> None:
        """
        The users of all nodes are in the answer, without the one who asks, on whichever node.
        """
        for number, user in enumerate(("ann", "bob", "cat")):
            self.nodes[number].log_in(user)
        self.nodes[0].log_in("cat")
        self.stage.turn()
        for number in range(3):
            self.assertEqual(self.ask(number, QUERY_ALL), ["ann", "bob", "cat"])
            self.assertEqual(self.ask(number, QUERY_ALL, "cat"), ["ann", "bob"])

    def test_query(self) -> None:
        """
        Whether users are online is asked for at their owners, the one who asks included.
        """
        for number, user in enumerate(("ann", "bob", "cat")):
            self.nodes[number].log_in(user)
        self.stage.turn()
        for number in range(3):
            self.assertEqual(
                self.ask(number, query("ann", "bob", "cat", "dan"), "cat"),
                {"ann": True, "bob": True, "cat": True, "dan": False},
            )

    def test_query_again(self) -> None:
        """
        A query that is repeated is answered at once, with what is true now.
        """
        ann = self.nodes[1].log_in("ann")
        self.stage.turn()
        self.assertEqual(self.ask(0, query("ann", "bob")), {"ann": True, "bob": False})
        self.assertEqual(self.ask(0, QUERY_ALL), ["ann"])
        self.nodes[1].log_out(ann)
        self.nodes[2].log_in("bob")
        self.stage.advance(GONE)
        self.assertEqual(self.ask(0, query("ann", "bob"), turn=False), {"ann": False, "bob": True})
        self.assertEqual(self.ask(0, QUERY_ALL, turn=False), ["bob"])

    def test_many(self) -> None:
        """
        A query for very many users asks for a part of them at a time, and watches few of them afterwards.
        """
        self.patch(lingering, "MAX_LINGERING", 10)
        learn, asked = OnlineAnywhere.learn, []

        def counted(online: OnlineAnywhere, users: list[str], until: float) -> Any:
            asked.append(len(users))
            return learn(online, users, until)

        self.patch(OnlineAnywhere, "learn", counted)
        users = [f"user{number}" for number in range(3 * LEARNED_AT_ONCE + 1)]
        for user in users[::2]:
            self.nodes[1].log_in(user)
        self.stage.turn()
        online = self.ask(0, query(*users))
        self.assertEqual([user for user in users if online[user]], users[::2])
        self.assertLessEqual(len(self.nodes[0].service._online), 10)
        self.assertEqual(asked, [LEARNED_AT_ONCE] * 3 + [1])

    def test_no_owner(self) -> None:
        """
        If owners do not answer, a query is answered after subscribeTimeout with what is known.
        """
        self.nodes[0].log_in("ann")
        self.stage.turn()
        self.silence_others()
        for request in (QUERY_ALL, query(*(f"user{number}" for number in range(3 * LEARNED_AT_ONCE)))):
            client = self.nodes[0].client()
            self.nodes[0].service.handle(request, client)
            self.stage.advance(0.9)
            self.assertEqual(client.take(), [])
            self.stage.advance(0.2)
            self.assertEqual(len(client.take()), 1)

    def test_w47_new_node(self) -> None:
        """
        W47: the first query on a node that has just joined misses no user.
        """
        for number, user in enumerate(("ann", "bob", "cat")):
            self.nodes[number].log_in(user)
        self.add_node()
        self.assertEqual(self.ask(3, QUERY_ALL), ["ann", "bob", "cat"])
        self.assertEqual(self.ask(3, query("ann", "zed")), {"ann": True, "zed": False})

    def test_grace(self) -> None:
        """
        A user is online for the grace time after the last connection, on the node of that connection, too.
        """
        self.nodes[0].log_out(self.nodes[0].log_in("bob"))
        ann = self.nodes[0].log_in("ann")
        self.stage.turn()
        self.nodes[0].log_out(ann)
        self.stage.advance(GRACE - 0.5)
        for number in range(3):
            self.assertEqual(self.ask(number, query("ann")), {"ann": True})
            self.assertEqual(self.ask(number, QUERY_ALL), ["ann"])
        self.stage.advance(GONE)
        for number in range(3):
            self.assertEqual(self.ask(number, query("ann")), {"ann": False})
            self.assertEqual(self.ask(number, QUERY_ALL), [])


class TroubleTests(NodesTestCase):
    """
    Nodes that die, stop and join, and a bus that is lost.
    """

    def test_death(self) -> None:
        """
        The users of a node that dies leave when it is found dead and the grace time is over, unless they are back
        elsewhere; those of other nodes stay.
        """
        watchers = self.watchers()
        for number, user in enumerate(("ann", "bob", "cat")):
            self.nodes[number].log_in(user)
        self.nodes[1].log_in("dan")
        self.stage.turn()
        for watcher in watchers:
            self.assertEqual(sorted(self.told(watcher)), ["+ann", "+bob", "+cat", "+dan"])
        self.stage.kill(1)
        self.stage.advance(5.9)
        self.nodes[2].log_in("dan")
        self.assertEqual([self.told(watchers[number]) for number in (0, 2)], [[], []])
        self.stage.advance(DEAD)
        self.assertEqual([self.told(watchers[number]) for number in (0, 2)], [["-bob"]] * 2)
        self.assertEqual(self.ask(0, QUERY_ALL), ["ann", "cat", "dan"])

    def test_w40_orderly_stop(self) -> None:
        """
        W40: the users of a node that stops leave for the others within the grace time, not when it is found dead. The
        clients of the node itself are told nothing, and a user who comes back elsewhere has never been away.
        """
        watchers = self.watchers()
        stopping = self.nodes[1]
        ann, bob = stopping.log_in("ann"), stopping.log_in("bob")
        self.stage.turn()
        for watcher in watchers:
            self.told(watcher)
        stopping.node.hand_over()
        self.stage.advance(1)
        stopping.service.stop()
        for connection in (ann, bob):
            stopping.log_out(connection)
        self.stage.advance(0.5)
        stopping.node.stop()
        self.nodes[2].log_in("ann")
        self.stage.advance(GRACE)
        self.assertEqual([self.told(watcher) for watcher in watchers], [[]] * 3)
        self.stage.advance(2.5)
        self.assertEqual([self.told(watcher) for watcher in watchers], [["-bob"], [], ["-bob"]])

    def test_partitions_move(self) -> None:
        """
        Nothing is announced because partitions move to a node that joins, and back.
        """
        watchers = self.watchers()
        for number, user in enumerate("abcdefghij"):
            self.nodes[number % 3].log_in(user)
        self.stage.turn()
        for watcher in watchers:
            self.assertEqual(len(self.told(watcher)), 10)
        joined = self.add_node()
        watchers.append(self.subscriber(3, SUBSCRIBE_ALL))
        self.stage.advance(20)
        joined.node.hand_over()
        self.stage.advance(5)
        joined.service.stop()
        joined.node.stop()
        self.stage.advance(20)
        self.assertEqual([self.told(watcher) for watcher in watchers], [[]] * 4)

    def test_found_dead(self) -> None:
        """
        A node that was found dead, and lives, takes part anew; its users stay.
        """
        watchers = self.watchers()
        ann = self.nodes[1].log_in("ann")
        self.stage.turn()
        self.assertEqual([self.told(watcher) for watcher in watchers], [["+ann"]] * 3)
        node = self.nodes[1].node.membership.node
        membership = self.nodes[0].node.membership
        table = membership.table
        others = {name: member for name, member in table.members.items() if name != node}
        table = replace(table.planned(table.version + 1, others, others), version=table.version + 1)
        self.stage.table.document = table.encode()
        self.stage.advance(10)
        self.assertNotEqual(self.nodes[1].node.membership.node, node)
        self.assertEqual([self.told(watcher) for watcher in watchers], [[]] * 3)
        self.nodes[1].log_out(ann)
        self.stage.advance(GONE)
        self.assertEqual([self.told(watcher) for watcher in watchers], [["-ann"]] * 3)

    def test_w42_lost_messages(self) -> None:
        """
        W42: joins and leaves whose messages got lost are told some time later.
        """
        watcher = self.subscriber(0, SUBSCRIBE_ALL)
        users = "abcdefgh"
        for joins in (True, False):
            silence = self.silence_others()
            if joins:
                connections = [self.nodes[1].log_in(user) for user in users]
            else:
                for connection in connections:
                    self.nodes[1].log_out(connection)
            self.stage.advance(10)
            silence.restore()
            self.stage.advance(5)
            self.assertEqual(sorted(self.told(watcher)), [f"{'+' if joins else '-'}{user}" for user in users])

    def test_w46_bus_lost(self) -> None:
        """
        W46: while the bus is lost, no user is announced as gone, and users who log in are announced on their own node.
        Requests are answered with what is known. When the bus is back, what is true is told.
        """
        watchers = self.watchers()
        ann, bob = self.nodes[0].log_in("ann"), self.nodes[1].log_in("bob")
        self.stage.turn()
        for watcher in watchers:
            self.told(watcher)
        for number in range(3):
            self.stage.bus(number).disconnect()
        self.nodes[0].log_out(ann)
        self.nodes[1].log_out(bob)
        self.nodes[0].log_out(self.nodes[0].log_in("cat"))
        self.nodes[2].log_in("bob")
        dan = self.nodes[2].log_in("dan")
        self.stage.advance(60)
        self.assertEqual([self.told(watcher) for watcher in watchers], [["+cat"], [], ["+dan"]])
        self.assertEqual(self.ask(0, QUERY_ALL, turn=False), ["ann", "bob", "cat"])
        self.assertEqual(self.ask(1, query("ann", "zed"), turn=False), {"ann": True, "zed": False})
        self.subscriber(1, subscribe("zed"))
        for number in range(3):
            self.stage.bus(number).reconnect()
        self.stage.advance(12)
        self.assertEqual(
            [sorted(self.told(watcher)) for watcher in watchers],
            [["+dan", "-ann", "-cat"], ["+dan", "-ann"], ["-ann"]],
        )
        self.nodes[2].log_out(dan)
        self.stage.advance(GONE)
        self.assertEqual([self.told(watcher) for watcher in watchers], [["-dan"]] * 3)

    def test_unknown_without_bus(self) -> None:
        """
        While the bus is lost, no request waits for the owners; one that waits when it is lost is answered.
        """
        requests = (subscribe("ann"), query("bob"), SUBSCRIBE_ALL, QUERY_ALL)
        waiting = [self.nodes[1].client() for _ in requests]
        for client, request in zip(waiting, requests, strict=True):
            self.nodes[1].service.handle(request, client)
        for number in range(2):
            self.stage.bus(number).disconnect()
        clients = [self.nodes[0].client() for _ in requests]
        for client, request in zip(clients, requests, strict=True):
            self.nodes[0].service.handle(request, client)
        self.assertEqual([len(client.take()) for client in waiting + clients], [1] * 8)

    def test_moves_without_bus(self) -> None:
        """
        A user who goes to another node while the bus is lost has never been away, although this node had not told the
        directory of the user, and is told of the other node some time after the bus is back.
        """
        watcher = self.subscriber(0, SUBSCRIBE_ALL)
        for seconds in (4.9, 5.1, 9.9):
            for number in range(3):
                self.stage.bus(number).disconnect()
            user = f"ann {seconds}"
            self.nodes[0].log_out(self.nodes[0].log_in(user))
            self.nodes[1].log_in(user)
            self.stage.advance(seconds)
            for number in range(3):
                self.stage.bus(number).reconnect()
            self.stage.advance(20)
            self.assertEqual(self.told(watcher), [f"+{user}"])

    def test_gone_too_early(self) -> None:
        """
        A user who is logged in here has not gone, whatever the directory tells.
        """
        watcher = self.subscriber(0, SUBSCRIBE_ALL)
        self.nodes[0].log_in("ann")
        self.stage.turn()
        self.nodes[0].node.directory._told(USER, "ann", GONE_STATE)
        self.assertEqual(self.told(watcher), ["+ann"])
        self.assertEqual(self.ask(0, QUERY_ALL), ["ann"])

    def test_too_many_unheard(self) -> None:
        """
        While the bus is lost, C{presence.maxUsersInGrace} users may have logged out; of more, those who have been away
        longest leave.
        """
        self.build(max_users_in_grace=3)
        watcher = self.subscriber(0, SUBSCRIBE_ALL)
        for number in range(3):
            self.stage.bus(number).disconnect()
        for user in "abcde":
            self.nodes[0].log_out(self.nodes[0].log_in(user))
        self.assertEqual(self.told(watcher), ["+a", "+b", "+c", "+d", "-a", "+e", "-b"])
        self.stage.advance(60)
        self.assertEqual(self.told(watcher), [])
        self.nodes[0].log_in("d")
        for number in range(3):
            self.stage.bus(number).reconnect()
        self.stage.advance(12)
        self.assertEqual(sorted(self.told(watcher)), ["-c", "-e"])

    def test_own_bus_lost(self) -> None:
        """
        A node whose bus alone is lost, for less than absenceTimeout, keeps its users: for its own clients and for the
        others.
        """
        watchers = self.watchers()
        for number, user in enumerate(("ann", "bob", "cat")):
            self.nodes[number].log_in(user)
        self.stage.turn()
        for watcher in watchers:
            self.told(watcher)
        self.stage.bus(1).disconnect()
        self.stage.advance(15)
        self.nodes[0].log_in("dan")
        self.stage.advance(10)
        self.stage.bus(1).reconnect()
        self.stage.advance(5)
        self.assertEqual([self.told(watcher) for watcher in watchers], [["+dan"]] * 3)

    def test_stop(self) -> None:
        """
        A service that has stopped answers requests that wait, and announces nothing.
        """
        watcher = self.subscriber(0, subscribe("ann"))
        client = self.nodes[0].client()
        for request in (query("zed"), SUBSCRIBE_ALL):
            self.nodes[0].service.handle(request, client)
        self.nodes[0].service.stop()
        self.assertEqual(len(client.take()), 2)
        for request in (query("bob"), QUERY_ALL, unsubscribe("ann"), UNSUBSCRIBE_ALL):
            self.nodes[0].service.handle(request, client)
        self.assertEqual(len(client.take()), 4)
        self.nodes[1].log_in("ann")
        self.stage.advance(20)
        self.assertEqual((client.take(), watcher.take()), ([], []))


class OneNodeTests(NodesTestCase):
    """
    A cluster of one node.
    """

    def test_alone(self) -> None:
        """
        The node is the owner of all users.
        """
        self.build(1)
        watcher = self.subscriber(0, SUBSCRIBE_ALL)
        ann = self.nodes[0].log_in("ann")
        self.assertEqual(self.told(watcher), ["+ann"])
        self.nodes[0].log_out(ann)
        self.stage.advance(GRACE)
        self.assertEqual((self.told(watcher), self.ask(0, QUERY_ALL)), ([], ["ann"]))
        self.stage.advance(GONE)
        self.assertEqual((self.told(watcher), self.ask(0, QUERY_ALL)), (["-ann"], []))


class FullPartitionTests(NodesTestCase):
    """
    The names of one partition take too many bytes.
    """

    max_name_bytes = 20_000

    def test_full(self) -> None:
        """
        A node refuses a subscription to a further user, and the login of a further one, if their names are in a
        partition that has no room left. Other nodes are told of no such name, and the next one is served when there is
        room again.
        """
        names = [name for name in (f"{number}" + "x" * 9000 for number in range(40)) if partition_of(name, 4) == 1]
        client = self.nodes[0].client()
        for name in names[:2]:
            self.nodes[0].service.handle(subscribe(name), client)
        self.stage.advance(2)
        self.assertEqual([message.action for message in client.take()], [PresenceAction.SUBSCRIBE] * 2)
        self.assertFalse(self.nodes[0].users.has_room(names[2]))
        self.assertTrue(self.nodes[1].users.has_room(names[2]))
        self.assertTrue(self.nodes[0].users.has_room("OPEN"))
        self.nodes[0].service.handle(subscribe(names[2]), client)
        self.assertIn(subscribe(names[2]).error("MESSAGE_DENIED", names[2]), client.take())
        self.nodes[0].service.handle(unsubscribe(names[0]), client)
        self.stage.advance(self.stage.settings.linger + 1)
        client.take()
        self.subscriber(0, subscribe(names[2]))
