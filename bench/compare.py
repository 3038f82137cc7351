"""
Compare dstwist with the Node server, Redis and NATS, row by row.

C{make bench} installs the others and runs this. In each pair, every server runs the row once, one right after the other
and each freshly started; the next pair goes in the opposite order. What counts is the CPU time of the server, so other
load on the machine disturbs little.

::

    python -m bench.compare [--pairs 3] [--rows rpc logins] [--peers dstwist uws] [--quick] [--json FILE] [--docs]
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import pages
from bench.load.client import LoadFailed
from bench.load.span import Timing
from bench.machine import description
from bench.peers import PEERS, Peer
from bench.rows import Row, allow_connections, chosen
from bench.summary import OURS, Line, Run, behind, table, waiting

QUICK = Timing(warm=0.3, measured=0.5, share=0.05)


def compare(rows: Sequence[Row], peers: Sequence[Peer], pairs: int, timing: Timing) -> list[Run]:
    """
    Run all rows on all servers that can run them.
    """
    runs = []
    for row in rows:
        able = [peer for peer in peers if row.brokers or not peer.broker]
        for pair in range(pairs):
            for peer in able if pair % 2 == 0 else reversed(able):
                runs += run(row, peer, pair, timing)
        progress(f"{row.name}\n{_table_of([row], runs, able)}\n")
    return runs


def run(row: Row, peer: Peer, pair: int, timing: Timing) -> list[Run]:
    """
    Run a row on a server once.
    """
    gc.collect()
    gc.disable()
    try:
        with peer.start(row.setup) as target:
            outcome = row.run(target, timing)
    except (LoadFailed, OSError) as error:
        progress(f"{row.name} failed on {peer.title}: {error}")
        return [Run(figure.name, peer.name, pair, None, failure=repr(error)) for figure in row.figures]
    finally:
        gc.enable()
    return [Run(figure.name, peer.name, pair, outcome.values[figure.name], outcome.busy) for figure in row.figures]


def report(rows: Sequence[Row], peers: Sequence[Peer], runs: Sequence[Run], facts: dict[str, str]) -> str:
    """
    The tables, and what is to be known about them, in reStructuredText.
    """
    parts = ["\n".join(f":{name}: {fact}" for name, fact in facts.items())]
    own = [peer for peer in peers if not peer.broker]
    parts.append(_table_of(rows, runs, own))
    brokers = [peer for peer in peers if peer.broker or peer.name == OURS]
    compared = [row for row in rows if row.brokers]
    if len(brokers) > 1 and compared:
        parts.append(_table_of(compared, runs, brokers))
    titles = [(peer.name, peer.title) for peer in peers]
    if slower := behind(runs, _lines(rows), titles):
        parts.append("Behind:\n\n" + "\n".join(f"* {text}" for text in slower))
    if idle := waiting(runs, _lines(rows)):
        parts.append("Not kept busy:\n\n" + "\n".join(f"* {text}" for text in idle))
    return "\n\n".join(parts)


def as_json(rows: Sequence[Row], peers: Sequence[Peer], runs: Sequence[Run], facts: dict[str, str]) -> dict[str, Any]:
    """
    All that was measured, for L{bench.plots} and for other programs.
    """
    return {
        "facts": facts,
        "peers": {peer.name: peer.title for peer in peers},
        "curves": {row.figures[0].name: row.curve for row in rows if row.curve is not None},
        "runs": [run.as_json() for run in runs],
    }


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    options = _parser().parse_args()
    peers, facts = [], description()
    for peer in PEERS:
        if options.peers and peer.name not in options.peers:
            continue
        version = peer.version()
        facts[peer.title] = version or "not installed"
        if version is not None:
            peers.append(peer)
    try:
        rows = chosen(options.rows)
    except ValueError as error:
        raise SystemExit(str(error)) from None
    allow_connections()
    start = time.monotonic()
    facts = {"date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "command": f"``{options.command}``", **facts}
    pairs = 1 if options.quick else options.pairs
    runs = compare(rows, peers, pairs, QUICK if options.quick else Timing())
    facts["runs"] = f"{pairs} of each row on each server, in {(time.monotonic() - start) / 60:.0f} minutes"
    text = report(rows, peers, runs, facts)
    print(text)
    if options.docs:
        pages.write(text)
    if options.json:
        Path(options.json).write_text(json.dumps(as_json(rows, peers, runs, facts), indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--rows", nargs="*", default=[], help="names of rows, or how names begin")
    parser.add_argument("--peers", nargs="*", default=[], choices=[peer.name for peer in PEERS])
    parser.add_argument("--quick", action="store_true", help="one short run of each row, to see that it works")
    parser.add_argument("--json", help="write all values into this file")
    parser.add_argument("--docs", action="store_true", help="write the report into docs/performance.rst")
    parser.add_argument("--command", default="python -m bench.compare", help="how the report says it was made")
    return parser


def _lines(rows: Sequence[Row]) -> list[Line]:
    return [
        Line(figure.name, figure.title, figure.unit, figure.more_is_better) for row in rows for figure in row.figures
    ]


def _table_of(rows: Sequence[Row], runs: Sequence[Run], peers: Sequence[Peer]) -> str:
    return table(runs, _lines(rows), [(peer.name, peer.title) for peer in peers])


if __name__ == "__main__":
    main()
