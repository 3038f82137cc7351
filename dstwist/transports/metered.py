"""
WebSockets whose received bytes are counted, because there is a limit of them (L{dstwist.limits.rates}).
"""

from __future__ import annotations

from dstwist.transports.websocket import WebSocketLink


class MeteredLink(WebSocketLink):
    """
    A WebSocket that tells its connection how much has come.
    """

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if self.connection is not None:
            self.connection.count_bytes(len(data))
