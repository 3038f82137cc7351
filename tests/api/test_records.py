"""
Tests for L{dstwist.api.records}.
"""

from __future__ import annotations

from typing import Any

from dstwist.api.errors import ApiError, InvalidValue, MessageDenied, RecordNotFound, VersionExists
from dstwist.api.record_feed import Snapshot
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from tests.api.stage import ApiTestCase, ignore, rules
from tests.nodes.client import GENERATIONS, MemoryClient


class RecordTestCase(ApiTestCase):
    """
    Records, and what clients hear of them.
    """

    def reader(self, generation: str, name: str = "a") -> MemoryClient:
        """
        A client that is subscribed to a record.
        """
        client = self.client(generation)
        client.say(Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=(name,), correlation_id="1"))
        self.turn()
        client.heard()
        return client

    def write(self, client: MemoryClient, version: int, data: Any, path: str | None = None) -> None:
        action = RecordAction.UPDATE if path is None else RecordAction.PATCH
        client.say(Message(Topic.RECORD, action, "a", data, version=version, path=path))
        self.turn()


class ReadingTests(RecordTestCase):
    """
    Reads.
    """

    def test_get(self) -> None:
        """
        A record as it was written, with its version.
        """
        self.done(self.api.records.set("a", {"x": [1, {"y": None}]}))
        self.assertEqual(self.done(self.api.records.get("a")), Snapshot("a", 1, {"x": [1, {"y": None}]}))
        self.assertEqual(self.done(self.api.records.head("a")), 1)
        self.assertTrue(self.done(self.api.records.has("a")))

    def test_missing(self) -> None:
        """
        A record that does not exist.
        """
        error = self.refused(self.api.records.get("a"), RecordNotFound)
        self.assertEqual((error.event, error.name, str(error)), ("RECORD_NOT_FOUND", "a", "RECORD_NOT_FOUND: a"))
        self.assertEqual(self.done(self.api.records.head("a")), -1)
        self.assertFalse(self.done(self.api.records.has("a")))

    def test_default(self) -> None:
        """
        A record that does not exist has the data that the application gives for this case.
        """
        self.assertEqual(self.done(self.api.records.get("a", default=None)), Snapshot("a", -1, None))
        self.assertEqual(self.done(self.api.records.get("a", default={"n": 0})), Snapshot("a", -1, {"n": 0}))
        self.done(self.api.records.set("a", {"n": 1}))
        self.assertEqual(self.done(self.api.records.get("a", default={"n": 0})), Snapshot("a", 1, {"n": 1}))

    def test_at_once(self) -> None:
        """
        If the stores know the answer, the Deferred has fired already.
        """
        self.successResultOf(self.api.records.set("a", {}))
        self.successResultOf(self.api.records.get("a"))
        self.failureResultOf(self.api.records.get("b"), RecordNotFound)

    def test_large(self) -> None:
        """
        A large record, whose frame the server shares among its readers.
        """
        data = {"text": "x" * 100_000, "items": list(range(1000))}
        self.done(self.api.records.set("a", data))
        for _ in range(2):
            self.assertEqual(self.done(self.api.records.get("a")).data, data)

    def test_own_values(self) -> None:
        """
        A value that the application changes afterwards changes nothing on the server, and the other way round.
        """
        data = {"x": [1]}
        self.done(self.api.records.set("a", data))
        data["x"].append(2)
        first = self.done(self.api.records.get("a"))
        first.data["x"].append(3)
        self.assertEqual(self.done(self.api.records.get("a")).data, {"x": [1]})


class WritingTests(RecordTestCase):
    """
    Writes.
    """

    def test_clients(self) -> None:
        """
        Clients of both generations hear of each kind of write.
        """
        for generation in GENERATIONS:
            client = self.reader(generation)
            self.done(self.api.records.set("a", {"x": {"y": 1}}))
            self.done(self.api.records.patch("a", "x.y", 2))
            self.done(self.api.records.erase("a", "x.y"))
            actions = [(message.action, message.path) for message in client.heard()]
            self.assertEqual(actions[0], (RecordAction.UPDATE, None))
            self.assertEqual({action for action, _ in actions[1:]} - {RecordAction.PATCH, RecordAction.UPDATE}, set())
            self.assertEqual(len(actions), 3)
            self.assertEqual(self.done(self.api.records.get("a")).data, {"x": {}})
            self.done(self.api.records.delete("a"))
            (news,) = client.heard()
            # Text clients cannot tell the two apart.
            self.assertIn(news.action, (RecordAction.DELETED, RecordAction.DELETE_SUCCESS))
            self.assertFalse(self.done(self.api.records.has("a")))

    def test_expected(self) -> None:
        """
        A write that expects another version than that of the record fails, and its error has the record.
        """
        records = self.api.records
        self.done(records.set("a", {"n": 1}, expected=-1))
        for expected in (-1, 0, 7):
            for write in (
                records.set("a", {"n": 2}, expected=expected),
                records.patch("a", "n", 2, expected=expected),
                records.erase("a", "n", expected=expected),
            ):
                error = self.refused(write, VersionExists)
                self.assertEqual((error.event, error.version, error.data), ("VERSION_EXISTS", 1, {"n": 1}))
        self.done(records.patch("a", "n", 2, expected=1))
        self.done(records.erase("a", "n", expected=2))
        self.assertEqual(self.done(records.get("a")), Snapshot("a", 3, {}))

    def test_expected_but_deleted(self) -> None:
        """
        The error of a write that expects a version of a record that does not exist any more.
        """
        for _ in range(2):
            self.done(self.api.records.set("a", {}))
        read = self.done(self.api.records.get("a"))
        self.done(self.api.records.delete("a"))
        error = self.refused(self.api.records.set("a", {}, expected=read.version), VersionExists)
        self.assertEqual((error.version, error.data), (-1, None))
        self.assertEqual(str(error), "VERSION_EXISTS: a: the record does not exist")

    def test_expected_but_created(self) -> None:
        """
        A record that was created and not written counts as not written.
        """
        self.reader("v4")
        read = self.done(self.api.records.get("a"))
        self.assertEqual(read, Snapshot("a", 0, {}))
        self.done(self.api.records.set("a", {"n": 1}, expected=-1))
        self.reader("v4", "b")
        self.done(self.api.records.set("b", {"n": 1}, expected=0))

    def test_invalid(self) -> None:
        """
        A write that cannot be one is refused.
        """
        for data in (1, "x", None, {1: 2}, {"x": float("nan")}, {"x": {1, 2}}):
            self.refused(self.api.records.set("a", data), InvalidValue)
        self.refused(self.api.records.patch("a", "", 1), InvalidValue)
        for expected in (-2, True, "1"):
            self.refused(self.api.records.set("a", {}, expected=expected), InvalidValue)  # type: ignore[arg-type]
        error = self.refused(self.api.records.patch("a", "x[100000]", 1), ApiError)
        self.assertEqual(error.event, "INVALID_MESSAGE_DATA")
        self.assertFalse(self.done(self.api.records.has("a")))


class UpdateTests(RecordTestCase):
    """
    L{Records.update<dstwist.api.records.Records.update>}.
    """

    def test_update(self) -> None:
        """
        A function returns the new data, or changes the data that it gets.
        """

        def count(data: Any) -> None:
            data["n"] = data.get("n", 0) + 1

        self.assertEqual(self.done(self.api.records.update("a", count)), Snapshot("a", 1, {"n": 1}))
        self.done(self.api.records.update("a", count))
        self.done(self.api.records.update("a", lambda data: {"n": data["n"] * 10}))
        self.assertEqual(self.done(self.api.records.get("a")), Snapshot("a", 3, {"n": 20}))

    def test_lost_race(self) -> None:
        """
        If another write comes in between, the function gets the data of that, and no write is lost.
        """
        seen: list[Any] = []

        async def count(data: Any) -> Any:
            seen.append(data)
            if len(seen) == 1:
                await self.api.records.set("a", {"n": 5})
            return {"n": data.get("n", 0) + 1}

        written = self.done(self.api.records.update("a", count))
        self.assertEqual((seen, written), ([{}, {"n": 5}], Snapshot("a", 2, {"n": 6})))

    def test_wait(self) -> None:
        """
        After three lost races it waits, and then begins with the record as it is after the wait.
        """
        seen: list[int] = []

        async def count(data: Any) -> Any:
            seen.append(data["n"])
            if len(seen) <= 3:
                await self.api.records.set("a", {"n": len(seen)})
            return {"n": data["n"] + 1}

        self.done(self.api.records.set("a", {"n": 0}))
        updated = self.api.records.update("a", count)
        self.turn()
        self.assertNoResult(updated)
        self.done(self.api.records.set("a", {"n": 9}))
        self.reactor.advance(1)
        self.assertEqual(self.done(updated).data, {"n": 10})
        self.assertEqual(seen, [0, 1, 2, 9])

    def test_deleted(self) -> None:
        """
        If a deletion comes in between, the function gets the data of a record that does not exist; so it does if the
        record has been created again.
        """
        for again in ({}, {"n": 5}):
            for _ in range(3):
                self.done(self.api.records.set("a", {"n": 9}))
            seen: list[Any] = []

            async def count(data: Any, seen: list[Any] = seen, again: Any = again) -> Any:
                seen.append(data)
                if len(seen) == 1:
                    await self.api.records.delete("a")
                    if again:
                        await self.api.records.set("a", again)
                return {"n": data.get("n", 0) + 1}

            written = self.done(self.api.records.update("a", count))
            self.assertEqual(seen, [{"n": 9}, again])
            self.assertEqual(written, self.done(self.api.records.get("a")))
            self.assertEqual(written.data, {"n": again.get("n", 0) + 1})
            self.done(self.api.records.delete("a"))

    def test_failure(self) -> None:
        """
        If the function fails, nothing is written.
        """
        self.refused(self.api.records.update("a", lambda data: 1 // 0), ZeroDivisionError)
        self.refused(self.api.records.update("a", lambda data: 7), InvalidValue)
        self.assertFalse(self.done(self.api.records.has("a")))

    def test_changed_and_returned(self) -> None:
        """
        A function that changes the data and returns something else is refused.
        """
        self.done(self.api.records.set("a", {"n": 1}))
        for function in (
            lambda data: data.setdefault("tags", []),
            lambda data: data.update(n=2) or {"n": 3},
            lambda data: data.pop("n"),
        ):
            error = self.refused(self.api.records.update("a", function), InvalidValue)
            self.assertIn("changed the data, and returned something else", str(error))
        self.assertEqual(self.done(self.api.records.get("a")), Snapshot("a", 1, {"n": 1}))
        # It may return what it has changed.
        self.done(self.api.records.update("a", lambda data: data.update(n=2) or data))
        self.assertEqual(self.done(self.api.records.get("a")), Snapshot("a", 2, {"n": 2}))

    def test_unchanged(self) -> None:
        """
        If the data are as before, nothing is written. A record that does not exist is created.
        """
        for function in (lambda data: None, lambda data: data, lambda data: dict(data), lambda data: {"n": 1}):
            self.done(self.api.records.set("a", {"n": 1}))
            version = self.done(self.api.records.head("a"))
            self.assertEqual(self.done(self.api.records.update("a", function)), Snapshot("a", version, {"n": 1}))
            self.assertEqual(self.done(self.api.records.head("a")), version)
        # Equal for Python, but not for JSON.
        self.done(self.api.records.update("a", lambda data: {"n": True}))
        self.assertEqual(self.done(self.api.records.head("a")), version + 1)
        self.assertEqual(self.done(self.api.records.update("b", lambda data: None)), Snapshot("b", 1, {}))

    def test_no_function(self) -> None:
        """
        What cannot be called is refused.
        """
        error = self.refused(self.api.records.update("a", {}), InvalidValue)  # type: ignore[arg-type]
        self.assertEqual(error.detail, "the function is of type dict, not a function")


class SubscriptionTests(RecordTestCase):
    """
    Subscriptions to records.
    """

    def setUp(self) -> None:
        super().setUp()
        self.taken: list[Snapshot] = []

    def subscribe(self, **options: Any) -> Any:
        return self.done(self.api.records.subscribe("a", self.taken.append, **options))

    def take(self) -> list[tuple[int, Any]]:
        taken, self.taken[:] = list(self.taken), []
        return [(snapshot.version, snapshot.data) for snapshot in taken]

    def test_life_of_a_record(self) -> None:
        """
        A subscription tells of a record before it exists, of each change, of its deletion, and of its return.
        """
        self.subscribe()
        self.assertEqual(self.take(), [(-1, None)])
        self.done(self.api.records.set("a", {"x": {"y": 1}}))
        self.done(self.api.records.patch("a", "x.z", [2]))
        self.done(self.api.records.erase("a", "x.y"))
        self.assertEqual(self.take(), [(1, {"x": {"y": 1}}), (2, {"x": {"y": 1, "z": [2]}}), (3, {"x": {"z": [2]}})])
        self.done(self.api.records.delete("a"))
        self.assertEqual(self.take(), [(-1, None)])
        self.done(self.api.records.set("a", {"again": True}))
        ((version, data),) = self.take()
        self.assertEqual(data, {"again": True})
        self.assertGreater(version, 0)

    def test_clients(self) -> None:
        """
        It tells of the writes of clients of both generations.
        """
        self.subscribe()
        for generation, whole, part in (("v3", b'{"v":3}', "N1"), ("v4", b'{"v":4}', b"1")):
            client = self.reader(generation)
            self.take()
            version = self.done(self.api.records.head("a"))
            self.write(client, version + 1, whole)
            self.write(client, version + 2, part, "n")
            value = {"v": int(generation[1])}
            self.assertEqual(self.take(), [(version + 1, value), (version + 2, {**value, "n": 1})])

    def test_several(self) -> None:
        """
        Each subscription gets the record when it begins, and values of its own.
        """
        others: list[Any] = []

        def spoil(snapshot: Snapshot) -> None:
            others.append(snapshot.version)
            if snapshot.data is not None:
                snapshot.data.clear()

        self.done(self.api.records.set("a", {"n": 1}))
        self.done(self.api.records.subscribe("a", spoil))
        self.subscribe()
        self.done(self.api.records.patch("a", "m", 2))
        self.assertEqual(self.take(), [(1, {"n": 1}), (2, {"n": 1, "m": 2})])
        self.assertEqual(others, [1, 2])

    def test_close(self) -> None:
        """
        A closed subscription gets nothing, not even news that came before.
        """
        subscription = self.subscribe()
        self.take()
        self.api.records.set("a", {"n": 1})
        self.done(subscription.close())
        self.done(self.api.records.set("a", {"n": 2}))
        self.assertEqual(self.take(), [])
        self.subscribe()
        self.assertEqual(self.take(), [(2, {"n": 2})])


class UserRecordTests(RecordTestCase):
    """
    Records in the name of a user.
    """

    settings = rules(
        {
            "record": {
                "*": {"create": True, "read": True, "write": True, "delete": True},
                "private/$user": {"read": "$user === user.id", "write": "data.n > 0", "delete": False},
            }
        }
    )

    def test_rules(self) -> None:
        """
        The rules decide on each request of a user.
        """
        ann, bob = self.api.as_user("ann"), self.api.as_user("bob")
        name = "private/ann"
        self.done(ann.records.set(name, {"n": 1}))
        self.assertEqual(self.done(ann.records.get(name)).data, {"n": 1})
        for asked, action in (
            (bob.records.get(name), "READ"),
            (bob.records.head(name), "HEAD"),
            (bob.records.subscribe(name, ignore), "SUBSCRIBEANDREAD"),
            (bob.records.delete(name), "DELETE"),
            (bob.records.update(name, lambda data: data), "READ"),
            (ann.records.set(name, {"n": 0}), "UPDATE"),
            (ann.records.patch(name, "n", -1), "PATCH"),
        ):
            error = self.refused(asked, MessageDenied)
            self.assertEqual((error.event, error.name, error.detail), ("MESSAGE_DENIED", name, action))
            self.assertEqual(str(error), f"MESSAGE_DENIED: {name}: {action}")
        self.done(self.api.records.set(name, {"n": 0}))

    def test_expected(self) -> None:
        """
        A user who may not read the record does not get it by a write that fails.
        """
        bob = self.api.as_user("bob")
        name = "private/ann"
        self.done(self.api.records.set(name, {"n": 1}))
        for expected, event in ((-1, "RECORD_UPDATE_ERROR"), (7, "INVALID_VERSION")):
            error = self.refused(bob.records.set(name, {"n": 2}, expected=expected), ApiError)
            self.assertEqual(error.event, event)
