"""
What all scenarios share: servers and Node.js processes that outlive one test, and what must be true at the end of each.

The tests are plain synchronous ones. The parts are processes, threads collect what they say, and a test waits for
conditions with a generous time-out. Servers are shared, so the names of events and patterns are
made unique by L{Scenario.name}.
"""

from __future__ import annotations

import atexit
import itertools
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.certificates import Certificates, make_certificates
from tests.e2e.clients import Client, Driver
from tests.e2e.server import Server

HERE = Path(__file__).resolve().parent

GENERATIONS = ("v2", "v7")

#: Where each generation connects if the server is not configured otherwise.
DEFAULT_PATHS = {"v2": "/deepstream-v3", "v7": "/deepstream"}

#: Listeners are asked in the order in which they came, so that a test can know whom to expect.
ORDERLY = HERE / "orderly.yml"

_serial = itertools.count(1)


@cache
def _directory() -> Path:
    path = Path(tempfile.mkdtemp(prefix="dstwist-e2e-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


@cache
def certificates() -> Certificates:
    """
    The certificates of this test run.
    """
    return make_certificates(_directory())


@cache
def _server(tls: bool, config: Path | None) -> Server:
    server = Server(certificates() if tls else None, config)
    atexit.register(server.kill)
    return server


def shared_server(tls: bool = False, config: Path | None = None) -> Server:
    """
    A running server, started at first need.
    """
    server = _server(tls, config)
    if not server.running:
        server.start()
    return server


_drivers: dict[str, Driver] = {}


def shared_driver(generation: str) -> Driver:
    """
    A running Node.js with clients of C{generation}, started at first need.
    """
    driver = _drivers.get(generation)
    if driver is None or driver.dead:
        driver = _drivers[generation] = Driver(generation, certificates().authority)
        atexit.register(driver.stop)
    return driver


class Scenario(SynchronousTestCase):
    """
    A test with clients.

    At its end no client may have raised an error or printed a warning that the test did not expect, each client must
    have got all the acknowledgements it waits for, and the server must have logged no mistake of its own.
    """

    def setUp(self) -> None:
        self.serial = next(_serial)
        self.clients: list[Client] = []
        self.servers: list[Server] = []
        self.drivers: set[Driver] = set()
        self._own_servers: list[Server] = []

    def server(self, tls: bool = False, config: Path | None = None) -> Server:
        """
        A server shared with other tests.
        """
        server = shared_server(tls, config)
        self.servers.append(server)
        return server

    def own_server(self, config: Path | None = None) -> Server:
        """
        A server that the test may stop and start.
        """
        server = Server(None, config)
        self._own_servers.append(server)
        server.start()
        self.servers.append(server)
        return server

    def client(self, generation: str, server: Server, path: str | None = None, **options: Any) -> Client:
        """
        A client of C{generation} that connects, and does not log in.
        """
        driver = shared_driver(generation)
        self.drivers.add(driver)
        url = server.url + (DEFAULT_PATHS[generation] if path is None else path)
        client = driver.connect(f"{generation}-{len(self.clients) + 1}-of-{self.serial}", url, **options)
        self.clients.append(client)
        return client

    def logged_in(self, generation: str, server: Server, path: str | None = None, **options: Any) -> Client:
        """
        A client of C{generation} that is logged in.
        """
        client = self.client(generation, server, path, **options)
        client.login()
        return client

    def name(self, rest: str) -> str:
        """
        A name that no other test uses.
        """
        return f"t{self.serial}/{rest}"

    def fence(self, emitter: Client, receiver: Client) -> None:
        """
        Come back when all that C{emitter} has sent so far has been delivered to C{receiver}, if it is delivered at all.
        """
        name = self.name(f"fence/{emitter.name}/{receiver.name}/{next(_serial)}")
        receiver.subscribe(name)
        emitter.emit(name)
        receiver.wait_for_values(name, 1)
        receiver.unsubscribe(name)

    def tearDown(self) -> None:
        # Not as cleanups: those run before tearDown, and a test whose cleanup fails counts as passed all the same.
        try:
            self._assert_all_well()
        finally:
            for driver in self.drivers:
                driver.forget_clients()
            for server in self._own_servers:
                server.kill()

    def _assert_all_well(self) -> None:
        for client in self.clients:
            if client.state == "OPEN":
                client.settle()
        for client in self.clients:
            self.assertEqual(client.unexpected_errors(), [], f"\n{client.name}: {client.reports}")
        for driver in self.drivers:
            self.assertEqual(driver.console, [], driver.generation)
        for server in self.servers:
            self.assertEqual(server.take_trouble(), [])


class PairScenario(Scenario):
    """
    A test with clients of two generations, the same or not, at one server. See L{for_each_pairing}.
    """

    tls = False
    first = "v2"
    second = "v2"

    def setUp(self) -> None:
        super().setUp()
        self.at = self.server(tls=self.tls, config=ORDERLY)

    def one(self) -> Client:
        """
        A logged in client of the first generation.
        """
        return self.logged_in(self.first, self.at)

    def other(self) -> Client:
        """
        A logged in client of the second generation.
        """
        return self.logged_in(self.second, self.at)


def for_each_pairing(scenarios: type[PairScenario]) -> tuple[type[PairScenario], ...]:
    """
    Puts a test case for each pairing of the generations, plain and over TLS, into the module of C{scenarios}.
    """
    made = []
    for tls, first, second in itertools.product((False, True), GENERATIONS, GENERATIONS):
        name = f"{scenarios.__name__}_{first}_{second}_{'tls' if tls else 'plain'}"
        attributes = {"tls": tls, "first": first, "second": second, "__doc__": scenarios.__doc__}
        case = type(name, (scenarios,), {**attributes, "__module__": scenarios.__module__, "__qualname__": name})
        setattr(sys.modules[scenarios.__module__], name, case)
        made.append(case)
    return tuple(made)
