"""
The users who are online, so that all of them can be told at little cost.

They are kept in blocks. A block makes a L{Part} when somebody asks, which the codecs encode once; it makes another one
when somebody asks after one of its users has gone or come. So an answer costs as much as what has changed since the
one before, and putting it together. What is encoded is kept as long as the block does not change. The order of the
users means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dstwist.protocol.name_parts import Part, Parts

#: How many users are in a block at most.
BLOCK = 256


@dataclass(eq=False, slots=True)
class _Block:
    users: dict[str, None] = field(default_factory=dict)
    part: Part | None = None

    def as_part(self) -> Part:
        if self.part is None:
            self.part = Part(tuple(self.users))
        return self.part


class Roster:
    """
    A set of users.
    """

    def __init__(self) -> None:
        self._homes: dict[str, _Block] = {}
        self._last = _Block()
        self._blocks: dict[_Block, None] = {self._last: None}

    def __len__(self) -> int:
        return len(self._homes)

    def __contains__(self, user: str) -> bool:
        return user in self._homes

    def add(self, user: str) -> None:
        """
        Add C{user}, who is not in here.
        """
        if len(self._last.users) >= BLOCK:
            self._last = _Block()
            self._blocks[self._last] = None
        block = self._homes[user] = self._last
        block.users[user] = None
        block.part = None

    def remove(self, user: str) -> None:
        """
        Remove C{user}, who is in here.
        """
        block = self._homes.pop(user)
        del block.users[user]
        block.part = None
        if block is not self._last and len(block.users) <= BLOCK // 4:
            # Without this, blocks of one user each would be left of many users.
            del self._blocks[block]
            for other in block.users:
                self.add(other)

    def all_but(self, user: str | None) -> Parts:
        """
        All users as they are now, without C{user}.
        """
        own = None if user is None else self._homes.get(user)
        return Parts(
            [
                block.as_part() if block is not own else Part([each for each in block.users if each != user])
                for block in self._blocks
            ]
        )
