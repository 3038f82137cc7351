"""
Tests for L{bench.rows}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from bench.rows import ROWS, chosen


class ChosenTests(SynchronousTestCase):
    """
    Which rows are to be run.
    """

    def test_all(self) -> None:
        """
        Without names, all rows.
        """
        self.assertEqual(chosen([]), list(ROWS))

    def test_names(self) -> None:
        """
        A name stands for its row, and for those that begin with it; the order is that of the table.
        """
        self.assertEqual(
            [row.name for row in chosen(["rpc", "ackwrites", "tls-lockstep-1"])],
            ["ackwrites-1", "ackwrites-5", "ackwrites-50", "ackwrites-500", "rpc", "tls-lockstep-1"],
        )

    def test_unknown(self) -> None:
        """
        A name without a row is refused.
        """
        self.assertRaises(ValueError, chosen, ["rpc", "rp"])

    def test_unique(self) -> None:
        """
        No two rows and no two figures have the same name.
        """
        for names in ([row.name for row in ROWS], [figure.name for row in ROWS for figure in row.figures]):
            self.assertEqual(sorted(names), sorted(set(names)))
