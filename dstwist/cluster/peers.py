"""
Direct messages to the other members.

All items for a node that are made in one turn leave in one message; long lists of items are spread over turns, in their
order. Messages may get lost, and the parts that use them repeat states until both sides agree.

=====================  ================================================================================================
kind, and fields       meaning
=====================  ================================================================================================
C{table} version       there is a new membership table
=====================  ================================================================================================

The parts that use the messages have kinds of their own (L{dstwist.cluster.messages}).

Always true: the items of one member arrive in the order in which they were sent, and none twice. Each message has a
number, and a message with a number that is not higher than that of the last one is dropped. So are messages of nodes
that are not in the table, and messages for an earlier life of this node (L{dstwist.cluster.members.Membership.node}).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.cluster import messages
from dstwist.cluster.fields import Check, number
from dstwist.cluster.members import Membership
from dstwist.cluster.messages import Envelope, Item
from dstwist.cluster.slices import CHARACTERS_PER_MESSAGE, characters_of
from dstwist.cluster.table import address_of
from dstwist.config.cluster import ClusterSettings
from dstwist.interfaces import IBus
from dstwist.log import Logger, shown

TABLE = "table"


class Peers:
    """
    Sends and receives the items of one node.
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
        self._queues: dict[str, deque[Item]] = {}
        self._sent: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self._call: IDelayedCall | None = None
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
        queue = self._queues.get(node)
        if queue is None:
            queue = self._queues[node] = deque()
        queue.append(item)
        if self._call is None:
            self._call = self._clock.callLater(0, self._flush)

    def send_row(self, node: str, kind: str, row: Item) -> None:
        """
        Send C{row} in an item of C{kind} whose only field is a list of rows. Rows that follow each other share an item.
        """
        queue = self._queues.get(node)
        if queue and queue[-1][0] == kind and len(queue[-1][1]) < self._names_per_turn:
            queue[-1][1].append(row)
        else:
            self.send(node, [kind, [row]])

    def send_all(self, item: Item) -> None:
        """
        Send C{item} to all members, this node included.
        """
        for node in self._membership.members:
            self.send(node, item)

    def stop(self) -> None:
        """
        Send nothing any more.
        """
        self._queues.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _announce(self, version: int) -> None:
        for node in self._membership.members:
            if node != self._node:
                self.send(node, [TABLE, version])

    def _flush(self) -> None:
        self._call = None
        for node in list(self._queues):
            queue = self._queues[node]
            items = self._take(queue)
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

    def _take(self, queue: deque[Item]) -> list[Item]:
        """
        Take the items of one message from C{queue}: so many that the receiver handles them in a short turn.
        """
        items: list[Item] = []
        room = self._names_per_turn
        characters = CHARACTERS_PER_MESSAGE
        while queue and room > 0 and characters > 0 and len(items) < self._items_per_turn:
            item = queue.popleft()
            items.append(item)
            for field in item:
                if type(field) is list:
                    room -= len(field)
                characters -= characters_of(field)
        return items

    def _payload(self, payload: bytes) -> None:
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
        if envelope.number <= self._last.get(sender, 0):
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
            self._sent.clear()
            self._last.clear()
        # The numbers that were sent are kept: a node that comes back, with a store that has gone back, knows them.
        for node in [node for node in self._queues if node not in membership.members]:
            del self._queues[node]
        for node in [node for node in self._last if node not in membership.members]:
            del self._last[node]
