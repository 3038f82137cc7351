"""
A client that asks for a snapshot of a record, and for the record itself at the same time.
"""

from __future__ import annotations

from typing import Any

from tests.e2e.clients import Client
from tests.e2e.records import Record
from tests.e2e.scenario import PATIENT, Scenario, for_each_kind


class SnapshotRecord(Record):
    """
    A record that is opened together with a snapshot.
    """

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = self.key = name
        # The answer comes when the client has begun to wait for the record, as it does over a network.
        client.deafen()
        client.do("snapshotAndOpen", name, name)
        client.sleep(20)
        client.hear()
        self.ready()


class SnapshotTests(Scenario):
    """
    Client 7.0.5 takes the snapshot for the record, and is not subscribed yet.
    """

    tls = False
    first = "v2"

    def setUp(self) -> None:
        super().setUp()
        self.at = self.server(config=PATIENT)
        # Long enough for another client to write.
        slow: dict[str, Any] = {"subscriptionInterval": 700} if self.first == "v7" else {}
        self.subject = self.logged_in(self.first, self.at, **slow)
        self.other = self.logged_in("v7", self.at)

    def get(self, name: str) -> Record:
        self.assertIsNone(self.other.set_data_with_ack(name, '{"start":1}'))
        return SnapshotRecord(self.subject, name)

    def test_lost_write(self) -> None:
        """
        Its write is refused before it is subscribed. It gets the current record in the end, and continues to write.
        """
        self.tolerate_output("Warning: RECORD (VERSION_EXISTS)")
        name = self.name("lost")
        mine = self.get(name)
        self.subject.deafen()
        self.assertIsNone(self.other.set_data_with_ack(name, '{"other":1}'))
        mine.set('{"mine":1}')
        self.subject.hear()
        mine.until('{"other":1}')
        self.assertIsNone(mine.set_with_ack('{"mine":2}'))
        self.assertEqual(self.other.look("snapshot", name), '{"mine":2}')

    def test_missed_news(self) -> None:
        """
        Another client writes before it is subscribed.
        """
        name = self.name("missed")
        mine = self.get(name)
        self.assertIsNone(self.other.set_data_with_ack(name, '{"other":1}'))
        mine.until('{"other":1}')
        self.assertIsNone(mine.set_with_ack('{"mine":2}'))
        self.assertEqual(self.other.look("snapshot", name), '{"mine":2}')

    def test_missing(self) -> None:
        """
        The record does not exist. Client 7.0.5 takes the error for the record, and has no data. In the end it gets the
        new record.
        """
        mine = SnapshotRecord(self.subject, self.name("missing"))
        mine.until("{}")
        self.assertIsNone(mine.set_with_ack("1", "mine"))
        self.assertEqual(self.other.look("snapshot", mine.name), '{"mine":1}')

    def test_missing_and_lost_write(self) -> None:
        """
        Another client creates the record before it is subscribed, and its write is refused. Client 7.0.5 takes the
        version from the answer, and keeps its own data. It gets the current record in the end.
        """
        self.tolerate_output("Warning: RECORD (VERSION_EXISTS)")
        name = self.name("missing and lost")
        mine = SnapshotRecord(self.subject, name)
        self.subject.deafen()
        self.assertIsNone(self.other.set_data_with_ack(name, '{"other":1}'))
        mine.set('{"mine":1}')
        self.subject.hear()
        mine.until('{"other":1}')
        self.assertIsNone(mine.set_with_ack('{"mine":2}'))
        self.assertEqual(self.other.look("snapshot", name), '{"mine":2}')


class ReopenedRecord(Record):
    """
    A record that is opened again by a deaf client, in the turn in which it hears of the deletion.
    """

    def __init__(self, old: Record) -> None:
        client = self.client = old.client
        self.name = old.name
        self.key = f"{old.key} again"
        client.do("hearAndReopen", old.key, old.name, self.key)
        client.sleep(20)
        client.hear()
        self.ready()


class DeletionTests(Scenario):
    """
    Another client deletes a record while client 7.0.5 reads it, because news of it did not fit.
    """

    tls = False

    def test_opened_again(self) -> None:
        """
        The error for the read comes when the client waits for the new record, and the client takes it for the record.
        In the end it gets the new record.
        """
        # The record that is deleted gets the error as well.
        self.tolerate_output("Invalid state transition")
        at = self.server(config=PATIENT)
        name = self.name("deleted")
        theirs, mine = (Record(self.logged_in("v7", at), name) for _ in range(2))
        theirs.set('{"start":1}')
        mine.until('{"start":1}')
        mine.client.deafen()
        self.assertIsNone(theirs.set_with_ack("1", "theirs"))
        mine.set("1", "mine")
        # The write is refused before the deletion.
        mine.client.sleep(100)
        theirs.delete()
        mine = ReopenedRecord(mine)
        mine.until("{}")
        self.assertIsNone(mine.set_with_ack("2", "mine"))
        self.assertEqual(theirs.client.look("snapshot", name), '{"mine":2}')


for_each_kind(SnapshotTests)
del SnapshotTests
