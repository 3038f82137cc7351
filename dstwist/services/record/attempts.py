"""
The attempts of a write that the arbiter (L{dstwist.store.tiers}) refuses, because another writer was faster.

=====================================  ===============================================================================
refusal                                the next attempt
=====================================  ===============================================================================
the first L{IMMEDIATE_ATTEMPTS} - 1    at once
every later one                        after a random time, at most L{MAX_WAIT_SECONDS}: writers that keep step with
                                       each other would refuse each other again
one after C{record.writeTimeout}       none: the writer gets RECORD_UPDATE_ERROR
=====================================  ===============================================================================
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

#: How many attempts are made without a wait between them.
IMMEDIATE_ATTEMPTS = 3

#: The longest wait before a later attempt, in seconds.
MAX_WAIT_SECONDS = 0.02


@dataclass(slots=True)
class RefusalCounts:
    """
    The refusals of all writes.

    @ivar most: the most of one write.
    """

    refusals: int = 0
    most: int = 0


class Attempts:
    """
    The attempts of one write, after the first.

    @param timeout: after how many seconds there are no more attempts.
    @param counts: counts the refusals.
    """

    def __init__(self, timeout: float, clock: IReactorTime, counts: RefusalCounts) -> None:
        self._clock = clock
        self._counts = counts
        self._ends = clock.seconds() + timeout
        self._refusals = 0

    async def another(self) -> bool:
        """
        An attempt was refused. Wait for the time of the next one.

        @return: whether there is a next one.
        """
        self._refusals += 1
        self._counts.refusals += 1
        self._counts.most = max(self._counts.most, self._refusals)
        if self._clock.seconds() >= self._ends:
            return False
        if self._refusals >= IMMEDIATE_ATTEMPTS:
            await deferLater(self._clock, random.uniform(0, MAX_WAIT_SECONDS))
        return True
