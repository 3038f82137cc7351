"""
C{dstwist admin} at a real server.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from tests.e2e.free_port import free_port
from tests.e2e.raw import RawClient
from tests.e2e.server import CHECKOUT, PATIENCE, Server

COMMAND = [sys.executable, "-P", "-c", "from dstwist.__main__ import main; main()", "admin"]

TOKEN = "a-token-for-this-test"

RECORD = Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=("car",), correlation_id="1")


class AdminTests(SynchronousTestCase):
    """
    A server with a data directory, and the command as an operator types it.
    """

    def setUp(self) -> None:
        # The paths of trial are too long for sockets.
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        config = self.directory / "config.yml"
        self.port = free_port()
        config.write_text(f"admin: {{listen: 'tcp:{self.port}:interface=127.0.0.1', token: {TOKEN}}}\n")
        self.data = self.directory / "data"
        self.server = Server(config=config, data_dir=self.data)
        self.addCleanup(self.server.kill)
        self.server.start()

    def client(self, user: str) -> RawClient:
        client = RawClient(self.server.port, "v4", user)
        self.addCleanup(client.close)
        return client

    def run_admin(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *words],
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def admin(self, *words: str, place: tuple[str, ...] | None = None) -> str:
        """
        The output of a command that succeeds.
        """
        done = self.run_admin(*words, *(place or ("--data-dir", str(self.data))))
        self.assertEqual((done.returncode, done.stderr), (0, ""), words)
        return done.stdout

    def test_commands(self) -> None:
        """
        An operator sees clients and records, and closes the connections of a user. When the server has stopped, its
        socket is gone.
        """
        path = self.data / "admin.sock"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        ann = self.client("ann")
        ann.answer(RECORD, RecordAction.READ_RESPONSE)
        ann.say(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("news",), correlation_id="2"))
        ann.hear()
        status = json.loads(self.admin("status", "--json"))
        self.assertEqual((status["pid"], status["connections"], status["ready"]), (self.server.pid, 1, True))
        self.assertIn("ann", self.admin("clients"))
        self.assertIn("ann", self.admin("subscriptions", "news"))
        self.assertIn("version 0", self.admin("records", "car", place=("--socket", str(path))))
        self.assertEqual(self.admin("reload"), "reloaded\n")
        self.assertEqual(self.admin("log-level", "debug"), "DEBUG; before: INFO\n")
        self.assertEqual(self.admin("kick", "ann"), "closed: 1\n")
        self.server.wait_for_line("KICKED | ann")
        self.server.stop()
        self.assertFalse(path.exists())
        self.assertEqual(self.server.take_trouble(), [])
        failed = self.run_admin("status", "--data-dir", str(self.data))
        self.assertEqual(
            (failed.returncode, failed.stderr), (1, f"no server answers at {path}: No such file or directory\n")
        )

    def test_trace(self) -> None:
        """
        An operator sees the messages of a user, without their data, until the command ends.
        """
        ann = self.client("ann")
        process = subprocess.Popen(
            [*COMMAND, "trace", "ann", "--json", "--data-dir", str(self.data)],
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        self.addCleanup(process.stdout.close)
        while json.loads(process.stdout.readline()).get("event") != "connected":
            pass
        ann.say(Message(Topic.EVENT, EventAction.EMIT, "news", b'"secret"'))
        row = json.loads(process.stdout.readline())
        self.assertEqual((row["direction"], row["name"], row["data"]), ("in", "news", "<8 bytes>"))
        process.terminate()
        process.wait(PATIENCE)
        ann.answer(RECORD, RecordAction.READ_RESPONSE)
        self.assertEqual(self.server.take_trouble(), [])

    def test_token(self) -> None:
        """
        At the TCP endpoint, the command needs the token.
        """
        token = self.directory / "token"
        token.write_text(f"{TOKEN}\n")
        url = f"http://127.0.0.1:{self.port}"
        failed = self.run_admin("status", "--url", url)
        self.assertEqual((failed.returncode, failed.stderr), (1, "the token is missing, or is another one\n"))
        self.assertIn("ready", self.admin("status", place=("--url", url, "--token-file", str(token))))

    def test_killed(self) -> None:
        """
        The socket of a server that was killed does not prevent the next one's.
        """
        self.server.kill()
        self.assertTrue((self.data / "admin.sock").exists())
        self.server.start()
        self.assertIn("ready", self.admin("status"))
