"""
Lists of all nodes of a cluster.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from dstwist.admin.nodes import ANSWER_TIMEOUT
from dstwist.protocol.constants import EventAction, RpcAction, Topic
from dstwist.protocol.message import Message
from tests.admin.test_nodes import ClusterTestCase


class AllNodesTests(ClusterTestCase):
    """
    C{all}, of three nodes.
    """

    def setUp(self) -> None:
        super().setUp()
        self.start(3)

    def whole(self, target: str, name: str, number: int = 0) -> list[Any]:
        """
        The rows of all pages, which are the same for pages of each size.
        """
        rows = self.pages(target, name, 100, number)
        for size in (1, 2, 3, 4, 5):
            self.assertEqual(self.pages(target, name, size, number), rows)
        return rows

    def pages(self, target: str, name: str, size: int, number: int) -> list[Any]:
        found: list[Any] = []
        after = ""
        while True:
            value = self.ask("GET", f"/{target}all=true&limit={size}{after}", number=number).value
            self.assertEqual(value["missing"], {})
            found += value[name]
            if value["next"] is None:
                self.assertEqual(value["total"], len(found))
                return found
            after = f"&after={quote(value['next'])}"

    def test_subscriptions(self) -> None:
        """
        The subscribers of a name on all nodes.
        """
        for number, user in ((0, "ann"), (1, "bob"), (0, "cid"), (2, "dan")):
            self.client(self.nodes[number], user).subscribe("news")
        self.stream(self.nodes[1], "news", "eve")
        rows = self.whole("subscriptions?name=news&", "subscriptions")
        self.assertEqual(
            [(row["user"], row["node"]) for row in rows],
            [
                ("ann", self.name(0)),
                ("bob", self.name(1)),
                ("cid", self.name(0)),
                ("dan", self.name(2)),
                ("eve", self.name(1)),
            ],
        )
        own = self.ask("GET", "/subscriptions?name=news").value["subscriptions"]
        self.assertEqual([row["user"] for row in own], ["ann", "cid"])

    def test_providers(self) -> None:
        """
        The providers of all nodes, in the order of the names.
        """
        for number, names in ((0, ("add", "sub")), (1, ("mul", "add")), (2, ("div",))):
            self.client(self.nodes[number]).say(
                Message(Topic.RPC, RpcAction.PROVIDE, names=names, correlation_id="1"),
            )
        rows = self.whole("providers?", "providers", number=1)
        self.assertEqual(
            [(row["name"], row["node"]) for row in rows],
            [
                ("add", self.name(0)),
                ("add", self.name(1)),
                ("div", self.name(2)),
                ("mul", self.name(1)),
                ("sub", self.name(0)),
            ],
        )
        rows = self.whole("providers?name=add&", "providers")
        self.assertEqual([row["node"] for row in rows], [self.name(0), self.name(1)])

    def test_patterns(self) -> None:
        """
        The patterns of all nodes.
        """
        for number, pattern in ((0, "b.*"), (1, "a.*"), (2, "b.*")):
            self.client(self.nodes[number]).say(Message(Topic.EVENT, EventAction.LISTEN, pattern))
        rows = self.whole("patterns?", "patterns")
        self.assertEqual(
            [(row["pattern"], row["node"], row["provides"]) for row in rows],
            [("a.*", self.name(1), 0), ("b.*", self.name(0), 0), ("b.*", self.name(2), 0)],
        )

    def test_missing(self) -> None:
        """
        A node that cannot be reached is named, after a while; the others have their rows.
        """
        for node in self.nodes:
            self.client(node).subscribe("news")
        self.lose(2)
        value = self.ask("GET", "/subscriptions?name=news&all=true", seconds=ANSWER_TIMEOUT).value
        self.assertEqual([row["node"] for row in value["subscriptions"]], [self.name(0), self.name(1)])
        self.assertEqual(value["missing"], {self.name(2): "no answer within 8 s"})

    def test_refused(self) -> None:
        """
        A wrong key and a wrong size are refused.
        """
        for target in ("patterns?all=true&after=x", "patterns?all=true&after=%22a", "clients?all=true&limit=0"):
            self.assertEqual(self.ask("GET", f"/{target}").status, 400, target)
