"""
Records in the hands of four clients of both generations. R, RH, RV, RS, RP, RW and RD are the acceptance criteria.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from dstwist.protocol.constants import ConnectionAction, EventAction, Topic
from dstwist.protocol.message import Message
from tests.e2e.raw import RawClient
from tests.e2e.records import Record
from tests.e2e.scenario import (
    PATIENT,
    QuartetScenario,
    Scenario,
    for_each_kind,
    for_each_kind_and_transport,
)

JOHN = '{"user":{"firstname":"John"}}'


class SharedRecord(QuartetScenario):
    """
    All four hold the same record, in which the first has written.
    """

    def setUp(self) -> None:
        super().setUp()
        self.shared = self.name("shared")
        self.records = [Record(client, self.shared) for client in self.quartet]
        self.mine = self.records[0]
        self.mine.set(JOHN)
        self.all_see(JOHN)

    def all_see(self, value: str, path: str | None = None) -> None:
        for record in self.records:
            record.until(value, path)

    def all_at_version(self, version: int) -> None:
        self.assertEqual([record.version for record in self.records], [version] * 4)


@for_each_kind_and_transport
class CoreTests(SharedRecord):
    """
    Reading, writing, subscribing, deleting.
    """

    def test_r1_value(self) -> None:
        """
        R1: All clients see the value, and the same version.
        """
        self.all_see(JOHN)
        self.all_at_version(1)

    def test_r2_path_write(self) -> None:
        """
        R2: A write to a path is seen by all, whichever generation makes it.
        """
        for version, writer in enumerate(self.records, 2):
            writer.set(f'"Smith {version}"', "user.lastname")
            self.all_see(f'{{"user":{{"firstname":"John","lastname":"Smith {version}"}}}}')
            self.all_at_version(version)

    def test_r3_subscription(self) -> None:
        """
        R3: A subscription to the whole record, wanted at once, is called with what is there, and then with changes.
        """
        for record in self.records:
            record.subscribe(now=True)
            self.assertEqual(record.changes(), [JOHN])
        self.mine.set('"Ann"', "user.firstname")
        for record in self.records:
            self.assertEqual(record.wait_for_changes(2), [JOHN, '{"user":{"firstname":"Ann"}}'])

    def test_r4_path_subscription(self) -> None:
        """
        R4: So is one to a path, with the path's value; a change elsewhere does not call it.
        """
        for record in self.records:
            record.subscribe("user.firstname", now=True)
            self.assertEqual(record.changes("user.firstname"), ['"John"'])
        self.mine.set('"Smith"', "user.lastname")
        self.mine.set('"Ann"', "user.firstname")
        for record in self.records:
            self.assertEqual(record.wait_for_changes(2, "user.firstname"), ['"John"', '"Ann"'])
        self.all_see('"Smith"', "user.lastname")

    def test_r5_array_path(self) -> None:
        """
        R5: A subscription to an element of an array is called; after unsubscribing it is not.
        """
        path = "pets[2].age"
        for record in self.records:
            record.subscribe(path)
        self.mine.set('[{"name":"Ruffles"},{"name":"Rex"},{"name":"Tom","age":2}]', "pets")
        for record in self.records:
            self.assertEqual(record.wait_for_changes(1, path), ["2"])
            record.unsubscribe(path)
        self.mine.set("3", path)
        self.all_see("3", path)
        self.assertEqual([record.changes(path) for record in self.records], [["2"]] * 4)

    def test_r8_delete(self) -> None:
        """
        R8: All four hear of a deletion, once.
        """
        self.mine.delete()
        for record in self.records:
            record.wait_for_event("delete")
        for client in self.quartet[1:]:
            self.fence(self.a, client)
        self.assertEqual([len(record.events("delete")) for record in self.records], [1] * 4)

    def test_r9_deleted_and_got_again(self) -> None:
        """
        R9: Deleted and got again, the record is empty for everybody, and can be written. Its versions go on.
        """
        self.records[1].delete()
        for record in self.records:
            record.wait_for_event("delete")
        self.records = [Record(client, self.shared) for client in self.quartet]
        self.all_see("{}")
        self.all_at_version(2)
        self.records[2].set('{"new":true}')
        self.all_see('{"new":true}')
        self.all_at_version(3)


@for_each_kind
class DiscardTests(QuartetScenario):
    """
    Clients that lose interest.
    """

    def test_r6_discarded(self) -> None:
        """
        R6: A discarded record gets no more updates once the client has unsubscribed; others do.
        """
        name = self.name("dropped")
        client = self.logged_in(self.first, self.at, recordDiscardTimeout=10)
        mine, theirs, writer = Record(client, name), Record(self.b, name), Record(self.a, name)
        writer.set('{"n":1}')
        mine.until('{"n":1}')
        mine.drop()
        writer.set('{"n":2}')
        theirs.until('{"n":2}')
        self.fence(self.b, client)
        again = Record(client, name, key="again")
        again.until('{"n":2}')

    def test_r7_used_twice(self) -> None:
        """
        R7: Got, got again, and discarded twice: the client unsubscribes, and has the event, only after the last.
        """
        name = self.name("twice")
        client = self.logged_in(self.first, self.at, recordDiscardTimeout=10)
        one, two, writer = Record(client, name), Record(client, name, key="second"), Record(self.b, name)
        one.discard()
        writer.set('{"n":1}')
        two.until('{"n":1}')
        self.assertEqual(two.events("discard"), [])
        two.drop()
        self.assertEqual(len(two.events("discard")), 1)

    def test_discard_and_get(self) -> None:
        """
        A record discarded and got again at once is the same, and goes on.
        """
        name = self.name("again")
        writer = Record(self.b, name)
        writer.set('{"n":1}')
        for number in range(2, 7):
            record = Record(self.a, name, key=str(number))
            record.until(f'{{"n":{number - 1}}}')
            if self.first == "v2":
                # Got again before the server has acknowledged, a record is lost to this client when that comes.
                record.drop()
            else:
                record.discard()
            writer.set(f'{{"n":{number}}}')
        last = Record(self.a, name, key="last")
        last.until('{"n":6}')


class LingeringTests(QuartetScenario):
    """
    v4+ clients unsubscribe some seconds after they lost interest.
    """

    first = "v7"
    # Five seconds if nothing is said, which a busy machine may take.
    options = {"v7": {"subscriptionInterval": 10, "recordDiscardTimeout": 60_000}}

    def test_r6_still_updated(self) -> None:
        """
        R6: Until then such a client receives updates, and getting the record again costs nothing.
        """
        name = self.name("lingering")
        mine, writer = Record(self.a, name), Record(self.b, name)
        mine.discard()
        writer.set('{"n":1}')
        mine.until('{"n":1}')
        again = Record(self.a, name, key="again")
        writer.set('{"n":2}')
        again.until('{"n":2}')


@for_each_kind
class LookTests(QuartetScenario):
    """
    Looking at records that one does not hold.
    """

    def test_rh_has(self) -> None:
        """
        RH1, RH2: A record exists once somebody got it, and does not before, nor once it was deleted.
        """
        name = self.name("there")
        self.assertEqual([client.look("has", name) for client in self.quartet], ["false"] * 4)
        record = Record(self.a, name)
        self.assertEqual([client.look("has", name, "promise") for client in self.quartet], ["true"] * 4)
        record.delete()
        self.assertEqual([client.look("has", name) for client in self.quartet], ["false"] * 4)

    def test_rv_head(self) -> None:
        """
        RV1, RV2, RV4: The version is -1 for an unknown record, 0 after creation, 1 after one write.
        """
        name = self.name("counted")
        self.assertEqual([client.look("head", name) for client in self.quartet], ["-1"] * 4)
        record = Record(self.a, name)
        self.assertEqual([client.look("head", name, "promise") for client in self.quartet], ["0"] * 4)
        self.assertIsNone(record.set_with_ack('{"a":1}'))
        self.assertEqual([client.look("head", name) for client in self.quartet], ["1"] * 4)

    def test_rs1_no_snapshot(self) -> None:
        """
        RS1: The snapshot of an unknown record is RECORD_NOT_FOUND, and makes no record.
        """
        name = self.name("nothing")
        for client in self.quartet:
            self.assertEqual(client.look("snapshot", name), "RECORD_NOT_FOUND")
        self.assertEqual(self.a.look("has", name), "false")

    def test_rs2_snapshot(self) -> None:
        """
        RS2: A snapshot is the data, for those who hold the record and those who do not.
        """
        name = self.name("looked at")
        record = Record(self.a, name)
        self.assertEqual(self.b.look("snapshot", name), "{}")
        self.assertIsNone(record.set_with_ack('{"a":{"b":[1,null]}}'))
        for client in self.quartet:
            self.assertEqual(client.look("snapshot", name), '{"a":{"b":[1,null]}}')
            self.assertEqual(client.look("snapshot", name, "promise"), '{"a":{"b":[1,null]}}')

    def test_no_subscription(self) -> None:
        """
        Who only looked at a record is not subscribed to it.
        """
        name = self.name("only looked at")
        record = Record(self.b, name)
        self.a.look("snapshot", name)
        self.a.look("head", name)
        self.a.look("has", name)
        record.set('{"a":1}')
        self.fence(self.b, self.a)


@for_each_kind
class PathTests(SharedRecord):
    """
    Null, and nothing at all, below the top of a record.
    """

    def test_rp1_null(self) -> None:
        """
        RP1: A path that is set to null is null for everybody, and stays there.
        """
        self.mine.set("null", "user.firstname")
        self.all_see('{"user":{"firstname":null}}')
        self.assertEqual(self.b.look("snapshot", self.shared), '{"user":{"firstname":null}}')

    def test_rp2_erase_leaf(self) -> None:
        """
        RP2: What held an erased leaf is empty.
        """
        self.mine.erase("user.firstname")
        self.all_see('{"user":{}}')
        self.assertEqual(Record(self.logged_in("v2", self.at), self.shared).get(), '{"user":{}}')

    def test_rp3_erase_branch(self) -> None:
        """
        RP3: An erased branch is gone; subscribers of the record and of the path are called, these with undefined.
        """
        for record in self.records:
            record.subscribe()
            record.subscribe("user")
        self.mine.set("1", "rest")
        self.mine.erase("user")
        self.all_see('{"rest":1}')
        for record in self.records:
            self.assertEqual(record.wait_for_changes(1, "user"), ["undefined"])
            self.assertEqual(record.wait_for_changes(2)[1:], ['{"rest":1}'])

    def test_erase_element(self) -> None:
        """
        An element erased from an array leaves null at its place for whoever reads it then.
        """
        self.mine.set('{"a":[1,2,3]}')
        self.all_see('{"a":[1,2,3]}')
        self.assertIsNone(self.mine.erase_with_ack("a[1]"))
        for generation in ("v2", "v7"):
            self.assertEqual(Record(self.logged_in(generation, self.at), self.shared).get(), '{"a":[1,null,3]}')

    def test_deep_paths(self) -> None:
        """
        What is missing on the way to a path is made, arrays where an index follows.
        """
        for number, writer in enumerate(self.records):
            writer.set(f'"{number}"', f"deep.a{number}.b[0].c")
            self.all_see(f'"{number}"', f"deep.a{number}.b[0].c")
        whole = ",".join(f'"a{number}":{{"b":[{{"c":"{number}"}}]}}' for number in range(4))
        self.all_see(f'{{"user":{{"firstname":"John"}},"deep":{{{whole}}}}}')

    def test_many_in_a_turn(self) -> None:
        """
        Many writes in one turn of a client are applied in order, and all arrive.
        """
        self.mine.set_all(*((f"n{number}", str(number)) for number in range(50)), (None, '{"last":true}'))
        self.all_see('{"last":true}')
        self.all_at_version(52)


@for_each_kind
class AcknowledgementTests(SharedRecord):
    """
    Writes whose success the application wants to know.
    """

    def test_rw1_in_turn(self) -> None:
        """
        RW1: Three acknowledged path writes of two clients, one after the other, succeed; all end with the last value.
        """
        for number, writer in enumerate((self.records[0], self.records[1], self.records[0])):
            writer.until('"John"' if number == 0 else f'"{number - 1}"', "user.firstname")
            self.assertIsNone(writer.set_with_ack(f'"{number}"', "user.firstname"))
        self.all_see('{"user":{"firstname":"2"}}')

    def test_forms(self) -> None:
        """
        Acknowledgements reach callbacks and promises, of whole writes, writes to paths and erasures.
        """
        self.assertIsNone(self.mine.set_with_ack('{"a":1}', form="callback"))
        self.assertIsNone(self.mine.set_with_ack('{"a":2}', form="promise"))
        self.assertIsNone(self.mine.set_with_ack('{"b":3}', "a", form="callback"))
        self.assertIsNone(self.mine.set_with_ack('{"b":4}', "a", form="promise"))
        self.assertIsNone(self.mine.erase_with_ack("a.b"))
        self.all_see('{"a":{}}')
        self.all_at_version(6)

    def test_unchanged(self) -> None:
        """
        A write that changes nothing is acknowledged by the client's own library.
        """
        self.assertIsNone(self.mine.set_with_ack('"John"', "user.firstname"))
        self.all_at_version(1)

    def test_each_its_own(self) -> None:
        """
        Many acknowledged writes in flight are acknowledged one by one, each once.
        """
        # Clients of v2 lose a 0, and whatever else is falsy, before they send it.
        writes = [self.mine.start_set(str(number), "n") for number in range(1, 21)]
        self.assertEqual([write.error() for write in writes], [None] * 20)
        self.all_see("20", "n")
        self.all_at_version(21)


@for_each_kind
class SetDataTests(QuartetScenario):
    """
    Writing to a record without getting it: A writes, B, C and D hold it.
    """

    def setUp(self) -> None:
        super().setUp()
        self.shared = self.name("written")
        self.records = [Record(client, self.shared) for client in self.quartet[1:]]
        self.records[0].set(JOHN)
        self.holders_see(JOHN)

    def holders_see(self, value: str) -> None:
        for record in self.records:
            record.until(value)

    def test_rd1_whole(self) -> None:
        """
        RD1: A whole write reaches those who hold the record.
        """
        self.a.set_data(self.shared, '{"b":["c"]}')
        self.holders_see('{"b":["c"]}')
        self.assertEqual([record.version for record in self.records], [2] * 3)

    def test_rd2_path(self) -> None:
        """
        RD2: So does a write to a path, whatever its value.
        """
        for value in ('"Smith"', '{"x":{"y":1}}', "[1,[2]]", "0", "false", '""', "null", "true", "1.5"):
            self.a.set_data(self.shared, value, "user.lastname")
            self.holders_see(f'{{"user":{{"firstname":"John","lastname":{value}}}}}')

    def test_rd3_erase(self) -> None:
        """
        RD3: So does erasing a path.
        """
        self.a.set_data(self.shared, "undefined", "user.firstname")
        self.holders_see('{"user":{}}')

    def test_rd4_missing(self) -> None:
        """
        RD4: Writing to a record that does not exist creates it, by path too; its version is 1 then.
        """
        whole, part = self.name("made"), self.name("made by path")
        self.a.set_data(whole, '{"a":1}')
        self.a.set_data(part, '"x"', "a.b")
        for client in self.quartet:
            record = Record(client, whole)
            record.until('{"a":1}')
            self.assertEqual(record.version, 1)
            Record(client, part).until('{"a":{"b":"x"}}')

    def test_rd5_held(self) -> None:
        """
        RD5: It works for a record that the writer holds, and all four agree.
        """
        self.records.append(Record(self.a, self.shared))
        self.a.set_data(self.shared, '"Ann"', "user.firstname")
        self.a.set_data(self.shared, '{"user":{"firstname":"Bob"}}')
        self.holders_see('{"user":{"firstname":"Bob"}}')
        self.assertEqual([record.version for record in self.records], [3] * 4)

    def test_rd6_in_a_row(self) -> None:
        """
        RD6: Two in a row, and many, produce no error and arrive in order.
        """
        for number in range(10):
            self.a.set_data(self.shared, f'{{"n":{number}}}')
        self.holders_see('{"n":9}')
        self.assertEqual([record.version for record in self.records], [11] * 3)

    def test_rd7_acknowledged(self) -> None:
        """
        RD7: With acknowledgement success is reported, to callbacks and promises, and the data arrives.
        """
        self.assertIsNone(self.a.set_data_with_ack(self.shared, '{"a":1}'))
        self.holders_see('{"a":1}')
        self.assertIsNone(self.a.set_data_with_ack(self.shared, '{"a":2}', form="promise"))
        self.assertIsNone(self.a.set_data_with_ack(self.shared, '{"b":3}', "a"))
        self.assertIsNone(self.a.set_data_with_ack(self.shared, '{"b":4}', "a", form="promise"))
        self.holders_see('{"a":{"b":4}}')
        self.assertIsNone(self.a.set_data_with_ack(self.name("new"), '{"a":1}'))

    def test_everybody_at_once(self) -> None:
        """
        Writers of both generations that do not hold the record never conflict: every write counts.
        """
        writers = [self.logged_in(generation, self.at) for generation in ("v2", "v7")]
        for number in range(10):
            for writer in writers:
                writer.set_data(self.shared, str(number), writer.driver.generation)
        self.holders_see('{"user":{"firstname":"John"},"v2":9,"v7":9}')
        self.assertEqual([record.version for record in self.records], [21] * 3)


class ManyRecordsTests(Scenario):
    """
    A client of v7 with thousands of records, for which it asks in one message.
    """

    count = 8000

    def test_many(self) -> None:
        """
        While the records are opened others are served: what they emit meanwhile arrives in between. So it is when the
        client has been away and comes back to all of them; what was written meanwhile is seen.
        """
        at = self.server(config=PATIENT)
        # Until it knows of all that it wants it asks for nothing.
        holder = self.logged_in("v7", at, subscriptionInterval=1000)
        writer = self.logged_in("v7", at)
        prefix, tick = self.name("many/"), self.name("tick")
        with _ticking(at.port, tick):
            between = holder.do("openMany", prefix, self.count, tick)
        self.assertGreater(between, 0)
        holder.settle()
        numbers = (0, 57, self.count - 1)
        holder.pause()
        for number in numbers:
            writer.set_data_with_ack(f"{prefix}{number}", f'{{"number":{number}}}')
        holder.resume()
        for number in numbers:
            holder.do("until", f"{prefix}{number}", None, f'{{"number":{number}}}')
        holder.settle()
        for number in numbers:
            writer.set_data_with_ack(f"{prefix}{number}", '"later"', "number")
            holder.do("until", f"{prefix}{number}", "number", '"later"')


@contextlib.contextmanager
def _ticking(port: int, name: str) -> Iterator[None]:
    """
    Have a client emit an event as often as it can: the next one when the server has answered a PING behind the last.
    """
    client = RawClient(port, "v4", "clock")
    stopped = threading.Event()

    def run() -> None:
        while not stopped.is_set():
            client.say(
                Message(Topic.EVENT, EventAction.EMIT, name, b"1"),
                Message(Topic.CONNECTION, ConnectionAction.PING),
            )
            client.hear()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
        client.close()
