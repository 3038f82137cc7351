"""
Tests for L{dstwist.api.record_feed}.
"""

from __future__ import annotations

from typing import Any

from dstwist.api.record_feed import Snapshot
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from tests.api.stage import ApiTestCase, ignore


class FeedTests(ApiTestCase):
    """
    The state of a record, from the news of the server.
    """

    def setUp(self) -> None:
        super().setUp()
        self.taken: list[Snapshot] = []

    def take(self) -> list[tuple[int, Any]]:
        self.turn()
        taken, self.taken[:] = list(self.taken), []
        return [(snapshot.version, snapshot.data) for snapshot in taken]

    def tell(self, *messages: Message) -> None:
        """
        Have the server send news to the handle.
        """
        for message in messages:
            self.api._handle._received(message)

    def news(self, action: RecordAction, version: int, data: bytes | None = None, path: str | None = None) -> Message:
        return Message(Topic.RECORD, action, "a", data, version=version, path=path)

    def subscribe(self) -> None:
        self.done(self.api.records.subscribe("a", self.taken.append))

    def test_snapshot(self) -> None:
        """
        A record that exists, also with an empty value, and one that does not.
        """
        self.assertTrue(Snapshot("a", 0, {}).exists)
        self.assertFalse(Snapshot("a", -1, None).exists)

    def test_changes(self) -> None:
        """
        A change of one path, of several, and of the whole, at once; each state has values of its own.
        """
        self.done(self.api.records.set("a", {"x": [1, 2]}))
        self.subscribe()
        self.tell(
            self.news(RecordAction.PATCH, 2, b"3", "x[2]"),
            self.news(RecordAction.PATCH_MULTI, 3, b'[{"path":"x[0]"},{"path":"y.z","data":true}]'),
            self.news(RecordAction.PATCH, 4, None, "y"),
            self.news(RecordAction.UPDATE, 5, b"[]"),
        )
        states = self.take()
        self.assertEqual(states[0], (1, {"x": [1, 2]}))
        self.assertEqual(states[1], (2, {"x": [1, 2, 3]}))
        self.assertEqual([version for version, _ in states], [1, 2, 3, 4, 5])
        self.assertEqual(states[2][1]["y"], {"z": True})
        self.assertNotIn("y", states[3][1])
        self.assertEqual(states[4], (5, []))

    def test_joined_behind_news(self) -> None:
        """
        A subscription that begins while news wait gets each state once.
        """
        self.done(self.api.records.set("a", {"x": 1}))
        self.done(self.api.records.subscribe("a", ignore))
        self.api.records.set("a", {"x": 2})
        self.api.records.subscribe("a", self.taken.append)
        self.assertEqual(self.take(), [(2, {"x": 2})])

    def test_same(self) -> None:
        """
        If the server sends the state once more, the application is not told.
        """
        self.done(self.api.records.set("a", {"x": 1}))
        self.subscribe()
        self.take()
        self.tell(self.news(RecordAction.UPDATE, 1, b'{"x":1}'))
        self.assertEqual(self.take(), [])

    def test_notified(self) -> None:
        """
        A record that another program has changed in the store is read anew when a client says so.
        """
        self.done(self.api.records.set("a", {"x": 1}))
        self.subscribe()
        self.take()
        self.node._stores.cache.set("a", 9, {"x": 9})
        client = self.client()
        client.say(Message(Topic.RECORD, RecordAction.NOTIFY, names=("a",), correlation_id="1"))
        self.assertEqual(self.take(), [(9, {"x": 9})])

    def test_gap(self) -> None:
        """
        If a change is not the next one, the record is read.
        """
        self.done(self.api.records.set("a", {"x": 1}))
        self.subscribe()
        self.take()
        self.tell(self.news(RecordAction.PATCH, 7, b"1", "y"))
        self.assertEqual(self.take(), [])
        self.node._stores.cache.set("a", 5, {"x": 5})
        self.tell(self.news(RecordAction.PATCH, 7, b"1", "y"))
        self.assertEqual(self.take(), [(5, {"x": 5})])
        self.done(self.api.records.patch("a", "y", 2))
        self.assertEqual(self.take(), [(6, {"x": 5, "y": 2})])

    def test_created_by_path(self) -> None:
        """
        A client creates the record by a write to a path.
        """
        self.subscribe()
        self.assertEqual(self.take(), [(-1, None)])
        client = self.client()
        client.say(
            Message(Topic.RECORD, RecordAction.CREATEANDPATCH, "a", b"1", path="x.y", version=-1, correlation_id="1")
        )
        self.assertEqual(self.take(), [(1, {"x": {"y": 1}})])

    def test_deleted_and_created(self) -> None:
        """
        A record is deleted and created anew before the application hears of it: it gets the new one.
        """
        self.done(self.api.records.set("a", {"x": 1}))
        self.subscribe()
        self.take()
        self.api.records.delete("a")
        self.api.records.set("a", {"x": 2})
        states = self.take()
        self.assertEqual(states[0], (-1, None))
        self.assertEqual(states[1][1], {"x": 2})
        self.done(self.api.records.patch("a", "x", 3))
        self.assertEqual([data for _, data in self.take()], [{"x": 3}])

    def test_closed_when_deleted(self) -> None:
        """
        An application that closes its subscription when the record is deleted is not subscribed any more.
        """
        self.done(self.api.records.set("a", {}))

        def close(state: Snapshot) -> None:
            if not state.exists:
                subscription.close()

        subscription = self.done(self.api.records.subscribe("a", close))
        self.done(self.api.records.delete("a"))
        self.turn()
        self.assertTrue(subscription.closed)
        self.assertEqual(self.api.figures().records, 0)
