"""
The servers that are compared: dstwist, the Node server in two builds, Redis and NATS.

Each server of deepstream gets the same configuration: protobuf clients on one port, records in memory, every login and
every request permitted, nothing logged but errors. C{make bench} installs the others into C{.bench/}.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.load.client import LoadFailed
from bench.load.target import Target
from bench.sockets import TWISTD, free_port
from dstwist import __version__
from tests.e2e.certificates import make_certificates

CHECKOUT = Path(__file__).resolve().parent.parent
INSTALLED = CHECKOUT / ".bench"

_MODULES = INSTALLED / "node" / "node_modules"
#: How long a server may take to start, in seconds.
_PATIENCE = 30.0
#: Milliseconds. The clients send no heartbeats, and are closed after two intervals. uWebSockets permits no more.
_HEARTBEAT = 450_000

#: Permits every event by a rule about its name.
_RULES = {
    "event": {"*": {"publish": True, "subscribe": True, "listen": True}, "fx/$pair": {"publish": "$pair !== 'secret'"}},
    "record": {"*": {"create": True, "read": True, "write": True, "delete": True, "listen": True, "notify": True}},
    "rpc": {"*": {"provide": True, "request": True}},
    "presence": {"*": {"allow": True}},
}


@dataclass(frozen=True)
class Setup:
    """
    How a server runs.

    @ivar rules: whether a Valve rule decides about each event.
    @ivar node_buffer: C{outgoingBufferTimeout} of the Node server, in milliseconds. With 0 it writes each message by
        itself. That is its default, but with more it does more in a second of CPU time, if it has much to do. dstwist
        always joins what it has, and keeps its default.
    """

    tls: bool = False
    rules: bool = False
    node_buffer: int = 0


#: Without TLS and without rules.
PLAIN = Setup()


@dataclass(frozen=True)
class Peer:
    """
    A server to compare.

    @ivar start: runs it, and gives where it listens.
    @ivar version: the versions of it and of what it runs on; C{None} if it is not installed.
    @ivar broker: whether it has no protocol but its own publish and subscribe.
    """

    name: str
    title: str
    start: Callable[[Setup], AbstractContextManager[Target]]
    version: Callable[[], str | None]
    broker: bool = False


@contextlib.contextmanager
def _dstwist(setup: Setup) -> Iterator[Target]:
    with _directory() as directory:
        port = free_port()
        sections = {**_sections(setup, port, directory), "storage": {"type": "none"}}
        config = _written(directory / "config.yml", sections)
        command = [sys.executable, "-P", *TWISTD, "dstwist", "--log-level", "error", "--config", config]
        with _running(command, port, directory, {"PYTHONPATH": str(CHECKOUT)}) as pid:
            yield Target(pid, port, setup.tls)


def _node(http: str) -> Callable[[Setup], AbstractContextManager[Target]]:
    """
    The Node server with this type of C{httpServer}.
    """

    @contextlib.contextmanager
    def start(setup: Setup) -> Iterator[Target]:
        with _directory() as directory:
            port = free_port()
            sections = _sections(setup, port, directory)
            sections["httpServer"]["type"] = http
            if setup.tls and http == "default":
                # It takes the texts. It can read them from files as well, but not where the configuration is JSON.
                ssl = {"key": (directory / "key.pem").read_text(), "cert": (directory / "chain.pem").read_text()}
                sections["httpServer"]["options"]["ssl"] = ssl
            sections["connectionEndpoints"][0]["options"]["outgoingBufferTimeout"] = setup.node_buffer
            config = _written(directory / "config.yml", sections)
            program = _MODULES / "@deepstream" / "server" / "dist" / "bin" / "deepstream"
            command = ["node", str(program), "start", "--config", config]
            with _running(command, port, directory) as pid:
                yield Target(pid, port, setup.tls)

    return start


@contextlib.contextmanager
def _redis(setup: Setup) -> Iterator[Target]:
    with _directory() as directory:
        port = free_port()
        options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(directory)]
        command = ["redis-server", "--port", str(port), *options]
        with _running(command, port, directory) as pid:
            yield Target(pid, port, dialect="redis")


@contextlib.contextmanager
def _nats(setup: Setup) -> Iterator[Target]:
    with _directory() as directory:
        port = free_port()
        command = [str(_nats_program()), "--addr", "127.0.0.1", "--port", str(port)]
        with _running(command, port, directory) as pid:
            yield Target(pid, port, dialect="nats")


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dstwist-bench-") as directory:
        yield Path(directory)


@contextlib.contextmanager
def _running(command: list[str], port: int, directory: Path, more: Mapping[str, str] | None = None) -> Iterator[int]:
    """
    A process while it serves on C{port}.
    """
    log = directory / "log"
    with log.open("wb") as output:
        # The server ends with this process, however that ends.
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env={**os.environ, **(more or {})},
        )
    try:
        _await_port(process, port, log)
        yield process.pid
        if process.poll() is not None:
            raise LoadFailed(f"The server has ended.\n{log.read_text(errors='replace')[-400:]}")
    finally:
        process.kill()
        process.wait()


def _await_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise LoadFailed(f"The server does not start.\n{log.read_text(errors='replace')[-400:]}")


def _sections(setup: Setup, port: int, directory: Path) -> dict[str, Any]:
    """
    The configuration of a server of deepstream.
    """
    options: dict[str, Any] = {"host": "127.0.0.1", "port": port, "maxMessageSize": 1048576}
    if setup.tls:
        files = make_certificates(directory)
        options["ssl"] = {"key": f"file({files.key})", "cert": f"file({files.chain})"}
    endpoint = {"urlPath": "/deepstream", "heartbeatInterval": _HEARTBEAT}
    permission = {"type": "config", "options": {"permissions": _RULES}} if setup.rules else {"type": "none"}
    return {
        "showLogo": False,
        "logLevel": "ERROR",
        "telemetry": {"type": "deepstreamIO", "options": {"enabled": False}},
        "httpServer": {
            "type": "default",
            "options": {"healthCheckPath": "/health-check", "allowAllOrigins": True, **options},
        },
        "connectionEndpoints": [{"type": "ws-binary", "options": endpoint}],
        "auth": [{"type": "none"}],
        "permission": permission,
    }


def _written(path: Path, sections: Mapping[str, Any]) -> str:
    # JSON is YAML. The Node server takes all of a line behind "file(" for the name of the file.
    path.write_text(json.dumps(sections, indent=1))
    return str(path)


def _nats_program() -> Path | None:
    program = shutil.which("nats-server") or shutil.which(INSTALLED / "nats-server" / "usr" / "sbin" / "nats-server")
    return None if program is None else Path(program)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT).stdout.strip()


def _version_of_dstwist() -> str:
    commit = _output("git", "log", "-1", "--format=%h of %cs", "--", "dstwist")
    parts = [f"{__version__}{f' ({commit})' if commit else ''}", f"Python {platform.python_version()}"]
    parts += [f"{library} {version(library)}" for library in ("Twisted", "Autobahn")]
    return ", ".join(parts)


def _version_of_node(library: str) -> Callable[[], str | None]:
    def found() -> str | None:
        server = _MODULES / "@deepstream" / "server" / "package.json"
        if shutil.which("node") is None or not server.exists():
            return None
        package = json.loads((_MODULES / library / "package.json").read_text())
        own = json.loads(server.read_text())["version"]
        return (
            f"@deepstream/server {own}, Node.js {_output('node', '--version')}, {package['name']} {package['version']}"
        )

    return found


def _version_of_redis() -> str | None:
    if shutil.which("redis-server") is None:
        return None
    return next(word[2:] for word in _output("redis-server", "--version").split() if word.startswith("v="))


def _version_of_nats() -> str | None:
    program = _nats_program()
    return None if program is None else _output(str(program), "--version").removeprefix("nats-server: v")


PEERS = (
    Peer("dstwist", "dstwist", _dstwist, _version_of_dstwist),
    Peer("uws", "Node uws", _node("uws"), _version_of_node("uWebSockets.js")),
    Peer("ws", "Node ws", _node("default"), _version_of_node("ws")),
    Peer("redis", "redis-server", _redis, _version_of_redis, broker=True),
    Peer("nats", "nats-server", _nats, _version_of_nats, broker=True),
)
