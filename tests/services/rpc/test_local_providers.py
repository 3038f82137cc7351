"""
Tests for L{dstwist.services.rpc.local_providers}: who provides what.
"""

from __future__ import annotations

import random
from collections import Counter

from dstwist.config.settings import RpcSettings
from dstwist.protocol.constants import RpcAction, Topic
from dstwist.protocol.dialect import PROTOBUF, TEXT
from dstwist.protocol.message import Message
from dstwist.scheduling.time_slices import NAMES_PER_STEP
from dstwist.services.rpc.service import RpcService
from tests.requesters import for_each_requester
from tests.services.rpc.cases import (
    PROVIDE,
    UNPROVIDE,
    RpcTestCase,
    failed,
    rpc,
)


@for_each_requester
class ProvidingTests(RpcTestCase):
    """
    Who provides what, and how one of several is chosen.
    """

    def test_repeated(self) -> None:
        """
        Providing again is MULTIPLE_PROVIDERS; v4+ clients get their acknowledgement nevertheless. He is asked once.
        """
        error = PROVIDE.error("MULTIPLE_PROVIDERS", "add", flagged=False)
        for dialect, answers in ((PROTOBUF, [error, PROVIDE.ack()]), (TEXT, [error])):
            self.build()
            provider = self.provider(dialect=dialect)
            self.service.handle(PROVIDE, provider)
            self.assertEqual(provider.take(), answers)
            self.request()
            self.say(provider, RpcAction.REJECT)
            self.assertEqual(len(provider.take()), 1)
            self.assertEqual(self.requestor.take(), [failed(RpcAction.NO_RPC_PROVIDER)])

    def test_w50_never_provided(self) -> None:
        """
        W50: a client that ceases to provide what it never did has its acknowledgement: it may have ended that while it
        was offline.
        """
        for dialect in (PROTOBUF, TEXT):
            connection = self.connect(dialect=dialect)
            self.service.handle(UNPROVIDE, connection)
            self.assertEqual(connection.take(), [UNPROVIDE.ack()])

    def test_w37_no_names(self) -> None:
        """
        W37: a request to provide nothing is acknowledged.
        """
        for action in (RpcAction.PROVIDE, RpcAction.UNPROVIDE):
            request = Message(Topic.RPC, action, correlation_id="0")
            connection = self.connect()
            self.service.handle(request, connection)
            self.assertEqual(connection.take(), [request.ack()])
            self.assertEqual(connection.callbacks, [])

    def test_many(self) -> None:
        """
        Of many procedures a few are provided in each turn, with one acknowledgement behind the last. Those that are can
        be called, and not those that are not; so it is when they end.
        """
        early, late = self.connect("early"), self.connect("late")
        late.turns = True
        names = ("add", *(f"p{number}" for number in range(2 * NAMES_PER_STEP - 2)), "last")
        self.service.handle(Message(Topic.RPC, RpcAction.PROVIDE, names=names, correlation_id="0"), early)
        provide = Message(Topic.RPC, RpcAction.PROVIDE, names=names, correlation_id="0")
        unprovide = Message(Topic.RPC, RpcAction.UNPROVIDE, names=names, correlation_id="1")
        self.assertEqual(self.chosen_from_both(), [])
        for request, before, after in ((provide, ["add"], ["add", "last"]), (unprovide, ["last"], [])):
            self.service.handle(request, late)
            self.assertEqual((late.take(), self.chosen_from_both()), ([], before))
            late.turn()
            self.assertEqual((late.take(), self.chosen_from_both()), ([request.ack()], after))

    def chosen_from_both(self) -> list[str]:
        """
        Which of two procedures have two providers.
        """
        found = []
        for name in ("add", "last"):
            self.chosen_from.clear()
            requestor = self.connect()
            self.service.handle(Message(Topic.RPC, RpcAction.REQUEST, name, b"1", correlation_id="x"), requestor)
            found += [name] if self.chosen_from == [2] else []
            requestor.close()
        return found

    def test_gone_while_providing(self) -> None:
        """
        Who leaves in the midst of a request to provide many procedures provides none.
        """
        for turns in range(2):
            provider = self.connect()
            provider.turns = True
            names = tuple(f"p{number}" for number in range(3 * NAMES_PER_STEP))
            self.service.handle(Message(Topic.RPC, RpcAction.PROVIDE, names=names, correlation_id="0"), provider)
            for _ in range(turns):
                provider.turn()
            provider.close()
            self.assertEqual(list(self.providers.names()), [])
            self.service.handle(Message(Topic.RPC, RpcAction.REQUEST, "p0", correlation_id="x"), self.requestor)
            (answer,) = self.requestor.take()
            self.assertEqual(answer.action, RpcAction.NO_RPC_PROVIDER)

    def test_any_of_them(self) -> None:
        """
        Each of several providers gets its share of the calls.
        """
        service = RpcService(self.providers, RpcSettings(), self.clock, random.Random(1).choice)
        providers = [self.connect(name) for name in ("a", "b", "c")]
        for provider in providers:
            service.handle(PROVIDE, provider)
            provider.take()
        for number in range(300):
            service.handle(rpc(RpcAction.REQUEST, str(number)), self.requestor)
        shares = Counter({provider.user: len(provider.take()) for provider in providers})
        self.assertEqual(sum(shares.values()), 300)
        self.assertGreater(min(shares.values()), 60)

    def test_chosen_from_all(self) -> None:
        """
        The choice is among all who provide the procedure at that moment.
        """
        first = self.provider()
        self.request("a")
        second, third = self.provider(), self.provider()
        self.request("b")
        second.close()
        self.request("c")
        self.service.handle(UNPROVIDE, third)
        self.request("d")
        self.assertEqual(self.chosen_from, [3, 2])
        self.assertEqual([request.correlation_id for request in first.take()], ["a", "b", "c", "d"])

    def test_w55_closed_meanwhile(self) -> None:
        """
        W55: who is gone by the time he is permitted to provide, or to call, does neither.
        """
        gone = self.connect()
        gone.close()
        self.service.handle(PROVIDE, gone)
        self.request()
        self.assertEqual(self.requestor.take(), [failed(RpcAction.NO_RPC_PROVIDER)])
        provider = self.provider()
        self.request(requestor=gone)
        self.assertEqual((provider.take(), gone.callbacks), ([], []))
