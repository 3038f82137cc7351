"""
How many bytes are read from one client before other clients have their turn.
"""

from __future__ import annotations

from typing import Any

from twisted.protocols.policies import ProtocolWrapper


def read_at_most(transport: Any, size: int) -> None:
    """
    Have C{transport} read at most C{size} bytes at a time. TLS and the PROXY protocol do not read themselves: the
    transport below them does. TLS still delivers a record as a whole, up to 16 KB.
    """
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    transport.bufferSize = size
