"""
All that clients reach, as the start and the stop of a node see it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.api.hub import Hub
from dstwist.config.settings import Settings
from dstwist.connections.client_drain import ClientDrain
from dstwist.connections.request_logins import RequestLogins
from dstwist.http_side import HttpSide
from dstwist.limits.admission import Admission
from dstwist.limits.failed_logins import FailedLogins
from dstwist.log import OperatorLogger
from dstwist.protocol.closing import GOING_AWAY
from dstwist.services.topics import Topics
from dstwist.streams.stream import Stream
from dstwist.transports.accept_rate import AcceptRate
from dstwist.transports.ports import Ports, where
from dstwist.transports.websocket import WebSocketLink
from dstwist.transports.websocket_factory import WebSocketFactory

_log = OperatorLogger()

#: What clients are told when the server closes their connections because it stops.
_REASON = "server shutting down"


def _say(text: str, **fields: object) -> None:
    _log.info(f"INFO | {text}", event="INFO", **fields)


class ClientSide:
    """
    All that clients reach: ports, WebSockets and topics.

    @param paths: by path, which clients are served there, for the log.
    @param http: the factories of the ports, and the requests that are no WebSockets.
    @param label: the label of the node, for logs.
    @ivar drain: sends the clients away in small groups.
    """

    def __init__(
        self,
        settings: Settings,
        ports: Ports,
        web_sockets: Mapping[str, WebSocketFactory],
        paths: Mapping[str, str],
        http: HttpSide,
        topics: Topics,
        admission: Admission,
        failed_logins: FailedLogins,
        request_logins: RequestLogins,
        accept_rate: AcceptRate | None,
        application: Hub,
        clock: IReactorTime,
        label: str = "",
    ) -> None:
        self._settings = settings
        self._application = application
        self._ports = ports
        self._web_sockets = list(web_sockets.values())
        self._paths = paths
        self._http = http
        self._topics = topics
        self._admission = admission
        self._failed_logins = failed_logins
        self._request_logins = request_logins
        self._accept_rate = accept_rate
        self._clock = clock
        self._stopping = False
        self.drain = ClientDrain(self._clients, self._send_away, self._refuse_while_draining, clock, label)

    @property
    def refusal(self) -> str | None:
        """
        Why new WebSockets are refused; C{None} if they are not. Any client may see the text.
        """
        return "the server is stopping" if self._stopping else self.drain.state

    def bind(self) -> None:
        """
        Bind the ports; connections are not accepted yet.

        @raise StartError: a port cannot be bound.
        """
        self._ports.bind(self._http.factory)

    def serve_application(self) -> None:
        """
        The stores answer from now on, so the application that embeds the node may make requests.
        """
        self._application.start()

    def open(self) -> None:
        """
        Accept connections.

        @raise StartError: another process listens at one of the addresses.
        """
        self._ports.open()
        self._http.accept()
        http = self._settings.http
        for port in self._ports.listening:
            _say("Listening for http connections on {where}", where=where(port))
        _say("Listening for health checks on path {path}", path=http.health_check_path)
        _say("Listening for checks whether it is ready on path {path}", path=http.ready_path)
        for path, clients in self._paths.items():
            _say("Listening for websocket connections on path {path} ({clients})", path=path, clients=clients)
        for text in self._http.describe():
            _say("{where}", where=text)

    def refuse(self) -> None:
        """
        The node stops: refuse new WebSockets and HTTP requests, and leave new connections at sockets of systemd to the
        next server.
        """
        self._stopping = True
        self.drain.stop()
        self._http.refuse("The server is stopping.")
        self._ports.let_go()

    async def disconnect(self, timeout: float) -> None:
        """
        Close all WebSockets, and wait for the answers to HTTP requests. Clients that have not gone, or have no answer,
        after C{timeout} seconds are dropped. The topics still serve requests of the server itself.
        """
        self._topics.disconnecting()
        for factory in self._web_sockets:
            factory.close(GOING_AWAY, _REASON)
        drained = gatherResults([self._http.drain(), *(factory.drained() for factory in self._web_sockets)])
        late: IDelayedCall = self._clock.callLater(timeout, self._drop)
        await drained
        if late.active():
            late.cancel()

    async def stop_topics(self) -> None:
        """
        End the requests of the application. Return when the stores have all writes.
        """
        self._application.stop()
        await self._topics.stop()

    def _clients(self) -> list[Any]:
        links = [link for factory in self._web_sockets for link in factory.links]
        return [*links, *self._http.streams.all()]

    def _send_away(self, link: WebSocketLink | Stream) -> None:
        if isinstance(link, Stream):
            link.end()
            return
        connection: Any = link.connection
        if connection is not None:
            self._topics.sending_away(connection)
        link.end(GOING_AWAY, _REASON)

    def _refuse_while_draining(self) -> None:
        # Connections at sockets of systemd are still accepted: the next server comes only when this one has ended.
        self._http.refuse_clients("The server is draining.")

    def _drop(self) -> None:
        _log.warn("INFO | some clients did not close in time, dropping them", event="INFO")
        for factory in self._web_sockets:
            factory.abort()
        self._http.abort()

    async def close(self) -> None:
        """
        Close the ports, and the connections that are no WebSockets.
        """
        if self._accept_rate is not None:
            self._accept_rate.stop()
        self._http.stop_accepting()
        await self._ports.close()
        self._http.close()
        self._admission.stop()
        self._request_logins.stop()
        self._failed_logins.stop()
