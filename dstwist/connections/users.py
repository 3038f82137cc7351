"""
The users that are logged in on this node, and their connections.

A user is logged in as long as the user has at least one connection, of any transport and generation. Connections
without a user's name (C{OPEN}, C{open}) belong to no user, and are not in the registry (C{services.md} section 6.1).
Always true: a connection is in the registry only from its login until its end, and the observers have been told of
exactly the users in the registry. Observers of connections are told of all connections, with a user or without.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from dstwist.interfaces import IRequester
from dstwist.protocol.constants import NAMELESS_USERS

_Observer = Callable[[str], None]
_ConnectionObserver = Callable[[IRequester], None]


class UserRegistry:
    """
    The users of one node.
    """

    def __init__(self) -> None:
        # Most users have one connection; then it stands here without a dict, which takes 230 bytes.
        self._users: dict[str, IRequester | dict[IRequester, None]] = {}
        self._on_first: list[_Observer] = []
        self._on_last: list[_Observer] = []
        self._on_login: list[_ConnectionObserver] = []
        self._on_end: list[_ConnectionObserver] = []
        # With one node, there is room for all names.
        self._has_room: Callable[[str], bool] | None = None

    def observe(self, first: _Observer, last: _Observer) -> None:
        """
        Call C{first} with each user whose first connection comes, and C{last} with each user whose last one ends.
        """
        self._on_first.append(first)
        self._on_last.append(last)

    def observe_connections(self, login: _ConnectionObserver, end: _ConnectionObserver) -> None:
        """
        Call C{login} with each connection that logs in, and C{end} with each of them that ends. Observers must not end
        a connection.
        """
        self._on_login.append(login)
        self._on_end.append(end)

    def bound_names(self, has_room: Callable[[str], bool]) -> None:
        """
        Have a login refused if C{has_room} is false for the name of a user who is not here: another node would keep too
        many names of users of this one.
        """
        self._has_room = has_room

    def has_room(self, user: str) -> bool:
        """
        Whether C{user} may log in.
        """
        return self._has_room is None or user in self._users or user in NAMELESS_USERS or self._has_room(user)

    def __contains__(self, user: str) -> bool:
        return user in self._users

    def names(self) -> Collection[str]:
        """
        The names of all users that are logged in.
        """
        return self._users.keys()

    def connections(self, user: str) -> list[IRequester]:
        """
        The connections of C{user}, in the order of their logins.
        """
        found = self._users.get(user)
        if found is None:
            return []
        return list(found) if isinstance(found, dict) else [found]

    def count(self, user: str) -> int:
        """
        How many connections C{user} has.
        """
        found = self._users.get(user)
        if found is None:
            return 0
        return len(found) if isinstance(found, dict) else 1

    def add(self, connection: IRequester) -> None:
        """
        C{connection} has logged in.
        """
        for observe in self._on_login:
            observe(connection)
        user = connection.user
        if user is None or user in NAMELESS_USERS:
            return
        found = self._users.get(user)
        if isinstance(found, dict):
            found[connection] = None
            return
        if found is not None:
            self._users[user] = {found: None, connection: None}
            return
        self._users[user] = connection
        for observer in self._on_first:
            observer(user)

    def remove(self, connection: IRequester) -> None:
        """
        C{connection} has ended, and all callbacks for its end have been called.
        """
        for observe in self._on_end:
            observe(connection)
        user = connection.user
        if user is None or user in NAMELESS_USERS:
            return
        found = self._users[user]
        if isinstance(found, dict):
            del found[connection]
            if found:
                return
        del self._users[user]
        for observer in self._on_last:
            observer(user)
