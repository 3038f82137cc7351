"""
A server under load for a long time, and then under too much of it.

====  ========================================================================================================
part  load
====  ========================================================================================================
1     as much as the server can take, for some seconds. What it does in a second of processor time is its capacity.
2     half load, for C{--minutes}: memory and latency are to stay what they are
3     twice the capacity, for a minute: memory is to stay bounded, and each client is to get its share
4     half load again: latency is to be what it was
====  ========================================================================================================

At half load the server is busy in half of the time. That is less than half of its capacity, because requests that come
together take less time than those that come one by one.

C{make soak-load} runs it. The requests are those of L{bench.load.mix}::

    python -m bench.soak [--minutes 60] [--clients 20]
"""

from __future__ import annotations

import argparse
import gc
import time
from dataclasses import dataclass

from bench.load.latency import quantile
from bench.load.mix import Mix
from bench.load.span import Moment
from bench.load.target import Target
from bench.machine import description
from bench.peers import PEERS, PLAIN
from bench.rows import allow_connections

#: Seconds.
_CAPACITY = 10.0
_REST = 0.1
_TRIAL = 4.0
_OVERLOAD = 60.0
_RECOVERY = 60.0
#: How often half load is estimated.
_ATTEMPTS = 3
#: How many lines are printed about part 2.
_LINES = 30
_MORE_THAN_ANY = 300_000.0

HEAD = "load        minute  requests/s  processor  waited      MB   p50 ms   p99 ms   max ms"


@dataclass(frozen=True)
class Interval:
    """
    The observations of one part of the time.

    @ivar busy: the share of the time in which the server had a processor.
    @ivar waited: the share in which it waited for one, since other processes had them all. Then the latency says more
        about the machine than about the server.
    @ivar memory: resident bytes of the server at the end.
    @ivar done: how many requests of each client had their effect.
    @ivar delays: in milliseconds, in ascending order.
    """

    seconds: float
    busy: float
    waited: float
    memory: int
    done: list[int]
    delays: list[float]

    @property
    def rate(self) -> float:
        return sum(self.done) / self.seconds

    @property
    def capacity(self) -> float:
        """
        How many requests the server would serve in a second if it had a processor for itself.
        """
        return self.rate / max(self.busy, 1e-9)

    @property
    def share(self) -> float:
        """
        The requests of the client with the fewest, as a share of those of the client with the most.
        """
        return min(self.done) / max(1, *self.done)

    def line(self, load: str, minute: float) -> str:
        times = [quantile(self.delays, share) for share in (0.5, 0.99, 1.0)] if self.delays else [0.0] * 3
        shares = f"{self.busy:11.0%}{self.waited:8.0%}"
        shown = "".join(f"{each:9.2f}" for each in times)
        return f"{load:10}{minute:8.1f}{self.rate:12,.0f}{shares}{self.memory / 1e6:8.1f}{shown}"


class Soak:
    """
    All parts, on one server.
    """

    def __init__(self, target: Target, clients: int) -> None:
        self._target = target
        self._mix = Mix(target, clients)
        self._start = time.monotonic()

    def run(self, minutes: float) -> None:
        print(HEAD)
        self._interval("start", 2.0, 1000.0)
        capacity = self._interval("capacity", _CAPACITY, _MORE_THAN_ANY).capacity
        self._until_calm()
        half = self._half(capacity)
        length = max(1.0, minutes * 60 / _LINES)
        calm = [self._interval("half", length, half) for _ in range(max(3, round(minutes * 60 / length)))]
        self._mix.held_back = 0
        busy = [self._interval("overload", _OVERLOAD / 6, capacity * 2) for _ in range(6)]
        print(f"{self._mix.held_back:,} requests were held back, because the server did not read the last ones.")
        after = self._until_calm()
        last = [self._interval("half", _RECOVERY / 6, half) for _ in range(6)]
        self._mix.close()
        self._conclude(calm, busy, after, last)

    def _half(self, capacity: float) -> float:
        """
        The requests a second with which the server is busy in half of the time.
        """
        rate = capacity / 4
        for _ in range(_ATTEMPTS):
            rate *= min(2.0, 0.5 / max(0.01, self._interval("trial", _TRIAL, rate).busy))
        return rate

    def _conclude(self, calm: list[Interval], busy: list[Interval], after: float, last: list[Interval]) -> None:
        third = len(calm) // 3
        for name, figure in _FIGURES.items():
            first, final = (sum(map(figure, part)) / len(part) for part in (calm[:third], calm[-third:]))
            print(f"{name}: {first:.2f} in the first third, {final:.2f} in the last third")
        most = max(interval.memory for interval in busy)
        print(f"Memory: at most {most / 1e6:.1f} MB under too much load, {last[-1].memory / 1e6:.1f} MB a minute later")
        least = min(interval.share for interval in busy)
        print(f"Shares under too much load: the client with the least got {least:.0%} of that with the most")
        print(f"All that was sent was answered {after:.2f} s after the last request")

    def _interval(self, load: str, seconds: float, per_second: float) -> Interval:
        mix = self._mix
        # The last requests of the interval before have waited while its delays were sorted.
        mix.run(_REST, 0)
        mix.delays.clear()
        before, start = list(mix.done), Moment.of(self._target, sum(mix.done))
        mix.run(seconds, per_second)
        sample = Moment.of(self._target, sum(mix.done)) - start
        done = [now - then for now, then in zip(mix.done, before, strict=True)]
        busy, waited = sample.cpu / sample.seconds, sample.waited / sample.seconds
        interval = Interval(sample.seconds, busy, waited, self._target.memory(), done, sorted(mix.delays))
        print(interval.line(load, (time.monotonic() - self._start) / 60), flush=True)
        return interval

    def _until_calm(self) -> float:
        """
        Wait until all requests have had their effect, and give how long that took.
        """
        start = end = time.monotonic()
        quiet = 0
        while quiet < 20:
            before = sum(self._mix.done)
            self._mix.run(0.05, 0)
            quiet = quiet + 1 if sum(self._mix.done) == before else 0
            if not quiet:
                end = time.monotonic()
        return end - start


_FIGURES = {
    "Memory, MB": lambda interval: interval.memory / 1e6,
    "Latency p50, ms": lambda interval: quantile(interval.delays, 0.5),
    "Latency p99, ms": lambda interval: quantile(interval.delays, 0.99),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=60.0, help="of half load")
    parser.add_argument("--clients", type=int, default=20)
    options = parser.parse_args()
    allow_connections()
    for name, fact in {**description(), "dstwist": PEERS[0].version()}.items():
        print(f"{name}: {fact}")
    gc.disable()
    with PEERS[0].start(PLAIN) as target:
        Soak(target, options.clients).run(options.minutes)


if __name__ == "__main__":
    main()
