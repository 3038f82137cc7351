"""
A real server and the file in which it keeps records.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from tests.e2e.raw import RawClient
from tests.e2e.server import CHECKOUT, PATIENCE, Server

TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]


class StorageTests(SynchronousTestCase):
    """
    Processes that share a data directory, one after the other or not.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()

    def server(self) -> Server:
        server = Server(data_dir=self.directory)
        self.addCleanup(server.kill)
        return server

    def twistd(self, *words: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [*TWISTD, *words], capture_output=True, text=True, timeout=PATIENCE, env=environ, cwd=self.directory
        )

    def write(self, port: int) -> None:
        client = RawClient(port, "v4", "ann")
        self.addCleanup(client.close)
        request = Message(
            Topic.RECORD,
            RecordAction.CREATEANDUPDATE,
            "a",
            b'{"b":1}',
            version=-1,
            is_write_ack=True,
            correlation_id="1",
        )
        client.say(request)
        while all(message.action is not RecordAction.WRITE_ACKNOWLEDGEMENT for message in client.hear()):
            pass

    def read(self, port: int) -> Message:
        client = RawClient(port, "v4", "bob")
        self.addCleanup(client.close)
        request = Message(Topic.RECORD, RecordAction.READ, "a")
        return client.answer(request, RecordAction.READ_RESPONSE, RecordAction.RECORD_NOT_FOUND)

    def test_restart(self) -> None:
        """
        What was written before an orderly stop is there after it.
        """
        server = self.server()
        server.start()
        self.assertIn(f"storage ready: sqlite {self.directory}/records.sqlite, synchronous full", server.log)
        self.write(server.port)
        server.stop()
        server.start()
        found = self.read(server.port)
        self.assertEqual((found.version, found.data), (1, b'{"b":1}'))
        server.stop()

    def test_log_deleted(self) -> None:
        """
        The write-ahead log is deleted while the server is busy, again and again, and the server is killed: nothing that
        it has acknowledged is lost, no write fails, and the log says what happened.
        """
        server = self.server()
        server.start()
        client = RawClient(server.port, "v4", "ann")
        version = 0
        for _ in range(3):
            for end in ("-wal", "-shm"):
                (self.directory / f"records.sqlite{end}").unlink()
            for _ in range(20):
                version = self.update(client, version + 1)
        server.wait_for_line("STORAGE_FILE | storage", 3)
        server.kill()
        server.start()
        self.assertEqual(self.read(server.port).version, version)
        server.stop()

    def test_log_truncated(self) -> None:
        """
        From the moment on that the write-ahead log is truncated, no client of either generation has a write
        acknowledged, and the log says why. A server that is killed then starts with what is left.
        """
        server = self.server()
        server.start()
        client = RawClient(server.port, "v4", "ann")
        for version in range(1, 6):
            self.update(client, version)
        os.truncate(self.directory / "records.sqlite-wal", 0)
        for number, generation in enumerate(("v3", "v4", "v4")):
            writer = RawClient(server.port, generation, "eve")
            self.addCleanup(writer.close)
            writer.say(self.write_of(f"new{number}", 1))
            self.assertEqual(self.outcome(writer), RecordAction.RECORD_UPDATE_ERROR)
        server.wait_for_line("records.sqlite-wal was truncated or overwritten while the server runs")
        server.kill()
        server.start()
        self.assertIs(self.read(server.port).action, RecordAction.RECORD_NOT_FOUND)
        client = RawClient(server.port, "v4", "ann")
        self.update(client, 1)
        server.kill()
        server.start()
        self.assertEqual(self.read(server.port).version, 1)
        server.stop()

    def test_file_moved(self) -> None:
        """
        From the moment on that the directory is moved, no client of either generation has a write acknowledged. When
        the directory is back, writes go on.
        """
        server = self.server()
        server.start()
        client = RawClient(server.port, "v4", "ann")
        self.assertEqual(self.update(client, 1), 1)
        moved = self.directory.with_suffix(".moved")
        self.directory.rename(moved)
        for number, generation in enumerate(("v3", "v4")):
            writer = RawClient(server.port, generation, "eve")
            writer.say(self.write_of(f"new{number}", 1))
            self.assertEqual(self.outcome(writer), RecordAction.RECORD_UPDATE_ERROR)
        server.wait_for_line("has been moved or deleted; nothing is written until the file is put back")
        moved.rename(self.directory)
        while True:
            # The unresolved record is asked for again after a second; another one is not.
            client.say(self.write_of("another", 1))
            if self.outcome(client) is not RecordAction.RECORD_UPDATE_ERROR:
                break
        server.kill()

    def test_disk_full(self) -> None:
        """
        A disk that is full damages nothing: writes fail, reads and the server go on, what was acknowledged is there
        after a kill, and the file is sound.
        """
        limit = 600_000
        server = Server(
            data_dir=self.directory, before=f"import resource as r; r.setrlimit(r.RLIMIT_FSIZE, ({limit}, {limit}))"
        )
        self.addCleanup(server.kill)
        server.start()
        client = RawClient(server.port, "v4", "ann")
        acknowledged = refused = 0
        for number in range(60):
            client.say(self.write_of(f"record{number}", 1, b'{"a":"' + b"x" * 20_000 + b'"}'))
            if self.outcome(client) is RecordAction.WRITE_ACKNOWLEDGEMENT:
                acknowledged += 1
                self.assertEqual(refused, 0)
            else:
                refused += 1
        self.assertGreater(acknowledged, 5)
        self.assertGreater(refused, 5)
        server.kill()
        self.assertEqual(self.sound(), acknowledged)

    def sound(self) -> int:
        """
        How many records the file has; it must be sound.
        """
        connection = sqlite3.connect(self.directory / "records.sqlite")
        self.assertEqual(connection.execute("PRAGMA integrity_check").fetchone(), ("ok",))
        (count,) = connection.execute("SELECT count(*) FROM records").fetchone()
        connection.close()
        return int(count)

    def write_of(self, name: str, version: int, data: bytes = b'{"b":1}') -> Message:
        action = RecordAction.CREATEANDUPDATE
        return Message(
            Topic.RECORD,
            action,
            name,
            data,
            version=version if version > 1 else -1,
            is_write_ack=True,
            correlation_id="1",
        )

    def outcome(self, client: RawClient) -> RecordAction:
        """
        What comes of the write that C{client} has asked for.
        """
        wanted = (RecordAction.WRITE_ACKNOWLEDGEMENT, RecordAction.RECORD_UPDATE_ERROR)
        while True:
            for message in client.hear():
                if message.action in wanted:
                    return RecordAction(message.action)

    def update(self, client: RawClient, version: int) -> int:
        """
        Write the next version of the record, which must be acknowledged.
        """
        client.say(self.write_of("a", version))
        self.assertIs(self.outcome(client), RecordAction.WRITE_ACKNOWLEDGEMENT)
        return version

    def test_second_server(self) -> None:
        """
        A second server on the same directory ends with status 1 and the reason, and the first one is not disturbed.
        """
        server = self.server()
        server.start()
        words = ["--nodaemon", "--pidfile=", "dstwist", "--listen", "tcp:0:interface=127.0.0.1"]
        done = self.twistd(*words, "--data-dir", str(self.directory))
        self.assertEqual(done.returncode, 1, done.stdout)
        path = f"{self.directory}/records.sqlite"
        reason = (
            f"PLUGIN_INITIALIZATION_ERROR | storage: {path} is in use by another dstwist, which has locked {path}.lock"
        )
        self.assertIn(reason, done.stdout)
        self.assertNotIn("dstwist started", done.stdout)
        self.assertNotIn("Traceback", done.stdout + done.stderr)
        self.write(server.port)
        server.stop()

    def test_daemon(self) -> None:
        """
        A server that twistd puts into the background keeps records as well: nothing is opened before it forks.
        """
        pid_file, log_file = self.directory / "twistd.pid", self.directory / "twistd.log"
        done = self.twistd(
            f"--pidfile={pid_file}",
            f"--logfile={log_file}",
            "dstwist",
            "--listen",
            "tcp:0:interface=127.0.0.1",
            "--data-dir",
            str(self.directory),
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        log = self.wait_for(log_file, "dstwist started")
        pid = int(pid_file.read_text())
        try:
            port = int(re.findall(r"Listening for http connections on 127.0.0.1:(\d+)", log)[0])
            self.write(port)
            self.assertEqual(self.read(port).version, 1)
        finally:
            os.kill(pid, signal.SIGTERM)
            log = self.wait_for(log_file, "Server Shut Down")
        self.assertIn("dstwist stopped", log)
        self.assertNotIn("Traceback", log)

    def wait_for(self, log_file: Path, text: str) -> str:
        late = time.monotonic() + PATIENCE
        while time.monotonic() < late:
            if log_file.exists() and text in (log := log_file.read_text()):
                return log
            time.sleep(0.05)
        raise AssertionError(f"{text!r} was not logged:\n{log_file.read_text() if log_file.exists() else ''}")
