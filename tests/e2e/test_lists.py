"""
Lists and anonymous records in the hands of four clients of both generations. RL and RA are the acceptance criteria.
"""

from __future__ import annotations

import json

from tests.e2e.records import AnonymousRecord, Record, RecordList
from tests.e2e.scenario import QuartetScenario, for_each_generation


def spelled(*entries: str) -> str:
    return json.dumps(entries, separators=(",", ":"))


@for_each_generation
class ListTests(QuartetScenario):
    """
    All four hold the same list, which the first has filled.
    """

    def setUp(self) -> None:
        super().setUp()
        name = self.name("list")
        self.lists = [RecordList(client, name) for client in self.quartet]
        self.assertEqual([held.get() for held in self.lists], ["[]"] * 4)
        self.mine = self.lists[0]
        self.mine.set_entries(["a", "b", "c"])
        self.all_see("a", "b", "c")
        for held in self.lists:
            held.subscribe()
        self.seen = [len(held.entry_events()) for held in self.lists]

    def all_see(self, *entries: str) -> None:
        for held in self.lists:
            held.until(spelled(*entries))

    def all_were_told(self, change: str, *events: tuple[str, str, int]) -> None:
        """
        Everybody's subscription was called once, with that; and there were those events.
        """
        for held, seen in zip(self.lists, self.seen, strict=True):
            self.assertEqual(held.wait_for_changes(1), [change])
            self.assertEqual(held.entry_events()[seen:], list(events), held.client.name)

    def test_rl1_set(self) -> None:
        """
        RL1: Entries that are set are seen by all.
        """
        self.all_see("a", "b", "c")
        self.assertIsNone(self.mine.set_entries_with_ack(["x"]))
        self.assertIsNone(self.mine.set_entries_with_ack(["x", "y"], "promise"))
        self.all_see("x", "y")

    def test_rl2_remove(self) -> None:
        """
        RL2: Removing one fires entry-removed, and one change.
        """
        self.mine.remove("b")
        self.all_see("a", "c")
        self.all_were_told(spelled("a", "c"), ("removed", "b", 1), ("moved", "c", 1))

    def test_rl3_add(self) -> None:
        """
        RL3: Adding one fires entry-added, and one change.
        """
        self.mine.add("d")
        self.all_see("a", "b", "c", "d")
        self.all_were_told(spelled("a", "b", "c", "d"), ("added", "d", 3))

    def test_rl4_replace(self) -> None:
        """
        RL4: Replacing all fires the removals, the additions, and one change.
        """
        self.mine.set_entries(["u", "v", "a"])
        self.all_see("u", "v", "a")
        self.all_were_told(
            spelled("u", "v", "a"),
            ("removed", "b", 1),
            ("removed", "c", 2),
            ("added", "u", 0),
            ("added", "v", 1),
            ("moved", "a", 2),
        )

    def test_insert(self) -> None:
        """
        Inserting one in front moves the others.
        """
        self.mine.add("z", 0)
        self.all_see("z", "a", "b", "c")
        moved = [("moved", entry, index) for entry, index in (("a", 1), ("b", 2), ("c", 3))]
        self.all_were_told(spelled("z", "a", "b", "c"), ("added", "z", 0), *moved)

    def test_doubles(self) -> None:
        """
        An entry may be there twice; one of them can be removed.
        """
        self.mine.add("a")
        self.all_see("a", "b", "c", "a")
        self.mine.remove("a", 0)
        self.all_see("b", "c", "a")

    def test_everybody_writes(self) -> None:
        """
        Whoever writes, all end with the same.
        """
        for held, entry in zip(self.lists, "wxyz", strict=True):
            held.add(entry)
            for other in self.lists:
                other.until(held.get())
        self.all_see("a", "b", "c", "w", "x", "y", "z")

    def test_delete(self) -> None:
        """
        A deleted list is gone for all, and empty when it is got again.
        """
        self.lists[1].delete()
        for held in self.lists:
            held.wait_for_event("delete")
        self.lists = [RecordList(client, held.name) for client, held in zip(self.quartet, self.lists, strict=True)]
        self.all_see()


@for_each_generation
class AnonymousRecordTests(QuartetScenario):
    """
    Records under another name.
    """

    def test_ra1_pointer(self) -> None:
        """
        RA1: An anonymous record shows the data of whichever record it is pointed at, and switches.
        """
        names = [self.name("x"), self.name("y")]
        writers = [Record(self.b, name) for name in names]
        for number, writer in enumerate(writers):
            self.assertIsNone(writer.set_with_ack(f'{{"n":{number}}}'))
        pointer = AnonymousRecord(self.a, "pointer")
        pointer.subscribe(now=True)
        pointer.set_name(names[0])
        pointer.until('{"n":0}')
        pointer.set_name(names[1])
        pointer.until('{"n":1}')
        writers[1].set('{"n":2}')
        pointer.until('{"n":2}')
        pointer.set_name(names[0])
        pointer.until('{"n":0}')
        pointer.set('{"n":3}')
        writers[0].until('{"n":3}')
        for value in ('{"n":0}', '{"n":1}', '{"n":2}', '{"n":3}'):
            self.assertIn(value, pointer.changes())

    def test_others_unmoved(self) -> None:
        """
        What it pointed at before is held no more by that client, and no less by others.
        """
        names = [self.name("x"), self.name("y")]
        writer, reader = Record(self.b, names[0]), Record(self.c, names[0])
        pointer = AnonymousRecord(self.a, "pointer")
        pointer.set_name(names[0])
        pointer.set_name(names[1])
        writer.set('{"n":1}')
        reader.until('{"n":1}')
        self.fence(self.b, self.a)
        self.assertEqual(pointer.get(), "{}")
