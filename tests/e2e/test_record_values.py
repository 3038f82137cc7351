"""
What is kept in records, from every generation to every generation.
"""

from __future__ import annotations

import json

from tests.e2e.records import Record
from tests.e2e.scenario import PATIENT, QUICK, PairScenario, for_each_pairing_and_codec
from tests.e2e.test_events import MINUS_ZERO, NO_NUMBERS, VALUES

#: What can be kept: undefined cannot, it is how a path is erased.
KEPT = [value for value in VALUES if value != "undefined"]

WHOLE = [
    "{}",
    "[]",
    '{"":"empty key"}',
    '{"a":null,"b":"","c":0,"d":false,"e":[],"f":{}}',
    '{"a":{"b":[1,{"c":null}],"ü":"é"},"n":1e+21,"s":"a\\u001eb\\u001fc"}',
    '["some","entries"]',
    '[[],{},null,0,false,""]',
    '{"big":123456789012345680000,"small":5e-324,"third":0.3333333333333333,"max":1.7976931348623157e+308}',
    '{"__proto":"x","constructor1":1,"世界":"👩‍💻","a b":"c","a.b":1,"a[0]":2}',
    json.dumps({"text": "x" * 200_000}, separators=(",", ":")),
    json.dumps({f"key {number}": {"list": [number, str(number)]} for number in range(500)}, separators=(",", ":")),
    json.dumps({"a": {"b": {"c": {"d": {"e": {"f": {"g": [[[[[1]]]]]}}}}}}}, separators=(",", ":")),
]


@for_each_pairing_and_codec
class ValueTests(PairScenario):
    """
    One writes, the other reads.
    """

    options = QUICK
    config = PATIENT

    def test_at_paths(self) -> None:
        """
        Every kind of value, set at a path, arrives as what it was, in updates and for those who read it later.
        """
        name = self.name("values")
        writer, reader = Record(self.one(), name), Record(self.other(), name)
        for number, value in enumerate(KEPT):
            writer.set(value, f"v{number}")
        writer.set(MINUS_ZERO[0], "zero")
        reader.until(MINUS_ZERO[1], "zero")
        late = Record(self.other(), name)
        for record in (reader, late):
            self.assertEqual([record.get(f"v{number}") for number in range(len(KEPT))], KEPT)
        self.assertEqual(late.version, len(KEPT) + 1)

    def test_no_numbers(self) -> None:
        """
        Numbers that JSON cannot keep are null to those who hear of them and to those who read them later.
        """
        name = self.name("no numbers")
        writer, reader = Record(self.one(), name), Record(self.other(), name)
        for number, value in enumerate(NO_NUMBERS):
            writer.set(value, f"v{number}")
        writer.set('"end"', "end")
        reader.until('"end"', "end")
        for record in (reader, Record(self.other(), name)):
            self.assertEqual([record.get(f"v{number}") for number in range(len(NO_NUMBERS))], ["null"] * 3)

    def test_paths_of_many_meanings(self) -> None:
        """
        Where the generations would take a path in different ways all end with what the server has: through null and
        other scalars, on which clients of v2 throw, and numbers after a dot, which are an index to them alone.
        """
        name = self.name("paths")
        writer, readers = Record(self.one(), name), [Record(self.other(), name), Record(self.one(), name)]
        start = '{"null":null,"scalar":1,"list":[null]}'
        writer.set(start)
        for reader in readers:
            reader.until(start)
        setter = self.logged_in("v7", self.at)
        for path in ("null.x", "scalar.x", "list[0].x", "made.0", "blank key.x"):
            setter.set_data(name, "1", path)
        expected = '{"null":{"x":1},"scalar":{"x":1},"list":[{"x":1}],"made":{"0":1},"blank key":{"x":1}}'
        for record in (writer, *readers):
            record.until(expected)
        writer.set("2", "more.7.x")
        expected = f'{expected[:-1]},"more":{{"7":{{"x":2}}}}}}'
        for record in (writer, *readers):
            record.until(expected)
        eraser = Record(setter, name)
        eraser.erase("nothing.below")
        for record in (writer, *readers, eraser):
            record.until(f'{expected[:-1]},"nothing":{{}}}}')

    def test_whole(self) -> None:
        """
        Whole records arrive as what they were, in updates, for those who read them later, and in snapshots.
        """
        one, other, late = self.one(), self.other(), self.other()
        for number, value in enumerate(WHOLE):
            name = self.name(f"whole/{number}")
            writer, reader = Record(one, name), Record(other, name)
            if value == "{}":
                # Nothing is sent that changes nothing.
                writer.set('{"something":1}')
                reader.until('{"something":1}')
            writer.set(value)
            reader.until(value)
            self.assertEqual(reader.get(), value)
            self.assertEqual(late.look("snapshot", name), value)
            self.assertEqual(Record(late, name).get(), value)

    def test_unheld(self) -> None:
        """
        So do values that are written without getting the record.
        """
        one, other = self.one(), self.other()
        name = self.name("unheld")
        reader = Record(other, name)
        for number, value in enumerate(KEPT):
            one.set_data(name, value, f"v{number}")
        reader.until(KEPT[-1], f"v{len(KEPT) - 1}")
        self.assertEqual([reader.get(f"v{number}") for number in range(len(KEPT))], KEPT)

    def test_names(self) -> None:
        """
        Records are told apart by their very names, whatever letters these have.
        """
        one, other = self.one(), self.other()
        names = [self.name(rest) for rest in ("a b", "a.b", "a*", "ü/世界", "🎉", "A", "a", 'q"q', "%20", "__proto__")]
        records = [Record(other, name) for name in names]
        for name in names:
            Record(one, name).set(json.dumps({"name": name}, ensure_ascii=False, separators=(",", ":")))
        for record in records:
            record.until(json.dumps({"name": record.name}))
