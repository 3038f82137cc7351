"""
Memory that many share: a limit for what all clients together have the server keep.
"""

from __future__ import annotations

import sys


class Budget:
    """
    So many bytes. Always true: C{used} is what was taken and not given back.

    @param limit: C{None}: any number.
    """

    __slots__ = ("limit", "used")

    def __init__(self, limit: int | None = None) -> None:
        self.limit = sys.maxsize if limit is None else limit
        self.used = 0

    def take(self, amount: int) -> bool:
        """
        Take C{amount}, if there is so much left; whether there is.
        """
        used = self.used + amount
        if used > self.limit:
            return False
        self.used = used
        return True

    def charge(self, amount: int) -> bool:
        """
        Take C{amount}, whatever is left; whether that is more than there may be.
        """
        self.used += amount
        return self.used > self.limit

    def give(self, amount: int) -> None:
        """
        Give back C{amount}.
        """
        self.used -= amount
