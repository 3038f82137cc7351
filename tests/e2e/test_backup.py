"""
Backups and exports of a real server under load, and imports that are killed.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dstwist.interfaces import Record
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.transfer.importing import BATCH_RECORDS
from dstwist.transfer.lines import END, HEADER, line_of, read_line
from tests.e2e.raw import RawClient
from tests.e2e.server import CHECKOUT, PATIENCE, Server

#: How many records the writers write to, and the record that is too large to be written whole each time.
RECORDS = 40
LARGE = "large"

#: How many records the import that is killed has.
IMPORTED = 60_000


class Writer(threading.Thread):
    """
    A client that writes its records one after the other, each with its next version, until it is told to stop.

    @ivar acknowledged: by name: the last version that the server has acknowledged.
    """

    def __init__(self, port: int, number: int) -> None:
        super().__init__(daemon=True)
        self.acknowledged: dict[str, int] = {}
        self._stopped = False
        self._client = RawClient(port, "v4", f"writer{number}")
        self._names = [f"record{number}/{index}" for index in range(RECORDS)]
        if not number:
            self._names.append(LARGE)

    def run(self) -> None:
        for name in self._names:
            self._write(name, 1, b'{"n":1,"text":"%b"}' % (b"x" * (200_000 if name == LARGE else 100)))
        version = 1
        while not self._stopped:
            version += 1
            for name in self._names:
                self._write(name, version, b"%d" % version, "n")
        self._client.close()

    def stop(self) -> None:
        """
        Come back when the last write is acknowledged.
        """
        self._stopped = True
        self.join(PATIENCE)

    def _write(self, name: str, version: int, data: bytes, path: str | None = None) -> None:
        action = RecordAction.CREATEANDUPDATE if path is None else RecordAction.PATCH
        self._client.say(
            Message(
                Topic.RECORD,
                action,
                name,
                data,
                version=-1 if path is None else version,
                path=path,
                is_write_ack=True,
                correlation_id=f"{name} {version}",
            )
        )
        while all(message.action is not RecordAction.WRITE_ACKNOWLEDGEMENT for message in self._client.hear()):
            pass
        self.acknowledged[name] = version


class BackupTests(SynchronousTestCase):
    """
    Commands beside a server.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.data_dir = self.directory / "data"
        self.data_dir.mkdir(parents=True)

    def server(self, data_dir: Path) -> Server:
        server = Server(data_dir=data_dir)
        self.addCleanup(server.kill)
        server.start()
        return server

    def popen(self, *words: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-P", "-m", "dstwist", *map(str, words)]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"},
        )

        def end() -> None:
            process.kill()
            process.communicate()

        self.addCleanup(end)
        return process

    def dstwist(self, *words: str | Path) -> str:
        """
        What a command says that succeeds.
        """
        process = self.popen(*words)
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, out + err)
        return out + err

    def busy(self) -> tuple[Server, list[Writer]]:
        """
        A server to which clients write.
        """
        server = self.server(self.data_dir)
        writers = [Writer(server.port, number) for number in range(3)]
        for writer in writers:
            writer.start()
            self.addCleanup(writer.stop)
        self.wait(lambda: all(min(writer.acknowledged.values(), default=0) > 2 for writer in writers))
        return server, writers

    def acknowledged(self, writers: list[Writer]) -> dict[str, int]:
        return {name: version for writer in writers for name, version in list(writer.acknowledged.items())}

    def wait(self, condition: object) -> None:
        ends = time.monotonic() + PATIENCE
        while not condition():  # type: ignore[operator]
            self.assertLess(time.monotonic(), ends)
            time.sleep(0.01)

    def test_backup(self) -> None:
        """
        A backup of a busy server has every record that was acknowledged before it began. The server goes on writing
        meanwhile. A server on the restored file serves the records.
        """
        server, writers = self.busy()
        before = self.acknowledged(writers)
        self.dstwist("backup", "--data-dir", self.data_dir, "copy.sqlite")
        self.wait(lambda: self.acknowledged(writers)["record1/0"] > before["record1/0"] + 1)
        for writer in writers:
            writer.stop()
        self.assertEqual(server.take_trouble(), [])
        server.kill()
        later = self.acknowledged(writers)
        restored = self.directory / "restored"
        self.dstwist("restore", "--data-dir", restored, "copy.sqlite")
        second = self.server(restored)
        reader = RawClient(second.port, "v4", "reader")
        self.addCleanup(reader.close)
        for name, version in before.items():
            answer = reader.answer(Message(Topic.RECORD, RecordAction.READ, name), RecordAction.READ_RESPONSE)
            found = answer.version
            assert found is not None
            self.assertLessEqual(version, found, name)
            self.assertLessEqual(found, later[name] + 1, name)
            self.assertEqual(json.loads(answer.data or b"")["n"], found, name)
        second.stop()
        # What was there is kept, and a second restore replaces what the server has written.
        self.assertIn("The file that was there is", self.dstwist("restore", "--data-dir", restored, "copy.sqlite"))

    def test_export(self) -> None:
        """
        An export of a busy server has every record that was acknowledged before it began, each with its version or a
        later one, and with the data of that version. The records go to another data directory by import.
        """
        server, writers = self.busy()
        before = self.acknowledged(writers)
        self.dstwist("export", "--data-dir", self.data_dir, "copy.jsonl.gz")
        for writer in writers:
            writer.stop()
        found: dict[str, Record] = {}
        with gzip.open(self.directory / "copy.jsonl.gz") as stream:
            self.assertEqual(stream.readline(), HEADER)
            for line in stream:
                record = read_line(line)
                if record is not None:
                    self.assertNotIn(record[0], found)
                    found[record[0]] = record[1]
        self.assertEqual(found.keys(), before.keys())
        for name, version in before.items():
            self.assertGreaterEqual(found[name].version, version, name)
            self.assertEqual(found[name].data["n"], found[name].version, name)
        imported = self.directory / "imported"
        self.assertIn(f"{len(found)} records written", self.dstwist("import", "-d", imported, "copy.jsonl.gz"))
        second = self.server(imported)
        reader = RawClient(second.port, "v4", "reader")
        self.addCleanup(reader.close)
        answer = reader.answer(Message(Topic.RECORD, RecordAction.READ, LARGE), RecordAction.READ_RESPONSE)
        self.assertEqual((answer.version, json.loads(answer.data or b"")), (found[LARGE].version, found[LARGE].data))
        second.stop()
        self.assertEqual(server.take_trouble(), [])

    def test_server_in_the_way(self) -> None:
        """
        While a server runs, nothing is restored or imported, and the server is not disturbed.
        """
        server = self.server(self.data_dir)
        self.dstwist("backup", "--data-dir", self.data_dir, "copy.sqlite")
        self.dstwist("export", "--data-dir", self.data_dir, "copy.jsonl")
        for words in (("restore", "copy.sqlite"), ("import", "copy.jsonl")):
            process = self.popen(*words, "--data-dir", self.data_dir)
            _, err = process.communicate(timeout=PATIENCE)
            self.assertEqual(process.returncode, 1)
            self.assertIn("is in use by another dstwist", err)
        server.stop()

    def records(self) -> dict[str, int]:
        """
        The versions of the records in the data directory; none if there is no table yet.
        """
        connection = sqlite3.connect(self.data_dir / "records.sqlite")
        try:
            return dict(connection.execute("SELECT name, version FROM records"))
        except sqlite3.OperationalError:
            return {}
        finally:
            connection.close()

    def killed_import(self, *options: str) -> dict[str, int]:
        """
        An import that is killed in the middle, with a state file.

        @return: the versions of all records in the file.
        """
        versions = {f"name{number}": number % 9 for number in range(IMPORTED)}
        with open(self.directory / "in.jsonl", "wb") as file:
            file.write(HEADER)
            file.writelines(line_of(name, Record(version, {"a": name})) for name, version in versions.items())
            file.write(END)
        state = self.directory / "state"
        process = self.popen("import", "-d", self.data_dir, "in.jsonl", "--state", "state", *options)
        self.wait(lambda: state.exists() and json.loads(state.read_text())["line"] > 3000)
        process.kill()
        process.wait()
        count = len(self.records())
        self.assertGreater(count, 3000 - 2)
        self.assertLess(count, IMPORTED)
        return versions

    def test_killed_import(self) -> None:
        """
        An import that was killed goes on when it is started again, behind the lines that are done.
        """
        versions = self.killed_import()
        done = json.loads((self.directory / "state").read_text())["line"]
        said = self.dstwist("import", "-d", self.data_dir, "in.jsonl", "--state", "state")
        self.assertEqual(self.records(), versions)
        (written,) = re.findall(r"^(\d+) records written", said, re.MULTILINE)
        self.assertLessEqual(int(written), IMPORTED + 1 - done)
        self.assertFalse((self.directory / "state").exists())

    def test_killed_import_without_state(self) -> None:
        """
        Without the state file, it skips the records that are there.
        """
        versions = self.killed_import()
        count = len(self.records())
        said = self.dstwist("import", "-d", self.data_dir, "in.jsonl")
        self.assertEqual(self.records(), versions)
        self.assertIn(f"{IMPORTED - count} records written. {count} skipped", said)

    def test_interrupted(self) -> None:
        """
        Ctrl-C ends an import at once, also while it waits for its input, and says so.
        """
        command = [sys.executable, "-P", "-m", "dstwist", "import", "-d", str(self.data_dir), "-"]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self.addCleanup(process.kill)
        assert process.stdin is not None and process.stderr is not None
        process.stdin.write(HEADER)
        process.stdin.writelines(line_of(f"name{number}", Record(1, {})) for number in range(BATCH_RECORDS))
        process.stdin.flush()
        self.wait(lambda: (self.data_dir / "records.sqlite-wal").exists() and len(self.records()) == BATCH_RECORDS)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, err), (130, b"\nInterrupted.\n"))
