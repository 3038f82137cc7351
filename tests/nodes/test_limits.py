"""
A whole node and clients that want more than they may.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from enum import IntEnum
from itertools import chain
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.auth import CertificateSettings
from dstwist.config.limits import LimitSettings
from dstwist.config.settings import ListenSettings, Settings
from dstwist.limits import outgoing_bytes
from dstwist.node import Node
from dstwist.protocol.constants import (
    BULK_ACTIONS,
    AuthAction,
    ConnectionAction,
    EventAction,
    PresenceAction,
    RecordAction,
    RpcAction,
    Topic,
)
from dstwist.protocol.message import Message
from dstwist.protocol.schema import REFUSALS, REQUESTS
from tests.logs import Lines, limit_lines
from tests.nodes.client import GENERATIONS, KINDS, Client, MemoryClient, connect

EMIT = Message(Topic.EVENT, EventAction.EMIT, "news", b"1")


def _without_number(line: str) -> str:
    """
    A line of the log without the path and the number of the connection.
    """
    return re.sub(r"\(192\.0\.2\.1, [^)]*\)", "(192.0.2.1)", line)


class NodeCase(SynchronousTestCase):
    """
    A node without a port, and clients whose transports are strings.
    """

    def node(self, endpoint: dict[str, Any] | None = None, **settings: Any) -> Node:
        self.reactor: Any = MemoryReactorClock()
        limit_lines(self)
        self.lines = Lines(self)
        endpoints = tuple(replace(each, **(endpoint or {})) for each in Settings().web_sockets)
        self.at = Node(Settings(endpoints=endpoints, **settings), [], self.reactor)
        self.at.startService()
        self.reactor.advance(0)
        return self.at

    def client(self, generation: str, user: str) -> Any:
        client = connect(self.at, generation)
        client.log_in(user)
        return client

    def assertClosed(self, client: MemoryClient, reason: str) -> None:
        self.reactor.advance(0)
        client.heard()
        self.assertEqual(client.closed, (1008, reason))


class SubscriptionLimitTests(NodeCase):
    """
    C{limits.maxSubscriptions} and C{listen.maxPatterns}.
    """

    def check(self, say: Callable[[Client, str], None], line: str) -> None:
        for generation in KINDS:
            self.node(limits=LimitSettings(max_subscriptions=3), listen=ListenSettings(max_patterns=3))
            greedy, modest = self.client(generation, "greedy"), self.client(generation, "modest")
            for client, count in ((greedy, 3), (modest, 3)):
                for number in range(count):
                    say(client, f"n{number}")
                # Again what is there already costs nothing.
                say(client, "n0")
                self.reactor.advance(0)
                client.heard()
                self.assertIsNone(client.closed)
            for name in ("n3", "n4"):
                say(greedy, name)
                self.reactor.advance(0)
                answers = " ".join(map(str, greedy.heard()))
                self.assertEqual((answers.count("MESSAGE_DENIED"), answers.count("READ_RESPONSE")), (1, 0))
            # Once is enough.
            self.assertEqual([line in _without_number(told) for told in self.lines.of("warn")].count(True), 1)
            self.lines.clear()
            modest.heard()
            for client in (greedy, modest):
                self.assertIsNone(client.closed)

    def test_events(self) -> None:
        """
        One event more than a connection may be subscribed to is refused, and what it has stays.
        """
        self.check(
            lambda client, name: client.subscribe(name),
            "maxSubscriptions: greedy (192.0.2.1) wants more than 3 names of EVENT",
        )

    def test_records(self) -> None:
        """
        One record more, too.
        """
        self.check(
            lambda client, name: client.say(
                Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=(name,), correlation_id="1")
            ),
            "wants more than 3 names of RECORD",
        )

    def test_procedures(self) -> None:
        """
        One procedure more than a connection may provide, too.
        """
        self.check(
            lambda client, name: client.say(Message(Topic.RPC, RpcAction.PROVIDE, names=(name,), correlation_id="1")),
            "wants more than 3 names of RPC",
        )

    def test_users(self) -> None:
        """
        One user more, too.
        """
        self.check(
            lambda client, name: client.say(
                Message(Topic.PRESENCE, PresenceAction.SUBSCRIBE, names=(name,), correlation_id="1")
            ),
            "wants more than 3 names of PRESENCE",
        )

    def test_patterns(self) -> None:
        """
        One pattern more than a connection may listen to, too.
        """
        self.check(
            lambda client, name: client.say(Message(Topic.EVENT, EventAction.LISTEN, name)),
            "listen.maxPatterns: greedy (192.0.2.1) listens to more than 3 patterns of EVENT",
        )

    def test_bulk(self) -> None:
        """
        The names of one message count one by one; what fits is acknowledged, and heard.
        """
        self.node(limits=LimitSettings(max_subscriptions=3))
        client = self.client("v4", "greedy")
        names = tuple(f"n{number}" for number in range(10))
        client.say(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=names, correlation_id="1"))
        self.reactor.advance(0)
        *denials, ack = client.heard()
        self.assertEqual([denial.count("MESSAGE_DENIED") for denial in map(str, denials)], [1] * 7)
        self.assertIn("SUBSCRIBE", str(ack))
        publisher = self.client("v4", "ann")
        for name in names:
            publisher.emit(name, b"1")
        self.reactor.advance(0)
        self.assertEqual(len(client.heard()), 3)


class NameLengthTests(NodeCase):
    """
    C{limits.maxNameLength}, of 4096 characters unless something else is said.
    """

    def test_every_topic(self) -> None:
        """
        Every topic refuses a longer name in every request, and keeps nothing of it. A name of the greatest length is
        accepted.
        """
        A, R, P, U = EventAction, RecordAction, RpcAction, PresenceAction
        requests: dict[Topic, tuple[IntEnum, ...]] = {
            Topic.EVENT: (A.EMIT, A.SUBSCRIBE, A.UNSUBSCRIBE),
            Topic.RECORD: (R.SUBSCRIBECREATEANDREAD, R.UNSUBSCRIBE, R.READ, R.HEAD, R.DELETE, R.CREATEANDUPDATE),
            Topic.RPC: (P.REQUEST, P.PROVIDE, P.UNPROVIDE),
            Topic.PRESENCE: (U.SUBSCRIBE, U.QUERY, U.UNSUBSCRIBE),
        }
        for generation in KINDS:
            self.node()
            client = self.client(generation, "ann")
            for topic, actions in requests.items():
                for action in actions:
                    for length, refused in ((4096, False), (4097, True)):
                        name = "ä" + "n" * (length - 1)
                        message = Message(topic, action)
                        if "correlation_id" in chain(*REQUESTS[topic, action]):
                            message.correlation_id = "1"
                        if action in BULK_ACTIONS[topic]:
                            message.names = (name,)
                        else:
                            message.name = name
                        if action.name in ("EMIT", "REQUEST", "CREATEANDUPDATE"):
                            message.data = "O{}" if generation == "v3" and topic is not Topic.RECORD else b"{}"
                        if action is R.CREATEANDUPDATE:
                            message.version = -1
                        client.say(message)
                        self.reactor.advance(0)
                        codes = [message.action.name for message in client.heard()]
                        refusals = {REFUSALS[topic].name}
                        if action is P.REQUEST:
                            refusals.add("REQUEST_ERROR")
                        told = refusals.intersection(codes)
                        self.assertEqual(bool(told), refused, (generation, action, length, codes))
                        if refused:
                            # Those who read may be told twice: as an error, and as what they wait for.
                            codes = [code for code in codes if code != "MESSAGE_DENIED"]
                            self.assertEqual(set(codes), told)
                            self.assertLessEqual(len(codes), 1 if topic is not Topic.RECORD else 2)

    def test_setting(self) -> None:
        """
        The limit can be raised, lowered and removed.
        """
        for limit, length, refused in ((10, 11, True), (100_000, 50_000, False), (None, 60_000, False)):
            self.node(limits=LimitSettings(max_name_length=limit))
            client = self.client("v4", "ann")
            client.subscribe("n" * length)
            self.reactor.advance(0)
            (answer,) = client.heard()
            self.assertEqual(answer.action is EventAction.INVALID_MESSAGE_DATA, refused)


class RateLimitTests(NodeCase):
    """
    C{maxMessageRate} and C{maxByteRate}, of one connection and of a user.
    """

    def emit(self, client: MemoryClient, count: int) -> None:
        for number in range(count):
            client.emit("news", f"N{number}" if client.generation == "v3" else b"%d" % number)

    def paused(self, client: MemoryClient) -> bool:
        return str(client.transport.producerState) == "paused"

    def check(self, endpoint: dict[str, int], limits: dict[str, int], line: str) -> None:
        """
        A client that sends fifty messages at once is paused for a time, and not closed; all of them arrive.
        """
        for generation in GENERATIONS:
            self.node(endpoint, limits=LimitSettings(**limits))
            listener = MemoryClient(self.at, generation)
            listener.log_in("listener")
            listener.subscribe("news")
            talker = self.client(generation, "talker")
            self.reactor.advance(0)
            listener.heard()
            self.reactor.advance(10)
            self.emit(talker, 5)
            self.assertFalse(self.paused(talker))
            self.emit(talker, 45)
            self.assertTrue(self.paused(talker))
            self.assertFalse(self.paused(listener))
            self.reactor.advance(0)
            self.assertEqual(len(listener.heard()), 50)
            for _ in range(100):
                self.reactor.advance(1)
                for client in (talker, listener):
                    client.protocol._chosen.connection.heard = True
                if not self.paused(talker):
                    break
            self.assertFalse(self.paused(talker))
            self.emit(talker, 1)
            self.assertEqual((talker.closed, listener.closed), (None, None))
            # The login of the listener may exceed the limit, too.
            (found,) = [text for text in self.lines.of("warn") if "talker" in text]
            self.assertIn(line, _without_number(found))

    def test_messages(self) -> None:
        """
        maxMessageRate.
        """
        self.check({"max_message_rate": 10}, {}, "maxMessageRate: talker (192.0.2.1) sends more than 10 a second")

    def test_before_login(self) -> None:
        """
        Messages before the login count too: heartbeats, and messages that no codec can read.
        """
        for messages in ([Message(Topic.CONNECTION, ConnectionAction.PING)] * 20, [EMIT] * 20):
            for generation in GENERATIONS:
                self.node({"max_message_rate": 10})
                client = MemoryClient(self.at, generation)
                for message in messages:
                    client.say(message)
                self.assertTrue(self.paused(client))
                self.assertIsNone(client.closed)
                self.reactor.pump([1.0] * 3)
                self.assertFalse(self.paused(client))

    def test_bytes(self) -> None:
        """
        maxByteRate.
        """
        self.check({"max_byte_rate": 300}, {}, "maxByteRate: talker (192.0.2.1) sends more than 300 a second")

    def test_messages_of_user(self) -> None:
        """
        maxMessageRatePerUser.
        """
        self.check(
            {},
            {"max_message_rate_per_user": 10},
            "maxMessageRatePerUser: talker (192.0.2.1) sends more than 10 a second",
        )

    def test_bytes_of_user(self) -> None:
        """
        maxByteRatePerUser.
        """
        self.check(
            {}, {"max_byte_rate_per_user": 300}, "maxByteRatePerUser: talker (192.0.2.1) sends more than 300 a second"
        )

    def test_heartbeat(self) -> None:
        """
        A client that is paused for longer than two heartbeats is not taken for dead.
        """
        self.node({"max_message_rate": 10, "heartbeat_interval": 2.0})
        for generation in GENERATIONS:
            talker = self.client(generation, "talker")
            self.emit(talker, 300)
            self.reactor.pump([0.5] * 50)
            self.assertTrue(self.paused(talker))
            talker.heard()
            self.assertIsNone(talker.closed)

    def test_gone_while_paused(self) -> None:
        """
        A client that goes while it is paused leaves nothing behind.
        """
        self.node({"max_message_rate": 10})
        talker = self.client("v4", "talker")
        self.emit(talker, 50)
        talker.transport.loseConnection()
        self.reactor.pump([1.0] * 10)
        self.assertEqual(len(self.lines.of("error")), 0)

    def test_login_while_paused(self) -> None:
        """
        A connection reads nothing during a pause and during a login. The end of the one does not end the other.
        """
        self.node({"max_message_rate": 10})
        client = self.client("v4", "ann")
        connection = client.protocol._chosen.connection
        connection.pause()
        self.emit(client, 20)
        self.reactor.pump([1.0] * 5)
        self.assertTrue(self.paused(client))
        connection.resume()
        self.assertFalse(self.paused(client))
        self.emit(client, 20)
        connection.pause()
        connection.resume()
        self.assertTrue(self.paused(client))

    def test_off(self) -> None:
        """
        Without limits there is no meter at all.
        """
        self.node()
        for port in self.at.web_sockets.values():
            self.assertEqual(port.protocol.__name__, "WebSocketLink")


class OutgoingTests(NodeCase):
    """
    C{limits.maxOutgoingBytes}: how many bytes may wait for all clients together.
    """

    def slow_subscriber(self, generation: str, user: str, topic: Topic, action: IntEnum, name: str) -> MemoryClient:
        client: MemoryClient = self.client(generation, user)
        client.say(Message(topic, action, names=(name,), correlation_id="1"))
        self.reactor.advance(0)
        client.heard()
        client.transport.producer.pauseProducing()
        return client

    def check(self, generation: str) -> None:
        slow = [
            self.slow_subscriber(generation, user, Topic.EVENT, EventAction.SUBSCRIBE, "news")
            for user in ("ann", "bob")
        ]
        reader, writer = self.client(generation, "cat"), self.client(generation, "dan")
        reader.say(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("news",), correlation_id="1"))
        heard = 0
        for _ in range(10):
            writer.say(Message(Topic.EVENT, EventAction.EMIT, "news", b'"%s"' % (b"x" * 50000)))
            self.reactor.advance(0)
            heard += len([message for message in reader.heard() if message.action is EventAction.EMIT])
        self.assertEqual(heard, 10)
        self.reactor.advance(LimitSettings().close_delay)
        for client in slow:
            client.transport.producer.resumeProducing()
            client.heard()
        # Once one of them is gone there is room for what waits for the other.
        self.assertEqual([client.closed for client in slow], [(1013, "slow consumer"), None])
        (line,) = self.lines.of("warn")
        self.assertRegex(line, "^SLOW_CONSUMER .* bytes wait for all clients .maxOutgoingBytes.")

    def test_all_together(self) -> None:
        """
        Past the limit a client for which most waits is closed with a reason, long before its own limit; one that reads
        hears everything.
        """
        for generation in GENERATIONS:
            self.node(limits=LimitSettings(max_outgoing_bytes=1000000))
            self.check(generation)

    def test_default(self) -> None:
        """
        The default is an eighth of the memory that the process may use.
        """
        self.patch(outgoing_bytes, "usable_memory", lambda: 8000000)
        self.node()
        self.check("v4")

    def test_presence(self) -> None:
        """
        News about users count as well.
        """
        self.node(limits=LimitSettings(max_outgoing_bytes=70000))
        slow = self.client("v4", "ann")
        slow.say(Message(Topic.PRESENCE, PresenceAction.SUBSCRIBE_ALL))
        slow.transport.producer.pauseProducing()
        for number in range(40):
            self.client("v4", f"{number:0200}")
            self.reactor.advance(0)
        self.reactor.advance(LimitSettings().close_delay)
        slow.transport.producer.resumeProducing()
        slow.heard()
        self.assertEqual(slow.closed, (1013, "slow consumer"))

    def test_answers(self) -> None:
        """
        So do the answers to a client's own requests.
        """
        self.node(limits=LimitSettings(max_outgoing_bytes=1000000))
        slow = self.client("v4", "ann")
        slow.say(Message(Topic.RECORD, RecordAction.CREATEANDUPDATE, "r", b'{"a":"%s"}' % (b"x" * 50000), version=-1))
        slow.transport.producer.pauseProducing()
        for _ in range(30):
            slow.say(Message(Topic.RECORD, RecordAction.READ, "r"))
        self.reactor.advance(0)
        self.reactor.advance(LimitSettings().close_delay)
        slow.transport.producer.resumeProducing()
        slow.heard()
        self.assertEqual(slow.closed, (1013, "slow consumer"))


class KickTests(NodeCase):
    """
    C{Node.kick}.
    """

    def test_kick(self) -> None:
        """
        All connections of a user, of all kinds, are closed with the reason, and no others.
        """
        self.node()
        ann = [self.client(generation, "ann") for generation in GENERATIONS]
        bob = self.client("v4", "bob")
        self.reactor.advance(LimitSettings().close_delay)
        self.assertEqual(self.at.kick("ann", "contract ended"), len(ann))
        for client in ann:
            self.assertClosed(client, "contract ended")
        bob.heard()
        self.assertIsNone(bob.closed)
        kicked = [line for line in self.lines.of("info") if line.startswith("KICKED | ann (192.0.2.1, /")]
        self.assertEqual([line.endswith("): contract ended") for line in kicked], [True] * len(ann))
        self.assertEqual(self.at.kick("ann", "again"), 0)
        self.client("v4", "ann")

    def test_just_come(self) -> None:
        """
        A user who came a moment ago is gone at once as well, but hears of it only later, and cannot come back sooner.
        """
        self.node()
        ann, bob = self.client("v4", "ann"), self.client("v4", "bob")
        ann.subscribe("news")
        self.reactor.advance(0)
        ann.heard()
        self.assertEqual((self.at.kick("ann", "no"), self.at.kick("ann", "no")), (1, 0))
        bob.emit("news", b"1")
        self.reactor.advance(LimitSettings().close_delay - 0.1)
        self.assertEqual((ann.heard(), ann.closed), ([], None))
        self.reactor.advance(0.1)
        ann.heard()
        self.assertEqual(ann.closed, (1008, "no"))

    def test_long_reason(self) -> None:
        """
        A reason that does not fit into a close frame is cut.
        """
        self.node()
        ann = self.client("v4", "ann")
        self.reactor.advance(LimitSettings().close_delay)
        self.at.kick("ann", "ä" * 100)
        self.assertClosed(ann, "ä" * 61)


class CertificateLoginTests(NodeCase):
    """
    C{auth} of type C{certificate}.
    """

    def test_not_asked(self) -> None:
        """
        If no port asks for certificates, the log says that no client can log in with one.
        """
        self.node(auth=(CertificateSettings(),))
        self.assertIn("no port asks clients for a certificate", self.lines.last("warn"))
        client = MemoryClient(self.at, "v4")
        client.say(
            Message(Topic.CONNECTION, ConnectionAction.CHALLENGE, url="ws://localhost"),
            Message(Topic.AUTH, AuthAction.REQUEST, data=b"{}"),
        )
        self.reactor.advance(0)
        refusal = client.heard()[-1]
        self.assertEqual(refusal.action, AuthAction.AUTH_UNSUCCESSFUL)
        self.assertEqual(refusal.data, b'{"error":"missing client certificate"}')
