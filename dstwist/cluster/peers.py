"""
Direct messages to the other members.

All items for a node that are made in one turn leave in one message; long lists of items are spread over turns, in their
order. Messages may get lost, and the parts that use them repeat states until both sides agree.

Always true: the items of one member arrive in the order in which they were sent, and none twice. Each message has a
number, and a message with a number that is not higher than that of the last one is dropped. So are messages of nodes
that are not in the table, and messages for an earlier life of this node (L{dstwist.cluster.members.Membership.node}).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.cluster import messages
from dstwist.cluster.members import Membership, address_of
from dstwist.cluster.messages import Envelope, Item
from dstwist.cluster.settings import ClusterSettings
from dstwist.interfaces import IBus
from dstwist.log import Logger, shown


class Peers:
    """
    Sends and receives the items of one node.

    @param received: called with the sender and each item, which is well formed.
    """

    _log = Logger()

    def __init__(
        self,
        address: str,
        membership: Membership,
        bus: IBus,
        clock: IReactorTime,
        settings: ClusterSettings,
        received: Callable[[str, Item], object],
    ) -> None:
        self._membership = membership
        self._bus = bus
        self._clock = clock
        self._items_per_turn = settings.items_per_turn
        self._received = received
        self._node = membership.node
        self._queues: dict[str, deque[Item]] = {}
        self._sent: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self._call: IDelayedCall | None = None
        bus.listen(address, self._payload)
        membership.observe(self._changed)
        membership.announce_with(self._announce)

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
                self.send(node, [messages.TABLE, version])

    def _flush(self) -> None:
        self._call = None
        for node in list(self._queues):
            queue = self._queues[node]
            items = [queue.popleft() for _ in range(min(len(queue), self._items_per_turn))]
            if not queue:
                del self._queues[node]
            if node != self._node:
                number = self._sent[node] = self._sent.get(node, 0) + 1
                self._bus.send(address_of(node), messages.encode(Envelope(self._node, node, number, items)))
                continue
            for item in items:
                self._received(node, item)
        if self._queues and self._call is None:
            self._call = self._clock.callLater(0, self._flush)

    def _payload(self, payload: bytes) -> None:
        try:
            envelope = messages.decode(payload)
            for item in envelope.items:
                messages.check(item)
        except ValueError as error:
            self._log.warn(
                "CLUSTER | a message of another node cannot be read: {problem}",
                problem=shown(str(error)),
                event="CLUSTER",
            )
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
        for item in envelope.items:
            if item[0] == messages.TABLE:
                self._membership.announced(item[1])
            else:
                self._received(sender, item)

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
