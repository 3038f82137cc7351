"""
Calls, and the lists of calls of each requestor and provider. L{dstwist.services.rpc.service} decides what happens to
the calls.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

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


class Answered(Protocol):
    """
    A party that gets the answers to calls: an L{IRequester}, or another node.
    """

    closed: bool

    def send(self, message: Message) -> object:
        """
        Send it an answer, whose correlation id is the id of the call for the requestor.
        """


class Times(Protocol):
    """
    When the time of a call is up (L{dstwist.scheduling.deadlines.Deadlines}).
    """

    def add(self, key: Call) -> object:
        """
        Start the time of a call.
        """

    def remove(self, key: Call) -> object:
        """
        The call needs no time any more.
        """


class Provider(ABC):
    """
    A party that calls can be given to.

    @ivar running: the calls that it has not answered, by the id that it knows.
    @cvar executes: whether it may execute a call that it has not accepted.
    """

    __slots__ = ("running",)

    executes = True

    def __init__(self) -> None:
        self.running: dict[str, Call] = {}

    @abstractmethod
    def ask(self, call: Call) -> None:
        """
        Give C{call} to this provider.
        """

    @abstractmethod
    def release(self, call_id: str, complain: bool = True) -> None:
        """
        The provider does not have the call any more.

        @param complain: whether a later answer to it is an error.
        """

    @abstractmethod
    def provides(self, name: str) -> bool:
        """
        Whether it still provides the procedure C{name}.
        """


class LocalProvider(Provider):
    """
    A connection that provides procedures.

    @param is_subscribed: whether a connection provides the procedure of a name.
    @ivar ended: whether an answer to an ended call is an error, by the id; the oldest call first.
    """

    __slots__ = ("_is_subscribed", "_made", "connection", "ended")

    def __init__(self, connection: IRequester, is_subscribed: Callable[[str, IRequester], bool]) -> None:
        super().__init__()
        self.connection = connection
        self.ended: OrderedDict[str, bool] = OrderedDict()
        self._is_subscribed = is_subscribed
        self._made = 0

    def ask(self, call: Call) -> None:
        request = call.request
        call_id = request.correlation_id
        assert call_id is not None, "each call is made with an id"
        # A text client cannot be sent an id that contains separators.
        if len(call_id) > MAX_ID_CHARACTERS or has_separators(call_id) or self._known(call_id):
            call_id = self._make_id()
            request = replace(request, correlation_id=call_id, verbatim=None)
        self.running[call_id] = call
        call.provider = self
        call.provider_id = call_id
        call.accepted = False
        self.connection.send(request)

    def release(self, call_id: str, complain: bool = True) -> None:
        del self.running[call_id]
        self.ended[call_id] = complain
        if len(self.ended) > MAX_ENDED_CALLS:
            self.ended.popitem(last=False)

    def provides(self, name: str) -> bool:
        return self._is_subscribed(name, self.connection)

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
    The calls of one party that wait for answers.

    @ivar calls: the calls, by the id that the requestor gave them.
    @ivar size: their size in bytes.
    @ivar accepting: the time that a provider has to accept a call of this requestor.
    @ivar answering: the time that a provider has to answer it.
    @cvar is_node: whether it is another node. Its calls are given to providers of this node only: otherwise two nodes
        could give a call to each other for ever.
    """

    __slots__ = ("accepting", "answering", "calls", "connection", "size")

    is_node = False

    def __init__(self, connection: Answered, accepting: Times, answering: Times) -> None:
        self.connection = connection
        self.accepting = accepting
        self.answering = answering
        self.calls: dict[str, Call] = {}
        self.size = 0

    def rerouted(self, call: Call) -> None:
        """
        C{call} has another provider now.
        """


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

    def __init__(self, requestor: Requestor, request: Message, call_id: str, size: int) -> None:
        assert request.name is not None, "codecs let no such request through"
        self.requestor = requestor
        self.name = request.name
        self.id = call_id
        self.request = request
        self.size = size
        self.provider_id = ""
        self.accepted = False
        self.asked: set[Provider] | None = None
