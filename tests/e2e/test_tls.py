"""
TLS, as clients, openssl and operators see it: real sockets, real files, a server that is told to read them again.
"""

from __future__ import annotations

import atexit
import shutil
import socket
import ssl
import subprocess
from functools import cache
from typing import Any

from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message
from tests.e2e.certificates import Authority, Certificates, pem_of
from tests.e2e.clients import Client
from tests.e2e.raw import RawClient
from tests.e2e.scenario import GENERATIONS, Scenario, certificates, scratch_directory
from tests.e2e.server import PATIENCE, Server

#: Who may log in with a certificate.
_BY_CERTIFICATE = "auth: [{type: certificate}]\n"


class TlsScenario(Scenario):
    """
    Servers with TLS of their own.
    """

    def secured(self, files: Certificates | None = None, tls: str = "", config: str | None = None) -> Server:
        path = None
        if config is not None:
            path = scratch_directory() / "config.yml"
            path.write_text(config)
        server = Server(files or certificates(), path, tls=tls)
        self._own_servers.append(server)
        server.start()
        self.servers.append(server)
        return server

    def trusting(self, files: Certificates) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(files.authority))


class ClientTests(TlsScenario):
    """
    The official clients of both generations.
    """

    def setUp(self) -> None:
        super().setUp()
        self.directory = scratch_directory()
        self.authority = Authority("clients")
        (self.directory / "clients.pem").write_text(self.authority.pem)
        self.asking = f":requestCert=true:clientCa={self.directory}/clients.pem"

    def with_certificate(self, generation: str, server: Server, own: tuple[Any, Any] | None, **options: Any) -> Client:
        """
        A client that shows a certificate, if it has one.
        """
        tls = {"ca": certificates().authority.read_text()}
        if own is not None:
            tls |= {"cert": pem_of(own[0]), "key": pem_of(own[1])}
        given: dict[str, Any] = {{"v2": "nodeSocketOptions", "v7": "socketOptions"}[generation]: tls, **options}
        return self.client(generation, server, **given)

    def test_certificate(self) -> None:
        """
        A client with a certificate of the authority is the user that it names; presence tells the others.
        """
        server = self.secured(tls=self.asking, config=_BY_CERTIFICATE)
        for generation in GENERATIONS:
            client = self.with_certificate(
                generation, server, self.authority.issue(f"ann-{generation}", (), client=True)
            )
            client.login({})
            self.assertEqual(client.state, "OPEN")
            server.wait_for_line(f"AUTH_SUCCESSFUL | ann-{generation}")

    def test_refused(self) -> None:
        """
        Without a certificate, and with one of somebody else, the connection does not come about.
        """
        server = self.secured(tls=self.asking, config=_BY_CERTIFICATE)
        for generation in GENERATIONS:
            for own in (None, Authority("clients").issue("ann", (), client=True)):
                client = self.with_certificate(generation, server, own, maxReconnectAttempts=1)
                client.expect_error({"v2": "connectionError", "v7": "CONNECTION_ERROR"}[generation])
                self.close_for_good(client)
        self.assertNotIn("INCOMING_CONNECTION", server.log)

    def close_for_good(self, client: Client) -> None:
        """
        v7 stays CLOSING if there was no connection that could be closed.
        """
        client.driver.call(client.name, "close")

    def test_optional(self) -> None:
        """
        With rejectUnauthorized false, a client without a certificate may log in otherwise.
        """
        users = "users: {bob: {password: secret}}"
        config = f"auth: [{{type: certificate}}, {{type: file, options: {{{users}}}}}]\n"
        server = self.secured(tls=self.asking + ":rejectUnauthorized=false", config=config)
        for generation in GENERATIONS:
            client = self.with_certificate(generation, server, None)
            client.login({"username": "bob", "password": "secret"})
            self.assertEqual(client.state, "OPEN")


class RotationTests(TlsScenario):
    """
    New certificates under open connections.
    """

    count = 100

    def setUp(self) -> None:
        super().setUp()
        self.directory = scratch_directory()
        self.authority = Authority()
        self.files = self.authority.write(self.directory)

    def check_rotation(self, server: Server, rotate: Any) -> None:
        context = self.trusting(self.files)
        clients = [
            RawClient(server.port, GENERATIONS_RAW[number % 2], f"u{number}", context) for number in range(self.count)
        ]
        for client in clients:
            self.addCleanup(client.close)
            client.say(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("news",), correlation_id="1"))
            client.hear()
        before = clients[0].certificate
        rotate()
        late = RawClient(server.port, "v4", "late", context)
        self.addCleanup(late.close)
        self.assertNotEqual(late.certificate, before)
        self.assertEqual(late.certificate, ssl.PEM_cert_to_DER_cert(self.files.chain.read_text()))
        late.say(Message(Topic.EVENT, EventAction.EMIT, "news", b'"rotated"'))
        for client in clients:
            (heard,) = client.hear()
            self.assertEqual((heard.name, heard.action), ("news", EventAction.EMIT))
        self.assertNotIn("CLIENT_DISCONNECTED", server.log)

    def test_sighup(self) -> None:
        """
        After SIGHUP new connections get the new certificate, and none of a hundred open ones is dropped.
        """
        server = self.secured(self.files, ":reloadInterval=false")

        def rotate() -> None:
            self.authority.write(self.directory)
            server.reload()
            server.wait_for_line("RELOAD | certificate: serving CN=localhost")

        self.check_rotation(server, rotate)

    def test_changed_files(self) -> None:
        """
        Without a word the same happens when the files have changed.
        """
        server = self.secured(self.files, ":reloadInterval=300")

        def rotate() -> None:
            # Between the two the server must not look twice.
            made = self.authority.write(scratch_directory())
            made.key.replace(self.files.key)
            made.chain.replace(self.files.chain)
            server.wait_for_line("the files have changed, now serving CN=localhost")

        self.check_rotation(server, rotate)

    def test_broken(self) -> None:
        """
        A key that does not belong to the certificate leaves the old pair in force, and the log says why.
        """
        server = self.secured(self.files, ":reloadInterval=false")
        context = self.trusting(self.files)
        before = RawClient(server.port, "v4", "ann", context)
        self.addCleanup(before.close)
        self.authority.write(scratch_directory()).key.replace(self.files.key)
        server.reload()
        server.wait_for_line("RELOAD | certificate not reloaded, what was in force stays")
        self.assertIn("key and cert do not belong together", server.take_trouble()[0])
        after = RawClient(server.port, "v4", "bob", context)
        self.addCleanup(after.close)
        self.assertEqual(after.certificate, before.certificate)

    def test_users(self) -> None:
        """
        SIGHUP reads users.yml again: who is new can log in, whoever is connected stays; a broken file changes nothing.
        """
        directory = scratch_directory()
        users = directory / "users.yml"
        users.write_text("ann: {password: old}\n")
        (directory / "config.yml").write_text("auth: [{type: file, options: {users: fileLoad(users.yml)}}]\n")
        server = self.own_server(config=directory / "config.yml")
        ann = self.client("v7", server)
        ann.login({"username": "ann", "password": "old"})
        users.write_text("bob: {password: new}\n")
        server.reload()
        server.wait_for_line("RELOAD | auth: 1 users")
        bob = self.client("v7", server)
        bob.login({"username": "bob", "password": "new"})
        self.assertEqual((ann.state, bob.state), ("OPEN", "OPEN"))
        users.write_text("bob: {pasword: newer}\n")
        server.reload()
        server.wait_for_line("RELOAD | the configuration not reloaded, what was in force stays")
        self.assertIn("auth[0].options.users.bob.password: missing password", server.take_trouble()[0])
        again = self.client("v2", server)
        again.login({"username": "bob", "password": "new"})
        self.assertEqual(again.state, "OPEN")


#: As L{RawClient} calls them.
GENERATIONS_RAW = ("v3", "v4")


@cache
def _chained_server() -> tuple[Certificates, Server]:
    """
    A server for all tests with openssl; a certificate stands between its own and that of the authority.
    """
    files = Authority("middle", Authority("root")).write(scratch_directory())
    server = Server(files)
    atexit.register(server.kill)
    return files, server


class OpenSslTests(TlsScenario):
    """
    What C{openssl s_client} finds.
    """

    def setUp(self) -> None:
        super().setUp()
        program = shutil.which("openssl")
        assert program is not None, "openssl is missing. Run: make test (it installs what the tests need)"
        self.program = program
        self.files, self.at = _chained_server()
        if not self.at.running:
            self.at.start()
        self.servers.append(self.at)

    def s_client(self, *words: str, say: bytes = b"Q\n") -> str:
        command = [
            self.program,
            "s_client",
            "-connect",
            f"127.0.0.1:{self.at.port}",
            "-CAfile",
            str(self.files.authority),
        ]
        done = subprocess.run([*command, *words], input=say, capture_output=True, timeout=PATIENCE)
        return (done.stdout + done.stderr).decode("utf-8", "replace")

    def test_versions(self) -> None:
        """
        TLS 1.2 and 1.3 are accepted, 1.0 and 1.1 refused by the server.
        """
        for version, name in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
            self.assertIn(f"New, {name}, Cipher is ", self.s_client(version))
        for version in ("-tls1", "-tls1_1"):
            said = self.s_client(version, "-cipher", "ALL:@SECLEVEL=0")
            self.assertIn("New, (NONE), Cipher is (NONE)", said)
            self.assertIn("alert protocol version", said)

    def test_chain(self) -> None:
        """
        The chain is complete: it verifies with nothing but the root at hand.
        """
        said = self.s_client("-verify_hostname", "localhost", "-verify_return_error")
        self.assertIn("Verify return code: 0 (ok)", said)
        self.assertIn("Verified peername: localhost", said)
        self.assertRegex(said, r"s:CN = localhost(.|\n)*i:CN = middle(.|\n)*s:CN = middle(.|\n)*i:CN = root")

    def test_weak_ciphers(self) -> None:
        """
        Neither ciphers without forward secrecy nor those of old are accepted.
        """
        for cipher in ("AES128-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "AECDH-NULL-SHA"):
            self.assertIn("Cipher is (NONE)", self.s_client("-tls1_2", "-cipher", cipher + ":@SECLEVEL=0"), cipher)

    def test_renegotiation(self) -> None:
        """
        A client that renegotiates in the middle of a connection gets nowhere.
        """
        said = self.s_client("-tls1_2", "-legacy_renegotiation", say=b"R\nGET /health-check HTTP/1.1\r\n\r\n")
        self.assertIn("RENEGOTIATING", said)
        self.assertRegex(said, "no renegotiation|alert")

    def test_plain_text(self) -> None:
        """
        Who speaks no TLS on a TLS port is cut off, and no line but one is logged.
        """
        with socket.create_connection(("127.0.0.1", self.at.port), PATIENCE) as plain:
            plain.sendall(b"GET /deepstream HTTP/1.1\r\n\r\n")
            while plain.recv(4096):
                pass
        self.assertIn("Cipher is", self.s_client())
