"""
The key under which a client's address is counted by limits and by the log.
"""

from __future__ import annotations

import ipaddress


def key_of(address: str) -> str | None:
    """
    The key of C{address}. All addresses of an IPv6 network of 64 bits have the same key, because such a network belongs
    to one client. C{None} for a UNIX socket, whose clients cannot be told apart.
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
