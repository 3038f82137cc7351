"""
Stores in real Redis servers, for tests that are written as if everything happened at once.
"""

from __future__ import annotations

import atexit
import functools
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IHostnameResolver, IHostResolution
from twisted.internet.selectreactor import SelectReactor
from zope.interface import implementer

from dstwist.config.redis import RedisSettings
from dstwist.store.redis import RedisStore
from dstwist.store.redis_connection import connect
from tests.e2e.certificates import Authority
from tests.redis_groups import RedisCluster
from tests.redis_server import RedisServer
from tests.store.contract import PATIENCE, StoreTestCase


@implementer(IHostResolution)
class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        raise AssertionError("it has ended already")


@implementer(IHostnameResolver)
class _Numbers:
    """
    Resolves no names but IPv4 addresses. The resolver of a reactor needs a thread, even for those.
    """

    def resolveHostName(
        self, resolutionReceiver: Any, hostName: str, portNumber: int = 0, *args: Any, **kwargs: Any
    ) -> _Resolution:
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        resolutionReceiver.addressResolved(IPv4Address("TCP", hostName, portNumber))
        resolutionReceiver.resolutionComplete()
        return resolution


class OwnReactor(SelectReactor):
    """
    A real reactor that runs only while a test waits for something.
    """

    def __init__(self) -> None:
        super().__init__()
        self.installNameResolver(_Numbers())

    def run_until(self, done: Callable[[], bool]) -> None:
        give_up = time.monotonic() + PATIENCE
        while True:
            self.runUntilCurrent()
            # Twisted's TLS writes by the clock of the global reactor.
            other: Any = global_reactor
            other.runUntilCurrent()
            if done():
                return
            if time.monotonic() > give_up:
                raise AssertionError("it does not happen")
            waits = [wait for wait in (self.timeout(), other.timeout()) if wait is not None]
            self.doIteration(min([1.0, *waits]))


@functools.cache
def shared_server(durable: bool = False) -> RedisServer:
    """
    A server for all tests that need nothing special of one.
    """
    server = RedisServer(durable=durable)
    server.start()
    return server


@functools.cache
def authority() -> Authority:
    """
    The authority that signs the certificates of servers.
    """
    return Authority()


@functools.cache
def encrypted_server() -> RedisServer:
    """
    A server with TLS and a user as the documentation describes it.
    """
    text = (Path(__file__).resolve().parent.parent.parent / "docs" / "redis.rst").read_text(encoding="utf-8")
    found = re.search(r"^    user dstwist .*\n.*", text, re.MULTILINE)
    assert found is not None
    directory = Path(tempfile.mkdtemp(prefix="dstwist-redis-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    server = RedisServer(users=[" ".join(found[0].split())], certificates=authority().write(directory))
    server.start()
    return server


@functools.cache
def replicated_servers() -> tuple[RedisServer, RedisServer]:
    """
    A server and its replica.
    """
    primary = RedisServer()
    replica = RedisServer(replica_of=primary)
    for server in (primary, replica):
        server.start()
    replica.wait_for_replica()
    return primary, replica


@functools.cache
def shared_cluster() -> RedisCluster:
    """
    A Redis Cluster for all tests that need nothing special of one.
    """
    cluster = RedisCluster(cluster_node_timeout="60000")
    cluster.start()
    return cluster


#: Time-outs that only a failing test reaches.
PATIENT: dict[str, Any] = {"connect_timeout": PATIENCE, "command_timeout": PATIENCE}


class RedisTestCase(StoreTestCase):
    """
    Tests with an empty Redis.
    """

    #: The options of the stores that are not those of the server.
    options: dict[str, Any] = {}
    deletion_memory = 0.0

    def setUp(self) -> None:
        self.reactor: Any = OwnReactor()
        self.addCleanup(self._close)
        self.server = self.start_server()
        self.empty()

    def start_server(self) -> RedisServer:
        return shared_server()

    def empty(self) -> None:
        """
        Remove all keys.
        """
        self.server.command("FLUSHALL")

    def settings(self, **options: Any) -> RedisSettings:
        return RedisSettings(**(PATIENT | {"port": self.server.port} | self.options | options))

    def make(self, arbiter: bool = True, deletion_memory: float | None = None, **options: Any) -> RedisStore:
        """
        A store that is not started.
        """
        settings = self.settings(**options)
        memory = self.deletion_memory if deletion_memory is None else deletion_memory
        return RedisStore(connect(settings, self.reactor), settings, self.reactor, memory, arbiter)

    def _close(self) -> None:
        self.reactor.removeAll()
        self.reactor.waker.connectionLost(None)
