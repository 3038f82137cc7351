"""
Small requests to large records: what they cost a server in memory, turns and disk.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from tests.hostile.attacks import told
from tests.hostile.intruder import Intruder, close_all, frame
from tests.hostile.measured import Measured, MeasuredStage
from tests.hostile.readers import reading

_CREATEANDUPDATE = RecordAction.CREATEANDUPDATE

#: The cache may hold little, and there is no storage: records past the limit are to be refused.
SMALL_CACHE = "cache: {type: memory, options: {maxBytes: 67108864}}\n"


def write(action: RecordAction, name: str, data: bytes | None, path: str | None = None, version: int = -1) -> Message:
    """
    A write that asks for no acknowledgement.
    """
    return Message(Topic.RECORD, action, name, data, path=path, version=version)


def read(name: str) -> Message:
    """
    A request for the whole record.
    """
    return Message(Topic.RECORD, RecordAction.READ, name)


def together(intruder: Intruder, messages: Iterable[Message]) -> bytes:
    """
    One payload with all messages, framed.
    """
    return frame(b"".join(intruder.codec.encode(message) for message in messages), intruder.opcode)


def numbers(size: int) -> bytes:
    """
    A record of about C{size} bytes that has many small values.
    """
    return b"{%s}" % b",".join(b'"k%d":1' % number for number in range(10_000, 10_000 + size // 11))


def make_large(intruder: Intruder, name: str, parts: int) -> None:
    """
    Make a record of C{parts} times 900 KB, in as many writes.
    """
    intruder.say(write(_CREATEANDUPDATE, name, b"{}"))
    part = b"[%s]" % b",".join([b"1"] * 450_000)
    for number in range(parts):
        intruder.say(write(RecordAction.PATCH, name, part, f"p{number}"))
    intruder.outcome()


def subscribers(stage: MeasuredStage, name: str, count: int, size: int) -> list[Intruder]:
    """
    Clients that are subscribed to a record, have got all there is so far, and read nothing from now on.
    """
    readers = [Intruder(stage.port, buffer=4096).log_in(f"reader{number}") for number in range(count)]
    request = Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=(name,), correlation_id="1")
    for reader in readers:
        reader.say(request)
        reader.until("READ_RESPONSE")
    with Intruder(stage.port).log_in("maker") as maker:
        maker.say(write(RecordAction.UPDATE, name, numbers(size)))
        for reader in readers:
            reader.until("long message")
    return readers


def many_changes(count: int, size: int) -> list[Message]:
    """
    PATCH_MULTIs of C{size} bytes each.
    """
    data = json.dumps([{"path": "k10000", "data": "x" * 50}] * (size // 80)).encode()
    return [write(RecordAction.PATCH_MULTI, "wide", data)] * count


def changes_that_nobody_reads(stage: MeasuredStage) -> str:
    """
    100 PATCH_MULTIs of 5.5 KB to a record of 900 KB with 20 subscribers that do not read.
    """
    readers = subscribers(stage, "wide", 20, 900_000)
    with Intruder(stage.port).log_in("writer") as writer:
        stage.begin()
        writer.send(together(writer, many_changes(100, 5500)))
        outcome = writer.outcome()
        stage.look()
        outcomes = told((reader.fate or reader.outcome()).rpartition("; ")[2] for reader in readers)
    close_all(readers)
    return f"writer: {outcome}; subscribers: {outcomes}"


def changes_that_are_read(stage: MeasuredStage) -> str:
    """
    300 of them, and the subscribers read all they get.
    """
    readers = subscribers(stage, "wide", 20, 900_000)
    with Intruder(stage.port).log_in("writer") as writer, reading(readers) as received:
        stage.begin()
        for _ in range(3):
            writer.send(together(writer, many_changes(100, 5500)))
        outcome = writer.outcome()
        received.settle()
    close_all(readers)
    return f"writer: {outcome}; subscribers got {received.bytes / 1e6:.0f} MB, {received.ended} were closed"


def queued_patches(stage: MeasuredStage) -> str:
    """
    36 KB of patches to a record of 656 KB in a storage that takes its time.
    """
    with Intruder(stage.port).log_in("writer") as writer:
        writer.say(write(_CREATEANDUPDATE, "wide", numbers(656_000)))
        writer.outcome()
        stage.begin()
        patches = [write(RecordAction.PATCH, "wide", b"2", f"k{number}") for number in range(10_000, 11_000)]
        writer.send(together(writer, [*patches, read("wide")]))
        writer.until("long message")
        return writer.outcome()


def stale_writes(stage: MeasuredStage) -> str:
    """
    3000 writes of an old version to such a record, by a client that reads the answers.
    """
    with Intruder(stage.port).log_in("writer") as writer:
        writer.say(write(_CREATEANDUPDATE, "wide", numbers(656_000)))
        writer.say(write(RecordAction.PATCH, "wide", b"2", "k10000"))
        writer.outcome()
        with reading([writer]) as received:
            stage.begin()
            # The first one keeps the storage busy, so that the others queue up.
            stale = [write(RecordAction.PATCH, "wide", b"3", "k10000", 1)] * 3000
            writer.send(together(writer, [write(RecordAction.PATCH, "wide", b"4", "k10000"), *stale]), read=False)
            received.settle()
        return f"{received.bytes / 1e6:.0f} MB; {'closed' if received.ended else 'served on'}"


def _reads(stage: MeasuredStage, count: int) -> str:
    with Intruder(stage.port).log_in("writer") as writer:
        make_large(writer, "large", 8)
    with Intruder(stage.port).log_in("reader") as reader, reading([reader]) as received:
        stage.begin()
        reader.send(together(reader, [read("large")] * count), read=False)
        received.settle()
    return f"{received.bytes / 1e6:.0f} MB; {'closed' if received.ended else 'served on'}"


def eight_reads(stage: MeasuredStage) -> str:
    """
    Eight requests to read a record of 7 MB, in one payload.
    """
    return _reads(stage, 8)


def sixty_reads(stage: MeasuredStage) -> str:
    """
    Sixty.
    """
    return _reads(stage, 60)


def one_read_of_each(stage: MeasuredStage) -> str:
    """
    One request to read that record from each of 60 connections, which do not read the answer.
    """
    with Intruder(stage.port).log_in("writer") as writer:
        make_large(writer, "large", 8)
    readers = [Intruder(stage.port, buffer=4096).log_in(f"reader{number}") for number in range(60)]
    stage.begin()
    for reader in readers:
        reader.say(read("large"))
    with Intruder(stage.port).log_in("last") as last:
        last.outcome()
        stage.look()
    outcomes = told(reader.fate or reader.outcome(1).rpartition("; ")[2] for reader in readers)
    close_all(readers)
    return outcomes


def _gaps(stage: MeasuredStage, count: int) -> str:
    with Intruder(stage.port).log_in("writer") as writer:
        stage.begin()
        for number in range(count):
            writer.say(write(RecordAction.CREATEANDPATCH, f"g{number}", b"1", "a[65535]"))
        # Refused or not: it is answered when all before it are.
        last = write(RecordAction.CREATEANDPATCH, f"g{count}", b"1", "a")
        last.is_write_ack, last.correlation_id = True, "1"
        writer.say(last)
        writer.until("WRITE_ACKNOWLEDGEMENT")
        return writer.outcome()


def gaps(stage: MeasuredStage) -> str:
    """
    Patches at a[65535] of 4000 records that are kept in memory.
    """
    return _gaps(stage, 4000)


def stored_gaps(stage: MeasuredStage) -> str:
    """
    2000 that are stored.
    """
    return _gaps(stage, 2000)


def light_text(stage: MeasuredStage) -> str:
    """
    Records of 900 KB that are 25 times as heavy in memory, until far more than the cache may hold has been sent.
    """
    data = b'{"a":[%s]}' % b",".join([b"[]"] * 300_000)
    with Intruder(stage.port).log_in("writer") as writer:
        stage.begin()
        for number in range(100):
            writer.say(write(_CREATEANDUPDATE, f"heavy{number}", data))
        return writer.outcome()


def many_names(stage: MeasuredStage) -> str:
    """
    300,000 empty records, which are created and deleted.
    """
    with Intruder(stage.port).log_in("writer") as writer, reading([writer]) as received:
        stage.begin()
        for start in range(0, 300_000, 5000):
            names = [f"{number}" + "n" * 100 for number in range(start, start + 5000)]
            writer.send(together(writer, (write(_CREATEANDUPDATE, name, b"{}") for name in names)), read=False)
            deletions = (Message(Topic.RECORD, RecordAction.DELETE, name) for name in names)
            writer.send(together(writer, deletions), read=False)
        received.settle()
    return f"{received.bytes / 1e6:.0f} MB; {'closed' if received.ended else 'served on'}"


def wide_names(stage: MeasuredStage) -> str:
    """
    SUBSCRIBECREATEANDREAD of 60,000 names in one request.
    """
    return _wide_names(stage)


def stored_wide_names(stage: MeasuredStage) -> str:
    """
    The same with a storage.
    """
    return _wide_names(stage)


def _wide_names(stage: MeasuredStage) -> str:
    with Intruder(stage.port).log_in("reader") as reader, reading([reader]) as received:
        stage.begin()
        names = tuple(f"n{number}" for number in range(60_000))
        request = Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=names, correlation_id="1")
        reader.send(together(reader, [request]), read=False)
        received.settle()
    return f"{received.bytes / 1e6:.0f} MB; {'closed' if received.ended else 'served on'}"


def infinite_numbers(stage: MeasuredStage) -> str:
    """
    1e400 in a record, in a record's patches and in an event: what subscribers are told and what is read.
    """
    heard = []
    name = "infinite"
    with Intruder(stage.port).log_in("writer") as writer, Intruder(stage.port).log_in("subscriber") as subscriber:
        names = (name,)
        get = Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=names, correlation_id="1")
        subscriber.say(get)
        subscriber.until("READ_RESPONSE")
        stage.begin()
        for message in (
            write(RecordAction.UPDATE, name, b'{"a":1e400}'),
            write(RecordAction.PATCH, name, b"1e400", "b"),
            write(RecordAction.PATCH, name, b'{"x":[-1e400]}', "c"),
            write(RecordAction.PATCH_MULTI, name, b'[{"path":"d","data":1e400}]'),
        ):
            subscriber.data.clear()
            writer.say(message)
            writer.outcome()
            subscriber.outcome()
            heard += [f"{message.action.name}: {data!r}" for data in subscriber.data or ["refused"]]
        subscriber.data.clear()
        subscriber.say(read(name))
        subscriber.outcome()
        heard += [f"READ: {data!r}" for data in subscriber.data]
    return "; ".join(heard)


SHORTAGE = 400 << 20


def shortage(stage: MeasuredStage) -> str:
    """
    Records that are heavy in memory, to a server that may have 400 MiB of address space.
    """
    return light_text(stage)


ATTACKS = [
    Measured(changes_that_nobody_reads, storage=True),
    Measured(changes_that_are_read, storage=True),
    Measured(queued_patches, storage=True),
    Measured(stale_writes, storage=True),
    Measured(eight_reads),
    Measured(sixty_reads),
    Measured(one_read_of_each),
    Measured(gaps, writes=False),
    Measured(stored_gaps, storage=True, writes=False),
    Measured(light_text, SMALL_CACHE, writes=False),
    Measured(many_names, SMALL_CACHE, writes=False),
    Measured(shortage, memory=SHORTAGE, writes=False),
    Measured(wide_names),
    Measured(stored_wide_names, storage=True),
    Measured(infinite_numbers),
]
