"""
The PRESENCE topic: who is online, and who is told of whom.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from dstwist.config.settings import PresenceSettings
from dstwist.connections.users import UserRegistry
from dstwist.interfaces import ITopicService
from dstwist.protocol import protobuf, text
from dstwist.protocol.constants import EVERYONE, OPEN_USER, UNNAMED_USER, PresenceAction, Topic
from dstwist.protocol.dialect import PROTOBUF, TEXT, Dialect
from dstwist.protocol.jsontext import loads
from dstwist.protocol.message import Message
from dstwist.scheduling.time_slices import NAMES_PER_STEP
from dstwist.services.presence import PresenceService
from dstwist.services.roster import BLOCK_USERS
from tests.fakes import FakeConnection, FakeWire
from tests.requesters import RequesterTestCase, for_each_requester
from tests.services.presence_messages import QUERY_ALL, SUBSCRIBE_ALL, UNSUBSCRIBE_ALL, query, subscribe, unsubscribe
from tests.wire import readable, wire


def told(action: PresenceAction, user: str) -> Message:
    return Message(Topic.PRESENCE, action, user)


def came(user: str) -> Message:
    return told(PresenceAction.PRESENCE_JOIN_ALL, user)


def went(user: str) -> Message:
    return told(PresenceAction.PRESENCE_LEAVE_ALL, user)


class PresenceTestCase(RequesterTestCase):
    """
    A service, and users who log in and out.
    """

    def setUp(self) -> None:
        self.build()

    def build(self, **settings: Any) -> None:
        self.clock = Clock()
        self.users = UserRegistry()
        self.service = PresenceService(self.users, PresenceSettings(**settings), self.clock)

    def log_in(self, user: str, dialect: Dialect = PROTOBUF, wire: FakeWire | None = None) -> FakeConnection:
        connection = self.connect(user, wire, dialect)
        self.users.add(connection)
        return connection

    def log_out(self, connection: FakeConnection) -> None:
        connection.close()
        self.users.remove(connection)

    def subscriber(
        self, *requests: Message, dialect: Dialect = PROTOBUF, wire: FakeWire | None = None
    ) -> FakeConnection:
        connection = self.log_in("watcher", dialect, wire)
        for request in requests:
            self.service.handle(request, connection)
        self.assertEqual(connection.take(), [request.ack() for request in requests])
        return connection

    def ask(self, request: Message, connection: FakeConnection) -> Message:
        """
        The one answer to C{request}.
        """
        self.service.handle(request, connection)
        (answer,) = connection.take()
        return answer

    def online(self, connection: FakeConnection) -> tuple[str, ...]:
        answer = self.ask(QUERY_ALL, connection)
        self.assertEqual(answer.action, PresenceAction.QUERY_ALL_RESPONSE)
        self.assertIsNone(answer.correlation_id)
        return answer.names


@for_each_requester
class TellingTests(PresenceTestCase):
    """
    Who is told of whom, with C{services.md} section 6 beside it.
    """

    def test_interface(self) -> None:
        """
        L{PresenceService} provides L{ITopicService}.
        """
        verifyObject(ITopicService, self.service)

    def test_everybody(self) -> None:
        """
        Who is subscribed to everybody is told of each user who comes or goes, in a form that is encoded once.
        """
        frames = FakeWire()
        watchers = [self.subscriber(SUBSCRIBE_ALL, wire=frames) for _ in range(3)]
        frames.encoded = 0
        ann, bob = self.log_in("ann"), self.log_in("bob")
        self.log_out(ann)
        for watcher in watchers:
            self.assertEqual(watcher.take(), [came("ann"), came("bob"), went("ann")])
        self.assertEqual(frames.encoded, 3)
        self.log_out(bob)

    def test_single(self) -> None:
        """
        Who is subscribed to some users is told of those, and in words of their own.
        """
        watcher = self.subscriber(subscribe("ann", "bob"))
        connections = [self.log_in(user) for user in ("ann", "cat")]
        for connection in connections:
            self.log_out(connection)
        self.assertEqual(
            watcher.take(), [told(PresenceAction.PRESENCE_JOIN, "ann"), told(PresenceAction.PRESENCE_LEAVE, "ann")]
        )

    def test_many(self) -> None:
        """
        A subscription to many users is made a few in each turn, with one acknowledgement behind the last; who comes
        meanwhile is told of as far as it has got. So is its end.
        """
        watcher = self.log_in("watcher")
        watcher.turns = True
        users = [f"user-{number}" for number in range(2 * NAMES_PER_STEP)]
        request = subscribe(*users)
        self.service.handle(request, watcher)
        self.log_in(users[0])
        self.log_in(users[-1])
        self.assertEqual(watcher.take(), [told(PresenceAction.PRESENCE_JOIN, users[0])])
        watcher.turn()
        self.assertEqual(watcher.take(), [request.ack()])
        self.log_in(users[-2])
        self.assertEqual(watcher.take(), [told(PresenceAction.PRESENCE_JOIN, users[-2])])
        ending = Message(Topic.PRESENCE, PresenceAction.UNSUBSCRIBE, names=tuple(users), correlation_id="2")
        self.service.handle(ending, watcher)
        self.assertEqual((watcher.take(), list(self.service.single_users.names())), ([], users[NAMES_PER_STEP:]))
        watcher.turn()
        self.assertEqual((watcher.take(), list(self.service.single_users.names())), ([ending.ack()], []))

    def test_both(self) -> None:
        """
        A v4+ client that is subscribed both ways has a message for each, that for everybody first. To a v2/v3 client
        both are the same, and would reach its callbacks twice: it gets one.
        """
        young = self.subscriber(subscribe("ann"), SUBSCRIBE_ALL)
        old = self.subscriber(subscribe("ann"), SUBSCRIBE_ALL, dialect=TEXT)
        single = self.subscriber(subscribe("ann"), dialect=TEXT)
        self.log_out(self.log_in("ann"))
        self.assertEqual(
            young.take(),
            [
                came("ann"),
                told(PresenceAction.PRESENCE_JOIN, "ann"),
                went("ann"),
                told(PresenceAction.PRESENCE_LEAVE, "ann"),
            ],
        )
        self.assertEqual(old.take(), [came("ann"), went("ann")])
        self.assertEqual(
            single.take(), [told(PresenceAction.PRESENCE_JOIN, "ann"), told(PresenceAction.PRESENCE_LEAVE, "ann")]
        )

    def test_second_connection(self) -> None:
        """
        Further connections of a user are not told, and he has gone with the last of them only.
        """
        watcher = self.subscriber(SUBSCRIBE_ALL, subscribe("ann"))
        one, two = self.log_in("ann"), self.log_in("ann")
        watcher.take()
        self.log_out(one)
        self.assertEqual(watcher.take(), [])
        self.log_out(two)
        self.assertEqual(watcher.take(), [went("ann"), told(PresenceAction.PRESENCE_LEAVE, "ann")])

    def test_w60_unnamed(self) -> None:
        """
        W60: connections without a user's name are neither told of nor listed.
        """
        watcher = self.subscriber(SUBSCRIBE_ALL, subscribe(UNNAMED_USER, OPEN_USER))
        unnamed, nameless = self.log_in(UNNAMED_USER), self.log_in(OPEN_USER)
        self.assertEqual(self.online(watcher), ())
        self.assertEqual(self.ask(query("OPEN", "open"), watcher).data, b'{"OPEN":false,"open":false}')
        self.log_out(unnamed)
        self.log_out(nameless)
        self.assertEqual(watcher.take(), [])

    def test_after_the_end(self) -> None:
        """
        Who has ended his subscription, or is gone, is told nothing; one subscription does not end the other.
        """
        watchers = [self.subscriber(SUBSCRIBE_ALL, subscribe("ann")) for _ in range(3)]
        self.ask(UNSUBSCRIBE_ALL, watchers[0])
        self.ask(unsubscribe("ann"), watchers[1])
        self.log_out(watchers[2])
        self.log_in("ann")
        self.assertEqual(watchers[0].take(), [told(PresenceAction.PRESENCE_JOIN, "ann")])
        self.assertEqual(watchers[1].take(), [came("ann")])
        self.assertEqual(watchers[2].take(), [])

    def test_user_called_everyone(self) -> None:
        """
        A user may have the very name that stands for everybody: to be subscribed to him is no more than that.
        """
        watcher = self.subscriber(subscribe(EVERYONE))
        self.log_in("ann")
        self.assertEqual(watcher.take(), [])
        self.log_in(EVERYONE)
        self.assertEqual(watcher.take(), [told(PresenceAction.PRESENCE_JOIN, EVERYONE)])

    def test_w55_closed_meanwhile(self) -> None:
        """
        W55: a subscription that is permitted after its client has gone is not made.
        """
        gone = self.connect()
        gone.close()
        self.service.handle(SUBSCRIBE_ALL, gone)
        self.service.handle(subscribe("ann"), gone)
        self.assertEqual(gone.callbacks, [])
        self.log_in("ann")
        self.assertEqual(gone.take(), [])


@for_each_requester
class AnswerTests(PresenceTestCase):
    """
    What requests are answered.
    """

    def test_query_all(self) -> None:
        """
        All users are listed, each once, but never the asker, through how many connections he may be there.
        """
        ann, _, bob, _ = (self.log_in(user) for user in ("ann", "ann", "bob", "bob"))
        cat = self.log_in("cat")
        self.assertEqual(self.online(ann), ("bob", "cat"))
        self.log_out(bob)
        self.log_out(cat)
        self.assertEqual(self.online(ann), ("bob",))

    def test_query(self) -> None:
        """
        Of each named user it is told whether he is online, of the asker too.
        """
        ann, bob = self.log_in("ann"), self.log_in("bob")
        answer = self.ask(query("bob", "zed", "ann"), ann)
        self.assertEqual(
            answer,
            Message(
                Topic.PRESENCE,
                PresenceAction.QUERY_RESPONSE,
                data=b'{"bob":true,"zed":false,"ann":true}',
                correlation_id="3",
            ),
        )
        self.log_out(bob)
        self.assertEqual(self.ask(query("bob"), ann).data, b'{"bob":false}')

    def test_w37_no_names(self) -> None:
        """
        W37: a request without names is answered, in both dialects; clients wait for it.
        """
        for dialect in (PROTOBUF, TEXT):
            ann = self.log_in("ann", dialect)
            for request in (subscribe(), unsubscribe()):
                self.assertEqual(self.ask(request, ann), request.ack())
            self.assertEqual(self.ask(query(), ann).data, b"{}")

    def test_w37_always_acknowledged(self) -> None:
        """
        W37: subscribing again and ending what never was are acknowledged. Before that v4+ clients hear of the
        repetition, v2/v3 clients of everybody only.
        """
        all_again = SUBSCRIBE_ALL.error("MULTIPLE_SUBSCRIPTIONS", EVERYONE, flagged=False)
        again = subscribe("ann", "bob").error("MULTIPLE_SUBSCRIPTIONS", "ann", flagged=False)
        for dialect, repeated in ((PROTOBUF, [again]), (TEXT, [])):
            watcher = self.subscriber(SUBSCRIBE_ALL, subscribe("ann"), dialect=dialect)
            self.service.handle(SUBSCRIBE_ALL, watcher)
            self.assertEqual(watcher.take(), [all_again, SUBSCRIBE_ALL.ack()])
            self.service.handle(subscribe("ann", "bob"), watcher)
            self.assertEqual(watcher.take(), [*repeated, subscribe("ann", "bob").ack()])
            self.assertEqual(
                self.ask(unsubscribe("ann", "bob", "cat"), watcher), unsubscribe("ann", "bob", "cat").ack()
            )

    def test_w50_never_subscribed(self) -> None:
        """
        W50: a client that ends a subscription to everybody, or to a user, that never was has its acknowledgement, and
        nothing else: it may have ended that while it was offline.
        """
        for dialect in (PROTOBUF, TEXT):
            ann = self.log_in("ann", dialect)
            for request in (UNSUBSCRIBE_ALL, unsubscribe("bob")):
                self.service.handle(request, ann)
                self.assertEqual(ann.take(), [request.ack()])


@for_each_requester
class GraceTests(PresenceTestCase):
    """
    Users who are back before anybody noticed.
    """

    def setUp(self) -> None:
        self.build(grace_period=5.0, max_users_in_grace=3)
        self.watcher = self.subscriber(SUBSCRIBE_ALL, subscribe("ann"))

    def test_back_in_time(self) -> None:
        """
        A user whose only connection drops, and who is back in time, never left: nobody is told anything, and he is
        online all the while.
        """
        ann = self.log_in("ann")
        self.watcher.take()
        for _ in range(3):
            self.log_out(ann)
            self.clock.advance(4.9)
            self.assertEqual(self.online(self.watcher), ("ann",))
            self.assertEqual(self.ask(query("ann"), self.watcher).data, b'{"ann":true}')
            ann = self.log_in("ann")
            self.assertEqual(self.online(self.watcher), ("ann",))
        self.clock.advance(100)
        self.assertEqual(self.watcher.take(), [])

    def test_gone(self) -> None:
        """
        One who is not back in time has left, once, and comes again as any other.
        """
        self.log_out(self.log_in("ann"))
        self.watcher.take()
        self.clock.advance(5)
        left = [went("ann"), told(PresenceAction.PRESENCE_LEAVE, "ann")]
        self.assertEqual(self.watcher.take(), left)
        self.assertEqual(self.online(self.watcher), ())
        self.assertEqual(self.ask(query("ann"), self.watcher).data, b'{"ann":false}')
        self.log_in("ann")
        self.assertEqual(self.watcher.take(), [came("ann"), told(PresenceAction.PRESENCE_JOIN, "ann")])

    def test_no_grace(self) -> None:
        """
        By default there is no such time: a user who goes has gone.
        """
        self.build()
        watcher = self.subscriber(SUBSCRIBE_ALL)
        self.log_out(self.log_in("ann"))
        self.assertEqual(watcher.take(), [came("ann"), went("ann")])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_many(self) -> None:
        """
        Only so many users can be away without having left; of more, the one who has been away longest leaves.
        """
        for user in ("a", "b", "c", "d"):
            self.log_out(self.log_in(user))
            self.clock.advance(0.5)
        self.assertEqual(self.watcher.take(), [came("a"), came("b"), came("c"), came("d"), went("a")])
        self.assertEqual(self.online(self.watcher), ("b", "c", "d"))
        self.clock.advance(5)
        self.assertEqual(self.watcher.take(), [went("b"), went("c"), went("d")])
        self.assertEqual(self.online(self.watcher), ())

    def test_stop(self) -> None:
        """
        A server that stops tells nobody of the users whose connections it ends, nor later of those who were away.
        """
        ann, bob = self.log_in("ann"), self.log_in("bob")
        self.log_out(bob)
        self.watcher.take()
        self.service.stop()
        self.log_out(ann)
        self.assertEqual(self.watcher.take(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])


@for_each_requester
class WireTests(PresenceTestCase):
    """
    What is asked and answered on the wire.
    """

    def text(self, connection: FakeConnection, payload: str) -> str:
        """
        What a text client reads after it sent C{payload}.
        """
        for request in text.SERVER.decode(wire(payload)):
            assert isinstance(request, Message)
            self.service.handle(request, connection)
        return "".join(readable(text.SERVER.encode(answer)) for answer in connection.take())

    def test_text_acks(self) -> None:
        """
        Text clients have the acknowledgements that those of 2.3 wait for, and those of before.
        """
        ann = self.log_in("ann", TEXT)
        for request, answer in (
            ("U|S|S+", "U|A|S|S+U|A|S|U+"),
            ("U|S|S+", "U|E|MULTIPLE_SUBSCRIPTIONS|U+U|A|S|S+U|A|S|U+"),
            ('U|S|1|["a","b"]+', "U|A|S|1+"),
            ('U|S|2|["a","c"]+', "U|A|S|2+"),
            ('U|US|3|["a","zed"]+', "U|A|US|3+"),
            ("U|US|US+", "U|A|US|US+U|A|US|U+"),
            ("U|US|US+", "U|A|US|US+U|A|US|U+"),
            ("U|S|4|[]+", "U|A|S|4+"),
        ):
            self.assertEqual(self.text(ann, request), answer, request)

    def test_names_with_separators(self) -> None:
        """
        A text client can ask for a user by a name that the protocol cannot carry, since it asks in JSON. It is denied
        the news of that user, which it could not be told, and gets those of others.
        """
        ann, bob = self.log_in("ann", TEXT), self.log_in("bob", TEXT)
        self.log_in("x\x1fy")
        denial = 'U|E|MESSAGE_DENIED|1|S|["x\\u001fy","z"]+'
        self.assertEqual(self.text(ann, 'U|S|1|["x\\u001fy","z"]+'), f"{denial}U|A|S|1+")
        self.assertEqual(self.text(ann, 'U|Q|2|["x\\u001fy"]+'), 'U|Q|2|{"x\\u001fy":true}+')
        self.assertEqual(self.text(ann, "U|Q|Q+"), "U|Q|bob+")
        self.assertEqual(self.text(bob, "U|S|S+"), "U|A|S|S+U|A|S|U+")
        for user in ("x\x1ey", "z"):
            self.log_in(user)
        self.assertEqual(self.text(ann, ""), "U|PNJ|z+")
        self.assertEqual(self.text(bob, ""), "U|PNJ|z+")

    def test_text_queries(self) -> None:
        """
        Their queries are answered with a field a user, or with an object.
        """
        ann = self.log_in("ann", TEXT)
        self.assertEqual(self.text(ann, "U|Q|Q+"), "U|Q+")
        for user in ("bob", "cat"):
            self.log_in(user)
        self.assertEqual(self.text(ann, "U|Q|Q+"), "U|Q|bob|cat+")
        self.assertEqual(self.text(ann, 'U|Q|2|["bob","zed"]+'), 'U|Q|2|{"bob":true,"zed":false}+')
        self.assertEqual(self.text(ann, "U|Q|3|[]+"), "U|Q|3|{}+")

    def test_text_telling(self) -> None:
        """
        Coming and going look the same to them, however they are subscribed.
        """
        watchers = (self.log_in("a", TEXT), self.log_in("b", TEXT))
        self.text(watchers[0], "U|S|S+")
        self.text(watchers[1], 'U|S|1|["cat"]+')
        self.log_out(self.log_in("cat"))
        for watcher in watchers:
            self.assertEqual(self.text(watcher, ""), "U|PNJ|cat+U|PNL|cat+")

    def test_protobuf_acks(self) -> None:
        """
        What v4+ clients get back is what they find their timers by: of everybody nothing, of users the id alone.
        """
        for request, call_id in ((SUBSCRIBE_ALL, None), (subscribe("ann"), "1")):
            ann = self.log_in("ann")
            (ack,) = protobuf.CLIENT.decode(protobuf.SERVER.encode(self.ask(request, ann)))
            self.assertEqual(ack, Message(Topic.PRESENCE, request.action, correlation_id=call_id, is_ack=True))

    def test_protobuf_nobody(self) -> None:
        """
        The answer to who is there, if nobody is, in the bytes of the Node server.
        """
        answer = self.ask(QUERY_ALL, self.log_in("ann"))
        self.assertEqual(protobuf.SERVER.encode(answer), bytes.fromhex("061007 1a02 0803"))


@for_each_requester
class LongQueryTests(PresenceTestCase):
    """
    A question about many users.
    """

    def test_everybody(self) -> None:
        """
        The names of all users are encoded in steps, each once; the answer says who is online when it is sent.
        """
        clock = self.clock

        class SlowWire(FakeWire):
            def encode(self, message: Message) -> Any:
                clock.rightNow += 0.000_01 * len(message.names)
                return super().encode(message)

        wire = SlowWire()
        ann = self.log_in("ann", PROTOBUF, wire)
        users = [self.log_in(f"user{number}") for number in range(3 * BLOCK_USERS)]
        ann.turns = True
        self.service.handle(QUERY_ALL, ann)
        self.assertEqual(ann.take(), [])
        self.log_out(users[0])
        ann.turn()
        ann.turn()
        self.assertEqual(ann.take(), [])
        self.assertFalse(ann.turn())
        (answer,) = ann.take()
        self.assertEqual(sorted(answer.names), sorted(user.user or "" for user in users[1:]))
        self.service.handle(QUERY_ALL, ann)
        while ann.turn():
            pass
        before = wire.encoded
        self.service.handle(QUERY_ALL, ann)
        # Only a socket needs the first of them, the presence of the user, as bytes.
        self.assertEqual((len(ann.take()), wire.encoded - before), (2, 0 if self.in_process else 1))

    def test_changes_meanwhile(self) -> None:
        """
        It is answered in steps, and with what is true when the answer is sent.
        """
        ann = self.log_in("ann")
        self.log_in("cat")
        ann.take()
        ann.turns = True
        names = ("bob", "cat", *(str(number) for number in range(500)))
        self.service.handle(Message(Topic.PRESENCE, PresenceAction.QUERY, names=names, correlation_id="1"), ann)
        self.assertEqual(ann.take(), [])
        self.log_in("bob")
        while ann.turn():
            pass
        (answer,) = ann.take()
        assert isinstance(answer.data, bytes)
        online = loads(answer.data)
        self.assertEqual((len(online), [user for user in online if online[user]]), (502, ["bob", "cat"]))
