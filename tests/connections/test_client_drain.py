"""
Clients that are sent away in small groups.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.connections.client_drain import GROUP_SECONDS, ClientDrain
from tests.logs import Lines


class ClientDrainTests(SynchronousTestCase):
    """
    L{ClientDrain}.
    """

    def setUp(self) -> None:
        self.lines = Lines(self)
        self.clock = Clock()
        self.clients: list[str] = []
        self.calls: list[str] = []
        self.drain = ClientDrain(
            lambda: list(self.clients), self.send_away, lambda: self.calls.append("refuse"), self.clock
        )

    def send_away(self, client: str) -> None:
        self.calls.append(client)
        self.clients.remove(client)

    def come(self, count: int) -> None:
        self.clients += [str(number) for number in range(count)]

    def left_after_each_group(self, groups: int) -> list[int]:
        left = []
        for _ in range(groups):
            self.clock.advance(GROUP_SECONDS)
            left.append(len(self.clients))
        return left

    def test_groups(self) -> None:
        """
        New clients are refused at once. The clients leave in groups of the same size, the last one when the time is
        over.
        """
        self.come(10)
        self.assertTrue(self.drain.begin(5 * GROUP_SECONDS))
        self.assertEqual(self.calls, ["refuse"])
        over = self.drain.over()
        self.assertEqual(self.left_after_each_group(4), [8, 6, 4, 2])
        self.assertNoResult(over)
        self.assertEqual(self.left_after_each_group(1), [0])
        self.successResultOf(over)
        self.assertEqual(len(self.calls), 1 + 10)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_few(self) -> None:
        """
        Fewer clients than groups are spread over the whole time.
        """
        self.come(2)
        self.drain.begin(6 * GROUP_SECONDS)
        self.assertEqual(self.left_after_each_group(6), [2, 2, 1, 1, 1, 0])

    def test_one_leaves(self) -> None:
        """
        Clients that leave by themselves make the groups smaller. When no client is left, the drain is over.
        """
        self.come(4)
        self.drain.begin(4 * GROUP_SECONDS)
        over = self.drain.over()
        del self.clients[2:]
        self.assertEqual(self.left_after_each_group(2), [2, 2])
        self.clients.clear()
        self.assertNoResult(over)
        self.clock.advance(GROUP_SECONDS)
        self.successResultOf(over)
        self.assertEqual(self.calls, ["refuse"])

    def test_slow_to_leave(self) -> None:
        """
        A client that was sent away is not sent away again while its connection still exists. The end of the drain does
        not wait for it.
        """
        sent: list[str] = []
        drain = ClientDrain(lambda: self.clients, sent.append, lambda: None, self.clock)
        self.come(4)
        drain.begin(2 * GROUP_SECONDS)
        over = drain.over()
        self.clock.advance(GROUP_SECONDS)
        self.assertEqual(len(sent), 2)
        self.clock.advance(GROUP_SECONDS)
        self.assertEqual(sorted(sent), sorted(self.clients))
        self.successResultOf(over)

    def test_no_clients(self) -> None:
        """
        Without clients the drain is over at once.
        """
        self.drain.begin(60)
        self.successResultOf(self.drain.over())
        self.assertEqual(self.calls, ["refuse"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_time(self) -> None:
        """
        Without time, all leave in the next turn.
        """
        self.come(3)
        self.drain.begin(0)
        self.clock.advance(0)
        self.assertEqual(self.clients, [])
        self.successResultOf(self.drain.over())

    def test_second(self) -> None:
        """
        A second begin does nothing, neither while the drain is under way nor later.
        """
        self.come(2)
        self.assertTrue(self.drain.begin(2 * GROUP_SECONDS))
        self.assertFalse(self.drain.begin(100 * GROUP_SECONDS))
        self.assertEqual(self.left_after_each_group(2), [1, 0])
        self.assertFalse(self.drain.begin(GROUP_SECONDS))
        self.assertEqual(self.calls.count("refuse"), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_state(self) -> None:
        """
        The state says how long the drain may still take.
        """
        self.assertIsNone(self.drain.state)
        self.come(2)
        self.drain.begin(20)
        self.assertEqual(self.drain.state, "the server sends its clients away, within 20 s")
        self.clock.pump([GROUP_SECONDS] * 100)
        self.assertEqual(self.drain.state, "the server sends its clients away, within 10 s")
        self.clock.pump([GROUP_SECONDS] * 100)
        self.assertEqual(self.drain.state, "the server has sent its clients away")

    def test_stop(self) -> None:
        """
        After a stop the remaining clients are not sent away. All that wait are told.
        """
        self.come(2)
        self.drain.begin(2 * GROUP_SECONDS)
        over, cancelled = self.drain.over(), self.drain.over()
        cancelled.addErrback(lambda failure: None)
        cancelled.cancel()
        self.drain.stop()
        self.successResultOf(over)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.calls, ["refuse"])
        self.drain.stop()

    def test_log(self) -> None:
        """
        The log says how many clients are sent away.
        """
        self.come(2)
        self.drain.begin(2.5)
        self.assertEqual(self.lines.last("info"), "INFO | draining: 2 clients are sent away within 2.5 s")
