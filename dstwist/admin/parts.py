"""
The parts of the node that commands look at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dstwist.api.figures import Figures
from dstwist.api.records import Records
from dstwist.cluster.node import ClusterNode
from dstwist.config.settings import Settings
from dstwist.connections.request_logins import RequestLogins
from dstwist.connections.users import UserRegistry
from dstwist.http_api.batches import Batches
from dstwist.limits.bans import Bans
from dstwist.services.topics import Topics
from dstwist.store.from_settings import Stores
from dstwist.store.tiers import TieredStore
from dstwist.streams.registry import Streams
from dstwist.transports.websocket_factory import WebSocketFactory


class AdminParts(NamedTuple):
    """
    One node.

    @ivar web_sockets: by path.
    @ivar figures: gives the figures of the node.
    @ivar not_ready: gives the reason why clients should use another server.
    @ivar records: those of the API, for the server itself.
    @ivar batches: the requests to the HTTP API that are under way.
    @ivar kick_handles: closes the handles of the API that have logged in as a user.
    @ivar reload: reads certificates, users and rules again.
    @ivar drain: sends the clients away within some seconds; false if that has begun before.
    @ivar label: the label of the node, for logs.
    """

    settings: Settings
    web_sockets: Mapping[str, WebSocketFactory]
    streams: Streams
    batches: Batches
    users: UserRegistry
    topics: Topics
    stores: Stores
    tiers: TieredStore
    cluster: ClusterNode | None
    records: Records
    request_logins: RequestLogins
    figures: Callable[[], Figures]
    not_ready: Callable[[], str | None]
    kick_handles: Callable[[str, str], int]
    reload: Callable[[], bool]
    drain: Callable[[float], bool]
    bans: Bans
    clock: Any
    label: str = ""
