"""
Budgets of memory: limits for the bytes that the server keeps for all clients together.
"""

from __future__ import annotations

import sys


class Budget:
    """
    A number of bytes. Always true: C{used} is the number of bytes that were taken and not given back.

    @param limit: the most bytes; C{None} for any number.
    """

    __slots__ = ("limit", "used")

    def __init__(self, limit: int | None = None) -> None:
        self.limit = sys.maxsize if limit is None else limit
        self.used = 0

    def take(self, amount: int) -> bool:
        """
        Take C{amount} bytes if they are left.

        @return: whether they were left.
        """
        used = self.used + amount
        if used > self.limit:
            return False
        self.used = used
        return True

    def charge(self, amount: int) -> bool:
        """
        Take C{amount} bytes, however many are left.

        @return: whether the limit is exceeded now.
        """
        self.used += amount
        return self.used > self.limit

    def give(self, amount: int) -> None:
        """
        Give back C{amount} bytes.
        """
        self.used -= amount
