"""
The crash test: a server under load is killed with SIGKILL at a random moment, again and again, and nothing that it
had acknowledged or shown to anybody may be gone when it is back.

Clients of both generations (L{tests.e2e.crash_clients}) keep several requests under way all the time; some write, some
subscribe, some read again and again. Some records are so large that the store writes changes to them, and folds them
later. Before some starts, the file is changed into one of the version before, and the server is killed while it
migrates the file. After each kill

- no version is less than one that was acknowledged (acknowledged writes lost);
- no version is less than one that any reader has been shown (versions gone back);
- every record is what its version says;
- no record that was deleted and created anew has a version that the deleted one has had.
"""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.typed import to_json
from dstwist.store.sqlite_rows import get
from dstwist.store.sqlite_schema import SCHEMA_VERSION
from tests.e2e.crash_clients import LARGE, NAMES, OWN, SHARED, Actor, Book, Poller, Reviver, Subscriber, Writer, right
from tests.e2e.raw import RawClient
from tests.e2e.server import PATIENCE, Server, ServerFailed

#: A server is killed after so many acknowledgements at most, and so many seconds more.
MOST_ACKNOWLEDGEMENTS = 1000
MOST_SECONDS = 0.02

#: How often it is killed while it starts.
KILLED_AT_START = 0.2

#: How often it is killed while it migrates a file, and within how many seconds after it has begun.
KILLED_WHILE_MIGRATING = 0.3
MIGRATION_SECONDS = 0.01


class CrashTest:
    """
    Rounds of load, kill and comparison.
    """

    def __init__(self, data_dir: Path, seed: int, config: Path | None = None) -> None:
        self.book = Book()
        self._random = random.Random(seed)
        self._server = Server(config=config, data_dir=data_dir)
        self._file = data_dir / "records.sqlite"
        # The versions of the rows of large records after the kill before.
        self._rows: dict[str, int] = {}
        self._versions: dict[str, int] = {}

    def round(self) -> None:
        """
        Start, check what is there, put it under load, kill.
        """
        if self._random.random() < KILLED_AT_START:
            self._kill_while_starting(self._random.uniform(0.0, 1.5))
        if self._file.exists() and self._random.random() < KILLED_WHILE_MIGRATING:
            self._kill_while_migrating(self._random.uniform(0.0, MIGRATION_SECONDS))
        self._server.start()
        self._compare()
        port, seed = self._server.port, self._random.getrandbits(32)
        actors: list[Actor] = [
            *(Writer(number, port, self.book, seed + number, self._versions) for number in OWN),
            Subscriber("subscriber", "v4", port, self.book, seed),
            Poller("poller v3", "v3", port, self.book, seed),
            Poller("poller v4", "v4", port, self.book, seed),
            Reviver("reviver", "v4", port, self.book, seed),
        ]
        for actor in actors:
            actor.start()
        self._wait()
        trouble = self._server.take_trouble()
        self._server.kill()
        for actor in actors:
            actor.join(PATIENCE)
            if actor.is_alive():
                self.book.complain(f"{actor.name} does not notice that the server is gone")
        if trouble:
            self.book.complain("the server's log:\n" + "\n".join(trouble))
        if self._file.exists():
            self._count_changes()

    def _count_changes(self) -> None:
        with contextlib.closing(sqlite3.connect(self._file)) as file:
            self.book.unfolded += file.execute("SELECT count(*) FROM changes").fetchone()[0]
            rows = dict(file.execute("SELECT name, version FROM records"))
        for name in LARGE & rows.keys():
            self.book.folded += rows[name] != self._rows.get(name)
            self._rows[name] = rows[name]

    def _wait(self) -> None:
        """
        For the moment to kill. How fast the machine is does not matter.
        """
        enough = self.book.acknowledgements + self._random.randint(1, MOST_ACKNOWLEDGEMENTS)
        late = time.monotonic() + PATIENCE
        while self.book.acknowledgements < enough and time.monotonic() < late:
            time.sleep(0.001)
        if self.book.acknowledgements < enough:
            self.book.complain("the server does not answer")
        time.sleep(self._random.uniform(0, MOST_SECONDS))

    def finish(self) -> None:
        """
        Check for the last time, and stop in order.
        """
        try:
            self._server.start()
            self._compare()
            self._server.stop()
        finally:
            self._server.kill()

    def _kill_while_starting(self, delay: float) -> None:
        timer = threading.Timer(delay, self._server.kill)
        timer.start()
        with contextlib.suppress(ServerFailed):
            self._server.start()
        timer.join()
        self._server.kill()

    def _kill_while_migrating(self, delay: float) -> None:
        """
        Have a file of version 1, as an older server has left it, and kill a server that has just opened it.
        """
        with contextlib.closing(sqlite3.connect(self._file, isolation_level=None)) as file:
            file.execute("BEGIN IMMEDIATE")
            for (name,) in file.execute("SELECT DISTINCT name FROM changes").fetchall():
                record = get(file, name)
                assert record is not None
                row = record.version, record.json.decode(), name
                file.execute("UPDATE records SET version = ?, data = ? WHERE name = ?", row)
            for (trigger,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                file.execute(f"DROP TRIGGER {trigger}")
            file.execute("DROP TABLE changes")
            file.execute("DROP TABLE removed")
            file.execute("PRAGMA user_version = 1")
            file.execute("COMMIT")
        # The older file does not say at which versions records were removed.
        self.book.revived.clear()
        log = self._file.with_name(self._file.name + "-wal")

        def kill() -> None:
            # The server creates the log when it opens the file.
            late = time.monotonic() + PATIENCE
            while not log.exists() and time.monotonic() < late:
                time.sleep(0.0005)
            time.sleep(delay)
            self._server.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        with contextlib.suppress(ServerFailed):
            self._server.start()
        killer.join()
        self._server.kill()
        with contextlib.closing(sqlite3.connect(self._file)) as file:
            (version,) = file.execute("PRAGMA user_version").fetchone()
        self.book.migrations[version == SCHEMA_VERSION] += 1

    def _compare(self) -> None:
        """
        What there is, and what there must be.
        """
        book = self.book
        client = RawClient(self._server.port, "v4", "auditor")
        answers = (RecordAction.READ_RESPONSE, RecordAction.RECORD_NOT_FOUND)
        for name in NAMES:
            found = client.answer(Message(Topic.RECORD, RecordAction.READ, name), *answers)
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
            if name in SHARED:
                self._compare_counts(name, data.get("count", {}))
        for name in book.deleted[-200:]:
            if client.answer(Message(Topic.RECORD, RecordAction.READ, name), *answers).action is answers[0]:
                book.lost += 1
                book.complain(f"{name} is there, but its deletion was acknowledged")
        client.close()

    def _compare_counts(self, name: str, counts: dict[str, int]) -> None:
        book = self.book
        for number in OWN:
            key = (name, f"writer{number}")
            count = counts.get(key[1], 0)
            if count < book.counted.get(key, 0):
                book.lost += book.counted[key] - count
                book.complain(f"{name} has {count} writes of {key[1]}, but {book.counted[key]} were told of")
            # What was under way is there or not; the writer goes on from what there is.
            book.sent[key] = count


def run(
    rounds: int,
    seed: int,
    data_dir: Path,
    config: Path | None = None,
    progress: Callable[[int], object] = lambda rounds: None,
) -> Book:
    """
    What came of so many rounds. The seed decides when the server is killed and what clients ask for.
    """
    test = CrashTest(data_dir, seed, config)
    try:
        for number in range(rounds):
            test.round()
            progress(number + 1)
    finally:
        test.finish()
    return test.book
