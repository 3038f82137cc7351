"""
The cost of a decision by a rule, in microseconds of CPU time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import succeed

from dstwist.interfaces import Change, Record
from dstwist.permission.valve.permission import ValvePermission
from dstwist.permission.valve.rules import load_permissions
from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from tests.fakes import FakeConnection

REPEAT = 20_000

ROLE = "user.data !== null && user.data.role === 'admin'"
GAME = "($id == user.id && _('game/' + $id).players.indexOf(user.id) !== -1) || user.data.role == 'x'"
READ = Message(Topic.RECORD, RecordAction.READ, "user/ann")
UPDATE = Message(Topic.RECORD, RecordAction.UPDATE, "user/ann", b'{"owner":"ann","n":5}', version=2)
EMIT = Message(Topic.EVENT, EventAction.EMIT, "user/ann", b'{"price":5}')
RULES: dict[str, tuple[str, Any, Message, Record | None]] = {
    "true": ("read", True, READ, None),
    "user.id === $id": ("read", "user.id === $id", READ, None),
    "user.data.role": ("read", ROLE, READ, None),
    "name.startsWith": ("read", "name.startsWith('user/')", READ, None),
    "match": ("read", "name.match(/^user.[a-z]+$/) !== null", READ, None),
    "data of an event": ("publish", "data.price < 10", EMIT, None),
    "data and oldData": (
        "write",
        "data.owner === oldData.owner && data.n > oldData.n",
        UPDATE,
        Record(1, {"owner": "ann", "n": 4}),
    ),
    "cross reference": ("read", GAME, READ, None),
}


def cost(call: Callable[[], Any]) -> float:
    """
    Microseconds a call, the best of several rounds.
    """
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        for _ in range(REPEAT):
            call()
        best = min(best, time.process_time() - start)
    return best / REPEAT * 1e6


def permission(kind: str, rule: Any, patterns: int = 1) -> ValvePermission:
    """
    A permission with one rule, among others.
    """
    section = "event" if kind == "publish" else "record"
    rules: dict[str, Any] = {name: {"*": {}} for name in ("record", "event", "rpc", "presence")}
    for number in range(patterns - 1):
        rules[section][f"other{number}/$id/*"] = {kind: False}
    rules[section]["user/$id"] = {kind: rule}
    game = Record(1, {"players": ["bob", "ann"]})
    return ValvePermission(load_permissions(rules), time.time, load=lambda name: succeed(game))


def main() -> None:
    ann = FakeConnection("ann")
    ann.server_data = {"role": "admin"}
    print(f"{'rule':24}{'us':>8}")
    for name, (kind, rule, message, record) in RULES.items():
        allows = permission(kind, rule).allows

        def decide(allows: Any = allows, message: Message = message, record: Record | None = record) -> Any:
            return allows(message, ann, None if record is None else Change(record, message))

        assert decide() is True, name
        print(f"{name:24}{cost(decide):8.2f}")
    print(f"\n{'first time for a name':24}{'us':>8}")
    for patterns in (1, 10, 100):
        allows = permission("read", True, patterns).allows
        names = iter(range(10**9))

        def ask(allows: Any = allows, names: Any = names) -> Any:
            return allows(Message(Topic.RECORD, RecordAction.READ, f"user/{next(names)}"), ann)

        print(f"{f'{patterns} patterns':24}{cost(ask):8.2f}")


if __name__ == "__main__":
    main()
