"""
Calls, and what their requestors and providers have of them; what happens to them is up to L{dstwist.services.rpc}.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from dstwist.interfaces import IConnection
from dstwist.protocol.message import Message
from dstwist.protocol.typed import has_separators

#: How many of the calls that a provider had are remembered, so that what it says of them late, or twice, is not taken
#: for the answer to another.
MAX_ENDED = 1000

#: What a call takes besides its data, in bytes of memory.
OVERHEAD = 2000

#: Longer ids are not shown to providers: what is remembered of them should not depend on who chose them.
MAX_ID_LENGTH = 100


class Provider:
    """
    What one connection that provides procedures was asked.

    @ivar running: the calls it is to answer, by the id it knows them by.
    @ivar ended: the ids of the latest that it has no more, oldest first; whether an answer is complained about.
    """

    __slots__ = ("_made", "connection", "ended", "running")

    def __init__(self, connection: IConnection) -> None:
        self.connection = connection
        self.running: dict[str, Call] = {}
        self.ended: OrderedDict[str, bool] = OrderedDict()
        self._made = 0

    def take(self, call: Call) -> Message:
        """
        Make C{call} this provider's; the request to send it.
        """
        request = call.request
        call_id = call.id
        # Text clients cannot be told an id with separators.
        if len(call_id) > MAX_ID_LENGTH or has_separators(call_id) or self._known(call_id):
            call_id = self._make_id()
            request = replace(request, correlation_id=call_id, verbatim=None)
        self.running[call_id] = call
        call.provider = self
        call.provider_id = call_id
        call.accepted = False
        return request

    def release(self, call_id: str, complain: bool = True) -> None:
        """
        The call is this provider's no more.
        """
        del self.running[call_id]
        self.ended[call_id] = complain
        if len(self.ended) > MAX_ENDED:
            self.ended.popitem(last=False)

    def _known(self, call_id: str) -> bool:
        return call_id in self.running or call_id in self.ended

    def _make_id(self) -> str:
        while True:
            self._made += 1
            call_id = f"call-{self._made}"
            # Some client may call one of its calls the same.
            if not self._known(call_id):
                return call_id


class Requestor:
    """
    What one connection waits for.

    @ivar calls: by the id that the client gave them.
    @ivar size: how many bytes they hold.
    """

    __slots__ = ("calls", "connection", "size")

    def __init__(self, connection: IConnection) -> None:
        self.connection = connection
        self.calls: dict[str, Call] = {}
        self.size = 0


class Call:
    """
    One call.

    @ivar id: as its requestor knows it.
    @ivar provider_id: as its provider knows it.
    @ivar request: what providers are sent.
    @ivar asked: the providers that had it before.
    """

    __slots__ = ("accepted", "asked", "id", "name", "provider", "provider_id", "request", "requestor", "size")

    provider: Provider

    def __init__(self, requestor: Requestor, request: Message, size: int) -> None:
        assert request.name is not None and request.correlation_id is not None, "codecs let no such request through"
        self.requestor = requestor
        self.name = request.name
        self.id = request.correlation_id
        self.request = request
        self.size = size
        self.provider_id = ""
        self.accepted = False
        self.asked: set[Provider] | None = None
