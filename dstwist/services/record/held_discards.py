"""
Records that clients of v2 and v3 discarded while they were offline.

Such a client forgets a record only when the discard is acknowledged. When it reconnects, it sends the discard that it
has kept, and behind it a request to subscribe again, because it still has the record::

    client                   server
    R|US|a ----------------> not subscribed to a: the acknowledgement is held
    R|CR|a ----------------> dropped
           <---------------- R|A|US|a

If the discard were acknowledged at once, the client would have forgotten the record when the answers to R|CR arrive. It
would raise each answer as an error, and all later news of the record too.

If no R|CR follows, the acknowledgement is sent after L{DISCARD_DELAY_SECONDS}. Always true: a client whose
acknowledgement is held still has the old record, so R|CR cannot be meant for another one.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from dstwist.interfaces import IRequester
from dstwist.protocol.message import Message
from dstwist.protocol.weights import ENTRY_WEIGHT, weigh_name
from dstwist.scheduling.deadlines import Deadlines
from dstwist.services.record.shares import Shares

#: How long an acknowledgement is held, in seconds. Clients wait for 2 seconds by default before they complain.
DISCARD_DELAY_SECONDS = 0.2

#: How many acknowledgements are held at a time. If there are more, the oldest is sent at once.
MAX_HELD_DISCARDS = 10_000

#: How many acknowledgements are held for one connection, and how many bytes of memory they may take. If there are more,
#: the oldest one of the connection is sent at once.
MAX_HELD_DISCARDS_EACH = 1000
MAX_HELD_DISCARD_BYTES_EACH = 1024 * 1024

#: The memory of one of them besides its name and entry, in bytes.
_DISCARD_BYTES = 500


class HeldDiscards:
    """
    The acknowledgements that are held.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._acks: dict[tuple[IRequester, str], Message] = {}
        self._due: Deadlines[tuple[IRequester, str]] = Deadlines(DISCARD_DELAY_SECONDS, clock, self._acknowledge)
        self._shares = Shares()

    def __len__(self) -> int:
        return len(self._acks)

    def hold(self, name: str, ack: Message, connection: IRequester) -> None:
        """
        C{connection} has discarded the record C{name}, to which it is not subscribed. Send the connection C{ack} after
        L{DISCARD_DELAY_SECONDS}.
        """
        key = connection, name
        if key in self._acks:
            connection.send(ack)
            return
        while (own := self._shares.excess(connection, MAX_HELD_DISCARDS_EACH, MAX_HELD_DISCARD_BYTES_EACH)) is not None:
            self.release(own, connection)
        if len(self._acks) >= MAX_HELD_DISCARDS:
            self._due.expire_first()
        self._acks[key] = ack
        self._shares.add(name, connection, ENTRY_WEIGHT + _DISCARD_BYTES + weigh_name(name))
        self._due.add(key)

    def release(self, name: str, connection: IRequester) -> bool:
        """
        Acknowledge the discard of C{name} now, if its acknowledgement is held.

        @return: whether it was held.
        """
        key = connection, name
        if key not in self._acks:
            return False
        self._due.remove(key)
        self._acknowledge(key)
        return True

    def stop(self) -> None:
        """
        Send nothing more: all clients are about to be told that the server stops.
        """
        self._due.stop()
        self._acks.clear()
        self._shares.clear()

    def _acknowledge(self, key: tuple[IRequester, str]) -> None:
        connection, name = key
        self._shares.remove(name, connection)
        connection.send(self._acks.pop(key))
