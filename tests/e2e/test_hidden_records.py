"""
Records that their owner closes: no client that may not read one is shown it, whatever the client asks or writes.
"""

from __future__ import annotations

import atexit
from functools import cache

from tests.e2e.records import Record
from tests.e2e.scenario import IMPATIENT_CLIENT, QUICK, Scenario, for_each_generation, scratch_directory
from tests.e2e.server import Server

RULES = """
record:
  "*": {create: true, read: "oldData.open !== false", write: true, delete: true, listen: true, notify: true}
event:
  "*": {subscribe: true, publish: true, listen: true}
rpc:
  "*": {provide: true, request: true}
presence:
  "*": {allow: true}
"""


@cache
def closing_server() -> Server:
    """
    A server whose writes take as long as a disk does.
    """
    directory = scratch_directory()
    (directory / "permissions.yml").write_text(RULES, encoding="utf-8")
    path = directory / "config.yml"
    path.write_text("permission: {type: config, options: {permissions: fileLoad(permissions.yml)}}\n")
    server = Server(None, path, scratch_directory())
    server.start()
    atexit.register(server.kill)
    return server


class HiddenRecordCase(Scenario):
    """
    An owner, and a client that may read a record only as long as it is open.
    """

    options = QUICK
    tls = False
    first = "v2"

    def setUp(self) -> None:
        super().setUp()
        self.at = closing_server()
        self.servers.append(self.at)
        self.owner = self.user("v7", self.at, "owner")
        self.eve = self.user(self.first, self.at, "eve")


class ClosingTests(HiddenRecordCase):
    """
    A record is closed while it is being read.
    """

    def test_read_during_the_write(self) -> None:
        """
        A client that asks while the write that closes the record is being stored is not shown what that writes.
        """
        for number in range(20):
            name = self.name(f"closing/{number}")
            self.owner.set_data_with_ack(name, '{"open":true}')
            self.owner.set_data(name, '{"open":false,"secret":1}')
            hers = Record(self.eve, name, wait=False)
            self.fence(self.owner, self.eve)
            self.assertNotIn("secret", hers.get())
        self.eve.tolerate_error("MESSAGE_DENIED")


for_each_generation(ClosingTests)


class AwayTests(HiddenRecordCase):
    """
    Only clients of v4 and later go offline and come back as they were.
    """

    first = "v7"
    options = {"v7": {**QUICK["v7"], **IMPATIENT_CLIENT}}

    def test_lost_write(self) -> None:
        """
        A client that was away while the record was closed, and has written meanwhile, is not shown that.
        """
        name = self.name("closed")
        mine = Record(self.owner, name)
        mine.set_with_ack('{"open":true}')
        hers = Record(self.eve, name)
        hers.until('{"open":true}')
        # The client goes on waiting for a version after the denial: it looks for its timer under another name.
        self.tolerate_output("Warning: RECORD (HEAD): ACK_TIMEOUT")
        self.eve.pause()
        hers.set("1", "x")
        self.assertIsNone(mine.set_with_ack('{"open":false,"secret":1}'))
        self.eve.resume()
        self.eve.expect_error("MESSAGE_DENIED")
        self.eve.tolerate_error("RECORD_UPDATE_ERROR")
        self.assertIsNone(mine.set_with_ack('{"open":false,"secret":2}'))
        self.fence(self.owner, self.eve)
        self.assertEqual(hers.get(), '{"open":true,"x":1}')


del ClosingTests
