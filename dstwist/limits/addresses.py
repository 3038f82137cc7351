"""
Under which key a client's address is counted.
"""

from __future__ import annotations

import ipaddress


def key_of(address: str) -> str | None:
    """
    What an address is counted under. A whole /64 network of IPv6 belongs to one client. C{None} is for UNIX sockets,
    where all clients are the same.
    """
    if ":" not in address:
        return address if "." in address else None
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(found) >> 64 << 64))
