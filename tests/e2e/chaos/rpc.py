"""
Procedure calls in the chaos test.

Each call ends, with one answer; a result belongs to the call. At rest each node can call the procedures of all nodes.
"""

from __future__ import annotations

import json
from typing import Any

from dstwist.protocol.constants import RpcAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.typed import to_json
from tests.e2e.chaos.client import Actor

#: The procedure that a client of each node provides. Those of one node are C{rpc/ann}, ...
EVERYWHERE = "rpc/all"

#: How often a provider refuses a call.
_REJECTED = 0.1

#: The answers that end a call.
_ENDS = frozenset(
    {
        RpcAction.RESPONSE,
        RpcAction.REQUEST_ERROR,
        RpcAction.NO_RPC_PROVIDER,
        RpcAction.ACCEPT_TIMEOUT,
        RpcAction.RESPONSE_TIMEOUT,
    }
)


class Provider(Actor):
    """
    Provides a procedure that all nodes have, and one that only its node has.
    """

    def logged_in(self) -> None:
        names = (EVERYWHERE, f"rpc/{self.node}")
        self.say(Message(Topic.RPC, RpcAction.PROVIDE, names=names, correlation_id="0"))

    def heard(self, message: Message) -> None:
        if message.topic is not Topic.RPC or message.action is not RpcAction.REQUEST:
            return
        name, number = message.name, message.correlation_id
        if name == EVERYWHERE and self.random.random() < _REJECTED:
            self.say(Message(Topic.RPC, RpcAction.REJECT, name, correlation_id=number))
            return
        answer = Message(Topic.RPC, RpcAction.RESPONSE, name, message.data, correlation_id=number)
        self.say(Message(Topic.RPC, RpcAction.ACCEPT, name, correlation_id=number), answer)


class Caller(Actor):
    """
    Calls the procedures of all nodes.
    """

    def __init__(self, *actor: Any) -> None:
        super().__init__(*actor)
        self._serial = 0
        # By correlation id: the procedure.
        self._running: dict[str, str] = {}
        self._ended_calls: set[str] = set()
        # The number of the last call before the rest, and the procedures that were called with success since.
        self._rest = 0
        self._reached: set[str] = set()
        self._last_answers: dict[str, str] = {}

    def logged_out(self) -> None:
        self._running.clear()
        self._ended_calls.clear()

    def act(self) -> None:
        self._call(self.random.choice((EVERYWHERE, *self._own_procedures)))

    @property
    def _own_procedures(self) -> list[str]:
        return [f"rpc/{node}" for node in self.cluster.names]

    def _call(self, name: str) -> None:
        if self.wire is None:
            return
        self._serial += 1
        number = f"{self.name}-{self._serial}"
        self._running[number] = name
        value = json.dumps(number)
        data: Any = value.encode() if self.generation == "v4" else "S" + number
        self.say(Message(Topic.RPC, RpcAction.REQUEST, name, data, correlation_id=number))

    def heard(self, message: Message) -> None:
        if message.topic is not Topic.RPC:
            return
        number = str(message.correlation_id)
        if message.action is RpcAction.ACCEPT:
            if number in self._ended_calls:
                self.book.complain(f"{self.name} is told that call {number} was accepted, after its end")
        elif message.action not in _ENDS:
            self.book.complain(f"{self.name} is told: {message}")
        elif number in self._ended_calls:
            self.book.complain(f"{self.name} gets a second answer to call {number}: {message}")
        elif number not in self._running:
            self.book.complain(f"{self.name} gets an answer to no call: {message}")
        else:
            self._ends(number, message)

    def _ends(self, number: str, message: Message) -> None:
        name = self._running.pop(number)
        self._ended_calls.add(number)
        self._last_answers[name] = message.action.name
        self.book.count(f"calls with {message.action.name}")
        if message.action is RpcAction.RESPONSE:
            if (value := json.loads(to_json(message.data) or b"null")) != number:
                self.book.complain(f"{self.name} gets the result {value} for call {number}")
            if int(number.rpartition("-")[2]) > self._rest:
                self._reached.add(name)

    def begin_rest(self) -> None:
        self._rest = self._serial
        self._reached.clear()
        self._last_answers.clear()

    def ask(self) -> None:
        for name in (EVERYWHERE, *self._own_procedures):
            if name not in self._reached and name not in self._running.values():
                self._call(name)

    def wrong(self) -> list[str]:
        if self.wire is None:
            return []
        problems = [
            f"{self.name} at {self.node} cannot call {name}: {self._last_answers.get(name, 'no answer')}"
            for name in (EVERYWHERE, *self._own_procedures)
            if name not in self._reached
        ]
        if self._running:
            problems.append(f"{self.name} at {self.node} gets no answer to {dict(self._running)}")
        return problems
