"""
Tests for L{dstwist.api.rpc}.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from dstwist.api.errors import (
    ApiError,
    CallError,
    CallRejected,
    HandleClosed,
    InvalidValue,
    MessageDenied,
    NoRpcProvider,
    ResponseTimeout,
)
from dstwist.api.rpc import Request
from dstwist.config.settings import RpcSettings, Settings
from dstwist.protocol.constants import RpcAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.typed import to_json
from tests.api.stage import ApiTestCase, ignore, rules
from tests.nodes.client import MemoryClient


def rpc(action: RpcAction, call_id: str | None = "c1", data: Any = None) -> Message:
    return Message(Topic.RPC, action, "add", data, correlation_id=call_id)


class CallTests(ApiTestCase):
    """
    The application calls.
    """

    def provider(self, generation: str) -> MemoryClient:
        client = self.client(generation, "bob")
        client.say(Message(Topic.RPC, RpcAction.PROVIDE, names=("add",), correlation_id="0"))
        self.turn()
        client.heard()
        return client

    def test_clients(self) -> None:
        """
        Clients of both generations serve calls: with a result, or with an error.
        """
        for generation, argument, result in (("v3", 'O{"a":1}', 'O{"b":[2]}'), ("v4", b'{"a":1}', b'{"b":[2]}')):
            client = self.provider(generation)
            for answer in (RpcAction.RESPONSE, RpcAction.REQUEST_ERROR):
                asked = self.api.rpc.call("add", {"a": 1})
                self.turn()
                (request,) = client.heard()
                self.assertEqual(to_json(request.data), to_json(argument))
                client.say(rpc(RpcAction.ACCEPT, request.correlation_id))
                self.assertNoResult(asked)
                text = "Sbroken" if generation == "v3" else b'"broken"'
                client.say(rpc(answer, request.correlation_id, result if answer is RpcAction.RESPONSE else text))
                self.turn()
                if answer is RpcAction.RESPONSE:
                    self.assertEqual(self.successResultOf(asked), {"b": [2]})
                else:
                    error = self.failureResultOf(asked, CallError).value
                    self.assertEqual((error.event, error.data, error.name), ("REQUEST_ERROR", "broken", "add"))
            client.transport.loseConnection()

    def test_no_provider(self) -> None:
        """
        There is no provider.
        """
        error = self.refused(self.api.rpc.call("add"), NoRpcProvider)
        self.assertEqual((error.event, error.name), ("NO_RPC_PROVIDER", "add"))

    def test_timeouts(self) -> None:
        """
        A call ends in the time of the server, or in that of the caller, if it is shorter. A late answer is ignored.
        """
        client = self.provider("v4")
        settings = RpcSettings()
        asked = self.api.rpc.call("add")
        self.reactor.advance(settings.ack_timeout)
        self.assertEqual(self.refused(asked, ResponseTimeout).event, "ACCEPT_TIMEOUT")
        client.heard()
        asked = self.api.rpc.call("add", timeout=0.5)
        self.reactor.advance(0.5)
        error = self.refused(asked, ResponseTimeout)
        self.assertEqual(
            (error.event, str(error)), ("RESPONSE_TIMEOUT", "RESPONSE_TIMEOUT: add: no answer within 0.5 s")
        )
        other = self.api.rpc.call("add", timeout=5)
        self.turn()
        late, request = client.heard()
        client.say(
            rpc(RpcAction.RESPONSE, late.correlation_id, b"1"), rpc(RpcAction.RESPONSE, request.correlation_id, b"2")
        )
        self.assertEqual(self.done(other), 2)

    def test_cancel(self) -> None:
        """
        A caller that gives up gets nothing, and the answer does no harm.
        """
        client = self.provider("v4")
        asked = self.api.rpc.call("add")
        self.turn()
        (request,) = client.heard()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        client.say(rpc(RpcAction.RESPONSE, request.correlation_id, b"1"))
        self.turn()


class ProvideTests(ApiTestCase):
    """
    The application provides.
    """

    def call(self, generation: str, data: Any = None) -> tuple[MemoryClient, list[tuple[Any, Any]]]:
        client = self.client(generation, "carl")
        client.say(rpc(RpcAction.REQUEST, data=data))
        self.turn()
        return client, self.heard(client)

    def heard(self, client: MemoryClient) -> list[tuple[Any, Any]]:
        self.turn()
        return [(message.action, to_json(message.data)) for message in client.heard()]

    def test_clients(self) -> None:
        """
        Clients of both generations call a function.
        """
        requests: list[Request] = []

        def add(request: Request) -> int:
            requests.append(request)
            return int(request.data["a"]) + int(request.data["b"])

        self.done(self.api.rpc.provide("add", add))
        for generation, data in (("v3", 'O{"a":1,"b":2}'), ("v4", b'{"a":1,"b":2}')):
            _, heard = self.call(generation, data)
            self.assertEqual(heard, [(RpcAction.ACCEPT, None), (RpcAction.RESPONSE, b"3")])
        self.assertEqual(requests, [Request("add", {"a": 1, "b": 2})] * 2)

    def test_results(self) -> None:
        """
        A function returns a value, a Deferred or a coroutine, or raises an error.
        """
        waiting: Deferred[Any] = Deferred()

        async def soon(request: Request) -> Any:
            return await waiting

        def wait(request: Request) -> Deferred[Any]:
            return waiting

        def missing(request: Request) -> Deferred[Any]:
            return self.api.records.get("none")

        def fails(error: Exception) -> Any:
            def function(request: Request) -> Any:
                raise error

            return function

        for function, answer in (
            (lambda request: None, (RpcAction.RESPONSE, None)),
            (wait, (RpcAction.RESPONSE, b"[1]")),
            (soon, (RpcAction.RESPONSE, b"[1]")),
            (fails(CallError({"code": 7})), (RpcAction.REQUEST_ERROR, b'{"code":7}')),
            (missing, (RpcAction.REQUEST_ERROR, b'"RECORD_NOT_FOUND"')),
            (fails(ZeroDivisionError()), (RpcAction.REQUEST_ERROR, b'"INTERNAL_ERROR"')),
            (lambda request: object(), (RpcAction.REQUEST_ERROR, b'"INTERNAL_ERROR"')),
        ):
            waiting = Deferred()
            provision = self.done(self.api.rpc.provide("add", function))
            client, heard = self.call("v4")
            self.assertEqual(heard[0], (RpcAction.ACCEPT, None))
            if not heard[1:]:
                waiting.callback([1])
                heard += self.heard(client)
            self.assertEqual(heard[1:], [answer])
            self.done(provision.close())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.flushLoggedErrors(InvalidValue)), 1)

    def test_reject(self) -> None:
        """
        If a function rejects a call, another provider gets it.
        """

        def reject(request: Request) -> None:
            raise CallRejected("not now")

        with self.api.as_user("bob") as bob:
            self.done(bob.rpc.provide("add", lambda request: 5))
            self.done(self.api.rpc.provide("add", reject))
            for _ in range(5):
                self.assertEqual(self.done(self.api.rpc.call("add")), 5)
        self.refused(self.api.rpc.call("add"), NoRpcProvider)

    def test_own(self) -> None:
        """
        A handle may call what it provides; a function may call the API, also itself.
        """

        async def factorial(request: Request) -> int:
            return 1 if request.data < 2 else request.data * await self.api.rpc.call("factorial", request.data - 1)

        self.done(self.api.rpc.provide("factorial", factorial))
        self.assertEqual(self.done(self.api.rpc.call("factorial", 10)), 3628800)

    def test_exit(self) -> None:
        """
        A procedure that wants to end the process fails, in a coroutine and without, and so does an error that is no
        JSON.
        """

        async def leave(request: Request) -> None:
            sys.exit(1)

        def leave_at_once(request: Request) -> None:
            sys.exit(1)

        def fail(request: Request) -> None:
            raise CallError({1})

        functions: list[Callable[[Request], Any]] = [leave_at_once, leave, fail]
        for function in functions:
            provision = self.done(self.api.rpc.provide("a", function))
            self.assertEqual(self.refused(self.api.rpc.call("a"), CallError).data, "INTERNAL_ERROR")
            self.assertEqual(len(self.flushLoggedErrors(SystemExit, CallError)), 1)
            self.done(provision.close())

    def test_again(self) -> None:
        """
        A handle provides a procedure once at a time. After that it is not provided any more.
        """
        provision = self.done(self.api.rpc.provide("add", lambda request: 1))
        self.assertEqual(self.refused(self.api.rpc.provide("add", ignore), ApiError).event, "MULTIPLE_PROVIDERS")
        self.done(provision.close())
        self.done(provision.close())
        self.refused(self.api.rpc.call("add"), NoRpcProvider)
        self.done(self.api.rpc.provide("add", lambda request: 2))
        self.assertEqual(self.done(self.api.rpc.call("add")), 2)

    def test_closed(self) -> None:
        """
        When the handle closes, functions that wait are cancelled, and their calls go to others.
        """
        cancelled: list[Any] = []
        waiting: Deferred[Any] = Deferred(cancelled.append)
        bob = self.api.as_user("bob")
        provision = self.done(bob.rpc.provide("add", lambda request: waiting))
        asked = self.api.rpc.call("add")
        ended = provision.ended()
        self.turn()
        bob.close()
        self.refused(ended, HandleClosed)
        self.assertEqual(cancelled, [waiting])
        self.refused(asked, NoRpcProvider)

    def test_calls_of_a_closed_handle(self) -> None:
        """
        A call that came before the end of the handle is not served after it.
        """
        called: list[Any] = []
        bob = self.api.as_user("bob")
        self.done(bob.rpc.provide("add", called.append))
        asked = self.api.rpc.call("add")
        bob.close()
        self.refused(asked, NoRpcProvider)
        self.assertEqual(called, [])


class RequestorTests(ApiTestCase):
    """
    The data about the caller that a provider gets.
    """

    settings = Settings(rpc=RpcSettings(provide_requestor_name=True, provide_requestor_data=True))

    def test_requestor(self) -> None:
        """
        The name and the data of the caller, if the settings say so.
        """
        self.done(self.api.rpc.provide("who", lambda request: [request.user, request.client_data]))
        ann = self.api.as_user("ann", client_data={"role": "x"})
        self.assertEqual(self.done(ann.rpc.call("who")), ["ann", {"role": "x"}])
        self.assertEqual(self.done(self.api.rpc.call("who")), [None, None])


class RuleTests(ApiTestCase):
    """
    Procedures in the name of a user.
    """

    settings = rules({"rpc": {"*": {"provide": "user.id === 'ann'", "request": "user.id === 'bob'"}}})

    def test_rules(self) -> None:
        """
        The rules decide about a user, and not about the server.
        """
        ann, bob = self.api.as_user("ann"), self.api.as_user("bob")
        self.refused(bob.rpc.provide("a", ignore), MessageDenied)
        self.done(ann.rpc.provide("a", lambda request: 1))
        self.assertEqual(self.refused(ann.rpc.call("a"), MessageDenied).event, "MESSAGE_DENIED")
        self.assertEqual((self.done(bob.rpc.call("a")), self.done(self.api.rpc.call("a"))), (1, 1))
        self.refused(bob.rpc.provide("a", ignore), MessageDenied)
