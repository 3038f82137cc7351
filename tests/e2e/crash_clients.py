"""
The clients of the crash test, and the book in which they write down what they were told.

Everything they write says whose it is and the how manyth, so that what a record must hold can be told from its version:

=================  ==============================================  =====================================================
records            are written                                     a record of version V is
=================  ==============================================  =====================================================
of one writer      with the versions 1, 2, 3, ... as wholes and    what its writer makes of V: L{own_data}
                   by path
shared             by everybody, by path, "whatever is next"       the sum of what each writer counts in it is V: no
                                                                   write got lost, none counts twice
made and deleted   created, and deleted when that is acknowledged  gone, once its deletion is acknowledged
deleted again and  created, written once, deleted                  higher than before each time: see L{Reviver}
again
=================  ==============================================  =====================================================
"""

from __future__ import annotations

import contextlib
import json
import random
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.typed import to_json
from tests.e2e.raw import RawClient

#: The writers, by generation.
WRITERS = ("v4", "v4", "v3", "v4")
OWN = {number: [f"writer{number}/{record}" for record in range(5)] for number in range(len(WRITERS))}
SHARED = ["shared/0", "shared/1"]
NAMES = [*sum(OWN.values(), []), *SHARED]

#: What the server says to a request that it did not do.
_REFUSALS = frozenset(
    action for action in RecordAction if action.name.endswith("_ERROR") or action.name.endswith("_TIMEOUT")
) | {RecordAction.VERSION_EXISTS, RecordAction.INVALID_VERSION, RecordAction.INVALID_MESSAGE_DATA}


#: The first record of each writer is large: the store writes its changes and folds them later.
LARGE = frozenset(names[0] for names in OWN.values())
_PADDING = "x" * 20_000


def own_data(name: str, version: int) -> dict[str, Any]:
    """
    What a record of one writer holds. The first and every third version is written as a whole, the others by path; a
    large record is rarely written as a whole.
    """
    if name in LARGE:
        return {"n": version, "whole": max(1, version - version % 200), "padding": _PADDING}
    return {"n": version, "whole": max(1, version - version % 3)}


@dataclass
class Book:
    """
    What all clients know together, over all rounds.

    @ivar acknowledged: by record, the highest version whose write was acknowledged.
    @ivar seen: by record, the highest version that anybody was shown.
    @ivar counted: by shared record and writer, how many writes were acknowledged or shown to anybody.
    @ivar sent: likewise, how many were sent.
    @ivar deleted: whose deletion was acknowledged.
    @ivar revived: by record that is deleted again and again, the lowest version that it may have next.
    @ivar revivals: how often such a record was deleted and found to count on.
    @ivar unfolded: how many rows of changes the file had after the kills.
    @ivar folded: how often a large record was found to be written whole meanwhile.
    @ivar migrations: how often a server was killed while it migrated the file: before and after the commit.
    """

    acknowledged: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    counted: dict[tuple[str, str], int] = field(default_factory=dict)
    sent: dict[tuple[str, str], int] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    revived: dict[str, int] = field(default_factory=dict)
    revivals: int = 0
    acknowledgements: int = 0
    observations: int = 0
    lost: int = 0
    gone_back: int = 0
    unfolded: int = 0
    folded: int = 0
    migrations: list[int] = field(default_factory=lambda: [0, 0])
    problems: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def acknowledge(self, name: str, version: int) -> None:
        with self.lock:
            self.acknowledgements += 1
            self.acknowledged[name] = max(version, self.acknowledged.get(name, 0))

    def count(self, name: str, writer: str, count: int) -> None:
        with self.lock:
            self.counted[name, writer] = max(count, self.counted.get((name, writer), 0))

    def see(self, name: str, version: int) -> None:
        with self.lock:
            self.observations += 1
            self.seen[name] = max(version, self.seen.get(name, -1))

    def complain(self, problem: str) -> None:
        with self.lock:
            self.problems.append(problem)

    def __str__(self) -> str:
        return (
            f"{self.acknowledgements} writes acknowledged, {self.lost} of them lost;"
            f" {self.observations} versions seen, {self.gone_back} gone back; {self.revivals} times created anew;"
            f" {self.unfolded} changes unfolded,"
            f" {self.folded} times folded; killed while migrating: {self.migrations[0]} before the commit,"
            f" {self.migrations[1]} after it; {len(self.problems)} problems"
        )


class Actor(threading.Thread):
    """
    A client with something to do until the server is gone.
    """

    def __init__(self, me: str, generation: str, port: int, book: Book, seed: int) -> None:
        super().__init__(name=me, daemon=True)
        self.book = book
        self.random = random.Random(seed)
        self.generation = generation
        self._port = port

    def run(self) -> None:
        try:
            with contextlib.suppress(OSError):
                client = RawClient(self._port, self.generation, self.name)
                try:
                    self.act(client)
                finally:
                    client.close()
        except Exception as error:
            self.book.complain(f"{self.name}: {type(error).__name__}: {error}")

    def act(self, client: RawClient) -> None:
        """
        Do it. OSError when the server is gone.
        """
        raise NotImplementedError


class Writer(Actor):
    """
    Writes to records of its own, to shared ones, and to some that it deletes.
    """

    def __init__(self, number: int, port: int, book: Book, seed: int, versions: dict[str, int]) -> None:
        super().__init__(f"writer{number}", WRITERS[number], port, book, seed)
        self._own = OWN[number]
        # By record: the last version that was written.
        self._versions = versions
        self._serial = 0
        # By what the server answers to: what was written. Text clients have nothing but name and version for that.
        self._awaited: dict[Any, deque[tuple[str, str, int]]] = {}
        self._under_way = 0

    def act(self, client: RawClient) -> None:
        while True:
            window = self.random.randint(1, 20)
            requests = []
            while self._under_way < window:
                requests.append(self._write())
            client.say(*requests)
            for message in client.hear():
                if message.topic is Topic.RECORD:
                    self._take(message, client)

    def _write(self) -> Message:
        kind = self.random.random()
        if kind < 0.65:
            name = self.random.choice(self._own)
            version = self._versions[name] = self._versions.get(name, 0) + 1
            data = own_data(name, version)
            if data["whole"] == version:
                return self._request(("own", name, version), version, data)
            return self._request(("own", name, version), version, version, "n")
        if kind < 0.9:
            name = self.random.choice(SHARED)
            with self.book.lock:
                count = self.book.sent[name, self.name] = self.book.sent.get((name, self.name), 0) + 1
            return self._request(("shared", name, count), -1, count, f"count.{self.name}")
        name = f"short/{self.name}/{self.random.getrandbits(60):x}"
        return self._request(("short", name, 1), -1, {"short": True})

    def _request(self, what: tuple[str, str, int], version: int, value: Any, path: str | None = None) -> Message:
        name = what[1]
        action = RecordAction.CREATEANDUPDATE if path is None else RecordAction.CREATEANDPATCH
        self._serial += 1
        key = str(self._serial) if self.generation == "v4" else (name, version)
        self._awaited.setdefault(key, deque()).append(what)
        self._under_way += 1
        data: Any = json.dumps(value)
        data = data.encode() if self.generation == "v4" else ("O" if path is None else "N") + data
        request = Message(Topic.RECORD, action, name, data, version=version, path=path, is_write_ack=True)
        request.correlation_id = str(self._serial)
        return request

    def _take(self, message: Message, client: RawClient) -> None:
        if message.action is RecordAction.WRITE_ACKNOWLEDGEMENT and not message.data and not message.detail:
            key = message.correlation_id if self.generation == "v4" else (message.name, message.version)
            kind, name, which = self._awaited[key].popleft()
            if not self._awaited[key]:
                del self._awaited[key]
            self.book.acknowledge(name, which if kind == "own" else 0)
            if kind == "shared":
                self.book.count(name, self.name, which)
            if kind == "short":
                client.say(Message(Topic.RECORD, RecordAction.DELETE, name))
            else:
                self._under_way -= 1
        elif message.action in (RecordAction.DELETE_SUCCESS, RecordAction.DELETED):
            self._under_way -= 1
            with self.book.lock:
                self.book.acknowledgements += 1
                self.book.deleted.append(str(message.name))
        else:
            self.book.complain(f"{self.name} is told: {message}")


class Reader(Actor):
    """
    Is shown versions, and makes sure that they grow.
    """

    def __init__(self, me: str, generation: str, port: int, book: Book, seed: int) -> None:
        super().__init__(me, generation, port, book, seed)
        self._versions: dict[str, int] = {}

    def shown(self, message: Message, step: int | None = None) -> None:
        """
        Take notice of a version.

        @param step: by how much it must be more than the one before.
        """
        if message.topic is not Topic.RECORD or message.name is None or message.version is None:
            return
        name, version, before = message.name, message.version, self._versions.get(message.name, -1)
        if version < before or (step is not None and before >= 0 and version != before + step):
            self.book.complain(f"{self.name} saw version {version} of {name} after {before}")
        self._versions[name] = version
        self.book.see(name, version)
        value = json.loads(to_json(message.data) or b"null")
        if message.path is None:
            self._check(name, version, value)
        elif name in SHARED:
            self.book.count(name, message.path.removeprefix("count."), value)
        elif value != version:
            self.book.complain(f"{self.name} saw {value} as version {version} of {name}")

    def _check(self, name: str, version: int, data: Any) -> None:
        if version > 0 and not right(name, version, data):
            self.book.complain(f"{self.name} saw {data} as version {version} of {name}")


class Subscriber(Reader):
    """
    Is told of all records, every version one more than the one before.
    """

    def act(self, client: RawClient) -> None:
        request = Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=tuple(NAMES), correlation_id="0")
        client.say(request)
        while True:
            for message in client.hear():
                if message.action is RecordAction.READ_RESPONSE:
                    self.shown(message)
                elif message.action in (RecordAction.UPDATE, RecordAction.PATCH):
                    self.shown(message, step=1)
                elif message.action in _REFUSALS:
                    self.book.complain(f"{self.name} is told: {message}")


class Poller(Reader):
    """
    Reads one record after the other.
    """

    def act(self, client: RawClient) -> None:
        while True:
            request = Message(Topic.RECORD, RecordAction.READ, self.random.choice(NAMES))
            self.shown(client.answer(request, RecordAction.READ_RESPONSE, RecordAction.RECORD_NOT_FOUND))


class Reviver(Actor):
    """
    Deletes a record and creates it anew, again and again. Its versions do not go back.
    """

    def act(self, client: RawClient) -> None:
        name = f"again/{self.name}"
        create = Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=(name,), correlation_id="0")
        while True:
            client.say(create)
            version = self._version_read(client)
            least = self.book.revived.get(name, 0)
            if version < least:
                self.book.gone_back += 1
                self.book.complain(f"{name} was created with version {version}, and should have {least} at least")
            self.book.revivals += version > 0
            self.book.revived[name] = version
            write = Message(
                Topic.RECORD,
                RecordAction.UPDATE,
                name,
                b"{}",
                version=version + 1,
                is_write_ack=True,
                correlation_id="1",
            )
            client.answer(write, RecordAction.WRITE_ACKNOWLEDGEMENT)
            self.book.revived[name] = version + 1
            client.answer(Message(Topic.RECORD, RecordAction.DELETE, name), RecordAction.DELETE_SUCCESS)
            self.book.revived[name] = version + 2

    def _version_read(self, client: RawClient) -> int:
        while True:
            for heard in client.hear():
                if heard.action is RecordAction.READ_RESPONSE and heard.version is not None:
                    return heard.version


def right(name: str, version: int, data: Any) -> bool:
    """
    Whether C{data} is what a record of that version holds.
    """
    if name in SHARED:
        return bool(sum(data.get("count", {}).values()) == version)
    return bool(data == own_data(name, version))
