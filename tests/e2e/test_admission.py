"""
Between an open port and a connection: proxies, origins, and limits, over real sockets and with the official clients.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl

from tests.e2e.clients import Client
from tests.e2e.raw import RawClient
from tests.e2e.scenario import GENERATIONS, Scenario, certificates, scratch_directory
from tests.e2e.server import PATIENCE, Server

# What the operator's own code would do: here, on SIGRTMIN.
KICK = """
import signal
from twisted.internet import reactor
from dstwist.node import Node
start = Node.start
def start_and_kick(node):
    kick = lambda *signal: reactor.callFromThread(node.kick, "ann", "please leave")
    signal.signal(signal.SIGRTMIN, kick)
    return start(node)
Node.start = start_and_kick
"""

#: Where the delay of closes is not in question.
QUICK_CLOSES = "limits: {closeDelay: 50}\n"

UPGRADE = (
    "GET /deepstream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


class AdmissionScenario(Scenario):
    """
    Servers with a configuration of their own, and sockets.
    """

    def configured(self, config: str, prefix: str = "", tls: bool = False, before: str = "") -> Server:
        path = scratch_directory() / "config.yml"
        path.write_text(config)
        server = Server(certificates() if tls else None, path, prefix=prefix, before=before)
        self._own_servers.append(server)
        server.start()
        self.servers.append(server)
        return server

    def ask(self, server: Server, *headers: str, before: bytes = b"") -> tuple[int, str, socket.socket]:
        """
        Ask for a WebSocket: the status, the body, and the socket.
        """
        plain = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
        self.addCleanup(plain.close)
        plain.sendall(before + (UPGRADE + "".join(f"{header}\r\n" for header in headers) + "\r\n").encode())
        data = b""
        while b"\r\n\r\n" not in data:
            received = plain.recv(65536)
            if not received:
                return 0, "", plain
            data += received
        head, _, body = data.partition(b"\r\n\r\n")
        status = int(head.split(b" ")[1])
        while status != 101 and (received := plain.recv(65536)):
            body += received
        return status, body.decode(), plain


class ProxyTests(AdmissionScenario):
    """
    Clients behind proxies.
    """

    def test_w13_forwarded(self) -> None:
        """
        W13: the header of a trusted proxy says who the client is, that of anybody else does not.
        """
        for trusted, client in (("127.0.0.1", "203.0.113.9"), ("192.0.2.1", "127.0.0.1")):
            server = self.configured(f"httpServer: {{options: {{trustedProxies: [{trusted}]}}}}")
            status, _, _ = self.ask(server, "X-Forwarded-For: 6.6.6.6, 203.0.113.9")
            self.assertEqual(status, 101)
            server.wait_for_line(f"INCOMING_CONNECTION | from no page ({client}, /")

    def test_proxy_protocol(self) -> None:
        """
        With haproxy: before the endpoint, the PROXY header says who the client is, in both of its versions; who sends
        none is cut off.
        """
        server = self.configured("", prefix="haproxy:")
        status, _, _ = self.ask(server, before=b"PROXY TCP4 203.0.113.7 192.0.2.1 50000 6020\r\n")
        self.assertEqual(status, 101)
        server.wait_for_line("INCOMING_CONNECTION | from no page (203.0.113.7, /")
        second = (
            b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"
            + socket.inet_aton("203.0.113.8")
            + socket.inet_aton("192.0.2.1")
            + b"\xc3\x50\x17\x84"
        )
        self.assertEqual(self.ask(server, before=second)[0], 101)
        server.wait_for_line("INCOMING_CONNECTION | from no page (203.0.113.8, /")
        self.assertEqual(self.ask(server)[0], 0)

    def test_proxy_protocol_before_tls(self) -> None:
        """
        With haproxy:tls: the header comes in clear before TLS, as from a proxy that passes TLS through.
        """
        server = self.configured("", "haproxy:", tls=True)
        context = ssl.create_default_context(cafile=str(certificates().authority))
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as plain:
            plain.sendall(b"PROXY TCP4 203.0.113.7 192.0.2.1 50000 6020\r\n")
            with context.wrap_socket(plain, server_hostname="localhost") as secure:
                secure.sendall((UPGRADE + "\r\n").encode())
                self.assertTrue(secure.recv(65536).startswith(b"HTTP/1.1 101 "))
                server.wait_for_line("INCOMING_CONNECTION | from no page (203.0.113.7, /")


class OriginTests(AdmissionScenario):
    """
    Web pages.
    """

    def test_w13_origins(self) -> None:
        """
        W13: WebSockets of pages that are not in the list are refused with 403 and the reason; the official clients for
        Node.js, which send no origin, come in.
        """
        server = self.configured("httpServer: {options: {allowAllOrigins: false, origins: ['https://a.example']}}")
        self.assertEqual(self.ask(server, "Origin: https://a.example")[0], 101)
        status, body, _ = self.ask(server, "Origin: https://evil.example")
        self.assertEqual((status, body), (403, 'Origin "https://evil.example" is forbidden.\r\n\r\n'))
        for generation in GENERATIONS:
            self.logged_in(generation, server)


class LimitTests(AdmissionScenario):
    """
    More than may be.
    """

    def test_connections(self) -> None:
        """
        One connection too many gets its answer, the others are not disturbed, and when one goes there is room again.
        """
        server = self.configured("limits: {maxConnections: 3}")
        clients = [RawClient(server.port, "v4", f"u{number}") for number in range(3)]
        for client in clients:
            self.addCleanup(client.close)
        status, body, _ = self.ask(server)
        self.assertEqual((status, body), (503, "There are 3 connections already.\r\n\r\n"))
        server.wait_for_line("LIMIT_EXCEEDED | maxConnections: 127.0.0.1 refused")
        clients[0].close()
        server.wait_for_line("CLIENT_DISCONNECTED | u0")
        self.assertEqual(self.ask(server)[0], 101)

    def test_failed_logins(self) -> None:
        """
        When too many logins have failed, not even a right one is looked at; clients of both generations try again by
        themselves, and get in when the time is over.
        """
        server = self.configured(
            "limits: {maxFailedLoginsPerAddress: 2, failedLoginWindow: 5000, closeDelay: 6000}\n"
            "auth: [{type: file, options: {users: {ann: {password: right}}}}]\n"
        )
        client = self.client("v2", server)
        late = [self.client(generation, server) for generation in GENERATIONS]
        for one in late:
            one.wait_for_state("AWAITING_AUTHENTICATION")
        for number in (1, 2):
            client.start_login({"username": "ann", "password": "wrong"})
            client.wait_for_report(number, "login", success=False)
        for one in late:
            one.tolerate_error({"v2": "connectionError", "v7": "CONNECTION_ERROR"}[one.driver.generation])
            one.start_login({"username": "ann", "password": "right"})
        server.wait_for_line("LIMIT_EXCEEDED | maxFailedLoginsPerAddress: client (127.0.0.1, ")
        for one in late:
            one.wait_for_report(1, "login", success=True)
            self.assertEqual(one.states().count("RECONNECTING"), 1)

    def test_connections_of_a_user(self) -> None:
        """
        A user with all his connections is refused one more, with the reason. The client tries again by itself, but not
        all the time, and is let in when there is room.
        """
        server = self.configured("limits: {maxConnectionsPerUser: 1}")
        clients: list[tuple[Client, Client]] = []
        for generation in GENERATIONS:
            name = f"ann-{generation}"
            first, second = self.user(generation, server, name), self.client(generation, server)
            second.tolerate_error({"v2": "connectionError", "v7": "CONNECTION_ERROR"}[generation])
            second.tolerate_error("REAUTHENTICATION_FAILURE")
            second.start_login({"username": name})
            second.wait_for_report(1, "login", success=False)
            self.assertIn("there are 1 connections of this user already", second.filter("login")[0]["data"])
            clients.append((first, second))
        for first, second in clients:
            second.wait_for_report(1, "state", state="RECONNECTING")
            second.wait_for_report(2, "state", state="AWAITING_AUTHENTICATION")
            first.close()
        for _, second in clients:
            second.wait_for_state("OPEN")
            self.assertLessEqual(second.states().count("RECONNECTING"), 2)
        self.assertLessEqual(server.log.count("INCOMING_CONNECTION"), 2 * len(clients) + 2 * len(clients))

    def test_kick(self) -> None:
        """
        The client of a user who is kicked comes back once, and is not closed again.
        """
        server = self.configured(QUICK_CLOSES, before=KICK)
        clients = [self.user(generation, server, "ann") for generation in GENERATIONS]
        for client, generation in zip(clients, GENERATIONS, strict=True):
            client.tolerate_error({"v2": "connectionError", "v7": "CONNECTION_ERROR"}[generation])
        os.kill(server.pid, signal.SIGRTMIN)
        server.wait_for_line("KICKED | ann (127.0.0.1, /deepstream", len(clients))
        for client in clients:
            client.wait_for_report(2, "state", state="OPEN")
            client.sleep(500)
            self.assertEqual(client.states().count("RECONNECTING"), 1)
            self.assertEqual(client.state, "OPEN")
        self.assertEqual(server.log.count("AUTH_SUCCESSFUL"), 2 * len(clients))

    def test_kick_for_good(self) -> None:
        """
        The client of a user who is kicked and may not log in any more is refused once, and stays so.
        """
        users = scratch_directory() / "users.yml"
        users.write_text("ann: {password: right}\nbob: {password: right}\n")
        config = f"{QUICK_CLOSES}auth: [{{type: file, options: {{path: {users}}}}}]"
        server = self.configured(config, before=KICK)
        clients = [self.client(generation, server) for generation in GENERATIONS]
        for client, generation in zip(clients, GENERATIONS, strict=True):
            client.tolerate_error({"v2": "connectionError", "v7": "CONNECTION_ERROR"}[generation])
            client.tolerate_error("REAUTHENTICATION_FAILURE")
            client.login({"username": "ann", "password": "right"})
        users.write_text("bob: {password: right}\n")
        os.kill(server.pid, signal.SIGHUP)
        server.wait_for_line("RELOAD | auth: 1 users")
        os.kill(server.pid, signal.SIGRTMIN)
        server.wait_for_line("AUTH_UNSUCCESSFUL", len(clients))
        for client in clients:
            client.sleep(500)
            client.wait_for_state("AWAITING_AUTHENTICATION")
            self.assertEqual(client.states().count("RECONNECTING"), 1)
        self.assertEqual(server.log.count("INCOMING_CONNECTION"), 2 * len(clients))

    def test_rates(self) -> None:
        """
        Clients that send too fast are slowed down, and lose nothing.
        """
        endpoint = "options: {maxMessageRate: 200, urlPath: /deepstream"
        server = self.configured(
            f"connectionEndpoints: [{{type: ws-binary, {endpoint}}}}}, {{type: ws-text, {endpoint}-v3}}}}]"
        )
        for generation in GENERATIONS:
            listener, talker = (self.logged_in(generation, server) for _ in range(2))
            name = self.name(generation)
            listener.subscribe(name)
            talker.burst(name, 500)
            listener.wait_for_values(name, 500)
            self.assertEqual(listener.values(name), [str(number) for number in range(500)])
        server.wait_for_line("LIMIT_EXCEEDED | maxMessageRate")

    def test_pace(self) -> None:
        """
        Connections that come too fast wait, and all of them come in.
        """
        server = self.configured("limits: {maxConnectionRate: 20}")
        plain = [socket.create_connection(("127.0.0.1", server.port), PATIENCE) for _ in range(60)]
        for each in plain:
            self.addCleanup(each.close)
            each.sendall((UPGRADE + "\r\n").encode())
        for each in plain:
            self.assertTrue(each.recv(65536).startswith(b"HTTP/1.1 101 "))
        server.wait_for_line("LIMIT_EXCEEDED | maxConnectionRate: more than 20 connections a second, new ones wait")
