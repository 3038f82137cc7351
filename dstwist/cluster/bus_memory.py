"""
A bus in the memory of one process, for nodes that run in one process, as in tests.

Each node has a L{MemoryBus}; all buses of a L{MemoryNetwork} reach each other. Payloads arrive in a later turn of the
reactor. A network of a test may lose, delay and repeat them: L{MemoryNetwork.travel_times}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from dstwist.counters.histogram import Histogram
from dstwist.interfaces import IBus

_Received = Callable[[bytes], object]


class MemoryNetwork:
    """
    The engine that all buses share.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.clock = clock
        self.buses: list[MemoryBus] = []

    def bus(self) -> MemoryBus:
        """
        The bus of one more node.
        """
        bus = MemoryBus(self)
        self.buses.append(bus)
        return bus

    def travel_times(self, sender: MemoryBus, receiver: MemoryBus) -> Iterable[float]:
        """
        How long a payload is on its way, in seconds. It does not arrive if there is no time, and arrives more than once
        if there are several.
        """
        return (0.0,)

    def carry(self, sender: MemoryBus, receiver: MemoryBus, deliver: Callable[[], None]) -> None:
        """
        Have C{receiver} get a payload. Payloads of one sender stay in their order.
        """
        for time in self.travel_times(sender, receiver):
            self.clock.callLater(time, deliver)


@implementer(IBus)
class MemoryBus:
    """
    The bus of one node.
    """

    def __init__(self, network: MemoryNetwork) -> None:
        self.is_lost = True
        self.dropped = 0
        # It never takes time.
        self.round_trips: Histogram | None = None
        self._network = network
        self._subscriptions: dict[str, _Received] = {}
        self._addresses: dict[str, _Received] = {}
        self._observers: list[tuple[Callable[[], object], Callable[[], object]]] = []
        # Confirmations of before the bus was lost are too late.
        self._connection = 0

    def start(self) -> Deferred[None]:
        self.reconnect()
        return succeed(None)

    def stop(self) -> Deferred[None]:
        self.is_lost = True
        self._connection += 1
        self._subscriptions.clear()
        self._addresses.clear()
        self._observers.clear()
        if self in self._network.buses:
            self._network.buses.remove(self)
        return succeed(None)

    def publish(self, subject: str, payload: bytes) -> None:
        if self.is_lost:
            self.dropped += 1
            return
        for bus in self._network.buses:
            if subject in bus._subscriptions:
                self._network.carry(self, bus, lambda bus=bus: bus._published(subject, payload))  # type: ignore[misc]

    def subscribe(self, subject: str, received: _Received) -> Deferred[None]:
        confirmed: Deferred[None] = Deferred()
        connection = self._connection

        def confirm() -> None:
            if connection == self._connection:
                self._subscriptions[subject] = received
                confirmed.callback(None)

        if not self.is_lost:
            self._network.carry(self, self, confirm)
        return confirmed

    def unsubscribe(self, subject: str) -> Deferred[None]:
        confirmed: Deferred[None] = Deferred()
        connection = self._connection

        def confirm() -> None:
            if connection == self._connection:
                self._subscriptions.pop(subject, None)
                confirmed.callback(None)

        if not self.is_lost:
            self._network.carry(self, self, confirm)
        return confirmed

    def send(self, address: str, payload: bytes) -> None:
        if self.is_lost:
            self.dropped += 1
            return
        for bus in self._network.buses:
            if address in bus._addresses:
                self._network.carry(self, bus, lambda bus=bus: bus._sent(address, payload))  # type: ignore[misc]

    def listen(self, address: str, received: _Received) -> None:
        self._addresses[address] = received

    def observe(self, lost: Callable[[], object], back: Callable[[], object]) -> None:
        self._observers.append((lost, back))

    def disconnect(self) -> None:
        """
        The engine cannot be reached any more.
        """
        if not self.is_lost:
            self.is_lost = True
            self._connection += 1
            self._subscriptions.clear()
            for lost, _ in list(self._observers):
                lost()

    def reconnect(self) -> None:
        """
        The engine can be reached again.
        """
        if self.is_lost:
            self.is_lost = False
            for _, back in list(self._observers):
                back()

    def _published(self, subject: str, payload: bytes) -> None:
        received = self._subscriptions.get(subject)
        if received is not None:
            received(payload)

    def _sent(self, address: str, payload: bytes) -> None:
        received = self._addresses.get(address)
        if received is not None and not self.is_lost:
            received(payload)
