"""
A real server: C{twistd -n dstwist} of this checkout, in a process of its own.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.e2e.certificates import Certificates
from tests.e2e.free_port import free_port

CHECKOUT = Path(__file__).resolve().parent.parent.parent

# How long anything may take that is waited for. Only a failing test takes it. On a busy machine a process may stand
# still for many seconds, and a server that starts in two seconds may need twenty.
PATIENCE = 60.0

# On Linux the server dies with the test run, however that ends (1 is PR_SET_PDEATHSIG).
_TWISTD = """
import sys
if sys.platform == "linux":
    import ctypes, signal
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
%s
from twisted.scripts.twistd import run
run()
"""

#: Texts that a log must not contain: the traces of bugs in dstwist.
TROUBLE = re.compile(r"Traceback|Unhandled|CRITICAL|#critical|#error|Exception")


class ServerFailed(Exception):
    """
    The server did not do what it was asked to; the text has its log.
    """


class LoggedProcess:
    """
    One process of a server at a time. A thread collects its output.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._changed = threading.Condition()
        self._lines: list[str] = []
        self._ended = False

    @property
    def pid(self) -> int:
        """
        The process that runs.
        """
        return self._started().pid

    @property
    def log(self) -> str:
        """
        What the server has logged since it was started last.
        """
        with self._changed:
            return "\n".join(self._lines)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def status(self) -> int | None:
        """
        How the process ended: its exit status, or minus the number of the signal that ended it. C{None} while it runs.
        """
        return None if self._process is None else self._process.poll()

    def wait_for_line(self, text: str, count: int = 1) -> None:
        """
        Come back when C{count} lines with C{text} have been logged.
        """

        def there() -> bool:
            return sum(text in line for line in self._lines) >= count

        with self._changed:
            self._changed.wait_for(lambda: there() or self._ended, PATIENCE)
            if not there():
                raise ServerFailed(f"{text!r} was not logged.\n" + "\n".join(self._lines))

    def wait_for_end(self) -> int:
        """
        Come back when the process has ended by itself; its exit status, negative if a signal has ended it.
        """
        try:
            status = self._started().wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise ServerFailed(f"The server does not end.\n{self.log}") from None
        self._read_to_the_end()
        return status

    def kill(self) -> None:
        """
        End the process at once, if there is one.
        """
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._read_to_the_end()

    def _run(self, command: Sequence[str], environ: Mapping[str, str] | None = None) -> None:
        self._lines, self._ended = [], False
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environ
        )
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServerFailed("The server was not started.")
        return self._process

    def _read_to_the_end(self) -> None:
        """
        Come back when all that the last process has said is in the log: nothing of it gets into that of the next one.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ended, PATIENCE)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with self._changed:
                self._lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self._changed.notify_all()
        process.stdout.close()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class Server(LoggedProcess):
    """
    One server process at a time, and the port it has.

    @param prefix: what stands before its endpoint: C{"haproxy:"}.
    @param tls: more of its TLS, as C{--listen} has it: C{":minVersion=TLSv1.3"}.
    @param before: what its process runs first, in Python.
    @param checkout: the directory that the server is run from: this checkout, or another one.
    @ivar url: where its clients connect to, without a path.
    """

    def __init__(
        self,
        certificates: Certificates | None = None,
        config: Path | None = None,
        data_dir: Path | None = None,
        tls: str = "",
        prefix: str = "",
        before: str = "",
        checkout: Path = CHECKOUT,
    ) -> None:
        super().__init__()
        self._certificates = certificates
        self._tls = tls
        self._prefix = prefix
        self._program = _TWISTD % before
        self._config = config
        self._data_dir = data_dir
        self._checkout = checkout
        self._port = free_port()
        self._seen = 0

    @property
    def url(self) -> str:
        return f"{'wss' if self._certificates else 'ws'}://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        return self._port

    def start(self) -> None:
        """
        Start, and come back when clients can connect. Started again, it has the same port.
        """
        self.launch()
        self.wait_until_started()

    def wait_until_started(self) -> None:
        """
        Come back when clients can connect.
        """
        self.wait_for_line("dstwist started")

    def launch(self) -> None:
        """
        Start the process, and come back at once.
        """
        tls = self._certificates
        endpoint = f"tcp:{self._port}:interface=127.0.0.1"
        if tls is not None:
            endpoint = f"tls:{self._port}:interface=127.0.0.1:privateKey={tls.key}:certKey={tls.chain}{self._tls}"
        endpoint = self._prefix + endpoint
        # -P: the modules come from the checkout, not from the working directory.
        command = [sys.executable, "-P", "-c", self._program, "--nodaemon", "--pidfile="]
        command += ["dstwist", "--listen", endpoint]
        if self._config is not None:
            command += ["--config", str(self._config)]
        if self._data_dir is not None:
            command += ["--data-dir", str(self._data_dir)]
        self._seen = 0
        self._run(command, _environment(os.environ, self._checkout))

    def pause(self) -> None:
        """
        Stop the process with SIGSTOP: its connections stay open, and nothing is answered.
        """
        self._started().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """
        End a L{pause}.
        """
        self._started().send_signal(signal.SIGCONT)

    def reload(self) -> None:
        """
        Have the server read its configuration again, as C{systemctl reload} does.
        """
        self._started().send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """
        Ask the server to stop, as systemd would, and come back when it has done so in good order.
        """
        process = self._started()
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(PATIENCE)
            self.wait_for_line("Server Shut Down")
            self._read_to_the_end()
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise ServerFailed(f"The server did not stop on SIGTERM.\n{self.log}") from None
        finally:
            self._process = None
        if status != 0 or "dstwist stopped" not in self.log:
            raise ServerFailed(f"The server ended with {status}.\n{self.log}")

    def take_trouble(self, expected: re.Pattern[str] | None = None) -> list[str]:
        """
        The lines of the log that tell of a mistake of the server's own, and what follows each; every line only once.

        @param expected: matches lines that are no trouble.
        """
        with self._changed:
            fresh, self._seen = self._lines[self._seen :], len(self._lines)
        if expected is not None:
            fresh = [line for line in fresh if not expected.search(line)]
        first = next((number for number, line in enumerate(fresh) if TROUBLE.search(line)), len(fresh))
        return fresh[first : first + 40]


def _environment(environ: Mapping[str, str], checkout: Path) -> dict[str, str]:
    return {**environ, "PYTHONPATH": str(checkout), "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
