"""
Writes of clients that are back after an interruption, and have not subscribed again yet.

Client 7.0.5 gathers its subscriptions for a tenth of a second, and then asks for the versions of its records. If the
application goes on writing meanwhile, the answer is older than the copy of the client. The client takes the record for
a deleted one: by default it drops the record, and each further write raises RECORD_ALREADY_DESTROYED::

    client, which has 5                        server, which has 5
    UPDATE 6 --------------------------------> accepted
    SUBSCRIBEANDHEAD a ----------------------> subscribed
    UPDATE 7 ---->
             <-------------------------------- HEAD_RESPONSE 6      the client has 7, and drops the record
             ----> accepted

The server cannot know which version the client will have when the answer arrives. But if the answer has no version, the
client reads the record and merges it with its copy. So clients that write before they subscribe get such an answer::

    UPDATE 6 --------------------------------> accepted
    SUBSCRIBEANDHEAD a ----------------------> subscribed
             <-------------------------------- HEAD_RESPONSE        without a version
    READ a ----------------------------------> 6
             <-------------------------------- READ_RESPONSE 6      the client merges

Only writes within L{NEWCOMER_SECONDS} after the login count. So a server without such clients has nothing to do for
each write but to see that there are none.
"""

from __future__ import annotations

from collections.abc import Callable, Container

from twisted.internet.interfaces import IReactorTime

from dstwist.interfaces import IRequester
from dstwist.scheduling.deadlines import Deadlines

#: How long after its login a client may take to subscribe again, in seconds.
NEWCOMER_SECONDS = 10.0

#: How many records of one client are remembered, and of all clients.
MAX_NAMES_EACH = 100
MAX_NAMES = 10_000


class EarlyWrites:
    """
    The names of the records that clients have written to before they subscribed.

    @ivar newcomers: the connections whose writes are reported.
    @param is_subscribed: whether a connection is subscribed to a name.
    """

    def __init__(self, is_subscribed: Callable[[str, IRequester], bool], clock: IReactorTime) -> None:
        self._is_subscribed = is_subscribed
        self._names: dict[IRequester, set[str] | None] = {}
        self.newcomers: Container[IRequester] = self._names
        self._count = 0
        self._memory: Deadlines[IRequester] = Deadlines(NEWCOMER_SECONDS, clock, self._forget)

    def came(self, connection: IRequester) -> None:
        """
        C{connection} has logged in.
        """
        if connection.dialect.drops_copies_ahead:
            self._names[connection] = None
            self._memory.add(connection)

    def left(self, connection: IRequester) -> None:
        """
        C{connection} has ended.
        """
        if self._memory.remove(connection):
            self._forget(connection)
            if not self._names:
                # Only its timer is left.
                self._memory.stop()

    def written(self, name: str, connection: IRequester) -> None:
        """
        A newcomer writes.
        """
        names = self._names[connection]
        if names is None:
            names = self._names[connection] = set()
        if name in names or len(names) >= MAX_NAMES_EACH or self._count >= MAX_NAMES:
            return
        if not self._is_subscribed(name, connection):
            names.add(name)
            self._count += 1

    def take(self, name: str, connection: IRequester) -> bool:
        """
        Whether C{connection} has written to the record before it subscribed. The name is forgotten.
        """
        names = self._names.get(connection)
        if not names or name not in names:
            return False
        names.remove(name)
        self._count -= 1
        return True

    def stop(self) -> None:
        """
        Forget all.
        """
        self._names.clear()
        self._count = 0
        self._memory.stop()

    def _forget(self, connection: IRequester) -> None:
        self._count -= len(self._names.pop(connection) or ())
