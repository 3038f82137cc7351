"""
Tests for L{dstwist.services.record.broken_steps}. C{test_queue} has the exceptions of the steps themselves.
"""

from __future__ import annotations

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dstwist.services.record.broken_steps import is_contained, report
from tests.fakes import FakeConnection
from tests.services.record.stage import A, ask, update

READ = ask(A.READ, "a")


class BrokenStepTests(SynchronousTestCase):
    """
    Steps that break, as clients see them.
    """

    def setUp(self) -> None:
        self.ann = FakeConnection("ann")
        self.bob = FakeConnection("bob")

    def test_reads(self) -> None:
        """
        Reads for which there is not enough memory are answered with an error each. The server's own request needs none.
        """
        report(Failure(MemoryError()), "a", [(READ, self.ann), (READ, None), (ask(A.HEAD, "a"), self.bob)])
        for connection in (self.ann, self.bob):
            self.assertEqual([answer.action for answer in connection.take()], [A.RECORD_LOAD_ERROR])
            self.assertFalse(connection.closed)
        self.assertEqual(len(self.flushLoggedErrors(MemoryError)), 1)

    def test_writes(self) -> None:
        """
        If one of the requests is a write, all clients start anew, and none is answered.
        """
        requests = [(READ, self.ann), (update("a", 2, {}), self.bob)]
        self.assertFalse(is_contained(Failure(MemoryError()), "a", requests))
        report(Failure(MemoryError()), "a", requests)
        for connection in (self.ann, self.bob):
            self.assertEqual((connection.take(), connection.closed), ([], True))
        self.assertEqual(len(self.flushLoggedErrors(MemoryError)), 1)

    def test_mistakes(self) -> None:
        """
        After any other exception the clients start anew, although they only read.
        """
        report(Failure(ZeroDivisionError()), "a", [(READ, self.ann), (READ, None)])
        self.assertEqual((self.ann.take(), self.ann.closed), ([], True))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
