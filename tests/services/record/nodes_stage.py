"""
Several record services, as of several nodes, over one store and a bus in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.bus_memory import MemoryBus
from dstwist.cluster.kinds import EXACT
from dstwist.cluster.node import ClusterNode
from dstwist.config.settings import ListenSettings, RecordSettings
from dstwist.interfaces import IStore
from dstwist.protocol.constants import Topic
from dstwist.protocol.dialect import TEXT
from dstwist.protocol.message import Message
from dstwist.record import Record
from dstwist.routing.listeners import ListenerRegistry
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.record.service import RecordService
from dstwist.store.memory import MemoryStore
from dstwist.store.tiers import TieredStore
from tests.cluster.stage import Stage
from tests.fakes import FakeCallbackStore, FakeConnection, FakeWire
from tests.services.record.stage import A, ReadableWire, Rules, ask


class Served:
    """
    The record service of one node, and all that belongs to it.
    """

    def __init__(
        self, stage: Stage, cluster: ClusterNode, cache: IStore, storage: IStore | None, settings: RecordSettings
    ) -> None:
        clock: Any = stage.clock
        self._stage = stage
        self.cluster = cluster
        self.cache = cache
        self.rules = Rules()
        self.subscriptions = SubscriptionRegistry(Topic.RECORD)
        self.listeners = listeners = ListenerRegistry(
            Topic.RECORD, self.subscriptions, ListenSettings(), clock, announce=True, cluster=cluster
        )
        self.tiers = TieredStore(cache, storage, settings, clock)
        self.service = RecordService(self.subscriptions, listeners, cluster, self.rules, self.tiers, settings, clock)
        self._wire = FakeWire()
        self._text_wire = ReadableWire()
        self._whole_wire = FakeWire(takes_patches=False)

    def young(self, *names: str) -> FakeConnection:
        """
        A v4+ client that is subscribed to C{names}, which may exist.
        """
        return self._client(FakeConnection("young", self._wire), names)

    def whole(self, *names: str) -> FakeConnection:
        """
        The same with a client that takes no PATCH.
        """
        return self._client(FakeConnection("whole", self._whole_wire), names)

    def old(self, *names: str) -> FakeConnection:
        """
        The same with a text client. It takes what it was sent as text.
        """
        return self._client(FakeConnection("old", self._text_wire, TEXT), names)

    def _client(self, client: FakeConnection, names: tuple[str, ...]) -> FakeConnection:
        if names:
            self.service.handle(ask(A.SUBSCRIBEANDREAD, names=names, correlation_id="0"), client)
            self._stage.turn()
            client.take()
        return client

    def say(self, client: FakeConnection, *messages: Message) -> list[Any]:
        """
        Have the service handle messages; what C{client} was sent by then.
        """
        for message in messages:
            self.service.handle(message, client)
        return client.take()


class NodesTestCase(SynchronousTestCase):
    """
    A test with several nodes.
    """

    def serve(
        self,
        count: int = 2,
        storage: Callable[[Any], Any] | None = FakeCallbackStore,
        cache: Callable[[], Any] = MemoryStore,
        **settings: Any,
    ) -> None:
        """
        Have services over one storage, each with a cache of its own; or over one cache, if there is no storage.
        """
        self.stage = Stage(self, count, exact=EXACT)
        self.settings = RecordSettings(**settings)
        self.storage: Any = None if storage is None else storage(self.stage.clock)
        self._make_cache = cache
        self.nodes: list[Served] = [self.node(cluster) for cluster in self.stage.nodes]
        self.here, self.there = self.nodes[:2]
        self.stage.start()

    def node(self, cluster: ClusterNode) -> Served:
        """
        The service of one node.
        """
        served = Served(self.stage, cluster, self._make_cache(), self.storage, self.settings)
        self.addCleanup(served.service.stop)
        self.addCleanup(served.listeners.stop)
        return served

    def have(self, name: str, version: int, value: Any) -> None:
        """
        Have a record in the storage.
        """
        self.storage.put(name, version, value)

    def assert_kept(self, name: str, version: int, value: Any) -> None:
        """
        The storage has that record.
        """
        self.assertEqual(self.storage.records.get(name), Record(version, value))

    def lose_news(self) -> Callable[[], None]:
        """
        The bus loses all payloads.

        @return: ends that.
        """
        restore: Callable[[], None] = self.patch(self.stage.network, "travel_times", lambda *_: ()).restore
        return restore

    def receivers(self, act: Callable[[], object]) -> set[int]:
        """
        The numbers of the nodes that get a payload when C{act} is called.
        """
        found: set[int] = set()

        def travel_times(sender: MemoryBus, receiver: MemoryBus) -> tuple[float]:
            found.add(self.stage.network.buses.index(receiver))
            return (0.0,)

        watching = self.patch(self.stage.network, "travel_times", travel_times)
        act()
        watching.restore()
        return found

    def turn(self) -> None:
        """
        Let all that is on its way arrive.
        """
        self.stage.turn()
