"""
From a chunk of received bytes to routed messages: framing, decoding, routing, in microseconds of CPU time a message.

The events have no subscribers, so this is the cost of taking a message in.
"""

from __future__ import annotations

import time
from typing import Any

from twisted.internet.testing import MemoryReactorClock

from dstwist.config.settings import Settings
from dstwist.node import Node
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message
from dstwist.transports import websocket
from tests.nodes.client import MemoryClient, client_frame

CHUNK = 65536
ROUNDS = 30


def cost(client: MemoryClient, chunk: bytes, count: int) -> float:
    """
    Microseconds a message, the best of several rounds.
    """
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        client.protocol.dataReceived(chunk)
        best = min(best, time.process_time() - start)
    return best / count * 1e6


def connected(generation: str) -> tuple[MemoryClient, Any]:
    reactor = MemoryReactorClock()
    node = Node(Settings(), [], reactor)
    node.startService()
    client = MemoryClient(node, generation)
    reactor.advance(0)
    client.log_in("bench")
    return client, reactor


def main() -> None:
    for generation in ("v4", "v3"):
        for fast in (True, False):
            websocket.FAST_PATH = fast
            client, _ = connected(generation)
            data: Any = b'"1.34325"' if generation == "v4" else "S1.34325"
            emit = client.codec.encode(Message(Topic.EVENT, EventAction.EMIT, "fx/0001", data))
            frame = client_frame(emit, client.opcode)
            count = CHUNK // len(frame)
            path = "fast path" if fast else "Autobahn alone"
            print(f"{generation}  {path:16}{cost(client, frame * count, count):8.2f} us a message")


if __name__ == "__main__":
    main()
