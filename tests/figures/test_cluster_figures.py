"""
Tests for L{dstwist.figures.cluster_figures}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.figures import ArbiterFigures, ClusterFigures, NewsFigures
from dstwist.counters.histogram import Histogram
from dstwist.figures.catalogue import METRICS
from dstwist.figures.cluster_figures import collect_cluster
from dstwist.figures.samples import Samples
from dstwist.figures.text_format import values


class Counting:
    """
    Gives figures.
    """

    def __init__(self, figures: ClusterFigures) -> None:
        self.round_trips = Histogram((1,))
        self.round_trips.observe(0.5)
        self.figures = figures

    def count(self) -> ClusterFigures:
        return self.figures


def collect(counting: Any) -> dict[str, float]:
    samples = Samples()
    collect_cluster(samples, counting)
    return values(samples)


class ClusterFigureTests(SynchronousTestCase):
    """
    L{collect_cluster}.
    """

    def test_alone(self) -> None:
        """
        Without other nodes there is one node, and nothing else to tell.
        """
        self.assertEqual(collect(None), {"dstwist_cluster_size": 1})

    def test_all(self) -> None:
        """
        Each figure is in its metric, and each metric of a cluster has a figure.
        """
        news = NewsFigures(early=21, gaps=22, old=23, differed={"gap": 24}, not_compared=25)
        arbiter = ArbiterFigures(refusals=31, most_refusals=32, in_doubt=33, doubts=34, fences=35)
        figures = ClusterFigures(1, 2, 3, 4.5, 5, 6, 7, True, 8, 9, 10, 11, 12, ("ann", "bob"), news, arbiter)
        found = collect(Counting(figures))
        self.assertEqual(
            {name.removeprefix("dstwist_cluster_"): value for name, value in found.items() if "round_trip" not in name},
            {
                "size": 1,
                "table_version": 2,
                "table_went_back_total": 3,
                "lease_age_seconds": 4.5,
                "partitions": 5,
                "partitions_taken_total": 6,
                "partitions_given_total": 7,
                "bus_lost": True,
                "bus_losses_total": 8,
                "bus_dropped_total": 9,
                "unconfirmed_subjects": 10,
                "digests_repaired_total": 11,
                "absences": 12,
                "awaited_members": 2,
                "news_early_total": 21,
                "news_gaps_total": 22,
                "news_old_total": 23,
                'records_differed_total{cause="gap"}': 24,
                "records_not_compared": 25,
                "write_refusals_total": 31,
                "max_write_refusals": 32,
                "doubts_total": 34,
                "fences_total": 35,
            },
        )
        self.assertEqual(found["dstwist_cluster_bus_round_trip_seconds_count"], 1)
        names = {name.partition("{")[0] for name in found} | {"dstwist_cluster_bus_round_trip_seconds"}
        wanted = {metric.name for metric in METRICS if metric.name.startswith("dstwist_cluster_")}
        self.assertEqual(wanted - names, set())
