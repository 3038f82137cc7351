"""
The server that is attacked, the client who is to notice nothing, and what an attack has cost.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.e2e.server import CHECKOUT, Server
from tests.hostile.bystander import PAUSE
from tests.hostile.intruder import PATIENCE

MIB = 1 << 20
#: How much more memory a server may have at most some seconds after an attack, and in its course.
GROWTH = 64 * MIB
PEAK = 384 * MIB
#: How long to wait for memory to be given back, in seconds: for most of it, and for as much as has to be given back.
#: Only a failing test takes the second time.
SETTLE = 4.0
PATIENT_SETTLE = 60.0


class Cost(NamedTuple):
    """
    What one attack has done.

    @ivar outcome: what the attacker got.
    @ivar before, after, peak: resident bytes of the server.
    @ivar lines: what it logged, without what tells of mistakes of its own.
    @ivar trouble: the lines that do.
    @ivar bystander: latencies of the client beside, in milliseconds.
    @ivar stall: the longest, in milliseconds.
    """

    name: str
    outcome: str
    seconds: float
    before: int
    after: int
    peak: int
    lines: int
    trouble: list[str]
    p50: float
    p99: float
    stall: float

    @property
    def grown(self) -> int:
        return self.after - self.before


Attack = Callable[["Stage"], str]

#: What is in order, and no more than told.
_IN_ORDER = ("INCOMING_CONNECTION", "AUTH_SUCCESSFUL", "CLIENT_DISCONNECTED")


class Stage:
    """
    A server under attack.

    @param scale: how much of everything; 1 is what a test run can afford.
    @param server: C{None}: one of this checkout, with C{config}.
    @param writes: whether the client beside writes a record, too.
    @param pause: how many seconds the client beside waits between two events.
    @ivar port: where it serves.
    """

    def __init__(
        self,
        scale: int,
        config: Path | None = None,
        server: Server | None = None,
        writes: bool = True,
        pause: float = PAUSE,
    ) -> None:
        self.scale = scale
        self.server = server or Server(config=config)
        self.server.start()
        self.port = self.server.port
        self._bystander = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.hostile.bystander",
                str(self.port),
                str(pause),
                *([] if writes else ["events"]),
            ],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._latencies()

    def stop(self) -> None:
        """
        End both; the server has to end in good order.
        """
        assert self._bystander.stdin is not None and self._bystander.stdout is not None
        self._bystander.stdin.close()
        self._bystander.wait(PATIENCE)
        self._bystander.stdout.close()
        try:
            self.server.stop()
        finally:
            self.server.kill()

    def run(self, name: str, attack: Attack) -> Cost:
        """
        Have the server attacked.
        """
        self._latencies()
        before, lines = self._memory("VmRSS"), self._lines()
        self._forget_peak()
        began = time.monotonic()
        outcome = attack(self)
        seconds = time.monotonic() - began
        beside = self._latencies()
        ended = time.monotonic()
        while (grown := (after := self._memory("VmRSS")) - before) > GROWTH // 4:
            if time.monotonic() > ended + (PATIENT_SETTLE if grown > GROWTH else SETTLE):
                break
            time.sleep(0.1)
        return Cost(
            name,
            outcome,
            seconds,
            before,
            after,
            self._memory("VmHWM"),
            self._lines() - lines,
            self.server.take_trouble(),
            beside["p50"],
            beside["p99"],
            beside["max"],
        )

    def _memory(self, field: str) -> int:
        text = Path(f"/proc/{self.server.pid}/status").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(field)) * 1024

    def _lines(self) -> int:
        return sum(not any(word in line for word in _IN_ORDER) for line in self.server.log.splitlines())

    def _forget_peak(self) -> None:
        Path(f"/proc/{self.server.pid}/clear_refs").write_text("5")

    def _latencies(self) -> dict[str, Any]:
        assert self._bystander.stdin is not None and self._bystander.stdout is not None
        self._bystander.stdin.write("\n")
        self._bystander.stdin.flush()
        line = self._bystander.stdout.readline()
        if not line:
            raise AssertionError(f"the client beside has been disturbed\n{self.server.log[-2000:]}")
        found: dict[str, Any] = json.loads(line)
        return found


def table(costs: list[Cost]) -> str:
    """
    All of them, for people.
    """
    width = max(len(cost.name) for cost in costs)
    rows = [
        f"{'attack':{width}}  {'s':>5}  {'RSS before':>10}  {'after':>7}  {'peak':>7}  {'lines':>5}"
        f"  {'p50':>6}  {'p99':>7}  {'max':>7}  what the attacker got"
    ]
    for cost in costs:
        rows.append(
            f"{cost.name:{width}}  {cost.seconds:5.1f}  {cost.before / MIB:8.1f} M  {cost.grown / MIB:+6.1f}M"
            f"  {(cost.peak - cost.before) / MIB:+6.1f}M  {cost.lines:5}  {cost.p50:6.1f}  {cost.p99:7.1f}"
            f"  {cost.stall:7.1f}  {cost.outcome}"
        )
    return "\n".join(rows)
