"""
Tests for L{dstwist.api.lists}.
"""

from __future__ import annotations

from typing import Any

from dstwist.api.errors import InvalidValue
from tests.api.stage import ApiTestCase


class ListTests(ApiTestCase):
    """
    L{Lists<dstwist.api.lists.Lists>}.
    """

    def test_changes(self) -> None:
        """
        Entries are added and removed.
        """
        lists = self.api.lists
        self.assertEqual(self.done(lists.entries("a")), [])
        self.assertEqual(self.done(lists.add("a", "x")), ["x"])
        self.assertEqual(self.done(lists.add("a", "y")), ["x", "y"])
        self.assertEqual(self.done(lists.add("a", "x", index=0)), ["x", "x", "y"])
        self.assertEqual(self.done(lists.entries("a")), ["x", "x", "y"])
        self.assertEqual(self.done(lists.remove("a", "x")), ["y"])
        self.assertEqual(self.done(lists.remove("a", "none")), ["y"])
        self.done(lists.set("a", ("p", "q")))
        self.assertEqual(self.done(self.api.records.get("a")).data, ["p", "q"])
        self.done(lists.delete("a"))
        self.assertFalse(self.done(self.api.records.has("a")))

    def test_at_the_same_time(self) -> None:
        """
        No change gets lost if several are made at the same time.
        """
        adding = [self.api.lists.add("a", str(number)) for number in range(20)]
        for each in adding:
            self.done(each)
        self.assertEqual(sorted(self.done(self.api.lists.entries("a")), key=int), [str(n) for n in range(20)])

    def test_subscribe(self) -> None:
        """
        A subscription gets the entries, with a callback and in an iteration.
        """
        called: list[list[str]] = []
        iterated: list[list[str]] = []

        async def read() -> None:
            async with await self.api.lists.subscribe("a") as entries:
                async for each in entries:
                    iterated.append(each)
                    if len(iterated) == 3:
                        break

        self.done(self.api.lists.subscribe("a", called.append))
        reading = self.started(read())
        self.done(self.api.lists.add("a", "x"))
        self.done(self.api.lists.add("a", "y"))
        self.successResultOf(reading)
        self.assertEqual(called, [[], ["x"], ["x", "y"]])
        self.assertEqual(iterated, called)

    def test_no_list(self) -> None:
        """
        A record that is no list, and entries that are no texts, are refused.
        """
        taken: list[Any] = []
        self.done(self.api.records.set("a", {"x": 1}))
        self.refused(self.api.lists.entries("a"), InvalidValue)
        self.refused(self.api.lists.add("a", "x"), InvalidValue)
        self.refused(self.api.lists.set("b", ["x", 1]), InvalidValue)  # type: ignore[list-item]
        self.refused(self.api.lists.add("b", 1), InvalidValue)  # type: ignore[arg-type]
        self.done(self.api.lists.subscribe("a", taken.append))
        self.turn()
        self.assertEqual(taken, [])
        self.assertEqual(len(self.flushLoggedErrors(InvalidValue)), 1)
