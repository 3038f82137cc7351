"""
Tests for L{dstwist.protocol.patched}. L{tests.protocol.test_drafts} makes patched containers by writes.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol import patched
from dstwist.protocol.jsontext import UNCOLLECTED_ITEMS
from dstwist.protocol.patched import PatchedArray, PatchedObject, most_changes, plain
from dstwist.protocol.typed import UNDEFINED


class ObjectTests(SynchronousTestCase):
    """
    L{PatchedObject}.
    """

    def setUp(self) -> None:
        self.base = {"a": 1, "b": None, "c": 3}
        self.value = PatchedObject(self.base, {"c": None, "a": UNDEFINED, "d": 4})

    def test_read(self) -> None:
        """
        Changed items hide those of the base.
        """
        for key, expected in (("a", UNDEFINED), ("b", None), ("c", None), ("d", 4), ("e", UNDEFINED)):
            self.assertIs(self.value.get(key, UNDEFINED), expected)
            self.assertEqual(key in self.value, expected is not UNDEFINED)
        self.assertIsNone(self.value.get("a"))

    def test_merged(self) -> None:
        """
        The ordinary object has the keys in the order in which they came, and the base stays as it is.
        """
        self.assertEqual(json.dumps(self.value.merged()), '{"b": null, "c": null, "d": 4}')
        self.assertEqual(self.base, {"a": 1, "b": None, "c": 3})

    def test_successor(self) -> None:
        """
        A successor has the same items. What it changes is not changed in the object before it.
        """
        successor = self.value.successor()
        self.assertEqual(successor.merged(), self.value.merged())
        self.assertIs(successor.base, self.base)
        successor.changed["b"] = 2
        self.assertIsNone(self.value.get("b"))


class ArrayTests(SynchronousTestCase):
    """
    L{PatchedArray}.
    """

    def setUp(self) -> None:
        self.base = [1, 2, 3]
        self.value = PatchedArray(self.base, {4: 50, 0: None, 3: 40}, length=5)

    def test_read(self) -> None:
        """
        Changed elements hide those of the base, or follow them.
        """
        self.assertEqual([self.value[index] for index in range(len(self.value))], [None, 2, 3, 40, 50])
        self.assertEqual(len(PatchedArray(self.base, {})), 3)

    def test_merged(self) -> None:
        """
        The ordinary array has the elements in their order, and the base stays as it is.
        """
        self.assertEqual(self.value.merged(), [None, 2, 3, 40, 50])
        self.assertEqual(self.base, [1, 2, 3])

    def test_successor(self) -> None:
        """
        A successor has the same elements. What it changes is not changed in the array before it.
        """
        successor = self.value.successor()
        self.assertEqual(successor.merged(), self.value.merged())
        self.assertIs(successor.base, self.base)
        successor.changed[1] = 0
        self.assertEqual(self.value[1], 2)


class PlainTests(SynchronousTestCase):
    """
    L{plain} and L{most_changes}.
    """

    def test_ordinary(self) -> None:
        """
        An ordinary value is returned as it is.
        """
        values: list[Any] = [None, 1, "a", [1, {}], {"a": [[]]}]
        for value in values:
            self.assertIs(plain(value), value)

    def test_within(self) -> None:
        """
        Patched containers are found wherever they are: among the items of the base, and among the changed ones.
        """
        inner = PatchedArray([1, 2], {1: 3})
        middle = PatchedObject({"a": inner, "b": {"c": 1}}, {}, mixed=True)
        outer = PatchedArray([middle, 0, 0], {1: inner, 2: PatchedObject({}, {"d": 4})}, mixed=True)
        made = plain(outer)
        self.assertEqual(json.dumps(made), '[{"a": [1, 3], "b": {"c": 1}}, [1, 3], {"d": 4}]')
        self.assertIs(made[0]["b"], middle.base["b"])

    def test_copies(self) -> None:
        """
        Large containers are copied without the garbage collector, small ones are not worth it.
        """
        made: list[int] = []

        def copy(container: list[int]) -> list[int]:
            made.append(len(container))
            return list(container)

        self.patch(patched, "copy_uncollected", copy)
        for size in (UNCOLLECTED_ITEMS - 1, UNCOLLECTED_ITEMS):
            base = [0] * size
            copied = PatchedArray(base, {0: 1}).merged()
            self.assertEqual((copied[0], base[0], len(copied)), (1, 0, size))
        self.assertEqual(made, [UNCOLLECTED_ITEMS])

    def test_most_changes(self) -> None:
        """
        The larger a container is, the more of its items are changed before it is merged.
        """
        self.assertEqual([most_changes(size) for size in (0, 1000, 40_000, 10**7)], [128, 128, 312, 1024])
