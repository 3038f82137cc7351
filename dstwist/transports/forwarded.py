"""
The address of a client behind proxies.

A trusted proxy (C{httpServer.options.trustedProxies}) adds the address of its own peer at the right end of
C{X-Forwarded-For}. If that peer is a trusted proxy too, it has done the same before, and so on. So the client is the
right-most address that is not a trusted proxy. The client itself sent everything further to the left, which can be
anything::

    X-Forwarded-For: 10.6.6.6, 203.0.113.9, 10.0.0.2        from 10.0.0.1, trusted: 10.0.0.0/8
                     invented  the client   a proxy         a proxy
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from dstwist.config.values import Network

#: The address of each client on a UNIX socket.
LOCAL = "local"

# No chain of proxies is longer; further addresses are invented.
_MAX_HOPS = 20


class Proxies:
    """
    The trusted proxies.
    """

    def __init__(self, trusted: Sequence[Network | str]) -> None:
        self._networks = tuple(each for each in trusted if not isinstance(each, str))
        self._unix = "unix" in trusted

    def trusts(self, address: str) -> bool:
        """
        Whether C{address} is that of a trusted proxy.
        """
        if address == LOCAL:
            return self._unix
        if not self._networks:
            # Nearly always: to parse an address takes longer than all else that is done for a new connection.
            return False
        try:
            found = plain(address)
        except ValueError:
            return False
        return any(found in network for network in self._networks)

    def client(self, peer: str, forwarded: str | None) -> str:
        """
        The address of the client.

        @param peer: the address of the other end of the connection.
        @param forwarded: all C{X-Forwarded-For} headers of the request, joined by commas.
        """
        if forwarded is None or not self.trusts(peer):
            return peer
        hop = peer
        for text in reversed(forwarded.rsplit(",", _MAX_HOPS)[-_MAX_HOPS:]):
            try:
                hop = str(plain(_without_port(text.strip())))
            except ValueError:
                # "unknown", or nonsense from the client: the last known address is that of the proxy that passed it on.
                break
            if not self.trusts(hop):
                break
        return hop


def plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """
    The parsed address; the IPv4 address if it is written as an IPv6 address. Raises L{ValueError} for other texts.
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    return getattr(found, "ipv4_mapped", None) or found


def address_of(transport: Any) -> str:
    """
    The address of the other end of C{transport}, for logs and limits.
    """
    return getattr(transport.getPeer(), "host", None) or LOCAL


def _without_port(text: str) -> str:
    """
    Some proxies add ports: C{192.0.2.1:50000}, C{[2001:db8::1]:50000}.
    """
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
