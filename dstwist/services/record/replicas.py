"""
Replicas: the copies of records that clients hold, and what a client may wrongly believe of a record.

A subscribed client has a copy of the record and updates it by the news (UPDATE, PATCH, ERASE). Some events leave a copy
wrong, and no later ordinary message shows that to the client. This module remembers for each client and record how the
copy may be wrong. The table is the complete specification; all other modules report events and ask questions.

================================  ===========  =================  ============  ===================================
event                             refused      unsure             resubscribed  predecessor
================================  ===========  =================  ============  ===================================
accepted: a write                 -> unsure    time restarts      ends
accepted: a write that the        ends         ends               ends
client can send only after it
was sent the record
refused: a write                  begins       -> refused
made_unsure: the copy             -> unsure    time restarts                    (a copy in neither becomes unsure)
resubscribed: the client, which   -> unsure    time restarts      begins        begins, if there was one
was not sent the record
subscribed: the client, which     -> unsure    time restarts                    (a copy in neither becomes unsure,
was sent the record but ignores                                                 if the version differs from the one
it                                                                              that the client read)
sent: the record, to the client                                                 ends (v2 and v3: if the client is
                                                                                subscribed)
left: the client is not                                           ends
subscribed any more
ended: the subscriptions, by a                                    ends
deletion
deleted: the record                                                             begins for subscribers
no write for some time                         reminded,
                                               -> refused
nothing for some time             forgotten
================================  ===========  =================  ============  ===================================

C{refused} and C{unsure}: a write of the client was refused, and it may not know that yet, or its copy may be wrong
because of that: L{dstwist.services.record.reminders}. A client that reconnects and writes before it has subscribed
again was refused as well; its subscription then counts as an accepted write.

C{resubscribed}: the client subscribed with SUBSCRIBE or SUBSCRIBEANDHEAD, as v4+ clients do that believe they have the
record. Neither updates nor a read show such a client that it is wrong: client 7.0.5 sends the writes that it made
offline with the version that it has just read, not with the next one. The copy is right when a write of the client is
accepted.

C{predecessor}: the client may hold a record of that name that was deleted: L{dstwist.services.record.recent_deletions}.
A client of v2 and v3 writes to a record only while it holds a copy. So after the deletion, all its writes that have a
version are meant for the predecessor until it subscribes. A read does not end that: it may have been sent before such
writes.

A client that read the record shortly before it subscribes ignores the data that come with the subscription:
L{dstwist.services.record.recent_reads}.
"""

from __future__ import annotations

from collections.abc import Callable, Sized

from twisted.internet.interfaces import IReactorTime

from dstwist.config.settings import RecordSettings
from dstwist.interfaces import IConnection
from dstwist.record import Change
from dstwist.services.record.recent_deletions import RecentDeletions
from dstwist.services.record.recent_reads import RecentReads
from dstwist.services.record.reminders import Reminders


class Replicas:
    """
    The copies that may be wrong.

    @ivar suspect_copies: the copies that are C{refused} or C{unsure}.
    @ivar resubscribers: the connections that have a C{resubscribed} copy. If there are none, and no suspect copies, an
        accepted write need not be reported.
    @ivar refused: a write was refused: L{Reminders.refused}.
    @ivar not_reminded: the record could not be read: L{Reminders.not_reminded}.
    @ivar made_unsure: the copy may be wrong for another reason than in the table. The client reads the path that it
        wrote in its own way, or could not be told anything of the record when its write was refused:
        L{Reminders.made_unsure}.
    @ivar read: C{connection}, which is not subscribed and whose dialect C{reads_once}, is sent a version of the record:
        (name, connection, version).
    @ivar sent: C{connection} is sent the record: (name, connection).
    @ivar predecessors: the names of the records that were deleted a short time ago.
    @ivar may_hold_predecessor: whether C{connection} may hold a deleted record of this name, or may not know yet that
        it is deleted: (name, connection).
    @ivar may_target_predecessor: whether a write may be meant for a predecessor: (name, connection, version).
    @param remind: called with a name and a connection when it is time to send the client the record.
    """

    def __init__(
        self, settings: RecordSettings, clock: IReactorTime, remind: Callable[[str, IConnection], None]
    ) -> None:
        self._reminders = reminders = Reminders(clock, remind)
        self.refused = reminders.refused
        self.not_reminded = reminders.not_reminded
        self.made_unsure = reminders.made_unsure
        # The names of the records that are resubscribed.
        self._resubscribed: dict[IConnection, set[str]] = {}
        self.resubscribers: Sized = self._resubscribed
        self.suspect_copies = reminders.copies
        # How many requests of a connection to delete or discard a record are not served yet.
        self._leaving: dict[tuple[IConnection, str], int] = {}
        self._deletions = deletions = RecentDeletions(settings, clock)
        self.predecessors = deletions.names
        self.may_hold_predecessor = deletions.may_hold
        self.may_target_predecessor = deletions.may_target
        self.sent = deletions.clear
        self._reads = reads = RecentReads(clock)
        self.read = reads.add

    # -- events

    def accepted(self, name: str, connection: IConnection, version: int, change: Change) -> None:
        """
        A write of C{connection} was accepted.

        @param version: as sent.
        """
        if self._resubscribed:
            self.left(name, connection)
        self._reminders.accepted(name, connection, version, change)

    def resubscribed(self, name: str, connection: IConnection, was_subscribed: bool) -> None:
        """
        C{connection}, which is open, asked for a subscription and is not sent the record.

        @param was_subscribed: whether it was subscribed already, and so got all news.
        """
        if not was_subscribed:
            names = self._resubscribed.get(connection)
            if names is None:
                names = self._resubscribed[connection] = set()
                connection.on_close(self._closed)
            names.add(name)
            self._reminders.resubscribed(name, connection)
        self._deletions.suspect(name, connection)

    def subscribed(self, name: str, connection: IConnection, version: int) -> None:
        """
        C{connection} subscribed, and is sent C{version} of the record.
        """
        read = self._reads.take(name, connection) if self._reads else None
        if read is not None and (read != version or self._reminders.remembers(name, connection)):
            self.made_unsure(name, connection)

    def left(self, name: str, connection: IConnection) -> None:
        """
        C{connection} is not subscribed any more.
        """
        names = self._resubscribed.get(connection)
        if names is not None:
            names.discard(name)

    def ended(self, name: str, subscribers: list[IConnection]) -> None:
        """
        The subscriptions of C{subscribers} end, because the record is deleted.
        """
        for subscriber in subscribers:
            self.left(name, subscriber)

    def deleted(self, name: str, version: int, subscribers: list[IConnection]) -> None:
        """
        The record was deleted.

        @param version: its last one; -1 if it did not exist.
        @param subscribers: the connections that were subscribed.
        """
        self._deletions.add(name, version, subscribers)

    def leaves(self, name: str, connection: IConnection) -> Callable[[], None]:
        """
        C{connection} asks to delete or discard the record.

        @return: to be called when the request is served.
        """
        key = (connection, name)
        self._leaving[key] = self._leaving.get(key, 0) + 1

        def served() -> None:
            left = self._leaving[key] - 1
            if left:
                self._leaving[key] = left
            else:
                del self._leaving[key]

        return served

    def stop(self) -> None:
        """
        Forget everything that has a timer, and start no timer from now on.
        """
        self._reminders.stop()
        self._reads.stop()

    # -- questions

    def may_differ(self, name: str, connection: IConnection) -> bool:
        """
        Whether the copy of C{connection}, which is subscribed, may differ from the result of the news.
        """
        return name in self._resubscribed.get(connection, ()) or self._reminders.is_unsure(name, connection)

    def is_leaving(self, name: str, connection: IConnection, version: int | None) -> bool:
        """
        Whether C{connection} has destroyed the callback of the write of C{version} with its copy, and throws on the
        acknowledgement. Without a copy (version -1) the callback is kept elsewhere.
        """
        return version != -1 and (connection, name) in self._leaving

    def _closed(self, connection: IConnection) -> None:
        del self._resubscribed[connection]
