"""
A plug-in of your own: writes each login and logout to a file, tells administrators who is online, and counts logins for
Prometheus on a port of its own.

In config.yml::

    plugins:
      audit:
        path: audit.py:Audit
        options:
          file: /var/log/dstwist/logins.jsonl
          figures: tcp:9420:interface=127.0.0.1      # the default
"""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.web.resource import Resource
from twisted.web.server import Site

from dstwist.api import Api, Request
from dstwist.interfaces import IIdentity
from dstwist.plugins import Plugin, PluginContext


class Audit(Plugin):
    """
    Made once, with the options of the configuration.
    """

    def __init__(self, options: dict[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        # If this raises an exception, the server does not start, and shows it with the place in config.yml. Open
        # nothing here: the process may still change its user, and go to the background.
        self._path = options["file"]
        self._endpoint = serverFromString(context.reactor, options.get("figures", "tcp:9420:interface=127.0.0.1"))
        self.logins = 0
        self.connections: Counter[str] = Counter()

    async def start(self, api: Api) -> None:
        # If this raises an exception, the server does not start either.
        self._file = open(self._path, "a", encoding="utf-8", buffering=1)
        self._port = await self._endpoint.listen(Site(Figures(self)))
        # Clients call it like any other procedure. A permission rule decides who may: rpc: audit/*: request: ...
        await api.rpc.provide("audit/online", self.online)

    # Not async: it returns the Deferred of another method, if that has one.
    def stop(self) -> Deferred[None] | None:
        self._file.close()
        return self._port.stopListening()

    # An exception in one of the next two would be logged, and hurt nobody.

    def logged_in(self, identity: IIdentity) -> None:
        self.logins += 1
        self.connections[str(identity.user)] += 1
        self._write("login", identity)

    def logged_out(self, identity: IIdentity) -> None:
        self.connections -= Counter([str(identity.user)])
        self._write("logout", identity)

    def online(self, request: Request) -> dict[str, int]:
        """
        Answers the procedure: by user, the number of connections.
        """
        return dict(self.connections)

    def _write(self, event: str, identity: IIdentity) -> None:
        line = {"time": time.time(), "event": event, "user": identity.user, "address": identity.address}
        self._file.write(json.dumps(line) + "\n")


class Figures(Resource):
    """
    The page that Prometheus reads.
    """

    isLeaf = True

    def __init__(self, audit: Audit) -> None:
        super().__init__()
        self._audit = audit

    def render_GET(self, request: Any) -> bytes:
        request.setHeader(b"content-type", b"text/plain; version=0.0.4")
        figures = {
            "dstwist_logins_total": self._audit.logins,
            "dstwist_connections": self._audit.connections.total(),
        }
        return "".join(f"{name} {value}\n" for name, value in figures.items()).encode()
