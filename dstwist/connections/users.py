"""
Who is logged in, on this node, and through which connections.

A user is one as long as at least one connection is his, whatever its transport and generation. Connections
without a user's name (C{OPEN}, C{open}) are nobody's, and not in here (C{services.md} section 6.1). Always true: a
connection is in here only from its login until its end, and the observers have been told of exactly the users that are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from dstwist.interfaces import IConnection
from dstwist.protocol.constants import NAMELESS_USERS

_Observer = Callable[[str], None]


class UserRegistry:
    """
    The users of one node.
    """

    def __init__(self) -> None:
        self._users: dict[str, dict[IConnection, None]] = {}
        self._on_first: list[_Observer] = []
        self._on_last: list[_Observer] = []

    def observe(self, first: _Observer, last: _Observer) -> None:
        """
        Have C{first} called with each user whose first connection came, C{last} with each whose last one went.
        """
        self._on_first.append(first)
        self._on_last.append(last)

    def __contains__(self, user: str) -> bool:
        return user in self._users

    def names(self) -> Collection[str]:
        """
        All users that are logged in.
        """
        return self._users.keys()

    def connections(self, user: str) -> list[IConnection]:
        """
        The connections of C{user}, in the order in which they came.
        """
        return list(self._users.get(user, ()))

    def count(self, user: str) -> int:
        """
        How many connections C{user} has.
        """
        return len(self._users.get(user, ()))

    def add(self, connection: IConnection) -> None:
        """
        C{connection} has logged in.
        """
        user = connection.user
        if user is None or user in NAMELESS_USERS:
            return
        connections = self._users.get(user)
        if connections is not None:
            connections[connection] = None
            return
        self._users[user] = {connection: None}
        for observer in self._on_first:
            observer(user)

    def remove(self, connection: IConnection) -> None:
        """
        C{connection} is gone; what was registered for its end has been called.
        """
        user = connection.user
        if user is None or user in NAMELESS_USERS:
            return
        connections = self._users[user]
        del connections[connection]
        if not connections:
            del self._users[user]
            for observer in self._on_last:
                observer(user)
