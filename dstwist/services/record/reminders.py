"""
Copies that may be wrong because a write of their client was refused, and the reminders that repair them.

A client sends further writes before it gets the outcome of the first one. If another client's write came in between,
the first of these writes is refused, but the second has the next version by then, and is accepted::

    server has 1      A: 2, 3 --->   <--- B: 2
    server takes      B's 2, refuses A's 2, takes A's 3
    A gets B's 2, merges, and believes from then on that this is the last version

The server does not send A its own write 3, so A would never notice. So the server I{reminds} A: it sends A the record.
A copy is C{refused}, C{unsure} or neither. L{dstwist.services.record.replicas} says when each state begins and ends. A
client with an C{unsure} copy is reminded when it has not written for L{QUIET_SECONDS}. An earlier reminder would make
the client give up writes that are on their way.

Some clients answer a reminder with another write: the clients for Java and Android after each UPDATE that is not the
next version for them, and clients whose merge strategy keeps their own data after each refusal. Three rules end such
loops:

- A write that does not change the record does not make its client unsure.
- Each further reminder comes after twice the time, and after L{MAX_REMINDERS} reminders the copy is forgotten.
- The first L{REFUSALS_BEFORE_SENDING} refusals in quick succession send the client the record at once. After a further
  refusal the client is only reminded.

Always true: a copy that is remembered has a timer, which reminds its client or forgets it.
"""

from __future__ import annotations

from collections.abc import Callable, Sized

from twisted.internet.interfaces import IReactorTime

from dstwist.interfaces import IRequester
from dstwist.protocol.weights import ENTRY_WEIGHT, weigh_name
from dstwist.record import Change
from dstwist.scheduling.deadlines import Deadlines
from dstwist.services.record.shares import Shares

#: The time without a write of the client before the first reminder, in seconds. It doubles for each further reminder.
QUIET_SECONDS = 0.5

#: How often a client is reminded.
MAX_REMINDERS = 7

#: How many refusals in quick succession send the client the record at once.
REFUSALS_BEFORE_SENDING = 8

#: The longest time between two refusals in quick succession, in seconds. A client that answers by itself takes less
#: time, a user takes more.
REACTION_SECONDS = 2.0

#: How often L{QUIET_SECONDS} is doubled at least if the record could not be read when it was time for a reminder.
_UNREADABLE_DOUBLINGS = 3

#: How long a copy stays C{refused}, in seconds: a write that the client sent before it knew of the refusal has come by
#: then.
COPY_MEMORY_SECONDS = 10.0

#: How many copies are remembered, and how many bytes of memory they may take. Above that, the oldest are forgotten.
MAX_COPIES = 100000
MAX_COPY_BYTES = 64 * 1024 * 1024

#: How many copies of one connection are remembered, and how many bytes of memory they may take.
MAX_COPIES_EACH = 5000
MAX_COPY_BYTES_EACH = 4 * 1024 * 1024

#: The memory of one copy besides its name and entry, in bytes.
_COPY_BYTES = 400

_Key = tuple[IRequester, str]


class _Copy:
    """
    The copy that a client has of a record, which is C{refused} or C{unsure}.

    @ivar unsure: whether it is C{unsure}.
    @ivar reminders: how often the client was reminded.
    @ivar shown: how often the client was sent the record in quick succession.
    @ivar last: when the client was last sent the record.
    @ivar next: the version of a write that the client can send only after it was sent the record; C{None}: unknown.
    """

    __slots__ = ("last", "next", "reminders", "shown", "unsure")

    def __init__(self) -> None:
        self.unsure = False
        self.reminders = 0
        self.shown = 0
        self.last = 0.0
        self.next: int | None = None


class Reminders:
    """
    The copies that are C{refused} or C{unsure}.

    @ivar copies: all of them.
    @param remind: called with a name and a connection when it is time to send the client the record.
    """

    def __init__(self, clock: IReactorTime, remind: Callable[[str, IRequester], None]) -> None:
        self._remind = remind
        self._copies: dict[_Key, _Copy] = {}
        self.copies: Sized = self._copies
        self._seconds = clock.seconds
        # The copies that are refused, and those that are unsure, by the number of their reminders.
        self._memory: Deadlines[_Key] = Deadlines(COPY_MEMORY_SECONDS, clock, self._forget)
        self._quiet: list[Deadlines[_Key]] = [
            Deadlines(QUIET_SECONDS * 2**number, clock, self._is_quiet) for number in range(MAX_REMINDERS)
        ]
        self._shares = Shares()
        self._weight = 0
        self._stopped = False

    # -- events

    def accepted(self, name: str, connection: IRequester, version: int, change: Change) -> None:
        """
        A write of C{connection} was accepted.

        @param version: as sent.
        """
        key = (connection, name)
        copy = self._copies.get(key)
        if copy is None:
            return
        if version == copy.next:
            self._drop(key)
        elif copy.unsure or connection.dialect.merges_on_news or change.data != change.old.data:
            # A client that merges on news is not told of a conflict, so its version has to be right as well.
            self._make_unsure(key, copy)

    def refused(self, name: str, connection: IRequester, version: int = -1, current: int | None = None) -> bool:
        """
        A write of C{connection} was refused, or its client is about to take it back.

        @param version: as sent.
        @param current: the version of the record, which the client may be sent; C{None}: it may not.
        @return: whether the caller sends the client the record at once.
        """
        if self._stopped:
            return current is not None
        key = (connection, name)
        copy = self._make_refused(key)
        if current is None:
            return False
        now = self._seconds()
        if now - copy.last > REACTION_SECONDS:
            copy.shown = 0
        if copy.shown >= REFUSALS_BEFORE_SENDING:
            self._make_unsure(key, copy)
            return False
        copy.shown += 1
        copy.last = now
        # Writes that the client sends before it gets the record have the version of the refused write or a higher one.
        copy.next = current + 1 if version > current else None
        return True

    def made_unsure(self, name: str, connection: IRequester) -> None:
        """
        The copy of C{connection} may be wrong.
        """
        if not self._stopped:
            key = (connection, name)
            self._make_unsure(key, self._make_refused(key))

    def not_reminded(self, name: str, connection: IRequester) -> None:
        """
        It was time to remind C{connection}, but the record could not be read.
        """
        if not self._stopped:
            key = (connection, name)
            copy = self._make_refused(key)
            copy.reminders = max(copy.reminders - 1, 0)
            self._make_unsure(key, copy, _UNREADABLE_DOUBLINGS)

    def resubscribed(self, name: str, connection: IRequester) -> None:
        """
        C{connection} subscribed, and was not sent the record. A C{refused} copy becomes C{unsure}: client 7.0.5 takes
        the version that it is sent for that of its own data.
        """
        key = (connection, name)
        copy = self._copies.get(key)
        if copy is not None:
            self._make_unsure(key, copy)

    def stop(self) -> None:
        """
        Forget all copies, and remember none from now on.
        """
        self._stopped = True
        self._copies.clear()
        self._shares.clear()
        self._weight = 0
        for deadlines in (self._memory, *self._quiet):
            deadlines.stop()

    # -- questions

    def remembers(self, name: str, connection: IRequester) -> bool:
        """
        Whether the copy of C{connection} is C{refused} or C{unsure}.
        """
        return (connection, name) in self._copies

    def is_unsure(self, name: str, connection: IRequester) -> bool:
        """
        Whether the copy of C{connection} is C{unsure}.
        """
        copy = self._copies.get((connection, name))
        return copy is not None and copy.unsure

    # -- transitions

    def _make_refused(self, key: _Key) -> _Copy:
        connection, name = key
        copy = self._copies.get(key)
        if copy is None:
            while (own := self._shares.excess(connection, MAX_COPIES_EACH, MAX_COPY_BYTES_EACH)) is not None:
                self._drop((connection, own))
            copy = self._copies[key] = _Copy()
            weight = _weight(name)
            self._weight += weight
            self._shares.add(name, connection, weight)
        else:
            self._stop_timers(key, copy)
            self._shares.renew(name, connection)
        copy.unsure = False
        copy.next = None
        while self._memory and (len(self._memory) >= MAX_COPIES or self._weight > MAX_COPY_BYTES):
            self._memory.expire_first()
        self._memory.add(key)
        return copy

    def _make_unsure(self, key: _Key, copy: _Copy, least: int = 0) -> None:
        """
        Make a copy C{unsure}, or forget it if its client was reminded often enough.

        @param least: the least number of doublings of L{QUIET_SECONDS}.
        """
        if copy.reminders == MAX_REMINDERS:
            self._drop(key)
            return
        self._stop_timers(key, copy)
        copy.unsure = True
        copy.next = None
        self._quiet[max(copy.reminders, least)].add(key)

    def _is_quiet(self, key: _Key) -> None:
        connection, name = key
        copy = self._make_refused(key)
        copy.reminders += 1
        copy.last = self._seconds()
        self._remind(name, connection)

    def _drop(self, key: _Key) -> None:
        self._stop_timers(key, self._copies[key])
        self._forget(key)

    def _forget(self, key: _Key) -> None:
        del self._copies[key]
        self._shares.remove(key[1], key[0])
        self._weight -= _weight(key[1])

    def _stop_timers(self, key: _Key, copy: _Copy) -> None:
        self._memory.remove(key)
        if copy.unsure:
            for deadlines in self._quiet:
                deadlines.remove(key)


def _weight(name: str) -> int:
    return ENTRY_WEIGHT + _COPY_BYTES + weigh_name(name)
