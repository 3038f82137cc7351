"""
Three nodes of a cluster under load, while nodes, Redis and the connections between them fail: L{tests.e2e.chaos}::

    seed 2763081
    1: pause bob for 1.91 s
    2: cut ann (bus) for 0.11 s + kill redis for 0.80 s after 0.31 s
    ...
    500 faults, ...; the slowest convergence took 3.20 s; 0 problems

The exit status is 0 only if there are no problems. With the same seed the same faults happen. After a problem the test
ends; the logs of all nodes are in the directory that the last line names.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred

from tests.e2e.chaos.faults import KINDS
from tests.e2e.chaos.run import CONVERGENCE_SECONDS, ChaosTest


def main() -> int:
    parser = argparse.ArgumentParser(description="Let nodes, Redis and connections fail, and see what clients see.")
    parser.add_argument("--faults", type=int, default=500, help="how many")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--kind", action="append", choices=sorted(KINDS), help="only faults of this kind")
    parser.add_argument("--tier", choices=("storage", "cache"), default="storage", help="what the Redis is")
    parser.add_argument("--seconds", type=float, default=CONVERGENCE_SECONDS, help="for the convergence")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    logs = Path(tempfile.mkdtemp(prefix="dstwist-chaos-"))
    problems: list[str] = []

    async def run(reactor: Any) -> None:
        test = ChaosTest(
            reactor,
            logs,
            arguments.seed,
            lambda line: print(line, flush=True),
            tuple(arguments.kind) if arguments.kind else None,
            arguments.tier,
            arguments.seconds,
        )
        problems.extend((await test.run(arguments.faults)).problems)

    try:
        task.react(lambda reactor: Deferred.fromCoroutine(run(reactor)))
    except SystemExit as end:
        failed = bool(end.code) or bool(problems)
    if not failed:
        shutil.rmtree(logs)
    print(f"{len(problems)} problems" + (f"; the logs are in {logs}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
