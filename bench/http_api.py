"""
CPU time of one item of the HTTP API, in batches of different lengths, beside the API for the program that embeds the
node. Everything is in one process and in memory: twisted.web, login, permission (open), services and results.

    python -m bench.http_api
"""

from __future__ import annotations

import json
from collections.abc import Callable
from time import process_time
from typing import Any

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock

from dstwist.config.settings import Settings
from dstwist.node import Node
from tests.http_api.stage import Program

#: Items in all, for each figure.
ITEMS = 5000
ROUNDS = 5

KINDS: dict[str, Callable[[int], dict[str, Any]]] = {
    "event": lambda i: {"topic": "event", "action": "emit", "eventName": f"e{i % 50}", "data": {"a": i}},
    "write": lambda i: {"topic": "record", "action": "write", "recordName": f"r{i % 50}", "data": {"a": i}},
    "read": lambda i: {"topic": "record", "action": "read", "recordName": f"r{i % 50}"},
}


def measure(name: str, run: Callable[[], object]) -> None:
    """
    Print the time of one of L{ITEMS} items, in the fastest round.
    """
    best = float("inf")
    for _ in range(ROUNDS):
        began = process_time()
        run()
        best = min(best, process_time() - began)
    print(f"{name:40} {best / ITEMS * 1e6:8.1f} us an item")


def main() -> None:
    """
    Measure all.
    """
    reactor = MemoryReactorClock()
    node = Node(Settings(), [TCP4ServerEndpoint(reactor, 6020)], reactor)
    node.bind()
    node.startService()
    program = Program(node.factory)

    def ask(body: bytes) -> None:
        program.send(body=body)
        while not program.transport.value():
            reactor.advance(0)
        program.transport.take()

    for kind, make in KINDS.items():
        for length in (1, 100, ITEMS):
            body = json.dumps({"body": [make(number) for number in range(length)]}).encode()

            def run(body: bytes = body, times: int = ITEMS // length) -> None:
                for _ in range(times):
                    ask(body)

            measure(f"{kind}, {length} a request", run)
    api = node.api
    calls: dict[str, Callable[[int], Any]] = {
        "event": lambda i: api.events.emit(f"e{i % 50}", {"a": i}),
        "write": lambda i: api.records.set(f"r{i % 50}", {"a": i}),
        "read": lambda i: api.records.get(f"r{i % 50}"),
    }
    for kind, call in calls.items():

        def run_calls(call: Callable[[int], Any] = call) -> None:
            deferreds = [call(number) for number in range(ITEMS)]
            while not all(deferred.called for deferred in deferreds):
                reactor.advance(0)

        measure(f"{kind}, in the process", run_calls)


if __name__ == "__main__":
    main()
