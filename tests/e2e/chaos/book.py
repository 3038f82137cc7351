"""
The book of the chaos test: what clients were told, and what they complain of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable


class Book:
    """
    What all clients know together.

    @ivar online: how many connections each user has.
    @ivar homes: the node of each user who stays at one.
    @ivar doubtful: the nodes that others may find dead in this round. No user of another node leaves who has not gone.
    @ivar left: the users who have logged out in this round.
    @ivar counts: how often what happened, for the last line of the output.
    @ivar problems: what must not happen, and did.
    """

    def __init__(self, tell: Callable[[str], object] = lambda problem: None) -> None:
        self.online: Counter[str] = Counter()
        self.homes: dict[str, str] = {}
        self.doubtful: set[str] = set()
        self.left: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self._tell = tell

    def come(self, user: str) -> None:
        """
        A client has logged in.
        """
        self.online[user] += 1

    def go(self, user: str) -> None:
        """
        A client that had logged in has gone.
        """
        self.online[user] -= 1

    @property
    def users(self) -> set[str]:
        """
        The users that are online.
        """
        return {user for user, count in self.online.items() if count}

    def may_leave(self, user: str) -> bool:
        """
        Whether clients may be told in this round that the user has gone.
        """
        return user in self.left or self.homes.get(user) in self.doubtful

    def count(self, what: str) -> None:
        self.counts[what] += 1

    def complain(self, problem: str) -> None:
        self.problems.append(problem)
        self._tell(problem)

    def __str__(self) -> str:
        return ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()))
