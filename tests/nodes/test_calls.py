"""
Procedure calls on a whole node, between clients of both generations.
"""

from __future__ import annotations

from typing import Any

from dstwist.config.settings import RpcSettings, Settings
from dstwist.node import Node
from dstwist.protocol.constants import RpcAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.typed import to_json, to_typed
from tests.nodes.client import API, ASKING_KINDS, KINDS, Client
from tests.nodes.test_node import VALUES, NodeTestCase

PAIRS = [(caller, provider) for caller in ASKING_KINDS for provider in KINDS]


def rpc(action: RpcAction, call_id: str | None = "c1", data: Any = None) -> Message:
    return Message(Topic.RPC, action, "add", data, correlation_id=call_id)


class CallTestCase(NodeTestCase):
    """
    A node, providers and callers.
    """

    def provider(self, node: Node, generation: str, user: str = "bob") -> Client:
        client = self.client(node, generation, user)
        client.say(Message(Topic.RPC, RpcAction.PROVIDE, names=("add",), correlation_id="0"))
        self.turn()
        (ack,) = client.heard()
        self.assertTrue(ack.is_ack)
        return client

    def say(self, client: Client, *messages: Message) -> None:
        client.say(*messages)
        self.turn()

    def heard(self, client: Client) -> list[tuple[RpcAction, str | None]]:
        """
        Actions and ids of what the client heard.
        """
        return [(message.action, message.correlation_id) for message in client.heard()]


class BothGenerationsTests(CallTestCase):
    """
    Callers and providers.
    """

    def test_every_value(self) -> None:
        """
        Every kind of value reaches the provider with a call, and the caller with the result, intact.
        """
        for calling, providing in PAIRS:
            node = self.start()
            provider, caller = self.provider(node, providing), self.client(node, calling)
            for json, typed in VALUES:
                by_generation = dict.fromkeys(ASKING_KINDS, json) | {"v3": typed}
                self.say(caller, rpc(RpcAction.REQUEST, data=by_generation[calling]))
                (request,) = provider.heard()
                self.assertEqual((request.action, request.name), (RpcAction.REQUEST, "add"))
                self.say(provider, rpc(RpcAction.ACCEPT, request.correlation_id))
                self.say(provider, rpc(RpcAction.RESPONSE, request.correlation_id, by_generation[providing]))
                accept, response = caller.heard()
                self.assertEqual((accept.action, accept.correlation_id), (RpcAction.ACCEPT, "c1"))
                self.assertEqual((response.action, response.correlation_id), (RpcAction.RESPONSE, "c1"))
                for message, generation in ((request, providing), (response, calling)):
                    value = to_typed(message.data) if generation == "v3" else to_json(message.data)
                    self.assertEqual(value, by_generation[generation], (calling, providing))

    def test_errors(self) -> None:
        """
        The error text of a procedure is the same text to callers of both generations.
        """
        for calling, providing in PAIRS:
            node = self.start()
            provider, caller = self.provider(node, providing), self.client(node, calling)
            self.say(caller, rpc(RpcAction.REQUEST))
            (request,) = provider.heard()
            error: Any = "SAn Error" if providing == "v3" else b'"An Error"'
            self.say(provider, rpc(RpcAction.REQUEST_ERROR, request.correlation_id, error))
            (told,) = caller.heard()
            self.assertEqual((told.action, told.correlation_id), (RpcAction.REQUEST_ERROR, "c1"))
            self.assertEqual(to_json(told.data), b'"An Error"')

    def test_each_once(self) -> None:
        """
        A call that all reject reaches each provider once, whatever its generation, and fails.
        """
        for calling in ASKING_KINDS:
            node = self.start()
            providers = [self.provider(node, generation, generation) for generation in KINDS * 2]
            caller = self.client(node, calling)
            self.say(caller, rpc(RpcAction.REQUEST))
            asked: list[Client] = []
            while len(asked) < len(providers):
                ((provider, requests),) = [(p, heard) for p in providers if (heard := p.heard())]
                self.assertEqual(len(requests), 1)
                self.assertNotIn(provider, asked)
                asked.append(provider)
                self.say(provider, rpc(RpcAction.REJECT, requests[0].correlation_id))
            self.assertEqual(self.heard(caller), [(RpcAction.NO_RPC_PROVIDER, "c1")])

    def test_no_provider(self) -> None:
        """
        A call without a provider fails at once, also if the provider has left.
        """
        for calling, providing in PAIRS:
            node = self.start()
            caller, provider = self.client(node, calling), self.provider(node, providing)
            self.say(provider, Message(Topic.RPC, RpcAction.UNPROVIDE, names=("add",), correlation_id="1"))
            self.assertTrue(provider.heard()[0].is_ack)
            self.say(caller, rpc(RpcAction.REQUEST))
            self.assertEqual(self.heard(caller), [(RpcAction.NO_RPC_PROVIDER, "c1")])
            self.assertEqual(provider.heard(), [])

    def test_times(self) -> None:
        """
        The configured times are those that count, and a late provider is told that it is too late.
        """
        for generation in KINDS:
            node = self.start(Settings(rpc=RpcSettings(ack_timeout=0.1, response_timeout=0.3)))
            caller, provider = self.client(node, generation), self.provider(node, generation)
            self.say(caller, rpc(RpcAction.REQUEST, "a"), rpc(RpcAction.REQUEST, "b"))
            self.say(provider, rpc(RpcAction.ACCEPT, "b"))
            for _ in range(4):
                self.reactor.advance(0.1)
            self.turn()
            self.assertEqual(
                self.heard(caller),
                [(RpcAction.ACCEPT, "b"), (RpcAction.ACCEPT_TIMEOUT, "a"), (RpcAction.RESPONSE_TIMEOUT, "b")],
            )
            provider.heard()
            self.say(provider, rpc(RpcAction.RESPONSE, "b"))
            self.assertEqual([m.action for m in provider.heard()], [RpcAction.INVALID_RPC_CORRELATION_ID])


class ConnectionTests(CallTestCase):
    """
    Clients that come and go.
    """

    def test_w30_provider_lost(self) -> None:
        """
        W30: a call whose provider loses its connection is carried out by another one; with none left it fails at once.
        """
        node = self.start()
        providers = {self.provider(node, generation) for generation in KINDS}
        caller = self.client(node, "v4")
        self.say(caller, rpc(RpcAction.REQUEST))
        for _ in KINDS:
            ((provider, heard),) = [(p, heard) for p in providers if (heard := p.heard())]
            self.say(provider, rpc(RpcAction.ACCEPT, heard[0].correlation_id))
            self.assertEqual(self.heard(caller), [(RpcAction.ACCEPT, "c1")])
            provider.transport.loseConnection()
            self.turn()
            providers.discard(provider)
        self.assertEqual(self.heard(caller), [(RpcAction.NO_RPC_PROVIDER, "c1")])

    def test_reconnected(self) -> None:
        """
        A provider that is back provides again under its new connection only.
        """
        node = self.start()
        self.provider(node, "v4").transport.loseConnection()
        self.turn()
        provider, caller = self.provider(node, "v4"), self.client(node, "v3")
        for call_id in ("a", "b", "c"):
            self.say(caller, rpc(RpcAction.REQUEST, call_id))
            self.assertEqual(self.heard(provider), [(RpcAction.REQUEST, call_id)])
            self.say(provider, rpc(RpcAction.RESPONSE, call_id))
            self.assertEqual(self.heard(caller), [(RpcAction.RESPONSE, call_id)])

    def test_requestor(self) -> None:
        """
        Providers of v4+ and in the process are told who calls, if that is configured; those of v2/v3 have no place for
        it.
        """
        node = self.start(Settings(rpc=RpcSettings(provide_requestor_name=True)))
        for generation, name in (("v3", None), ("v4", "ann"), (API, "ann")):
            provider, caller = self.provider(node, generation), self.client(node, "v3", "ann")
            self.say(caller, rpc(RpcAction.REQUEST, data="N1"))
            (request,) = provider.heard()
            self.assertEqual(request.requestor_name, name)
            provider.transport.loseConnection()
            self.turn()

    def test_stop(self) -> None:
        """
        Calls do not delay the stop of a server, and no other provider is asked for those that the stop disconnects.
        """
        node = self.start()
        providers = [self.provider(node, "v4") for _ in range(2)]
        caller = self.client(node, "v4")
        self.say(caller, rpc(RpcAction.REQUEST))
        self.assertEqual(sum(len(provider.heard()) for provider in providers), 1)
        stopped = node.stopService()
        self.turn()
        for client in (*providers, caller):
            self.assertEqual(client.heard(), [])
            self.assertEqual(client.closed, (1001, "server shutting down"))
            client.transport.loseConnection()
        self.turn()
        self.successResultOf(stopped)
        self.assertFalse(self.reactor.getDelayedCalls())
