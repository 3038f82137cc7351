"""
How clients get in: the ports, and what HTTP clients reach there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dstwist.assembly.clients import ClientParts
from dstwist.assembly.logins import LoginParts
from dstwist.assembly.requests import RequestParts
from dstwist.client_side import ClientSide
from dstwist.config.settings import Settings
from dstwist.http_api.charges import Charges
from dstwist.http_api.handlers import ApiParts
from dstwist.http_api.rates import RequestRates
from dstwist.http_side import HttpSide
from dstwist.interfaces import Route
from dstwist.limits.admission import Admission
from dstwist.transports.accept_rate import AcceptRate
from dstwist.transports.ports import Ports


class PortParts:
    """
    The parts that connections come through.

    @param ports: the ports of the WebSockets. Those of the HTTP API are added to them.
    @param admission: decides which connections are accepted.
    @param charges: counts the memory of the requests to the HTTP API.
    @param not_ready: gives the reason why clients should use another node.
    @param routes: more routes of the shared port.
    @param label: the label of the node, for logs.
    @ivar http: the factories of all ports, and the requests that are no WebSockets.
    @ivar client_side: all that clients reach, for the start and the stop of the node.
    """

    def __init__(
        self,
        settings: Settings,
        ports: Ports,
        logins: LoginParts,
        requests: RequestParts,
        clients: ClientParts,
        admission: Admission,
        charges: Charges,
        not_ready: Callable[[], str | None],
        routes: Iterable[Route],
        reactor: Any,
        label: str,
    ) -> None:
        rate = settings.limits.max_connection_rate
        accept_rate = None if rate is None else AcceptRate(rate, ports.listening, reactor)
        self.http = HttpSide(
            settings,
            clients.web_sockets,
            clients.incoming,
            admission,
            None if accept_rate is None else accept_rate.arrived,
            ApiParts(
                requests.router,
                logins.request_logins,
                RequestRates(clients.user_rates, reactor),
                charges,
                clients.batches,
                frozenset(requests.topics.by_topic),
                settings.http.max_message_size,
                reactor,
                label,
            ),
            clients.streams,
            requests.outgoing,
            not_ready,
            routes,
            reactor,
        )
        ports.add(self.http.ports)
        self.client_side = ClientSide(
            settings,
            ports,
            clients.web_sockets,
            clients.paths,
            self.http,
            requests.topics,
            admission,
            logins.failed_logins,
            logins.request_logins,
            accept_rate,
            clients.hub,
            reactor,
            label,
        )
