"""
Replicas: the copies of records that clients hold, and what a client may wrongly believe of a record.

A subscribed client holds a copy of the record, applies each write to the copy before it sends the write, and updates
the copy by the news of other writes (UPDATE, PATCH, ERASE). If a write of the client is refused, if the client was
offline, or if the record was deleted and created anew, the copy can be wrong without any later message that shows this
to the client. So the server remembers how the copy may be wrong, and sends the client the record (in an UPDATE,
VERSION_EXISTS or READ_RESPONSE); it forgets the copy when a write shows that the copy is right, or after some time.

Four states are remembered. A copy is C{refused}, C{unsure} or neither. Besides that, it may be C{resubscribed}, and its
client may hold a C{predecessor}. In the examples, numbers are versions, and B is another client.

B{refused}: a write of the client was refused, and the client may not know that yet. B{unsure}: the copy may be wrong,
and the client will be I{reminded}: it is sent the record when it has written nothing for a while. Both are in
L{dstwist.services.record.reminders}. Here A sends two writes before it hears of the write of B::

    client A                     server: B has written 2
    UPDATE 2 ------------------> a conflict                                     A's copy: refused
    UPDATE 3 ------------------> accepted, because 3 follows 2                  unsure
             <------------------ VERSION_EXISTS 2: A merges, and believes
                                 that 2 is the last version
                                 L{QUIET_SECONDS} without a write of A
             <------------------ UPDATE 3: the reminder                         refused
                                 L{COPY_MEMORY_SECONDS} without another event   neither

=========================================  ===========  =================  =========================================
event                                      if neither   if C{refused}      if C{unsure}
=========================================  ===========  =================  =========================================
refused: a write                           -> refused   its time restarts  -> refused
refused: too many in quick succession      -> unsure    -> unsure          -> unsure
(L{REFUSALS_BEFORE_SENDING})
accepted: a write that the client can                   -> neither         (such a copy is never C{unsure})
send only after it was sent the record
accepted: a write that does not change                  no change          its time restarts
the record (of a client that merges on
news: as any other write)
accepted: any other write                               -> unsure          its time restarts
accepted: a write of version -1, of a      -> unsure    -> unsure          its time restarts
C{resubscribed} copy
refused: a write of a C{resubscribed}      -> unsure    -> unsure          its time restarts
copy, since there is no record
resubscribed: the client, which was not                 -> unsure          its time restarts
subscribed and is not sent the record
subscribed: the client, which has read     -> unsure    -> unsure          its time restarts
the record shortly before (if neither:
another version of it, or in vain)
made_unsure: the copy                      -> unsure    -> unsure          its time restarts
not_reminded: the record is not readable   -> unsure    -> unsure          its time restarts, and is longer
the time of C{refused} is over                          -> neither
(L{COPY_MEMORY_SECONDS})
the time of C{unsure} is over                                              the client is reminded, -> refused
(L{QUIET_SECONDS}, doubled each time)
=========================================  ===========  =================  =========================================

After L{MAX_REMINDERS} reminders, a copy is forgotten (C{neither}) by the next event that would make it C{unsure}. The
oldest copies are forgotten if there are too many.

B{resubscribed}: the client subscribed with SUBSCRIBE or SUBSCRIBEANDHEAD, as v4+ clients do that believe they have the
record. Neither updates nor a read show such a client that its copy is wrong. Client 7.0.5 sends the writes that it made
offline with the version that it has just read, not with the next one. The copy is right when a write of the client is
accepted::

    client A, which has 5        server: B has written 6 while A was offline
    SUBSCRIBEANDHEAD ----------> subscribed                                     A's copy: resubscribed
             <------------------ HEAD_RESPONSE 6: A takes the version, but not the data
    UPDATE 6 ------------------> a conflict
             <------------------ VERSION_EXISTS 6, UPDATE 6: A merges
    UPDATE 7 ------------------> accepted                                       not resubscribed

Clients 4 to 7 merge their copy with a deletion as well. If the copy wins, the client writes it with version -1, and
believes in that version from then on. So the client is reminded in either case: that the record does not exist, or
which version the write has made. The first reminder is DELETED, and ends the subscription::

    client A, which has 5        server: B has deleted 5 while A was offline
    SUBSCRIBEANDHEAD ----------> subscribed                                     A's copy: resubscribed
             <------------------ HEAD_RESPONSE -1: A merges, and keeps its data
    UPDATE -1 -----------------> refused, since there is no record              unsure
             <------------------ DELETED: the reminder                          not subscribed

B{predecessor}: the client may hold a record of that name that was deleted: L{dstwist.services.record.recent_deletions}.
A client of v2 and v3 writes to a record only while it holds a copy. So after the deletion, all its writes that have a
version are meant for the predecessor until it subscribes. A read does not end the state: the client may have sent the
read before such writes::

    client A, which has 7        server: B has deleted 7, and written a new record up to 7
    UPDATE 8 ------------------> a conflict: A has not heard of the deletion    A's copy: a predecessor
             <------------------ VERSION_EXISTS 7                               no predecessor

==============================================  ==================  ================================================
event                                           C{resubscribed}     C{predecessor}
==============================================  ==================  ================================================
resubscribed: the client, which is not sent     begins, if it was   begins, if a deletion is remembered
the record                                      not subscribed
accepted: a write                               ends
sent: the record, to the client                                     ends (callers report v2 and v3 clients only if
                                                                    they are subscribed)
left: the client is not subscribed any more     ends
ended: the subscriptions, by a deletion         ends
deleted: the record                                                 begins for subscribers
the connection closes                           ends                ends
the deletion is forgotten                                           ends
==============================================  ==================  ================================================

The tables are the complete specification, and all other modules report events and ask questions. Two more things are
remembered for a short time. A client that read the record shortly before it subscribes ignores the data that come with
the subscription (event C{read}: L{dstwist.services.record.recent_reads}). A client that has asked to delete or discard
the record has destroyed the callbacks of its writes (event C{leaves}).
"""

from __future__ import annotations

from collections.abc import Callable, Sized

from twisted.internet.interfaces import IReactorTime

from dstwist.config.settings import RecordSettings
from dstwist.interfaces import IRequester
from dstwist.record import Change
from dstwist.services.record.recent_deletions import RecentDeletions
from dstwist.services.record.recent_reads import RecentReads
from dstwist.services.record.reminders import Reminders


class Replicas:
    """
    The copies that may be wrong.

    @ivar unsettled: the copies that are C{refused} or C{unsure}.
    @ivar resubscribers: the connections that have a C{resubscribed} copy. If there are none, and no unsettled copies,
        an accepted write need not be reported.
    @ivar predecessors: the names of the records whose deletion is remembered.
    @param remind: called with a name and a connection when it is time to send the client the record.
    """

    def __init__(
        self, settings: RecordSettings, clock: IReactorTime, remind: Callable[[str, IRequester], None]
    ) -> None:
        self._reminders = Reminders(clock, remind)
        self.unsettled = self._reminders.copies
        # The names of the records that are resubscribed.
        self._resubscribed: dict[IRequester, set[str]] = {}
        self.resubscribers: Sized = self._resubscribed
        # How many requests of a connection to delete or discard a record are not served yet.
        self._leaving: dict[tuple[IRequester, str], int] = {}
        self._deletions = RecentDeletions(settings, clock)
        self.predecessors = self._deletions.names
        self._reads = RecentReads(clock)

    # -- events

    def accepted(self, name: str, connection: IRequester, version: int, change: Change) -> None:
        """
        A write of C{connection} was accepted.

        @param version: as sent.
        """
        if self._resubscribed and self.is_resubscribed(name, connection):
            self.left(name, connection)
            if version == -1:
                # The client does not know the version.
                self.made_unsure(name, connection)
                return
        self._reminders.accepted(name, connection, version, change)

    def refused(self, name: str, connection: IRequester, version: int = -1, current: int | None = None) -> bool:
        """
        A write of C{connection} was refused, or its client is about to take it back in its copy.

        @param version: as sent.
        @param current: the version of the record, which the client may be sent; C{None}: it may not.
        @return: whether the caller sends the client the record at once.
        """
        return self._reminders.refused(name, connection, version, current)

    def refused_as_missing(self, name: str, connection: IRequester) -> None:
        """
        A write of C{connection} was refused, and the record does not exist.
        """
        if self.is_resubscribed(name, connection):
            self.made_unsure(name, connection)
        else:
            self.refused(name, connection)

    def made_unsure(self, name: str, connection: IRequester) -> None:
        """
        The copy of C{connection}, which is subscribed, may be wrong. Either the client reads the path of its accepted
        write in another way than the server, or its write was refused and the server could not send it the record, or
        it has asked for the record and the server could not read it.
        """
        self._reminders.made_unsure(name, connection)

    def not_reminded(self, name: str, connection: IRequester) -> None:
        """
        It was time to send C{connection} the record, but the record could not be read.
        """
        self._reminders.not_reminded(name, connection)

    def read(self, name: str, connection: IRequester, version: int) -> None:
        """
        C{connection}, which is not subscribed and whose dialect C{reads_once}, is sent C{version} of the record.

        @param version: -1 if the client gets an error instead of the record. It may be subscribed then.
        """
        self._reads.add(name, connection, version)

    def sent(self, name: str, connection: IRequester) -> None:
        """
        C{connection} is sent the record.
        """
        self._deletions.clear(name, connection)

    def resubscribed(self, name: str, connection: IRequester, was_subscribed: bool) -> None:
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

    def subscribed(self, name: str, connection: IRequester, version: int) -> None:
        """
        C{connection} subscribed, or was subscribed already, and is sent C{version} of the record.
        """
        read = self._reads.take(name, connection) if self._reads else None
        if read is not None and (read != version or self._reminders.remembers(name, connection)):
            self.made_unsure(name, connection)

    def left(self, name: str, connection: IRequester) -> None:
        """
        C{connection} is not subscribed any more.
        """
        names = self._resubscribed.get(connection)
        if names is not None:
            names.discard(name)

    def ended(self, name: str, subscribers: list[IRequester]) -> None:
        """
        The subscriptions of C{subscribers} end, because the record is deleted.
        """
        for subscriber in subscribers:
            self.left(name, subscriber)

    def deleted(self, name: str, version: int, subscribers: list[IRequester]) -> None:
        """
        The record was deleted, or the arbiter does not have it any more.

        @param version: its last one; -1 if the server did not find it, or does not know its version.
        @param subscribers: the connections that were subscribed.
        """
        self._deletions.add(name, version, subscribers)

    def created_anew(self, name: str, removed: int) -> None:
        """
        The record was created, and the store has remembered the version at which it was removed.
        """
        self._deletions.add(name, removed, [])

    def leaves(self, name: str, connection: IRequester) -> Callable[[], None]:
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

    def may_differ(self, name: str, connection: IRequester) -> bool:
        """
        Whether the copy of C{connection}, which is subscribed, may differ from the result of the news.
        """
        return self.is_resubscribed(name, connection) or self._reminders.is_unsure(name, connection)

    def is_resubscribed(self, name: str, connection: IRequester) -> bool:
        """
        Whether the copy of C{connection} is C{resubscribed}.
        """
        return name in self._resubscribed.get(connection, ())

    def may_hold_predecessor(self, name: str, connection: IRequester) -> bool:
        """
        Whether C{connection} may hold a deleted record of this name, or may not know yet that the record is deleted.
        """
        return self._deletions.may_hold(name, connection)

    def is_first_write(self, name: str, connection: IRequester, version: int) -> bool:
        """
        Whether a write of C{connection} is the first one to a record that was created anew, if the data are C{{}}.

        @param version: the version of the record.
        """
        return self._deletions.is_first_write(name, connection, version)

    def is_leaving(self, name: str, connection: IRequester, version: int | None) -> bool:
        """
        Whether C{connection} has destroyed the callback of the write of C{version} with its copy, and throws on the
        acknowledgement. Without a copy (version -1) the callback is kept elsewhere.
        """
        return version != -1 and (connection, name) in self._leaving

    def _closed(self, connection: IRequester) -> None:
        del self._resubscribed[connection]
