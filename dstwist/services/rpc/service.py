"""
Requests, which the server gives to one of the providers of the procedure, and their answers.

A call exists from its REQUEST until it is answered or timed out, or its requestor is gone (C{services.md} section 5)::

    requestor          server            provider A           provider B
       REQUEST ----------> REQUEST ---------->|                    |
                           <---------- REJECT |                    |
                           REQUEST ------------------------------->|
       ACCEPT <----------- <-------------------------------- ACCEPT|
       RESPONSE <--------- <------------------------------ RESPONSE|

===============  ==================  ================================================================================
from client      fields              effect
===============  ==================  ================================================================================
PROVIDE          names               see L{dstwist.services.rpc.local_providers}
UNPROVIDE        names               see L{dstwist.services.rpc.local_providers}
REQUEST          name, id, data?     to a provider, chosen at random; if there is none: NO_RPC_PROVIDER
ACCEPT           name, id            to the requestor; repeated: MULTIPLE_ACCEPT to the provider
RESPONSE         name, id, data?     to the requestor; ends the call
REQUEST_ERROR    name, id, data?     to the requestor; ends the call
REJECT           name, id            to a provider that was not asked yet; if there is none: NO_RPC_PROVIDER
===============  ==================  ================================================================================

If a provider does not accept or answer in time, the call ends with ACCEPT_TIMEOUT or RESPONSE_TIMEOUT. No other
provider is asked then, because the first one may be executing the procedure. There are two exceptions, which count as a
REJECT:

- The provider has ended its subscription to the procedure, and not accepted the call.
- The provider disconnects, whether it has accepted or not. A v3 or v4+ client sends ACCEPT by itself when it gets the
  request, so ACCEPT does not show that the procedure was begun (C{rpc.rerouteAccepted}).

Another node is a provider, too, if clients there provide the procedure
(L{dstwist.services.rpc.remote_providers}). It is asked only if no provider of this node is left. It gives the call to
its own providers only, one after the other, and rejects it if all of them do. The times are those of the requestor's
node. If a node dies, that counts as if its providers had disconnected.

Always true: a call has exactly one provider at a time. Only that provider can answer it, and no provider is asked twice
for the same call, unless the requestor's node was found dead by mistake. The provider gets the requestor's correlation
id, unless it has or had another call with that id.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import partial

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from dstwist.cluster.kinds import PROCEDURE
from dstwist.cluster.node import ClusterNode
from dstwist.config.settings import RpcSettings
from dstwist.interfaces import IRequester, ITopicService
from dstwist.limits.budgets import Budget
from dstwist.log import Logger, about
from dstwist.protocol.constants import RpcAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.rpc.calls import Call, LocalProvider, Provider, Requestor
from dstwist.services.rpc.local_providers import LocalProviders
from dstwist.services.rpc.remote_providers import RemoteProviders
from dstwist.services.rpc.remote_requestors import RemoteRequestors
from dstwist.services.rpc.running_calls import RunningCalls

#: The error that a client with too many calls gets, as the error of the procedure.
TOO_MANY_CALLS = b'"TOO_MANY_PENDING_CALLS"'

# Members of enumerations are looked up at every use; these are used for every call.
_RPC = Topic.RPC
_REQUEST = RpcAction.REQUEST
_ACCEPT = RpcAction.ACCEPT


@implementer(ITopicService)
class RpcService:
    """
    Gives calls to providers, and their answers to requestors.

    @param subscriptions: the providers, with the error MULTIPLE_PROVIDERS.
    @param choose: picks one of several providers.
    @param room: limits the bytes of the calls of all clients that wait for an answer.
    @param cluster: the other nodes; C{None}: there are never any.
    """

    authorizes_itself: frozenset[IntEnum] = frozenset()

    _log = Logger()

    def __init__(
        self,
        subscriptions: SubscriptionRegistry,
        settings: RpcSettings,
        clock: IReactorTime,
        choose: Callable[[Sequence[Provider]], Provider] = random.choice,
        room: Budget | None = None,
        cluster: ClusterNode | None = None,
    ) -> None:
        self._settings = settings
        self._max_calls = settings.max_pending_calls
        self._max_bytes = settings.max_pending_bytes
        self._tells_requestor = settings.provide_requestor_name or settings.provide_requestor_data
        self._room = Budget() if room is None else room
        self._local = local = LocalProviders(subscriptions, self._provider_left)
        self._providers = local.by_connection
        self._find = local.find
        self._calls = calls = RunningCalls(settings, clock, choose, self._room, local.find)
        # These are called for every call.
        self._begin, self._accepted, self._answered = calls.begin, calls.accepted, calls.answered
        self._requestors: dict[IRequester, Requestor] = {}
        self._stopped = False
        self._actions: dict[IntEnum, Callable[[Message, IRequester], None]] = {
            RpcAction.REQUEST: self._request,
            RpcAction.ACCEPT: self._accept,
            RpcAction.RESPONSE: self._answer,
            RpcAction.REQUEST_ERROR: self._answer,
            RpcAction.REJECT: self._reject,
            RpcAction.PROVIDE: local.provide,
            RpcAction.UNPROVIDE: local.unprovide,
        }
        self._remote_providers: RemoteProviders | None = None
        self._remote_requestors: RemoteRequestors | None = None
        if cluster is not None:
            self._remote_providers = RemoteProviders(cluster, settings, clock, calls)
            self._remote_requestors = RemoteRequestors(cluster, clock, calls, local.find)
            calls.find_remote = self._remote_providers.find
            directory = cluster.directory
            subscriptions.bound_names(partial(directory.has_room, PROCEDURE), directory.most_bytes)
            subscriptions.use_subjects(self._remote_providers.provided)

    @property
    def running(self) -> int:
        """
        How many calls wait for their answers.
        """
        return len(self._calls.accepting) + len(self._calls.answering)

    def handle(self, message: Message, sender: IRequester) -> None:
        # No default: the codecs let through only what a client may send.
        self._actions[message.action](message, sender)

    def stop(self) -> None:
        """
        Forget all calls, because all clients are about to be told that the server stops. From now on no procedure has a
        provider: the application that embeds the node still makes requests.
        """
        self._stopped = True
        for requester in self._requestors:
            self.sending_away(requester)
        if self._remote_providers is not None and self._remote_requestors is not None:
            self._remote_providers.stop()
            self._remote_requestors.stop()
        self._calls.stop()
        self._local.stop()
        self._requestors.clear()

    def sending_away(self, requester: IRequester) -> None:
        """
        The server closes the connection of C{requester} right after this. A client that would never call back its
        application gets RESPONSE_TIMEOUT for its calls, since the provider may have executed the procedure. Other
        clients get nothing.
        """
        requestor = self._requestors.get(requester)
        if requestor is not None and requester.dialect.forgets_calls_when_offline:
            for call in requestor.calls.values():
                self._calls.fail(call, RpcAction.RESPONSE_TIMEOUT)

    # -- calls of clients

    def _request(self, message: Message, sender: IRequester) -> None:
        # The client may have gone before its permission was decided.
        if sender.closed:
            return
        name, call_id, data = message.name, message.correlation_id, message.data
        assert name is not None and call_id is not None, "codecs let no request through without its name and its id"
        requestor = self._requestors.get(sender)
        if requestor is not None and call_id in requestor.calls:
            # The client could not tell the answers to the two calls apart.
            sender.send(message.error("INVALID_RPC_CORRELATION_ID"))
            return
        providers: Sequence[Provider] = () if self._stopped else self._find(name)
        if not providers and self._remote_providers is not None:
            providers = self._remote_providers.find(name)
        if not providers:
            sender.send(Message(_RPC, RpcAction.NO_RPC_PROVIDER, name, correlation_id=call_id, is_error=True))
            return
        if requestor is None:
            requestor = self._requestors[sender] = Requestor(sender, self._calls.accepting, self._calls.answering)
            sender.on_close(self._client_left)
        size = len(name) + len(call_id) + (0 if data is None else len(data))
        if len(requestor.calls) >= self._max_calls or (requestor.calls and requestor.size + size > self._max_bytes):
            self._log.warn(
                "TOO_MANY_PENDING_CALLS | {client} has {count} calls of {size} bytes waiting for answers",
                count=len(requestor.calls),
                size=requestor.size,
                event="TOO_MANY_PENDING_CALLS",
                once="pending calls",
                **about(sender),
            )
            sender.send(_too_many(message))
            return
        if message.verbatim is not None and not self._tells_requestor:
            request = message
        else:
            # The payload may have fields that a request does not need. An isAck among them would make the provider take
            # it for an acknowledgement.
            request = Message(_RPC, _REQUEST, name, data, None, None, (), call_id)
            if self._tells_requestor:
                request.requestor_name = sender.user if self._settings.provide_requestor_name else None
                request.requestor_data = sender.client_data if self._settings.provide_requestor_data else None
        if not self._begin(requestor, request, call_id, size, providers):
            self._log.warn(
                "TOO_MANY_PENDING_CALLS | maxPendingBytes: all clients have {size} bytes waiting for answers; a call "
                "of {client} is refused",
                size=self._room.used,
                event="TOO_MANY_PENDING_CALLS",
                **about(sender),
            )
            sender.send(_too_many(message))

    def _client_left(self, connection: IRequester) -> None:
        requestor = self._requestors.pop(connection, None)
        if requestor is not None:
            self._calls.requestor_left(requestor)

    def _provider_left(self, provider: LocalProvider) -> None:
        self._calls.provider_left(provider)

    # -- answers of clients

    def _running(self, message: Message, sender: IRequester) -> Call | None:
        """
        The call that C{sender} answers. If there is none, the sender gets an error, unless the requestor has gone.
        """
        provider = self._providers.get(sender)
        call_id = message.correlation_id
        assert call_id is not None, "codecs let no answer through without its id"
        if provider is not None:
            call = provider.running.get(call_id)
            if call is not None:
                return call
            if provider.ended.get(call_id) is False:
                # The answer may follow an ACCEPT. After the answer, further messages about the call are errors.
                if message.action is not _ACCEPT:
                    provider.ended[call_id] = True
                return None
        sender.send(message.error("INVALID_RPC_CORRELATION_ID"))
        return None

    def _accept(self, message: Message, sender: IRequester) -> None:
        call = self._running(message, sender)
        if call is None:
            return
        if call.accepted:
            sender.send(message.error("MULTIPLE_ACCEPT"))
            return
        self._accepted(call, message)

    def _answer(self, message: Message, sender: IRequester) -> None:
        call = self._running(message, sender)
        if call is not None:
            self._answered(call, message.action, message.data, message)

    def _reject(self, message: Message, sender: IRequester) -> None:
        call = self._running(message, sender)
        if call is not None:
            self._calls.rejected(call)


def _too_many(message: Message) -> Message:
    # Clients of both generations pass this error to the application that made the call without change.
    return Message(_RPC, RpcAction.REQUEST_ERROR, message.name, TOO_MANY_CALLS, correlation_id=message.correlation_id)
