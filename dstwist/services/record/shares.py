"""
The share of each connection in a bounded memory, so that one connection cannot use up the memory of all others.

The memory consists of entries, each for one name and one connection. If a connection has more than its share, its own
oldest entry is forgotten, and the entries of other connections stay.
"""

from __future__ import annotations

from collections import OrderedDict

from dstwist.interfaces import IRequester


class _Share:
    """
    The entries of one connection.
    """

    __slots__ = ("names", "weight")

    def __init__(self) -> None:
        # The oldest first. A dict would search for its first key past all keys that were removed before it.
        self.names: OrderedDict[str, int] = OrderedDict()
        self.weight = 0


class Shares:
    """
    The entries of all connections: their names, and the memory that each takes.
    """

    def __init__(self) -> None:
        self._shares: dict[IRequester, _Share] = {}

    def __len__(self) -> int:
        return len(self._shares)

    def add(self, name: str, connection: IRequester, weight: int) -> None:
        """
        Make C{name}, which has no entry, the latest of C{connection}.
        """
        share = self._shares.get(connection)
        if share is None:
            share = self._shares[connection] = _Share()
        share.names[name] = weight
        share.weight += weight

    def renew(self, name: str, connection: IRequester) -> None:
        """
        Make C{name}, which has an entry, the latest of C{connection}.
        """
        self._shares[connection].names.move_to_end(name)

    def remove(self, name: str, connection: IRequester) -> None:
        """
        C{name}, which has an entry, is forgotten.
        """
        share = self._shares[connection]
        share.weight -= share.names.pop(name)
        if not share.names:
            del self._shares[connection]

    def excess(self, connection: IRequester, most: int, most_bytes: int) -> str | None:
        """
        The oldest name of C{connection}, if it has C{most} names or more, or they take more than C{most_bytes};
        otherwise C{None}.
        """
        share = self._shares.get(connection)
        if share is None or (len(share.names) < most and share.weight <= most_bytes):
            return None
        return next(iter(share.names))

    def clear(self) -> None:
        """
        Forget all entries.
        """
        self._shares.clear()
