"""
Tests for L{dstwist.cluster.bus_redis}, with real servers.
"""

from __future__ import annotations

from tests.cluster import bus_contract
from tests.cluster.redis_servers import ServerBusTestCase


class ServerContractTests(ServerBusTestCase, bus_contract.BusContract):
    """
    The contract of a bus, over one server.
    """
