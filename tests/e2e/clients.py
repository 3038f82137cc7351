"""
The official JavaScript clients, driven from here: C{driver.js} in a Node.js process, one for each generation.

A test sees a L{Client}: verbs to call, and what it reported, in order. Nothing here looks at the clock but to give up.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.server import PATIENCE

HERE = Path(__file__).resolve().parent

#: Whether the tests run with another version of the client of v7, installed in that directory (C{make old-clients}).
OTHER_CLIENT = "CLIENT_V7" in os.environ

#: One report, as C{driver.js} has it: its kind, and more by kind.
Report = dict[str, Any]


class ClientFailed(Exception):
    """
    A client did not do what it should; the text has all it reported.
    """


class Driver:
    """
    A Node.js process with any number of clients of one generation (C{"v2"} or C{"v7"}) in it.
    """

    def __init__(self, generation: str, authority: Path) -> None:
        node = shutil.which("node")
        if node is None:
            raise ClientFailed("Node.js is missing. Run: make test (it installs what the tests need)")
        if not (HERE / "node_modules" / "@deepstream" / "client").is_dir():
            raise ClientFailed("The JavaScript clients are missing. Run: make test, or npm ci in tests/e2e")
        self.generation = generation
        self.changed = threading.Condition()
        #: What the clients printed.
        self.console: list[str] = []
        self._clients: dict[str, Client] = {}
        self._answers: dict[int, Report] = {}
        self._last = 0
        self._ready = False
        self._dead: str | None = None
        self._errors = bytearray()
        self._process = subprocess.Popen(
            [node, str(HERE / "driver.js"), generation],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Node.js has complaints of its own, about TLS by IP address for one.
            env={**os.environ, "NODE_EXTRA_CA_CERTS": str(authority), "NODE_NO_WARNINGS": "1"},
        )
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._read_errors, daemon=True).start()
        self.wait(lambda: self._ready, "Node.js to start")

    @property
    def dead(self) -> bool:
        return self._dead is not None

    def connect(self, name: str, url: str, **options: Any) -> Client:
        """
        A new client, connecting to C{url}. C{options} are the library's.
        """
        client = Client(self, name)
        self._clients[name] = client
        self.call(name, "connect", url, options)
        return client

    def call(self, client: str, verb: str, *arguments: Any) -> Any:
        """
        Let a client do something; gives the result.
        """
        self._last += 1
        command = {"id": self._last, "client": client, "verb": verb, "args": arguments}
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command).encode("ascii") + b"\n")
            self._process.stdin.flush()
        except OSError:
            # What it died of is on its way; wait tells.
            pass
        self.wait(lambda: command["id"] in self._answers, f"{client} to {verb} {arguments}")
        answer = self._answers.pop(self._last)
        if "failure" in answer:
            raise ClientFailed(f"{client}.{verb}{arguments}: {answer['failure']}")
        return answer["result"]

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """
        Come back when C{condition} holds; it is asked again with each report.
        """
        with self.changed:
            done = self.changed.wait_for(lambda: condition() or self._dead, PATIENCE)
            if done and condition():
                return
        why = self._dead or "it did not come"
        story = "\n".join(f"{name}: {client.reports}" for name, client in self._clients.items())
        raise ClientFailed(f"Waited for {what} ({self.generation}): {why}\n{story}\nconsole: {self.console}")

    def forget_clients(self) -> None:
        """
        Close all clients and start afresh.
        """
        for name, client in self._clients.items():
            if not self.dead and client.state != "CLOSED":
                self.call(name, "close")
        self._clients = {}
        self.console = []

    def stop(self) -> None:
        """
        End the process.
        """
        assert self._process.stdin is not None
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        rest = b""
        # All that has come is taken at once: whoever waits looks at all reports again after each time.
        while data := os.read(self._process.stdout.fileno(), 1 << 16):
            *lines, rest = (rest + data).split(b"\n")
            reports = [json.loads(line) for line in lines]
            with self.changed:
                for report in reports:
                    self._take(report)
                self.changed.notify_all()
        self._process.stdout.close()
        with self.changed:
            self._dead = self._dead or f"Node.js ended: {self._errors.decode('utf-8', 'replace')}"
            self.changed.notify_all()

    def _take(self, report: Report) -> None:
        if "id" in report:
            self._answers[report["id"]] = report
        elif "client" in report:
            client = self._clients.get(report["client"])
            if client is not None:
                client.reports.append(report)
        elif report["kind"] == "ready":
            self._ready = True
        elif report["kind"] == "fatal":
            self._dead = f"An exception escaped a client: {report['text']}"
        else:
            self.console.append(report["text"])

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors += line
        self._process.stderr.close()


class Outcome:
    """
    What comes of something that ends with one answer: a write with acknowledgement, a call, a look at a record.
    """

    def __init__(self, client: Client, number: int) -> None:
        self._client = client
        self.number = number

    @property
    def done(self) -> bool:
        return bool(self._client.filter("outcome", number=self.number))

    def wait(self) -> str:
        """
        The answer, when it is there: the error if it is one, else the value, C{"undefined"} for none.
        """
        report = self._report()
        return str(report["error"] if report["failed"] else report["value"])

    def error(self) -> str | None:
        """
        The error, when the answer is there; C{None} if it is none.
        """
        report = self._report()
        return str(report["error"]) if report["failed"] else None

    def _report(self) -> Report:
        self._client.wait_for_report(1, "outcome", number=self.number)
        (report,) = self._client.filter("outcome", number=self.number)
        return report


class Client:
    """
    One client.

    @ivar reports: all that it reported so far, in order.
    """

    def __init__(self, driver: Driver, name: str) -> None:
        self.driver = driver
        self.name = name
        self.reports: list[Report] = []
        self._tolerated: set[str] = set()

    # -- verbs

    def login(self, credentials: dict[str, Any] | None = None) -> None:
        """
        Log in, and come back when the client is open.
        """
        self.start_login(credentials)
        self.wait_for_report(1, "login", success=True)
        self.wait_for_state("OPEN")

    def start_login(self, credentials: dict[str, Any] | None = None) -> None:
        self.do("login", credentials or {})

    def close(self) -> None:
        self.do("close")
        self.wait_for_state("CLOSED")

    def subscribe(self, name: str) -> None:
        """
        Subscribe, and come back when the server has acknowledged.
        """
        self.do("subscribe", name)
        self.settle()

    def unsubscribe(self, name: str) -> None:
        """
        Unsubscribe, and come back when the server has acknowledged.
        """
        self.do("unsubscribe", name)
        self.settle()

    def emit(self, name: str, *values: str) -> None:
        """
        Emit, with a value in JavaScript's spelling, or without one.
        """
        self.do("emit", name, *values)

    def burst(self, name: str, count: int) -> None:
        """
        Emit the numbers from 0 up, C{count} of them, in one turn of the client.
        """
        self.do("burst", name, count)

    def listen(self, pattern: str, otherwise: str | list[str] = "accept", topic: str = "event", **names: str) -> None:
        """
        Listen; offered names are answered as C{names} says, and C{otherwise}; of a list one after the
        other, the last for good.
        """
        self.start_listen(pattern, otherwise, topic, **names)
        self.settle()

    def start_listen(
        self, pattern: str, otherwise: str | list[str] = "accept", topic: str = "event", **names: str
    ) -> None:
        self.do("listen", topic, pattern, {"otherwise": otherwise, "names": names})

    def unlisten(self, pattern: str, topic: str = "event") -> None:
        self.do("unlisten", topic, pattern)
        self.settle()

    def provide(self, name: str, behaviour: Any = "echo") -> None:
        """
        Provide an RPC, and come back when the server has acknowledged. See C{driver_calls.js} for behaviours.
        """
        self.do("provide", name, behaviour)
        self.settle()

    def unprovide(self, name: str) -> None:
        self.do("unprovide", name)
        self.settle()

    def answer(self, name: str, value: str) -> None:
        """
        Answer the last request of that name.
        """
        self.do("answer", name, value)

    def start_call(self, name: str, value: str = "undefined", form: str = "callback") -> Outcome:
        return self.start("make", name, value, form)

    def call(self, name: str, value: str = "undefined", form: str = "callback") -> str:
        """
        Call an RPC: what came of it, the error's name if it failed.
        """
        return self.start_call(name, value, form).wait()

    def watch_users(self, user: str | None = None) -> None:
        """
        Subscribe to a user's presence, or everybody's, and come back when the server has acknowledged.
        """
        self.start_watching(user)
        self.settle()

    def start_watching(self, user: str | None = None) -> None:
        self.do("watchUsers", user)

    def stop_watching(self, user: str | None = None) -> None:
        self.do("unwatchUsers", user)

    def unwatch_users(self, user: str | None = None) -> None:
        self.stop_watching(user)
        self.settle()

    def online(self, users: list[str] | None = None) -> Any:
        """
        Who is online: names; or, asked for C{users}, whether each of them is.
        """
        return json.loads(self.start("online", users).wait())

    def look(self, what: str, name: str, form: str = "callback") -> str:
        """
        A record's C{snapshot}, C{head} (its version) or C{has} (whether it exists), without a subscription.
        """
        return self.start("look", what, name, form).wait()

    def set_data(self, name: str, value: str, path: str | None = None) -> None:
        """
        Write to a record without a subscription.
        """
        self.do("setData", name, path, value)

    def set_data_with_ack(self, name: str, value: str, path: str | None = None, form: str = "callback") -> str | None:
        """
        The same; gives the error, C{None} for success.
        """
        return self.start("setDataWithAck", name, path, value, form).error()

    def deafen(self) -> None:
        """
        Take notice of nothing that the server sends, until L{hear}.
        """
        self.do("deafen")

    def hear(self) -> None:
        """
        Take notice of what came while the client was deaf, and hear again.
        """
        self.do("hear")

    def settle(self) -> None:
        """
        Come back when the server has acknowledged all it has to.
        """
        self.do("settle")

    def sleep(self, milliseconds: int) -> None:
        """
        Come back after that time, by the clock of the client's process.
        """
        self.do("sleep", milliseconds)

    def pause(self) -> None:
        """
        Go offline. Only v4+ clients can.
        """
        self.do("pause")
        self.wait_for_state("OFFLINE")

    def resume(self) -> None:
        """
        Come back, and be logged in again.
        """
        self.do("resume")
        self.wait_for_state("OPEN")

    def start(self, verb: str, *arguments: Any) -> Outcome:
        """
        Do something that ends with one answer.
        """
        return Outcome(self, self.do(verb, *arguments))

    # -- what came

    @property
    def state(self) -> str:
        return str(self.do("state"))

    def states(self) -> list[str]:
        """
        The connection states the client went through.
        """
        return [report["state"] for report in self.filter("state")]

    def values(self, name: str) -> list[str]:
        """
        What the client's callback for the event C{name} was called with.
        """
        return [report["value"] for report in self.filter("event", name=name)]

    def catch_up(self) -> None:
        """
        Come back when all has been heard that the client has reported up to now. Others may know of an answer of it
        before it was heard here that it was asked: reports of two processes arrive in any order.
        """
        self.do("state")

    def offers(self) -> list[tuple[str, str]]:
        """
        What the client was asked to provide, up to now: pattern and name.
        """
        self.catch_up()
        return [(report["pattern"], report["name"]) for report in self.filter("offer")]

    def stops(self) -> list[tuple[str, str]]:
        """
        What the client was told not to provide any more, up to now: pattern and name.
        """
        self.catch_up()
        return [(report["pattern"], report["name"]) for report in self.filter("stop")]

    def requests(self, name: str) -> list[str]:
        """
        The data of the calls that the client was asked to answer, up to now.
        """
        self.catch_up()
        return [report["data"] for report in self.filter("request", name=name)]

    def presences(self, user: str | None = None) -> list[tuple[str, bool]]:
        """
        What the client's callback for C{user}, or for everybody, was called with: names, and whether they are online.
        """
        return [(report["user"], report["online"]) for report in self.filter("presence", of=user)]

    def filter(self, kind: str, **fields: Any) -> list[Report]:
        wanted = {"kind": kind, **fields}
        return [report for report in list(self.reports) if wanted.items() <= report.items()]

    def wait_for_report(self, count: int, kind: str, **fields: Any) -> None:
        """
        Come back when there have been C{count} such reports.
        """
        what = f"{self.name}: {count} x {kind} {fields}"
        self.driver.wait(lambda: len(self.filter(kind, **fields)) >= count, what)

    def wait_for_values(self, name: str, count: int) -> list[str]:
        """
        The values of the event C{name}, when there are C{count}.
        """
        self.wait_for_report(count, "event", name=name)
        return self.values(name)

    def wait_for_state(self, state: str) -> None:
        """
        Come back when C{state} is what the client reported last.
        """
        self.driver.wait(lambda: self.states()[-1:] == [state], f"{self.name}: {state}")

    # -- errors

    def expect_error(self, event: str, topic: str | None = None) -> None:
        """
        Come back when the client has raised that error, which is then as it should be.
        """
        fields = {"event": event} if topic is None else {"event": event, "topic": topic}
        self.wait_for_report(1, "error", **fields)
        self._tolerated.add(event)

    def tolerate_error(self, event: str) -> None:
        """
        The client may raise that error.
        """
        self._tolerated.add(event)

    def unexpected_errors(self) -> list[Report]:
        return [report for report in self.filter("error") if report["event"] not in self._tolerated]

    def do(self, verb: str, *arguments: Any) -> Any:
        return self.driver.call(self.name, verb, *arguments)
