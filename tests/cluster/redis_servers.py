"""
Buses over a real Redis, for tests that are written as if everything happened at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred

from dstwist.cluster.bus_redis import RedisBus, make_bus
from dstwist.config.cluster import ClusterSettings
from dstwist.config.redis import RedisBusSettings
from tests.cluster.bus_contract import BusTestCase
from tests.redis_server import RedisServer
from tests.store.contract import PATIENCE
from tests.store.redis_stage import OwnReactor, shared_server
from tests.tcp_proxy import TCPProxy


class ServerBusTestCase(BusTestCase):
    """
    A test with buses that reach a server through a proxy each.

    @ivar proxies: the proxy of each bus.
    """

    #: Short intervals, so that the tests are short, and time-outs that only a failing test reaches.
    settings = RedisBusSettings(
        connect_timeout=PATIENCE,
        command_timeout=PATIENCE,
        probe_interval=0.2,
        max_reconnect_delay=0.1,
        reconnect_wait=PATIENCE,
        channel_prefix="p:",
    )
    cluster = ClusterSettings(outage_time=PATIENCE)

    def setUp(self) -> None:
        self.reactor: Any = OwnReactor()
        self.addCleanup(self._close)
        self.server = self.start_server()
        self.proxies: dict[Any, TCPProxy] = {}
        self.start_both()

    def start_server(self) -> RedisServer:
        return shared_server()

    def make(self) -> RedisBus:
        proxy = TCPProxy(self.reactor, self.server.port)
        proxy.listen()
        bus = self.make_at(replace(self.settings, port=proxy.port))
        self.proxies[bus] = proxy
        self.addCleanup(lambda: self.wait(Deferred.fromCoroutine(proxy.stop())))
        return bus

    def make_at(self, settings: RedisBusSettings) -> RedisBus:
        """
        A bus that ends with the test.
        """
        bus = make_bus(settings, self.cluster, self.reactor, "dstwist-n1")
        self.addCleanup(lambda: self.wait(bus.stop()))
        return bus

    def until(self, true: Callable[[], bool]) -> None:
        self.reactor.run_until(true)

    def disconnect(self, bus: Any) -> None:
        self.wait(Deferred.fromCoroutine(self.proxies[bus].refuse()))
        self.proxies[bus].cut()

    def reconnect(self, bus: Any) -> None:
        self.proxies[bus].listen()

    def _close(self) -> None:
        self.reactor.removeAll()
        self.reactor.waker.connectionLost(None)
