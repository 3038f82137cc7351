"""
Large frames for many clients: what they cost a server while they wait to be sent.
"""

from __future__ import annotations

from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from tests.hostile.attacks import told
from tests.hostile.attacks_records import many_changes, numbers, together, write
from tests.hostile.intruder import Intruder, close_all
from tests.hostile.measured import Measured, MeasuredStage
from tests.hostile.readers import reading

_EVENT = Message(Topic.EVENT, EventAction.EMIT, "news", b'"%s"' % (b"x" * 900_000))


def _text_subscribers(stage: MeasuredStage, count: int) -> list[Intruder]:
    """
    Text clients that are subscribed to the record C{wide}, and read nothing from now on.
    """
    with Intruder(stage.port).log_in("maker") as maker:
        maker.say(write(RecordAction.CREATEANDUPDATE, "wide", numbers(900_000)))
        maker.outcome()
    readers = [Intruder(stage.port, "v3", 4096).log_in(f"reader{number}") for number in range(count)]
    for reader in readers:
        reader.say(Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=("wide",)))
        reader.until("long message")
    return readers


def _event_subscribers(stage: MeasuredStage, count: int, buffer: int | None = 4096) -> list[Intruder]:
    readers = [Intruder(stage.port, buffer=buffer).log_in(f"reader{number}") for number in range(count)]
    for reader in readers:
        reader.say(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("news",), correlation_id="1"))
        reader.outcome()
    return readers


def _fates(readers: list[Intruder]) -> str:
    fates = told("closed" if reader.ended(0.2) else "served on" for reader in readers)
    close_all(readers)
    return fates


def changes_that_no_text_client_reads(stage: MeasuredStage) -> str:
    """
    100 PATCH_MULTIs of 5.5 KB to a record of 900 KB with 20 text clients that do not read.
    """
    readers = _text_subscribers(stage, 20)
    with Intruder(stage.port).log_in("writer") as writer:
        stage.begin()
        writer.send(together(writer, many_changes(100, 5500)))
        outcome = writer.outcome()
        stage.look()
    return f"writer: {outcome}; subscribers: {_fates(readers)}"


def changes_that_text_clients_read(stage: MeasuredStage) -> str:
    """
    100 of them, and the text clients read all they get.
    """
    readers = _text_subscribers(stage, 20)
    with Intruder(stage.port).log_in("writer") as writer, reading(readers) as received:
        stage.begin()
        writer.send(together(writer, many_changes(100, 5500)))
        outcome = writer.outcome()
        received.settle()
    close_all(readers)
    return f"writer: {outcome}; subscribers got {received.bytes / 1e6:.0f} MB, {received.ended} were closed"


def events_that_nobody_reads(stage: MeasuredStage) -> str:
    """
    100 events of 900 KB to 20 clients that do not read.
    """
    readers = _event_subscribers(stage, 20)
    with Intruder(stage.port).log_in("writer") as writer:
        stage.begin()
        for _ in range(100):
            writer.say(_EVENT)
        outcome = writer.outcome()
        stage.look()
    return f"writer: {outcome}; subscribers: {_fates(readers)}"


def events_of_many(stage: MeasuredStage) -> str:
    """
    20 clients that do not read, and 16 clients that send 20 events of 900 KB each.
    """
    readers = _event_subscribers(stage, 20)
    writers = [Intruder(stage.port).log_in(f"writer{number}") for number in range(16)]
    stage.begin()
    for _ in range(20):
        for writer in writers:
            writer.say(_EVENT)
    outcomes = told(writer.outcome() for writer in writers)
    stage.look()
    close_all(writers)
    return f"writers: {outcomes}; subscribers: {_fates(readers)}"


def small_events_for_many(stage: MeasuredStage) -> str:
    """
    1 MB of events of 10 bytes in one payload, to 100 clients that do not read.
    """
    readers = _event_subscribers(stage, 100)
    event = Message(Topic.EVENT, EventAction.EMIT, "news", b"1")
    with Intruder(stage.port).log_in("writer") as writer:
        stage.begin()
        writer.send(together(writer, [event] * 60_000))
        outcome = writer.outcome()
        stage.look()
    return f"writer: {outcome}; subscribers: {_fates(readers)}"


ATTACKS = [
    Measured(changes_that_no_text_client_reads, storage=True),
    Measured(changes_that_text_clients_read, storage=True),
    Measured(events_that_nobody_reads),
    Measured(events_of_many),
    Measured(small_events_for_many),
]
