"""
Builds the factories of all WebSockets, and the parts that their connections share, from the settings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dstwist.config.endpoints import WebSocketEndpoint
from dstwist.config.settings import Settings
from dstwist.connections.connection import Connection
from dstwist.connections.endpoint import EndpointContext, login_deadlines
from dstwist.connections.heartbeat import Heartbeat
from dstwist.connections.login import Logins
from dstwist.connections.users import UserRegistry
from dstwist.interfaces import HandshakeData, IAuthenticator, IRequester
from dstwist.limits.bans import Bans
from dstwist.limits.failed_logins import FailedLogins
from dstwist.limits.outgoing_bytes import OutgoingBytes
from dstwist.limits.rates import RateLimits, UserRateLimits
from dstwist.protocol import dialect, json_messages, protobuf, text
from dstwist.routing.router import Router
from dstwist.transports.close_delay import CloseDelay
from dstwist.transports.detection import Detection
from dstwist.transports.incoming import Incoming
from dstwist.transports.websocket import ConnectionFactory, WebSocketLink
from dstwist.transports.websocket_factory import WebSocketFactory
from dstwist.transports.wire import WebSocketWire

_SPOKEN = {
    ("ws-binary",): "protobuf, for clients of v4 and later",
    ("ws-text",): "text, for clients of v2 and v3",
    ("ws-json",): "JSON, for clients of v4 and later in JSON mode, and others",
    ("ws-binary", "ws-text"): "protobuf and text, told apart by who speaks first",
}


class WebSocketBuilder:
    """
    Makes the factories of the WebSockets of all paths.

    @param departed: called with each connection that has closed; C{None} if no part needs that.
    @param node: the label of the node, for logs.
    @param bans: the users who may not log in; C{None}: there are none.
    @ivar endpoints: the shared parts of each endpoint; L{build_factories} makes them.
    @ivar incoming: counts the bytes that clients have sent in part.
    """

    def __init__(
        self,
        settings: Settings,
        reactor: Any,
        authenticator: IAuthenticator,
        router: Router,
        users: UserRegistry,
        user_rates: UserRateLimits,
        failed_logins: FailedLogins,
        outgoing: OutgoingBytes,
        departed: Callable[[IRequester], None] | None,
        node: str = "",
        bans: Bans | None = None,
    ) -> None:
        self._settings = settings
        self._reactor = reactor
        self._authenticator = authenticator
        self._router = router
        self._users = users
        self._user_rates = user_rates
        self._failed_logins = failed_logins
        self._outgoing = outgoing
        self._departed = departed
        self._node = node
        self._bans = bans
        limits = settings.limits
        self._close_delay = CloseDelay(limits.close_delay, limits.max_delayed_closes, reactor)
        self.incoming = Incoming(limits.max_incoming_bytes)
        self.endpoints: list[EndpointContext] = []

    def build_factories(self) -> tuple[dict[str, str], dict[str, WebSocketFactory]]:
        """
        By path: the protocols that clients speak there, and the factory of the WebSockets.
        """
        paths: dict[str, dict[str, WebSocketEndpoint]] = {}
        for endpoint in self._settings.web_sockets:
            paths.setdefault(endpoint.url_path, {})[endpoint.type] = endpoint
        spoken = {path: _SPOKEN[tuple(sorted(endpoints))] for path, endpoints in paths.items()}
        return spoken, {path: self._build_path(endpoints) for path, endpoints in paths.items()}

    def _build_path(self, endpoints: dict[str, WebSocketEndpoint]) -> WebSocketFactory:
        reactor = self._reactor
        if len(endpoints) == 1:
            (settings,) = endpoints.values()
            connect = self._connections(settings)
            return self._factory(settings, connect)
        for_binary, for_text = endpoints["ws-binary"], endpoints["ws-text"]
        timeout = for_text.detection_timeout
        # A silent client has already waited for the detection.
        for_text = replace(for_text, greeting_delay=max(for_text.greeting_delay - timeout, 0.0))
        connect_text, connect_binary = self._connections(for_text), self._connections(for_binary)

        def detect(link: WebSocketLink, handshake: HandshakeData) -> Detection:
            return Detection(link, handshake, connect_text, connect_binary, reactor, timeout)

        # The limits of the transport are those of the newer generation.
        return self._factory(for_binary, detect)

    def _factory(self, settings: WebSocketEndpoint, connect: ConnectionFactory) -> WebSocketFactory:
        return WebSocketFactory(
            settings,
            connect,
            self._reactor,
            self._rates(settings).limited,
            self._outgoing,
            self._close_delay,
            self.incoming,
            self._node,
        )

    def _rates(self, settings: WebSocketEndpoint) -> RateLimits:
        return RateLimits(settings.max_byte_rate, settings.max_message_rate, self._user_rates, self._reactor)

    def _connections(self, endpoint: WebSocketEndpoint) -> ConnectionFactory:
        many_wire = whole_wire = None
        if endpoint.type == "ws-binary":
            wire, spoken = WebSocketWire(protobuf.SERVER, binary=True), dialect.PROTOBUF
            many_wire = WebSocketWire(protobuf.SERVER, binary=True, patches_many=True)
            whole_wire = WebSocketWire(protobuf.SERVER, binary=True, takes_patches=False)
        elif endpoint.type == "ws-json":
            wire, spoken = WebSocketWire(json_messages.SERVER_FOR_JAVASCRIPT, binary=False), dialect.JSON
            many_wire = WebSocketWire(json_messages.SERVER, binary=False, patches_many=True)
            whole_wire = WebSocketWire(json_messages.SERVER, binary=False, takes_patches=False)
        else:
            wire, spoken = WebSocketWire(text.SERVER, binary=False), dialect.TEXT
        heartbeat = Heartbeat(endpoint.heartbeat_interval, self._reactor)
        logins = Logins(
            self._authenticator,
            self._failed_logins,
            self._users,
            self._reactor,
            self._settings.limits.max_connections_per_user,
            endpoint.log_invalid_auth_data,
            self._bans,
        )
        context = EndpointContext(
            endpoint,
            logins,
            self._router,
            heartbeat,
            self._reactor,
            self._users,
            login_deadlines(endpoint, self._reactor),
            many_wire,
            self._settings.limits.close_delay,
            whole_wire,
            self._rates(endpoint),
        )
        self.endpoints.append(context)
        departed = self._departed

        def connect(link: WebSocketLink, handshake: HandshakeData) -> Connection:
            connection = Connection(link, wire, spoken, handshake, context)
            if departed is not None:
                connection.on_close(departed)
            return connection

        return connect
