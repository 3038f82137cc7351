"""
Logging in by file, web service and token, and as a user of the storage, with the official clients of both generations.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from jwt import encode

from tests.e2e.clients import Client
from tests.e2e.scenario import DEFAULT_PATHS, GENERATIONS, Scenario, certificates, scratch_directory
from tests.e2e.server import CHECKOUT, Server

SHIPPED = CHECKOUT / "etc" / "dstwist"
SECRET = "a secret of at least thirty-two bytes"

#: What the v7 client makes of a refusal without data, and what v2 does.
NO_REASON = {"v7": '{"reason":"INVALID_AUTHENTICATION_DETAILS"}', "v2": "undefined"}


def refusal(generation: str, data: str) -> str:
    """
    What a client reports of a refusal with data.
    """
    return f'{{"reason":{data}}}' if generation == "v7" else data


class AuthScenario(Scenario):
    """
    A test with logins that may fail.
    """

    def attempt(self, client: Client, **credentials: Any) -> tuple[bool, str]:
        """
        The answer to a login: whether it was successful, and with what data.
        """
        before = len(client.filter("login"))
        client.start_login(credentials)
        client.wait_for_report(before + 1, "login")
        report = client.filter("login")[-1]
        return report["success"], report["data"]

    def exhaust(self, generation: str, server: Server, **credentials: Any) -> None:
        """
        Log in as often as the server lets a client try.
        """
        client = self.client(generation, server)
        for _ in range(2):
            self.assertEqual(self.attempt(client, **credentials)[0], False)
        client.start_login(credentials)
        client.wait_for_state({"v2": "CLOSED", "v7": "TOO_MANY_AUTH_ATTEMPTS"}[generation])
        client.wait_for_report(3, "login", success=False)
        if generation == "v2":
            client.wait_for_report(1, "login", data='"too many authentication attempts"')
        else:
            client.expect_error("TOO_MANY_AUTH_ATTEMPTS", "AUTH")
        self.assertNotIn("RECONNECTING", client.states())


@cache
def file_config() -> Path:
    """
    The users that are shipped, and one that C{dstwist hash} has made.
    """
    directory = scratch_directory()
    hashed = subprocess.run(
        [sys.executable, "-m", "dstwist.cli.main", "hash"],
        input="héllo\n",
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
        cwd=CHECKOUT,
    )
    users = (SHIPPED / "users.yml").read_text(encoding="utf-8")
    (directory / "users.yml").write_text(f"{users}\nnew:\n  {hashed.stdout}", encoding="utf-8")
    config = directory / "config.yml"
    config.write_text(
        "limits: {closeDelay: 50}\nauth:\n  - type: file\n    options:\n      users: fileLoad(users.yml)\n"
        "      hash: sha512\n      iterations: 210000\n      keyLength: 32\n"
    )
    return config


class FileTests(AuthScenario):
    """
    C{type: file}.
    """

    def test_login(self) -> None:
        """
        The shipped user logs in, in both generations, and gets its clientData; nothing of it is in the log.
        """
        server = self.server(config=file_config())
        for generation in GENERATIONS:
            client = self.client(generation, server)
            answer = self.attempt(client, username="userA", password="password")
            self.assertEqual(answer, (True, '{"favouriteColor":"red"}'))
            client.wait_for_state("OPEN")
        self.assertNotIn('"password"', server.log)

    def test_removed(self) -> None:
        """
        A user who is taken out of the file is sent away and does not come back, without a signal; others stay.
        """
        directory = scratch_directory()
        users, config = directory / "users.yml", directory / "config.yml"
        entries = "".join(f"{name}: {{password: secret}}\n" for name in ("ann", "bob"))
        users.write_text(entries)
        options = "{users: fileLoad(users.yml), reloadInterval: 100, closeRemovedUsers: true}"
        config.write_text(f"auth: [{{type: file, options: {options}}}]\nlimits: {{closeDelay: 0}}\n")
        server = self.own_server(config=config)
        clients = {}
        for generation in GENERATIONS:
            for name in ("ann", "bob"):
                client = clients[generation, name] = self.client(generation, server)
                self.assertTrue(self.attempt(client, username=name, password="secret")[0])
        new = directory / "users.new"
        new.write_text("ann: {password: secret}\n")
        new.replace(users)
        server.wait_for_line("RELOAD | auth: 1 users; removed: bob, 2 connections are closed")
        server.wait_for_line("KICKED | bob (127.0.0.1, /deepstream", len(GENERATIONS))
        server.wait_for_line("AUTH_UNSUCCESSFUL | invalid authentication data from bob (", len(GENERATIONS))
        for generation in GENERATIONS:
            kind = {"v2": "login", "v7": "reauthenticationFailure"}[generation]
            clients[generation, "bob"].wait_for_report(1 + (kind == "login"), kind)
            self.assertEqual(clients[generation, "ann"].states()[-1], "OPEN")

    def test_hash_command(self) -> None:
        """
        So does a user whose password C{dstwist hash} has hashed; without clientData the client gets null.
        """
        for generation in GENERATIONS:
            client = self.client(generation, self.server(config=file_config()))
            self.assertEqual(self.attempt(client, username="new", password="héllo"), (True, "null"))

    def test_refused(self) -> None:
        """
        Wrong passwords and unknown users are refused without a reason, what is missing is told; then it may be tried
        again. None of it is in the log.
        """
        server = self.server(config=file_config())
        missing = '{"error":"missing authentication parameter: username or/and password"}'
        for generation in GENERATIONS:
            for credentials, data in (
                ({"username": "userA", "password": "h1dden"}, NO_REASON[generation]),
                ({"username": "constructor", "password": "h1dden"}, NO_REASON[generation]),
                ({"username": "userA"}, refusal(generation, missing)),
            ):
                client = self.client(generation, server)
                self.assertEqual(self.attempt(client, **credentials), (False, data))
                self.assertTrue(self.attempt(client, username="userA", password="password")[0])
        self.assertNotIn("h1dden", server.log)

    def test_second_thoughts(self) -> None:
        """
        A user who has mistyped the password has the whole C{unauthenticatedClientTimeout} again to think of the right
        one, each time. A user who does not come back is disconnected.
        """
        config = scratch_directory() / "config.yml"
        times = "unauthenticatedClientTimeout: 5000, maxAuthAttempts: 10"
        endpoints = ", ".join(
            f"{{type: {kind}, options: {{urlPath: {DEFAULT_PATHS[generation]}, {times}}}}}"
            for kind, generation in (("ws-binary", "v7"), ("ws-text", "v2"))
        )
        config.write_text(
            "limits: {closeDelay: 50}\n"
            "auth: [{type: file, options: {users: {ann: {password: right}}}}]\n"
            f"connectionEndpoints: [{endpoints}]\n"
        )
        server = self.own_server(config)
        clients = [self.client(generation, server) for generation in GENERATIONS]
        for _ in range(6):
            for client in clients:
                self.assertFalse(self.attempt(client, username="ann", password="wrong")[0])
            # That is more than the time in all, and much less each time.
            clients[0].sleep(900)
        for client in clients:
            self.assertTrue(self.attempt(client, username="ann", password="right")[0])
            self.assertNotIn("RECONNECTING", client.states())
        late = [self.client(generation, server) for generation in GENERATIONS]
        for client in late:
            self.assertFalse(self.attempt(client, username="ann", password="wrong")[0])
        for generation, client in zip(GENERATIONS, late, strict=True):
            client.expect_error({"v2": "CONNECTION_AUTHENTICATION_TIMEOUT", "v7": "AUTHENTICATION_TIMEOUT"}[generation])

    def test_too_many_attempts(self) -> None:
        """
        After three failures the client is told, cut off, and stays away.
        """
        for generation in GENERATIONS:
            self.exhaust(generation, self.server(config=file_config()), username="userA", password="wrong")


class Hook(ThreadingHTTPServer):
    """
    A web service that decides about logins.

    @ivar decide: from what it was asked to status, media type and body.
    @ivar asked: all it was asked.
    @ivar keep_alive: whether a connection may be used more than once.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _HookHandler)
        self.decide: Callable[[Any], tuple[int, str, str]] = lambda _: (200, "text/plain", "somebody")
        self.asked: list[Any] = []
        self.keep_alive = True
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/login"


class _HookHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        hook = self.server
        assert isinstance(hook, Hook)
        question = json.loads(self.rfile.read(int(self.headers["content-length"])))
        question["token"] = self.headers["token"]
        hook.asked.append(question)
        status, kind, body = hook.decide(question)
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("connection", "keep-alive" if hook.keep_alive else "close")
        self.send_header("content-length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


def hook_config(hook: Hook) -> Path:
    """
    The configuration of a server that asks C{hook}.
    """
    config = scratch_directory() / "config.yml"
    config.write_text(
        f"auth:\n  - type: http\n    options:\n      endpointUrl: {hook.url}\n"
        "      permittedStatusCodes: [200]\n      requestTimeout: 30000\n      promoteToHeader: [token]\n"
        "      retryAttempts: 1\n      retryInterval: 50\n      retryStatusCodes: [503]\n"
        "limits: {closeDelay: 50}\n"
    )
    return config


@cache
def shared_hook() -> tuple[Hook, Path]:
    """
    A web service that tests share, and the configuration of the server that asks it.
    """
    hook = Hook()
    return hook, hook_config(hook)


class WebhookTests(AuthScenario):
    """
    C{type: http}.
    """

    def setUp(self) -> None:
        super().setUp()
        self.hook, config = shared_hook()
        self.hook.asked.clear()
        self.at = self.server(config=config)
        self.logged = len(self.at.log.splitlines())

    def log(self) -> str:
        """
        The lines that the server has logged in this test.
        """
        return "\n".join(self.at.log.splitlines()[self.logged :])

    def decide(self, question: Any) -> tuple[int, str, str]:
        data = question["authData"]
        if data.get("password") != "secret":
            return 401, "application/json", '{"why":"wrong"}'
        answer = {"id": data["username"], "clientData": {"theme": "pink"}, "serverData": {"role": "admin"}}
        return 200, "application/json", json.dumps(answer)

    def test_odd_answers(self) -> None:
        """
        The callback of a login hears of it, whatever the service answers, and the log says what it was taken for.
        """
        for body, accepted in (
            ("", True),
            ("null", True),
            ("true", True),
            ("[1]", True),
            ("false", False),
            ('{"id":["chris"]}', False),
            ('{"id":true}', False),
        ):
            self.hook.decide = lambda _, body=body: (200, "application/json", body)  # type: ignore[misc]
            for generation in GENERATIONS:
                client = self.client(generation, self.at)
                self.assertEqual(self.attempt(client, username="chris")[0], accepted, body)
        for line in ("its body is a list: accepted as OPEN", "but its body is false", "but its user id is a list"):
            self.at.wait_for_line(line, len(GENERATIONS))

    def test_login(self) -> None:
        """
        Whom the service accepts is let in with the clientData it gave. It was asked with what the client sent, the
        promoted header, and what is known about the connection.
        """
        self.hook.decide = self.decide
        for generation in GENERATIONS:
            client = self.client(generation, self.at)
            answer = self.attempt(client, username="chris", password="secret", token="abc")
            self.assertEqual(answer, (True, '{"theme":"pink"}'))
            client.wait_for_state("OPEN")
            question = self.hook.asked.pop()
            self.assertEqual(question["authData"], {"username": "chris", "password": "secret", "token": "abc"})
            self.assertEqual(question["connectionData"]["remoteAddress"], "127.0.0.1")
            self.assertIn("sec-websocket-key", question["connectionData"]["headers"])
            self.assertEqual(question["token"], "abc")
        self.assertNotIn("secret", self.log())

    def test_refused(self) -> None:
        """
        Whom it refuses gets what it said about it, and may try again.
        """
        self.hook.decide = self.decide
        for generation in GENERATIONS:
            client = self.client(generation, self.at)
            answer = self.attempt(client, username="chris", password="h1dden")
            self.assertEqual(answer, (False, refusal(generation, '{"why":"wrong"}')))
            self.assertTrue(self.attempt(client, username="chris", password="secret")[0])
        self.assertNotIn("h1dden", self.log())

    def test_too_many_attempts(self) -> None:
        """
        After three refusals the client is told, cut off, and stays away; the service was asked three times.
        """
        self.hook.decide = self.decide
        for generation in GENERATIONS:
            self.hook.asked.clear()
            self.exhaust(generation, self.at, username="chris", password="wrong")
            self.assertEqual(len(self.hook.asked), 3)

    def test_trouble(self) -> None:
        """
        A login page, a service that is busy, and none at all let nobody in; the client is told why where there is a
        reason, and the server stays.
        """
        exceeded = '{"error":"AUTH_RETRY_ATTEMPTS_EXCEEDED"}'
        # This one ends.
        self.hook = Hook()
        self.at = self.own_server(hook_config(self.hook))
        clients = {generation: self.client(generation, self.at, "") for generation in ("v7",)}
        clients["v2"] = self.client("v2", self.at)
        self.hook.decide = lambda _: (200, "text/html", "<p>Please log in</p>")
        for generation, client in clients.items():
            self.assertEqual(self.attempt(client), (False, NO_REASON[generation]))
        self.hook.asked.clear()
        self.hook.keep_alive = False
        self.hook.decide = lambda _: (503, "text/plain", "busy")
        self.assertEqual(self.attempt(clients["v2"]), (False, exceeded))
        self.assertEqual(len(self.hook.asked), 2)
        self.hook.close()
        self.assertEqual(self.attempt(clients["v7"]), (False, refusal("v7", exceeded)))
        self.at.wait_for_line("http auth error: ")


class SecureWebhookTests(AuthScenario):
    """
    C{type: http}, by https.
    """

    def test_certificate(self) -> None:
        """
        A service with a certificate from an unknown authority is not asked. With an authority that the system trusts,
        here by SSL_CERT_FILE, it is.
        """
        made = certificates()
        hook = Hook()
        self.addCleanup(hook.close)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made.chain, made.key)
        hook.socket = context.wrap_socket(hook.socket, server_side=True)
        config = scratch_directory() / "config.yml"
        config.write_text(
            f"auth:\n  - type: http\n    options:\n      endpointUrl: {hook.url.replace('http:', 'https:')}\n"
            "      permittedStatusCodes: [200]\n      requestTimeout: 30000\n"
        )
        client = self.client("v7", self.own_server(config))
        exceeded = '{"error":"AUTH_RETRY_ATTEMPTS_EXCEEDED"}'
        self.assertEqual(self.attempt(client), (False, refusal("v7", exceeded)))
        self.assertEqual(hook.asked, [])
        self.patch(os, "environ", {**os.environ, "SSL_CERT_FILE": str(made.authority)})
        client = self.client("v7", self.own_server(config))
        self.assertEqual(self.attempt(client), (True, "null"))
        self.assertEqual(len(hook.asked), 1)


class TokenTests(AuthScenario):
    """
    C{type: jwt}.
    """

    def test_expiry(self) -> None:
        """
        A token lets a client in until it expires. Then the connection is closed; the client comes back with the same
        token, and is told that it has expired.
        """
        config = scratch_directory() / "config.yml"
        options = f"{{secret: {SECRET}, algorithms: [HS256], leeway: 0, clientDataClaim: profile}}"
        config.write_text(f"auth:\n  - {{type: jwt, options: {options}}}\n")
        server = self.server(config=config)
        clients = [self.client(generation, server) for generation in GENERATIONS]
        claims = {"sub": "chris", "profile": {"a": 1}}
        wrong = encode({**claims, "exp": time.time() + 600}, SECRET, algorithm="HS256") + "x"
        tokens = []
        for client in clients:
            self.assertEqual(self.attempt(client, token=wrong)[0], False)
            # Time enough for one login on a busy machine.
            token = encode({**claims, "exp": time.time() + 4}, SECRET, algorithm="HS256")
            tokens.append(token)
            self.assertEqual(self.attempt(client, token=token), (True, '{"a":1}'))
            client.wait_for_state("OPEN")
        server.wait_for_line("AUTH_EXPIRED | the login of chris (127.0.0.1, /", len(clients))
        for generation, client in zip(GENERATIONS, clients, strict=True):
            if generation == "v2":
                client.wait_for_report(1, "login", success=False, data='{"error":"token expired"}')
            else:
                client.wait_for_report(1, "reauthenticationFailure", reason={"reason": {"error": "token expired"}})
        for token in tokens:
            self.assertNotIn(token, server.log)


class StorageTests(AuthScenario):
    """
    C{type: storage}.
    """

    def test_created(self) -> None:
        """
        Who logs in first makes the user; from then on, also after a restart, only the same password will do.
        """
        directory = scratch_directory()
        config = directory / "config.yml"
        config.write_text("auth:\n  - {type: storage, options: {table: users, createUser: true}}\n")
        server = self.own_server(config, directory)
        ids = set()
        for generation in GENERATIONS:
            client = self.client(generation, server)
            success, data = self.attempt(client, username="chris", password="secret")
            self.assertTrue(success)
            ids.add(json.loads(data)["id"])
            client.close()
            server.stop()
            server.start()
            client = self.client(generation, server)
            self.assertEqual(self.attempt(client, username="chris", password="wrong"), (False, NO_REASON[generation]))
            client.close()
        self.assertEqual(len(ids), 1)
