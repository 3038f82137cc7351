"""
A whole node whose rules decide what its clients may do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.permission import PermissionSettings
from dstwist.config.settings import Settings
from dstwist.errors import ConfigError
from dstwist.node import Node
from dstwist.protocol.constants import EventAction, PresenceAction, RecordAction, RpcAction, Topic
from dstwist.protocol.message import Message
from dstwist.services.record.held_discards import DISCARD_DELAY_SECONDS
from tests.logs import Lines
from tests.nodes.client import API, ASKING, KINDS, Client, connect

#: The kinds of clients that write records in the same form.
WRITERS = ("v4", API, ASKING)

RULES: dict[str, Any] = {
    "record": {
        "*": {"create": True, "read": True, "write": True, "delete": True},
        "private/$user": {"read": "$user === user.id"},
        "count/*": {"write": "oldData === null || data.n === oldData.n + 1"},
        "new/*": {"write": "oldData === null && data.a.b === 1"},
        "game/*": {"listen": "name.indexOf('/') === name.length - 2 || name.match(/[.]/)"},
    },
    "event": {
        "*": {"subscribe": "name !== 'secret'", "publish": True},
        "room/$id": {"publish": "_('private/' + user.id).rooms.indexOf($id) !== -1"},
        "game/*": {"listen": "name.indexOf('/') === name.length - 2 || name.match(/[.]/)"},
    },
    "rpc": {"*": {}},
    "presence": {"*": {"allow": True}},
}


def write(name: str, version: int, data: bytes, action: RecordAction, path: str | None = None) -> Message:
    return Message(
        Topic.RECORD, action, name, data, version=version, path=path, is_write_ack=True, correlation_id=str(version)
    )


class PermissionNodeTests(SynchronousTestCase):
    """
    From the rules to what clients hear.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        endpoint = TCP4ServerEndpoint(self.reactor, 6020, interface="127.0.0.1")
        self.node = Node(Settings(permission=self.settings(RULES)), [endpoint], self.reactor)
        self.node.privilegedStartService()
        self.node.startService()

    def settings(self, rules: Any) -> PermissionSettings:
        return PermissionSettings(permissions=rules, type="config", where="permission.options.permissions")

    def client(self, user: str, generation: str = "v4") -> Client:
        client = connect(self.node, generation)
        client.log_in(user)
        return client

    def heard(self, client: Client) -> list[tuple[Any, Any]]:
        return [(message.action, message.name) for message in self.messages(client)]

    def messages(self, client: Client) -> list[Message]:
        self.reactor.advance(0)
        heard: list[Message] = client.heard()
        return heard

    def test_subscribe(self) -> None:
        """
        Clients of both generations are told what they may not subscribe to, and get nothing of it.
        """
        for generation in KINDS:
            client = self.client("ann", generation)
            client.subscribe("secret")
            self.assertIn((EventAction.MESSAGE_DENIED, "secret"), self.heard(client))
            client.subscribe("news")
            self.assertNotIn(EventAction.MESSAGE_DENIED, [action for action, _ in self.heard(client)])
            self.client("bob").emit("secret", b"1")
            self.client("bob").emit("news", b"1")
            self.assertEqual(self.heard(client), [(EventAction.EMIT, "news")])

    def test_other_records(self) -> None:
        """
        A rule sees what another record holds at the moment.
        """
        for kind in WRITERS:
            listener, ann = self.client("bob"), self.client(kind, kind)
            listener.subscribe("room/1")
            self.heard(listener)
            ann.emit("room/1", b"1")
            self.assertEqual(self.heard(ann), [(EventAction.MESSAGE_PERMISSION_ERROR, "room/1")])
            ann.say(write(f"private/{kind}", 1, b'{"rooms":["1"]}', RecordAction.CREATEANDUPDATE))
            self.assertEqual([action for action, _ in self.heard(ann)], [RecordAction.WRITE_ACKNOWLEDGEMENT])
            ann.emit("room/1", b"1")
            ann.emit("room/2", b"1")
            self.assertEqual(self.heard(ann), [(EventAction.MESSAGE_DENIED, "room/2")])
            self.assertEqual(self.heard(listener), [(EventAction.EMIT, "room/1")])

    def test_fields_of_another_action(self) -> None:
        """
        A write with fields that belong to another action is refused, and changes nothing: its rule would judge what its
        action says, and its fields would do something else.
        """
        R = RecordAction
        ann, subscriber = self.client("ann"), self.client("bob")
        ann.say(write("n", -1, b'{"a":1}', R.CREATEANDUPDATE))
        subscriber.say(Message(Topic.RECORD, R.SUBSCRIBECREATEANDREAD, names=("n",), correlation_id="1"))
        self.heard(ann)
        self.heard(subscriber)
        at_path = Message(Topic.RECORD, R.UPDATE, "n", path="a", version=2)
        for request in (
            at_path,
            replace(at_path, data=b'{"b":1}'),
            replace(at_path, action=R.CREATEANDUPDATE, data=b'{"b":1}', version=-1),
            replace(at_path, action=R.PATCH),
            replace(at_path, action=R.PATCH, data=b'{"b":1}', path=None),
            replace(at_path, action=R.PATCH, data=b'{"b":1}', path=""),
            replace(at_path, action=R.CREATEANDPATCH, data=b'{"b":1}', path=None, version=-1),
            replace(at_path, action=R.ERASE, data=b'{"b":1}'),
            replace(at_path, action=R.ERASE, data=b'{"b":1}', path=None),
            replace(at_path, action=R.ERASE, path=None),
            replace(at_path, action=R.PATCH_MULTI, data=b'[{"path":"b","data":1}]'),
        ):
            for form in (request, replace(request, is_write_ack=True, correlation_id="7")):
                ann.say(form)
                self.assertEqual(self.heard(ann), [(R.INVALID_MESSAGE_DATA, "n")], request)
        self.assertEqual(self.heard(subscriber), [])
        ann.say(Message(Topic.RECORD, R.READ, "n"))
        self.reactor.advance(0)
        (answer,) = ann.heard()
        self.assertEqual((answer.data, answer.version), (b'{"a":1}', 1))

    def test_writes(self) -> None:
        """
        The rules decide on a write with the record at the turn of the write. A refused write changes nothing.
        """
        for kind in WRITERS:
            ann, name = self.client("ann", kind), f"count/{kind}"
            ann.say(write(name, -1, b'{"n":1}', RecordAction.CREATEANDUPDATE))
            ann.say(write(name, -1, b"2", RecordAction.PATCH, "n"))
            ann.say(write(name, -1, b"9", RecordAction.PATCH, "n"))
            ann.say(write(name, -1, b'{"n":3}', RecordAction.UPDATE))
            done, denied = RecordAction.WRITE_ACKNOWLEDGEMENT, RecordAction.MESSAGE_DENIED
            self.assertEqual([action for action, _ in self.heard(ann)], [done, done, denied, done], kind)

    def test_creating_by_path(self) -> None:
        """
        The rule of setData with a path sees the record that would come of it.
        """
        for kind in WRITERS:
            ann, name = self.client("ann", kind), f"new/{kind}"
            ann.say(write(name, -1, b"2", RecordAction.CREATEANDPATCH, "a.b"))
            ann.say(write(name, -1, b"1", RecordAction.CREATEANDPATCH, "a.b"))
            self.assertEqual(
                [action for action, _ in self.heard(ann)],
                [RecordAction.MESSAGE_DENIED, RecordAction.WRITE_ACKNOWLEDGEMENT],
                kind,
            )

    def test_get_record(self) -> None:
        """
        A client that may not read a record is not subscribed to it.
        """
        ann = self.client("ann")
        ann.say(
            Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=("private/bob", "x"), correlation_id="1")
        )
        heard = self.heard(ann)
        self.assertIn((RecordAction.MESSAGE_DENIED, "private/bob"), heard)
        self.assertIn((RecordAction.READ_RESPONSE, "x"), heard)
        self.client("bob").say(write("private/bob", -1, b"{}", RecordAction.CREATEANDUPDATE))
        self.assertEqual(self.heard(ann), [])

    def test_listen(self) -> None:
        """
        A listener hears only of names that the rule for listening permits, however wide its pattern is.
        """
        for generation in KINDS:
            for topic, actions in ((Topic.EVENT, EventAction), (Topic.RECORD, RecordAction)):
                found = actions["SUBSCRIPTION_FOR_PATTERN_FOUND"]
                ann, bob = self.client("ann", generation), self.client("bob")
                subscribe = actions["SUBSCRIBE"]
                bob.say(Message(topic, subscribe, names=("secret/1", "game/1", "game/2/3"), correlation_id="1"))
                ann.say(Message(topic, actions["LISTEN"], "game/.*|secret/.*"))
                bob.say(Message(topic, subscribe, names=("secret/2", "game/2"), correlation_id="2"))
                heard = self.messages(ann)
                self.assertEqual(
                    {message.subscription for message in heard if message.action is found}, {"game/1", "game/2"}
                )
                self.assertNotIn("secret", "".join(str(message.subscription) for message in heard))
                ann.say(Message(topic, actions["LISTEN"], "secret/.*"))
                self.assertEqual([message.action.name for message in self.messages(ann)], ["MESSAGE_DENIED"])
                for client in (ann, bob):
                    client.transport.loseConnection()

    def test_bad_rules(self) -> None:
        """
        With rules that cannot be used there is no node.
        """
        rules = {**RULES, "rpc": {"*": {"request": "alert(1)"}}}
        settings = Settings(permission=self.settings(rules))
        error = self.assertRaises(ConfigError, Node, settings, [], self.reactor)
        self.assertEqual(str(error), 'permission.options.permissions.rpc["*"].request: function alert is not supported')


OPEN: dict[str, Any] = {
    "record": {"*": {"create": True, "read": True, "write": True, "listen": True}},
    "event": {"*": {"subscribe": True, "publish": True, "listen": True}},
    "rpc": {"*": {"provide": True, "request": True}},
    "presence": {"*": {"allow": True}},
}
SHUT: dict[str, Any] = {section: {"*": {}} for section in OPEN}


class ReloadTests(SynchronousTestCase):
    """
    Rules that change while clients of both generations are connected.
    """

    def setUp(self) -> None:
        self.lines = Lines(self)
        self.reactor = MemoryReactorClock()
        self.rules: Any = OPEN
        self.file: str | None = None
        endpoint = TCP4ServerEndpoint(self.reactor, 6020, interface="127.0.0.1")
        self.node = Node(self.read(), [endpoint], self.reactor, reread=self.read)
        self.node.privilegedStartService()
        self.node.startService()

    def read(self) -> Settings:
        if isinstance(self.rules, Exception):
            raise self.rules
        return Settings(
            permission=PermissionSettings(
                permissions=self.rules, type="config", where="permission.options.permissions", file=self.file
            )
        )

    def client(self, user: str, generation: str) -> Client:
        client = connect(self.node, generation)
        client.log_in(user)
        return client

    def heard(self, client: Client) -> list[Message]:
        self.reactor.advance(0)
        heard: list[Message] = client.heard()
        return heard

    def everything(self, client: Client) -> None:
        """
        Have a client subscribe to, listen to and provide all there is.
        """
        client.say(
            Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("news",), correlation_id="1"),
            Message(Topic.EVENT, EventAction.LISTEN, "e.*"),
            Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=("doc",), correlation_id="2"),
            Message(Topic.RECORD, RecordAction.LISTEN, "r.*"),
            Message(Topic.RPC, RpcAction.PROVIDE, names=("add",), correlation_id="3"),
            Message(Topic.PRESENCE, PresenceAction.SUBSCRIBE, names=("cat",), correlation_id="4"),
            Message(Topic.PRESENCE, PresenceAction.SUBSCRIBE_ALL),
        )
        self.assertNotIn("MESSAGE_DENIED", [message.action.name for message in self.heard(client)])

    def test_all_kinds(self) -> None:
        """
        Whatever a client has ends when new rules forbid it. The client is told of each, and has nothing any more.
        """
        clients = [self.client(f"user-{generation}", generation) for generation in KINDS]
        other = self.client("bob", "v4")
        for client in clients:
            self.everything(client)
        for client in clients:
            # The client of v3 is asked about "news" when that of v4 has subscribed, too.
            self.heard(client)
        self.rules = SHUT
        self.assertTrue(self.node.reload())
        for client in clients:
            heard = self.heard(client)
            self.assertEqual({message.action.name for message in heard}, {"MESSAGE_DENIED"})
            # In text, requests for some users and for all users have one code, and "all users" has a name.
            some, everybody = PresenceAction.SUBSCRIBE, None
            if client.generation == "v3":
                some, everybody = PresenceAction.SUBSCRIBE_ALL, "S"
            self.assertEqual(
                {(message.topic, message.name, message.original_action) for message in heard},
                {
                    (Topic.EVENT, "news", EventAction.SUBSCRIBE),
                    (Topic.EVENT, "e.*", EventAction.LISTEN),
                    (Topic.RECORD, "doc", RecordAction.SUBSCRIBECREATEANDREAD),
                    (Topic.RECORD, "r.*", RecordAction.LISTEN),
                    (Topic.RPC, "add", RpcAction.PROVIDE),
                    (Topic.PRESENCE, "cat", some),
                    (Topic.PRESENCE, everybody, PresenceAction.SUBSCRIBE_ALL),
                },
            )
        self.assertEqual(
            self.lines.last("info"),
            "RELOAD | permission: 28 subscriptions checked by the new rules, 28 ended, 0 of them because their rule "
            "failed",
        )
        self.rules = OPEN
        self.node.reload()
        other.emit("news", b"1")
        other.subscribe("else")
        other.say(write("doc", -1, b'{"n":1}', RecordAction.CREATEANDUPDATE))
        other.say(Message(Topic.RPC, RpcAction.REQUEST, "add", b"1", correlation_id="9"))
        self.client("cat", "v4")
        self.assertEqual([self.heard(client) for client in clients], [[] for _ in clients])
        self.assertIn(RpcAction.NO_RPC_PROVIDER, [message.action for message in self.heard(other)])

    def test_provider(self) -> None:
        """
        A provider that has answered before gets no calls any more, and those that it has it may answer.
        """
        ann, bob = self.client("ann", "v4"), self.client("bob", "v4")
        call = Message(Topic.RPC, RpcAction.REQUEST, "add", b"1", correlation_id="1")
        ann.say(Message(Topic.RPC, RpcAction.PROVIDE, names=("add",), correlation_id="3"))
        bob.say(call)
        self.assertEqual([message.action for message in self.heard(ann)], [RpcAction.PROVIDE, RpcAction.REQUEST])
        self.rules = {**OPEN, "rpc": {"*": {"request": True}}}
        self.node.reload()
        self.assertEqual([message.action for message in self.heard(ann)], [RpcAction.MESSAGE_DENIED])
        bob.say(replace(call, correlation_id="2"))
        self.assertEqual([message.action for message in self.heard(bob)], [RpcAction.NO_RPC_PROVIDER])
        ann.say(Message(Topic.RPC, RpcAction.RESPONSE, "add", b"2", correlation_id="1"))
        self.assertEqual([message.action for message in self.heard(bob)], [RpcAction.RESPONSE])
        self.assertEqual(self.heard(ann), [])

    def test_names_of_listeners(self) -> None:
        """
        A listener that still may listen to its pattern loses the names that new rules forbid it, and provides them no
        more; the next listener is asked about them. When the rules permit them again it is asked again.
        """
        only_bob = {"*": {**OPEN["event"]["*"]}, "abc": {"listen": "user.id === 'bob'"}}
        for generation in KINDS:
            ann, bob, cat = self.client("ann", generation), self.client("bob", generation), self.client("cat", "v4")
            ann.say(Message(Topic.EVENT, EventAction.LISTEN, "a.*"))
            cat.say(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("abc", "abd"), correlation_id="1"))
            for name in ("abc", "abd"):
                ann.say(Message(Topic.EVENT, EventAction.LISTEN_ACCEPT, "a.*", subscription=name))
            bob.say(Message(Topic.EVENT, EventAction.LISTEN, "a.*"))
            self.heard(ann), self.heard(bob), self.heard(cat)
            self.rules = {**OPEN, "event": only_bob}
            self.assertTrue(self.node.reload())
            removed, found = EventAction.SUBSCRIPTION_FOR_PATTERN_REMOVED, EventAction.SUBSCRIPTION_FOR_PATTERN_FOUND
            self.assertEqual([(each.action, each.subscription) for each in self.heard(ann)], [(removed, "abc")])
            self.assertEqual([(each.action, each.subscription) for each in self.heard(bob)], [(found, "abc")])
            bob.transport.loseConnection()
            self.assertEqual(self.heard(ann), [])
            self.rules = OPEN
            self.assertTrue(self.node.reload())
            self.reactor.advance(30)
            self.assertEqual([(each.action, each.subscription) for each in self.heard(ann)], [(found, "abc")])
            ann.transport.loseConnection(), cat.transport.loseConnection()

    def test_some(self) -> None:
        """
        Subscriptions that the new rules permit go on without a gap.
        """
        for generation in KINDS:
            client, other = self.client("ann", generation), self.client("bob", "v4")
            for name in ("news", "secret"):
                client.subscribe(name)
            self.heard(client)
            self.rules = {**OPEN, "event": {"*": {"publish": True, "subscribe": "name !== 'secret'"}}}
            self.node.reload()
            other.emit("news", b"1")
            heard = self.heard(client)
            self.assertEqual(
                {(message.action, message.name) for message in heard},
                {(EventAction.EMIT, "news"), (EventAction.MESSAGE_DENIED, "secret")},
            )
            other.emit("secret", b"1")
            self.assertEqual(self.heard(client), [])
            self.rules = OPEN
            self.node.reload()
            self.heard(client)

    def test_ended_by_client(self) -> None:
        """
        Clients of v2 and v3, which report a missing acknowledgement, get one when they end what they have lost.
        """
        client = self.client("ann", "v3")
        self.everything(client)
        self.rules = SHUT
        self.node.reload()
        self.heard(client)
        ends = [
            Message(Topic.EVENT, EventAction.UNSUBSCRIBE, names=("news",)),
            Message(Topic.EVENT, EventAction.UNLISTEN, "e.*"),
            Message(Topic.RECORD, RecordAction.UNSUBSCRIBE, names=("doc",)),
            Message(Topic.RECORD, RecordAction.UNLISTEN, "r.*"),
            Message(Topic.RPC, RpcAction.UNPROVIDE, names=("add",)),
            Message(Topic.PRESENCE, PresenceAction.UNSUBSCRIBE, names=("cat",), correlation_id="5"),
        ]
        client.say(*ends)
        heard = self.heard(client)
        # A record to which the client is not subscribed comes last: it may be asked for again.
        self.reactor.advance(DISCARD_DELAY_SECONDS)
        heard += self.heard(client)
        ends.append(ends.pop(2))
        self.assertEqual([(message.action, message.is_ack) for message in heard], [(end.action, True) for end in ends])

    def test_records_in_rules(self) -> None:
        """
        Rules that look at records are judged by what these hold now.
        """
        client = self.client("ann", "v4")
        client.say(write("group/1", -1, b'{"members":["ann"]}', RecordAction.CREATEANDUPDATE))
        for number in (1, 2):
            client.subscribe(f"room/{number}")
        self.heard(client)
        rule = "_('group/' + $id).members.indexOf(user.id) !== -1"
        self.rules = {**OPEN, "event": {"*": {}, "room/$id": {"subscribe": rule}}}
        self.node.reload()
        self.assertEqual([message.name for message in self.heard(client)], ["room/2"])
        self.assertIn('event["room/$id"].subscribe', self.lines.last("warn"))

    def test_broken(self) -> None:
        """
        Rules that cannot be used change nothing, and the log has the key at fault.
        """
        client = self.client("ann", "v4")
        client.subscribe("news")
        self.heard(client)
        broken = {**SHUT, "event": {"*": {"subscribe": "alert(1)"}}}
        for rules, problem in (
            (broken, 'permission.options.permissions.event["*"].subscribe: function alert is not supported'),
            (ConfigError("permission.options.permissions", "cannot load rules.yml"), "cannot load rules.yml"),
        ):
            self.rules = rules
            self.assertFalse(self.node.reload())
            self.assertIn("not reloaded, what was in force stays: permission.options", self.lines.last("error"))
            self.assertIn(problem, self.lines.last("error"))
            self.client("bob", "v4").emit("news", b"1")
            self.assertEqual([message.action for message in self.heard(client)], [EventAction.EMIT])

    def test_watched(self) -> None:
        """
        A change of the file is noticed without a signal.
        """
        self.file = self.mktemp()
        endpoint = TCP4ServerEndpoint(self.reactor, 6021, interface="127.0.0.1")
        self.node = Node(self.read(), [endpoint], self.reactor, reread=self.read)
        self.node.privilegedStartService()
        self.node.startService()
        client = self.client("ann", "v4")
        client.subscribe("news")
        self.heard(client)
        self.rules = SHUT
        with open(self.file, "w", encoding="utf-8"):
            pass
        self.reactor.advance(60)
        self.assertEqual([message.action.name for message in self.heard(client)], [])
        self.reactor.advance(60)
        self.assertIn("MESSAGE_DENIED", [message.action.name for message in self.heard(client)])
        self.assertIn("RELOAD | permission: 0 rules in force", self.lines.of("info"))
