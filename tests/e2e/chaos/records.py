"""
The clients of records in the chaos test.

No acknowledged write is lost, and none is done twice. A read is not older than what was acknowledged before it. What a
subscriber is told does not go back; at rest it has what is in the Redis.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.typed import to_json
from tests.e2e.chaos.client import Actor
from tests.e2e.chaos.record_book import NOT_THERE, Found, RecordBook, is_shared

#: The errors with which the server says that it has not done a request, or does not know whether it has.
REFUSALS = frozenset(
    action for action in RecordAction if action.name.endswith("_ERROR") or action.name.endswith("_TIMEOUT")
) | {RecordAction.VERSION_EXISTS, RecordAction.INVALID_VERSION, RecordAction.INVALID_MESSAGE_DATA}

#: What clients of either generation are told when a record is gone.
DELETIONS = (RecordAction.DELETED, RecordAction.DELETE_SUCCESS)

#: How many writes of one client may wait for their acknowledgement.
_WINDOW = 4


class RecordActor(Actor):
    """
    A client that knows the records.
    """

    def __init__(self, *actor: Any) -> None:
        super().__init__(*actor)
        self.records = self.stage.records

    def count_refusal(self, message: Message) -> None:
        self.book.count("requests of records refused")


@dataclass(frozen=True)
class Write:
    """
    A write that was sent.

    @ivar entry: of a shared record.
    """

    name: str
    version: int
    entry: str | None


class Writer(RecordActor):
    """
    Writes to records of its own, one write to each at a time, and to shared ones. It leaves a record of its own alone
    when a write was refused: that one may have taken effect.
    """

    def __init__(self, *actor: Any) -> None:
        super().__init__(*actor)
        self._serial = 0
        # By what the server answers to: v3 clients have nothing but the name and the version for that.
        self._running: dict[Any, Write] = {}
        self.begin_epoch()

    def begin_epoch(self) -> None:
        self._versions = dict.fromkeys(self.records.own(self.name), 0)
        self._free = set(self._versions)

    def logged_out(self) -> None:
        self._running.clear()

    def act(self) -> None:
        if self.wire is None or len(self._running) >= _WINDOW:
            return
        self._serial += 1
        if self._free and self.random.random() < 0.7:
            name = self.random.choice(sorted(self._free))
            self._free.discard(name)
            version = self._versions[name] = self._versions[name] + 1
            is_whole = version == 1 or self.random.random() < 0.3
            self._write(Write(name, version, None), None if is_whole else "n", {"n": version} if is_whole else version)
        else:
            name = self.random.choice(self.records.shared)
            entry = f"{self.name}.s{self._serial}"
            if (name, -1) not in self._running:
                self._write(Write(name, -1, entry), entry, 1)

    def _write(self, write: Write, path: str | None, value: Any) -> None:
        number = str(self._serial)
        self._running[number if self.generation == "v4" else (write.name, write.version)] = write
        data: Any = json.dumps(value)
        data = data.encode() if self.generation == "v4" else ("O" if path is None else "N") + data
        action = RecordAction.CREATEANDUPDATE if path is None else RecordAction.CREATEANDPATCH
        request = Message(Topic.RECORD, action, write.name, data, version=write.version, path=path, is_write_ack=True)
        request.correlation_id = number
        self.say(request)

    def heard(self, message: Message) -> None:
        if message.topic is not Topic.RECORD:
            return
        key = message.correlation_id if self.generation == "v4" else (message.name, message.version)
        acknowledges = message.action is RecordAction.WRITE_ACKNOWLEDGEMENT
        if key not in self._running or not (acknowledges or self.generation == "v4"):
            return
        write = self._running.pop(key)
        if acknowledges and not message.data and not message.detail:
            self.records.acknowledge(write.name, write.version, write.entry)
            if write.name in self._versions:
                self._free.add(write.name)
        else:
            self.count_refusal(message)

    def wrong(self) -> list[str]:
        return [f"{self.name} at {self.node} gets no answer to {write}" for write in self._running.values()]


class Deleter(RecordActor):
    """
    Creates a record, writes to it, and deletes it, again and again. When a request is refused, it begins again with a
    new connection, because it does not know whether it is subscribed.
    """

    def __init__(self, *actor: Any) -> None:
        super().__init__(*actor)
        self._record = f"deleted/{self.name}"
        # The version that it has at least, and how often the Redis had lost its data then.
        self._least = 0
        self._losses = 0
        self._awaited: RecordAction | None = None
        self._next = self._create

    def logged_in(self) -> None:
        self._next = self._create

    def logged_out(self) -> None:
        self._awaited = None

    def act(self) -> None:
        if self._awaited is None and self.wire is not None:
            self._next()

    def _ask(self, awaited: RecordAction, message: Message) -> None:
        self._awaited = awaited
        self.records.gone.discard(self._record)
        self.say(message)

    def _create(self) -> None:
        create = Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=(self._record,), correlation_id="c")
        self._ask(RecordAction.READ_RESPONSE, create)

    def _write(self) -> None:
        write = Message(
            Topic.RECORD, RecordAction.UPDATE, self._record, b"{}", version=self._least + 1, is_write_ack=True
        )
        write.correlation_id = "w"
        self._ask(RecordAction.WRITE_ACKNOWLEDGEMENT, write)

    def _delete(self) -> None:
        self._ask(RecordAction.DELETE_SUCCESS, Message(Topic.RECORD, RecordAction.DELETE, self._record))

    def heard(self, message: Message) -> None:
        if message.topic is not Topic.RECORD or message.name != self._record:
            return
        if message.action in REFUSALS or message.action is RecordAction.DELETED:
            self._awaited = None
            self.count_refusal(message)
            self.leave()
        elif message.action is self._awaited:
            self._awaited = None
            self._done(message)

    def _done(self, message: Message) -> None:
        """
        A request was done.
        """
        if message.action is RecordAction.READ_RESPONSE:
            version = message.version or 0
            if version < self._least and self._losses == self.records.losses and not self.records.was_emptied:
                self.book.complain(f"{self._record} is made anew with version {version}, after {self._least}")
            if not self.records.was_emptied:
                self._losses = self.records.losses
            self._least = version
            self._next = self._write
        elif message.action is RecordAction.WRITE_ACKNOWLEDGEMENT:
            self._least += 1
            self._next = self._delete
        else:
            self.book.count("deletions")
            self._least += 1
            self.records.gone.add(self._record)
            self._next = self._create

    def wrong(self) -> list[str]:
        awaited = self._awaited
        return [] if awaited is None else [f"{self.name} at {self.node} waits for {awaited.name} of {self._record}"]


class Reader(RecordActor):
    """
    Reads one record after the other; at rest all.
    """

    def __init__(self, *actor: Any) -> None:
        super().__init__(*actor)
        # By record: what must be there at least, of requests that were not answered.
        self._running: dict[str, int] = {}
        self._found: dict[str, Found] = {}

    def logged_out(self) -> None:
        self._running.clear()

    def act(self) -> None:
        self._read(self.random.choice(self.records.names))

    def ask(self) -> None:
        for name in self.records.names:
            if self._found.get(name) != self.records.truth.get(name):
                self._read(name)

    def _read(self, name: str) -> None:
        if name not in self._running and self.wire is not None:
            self._running[name] = self.records.least(name)
            self.say(Message(Topic.RECORD, RecordAction.READ, name))

    def heard(self, message: Message) -> None:
        name = str(message.name)
        if message.topic is not Topic.RECORD or name not in self._running:
            return
        if message.action in (RecordAction.READ_RESPONSE, RecordAction.RECORD_NOT_FOUND):
            least, found = self._running.pop(name), found_in(message)
            self._found[name] = found
            if found[0] < least and not self.records.was_emptied:
                self.book.complain(f"{self.name} at {self.node} reads version {found[0]} of {name}, after {least}")
            self.records.see(f"{self.name} at {self.node}", name, *found)
        elif message.action in REFUSALS:
            del self._running[name]
            self.count_refusal(message)

    def begin_rest(self) -> None:
        self._found.clear()

    def wrong(self) -> list[str]:
        waiting = [f"{self.name} at {self.node} gets no answer to READ {name}" for name in self._running]
        return waiting + differences(f"{self.name} at {self.node} reads", self._found, self.records)


class Subscriber(RecordActor):
    """
    Is told of all records.
    """

    def __init__(self, *actor: Any) -> None:
        super().__init__(*actor)
        # By record: what it has, and what must be there at least, of subscriptions that were not answered.
        self._copies: dict[str, Found] = {}
        self._awaited: dict[str, int] = {}
        self._names: tuple[str, ...] = ()
        self._deleted: set[str] = set()
        self._is_refused = False

    def begin_epoch(self) -> None:
        self._forget()
        for name in self._names:
            self.say(Message(Topic.RECORD, RecordAction.UNSUBSCRIBE, names=(name,), correlation_id="u"))
        if self.wire is not None:
            self._subscribe()

    def logged_in(self) -> None:
        self._is_refused = False
        self._subscribe()

    def logged_out(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._copies.clear()
        self._awaited.clear()
        self._deleted.clear()

    def _subscribe(self) -> None:
        self._names = self.records.names
        self._ask_for(self._names)

    def _ask_for(self, names: Iterable[str]) -> None:
        for name in names:
            self._awaited[name] = self.records.least(name)
            self.say(Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=(name,), correlation_id="s"))

    def heard(self, message: Message) -> None:
        name = str(message.name)
        if message.topic is not Topic.RECORD:
            return
        if message.action in REFUSALS:
            self.count_refusal(message)
            # It does not know whether it is subscribed. To text clients, errors of stores have no name.
            self._is_refused |= self._awaited.pop(name, None) is not None or message.name is None
        elif name not in self._names:
            return
        elif message.action is RecordAction.READ_RESPONSE:
            found, least = found_in(message), self._awaited.pop(name, -1)
            if found[0] < least and not self.records.was_emptied:
                self.book.complain(f"{self.name} at {self.node} gets version {found[0]} of {name}, after {least}")
            self._has(name, found)
        elif message.action is RecordAction.UPDATE:
            self._has(name, found_in(message))
        elif message.action in DELETIONS:
            self._copies[name] = NOT_THERE
            self._deleted.add(name)
        elif message.action is RecordAction.PATCH:
            self._is_patched(name, message)

    def _has(self, name: str, found: Found) -> None:
        before = self._copies.get(name, NOT_THERE)[0]
        if found[0] < before and not self.records.was_emptied:
            self.book.complain(f"{self.name} at {self.node} is shown version {found[0]} of {name} after {before}")
        self._copies[name] = found
        self.records.see(f"{self.name} at {self.node}", name, *found)

    def _is_patched(self, name: str, message: Message) -> None:
        version, data = self._copies.get(name, NOT_THERE)
        if message.version != version + 1 and not self.records.was_emptied:
            self.book.complain(
                f"{self.name} at {self.node} is told of a change to version {message.version} of {name} after {version}"
            )
        self._has(name, (int(message.version or 0), changed(data, str(message.path), value_of(message))))

    def ask(self) -> None:
        # Those who are told that a record is gone are not subscribed any more.
        self._ask_for(self._deleted)
        self._deleted.clear()
        if self._is_refused:
            self._is_refused = False
            self.leave()

    def wrong(self) -> list[str]:
        return differences(f"{self.name} at {self.node} was told", self._copies, self.records)


def value_of(message: Message) -> Any:
    return json.loads(to_json(message.data) or b"null")


def found_in(message: Message) -> Found:
    """
    The version and the data of an answer.
    """
    if message.action is RecordAction.RECORD_NOT_FOUND or message.version is None:
        return NOT_THERE
    return message.version, value_of(message)


def changed(data: Any, path: str, value: Any) -> Any:
    """
    A record after a change to one of its paths.
    """
    first, _, rest = path.partition(".")
    data = data if isinstance(data, dict) else {}
    return {**data, first: changed(data.get(first), rest, value) if rest else value}


def differences(what: str, known: dict[str, Found], records: RecordBook) -> list[str]:
    """
    What a client knows of records that is not in the Redis.
    """
    problems = []
    for name in records.names:
        mine, truth = known.get(name), records.truth.get(name)
        if mine != truth:
            # The entries of a shared record are many.
            shown = [found and (found[0] if is_shared(name) else found) for found in (mine, truth)]
            problems.append(f"{what} {shown[0]} of {name}, the Redis has {shown[1]}")
    return problems
