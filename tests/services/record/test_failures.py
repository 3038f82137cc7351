"""
Tests for L{dstwist.services.record.failures}.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import ILogObserver, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from dstwist.errors import StoreError, StoreFull
from dstwist.protocol.constants import RecordAction
from dstwist.services.record.failures import complain, read_failed, write_failed
from dstwist.store.tiers import CACHE_TIER, STORAGE_TIER, TierError


class FailureTests(SynchronousTestCase):
    """
    Each failure becomes a log line and an error.
    """

    def setUp(self) -> None:
        self.events: list[dict[str, Any]] = []

        @implementer(ILogObserver)
        def log(event: dict[str, Any]) -> None:
            self.events.append(event)

        globalLogPublisher.addObserver(log)
        self.addCleanup(globalLogPublisher.removeObserver, log)

    def lines(self) -> list[tuple[str, str, str]]:
        """
        The event, the tier and the problem of each line so far.
        """
        found = [(each["event"], each["where"], str(each["problem"])) for each in self.events if "event" in each]
        self.events.clear()
        return found

    def test_reads(self) -> None:
        """
        A client is told which tier failed, and not why; the log has both.
        """
        for tier, reason, action, detail, problem in (
            (CACHE_TIER, StoreError("secret"), "RECORD_LOAD_ERROR", "error while loading a from cache", "secret"),
            (STORAGE_TIER, StoreError("secret"), "RECORD_LOAD_ERROR", "error while loading a from storage", "secret"),
            (CACHE_TIER, 1.5, "CACHE_RETRIEVAL_TIMEOUT", "a", "no answer within 1.5 s"),
            (STORAGE_TIER, 2.0, "STORAGE_RETRIEVAL_TIMEOUT", "a", "no answer within 2 s"),
        ):
            error = read_failed("a", TierError(tier, reason))
            self.assertEqual((error.action.name, error.detail), (action, detail))
            self.assertEqual(self.lines(), [(action, tier, problem)])

    def test_writes(self) -> None:
        """
        The same for writes; a full store is named as such.
        """
        update, delete = RecordAction.RECORD_UPDATE_ERROR, RecordAction.RECORD_DELETE_ERROR
        for action, tier, reason, detail, problem in (
            (update, STORAGE_TIER, StoreError("secret"), "storage error", "secret"),
            (update, CACHE_TIER, StoreFull("5 GB"), "cache is full", "5 GB"),
            (delete, STORAGE_TIER, 1.5, "storage timeout", "no answer within 1.5 s"),
        ):
            error = write_failed("a", action, tier, reason)
            self.assertEqual((error.action, error.detail), (action, detail))
            self.assertEqual(self.lines(), [(action.name, tier, problem)])

    def test_mistake(self) -> None:
        """
        An exception that no store should raise is a mistake in its code, and logged with its traceback.
        """
        complain(RecordAction.RECORD_LOAD_ERROR, "a", CACHE_TIER, KeyError("typo"))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_hostile_name(self) -> None:
        """
        Control characters of a name do not reach the log.
        """
        complain(RecordAction.RECORD_LOAD_ERROR, "a\nb", CACHE_TIER, "late")
        self.assertNotIn("\n", str(self.events[-1]["name"]))
