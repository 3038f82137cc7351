"""
Clients that let go of a record while a write of theirs is on its way.
"""

from __future__ import annotations

from tests.e2e.clients import Outcome
from tests.e2e.records import Record
from tests.e2e.scenario import PATIENT, QUICK, Scenario, for_each_generation


class LettingGoTests(Scenario):
    """
    A write with a callback, and the end of the record right after it.
    """

    options = QUICK
    tls = False
    first = "v2"

    def setUp(self) -> None:
        super().setUp()
        self.at = self.server(config=PATIENT)
        self.client_ = self.logged_in(self.first, self.at)
        self.other = self.logged_in("v7", self.at)

    def let_go(self, how: str) -> tuple[str, Outcome]:
        name = self.name(how)
        record = Record(self.client_, name)
        self.assertIsNone(record.set_with_ack('{"x":1}'))
        outcome = Outcome(self.client_, self.client_.do("setAndLetGo", name, '{"x":2}', how))
        record.wait_for_event(how)
        # The client is alive, and gets the record anew.
        self.fence(self.client_, self.other)
        self.fence(self.other, self.client_)
        return name, outcome

    def test_delete(self) -> None:
        """
        Client 2.3.4 destroys the callback with the record, and would throw on an acknowledgement.
        """
        name, outcome = self.let_go("delete")
        self.assertEqual(outcome.done, self.first == "v7")
        again = Record(self.client_, name, key="again")
        self.assertEqual(again.get(), "{}")
        self.assertIsNone(again.set_with_ack('{"x":3}'))

    def test_discard(self) -> None:
        """
        The same holds if the client discards the record; the write remains valid.
        """
        name, outcome = self.let_go("discard")
        self.assertEqual(outcome.done, self.first == "v7")
        self.assertEqual(self.other.look("snapshot", name), '{"x":2}')

    def lose_and_let_go(self, how: str) -> str:
        """
        The same with a write that comes too late.
        """
        name = self.name("lost/" + how)
        record, winner = Record(self.client_, name), Record(self.other, name)
        self.assertIsNone(record.set_with_ack('{"x":1}'))
        winner.until('{"x":1}')
        self.client_.deafen()
        self.assertIsNone(winner.set_with_ack('{"winner":1}'))
        outcome = Outcome(self.client_, self.client_.do("setAndLetGo", name, '{"x":2}', how))
        self.client_.hear()
        record.wait_for_event(how)
        self.fence(self.client_, self.other)
        self.fence(self.other, self.client_)
        if self.first == "v2":
            # The update of the winner was on its way already.
            self.client_.expect_error("UNSOLICITED_MESSAGE")
        else:
            # A client of v7 merges that update although it has let go of the record, and says so.
            self.tolerate_output("Warning: RECORD (VERSION_EXISTS)")
            self.tolerate_output("Invalid state transition")
        self.assertEqual(outcome.done, self.first == "v7")
        again = Record(self.client_, name, key="again")
        self.assertEqual(again.get(), "{}" if how == "delete" else '{"winner":1}')
        self.assertIsNone(again.set_with_ack('{"x":3}'))
        self.assertEqual(self.other.look("snapshot", name), '{"x":3}')
        return name

    def test_lost_and_deleted(self) -> None:
        """
        Client 2.3.4 would throw on the error for the callback, and raise VERSION_EXISTS.
        """
        self.lose_and_let_go("delete")

    def test_lost_and_discarded(self) -> None:
        """
        The same holds if the client discards the record.
        """
        self.lose_and_let_go("discard")


for_each_generation(LettingGoTests)
del LettingGoTests
