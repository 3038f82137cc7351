"""
Logins per CPU-second and memory per idle connection, of our own port and of the same behind Autobahn's
C{WebSocketResource} on twisted.web, which is the alternative it was chosen over.
"""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

from bench.sockets import connect, free_port, running

CLIENTS = 1000


def serve(kind: str, port: int) -> None:
    """
    Be the server.
    """
    from autobahn.twisted.resource import WebSocketResource
    from twisted.internet import reactor as installed
    from twisted.web.resource import Resource
    from twisted.web.server import Site

    from dstwist.config.settings import Settings
    from dstwist.log import Logger
    from dstwist.node import Node

    reactor: Any = installed
    Logger.set_level("ERROR")
    node = Node(Settings(), [], reactor)
    node.startService()
    factory: Any = node.factory
    if kind == "twisted.web":
        web_socket = node.web_sockets["/deepstream"]
        web_socket.doStart()
        root = Resource()
        root.putChild(b"deepstream", WebSocketResource(web_socket))
        factory = Site(root)
    reactor.listenTCP(port, factory, interface="127.0.0.1")
    reactor.run()


def main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for kind in ("own port", "twisted.web", "own port", "twisted.web"):
        port = free_port()
        with running(["-m", "bench.handshakes", kind, str(port)], port) as server:
            connect(server, "warm")
            before, memory = server.cpu(), server.memory()
            clients = [connect(server, f"u{index}") for index in range(CLIENTS)]
            rate = CLIENTS / (server.cpu() - before)
            time.sleep(0.5)
            size = (server.memory() - memory) / CLIENTS / 1000
            print(f"{kind:12}{rate:8.0f} logins per CPU-second{size:8.1f} kB a connection", flush=True)
            for client in clients:
                client.close()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        serve(sys.argv[1], int(sys.argv[2]))
    else:
        main()
