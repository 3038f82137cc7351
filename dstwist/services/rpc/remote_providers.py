"""
Calls of clients of this node that providers of other nodes answer.

The directory (L{dstwist.cluster.directory}) knows which nodes have a provider of a procedure. This node I{holds} each
procedure that a client here provides (L{dstwist.services.rpc.provided_names}). When a client calls a procedure that no
client here provides, this node begins to I{watch} it, and goes on for a while (C{linger}) after the last such call. A
call of a name that was not watched waits for the first answer of the directory (L{dstwist.services.rpc.waiting}).

Requests and answers go directly between the nodes (L{dstwist.services.rpc.node_messages})::

    requestor      its node               node of the provider         provider
      REQUEST -->    rpc-request a ------>     REQUEST -------------------->
      ACCEPT <--     rpc-accept a <-------     ACCEPT <---------------------
      RESPONSE <--   rpc-response a <-----     RESPONSE <-------------------

===========================  =========================================================================================
what happens                 what it means for a call that was given to another node
===========================  =========================================================================================
a message gets lost          the times of the call end it
the node dies                as if a provider had disconnected: another one is asked, unless the call was accepted and
                             C{rpc.rerouteAccepted} is off
this node was found dead     the same, for the calls given to all nodes, which may be asked once more: they have
                             dropped these calls
the bus is lost              nothing: the answer may come when the bus is back. A new call waits for that
===========================  =========================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.cluster.digest import GONE, State
from dstwist.cluster.kinds import PROCEDURE
from dstwist.cluster.messages import Item
from dstwist.cluster.node import ClusterNode
from dstwist.config.settings import RpcSettings
from dstwist.limits.lingering import LingeringNames
from dstwist.protocol.constants import RpcAction
from dstwist.scheduling.time_slices import TimeSlices
from dstwist.services.rpc import node_messages as messages
from dstwist.services.rpc.calls import Call, Provider
from dstwist.services.rpc.provided_names import ProvidedNames
from dstwist.services.rpc.running_calls import RunningCalls
from dstwist.services.rpc.waiting import WaitingCalls

#: Procedures are watched for this time at least, in seconds.
MIN_LINGER = 1.0

#: How long after it has joined anew this node gives no calls to others, in lease intervals. They read the table as soon
#: as they hear of it, and drop messages of nodes that they do not know.
KNOWN_INTERVALS = 0.2


class RemoteProvider(Provider):
    """
    The providers of one other node.

    @ivar running: the attempts that the node has not ended, by their ids.
    @ivar has_left: the node is dead.
    """

    __slots__ = ("_make_attempt", "_provides", "_send", "_timeout", "has_left", "node")

    def __init__(
        self,
        node: str,
        send: Callable[[str, Item], object],
        make_attempt: Callable[[], str],
        provides: Callable[[str, str], bool],
        response_timeout: float,
    ) -> None:
        super().__init__()
        self.node = node
        self.has_left = False
        self._send = send
        self._make_attempt = make_attempt
        self._provides = provides
        self._timeout = round(response_timeout * 1000)

    def ask(self, call: Call) -> None:
        attempt = self._make_attempt()
        self.running[attempt] = call
        call.provider = self
        call.provider_id = attempt
        call.accepted = False
        request = call.request
        requestor_data = request.requestor_data
        self._send(
            self.node,
            [
                messages.REQUEST,
                attempt,
                call.name,
                call.id,
                messages.pack(request.data),
                request.requestor_name,
                None if requestor_data is None else requestor_data.decode("utf-8"),
                self._timeout,
            ],
        )

    def release(self, call_id: str, complain: bool = True) -> None:
        # If the node has ended the attempt, it is not running any more.
        if self.running.pop(call_id, None) is not None and not self.has_left:
            self._send(self.node, [messages.CANCEL, call_id, complain])

    def provides(self, name: str) -> bool:
        return self._provides(name, self.node)


class RemoteProviders:
    """
    The providers of all other nodes.

    @ivar provided: the procedures that the other nodes are told of.
    """

    def __init__(self, cluster: ClusterNode, settings: RpcSettings, clock: IReactorTime, calls: RunningCalls) -> None:
        self._membership = membership = cluster.membership
        self._directory = directory = cluster.directory
        self._bus = cluster.bus
        self._send = cluster.peers.send_urgent
        self._calls = calls
        self._response_timeout = settings.response_timeout
        self._clock = clock
        self._known_delay = KNOWN_INTERVALS * cluster.settings.lease_interval
        self._node = membership.node
        # Whether the other nodes know that this node is a member; if it was found dead, they do not for a moment.
        self._is_known = True
        self._becoming_known: IDelayedCall | None = None
        self._providers: dict[str, RemoteProvider] = {}
        self._waiting = WaitingCalls()
        self._attempts = 0
        self._stopped = False
        # The watched procedures, and those of them that were called again since their time began.
        self._watched = LingeringNames(max(cluster.settings.linger, MIN_LINGER), clock, self._lingered)
        self._called: set[str] = set()
        self.provided = ProvidedNames(cluster, clock, self._watch)
        self._slices = TimeSlices(clock)
        handle = cluster.peers.handle
        handle(messages.ACCEPT, messages.ATTEMPT_FIELDS, self._accepted)
        handle(messages.RESPONSE, messages.ANSWER_FIELDS, self._responded)
        handle(messages.ERROR, messages.ANSWER_FIELDS, self._failed)
        handle(messages.REJECT, messages.ATTEMPT_FIELDS, self._rejected)
        handle(messages.LOST, messages.ATTEMPT_FIELDS, self._lost)
        handle(messages.ANOTHER, messages.ATTEMPT_FIELDS, self._restarted)
        directory.on_told(PROCEDURE, self._told)
        membership.observe(self._membership_changed)
        cluster.bus.observe(lambda: None, self._look)

    def find(self, name: str) -> Sequence[Provider]:
        """
        The nodes that provide the procedure C{name}, or the place where the call waits until they are known.
        """
        if self._stopped:
            return ()
        self._watch(name)
        state = self._directory.state(PROCEDURE, name)
        return () if self._is_nowhere_else(state) else self._reachable(state) or (self._waiting,)

    def stop(self) -> None:
        """
        Find no providers any more, and forget all calls. The other nodes drop them when this node leaves the cluster.
        """
        self._stopped = True
        self.provided.stop()
        self._providers.clear()
        self._waiting = WaitingCalls()
        self._slices.stop()
        self._watched.stop()
        if self._becoming_known is not None:
            self._becoming_known.cancel()
            self._becoming_known = None

    # -- which nodes provide a procedure

    def _is_nowhere_else(self, state: State | None) -> bool:
        """
        Whether no other node provides the procedure. If the bus is lost, other nodes may by now.
        """
        if state is None or state == GONE:
            return state == GONE
        return self._is_known and not self._bus.is_lost and state[1] == (self._node,)

    def _reachable(self, state: State | None) -> list[RemoteProvider]:
        if state is None or self._bus.is_lost or not self._is_known:
            return []
        membership = self._membership
        nodes = [node for node in state[1] if node != self._node and node in membership.members]
        # A request to a node that has lost its bus gets lost. But it may have the bus again by now.
        return [self._provider(node) for node in list(filter(membership.bus_works, nodes)) or nodes]

    def _provider(self, node: str) -> RemoteProvider:
        provider = self._providers.get(node)
        if provider is None:
            provider = self._providers[node] = RemoteProvider(
                node, self._send, self._make_attempt, self._is_told_of, self._response_timeout
            )
        return provider

    def _make_attempt(self) -> str:
        self._attempts += 1
        return str(self._attempts)

    def _is_told_of(self, name: str, node: str) -> bool:
        state = self._directory.state(PROCEDURE, name)
        # If nothing is known of the name any more, the node may still provide it.
        return state is None or node in state[1]

    def _watch(self, name: str) -> None:
        if name in self._watched:
            self._called.add(name)
            return
        self._directory.watch(PROCEDURE, name)
        self._watched.add(name)

    def _lingered(self, name: str) -> None:
        if name in self._called or name in self._waiting.names() or name in self.provided:
            self._called.discard(name)
            self._watched.add(name)
        else:
            self._directory.unwatch(PROCEDURE, name)

    def _told(self, name: str, state: State) -> None:
        if name in self.provided:
            self.provided.told(name, state)
        if name in self._waiting.names():
            self._slices.do(self._end_waiting((name,)))

    def _look(self) -> None:
        """
        The nodes that are known, or can be reached, have changed.
        """
        if self._waiting.running:
            self._slices.do(self._end_waiting(list(self._waiting.names())))

    def _end_waiting(self, names: Iterable[str]) -> Iterator[None]:
        """
        Give the calls that wait for C{names} to providers, or end them, as far as it is known now what to do.
        """
        for name in names:
            for call in self._waiting.of_name(name):
                state = self._directory.state(PROCEDURE, name)
                if not (self._is_nowhere_else(state) or self._reachable(state)):
                    break
                if self._waiting.running.get(call.provider_id) is call:
                    self._calls.rejected(call)
                yield

    # -- which nodes there are

    def _membership_changed(self) -> None:
        membership = self._membership
        if membership.node != self._node:
            self._node = membership.node
            self._is_known = False
            gone = list(self._providers)
        else:
            gone = [node for node in self._providers if node not in membership.members]
        for node in gone:
            provider = self._providers.pop(node)
            provider.has_left = True
            for call in provider.running.values():
                if call.asked is not None:
                    # It may wait once more: the providers may be on their way to other nodes.
                    call.asked.discard(self._waiting)
            self._calls.provider_left(provider)
        if not self._is_known and membership.is_member and self._becoming_known is None:
            self._becoming_known = self._clock.callLater(self._known_delay, self._become_known)
        self._look()

    def _become_known(self) -> None:
        self._becoming_known = None
        self._is_known = True
        self._look()

    # -- messages

    def _find(self, sender: str, attempt: str) -> Call | None:
        """
        The call of an attempt that has not ended.
        """
        provider = self._providers.get(sender)
        return None if provider is None else provider.running.get(attempt)

    def _take(self, sender: str, attempt: str) -> Call | None:
        """
        The call of an attempt, which the other node has ended.
        """
        provider = self._providers.get(sender)
        return None if provider is None else provider.running.pop(attempt, None)

    def _accepted(self, sender: str, attempt: str) -> None:
        call = self._find(sender, attempt)
        if call is not None and not call.accepted:
            self._calls.accepted(call)

    def _restarted(self, sender: str, attempt: str) -> None:
        call = self._find(sender, attempt)
        if call is not None:
            self._calls.restarted(call)

    def _responded(self, sender: str, attempt: str, data: str | None) -> None:
        call = self._take(sender, attempt)
        if call is not None:
            self._calls.answered(call, RpcAction.RESPONSE, messages.unpack(data))

    def _failed(self, sender: str, attempt: str, data: str | None) -> None:
        call = self._take(sender, attempt)
        if call is not None:
            self._calls.answered(call, RpcAction.REQUEST_ERROR, messages.unpack(data))

    def _rejected(self, sender: str, attempt: str) -> None:
        call = self._take(sender, attempt)
        if call is not None:
            self._calls.rejected(call)

    def _lost(self, sender: str, attempt: str) -> None:
        call = self._take(sender, attempt)
        if call is not None:
            self._calls.lost(call)
