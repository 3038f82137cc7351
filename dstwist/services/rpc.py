"""
The RPC topic: requests, which the server gives to one of the providers of the procedure, and their answers.

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
PROVIDE          names               see L{dstwist.routing.subscription_requests}, with MULTIPLE_PROVIDERS
UNPROVIDE        names               see L{dstwist.routing.subscription_requests}
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

Always true: a call has exactly one provider at a time. Only that provider can answer it, and no provider is asked twice
for the same call. The provider gets the requestor's correlation id, unless it has or had another call with that id.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from dstwist.config.settings import RpcSettings
from dstwist.interfaces import IRequester, ITopicService, Work
from dstwist.limits.budgets import Budget
from dstwist.log import Logger, about
from dstwist.protocol.constants import RpcAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.scheduling.deadlines import Deadlines
from dstwist.scheduling.time_slices import TimeSlices
from dstwist.services.rpc_calls import CALL_BYTES, Call, Provider, Requestor

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
    ) -> None:
        self._subscriptions = subscriptions
        self._settings = settings
        self._max_calls = settings.max_pending_calls
        self._max_bytes = settings.max_pending_bytes
        self._tells_requestor = settings.provide_requestor_name or settings.provide_requestor_data
        self._choose = choose
        self._room = Budget() if room is None else room
        self._providers: dict[IRequester, Provider] = {}
        self._requestors: dict[IRequester, Requestor] = {}
        # The providers by name: those that were looked up since the last change of any provider.
        self._candidates: dict[str, list[Provider]] = {}
        self._stopped = False
        subscriptions.on_revoke(lambda name, connection: self._candidates.clear())
        # Ends or reroutes the many calls of a connection that has closed.
        self._slices = TimeSlices(clock)
        self._accepting: Deadlines[Call] = Deadlines(settings.ack_timeout, clock, self._not_accepted)
        self._answering: Deadlines[Call] = Deadlines(settings.response_timeout, clock, self._not_answered)
        self._actions: dict[IntEnum, Callable[[Message, IRequester], None]] = {
            RpcAction.REQUEST: self._request,
            RpcAction.ACCEPT: self._accept,
            RpcAction.RESPONSE: self._answer,
            RpcAction.REQUEST_ERROR: self._answer,
            RpcAction.REJECT: self._reject,
            RpcAction.PROVIDE: self._provide,
            RpcAction.UNPROVIDE: self._unprovide,
        }

    def handle(self, message: Message, sender: IRequester) -> None:
        # No default: the codecs let through only what a client may send.
        self._actions[message.action](message, sender)

    def handle_remote(self, message: Message) -> None:
        """
        Do nothing: a call goes to one provider, so no message of this topic is published to all nodes.
        """

    def stop(self) -> None:
        """
        Forget all calls, because all clients are about to be told that the server stops. Clients that would never call
        back their application get RESPONSE_TIMEOUT, since the provider may have executed the procedure. Other clients
        get nothing. From now on no procedure has a provider: the application that embeds the node still makes requests.
        """
        self._stopped = True
        for requestor in self._requestors.values():
            if requestor.connection.dialect.forgets_calls_when_offline:
                for call in requestor.calls.values():
                    self._fail(call, RpcAction.RESPONSE_TIMEOUT)
        self._slices.stop()
        self._accepting.stop()
        self._answering.stop()
        self._providers.clear()
        self._requestors.clear()
        self._candidates.clear()

    # -- providers

    def _provide(self, message: Message, sender: IRequester) -> None:
        sender.do(self._providing(message, sender))

    def _providing(self, message: Message, sender: IRequester) -> Work:
        for _ in self._subscriptions.subscribing(message, sender):
            self._changed(sender)
            yield None
        if message.names:
            self._changed(sender)

    def _changed(self, sender: IRequester) -> None:
        """
        C{sender} provides more than before.
        """
        self._candidates.clear()
        if sender not in self._providers and not sender.closed:
            self._providers[sender] = Provider(sender)
            # This callback is registered after that of the registry, and so is called when the registry has already
            # removed the connection.
            sender.on_close(self._provider_left)

    def _unprovide(self, message: Message, sender: IRequester) -> None:
        # The provider keeps the calls that it has: its next message may answer one of them.
        sender.do(self._unproviding(message, sender))

    def _unproviding(self, message: Message, sender: IRequester) -> Work:
        for _ in self._subscriptions.unsubscribing(message, sender):
            self._candidates.clear()
            yield None
        self._candidates.clear()

    def _find(self, name: str) -> list[Provider]:
        providers = self._candidates.get(name)
        if providers is None:
            providers = [self._providers[connection] for connection in self._subscriptions.subscribers(name)]
            if providers:
                self._candidates[name] = providers
        return providers

    def _provider_left(self, connection: IRequester) -> None:
        self._candidates.clear()
        provider = self._providers.pop(connection, None)
        if provider is not None:
            self._slices.do(self._take_calls(provider))

    def _take_calls(self, provider: Provider) -> Iterator[None]:
        """
        End or reroute the calls that C{provider}, which is closed, has not answered.
        """
        for call in list(provider.running.values()):
            # Some may have ended meanwhile.
            if provider.running.get(call.provider_id) is not call:
                continue
            if call.requestor.connection.closed:
                self._end(call)
            elif call.accepted and not self._settings.reroute_accepted:
                self._end(call)
                self._fail(call, RpcAction.RESPONSE_TIMEOUT)
            else:
                self._reroute(call)
            yield

    # -- calls

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
        providers = () if self._stopped else self._find(name)
        if not providers:
            sender.send(Message(_RPC, RpcAction.NO_RPC_PROVIDER, name, correlation_id=call_id, is_error=True))
            return
        if requestor is None:
            requestor = self._requestors[sender] = Requestor(sender)
            sender.on_close(self._requestor_left)
        size = len(name) + len(call_id) + (0 if data is None else len(data))
        if len(requestor.calls) >= self._max_calls or (requestor.calls and requestor.size + size > self._max_bytes):
            self._refuse(message, requestor)
            return
        if not self._room.take(size + CALL_BYTES):
            self._log.warn(
                "TOO_MANY_PENDING_CALLS | maxPendingBytes: all clients have {size} bytes waiting for answers; a call "
                "of {client} is refused",
                size=self._room.used,
                event="TOO_MANY_PENDING_CALLS",
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
        call = requestor.calls[call_id] = Call(requestor, request, size)
        requestor.size += size
        self._ask(call, providers)

    def _ask(self, call: Call, providers: Sequence[Provider]) -> None:
        provider = providers[0] if len(providers) == 1 else self._choose(providers)
        request = provider.take(call)
        self._accepting.add(call)
        self._answering.add(call)
        provider.connection.send(request)

    def _refuse(self, message: Message, requestor: Requestor) -> None:
        self._log.warn(
            "TOO_MANY_PENDING_CALLS | {client} has {count} calls of {size} bytes waiting for answers",
            count=len(requestor.calls),
            size=requestor.size,
            event="TOO_MANY_PENDING_CALLS",
            once="pending calls",
            **about(requestor.connection),
        )
        requestor.connection.send(_too_many(message))

    def _requestor_left(self, connection: IRequester) -> None:
        requestor = self._requestors.pop(connection, None)
        if requestor is not None:
            self._slices.do(self._drop_calls(requestor))

    def _drop_calls(self, requestor: Requestor) -> Iterator[None]:
        """
        End the calls of C{requestor}, which is closed.
        """
        for call in list(requestor.calls.values()):
            # Some may have ended meanwhile.
            if requestor.calls.get(call.id) is call:
                # The provider may still answer. That is no mistake, so it gets no error.
                call.provider.release(call.provider_id, complain=False)
                self._drop(call)
                yield

    # -- answers

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
        call.accepted = True
        self._accepting.remove(call)
        call.requestor.connection.send(Message(_RPC, _ACCEPT, call.name, None, None, None, (), call.id))

    def _answer(self, message: Message, sender: IRequester) -> None:
        call = self._running(message, sender)
        if call is not None:
            self._end(call)
            call.requestor.connection.send(
                Message(_RPC, message.action, call.name, message.data, None, None, (), call.id)
            )

    def _reject(self, message: Message, sender: IRequester) -> None:
        call = self._running(message, sender)
        if call is not None:
            self._reroute(call)

    def _reroute(self, call: Call) -> None:
        call.provider.release(call.provider_id)
        self._ask_another(call)

    def _ask_another(self, call: Call) -> None:
        """
        Give the call, which has no provider now, to a provider that was not asked yet.
        """
        if call.asked is None:
            call.asked = set()
        call.asked.add(call.provider)
        self._accepting.remove(call)
        self._answering.remove(call)
        others = [provider for provider in self._find(call.name) if provider not in call.asked]
        if others:
            self._ask(call, others)
        else:
            self._drop(call)
            self._fail(call, RpcAction.NO_RPC_PROVIDER)

    # -- endings

    def _not_accepted(self, call: Call) -> None:
        call.provider.release(call.provider_id)
        if self._subscriptions.is_subscribed(call.name, call.provider.connection):
            self._drop(call)
            self._fail(call, RpcAction.ACCEPT_TIMEOUT)
        else:
            self._ask_another(call)

    def _not_answered(self, call: Call) -> None:
        call.provider.release(call.provider_id)
        self._drop(call)
        self._fail(call, RpcAction.RESPONSE_TIMEOUT)

    def _end(self, call: Call) -> None:
        call.provider.release(call.provider_id)
        self._drop(call)

    def _drop(self, call: Call) -> None:
        """
        The call is over, and its provider does not have it any more.
        """
        requestor = call.requestor
        del requestor.calls[call.id]
        requestor.size -= call.size
        self._room.give(call.size + CALL_BYTES)
        self._answering.remove(call)
        if not call.accepted:
            self._accepting.remove(call)

    def _fail(self, call: Call, action: RpcAction) -> None:
        call.requestor.connection.send(Message(_RPC, action, call.name, correlation_id=call.id, is_error=True))


def _too_many(message: Message) -> Message:
    # Clients of both generations pass this error to the application that made the call without change.
    return Message(_RPC, RpcAction.REQUEST_ERROR, message.name, TOO_MANY_CALLS, correlation_id=message.correlation_id)
