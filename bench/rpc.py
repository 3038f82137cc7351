"""
Procedure calls through a node with clients in memory: CPU time a call, and calls per CPU-second.

A call is three messages in (REQUEST, ACCEPT, RESPONSE) and the same three out. They arrive many in one read, as under
load, or one by one, and leave once a turn of the reactor.
"""

from __future__ import annotations

import time
from typing import Any

from twisted.internet.testing import MemoryReactorClock

from dstwist.config.settings import Settings
from dstwist.node import Node
from dstwist.protocol.constants import RpcAction, Topic
from dstwist.protocol.message import Message
from tests.nodes.client import MemoryClient, client_frame

WINDOW = 200
ROUNDS = 40


def rpc(action: RpcAction, call_id: str, data: bytes | str | None = None) -> Message:
    return Message(Topic.RPC, action, "add", data, correlation_id=call_id)


def frames(client: MemoryClient, messages: list[Message]) -> list[bytes]:
    return [client_frame(client.codec.encode(message), client.opcode) for message in messages]


def chunks(parts: list[bytes], size: int) -> list[bytes]:
    return [b"".join(parts[start : start + size]) for start in range(0, len(parts), size)]


def cost(calling: str, providing: str, providers: int, size: int) -> float:
    """
    CPU microseconds of the server a call, the best of several rounds.

    @param size: how many messages arrive at once.
    """
    reactor = MemoryReactorClock()
    node = Node(Settings(), [], reactor)
    node.startService()
    clients = {}
    for user, generation in (("caller", calling), *((f"p{number}", providing) for number in range(providers))):
        client = clients[user] = MemoryClient(node, generation)
        reactor.advance(0)
        client.log_in(user)
        if user != "caller":
            client.say(Message(Topic.RPC, RpcAction.PROVIDE, names=("add",), correlation_id="0"))
    caller = clients.pop("caller")
    data: dict[str, Any] = {"v3": 'O{"a":1,"b":2}', "v4": b'{"a":1,"b":2}'}
    best = float("inf")
    for number in range(ROUNDS):
        ids = [f"mwuljzpr-{number}-{count}" for count in range(WINDOW)]
        requests = chunks(frames(caller, [rpc(RpcAction.REQUEST, call_id, data[calling]) for call_id in ids]), size)
        start = time.process_time()
        for request in requests:
            caller.protocol.dataReceived(request)
            reactor.advance(0)
        spent = time.process_time() - start
        for provider in clients.values():
            asked = [message.correlation_id for message in provider.heard() if message.action is RpcAction.REQUEST]
            answers = [
                rpc(action, call_id, data[providing] if action is RpcAction.RESPONSE else None)
                for call_id in asked
                for action in (RpcAction.ACCEPT, RpcAction.RESPONSE)
            ]
            said = chunks(frames(provider, answers), size)
            start = time.process_time()
            for answer in said:
                provider.protocol.dataReceived(answer)
                reactor.advance(0)
            spent += time.process_time() - start
        answered = [message for message in caller.heard() if message.action is RpcAction.RESPONSE]
        assert len(answered) == WINDOW
        best = min(best, spent / WINDOW)
    return best * 1e6


def main() -> None:
    for calling, providing in (("v4", "v4"), ("v3", "v3"), ("v3", "v4"), ("v4", "v3")):
        for providers in (1, 10):
            for size, kind in ((50, "saturated"), (1, "one at a time")):
                spent = cost(calling, providing, providers, size)
                print(
                    f"{calling} calls {providing}  {providers:2} provider(s)  {kind:14}"
                    f"{spent:8.1f} us a call  {1e6 / spent:10,.0f} calls per CPU-second",
                    flush=True,
                )


if __name__ == "__main__":
    main()
