"""
Tests for L{bench.soak}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from bench.soak import HEAD, Interval


class IntervalTests(SynchronousTestCase):
    """
    What was seen in a part of the time.
    """

    def test_line(self) -> None:
        """
        The line has a value below each title.
        """
        interval = Interval(2.0, 0.5, 0.1, 80_000_000, [100, 300], [1.0, 2.0, 3.0])
        values = dict(zip(HEAD.split(), interval.line("half", 1.5).split(), strict=False))
        self.assertEqual((values["load"], values["minute"], values["requests/s"]), ("half", "1.5", "200"))
        self.assertEqual(interval.line("half", 1.5).split()[3:], ["50%", "10%", "80.0", "2.00", "3.00", "3.00"])
        self.assertEqual(len(interval.line("half", 1.5)), len(HEAD))

    def test_nothing_arrived(self) -> None:
        """
        Without a delivery there is no delay to show.
        """
        interval = Interval(1.0, 0.0, 0.0, 80_000_000, [0, 0], [])
        self.assertEqual(interval.line("half", 1.0).split()[2:], ["0", "0%", "0%", "80.0", "0.00", "0.00", "0.00"])

    def test_capacity(self) -> None:
        """
        A server that has a processor in a quarter of the time can do four times as much.
        """
        self.assertEqual(Interval(2.0, 0.25, 0.7, 0, [100, 300], []).capacity, 800.0)

    def test_share(self) -> None:
        """
        The share compares the client with the least with the one with the most.
        """
        self.assertEqual(Interval(1.0, 0.5, 0.0, 0, [50, 200, 100], []).share, 0.25)
