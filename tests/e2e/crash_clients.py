"""
The clients of the crash test. What they write is what L{tests.e2e.crash_book} says.

A store may fail while the server goes on. Then requests are refused, and the clients go on, too. A writer leaves a
record of its own alone once a write to it was refused: what it has sent after that write builds on it.
"""

from __future__ import annotations

import contextlib
import json
import random
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.typed import to_json
from tests.e2e.crash_book import OWN, OWN_NAMES, WRITERS, Book, own_data, right
from tests.e2e.raw import RawClient

#: What the server says to a request that it did not do.
REFUSALS = frozenset(
    action for action in RecordAction if action.name.endswith("_ERROR") or action.name.endswith("_TIMEOUT")
) | {RecordAction.VERSION_EXISTS, RecordAction.INVALID_VERSION, RecordAction.INVALID_MESSAGE_DATA}


class Actor(threading.Thread):
    """
    A client with something to do until the server is gone, or until it is told to end.

    @param names: the records of this round.
    @param outages: whether the store may fail, so that requests are refused.
    """

    def __init__(
        self, me: str, generation: str, port: int, book: Book, seed: int, names: list[str], outages: bool
    ) -> None:
        super().__init__(name=me, daemon=True)
        self.book = book
        self.random = random.Random(seed)
        self.generation = generation
        self.names = names
        self.outages = outages
        self.enough = False
        self._port = port
        self._client: RawClient | None = None

    def run(self) -> None:
        try:
            with contextlib.suppress(OSError):
                self._client = client = RawClient(self._port, self.generation, self.name)
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

    def end(self) -> None:
        """
        Have the actor end, whatever it waits for.
        """
        self.enough = True
        if self._client is not None:
            self._client.hang_up()

    def refused(self, message: Message) -> None:
        """
        A request was refused.
        """
        with self.book.lock:
            self.book.refused += 1
        if not self.outages:
            self.book.complain(f"{self.name} is told: {message}")


@dataclass(frozen=True)
class Write:
    """
    What a writer has sent.

    @ivar kind: C{"own"}, C{"shared"} or C{"short"}.
    """

    kind: str
    name: str
    version: int
    path: str | None


class Writer(Actor):
    """
    Writes to records of its own, to shared ones, and to some that it deletes. Told that it is L{enough}, it ends when
    all its requests are answered.

    @param versions: by record, its version.
    """

    def __init__(self, number: int, *actor: Any, versions: dict[str, int]) -> None:
        super().__init__(f"writer{number}", WRITERS[number], *actor)
        self._own = list(OWN[number])
        self._shared = [name for name in self.names if name not in OWN_NAMES]
        # By record: the last version that was written.
        self._versions = versions
        self._serial = 0
        self._requests = 0
        # By what the server answers to: what was written. Text clients have nothing but name and version for that.
        self._awaited: dict[Any, deque[Write]] = {}
        self._deletions: set[str] = set()
        self._under_way = 0

    def act(self, client: RawClient) -> None:
        while not self.enough or self._under_way:
            window = 0 if self.enough else self.random.randint(1, 20)
            requests = []
            while self._under_way < window:
                requests.append(self._write())
            client.say(*requests)
            # With nothing under way there is nothing to hear.
            for message in client.hear() if self._under_way else ():
                if message.topic is Topic.RECORD:
                    self._take(message, client)

    def _write(self) -> Message:
        kind = self.random.random()
        if kind < 0.65 and self._own:
            name = self.random.choice(self._own)
            version = self._versions[name] = self._versions.get(name, 0) + 1
            data = own_data(name, version)
            if data["whole"] == version:
                return self._request(Write("own", name, version, None), data)
            return self._request(Write("own", name, version, "n"), version)
        self._serial += 1
        if kind < 0.9:
            path = f"{self.name}.s{self._serial}"
            return self._request(Write("shared", self.random.choice(self._shared), -1, path), 1)
        name = f"short/{self.name}/{self.random.getrandbits(60):x}"
        return self._request(Write("short", name, -1, None), {"short": True})

    def _request(self, write: Write, value: Any) -> Message:
        action = RecordAction.CREATEANDUPDATE if write.path is None else RecordAction.CREATEANDPATCH
        self._requests += 1
        key = str(self._requests) if self.generation == "v4" else (write.name, write.version)
        self._awaited.setdefault(key, deque()).append(write)
        self._under_way += 1
        data: Any = json.dumps(value)
        data = data.encode() if self.generation == "v4" else ("O" if write.path is None else "N") + data
        request = Message(
            Topic.RECORD, action, write.name, data, version=write.version, path=write.path, is_write_ack=True
        )
        request.correlation_id = str(self._requests)
        return request

    def _take(self, message: Message, client: RawClient) -> None:
        acknowledges = message.action is RecordAction.WRITE_ACKNOWLEDGEMENT
        key = message.correlation_id if self.generation == "v4" else (message.name, message.version)
        if acknowledges and not message.data and not message.detail:
            self._written(self._answered(key), client)
        elif message.action in (RecordAction.DELETE_SUCCESS, RecordAction.DELETED):
            self._under_way -= 1
            self._deletions.discard(str(message.name))
            with self.book.lock:
                self.book.acknowledgements += 1
                self.book.deleted.append(str(message.name))
        elif message.name in self._deletions:
            self._under_way -= 1
            self._deletions.discard(str(message.name))
            self.refused(message)
        elif key in self._awaited and (acknowledges or self.generation == "v4"):
            write = self._answered(key)
            self._under_way -= 1
            if write.name in self._own:
                self._own.remove(write.name)
            self.refused(message)
        elif not self.outages:
            self.book.complain(f"{self.name} is told: {message}")

    def _answered(self, key: Any) -> Write:
        write = self._awaited[key].popleft()
        if not self._awaited[key]:
            del self._awaited[key]
        return write

    def _written(self, write: Write, client: RawClient) -> None:
        self.book.acknowledge(write.name, max(write.version, 0))
        if write.kind == "shared" and write.path is not None:
            self.book.write_down(write.name, write.path)
        if write.kind == "short":
            self._deletions.add(write.name)
            client.say(Message(Topic.RECORD, RecordAction.DELETE, write.name))
        else:
            self._under_way -= 1


class Reader(Actor):
    """
    Is shown versions, and makes sure that they grow.

    @ivar versions: by record, the last version that it was shown.
    """

    def __init__(self, *actor: Any) -> None:
        super().__init__(*actor)
        self.versions: dict[str, int] = {}

    def shown(self, message: Message, step: int | None = None) -> None:
        """
        Take notice of a version.

        @param step: by how much it must be more than the one before.
        """
        if message.topic is not Topic.RECORD or message.name is None or message.version is None:
            return
        name, version, before = message.name, message.version, self.versions.get(message.name, -1)
        if version < before or (step is not None and before >= 0 and version != before + step):
            self.book.complain(f"{self.name} saw version {version} of {name} after {before}")
        self.versions[name] = version
        self.book.see(name, version)
        value = json.loads(to_json(message.data) or b"null")
        if message.path is None:
            if version > 0 and not right(name, version, value):
                self.book.complain(f"{self.name} saw {value} as version {version} of {name}")
        elif name not in OWN_NAMES:
            self.book.write_down(name, message.path)
        elif value != version:
            self.book.complain(f"{self.name} saw {value} as version {version} of {name}")


class Subscriber(Reader):
    """
    Is told of all records, every version one more than the one before. After an outage it may be told of a whole record
    whose version it does not know, or knows already.

    @ivar refusals: the records whose subscription was refused.
    """

    def __init__(self, *actor: Any) -> None:
        super().__init__(*actor)
        self.refusals: set[str] = set()

    def act(self, client: RawClient) -> None:
        request = Message(
            Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=tuple(self.names), correlation_id="0"
        )
        client.say(request)
        while not self.enough:
            for message in client.hear():
                if message.action is RecordAction.READ_RESPONSE:
                    self.shown(message)
                elif message.action is RecordAction.PATCH:
                    self.shown(message, step=1)
                elif message.action is RecordAction.UPDATE:
                    self.shown(message, step=None if self.outages else 1)
                elif message.action in REFUSALS:
                    self.refused(message)
                    if message.name not in self.versions:
                        self.refusals.add(str(message.name))


class Poller(Reader):
    """
    Reads one record after the other.
    """

    def act(self, client: RawClient) -> None:
        while not self.enough:
            request = Message(Topic.RECORD, RecordAction.READ, self.random.choice(self.names))
            answer = client.answer(request, RecordAction.READ_RESPONSE, RecordAction.RECORD_NOT_FOUND, *REFUSALS)
            if answer.action in REFUSALS:
                self.refused(answer)
            else:
                self.shown(answer)


class Reviver(Actor):
    """
    Deletes a record and creates it anew, again and again. Its versions do not go back.

    When a request is refused, it begins again with a new connection, because it does not know whether it is subscribed.
    """

    def act(self, client: RawClient) -> None:
        while not self.enough:
            refusal = self._revive(client, f"again/{self.name}")
            if refusal is not None:
                self.refused(refusal)
                client.close()
                self._client = client = RawClient(self._port, self.generation, self.name)

    def _revive(self, client: RawClient, name: str) -> Message | None:
        """
        Create the record, write to it, and delete it. Gives the refusal if a request was refused.
        """
        book = self.book
        create = Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=(name,), correlation_id="0")
        read = client.answer(create, RecordAction.READ_RESPONSE, *REFUSALS)
        if read.action in REFUSALS or read.version is None:
            return read
        version, least = read.version, book.revived.get(name, 0)
        if version < least:
            book.gone_back += 1
            book.complain(f"{name} was created with version {version}, and should have {least} at least")
        book.revivals += version > 0
        book.revived[name] = version
        write = Message(Topic.RECORD, RecordAction.UPDATE, name, b"{}", version=version + 1, is_write_ack=True)
        write.correlation_id = "1"
        answer = client.answer(write, RecordAction.WRITE_ACKNOWLEDGEMENT, *REFUSALS)
        if answer.action in REFUSALS:
            return answer
        book.revived[name] = version + 1
        answer = client.answer(Message(Topic.RECORD, RecordAction.DELETE, name), RecordAction.DELETE_SUCCESS, *REFUSALS)
        if answer.action in REFUSALS:
            return answer
        book.revived[name] = version + 2
        return None
