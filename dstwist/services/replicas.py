"""
The copies of records that clients hold: in which of them a client may be wrong without noticing.

A client that is subscribed has a copy of the record and keeps it in step by the news. Some events leave a copy wrong,
and no later message of the ordinary kind shows that to the client. This module remembers for each client and record
what the client may wrongly believe. The table is the whole of it; all other modules report events and ask questions.

===============================  ===========  =================  ==========  ===================================
event                            lost         unsure             returned    predecessor
===============================  ===========  =================  ==========  ===================================
accepted: a write                -> unsure    L{QUIET} anew      ends
doubted: the copy                -> unsure    L{QUIET} anew                  (and what is neither becomes unsure)
refused: a write                 begins       -> lost
returned: subscribed, not told   -> unsure    L{QUIET} anew      begins      begins, if there was one
told: was sent the record                                                    ends
left: not subscribed any more                                    ends
ended: the record is no more                                     ends
deleted: the record, by a client                                             begins for subscribers
no write for L{QUIET}                         reminded, -> lost
nothing for L{MEMORY}            forgotten
===============================  ===========  =================  ==========  ===================================

C{lost}: a write of the client was refused, and the client may not have heard of that yet. It writes on before it hears
what came of the write before. If another client's write came in between, the first of its writes is refused, but the
second has the version that is next by then, and is accepted::

    server has 1      A: 2, 3 --->   <--- B: 2
    server takes      B's 2, refuses A's 2, takes A's 3
    A hears of B's 2, merges, and believes from then on that this is the last

C{unsure}: that has happened, perhaps. A's own 3 is no news for A, so A would never notice, and nothing in the writes
themselves tells whether A had heard. So the client is reminded of what the record holds when it has not written for
L{QUIET}. Before that it has more on the way, which an answer would make it give up. A client that writes before it has
subscribed again, as clients do that come back, has lost as well; its subscription counts as an accepted write then.

C{returned}: the client subscribed with SUBSCRIBE or SUBSCRIBEANDHEAD, as v4+ clients do that believe to have the
record. News alone do not show such a client that it is wrong. Nor does reading: what client 7.0.5 has written while it
was away goes out with the version it has just read, not with the next one. The client is in step when a write of its is
accepted.

C{predecessor}: the client may hold a record of that name that was deleted: L{dstwist.services.record_deletions}.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from dstwist.config.settings import RecordSettings
from dstwist.deadlines import Deadlines
from dstwist.interfaces import IConnection
from dstwist.services.record_deletions import Deletions
from dstwist.weights import ENTRY, weigh_name

#: How long a client that is to be reminded has not written, in seconds.
QUIET = 0.5

#: For how long something may be on the way that a client sent before it heard of what came first, in seconds.
MEMORY = 10.0

#: If more have lost, the first of them are forgotten.
MOST = 100000

#: So it is if they take more bytes of memory.
MOST_BYTES = 64 * 1024 * 1024

#: What one of them weighs besides its name and entry.
_LOSER = 200

_Key = tuple[IConnection, str]


class Replicas:
    """
    What clients may wrongly believe of records.

    @ivar losers: whether those that lost are C{unsure}; by connection and name; to be looked at only.
    @ivar returners: the names of C{returned}, by connection; to be looked at only.
    @ivar predecessors: the deletions that are remembered, by name; to be looked at only.
    @ivar stale: whether a write may be meant for a predecessor: (name, connection, version).
    @ivar told: C{connection} is sent the record: (name, connection).
    @param remind: called with the name and the connection that is to be told what the record holds.
    """

    def __init__(
        self, settings: RecordSettings, clock: IReactorTime, remind: Callable[[str, IConnection], None]
    ) -> None:
        self._remind = remind
        self.losers: dict[_Key, bool] = {}
        self.returners: dict[IConnection, set[str]] = {}
        self._deletions = deletions = Deletions(settings, clock)
        self.predecessors = deletions.deletions
        self.stale = deletions.stale
        self.told = deletions.clear
        self._memory: Deadlines[_Key] = Deadlines(MEMORY, clock, self._forget)
        self._quiet: Deadlines[_Key] = Deadlines(QUIET, clock, self._is_quiet)
        self._stopped = False
        self._weight = 0

    # -- events

    def accepted(self, name: str, connection: IConnection) -> None:
        """
        A write of C{connection} was accepted.
        """
        if self.returners:
            self.left(name, connection)
        self._doubt(name, connection)

    def doubted(self, name: str, connection: IConnection) -> None:
        """
        The copy of C{connection} may be wrong for another reason: the client reads the path that it wrote in its own
        way, or it could not be reminded.
        """
        self.refused(name, connection)
        self._doubt(name, connection)

    def refused(self, name: str, connection: IConnection) -> None:
        """
        A write of C{connection} was refused, or taken back in its copy.
        """
        if self._stopped:
            return
        key = (connection, name)
        if key not in self.losers:
            self._weight += _weight(name)
        self.losers[key] = False
        self._quiet.remove(key)
        self._memory.remove(key)
        while self._memory and (len(self._memory) >= MOST or self._weight > MOST_BYTES):
            self._memory.hurry()
        self._memory.add(key)

    def returned(self, name: str, connection: IConnection, again: bool) -> None:
        """
        C{connection}, which is open, subscribes and is not told what the record holds.

        @param again: it is not subscribed already.
        """
        if again:
            names = self.returners.get(connection)
            if names is None:
                names = self.returners[connection] = set()
                connection.on_close(self._closed)
            names.add(name)
            # It may have written before it was subscribed again, and taken the refusal for agreement: client 7.0.5
            # believes to be at the version that it is told, with the data that it has.
            self._doubt(name, connection)
        self._deletions.suspect(name, connection)

    def left(self, name: str, connection: IConnection) -> None:
        """
        C{connection} is not subscribed any more.
        """
        names = self.returners.get(connection)
        if names is not None:
            names.discard(name)

    def ended(self, name: str, subscribers: list[IConnection]) -> None:
        """
        The subscriptions of C{subscribers} end, because the record is no more.
        """
        for subscriber in subscribers:
            self.left(name, subscriber)

    def deleted(self, name: str, version: int, holders: list[IConnection]) -> None:
        """
        The record was deleted.

        @param version: its last one; -1 if it was not there.
        @param holders: the connections that were subscribed.
        """
        self._deletions.remember(name, version, holders)

    def stop(self) -> None:
        """
        Forget all that has a timer, and start none from now on.
        """
        self._stopped = True
        self.losers.clear()
        self._weight = 0
        self._memory.stop()
        self._quiet.stop()

    # -- questions

    def may_differ(self, name: str, connection: IConnection) -> bool:
        """
        Whether the copy of C{connection}, which is subscribed, may not be what the news have made of it.
        """
        return name in self.returners.get(connection, ()) or self.losers.get((connection, name), False)

    def may_hold_predecessor(self, name: str, connection: IConnection) -> bool:
        """
        Whether C{connection} may hold a deleted record of that name, or not have heard yet that it is no more.
        """
        return self._deletions.is_suspect(name, connection)

    # -- the steps of the table

    def _doubt(self, name: str, connection: IConnection) -> None:
        key = (connection, name)
        if key in self.losers:
            self.losers[key] = True
            self._memory.remove(key)
            self._quiet.remove(key)
            self._quiet.add(key)

    def _forget(self, key: _Key) -> None:
        del self.losers[key]
        self._weight -= _weight(key[1])

    def _is_quiet(self, key: _Key) -> None:
        connection, name = key
        self.refused(name, connection)
        self._remind(name, connection)

    def _closed(self, connection: IConnection) -> None:
        del self.returners[connection]


def _weight(name: str) -> int:
    return ENTRY + _LOSER + weigh_name(name)
