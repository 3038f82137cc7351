"""
Figures about the node at this moment: C{api.figures}. To count them takes no time that grows with the number of
clients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass

from dstwist.cluster.figures import ClusterFigures
from dstwist.cluster.node import ClusterNode
from dstwist.connections.users import UserRegistry
from dstwist.protocol.constants import Topic
from dstwist.services.topics import Topics
from dstwist.transports.websocket_factory import WebSocketFactory


@dataclass(frozen=True)
class Figures:
    """
    The node at one moment.

    @ivar connections: WebSockets, those included whose clients have not logged in.
    @ivar streams: streams of server-sent events, those included whose clients are logging in.
    @ivar users: users with a connection.
    @ivar handles: open handles of the API, that of the server included.
    @ivar events: names of events that have a subscriber; so are the next two.
    @ivar records: names of records.
    @ivar procedures: procedures that have a provider.
    @ivar cluster: the part in the cluster; C{None} if there is only this node.
    @ivar cached_records: records in the cache; C{None} if the cache cannot count them.
    """

    connections: int
    streams: int
    users: int
    handles: int
    events: int
    records: int
    procedures: int
    cached_records: int | None
    cluster: ClusterFigures | None = None


class Counting:
    """
    Counts.
    """

    def __init__(
        self,
        web_sockets: Mapping[str, WebSocketFactory],
        streams: Sized,
        users: UserRegistry,
        topics: Topics,
        cache: object,
        cluster: ClusterNode | None,
    ) -> None:
        self._cluster = cluster
        self._web_sockets = web_sockets
        self._streams = streams
        self._users = users
        self._topics = topics
        self._cache = cache

    def count(self, handles: int) -> Figures:
        """
        The figures of this moment.

        @param handles: the number of open handles.
        """
        names = {topic: len(registry.names()) for topic, registry in self._topics.subscriptions.items()}
        return Figures(
            sum(len(factory.links) for factory in self._web_sockets.values()),
            len(self._streams),
            len(self._users.names()),
            handles,
            names.get(Topic.EVENT, 0),
            names.get(Topic.RECORD, 0),
            names.get(Topic.RPC, 0),
            len(self._cache) if isinstance(self._cache, Sized) else None,
            None if self._cluster is None else self._cluster.figures.count(),
        )
