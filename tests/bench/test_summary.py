"""
Tests for L{bench.summary}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from bench.summary import Line, Ratio, Run, behind, median, number, ratio, table, waiting

RATE = Line("rpc", "procedure calls", "calls", more_is_better=True)
TIME = Line("p99", "latency", "ms", more_is_better=False)
PEERS = [("dstwist", "dstwist"), ("uws", "Node uws")]


def runs(figure: str, ours: list[float | None], theirs: list[float | None]) -> list[Run]:
    """
    Runs of two servers, in pairs.
    """
    return [
        Run(figure, peer, pair, value)
        for peer, values in (("dstwist", ours), ("uws", theirs))
        for pair, value in enumerate(values)
    ]


class RatioTests(SynchronousTestCase):
    """
    Ratios of two servers.
    """

    def test_within_pairs(self) -> None:
        """
        The ratio is taken in each pair: the median, the smallest and the largest of them.
        """
        found = ratio(runs("rpc", [10.0, 40.0, 90.0], [10.0, 20.0, 30.0]), RATE, "uws")
        self.assertEqual(found, Ratio(2.0, 1.0, 3.0))

    def test_less_is_better(self) -> None:
        """
        Of a time, a smaller one is ahead.
        """
        self.assertEqual(ratio(runs("p99", [2.0], [3.0]), TIME, "uws"), Ratio(1.5, 1.5, 1.5))

    def test_failed_runs(self) -> None:
        """
        A pair in which a run failed does not count; without a whole pair there is no ratio.
        """
        found = ratio(runs("rpc", [10.0, None, 30.0], [10.0, 20.0, None]), RATE, "uws")
        self.assertEqual(found, Ratio(1.0, 1.0, 1.0))
        self.assertIsNone(ratio(runs("rpc", [10.0, None], [None, 20.0]), RATE, "uws"))

    def test_other_figures(self) -> None:
        """
        Only the runs of the line count.
        """
        self.assertIsNone(ratio(runs("rpc", [10.0], [10.0]), TIME, "uws"))
        self.assertIsNone(median(runs("rpc", [10.0], [10.0]), "p99", "uws"))


class NumberTests(SynchronousTestCase):
    """
    Numbers for people.
    """

    def test_digits(self) -> None:
        """
        A number has three digits, also where rounding adds one in front.
        """
        cases = {
            0.1234: "0.12",
            9.994: "9.99",
            9.996: "10.0",
            99.96: "100",
            999.4: "999",
            999.6: "1.00 k",
            45_600.0: "45.6 k",
            999_600.0: "1.00 M",
            1_234_567.0: "1.23 M",
        }
        self.assertEqual({value: number(value) for value in cases}, cases)


class TableTests(SynchronousTestCase):
    """
    The table, and the remarks below it.
    """

    def test_table(self) -> None:
        """
        A line has the medians of the servers, and the ratio with its spread; a missing server has none.
        """
        made = [*runs("rpc", [30.0, 20.0, 10.0], [10.0, 10.0, 10.0]), *runs("p99", [2.0], [None])]
        self.assertEqual(
            table(made, [RATE, TIME], [*PEERS, ("ws", "Node ws")]),
            """\
===============  ===========  =======  ========  =======  ===================  ============
row              unit         dstwist  Node uws  Node ws  dstwist / uws        dstwist / ws
===============  ===========  =======  ========  =======  ===================  ============
procedure calls  calls/CPU-s  20.0     10.0      -        2.00 (1.00 to 3.00)  -
latency          ms           2.00     failed    -        -                    -
===============  ===========  =======  ========  =======  ===================  ============""",
        )

    def test_behind(self) -> None:
        """
        The rows in which another server is ahead are named.
        """
        made = [*runs("rpc", [5.0], [10.0]), *runs("p99", [2.0], [3.0])]
        self.assertEqual(behind(made, [RATE, TIME], PEERS), ["procedure calls: 0.50 of Node uws"])

    def test_waiting(self) -> None:
        """
        The servers that were not kept busy are named, if they were to be.
        """
        made = [
            Run("rpc", "dstwist", 0, 1.0, busy=0.95),
            Run("rpc", "uws", 0, 1.0, busy=0.5),
            Run("p99", "uws", 0, 1.0, busy=None),
        ]
        self.assertEqual(waiting(made, [RATE, TIME]), ["procedure calls: uws had work to do in 50% of the time"])
