"""
Tests for L{dstwist.store.loss}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from dstwist.interfaces import ILifecycle, IStoreStatus
from dstwist.store.loss import LOOK_SECONDS, LossWatch
from tests.fakes import FakeReplaceableStore, FakeStore


@implementer(IStoreStatus)
class Elsewhere(FakeReplaceableStore):
    """
    A store in a server of its own.
    """

    trouble: str | None = None

    def contents(self) -> str:
        return "nothing"

    def problem(self) -> str | None:
        return self.trouble


class LossTests(SynchronousTestCase):
    """
    L{LossWatch}.
    """

    def watch(self, **stores: Any) -> LossWatch:
        self.clock = Clock()
        self.losses: list[str] = []
        watch = LossWatch(list(stores.items()), 3.0, self.losses.append, self.clock)
        verifyObject(ILifecycle, watch)
        self.successResultOf(watch.start())
        return watch

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([LOOK_SECONDS] * int(seconds / LOOK_SECONDS))

    def test_lost(self) -> None:
        """
        A store that cannot be used for long is lost, and that is said once.
        """
        storage = Elsewhere()
        watch = self.watch(storage=storage, cache=None)
        self.assertEqual(watch.description, "the server ends if the storage cannot be used for 3 s")
        self.pass_time(10)
        storage.trouble = "no connection"
        self.pass_time(3)
        self.assertEqual(self.losses, [])
        self.pass_time(10)
        self.assertEqual(self.losses, ["the storage cannot be used for 3 s: no connection"])
        self.successResultOf(watch.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_back(self) -> None:
        """
        A store that is back in time is not lost, however often it is away.
        """
        cache = Elsewhere()
        watch = self.watch(storage=Elsewhere(), cache=cache)
        for _ in range(5):
            cache.trouble = "no connection"
            self.pass_time(2.5)
            cache.trouble = None
            self.pass_time(LOOK_SECONDS)
        self.assertEqual(self.losses, [])
        self.successResultOf(watch.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_here(self) -> None:
        """
        A store in this process is never lost.
        """
        watch = self.watch(storage=FakeStore(), cache=FakeReplaceableStore())
        self.assertEqual(watch.description, "no store is in a server of its own")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.successResultOf(watch.stop())
