"""
A stand-in for the cluster of a record service: news goes where a test carries it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from dstwist.cluster.record_news import Change, News
from dstwist.config.cluster import ClusterSettings
from dstwist.protocol.message import Message
from dstwist.services.record import node_news
from dstwist.services.record.nodes import NOTIFY


class FakeClusterNode:
    """
    The part of one node in a cluster whose bus is at once what it is asked to be.

    @ivar sent: the names and payloads that were published.
    @ivar notified: the names that all nodes were sent.
    @ivar wanted: the subjects that are wanted.
    """

    def __init__(self, name: str = "here") -> None:
        self.name = name
        self.settings = ClusterSettings()
        self.bus: Any = _Bus()
        self.membership: Any = self
        self.peers: Any = self
        self.figures: Any = SimpleNamespace()
        self.node = name
        self.members = [name]
        self.sent: list[tuple[str, bytes]] = []
        self.notified: list[str] = []
        self.wanted: set[str] = set()
        self._received: Callable[[str, bytes], object] = _ignore
        self._handler: Callable[[str, list[str]], object] = _ignore

    def subjects(self, letter: str, received: Callable[[str, bytes], object], late: Callable[[str], object]) -> Any:
        self._received = received
        return self

    def observe(self, changed: Callable[[], object]) -> None:
        pass

    def want(self, name: str) -> None:
        self.wanted.add(name)

    def unwant(self, name: str) -> None:
        self.wanted.discard(name)

    def publish(self, name: str, payload: bytes) -> None:
        self.sent.append((name, payload))

    def handle(self, kind: str, fields: Sequence[Callable[[Any], bool]], handler: Callable[..., object]) -> None:
        if kind == NOTIFY:
            self._handler = handler

    def send_all(self, item: list[Any]) -> bool:
        assert item[0] == NOTIFY
        self.notified += item[1]
        return True

    # -- for tests

    @property
    def news(self) -> list[News]:
        """
        The news that were published.
        """
        return [node_news.decode(name, payload) for name, payload in self.sent]

    @property
    def published(self) -> list[Message]:
        """
        The news that say more than to look.
        """
        return [news.message for news in self.news if news.change is not Change.LOOK]

    def receive(self, name: str, payload: bytes) -> None:
        """
        Another node has published that.
        """
        if name in self.wanted:
            self._received(name, payload)

    def hear(self, sender: str, names: list[str]) -> None:
        """
        Another node says that these records have changed.
        """
        self._handler(sender, names)

    def carry_to(self, *others: FakeClusterNode) -> None:
        """
        Have other nodes get what this one has sent.
        """
        sent, self.sent = self.sent, []
        notified, self.notified = self.notified, []
        for other in others:
            for name, payload in sent:
                other.receive(name, payload)
            if notified:
                other.hear(self.name, notified)


class _Bus:
    is_lost = False

    def observe(self, lost: Callable[[], object], back: Callable[[], object]) -> None:
        pass


def _ignore(name: str, rest: Any) -> None:
    pass
