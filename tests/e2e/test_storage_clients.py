"""
Clients whose server loses its files, or has no room left on the disk.
"""

from __future__ import annotations

from pathlib import Path

from tests.e2e.clients import Client
from tests.e2e.records import Record
from tests.e2e.scenario import QUICK, Scenario, for_each_generation, scratch_directory
from tests.e2e.server import Server

#: What the callback of a write hears.
REFUSED = {"v2": "storage error", "v7": "RECORD_UPDATE_ERROR"}


class StorageClientTests(Scenario):
    """
    Each write ends with an acknowledgement or an error, and only what is kept for good is acknowledged.
    """

    options = QUICK
    tls = False
    first = "v2"

    def serve(self, options: str = "{}") -> tuple[Server, Client, Path]:
        directory = scratch_directory()
        config = scratch_directory() / "config.yml"
        config.write_text(f"storage: {{type: sqlite, options: {options}}}\n", encoding="utf-8")
        server = self.own_server(config, directory)
        return server, self.logged_in(self.first, server), directory

    def trouble(self, server: Server, text: str) -> None:
        """
        The server has logged C{text}, as it should.
        """
        server.wait_for_line(text)
        server.take_trouble()

    def test_log_deleted(self) -> None:
        """
        A client does not notice that the write-ahead log was deleted, and its writes survive a kill.
        """
        server, client, directory = self.serve()
        record = Record(client, self.name("a"))
        self.assertIsNone(record.set_with_ack('{"n":1}'))
        for end in ("-wal", "-shm"):
            (directory / f"records.sqlite{end}").unlink()
        self.assertIsNone(record.set_with_ack('{"n":2}'))
        self.trouble(server, "STORAGE_FILE")
        server.kill()
        client.expect_error({"v2": "connectionError", "v7": "CONNECTION_ERROR"}[self.first])
        server.start()
        again = self.logged_in(self.first, server)
        Record(again, record.name).until('{"n":2}')

    def test_file_moved(self) -> None:
        """
        While the file is away, the callback of each write hears an error. When it is back, writes are acknowledged.
        """
        server, client, directory = self.serve()
        record, other = Record(client, self.name("a")), Record(client, self.name("b"))
        self.assertIsNone(record.set_with_ack('{"n":1}'))
        moved = directory.with_name(f"{directory.name}.moved")
        directory.rename(moved)
        self.assertEqual(record.set_with_ack('{"n":2}'), REFUSED[self.first])
        client.tolerate_error("RECORD_UPDATE_ERROR")
        moved.rename(directory)
        self.assertIsNone(other.set_with_ack('{"n":1}'))
        self.trouble(server, "is in place again; writes go on")

    def test_quota(self) -> None:
        """
        Past the quota the callback of a write hears an error. A deletion is done, and makes room.
        """
        server, client, _ = self.serve("{maxBytes: 1000000}")
        value = '{"text":"' + "x" * 60_000 + '"}'
        records: list[Record] = []
        while True:
            record = Record(client, self.name(f"big/{len(records)}"))
            error = record.set_with_ack(value)
            if error is not None:
                break
            records.append(record)
        self.assertEqual(error, REFUSED[self.first])
        client.tolerate_error("RECORD_UPDATE_ERROR")
        self.assertGreater(len(records), 5)
        self.trouble(server, "cannot grow: the disk is full, or maxBytes is reached")
        for full in records[:2]:
            full.delete()
        self.assertIsNone(Record(client, self.name("new")).set_with_ack(value))


for_each_generation(StorageClientTests)
del StorageClientTests
