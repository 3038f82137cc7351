"""
A whole node whose rules decide what its clients may do.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config_access import PermissionSettings
from dstwist.errors import ConfigError
from dstwist.node import Node
from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.settings import Settings
from tests.nodes.client import GENERATIONS, MemoryClient

RULES: dict[str, Any] = {
    "record": {
        "*": {"create": True, "read": True, "write": True, "delete": True},
        "private/$user": {"read": "$user === user.id"},
        "count/*": {"write": "oldData === null || data.n === oldData.n + 1"},
        "new/*": {"write": "oldData === null && data.a.b === 1"},
    },
    "event": {
        "*": {"subscribe": "name !== 'secret'", "publish": True},
        "room/$id": {"publish": "_('private/' + user.id).rooms.indexOf($id) !== -1"},
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

    def client(self, user: str, generation: str = "v4") -> MemoryClient:
        client = MemoryClient(self.node, generation)
        client.log_in(user)
        return client

    def heard(self, client: MemoryClient) -> list[tuple[Any, Any]]:
        self.reactor.advance(0)
        return [(message.action, message.name) for message in client.heard()]

    def test_subscribe(self) -> None:
        """
        Clients of both generations are told what they may not subscribe to, and get nothing of it.
        """
        for generation in GENERATIONS:
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
        listener, ann = self.client("bob"), self.client("ann")
        listener.subscribe("room/1")
        self.heard(listener)
        ann.emit("room/1", b"1")
        self.assertEqual(self.heard(ann), [(EventAction.MESSAGE_PERMISSION_ERROR, "room/1")])
        ann.say(write("private/ann", 1, b'{"rooms":["1"]}', RecordAction.CREATEANDUPDATE))
        self.assertEqual([action for action, _ in self.heard(ann)], [RecordAction.WRITE_ACKNOWLEDGEMENT])
        ann.emit("room/1", b"1")
        ann.emit("room/2", b"1")
        self.assertEqual(self.heard(ann), [(EventAction.MESSAGE_DENIED, "room/2")])
        self.assertEqual(self.heard(listener), [(EventAction.EMIT, "room/1")])

    def test_writes(self) -> None:
        """
        A write is judged on the record as it is when it is its turn, and one that is refused changes nothing.
        """
        ann = self.client("ann")
        ann.say(write("count/a", -1, b'{"n":1}', RecordAction.CREATEANDUPDATE))
        ann.say(write("count/a", -1, b"2", RecordAction.PATCH, "n"))
        ann.say(write("count/a", -1, b"9", RecordAction.PATCH, "n"))
        ann.say(write("count/a", -1, b'{"n":3}', RecordAction.UPDATE))
        done, denied = RecordAction.WRITE_ACKNOWLEDGEMENT, RecordAction.MESSAGE_DENIED
        self.assertEqual([action for action, _ in self.heard(ann)], [done, done, denied, done])

    def test_creating_by_path(self) -> None:
        """
        The rule of setData with a path sees the record that would come of it.
        """
        ann = self.client("ann")
        ann.say(write("new/a", -1, b"2", RecordAction.CREATEANDPATCH, "a.b"))
        ann.say(write("new/a", -1, b"1", RecordAction.CREATEANDPATCH, "a.b"))
        self.assertEqual(
            [action for action, _ in self.heard(ann)],
            [RecordAction.MESSAGE_DENIED, RecordAction.WRITE_ACKNOWLEDGEMENT],
        )

    def test_get_record(self) -> None:
        """
        Who may not read a record is not subscribed to it.
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

    def test_bad_rules(self) -> None:
        """
        With rules that cannot be used there is no node.
        """
        rules = {**RULES, "rpc": {"*": {"request": "alert(1)"}}}
        settings = Settings(permission=self.settings(rules))
        error = self.assertRaises(ConfigError, Node, settings, [], self.reactor)
        self.assertEqual(str(error), 'permission.options.permissions.rpc["*"].request: function alert is not supported')
