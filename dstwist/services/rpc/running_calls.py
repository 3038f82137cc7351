"""
The course of a call, from its first provider to its end.

==================================  ==================================================================================
what happens                        what follows
==================================  ==================================================================================
the provider accepts                ACCEPT to the requestor
the provider answers                RESPONSE or REQUEST_ERROR to the requestor
the provider rejects                a provider that was not asked yet is asked; if there is none: NO_RPC_PROVIDER
the provider disconnects            as if it had rejected, unless it has accepted and C{rpc.rerouteAccepted} is off:
                                    then RESPONSE_TIMEOUT
it does not accept in time          ACCEPT_TIMEOUT; if it provides the procedure no more: as if it had rejected
it does not answer in time          RESPONSE_TIMEOUT
the requestor disconnects           nothing
==================================  ==================================================================================

Requestors and providers are clients of this node, or other nodes. The providers of this node are asked first, then the
other nodes. A call of another node is given to providers of this node only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum

from twisted.internet.interfaces import IReactorTime

from dstwist.config.settings import RpcSettings
from dstwist.limits.budgets import Budget
from dstwist.protocol.constants import RpcAction, Topic
from dstwist.protocol.message import Data, Message
from dstwist.scheduling.deadlines import Deadlines
from dstwist.scheduling.time_slices import TimeSlices
from dstwist.services.rpc.calls import CALL_BYTES, Call, Provider, Requestor

Find = Callable[[str], Sequence[Provider]]

# Members of enumerations are looked up at every use; these are used for every call.
_RPC = Topic.RPC
_ACCEPT = RpcAction.ACCEPT


class RunningCalls:
    """
    The calls that have a provider.

    @param choose: picks one of several providers.
    @param room: limits the bytes of the calls of all requestors.
    @param find_local: finds the providers of a procedure on this node.
    @ivar find_remote: finds the other nodes that provide a procedure; C{None}: there are never other nodes.
    @ivar accepting: the time that a provider has to accept a call of a client.
    @ivar answering: the time that a provider has to answer it.
    """

    def __init__(
        self,
        settings: RpcSettings,
        clock: IReactorTime,
        choose: Callable[[Sequence[Provider]], Provider],
        room: Budget,
        find_local: Find,
    ) -> None:
        self._reroute_accepted = settings.reroute_accepted
        self._choose = choose
        self._room = room
        self._find_local = find_local
        self.find_remote: Find | None = None
        # Ends or reroutes the many calls of a party that has left.
        self._slices = TimeSlices(clock)
        self.accepting: Deadlines[Call] = Deadlines(settings.ack_timeout, clock, self._not_accepted)
        self.answering: Deadlines[Call] = Deadlines(settings.response_timeout, clock, self._not_answered)

    def begin(
        self, requestor: Requestor, request: Message, call_id: str, size: int, providers: Sequence[Provider]
    ) -> bool:
        """
        Give a new call to one of C{providers}.

        @return: whether there was room for it.
        """
        if not self._room.take(size + CALL_BYTES):
            return False
        call = requestor.calls[call_id] = Call(requestor, request, call_id, size)
        requestor.size += size
        self._ask(call, providers)
        return True

    def stop(self) -> None:
        """
        Do nothing any more.
        """
        self._slices.stop()
        self.accepting.stop()
        self.answering.stop()

    # -- the provider

    def accepted(self, call: Call, message: Message | None = None) -> None:
        """
        The provider has accepted C{call}, for the first time.

        @param message: its ACCEPT, if it is a client.
        """
        call.accepted = True
        call.requestor.accepting.remove(call)
        if message is None or not _can_relay(message, call):
            message = Message(_RPC, _ACCEPT, call.name, None, None, None, (), call.id)
        call.requestor.connection.send(message)

    def answered(self, call: Call, action: IntEnum, data: Data, message: Message | None = None) -> None:
        """
        The provider has answered C{call} with a RESPONSE or a REQUEST_ERROR.

        @param message: the answer, if the provider is a client.
        """
        call.provider.release(call.provider_id)
        self._drop(call)
        if message is None or not _can_relay(message, call):
            message = Message(_RPC, action, call.name, data, None, None, (), call.id)
        call.requestor.connection.send(message)

    def rejected(self, call: Call) -> None:
        """
        The provider does not answer C{call}: another one may.
        """
        call.provider.release(call.provider_id)
        self._ask_another(call)

    def lost(self, call: Call) -> None:
        """
        The provider does not answer C{call}, and no other one is to be asked.
        """
        self._end(call)
        self.fail(call, RpcAction.RESPONSE_TIMEOUT)

    def restarted(self, call: Call) -> None:
        """
        The node that has C{call} asks another one of its providers: it has the whole time.
        """
        requestor = call.requestor
        requestor.accepting.remove(call)
        requestor.answering.remove(call)
        call.accepted = False
        requestor.accepting.add(call)
        requestor.answering.add(call)

    def provider_left(self, provider: Provider) -> None:
        """
        C{provider} has disconnected: end or reroute its calls.
        """
        self._slices.do(self._take_calls(provider))

    def _take_calls(self, provider: Provider) -> Iterator[None]:
        for call in list(provider.running.values()):
            # Some may have ended meanwhile.
            if provider.running.get(call.provider_id) is not call:
                continue
            if call.requestor.connection.closed:
                self._end(call)
            elif self.may_reroute(call):
                self.rejected(call)
            else:
                self.lost(call)
            yield

    def may_reroute(self, call: Call) -> bool:
        """
        Whether another provider may be asked when that of C{call} leaves.
        """
        return not call.accepted or self._reroute_accepted

    # -- the requestor

    def cancelled(self, call: Call, complain: bool = False) -> None:
        """
        The requestor does not want the answer any more.

        @param complain: whether an answer is an error of the provider from now on.
        """
        call.provider.release(call.provider_id, complain)
        self._drop(call)

    def requestor_left(self, requestor: Requestor) -> None:
        """
        C{requestor} has disconnected: end its calls.
        """
        self._slices.do(self._drop_calls(requestor))

    def _drop_calls(self, requestor: Requestor) -> Iterator[None]:
        for call in list(requestor.calls.values()):
            # Some may have ended meanwhile.
            if requestor.calls.get(call.id) is call:
                # The provider may still answer. That is no mistake, so it gets no error.
                self.cancelled(call)
                yield

    # -- steps

    def _ask(self, call: Call, providers: Sequence[Provider]) -> None:
        provider = providers[0] if len(providers) == 1 else self._choose(providers)
        requestor = call.requestor
        requestor.accepting.add(call)
        requestor.answering.add(call)
        provider.ask(call)

    def _ask_another(self, call: Call) -> None:
        """
        Give the call, which has no provider now, to a provider that was not asked yet.
        """
        asked = call.asked
        if asked is None:
            asked = call.asked = set()
        asked.add(call.provider)
        requestor = call.requestor
        requestor.accepting.remove(call)
        requestor.answering.remove(call)
        others = [provider for provider in self._find_local(call.name) if provider not in asked]
        if not others and self.find_remote is not None and not requestor.is_node:
            others = [provider for provider in self.find_remote(call.name) if provider not in asked]
        if others:
            requestor.rerouted(call)
            self._ask(call, others)
        else:
            self._drop(call)
            self.fail(call, RpcAction.NO_RPC_PROVIDER)

    def _not_accepted(self, call: Call) -> None:
        provider = call.provider
        provider.release(call.provider_id)
        if provider.provides(call.name):
            self._drop(call)
            self.fail(call, RpcAction.ACCEPT_TIMEOUT)
        else:
            self._ask_another(call)

    def _not_answered(self, call: Call) -> None:
        provider = call.provider
        provider.release(call.provider_id)
        self._drop(call)
        self.fail(call, RpcAction.RESPONSE_TIMEOUT if provider.executes else RpcAction.NO_RPC_PROVIDER)

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
        requestor.answering.remove(call)
        if not call.accepted:
            requestor.accepting.remove(call)

    def fail(self, call: Call, action: RpcAction) -> None:
        """
        Tell the requestor that there will be no answer.
        """
        call.requestor.connection.send(Message(_RPC, action, call.name, correlation_id=call.id, is_error=True))


def _can_relay(message: Message, call: Call) -> bool:
    """
    Whether the requestor of C{call} may be sent the bytes of the provider.
    """
    return message.verbatim is not None and call.provider_id == call.id and message.name == call.name
