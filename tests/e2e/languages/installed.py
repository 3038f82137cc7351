"""
Clients of other languages that have to be installed, so only C{make clients} runs this: deepstreampy, for Python.

It is built from the sources of 2017 that its registry has (C{python/sitecustomize.py} says what they lack).
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

from tests.e2e.records import Record
from tests.e2e.scenario import QUICK, Scenario
from tests.e2e.server import CHECKOUT, PATIENCE

HERE = Path(__file__).resolve().parent / "python"


class Python:
    """
    A process with one client of deepstreampy.

    @ivar reports: what it reported so far: lists, the kind first.
    """

    def __init__(self, url: str) -> None:
        self.reports: list[list[Any]] = []
        self._changed = threading.Condition()
        self._ended = False
        self._process = subprocess.Popen(
            [CHECKOUT / ".clients" / "bin" / "python", "-W", "ignore", HERE / "driven.py", url],
            env={**os.environ, "PYTHONPATH": str(HERE)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def do(self, *command: Any) -> None:
        """
        Have it do something: a verb of C{driven.py}, and arguments.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def wait_for(self, *report: Any, count: int = 1) -> None:
        """
        Return when it has reported that, so many times.
        """
        with self._changed:
            there = lambda: self.reports.count(list(report)) >= count  # noqa: E731  # short
            self._changed.wait_for(lambda: there() or self._ended, PATIENCE)
            if not there():
                raise AssertionError(f"not reported: {report}\n" + "\n".join(map(str, self.reports)))

    def stop(self) -> None:
        """
        End the process.
        """
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self.reports.append(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class PythonTests(Scenario):
    """
    deepstreampy, and an official client for JavaScript at the other end.
    """

    options = QUICK

    def test_scenario(self) -> None:
        """
        Login, event, record, RPC, listening, presence and reconnect, on the default path.
        """
        server = self.server()
        user, event, record, rpc = (self.name(word) for word in ("user", "event", "record", "rpc"))
        peer = self.user("v7", server, self.name("peer"))
        peer.watch_users()
        client = Python(server.url + "/deepstream")
        self.addCleanup(client.stop)
        client.do("login", user)
        client.wait_for("login", True)
        peer.wait_for_report(1, "presence", user=user, online=True)

        client.do("subscribe", event)
        peer.subscribe(event)
        self.until_subscribed(client, event, peer.name)
        client.do("emit", event, {"a": 1})
        peer.wait_for_report(1, "event", name=event, value='{"a":1}')

        theirs = Record(peer, record)
        client.do("open", record)
        client.wait_for("ready", record, {})
        client.do("set", record, {"name": "Max"}, None, True)
        client.wait_for("written", record, None)
        client.do("set", record, 3, "pet.age", False)
        theirs.until('{"name":"Max","pet":{"age":3}}')
        theirs.set('"Ann"', "name")
        client.wait_for("changed", record, {"name": "Ann", "pet": {"age": 3}})

        client.do("provide", rpc)
        client.do("make", rpc + "/none", 1)
        client.wait_for("made", "NO_RPC_PROVIDER")
        self.assertEqual(peer.call(rpc, "21"), "42")
        peer.provide(rpc + "/echo")
        client.do("make", rpc + "/echo", "hello")
        client.wait_for("made", "hello")

        wanted = self.name("wanted")
        client.do("listen", wanted + "/.*")
        client.do("make", rpc + "/echo", "listening")
        client.wait_for("made", "listening")
        peer.subscribe(wanted + "/1")
        client.wait_for("offer", wanted + "/1")

        client.do("watch")
        client.wait_for("online", [self.name("peer")])

        client.do("cut")
        peer.wait_for_report(1, "presence", user=user, online=False)
        peer.wait_for_report(2, "presence", user=user, online=True)
        client.wait_for("state", "OPEN", count=2)
        self.until_subscribed(client, event, "again")
        theirs.set('"Bob"', "name")
        client.wait_for("changed", record, {"name": "Bob", "pet": {"age": 3}})
        self.assertEqual(peer.call(rpc, "4"), "8")
        # It does not expect the acknowledgements of what it subscribes to again.
        known = ["error", "UNSOLICITED_MESSAGE", "E\x1fA\x1fS\x1f"]
        errors = [report for report in client.reports if report[0] == "error"]
        self.assertEqual(
            [[*report[:2], report[2][:6]] for report in errors if [*report[:2], report[2][:6]] != known], []
        )

    def until_subscribed(self, client: Python, event: str, value: str) -> None:
        """
        Return when C{client} has had an event.
        """
        sender = self.logged_in("v2", self.servers[0])
        sender.emit(event, json.dumps(value))
        client.wait_for("event", event, value)
