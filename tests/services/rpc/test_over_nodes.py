"""
The RPC topic on several nodes: the whole course of calls.
"""

from __future__ import annotations

from zope.interface import implementer

from dstwist.interfaces import Change, IIdentity, IPermission
from dstwist.protocol.constants import RpcAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing.router import Router
from tests.requesters import AnyConnection, for_each_requester
from tests.services.rpc.cases import ACK_TIMEOUT, PROVIDE, RESPONSE_TIMEOUT, failed, rpc
from tests.services.rpc.nodes import (
    ACCEPT,
    NO_RPC_PROVIDER,
    REJECT,
    REQUEST,
    REQUEST_ERROR,
    RESPONSE,
    RESPONSE_TIMEOUT_ERROR,
    NodesTestCase,
)


@for_each_requester
class CallTests(NodesTestCase):
    """
    Calls that a provider of another node answers, or that no provider answers.
    """

    count = 3

    def test_accept_and_response(self) -> None:
        """
        The provider gets the request as it was made; the requestor hears that it is accepted, and the result.
        """
        provider = self.provider(1)
        requestor = self.request(0)
        self.assertEqual(provider.take(), [rpc(REQUEST, data=b"1")])
        self.say(1, provider, ACCEPT)
        self.assertEqual(requestor.take(), [rpc(ACCEPT)])
        self.say(1, provider, RESPONSE, data=b"3")
        self.assertEqual(requestor.take(), [rpc(RESPONSE, data=b"3")])
        self.assertEqual(provider.take(), [])
        self.nothing_left()

    def test_request_error(self) -> None:
        """
        The error of the procedure reaches the requestor, and ends the call.
        """
        provider = self.provider(1)
        requestor = self.request(0)
        self.say(1, provider, REQUEST_ERROR, data=b'"no"')
        self.assertEqual(requestor.take(), [rpc(REQUEST_ERROR, data=b'"no"')])
        self.nothing_left()

    def test_data(self) -> None:
        """
        Data arrives in the encoding in which its client has sent it, in both directions; so does "no value".
        """
        provider = self.provider(1)
        for data in (None, b"null", b'{"a":"\xc3\xa4\\ud800"}', "SJ\xe4", 'O{"a":1}', "N1.5", "T", "F", "L", "U"):
            requestor = self.request(0, data=data)
            request = self.asked(provider)
            self.assertEqual(request.data, data)
            self.say(1, provider, RESPONSE, call_id=request.correlation_id or "", data=data)
            self.assertEqual(requestor.take(), [rpc(RESPONSE, data=data)])

    def test_empty_id(self) -> None:
        """
        A text client may call with an empty id. Its call is answered, and so are the calls that leave in the same turn.
        """
        provider = self.provider(1)
        self.services[0].handle(rpc(REQUEST, "", b"1"), first := self.connect("ann"))
        second = self.request(0, "y")
        self.assertEqual(provider.take(), [rpc(REQUEST, "", b"1"), rpc(REQUEST, "y", b"1")])
        for requestor, call_id in ((first, ""), (second, "y")):
            self.say(1, provider, RESPONSE, call_id=call_id, data=b"3")
            self.assertEqual(requestor.take(), [rpc(RESPONSE, call_id, b"3")])
        self.nothing_left()

    def test_p1_calls_from_all_nodes(self) -> None:
        """
        P1: clients of each node call the procedure; each gets its own result, and the provider is asked once for each
        call.
        """
        provider = self.provider(0)
        requestors = [self.request(number, data=b'"%d"' % number) for number in (0, 0, 1, 2)]
        for number, request in zip((0, 0, 1, 2), provider.take(), strict=True):
            self.assertEqual(request.data, b'"%d"' % number)
            self.say(0, provider, RESPONSE, call_id=request.correlation_id or "", data=request.data)
        answers = [requestor.take() for requestor in requestors]
        self.assertEqual(answers, [[rpc(RESPONSE, data=b'"%d"' % number)] for number in (0, 0, 1, 2)])
        self.nothing_left()

    def test_p2_one_rejects(self) -> None:
        """
        P2: a call that one provider rejects goes to the provider of another node, with the same data.
        """
        first, second = self.provider(1), self.provider(2)
        requestor = self.request(0)
        self.asked(first)
        self.say(1, first, REJECT)
        self.assertEqual(second.take(), [rpc(REQUEST, data=b"1")])
        self.say(2, second, RESPONSE, data=b"3")
        self.assertEqual(requestor.take(), [rpc(RESPONSE, data=b"3")])
        self.assertEqual((first.take(), second.take()), ([], []))
        self.assertEqual(self.chosen_from, [2])
        self.nothing_left()

    def test_p3_only_provider_rejects(self) -> None:
        """
        P3: if the only provider rejects, there is none; it is asked once.
        """
        provider = self.provider(1)
        requestor = self.request(0)
        self.asked(provider)
        self.say(1, provider, REJECT)
        self.assertEqual(requestor.take(), [failed(NO_RPC_PROVIDER)])
        self.assertEqual(provider.take(), [])
        self.nothing_left()

    def test_p3_only_provider_is_here(self) -> None:
        """
        P3: the same if the only provider is at the requestor's node.
        """
        provider = self.provider(0)
        requestor = self.request(0)
        self.asked(provider)
        self.say(0, provider, REJECT)
        self.assertEqual(requestor.take(), [failed(NO_RPC_PROVIDER)])
        self.assertEqual(provider.take(), [])
        self.nothing_left()

    def test_p4_all_reject(self) -> None:
        """
        P4, W31: if the providers of all nodes reject, each of them is asked exactly once, those of the requestor's node
        first; then there is none.
        """
        providers = [(number, self.provider(number)) for number in (0, 0, 1, 1, 2)]
        requestor = self.request(0)
        order = []
        for _ in providers:
            self.assertEqual(requestor.take(), [])
            ((number, provider),) = [(number, provider) for number, provider in providers if provider.take()]
            order.append(number)
            self.say(number, provider, REJECT)
        self.assertEqual(order[:2], [0, 0])
        self.assertEqual(sorted(order), [0, 0, 1, 1, 2])
        self.assertEqual([provider.take() for _, provider in providers], [[]] * 5)
        self.assertEqual(requestor.take(), [failed(NO_RPC_PROVIDER)])
        self.nothing_left()

    def test_p5_no_answer(self) -> None:
        """
        P5: if the provider accepts and does not answer, the call ends with RESPONSE_TIMEOUT; no other one is asked.
        """
        provider = self.provider(1)
        requestor = self.request(0)
        self.say(1, provider, ACCEPT)
        other = self.provider(2)
        requestor.take(), provider.take()
        self.stage.advance(RESPONSE_TIMEOUT)
        self.assertEqual(requestor.take(), [failed(RESPONSE_TIMEOUT_ERROR)])
        self.assertEqual((provider.take(), other.take()), ([], []))
        self.nothing_left()

    def test_p6_local_first(self) -> None:
        """
        P6: if there are providers of the requestor's node, others are not asked.
        """
        remote, local = self.provider(1), self.provider(0)
        for _ in range(10):
            self.request(0)
        self.assertEqual((len(local.take()), remote.take()), (10, []))

    def test_p7_local_rejects(self) -> None:
        """
        P7: if the provider of the requestor's node rejects, that of another node is asked, each of them once.
        """
        remote, local = self.provider(1), self.provider(0)
        requestor = self.request(0)
        self.asked(local)
        self.say(0, local, REJECT)
        self.asked(remote)
        self.say(1, remote, RESPONSE, data=b"3")
        self.assertEqual(requestor.take(), [rpc(RESPONSE, data=b"3")])
        self.assertEqual((local.take(), remote.take()), ([], []))
        self.nothing_left()

    def test_p8_unprovided(self) -> None:
        """
        P8: a procedure that is provided no more has no provider, and the former one is not asked.
        """
        provider = self.provider(1)
        self.request(0)
        self.say(1, provider, RESPONSE)
        provider.take()
        self.unprovide(1, provider)
        requestor = self.request(0)
        self.stage.advance(ACK_TIMEOUT)
        self.assertEqual(requestor.take(), [failed(NO_RPC_PROVIDER)])
        self.stage.advance(ACK_TIMEOUT)
        self.assertEqual(self.request(0).take(), [failed(NO_RPC_PROVIDER)])
        self.assertEqual(provider.take(), [])
        self.nothing_left()

    def test_no_provider(self) -> None:
        """
        W47: a call waits for the first word of the directory, and fails at once if no node provides the procedure.
        """
        self.assertEqual(self.request(0).take(), [failed(NO_RPC_PROVIDER)])
        self.nothing_left()

    def test_pc3_joined_later(self) -> None:
        """
        PC3, W47: clients of a node that has joined later reach a provider that was there before.
        """
        provider = self.provider(1)
        node = self.stage.make_node()
        self.serve(3)
        self.stage.start(node)
        self.request(3)
        self.asked(provider)

    def test_same_id(self) -> None:
        """
        W6: calls of clients of two nodes with the same id do not mix. The provider gets the id of the requestor if that
        tells its calls apart.
        """
        provider = self.provider(2)
        requestors = [self.request(number, data=b'"%d"' % number) for number in (0, 1)]
        requests = provider.take()
        self.assertEqual(requests[0].correlation_id, "x")
        for request in reversed(requests):
            self.say(2, provider, RESPONSE, call_id=request.correlation_id or "", data=request.data)
        answers = [requestor.take() for requestor in requestors]
        self.assertEqual(answers, [[rpc(RESPONSE, data=b'"0"')], [rpc(RESPONSE, data=b'"1"')]])

    def test_accepted_twice(self) -> None:
        """
        W52: a second ACCEPT is an error of the provider, and does not reach the requestor.
        """
        provider = self.provider(1)
        requestor = self.request(0)
        self.asked(provider)
        self.say(1, provider, ACCEPT, ACCEPT)
        self.assertEqual(provider.take(), [rpc(ACCEPT).error("MULTIPLE_ACCEPT")])
        self.assertEqual(requestor.take(), [rpc(ACCEPT)])


@for_each_requester
class RequestorDataTests(NodesTestCase):
    """
    The provider is told of the requestor, as the requestor's node is configured.
    """

    def test_name_and_data(self) -> None:
        """
        The name and the client data arrive, each if it is wanted, although the provider's node would not tell them.
        """
        for name in (False, True):
            for data in (False, True):
                self.build({"provide_requestor_name": name, "provide_requestor_data": data})
                provider, requestor = self.provider(1), self.connect("ann")
                requestor.client_data = b'{"role":"admin"}'
                self.request(0, requestor=requestor)
                told = rpc(
                    REQUEST,
                    data=b"1",
                    requestor_name="ann" if name else None,
                    requestor_data=b'{"role":"admin"}' if data else None,
                )
                self.assertEqual(provider.take(), [told])

    def test_not_told(self) -> None:
        """
        The provider's node does not add what the requestor's node does not tell.
        """
        self.build({"provide_requestor_name": True, "provide_requestor_data": True})
        provider = self.provider(0)
        requestor = self.connect("ann")
        requestor.client_data = b"1"
        self.request(1, requestor=requestor)
        self.assertEqual(provider.take(), [rpc(REQUEST, data=b"1")])


@implementer(IPermission)
class UserPermission:
    """
    A permission that knows the users who may do an action, and the data that a request needs.
    """

    def __init__(self, **users: str) -> None:
        self.users = users

    def allows(self, message: Message, identity: IIdentity, change: Change | None = None) -> bool:
        allowed = (identity.user or "?") in self.users.get(message.action.name, "")
        return allowed and (message.action is not REQUEST or message.data != b"{}")


@for_each_requester
class PermissionTests(NodesTestCase):
    """
    The permission of each side is decided on the node of that client.
    """

    def route(self, number: int, message: Message, user: str, **users: str) -> AnyConnection:
        """
        A client of a node sends a request to a router; the users of each action are allowed.
        """
        connection = self.connect(user)
        router = Router(UserPermission(**users), {Topic.RPC: self.services[number]}, clock=self.stage.clock)
        router.route(message, connection)
        self.stage.turn()
        return connection

    def test_px2_each_node_decides(self) -> None:
        """
        PX1, PX2: one client may provide, the other may request, each as its own node says.
        """
        provider = self.route(0, PROVIDE, "a", PROVIDE="a")
        self.assertEqual(provider.take(), [PROVIDE.ack()])
        self.route(1, rpc(REQUEST, data=b"1"), "b", REQUEST="b")
        self.asked(provider)

    def test_px3_may_not_provide(self) -> None:
        """
        PX3: a client that may not provide is told, and clients of other nodes find no provider.
        """
        denied = self.route(0, PROVIDE, "b", PROVIDE="a")
        self.assertEqual([message.action for message in denied.take()], [RpcAction.MESSAGE_DENIED])
        self.assertEqual(self.request(1).take(), [failed(NO_RPC_PROVIDER)])

    def test_px4_may_not_request(self) -> None:
        """
        PX4 to PX7: a client that may not request, or not with its data, is told, and the provider of the other node is
        not asked.
        """
        provider = self.provider(0)
        for user, data, denied in (("a", b"1", True), ("b", b"{}", True), ("b", b'{"a":1}', False)):
            requestor = self.route(1, rpc(REQUEST, data=data), user, REQUEST="b")
            actions = [message.action for message in requestor.take()]
            self.assertEqual(actions, [RpcAction.MESSAGE_DENIED] if denied else [])
            self.assertEqual(len(provider.take()), 0 if denied else 1)
