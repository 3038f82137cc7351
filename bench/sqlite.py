"""
Writes into the SQLite store: how many a second, and how they share transactions, by how many are in flight.

::

    python -m bench.sqlite [DIRECTORY]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

from dstwist.store.sqlite import SqliteStore
from dstwist.store.sqlite_file import SqliteFile
from tests.store.contract import ThreadsReactor

SECONDS = 3.0
DATA = {"name": "somebody", "at": 1700000000, "values": list(range(10)), "text": "x" * 100}


def measure(directory: str, synchronous: str, in_flight: int) -> str:
    """
    A line about writers that always have C{in_flight} writes under way, each to another of 1000 records.
    """
    reactor = ThreadsReactor()
    transactions = [0]
    write = SqliteFile.write

    def counted(file: SqliteFile, writes: Any) -> None:
        transactions[0] += 1
        write(file, writes)

    SqliteFile.write = counted  # type: ignore[method-assign, assignment]
    try:
        path = Path(directory) / f"bench-{synchronous}-{in_flight}.sqlite"
        store = SqliteStore(str(path), reactor, synchronous, max_waiting=10**6)
        started: list[Any] = []
        store.start().addCallback(started.append)
        reactor.run_until(lambda: bool(started))
        asked: deque[float] = deque()
        latencies: list[float] = []
        count = 0

        def ask() -> None:
            nonlocal count
            count += 1
            asked.append(time.perf_counter())
            store.set(f"record/{count % 1000}", count, DATA).addCallback(done)

        def done(_: object) -> None:
            latencies.append(time.perf_counter() - asked.popleft())
            if time.perf_counter() < end:
                ask()

        start = time.perf_counter()
        cpu = time.process_time()
        end = start + SECONDS
        for _ in range(in_flight):
            ask()
        reactor.run_until(lambda: not asked)
        took = time.perf_counter() - start
        cpu = time.process_time() - cpu
        stopped: list[Any] = []
        store.stop().addCallback(stopped.append)
        reactor.run_until(lambda: bool(stopped))
        return (
            f"{synchronous:8}{in_flight:10}{len(latencies) / took:12.0f}{len(latencies) / transactions[0]:16.1f}"
            f"{statistics.median(latencies) * 1000:12.2f}{statistics.quantiles(latencies, n=100)[-1] * 1000:12.2f}"
            f"{cpu / len(latencies) * 1e6:12.1f}"
        )
    finally:
        SqliteFile.write = write  # type: ignore[method-assign]


def main() -> None:
    print(" sync   in flight    writes/s   per transaction  median ms     99% ms   CPU us/write")
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as directory:
        for synchronous in ("full", "normal"):
            for in_flight in (1, 10, 100, 1000):
                print(measure(directory, synchronous, in_flight), flush=True)


if __name__ == "__main__":
    main()
