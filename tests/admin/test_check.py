"""
The command C{check}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from dstwist.admin.check import PREFIX, STEP_TIMEOUT
from dstwist.errors import StoreError
from dstwist.record import Record
from tests.admin.helpers import AdminTestCase, Operator
from tests.nodes.test_embedding import SLOW_STORAGE
from tests.nodes.test_stores import SlowStore, _stores


class CheckTests(AdminTestCase):
    """
    One node, and its stores.
    """

    def setUp(self) -> None:
        super().setUp()
        _stores["storage"] = self.storage = SlowStore("storage", [])
        self.addCleanup(_stores.clear)
        self.storage.starting.callback(None)

    def check(self, seconds: float = 0) -> Any:
        operator = self.begin("/check", "POST")
        self.reactor.pump([0.1] * (round(seconds * 10) + 1))
        reply = operator.reply()
        assert reply is not None
        self.assertEqual(reply.status, 200)
        return reply.value

    def results(self, value: Any) -> dict[str, str]:
        return {f"{step['step']}, {step['place']}": step["result"] for step in value["steps"]}

    def test_fine(self) -> None:
        """
        The record is written twice, and read in all places. Nothing is left of it.
        """
        self.started(**SLOW_STORAGE)
        value = self.check()
        self.assertEqual((value["fine"], value["problems"]), (True, 0))
        self.assertTrue(value["name"].startswith(PREFIX))
        self.assertEqual(
            self.results(value),
            dict.fromkeys(
                (
                    "write 1, this node",
                    "read 1, this node",
                    "read 1, storage",
                    "read 1, cache",
                    "write 2, this node",
                    "read 2, this node",
                    "read 2, storage",
                    "read 2, cache",
                    "delete, this node",
                    "read after the deletion, storage",
                ),
                "ok",
            ),
        )
        found = self.get("records", name=value["name"]).value
        self.assertEqual((found["cache"], found["storage"]), ({"version": None}, {"version": None}))

    def test_only_cache(self) -> None:
        """
        Without a storage, the cache is read.
        """
        self.started()
        value = self.check()
        self.assertTrue(value["fine"], value)
        self.assertIn("read 2, cache", self.results(value))

    def test_wrong_storage(self) -> None:
        """
        A storage that has lost the record, has an earlier version or other data is named.
        """
        self.started(**SLOW_STORAGE)
        for record, expected in (
            (None, "lost: there is no record"),
            (Record(0, {}), "stale: version 0, not 1"),
            (Record(1, {"x": 1}), "forked: other data under version 1"),
            (Record(7, {}), "forked: version 7, not 1"),
        ):
            self.patch(self.storage, "get", lambda name, record=record: succeed(record))
            value = self.check()
            self.assertFalse(value["fine"])
            self.assertEqual(self.results(value)["read 1, storage"], expected)

    def test_storage_fails(self) -> None:
        """
        So is one that fails, with the reason.
        """
        self.started(**SLOW_STORAGE)

        get, asked = self.storage.get, []

        def failing(name: str) -> Any:
            # The first read is that of the write.
            asked.append(name)
            return fail(StoreError("the disk is on fire")) if len(asked) > 1 else get(name)

        self.patch(self.storage, "get", failing)
        self.assertEqual(self.results(self.check())["read 1, storage"], "failed: StoreError: the disk is on fire")

    def test_storage_hangs(self) -> None:
        """
        If the storage hangs, each step ends in time, and says so.
        """
        self.started(**SLOW_STORAGE)
        for name in ("write", "replace", "get", "delete", "remove", "set"):
            self.patch(self.storage, name, lambda *arguments: Deferred())
        value = self.check(4 * STEP_TIMEOUT)
        self.assertFalse(value["fine"])
        self.assertNotEqual(self.results(value)["write 1, this node"], "ok")
        self.assertEqual(self.results(value)["read 1, storage"], f"no answer within {STEP_TIMEOUT:g} s")
        self.assertNotEqual(self.results(value)["delete, this node"], "ok")
        self.assertTrue(all(step["seconds"] <= STEP_TIMEOUT + 0.1 for step in value["steps"]), value)

    def test_one_at_a_time(self) -> None:
        """
        There is one check at a time; one whose operator has gone still ends.
        """
        self.started(**SLOW_STORAGE)
        with_hanging = self.storage.get
        self.patch(self.storage, "get", lambda name: Deferred())
        operator: Operator = self.begin("/check", "POST")
        self.assertEqual(self.post("check").status, 409)
        self.patch(self.storage, "get", with_hanging)
        operator.leave()
        self.reactor.pump([0.1] * 200)
        self.assertTrue(self.check()["fine"])

    def test_switched_off(self) -> None:
        """
        Without records there is nothing to check.
        """
        self.started(enabledFeatures={"record": False})
        self.assertEqual(self.post("check").status, 409)
