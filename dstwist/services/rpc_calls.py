"""
Calls, and the lists of calls of each requestor and provider. L{dstwist.services.rpc} decides what happens to the calls.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from dstwist.interfaces import IRequester
from dstwist.protocol.message import Message
from dstwist.protocol.typed import has_separators

#: How many ended calls of a provider are remembered. A late or repeated answer to one of them is not taken for the
#: answer to another call.
MAX_ENDED_CALLS = 1000

#: The memory of a call besides its data, in bytes.
CALL_BYTES = 2000

#: Providers do not get longer ids, so that requestors cannot make the memory of ended calls large.
MAX_ID_CHARACTERS = 100


class Provider:
    """
    The calls of one connection that provides procedures.

    @ivar running: the calls that it has not answered, by the id that it knows.
    @ivar ended: whether an answer to an ended call is an error, by the id; the oldest call first.
    """

    __slots__ = ("_made", "connection", "ended", "running")

    def __init__(self, connection: IRequester) -> None:
        self.connection = connection
        self.running: dict[str, Call] = {}
        self.ended: OrderedDict[str, bool] = OrderedDict()
        self._made = 0

    def take(self, call: Call) -> Message:
        """
        Give C{call} to this provider.

        @return: the request to send to it.
        """
        request = call.request
        call_id = call.id
        # A text client cannot be sent an id that contains separators.
        if len(call_id) > MAX_ID_CHARACTERS or has_separators(call_id) or self._known(call_id):
            call_id = self._make_id()
            request = replace(request, correlation_id=call_id, verbatim=None)
        self.running[call_id] = call
        call.provider = self
        call.provider_id = call_id
        call.accepted = False
        return request

    def release(self, call_id: str, complain: bool = True) -> None:
        """
        The provider does not have the call any more.

        @param complain: whether a later answer to it is an error.
        """
        del self.running[call_id]
        self.ended[call_id] = complain
        if len(self.ended) > MAX_ENDED_CALLS:
            self.ended.popitem(last=False)

    def _known(self, call_id: str) -> bool:
        return call_id in self.running or call_id in self.ended

    def _make_id(self) -> str:
        while True:
            self._made += 1
            call_id = f"call-{self._made}"
            # A client may have chosen the same id for one of its calls.
            if not self._known(call_id):
                return call_id


class Requestor:
    """
    The calls of one connection that wait for answers.

    @ivar calls: the calls, by the id that the client gave them.
    @ivar size: their size in bytes.
    """

    __slots__ = ("calls", "connection", "size")

    def __init__(self, connection: IRequester) -> None:
        self.connection = connection
        self.calls: dict[str, Call] = {}
        self.size = 0


class Call:
    """
    One call.

    @ivar id: its id for the requestor.
    @ivar provider_id: its id for the provider.
    @ivar request: the message that providers get.
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
