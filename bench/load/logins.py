"""
Clients that log in, and then do nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from bench.load.client import connect
from bench.load.span import Moment, Sample, Timing
from bench.load.target import Target

#: Logins before the measured ones.
_WARM = 300


@dataclass(frozen=True)
class Idle:
    """
    The cost of clients that log in and then do nothing.

    @ivar memory: resident bytes of the server for each of them.
    """

    sample: Sample
    memory: float


def logins(target: Target, timing: Timing, clients: int = 10_000) -> Idle:
    """
    Clients that log in one after the other, and stay.
    """
    connected = [connect(target, f"early-{number}") for number in range(timing.scaled(_WARM))]
    count = timing.scaled(clients)
    memory, start = target.memory(), Moment.of(target, 0)
    connected += [connect(target, f"user-{number}") for number in range(count)]
    sample = Moment.of(target, count) - start
    time.sleep(0.5)
    held = (target.memory() - memory) / count
    for client in connected:
        client.close()
    return Idle(sample, held)
