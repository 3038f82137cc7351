"""
Why records are read again, and what is counted of that.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum


class Cause(Enum):
    """
    Why a record is read again, for the figures.
    """

    GAP = "gap"
    OLD = "old news"
    COMPARISON = "comparison"
    NOTIFY = "NOTIFY"
    NEWS = "other news"


#: A difference was found when the record was read for another reason.
ANOTHER_READING = "another reading"


@dataclass(slots=True)
class NewsCounts:
    """
    The counts of the gate (L{dstwist.cluster.figures.NewsFigures}).
    """

    early: int = 0
    gaps: int = 0
    old: int = 0
    differed: Counter[str] = field(default_factory=Counter)
