"""
Tests for L{dstwist.scheduling.large_dict}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.scheduling.large_dict import FIRST_ITEMS, SHARDS, LargeDict

#: Far more than the first dict takes.
MANY = FIRST_ITEMS + 50 * SHARDS


class LargeDictTests(SynchronousTestCase):
    """
    L{LargeDict}.
    """

    def setUp(self) -> None:
        self.dict: LargeDict[int] = LargeDict()
        self.first, self.more = self.dict.first, self.dict.more

    def fill(self) -> None:
        for number in range(MANY):
            self.dict[str(number)] = number

    def test_few(self) -> None:
        """
        Few items are all in the first dict, and can be replaced and removed.
        """
        self.dict["a"] = 1
        self.dict["b"] = 2
        self.dict["a"] = 3
        self.assertEqual((self.first, self.more), ({"a": 3, "b": 2}, []))
        self.assertEqual((self.dict.get("a"), self.dict.get("c")), (3, None))
        self.assertEqual((self.dict.pop("a"), self.dict.pop("a")), (3, None))
        self.assertEqual((list(self.dict), len(self.dict), "a" in self.dict), (["b"], 1, False))

    def test_bound(self) -> None:
        """
        No dict gets more than a bounded number of many items, so none of them moves all items when it grows.
        """
        self.fill()
        self.assertEqual(len(self.first), FIRST_ITEMS)
        self.assertLess(max(map(len, self.more)), 150)

    def test_many(self) -> None:
        """
        Each of many items is found, replaced and removed, wherever it is.
        """
        self.fill()
        self.assertEqual((len(self.dict), set(self.dict)), (MANY, set(map(str, range(MANY)))))
        for number in (0, MANY - 1):
            key = str(number)
            self.dict[key] = -5
            self.assertEqual((self.dict.get(key), key in self.dict, len(self.dict)), (-5, True, MANY))
            self.assertEqual((self.dict.pop(key), self.dict.pop(key)), (-5, None))
            self.dict[key] = number
        self.assertEqual((self.dict.get("none"), "none" in self.dict), (None, False))
        self.assertEqual(sum(self.dict.pop(str(number)) == number for number in range(MANY)), MANY)
        self.assertEqual((len(self.dict), list(self.dict)), (0, []))

    def test_replaced_behind_room(self) -> None:
        """
        An item that is not in the first dict stays where it is, also when the first dict has room again.
        """
        self.fill()
        self.dict.pop("0")
        key = str(MANY - 1)
        self.dict[key] = 5
        self.assertEqual((key in self.first, self.dict.get(key), len(self.dict)), (False, 5, MANY - 1))
        self.dict["new"] = 6
        self.assertIn("new", self.first)

    def test_clear(self) -> None:
        """
        After C{clear} the dict can be filled again, and C{first} and C{more} are the same objects.
        """
        self.fill()
        self.dict.clear()
        self.assertEqual((len(self.dict), self.dict.get(str(MANY - 1)), list(self.dict)), (0, None, []))
        self.fill()
        self.assertIs(self.dict.first, self.first)
        self.assertIs(self.dict.more, self.more)
        self.assertEqual(len(self.dict), MANY)
