"""
A whole node and large values that end: how much of one is freed in one turn of the reactor.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from dstwist.config.settings import Settings
from dstwist.node import Node
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from tests.fakes import BusyReactor
from tests.nodes.client import MemoryClient
from tests.turns import turn_lengths

ARRAYS = 200_000

#: JSON that weighs more than L{LARGE_WEIGHT<dstwist.protocol.freeing>}.
LARGE = b"[%s]" % b",".join([b"[]"] * ARRAYS)


class FreeingTestCase(SynchronousTestCase):
    """
    A node, and a client of it.
    """

    generation = "v4"

    def setUp(self) -> None:
        # The garbage of earlier tests would count as freed by this one.
        gc.collect()
        self.reactor: Any = BusyReactor()
        self.node = Node(Settings(), [], self.reactor)
        self.node.startService()
        self.addCleanup(self.node.stopService)
        self.reactor.advance(0)
        self.client = MemoryClient(self.node, self.generation)
        self.client.log_in("ann")
        self.reactor.tick = 0.0005
        turn_lengths(self.reactor, list)

    def assert_freed(self, act: Callable[[], object]) -> None:
        """
        C{act}, and the turns after it, free a large value, and no turn frees most of it.
        """
        blocks = [sys.getallocatedblocks()]
        if not blocks[0]:
            raise SkipTest("this Python does not count its blocks")
        act()
        blocks.append(sys.getallocatedblocks())
        while any(call.getTime() <= self.reactor.rightNow for call in self.reactor.getDelayedCalls()):
            self.assertLess(len(blocks), 10_000)
            self.reactor.advance(0)
            blocks.append(sys.getallocatedblocks())
        self.assertGreater(max(blocks) - blocks[-1], 0.9 * ARRAYS)
        self.assertLess(max(before - after for before, after in pairwise(blocks)), ARRAYS / 2)


class LargeRecordTests(FreeingTestCase):
    """
    A large record is freed in several turns, whatever ends it.
    """

    def write(self, data: bytes | None, path: str | None = None, version: int = -1) -> None:
        """
        Make a client write to the record.
        """
        action = RecordAction.CREATEANDUPDATE if path is None else RecordAction.CREATEANDPATCH
        self.client.say(Message(Topic.RECORD, action, "large", data, path=path, version=version))

    def have(self, data: bytes) -> None:
        """
        There is a record.
        """
        self.write(data)
        turn_lengths(self.reactor, list)

    def test_updated(self) -> None:
        """
        A write replaces it, short or long.
        """
        self.have(LARGE)
        self.assert_freed(lambda: self.write(b"{}"))
        self.have(LARGE)
        self.assert_freed(lambda: self.write(LARGE))

    def test_updated_at_once(self) -> None:
        """
        A write replaces it that need not wait for anything.
        """
        self.have(LARGE)
        update = Message(Topic.RECORD, RecordAction.UPDATE, "large", b"{}", version=2)
        self.assert_freed(lambda: self.client.say(update))

    def test_patched(self) -> None:
        """
        A write replaces or erases a large part of it.
        """
        for version, data in ((2, b"1"), (4, b"[]"), (6, None)):
            self.have(b'{"a":[1,%s]}' % LARGE)
            action = RecordAction.ERASE if data is None else RecordAction.PATCH
            patch = Message(Topic.RECORD, action, "large", data, path="a[1]", version=version)
            self.assert_freed(lambda patch=patch: self.client.say(patch))  # type: ignore[misc]

    def patch_array(self, last: int) -> None:
        """
        Replace the first element of an array in the record, and then others. All are in the base until it is merged.
        """
        for index in range(last):
            patch = Message(Topic.RECORD, RecordAction.PATCH, "large", b"1", path=f"a[{index}]", version=index + 2)
            self.client.say(patch)

    def test_merged(self) -> None:
        """
        A write merges the changed items of a large array into its base.
        """
        self.have(b'{"a":[%s%s]}' % (LARGE, b",0" * 1500))
        self.assert_freed(lambda: self.patch_array(140))

    def test_patched_and_deleted(self) -> None:
        """
        It is deleted while the base has a value that was replaced.
        """
        self.have(b'{"a":[%s%s]}' % (LARGE, b",0" * 1500))
        self.patch_array(2)
        self.assert_freed(lambda: self.client.say(Message(Topic.RECORD, RecordAction.DELETE, "large")))

    def test_several_patches(self) -> None:
        """
        A write of several paths replaces a large part of it.
        """
        self.have(b'{"a":[1,%s]}' % LARGE)
        data = b'[{"path":"a[1]","data":1},{"path":"b","data":2}]'
        patch = Message(Topic.RECORD, RecordAction.PATCH_MULTI, "large", data, version=2)
        self.assert_freed(lambda: self.client.say(patch))

    def test_deleted(self) -> None:
        """
        It is deleted.
        """
        self.have(LARGE)
        self.assert_freed(lambda: self.client.say(Message(Topic.RECORD, RecordAction.DELETE, "large")))

    def test_refused(self) -> None:
        """
        It is not written at all: it comes too late, or its path is not valid.
        """
        self.have(b"{}")
        self.assert_freed(lambda: self.write(LARGE, version=1))
        self.assert_freed(lambda: self.write(LARGE, "a[99999]"))


class LargeRequestTests(FreeingTestCase):
    """
    A large value that is read for a request, and is no good, is freed in several turns.
    """

    generation = "v3"

    def test_refused(self) -> None:
        """
        It has the wrong type, or is not valid to its end.
        """
        for text in (LARGE, LARGE[:-1] + b",]"):
            payload = b"\x1f".join([b"U", b"S", b"1", text]) + b"\x1e"
            self.assert_freed(lambda payload=payload: self.client.send(payload))  # type: ignore[misc]
