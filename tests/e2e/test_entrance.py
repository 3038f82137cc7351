"""
Between an open port and a connection: proxies, origins, and limits, over real sockets and with the official clients.
"""

from __future__ import annotations

import socket
import ssl

from tests.e2e.raw import RawClient
from tests.e2e.scenario import GENERATIONS, Scenario, certificates, scratch_directory
from tests.e2e.server import PATIENCE, Server

UPGRADE = (
    "GET /deepstream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


class EntranceScenario(Scenario):
    """
    Servers with a configuration of their own, and sockets.
    """

    def configured(self, config: str, prefix: str = "", tls: bool = False) -> Server:
        path = scratch_directory() / "config.yml"
        path.write_text(config)
        server = Server(certificates() if tls else None, path, prefix=prefix)
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


class ProxyTests(EntranceScenario):
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
            server.wait_for_line(f"INCOMING_CONNECTION | from no page ({client})")

    def test_proxy_protocol(self) -> None:
        """
        With haproxy: before the endpoint, the PROXY header says who the client is, in both of its versions; who sends
        none is cut off.
        """
        server = self.configured("", prefix="haproxy:")
        status, _, _ = self.ask(server, before=b"PROXY TCP4 203.0.113.7 192.0.2.1 50000 6020\r\n")
        self.assertEqual(status, 101)
        server.wait_for_line("INCOMING_CONNECTION | from no page (203.0.113.7)")
        second = (
            b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"
            + socket.inet_aton("203.0.113.8")
            + socket.inet_aton("192.0.2.1")
            + b"\xc3\x50\x17\x84"
        )
        self.assertEqual(self.ask(server, before=second)[0], 101)
        server.wait_for_line("INCOMING_CONNECTION | from no page (203.0.113.8)")
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
                server.wait_for_line("INCOMING_CONNECTION | from no page (203.0.113.7)")


class OriginTests(EntranceScenario):
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


class LimitTests(EntranceScenario):
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
            "limits: {maxFailedLoginsPerAddress: 2, failedLoginWindow: 3000}\n"
            "auth: [{type: file, options: {users: {ann: {password: right}}}}]\n"
        )
        client = self.client("v2", server)
        for number in (1, 2):
            client.start_login({"username": "ann", "password": "wrong"})
            client.wait_for_report(number, "login", success=False)
        late = [self.client(generation, server) for generation in GENERATIONS]
        for one in late:
            one.tolerate_error({"v2": "connectionError", "v7": "CONNECTION_ERROR"}[one.driver.generation])
            one.start_login({"username": "ann", "password": "right"})
        server.wait_for_line("LIMIT_EXCEEDED | maxFailedLoginsPerAddress: 127.0.0.1 refused")
        for one in late:
            one.wait_for_report(1, "login", success=True)
            self.assertIn("RECONNECTING", one.states())

    def test_connections_of_a_user(self) -> None:
        """
        A user with all his connections is refused one more, with the reason.
        """
        server = self.configured("limits: {maxConnectionsPerUser: 1}")
        for generation in GENERATIONS:
            name = f"ann-{generation}"
            self.user(generation, server, name)
            client = self.client(generation, server)
            client.start_login({"username": name})
            client.wait_for_report(1, "login", success=False)
            (report,) = client.filter("login")
            self.assertIn("there are 1 connections of this user already", report["data"])

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
