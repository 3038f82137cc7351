"""
One client of deepstreampy, driven line by line: C{["verb", argument...]} on stdin, C{["report", detail...]} on stdout.

Run in the environment that C{make clients} installs, so this imports nothing of ours.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from deepstreampy.client import Client  # type: ignore[import-not-found]
from tornado.ioloop import IOLoop  # type: ignore[import-not-found]


def say(*report: Any) -> None:
    """
    Report something.
    """
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()


class Driven:
    """
    The verbs.
    """

    def __init__(self, url: str) -> None:
        self.client = Client(url, reconnectAttemptInterval=0)
        self.client.on("error", lambda message, event, topic: say("error", str(event), str(message)))
        self.client.on("connectionStateChanged", self._changed)
        self.credentials: Any = None
        self.client.connect()
        self.records: dict[str, Any] = {}

    def login(self, user: str) -> None:
        """
        Log in under a name.
        """
        self.credentials = {"username": user}
        done = self.client.login(self.credentials)
        done.add_done_callback(lambda future: say("login", future.result()["success"]))

    def _changed(self, state: str) -> None:
        say("state", state)
        if state == "RECONNECTING":
            # It fails on the answer to a login that it has repeated by itself.
            self.client.login(self.credentials)

    def subscribe(self, event: str) -> None:
        """
        Subscribe to an event.
        """
        self.client.event.subscribe(event, lambda data: say("event", event, data))

    def emit(self, event: str, data: Any) -> None:
        """
        Emit one.
        """
        self.client.event.emit(event, data)

    def listen(self, pattern: str) -> None:
        """
        Listen, and accept all.
        """

        def asked(name: str, subscribed: bool, response: Any = None) -> None:
            say("offer" if subscribed else "stop", name)
            if response is not None:
                response.accept()

        self.client.event.listen(pattern, asked)

    def open(self, name: str) -> None:
        """
        Get a record.
        """
        self.client.record.get_record(name).add_done_callback(lambda future: self._opened(name, future.result()))

    def _opened(self, name: str, record: Any) -> None:
        self.records[name] = record
        record.subscribe(lambda data: say("changed", name, data))
        record.when_ready(lambda ready: say("ready", name, ready.get()))

    def set(self, name: str, data: Any, path: str | None, acknowledged: bool) -> None:
        """
        Write to a record.
        """
        callback = (lambda error: say("written", name, error)) if acknowledged else None
        self.records[name].set(data, path, callback)

    def provide(self, name: str) -> None:
        """
        Provide a procedure that doubles.
        """
        self.client.rpc.provide(name, lambda data, response: response.send(data * 2))

    def make(self, name: str, data: Any) -> None:
        """
        Call a procedure.
        """
        self.client.rpc.make(name, data).add_done_callback(self._made)

    def _made(self, future: Any) -> None:
        error = future.exception()
        say("made", future.result() if error is None else str(error))

    def watch(self) -> None:
        """
        Ask who is online.
        """
        self.client.presence.get_all().add_done_callback(lambda future: say("online", future.result()))

    def cut(self) -> None:
        """
        Lose the connection.
        """
        self.client._connection._websocket_handler.stream.close()


def main() -> None:
    """
    Drive one client, which connects to the address that is the first argument.
    """
    loop = IOLoop.current()
    driven = Driven(sys.argv[1])
    unread = b""

    def read(stream: Any, _: int) -> None:
        nonlocal unread
        data = os.read(stream.fileno(), 65536)
        if not data:
            loop.stop()
        *lines, unread = (unread + data).split(b"\n")
        for line in lines:
            verb, *arguments = json.loads(line)
            getattr(driven, verb)(*arguments)

    loop.add_handler(sys.stdin, read, IOLoop.READ)
    loop.start()


if __name__ == "__main__":
    main()
