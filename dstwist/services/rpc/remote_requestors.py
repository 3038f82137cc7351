"""
Calls of clients of other nodes that providers of this node answer (L{dstwist.services.rpc.remote_providers} has the
other side).

The times of a call are those of the requestor's node, which cancels the call when they are up. If that message gets
lost, this node drops the call some time later.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from dstwist.cluster.messages import Item
from dstwist.cluster.node import ClusterNode
from dstwist.log import Logger, shown
from dstwist.protocol.constants import RpcAction, Topic
from dstwist.protocol.message import Message
from dstwist.scheduling.deadlines import Deadlines
from dstwist.services.rpc import node_messages as messages
from dstwist.services.rpc.calls import Call, Requestor
from dstwist.services.rpc.running_calls import Find, RunningCalls

#: How much later than the requestor's node this node ends a call, in seconds, if it hears nothing.
PATIENCE = 10.0

#: The longest time until an answer that a node may ask for, in seconds.
MAX_TIMEOUT = 86400.0


class NodeLink:
    """
    Sends another node the answers to its calls.
    """

    _KINDS = {
        RpcAction.ACCEPT: messages.ACCEPT,
        RpcAction.NO_RPC_PROVIDER: messages.REJECT,
        RpcAction.RESPONSE_TIMEOUT: messages.LOST,
    }
    _KINDS_WITH_DATA = {RpcAction.RESPONSE: messages.RESPONSE, RpcAction.REQUEST_ERROR: messages.ERROR}

    def __init__(self, node: str, send: Callable[[str, Item], object]) -> None:
        self.closed = False
        self._node = node
        self._send = send

    def send(self, message: Message) -> None:
        kind = self._KINDS_WITH_DATA.get(message.action)  # type: ignore[call-overload]
        if kind is not None:
            self._send(self._node, [kind, message.correlation_id, messages.pack(message.data)])
        else:
            self.tell(self._KINDS[message.action], message.correlation_id)  # type: ignore[index,arg-type]

    def tell(self, kind: str, attempt: str) -> None:
        """
        Send a message that has only the attempt.
        """
        self._send(self._node, [kind, attempt])


class NoTimes:
    """
    Times that are never up.
    """

    def add(self, key: Call) -> None:
        pass

    def remove(self, key: Call) -> None:
        pass


class RemoteRequestor(Requestor):
    """
    Another node, with its attempts to have calls answered here.
    """

    __slots__ = ("link",)

    is_node = True

    def __init__(self, link: NodeLink, answering: Deadlines[Call]) -> None:
        super().__init__(link, NoTimes(), answering)
        self.link = link

    def rerouted(self, call: Call) -> None:
        self.link.tell(messages.ANOTHER, call.id)


class RemoteRequestors:
    """
    The other nodes that have given calls to this one.

    @param find: finds the providers of a procedure on this node.
    """

    _log = Logger()

    def __init__(self, cluster: ClusterNode, clock: IReactorTime, calls: RunningCalls, find: Find) -> None:
        self._membership = membership = cluster.membership
        self._send = cluster.peers.send_urgent
        self._clock = clock
        self._calls = calls
        self._find = find
        self._stopped = False
        self._node = membership.node
        self._requestors: dict[str, RemoteRequestor] = {}
        cluster.peers.handle(messages.REQUEST, messages.REQUEST_FIELDS, self._requested)
        cluster.peers.handle(messages.CANCEL, messages.CANCEL_FIELDS, self._cancelled)
        membership.observe(self._membership_changed)

    def stop(self) -> None:
        """
        Give back all calls, and take no more. The other nodes give them to other providers.
        """
        self._stopped = True
        for node in list(self._requestors):
            requestor = self._forget(node)
            for call in requestor.calls.values():
                requestor.link.tell(messages.REJECT if self._calls.may_reroute(call) else messages.LOST, call.id)

    def _forget(self, node: str) -> RemoteRequestor:
        requestor = self._requestors.pop(node)
        requestor.connection.closed = True
        answering = requestor.answering
        assert isinstance(answering, Deadlines)
        answering.stop()
        return requestor

    def _membership_changed(self) -> None:
        membership = self._membership
        if membership.node != self._node:
            # The others take this node for dead.
            self._node = membership.node
            gone = list(self._requestors)
        else:
            gone = [node for node in self._requestors if node not in membership.members]
        for node in gone:
            self._calls.requestor_left(self._forget(node))

    # -- messages

    def _requested(
        self,
        sender: str,
        attempt: str,
        name: str,
        call_id: str,
        data: str | None,
        requestor_name: str | None,
        requestor_data: str | None,
        timeout: int,
    ) -> None:
        requestor = self._requestors.get(sender)
        if requestor is None:
            # A node has the same timeout for all of its calls.
            delay = min(timeout / 1000, MAX_TIMEOUT) + PATIENCE
            requestor = self._requestors[sender] = RemoteRequestor(
                NodeLink(sender, self._send), Deadlines(delay, self._clock, self._calls.cancelled)
            )
        if attempt in requestor.calls:
            return
        request = Message(Topic.RPC, RpcAction.REQUEST, name, messages.unpack(data), None, None, (), call_id)
        request.requestor_name = requestor_name
        if requestor_data is not None:
            request.requestor_data = requestor_data.encode("utf-8")
        providers = () if self._stopped else self._find(name)
        size = len(name) + len(call_id) + len(attempt) + (0 if data is None else len(data))
        if not providers:
            requestor.link.tell(messages.REJECT, attempt)
        elif not self._calls.begin(requestor, request, attempt, size, providers):
            self._log.warn(
                "TOO_MANY_PENDING_CALLS | maxPendingBytes: the calls that wait for answers take too many bytes; a call "
                "of node {sender} is rejected",
                sender=shown(sender),
                event="TOO_MANY_PENDING_CALLS",
            )
            requestor.link.tell(messages.REJECT, attempt)

    def _cancelled(self, sender: str, attempt: str, complain: bool) -> None:
        requestor = self._requestors.get(sender)
        call = None if requestor is None else requestor.calls.get(attempt)
        if call is not None:
            self._calls.cancelled(call, complain)
