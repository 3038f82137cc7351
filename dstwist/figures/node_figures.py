"""
All metrics of a node, read from its parts. That takes no time that grows with the number of clients.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping

import twisted
from dstwist import __version__
from dstwist.connections.login import Outcome
from dstwist.counters.messages import MessageCounts, named
from dstwist.figures.cluster_figures import collect_cluster
from dstwist.figures.node_parts import NodeParts
from dstwist.figures.process_figures import collect_process
from dstwist.figures.samples import Samples
from dstwist.figures.totals import count_deliveries, count_states
from dstwist.interfaces import ICountedCache
from dstwist.permission.plugin import PluginPermission
from dstwist.permission.valve.permission import ValvePermission

#: The type of endpoint of logins for single requests.
REQUEST_ENDPOINT = "request"


def collect_node(parts: NodeParts) -> Samples:
    """
    The values of this moment.
    """
    samples = Samples()
    versions = {"version": __version__, "python": platform.python_version(), "twisted": twisted.__version__}
    samples.add("dstwist_build_info", 1, **versions)
    samples.add("dstwist_ready", parts.not_ready() is None)
    samples.add_histogram("dstwist_reactor_lag_seconds", parts.lag.times)
    samples.add("dstwist_waiting_parties", len(parts.turns))
    for event, count in sorted(parts.lines.events.items()):
        samples.add("dstwist_log_lines_total", count, event=event)
    for limit, count in sorted(parts.lines.limits.items()):
        samples.add("dstwist_limits_exceeded_total", count, limit=limit)
    _collect_clients(samples, parts)
    _collect_messages(samples, parts)
    _collect_permission(samples, parts)
    _collect_records(samples, parts)
    collect_cluster(samples, None if parts.cluster is None else parts.cluster.figures)
    collect_process(samples)
    return samples


def _collect_clients(samples: Samples, parts: NodeParts) -> None:
    summary = parts.summary()
    samples.add("dstwist_sockets", parts.admission.total)
    samples.add("dstwist_max_sockets", parts.admission.most)
    samples.add("dstwist_streams", summary.streams)
    samples.add("dstwist_users", summary.users)
    samples.add("dstwist_handles", summary.handles)
    logins: dict[str, list[Mapping[Outcome, int]]] = {}
    for endpoint in parts.endpoints:
        settings = endpoint.settings
        samples.add("dstwist_connections", len(endpoint.heartbeat), endpoint=settings.type, path=settings.url_path)
        logins.setdefault(settings.type, []).append(endpoint.logins.outcomes)
    logins[REQUEST_ENDPOINT] = [parts.request_logins.outcomes]
    for kind, outcomes in logins.items():
        for outcome in Outcome:
            count = sum(each[outcome] for each in outcomes)
            samples.add("dstwist_logins_total", count, endpoint=kind, result=outcome.name.lower())


def _collect_messages(samples: Samples, parts: NodeParts) -> None:
    _collect_by_action(samples, "dstwist_messages_received_total", parts.router.received)
    _collect_by_action(samples, "dstwist_messages_sent_total", parts.router.sent)
    broadcast = named(count_deliveries(parts))
    for topic, actions in broadcast.items():
        for action, count in actions.items():
            samples.add("dstwist_messages_broadcast_total", count, topic=topic, action=action)
    _collect_by_action(samples, "dstwist_messages_denied_total", parts.denials.denied, reason="rule")
    _collect_by_action(samples, "dstwist_messages_denied_total", parts.denials.failed, reason="failure")
    samples.add("dstwist_outgoing_bytes", parts.outgoing.waiting)
    samples.add("dstwist_max_outgoing_bytes", parts.outgoing.most)
    samples.add("dstwist_slow_consumers_total", parts.outgoing.slow)
    samples.add("dstwist_incoming_bytes", parts.incoming.held)
    samples.add("dstwist_http_bytes", parts.charges.used)
    samples.add("dstwist_pending_bytes", parts.topics.pending_bytes.used)
    samples.add("dstwist_subscription_bytes", parts.topics.subscription_bytes.used)
    for registry, count in count_states(parts).items():
        samples.add("dstwist_registry_entries", count, registry=registry.lower())
    if parts.topics.rpc is not None:
        samples.add("dstwist_calls_running", parts.topics.rpc.running)
    if parts.topics.presence is not None:
        samples.add("dstwist_online_users", parts.topics.presence.online)


def _collect_by_action(samples: Samples, name: str, counts: MessageCounts, **labels: str) -> None:
    for topic, actions in counts.named().items():
        for action, count in actions.items():
            samples.add(name, count, topic=topic, action=action, **labels)


def _collect_permission(samples: Samples, parts: NodeParts) -> None:
    permission = parts.permission
    if isinstance(permission, ValvePermission):
        samples.add("dstwist_permission_rules_total", permission.evaluated)
        samples.add_histogram("dstwist_permission_rule_seconds", permission.times)
    if isinstance(permission, ValvePermission | PluginPermission):
        samples.add_histogram("dstwist_permission_wait_seconds", permission.waits)


def _collect_records(samples: Samples, parts: NodeParts) -> None:
    tiers = parts.tiers
    for tier, times in tiers.reads.items():
        samples.add_histogram("dstwist_store_read_seconds", times, tier=tier)
    for tier, times in tiers.writes.items():
        samples.add_histogram("dstwist_store_write_seconds", times, tier=tier)
    if parts.topics.records is not None:
        load = parts.topics.records.load()
        samples.add("dstwist_store_writes_unanswered", load.unanswered)
        samples.add("dstwist_records_busy", load.busy)
        samples.add("dstwist_records_unresolved", load.unresolved)
    samples.add("dstwist_cache_records", parts.summary().cached_records)
    cache = ICountedCache(tiers.cache, None)
    if cache is not None:
        samples.add("dstwist_cache_bytes", cache.weight)
        samples.add("dstwist_max_cache_bytes", cache.max_bytes)
        samples.add("dstwist_cache_hits_total", cache.hits)
        samples.add("dstwist_cache_misses_total", cache.misses)
