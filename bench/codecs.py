"""
The cost of decoding and encoding one message in each protocol, in microseconds of CPU time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from dstwist.protocol import protobuf, text
from dstwist.protocol.constants import EventAction, RecordAction, RpcAction, Topic
from dstwist.protocol.message import Message

MESSAGES = {
    "EMIT": Message(Topic.EVENT, EventAction.EMIT, "fx/0001", b'"1.34325"'),
    "SUBSCRIBE": Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("fx/0001",), correlation_id="1"),
    "PATCH": Message(Topic.RECORD, RecordAction.PATCH, "fx/0001", b"1.34325", path="rate", version=7),
    "REQUEST": Message(Topic.RPC, RpcAction.REQUEST, "add", b'{"a":1}', correlation_id="mwuljzpr-1ahfuk9g2qh"),
}
REPEAT = 20_000


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


def main() -> None:
    print(f"{'message':12}{'protocol':12}{'decode':>8}{'encode':>8}{'relay':>8}")
    for name, message in MESSAGES.items():
        for module in (protobuf, text):
            payload = module.CLIENT.encode(message)
            if module is text:
                payload = payload.decode()
            (received,) = module.SERVER.decode(payload)
            decode = cost(partial(module.SERVER.decode, payload))
            encode = cost(partial(module.SERVER.encode, message))
            relay = cost(partial(module.SERVER.encode, received))
            print(f"{name:12}{module.SERVER.name:12}{decode:8.2f}{encode:8.2f}{relay:8.2f}")


if __name__ == "__main__":
    main()
