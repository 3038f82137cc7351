"""
A real server whose address space is limited, as by C{ulimit -v}, and clients that use it up.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from tests.e2e.raw import RawClient
from tests.e2e.records import Record
from tests.e2e.scenario import QUICK, Scenario, for_each_generation
from tests.e2e.server import Server
from tests.nodes.client import client_frame

MIB = 1 << 20
GENERATIONS = ("v4", "v3")

#: So many bytes of JSON become 50 to 100 times as many in memory.
BIG = {"lists": "[],", "numbers": "1000,", "objects": '{"a":1},', "nested": "[[[[]]]],", "text": '"\\u20ac",'}


class ShortageTests(SynchronousTestCase):
    """
    Nothing of this ends a server by SIGSEGV.
    """

    def server(self, limit: int, data_dir: Path | None = None, config: Path | None = None) -> Server:
        limit *= MIB
        server = Server(
            None, config, data_dir, before=f"import resource as r; r.setrlimit(r.RLIMIT_AS, ({limit}, {limit}))"
        )
        self.addCleanup(server.kill)
        server.start()
        return server

    def write(self, client: RawClient, name: str, data: bytes) -> RecordAction:
        """
        What comes of a write.
        """
        action = RecordAction.CREATEANDUPDATE
        client.say(Message(Topic.RECORD, action, name, data, version=-1, is_write_ack=True, correlation_id="1"))
        wanted = (
            RecordAction.WRITE_ACKNOWLEDGEMENT,
            RecordAction.RECORD_UPDATE_ERROR,
        )
        while True:
            for message in client.hear():
                if message.topic is Topic.RECORD and message.action in wanted:
                    return RecordAction(message.action)

    def test_large_json(self) -> None:
        """
        Clients of both generations write large records until there is no memory for more. The further ones are refused
        with an error, the log says why, and all else goes on: other clients, reads, small writes. The cache has no
        limit here: with one, it refuses long before memory is short.
        """
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        config = directory / "config.yml"
        config.write_text("cache: {type: default, options: {maxBytes: null}}\n")
        for data_dir in (None, directory):
            server = self.server(300, data_dir, config)
            bystander = RawClient(server.port, "v4", "bob")
            outcomes = []
            for number in range(20):
                unit = list(BIG.values())[number % len(BIG)]
                data = ('{"a":[' + unit * (800_000 // len(unit)) + "0]}").encode()
                client = RawClient(server.port, GENERATIONS[number % 2], "eve")
                outcomes.append((GENERATIONS[number % 2], self.write(client, f"big/{number}", data)))
                client.say(Message(Topic.EVENT, EventAction.EMIT, "e", data))
                client.close()
                head = Message(Topic.RECORD, RecordAction.HEAD, "x")
                self.assertEqual(bystander.answer(head, RecordAction.HEAD_RESPONSE).version, -1)
            for generation in GENERATIONS:
                self.assertIn((generation, RecordAction.RECORD_UPDATE_ERROR), outcomes)
                self.assertIn((generation, RecordAction.WRITE_ACKNOWLEDGEMENT), outcomes)
                client = RawClient(server.port, generation, "ann")
                self.assertIs(self.write(client, generation, b'{"a":1}'), RecordAction.WRITE_ACKNOWLEDGEMENT)
                client.close()
            server.wait_for_line("OUT_OF_MEMORY | a JSON text of 8")
            bystander.close()
            server.stop()

    def test_end(self) -> None:
        """
        If messages that are only half there use up all memory, since they have no limit here, the process ends with the
        documented status, and the last line of the log says why. What was acknowledged is there at the next start.
        """
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        config = directory / "config.yml"
        config.write_text("limits: {maxIncomingBytes: null}\n")
        server = self.server(256, directory, config)
        writer = RawClient(server.port, "v4", "ann")
        self.assertIs(self.write(writer, "a", b'{"a":1}'), RecordAction.WRITE_ACKNOWLEDGEMENT)
        clients = []
        with contextlib.suppress(OSError):
            for number in range(300):
                client = RawClient(server.port, GENERATIONS[number % 2], "eve")
                clients.append(client)
                client.send(client_frame(b"x" * 1_000_000, 2 - number % 2)[:-10])
        self.assertEqual(server.wait_for_end(), 71)
        self.assertIn("OUT_OF_MEMORY | the process has no memory left; it ends with status 71", server.log)
        for client in clients:
            client.close()
        server.kill()
        server.start()
        reader = RawClient(server.port, "v3", "bob")
        found = reader.answer(Message(Topic.RECORD, RecordAction.READ, "a"), RecordAction.READ_RESPONSE)
        self.assertEqual((found.version, found.data), (1, b'{"a":1}'))
        server.stop()


class ClientTests(Scenario):
    """
    What a client makes of the refusal.
    """

    options = QUICK
    tls = False
    first = "v2"

    def test_write(self) -> None:
        """
        The callback of a write for which there is no memory hears an error, and the client can go on writing.
        """
        server = Server(before=f"import resource as r; r.setrlimit(r.RLIMIT_AS, ({162 * MIB}, {162 * MIB}))")
        self._own_servers.append(server)
        server.start()
        client = self.logged_in(self.first, server)
        record = Record(client, self.name("a"))
        client.tolerate_error("RECORD_UPDATE_ERROR")
        error = record.set_with_ack('{"a":[' + "[]," * 200_000 + "0]}")
        self.assertEqual(error, {"v2": "not enough memory", "v7": "RECORD_UPDATE_ERROR"}[self.first])
        # After an error a client of v2 is a version ahead: its next write ends as the server's state, without an error.
        self.assertIsNone(record.set_with_ack('{"a":1}'))
        self.assertIsNone(record.set_with_ack('{"a":2}'))
        other = Record(self.logged_in(self.first, server), record.name)
        other.until('{"a":2}')


for_each_generation(ClientTests)
del ClientTests
