"""
All metrics. C{docs/monitoring.rst} has the same table, and a test compares the two.

Names and units are those of the conventions of Prometheus: base units, C{_total} at the end of counters. All values of
labels come from the code or from the configuration, never from clients, so the number of time series is bounded.
"""

from __future__ import annotations

from typing import NamedTuple

COUNTER = "counter"
GAUGE = "gauge"
HISTOGRAM = "histogram"


class Metric(NamedTuple):
    """
    One metric.

    @ivar kind: L{COUNTER}, L{GAUGE} or L{HISTOGRAM}.
    @ivar help: its meaning, in a sentence.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()


_TOPIC_ACTION = ("topic", "action")

METRICS = (
    # -- the node
    Metric(
        "dstwist_build_info",
        GAUGE,
        "The versions of dstwist, Python and Twisted; always 1.",
        ("version", "python", "twisted"),
    ),
    Metric("dstwist_ready", GAUGE, "Whether clients should use this node: 1, or 0 as long as /ready says no."),
    Metric("dstwist_reactor_lag_seconds", HISTOGRAM, "How late a timer that fires each second was."),
    Metric("dstwist_waiting_parties", GAUGE, "Connections and long tasks that wait for a later turn of the reactor."),
    Metric("dstwist_log_lines_total", COUNTER, "Warnings and errors, written to the log or left out.", ("event",)),
    Metric("dstwist_limits_exceeded_total", COUNTER, "How often a client exceeded a limit.", ("limit",)),
    # -- clients
    Metric("dstwist_sockets", GAUGE, "Connections to the port, including those for HTTP."),
    Metric("dstwist_max_sockets", GAUGE, "The most connections to the port; absent if there is no limit."),
    Metric(
        "dstwist_connections", GAUGE, "WebSockets by endpoint, including clients without a login.", ("endpoint", "path")
    ),
    Metric("dstwist_streams", GAUGE, "Streams of server-sent events, including clients that are logging in."),
    Metric("dstwist_users", GAUGE, "Users with a connection to this node."),
    Metric("dstwist_online_users", GAUGE, "Users whom this node knows to be online, as the topic PRESENCE tells them."),
    Metric("dstwist_handles", GAUGE, "Open handles of the API for the program around the node."),
    Metric(
        "dstwist_logins_total",
        COUNTER,
        "Logins by the type of endpoint (request: a login for a single request) and by result.",
        ("endpoint", "result"),
    ),
    # -- messages
    Metric("dstwist_messages_received_total", COUNTER, "Requests of clients, denied ones included.", _TOPIC_ACTION),
    Metric("dstwist_messages_sent_total", COUNTER, "Messages to single clients, such as answers.", _TOPIC_ACTION),
    Metric(
        "dstwist_messages_broadcast_total",
        COUNTER,
        "Deliveries of messages that are made once for many clients: each client counts.",
        _TOPIC_ACTION,
    ),
    Metric(
        "dstwist_messages_denied_total",
        COUNTER,
        "Names for which a request was denied (reason=rule), or for which the rule failed (reason=failure).",
        ("topic", "action", "reason"),
    ),
    Metric("dstwist_outgoing_bytes", GAUGE, "Bytes that wait for clients that do not read."),
    Metric("dstwist_max_outgoing_bytes", GAUGE, "The most bytes that may wait for all clients together."),
    Metric("dstwist_slow_consumers_total", COUNTER, "Connections that were closed because the client did not read."),
    Metric("dstwist_incoming_bytes", GAUGE, "Bytes of messages that have not arrived whole."),
    Metric(
        "dstwist_http_bytes", GAUGE, "Estimated memory of the requests to the HTTP API that are being served, in bytes."
    ),
    Metric("dstwist_pending_bytes", GAUGE, "Bytes of requests and calls that wait."),
    Metric("dstwist_subscription_bytes", GAUGE, "Estimated memory of all subscriptions, in bytes."),
    Metric("dstwist_registry_entries", GAUGE, "Names, patterns, users and so on that this node knows.", ("registry",)),
    # -- permission
    Metric("dstwist_permission_rules_total", COUNTER, "Decisions for which a Valve rule was evaluated."),
    Metric("dstwist_permission_rule_seconds", HISTOGRAM, "The evaluation of one in 64 of these rules."),
    Metric(
        "dstwist_permission_wait_seconds",
        HISTOGRAM,
        "Decisions that had to wait for a record, or for a permission of the operator's own.",
    ),
    # -- records and stores
    Metric("dstwist_store_read_seconds", HISTOGRAM, "Reads from a store that does not answer at once.", ("tier",)),
    Metric(
        "dstwist_store_write_seconds",
        HISTOGRAM,
        "Writes to a store that does not answer at once; of simple writes, one at a time is measured.",
        ("tier",),
    ),
    Metric("dstwist_store_writes_unanswered", GAUGE, "Simple writes that the store has not answered."),
    Metric("dstwist_records_busy", GAUGE, "Records of which a request is being served."),
    Metric("dstwist_records_unresolved", GAUGE, "Records whose last write failed, and may or may not be in the store."),
    Metric("dstwist_cache_records", GAUGE, "Records in the cache; absent if the cache cannot count them."),
    Metric("dstwist_cache_bytes", GAUGE, "Estimated memory of the records in a cache in memory, in bytes."),
    Metric("dstwist_max_cache_bytes", GAUGE, "The most of these bytes; absent if there is no limit."),
    Metric("dstwist_cache_hits_total", COUNTER, "Lookups of records that a cache in memory had."),
    Metric("dstwist_cache_misses_total", COUNTER, "Lookups of records that a cache in memory did not have."),
    # -- calls
    Metric("dstwist_calls_running", GAUGE, "Remote procedure calls that wait for their answers."),
    # -- the cluster
    Metric("dstwist_cluster_size", GAUGE, "Nodes in the table of the cluster, this one included; 1 without a cluster."),
    Metric("dstwist_cluster_table_version", GAUGE, "The version of the newest table that this node knows."),
    Metric("dstwist_cluster_table_went_back_total", COUNTER, "How often the table in the store was older than that."),
    Metric("dstwist_cluster_lease_age_seconds", GAUGE, "The time since the lease was renewed; absent without a lease."),
    Metric("dstwist_cluster_partitions", GAUGE, "Partitions that this node owns."),
    Metric("dstwist_cluster_partitions_taken_total", COUNTER, "Partitions that this node has got."),
    Metric("dstwist_cluster_partitions_given_total", COUNTER, "Partitions of this node that have got another owner."),
    Metric("dstwist_cluster_bus_lost", GAUGE, "Whether the bus is lost: 1 or 0."),
    Metric("dstwist_cluster_bus_losses_total", COUNTER, "How often the bus was lost."),
    Metric(
        "dstwist_cluster_bus_dropped_total",
        COUNTER,
        "Messages to other nodes that were lost, or may have been.",
    ),
    Metric("dstwist_cluster_bus_round_trip_seconds", HISTOGRAM, "How long it took until probes of the bus came back."),
    Metric("dstwist_cluster_unconfirmed_subjects", GAUGE, "Subscriptions that the bus has not confirmed."),
    Metric("dstwist_cluster_digests_repaired_total", COUNTER, "Differences between two nodes that were repaired."),
    Metric("dstwist_cluster_absences", GAUGE, "Names that no node holds, and that are not said to be gone yet."),
    Metric("dstwist_cluster_awaited_members", GAUGE, "Members whose answers are missing for that."),
    Metric("dstwist_cluster_news_early_total", COUNTER, "News of records of a later version than the next one."),
    Metric("dstwist_cluster_news_gaps_total", COUNTER, "Early news before which news is missing."),
    Metric("dstwist_cluster_news_old_total", COUNTER, "News of a version that subscribers had already."),
    Metric(
        "dstwist_cluster_records_differed_total",
        COUNTER,
        "Records that were not as subscribers had them when they were read again, by the cause of that.",
        ("cause",),
    ),
    Metric("dstwist_cluster_records_not_compared", GAUGE, "Records of which news may have been missed."),
    Metric("dstwist_cluster_write_refusals_total", COUNTER, "Writes to which another writer of the store was faster."),
    Metric("dstwist_cluster_max_write_refusals", GAUGE, "The most of these refusals of one write."),
    Metric("dstwist_cluster_doubts_total", COUNTER, "How often the outcome of a write was unknown."),
    Metric("dstwist_cluster_fences_total", COUNTER, "How often the store was asked to fix the outcome of such writes."),
    # -- the process
    Metric("process_cpu_seconds_total", COUNTER, "The CPU time of the process."),
    Metric("process_resident_memory_bytes", GAUGE, "The memory of the process."),
    Metric("process_virtual_memory_bytes", GAUGE, "The address space of the process."),
    Metric("process_start_time_seconds", GAUGE, "When the process started, in seconds since 1970."),
    Metric("process_open_fds", GAUGE, "Open files and sockets of the process."),
    Metric("process_max_fds", GAUGE, "The most open files and sockets; absent if there is no limit."),
)

BY_NAME = {metric.name: metric for metric in METRICS}
