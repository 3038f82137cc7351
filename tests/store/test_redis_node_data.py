"""
Keys and values that the Node server's connectors have written: L{dstwist.store.redis_layout} reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.jsontext import loads
from dstwist.record import Record
from dstwist.store.redis_layout import Layout, layout_of

#: The content of a Redis after clients had written to a Node server 7.0.2 with C{@deepstream/cache-redis} 2.0.9.
TODAY = {
    "a/b/c_d": '{"v":1}',
    "a/b/c_v": "1",
    "dots.and-dash_v_d": "{}",
    "dots.and-dash_v_v": "0",
    "grüße/ключ-日本-😀_d": '{"ключ":"значение 😀 \\"quoted\\" \\u0007 \u2028"}',
    "grüße/ключ-日本-😀_v": "1",
    "lists/l1_d": '["x/1","x/2","x/3"]',
    "lists/l1_v": "2",
    "objrec_d": '{"n":1.5,"s":"y","t":true,"z":null,"e":"","big":9007199254740991,"arr":[1,"two",{"three":3}]}',
    "objrec_v": "4",
    "q'uote_d": '{"v":"it\'s"}',
    "q'uote_v": "1",
    "user/nested_d": '{"a":{"b":{"c":[{"d":1},[]]}},"k.with.dot":1,"$dollar":2}',
    "user/nested_v": "1",
}

#: Its content after the same writes by C{deepstream.io-cache-redis} 1.2.2, the connector for servers 2 and 3.
LEGACY = {
    "a/b/c": '{"_v":1,"_d":{"v":1}}',
    "dots.and-dash_v": '{"_v":0,"_d":{}}',
    "grüße/ключ-日本-😀": '{"_v":1,"_d":{"ключ":"значение 😀 \\"quoted\\" \\u0007 \u2028"}}',
    "lists/l1": '{"_v":2,"_d":["x/1","x/2","x/3"]}',
    "objrec": '{"_v":4,"_d":{"n":1.5,"s":"y","t":true,"z":null,"e":"","big":9007199254740991,'
    '"arr":[1,"two",{"three":3}]}}',
    "q'uote": '{"_v":1,"_d":{"v":"it\'s"}}',
    "user/nested": '{"_v":1,"_d":{"a":{"b":{"c":[{"d":1},[]]}},"k.with.dot":1,"$dollar":2}}',
}

RECORDS: Mapping[str, tuple[int, Any]] = {
    "a/b/c": (1, {"v": 1}),
    "dots.and-dash_v": (0, {}),
    "grüße/ключ-日本-😀": (1, {"ключ": 'значение 😀 "quoted" \u0007 \u2028'}),
    "lists/l1": (2, ["x/1", "x/2", "x/3"]),
    "objrec": (
        4,
        {"n": 1.5, "s": "y", "t": True, "z": None, "e": "", "big": 9007199254740991, "arr": [1, "two", {"three": 3}]},
    ),
    "q'uote": (1, {"v": "it's"}),
    "user/nested": (1, {"a": {"b": {"c": [{"d": 1}, []]}}, "k.with.dot": 1, "$dollar": 2}),
}


class NodeDataTests(SynchronousTestCase):
    """
    Each layout with what its connector has written.
    """

    def cases(self) -> Iterator[tuple[Layout, dict[bytes, bytes]]]:
        for legacy, contents in ((False, TODAY), (True, LEGACY)):
            yield layout_of("", legacy, False), {key.encode(): value.encode() for key, value in contents.items()}

    def test_names(self) -> None:
        """
        The keys are those of these records, and of no others.
        """
        for layout, contents in self.cases():
            names = {layout.name_of(key) for key in contents} - {None}
            self.assertEqual(names, RECORDS.keys())
            self.assertEqual({key for name in RECORDS for key in layout.keys(name)}, contents.keys())

    def test_read(self) -> None:
        """
        The values are read as the records that clients have written.
        """
        for layout, contents in self.cases():
            for name, (version, data) in RECORDS.items():
                command, *keys = layout.read_words(layout.keys(name))
                answer = contents[keys[0]] if command == b"GET" else [contents[key] for key in keys]
                number, value = layout.split(answer)
                assert number is not None and value is not None
                found = layout.record(number, loads(value))
                self.assertEqual((found.version, found.data), (version, data), name)

    def test_write(self) -> None:
        """
        A record is written as JSON that means the same to a connector.
        """
        for layout, contents in self.cases():
            for name, (version, data) in RECORDS.items():
                value = contents[layout.keys(name)[-1]]
                self.assertEqual(loads(layout.value(Record(version, data))), loads(value), name)
