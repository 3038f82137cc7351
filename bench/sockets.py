"""
A server in a process of its own, its CPU time and memory, and clients on raw sockets that cost next to nothing.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from dstwist.protocol import protobuf
from dstwist.protocol.constants import AuthAction, ConnectionAction, Topic
from dstwist.protocol.message import Message
from tests.nodes.client import client_frame

#: twistd, for an interpreter.
TWISTD = ["-c", "from twisted.scripts.twistd import run; run()", "--nodaemon", "--pidfile="]

_TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """
    A process that serves clients on C{port}.
    """

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self.port = port

    def cpu(self) -> float:
        """
        Seconds of CPU time so far.
        """
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self) -> int:
        """
        Resident bytes.
        """
        with open(f"/proc/{self.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(command: list[str], port: int, checkout: str | None = None) -> Iterator[Server]:
    """
    C{command} while it serves on C{port}.

    @param checkout: the folder whose modules it runs; C{None}: those of this process.
    """
    environment = None if checkout is None else {**os.environ, "PYTHONPATH": checkout}
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, cwd=checkout, env=environment)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        yield Server(process.pid, port)
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def dstwist() -> Iterator[Server]:
    """
    C{twistd dstwist} with its defaults.
    """
    port = free_port()
    listen = f"tcp:{port}:interface=127.0.0.1"
    command = [*TWISTD, "dstwist", "--log-level", "error", "--listen", listen]
    with running(command, port) as server:
        yield server


def connect(server: Server, user: str) -> socket.socket:
    """
    A client of the binary protocol, logged in.
    """
    client = socket.create_connection(("127.0.0.1", server.port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(
        b"GET /deepstream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    client.recv(4096)
    credentials = b'{"username":"%s"}' % user.encode()
    for message in (
        Message(Topic.CONNECTION, ConnectionAction.CHALLENGE, sdk_type="javascript"),
        Message(Topic.AUTH, AuthAction.REQUEST, data=credentials),
    ):
        say(client, message)
        client.recv(4096)
    return client


def say(client: socket.socket, message: Message) -> None:
    """
    Send one message.
    """
    client.sendall(client_frame(protobuf.CLIENT.encode(message), 2))
