"""
The Redis servers that tests start.
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.e2e.certificates import make_certificates
from tests.redis_server import RedisError, RedisServer, encode, start_in_thread


class RedisServerTests(SynchronousTestCase):
    """
    L{RedisServer}, with what it can be told.
    """

    def server(self, **options: Any) -> RedisServer:
        server = RedisServer(**options)
        self.addCleanup(server.destroy)
        server.start()
        return server

    def test_commands(self) -> None:
        """
        It answers commands with all kinds of replies; an error is raised.
        """
        server = self.server()
        self.assertEqual(server.command("SET", "ключ", b"\x00\r\n"), b"OK")
        self.assertEqual(server.contents(), {"ключ": b"\x00\r\n"})
        self.assertEqual(server.command("EVAL", "return {1, 'a', {}, false}", 0), [1, b"a", [], None])
        self.assertEqual(server.commands(("INCR", "n"), ("INCR", "n")), [1, 2])
        self.assertRaises(RedisError, server.command, "NONSENSE")

    def test_kill(self) -> None:
        """
        A durable server has its data after SIGKILL; any other one, and a durable one that starts empty, has not.
        """
        for durable in (True, False):
            server = self.server(durable=durable)
            server.command("SET", "a", 1)
            server.kill()
            self.assertFalse(server.running)
            self.assertRaises(OSError, server.command, "GET", "a")
            server.start()
            self.assertEqual(server.contents(), {"a": b"1"} if durable else {})
            server.command("SET", "b", 1)
            server.restart(empty=True)
            self.assertEqual(server.contents(), {})

    def test_pause(self) -> None:
        """
        A paused server takes connections and answers nothing until it is resumed.
        """
        server = self.server()
        server.pause()
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.settimeout(0.05)
            connection.sendall(encode(["PING"]))
            self.assertRaises(TimeoutError, connection.recv, 100)
            server.resume()
            connection.settimeout(20)
            self.assertEqual(connection.recv(100), b"+PONG\r\n")
        server.pause()
        server.stop()

    def test_logins(self) -> None:
        """
        With a password or an ACL file, other connections have to log in.
        """
        users = ["user default off", "user ann on >secret ~* +@all"]
        for options, login in (({"password": "secret"}, ["secret"]), ({"users": users}, ["ann", "secret"])):
            server = self.server(**options)
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                for words, reply in ((["PING"], b"-NOAUTH"), (["AUTH", *login], b"+OK"), (["PING"], b"+PONG")):
                    connection.sendall(encode(words))
                    self.assertTrue(connection.recv(1000).startswith(reply))
            self.assertEqual(server.command("PING"), b"PONG")

    def test_tls(self) -> None:
        """
        With certificates it listens for TLS, and shows a certificate for this machine.
        """
        directory = Path(self.mktemp())
        directory.mkdir()
        certificates = make_certificates(directory)
        server = self.server(certificates=certificates)
        context = ssl.create_default_context(cafile=str(certificates.authority))
        plain = socket.create_connection(("127.0.0.1", server.tls_port))
        with context.wrap_socket(plain, server_hostname="localhost") as connection:
            connection.sendall(encode(["PING"]))
            self.assertEqual(connection.recv(100), b"+PONG\r\n")

    def test_settings(self) -> None:
        """
        Settings of redis.conf are passed on: a server with little memory refuses writes.
        """
        server = self.server(maxmemory="1mb", maxmemory_policy="noeviction")
        self.assertRaisesRegex(RedisError, "OOM", server.command, "SET", "a", "x" * 100_000)

    def test_replica(self) -> None:
        """
        A replica gets what its primary has, also where that wants a password; it refuses writes.
        """
        primary = self.server(password="secret")
        primary.command("SET", "a", 1)
        replica = self.server(password="secret", replica_of=primary)
        replica.wait_for_replica()
        self.assertEqual(replica.contents(), {"a": b"1"})
        self.assertRaisesRegex(RedisError, "READONLY", replica.command, "SET", "a", 2)

    def test_destroy(self) -> None:
        """
        Nothing is left of a destroyed server.
        """
        server = self.server()
        server.destroy()
        self.assertFalse(server.running)
        self.assertFalse(server.directory.exists())


class ThreadTests(TestCase):
    """
    L{start_in_thread}.
    """

    async def test_start(self) -> None:
        """
        The server serves when the Deferred fires.
        """
        server = RedisServer()
        self.addCleanup(server.destroy)
        await start_in_thread(server)
        self.assertEqual(server.command("PING"), b"PONG")
