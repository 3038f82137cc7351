"""
The copies of records that clients hold: in which of them a client may be wrong without noticing.

A subscribed client has a copy of the record and updates it by the news (UPDATE, PATCH, ERASE). Some events leave a copy
wrong, and no later ordinary message shows that to the client. This module remembers for each client and record how the
copy may be wrong. The table is the complete specification; all other modules report events and ask questions.

===============================  ===========  =================  ==========  ===================================
event                            lost         unsure             returned    predecessor
===============================  ===========  =================  ==========  ===================================
accepted: a write                -> unsure    time restarts      ends
accepted: the write that only    ends         ends               ends
a client that was told can send
doubted: the copy                -> unsure    time restarts                  (a copy in neither state becomes unsure)
refused: a write                 begins       -> lost
returned: subscribed, not told   -> unsure    time restarts      begins      begins, if there was one
subscribed: and told, but it     -> unsure    time restarts                  (a copy in neither becomes unsure, if
takes no notice of that                                                      the version differs from the one read)
told: was sent the record                                                    ends
left: not subscribed any more                                    ends
ended: the record is deleted                                     ends
deleted: the record, by a client                                             begins for subscribers
no write for some time                        reminded, -> lost
nothing for L{MEMORY}            forgotten
===============================  ===========  =================  ==========  ===================================

C{lost}: a write of the client was refused, and the client may not know that yet. A client sends further writes before
it gets the outcome of the first one. If another client's write came in between, the first of its writes is refused, but
the second has the version that is next by then, and is accepted::

    server has 1      A: 2, 3 --->   <--- B: 2
    server takes      B's 2, refuses A's 2, takes A's 3
    A gets B's 2, merges, and believes from then on that this is the last version

C{unsure}: that may have happened. The server does not send A its own write 3, so A would never notice. So the server
reminds the client: it sends the record when the client has not written for L{QUIET}. An earlier reminder would make the
client give up writes that are on their way. A client that reconnects and writes before it has subscribed again has lost
as well; its subscription then counts as an accepted write.

C{returned}: the client subscribed with SUBSCRIBE or SUBSCRIBEANDHEAD, as v4+ clients do that believe they have the
record. Neither updates nor a read show such a client that it is wrong: client 7.0.5 sends the writes that it made
offline with the version that it has just read, not with the next one. The client is in step when one of its writes is
accepted.

A client that read the record shortly before it subscribes ignores the data that come with the subscription: see
L{dstwist.services.record.recent_reads}.

C{predecessor}: the client may hold a record of that name that was deleted: L{dstwist.services.record.recent_deletions}.

Some clients answer a reminder with another write: those for Java and Android after each UPDATE that is not the next
version for them, and clients whose merge strategy keeps their own data after each refusal. Three rules end such loops:

- A write that does not change the record does not make its client unsure.
- Each further reminder comes after twice the time, and after L{REMINDERS} of them the client is forgotten.
- The first L{AT_ONCE} refusals in quick succession send the client the record at once. Further ones only remind it.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from dstwist.config.settings import RecordSettings
from dstwist.interfaces import IConnection
from dstwist.protocol.weights import ENTRY, weigh_name
from dstwist.record import Change
from dstwist.scheduling.deadlines import Deadlines
from dstwist.services.record.recent_deletions import RecentDeletions
from dstwist.services.record.recent_reads import RecentReads
from dstwist.services.record.shares import Shares

#: How long a client that is to be reminded has not written, in seconds: for the first reminder. For each further one it
#: is twice as long.
QUIET = 0.5

#: How often a client is reminded.
REMINDERS = 7

#: How many refusals in quick succession show the record at once,
AT_ONCE = 8

#: if the time between the one and the next is not longer than this, in seconds. A client that answers by itself takes
#: less, users take more.
REACTION = 2.0

#: If the record cannot be read when it is time for a reminder, that is tried again after this number of doublings.
_POSTPONED = 3

#: For how long something may be on the way that a client sent before it heard of what came first, in seconds.
MEMORY = 10.0

#: If more have lost, the first of them are forgotten.
MOST = 100000

#: The same holds if they take more bytes of memory.
MOST_BYTES = 64 * 1024 * 1024

#: The same for one connection: if it has lost more records, the first of them are forgotten.
MOST_EACH = 5000
MOST_BYTES_EACH = 4 * 1024 * 1024

#: The memory of one of them besides its name and entry, in bytes.
_LOSER = 400

_Key = tuple[IConnection, str]


class Loser:
    """
    A client that is C{lost} or C{unsure} about a record.

    @ivar unsure: whether it is the latter.
    @ivar reminders: how often it was reminded.
    @ivar shown: how often it was shown the record in quick succession, and C{last} when.
    @ivar next: the version of a write that it can send only after it was told what the record holds; C{None}: unknown.
    """

    __slots__ = ("last", "next", "reminders", "shown", "unsure")

    def __init__(self) -> None:
        self.unsure = False
        self.reminders = 0
        self.shown = 0
        self.last = 0.0
        self.next: int | None = None


class Replicas:
    """
    The records about which clients may be wrong.

    @ivar losers: those that are C{lost} or C{unsure}, by connection and name; to be looked at only.
    @ivar returners: the names of C{returned}, by connection; to be looked at only.
    @ivar predecessors: the deletions that are remembered, by name; to be looked at only.
    @ivar leaving: the clients of v2 and v3 whose request to delete or discard a record is not done yet, by connection
        and name; to be looked at only.
    @ivar stale: whether a write may be meant for a predecessor: (name, connection, version).
    @ivar read: C{connection}, which is not subscribed and whose dialect C{reads_once}, is sent a version of the record:
        (name, connection, version).
    @ivar told: C{connection} is sent the record: (name, connection).
    @param remind: called with the name and the connection that is to be told what the record holds.
    """

    def __init__(
        self, settings: RecordSettings, clock: IReactorTime, remind: Callable[[str, IConnection], None]
    ) -> None:
        self._remind = remind
        self.losers: dict[_Key, Loser] = {}
        self.returners: dict[IConnection, set[str]] = {}
        self.leaving: dict[_Key, int] = {}
        self._deletions = deletions = RecentDeletions(settings, clock)
        self.predecessors = deletions.deletions
        self.stale = deletions.stale
        self.told = deletions.clear
        self._reads = reads = RecentReads(clock)
        self.read = reads.add
        self._seconds = clock.seconds
        self._memory: Deadlines[_Key] = Deadlines(MEMORY, clock, self._forget)
        self._quiet: list[Deadlines[_Key]] = [
            Deadlines(QUIET * 2**number, clock, self._is_quiet) for number in range(REMINDERS)
        ]
        self._shares = Shares()
        self._stopped = False
        self._weight = 0

    # -- events

    def accepted(self, name: str, connection: IConnection, version: int, change: Change) -> None:
        """
        A write of C{connection} was accepted.

        @param version: as sent.
        """
        if self.returners:
            self.left(name, connection)
        key = (connection, name)
        loser = self.losers.get(key)
        if loser is None:
            return
        if version == loser.next:
            self._drop(key)
        elif loser.unsure or connection.dialect.merges_on_news or change.data != change.old.data:
            # A client that merges on news is not told of a conflict, so its version has to be right as well.
            self._doubt(key, loser)

    def doubted(self, name: str, connection: IConnection) -> None:
        """
        The copy of C{connection} may be wrong for another reason: the client reads the path that it wrote in its own
        way, or nothing could be said of the record when its write was refused.
        """
        if not self._stopped:
            key = (connection, name)
            self._doubt(key, self._lose(key))

    def postponed(self, name: str, connection: IConnection) -> None:
        """
        C{connection} could not be reminded.
        """
        if not self._stopped:
            key = (connection, name)
            loser = self._lose(key)
            loser.reminders = max(loser.reminders - 1, 0)
            self._doubt(key, loser, _POSTPONED)

    def refused(self, name: str, connection: IConnection, version: int = -1, current: int | None = None) -> bool:
        """
        A write of C{connection} was refused, or taken back in its copy.

        @param version: as sent.
        @param current: the version of the record, which the client can be shown; C{None}: it cannot.
        @return: whether it is to be shown the record at once.
        """
        if self._stopped:
            return current is not None
        key = (connection, name)
        loser = self._lose(key)
        if current is None:
            return False
        now = self._seconds()
        if now - loser.last > REACTION:
            loser.shown = 0
        if loser.shown >= AT_ONCE:
            self._doubt(key, loser)
            return False
        loser.shown += 1
        loser.last = now
        # Writes that it sent before it is told have the version of the refused write or a higher one.
        loser.next = current + 1 if version > current else None
        return True

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
            self._doubt_loser(name, connection)
        self._deletions.suspect(name, connection)

    def subscribed(self, name: str, connection: IConnection, version: int) -> None:
        """
        C{connection} subscribes and is sent C{version} of the record.
        """
        read = self._reads.take(name, connection) if self._reads else None
        if read is not None and (read != version or (connection, name) in self.losers):
            self.doubted(name, connection)

    def left(self, name: str, connection: IConnection) -> None:
        """
        C{connection} is not subscribed any more.
        """
        names = self.returners.get(connection)
        if names is not None:
            names.discard(name)

    def ended(self, name: str, subscribers: list[IConnection]) -> None:
        """
        The subscriptions of C{subscribers} end, because the record is deleted.
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

    def leaves(self, name: str, connection: IConnection) -> Callable[[], None]:
        """
        C{connection} asks to delete or discard the record. The result is to be called when that is done.
        """
        key = (connection, name)
        self.leaving[key] = self.leaving.get(key, 0) + 1

        def served() -> None:
            left = self.leaving[key] - 1
            if left:
                self.leaving[key] = left
            else:
                del self.leaving[key]

        return served

    def stop(self) -> None:
        """
        Forget all that has a timer, and start none from now on.
        """
        self._stopped = True
        self.losers.clear()
        self._shares.clear()
        self._weight = 0
        self._reads.stop()
        for deadlines in (self._memory, *self._quiet):
            deadlines.stop()

    # -- questions

    def may_differ(self, name: str, connection: IConnection) -> bool:
        """
        Whether the copy of C{connection}, which is subscribed, may differ from the result of the news.
        """
        if name in self.returners.get(connection, ()):
            return True
        loser = self.losers.get((connection, name))
        return loser is not None and loser.unsure

    def may_hold_predecessor(self, name: str, connection: IConnection) -> bool:
        """
        Whether C{connection} may hold a deleted record of that name, or may not know yet that it is deleted.
        """
        return self._deletions.is_suspect(name, connection)

    def is_leaving(self, name: str, connection: IConnection, version: int | None) -> bool:
        """
        Whether C{connection} has destroyed the callback of the write of C{version} with its copy, and throws on the
        acknowledgement. Without a copy (version -1) the callback is kept elsewhere.
        """
        return version != -1 and (connection, name) in self.leaving

    # -- the steps of the table

    def _lose(self, key: _Key) -> Loser:
        """
        The client is C{lost}.
        """
        connection, name = key
        loser = self.losers.get(key)
        if loser is None:
            while (own := self._shares.excess(connection, MOST_EACH, MOST_BYTES_EACH)) is not None:
                self._drop((connection, own))
            loser = self.losers[key] = Loser()
            weight = _weight(name)
            self._weight += weight
            self._shares.add(name, connection, weight)
        else:
            self._stop_timers(key, loser)
            self._shares.renew(name, connection)
        loser.unsure = False
        loser.next = None
        while self._memory and (len(self._memory) >= MOST or self._weight > MOST_BYTES):
            self._memory.hurry()
        self._memory.add(key)
        return loser

    def _doubt_loser(self, name: str, connection: IConnection) -> None:
        key = (connection, name)
        loser = self.losers.get(key)
        if loser is not None:
            self._doubt(key, loser)

    def _doubt(self, key: _Key, loser: Loser, least: int = 0) -> None:
        """
        The client is C{unsure}, unless it was reminded often enough.
        """
        if loser.reminders == REMINDERS:
            self._drop(key)
            return
        self._stop_timers(key, loser)
        loser.unsure = True
        loser.next = None
        self._quiet[max(loser.reminders, least)].add(key)

    def _is_quiet(self, key: _Key) -> None:
        connection, name = key
        loser = self._lose(key)
        loser.reminders += 1
        loser.last = self._seconds()
        self._remind(name, connection)

    def _drop(self, key: _Key) -> None:
        self._stop_timers(key, self.losers[key])
        self._forget(key)

    def _forget(self, key: _Key) -> None:
        del self.losers[key]
        self._shares.remove(key[1], key[0])
        self._weight -= _weight(key[1])

    def _stop_timers(self, key: _Key, loser: Loser) -> None:
        self._memory.remove(key)
        if loser.unsure:
            for deadlines in self._quiet:
                deadlines.remove(key)

    def _closed(self, connection: IConnection) -> None:
        del self.returners[connection]


def _weight(name: str) -> int:
    return ENTRY + _LOSER + weigh_name(name)
