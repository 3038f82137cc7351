"""
Where requests come from: WebSockets, streams, and the application that embeds the node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dstwist.api.api import Api
from dstwist.api.figures import Counting
from dstwist.api.hub import Hub
from dstwist.assembly.logins import LoginParts
from dstwist.assembly.requests import RequestParts
from dstwist.config.settings import Settings
from dstwist.http_api.batches import Batches
from dstwist.interfaces import IStore
from dstwist.limits.rates import UserRateLimits
from dstwist.streams.registry import Streams
from dstwist.transports.websocket_builder import WebSocketBuilder


class ClientParts:
    """
    The parts that stand for clients.

    @param cache: the cache of records, whose records are counted.
    @param kick: closes all that a user has here, for a reason.
    @param metrics: gives the figures for the application.
    @param label: the label of the node, for logs.
    @ivar user_rates: how much each user may send.
    @ivar web_sockets: by path, the factory of the WebSockets.
    @ivar paths: by path, which clients are served there, for the log.
    @ivar endpoints: what the connections of each endpoint share.
    @ivar incoming: counts the bytes that clients have sent in part.
    @ivar streams: the streams of server-sent events.
    @ivar batches: the requests to the HTTP API that are under way.
    @ivar hub: the handles of the API.
    @ivar api: the API for the application.
    """

    def __init__(
        self,
        settings: Settings,
        logins: LoginParts,
        requests: RequestParts,
        cache: IStore,
        kick: Callable[[str, str], int],
        metrics: Callable[[], dict[str, float]],
        reactor: Any,
        label: str,
    ) -> None:
        self.user_rates = UserRateLimits(settings.limits, reactor)
        web_sockets = WebSocketBuilder(
            settings,
            reactor,
            logins.authenticator,
            requests.router,
            logins.users,
            self.user_rates,
            logins.failed_logins,
            requests.outgoing,
            logins.departed,
            label,
            logins.bans,
        )
        self.paths, self.web_sockets = web_sockets.build_factories()
        self.endpoints = web_sockets.endpoints
        self.incoming = web_sockets.incoming
        self.streams = Streams(settings.limits)
        self.batches = Batches()
        figures = Counting(self.web_sockets, self.streams, logins.users, requests.topics, cache, requests.cluster)
        self.hub = Hub(
            requests.router, self.user_rates, reactor, logins.request_logins, kick, figures.count, metrics, label
        )
        self.api = Api(self.hub, self.hub.server)

    def count_others(self, user: str) -> int:
        """
        How many parties without a WebSocket have logged in as C{user}: streams, and handles of the API.
        """
        return self.hub.count(user) + self.streams.count(user)

    def kick_others(self, user: str, reason: str) -> int:
        """
        Close the parties that L{count_others} counts, and refuse the requests of C{user} that are under way.

        @return: how many.
        """
        return self.hub.kicked(user, reason) + self.streams.kicked(user, reason) + self.batches.kicked(user, reason)
