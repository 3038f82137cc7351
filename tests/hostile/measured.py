"""
A server that is attacked by one client or a few, and figures: its memory, its turns, and how long others wait.

Each attack has a server of its own, of any checkout. An attack prepares what it needs, calls L{MeasuredStage.begin},
and attacks; only what comes after that is measured. The server has a limit of memory (C{RLIMIT_AS}) and a limit of
time: an attack on a server that cannot stand it ends with the server.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.e2e.server import CHECKOUT, Server
from tests.hostile.intruder import Intruder
from tests.hostile.stage import MIB, Stage
from tests.hostile.turns import TurnMeter

#: How long one attack may last, in seconds. Then the server is killed.
LONGEST = 240.0

#: How long a server is measured after the attack, in seconds.
LEFT = 1.0

_TICKS = os.sysconf("SC_CLK_TCK")
_LIMIT = "import resource\nresource.setrlimit(resource.RLIMIT_AS, (%d, %d))\n"


class Figures(NamedTuple):
    """
    The figures of one attack.

    @ivar sent: bytes that the attackers sent.
    @ivar before, peak: resident bytes of the server, -1 if it died too early to be asked.
    @ivar wait: the longest wait of the client beside, in seconds; infinite if the server did not answer it at all.
    @ivar turn: the longest turn of the server, in seconds of CPU time.
    @ivar lines: how many lines the server logged.
    @ivar stored: how much larger the directory of its data has become, in bytes.
    @ivar status: the exit status of the server; C{None}: it has survived.
    """

    name: str
    outcome: str
    seconds: float
    sent: int
    before: int
    peak: int
    wait: float
    turn: float
    cpu: float
    lines: int
    stored: int
    status: int | None


@dataclass(frozen=True)
class Measured:
    """
    An attack and the server it needs.

    @ivar config: the text of C{config.yml}.
    @ivar files: more files beside it.
    @ivar storage: whether the server stores its records in a file.
    @ivar memory: the most address space of the server, in bytes; C{None}: whatever the command says.
    @ivar writes: whether the client beside writes a record in the end.
    """

    attack: Callable[[MeasuredStage], str]
    config: str = ""
    files: dict[str, str] = field(default_factory=dict)
    storage: bool = False
    memory: int | None = None
    writes: bool = True

    @property
    def name(self) -> str:
        return self.attack.__name__.replace("_", " ")


class MeasuredStage(Stage):
    """
    A server under one attack.
    """

    def __init__(self, measured: Measured, checkout: Path, memory: int, directory: Path) -> None:
        config = directory / "config.yml"
        config.write_text(measured.config)
        for name, text in measured.files.items():
            (directory / name).write_text(text)
        self.data = directory / "data"
        self._turns = TurnMeter(directory / "turns")
        limit = measured.memory or memory
        super().__init__(
            1,
            server=Server(
                config=config if measured.config else None,
                data_dir=self.data if measured.storage else None,
                before=(_LIMIT % (limit, limit) if limit else "") + self._turns.program,
                checkout=checkout,
            ),
            writes=measured.writes,
        )
        self._timer = threading.Timer(LONGEST, self._give_up)
        self._timer.daemon = True
        self._timer.start()
        self.begin()

    def begin(self) -> None:
        """
        From now on it counts.
        """
        self._latencies()
        self._turns.reset()
        self._before, self._start_cpu, self._start_stored = self._memory("VmRSS"), self._cpu(), self._stored()
        self._start_sent, self._start_lines = Intruder.sent, self.log_lines()
        self._forget_peak()
        self._peak, self._cpu_so_far = self._before, 0.0
        self._began = time.monotonic()

    def measure(self, measured: Measured) -> Figures:
        """
        Have the server attacked and the figures taken.
        """
        outcome = measured.attack(self)
        seconds, sent = time.monotonic() - self._began, Intruder.sent - self._start_sent
        self.look()
        # Some of the work may be left, as for requests that wait for a storage.
        time.sleep(LEFT)
        wait = self._longest_wait()
        self.look()
        return Figures(
            measured.name,
            outcome,
            seconds,
            sent,
            self._before,
            self._peak,
            wait,
            self._turns.longest(),
            self._cpu_so_far,
            self.log_lines() - self._start_lines,
            self._stored() - self._start_stored,
            self.server.status,
        )

    def look(self) -> None:
        """
        Note the memory and the CPU time of the server, as long as it lives.
        """
        with contextlib.suppress(OSError, StopIteration):
            self._peak = max(self._peak, self._memory("VmHWM"))
            self._cpu_so_far = self._cpu() - self._start_cpu

    def end(self) -> None:
        """
        End the server, if it has not ended.
        """
        self._timer.cancel()
        self._bystander.kill()
        self._bystander.wait()
        for stream in (self._bystander.stdin, self._bystander.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self.server.kill()

    def log_lines(self, text: str = "") -> int:
        """
        How many lines with C{text} the server has logged.
        """
        return sum(text in line for line in self.server.log.splitlines())

    def _longest_wait(self) -> float:
        try:
            longest: float = self._latencies()["max"]
        except (AssertionError, OSError):
            return float("inf")
        return longest / 1000

    def _cpu(self) -> float:
        return cpu_of(self.server.pid)

    def _stored(self) -> int:
        return sum(file.stat().st_size for file in self.data.glob("*")) if self.data.exists() else 0

    def _give_up(self) -> None:
        with contextlib.suppress(OSError):
            os.kill(self.server.pid, 9)


def cpu_of(pid: int) -> float:
    """
    The CPU time that a process has used, in seconds.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def measure(measured: Measured, checkout: Path = CHECKOUT, memory: int = 5 << 30) -> Figures:
    """
    Start a server, have it attacked, and end it.
    """
    with tempfile.TemporaryDirectory() as directory:
        stage = MeasuredStage(measured, checkout, memory, Path(directory))
        watching = threading.Event()

        def watch() -> None:
            # A server that dies cannot be asked afterwards.
            while not watching.wait(0.05):
                stage.look()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            figures = stage.measure(measured)
        finally:
            watching.set()
            watcher.join()
            stage.end()
    return figures


def table(all_figures: list[Figures]) -> str:
    """
    All of them, for people.
    """
    width = max(len(figures.name) for figures in all_figures)
    rows = [
        f"{'attack':{width}}  {'sent':>8}  {'RSS':>5}  {'peak':>6}  {'wait ms':>8}  {'turn ms':>8}  {'CPU s':>6}"
        f"  {'s':>5}  {'lines':>5}  {'disk':>5}  {'server':>8}  the attacker got"
    ]
    for figures in all_figures:
        wait = "no end" if figures.wait == float("inf") else f"{figures.wait * 1000:.0f}"
        rows.append(
            f"{figures.name:{width}}  {_size(figures.sent):>8}  {figures.before / MIB:5.0f}  {figures.peak / MIB:6.0f}"
            f"  {wait:>8}  {figures.turn * 1000:8.0f}  {figures.cpu:6.1f}  {figures.seconds:5.1f}  {figures.lines:5}"
            f"  {figures.stored / MIB:5.0f}  {_status(figures.status):>8}  {figures.outcome}"
        )
    return "\n".join(rows)


def _size(count: int) -> str:
    return (
        f"{count} B" if count < 10_000 else f"{count / 1000:.0f} KB" if count < 10_000_000 else f"{count / 1e6:.0f} MB"
    )


def _status(status: int | None) -> str:
    return "lives" if status is None else f"signal {-status}" if status < 0 else f"exit {status}"
