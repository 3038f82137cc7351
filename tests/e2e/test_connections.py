"""
The life of a connection, seen by the official clients of both generations: paths, heartbeat, limits, restarts.
"""

from __future__ import annotations

import re
import socket
import threading
from urllib.request import urlopen

from tests.e2e.clients import Client
from tests.e2e.free_port import free_port
from tests.e2e.scenario import GENERATIONS, HERE, Scenario, scratch_directory
from tests.e2e.server import CHECKOUT, PATIENCE, Server

#: A path for each condition.
SPECIAL = HERE / "special.yml"


class SlowLine:
    """
    A line to a server over which the first message of a client arrives when the server has spoken first.

    @ivar answered: all that the server sent before that message was passed on.
    """

    def __init__(self, port: int) -> None:
        self._server = port
        self._spoken = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self.port = self._listener.getsockname()[1]
        self.answered = b""
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._carry, daemon=True).start()

    def stop(self) -> None:
        for each in (self._listener, *self._sockets):
            each.close()

    def _carry(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(("127.0.0.1", self._server), PATIENCE)
        self._sockets += (client, server)
        server.sendall(client.recv(65536))
        client.sendall(server.recv(65536))
        threading.Thread(target=self._carry_back, args=(server, client), daemon=True).start()
        first = client.recv(65536)
        self._spoken.wait(PATIENCE)
        server.sendall(first)
        self._copy(client, server)

    def _carry_back(self, server: socket.socket, client: socket.socket) -> None:
        self.answered = server.recv(65536)
        client.sendall(self.answered)
        self._spoken.set()
        self._copy(server, client)

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.close()
        except OSError:
            pass  # one of them has gone


class PathTests(Scenario):
    """
    Where clients connect.
    """

    def check(self, server: Server, paths: dict[str, str]) -> None:
        clients = [self.logged_in(generation, server, path) for generation, path in paths.items()]
        name = self.name("hello")
        for client in clients:
            client.subscribe(name)
        clients[0].emit(name, '"hello"')
        for client in clients:
            self.assertEqual(client.wait_for_values(name, 1), ['"hello"'])

    def test_defaults(self) -> None:
        """
        A server without a configuration serves v4+ clients on /deepstream and v2/v3 clients on /deepstream-v3.
        """
        self.check(self.server(), {"v7": "/deepstream", "v2": "/deepstream-v3"})

    def test_no_path(self) -> None:
        """
        Clients of no generation need a path in their URL, neither without a configuration nor with the shipped one.
        """
        for config in (None, CHECKOUT / "etc" / "dstwist" / "config.yml"):
            self.check(self.server(config=config), {"v7": "", "v2": ""})

    def test_slow_line(self) -> None:
        """
        A v4+ client whose first message arrives when it has been greeted in text already is served, and does not
        notice.
        """
        server = self.server()
        line = SlowLine(server.port)
        self.addCleanup(line.stop)
        driver = self.logged_in("v7", server).driver
        client = driver.connect(f"v7-slow-of-{self.serial}", f"ws://127.0.0.1:{line.port}/deepstream")
        self.clients.append(client)
        client.login()
        self.assertIn(b"C\x1fCH\x1e", line.answered)
        self.assertEqual(client.states().count("RECONNECTING"), 0)
        client.subscribe(self.name("alive"))

    def test_tls(self) -> None:
        """
        The same over TLS, with a certificate that the clients verify.
        """
        self.check(self.server(tls=True), {"v7": "/deepstream", "v2": "/deepstream-v3"})

    def test_shared_path(self) -> None:
        """
        If both generations are configured on one path, each is served as what it is; none needs a path in its URL.
        """
        self.check(self.server(config=SPECIAL), {"v7": "/deepstream", "v2": "/deepstream"})
        self.check(self.server(config=SPECIAL), {"v2": "", "v7": ""})

    def test_file_of_v3(self) -> None:
        """
        With a configuration of v3, its clients connect where they always have. Only the port of the HTTP API is another
        one here, because any program may have 8080.
        """
        config = scratch_directory() / "v3.yml"
        config.write_text((HERE / "v3.yml").read_text(encoding="utf-8").replace("8080", str(free_port())), "utf-8")
        self.check(self.server(config=config), {"v2": ""})
        self.check(self.server(config=config), {"v2": "/deepstream"})

    def test_health_check(self) -> None:
        """
        The health check is answered on the same port.
        """
        with urlopen(self.server().url.replace("ws:", "http:") + "/health-check") as answer:
            self.assertEqual(answer.status, 200)


class LoginTests(Scenario):
    """
    Logging in and out.
    """

    def test_login(self) -> None:
        """
        Each generation goes through its states to OPEN, and is told of one successful login without client data.
        """
        for generation in GENERATIONS:
            client = self.logged_in(generation, self.server())
            self.assertEqual(client.states()[-3:], ["AWAITING_AUTHENTICATION", "AUTHENTICATING", "OPEN"])
            logins = [(report["success"], report["data"]) for report in client.filter("login")]
            self.assertEqual(logins, [(True, "null")], generation)

    def test_credentials(self) -> None:
        """
        With open authentication any credentials will do.
        """
        for generation in GENERATIONS:
            client = self.client(generation, self.server())
            client.login({"username": "Änne|S 🎉", "password": None, "more": [1, {"\x1f": "\x1e"}]})
            self.assertEqual(client.state, "OPEN")

    def test_close(self) -> None:
        """
        A client that closes is closed, and stays so.
        """
        for generation in GENERATIONS:
            client = self.logged_in(generation, self.server())
            client.close()
            self.assertEqual(client.state, "CLOSED")
            self.assertNotIn("RECONNECTING", client.states())

    def test_too_late(self) -> None:
        """
        L2: A client that does not log in in time is told so and cut off; a later login is answered by its own library.
        """
        server = self.server(config=SPECIAL)
        clients = [self.client("v2", server, "/hurry-v3"), self.client("v7", server, "/hurry")]
        for client in clients:
            generation = client.driver.generation
            client.expect_error({"v2": "CONNECTION_AUTHENTICATION_TIMEOUT", "v7": "AUTHENTICATION_TIMEOUT"}[generation])
            client.wait_for_state({"v2": "CLOSED", "v7": "AUTHENTICATION_TIMEOUT"}[generation])
            client.start_login()
            client.expect_error("IS_CLOSED")
            self.assertEqual(client.filter("login"), [])


class LimitTests(Scenario):
    """
    What a client may not do.
    """

    def test_large_message(self) -> None:
        """
        A client whose message is too large is cut off, the others are not; it may come back.
        """
        for generation, path in (("v2", "/small-v3"), ("v7", "/small")):
            server = self.server(config=SPECIAL)
            name = self.name(generation)
            talker, listener = self.logged_in(generation, server, path), self.logged_in(generation, server, path)
            listener.subscribe(name)
            talker.emit(name, '"' + "x" * 19000 + '"')
            talker.tolerate_error({"v2": "connectionError", "v7": "CONNECTION_ERROR"}[generation])
            talker.emit(name, '"' + "x" * 21000 + '"')
            talker.wait_for_report(1, "state", state="RECONNECTING")
            talker.wait_for_report(2, "state", state="OPEN")
            talker.emit(name, '"back"')
            values = listener.wait_for_values(name, 2)
            self.assertEqual([len(value) for value in values], [19002, len('"back"')])
            self.assertEqual(listener.states().count("OPEN"), 1)


class HeartbeatTests(Scenario):
    """
    Idle connections.
    """

    def test_idle(self) -> None:
        """
        Idle clients with a short heartbeat stay connected, on quick paths and before their login too.
        """
        server = self.server(config=SPECIAL)
        idle = [
            self.logged_in("v2", server, "/beat-v3", heartbeatInterval=2000),
            self.logged_in("v7", server, "/beat", heartbeatInterval=2000),
            self.client("v2", server, "/beat-v3", heartbeatInterval=2000),
            self.client("v7", server, "/beat", heartbeatInterval=2000),
        ]
        before = [client.state for client in idle]
        # The server would disconnect a silent client after six seconds, and a client a silent server after four.
        idle[0].sleep(7000)
        self.assertEqual([client.states().count("RECONNECTING") for client in idle], [0, 0, 0, 0])
        self.assertEqual([before[0], before[1]], ["OPEN", "OPEN"])
        for client in idle[2:]:
            client.login()
        for client in idle:
            client.subscribe(self.name("alive"))


class RestartTests(Scenario):
    """
    The server goes, and comes back.
    """

    def test_stop(self) -> None:
        """
        Asked to stop, the server closes its connections, finishes, and says so in the log.
        """
        server = self.own_server()
        clients = [self.logged_in(generation, server) for generation in GENERATIONS]
        server.stop()
        for client in clients:
            self.await_loss(client)

    def test_reconnect(self) -> None:
        """
        EC1: After a restart clients of both generations come back by themselves: their subscriptions hold, emits of
        each reach all of them, and their listeners are asked again.
        """
        server = self.own_server()
        clients = [self.logged_in(generation, server) for generation in GENERATIONS * 2]
        name, provided = self.name("news"), self.name("provided/x")
        for client in clients:
            client.subscribe(name)
        clients[0].listen(self.name("provided/.*"))
        clients[1].subscribe(provided)
        clients[0].wait_for_report(1, "offer", name=provided)
        server.stop()
        self.assertEqual(server.take_trouble(), [])
        for client in clients:
            self.await_loss(client)
        server.start()
        for client in clients:
            client.wait_for_report(2, "state", state="OPEN")
        for client in clients:
            # An acknowledged subscription is behind all that the client sent when it came back.
            client.subscribe(self.name("back"))
        for number, client in enumerate(clients):
            client.emit(name, str(number))
        for client in clients:
            client.wait_for_values(name, len(clients))
            self.assertEqual(sorted(client.values(name)), ["0", "1", "2", "3"], client.name)
        clients[0].wait_for_report(2, "offer", name=provided)

    def await_loss(self, client: Client) -> None:
        """
        Come back when the client has reported that it cannot reach the server.
        """
        client.expect_error({"v2": "connectionError", "v7": "CONNECTION_ERROR"}[client.driver.generation])


class StartTests(Scenario):
    """
    What the log tells at start.
    """

    def test_log(self) -> None:
        """
        The log says where the server listens, with the real port, which paths it serves, and when it is ready.
        """
        server = self.server()
        for pattern in (
            rf"INFO \| Listening for http connections on 127\.0\.0\.1:{server.port}$",
            r"/health-check",
            r"/deepstream\b",
            r"/deepstream-v3\b",
            r"INFO \| dstwist started$",
        ):
            self.assertTrue(re.search(pattern, server.log, re.MULTILINE), pattern)
