"""
The log of a real server: lines of JSON in a file, priorities in the journal of systemd, and a new level on SIGHUP.
"""

from __future__ import annotations

import json
import os
import re
import signal
from typing import Any

from tests.e2e.raw import RawClient
from tests.e2e.test_process import TWISTD, ProcessTestCase

# No test can read the log of the system, so the output gets the messages.
SYSLOG = """
import os, syslog
def write(priority, text):
    os.write(1, f"{priority}|{text}\\n".encode())
syslog.syslog = write
"""


class LogTests(ProcessTestCase):
    """
    What is in the log file, or in the file that stands for the journal.
    """

    def config(self, text: str) -> str:
        path = self.directory / "config.yml"
        path.write_text(text)
        return str(path)

    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def test_json(self) -> None:
        """
        In the background, each line of the log file is an object: those of dstwist and those of Twisted, also after the
        file was moved. The client is in fields of its own, and the process is the one that runs.
        """
        config = self.config("logger: {name: pino}")
        done = self.daemon(*self.words("--config", config))
        self.assertEqual(done.returncode, 0, done.stderr)
        pid = int(self.pid_file.read_text())
        client = RawClient(self.port, "v4", "ann")
        self.wait_for(lambda: "AUTH_SUCCESSFUL" in self.log.read_text())
        client.close()
        (line,) = [line for line in self.objects() if line.get("event") == "AUTH_SUCCESSFUL"]
        self.assertEqual((line["level"], line["pid"]), (30, pid))
        self.assertEqual((line["user"], line["address"], line["path"]), ("ann", "127.0.0.1", "/deepstream"))
        self.assertEqual(line["message"], f"ann (127.0.0.1, /deepstream, #{line['connection']})")
        messages = {line["message"] for line in self.objects()}
        self.assertIn("dstwist started", messages)
        self.assertTrue(any(text.startswith("twistd ") for text in messages), messages)

        self.log.rename(self.directory / "moved.log")
        os.kill(pid, signal.SIGUSR1)
        self.wait_for(self.log.exists)
        os.kill(pid, signal.SIGTERM)
        self.wait_for(lambda: not self.pid_file.exists())
        self.assertIn("dstwist stopped", {line["message"] for line in self.objects()})

    def test_journal(self) -> None:
        """
        If the output of the server is the journal, each line begins with a priority, and has no time. SIGHUP changes
        the level; a level that is none changes nothing, and is an error in the log.
        """
        self.log.touch()
        found = self.log.stat()
        self.environ["JOURNAL_STREAM"] = f"{found.st_dev}:{found.st_ino}"
        config = self.config("logLevel: INFO")
        process = self.started("--config", config)
        self.config("logLevel: LOUD")
        process.send_signal(signal.SIGHUP)
        self.wait_for(lambda: re.search(r"^<3>.* RELOAD \| .*stays: .*logLevel: expected", self.log.read_text(), re.M))
        self.config("logLevel: DEBUG")
        process.send_signal(signal.SIGHUP)
        self.wait_for(lambda: "RELOAD | logLevel: DEBUG" in self.log.read_text())
        RawClient(self.port, "v4", "ann").close()
        self.wait_for(lambda: "CLIENT_DISCONNECTED" in self.log.read_text())
        self.config("logLevel: WARN")
        process.send_signal(signal.SIGHUP)
        self.wait_for(lambda: "the log level is WARN now, it was DEBUG" in self.log.read_text())
        before = self.log.read_text()
        RawClient(self.port, "v4", "bob").close()
        process.send_signal(signal.SIGTERM)
        process.wait()
        self.assertNotIn("bob", self.log.read_text())
        for line in before.splitlines():
            self.assertRegex(line, r"^<[3467]>(\[|\t)")
        self.assertRegex(before, r"(?m)^<6>\[dstwist.lifecycle#info\] INFO \| dstwist started$")

    def test_syslog(self) -> None:
        """
        syslog gets objects, with their priorities.
        """
        config = self.config("logger: {type: json}")
        own = ["--nodaemon", f"--pidfile={self.pid_file}", "--syslog", "--prefix=dstwist"]
        process = self.foreground(*own, *self.words("--config", config), program=SYSLOG + TWISTD)
        self.wait_for(lambda: "dstwist started" in self.log.read_text() or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(), 0)
        lines = [line.split("|", 1) for line in self.log.read_text().splitlines()]
        found = {(priority, json.loads(text)["message"]) for priority, text in lines}
        self.assertTrue({("6", "dstwist started"), ("6", "Server Shut Down.")} <= found, found)

    def test_refused(self) -> None:
        """
        The reason why the server does not start is an error in the journal.
        """
        self.log.touch()
        found = self.log.stat()
        self.environ["JOURNAL_STREAM"] = f"{found.st_dev}:{found.st_ino}"
        process = self.foreground(*self.words("--config", self.config("logLevel: LOUD\nshowLogo: 7")))
        self.assertEqual(process.wait(), 78)
        lines = self.log.read_text().splitlines()
        self.assertTrue(lines[0].startswith("<3>dstwist: "), lines)
        self.assertGreater(len(lines), 1)
        self.assertTrue(all(line.startswith("<3>") for line in lines), lines)
