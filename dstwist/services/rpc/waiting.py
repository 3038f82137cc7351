"""
Calls that wait until it is known which nodes provide a procedure.

They wait if the directory has not told yet, if it has told of a provider's node that is not known here, or if the bus
is lost. The time is that for accepting (C{ackTimeout}); then the requestor gets NO_RPC_PROVIDER. This error is certain:
no provider was asked.
"""

from __future__ import annotations

from collections.abc import Collection

from dstwist.services.rpc.calls import Call, Provider


class WaitingCalls(Provider):
    """
    Takes the place of a provider while a call waits. So it ends like any call if its requestor leaves, or if its time
    is up. A call waits here once, as it is given to any provider once.
    """

    __slots__ = ("_by_name", "_made")

    executes = False

    def __init__(self) -> None:
        super().__init__()
        # The ids of the calls of each procedure.
        self._by_name: dict[str, dict[str, None]] = {}
        self._made = 0

    def ask(self, call: Call) -> None:
        self._made += 1
        call_id = str(self._made)
        self.running[call_id] = call
        self._by_name.setdefault(call.name, {})[call_id] = None
        call.provider = self
        call.provider_id = call_id
        call.accepted = False

    def release(self, call_id: str, complain: bool = True) -> None:
        name = self.running.pop(call_id).name
        ids = self._by_name[name]
        del ids[call_id]
        if not ids:
            del self._by_name[name]

    def provides(self, name: str) -> bool:
        return False

    def names(self) -> Collection[str]:
        """
        The procedures that calls wait for.
        """
        return self._by_name.keys()

    def of_name(self, name: str) -> list[Call]:
        """
        The calls that wait for the procedure C{name}.
        """
        return [self.running[call_id] for call_id in self._by_name.get(name, ())]
