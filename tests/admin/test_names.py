"""
The commands about names.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from dstwist.admin.names import STORE_TIMEOUT
from dstwist.admin.nodes import ANSWER_TIMEOUT
from dstwist.protocol.constants import EventAction, RecordAction, RpcAction, Topic
from dstwist.protocol.message import Message
from tests.admin.helpers import AdminTestCase
from tests.admin.test_nodes import ClusterTestCase
from tests.nodes.test_embedding import SLOW_STORAGE
from tests.nodes.test_stores import SlowStore, _stores


class RecordsTests(AdminTestCase):
    """
    C{records}.
    """

    def storage(self) -> SlowStore:
        _stores["storage"] = storage = SlowStore("storage", [])
        self.addCleanup(_stores.clear)
        storage.starting.callback(None)
        return storage

    def write(self, node: Any) -> None:
        ann = self.client(node)
        ann.say(
            Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=("car",), correlation_id="1"),
            Message(Topic.RECORD, RecordAction.UPDATE, "car", b'{"wheels":4}', version=1),
        )
        self.reactor.advance(1)

    def test_held(self) -> None:
        """
        The answer has the version in the cache and in the storage, and the number of subscribers, but not the data.
        """
        self.storage()
        self.write(self.started(**SLOW_STORAGE))
        self.assertEqual(
            self.get("records", name="car"),
            (
                200,
                {
                    "name": "car",
                    "subscribers": 1,
                    "provider": None,
                    "arbiter": "storage",
                    "inDoubt": False,
                    "cache": {"version": 1},
                    "storage": {"version": 1},
                },
            ),
        )

    def test_data(self) -> None:
        """
        The data are there if they were asked for.
        """
        self.storage()
        self.write(self.started(**SLOW_STORAGE))
        value = self.get("records", name="car", data="true").value
        self.assertEqual(value["storage"], {"version": 1, "data": {"wheels": 4}})

    def test_none(self) -> None:
        """
        A record that does not exist has no version anywhere.
        """
        self.storage()
        self.started(**SLOW_STORAGE)
        value = self.get("records", name="car").value
        self.assertEqual((value["cache"], value["storage"]), ({"version": None}, {"version": None}))

    def test_not_stored(self) -> None:
        """
        A record that the storage never has is not looked for there.
        """
        self.storage()
        self.started(**SLOW_STORAGE, record={"storageExclusionPrefixes": ["car"]})
        value = self.get("records", name="car").value
        self.assertEqual((value["arbiter"], "storage" in value), ("cache", False))

    def test_store_hangs(self) -> None:
        """
        A storage that does not answer is waited for a limited time; the answer says so, and has the rest.
        """
        storage = self.storage()
        self.write(self.started(**SLOW_STORAGE))
        self.patch(storage, "get", lambda name: Deferred())
        operator = self.begin("/records?name=car")
        self.assertIsNone(operator.reply())
        self.reactor.advance(STORE_TIMEOUT)
        reply = operator.reply()
        assert reply is not None
        self.assertEqual(
            (reply.value["cache"], reply.value["storage"]), ({"version": 1}, {"error": "no answer within 5 s"})
        )

    def test_operator_goes(self) -> None:
        """
        If the operator goes while the storage hangs, nothing is left.
        """
        storage = self.storage()
        self.started(**SLOW_STORAGE)
        self.patch(storage, "get", lambda name: Deferred())
        operator = self.begin("/records?name=car")
        operator.connection.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(
            [call for call in self.reactor.getDelayedCalls() if call.getTime() == self.reactor.seconds() + 5], []
        )

    def test_nameless(self) -> None:
        """
        The name has to be given.
        """
        self.started()
        self.assertEqual(self.get("records"), (400, {"error": "name is missing"}))


class RecordOfNodesTests(ClusterTestCase):
    """
    C{records --all}, over one storage.
    """

    def ask_record(self, seconds: float = 1, **values: str) -> Any:
        query = urlencode({"name": "car", "all": "true", **values})
        return self.ask("GET", f"/records?{query}", seconds=seconds).value

    def setUp(self) -> None:
        super().setUp()
        self.start(2)
        self.client(self.nodes[1]).say(
            Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=("car",), correlation_id="1"),
        )
        self.advance(1)
        written = self.nodes[0].api.records.set("car", {"wheels": 4})
        self.advance(1)
        self.successResultOf(written)

    def test_all(self) -> None:
        """
        The answer has the subscribers of each node, and the version in its stores.
        """
        value = self.ask_record()
        other = value.pop("nodes")[self.name(1)]
        self.assertEqual((value["node"], value["subscribers"], other["subscribers"]), (self.name(0), 0, 1))
        self.assertEqual((value["storage"], other["storage"]), ({"version": 1}, {"version": 1}))

    def test_data(self) -> None:
        """
        The data are those of this node; they do not go from node to node.
        """
        value = self.ask_record(data="true")
        self.assertEqual(value["storage"]["data"], {"wheels": 4})
        self.assertEqual(value["nodes"][self.name(1)]["storage"], {"version": 1})

    def test_hangs(self) -> None:
        """
        If the storage hangs, the answer comes all the same, and each node says so.
        """
        self.patch(self.storage, "get", lambda name: Deferred())
        value = self.ask_record(seconds=STORE_TIMEOUT + 1)
        hangs = {"error": "no answer within 5 s"}
        self.assertEqual((value["storage"], value["nodes"][self.name(1)]["storage"]), (hangs, hangs))

    def test_missing(self) -> None:
        """
        A node that cannot be reached is named.
        """
        self.lose(1)
        value = self.ask_record(seconds=ANSWER_TIMEOUT)
        self.assertEqual(value["nodes"], {self.name(1): {"error": "no answer within 8 s"}})


class ProvidersTests(AdminTestCase):
    """
    C{providers} and C{patterns}.
    """

    def provide(self) -> None:
        node = self.started()
        self.provider, subscriber = self.client(node, "ann"), self.client(node, "bob")
        self.provider.say(
            Message(Topic.RPC, RpcAction.PROVIDE, names=("add",), correlation_id="1"),
            Message(Topic.EVENT, EventAction.LISTEN, "news/.*"),
        )
        subscriber.subscribe("news/1")
        self.reactor.advance(0)
        self.provider.say(Message(Topic.EVENT, EventAction.LISTEN_ACCEPT, "news/.*", subscription="news/1"))

    def test_providers(self) -> None:
        """
        Procedures and names of listeners are listed with their providers.
        """
        self.provide()
        rows = self.get("providers").value["providers"]
        self.assertEqual(
            [(row["topic"], row["name"], row["user"]) for row in rows],
            [("RPC", "add", "ann"), ("EVENT", "news/1", "ann")],
        )
        rows = self.get("providers", name="add").value["providers"]
        self.assertEqual([row["name"] for row in rows], ["add"])

    def test_patterns(self) -> None:
        """
        Each pattern has a row for each listener, with the number of names that it provides.
        """
        self.provide()
        (row,) = self.get("patterns").value["patterns"]
        self.assertEqual((row["topic"], row["pattern"], row["user"], row["provides"]), ("EVENT", "news/.*", "ann", 1))

    def test_provider_of_record(self) -> None:
        """
        C{records} names the provider of a record.
        """
        node = self.started()
        provider, subscriber = self.client(node, "ann"), self.client(node, "bob")
        provider.say(Message(Topic.RECORD, RecordAction.LISTEN, "car.*"))
        subscriber.say(Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=("car1",), correlation_id="1"))
        self.reactor.advance(0)
        self.assertIsNone(self.get("records", name="car1").value["provider"])
        provider.say(Message(Topic.RECORD, RecordAction.LISTEN_ACCEPT, "car.*", subscription="car1"))
        self.assertEqual(self.get("records", name="car1").value["provider"]["user"], "ann")
