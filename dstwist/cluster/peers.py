"""
Direct messages to the other members.

All items for a node that are made in one turn leave in one message; long lists of items are spread over turns. Items
may get lost, and the parts that use them repeat states until both sides agree. Among the lost ones are those that find
too many bytes of others in front of them (C{maxWaitingBytes} of the bus).

=====================  ================================================================================================
kind, and fields       meaning
=====================  ================================================================================================
C{table} version       there is a new membership table
=====================  ================================================================================================

The parts that use the messages have kinds of their own (L{dstwist.cluster.messages}).

Always true: the items of one member arrive in the order in which they were sent, and none twice; but urgent items may
arrive before others (L{dstwist.cluster.waiting_items}). Each message has a number, and a message with a number that is
not higher than that of the last one is dropped. So are messages of nodes that are not in the table, and messages for an
earlier life of this node (L{dstwist.cluster.members.Membership.node}).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.cluster import messages
from dstwist.cluster.fields import MAX_STEP, Check, number
from dstwist.cluster.members import Membership
from dstwist.cluster.messages import Envelope, Item
from dstwist.cluster.table import address_of
from dstwist.cluster.waiting_items import WaitingItems, size_of
from dstwist.config.cluster import ClusterSettings
from dstwist.interfaces import IBus
from dstwist.log import Logger, shown

TABLE = "table"


class Peers:
    """
    Sends and receives the items of one node.

    @ivar dropped: how many items were not sent, because too many others waited.
    """

    _log = Logger()

    def __init__(
        self,
        address: str,
        membership: Membership,
        bus: IBus,
        clock: IReactorTime,
        settings: ClusterSettings,
    ) -> None:
        self._membership = membership
        self._bus = bus
        self._clock = clock
        self._items_per_turn = settings.items_per_turn
        self._names_per_turn = settings.names_per_item
        self._fields: dict[str, Sequence[Check]] = {}
        self._handlers: dict[str, Callable[..., object]] = {}
        self._node = membership.node
        self._queues: dict[str, WaitingItems] = {}
        self._most_bytes = settings.max_waiting_bytes
        # The bytes of the items in all queues.
        self._bytes = 0
        self.dropped = 0
        self._sent: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self._call: IDelayedCall | None = None
        self._stopped = False
        self.handle(TABLE, (number,), self._table_announced)
        bus.listen(address, self._payload)
        membership.observe(self._changed)
        membership.announce_with(self._announce)

    def handle(self, kind: str, fields: Sequence[Check], handler: Callable[..., object]) -> None:
        """
        Have C{handler} called with the sender and the fields of each item of C{kind}. Called before the start.

        @param fields: the checks of the fields. An item that fails is not handled.
        """
        self._fields[kind] = fields
        self._handlers[kind] = handler

    def send(self, node: str, item: Item) -> None:
        """
        Send C{item} to a member, which may be this node.
        """
        self._add(node, item, False)

    def send_urgent(self, node: str, item: Item) -> None:
        """
        Send C{item}, which may overtake those that are not urgent: none of those is about the same.
        """
        self._add(node, item, True)

    def send_row(self, node: str, kind: str, row: Item) -> None:
        """
        Send C{row} in an item of C{kind} whose only field is a list of rows. Rows that follow each other share an item.
        """
        queue = self._queue(node, row)
        if queue is not None:
            before = queue.size
            queue.add_row(kind, row)
            self._bytes += queue.size - before

    def _add(self, node: str, item: Item, urgent: bool) -> bool:
        queue = self._queue(node, item)
        if queue is None:
            return False
        before = queue.size
        queue.add(item, urgent)
        self._bytes += queue.size - before
        return True

    def _queue(self, node: str, item: Item) -> WaitingItems | None:
        """
        The queue that takes C{item}; C{None}: none does.
        """
        if self._stopped:
            return None
        if self._bytes + size_of(item) > self._most_bytes:
            self.dropped += 1
            self._log.warn(
                "CLUSTER | messages to other nodes are not sent: {waiting} bytes of others wait (maxWaitingBytes)",
                waiting=self._bytes,
                event="CLUSTER",
                once="waiting messages",
            )
            return None
        if self._call is None:
            self._call = self._clock.callLater(0, self._flush)
        queue = self._queues.get(node)
        if queue is None:
            queue = self._queues[node] = WaitingItems(self._items_per_turn, self._names_per_turn)
        return queue

    def send_all(self, item: Item) -> bool:
        """
        Send C{item} to all members, this node included.

        @return: whether there was room for it in the queues of all of them.
        """
        queued = [self._add(node, item, False) for node in self._membership.members]
        return all(queued)

    def stop(self) -> None:
        """
        Send nothing any more, and handle nothing: the bus ends later.
        """
        self._stopped = True
        self._queues.clear()
        self._bytes = 0
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _announce(self, version: int) -> None:
        for node in self._membership.members:
            if node != self._node:
                self.send_urgent(node, [TABLE, version])

    def _flush(self) -> None:
        self._call = None
        for node in list(self._queues):
            queue = self._queues.get(node)
            if queue is None:
                # An item for this node has ended its part in the cluster.
                break
            before = queue.size
            items = queue.take()
            self._bytes += queue.size - before
            if not queue:
                del self._queues[node]
            if node != self._node:
                number = self._sent[node] = self._sent.get(node, 0) + 1
                self._bus.send(address_of(node), messages.encode(Envelope(self._node, node, number, items)))
                continue
            for item in items:
                self._handle(node, item)
        if self._queues and self._call is None:
            self._call = self._clock.callLater(0, self._flush)

    def _payload(self, payload: bytes) -> None:
        if self._stopped:
            return
        try:
            envelope = messages.decode(payload)
        except ValueError as error:
            self._not_readable(error)
            return
        sender = envelope.sender
        if envelope.receiver != self._node or sender == self._node:
            return
        if sender not in self._membership.members:
            self._membership.look()
            return
        last = self._last.get(sender, 0)
        if envelope.number <= last:
            return
        if envelope.number > last + MAX_STEP:
            # All messages of the sender would be dropped after this one.
            self._not_readable(ValueError(f"its number cannot be that of a message of {sender}"))
            return
        self._last[sender] = envelope.number
        for item in self._readable(sender, envelope.items):
            self._handle(sender, item)

    def _readable(self, sender: str, items: list[Item]) -> list[Item]:
        """
        The items of a message that this node can handle. The others are passed over: an item of one client must not
        take those of other clients with it.
        """
        readable = []
        problem: ValueError | None = None
        all_known = True
        for item in items:
            try:
                if messages.check(item, self._fields):
                    readable.append(item)
                else:
                    all_known = False
            except ValueError as error:
                problem = error
        if problem is not None:
            self._not_readable(problem)
        if not all_known:
            self._log.warn(
                "CLUSTER | {sender} sends messages of a kind that this node does not know: it may have a later release",
                sender=shown(sender),
                event="CLUSTER",
                once="kinds of messages",
            )
        return readable

    def _not_readable(self, problem: ValueError) -> None:
        self._log.warn(
            "CLUSTER | a message of another node cannot be read: {problem}",
            problem=shown(str(problem)),
            event="CLUSTER",
        )

    def _handle(self, sender: str, item: Item) -> None:
        try:
            self._handlers[item[0]](sender, *item[1:])
        except Exception:
            # The other items count.
            self._log.failure("a message of another node was not handled")

    def _table_announced(self, sender: str, version: int) -> None:
        self._membership.announced(version)

    def _changed(self) -> None:
        membership = self._membership
        if membership.node != self._node:
            self._node = membership.node
            self._queues.clear()
            self._bytes = 0
            self._sent.clear()
            self._last.clear()
        # The numbers that were sent are kept: a node that comes back, with a store that has gone back, knows them.
        for node in [node for node in self._queues if node not in membership.members]:
            self._bytes -= self._queues.pop(node).size
        for node in [node for node in self._last if node not in membership.members]:
            del self._last[node]
