"""
Long lists in pages.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.admin.commands import CommandError, Parameters
from dstwist.admin.pages import make_page
from dstwist.scheduling.turns import Turns


class PageTests(SynchronousTestCase):
    """
    L{make_page}.
    """

    def page(self, items: list[Any], **parameters: Any) -> dict[str, Any]:
        work = make_page(
            "rows", items, lambda item: item, lambda item: {"item": item}, Parameters(parameters), Turns.of(Clock())
        )
        return self.successResultOf(Deferred.fromCoroutine(work))

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
            work = make_page("rows", [1, 2], int, dict, Parameters({"after": after}), Turns.of(Clock()))  # type: ignore[arg-type]
            self.failureResultOf(Deferred.fromCoroutine(work), CommandError)

    def test_size(self) -> None:
        """
        A page has a limit.
        """
        for limit in (0, 1001, "x", -1):
            work = make_page("rows", [1, 2], int, dict, Parameters({"limit": limit}), Turns.of(Clock()))  # type: ignore[arg-type]
            self.failureResultOf(Deferred.fromCoroutine(work), CommandError)
