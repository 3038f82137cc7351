"""
The record service of one node of a simulated cluster, and its clients.

The service is product code. It is given a store that fails as the history wants, and clients that keep what they are
sent: two subscribers, of which one takes no PATCH on some nodes; a writer; and a reader.

Every write is a number, its I{token}. It has the data C{{"token": token, "whole": token}}, or sets the first path.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from dstwist.cluster.node import ClusterNode
from dstwist.cluster.record_news import MISSING
from dstwist.cluster.subjects import AllSubjects, Subjects
from dstwist.config.settings import ListenSettings, RecordSettings
from dstwist.interfaces import IStore
from dstwist.permission.open import OpenPermission
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.jsontext import dumps, loads
from dstwist.protocol.message import Message
from dstwist.routing.listeners import ListenerRegistry
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.record.service import RecordService
from dstwist.store.memory import MemoryStore
from dstwist.store.tiers import TieredStore
from tests.cluster.simulation.arbiter import NodeStore
from tests.fakes import FakeConnection, FakeWire

if TYPE_CHECKING:
    from tests.cluster.simulation.node import Node
    from tests.cluster.simulation.world import Floor, World

A = RecordAction

#: How long a node waits for the arbiter.
STORE_TIMEOUT = 0.2

#: How long the nodes may take to agree after the store has lost writes.
LOSS_SECONDS = 15.0

SETTINGS = RecordSettings(
    write_timeout=STORE_TIMEOUT, cache_retrieval_timeout=STORE_TIMEOUT, storage_retrieval_timeout=STORE_TIMEOUT
)


class StrictSubjects(AllSubjects):
    """
    The subjects of one node. News that cannot be handled ends the history.
    """

    def _received(self, subject: str, payload: bytes) -> None:
        if not payload.startswith(self._sender):
            self._callbacks[subject[0]](subject[1:], payload[len(self._sender) :])


class Client(FakeConnection):
    """
    A client, which is told at once what it is sent.
    """

    def __init__(self, heard: Callable[[Message], object], takes_patches: bool = True) -> None:
        super().__init__("client", FakeWire(takes_patches=takes_patches))
        self._heard = heard

    def write(self, frame: Any) -> None:
        self._heard(frame.message)


class Tiers(TieredStore):
    """
    Says when the outcome of the writes in doubt is known.
    """

    def __init__(self, resolved: Callable[[str], object], *parts: Any) -> None:
        super().__init__(*parts)
        self._resolved = resolved

    def mark_resolved(self, name: str) -> None:
        self._resolved(name)
        super().mark_resolved(name)


class Subscriber:
    """
    A client that subscribes.

    @ivar believed: the version and the data that it has of each record to which it is subscribed.
    """

    def __init__(self, world: World, service: RecordService, takes_patches: bool) -> None:
        self._world = world
        self._service = service
        self._client = Client(self._heard, takes_patches)
        self.believed: dict[str, tuple[int, Any]] = {}
        self._subscribing: dict[str, Floor] = {}

    def subscribe(self, name: str) -> None:
        if name not in self.believed and name not in self._subscribing:
            self._subscribing[name] = self._world.floor(name)
            self._service.handle(Message(Topic.RECORD, A.SUBSCRIBEANDREAD, names=(name,)), self._client)

    def unsubscribe(self, name: str) -> None:
        if self.believed.pop(name, None) is not None:
            self._service.handle(Message(Topic.RECORD, A.UNSUBSCRIBE, names=(name,)), self._client)

    def _heard(self, message: Message) -> None:
        name = message.name
        if name is None or message.is_ack:
            return
        if message.action is A.READ_RESPONSE:
            self._read(name, message)
        elif message.is_error:
            self._subscribing.pop(name, None)
        elif name in self.believed:
            self._told(name, message)

    def _read(self, name: str, message: Message) -> None:
        version, data = _contents(message)
        self._world.was_read(name, version, self._subscribing.pop(name))
        self.believed[name] = version, data
        self._check(name)

    def _told(self, name: str, message: Message) -> None:
        if message.action is A.DELETED:
            del self.believed[name]
            return
        before, had = self.believed[name]
        version, data = _contents(message)
        if message.path is not None:
            if version != before + 1:
                self._world.wrong["a subscriber was sent a change of another version than it has"] += 1
            data = {**(had or {}), message.path: data}
        arbiter = self._world.arbiter
        is_lost = before != MISSING and not arbiter.is_kept(name, before, had)
        if (version < before or (version == before and data != had)) and not is_lost:
            self._world.wrong["a subscriber was sent an old version"] += 1
        self.believed[name] = version, data
        self._check(name)

    def _check(self, name: str) -> None:
        version, data = self.believed[name]
        world = self._world
        if world.time.now - world.lost_at < LOSS_SECONDS or version == MISSING:
            return
        if not world.arbiter.was_written(name, version, data):
            self._world.wrong["a subscriber has what was never written"] += 1


class Records:
    """
    The record service of one node.
    """

    def __init__(self, world: World, node: Node, number: int) -> None:
        self._world = world
        self._node = node
        self.settings = world.settings
        self.bus = node.bus
        self.peers = node.peers
        self.membership = node.membership
        self.figures = SimpleNamespace()
        self._subjects = StrictSubjects(node.bus, node.clock, world.settings, world.random_of_node())
        self._in_doubt: dict[str, list[int]] = {}
        self._writing: dict[str, int] = {}
        self.store = NodeStore(world, node.clock)
        # The store is the storage of some histories, and the only store of the others.
        cache: IStore = self.store
        storage: IStore | None = None
        if not world.seed % 2:
            cache, storage = MemoryStore(), self.store
        subscriptions = SubscriptionRegistry(Topic.RECORD)
        self.tiers = Tiers(self._resolved, cache, storage, SETTINGS, node.clock)
        self.service = RecordService(
            subscriptions,
            ListenerRegistry(Topic.RECORD, subscriptions, ListenSettings(), node.clock, announce=True),
            cast(ClusterNode, self),
            OpenPermission(),
            self.tiers,
            SETTINGS,
            node.clock,
        )
        self.subscribers = [Subscriber(world, self.service, True), Subscriber(world, self.service, number % 3 != 0)]
        self._writer = Client(self._answered)
        self._reader = Client(self._read)
        self._reads: dict[str, deque[Floor]] = {}

    def subjects(
        self, letter: str, received: Callable[[str, bytes], object], late: Callable[[str], object]
    ) -> Subjects:
        """
        As of L{ClusterNode}.
        """
        return self._subjects.of_topic(letter, received, late)

    # -- writing

    def write(self, name: str, token: int | None) -> None:
        """
        Write, or delete if there is no token.
        """
        world = self._world
        world.requests += 1
        if token is None:
            self.service.handle(Message(Topic.RECORD, A.DELETE, name), self._writer)
            return
        self._writing[str(token)] = token
        fields: dict[str, Any] = {"version": -1, "correlation_id": str(token), "is_write_ack": True}
        if token % 2:
            write = Message(Topic.RECORD, A.CREATEANDPATCH, name, dumps(token), path="token", **fields)
        else:
            write = Message(Topic.RECORD, A.CREATEANDUPDATE, name, dumps({"token": token, "whole": token}), **fields)
        self.service.handle(write, self._writer)

    def _answered(self, message: Message) -> None:
        token = self._writing.pop(message.correlation_id or "", None)
        if token is None:
            return
        name = message.name
        assert name is not None
        if message.action is A.WRITE_ACKNOWLEDGEMENT:
            self._world.acknowledged(name, token)
        elif name in self.tiers.unresolved:
            self._world.outcomes[token] = None
            self._in_doubt.setdefault(name, []).append(token)
        else:
            self._world.outcomes[token] = False

    def _resolved(self, name: str) -> None:
        for token in self._in_doubt.pop(name, ()):
            self._world.settled[token] = token in self._world.arbiter.ever_tokens(name)

    # -- reading

    def read(self, name: str) -> None:
        """
        Read a record, once.
        """
        self._reads.setdefault(name, deque()).append(self._world.floor(name))
        self.service.handle(Message(Topic.RECORD, A.HEAD, name), self._reader)

    def _read(self, message: Message) -> None:
        name, version = message.name, message.version
        assert name is not None
        # The requests for one record are answered in their order.
        floor = self._reads[name].popleft()
        if not message.is_error:
            assert version is not None
            self._world.was_read(name, version, floor)


def _contents(message: Message) -> tuple[int, Any]:
    assert message.version is not None and message.data is not None
    return message.version, loads(message.data)
