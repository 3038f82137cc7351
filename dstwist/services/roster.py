"""
The roster: the users who are online, in a form in which a list of all users costs little to send.

The users are in blocks. A block makes a L{NamePart} for the first query, which each codec encodes once. The part is
used again until a user of the block comes or goes. So an answer encodes only the blocks that have changed since the
last answer, and joins the encoded parts. The order of the users has no meaning.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dstwist.protocol.name_parts import NamePart, NameParts

#: The largest number of users in a block.
BLOCK_USERS = 256


@dataclass(eq=False, slots=True)
class _Block:
    users: dict[str, None] = field(default_factory=dict)
    part: NamePart | None = None

    def as_part(self) -> NamePart:
        if self.part is None:
            self.part = NamePart(tuple(self.users))
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
        if len(self._last.users) >= BLOCK_USERS:
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
        if block is not self._last and len(block.users) <= BLOCK_USERS // 4:
            # Otherwise, when most users have gone, there would be many blocks of one user each.
            del self._blocks[block]
            for other in block.users:
                self.add(other)

    def all_but(self, user: str | None) -> NameParts:
        """
        All users as they are now, without C{user}.
        """
        own = None if user is None else self._homes.get(user)
        return NameParts(
            [
                block.as_part() if block is not own else NamePart([each for each in block.users if each != user])
                for block in self._blocks
            ]
        )
