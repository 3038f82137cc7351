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
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.certificates import Certificates, make_certificates
from tests.e2e.clients import Client, Driver
from tests.e2e.node_server import NodeServer
from tests.e2e.server import Server
from tests.redis_server import RedisServer

HERE = Path(__file__).resolve().parent

GENERATIONS = ("v2", "v7")

#: Where each generation connects if the server is not configured otherwise.
DEFAULT_PATHS = {"v2": "/deepstream-v3", "v7": "/deepstream"}

#: Where clients of v7 connect in JSON mode, and what they are made with for that.
JSON_PATH = "/deepstream-json"
JSON_MODE: Mapping[str, Any] = {"socketOptions": {"jsonTransportMode": True}}

#: Listeners are asked in the order in which they came, so that a test can know which one is asked. A listener that does
#: not answer within half a second is passed over: for tests of just that.
ORDERLY = HERE / "orderly.yml"

#: The same, and no client is passed over because the machine is slow.
PATIENT = HERE / "patient.yml"

#: v7 gathers subscriptions for a tenth of a second if it is not told otherwise, which makes for long tests.
QUICK: Mapping[str, Mapping[str, Any]] = {"v7": {"subscriptionInterval": 10}}

#: How long clients wait for an acknowledgement, a record or the end of a call, in milliseconds: longer than
#: L{Client.settle}, which has an answer that does not come fail the test. By default they warn after two seconds, or
#: after 15, and a busy machine takes that long now and then. Only clients of v2 have times of their own for calls.
PATIENT_CLIENT: Mapping[str, Any] = {
    "subscriptionTimeout": 90_000,
    "recordReadAckTimeout": 90_000,
    "recordReadTimeout": 90_000,
    "recordDeleteTimeout": 90_000,
    "rpcAckTimeout": 90_000,
    "rpcResponseTimeout": 90_000,
}

#: For clients that by a mistake of their own wait on for what has come: how long they would wait by default.
IMPATIENT_CLIENT: Mapping[str, Any] = {"subscriptionTimeout": 2000}

#: What clients connect to.
AnyServer = Server | NodeServer

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


def scratch_directory() -> Path:
    """
    A directory of its own, gone after the test run.
    """
    return Path(tempfile.mkdtemp(dir=_directory()))


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

    #: What the clients of each generation are made with, if a test does not say otherwise.
    options: Mapping[str, Mapping[str, Any]] = {}

    #: Whether every other client of v7, from the first one on, speaks JSON.
    json = False

    def setUp(self) -> None:
        self.serial = next(_serial)
        self.clients: list[Client] = []
        self.servers: list[AnyServer] = []
        self.drivers: set[Driver] = set()
        self._turns = itertools.count()
        self._own_servers: list[AnyServer] = []
        self._own_redis: list[RedisServer] = []
        self._own_drivers: list[Driver] = []
        self._tolerated: list[str] = []

    def server(self, tls: bool = False, config: Path | None = None) -> Server:
        """
        A server shared with other tests.
        """
        server = shared_server(tls, config)
        self.servers.append(server)
        return server

    def own_server(self, config: Path | None = None, data_dir: Path | None = None) -> Server:
        """
        A server that the test may stop and start.
        """
        server = Server(None, config, data_dir)
        self._own_servers.append(server)
        server.start()
        self.servers.append(server)
        return server

    def own_redis(self, **options: Any) -> RedisServer:
        """
        A Redis of the test's own.
        """
        redis = RedisServer(**options)
        self._own_redis.append(redis)
        redis.start()
        return redis

    def node_server(self, redis: RedisServer, connector: str = "name: redis", **options: Any) -> NodeServer:
        """
        A Node server that has its cache in that Redis. C{options} are more of its connector's.
        """
        key, _, value = connector.partition(": ")
        cache = {key: value, "options": {"host": "127.0.0.1", "port": redis.port, **options}}
        server = NodeServer(scratch_directory(), cache)
        self._own_servers.append(server)
        server.start()
        self.servers.append(server)
        return server

    def client(self, generation: str, server: AnyServer, path: str | None = None, **options: Any) -> Client:
        """
        A client of C{generation} that connects, and does not log in.
        """
        driver = shared_driver(generation)
        self.drivers.add(driver)
        return self._connect(driver, server, path, options)

    def logged_in(self, generation: str, server: AnyServer, path: str | None = None, **options: Any) -> Client:
        """
        A client of C{generation} that is logged in.
        """
        client = self.client(generation, server, path, **options)
        client.login()
        return client

    def user(self, generation: str, server: AnyServer, name: str, **options: Any) -> Client:
        """
        A client of C{generation} that is logged in under a name.
        """
        client = self.client(generation, server, **options)
        client.login({"username": name})
        return client

    def mortal(self, generation: str, server: AnyServer, name: str | None = None) -> Client:
        """
        A logged in client in a process of its own, which the test may L{kill}.
        """
        driver = Driver(generation, certificates().authority)
        self._own_drivers.append(driver)
        client = self._connect(driver, server, None, {})
        client.login(None if name is None else {"username": name})
        return client

    def kill(self, client: Client) -> None:
        """
        End the process of a L{mortal} client: it closes nothing, and says nothing.
        """
        self.clients.remove(client)
        client.driver.stop()

    def _connect(self, driver: Driver, server: AnyServer, path: str | None, options: Mapping[str, Any]) -> Client:
        generation = driver.generation
        name = f"{generation}-{len(self.clients) + 1}-of-{self.serial}"
        options = {**PATIENT_CLIENT, **self.options.get(generation, {}), **options}
        if self.json and generation == "v7" and path is None and next(self._turns) % 2 == 0:
            path, options = JSON_PATH, {**options, **JSON_MODE}
        client = driver.connect(name, server.url + (DEFAULT_PATHS[generation] if path is None else path), **options)
        self.clients.append(client)
        return client

    def name(self, rest: str) -> str:
        """
        A name that no other test uses.
        """
        return f"t{self.serial}/{rest}"

    def tolerate_output(self, text: str) -> None:
        """
        Clients may print lines with C{text}.
        """
        self._tolerated.append(text)

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
            for driver in self._own_drivers:
                driver.stop()
            for server in self._own_servers:
                server.kill()
            for redis in self._own_redis:
                redis.destroy()

    def _assert_all_well(self) -> None:
        for client in self.clients:
            if client.state == "OPEN":
                client.settle()
        for client in self.clients:
            self.assertEqual(client.unexpected_errors(), [], f"\n{client.name}: {client.reports}")
        for driver in self.drivers:
            console = [text for text in driver.console if not any(known in text for known in self._tolerated)]
            self.assertEqual(console, [], driver.generation)
        for server in self.servers:
            self.assertEqual(server.take_trouble(), [])


_Scenarios = TypeVar("_Scenarios", bound=Scenario)


class PairScenario(Scenario):
    """
    A test with clients of two generations, the same or not, at one server. See L{for_each_pairing}.
    """

    tls = False
    first = "v2"
    second = "v2"
    config = PATIENT

    def setUp(self) -> None:
        super().setUp()
        self.at = self.server(tls=self.tls, config=self.config)

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


class QuartetScenario(Scenario):
    """
    A test with four clients, C{self.a} to C{self.d}, of both generations in turn. See L{for_each_generation}.

    C{self.a} does what the test is about, so its generation counts.
    """

    options = QUICK
    tls = False
    first = "v2"

    def setUp(self) -> None:
        super().setUp()
        self.at = self.server(tls=self.tls, config=PATIENT)
        (second,) = (generation for generation in GENERATIONS if generation != self.first)
        self.a, self.b, self.c, self.d = self.quartet = [
            self.logged_in(generation, self.at) for generation in (self.first, second) * 2
        ]


def for_each_pairing(scenarios: type[PairScenario]) -> tuple[type[PairScenario], ...]:
    """
    Puts a test case for each pairing of the generations into the module of C{scenarios}.

    Transports and codecs are below what most scenarios are about. The decorators that add TLS or JSON are for one
    scenario of each topic.
    """
    return tuple(
        _variant(scenarios, f"{first}_{second}", first=first, second=second)
        for first, second in itertools.product(GENERATIONS, GENERATIONS)
    )


def for_each_pairing_and_codec(scenarios: type[PairScenario]) -> tuple[type[PairScenario], ...]:
    """
    The same, and one for two clients of v7, of which the first speaks JSON.
    """
    return (*for_each_pairing(scenarios), _variant(scenarios, "v7_v7", json=True, first="v7", second="v7"))


def for_each_pairing_and_transport(scenarios: type[PairScenario]) -> tuple[type[PairScenario], ...]:
    """
    The same, and both generations over TLS.
    """
    over_tls = tuple(
        _variant(scenarios, f"{first}_{second}", tls=True, first=first, second=second)
        for first, second in (GENERATIONS, GENERATIONS[::-1])
    )
    return for_each_pairing_and_codec(scenarios) + over_tls


def for_each_generation(scenarios: type[_Scenarios]) -> tuple[type[_Scenarios], ...]:
    """
    Puts a test case for each generation, as C{first}, into the module of C{scenarios}.
    """
    return tuple(_variant(scenarios, first, first=first) for first in GENERATIONS)


def for_each_kind(scenarios: type[_Scenarios]) -> tuple[type[_Scenarios], ...]:
    """
    The same, and one for v7 with JSON.
    """
    return (*for_each_generation(scenarios), _variant(scenarios, "v7", json=True, first="v7"))


def for_each_kind_and_transport(scenarios: type[_Scenarios]) -> tuple[type[_Scenarios], ...]:
    """
    The same, and each generation over TLS.
    """
    return for_each_kind(scenarios) + tuple(_variant(scenarios, first, tls=True, first=first) for first in GENERATIONS)


def _variant(
    scenarios: type[_Scenarios], suffix: str, tls: bool = False, json: bool = False, **attributes: str
) -> type[_Scenarios]:
    name = f"{scenarios.__name__}_{suffix}_{'tls' if tls else 'json' if json else 'plain'}"
    places = {"__doc__": scenarios.__doc__, "__module__": scenarios.__module__, "__qualname__": name}
    case = type(name, (scenarios,), {"tls": tls, "json": json, **attributes, **places})
    setattr(sys.modules[scenarios.__module__], name, case)
    return case
