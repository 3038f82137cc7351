"""
Tests for L{dstwist.services.record.commits}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.constants import RecordAction
from dstwist.record import Record
from dstwist.services.record.commits import AwaitedCommit, Commit
from dstwist.services.record.failures import RecordError
from dstwist.services.record.queue import Held
from tests.fakes import FakeConnection
from tests.services.record.stage import update


class CommitTests(SynchronousTestCase):
    """
    L{Commit} and L{AwaitedCommit}.
    """

    def test_queue(self) -> None:
        """
        L{Commit} sets each field of the queue that it is.
        """
        commit = Commit("a", update("a", 2, {}), FakeConnection("ann"), Record(2, {}), None, None)  # type: ignore[arg-type]
        fields = [name for kind in type(commit).mro() for name in getattr(kind, "__slots__", ())]
        self.assertIsInstance(commit, Held)
        self.assertEqual([name for name in fields if not hasattr(commit, name)], [])

    def test_awaited(self) -> None:
        """
        A coroutine gets the outcome: the record that is there instead, C{None}, or the error.
        """
        other = Record(7, {})
        for found in (None, other):
            commit = AwaitedCommit("a", Record(2, {}))
            commit.done(commit, None, found)
            self.assertIs(self.successResultOf(commit.ended), found)
        commit = AwaitedCommit("a", Record(2, {}))
        error = RecordError(RecordAction.RECORD_UPDATE_ERROR, "storage error")
        commit.done(commit, error, None)
        self.assertIs(self.failureResultOf(commit.ended).value, error)
