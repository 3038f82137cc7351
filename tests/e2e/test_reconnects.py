"""
Clients of both generations that are closed for what they do again as soon as they are back.

They do not look at close codes: whenever a socket had opened, they open the next one without any wait when it has gone.
How often they may is C{limits.closeDelay}, which is short here, so that the tests are.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.e2e.clients import Client
from tests.e2e.scenario import DEFAULT_PATHS, GENERATIONS, Scenario, scratch_directory
from tests.e2e.server import Server

#: Milliseconds.
DELAY = 750
WATCHED = 3000

LIMITS = f"limits: {{closeDelay: {DELAY}}}\n"

# What the server runs first: every login is followed by a close.
CLOSE_SOON = """
from dstwist.connections.connection import Connection
from twisted.internet import reactor
authenticated = Connection.authenticated
def authenticated_for_a_moment(self, user, login):
    authenticated(self, user, login)
    reactor.callLater(0.01, self.close, "go away")
Connection.authenticated = authenticated_for_a_moment
"""


class ReconnectCase(Scenario):
    """
    Servers of their own, with a configuration that a test writes.

    @ivar began: when the client began that is watched, by the monotonic clock.
    """

    began = 0.0

    def write(self, text: str) -> Path:
        self.config: Path = getattr(self, "config", scratch_directory() / "config.yml")
        self.config.write_text(LIMITS + text)
        return self.config

    def count(self, server: Server, event: str) -> int:
        return server.log.count(f"{event} |")

    def watch(self, client: Client, server: Server, event: str, least: int) -> None:
        """
        Let the client do what it does for a while. It may come once a delay, and once more before and after that;
        without a delay it comes hundreds of times.

        @param event: what the server logs each time.
        @param least: how often the client has to come.
        """
        for error in ("IS_CLOSED", "CONNECTION_ERROR", "HEARTBEAT_TIMEOUT", "connectionError"):
            client.tolerate_error(error)
        client.sleep(WATCHED)
        server.wait_for_line(f"{event} |", least)
        # On a busy machine all of that takes longer, and the client goes on coming.
        count = self.count(server, event)
        self.assertLessEqual(count, (time.monotonic() - self.began) * 1000 / DELAY + 2)

    def restart(self, server: Server, text: str) -> None:
        self.write(text)
        server.stop()
        server.start()


class MessageSizeTests(ReconnectCase):
    """
    Messages over C{maxMessageSize}.
    """

    def endpoints(self, size: int) -> str:
        return "connectionEndpoints:\n" + "".join(
            f"  - {{type: {kind}, options: {{urlPath: {path}, maxMessageSize: {size}}}}}\n"
            for kind, path in (("ws-text", DEFAULT_PATHS["v2"]), ("ws-binary", DEFAULT_PATHS["v7"]))
        )

    def test_large_record(self) -> None:
        """
        A client that writes too large a record, and with v7 does so each time it is back, logs in a few times only.
        When the limit is raised, what it has written arrives.
        """
        value = '{"a":"%s"}' % ("x" * 50000)
        for generation in GENERATIONS:
            with self.subTest(generation):
                server = self.own_server(self.write(self.endpoints(20000)))
                self.began = time.monotonic()
                client = self.logged_in(generation, server)
                client.tolerate_error("connectionError")
                name = self.name("large")
                client.do("open", "large", "Record", name)
                client.do("ready", "large")
                client.do("set", "large", None, value)
                self.watch(client, server, "AUTH_SUCCESSFUL", 2)
                server.wait_for_line("exceeds payload limit of 20000 octets")
                self.restart(server, self.endpoints(1000000))
                client.wait_for_state("OPEN")
                if generation == "v7":
                    reader = self.logged_in("v7", server)
                    reader.do("open", "large", "Record", name)
                    reader.do("until", "large", None, value)


class CloseTests(ReconnectCase):
    """
    Whatever the server closes a connection for.
    """

    def test_closed_after_login(self) -> None:
        """
        A client that is closed as soon as it has logged in, whyever, comes back in no time, but a few times only.
        """
        for generation in GENERATIONS:
            with self.subTest(generation):
                server = Server(None, self.write(""), before=CLOSE_SOON)
                self._own_servers.append(server)
                server.start()
                self.began = time.monotonic()
                client = self.client(generation, server)
                client.do("login", {})
                self.watch(client, server, "AUTH_SUCCESSFUL", 2)


class WrongPathTests(ReconnectCase):
    """
    Clients on the path of the other generation.
    """

    def endpoints(self, *kinds: str, path: str) -> str:
        return "connectionEndpoints:\n" + "".join(
            f"  - {{type: {kind}, options: {{urlPath: {path}}}}}\n" for kind in kinds
        )

    def check(self, generation: str, kind: str, line: str, **options: Any) -> None:
        server = self.own_server(self.write(self.endpoints(kind, path="/here")))
        self.began = time.monotonic()
        client = self.client(generation, server, "/here", **options)
        client.do("login", {})
        self.watch(client, server, "INCOMING_CONNECTION", 1)
        server.wait_for_line(line)
        self.restart(server, self.endpoints("ws-text", "ws-binary", path="/here"))
        client.wait_for_state("OPEN")

    def test_v7_on_text(self) -> None:
        """
        A client of v7 where text is spoken comes a few times only, and the log says what it is. When the path has both
        types, the client is served.
        """
        self.check("v7", "ws-text", "sends binary frames, as clients of v4 and later do, to /here")

    def test_v2_on_binary(self) -> None:
        """
        A client of v2 where v4+ is spoken waits for the server, and leaves when it has heard no heartbeat; then the log
        says what it may be.
        """
        self.check(
            "v2", "ws-binary", "on /here, which is of type ws-binary; if it is a client of v2", heartbeatInterval=600
        )
