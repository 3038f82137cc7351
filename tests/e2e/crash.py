"""
The crash test: a server under load is killed with SIGKILL at a random moment, again and again, and nothing that it
had acknowledged or shown to anybody may be gone when it is back.

Clients of both generations (L{tests.e2e.crash_clients}) keep several requests under way all the time; some write, some
subscribe, some read again and again. After each kill

- no version is less than one that was acknowledged (acknowledged writes lost);
- no version is less than one that any reader has been shown (versions gone back);
- every record is what its version says;
- no record that was deleted and created anew has a version that the deleted one has had.

L{tests.e2e.crash_sqlite} and L{tests.e2e.crash_redis} add what may happen to each kind of store.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.typed import to_json
from tests.e2e.crash_book import OWN, OWN_NAMES, Book, right
from tests.e2e.crash_clients import REFUSALS, Actor, Poller, Reviver, Subscriber, Writer
from tests.e2e.raw import RawClient
from tests.e2e.server import PATIENCE, Server, ServerFailed

#: A server is killed after so many acknowledgements at most, and so many seconds more.
MOST_ACKNOWLEDGEMENTS = 1000
MOST_SECONDS = 0.02

#: How many versions clients have been shown before the first kill.
FEWEST_OBSERVATIONS = 50

#: How often it is killed while it starts.
KILLED_AT_START = 0.2


class CrashTest:
    """
    Rounds of load, kill and comparison.

    @ivar outages: whether requests may be refused.
    @ivar expected: lines of the server's log that are no trouble.
    """

    outages = False
    expected: re.Pattern[str] | None = None

    def __init__(self, seed: int, config: Path | None = None, data_dir: Path | None = None) -> None:
        self.book = Book()
        self._random = random.Random(seed)
        self._server = Server(config=config, data_dir=data_dir)
        self._versions: dict[str, int] = {}

    def run(self, rounds: int, progress: Callable[[int], object] = lambda rounds: None) -> Book:
        """
        What came of so many rounds.
        """
        try:
            for number in range(rounds):
                self.round()
                progress(number + 1)
        finally:
            self.finish()
        return self.book

    def round(self) -> None:
        """
        Start, check what is there, put it under load, kill.
        """
        if self._random.random() < KILLED_AT_START:
            self._kill_while_starting(self._random.uniform(0.0, 1.5))
        self._server.start()
        self._compare()
        actors = self._load()
        self._wait()
        self._check_log()
        self._server.kill()
        self._join(actors)

    def finish(self) -> None:
        """
        Check for the last time, and stop in order.
        """
        try:
            if not self._server.running:
                self._server.start()
            self._compare()
            self._server.stop()
        finally:
            self._server.kill()

    def _load(self) -> list[Actor]:
        """
        Clients that have begun to write and to read.
        """
        book = self.book
        shared = [f"shared/{len(book.shared) + number}" for number in range(2)]
        book.shared += shared
        common = (self._server.port, book, self._random.getrandbits(32), [*OWN_NAMES, *shared], self.outages)
        actors: list[Actor] = [
            *(Writer(number, *common, versions=self._versions) for number in OWN),
            Subscriber("subscriber", "v4", *common),
            Poller("poller v3", "v3", *common),
            Poller("poller v4", "v4", *common),
            Reviver("reviver", "v4", *common),
        ]
        for actor in actors:
            actor.start()
        return actors

    def _join(self, actors: list[Actor]) -> None:
        for actor in actors:
            actor.join(PATIENCE)
            if actor.is_alive():
                self.book.complain(f"{actor.name} does not end")

    def _check_log(self) -> None:
        if trouble := self._server.take_trouble(self.expected):
            self.book.complain("the server's log:\n" + "\n".join(trouble))

    def _wait(self) -> None:
        """
        For the moment to kill. How fast the machine is does not matter. The first time, all kinds of clients get so far
        that there is something to compare.
        """
        book = self.book
        enough = book.acknowledgements + self._random.randint(1, MOST_ACKNOWLEDGEMENTS)
        late = time.monotonic() + PATIENCE

        def goes_on() -> bool:
            return book.acknowledgements < enough or not book.revivals or book.observations < FEWEST_OBSERVATIONS

        while goes_on() and time.monotonic() < late:
            time.sleep(0.001)
        if goes_on():
            book.complain("the server does not answer")
        time.sleep(self._random.uniform(0, MOST_SECONDS))

    def _kill_while_starting(self, delay: float) -> None:
        timer = threading.Timer(delay, self._server.kill)
        timer.start()
        with contextlib.suppress(ServerFailed):
            self._server.start()
        timer.join()
        self._server.kill()

    def _compare(self) -> None:
        """
        What there is, and what there must be.
        """
        book = self.book
        client = RawClient(self._server.port, "v4", "auditor")
        for name in [*OWN_NAMES, *book.shared]:
            found = self._read(client, name)
            there = found.action is RecordAction.READ_RESPONSE
            version = found.version if there and found.version is not None else -1
            data = json.loads(to_json(found.data) or b"{}") if there else {}
            if version < book.acknowledged.get(name, -1):
                book.lost += book.acknowledged[name] - version
                book.complain(f"{name} is at {version}, but {book.acknowledged[name]} was acknowledged")
            if version < book.seen.get(name, -1):
                book.gone_back += 1
                book.complain(f"{name} is at {version}, but {book.seen[name]} was seen")
            if version > 0 and not right(name, version, data):
                book.complain(f"{name} has version {version}, and holds {data}")
            self._versions[name] = max(version, 0)
            if name in book.shared:
                self._compare_entries(name, data)
        for name in book.deleted[-200:]:
            if self._read(client, name).action is RecordAction.READ_RESPONSE:
                book.lost += 1
                book.complain(f"{name} is there, but its deletion was acknowledged")
        client.close()

    def _read(self, client: RawClient, name: str) -> Message:
        """
        What there is of a record. If the store may fail, a busy machine can make it late, so that a read is refused.
        """
        answers = {RecordAction.READ_RESPONSE, RecordAction.RECORD_NOT_FOUND}
        late = time.monotonic() + PATIENCE
        while True:
            found = client.answer(Message(Topic.RECORD, RecordAction.READ, name), *answers, *REFUSALS)
            if found.action in answers:
                return found
            if not self.outages or time.monotonic() > late:
                raise AssertionError(f"a read of {name} is refused: {found}")

    def _compare_entries(self, name: str, data: dict[str, dict[str, int]]) -> None:
        there = {f"{writer}.{entry}" for writer, entries in data.items() for entry in entries}
        if missing := self.book.written.get(name, set()) - there:
            self.book.lost += len(missing)
            self.book.complain(f"{name} lacks {', '.join(sorted(missing))}")
