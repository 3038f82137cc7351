"""
Who subscribed to a record without being told what it holds: with SUBSCRIBE or SUBSCRIBEANDHEAD, as v4+ clients do when
they come back and believe to have it. Until they read it, news alone do not show them that they are wrong.
"""

from __future__ import annotations

from dstwist.interfaces import IConnection


class Unread:
    """
    The subscriptions to records that were not read.
    """

    def __init__(self) -> None:
        self._names: dict[IConnection, set[str]] = {}

    def has(self, name: str, connection: IConnection) -> bool:
        """
        Whether C{connection} has yet to read the record.
        """
        return name in self._names.get(connection, ())

    def add(self, name: str, connection: IConnection) -> None:
        """
        C{connection}, which is open, has subscribed to the record and knows nothing more of it.
        """
        names = self._names.get(connection)
        if names is None:
            names = self._names[connection] = set()
            connection.on_close(self._closed)
        names.add(name)

    def discard(self, name: str, connection: IConnection) -> None:
        """
        C{connection} was told what the record holds, or is not subscribed any more.
        """
        names = self._names.get(connection)
        if names is not None:
            names.discard(name)

    def _closed(self, connection: IConnection) -> None:
        del self._names[connection]
