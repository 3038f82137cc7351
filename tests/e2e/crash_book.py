"""
The records of the crash test, and the book in which its clients write down what they were told.

Each write says which client it is from and the how manyth, so that a record shows whether it is complete:

=================  ==============================================  =====================================================
records            are written                                     a record of version V is
=================  ==============================================  =====================================================
of one writer      with the versions 1, 2, 3, ... as wholes and    what its writer makes of V: L{own_data}
                   by path
shared             by all writers, by path, "the next version";    V entries, one for each write: no write got lost, and
                   each round of the test has new ones             none was done twice
made and deleted   created, and deleted when that is acknowledged  gone, once its deletion is acknowledged
deleted again and  created, written once, deleted                  higher than before each time: see L{Reviver}
again
=================  ==============================================  =====================================================
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

#: The writers, by generation.
WRITERS = ("v4", "v4", "v3", "v4")
OWN = {number: [f"writer{number}/{record}" for record in range(5)] for number in range(len(WRITERS))}
OWN_NAMES = [name for names in OWN.values() for name in names]

#: The first record of each writer is large: the store writes its changes and folds them later.
LARGE = frozenset(names[0] for names in OWN.values())
_PADDING = "x" * 20_000


def own_data(name: str, version: int) -> dict[str, Any]:
    """
    What a record of one writer holds. The first and every third version is written as a whole, the others by path; a
    large record is rarely written as a whole.
    """
    if name in LARGE:
        return {"n": version, "whole": max(1, version - version % 200), "padding": _PADDING}
    return {"n": version, "whole": max(1, version - version % 3)}


def right(name: str, version: int, data: Any) -> bool:
    """
    Whether C{data} is what a record of that version holds.
    """
    if name in OWN_NAMES:
        return bool(data == own_data(name, version))
    return sum(map(len, data.values())) == version


@dataclass
class Book:
    """
    What all clients know together, over all rounds.

    @ivar acknowledged: by record, the highest version whose write was acknowledged.
    @ivar seen: by record, the highest version that anybody was shown.
    @ivar shared: the shared records up to now.
    @ivar written: by shared record, the paths of writes that were acknowledged or shown to anybody.
    @ivar refused: how many requests were refused.
    @ivar deleted: whose deletion was acknowledged.
    @ivar revived: by record that is deleted again and again, the lowest version that it may have next.
    @ivar revivals: how often such a record was deleted and found to count on.
    """

    acknowledged: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    shared: list[str] = field(default_factory=list)
    written: dict[str, set[str]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    revived: dict[str, int] = field(default_factory=dict)
    revivals: int = 0
    acknowledgements: int = 0
    observations: int = 0
    refused: int = 0
    lost: int = 0
    gone_back: int = 0
    problems: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def acknowledge(self, name: str, version: int) -> None:
        with self.lock:
            self.acknowledgements += 1
            self.acknowledged[name] = max(version, self.acknowledged.get(name, 0))

    def write_down(self, name: str, path: str) -> None:
        with self.lock:
            self.written.setdefault(name, set()).add(path)

    def see(self, name: str, version: int) -> None:
        with self.lock:
            self.observations += 1
            self.seen[name] = max(version, self.seen.get(name, -1))

    def complain(self, problem: str) -> None:
        with self.lock:
            self.problems.append(problem)

    def __str__(self) -> str:
        return (
            f"{self.acknowledgements} writes acknowledged, {self.lost} of them lost, {self.refused} refused;"
            f" {self.observations} versions seen, {self.gone_back} gone back; {self.revivals} times created anew;"
            f" {len(self.problems)} problems"
        )
