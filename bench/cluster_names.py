"""
A node whose clients subscribe to very many names, while other nodes come and go.

The clients of C{ann} subscribe to the names of so many events, and to so many records. C{bob} has a listener, in the
second half, which provides all of these events: then each name is in the directory, too. C{cat} joins and stops in
order; so it owns a third of all names, and hands them over.

Each line is one step: seconds until it is over, and at each process the CPU seconds, the CPU time of the longest turn
of the reactor, and how much more memory there is afterwards. Redis has no turns. A join and a stop are over when the
table gives each node its share, and the processes use little more CPU time than at rest.
"""

from __future__ import annotations

import contextlib
import json
import struct
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from bench.sockets import Server, connect, say
from dstwist.protocol import protobuf
from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from tests.e2e import server as e2e
from tests.e2e.nodes import Nodes
from tests.nodes.client import client_frame, server_frame

#: How many names are in one message of a client.
AT_ONCE = 1000

#: How often a step is looked at, and how long it has to be quiet.
LOOK_SECONDS = 0.5
QUIET_SECONDS = 3.0
REST_SECONDS = 10.0
LONGEST_SECONDS = 200.0

#: The clients here send no heartbeat, and have many subscriptions.
_CONFIG = """
connectionEndpoints: [{type: ws-binary, options: {heartbeatInterval: 3600000}}]
limits: {maxSubscriptions: null, maxSubscriptionBytes: null}
"""

#: Has a process keep the CPU time of its longest turn in a file.
_TURNS = """
import mmap, os, struct, time
from twisted.internet import epollreactor
_file = open({directory!r} + "/" + str(os.getpid()), "w+b")
_file.truncate(8)
_longest = mmap.mmap(_file.fileno(), 8)

class _Poller:
    def __init__(self, poller):
        self._poller = poller
        self._start = time.thread_time()

    def __getattr__(self, name):
        return getattr(self._poller, name)

    def poll(self, *arguments):
        turn = time.thread_time() - self._start
        if turn > struct.unpack("d", _longest)[0]:
            _longest[:] = struct.pack("d", turn)
        events = self._poller.poll(*arguments)
        self._start = time.thread_time()
        return events

_init = epollreactor.EPollReactor.__init__

def _patched(self):
    _init(self)
    self._poller = _Poller(self._poller)

epollreactor.EPollReactor.__init__ = _patched
"""


class Steps:
    """
    The processes, and what each step costs them.
    """

    def __init__(self, nodes: Nodes, directory: str) -> None:
        self._nodes = nodes
        self._directory = Path(directory)
        self._redis = Server(nodes.redis.pid, nodes.redis.port)
        (self._table,) = nodes.redis.command("KEYS", "*{cluster}table")
        # CPU seconds a second, of all together.
        self._at_rest = 0.0

    def processes(self) -> dict[str, Server]:
        servers = zip(("ann", "bob", "cat"), self._nodes.servers, strict=False)
        running = {name: Server(server.pid, server.port) for name, server in servers if server.running}
        return {**running, "Redis": self._redis}

    def take(
        self, title: str, work: Callable[[], object], first: Callable[[], object] = lambda: None, wait: bool = True
    ) -> None:
        """
        Do C{first} and C{work}, and print what they cost.

        @param first: starts a process. This thread has to do that: on Linux the process ends with its thread.
        @param wait: until the table is even and the processes are quiet.
        """
        before = self.processes()
        cpu, memory = self._cpu(before), self._memory(before)
        for name in before:
            self._longest(before[name], clear=True)
        start = end = time.monotonic()
        first()
        # A process that ends in this step is read meanwhile.
        last = dict(cpu)
        longest = dict.fromkeys(before, 0.0)
        done: list[float] = []

        def run() -> None:
            work()
            done.append(time.monotonic())

        worker = threading.Thread(target=run)
        worker.start()
        previous, quiet = sum(cpu.values()), 0.0
        while time.monotonic() - start < LONGEST_SECONDS:
            began = time.monotonic()
            worker.join(LOOK_SECONDS)
            time.sleep(max(0.0, began + LOOK_SECONDS - time.monotonic()))
            now = self.processes()
            for name, server in now.items():
                try:
                    last[name] = server.cpu()
                    longest[name] = self._longest(server)
                except FileNotFoundError:
                    pass
            total, seconds = sum(last.values()), time.monotonic() - began
            busy = (total - previous) / seconds > 1.5 * self._at_rest + 0.1
            previous = total
            if busy or worker.is_alive() or not self._is_even():
                end, quiet = time.monotonic(), 0.0
            else:
                quiet += seconds
            if not worker.is_alive() and (not wait or quiet >= QUIET_SECONDS):
                break
        elapsed = max(end, *done) - start if done else end - start
        print(f"{title}: {elapsed:.1f} s", flush=True)
        after = self._memory(self.processes())
        for name in last:
            more = f"{(after[name] - memory.get(name, 0)) / 1e6:+9.1f} MB" if name in after else ""
            turn = "" if name == "Redis" else f"{longest[name] * 1e3:8.0f} ms"
            print(f"    {name:6}{last[name] - cpu.get(name, 0):9.2f} CPU s {turn:11}{more}", flush=True)

    def rest(self, title: str) -> None:
        before = self._cpu(self.processes())
        self.take(title, lambda: time.sleep(REST_SECONDS), wait=False)
        after = self._cpu(self.processes())
        self._at_rest = sum(after[name] - before[name] for name in after) / REST_SECONDS

    def _cpu(self, processes: dict[str, Server]) -> dict[str, float]:
        return {name: server.cpu() for name, server in processes.items()}

    def _memory(self, processes: dict[str, Server]) -> dict[str, float]:
        used = {name: float(server.memory()) for name, server in processes.items()}
        used["Redis"] = float(self._nodes.redis.info("memory")["used_memory"])
        return used

    def _longest(self, server: Server, clear: bool = False) -> float:
        path = self._directory / str(server.pid)
        if not path.exists() or path.stat().st_size < 8:
            return 0.0
        (seconds,) = struct.unpack("d", path.read_bytes())
        if clear:
            with path.open("r+b") as file:
                file.write(bytes(8))
        return float(seconds)

    def _is_even(self) -> bool:
        table = json.loads(self._nodes.redis.command("GET", self._table))
        owned = Counter(table["owners"])
        shares = [owned[number] for number in range(len(table["members"]))]
        return max(shares) - min(shares) <= 1 and sum(shares) == len(table["owners"])


class Client:
    """
    A client that reads all it is sent.

    @param accepts: it accepts all names that it is asked to provide.
    @ivar accepted: how many these were.
    """

    def __init__(self, server: e2e.Server, user: str, accepts: bool = False) -> None:
        self._socket = connect(Server(server.pid, server.port), user)
        self._changed = threading.Condition()
        # How many answers have come to the last request, and what each of them contains.
        self._named = 0
        self._mark = b"?"
        self.accepted = 0
        threading.Thread(target=self._run, args=(self._accept if accepts else self._read,), daemon=True).start()

    def say(self, message: Message) -> None:
        say(self._socket, message)

    def request(self, message: Message, mark: bytes) -> None:
        """
        Send a request for many names, and come back when each was answered.

        @param mark: each answer contains it once.
        """
        self._mark = mark
        with self._changed:
            self._named = 0
        self.say(message)
        with self._changed:
            self._changed.wait_for(lambda: self._named >= len(message.names or ()), LONGEST_SECONDS)

    def _run(self, work: Callable[[], None]) -> None:
        # In the end the node is killed.
        with contextlib.suppress(ConnectionResetError):
            work()

    def _read(self) -> None:
        rest = b""
        while data := self._socket.recv(1 << 18):
            with self._changed:
                # A mark may arrive in two parts.
                data = rest + data
                self._named += data.count(self._mark)
                rest = data[1 - len(self._mark) :]
                self._changed.notify_all()

    def _accept(self) -> None:
        data = b""
        while chunk := self._socket.recv(1 << 18):
            data += chunk
            position, frames = 0, []
            while (found := server_frame(data, position)) is not None:
                _, payload, position = found
                for message in protobuf.CLIENT.decode(payload):
                    if isinstance(message, Message) and message.action is EventAction.SUBSCRIPTION_FOR_PATTERN_FOUND:
                        answer = Message(
                            Topic.EVENT, EventAction.LISTEN_ACCEPT, message.name, subscription=message.subscription
                        )
                        frames.append(client_frame(protobuf.CLIENT.encode(answer), 2))
                        self.accepted += 1
            data = data[position:]
            self._socket.sendall(b"".join(frames))


def subscribe(client: Client, topic: Topic, prefix: str, count: int) -> None:
    for number, start in enumerate(range(0, count, AT_ONCE)):
        names = tuple(f"{prefix}/{index}" for index in range(start, min(count, start + AT_ONCE)))
        if topic is Topic.EVENT:
            # It is answered once for all names.
            client.say(Message(topic, EventAction.SUBSCRIBE, names=names, correlation_id=str(number)))
        else:
            message = Message(topic, RecordAction.SUBSCRIBECREATEANDREAD, names=names, correlation_id=str(number))
            client.request(message, prefix.encode() + b"/")


def run(count: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        nodes = Nodes(3, more=_CONFIG, before=_TURNS.format(directory=directory))
        ann, bob, cat = nodes.servers
        try:
            nodes.redis.start()
            for server in (ann, bob):
                server.start()
            ann.wait_for_line("CLUSTER | node bob-")
            steps = Steps(nodes, directory)
            client = Client(ann, "subscriber")
            listener = Client(bob, "listener", accepts=True)
            steps.take("bob has joined", lambda: None)
            steps.rest("ann and bob at rest, no names")
            steps.take("cat joins", cat.wait_until_started, cat.launch)
            steps.take("cat stops", cat.stop)
            steps.take(f"{count} events", lambda: subscribe(client, Topic.EVENT, "event", count))
            steps.take(f"{count} records", lambda: subscribe(client, Topic.RECORD, "record", count))
            steps.rest("ann and bob at rest")
            steps.take("cat joins", cat.wait_until_started, cat.launch)
            steps.rest("all at rest")
            steps.take("cat stops", cat.stop)
            pattern = Message(Topic.EVENT, EventAction.LISTEN, "event/.*")
            steps.take("a listener for all events at bob", lambda: listener.say(pattern))
            print(f"    it has accepted {listener.accepted} names")
            steps.rest("ann and bob at rest")
            steps.take("cat joins", cat.wait_until_started, cat.launch)
            steps.rest("all at rest")
            steps.take("cat stops", cat.stop)
            print(f"    it has accepted {listener.accepted} names")
        finally:
            nodes.kill()
