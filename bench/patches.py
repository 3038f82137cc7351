"""
Patches of large records: microseconds of CPU time from a decoded patch to the C{write} of the subscriber, with a wire
that costs nothing. The records are in memory, and each patch is to another place of the record than the one before.

With C{--against DIR}, the same figures of another checkout are in the first column. Both are measured several times, in
turns, so that other work on the machine disturbs both alike.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from zope.interface import implementer

from bench.records import Deaf, DeafWire
from dstwist.config.settings import ListenSettings, RecordSettings
from dstwist.interfaces import IPermission
from dstwist.permission.open import OpenPermission
from dstwist.permission.valve.permission import ValvePermission
from dstwist.permission.valve.rules import load_permissions
from dstwist.protocol import protobuf
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.jsontext import dumps, loads
from dstwist.protocol.message import Message
from dstwist.routing.listeners import ListenerRegistry
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.record.service import RecordService
from dstwist.store.memory import MemoryStore
from dstwist.store.tiers import TieredStore

NAME = "board"
PATHS = 1000
ROUNDS = 3
#: How long one measurement takes, in seconds of CPU time.
SECONDS = 0.3


@implementer(IPermission)
class Counting:
    """
    A permission that counts the writes that it allows.
    """

    def __init__(self, permission: Any) -> None:
        self._allows = permission.allows
        self.allowed = 0

    def allows(self, message: Message, sender: Any, change: Any = None) -> Any:
        decision = self._allows(message, sender, change)
        self.allowed += decision is True
        return decision


def small() -> tuple[Any, list[str], str]:
    return {"position": {"x": 1.5, "y": 2.5}, "name": "ann"}, ["position.x", "position.y"], "name"


def flat() -> tuple[Any, list[str], str]:
    count = 40_000
    keys = [f"key{number:06d}" for number in range(count)]
    return {key: number + 0.5 for number, key in enumerate(keys)}, keys[:: count // PATHS], keys[7]


def rows() -> tuple[Any, list[str], str]:
    count = 13_000
    made = [{"id": n, "name": f"the name of {n}", "x": n + 0.5, "y": 1.5, "on": True} for n in range(count)]
    return {"rows": made}, [f"rows[{n}].x" for n in range(0, count, count // PATHS)], "rows[7].name"


def levels() -> tuple[Any, list[str], str]:
    level = range(100)
    made: dict[str, Any] = {f"a{i}": i for i in level}
    for i in range(9):
        made[f"a{i}"] = {f"b{j}": {f"c{k}": k + 0.5 for k in level} for j in level}
    paths = [f"a{n % 9}.b{n * 7 % 100}.c{n * 13 % 100}" for n in range(PATHS)]
    return made, paths, "a0.b7.c7"


RECORDS: dict[str, Callable[[], tuple[Any, list[str], str]]] = {
    "small record": small,
    "flat, 40,000 keys": flat,
    "array of 13,000 objects": rows,
    "100 keys a level": levels,
}


def cost(make: Callable[[], tuple[Any, list[str], str]], subscribed: bool, has_rule: bool) -> float:
    """
    Microseconds for a patch.
    """
    data, paths, read = make()
    permission: Any = OpenPermission()
    if has_rule:
        rules: dict[str, Any] = {section: {"*": {}} for section in ("presence", "record", "event", "rpc")}
        allowed = dict.fromkeys(("create", "read", "delete", "listen", "notify"), True)
        rules["record"]["*"] = allowed | {"write": f"oldData.{read} !== 'locked'"}
        permission = Counting(ValvePermission(load_permissions(rules), time.time))
    subscriptions = SubscriptionRegistry(Topic.RECORD)
    clock = Clock()
    listeners = ListenerRegistry(Topic.RECORD, subscriptions, ListenSettings(), clock)
    settings = RecordSettings()
    store = MemoryStore(max_bytes=1 << 30, evict=False)
    tiers = TieredStore(store, None, settings, clock)
    service = RecordService(subscriptions, listeners, None, permission, tiers, settings, clock)
    writer, subscriber = Deaf("ann", wire=DeafWire()), Deaf("bob", wire=DeafWire())
    get = RecordAction.SUBSCRIBECREATEANDREAD
    service.handle(Message(Topic.RECORD, get, names=(NAME,), correlation_id="0"), subscriber)
    if not subscribed:
        service.handle(Message(Topic.RECORD, RecordAction.UNSUBSCRIBE, names=(NAME,), correlation_id="1"), subscriber)
    # As of a client: each key is a text of its own.
    store.set(NAME, 0, loads(dumps(data)))
    del data
    patches = [Message(Topic.RECORD, RecordAction.PATCH, NAME, b"1.5", path=path, version=0) for path in paths]
    for patch in patches:
        patch.verbatim = protobuf.SERVER
    version = 0

    def serve() -> None:
        nonlocal version
        for patch in patches:
            version += 1
            patch.version = version
            service.handle(patch, writer)

    serve()
    best = 1e9
    for _ in range(5):
        count = 0
        before = time.process_time()
        while time.process_time() < before + SECONDS / 5:
            serve()
            count += len(patches)
        best = min(best, (time.process_time() - before) / count)
    record = store.known(NAME)
    assert record is not None and record.version == version, "each patch was accepted"
    assert not has_rule or permission.allowed >= version
    return best * 1e6


def figures() -> dict[str, float]:
    found = {}
    for name, make in RECORDS.items():
        for subscribed in (False, True):
            for has_rule in (False, True):
                case = f"{name:24}{'subscriber' if subscribed else '':12}{'oldData' if has_rule else '':8}"
                found[case] = cost(make, subscribed, has_rule)
    return found


def figures_of(checkout: str) -> dict[str, float]:
    """
    The figures of the modules in another folder.
    """
    command = [sys.executable, "-P", os.path.abspath(__file__), "--json"]
    environment = os.environ | {"PYTHONPATH": os.path.abspath(checkout)}
    answer = subprocess.run(command, cwd=checkout, env=environment, stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(answer.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--against", metavar="DIR", action="append", default=[], help="another checkout")
    parser.add_argument("--json", action="store_true", help="the figures of this process as JSON")
    options = parser.parse_args()
    if options.json:
        print(json.dumps(figures()))
        return
    checkouts = [*options.against, os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    best: list[dict[str, float]] = [{} for _ in checkouts]
    for _ in range(ROUNDS):
        for checkout, mine in zip(checkouts, best, strict=True):
            for case, value in figures_of(checkout).items():
                mine[case] = min(mine.get(case, value), value)
    print(f"{'us of CPU time a patch':44}" + "".join(f"{os.path.basename(each):>12}" for each in checkouts))
    for case in best[-1]:
        print(case + "".join(f"{mine[case]:12.2f}" for mine in best), flush=True)


if __name__ == "__main__":
    main()
