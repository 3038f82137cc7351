"""
Clients that insist on what they wrote offline.
"""

from __future__ import annotations

from tests.e2e import test_restarts
from tests.e2e.records import Record


class OfflineTests(test_restarts.Restarting):
    """
    A v4+ client that has written offline, with a merge strategy of its own.
    """

    def setUp(self) -> None:
        super().setUp()
        self.records = [Record(client, self.name("insisting")) for client in self.four()]
        self.mine = self.records[1]
        # A record at version 1 is one that it has made itself, a client of v7 thinks when it was offline.
        self.records[0].set('{"a":0}')
        self.records[0].set('{"a":1}')
        for record in self.records:
            record.until('{"a":1}')
        self.mine.set_merge_strategy("join")
        # Its first attempt has the version that is there already.
        self.tolerate_output("Warning: RECORD (VERSION_EXISTS)")

    def all_see(self, value: str) -> None:
        for record in self.records:
            record.until(value)

    def test_restart(self) -> None:
        """
        What it wrote while the server was down is kept, and all get it.
        """
        self.down()
        self.mine.set("2", "b")
        self.up()
        self.settled()
        self.all_see('{"a":1,"b":2}')

    def test_others_wrote(self) -> None:
        """
        What it wrote while it was away is joined with what the others wrote meanwhile.
        """
        self.mine.client.pause()
        self.mine.set('"mine"', "m")
        self.assertIsNone(self.records[0].set_with_ack('"theirs"', "t"))
        self.mine.client.resume()
        self.all_see('{"a":1,"t":"theirs","m":"mine"}')
        self.records[2].set('{"on":1}')
        self.all_see('{"on":1}')

    def test_deleted(self) -> None:
        """
        If it insists on a record that was deleted while it was away, it gets to know that there is none, and can get it
        anew.
        """
        self.mine.client.pause()
        self.records[0].delete()
        self.mine.client.resume()
        # Clients before 7 forget the record at once, and do not write.
        self.mine.client.tolerate_error("RECORD_UPDATE_ERROR")
        self.mine.wait_for_event("delete")
        self.records = [Record(record.client, record.name, key="again") for record in self.records]
        self.all_see("{}")
        self.records[1].set('{"mine":1}')
        self.all_see('{"mine":1}')
