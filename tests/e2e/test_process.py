"""
The process of a real server: signals, the start in the background, the end, and the port meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.free_port import free_port
from tests.e2e.raw import RawClient
from tests.e2e.server import CHECKOUT, PATIENCE

# The pause between two looks at a process. Only a failing test waits for long.
STEP = 0.02

#: It begins first.
LENGTHY = True

TWISTD = "import sys; from twisted.scripts.twistd import run; run()"
COMMAND = "from dstwist.__main__ import main; main()"

# The signals that are not to end a server, and a program that sends itself all of them as soon as it holds them.
HARMLESS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
HOLDING = """
import os
from dstwist.process import signals
hold = signals.hold
def held():
    hold()
    for number in (1, 10, 12):
        os.kill(os.getpid(), number)
    print("held", flush=True)
signals.hold = held
"""


# A server that waits for a minute for clients that do not answer its close. By itself it ends after two seconds, and a
# busy machine may take longer to look at it.
LINGERING = """
from dstwist.transports import closing_link
closing_link.CLOSE_TIMEOUT = 60
"""


def get(port: int, path: str, *headers: tuple[str, str]) -> tuple[int, str]:
    """
    Status and body of a GET.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers=dict(headers))
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8").strip()
    finally:
        connection.close()


def upgrade(port: int) -> int:
    """
    The status of a request for a WebSocket.
    """
    return get(port, "/deepstream", ("Upgrade", "websocket"), ("Connection", "Upgrade"))[0]


class ProcessTestCase(SynchronousTestCase):
    """
    Processes in a directory of their own; none is left.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.port = free_port()
        self.log = self.directory / "d.log"
        self.pid_file = self.directory / "d.pid"
        self.addCleanup(self.end_daemon)
        self.environ = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"}
        self.environ["PYTHONUNBUFFERED"] = "1"

    def end_daemon(self) -> None:
        if self.pid_file.exists():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(self.pid_file.read_text()), signal.SIGKILL)

    def wait_for(self, there: Callable[[], object]) -> None:
        """
        Return when C{there} is true.
        """
        ends = time.monotonic() + PATIENCE
        while not there():
            if time.monotonic() > ends:
                self.fail(f"it does not happen\n{self.log.read_text() if self.log.exists() else ''}")
            time.sleep(STEP)

    def configured(self, text: str = "logLevel: INFO") -> str:
        path = self.directory / "config.yml"
        path.write_text(f"{text}\n")
        return str(path)

    def words(self, *more: str, port: int | None = None) -> list[str]:
        return ["dstwist", "--listen", f"tcp:{port or self.port}:interface=127.0.0.1", *more]

    def daemon(self, *more: str, name: str = "d") -> subprocess.CompletedProcess[str]:
        """
        Start in the background; return the outcome.
        """
        files = [f"--pidfile={self.directory / name}.pid", f"--logfile={self.directory / name}.log"]
        return subprocess.run(
            [sys.executable, "-P", "-c", TWISTD, *files, *more],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=self.environ,
            cwd=self.directory,
        )

    def foreground(self, *words: str, program: str = TWISTD, pid_file: bool = True) -> subprocess.Popen[str]:
        """
        A server in the foreground that logs into the file.
        """
        own = ["--nodaemon", f"--pidfile={self.pid_file if pid_file else ''}"] if program == TWISTD else []
        with open(self.log, "a") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", program, *own, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
                env=self.environ,
                cwd=self.directory,
            )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def started(self, *more: str, before: str = "") -> subprocess.Popen[str]:
        """
        One that is ready.

        @param before: what its process runs first, in Python.
        """
        own = ["--nodaemon", f"--pidfile={self.pid_file}"]
        process = self.foreground(*own, *self.words(*more), program=f"{before}\n{TWISTD}")
        self.wait_for(lambda: "dstwist started" in self.log.read_text() or process.poll() is not None)
        self.assertIsNone(process.poll(), self.log.read_text())
        return process


class SignalTests(ProcessTestCase):
    """
    Signals at any time.
    """

    def bombarded(self, program: str, *words: str) -> None:
        """
        Send the signals that are not to end the process, from the moment on when it can hold them, until it is ready.
        """
        process = self.foreground(*words, program=HOLDING + program)
        self.wait_for(lambda: "held" in self.log.read_text() or process.poll() is not None)
        while "dstwist started" not in self.log.read_text():
            for number in HARMLESS:
                process.send_signal(number)
            self.assertIsNone(process.poll(), self.log.read_text())
            time.sleep(STEP)
        self.wait_for(lambda: "RELOAD | logLevel" in self.log.read_text())
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            process.send_signal(number)
        self.assertEqual(get(self.port, "/health-check")[0], 200)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGHUP)
        self.assertEqual(process.wait(PATIENCE), 0)

    def test_early_twistd(self) -> None:
        """
        From the first instruction of the plug-in on, signals other than those to stop do not end the server. A server
        that gets SIGHUP before it is ready reloads when it is ready.
        """
        own = ["--nodaemon", f"--pidfile={self.pid_file}"]
        self.bombarded(TWISTD, *own, *self.words("--config", self.configured()))

    def test_early_command(self) -> None:
        """
        The same for the command C{dstwist start}.
        """
        where = ["--listen", f"tcp:{self.port}:interface=127.0.0.1", "--config", self.configured()]
        self.bombarded(COMMAND, "start", *where)

    def test_second_stop(self) -> None:
        """
        A second SIGTERM within a second changes nothing: the client has its time. One after that ends the server at
        once. The log says which signal it was, and no pid file is left.
        """
        process = self.started("--config", self.configured("shutdownTimeout: 60000"), before=LINGERING)
        client = RawClient(self.port, "v4", "ann")
        self.addCleanup(client.close)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        self.wait_for(lambda: "INFO | SIGTERM: dstwist is stopping" in self.log.read_text())
        time.sleep(0.2)
        self.assertIsNone(process.poll())
        time.sleep(0.9)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(PATIENCE), 143)
        self.assertFalse(self.pid_file.exists())

    def test_interrupt(self) -> None:
        """
        Ctrl-C stops the server in order, even if the terminal sends it twice.
        """
        process = self.started()
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(PATIENCE), 0)
        self.assertIn("INFO | SIGINT: dstwist is stopping", self.log.read_text())
        self.assertFalse(self.pid_file.exists())


class BackgroundTests(ProcessTestCase):
    """
    C{twistd} without C{--nodaemon}.
    """

    def stop(self) -> None:
        pid = int(self.pid_file.read_text())
        os.kill(pid, signal.SIGTERM)
        self.wait_for(lambda: not self.pid_file.exists())

    def assert_failed(self, done: subprocess.CompletedProcess[str], status: int, reason: str, name: str) -> None:
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(reason, done.stderr)
        self.assertTrue(done.stderr.startswith("dstwist: "), done.stderr)
        self.assertFalse((self.directory / f"{name}.pid").exists())

    def test_ready(self) -> None:
        """
        twistd returns when the server is ready.
        """
        done = self.daemon(*self.words("--data-dir", "data"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(get(self.port, "/ready"), (200, "ready"))
        self.stop()

    def test_trouble(self) -> None:
        """
        If the server cannot start, twistd returns with the reason: a taken port, a locked store, or a configuration
        that cannot be used. No pid file is left.
        """
        self.assertEqual(self.daemon(*self.words("--data-dir", "data")).returncode, 0)
        other = free_port()
        self.assert_failed(self.daemon(*self.words(), name="e"), 1, f"127.0.0.1:{self.port}", "e")
        done = self.daemon(*self.words("--data-dir", "data", port=other), name="e")
        self.assert_failed(done, 1, "records.sqlite is in use by another dstwist", "e")
        bad = self.directory / "bad.yml"
        bad.write_text("logLevel: LOUD\n")
        done = self.daemon(*self.words("--config", str(bad), port=other), name="e")
        self.assert_failed(done, 78, "logLevel", "e")
        done = self.daemon("dstwist", "--port", "0", name="e")
        self.assert_failed(done, 78, "--port must be a number", "e")
        self.stop()

    def test_not_writable(self) -> None:
        """
        A store that cannot be opened is reported in the same way.
        """
        (self.directory / "data" / "records.sqlite").mkdir(parents=True)
        done = self.daemon(*self.words("--data-dir", "data"))
        self.assert_failed(done, 1, "storage: ", "d")

    def own_store(self, start: str) -> list[str]:
        """
        The options for a server with a storage that starts as it is told.
        """
        (self.directory / "mine.py").write_text(
            "import os, signal\n"
            "from twisted.internet.defer import Deferred\n"
            "from zope.interface import implementer\n"
            "from dstwist.interfaces import IStore\n"
            "@implementer(IStore)\n"
            "class Mine:\n"
            "    def __init__(self, options, context):\n        pass\n"
            f"    def start(self):\n        {start}\n"
            "    def stop(self):\n        pass\n"
            "    def get(self, name):\n        pass\n"
            "    def set(self, name, version, data):\n        pass\n"
            "    def delete(self, name):\n        pass\n"
        )
        # No test waits that long: a server that is stopped does not either.
        config = "dependencyInitializationTimeout: 60000\nstorage: {path: 'mine.py:Mine'}\n"
        (self.directory / "own.yml").write_text(config)
        return ["--config", str(self.directory / "own.yml")]

    def test_killed(self) -> None:
        """
        If the server is killed before it is ready, twistd returns.
        """
        done = self.daemon(*self.words(*self.own_store("os.kill(os.getpid(), signal.SIGKILL)")))
        self.assert_failed(done, 1, "the server ended before it was ready", "d")

    def test_interrupted(self) -> None:
        """
        Ctrl-C while twistd waits stops the server.
        """
        files = [f"--pidfile={self.pid_file}", f"--logfile={self.log}"]
        words = self.own_store("return Deferred()")
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", TWISTD, *files, *self.words(*words)],
            stderr=subprocess.PIPE,
            text=True,
            env=self.environ,
            cwd=self.directory,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.wait_for(lambda: self.log.exists() and "dstwist version" in self.log.read_text())
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, said), (1, "dstwist: the server was stopped before it was ready\n"))
        self.assertFalse(self.pid_file.exists())
        self.assertIn("INFO | SIGINT: dstwist is stopping", self.log.read_text())

    def test_another_user(self) -> None:
        """
        With C{--uid}, missing files are created for that user: data directory, log, and the directory of the pid file.
        """
        if os.getuid() != 0:
            raise self.skipTest("needs root")
        self.open_to_all()
        where = self.directory / "new"
        words = [f"--pidfile={where}/run/d.pid", f"--logfile={where}/log/d.log", "--uid=65534", "--gid=65534"]
        self.pid_file = where / "run" / "d.pid"
        done = subprocess.run(
            [sys.executable, "-P", "-c", TWISTD, *words, *self.words("--data-dir", f"{where}/data")],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=self.environ,
            cwd="/",
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        for path in ("run", "log", "log/d.log", "data", "data/records.sqlite"):
            self.assertEqual((where / path).stat().st_uid, 65534, path)
        self.stop()

    def test_pid_file_of_root(self) -> None:
        """
        However the server ends, no pid file is left, even in a directory where that user cannot remove it.
        """
        if os.getuid() != 0:
            raise self.skipTest("needs root")
        self.open_to_all()
        self.pid_file = self.directory / "d.pid"
        for number in (signal.SIGTERM, signal.SIGKILL):
            done = self.daemon("--uid=65534", "--gid=65534", *self.words())
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.pid_file.stat().st_uid, 0)
            os.kill(int(self.pid_file.read_text()), number)
            self.wait_for(lambda: not self.pid_file.exists())
        self.assertNotIn("No permission to delete pid file", self.log.read_text())
        (self.directory / "data").mkdir()
        done = self.daemon("--uid=65534", "--gid=65534", *self.words("--data-dir", str(self.directory / "data")))
        self.assert_failed(done, 1, "storage: ", "d")

    def open_to_all(self) -> None:
        """
        Let every user reach the directory; it may be below one that other users cannot enter.
        """
        self.directory = Path(f"/tmp/dstwist-test-{os.getpid()}")
        self.directory.mkdir(mode=0o755)
        self.addCleanup(subprocess.run, ["rm", "-r", str(self.directory)])
        self.log = self.directory / "d.log"


class ForegroundTests(ProcessTestCase):
    """
    C{twistd --nodaemon}, if the server cannot start.
    """

    def test_no_pid_file(self) -> None:
        """
        The status is 1, or 78 for the configuration, and no pid file is left.
        """
        with socket.create_server(("127.0.0.1", self.port)):
            self.assertEqual(self.foreground(*self.words()).wait(PATIENCE), 1)
        self.assertIn(f"Couldn't listen on 127.0.0.1:{self.port}", self.log.read_text())
        self.assertFalse(self.pid_file.exists())
        (self.directory / "data" / "records.sqlite").mkdir(parents=True)
        self.assertEqual(self.foreground(*self.words("--data-dir", "data")).wait(PATIENCE), 1)
        self.assertFalse(self.pid_file.exists())
        self.assertEqual(self.foreground("dstwist", "--port", "many").wait(PATIENCE), 78)


class PortTests(ProcessTestCase):
    """
    The port, while the server starts and stops.
    """

    def test_locked_store(self) -> None:
        """
        A server whose store cannot be opened never accepts a connection.
        """
        data = str(self.directory / "data")
        self.started("--data-dir", data)
        port, accepted = free_port(), 0
        process = self.foreground(*self.words("--data-dir", data, port=port), pid_file=False)
        while process.poll() is None:
            with socket.socket() as client:
                accepted += client.connect_ex(("127.0.0.1", port)) == 0
        self.assertEqual((process.returncode, accepted), (1, 0))

    def test_stop(self) -> None:
        """
        While the server stops it still answers: that it lives, that it is not ready, and that there are no more
        WebSockets.
        """
        more = ["--data-dir", str(self.directory / "data"), "--config", self.configured("shutdownTimeout: 60000")]
        process = self.started(*more, before=LINGERING)
        client = RawClient(self.port, "v4", "ann")
        self.addCleanup(client.close)
        self.assertEqual(get(self.port, "/ready"), (200, "ready"))
        process.send_signal(signal.SIGTERM)
        self.wait_for(lambda: "dstwist is stopping" in self.log.read_text())
        self.assertEqual(get(self.port, "/ready"), (503, "not ready: the server is stopping"))
        self.assertEqual(get(self.port, "/health-check"), (200, ""))
        self.assertEqual(upgrade(self.port), 503)
        client.close()
        self.assertEqual(process.wait(PATIENCE), 0)

    def test_store_away(self) -> None:
        """
        While its file is away the server is not ready; when it is back, it is.
        """
        data = self.directory / "data"
        self.started("--data-dir", str(data))
        os.rename(data / "records.sqlite", data / "away")
        self.wait_for(lambda: get(self.port, "/ready") == (503, "not ready: the storage cannot write"))
        self.assertEqual(get(self.port, "/health-check"), (200, ""))
        os.rename(data / "away", data / "records.sqlite")
        self.wait_for(lambda: get(self.port, "/ready") == (200, "ready"))

    def test_open_files(self) -> None:
        """
        The limit of open files is raised to the hard one.
        """
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        program = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, min({hard}, 4000)))\n{TWISTD}"
        own = ["--nodaemon", f"--pidfile={self.pid_file}"]
        process = self.foreground(*own, *self.words(), program=program)
        self.wait_for(lambda: "dstwist started" in self.log.read_text() or process.poll() is not None)
        self.assertIn("open files: 4000 at most, which allows 3900 connections", self.log.read_text())

    def test_crash(self) -> None:
        """
        At a start after a crash, the log says so, and how many records there are.
        """
        data = str(self.directory / "data")
        process = self.started("--data-dir", data)
        self.assertIn("synchronous full: a new file", self.log.read_text())
        process.kill()
        process.wait()
        self.log.unlink()
        self.started("--data-dir", data)
        self.assertIn("records.sqlite was not closed", self.log.read_text())
        self.assertIn("synchronous full: 0 records", self.log.read_text())
