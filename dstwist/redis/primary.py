"""
Where the primary is, when the configuration says it. L{dstwist.redis.sentinel} asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint, UNIXClientEndpoint
from twisted.internet.interfaces import IHostnameResolver, IReactorPluggableNameResolver, IStreamClientEndpoint
from zope.interface import directlyProvides, implementer

from dstwist.config.redis import RedisConnectionSettings
from dstwist.config.redis_tls import RedisTlsSettings
from dstwist.tls.client import with_client_tls

_FAMILIES = {4: IPv4Address, 6: IPv6Address}


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

    def watch(self, moved: Callable[[str], object]) -> None:
        """
        From now on call C{moved}, with the reason, when the primary is no longer where L{find} said last.
        """

    def stop(self) -> None:
        """
        End the watch, and all connections.
        """


class Endpoints:
    """
    Makes the endpoints of servers and Sentinels.
    """

    def __init__(self, settings: RedisConnectionSettings, reactor: Any) -> None:
        self._settings = settings
        self._reactor = reactor
        family = _FAMILIES.get(settings.family)
        self._resolving = reactor if family is None else _OneFamily(reactor, family)

    def server(self, host: str, port: int) -> IStreamClientEndpoint:
        """
        An endpoint for a Redis server. With TLS, its certificate has to be for C{host}, unless the settings name
        another one.

        @raise ConfigError: the settings of TLS cannot be used.
        """
        return self._endpoint(host, port, self._settings.tls, "tls")

    def sentinel(self, host: str, port: int) -> IStreamClientEndpoint:
        """
        The same for a Sentinel, which has settings of its own for TLS.
        """
        return self._endpoint(host, port, self._settings.sentinel_tls, "sentinelTLS")

    def _endpoint(self, host: str, port: int, tls: RedisTlsSettings | None, key: str) -> IStreamClientEndpoint:
        settings = self._settings
        endpoint: IStreamClientEndpoint
        # An address needs no lookup, which would wait for a thread, and fail if the machine is too busy.
        if isIPAddress(host):
            endpoint = TCP4ClientEndpoint(self._reactor, host, port, settings.connect_timeout)
        elif isIPv6Address(host):
            endpoint = TCP6ClientEndpoint(self._reactor, host, port, settings.connect_timeout)
        else:
            endpoint = HostnameEndpoint(self._resolving, host, port, settings.connect_timeout)
        return endpoint if tls is None else with_client_tls(endpoint, tls, host, f"{settings.where}.{key}")


class FixedPrimary:
    """
    A server whose address is in the configuration.
    """

    def __init__(self, settings: RedisConnectionSettings, reactor: Any, endpoints: Endpoints | None = None) -> None:
        self.name = settings.address
        self._settings = settings
        self._reactor = reactor
        self._endpoints = endpoints or Endpoints(settings, reactor)

    async def find(self) -> Place:
        settings = self._settings
        if settings.path is not None:
            endpoint = UNIXClientEndpoint(self._reactor, settings.path, settings.connect_timeout)
            return Place(endpoint, self.name)
        return Place(self._endpoints.server(settings.host, settings.port), self.name)

    def watch(self, moved: Callable[[str], object]) -> None:
        pass

    def stop(self) -> None:
        pass


@implementer(IHostnameResolver)
class _OneFamily:
    """
    A reactor that finds only addresses of one family for the names of hosts.
    """

    def __init__(self, reactor: Any, family: Any) -> None:
        self._reactor = reactor
        self._family = family
        self.nameResolver = self
        directlyProvides(self, IHostnameResolver, IReactorPluggableNameResolver)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def resolveHostName(
        self,
        resolutionReceiver: Any,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Any = None,
        transportSemantics: str = "TCP",
    ) -> Any:
        return self._reactor.nameResolver.resolveHostName(
            resolutionReceiver, hostName, portNumber, [self._family], transportSemantics
        )
