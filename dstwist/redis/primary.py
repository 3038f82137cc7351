"""
Where the server is.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint

from dstwist.config.redis import RedisConnectionSettings


class Place(NamedTuple):
    """
    A server to connect to.

    @ivar address: the address, as the log shows it.
    """

    endpoint: IStreamClientEndpoint
    address: str


class Primary(Protocol):
    """
    Knows where the primary is.

    @ivar name: the server, for the log.
    """

    name: str

    async def find(self) -> Place:
        """
        Where it is now. Asked before each attempt to connect.
        """


class FixedPrimary:
    """
    A server whose address is in the configuration.
    """

    def __init__(self, settings: RedisConnectionSettings, reactor: Any) -> None:
        self.name = settings.address
        self._place = Place(
            HostnameEndpoint(reactor, settings.host, settings.port, settings.connect_timeout), self.name
        )

    async def find(self) -> Place:
        return self._place
