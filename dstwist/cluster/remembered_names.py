"""
Names that a node remembers for repairs, a limited number of them.

Clients choose these names: they may be many, and long.
"""

from __future__ import annotations

from itertools import islice

from dstwist.protocol.weights import weigh_name

#: How many names are remembered, and the bytes of memory that they may take.
MAX_NAMES = 100000
MAX_BYTES = 2**24


class RememberedNames:
    """
    A set of names that keeps their order.

    @ivar is_full: whether a name was left out.
    """

    __slots__ = ("_bytes", "is_full", "names")

    def __init__(self) -> None:
        self.names: dict[str, None] = {}
        self.is_full = False
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.names)

    def add(self, name: str) -> None:
        """
        Add C{name}, if there is room.
        """
        if name in self.names:
            return
        if len(self.names) < MAX_NAMES and self._bytes < MAX_BYTES:
            self.names[name] = None
            self._bytes += weigh_name(name)
        else:
            self.is_full = True

    def take(self, most: int) -> list[str]:
        """
        Remove the first names, and return them.
        """
        names = list(islice(self.names, most))
        for name in names:
            del self.names[name]
            self._bytes -= weigh_name(name)
        return names
