"""
What happens in a history, and the settings of its nodes.
"""

from __future__ import annotations

from dataclasses import dataclass

from dstwist.config.cluster import ClusterSettings

#: The kinds of names: users, and procedures whose watchers are told the holders.
USER = "u"
PROCEDURE = "p"

SETTINGS = ClusterSettings(
    partitions=4,
    lease_interval=0.5,
    lease_time=2.0,
    lease_margin=0.2,
    bus_notice_time=1.6,
    bus_alone_time=1.0,
    absence_timeout=60.0,
    compare_interval=6.0,
    linger=1.0,
    subscribe_timeout=0.3,
    subscribe_window=3,
    heads_batch=2,
    heads_window=2,
    max_early_news=4,
    grace={USER: 1.0, PROCEDURE: 0.0},
    names_per_item=3,
    items_per_turn=4,
)

GRACE = SETTINGS.grace[USER]


@dataclass(frozen=True)
class Plan:
    """
    What happens in a history.

    @ivar kinds: which faults there are.
    @ivar faults: how often there is one of them, for each event.
    @ivar sleeps: for how long nodes sleep, from and to.
    @ivar loss: as of L{Faults}; so are C{duplicates} to C{slow}.
    @ivar touches: how often records are used.
    @ivar compares: whether all records are compared at intervals.
    @ivar writes_again: whether each record is written once more at the end.
    """

    nodes: int = 3
    users: int = 8
    procedures: int = 4
    records: int = 3
    touches: int = 3
    compares: bool = True
    writes_again: bool = False
    faults: float = 0.06
    sleeps: tuple[float, float] = (0.3, 5.0)
    loss: float = 0.02
    duplicates: float = 0.01
    late: float = 0.02
    late_tables: float = 0.02
    slow: float = 0.02
    seconds: float = 30.0
    rest: float = 20.0
    kinds: tuple[str, ...] = ("bus", "cut", "apart", "store", "sleep", "die", "leave")
