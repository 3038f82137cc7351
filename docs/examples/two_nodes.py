"""
A web application that has several dstwist nodes in its process, and starts and stops them while it runs::

    python two_nodes.py tcp:8080:interface=127.0.0.1 left.yml right.yml

    curl http://127.0.0.1:8080/                         the state of each node
    curl -X POST http://127.0.0.1:8080/stop/left        stop one, and start it again
    curl -X POST http://127.0.0.1:8080/start/left
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import react
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from dstwist.errors import DstwistError
from dstwist.node import Node


class Nodes(Resource):
    """
    The nodes of this program, and the page about them.
    """

    isLeaf = True

    def __init__(self, reactor: Any, files: list[str]) -> None:
        super().__init__()
        self.reactor = reactor
        self.files = {Path(file).stem: file for file in files}
        self.nodes: dict[str, Node] = {}
        self.states = dict.fromkeys(self.files, "stopped")

    async def start(self, name: str) -> None:
        try:
            # A node starts once. To start again takes a new one.
            node = Node.from_config(self.files[name], reactor=self.reactor, label=name)
            await node.start()
        except DstwistError as error:
            # All that the node had opened is closed. This program goes on.
            self.states[name] = f"cannot start: {error}"
        else:
            self.nodes[name] = node
            self.states[name] = "running"

    async def stop(self, name: str) -> None:
        if name in self.nodes:
            self.states[name] = "stopping"
            await self.nodes.pop(name).stop()
            self.states[name] = "stopped"

    def render_GET(self, request: Any) -> bytes:
        return "".join(f"{name}: {state}\n" for name, state in self.states.items()).encode()

    def render_POST(self, request: Any) -> int | bytes:
        action, _, name = request.path[1:].decode().partition("/")
        if name not in self.files or action not in ("start", "stop"):
            request.setResponseCode(404)
            return b""
        done = Deferred.fromCoroutine(self.stop(name) if action == "stop" else self.start(name))
        done.addCallback(lambda _: request.write(self.render_GET(request)))
        done.addCallback(lambda _: request.finish())
        return NOT_DONE_YET


async def main(reactor: Any, web: str, *files: str) -> None:
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)])
    nodes = Nodes(reactor, list(files))
    await serverFromString(reactor, web).listen(Site(nodes))
    for name in nodes.files:
        await nodes.start(name)
    # Stop the nodes before the reactor stops, so that their clients are told.
    ended: Deferred[None] = Deferred()

    async def stop_all() -> None:
        for name in nodes.files:
            await nodes.stop(name)

    reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromCoroutine(stop_all()))
    await ended


if __name__ == "__main__":
    react(lambda reactor, *words: Deferred.fromCoroutine(main(reactor, *words)), sys.argv[1:])
