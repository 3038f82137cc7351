"""
Tests for L{dstwist.services.record.pending}.
"""

from __future__ import annotations

from dstwist.limits.budgets import Budget
from dstwist.services.record.pending import REQUEST_BYTES, PendingBytes
from tests.requesters import RequesterTestCase, for_each_requester
from tests.services.record.stage import A, ask

READ = ask(A.READ, "a")


@for_each_requester
class PendingBytesTests(RequesterTestCase):
    """
    L{PendingBytes}.
    """

    def setUp(self) -> None:
        self.ann, self.bob, self.cat = (self.connect(name) for name in ("ann", "bob", "cat"))

    def test_requester(self) -> None:
        """
        A requester is paused beyond its limit, data and requests counted, and resumed at half of it.
        """
        pending = PendingBytes(4 * REQUEST_BYTES)
        write = ask(A.UPDATE, "a", b"{}")
        for request in (READ, READ, READ):
            pending.charge(request, self.ann)
        self.assertFalse(self.ann.paused)
        pending.charge(write, self.ann)
        resumed = pending.resumed(self.ann)
        assert resumed is not None
        self.assertTrue(self.ann.paused)
        pending.discharge(READ, self.ann)
        pending.discharge(READ, self.ann)
        self.assertTrue(self.ann.paused)
        self.assertNoResult(resumed)
        pending.discharge(write, self.ann)
        self.assertFalse(self.ann.paused)
        self.successResultOf(resumed)
        self.assertIsNone(pending.resumed(self.ann))

    def test_budget(self) -> None:
        """
        Above the limit of all requesters, each that sends another request is paused until one of its own is served.
        """
        budget = Budget(3 * REQUEST_BYTES)
        pending = PendingBytes(100 * REQUEST_BYTES, budget)
        for requester in (self.ann, self.bob, self.ann):
            pending.charge(READ, requester)
        self.assertFalse(self.ann.paused or self.bob.paused)
        for requester in (self.cat, self.bob):
            pending.charge(READ, requester)
        self.assertEqual((self.ann.paused, self.bob.paused, self.cat.paused), (False, True, True))
        pending.discharge(READ, self.ann)
        self.assertEqual((self.bob.paused, self.cat.paused), (True, True))
        for requester in (self.bob, self.cat, self.ann, self.bob):
            pending.discharge(READ, requester)
        self.assertFalse(self.bob.paused or self.cat.paused)
        self.assertEqual(budget.used, 0)

    def test_server(self) -> None:
        """
        Requests of the server itself do not count.
        """
        budget = Budget(REQUEST_BYTES)
        pending = PendingBytes(REQUEST_BYTES, budget)
        pending.charge(READ, None)
        self.assertEqual(budget.used, 0)
        pending.discharge(READ, None)
