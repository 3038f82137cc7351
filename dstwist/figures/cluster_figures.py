"""
The figures of the part that a node takes in the cluster.
"""

from __future__ import annotations

from dstwist.cluster.figures import ArbiterFigures, ClusterCounting, NewsFigures
from dstwist.figures.samples import Samples


def collect_cluster(samples: Samples, counting: ClusterCounting | None) -> None:
    """
    Add the figures.

    @param counting: C{None}: there is only this node.
    """
    if counting is None:
        samples.add("dstwist_cluster_size", 1)
        return
    found = counting.count()
    for name, value in (
        ("size", found.members),
        ("table_version", found.table_version),
        ("table_went_back_total", found.went_back),
        ("lease_age_seconds", found.lease_age),
        ("partitions", found.partitions),
        ("partitions_taken_total", found.partitions_taken),
        ("partitions_given_total", found.partitions_given),
        ("bus_lost", found.bus_is_lost),
        ("bus_losses_total", found.bus_losses),
        ("bus_dropped_total", found.dropped),
        ("unconfirmed_subjects", found.unconfirmed),
        ("digests_repaired_total", found.digests_differed),
        ("absences", found.absences),
        ("awaited_members", len(found.awaited)),
    ):
        samples.add(f"dstwist_cluster_{name}", value)
    samples.add_histogram("dstwist_cluster_bus_round_trip_seconds", counting.round_trips)
    if found.news is not None:
        _collect_news(samples, found.news)
    if found.arbiter is not None:
        _collect_writes(samples, found.arbiter)


def _collect_news(samples: Samples, news: NewsFigures) -> None:
    samples.add("dstwist_cluster_news_early_total", news.early)
    samples.add("dstwist_cluster_news_gaps_total", news.gaps)
    samples.add("dstwist_cluster_news_old_total", news.old)
    samples.add("dstwist_cluster_records_not_compared", news.not_compared)
    for cause, count in news.differed.items():
        samples.add("dstwist_cluster_records_differed_total", count, cause=cause)


def _collect_writes(samples: Samples, arbiter: ArbiterFigures) -> None:
    samples.add("dstwist_cluster_write_refusals_total", arbiter.refusals)
    samples.add("dstwist_cluster_max_write_refusals", arbiter.most_refusals)
    samples.add("dstwist_cluster_doubts_total", arbiter.doubts)
    samples.add("dstwist_cluster_fences_total", arbiter.fences)
