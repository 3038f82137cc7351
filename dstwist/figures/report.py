"""
A report of deepstream's monitoring: the counts since the report before (C{operations.md} section 7.2).

Each reader of reports has a L{Reports} of its own, so that one does not take the counts of another. The parts of the
node go on counting; a L{Reports} only remembers what it has told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dstwist.figures.totals import Counts, Totals

#: Deepstream's names of two registries, and what they are: the Node server shows the name of the topic with the same
#: number.
_ALIASES = {"STATE_REGISTRY": "EVENT_SUBSCRIPTIONS", "LOCK": "ONLINE_USERS"}

#: The registries in the order of the Node server; ours follow.
_ORDER = (
    "STATE_REGISTRY",
    "EVENT_LISTEN_PATTERNS",
    "EVENT_PUBLISHED_SUBSCRIPTIONS",
    "RPC_SUBSCRIPTIONS",
    "RECORD_SUBSCRIPTIONS",
    "RECORD_LISTEN_PATTERNS",
    "RECORD_PUBLISHED_SUBSCRIPTIONS",
    "PRESENCE_SUBSCRIPTIONS",
    "LOCK",
    "EVENT_SUBSCRIPTIONS",
    "ONLINE_USERS",
)


class Reports:
    """
    The reports for one reader.

    @param count: gives the counts since the start of the node.
    @param states: gives the entries of each registry at this moment.
    @param size: gives the number of nodes.
    @param seconds: the time in seconds since 1970.
    """

    def __init__(
        self,
        count: Callable[[], Totals],
        states: Callable[[], Mapping[str, int]],
        size: Callable[[], int],
        seconds: Callable[[], float],
    ) -> None:
        self._count = count
        self._states = states
        self._size = size
        self._seconds = seconds
        self._told = count()
        self._since = self._now()

    def take(self) -> tuple[int, int, dict[str, Any]]:
        """
        The counts since the last call.

        @return: the beginning and the end of that time, in milliseconds since 1970, and the report.
        """
        told, now = self._told, self._count()
        since, until = self._since, self._now()
        self._told, self._since = now, until
        states = dict(self._states())
        for name, alias in _ALIASES.items():
            if alias in states:
                states[name] = states[alias]
        report = {
            "clusterSize": self._size(),
            "stateMetrics": {name: states[name] for name in _ORDER if name in states},
            "errors": _difference(now.errors, told.errors),
            "received": _differences(now.received, told.received),
            "send": _differences(now.send, told.send),
            "logins": {
                endpoint: {result: count - told.logins[endpoint][result] for result, count in results.items()}
                for endpoint, results in now.logins.items()
                if results != told.logins[endpoint]
            },
            "broadcast": _differences(now.broadcast, told.broadcast),
        }
        return since, until, report

    def _now(self) -> int:
        return int(self._seconds() * 1000)


def _difference(now: Mapping[str, int], told: Mapping[str, int]) -> dict[str, int]:
    # A request may be denied after it was told.
    return {name: count - told.get(name, 0) for name, count in now.items() if count > told.get(name, 0)}


def _differences(now: Counts, told: Counts) -> dict[str, dict[str, int]]:
    return {name: found for name, counts in now.items() if (found := _difference(counts, told.get(name, {})))}
