"""
Small patches to a record of 0.9 MB in the SQLite store: bytes written, and CPU time, by the size of the patch.

The bytes are those that the process passes to the system, into the log and into the file. With C{--checkout}, both
checkouts run in turn.

::

    python -m bench.large_patches [--checkout DIRECTORY]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from dstwist.interfaces import Record
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.jsontext import dumps
from dstwist.protocol.message import Message
from dstwist.record import Change
from dstwist.store.sqlite import SqliteStore
from tests.store.contract import ThreadsReactor

KEYS = 50_000
PATCHES = 1600
#: The patches replace the values of so many more keys in turn.
PATCHED = 8
SIZES = (10, 1000, 10_000)


def written() -> int:
    """
    The bytes that this process has written so far.
    """
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))


def measure(size: int) -> str:
    """
    A line about patches of C{size} bytes.
    """
    reactor = ThreadsReactor()

    def result(deferred: Any) -> None:
        done: list[Any] = []
        deferred.addBoth(done.append)
        reactor.run_until(lambda: bool(done))
        assert done == [None], done

    with tempfile.TemporaryDirectory() as directory:
        store = SqliteStore(str(Path(directory) / "bench.sqlite"), reactor)
        result(store.start())
        data: dict[str, Any] = {f"key{number:05}": number * 1.5 for number in range(KEYS)}
        record = Record(1, data | {f"patched{number}": "x" * size for number in range(PATCHED)})
        result(store.set("large", record.version, record.data))
        bytes_before, cpu, start = written(), time.process_time(), time.perf_counter()
        longest = in_memory = 0.0
        for number in range(PATCHES):
            # The length changes: SQLite leaves pages alone that stay the same.
            text = dumps("x" * (size - 10) + "y" * (number % 9))
            path = f"patched{number % PATCHED}"
            message = Message(Topic.RECORD, RecordAction.PATCH, "large", text, path=path, version=record.version + 1)
            began, began_cpu = time.perf_counter(), time.process_time()
            change = Change(record, message)
            record = Record(record.version + 1, change.data)
            in_memory += time.process_time() - began_cpu
            if hasattr(store, "replace"):
                result(store.replace("large", record.version - 1, record, (change,)))
            else:
                result(store.set("large", record.version, record.data))
            longest = max(longest, time.perf_counter() - began)
        cpu = time.process_time() - cpu - in_memory
        took, amount = time.perf_counter() - start, written() - bytes_before
        result(store.stop())
    return (
        f"{size:6}{amount / PATCHES:16,.0f}{10 * size + 16384:12,}{cpu / PATCHES * 1e6:14,.0f}"
        f"{took / PATCHES * 1000:12.2f}{longest * 1000:14.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkout", help="another checkout to compare with")
    parser.add_argument("--size", type=int, help="measure patches of this size only, in this process")
    options = parser.parse_args()
    if options.size is not None:
        print(measure(options.size), flush=True)
        return
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    print(" bytes   written/patch       limit   CPU us/patch  ms/patch   longest in ms  checkout", flush=True)
    for size in SIZES:
        for checkout in [os.path.abspath(options.checkout), here] if options.checkout else [here]:
            found = subprocess.run(
                [sys.executable, os.path.abspath(__file__), "--size", str(size)],
                env={**os.environ, "PYTHONPATH": checkout},
                cwd=checkout,
                capture_output=True,
                text=True,
                check=True,
            )
            print(f"{found.stdout.rstrip()}   {checkout}", flush=True)


if __name__ == "__main__":
    main()
