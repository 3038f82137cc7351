"""
Tests for L{dstwist.figures.catalogue}.
"""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dstwist.figures.catalogue import BY_NAME, COUNTER, GAUGE, HISTOGRAM, METRICS

DOCUMENTATION = Path(__file__).parent.parent.parent / "docs" / "monitoring.rst"


def documented() -> list[list[str]]:
    """
    The rows of the table of metrics in the documentation: name, type, labels, meaning.
    """
    lines = DOCUMENTATION.read_text(encoding="utf-8").splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("metric "))
    columns = [match.span() for match in re.finditer("=+", lines[head + 1])]
    rows: list[list[str]] = []
    for line in lines[head + 2 :]:
        if line.startswith("===="):
            break
        cells = [line[start:end].strip() for start, end in columns[:-1]] + [line[columns[-1][0] :].strip()]
        if cells[0]:
            rows.append(cells)
        else:
            rows[-1] = [" ".join(part for part in parts if part) for parts in zip(rows[-1], cells, strict=True)]
    return rows


class CatalogueTests(SynchronousTestCase):
    """
    The table of all metrics.
    """

    def test_documented(self) -> None:
        """
        The documentation has the same table.
        """
        self.assertEqual(
            documented(),
            [
                [f"``{each.name}``", each.kind, ", ".join(f"``{label}``" for label in each.labels), each.help]
                for each in METRICS
            ],
        )

    def test_names(self) -> None:
        """
        The names are those of the conventions of Prometheus.
        """
        self.assertEqual(len(BY_NAME), len(METRICS))
        for metric in METRICS:
            self.assertRegex(metric.name, r"^(dstwist|process)_[a-z]+(_[a-z]+)*$")
            self.assertIn(metric.kind, (COUNTER, GAUGE, HISTOGRAM))
            self.assertEqual(metric.kind == COUNTER, metric.name.endswith("_total"), metric.name)
            if metric.kind == HISTOGRAM:
                self.assertTrue(metric.name.endswith("_seconds"), metric.name)
