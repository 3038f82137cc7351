r"""
All that HTTP clients reach: the shared port, and further ports for endpoints of the HTTP API that have one.

::

    shared port --> SharedPortFactory --> WebSockets
                                     \--> Root: checks, routes of the node, endpoints of the API without a port
    own port    --> SharedPortFactory --> Root: checks, endpoints of the API with this port
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IProtocolFactory, IStreamServerEndpoint
from zope.interface import implementer

from dstwist.config.endpoints import HttpEndpoint
from dstwist.config.settings import Settings
from dstwist.endpoints import configured_endpoint
from dstwist.http_api.document import Template
from dstwist.http_api.handlers import ApiParts, HttpApi
from dstwist.interfaces import HttpAnswer, Route
from dstwist.limits.admission import Admission
from dstwist.limits.outgoing_bytes import OutgoingBytes
from dstwist.streams.handlers import StreamApi
from dstwist.streams.registry import Streams
from dstwist.tls.certificates import ServerCertificate
from dstwist.tls.transport import TlsEndpoint
from dstwist.transports.http import Root
from dstwist.transports.http_channel import HttpFactory
from dstwist.transports.incoming import Incoming
from dstwist.transports.origins import Origins, Refusal
from dstwist.transports.shared_port import SharedPortFactory


@implementer(IStreamServerEndpoint)
class OwnPort:
    """
    An endpoint whose connections have a factory of their own.
    """

    def __init__(self, endpoint: IStreamServerEndpoint, factory: IProtocolFactory) -> None:
        self.endpoint = endpoint
        self._factory = factory

    def listen(self, protocolFactory: IProtocolFactory) -> Any:
        return self.endpoint.listen(self._factory)


class HttpSide:
    """
    The factories of all ports, and the requests that are no WebSockets.

    @param web_sockets: the factories of WebSockets, by path.
    @param incoming: counts the bytes that have been received in part.
    @param arrived: called for each accepted connection; C{None} if no part needs that.
    @param outgoing: counts the bytes that wait for clients.
    @param not_ready: the reason why the node is not ready.
    @param routes: more routes of the shared port.
    @ivar streams: the streams of server-sent events.
    @ivar factory: the factory of the shared port.
    @ivar charges: the memory of the requests to the API that are under way.
    @ivar ports: the ports of endpoints of the API, in the order of their numbers.
    """

    def __init__(
        self,
        settings: Settings,
        web_sockets: Mapping[str, IProtocolFactory],
        incoming: Incoming,
        admission: Admission,
        arrived: Callable[[], None] | None,
        parts: ApiParts,
        streams: Streams,
        outgoing: OutgoingBytes,
        not_ready: Callable[[], str | None],
        routes: Iterable[Route],
        reactor: Any,
    ) -> None:
        self._settings = settings
        self._parts = parts
        self.charges = parts.charges
        self.streams = streams
        self._apis: list[HttpApi | StreamApi] = []
        self._roots: list[Root] = []
        self._factories: list[SharedPortFactory] = []
        origins = Origins(settings.http)
        template = Template()

        def serve(
            port: int | None, web_sockets: Mapping[str, IProtocolFactory], routes: Iterable[Route]
        ) -> SharedPortFactory:
            apis: list[HttpApi | StreamApi] = []
            for api in settings.http_apis:
                if api.port == port:
                    requests = HttpApi(api, parts, template)
                    apis.append(requests)
                    if api.enable_streams:
                        apis.append(StreamApi(api, parts, streams, outgoing, requests.decide))
            root = Root(
                settings.http,
                origins,
                not_ready,
                [*routes, *(route for api in apis for route in api.routes)],
                parts.node,
                admission.bans,
            )
            factory = SharedPortFactory(
                {path.encode("utf-8"): factory for path, factory in web_sockets.items()},
                HttpFactory(root, settings.http.max_message_size, reactor, incoming, parts.node),
                reactor,
                settings.http,
                admission,
                arrived,
                accepting=False,
                node=parts.node,
            )
            self._apis += apis
            self._roots.append(root)
            self._factories.append(factory)
            return factory

        self.factory = serve(None, web_sockets, routes)
        # Endpoints of one port have one interface: that of the first.
        by_port = {api.port: api for api in reversed(settings.http_apis) if api.port is not None}
        self.ports = [
            OwnPort(_endpoint(settings, api, reactor), serve(port, {}, ())) for port, api in sorted(by_port.items())
        ]

    @property
    def certificates(self) -> list[ServerCertificate]:
        """
        The certificates of L{ports}.
        """
        return [port.endpoint.certificate for port in self.ports if isinstance(port.endpoint, TlsEndpoint)]

    def describe(self) -> Iterable[str]:
        """
        For the log: where the API is.
        """
        for api in self._settings.http_apis:
            where = "" if api.port is None else f" of port {api.port}"
            yield f"Listening for HTTP requests on path {api.post_path}{where}"

    def accept(self) -> None:
        """
        Accept connections from now on.
        """
        for factory in self._factories:
            factory.accept()

    def refuse_clients(self, text: str) -> None:
        """
        Refuse new WebSockets and streams with C{text}; other requests are served.
        """
        self.streams.refusal = text
        self.factory.refuse(Refusal(503, text))

    def refuse(self, text: str) -> None:
        """
        Refuse new WebSockets and requests with C{text}.
        """
        self.streams.refusal = text
        for factory in self._factories:
            factory.refuse(Refusal(503, text))
        for root in self._roots:
            root.refuse(HttpAnswer.text(503, text))

    def drain(self) -> Deferred[Any]:
        """
        End all streams.

        @return: fires when all requests under way are answered.
        """
        self.streams.stop()
        return gatherResults([root.drain() for root in self._roots])

    def abort(self) -> None:
        """
        Drop the clients of all requests under way.
        """
        for root in self._roots:
            root.abort()

    def stop_accepting(self) -> None:
        """
        Close new connections at once from now on.
        """
        for factory in self._factories:
            factory.stop_accepting()

    def close(self) -> None:
        """
        Close all connections that are no WebSockets, and cancel all timers.
        """
        for factory in self._factories:
            factory.close()
        for api in self._apis:
            api.stop()
        self._parts.rates.stop()


def _endpoint(settings: Settings, api: HttpEndpoint, reactor: Any) -> IStreamServerEndpoint:
    http = settings.http
    port: int = api.port  # type: ignore[assignment]  # only endpoints with a port come here
    return configured_endpoint(replace(http, port=port, host=http.host if api.host is None else api.host), reactor)
