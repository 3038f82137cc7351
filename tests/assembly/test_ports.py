"""
Tests for L{dstwist.assembly.ports}.
"""

from __future__ import annotations

from twisted.internet.endpoints import TCP4ServerEndpoint

from dstwist.assembly.ports import PortParts
from dstwist.config.endpoints import HttpEndpoint
from dstwist.http_api.charges import Charges
from dstwist.limits.admission import Admission
from dstwist.transports.ports import Ports
from tests.assembly.steps import StepsTestCase


class PortPartsTests(StepsTestCase):
    """
    L{PortParts}.
    """

    def test_bind(self) -> None:
        """
        The ports of the HTTP API are bound after those of the WebSockets, each with its own factory.
        """
        self.assemble(endpoints=(HttpEndpoint(port=8080),))
        entry = PortParts(
            self.settings,
            Ports([TCP4ServerEndpoint(self.reactor, 6020)], self.reactor),
            self.logins,
            self.requests,
            self.clients,
            Admission(self.settings.limits, self.reactor),
            Charges(1000),
            lambda: None,
            (),
            self.reactor,
            "",
        )
        entry.client_side.bind()
        bound = [(port, factory is entry.http.factory) for port, factory, *_ in self.reactor.tcpServers]
        self.assertEqual(bound, [(6020, True), (8080, False)])
