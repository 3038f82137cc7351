"""
Who came back to a record: subscribed with SUBSCRIBE or SUBSCRIBEANDHEAD, as v4+ clients do that believe to have it.

News alone do not show them that they are wrong. Nor does reading it: what client 7.0.5 has written while it was away
goes out with the version it has just read, not with the next one. They are in step when a write of theirs was accepted.
"""

from __future__ import annotations

from dstwist.interfaces import IConnection


class Returned:
    """
    The subscriptions of those who came back.

    @ivar names: by connection; to be looked at only.
    """

    def __init__(self) -> None:
        self.names: dict[IConnection, set[str]] = {}

    def has(self, name: str, connection: IConnection) -> bool:
        """
        Whether C{connection} may believe anything of the record.
        """
        return name in self.names.get(connection, ())

    def add(self, name: str, connection: IConnection) -> None:
        """
        C{connection}, which is open, has subscribed to the record and knows nothing more of it.
        """
        names = self.names.get(connection)
        if names is None:
            names = self.names[connection] = set()
            connection.on_close(self._closed)
        names.add(name)

    def discard(self, name: str, connection: IConnection) -> None:
        """
        C{connection} is in step, or is not subscribed any more.
        """
        names = self.names.get(connection)
        if names is not None:
            names.discard(name)

    def _closed(self, connection: IConnection) -> None:
        del self.names[connection]
