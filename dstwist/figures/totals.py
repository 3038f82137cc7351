"""
The counts that the reports of deepstream's monitoring have (C{operations.md} section 7.1).

====================  ==================================================================================================
count                 contents
====================  ==================================================================================================
C{received}           requests that passed the permission, by topic and action
C{send}               messages to single clients, by topic and action
C{broadcast}          deliveries of messages that were made once for many clients; the Node server has them in the two
                      others
C{errors}             warnings and errors in the log, by event
C{logins}             logins, by the kind of the endpoint: C{websocket}, or C{http} for single requests
====================  ==================================================================================================

They begin with the start of the node, and never get smaller, but for one case: a request counts in C{received} as soon
as it is there, and does not count any more when it is denied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dstwist.connections.login import Outcome
from dstwist.counters.messages import named
from dstwist.figures.node_parts import NodeParts
from dstwist.protocol.constants import Topic

Counts = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Totals:
    """
    The counts since the start of the node.
    """

    errors: Mapping[str, int]
    received: Counts
    send: Counts
    broadcast: Counts
    logins: Counts


def count_totals(parts: NodeParts) -> Totals:
    """
    The counts of this moment.
    """
    received = parts.router.received.named()
    for denied in (parts.denials.denied, parts.denials.failed):
        for topic, actions in denied.named().items():
            for action, count in actions.items():
                of = received.get(topic, {})
                # Each denied name of a bulk request counts.
                of[action] = max(of.get(action, 0) - count, 0)
    websocket = [endpoint.logins.outcomes for endpoint in parts.endpoints]
    return Totals(
        errors=dict(parts.lines.events),
        received=received,
        send=parts.router.sent.named(),
        broadcast=named(count_deliveries(parts)),
        logins={"http": _logins([parts.request_logins.outcomes]), "websocket": _logins(websocket)},
    )


def count_deliveries(parts: NodeParts) -> dict[Topic, list[int]]:
    """
    The deliveries of all fan-outs, by topic and action.
    """
    counted = {topic: registry.deliveries for topic, registry in parts.topics.subscriptions.items()}
    presence = parts.topics.presence
    if presence is not None:
        both = zip(presence.single_users.deliveries, presence.all_users.deliveries, strict=True)
        counted[Topic.PRESENCE] = [single + all_users for single, all_users in both]
    return counted


def _logins(outcomes: Iterable[Mapping[Outcome, int]]) -> dict[str, int]:
    counts = {"allowed": 0, "declined": 0}
    for each in outcomes:
        counts["allowed"] += each[Outcome.ACCEPTED]
        counts["declined"] += each[Outcome.REFUSED] + each[Outcome.EXCEEDED]
    return counts


def count_states(parts: NodeParts) -> dict[str, int]:
    """
    The entries of each registry of this node, under deepstream's names. Of topics that are switched off there are none.
    """
    topics, states = parts.topics, {}
    for topic, registry in topics.subscriptions.items():
        states[f"{topic.name}_SUBSCRIPTIONS"] = len(registry.names())
    for topic, listeners in topics.listeners.items():
        states[f"{topic.name}_LISTEN_PATTERNS"] = listeners.patterns
        states[f"{topic.name}_PUBLISHED_SUBSCRIPTIONS"] = listeners.provided_names
    if topics.presence is not None:
        presence = topics.presence
        states["PRESENCE_SUBSCRIPTIONS"] = len(presence.single_users.names()) + len(presence.all_users.names())
        states["ONLINE_USERS"] = presence.online
    return states
