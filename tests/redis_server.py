"""
Real Redis servers for tests and for plain scripts: each is a process of its own, with a directory and ports of its own.

A script calls the methods as they are; each returns when the server has done it. A test that uses the real reactor
runs the ones that wait in a thread, so that its own connections go on meanwhile::

    server = RedisServer(durable=True)
    self.addCleanup(server.destroy)
    await start_in_thread(server)       # Popen here, the wait in a thread
    ...
    server.kill()                       # SIGKILL, as a crash
    await start_in_thread(server)       # the same port, the data of the append-only file

Tests look into a server with L{RedisServer.command}, over a unix socket of the server's own. It has no part in common
with the connection that the tests are about.
"""

from __future__ import annotations

import atexit
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.e2e.certificates import Certificates
from tests.e2e.free_port import free_port

#: How long anything may take that is waited for, in seconds. Only a failing test takes it.
PATIENCE = 120.0

#: The user of the tests' own connection, where a server has an ACL file.
_CONTROLLER = "user controller on >controller ~* &* +@all"

Reply = Any


class RedisFailed(Exception):
    """
    A server did not do what it was asked to; the text has its log.
    """


class RedisError(Exception):
    """
    The error with which a server answers a command.
    """


class _Closed(ConnectionError):
    """
    A server has closed the connection instead of answering.
    """


class RedisServer:
    """
    One C{redis-server} at a time, and the ports it has. L{start} starts it, also again.

    @param durable: keep an append-only file, and write it to the disk before each answer.
    @param password: C{requirepass}, and what replicas log in with.
    @param users: lines of an ACL file: C{"user ann on >secret ~* +@all"}. The file also decides about the user
        C{default}.
    @param certificates: listen for TLS as well, at L{tls_port}.
    @param replica_of: the server whose replica it is.
    @param sentinel: run as a Sentinel.
    @param lines: more lines of the configuration file.
    @param settings: more of C{redis.conf}, with an underscore for each hyphen: C{maxmemory="10mb"}.
    @ivar port: where it listens on 127.0.0.1.
    @ivar tls_port: likewise for TLS; 0 without certificates.
    @ivar unix_socket: the path of its unix socket.
    @ivar directory: has its data and its log.
    """

    def __init__(
        self,
        *,
        durable: bool = False,
        password: str = "",
        users: Sequence[str] = (),
        certificates: Certificates | None = None,
        replica_of: RedisServer | None = None,
        sentinel: bool = False,
        lines: Sequence[str] = (),
        **settings: str,
    ) -> None:
        # Not below the directory of the test: the path of a unix socket has at most 107 bytes.
        self.directory = Path(tempfile.mkdtemp(prefix="dstwist-redis-"))
        atexit.register(self.destroy)
        self.port = free_port()
        self.tls_port = free_port() if certificates else 0
        self.unix_socket = self.directory / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self._sentinel = sentinel
        self._lines = lines
        self._login: tuple[str, ...] = ()
        self.settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "unixsocket": str(self.unix_socket),
            "dir": str(self.directory),
            "logfile": str(self.directory / "log"),
            "daemonize": "no",
        }
        if not sentinel:
            self.settings |= {"save": '""', "appendonly": "no", "repl-diskless-sync-delay": "0"}
        if durable:
            self.settings |= {"appendonly": "yes", "appendfsync": "always"}
        if certificates is not None:
            # Redis resolves relative paths against its own directory.
            self.settings |= {
                "tls-port": str(self.tls_port),
                "tls-cert-file": str(certificates.chain.absolute()),
                "tls-key-file": str(certificates.key.absolute()),
                "tls-ca-cert-file": str(certificates.authority.absolute()),
                "tls-auth-clients": "no",
            }
        if password:
            self._login = (password,)
            self.settings |= {"requirepass": password, "masterauth": password}
        if users:
            self._login = ("controller", "controller")
            acl_file = self.directory / "users.acl"
            acl_file.write_text("\n".join([*users, _CONTROLLER, ""]))
            self.settings["aclfile"] = str(acl_file)
        if replica_of is not None:
            encrypted = settings.get("tls_replication") == "yes"
            self.settings["replicaof"] = f"127.0.0.1 {replica_of.tls_port if encrypted else replica_of.port}"
        self.settings |= {name.replace("_", "-"): value for name, value in settings.items()}

    @property
    def pid(self) -> int:
        return self._running_process().pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        path = self.directory / "log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def start(self, empty: bool = False) -> None:
        """
        Start it, and return when it serves commands: its data are loaded.

        @param empty: without the data of an earlier run.
        """
        self.launch(empty)
        self.wait_until_ready()

    def launch(self, empty: bool = False) -> None:
        """
        Start the process, and return at once.
        """
        if self.running:
            raise RedisFailed("The server runs already.")
        if empty:
            shutil.rmtree(self.directory / "appendonlydir", ignore_errors=True)
            for path in (*self.directory.glob("*.rdb"), *self.directory.glob("*.aof")):
                path.unlink()
        self.unix_socket.unlink(missing_ok=True)
        path = self.directory / "redis.conf"
        # A Sentinel, and a node of a cluster after a fail-over, keep in this file what they have learned.
        if not path.exists():
            lines = [f"{name} {value}" for name, value in self.settings.items()]
            path.write_text("\n".join([*lines, *self._lines, ""]))
        # The server dies with the test run, however that ends.
        command = ["setpriv", "--pdeathsig", "KILL", "redis-server", str(path)]
        try:
            self._process = subprocess.Popen(
                [*command, "--sentinel"] if self._sentinel else command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=(self.directory / "log").open("ab"),
            )
        except FileNotFoundError as error:
            raise RedisFailed(
                f"{error.filename} is missing. Run: make test (it installs what the tests need)"
            ) from None

    def wait_until_ready(self) -> None:
        """
        Return when a server that was launched serves commands.
        """

        def ready() -> bool:
            if not self.running:
                raise RedisFailed(f"The server ended with {self._process.returncode}.\n{self.log}")
            try:
                self.command("PING")
            except OSError:
                return False
            except RedisError as error:
                # It answers, but it cannot serve yet, or has no copy of the data of its primary yet.
                if str(error).startswith(("LOADING", "MASTERDOWN")):
                    return False
                raise
            return True

        self.wait_for(ready)

    def stop(self) -> None:
        """
        End it in good order, as systemd does.
        """
        process = self._running_process()
        self.resume()
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RedisFailed(f"The server did not stop on SIGTERM.\n{self.log}") from None

    def kill(self) -> None:
        """
        End it with SIGKILL, if it runs.
        """
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """
        Stop the process with SIGSTOP: its connections stay open, and nothing is answered.
        """
        self._running_process().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """
        End a L{pause}.
        """
        self._running_process().send_signal(signal.SIGCONT)

    def restart(self, empty: bool = False) -> None:
        """
        L{stop} and L{start}.
        """
        self.stop()
        self.start(empty)

    def destroy(self) -> None:
        """
        End it, and remove its directory.
        """
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)
        atexit.unregister(self.destroy)

    def command(self, *words: bytes | str | int) -> Reply:
        """
        Run one command on a connection of its own.

        @return: bytes, an int, C{None}, or a list of these.
        @raise RedisError: if the server answers with an error.
        @raise OSError: if there is no connection.
        """
        return self.commands(words)[0]

    def commands(self, *commands: Sequence[bytes | str | int]) -> list[Reply]:
        """
        Run several commands in one pipeline.
        """
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(self.unix_socket))
            prelude = [("AUTH", *self._login)] if self._login else []
            connection.sendall(b"".join(map(encode, [*prelude, *commands])))
            with connection.makefile("rb") as stream:
                replies = [_read_reply(stream) for _ in range(len(prelude) + len(commands))]
        for reply in replies:
            if isinstance(reply, RedisError):
                raise reply
        return replies[len(prelude) :]

    def subscribe(self, channel: str) -> socket.socket:
        """
        A connection of its own that gets the messages of a channel from now on. The caller closes it.
        """
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        connection.connect(str(self.unix_socket))
        commands = [("AUTH", *self._login)] if self._login else []
        commands.append(("SUBSCRIBE", channel))
        connection.sendall(b"".join(map(encode, commands)))
        with connection.makefile("rb") as stream:
            for _ in commands:
                _read_reply(stream)
        return connection

    def info(self, section: str) -> dict[str, str]:
        """
        The fields of a section of C{INFO}.
        """
        lines = self.command("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def contents(self) -> dict[str, bytes]:
        """
        All keys that hold strings, and their values.
        """
        keys = sorted(self.command("KEYS", "*"))
        values = self.command("MGET", *keys) if keys else []
        return {key.decode(): value for key, value in zip(keys, values, strict=True) if value is not None}

    def wait_for_replica(self) -> None:
        """
        Return when this replica has the data of its primary, and follows it.
        """
        self.wait_for(lambda: self.info("replication").get("master_link_status") == "up")

    def wait_for(self, condition: Any) -> None:
        """
        Return when C{condition()} is true. A Sentinel ends all connections of a server whose role it changes, the
        tests' own too: then the condition is looked at again.
        """
        give_up = time.monotonic() + PATIENCE
        while True:
            with suppress(ConnectionResetError, BrokenPipeError, _Closed):
                if condition():
                    return
            if time.monotonic() > give_up:
                raise RedisFailed(f"It does not happen.\n{self.log}")
            time.sleep(0.01)

    def _running_process(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise RedisFailed(f"The server does not run.\n{self.log}")
        return self._process


def start_in_thread(server: RedisServer, empty: bool = False) -> Deferred[None]:
    """
    As L{RedisServer.start}, for tests with the real reactor.
    """
    # Linux ends the process with the thread that has launched it, so that must be the main thread.
    server.launch(empty)
    return deferToThread(server.wait_until_ready)


def encode(words: Sequence[bytes | str | int]) -> bytes:
    """
    A command as the protocol of Redis has it: C{*1\\r\\n$4\\r\\nPING\\r\\n}.
    """
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"".join([b"*%d\r\n" % len(parts), *(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)])


def _read_reply(stream: BinaryIO) -> Reply:
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise _Closed("The server has closed the connection.")
    kind, rest = line[:1], line[1:-2]
    if kind == b"+":
        return rest
    if kind == b"-":
        return RedisError(rest.decode())
    if kind == b":":
        return int(rest)
    if int(rest) < 0:
        return None
    if kind == b"$":
        return stream.read(int(rest) + 2)[:-2]
    return [_read_reply(stream) for _ in range(int(rest))]
