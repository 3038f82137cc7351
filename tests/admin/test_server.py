"""
The socket of an administration, and its TCP endpoint.
"""

from __future__ import annotations

import os
import socket
import tempfile
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from dstwist.admin.commands import Command
from dstwist.admin.handler import routes
from dstwist.admin.server import MAX_PATH_BYTES, STOP_TIMEOUT, AdminServer, build_admin, socket_path
from dstwist.config.admin import AdminSettings
from dstwist.errors import ConfigError, StartError
from dstwist.interfaces import ILifecycle
from dstwist.node import Node
from dstwist.transports.http_routes import Table
from tests.admin.helpers import SOCKET, AdminTestCase, Operator
from tests.nodes.test_embedding import Taken

TOKEN = "a-token-of-some-length"


class PlaceTests(AdminTestCase):
    """
    Where the socket is.
    """

    def test_place(self) -> None:
        """
        It is in the data directory, unless the settings name another place, or switch it off.
        """
        for settings, data_dir, path in (
            (AdminSettings(), None, None),
            (AdminSettings(), "/data", "/data/admin.sock"),
            (AdminSettings(socket="/run/x"), "/data", "/run/x"),
            (AdminSettings(socket="/run/x"), None, "/run/x"),
            (AdminSettings(enabled=False), "/data", None),
            (AdminSettings(enabled=False, socket="/run/x"), "/data", None),
        ):
            self.assertEqual(socket_path(settings, data_dir), path)

    def test_none(self) -> None:
        """
        Without a data directory, and without settings, there is no administration.
        """
        self.assertIsNone(build_admin(AdminSettings(), None, [], self.reactor))
        self.assertIsNone(
            build_admin(AdminSettings(enabled=False, listen="tcp:1", token=TOKEN), "/data", [], self.reactor)
        )

    def test_interface(self) -> None:
        """
        L{AdminServer} provides L{ILifecycle}.
        """
        verifyObject(ILifecycle, build_admin(AdminSettings(), "/data", [], self.reactor))

    def test_mode(self) -> None:
        """
        Only the user of the server may open the socket; the log says where it is.
        """
        self.started()
        ((path, _, _, mode, _),) = self.reactor.unixServers
        self.assertEqual((path, mode), (SOCKET, 0o600))
        self.assertIn(f"INFO | administration ready: {SOCKET}", self.lines.of("info"))

    def test_too_long(self) -> None:
        """
        A path that is too long for a socket is named in the log, and the server runs without an administration.
        """
        path = "/" + "a" * MAX_PATH_BYTES
        self.started(admin={"socket": path})
        self.assertEqual(self.reactor.unixServers, [])
        problem = f"the path is longer than {MAX_PATH_BYTES} bytes; admin.socket can be a shorter one"
        self.assertIn(f"ADMIN | no administration at {path}: {problem}", self.lines.of("warn"))
        self.assertIn("INFO | administration ready: not served", self.lines.of("info"))


class StaleTests(AdminTestCase):
    """
    A file where the socket is to be.
    """

    def setUp(self) -> None:
        super().setUp()
        # The paths of trial are too long for sockets.
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "s")

    def test_stale(self) -> None:
        """
        The socket of a server that was killed is removed.
        """
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(self.path)
        self.started(admin={"socket": self.path})
        self.assertFalse(os.path.exists(self.path))
        self.assertEqual(len(self.reactor.unixServers), 1)

    def test_other_server(self) -> None:
        """
        That of a server that runs stays.
        """
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(self.path)
            other.listen(1)
            self.started(admin={"socket": self.path})
        self.assertTrue(os.path.exists(self.path))
        self.assertEqual(self.reactor.unixServers, [])
        self.assertIn("another server has its socket there", self.lines.of("warn")[0])

    def test_file(self) -> None:
        """
        So does a file that is no socket.
        """
        with open(self.path, "w", encoding="ascii") as file:
            file.write("data")
        self.started(admin={"socket": self.path})
        self.assertTrue(os.path.exists(self.path))
        self.assertIn("there is a file that is no socket", self.lines.of("warn")[0])

    def test_no_directory(self) -> None:
        """
        If the directory cannot be read, the log has the reason.
        """
        with open(self.path, "w", encoding="ascii"):
            pass
        self.started(admin={"socket": f"{self.path}/s"})
        self.assertIn("Not a directory", self.lines.of("warn")[0])


class EndpointTests(AdminTestCase):
    """
    The TCP endpoint.
    """

    def settings(self, **more: Any) -> dict[str, Any]:
        return {"listen": "tcp:6021:interface=127.0.0.1", "token": TOKEN, **more}

    def test_token(self) -> None:
        """
        Requests need the token there, but not at the socket.
        """
        self.started(admin=self.settings(socket=SOCKET))
        port = next(server for server in self.reactor.tcpServers if server[0] == 6021)
        for headers, expected in (
            ((), 401),
            (("Authorization: Bearer other",), 401),
            ((f"Authorization: Bearer {TOKEN}",), 200),
        ):
            operator = Operator(port[1])
            operator.send("GET", "/status", b"", *headers)
            reply = operator.reply()
            assert reply is not None
            self.assertEqual(reply.status, expected)
        self.assertEqual(self.get("status").status, 200)

    def test_taken(self) -> None:
        """
        If its port is taken, the server does not start.
        """
        server = AdminServer(AdminSettings(listen="tcp:6021", token=TOKEN), None, [], self.reactor)
        assert server._endpoint is not None
        server._endpoint[0]._endpoints[:] = [Taken()]
        self.assertIn("admin.listen: ", str(self.failureResultOf(server.start(), StartError).value))

    def test_invalid(self) -> None:
        """
        An invalid description is refused before anything is opened.
        """
        with self.assertRaisesRegex(ConfigError, "admin.listen"):
            Node.from_config({"admin": self.settings(listen="6021")}, reactor=self.reactor)


class StopTests(AdminTestCase):
    """
    The end of an administration.
    """

    def test_closed(self) -> None:
        """
        Connections that wait for their next request are dropped.
        """
        self.started()
        operator = self.begin("/status")
        self.assertFalse(operator.transport.aborted)
        stopped = self.nodes[0].stop()
        self.reactor.advance(0)
        self.successResultOf(stopped)
        self.assertTrue(operator.transport.aborted)

    def test_hanging(self) -> None:
        """
        A command that does not end delays the stop for a short time only.
        """
        node = self.started()
        never: list[Any] = []

        def hang(parameters: Any) -> Any:
            never.append(Deferred())
            return never[-1]

        self.reactor.unixServers[-1][1].resource.table = Table(routes([Command("hang", hang)]))
        operator = self.begin("/hang")
        operator.transport.abortConnection = (  # type: ignore[method-assign]
            lambda: operator.connection.connectionLost(Failure(ConnectionDone()))
        )
        stopped = node.stop()
        self.reactor.advance(0)
        self.assertNoResult(stopped)
        self.reactor.advance(STOP_TIMEOUT)
        self.reactor.advance(0)
        self.successResultOf(stopped)
