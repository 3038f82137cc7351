"""
Tests for L{dstwist.store.redis_layout}.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.errors import StoreError
from dstwist.record import Record
from dstwist.redis.slots import slot_of
from dstwist.store.redis_layout import TOKEN, TOMBSTONE, Layout, layout_of, tag_of

#: Texts of up to four of these letters: all that matter to a layout.
LETTERS = "a{}\\_v"
NAMES = ["".join(letters) for length in range(5) for letters in product(LETTERS, repeat=length)]


def layouts(prefix: str = "p:") -> dict[str, Layout]:
    return {
        f"{legacy} {cluster}": layout_of(prefix, legacy, cluster)
        for legacy in (False, True)
        for cluster in (False, True)
    }


class KeyTests(SynchronousTestCase):
    """
    The keys of records.
    """

    def test_keys(self) -> None:
        """
        The keys are those of the Node server's connectors, behind the prefix.
        """
        two, cluster = layout_of("p:", False, False), layout_of("p:", False, True)
        one, one_cluster = layout_of("p:", True, False), layout_of("p:", True, True)
        self.assertEqual([b"p:a/\xc3\xa9_v", b"p:a/\xc3\xa9_d"], two.keys("a/\u00e9"))
        self.assertEqual([b"a_v", b"a_d"], layout_of("", False, False).keys("a"))
        self.assertEqual([b"p:{a/b}_v", b"p:{a/b}_d"], cluster.keys("a/b"))
        self.assertEqual([[b"p:a/b"]] * 2, [one.keys("a/b"), one_cluster.keys("a/b")])
        self.assertEqual(b"p:a_t", two.own_key("a", TOMBSTONE))
        self.assertEqual(b"p:{a}_k", cluster.own_key("a", TOKEN))
        self.assertEqual(b"p:!dstwist/t/a", one.own_key("a", TOMBSTONE))
        self.assertEqual(b"p:!store", two.server_key(b"store"))
        self.assertEqual(b"p:!dstwist/store", one.server_key(b"store"))

    def test_own_keys(self) -> None:
        """
        Different names have different keys, all keys of a name differ, and none is a key of the server.
        """
        for title, layout in layouts().items():
            seen = {layout.server_key(b"store"): "the server"}
            for name in NAMES:
                for key in (*layout.keys(name), layout.own_key(name, TOMBSTONE), layout.own_key(name, TOKEN)):
                    self.assertNotIn(key, seen, f"{title}: {name!r}")
                    seen[key] = name

    def test_one_server(self) -> None:
        """
        In a Redis Cluster all keys of a name are on one server.
        """
        for legacy in (False, True):
            layout = layout_of("p:", legacy, True)
            for name in NAMES:
                keys = [*layout.keys(name), layout.own_key(name, TOMBSTONE), layout.own_key(name, TOKEN)]
                self.assertEqual(1, len({slot_of(key) for key in keys}), f"{legacy}: {name!r}")

    def test_names(self) -> None:
        """
        The name of a record follows from its first key; other keys have none.
        """
        for title, layout in layouts().items():
            for name in NAMES:
                first, *others = layout.keys(name)
                self.assertEqual(name, layout.name_of(first), title)
                for key in (*others, layout.own_key(name, TOMBSTONE), layout.own_key(name, TOKEN)):
                    self.assertIsNone(layout.name_of(key), f"{title}: {key!r}")
            for key in (layout.server_key(b"store"), b"q:a_v", b"p:\xff_v", b"p:{\xff}_v", b"p:"[:1]):
                self.assertIsNone(layout.name_of(key), f"{title}: {key!r}")

    def test_refused(self) -> None:
        """
        A name that is no text, or that is reserved, cannot be stored.
        """
        for layout in layouts().values():
            self.assertRaises(StoreError, layout.keys, "no\ud800name")
        self.assertIn("are reserved", str(self.assertRaises(StoreError, layout_of("", True, False).keys, "!dstwist/x")))

    def test_pattern(self) -> None:
        """
        A prefix is no pattern.
        """
        self.assertEqual(b"\\[a\\]\\*\\?\\\\*_v", layout_of("[a]*?\\", False, False).pattern)
        self.assertEqual(b"p:*", layout_of("p:", True, False).pattern)
        self.assertEqual(b"p:{*}_v", layout_of("p:", False, True).pattern)


class SlotTests(SynchronousTestCase):
    """
    The slots of a Redis Cluster.
    """

    def test_tags(self) -> None:
        """
        There is a text for each slot.
        """
        self.assertEqual(list(range(16384)), [slot_of(b"{%b}" % tag_of(slot)) for slot in range(16384)])


class ValueTests(SynchronousTestCase):
    """
    The values of the keys.
    """

    def test_values(self) -> None:
        """
        Version and data are in two keys, or in one.
        """
        record = Record(3, {"a": [1]})
        two, one = layout_of("", False, False), layout_of("", True, False)
        self.assertEqual((b'{"a":[1]}', b'{"_v":3,"_d":{"a":[1]}}'), (two.value(record), one.value(record)))
        self.assertEqual((b"MGET", b"a_v", b"a_d"), two.read_words(two.keys("a")))
        self.assertEqual((b"GET", b"a"), one.read_words(one.keys("a")))
        self.assertEqual((b"3", b"{}"), two.split([b"3", b"{}"]))
        self.assertEqual((None, None), one.split(None))
        self.assertEqual(record, two.record(b"3", {"a": [1]}))
        self.assertEqual(record, one.record(b"", {"_d": {"a": [1]}, "_v": 3}))

    def test_no_record(self) -> None:
        """
        A value that is no record is not taken for one.
        """
        two, one = layout_of("", False, False), layout_of("", True, False)
        for version in (b"", b"-1", b"1.5", b"01", b"00", b"x", b"1" * 17, "\u0661".encode()):
            self.assertRaises(ValueError, two.record, version, {})
        self.assertRaises(ValueError, two.record, b"1", "text")
        values: list[Any] = [1, [], {}, {"_v": 1}, {"_d": {}}, {"_v": "1", "_d": {}}, {"_v": 1, "_d": 5}]
        for value in [*values, {"_v": -1, "_d": {}}]:
            self.assertRaises(ValueError, one.record, b"", value)
