"""
The versions that the subscribers of each record were last told.

They are needed in a cluster, where L{dstwist.services.record.nodes} has them. And they are needed if a store may go
back: it may lose writes that its clients have heard of (L{dstwist.services.record.comparison}). The version that it has
then means nothing without the version that the clients have. The versions in the memory cache are not enough: the cache
forgets records, and there may be none.

Always true: the versions are those of subscribed records only. On a single node, a record that all subscribers had
before they subscribed (SUBSCRIBE) has no version here until it changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from dstwist.routing.subscriptions import SubscriptionRegistry


class Versions(Protocol):
    """
    The versions. Called by the steps of the queue of a record.

    """

    @property
    def version(self) -> Callable[[str], int | None]:
        """
        A function that gives the version of a record; C{None} if it is not known.
        """

    def note(self, name: str, version: int) -> None:
        """
        The subscribers have C{version} of the record, or are about to be sent it; -1: there is no record.
        """


class PassedOn:
    """
    The versions on a single node.
    """

    def __init__(self, subscriptions: SubscriptionRegistry) -> None:
        self._subscribed = subscriptions
        self._versions: dict[str, int] = {}
        subscriptions.observe(_ignore, self._forget)
        #: The version of a record; C{None} if it is not known.
        self.version = self._versions.get

    def note(self, name: str, version: int) -> None:
        if name in self._subscribed:
            self._versions[name] = version

    def _forget(self, name: str) -> None:
        self._versions.pop(name, None)


def _ignore(name: str) -> None:
    pass
