"""
Every kind of request at the largest size that is allowed, from one connection and from many at a time: how long the
longest turn of the server's reactor is, in CPU time::

    python -m tests.hostile.largest [--checkout DIRECTORY] [--clients N] [--storage] [--list] [NAME ...]

All run on one server, in the order of the table. C{one} and C{many} are the longest turns in milliseconds; C{CPU} is
what the server used for the requests of one connection, and C{closed} how many connections it closed. A turn that is
longer than L{LONGEST} is marked.
"""

from __future__ import annotations

import argparse
import json
import select
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from dstwist.protocol.constants import EventAction, PresenceAction, RecordAction, RpcAction, Topic
from dstwist.protocol.message import Message
from tests.e2e.server import CHECKOUT, Server
from tests.hostile.intruder import Intruder, close_all, frame
from tests.hostile.measured import cpu_of
from tests.hostile.readers import reading
from tests.hostile.turns import TurnMeter
from tests.nodes.client import GENERATIONS

#: A message may be so long (C{maxMessageSize}); the frame has a little room for its names.
SIZE = (1 << 20) - 300

#: No turn should be longer, in seconds.
LONGEST = 0.02

#: The server is done when it has used less than this part of a core, for so long, in seconds.
_IDLE, _QUIET = 0.1, 0.6

_EVENT, _RECORD, _RPC, _PRESENCE = Topic.EVENT, Topic.RECORD, Topic.RPC, Topic.PRESENCE


class Case(NamedTuple):
    """
    A request.

    @ivar payload: what client C{number} sends, as one payload.
    @ivar generation: of the clients.
    @ivar before: what they send first; this is not measured.
    """

    name: str
    payload: Callable[[int], bytes]
    generation: str = "v4"
    before: Callable[[int], bytes] | None = None


#: JSON of the largest size, of several shapes.
SHAPES: dict[str, bytes] = {
    "string": b'"%s"' % (b"x" * SIZE),
    "escapes": b'"%s"' % (b"\\u00e9" * (SIZE // 6)),
    "numbers": b"[%s]" % b",".join([b"1"] * (SIZE // 2)),
    "floats": b"[%s]" % b",".join([b"1e-7"] * (SIZE // 5)),
    "arrays": b"[%s]" % b",".join([b"[]"] * (SIZE // 3)),
    "objects": b"[%s]" % b",".join([b"{}"] * (SIZE // 3)),
    "filled arrays": b"[%s]" % b",".join([b"[1]"] * (SIZE // 4)),
    "keys": b"{%s}" % b",".join(b'"%x":1' % number for number in range(SIZE // 10)),
    "pairs": b"[%s]" % b",".join([b'{"a":1}'] * (SIZE // 8)),
    "nests": b"[%s]" % b",".join([b"[" * 200 + b"]" * 200] * (SIZE // 401)),
    "names": json.dumps([f"{number:x}" for number in range(SIZE // 8)], separators=(",", ":")).encode(),
}


def _v4(*messages: Message) -> bytes:
    return b"".join(GENERATIONS["v4"][1].encode(message) for message in messages)


def _same(*messages: Message) -> Callable[[int], bytes]:
    """
    The same from every client.
    """
    return lambda _: _v4(*messages)


def _write(
    action: RecordAction, name: str, data: bytes | None = None, path: str | None = None
) -> Callable[[int], bytes]:
    """
    A write to a record of each client, if C{name} has a C{#}, which stands for the number of the client.
    """
    return lambda number: _v4(Message(_RECORD, action, name.replace("#", str(number)), data, path=path, version=-1))


def _lines(*parts: str) -> Callable[[int], bytes]:
    """
    A text message; a number in it is the number of the client.
    """
    return lambda number: _text(*(part.replace("#", str(number)) if len(part) < 10 else part for part in parts))


def _text(*parts: str) -> bytes:
    return ("\x1f".join(parts) + "\x1e").encode()


def _object(shape: bytes) -> bytes:
    """
    A record may be an array or an object.
    """
    return shape if shape[:1] in b"[{" else b"[%s]" % shape


def _many(size: int, make: Callable[[int], bytes]) -> bytes:
    """
    So many small messages as one payload may hold.
    """
    parts: list[bytes] = []
    total = number = 0
    while True:
        part = make(number)
        total += len(part)
        if total > size:
            return b"".join(parts)
        parts.append(part)
        number += 1


def _names() -> tuple[str, ...]:
    return tuple(f"{number:x}" for number in range(SIZE // 7))


def cases() -> Iterator[Case]:
    """
    All of them.
    """
    create, patch = RecordAction.CREATEANDUPDATE, RecordAction.CREATEANDPATCH
    for shape, data in SHAPES.items():
        yield Case(f"event {shape}", _same(Message(_EVENT, EventAction.EMIT, "e", data)))
        yield Case(f"call {shape}", _same(Message(_RPC, RpcAction.REQUEST, "p", data, correlation_id="1")))
        yield Case(f"record {shape}", _write(create, "r#", _object(data)))
        yield Case(f"one record {shape}", _write(create, "r", _object(data)))
        yield Case(f"patch {shape}", _write(patch, "r#", data, "a"))
        if data[:1] in b"[{":
            text = data.decode()
            yield Case(f"text event {shape}", _lines("E", "EVT", "e", "O" + text), "v3")
            yield Case(f"text record {shape}", _lines("R", "CU", "r#", "-1", text, "{}"), "v3")
            yield Case(f"text patch {shape}", _lines("R", "CU", "t#", "-1", "a", "O" + text, "{}"), "v3")
    yield from _writes_of_parts()
    yield from _bulks()
    yield from _small()


def _writes_of_parts() -> Iterator[Case]:
    parts = {
        "of one path": [{"path": "a", "data": 1}] * (SIZE // 22),
        "of many paths": [{"path": f"k{number:x}", "data": 1} for number in range(SIZE // 27)],
        "of nested paths": [{"path": f"a.b.c.d.k{number:x}", "data": 1} for number in range(SIZE // 35)],
        "of array paths": [{"path": f"a[{number}]", "data": 1} for number in range(SIZE // 28)],
        "of deep paths": [{"path": ".".join("abcdefgh" * 10), "data": 1}] * (SIZE // 182),
    }
    for name, changes in parts.items():
        data = json.dumps(changes, separators=(",", ":")).encode()[: SIZE + 200]
        yield Case(
            f"patch multi {name}",
            _write(RecordAction.PATCH_MULTI, "m#", data),
            before=_write(RecordAction.CREATEANDUPDATE, "m#", b"{}"),
        )
    path = ".".join("a" * (SIZE // 2 // 2))
    yield Case("patch of a long path", _write(RecordAction.CREATEANDPATCH, "l#", b"1", path))
    yield Case("erase of a long path", _write(RecordAction.ERASE, "m#", path=path))


_BULKS = (
    (_EVENT, (EventAction.SUBSCRIBE, EventAction.UNSUBSCRIBE)),
    (_RPC, (RpcAction.PROVIDE, RpcAction.UNPROVIDE)),
    (_PRESENCE, (PresenceAction.QUERY, PresenceAction.SUBSCRIBE, PresenceAction.UNSUBSCRIBE)),
    (
        _RECORD,
        (
            RecordAction.SUBSCRIBE,
            RecordAction.SUBSCRIBEANDHEAD,
            RecordAction.SUBSCRIBEANDREAD,
            RecordAction.NOTIFY,
            RecordAction.UNSUBSCRIBE,
            RecordAction.SUBSCRIBECREATEANDREAD,
            RecordAction.UNSUBSCRIBE,
        ),
    ),
)


def _bulks() -> Iterator[Case]:
    names = _names()
    for topic, actions in _BULKS:
        for action in actions:
            message = Message(topic, action, names=names, correlation_id="1")
            yield Case(f"{topic.name.lower()} {action.name.lower()}", _same(message))
    same = ("x",) * (SIZE // 3)
    for topic, actions in _BULKS:
        message = Message(topic, actions[0], names=same, correlation_id="1")
        yield Case(f"{topic.name.lower()} {actions[0].name.lower()} of one name", _same(message))
    long = ("y" * 5000,) * (SIZE // 5003)
    yield Case("subscribe of long names", _same(Message(_EVENT, EventAction.SUBSCRIBE, names=long)))
    short = json.dumps([f"{number:x}" for number in range(SIZE // 8)], separators=(",", ":"))
    shortest = json.dumps(["a"] * (SIZE // 4), separators=(",", ":"))
    for code in ("Q", "S", "US"):
        for name, text in (("names", short), ("of one name", shortest)):
            fields = ("U", "Q", text) if code == "Q" else ("U", code, "1", text)
            yield Case(f"text presence {code} {name}", _lines(*fields), "v3")


def _small() -> Iterator[Case]:
    def small(make: Callable[[int], Message]) -> Callable[[int], bytes]:
        return lambda _: _many(SIZE, lambda number: _v4(make(number)))

    yield Case("small events", small(lambda n: Message(_EVENT, EventAction.EMIT, "e", b"1")))
    yield Case("small calls", small(lambda n: Message(_RPC, RpcAction.REQUEST, "p", b"1", correlation_id=f"{n}")))
    yield Case("small reads", small(lambda n: Message(_RECORD, RecordAction.READ, "s")))
    yield Case("small heads", small(lambda n: Message(_RECORD, RecordAction.HEAD, f"s{n}")))
    yield Case("small deletes", small(lambda n: Message(_RECORD, RecordAction.DELETE, f"s{n}")))
    yield Case(
        "small writes", small(lambda n: Message(_RECORD, RecordAction.CREATEANDUPDATE, f"w{n}", b"{}", version=-1))
    )
    yield Case(
        "small writes of one record",
        small(lambda n: Message(_RECORD, RecordAction.CREATEANDPATCH, "w", b"1", path=f"k{n % 100}", version=-1)),
    )
    yield Case("small subscriptions", small(lambda n: Message(_EVENT, EventAction.SUBSCRIBE, names=(f"x{n}",))))
    yield Case("small listens", small(lambda n: Message(_EVENT, EventAction.LISTEN, f"a{n}.*")))
    pattern = "(a|b)*" * 160
    yield Case("long patterns", small(lambda n: Message(_RECORD, RecordAction.LISTEN, f"{n}{pattern}")))
    yield Case("nonsense", lambda _: b"\x00" * SIZE)
    yield Case("unknown actions", lambda _: _many(SIZE, lambda n: bytes.fromhex("0610041a02087f")))
    yield Case("text small events", lambda _: _many(SIZE, lambda n: _text("E", "EVT", "e", "N1")), "v3")
    yield Case("text separators", lambda _: b"\x1e" * SIZE, "v3")
    yield Case("text fields", lambda _: b"E\x1fEVT" + b"\x1f" * SIZE + b"\x1e", "v3")
    yield Case("text nonsense", lambda _: _many(SIZE, lambda n: b"x\x1fy\x1e"), "v3")
    yield Case("text not ASCII", lambda _: _text("E", "EVT", "e", "S" + "\u20ac" * (SIZE // 3)), "v3")


class Meter:
    """
    A server whose turns are measured.
    """

    def __init__(self, directory: Path, checkout: Path, storage: bool) -> None:
        self._turns = TurnMeter(directory / "turns")
        self.server = Server(
            before=self._turns.program, checkout=checkout, data_dir=directory / "data" if storage else None
        )
        self.server.start()

    def run(self, case: Case, count: int) -> tuple[float, float, int]:
        """
        Let C{count} clients send it.

        @return: the longest turn and the CPU time, in seconds, and how many clients were closed.
        """
        clients = [Intruder(self.server.port, case.generation).log_in(f"user{number}") for number in range(count)]
        if case.before is not None:
            for number, client in enumerate(clients):
                client.payload(case.before(number))
        payloads = [frame(case.payload(number), clients[0].opcode) for number in range(count)]
        self._wait()
        with reading(clients) as received:
            self._turns.reset()
            began = cpu_of(self.server.pid)
            _send_all(clients, payloads)
            self._wait()
            longest, used = self._turns.longest(), cpu_of(self.server.pid) - began
            ended = received.ended
        close_all(clients)
        self._wait()
        return longest, used, ended

    def _wait(self) -> None:
        """
        Return when the server has nothing to do.
        """
        deadline = time.monotonic() + 120
        used, quiet = cpu_of(self.server.pid), 0.0
        while quiet < _QUIET and time.monotonic() < deadline:
            time.sleep(0.1)
            before, used = used, cpu_of(self.server.pid)
            quiet = quiet + 0.1 if used - before < _IDLE * 0.1 + 0.01 else 0.0


def _send_all(clients: list[Intruder], payloads: list[bytes]) -> None:
    poll = select.poll()
    left = {
        client.socket.fileno(): (client.socket, memoryview(data))
        for client, data in zip(clients, payloads, strict=True)
    }
    for number in left:
        poll.register(number, select.POLLOUT)
    deadline = time.monotonic() + 60
    while left and time.monotonic() < deadline:
        for number, _ in poll.poll(100):
            socket, data = left[number]
            try:
                data = data[socket.send(data) :]
            except BlockingIOError:
                continue
            except OSError:
                data = data[:0]
            left[number] = socket, data
            if not data:
                del left[number]
                poll.unregister(number)


def main() -> None:
    """
    Run them.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.largest")
    parser.add_argument("--checkout", type=Path, default=CHECKOUT, help="run the server of this checkout")
    parser.add_argument("--clients", type=int, default=100, help="how many are many")
    parser.add_argument("--storage", action="store_true", help="store the records in a file")
    parser.add_argument("--list", action="store_true", help="only print the names")
    parser.add_argument("names", nargs="*", help="only those whose names start so (with _ in the place of blanks)")
    options = parser.parse_args()
    starts = tuple(name.replace("_", " ") for name in options.names)
    wanted = [case for case in cases() if not starts or case.name.startswith(starts)]
    if options.list:
        sys.stdout.write("".join(f"{case.name}\n" for case in wanted))
        return
    width = max(len(case.name) for case in wanted)
    sys.stdout.write(f"{'request':{width}}  {'one ms':>7}  {'CPU ms':>7}  {'many ms':>7}  {'CPU ms':>7}  closed\n")
    with tempfile.TemporaryDirectory() as directory:
        meter = Meter(Path(directory), options.checkout.resolve(), options.storage)
        try:
            for case in wanted:
                one, one_cpu, one_closed = meter.run(case, 1)
                many, many_cpu, closed = meter.run(case, options.clients)
                mark = " *" if max(one, many) > LONGEST else ""
                sys.stdout.write(
                    f"{case.name:{width}}  {one * 1000:7.1f}  {one_cpu * 1000:7.0f}  {many * 1000:7.1f}"
                    f"  {many_cpu * 1000:7.0f}  {one_closed + closed or ''}{mark}\n"
                )
                sys.stdout.flush()
        finally:
            meter.server.kill()


if __name__ == "__main__":
    main()
