"""
Tests for L{dstwist.protocol.jsontext}.
"""

from __future__ import annotations

import gc
import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol import jsonparts, jsontext, protobuf, protobuf_short, typed
from dstwist.protocol import text as text_module
from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.json_stdlib import stdlib_dumps
from dstwist.protocol.message import Malformed, Message
from dstwist.protocol.nesting import MAX_DEPTH
from dstwist.protocol.text_fields import FIELD_SEPARATOR, MESSAGE_END

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)

VALID: list[tuple[str, Any]] = [
    ("null", None),
    (" \t\r\n[ 1 , 2 ]\n", [1, 2]),
    ("0", 0),
    ("-0", 0),
    ("-0.0", -0.0),
    ("1E5", 100000.0),
    ("1.50", 1.5),
    ("18446744073709551615", 18446744073709551615),
    ("18446744073709551616", 18446744073709551616.0),
    ("-9223372036854775808", -9223372036854775808),
    ("-9223372036854775809", -9223372036854775809.0),
    ("1" * 30, 1.1111111111111111e29),
    ("1" * 309, 1.1111111111111111e308),
    ("1.7976931348623157e308", 1.7976931348623157e308),
    ("1e-400", 0.0),
    ("9007199254740993", 9007199254740993),
    ('{"a":1,"a":2}', {"a": 2}),
    ('"\\ud83d\\ude00"', "\U0001f600"),
    ('"\\ud800"', "\ud800"),
    ('{"\\udfff":["\\ud800x"]}', {"\udfff": ["\ud800x"]}),
    ('"\\u0000\\u001e"', "\x00\x1e"),
    ("[" * MAX_DEPTH + "]" * MAX_DEPTH, None),
    ('{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH, None),
    ("[" + ",".join(["[]"] * 1000) + "]", [[]] * 1000),
    ('"' + "[" * 5000 + '"', "[" * 5000),
]

INVALID = [
    "",
    " ",
    "nul",
    "NaN",
    "-NaN",
    "Infinity",
    "-Infinity",
    "[NaN]",
    "[1,]",
    '{"a":1,}',
    "{a:1}",
    "'a'",
    '"a',
    '"\x1e"',
    '"\n"',
    '"\\x41"',
    '"\\u12"',
    "01",
    "+1",
    "1.",
    ".5",
    "0x10",
    "1" * 400,
    "1e999",
    "-1e400",
    "1.7976931348623159e308",
    "1000" * 100 + "E5",
    '{"a":[{"b":1e400}]}',
    '{"a":-1E+400}',
    '"\\ud800",1e400',
    '["\\ud800",1e400]',
    "1 2",
    "\ufeff1",
    "\x0b1",
    "\xa01",
    "// c\n1",
    "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
    '{"a":' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1),
    "[" * 1000 + "]" * 1000,
    "[" * 1024 + "]" * 1024,
    "[" * 100000 + "]" * 100000,
    "[" * 100000,
    '{"a":' * 100000,
]


def outcome(loads: Any, text: bytes | str) -> str:
    """
    The result for a text, in a form that can be compared (NaN, 1 and 1.0 included).
    """
    try:
        return repr(loads(text))
    except ValueError:
        return "refused"


class LoadsTests(SynchronousTestCase):
    """
    Texts become the same values, whichever library is at work.
    """

    def test_valid(self) -> None:
        """
        A text that JavaScript reads is read as the same value.
        """
        for text, value in VALID:
            for loads in (jsontext.loads, jsontext.stdlib_loads):
                for form in (text, text.encode("utf-8")):
                    result = outcome(loads, form)
                    if value is not None:
                        self.assertEqual(result, repr(value), text[:40])
                    self.assertNotEqual(result, "refused", text[:40])

    def test_invalid(self) -> None:
        """
        A text that JavaScript refuses is refused, and so is a text that is nested too deeply.
        """
        for text in INVALID:
            for loads in (jsontext.loads, jsontext.stdlib_loads):
                for form in (text, text.encode("utf-8")):
                    self.assertEqual(outcome(loads, form), "refused", text[:40])
            self.assertFalse(jsontext.is_json(text))

    def test_not_utf8(self) -> None:
        """
        Bytes that are no text are no JSON text either.
        """
        for text in (b'"\xff"', b'"\xed\xa0\x80"', b"\xff\xfe1\x00"):
            self.assertEqual(outcome(jsontext.loads, text), "refused")
            self.assertEqual(outcome(jsontext.stdlib_loads, text), "refused")

    def test_many_containers(self) -> None:
        """
        A text of very many containers is read without the collector, which is on again afterwards, also if the text is
        none. It is refused for its depth alone.
        """
        wide = b"[" + b",".join([b"[]"] * 50_000) + b"]"
        before = gc.get_stats()[0]["collections"]
        self.assertEqual(len(jsontext.loads(wide)), 50_000)
        self.assertLess(gc.get_stats()[0]["collections"] - before, 20)
        self.assertRaises(ValueError, jsontext.loads, wide[:-1])
        self.assertRaises(ValueError, jsontext.loads, wide[:-1] + b"," + b"[" * 257 + b"]" * 257 + b"]")
        self.assertTrue(gc.isenabled())

    def test_depth_everywhere(self) -> None:
        """
        The limit does not depend on how deep the caller stands.
        """

        def deep(levels: int) -> bool:
            return deep(levels - 1) if levels else jsontext.is_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)

        self.assertTrue(deep(200))

    @settings(max_examples=150, deadline=None, derandomize=True)
    @given(st.text('[]{}",:0123456789.eE+-truefalsn \\ud\x1e\xa0', max_size=30) | st.text())
    def test_same_outcome(self, text: str) -> None:
        """
        Any text is either the same value to both or refused by both.
        """
        for form in (text, text.encode("utf-8", "surrogatepass")):
            self.assertEqual(outcome(jsontext.loads, form), outcome(jsontext.stdlib_loads, form))

    @settings(max_examples=150, deadline=None, derandomize=True)
    @given(JSON)
    def test_round_trip(self, value: Any) -> None:
        """
        Both libraries read alike what either of them writes.
        """
        for dumps in (jsontext.dumps, stdlib_dumps):
            text = dumps(value)
            self.assertNotIn(b"NaN", text.replace(b'"NaN"', b""))
            self.assertEqual(outcome(jsontext.loads, text), outcome(jsontext.stdlib_loads, text))
        self.assertEqual(
            outcome(jsontext.stdlib_loads, jsontext.dumps(value)),
            outcome(jsontext.stdlib_loads, stdlib_dumps(value)),
        )


class DumpsTests(SynchronousTestCase):
    """
    Values become compact texts.
    """

    def test_values(self) -> None:
        """
        Texts are compact UTF-8; what JSON has no way to write becomes null or an escape.
        """
        for value, text in [
            ({"a": [1, 1.5, True, None]}, '{"a":[1,1.5,true,null]}'),
            ("\xfc\U0001f600", '"\xfc\U0001f600"'),
            ("a\x1e\x1f", '"a\\u001e\\u001f"'),
            ("\ud800", '"\\ud800"'),
            ([math.nan, {"a": (math.inf, -math.inf)}], '[null,{"a":[null,null]}]'),
            (["\udc00", math.nan], '["\\udc00",null]'),
            (2**70, str(2**70)),
        ]:
            for dumps in (jsontext.dumps, stdlib_dumps):
                self.assertEqual(dumps(value), text.encode("utf-8"))

    def test_deep(self) -> None:
        """
        Every value that can be read can be written.
        """
        for text in (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH):
            value = jsontext.loads(text)
            self.assertEqual(jsontext.dumps(value), text)
            self.assertEqual(stdlib_dumps(value), text)
        deep: Any = math.inf
        for _ in range(MAX_DEPTH):
            deep = [deep]
        self.assertEqual(jsontext.dumps(deep), stdlib_dumps(deep))

    def test_kept(self) -> None:
        """
        A value that was read and written is read again as the same value.
        """
        for text, _ in VALID:
            value = jsontext.loads(text)
            for dumps in (jsontext.dumps, stdlib_dumps):
                self.assertEqual(repr(jsontext.loads(dumps(value))), repr(value), text[:40])


class CodecTests(SynchronousTestCase):
    """
    Codecs on messages that are too large for the free memory.
    """

    def setUp(self) -> None:
        def exhausted(text: object) -> Any:
            raise jsontext.NoRoom

        for module in (jsontext, protobuf, protobuf_short, typed):
            self.patch(module, "loads", exhausted)
        for module in (protobuf, protobuf_short):
            self.patch(module, "brief_loads", exhausted)

    def test_records(self) -> None:
        """
        Writes of records come through, since the service reads them again, and only the service can refuse them so that
        each client understands it. All else is invalid: it would be passed on without having been checked.
        """
        data = "{}" + " " * 5000
        writes = (
            f"R|U|a|2|{data}",
            f"R|P|a|2|b|O{data}",
            f'R|U|a|2|{data}|{{"writeSuccess":true}}',
            f"R|CU|a|-1|{data}|{{}}",
            f"R|CU|a|-1|b|O{data}|{{}}",
        )
        for text in writes:
            text = text.replace("|", FIELD_SEPARATOR) + MESSAGE_END
            (message,) = text_module.SERVER.decode(text)
            self.assertIsInstance(message, Message, text[:30])
        emit = f"E|EVT|a|O{data}".replace("|", FIELD_SEPARATOR) + MESSAGE_END
        self.assertIsInstance(text_module.SERVER.decode(emit)[0], Malformed)
        for topic, action, kind in (
            (Topic.RECORD, RecordAction.UPDATE, Message),
            (Topic.EVENT, EventAction.EMIT, Malformed),
        ):
            version = 2 if topic is Topic.RECORD else None
            payload = protobuf.CLIENT.encode(Message(topic, action, "a", data.encode(), version=version))
            (found,) = protobuf.SERVER.decode(payload)
            self.assertIsInstance(found, kind)


class GuardedTests(SynchronousTestCase):
    """
    L{jsontext.Guarded}: reading where memory can be refused.
    """

    def setUp(self) -> None:
        self.free = 1 << 40
        self.fast: list[int] = []
        self.refused: list[int] = []
        self.patch(jsontext, "refusals", [self.refused.append])
        self.loads = jsontext.Guarded(self.read_fast, lambda size: size <= self.free).loads

    def read_fast(self, text: bytes | str) -> Any:
        self.fast.append(len(text))
        return jsontext.stdlib_loads(text)

    def text(self, size: int) -> bytes:
        return b"[" + b" " * (size - 3) + b"1]"

    def test_values(self) -> None:
        """
        The values are the same, and so is the refusal of a text that is not JSON.
        """
        for size in (10, 5000):
            self.assertEqual(self.loads(self.text(size)), [1])
            self.assertRaises(ValueError, self.loads, self.text(size)[:-1])
        self.assertEqual(self.refused, [])

    def test_quick(self) -> None:
        """
        orjson reads a text only if there is room for whatever it may need.
        """
        size = 10_000
        self.free = jsontext.ORJSON_BYTES_PER_BYTE * size + jsontext.ORJSON_READ_MARGIN_BYTES
        self.loads(self.text(size))
        self.free -= 1
        self.loads(self.text(size))
        self.assertEqual(self.fast, [size])

    def test_reading_in_parts(self) -> None:
        """
        A text is read in parts only if there is room for all of it, beside the reserve.
        """
        size = 1_000_000
        guarded = jsontext.Guarded(self.read_fast, lambda size: size <= self.free)
        self.patch(jsonparts, "find_room", guarded.find_room)
        self.patch(jsonparts, "loads", guarded.loads)
        self.free = jsontext.STDLIB_BYTES_PER_BYTE * size + jsontext.RESERVED_BYTES
        text = b"[" + b"0," * (size // 2 - 2) + b"10]"
        self.assertEqual(len(text), size)
        for _ in jsonparts.reading(text):
            pass
        self.assertEqual(self.refused, [])
        self.free -= 1
        self.assertRaises(jsontext.NoRoom, next, jsonparts.reading(text))
        self.assertEqual(self.refused, [size])

    def test_writing(self) -> None:
        """
        orjson writes as long as there is room for the largest texts.
        """
        written: list[Any] = []

        def write_fast(value: Any) -> bytes:
            written.append(value)
            return b"fast"

        dumps = jsontext.Guarded(self.read_fast, lambda size: size <= self.free, write_fast).dumps
        self.free = jsontext.ORJSON_WRITE_BYTES
        self.assertEqual((dumps([1]), written), (b"fast", [[1]]))
        self.free -= 1
        self.assertEqual((dumps([2]), written), (b"[2]", [[1]]))

    def test_plenty(self) -> None:
        """
        There is plenty of memory if it is enough for any text, and always if the system never refuses memory.
        """
        guarded = jsontext.Guarded(self.read_fast, lambda size: size <= self.free)
        self.free = jsontext.ORJSON_WRITE_BYTES
        self.assertTrue(guarded.has_plenty())
        self.free -= 1
        self.assertFalse(guarded.has_plenty())
        self.assertTrue(jsontext._plenty())

    def test_refused(self) -> None:
        """
        A text that might take what all else needs is refused, and that is told.
        """
        size = 10_000
        self.free = jsontext.STDLIB_BYTES_PER_BYTE * size + jsontext.RESERVED_BYTES
        self.loads(self.text(size))
        self.free -= 1
        self.assertRaises(jsontext.NoRoom, self.loads, self.text(size))
        self.assertEqual((self.fast, self.refused), ([], [size]))

    def test_many_short(self) -> None:
        """
        Short texts are refused as well when there is no room, though it is not looked for each time.
        """
        self.loads(self.text(1000))
        self.free = jsontext.RESERVED_BYTES - 1
        for _ in range(jsontext.UNCHECKED_TOTAL_LENGTH // 1000):
            self.loads(self.text(1000))
        for _ in range(3):
            self.assertRaises(jsontext.NoRoom, self.loads, self.text(1000))
        self.free += 1
        self.loads(self.text(1000))

    def test_memory_error(self) -> None:
        """
        If there is a shortage all the same, it is a refusal too.
        """

        def exhausted(text: bytes | str) -> Any:
            raise MemoryError

        self.patch(jsontext, "stdlib_loads", exhausted)
        self.assertRaises(jsontext.NoRoom, self.loads, b"[1]")
        self.assertEqual(self.refused, [3])

    def test_enough(self) -> None:
        """
        The factors are more than any text needs: this is the most that was found, by orjson and without it.
        """
        unit = "[[[[]]]],"
        needed = 4 * (56 + 16 + 8) + 16
        self.assertLess(needed / len(unit), jsontext.STDLIB_BYTES_PER_BYTE)
        self.assertLess(needed / len(unit) + 12, jsontext.ORJSON_BYTES_PER_BYTE)
