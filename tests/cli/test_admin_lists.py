"""
C{dstwist admin}, at a node in memory: the lists of clients and names.
"""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

from dstwist.protocol.constants import EventAction, RecordAction, RpcAction, Topic
from dstwist.protocol.message import Message
from tests.cli.admin_stage import AdminCommandTestCase


class ListTests(AdminCommandTestCase):
    """
    The tables for people.
    """

    def test_clients(self) -> None:
        """
        C{clients} has a row for each client, and says where the next page begins.
        """
        node = self.started()
        for user in ("ann", "bob", "cid"):
            self.client(node, user)
        lines = self.typed("clients", "--limit", "2")
        self.assertEqual(lines[0].split(), ["CLIENT", "USER", "ADDRESS", "PATH", "PROTOCOL", "CONNECTED", "WAITING"])
        self.assertEqual([line.split()[1] for line in lines[1:3]], ["ann", "bob"])
        number = lines[2].split()[0]
        self.assertEqual(lines[3], f"2 of 3; the next ones: --after '{number}'")
        (title, row) = self.typed("clients", "--after", number)
        self.assertEqual(row.split()[1], "cid")
        self.assertEqual(self.typed("clients", "--user", "nobody"), ["none"])

    def test_forging(self) -> None:
        """
        A name cannot forge a row.
        """
        self.client(self.started(), "ann\u202eroot")
        lines = self.typed("clients")
        self.assertEqual(len(lines), 2)
        self.assertIn("ann?root", lines[1])

    def test_all(self) -> None:
        """
        With C{--all}, lists have a column for the node, and name the nodes that did not answer.
        """
        self.client(self.started())
        for words in (("clients",), ("subscriptions", "news"), ("providers",), ("patterns",)):
            row = {"client": 1, "user": "ann", "seconds": 1, "waitingBytes": 0, "node": "a"}
            answer = {words[0]: [row], "total": 1, "next": None, "missing": {"b": "no answer within 8 s"}}
            with mock.patch.object(self, "read", lambda reply, answer=answer: answer):
                title, line, missing = self.typed(*words, "--all")
            self.assertEqual((title.split()[-1], line.split()[-1]), ("NODE", "a"))
            self.assertEqual(missing, "b: no answer within 8 s")
            self.assertEqual(self.type(*words, "--all").exit_code, 0)
            self.assertNotIn("NODE", self.type(*words).output)

    def test_names(self) -> None:
        """
        C{subscriptions}, C{providers} and C{patterns} have a row for each client and name.
        """
        ann = self.client(self.started())
        ann.subscribe("news")
        ann.say(
            Message(Topic.RPC, RpcAction.PROVIDE, names=("add",), correlation_id="1"),
            Message(Topic.EVENT, EventAction.LISTEN, "a.*"),
        )
        title, row = self.typed("subscriptions", "news")
        number = row.split()[2]
        self.assertEqual(row.split(), ["EVENT", "subscribed", number, "ann", "192.0.2.1"])
        rows = self.typed("subscriptions", "--client", number)
        self.assertEqual(self.typed("subscriptions", "--client", f"#{number}"), rows)
        refused = self.type("subscriptions", "--client", "ann")
        self.assertEqual(refused.exit_code, 2)
        self.assertIn("'--client': ann is not the number of a client", refused.output)
        self.assertEqual([row.split()[-1] for row in rows[1:]], ["a.*", "add", "news"])
        self.assertEqual(self.typed("providers")[1].split(), ["RPC", "add", number, "ann", "192.0.2.1"])
        self.assertEqual(self.typed("patterns")[1].split(), ["EVENT", "a.*", number, "ann", "192.0.2.1", "0"])

    def test_records(self) -> None:
        """
        C{records} has the versions, and the data only if they are asked for.
        """
        ann = self.client(self.started())
        ann.say(
            Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=("car",), correlation_id="1"),
            Message(Topic.RECORD, RecordAction.UPDATE, "car", b'{"wheels":4}', version=1),
        )
        self.reactor.advance(1)
        expected = [
            "subscribers  1",
            "provider     -",
            "arbiter      cache",
            "in doubt     no",
            "cache        version 1",
        ]
        self.assertEqual(self.typed("records", "car"), expected)
        self.assertEqual(self.typed("records", "car", "--data"), [*expected, 'cache: {"wheels": 4}'])

    def test_record_of_nodes(self) -> None:
        """
        C{records --all} has a row for each node; a node that did not answer is named.
        """
        self.started()
        own = {"name": "car", "subscribers": 2, "provider": {"user": "feed", "client": 9}, "inDoubt": False}
        own |= {"node": "a", "arbiter": "storage", "cache": {"version": None}, "storage": {"version": 7}}
        other = {**own, "subscribers": 1, "provider": None, "storage": {"error": "no answer within 5 s"}}
        own["storage"] = {"version": 7, "data": [1]}
        answer: dict[str, Any] = {**own, "nodes": {"b": other, "c": {"error": "no answer within 8 s"}}}
        del other["node"]
        self.patch(self, "read", lambda reply: answer)
        self.assertEqual(
            self.typed("records", "car", "--all"),
            [
                "arbiter: storage",
                "NODE  SUBSCRIBERS  PROVIDER   IN DOUBT  CACHE      STORAGE",
                "a     2            feed (#9)  no        no record  version 7",
                "b     1            -          no        no record  not known: no answer within 5 s",
                "storage: [1]",
                "c: no answer within 8 s",
            ],
        )


class JsonTests(AdminCommandTestCase):
    """
    C{--json}.
    """

    def test_each(self) -> None:
        """
        Each command prints the answer of the server as it is, in one line.
        """
        node = self.started()
        self.client(node)
        for words in (
            ("clients",),
            ("providers",),
            ("patterns",),
            ("records", "a"),
            ("subscriptions", "a"),
            ("reload",),
        ):
            (line,) = self.typed(*words, "--json")
            self.assertIsInstance(json.loads(line), dict)
        self.assertEqual(json.loads(self.typed("clients", "--json")[0]), self.get("clients").value)
