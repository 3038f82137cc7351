"""
A real server and the file in which it keeps records.
"""

from __future__ import annotations

import os
import re
import signal
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
