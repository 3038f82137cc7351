"""
The memory of the requests under way, of all clients together: C{limits.maxHttpBytes}.

It counts bodies with the values that are read from them, and results until the client has taken them.
"""

from __future__ import annotations

from dstwist.limits.budgets import Budget

#: What a request takes besides its body, in bytes.
REQUEST_WEIGHT = 8192


class Charges:
    """
    All requests under way.

    @param limit: the most bytes; C{None} for any number. A single request is served however large it is.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._budget = Budget(limit)

    @property
    def used(self) -> int:
        """
        The bytes that are in use.
        """
        return self._budget.used

    def enter(self, size: int) -> Charge | None:
        """
        Count a request whose body takes C{size} bytes.

        @return: C{None} if there is no room for it.
        """
        size += REQUEST_WEIGHT
        if not self._budget.used:
            self._budget.charge(size)
        elif not self._budget.take(size):
            return None
        return Charge(self._budget, size)


class Charge:
    """
    The bytes of one request.
    """

    __slots__ = ("_budget", "_size")

    def __init__(self, budget: Budget, size: int) -> None:
        self._budget = budget
        self._size = size

    def take(self, size: int) -> bool:
        """
        Count C{size} more bytes, if there is room for them.
        """
        if self._size == self._budget.used:
            # No other request is under way.
            self._budget.charge(size)
        elif not self._budget.take(size):
            return False
        self._size += size
        return True

    def give(self) -> None:
        """
        The request has ended. Further calls do nothing.
        """
        self._budget.give(self._size)
        self._size = 0
