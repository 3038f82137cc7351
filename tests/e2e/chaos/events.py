"""
Events in the chaos test.

A client gets each event at most once, and the events of one emitter in order. At rest clients of all nodes get all of
them.
"""

from __future__ import annotations

import json
from typing import Any

from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.typed import to_json
from tests.e2e.chaos.client import Actor

#: The events that all clients want.
NAMES = ("event/a", "event/b")

#: How many events each client emits at rest, of which none may be missed.
_SURE = 5


class Emitter(Actor):
    """
    Emits events with growing numbers, and is told of those of the others.
    """

    def __init__(self, *actor: Any) -> None:
        super().__init__(*actor)
        self.sure: set[int] = set()
        self.is_subscribed = False
        # By emitter and name: the numbers of the events that have come.
        self._last: dict[tuple[str, str], int] = {}
        self._numbers: dict[str, set[int]] = {}
        self._reached: set[str] = set()
        self._serial = 0

    def logged_in(self) -> None:
        self.say(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=NAMES, correlation_id="0"))

    def logged_out(self) -> None:
        self.is_subscribed = False
        self.sure.clear()
        self._reached.clear()

    def act(self) -> None:
        self._emit()

    def _emit(self) -> int:
        self._serial += 1
        text = json.dumps({"from": self.name, "number": self._serial, "rest": self.stage.rests})
        data: Any = text.encode() if self.generation == "v4" else "O" + text
        self.say(Message(Topic.EVENT, EventAction.EMIT, NAMES[self._serial % len(NAMES)], data))
        return self._serial

    def heard(self, message: Message) -> None:
        if message.topic is not Topic.EVENT:
            return
        if message.action is EventAction.SUBSCRIBE and message.is_ack:
            self.is_subscribed = True
        elif message.action is EventAction.EMIT:
            event = json.loads(to_json(message.data) or b"null")
            emitter, number, key = event["from"], event["number"], (event["from"], str(message.name))
            self.book.count("events")
            if number <= self._last.get(key, 0):
                self.book.complain(
                    f"{self.name} at {self.node} gets event {number} of {emitter} after {self._last[key]}"
                )
            self._last[key] = number
            self._numbers.setdefault(emitter, set()).add(number)
            if event["rest"] == self.stage.rests:
                self._reached.add(emitter)

    def begin_rest(self) -> None:
        self.sure.clear()
        self._reached.clear()
        self._numbers.clear()

    def ask(self) -> None:
        if not self.stage.is_sure:
            self._emit()

    def begin_sure(self) -> None:
        self.sure = {self._emit() for _ in range(_SURE)}

    def wrong(self) -> list[str]:
        if self.wire is None:
            return []
        if not self.is_subscribed:
            return [f"{self.name} at {self.node} is not told that it has subscribed to events"]
        problems = []
        for other in self.others(Emitter):
            if other.name not in self._reached:
                problems.append(f"{self.name} at {self.node} gets no events of {other.name} at {other.node}")
            elif missing := other.sure - self._numbers.get(other.name, set()):
                problems.append(f"{self.name} at {self.node} misses events {sorted(missing)} of {other.name}")
        return problems
