"""
A TCP load balancer in front of several servers. As HAProxy does, it gives a new connection to a server that is ready.
While there is none, as may be for a moment on a busy machine, it lets the connection wait.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException

from tests.e2e.free_port import free_port
from tests.e2e.server import PATIENCE, Server


def is_ready(server: Server) -> bool:
    """
    Whether the server answers C{/ready} with status 200.
    """
    asking = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    try:
        asking.request("GET", "/ready")
        return asking.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        asking.close()


class Balancer:
    """
    Listens on 127.0.0.1. A client gets the first of C{servers} that is ready, so that a test knows which one it is.

    @ivar url: where clients connect to, without a path.
    """

    def __init__(self, servers: Sequence[Server]) -> None:
        self._servers = list(servers)
        port = free_port()
        self.url = f"ws://127.0.0.1:{port}"
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """
        Accept no more clients.
        """
        # A close alone does not end an accept in another thread.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def take_trouble(self) -> list[str]:
        """
        Nothing: the servers have their own logs.
        """
        return []

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        late = time.monotonic() + PATIENCE
        while (link := self._link()) is None:
            if time.monotonic() > late:
                client.close()
                return
            time.sleep(0.02)
        for source, target in ((client, link), (link, client)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()

    def _link(self) -> socket.socket | None:
        """
        A connection to the first server that is ready.
        """
        for server in self._servers:
            if is_ready(server):
                with contextlib.suppress(OSError):
                    return socket.create_connection(("127.0.0.1", server.port))
        return None


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # Wakes the other direction up, which may be waiting for data.
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
