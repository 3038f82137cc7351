"""
The loss of a store in a server of its own, for C{exitOnFatalError}.

The Node server ends when the connection to a store is lost once. Here the connection comes back by itself, so a store
counts as lost only if it cannot be used for as long as it may take to start (C{dependencyInitializationTimeout}).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from zope.interface import implementer

from dstwist.interfaces import ILifecycle, IReplaceableStore, IStore, IStoreStatus

#: How often the stores are asked for their state, in seconds.
LOOK_SECONDS = 0.5


@implementer(ILifecycle)
class LossWatch:
    """
    Watches the stores that are in servers of their own. It starts after them.

    @param stores: by name.
    @param patience: how long a store may be unusable, in seconds.
    @param on_loss: called once, with the reason.
    """

    def __init__(
        self,
        stores: Sequence[tuple[str, IStore | None]],
        patience: float,
        on_loss: Callable[[str], object],
        clock: IReactorTime,
    ) -> None:
        self._stores = [
            (name, IStoreStatus(store)) for name, store in stores if store is not None and _is_elsewhere(store)
        ]
        self._patience = patience
        self._on_loss = on_loss
        self._seconds = clock.seconds
        # When a store was first seen to be unusable, by name.
        self._since: dict[str, float] = {}
        self._call = LoopingCall(self._look)
        self._call.clock = clock

    @property
    def description(self) -> str:
        """
        Its task, for the log.
        """
        if not self._stores:
            return "no store is in a server of its own"
        names = " or ".join(name for name, _ in self._stores)
        return f"the server ends if the {names} cannot be used for {self._patience:g} s"

    def start(self) -> Deferred[None]:
        if self._stores:
            self._call.start(LOOK_SECONDS)
        return succeed(None)

    def stop(self) -> Deferred[None]:
        if self._call.running:
            self._call.stop()
        return succeed(None)

    def _look(self) -> None:
        now = self._seconds()
        for name, status in self._stores:
            problem = status.problem()
            if problem is None:
                self._since.pop(name, None)
                continue
            since = self._since.setdefault(name, now)
            if now - since >= self._patience and self._call.running:
                self._call.stop()
                self._on_loss(f"the {name} cannot be used for {self._patience:g} s: {problem}")


def _is_elsewhere(store: IStore) -> bool:
    return IReplaceableStore.providedBy(store) and IStoreStatus.providedBy(store)
