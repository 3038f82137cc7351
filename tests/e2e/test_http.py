"""
The HTTP API of a real server, beside official clients of both generations.
"""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.request
from typing import Any

from tests.e2e.records import Record
from tests.e2e.scenario import GENERATIONS, QUICK, Scenario, scratch_directory
from tests.e2e.server import PATIENCE, Server

ITEM = b'{"body":[{"topic":"event","action":"emit","eventName":"%b","data":%d}]}'
HEAD = b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class HttpTestCase(Scenario):
    """
    Requests to a server.
    """

    options = QUICK

    def ask(self, server: Server, *items: dict[str, Any], **more: Any) -> list[Any]:
        """
        The results of items.
        """
        body = json.dumps({**more, "body": items}).encode()
        request = urllib.request.Request(
            f"http://{server.url.removeprefix('ws://')}/api", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            results: list[Any] = json.load(answer)["body"]
        return results

    def connect(self, server: Server) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
        self.addCleanup(connection.close)
        return connection

    def answers(self, connection: socket.socket, count: int) -> bytes:
        """
        The bytes of so many short answers.
        """
        data = b""
        while data.count(b'"success":true}]}\r\n\r\n') < count:
            received = connection.recv(1 << 16)
            self.assertNotEqual(received, b"", "the server has closed the connection")
            data += received
        return data


class RawTests(HttpTestCase):
    """
    Bytes on a connection.
    """

    def exchange(
        self, request: bytes, connection: socket.socket | None = None
    ) -> tuple[bytes, dict[bytes, bytes], bytes]:
        """
        Status line, headers and body of the answer.
        """
        connection = connection or self.connect(self.server())
        connection.sendall(request)
        data = self.answers(connection, 1)
        head, _, body = data.partition(b"\r\n\r\n")
        line, *headers = head.split(b"\r\n")
        return line, dict(header.split(b": ", 1) for header in headers), body

    def test_example(self) -> None:
        """
        The raw exchange of the specification (C{operations.md} section 1.17, example 26). The answer of the Node server
        has the same bytes in one chunk; here it has its length.
        """
        line, headers, body = self.exchange(
            b"POST /api HTTP/1.1\r\nHost: localhost:6020\r\n"
            b"Content-Type: application/json\r\nContent-Length: 61\r\n\r\n"
            b'{"body":[{"topic":"event","action":"emit","eventName":"e1"}]}'
        )
        self.assertEqual(line, b"HTTP/1.1 200 OK")
        self.assertEqual(body, b'{"result":"SUCCESS","body":[{"success":true}]}\r\n\r\n')
        self.assertEqual(len(body), 0x32)
        expected = {
            b"Access-Control-Allow-Origin": b"*",
            b"Content-Type": b"application/json; charset=utf-8",
            b"Content-Length": b"50",
        }
        self.assertEqual({name: headers.get(name) for name in expected}, expected)
        self.assertIn(b"Date", headers)
        self.assertNotIn(b"Transfer-Encoding", headers)

    def test_chunks(self) -> None:
        """
        A body may come in chunks, in any pieces. The connection stays open for the next request.
        """
        connection = self.connect(self.server())
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = ITEM % (self.name("e").encode(), 1)
        head = b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        for size in (1, 7, len(body)):
            pieces = [body[place : place + size] for place in range(0, len(body), size)]
            chunks = b"".join(b"%x;a=b\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
            for sent in (head + chunks[:10], chunks[10:-9]):
                connection.sendall(sent)
            line, _, answer = self.exchange(chunks[-9:], connection)
            self.assertEqual((line, answer[-4:]), (b"HTTP/1.1 200 OK", b"\r\n\r\n"))
            self.assertEqual(json.loads(answer), {"result": "SUCCESS", "body": [{"success": True}]})


class ClientTests(HttpTestCase):
    """
    Programs and clients see the same.
    """

    def test_events(self) -> None:
        """
        Events of a program reach clients of both generations.
        """
        server = self.server()
        clients = [self.logged_in(generation, server) for generation in GENERATIONS]
        name = self.name("news")
        for client in clients:
            client.subscribe(name)
        item = {"topic": "event", "action": "emit", "eventName": name}
        values: list[Any] = [{"a": 1}, "text", None, 5]
        self.assertEqual(self.ask(server, *({**item, "data": value} for value in values)), [{"success": True}] * 4)
        for client in clients:
            client.driver.wait(lambda client=client: len(client.values(name)) == 4, "four events")  # type: ignore[misc]
            self.assertEqual([json.loads(value) for value in client.values(name)], values)

    def test_records(self) -> None:
        """
        A client that has a record open sees the writes of a program, and the program sees those of the client.
        """
        server = self.server()
        for generation in GENERATIONS:
            client = self.logged_in(generation, server)
            name = self.name(f"record/{generation}")
            record = Record(client, name)
            item = {"topic": "record", "recordName": name}
            self.ask(server, {**item, "action": "write", "path": "a", "data": [1]})
            record.until('{"a":[1]}')
            self.assertIsNone(record.set_with_ack("2", "b"))
            read, head = self.ask(server, {**item, "action": "read"}, {**item, "action": "head"})
            self.assertEqual((read["data"], read["version"]), ({"a": [1], "b": 2}, head["version"]))
            (result,) = self.ask(server, {**item, "action": "write", "data": {}, "version": read["version"]})
            self.assertEqual(result["errorEventName"], "VERSION_EXISTS")
            self.ask(server, {**item, "action": "write", "data": {"c": 3}, "version": read["version"] + 1})
            record.until('{"c":3}')

    def test_calls(self) -> None:
        """
        A program calls procedures of clients of both generations.
        """
        server = self.server()
        for generation in GENERATIONS:
            client = self.logged_in(generation, server)
            name = self.name(f"echo/{generation}")
            client.provide(name)
            for value in ({"a": [1, None]}, "x", 0):
                call = {"topic": "rpc", "action": "make", "rpcName": name, "data": value}
                self.assertEqual(self.ask(server, call), [{"data": value, "success": True}])

    def test_presence(self) -> None:
        """
        A program learns who is online, and is not online itself.
        """
        server = self.server()
        user = self.name("ann")
        self.user("v7", server, user)
        query = {"topic": "presence", "action": "query"}
        login = {"username": self.name("program")}
        everybody, some = self.ask(server, query, {**query, "names": [user, login["username"]]}, authData=login)
        self.assertIn(user, everybody["users"])
        self.assertNotIn(login["username"], everybody["users"])
        self.assertEqual(some["users"], {user: True, login["username"]: False})


class LoadTests(HttpTestCase):
    """
    Programs that ask for much, and take little.
    """

    def test_pipeline(self) -> None:
        """
        10,000 requests in one stream are answered in order, and others are served meanwhile.
        """
        server = self.server()
        client = self.logged_in("v7", server)
        name = self.name("e")
        client.subscribe(name)
        bodies = [ITEM % (name.encode(), number) for number in range(10_000)]
        stream = b"".join(HEAD % len(body) + body for body in bodies)
        connection = self.connect(server)
        sender = threading.Thread(target=connection.sendall, args=(stream,))
        sender.start()
        self.answers(connection, 10)
        self.assertEqual(self.ask(server, {"topic": "presence", "action": "query", "names": []})[0]["users"], {})
        self.answers(connection, 9_000)
        sender.join()
        client.driver.wait(lambda: len(client.values(name)) == 10_000, "all events")
        self.assertEqual(client.values(name), [str(number) for number in range(10_000)])

    def test_many_events(self) -> None:
        """
        A batch of 5,000 events is published in order.
        """
        server = self.server()
        client = self.logged_in("v7", server)
        name = self.name("e")
        client.subscribe(name)
        item = {"topic": "event", "action": "emit", "eventName": name}
        results = self.ask(server, *({**item, "data": number} for number in range(5000)))
        self.assertEqual(results, [{"success": True}] * 5000)
        client.driver.wait(lambda: len(client.values(name)) == 5000, "all events")
        self.assertEqual(client.values(name), [str(number) for number in range(5000)])

    def test_slow_readers(self) -> None:
        """
        Clients that take nothing of their long answers do not keep the server from serving others; a client that takes
        its answer late gets all of it.
        """
        server = self.own_server()
        item = {"topic": "record", "recordName": "long"}
        self.ask(server, {**item, "action": "write", "data": {"text": "x" * 900_000}})
        body = json.dumps({"body": [{**item, "action": "read"}] * 15}).encode()
        connections = [self.connect(server) for _ in range(10)]
        for connection in connections:
            connection.sendall(HEAD % len(body) + body)
        for _ in range(20):
            self.assertEqual(self.ask(server, {**item, "action": "head"})[0]["version"], 1)
        data = b""
        while data.count(b"\r\n\r\n") < 2:
            received = connections[0].recv(1 << 20)
            self.assertNotEqual(received, b"")
            data += received
        answer = json.loads(data.partition(b"\r\n\r\n")[2])
        self.assertEqual([len(result["data"]["text"]) for result in answer["body"]], [900_000] * 15)

    def test_leaving(self) -> None:
        """
        Clients that leave in the middle of everything leave nothing behind.
        """
        server = self.own_server()
        provider = self.logged_in("v7", server)
        provider.provide("silent", "hold")
        # The server remembers a thousand ended calls of a provider. It complains of answers to earlier ones.
        provider.tolerate_error("UNKNOWN_CORRELATION_ID")
        body = json.dumps({"body": [{"topic": "rpc", "action": "make", "rpcName": "silent"}] * 100}).encode()
        request = HEAD % len(body) + body
        for place in range(0, len(request), 97):
            connection = self.connect(server)
            connection.sendall(request[:place])
            connection.close()
        for _ in range(50):
            connection = self.connect(server)
            connection.sendall(request)
            connection.close()
        self.assertEqual(self.ask(server, {"topic": "presence", "action": "query", "names": []})[0]["users"], {})

    def test_stop(self) -> None:
        """
        A server that is told to stop answers what is under way.
        """
        server = self.own_server()
        provider = self.logged_in("v7", server)
        provider.provide("silent", "hold")
        body = b'{"body":[{"topic":"rpc","action":"make","rpcName":"silent"}]}'
        connection = self.connect(server)
        connection.sendall(HEAD % len(body) + body)
        provider.driver.wait(lambda: provider.requests("silent"), "the call")
        provider.tolerate_error("CONNECTION_ERROR")
        server.stop()
        self.assertIn(b'"RESPONSE_TIMEOUT"', connection.recv(1 << 16))

    def test_no_api(self) -> None:
        """
        Without an entry for it, there is no API.
        """
        config = scratch_directory() / "config.yml"
        config.write_text("connectionEndpoints: [{type: ws-binary}]\n")
        server = self.own_server(config)
        with self.assertRaises(urllib.error.HTTPError) as caught:
            self.ask(server, {"topic": "presence", "action": "query"})
        self.assertEqual(caught.exception.code, 404)
        caught.exception.close()
