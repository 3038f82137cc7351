"""
Long lists in pages.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.admin.commands import CommandError, Parameters
from dstwist.admin.pages import Listing, make_page, merged
from dstwist.scheduling.turns import Turns


class PageTestCase(SynchronousTestCase):
    """
    Pages of items that are their own keys.
    """

    def page(self, items: list[Any], **parameters: Any) -> dict[str, Any]:
        return self.successResultOf(self.begin(items, **parameters))

    def begin(self, items: list[Any], node: str | None = None, **parameters: Any) -> Deferred[dict[str, Any]]:
        listing: Listing[Any] = Listing(
            items, lambda item: item if isinstance(item, tuple) else (item,), lambda item: {"item": item}
        )
        return Deferred.fromCoroutine(make_page("rows", listing, Parameters(parameters), Turns.of(Clock()), node))


class PageTests(PageTestCase):
    """
    L{make_page}.
    """

    def test_order(self) -> None:
        """
        The rows come in the order of their keys, whatever the order of the items is.
        """
        answer = self.page([3, 1, 2])
        self.assertEqual(answer, {"rows": [{"item": 1}, {"item": 2}, {"item": 3}], "total": 3, "next": None})

    def test_each_size(self) -> None:
        """
        Pages of each size together have each item once.
        """
        items = [(f"n{number * 7 % 20:02}", number % 3) for number in range(40)]
        self.assertEqual(len(set(items)), 40)
        for size in range(1, 42):
            found: list[Any] = []
            after: dict[str, str] = {}
            while True:
                answer = self.page(items, limit=size, **after)
                found += [row["item"] for row in answer["rows"]]
                if answer["next"] is None:
                    break
                after = {"after": answer["next"]}
            self.assertEqual(found, sorted(items))

    def test_wrong_key(self) -> None:
        """
        A key that is none is refused.
        """
        for after in ("x", "[1", '"a"', "[[1]]", "[" * 100_000):
            self.failureResultOf(self.begin([1, 2], after=after), CommandError)

    def test_size(self) -> None:
        """
        A page has a limit.
        """
        for limit in (0, 1001, "x", -1):
            self.failureResultOf(self.begin([1, 2], limit=limit), CommandError)


class MergedTests(PageTestCase):
    """
    L{merged}.
    """

    def test_each_size(self) -> None:
        """
        Pages of each size, made from those of three nodes, together have each item once, in the order of the keys.
        """
        nodes: dict[str, list[Any]] = {
            node: [(f"n{number * step % 15:02}", number) for number in range(15)]
            for node, step in (("a", 7), ("b", 4), ("c", 1))
        }
        for size in range(1, 47):
            found: list[Any] = []
            after: dict[str, str] = {}
            while True:
                # As the bus carries them.
                pages = {
                    node: json.loads(json.dumps(self.successResultOf(self.begin(items, node, limit=size, **after))))
                    for node, items in nodes.items()
                }
                page = merged("rows", pages, size)
                self.assertEqual((page["total"], page["missing"]), (45, {}))
                found += [(*row["item"], row["node"]) for row in page["rows"]]
                if page["next"] is None:
                    break
                after = {"after": page["next"]}
            self.assertEqual(found, sorted((*item, node) for node, items in nodes.items() for item in items))

    def test_missing(self) -> None:
        """
        Nodes without a page are named; also those whose answer is none.
        """
        good = self.successResultOf(self.begin([1], "a"))
        page = merged("rows", {"a": good, "b": {"error": "no answer within 8 s"}, "c": {"rows": []}}, 10)
        self.assertEqual(page["rows"], [{"item": 1, "node": "a"}])
        self.assertEqual(page["missing"], {"b": "no answer within 8 s", "c": "its answer cannot be read"})
