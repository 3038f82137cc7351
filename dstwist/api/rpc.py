"""
Remote procedure calls: C{api.rpc}.

A call of a client, as a provider here sees it::

    server --REQUEST--> ACCEPT --> function(request) --> a value, also of a Deferred or coroutine: RESPONSE
                                                     --> CallRejected: REJECT, and the server asks another provider
                                                     --> CallError(data): REQUEST_ERROR with this data
                                                     --> another ApiError: REQUEST_ERROR with the name of the error
                                                     --> another exception: a log line, REQUEST_ERROR "INTERNAL_ERROR"
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from dstwist.api.errors import (
    ApiError,
    CallError,
    CallRejected,
    HandleClosed,
    InvalidValue,
    ResponseTimeout,
    error_of,
    make_error,
)
from dstwist.api.failing import failing
from dstwist.api.handle import Handle
from dstwist.api.ongoing import Endings, Ongoing, ignore
from dstwist.api.subscription import run
from dstwist.api.values import check_function, check_name, from_data, to_json
from dstwist.log import Logger, shown
from dstwist.protocol.constants import RpcAction, Topic
from dstwist.protocol.message import Message

_RPC = Topic.RPC

#: The error of a caller if the function of the provider has a mistake.
INTERNAL_ERROR = "INTERNAL_ERROR"


@dataclass(frozen=True)
class Request:
    """
    A call, as its provider gets it.

    @ivar name: the procedure.
    @ivar data: the argument; C{None} if there is none.
    @ivar user: the caller, if C{rpc.provideRequestorName} is on.
    @ivar client_data: the data about the caller for clients, if C{rpc.provideRequestorData} is on.
    """

    name: str
    data: Any
    user: str | None = None
    client_data: Any = None


#: Serves a call: gives the result, or a Deferred or coroutine of it.
Procedure = Callable[[Request], Any]


class Provision(Ongoing):
    """
    A procedure that the application provides.
    """

    _kind = "provision of"

    def __init__(self, name: str, unprovide: Callable[[Provision], Deferred[None]], endings: Endings) -> None:
        super().__init__(name, endings)
        self._unprovide = unprovide

    def _leave(self) -> Deferred[None]:
        return self._unprovide(self)


class Rpc:
    """
    Calls procedures, and provides them.
    """

    _log = Logger()

    def __init__(self, handle: Handle) -> None:
        self._asking = handle.asking
        self._subscribing = handle.subscribing
        self._deliveries = handle.deliveries
        self._clock = handle.clock
        self._endings = handle.endings
        self._provided: dict[str, tuple[Procedure, Provision]] = {}
        # The results that calls wait for.
        self._running: dict[Deferred[Any], None] = {}
        handle.news[_RPC, RpcAction.REQUEST] = self._requested
        handle.denied[_RPC, RpcAction.PROVIDE] = self._denied
        handle.on_close.append(self._closed)

    # -- calling

    @failing
    def call(self, name: str, data: Any = None, timeout: float | None = None) -> Deferred[Any]:
        """
        Call a procedure. It fails with L{NoRpcProvider<dstwist.api.errors.NoRpcProvider>}, L{CallError
        <dstwist.api.errors.CallError>} or L{ResponseTimeout<dstwist.api.errors.ResponseTimeout>}.

        @param timeout: how long to wait at most, in seconds. The limits of the server (C{rpc.ackTimeout},
            C{rpc.responseTimeout}) hold as well.
        @return: gives the result.
        """
        check_name(name)
        message = Message(_RPC, RpcAction.REQUEST, name, None if data is None else to_json(data))
        result: Deferred[Any] = self._asking.ask(message).addCallback(lambda answer: from_data(answer.data))
        if timeout is not None:
            result.addTimeout(timeout, self._clock, lambda failure, seconds: _late(name, seconds))
        return result

    # -- providing

    @failing
    def provide(self, name: str, function: Procedure) -> Deferred[Provision]:
        """
        Provide a procedure.

        @param function: is called with each L{Request}. It returns the result, a Deferred or a coroutine. It raises
            L{CallError<dstwist.api.errors.CallError>} to answer with an error, L{CallRejected
            <dstwist.api.errors.CallRejected>} if another provider is to serve the call.
        @return: gives the provision once the server has it.
        """
        check_name(name)
        check_function(function)
        if name in self._provided:
            raise make_error("MULTIPLE_PROVIDERS", name, "this handle provides it already")
        provision = Provision(name, self._unprovide, self._endings)
        self._provided[name] = (function, provision)
        message = Message(_RPC, RpcAction.PROVIDE, names=(name,))
        return self._subscribing.ask(message).addCallbacks(
            lambda _: provision, self._not_provided, errbackArgs=(provision,)
        )

    def _not_provided(self, failure: Failure, provision: Provision) -> Failure:
        self._forget(provision)
        if failure.check(CancelledError, ResponseTimeout):
            self._end_provision(provision.name)
        return failure

    def _unprovide(self, provision: Provision) -> Deferred[None]:
        """
        The application does not provide the procedure any more. Calls that are being served go on.
        """
        self._forget(provision)
        return self._end_provision(provision.name)

    def _end_provision(self, name: str) -> Deferred[None]:
        message = Message(_RPC, RpcAction.UNPROVIDE, names=(name,))
        return self._subscribing.ask(message, always=True).addCallbacks(lambda _: None, ignore)

    def _forget(self, provision: Provision) -> None:
        if self._provided.get(provision.name, (None, None))[1] is provision:
            del self._provided[provision.name]

    # -- serving

    def _requested(self, message: Message) -> None:
        self._deliveries.add(self._serve, message)

    def _serve(self, message: Message) -> None:
        if self._subscribing.closed:
            return
        name = message.name or ""
        provided = self._provided.get(name)
        if provided is None:
            self._answer(message, RpcAction.REJECT)
            return
        self._answer(message, RpcAction.ACCEPT)
        request = Request(name, from_data(message.data), message.requestor_name, from_data(message.requestor_data))
        result = run(provided[0], request)
        self._running[result] = None
        result.addCallback(self._respond, message, result)
        result.addErrback(self._failed, message, result)

    def _respond(self, value: Any, message: Message, result: Deferred[Any]) -> None:
        data = None if value is None else to_json(value)
        self._running.pop(result, None)
        self._answer(message, RpcAction.RESPONSE, data)

    def _failed(self, failure: Failure, message: Message, result: Deferred[Any]) -> None:
        self._running.pop(result, None)
        error: Any = failure.value
        if isinstance(error, CallRejected):
            self._answer(message, RpcAction.REJECT)
        elif isinstance(error, CallError) and _is_json(error.data):
            self._answer(message, RpcAction.REQUEST_ERROR, to_json(error.data))
        elif isinstance(error, ApiError) and not isinstance(error, InvalidValue | CallError):
            self._answer(message, RpcAction.REQUEST_ERROR, to_json(error.event))
        else:
            if not failure.check(CancelledError):
                self._log.failure(
                    "the procedure {name} failed", failure, name=shown(message.name or ""), contained=True
                )
            self._answer(message, RpcAction.REQUEST_ERROR, to_json(INTERNAL_ERROR))

    def _answer(self, message: Message, action: IntEnum, data: bytes | None = None) -> None:
        self._subscribing.post(Message(_RPC, action, message.name, data, correlation_id=message.correlation_id))

    # -- the end

    def _denied(self, message: Message) -> None:
        self._deliveries.add(self._end_denied, message)

    def _end_denied(self, message: Message) -> None:
        provided = self._provided.pop(message.name or "", None)
        if provided is not None:
            provided[1]._end(error_of(message))

    def _closed(self, error: HandleClosed) -> None:
        provided, self._provided = self._provided, {}
        for _, provision in provided.values():
            provision._end(error)
        for result in list(self._running):
            result.cancel()


def _is_json(value: Any) -> bool:
    try:
        to_json(value)
    except InvalidValue:
        return False
    return True


def _late(name: str, seconds: float) -> None:
    raise make_error("RESPONSE_TIMEOUT", name, f"no answer within {seconds:g} s")
