"""
Tests for L{dstwist.services.rpc.running_calls}: who is asked next, and what ends a call.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from dstwist.config.settings import RpcSettings
from dstwist.protocol.constants import RpcAction
from dstwist.protocol.message import Message
from dstwist.services.rpc.service import RpcService
from tests.fakes import FakeConnection
from tests.requesters import for_each_requester
from tests.services.rpc.cases import (
    ACK_TIMEOUT,
    ENDS,
    PROVIDE,
    RESPONSE_TIMEOUT,
    UNPROVIDE,
    RpcTestCase,
    failed,
    rpc,
    unknown,
)


@for_each_requester
class RerouteTests(RpcTestCase):
    """
    Who is asked next, with C{services.md} section 5.3 beside it.
    """

    def test_w31_each_once(self) -> None:
        """
        W31: a call that is rejected goes to the next provider, unchanged, and to none of them twice; when all have
        rejected it fails.
        """
        providers = [self.provider(str(number)) for number in range(4)]
        request = self.request()
        for provider in providers:
            self.assertEqual(self.requestor.take(), [])
            self.assertEqual(provider.take(), [request])
            self.say(provider, RpcAction.REJECT)
        self.assertEqual(self.requestor.take(), [failed(RpcAction.NO_RPC_PROVIDER)])
        self.assertEqual([provider.take() for provider in providers], [[]] * 4)
        self.assertEqual(self.chosen_from, [4, 3, 2])
        self.nothing_left()

    def test_came_later(self) -> None:
        """
        Who begins to provide while a call runs is asked when it is rejected.
        """
        first = self.provider()
        self.request()
        second = self.provider()
        self.say(first, RpcAction.REJECT)
        self.asked(second)
        self.say(second, RpcAction.RESPONSE)
        self.assertEqual(self.requestor.take(), [rpc(RpcAction.RESPONSE)])

    def test_rejected_after_all(self) -> None:
        """
        W29: a provider that rejects what it had accepted leaves nothing of it to the next one, who accepts, keeps
        the call beyond the time for accepting, and answers.
        """
        first, second = self.provider(), self.provider()
        self.request()
        self.say(first, RpcAction.ACCEPT, RpcAction.REJECT)
        self.asked(second)
        self.clock.advance(ACK_TIMEOUT - 0.1)
        self.say(second, RpcAction.ACCEPT)
        self.assertEqual(second.take(), [])
        self.clock.advance(ACK_TIMEOUT * 3)
        self.say(second, RpcAction.RESPONSE)
        answers = self.requestor.take()
        self.assertEqual([answer.action for answer in answers], [RpcAction.ACCEPT] * 2 + [RpcAction.RESPONSE])
        self.nothing_left()

    def test_rejected_and_answered(self) -> None:
        """
        A provider that has rejected a call cannot answer it any more.
        """
        first, second = self.provider(), self.provider()
        self.request()
        self.asked(first)
        self.say(first, RpcAction.REJECT, RpcAction.RESPONSE)
        self.assertEqual(first.take(), [unknown(RpcAction.RESPONSE)])
        self.asked(second)
        self.assertEqual(self.requestor.take(), [])

    def test_times_start_anew(self) -> None:
        """
        Each provider has the whole time, to accept and to answer.
        """
        first, second = self.provider(), self.provider()
        self.request()
        self.clock.advance(ACK_TIMEOUT - 0.1)
        self.say(first, RpcAction.ACCEPT)
        self.clock.advance(RESPONSE_TIMEOUT - ACK_TIMEOUT)
        self.say(first, RpcAction.REJECT)
        self.clock.advance(ACK_TIMEOUT - 0.1)
        self.say(second, RpcAction.ACCEPT)
        self.requestor.take()
        self.clock.advance(RESPONSE_TIMEOUT - ACK_TIMEOUT)
        self.assertEqual(self.requestor.take(), [])
        self.clock.advance(0.1)
        self.assertEqual(self.requestor.take(), [failed(RpcAction.RESPONSE_TIMEOUT)])

    def test_w30_provider_gone(self) -> None:
        """
        W30: when a provider disconnects, its calls go to another one at once, whether it had accepted them or not.
        """
        for accepted in (False, True):
            self.build()
            first, second = self.provider(), self.provider()
            request = self.request()
            if accepted:
                self.say(first, RpcAction.ACCEPT)
            first.close()
            self.assertEqual(second.take(), [request])
            self.say(second, RpcAction.ACCEPT)
            self.assertEqual(second.take(), [])

    def test_w30_last_provider_gone(self) -> None:
        """
        W30: when there is no other one, the requestor is told at once, not after ten seconds.
        """
        for accepted in (False, True):
            self.build()
            provider = self.provider()
            self.request()
            if accepted:
                self.say(provider, RpcAction.ACCEPT)
                self.requestor.take()
            provider.close()
            self.assertEqual(self.requestor.take(), [failed(RpcAction.NO_RPC_PROVIDER)])
            self.nothing_left()

    def test_not_twice(self) -> None:
        """
        With C{rerouteAccepted} off, a call that a provider had accepted is not carried out a second time when it
        disconnects: the requestor is told at once that there will be no answer. What was not accepted goes on.
        """
        self.build(reroute_accepted=False)
        first, second = self.provider(), self.provider()
        self.request("accepted")
        self.request("asked")
        self.say(first, RpcAction.ACCEPT, call_id="accepted")
        self.requestor.take()
        first.close()
        self.assertEqual(self.requestor.take(), [failed(RpcAction.RESPONSE_TIMEOUT, "accepted")])
        self.assertEqual(self.asked(second), "asked")

    def test_unprovided_and_answered(self) -> None:
        """
        A provider that ceases to provide still has the calls it was asked: a v2/v3 client that does so within its
        procedure sends the answer right after it.
        """
        first, second = self.provider(), self.provider()
        self.request()
        self.service.handle(UNPROVIDE, first)
        self.say(first, RpcAction.ACCEPT)
        self.clock.advance(ACK_TIMEOUT * 2)
        self.say(first, RpcAction.RESPONSE)
        self.assertEqual(self.requestor.take(), [rpc(RpcAction.ACCEPT), rpc(RpcAction.RESPONSE)])
        self.assertEqual(second.take(), [])

    def test_w30_unprovided(self) -> None:
        """
        W30: one that ceases to provide, and does not accept in time what it was asked, has rejected it.
        """
        first, second = self.provider(), self.provider()
        request = self.request()
        self.service.handle(UNPROVIDE, first)
        self.clock.advance(ACK_TIMEOUT)
        self.assertEqual(second.take(), [request])
        self.service.handle(UNPROVIDE, second)
        self.clock.advance(ACK_TIMEOUT)
        self.assertEqual(self.requestor.take(), [failed(RpcAction.NO_RPC_PROVIDER)])
        self.nothing_left()


@for_each_requester
class TimeTests(RpcTestCase):
    """
    Calls that take too long.
    """

    def test_w52_not_accepted(self) -> None:
        """
        W52: a call that is not accepted in time fails, flagged and with its id; nobody else is asked.
        """
        self.provider()
        other = self.provider()
        self.request()
        self.clock.advance(ACK_TIMEOUT - 0.1)
        self.assertEqual(self.requestor.take(), [])
        self.clock.advance(0.1)
        self.assertEqual(self.requestor.take(), [failed(RpcAction.ACCEPT_TIMEOUT)])
        self.assertEqual(other.take(), [])
        self.nothing_left()

    def test_w52_not_answered(self) -> None:
        """
        W52: so does one that is accepted and not answered; the acceptance does not lengthen its time.
        """
        provider, other = self.provider(), self.provider()
        self.request()
        self.clock.advance(ACK_TIMEOUT - 0.1)
        self.say(provider, RpcAction.ACCEPT)
        self.requestor.take()
        self.clock.advance(RESPONSE_TIMEOUT - ACK_TIMEOUT)
        self.assertEqual(self.requestor.take(), [])
        self.clock.advance(0.1)
        self.assertEqual(self.requestor.take(), [failed(RpcAction.RESPONSE_TIMEOUT)])
        self.assertEqual(other.take(), [])
        self.nothing_left()

    def test_too_late(self) -> None:
        """
        What a provider says of a call whose time is up is INVALID_RPC_CORRELATION_ID, and nothing to the requestor.
        """
        provider = self.provider()
        self.request()
        self.clock.advance(ACK_TIMEOUT)
        self.asked(provider), self.requestor.take()
        self.say(provider, RpcAction.ACCEPT, RpcAction.RESPONSE)
        self.assertEqual(provider.take(), [unknown(RpcAction.ACCEPT), unknown(RpcAction.RESPONSE)])
        self.nothing_left()

    def test_no_time_to_accept(self) -> None:
        """
        If the time to answer is the shorter one, it is what counts.
        """
        self.build(ack_timeout=5.0, response_timeout=2.0)
        self.provider()
        self.request()
        self.clock.advance(2)
        self.assertEqual(self.requestor.take(), [failed(RpcAction.RESPONSE_TIMEOUT)])
        self.nothing_left()

    def test_rerouted_delays_nobody(self) -> None:
        """
        A call that was rejected, and so has more time, does not lengthen that of others.
        """
        first, _ = self.provider(), self.provider()
        self.request("a")
        self.request("b")
        self.clock.advance(ACK_TIMEOUT - 0.1)
        self.say(first, RpcAction.REJECT, call_id="a")
        self.clock.advance(0.1)
        self.assertEqual(self.requestor.take(), [failed(RpcAction.ACCEPT_TIMEOUT, "b")])

    def test_rerouted_late_delays_nobody(self) -> None:
        """
        The same for the time to answer.
        """
        first, second = self.provider(), self.provider()
        for call_id in ("a", "b"):
            self.request(call_id)
            self.say(first, RpcAction.ACCEPT, call_id=call_id)
        self.clock.advance(RESPONSE_TIMEOUT - 0.1)
        self.say(first, RpcAction.REJECT, call_id="a")
        self.say(second, RpcAction.ACCEPT, call_id="a")
        self.requestor.take()
        self.clock.advance(0.1)
        self.assertEqual(self.requestor.take(), [failed(RpcAction.RESPONSE_TIMEOUT, "b")])

    def test_one_timer(self) -> None:
        """
        Many calls need no more timers than one.
        """
        self.provider()
        for number in range(100):
            self.request(str(number))
        self.assertEqual(len(self.clock.getDelayedCalls()), 2)


@for_each_requester
class AnythingTests(RpcTestCase):
    """
    What holds whatever clients do, and in whatever order.
    """

    def test_every_call_ends_once(self) -> None:
        """
        Of clients that provide, cease, call, accept, reject, answer, come and go at random, every call of one who
        stays ends exactly once, with its own result if any; no provider is asked twice for one; and in the end nothing
        is left.
        """
        for seed in range(20):
            self.build()
            self.walk(random.Random(seed))

    def walk(self, chance: random.Random) -> None:
        self.service = RpcService(self.providers, RpcSettings(), self.clock, chance.choice)
        clients = [self.connect(str(number)) for number in range(5)]
        calls: dict[FakeConnection, list[str]] = {client: [] for client in clients}
        asked: dict[FakeConnection, list[Message]] = {client: [] for client in clients}
        ended: list[tuple[FakeConnection, str]] = []
        tried: Counter[tuple[FakeConnection, Any]] = Counter()

        def listen() -> None:
            for client in clients:
                for message in client.take():
                    if message.action is RpcAction.REQUEST:
                        asked[client].append(message)
                        tried[client, message.data] += 1
                    elif message.action in ENDS and message.original_action is None:
                        assert message.correlation_id is not None
                        ended.append((client, message.correlation_id))
                        if message.action is RpcAction.RESPONSE:
                            data = f"{client.user} {message.correlation_id}".encode()
                            self.assertEqual(message.data, data)

        for number in range(400):
            client = chance.choice(clients)
            step = chance.random()
            if step < 0.1:
                self.service.handle(chance.choice((PROVIDE, PROVIDE, UNPROVIDE)), client)
            elif step < 0.4:
                # Ids of different clients collide all the time.
                call_id = str(len(calls[client]))
                calls[client].append(call_id)
                self.request(call_id, f"{client.user} {call_id}".encode(), client)
            elif step < 0.9 and asked[client]:
                request = chance.choice(asked[client])
                action = chance.choice((RpcAction.ACCEPT, RpcAction.REJECT, RpcAction.RESPONSE, RpcAction.RESPONSE))
                self.say(client, action, call_id=request.correlation_id or "", data=request.data)
            elif step < 0.95:
                self.clock.advance(chance.random())
            elif step < 0.97:
                clients.remove(client)
                client.close()
                clients.append(self.connect(f"{client.user}+{number}"))
                calls[clients[-1]], asked[clients[-1]] = [], []
            listen()
        # Those who have ceased to provide may be asked one after the other.
        for _ in range(20):
            self.clock.advance(ACK_TIMEOUT)
            listen()
        for client in clients:
            self.assertEqual(sorted(calls[client]), sorted(call_id for who, call_id in ended if who is client))
        self.assertEqual(max(tried.values()), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
