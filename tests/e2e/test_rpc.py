"""
Remote procedure calls among four clients of both generations. P are the acceptance criteria.
"""

from __future__ import annotations

from tests.e2e.scenario import (
    HERE,
    PATIENT,
    QUICK,
    PairScenario,
    QuartetScenario,
    Scenario,
    for_each_kind,
    for_each_pairing_and_codec,
)
from tests.e2e.test_events import VALUES

HASTY = HERE / "hasty.yml"
UNACCEPTING = HERE / "unaccepting.yml"

DATA = '{"a":[1,null,"ü"]}'


@for_each_kind
class RpcTests(QuartetScenario):
    """
    A provides, if anybody does.
    """

    def setUp(self) -> None:
        super().setUp()
        self.rpc = self.name("add two")

    def requests(self) -> list[int]:
        """
        How often each of the four was asked.
        """
        return [len(client.requests(self.rpc)) for client in self.quartet]

    def test_p1_everybody_calls(self) -> None:
        """
        P1: A provides, and all four call it, A too: each gets the right result, and A is asked once a call.
        """
        self.a.provide(self.rpc)
        for number, client in enumerate(self.quartet):
            self.assertEqual(client.call(self.rpc, f'{{"n":{number}}}'), f'{{"n":{number}}}')
        self.assertEqual(self.a.requests(self.rpc), [f'{{"n":{number}}}' for number in range(4)])

    def test_p2_reroute(self) -> None:
        """
        P2: Of two providers one rejects: the call goes on to the other, each is asked once, with the same data.
        """
        self.a.provide(self.rpc, "reject")
        self.b.provide(self.rpc)
        # Who is asked first is a matter of luck, so both ways are seen in time.
        for _ in range(6):
            before = self.requests()
            self.assertEqual(self.c.call(self.rpc, DATA), DATA)
            asked = [now - then for now, then in zip(self.requests(), before, strict=True)]
            self.assertIn(asked, ([1, 1, 0, 0], [0, 1, 0, 0]))
        self.assertEqual({*self.a.requests(self.rpc), *self.b.requests(self.rpc)}, {DATA})

    def test_p2_reject_late(self) -> None:
        """
        P2: The same if it rejects after it had accepted, as a provider does that has to think.
        """
        self.a.provide(self.rpc, {"later": "reject"})
        self.b.provide(self.rpc, {"later": "echo"})
        for _ in range(6):
            self.assertEqual(self.d.call(self.rpc, DATA), DATA)
        self.assertEqual(len(self.b.requests(self.rpc)), 6)

    def test_p3_only_one_rejects(self) -> None:
        """
        P3: The only provider rejects: NO_RPC_PROVIDER, and it was asked once.
        """
        self.a.provide(self.rpc, "reject")
        for count, client in enumerate(self.quartet, 1):
            self.assertEqual(client.call(self.rpc, DATA), "NO_RPC_PROVIDER")
            self.assertEqual(self.requests(), [count, 0, 0, 0])

    def test_p4_all_reject(self) -> None:
        """
        P4: All four provide and reject: NO_RPC_PROVIDER, and each was asked exactly once.
        """
        for client in self.quartet:
            client.provide(self.rpc, "reject")
        for count, client in enumerate(self.quartet[:2], 1):
            self.assertEqual(client.call(self.rpc, DATA), "NO_RPC_PROVIDER")
            self.assertEqual(self.requests(), [count] * 4)

    def test_p4_nobody(self) -> None:
        """
        P4: Without any provider it is NO_RPC_PROVIDER, for callbacks and promises.
        """
        for client in self.quartet:
            self.assertEqual(client.call(self.rpc), "NO_RPC_PROVIDER")
            self.assertEqual(client.call(self.rpc, DATA, "promise"), "NO_RPC_PROVIDER")

    def test_p7_all_but_one_reject(self) -> None:
        """
        P7: Of four providers three reject: whoever calls is served by the fourth, and nobody is asked twice.
        """
        for client in self.quartet[:3]:
            client.provide(self.rpc, "reject")
        self.d.provide(self.rpc)
        for client in self.quartet:
            before = self.requests()
            self.assertEqual(client.call(self.rpc, DATA), DATA)
            for now, then in zip(self.requests(), before, strict=True):
                self.assertLessEqual(now - then, 1)

    def test_p8_unprovide(self) -> None:
        """
        P8: After unprovide it is NO_RPC_PROVIDER, and the former provider is not asked; it may provide again.
        """
        self.a.provide(self.rpc)
        self.assertEqual(self.b.call(self.rpc, "1"), "1")
        self.a.unprovide(self.rpc)
        for client in self.quartet:
            self.assertEqual(client.call(self.rpc, "2"), "NO_RPC_PROVIDER")
        self.assertEqual(self.requests(), [1, 0, 0, 0])
        self.a.provide(self.rpc)
        self.assertEqual(self.call_when_provided("3"), "3")

    def call_when_provided(self, data: str) -> str:
        """
        The answer to a call of the procedure, whose provider was told just now that it provides it.
        """
        return str(self.b.call(self.rpc, data))

    def test_error(self) -> None:
        """
        An error of the provider reaches the caller as it is.
        """
        self.a.provide(self.rpc, {"error": "An Error, größer | als + gedacht"})
        for client in self.quartet:
            self.assertEqual(client.call(self.rpc, DATA), "An Error, größer | als + gedacht")
            self.assertEqual(client.call(self.rpc, DATA, "promise"), "An Error, größer | als + gedacht")

    def test_parallel(self) -> None:
        """
        Calls of several clients in flight at once are told apart, whatever the order of the answers.
        """
        self.a.provide(self.rpc, {"later": "echo"})
        self.b.provide(self.name("other"), "echo")
        calls = [
            (client.start_call(rpc, f'"{number}"'), f'"{number}"')
            for number in range(10)
            for rpc in (self.rpc, self.name("other"))
            for client in (self.c, self.d)
        ]
        self.assertEqual([call.wait() for call, _ in calls], [answer for _, answer in calls])
        self.assertEqual(len(self.a.requests(self.rpc)), 20)

    def test_answer_late(self) -> None:
        """
        A provider may take its time, and answer other calls meanwhile.
        """
        self.a.provide(self.rpc, "hold")
        self.a.provide(self.name("other"))
        call = self.b.start_call(self.rpc, DATA)
        self.a.wait_for_report(1, "request", name=self.rpc)
        self.assertEqual(self.b.call(self.name("other"), "1"), "1")
        self.assertFalse(call.done)
        self.a.answer(self.rpc, '"at last"')
        self.assertEqual(call.wait(), '"at last"')

    def test_provider_closes(self) -> None:
        """
        The provider leaves with a call in flight: the call goes on to another provider.
        """
        self.a.provide(self.rpc, "hold")
        call = self.c.start_call(self.rpc, DATA)
        self.a.wait_for_report(1, "request", name=self.rpc)
        self.b.provide(self.rpc)
        self.a.close()
        self.assertEqual(call.wait(), DATA)

    def test_last_provider_closes(self) -> None:
        """
        If there is no other, it is NO_RPC_PROVIDER at once.
        """
        self.a.provide(self.rpc, "hold")
        calls = [client.start_call(self.rpc, DATA) for client in self.quartet[1:]]
        self.a.wait_for_report(3, "request", name=self.rpc)
        self.a.close()
        self.assertEqual([call.wait() for call in calls], ["NO_RPC_PROVIDER"] * 3)

    def test_caller_leaves(self) -> None:
        """
        A caller that left harms nobody: the provider goes on.
        """
        self.a.provide(self.rpc, "hold")
        self.b.start_call(self.rpc, DATA)
        self.a.wait_for_report(1, "request", name=self.rpc)
        self.b.close()
        # The answer may come too late for anybody to want it, which the provider may be told.
        self.a.tolerate_error("UNSOLICITED_MESSAGE")
        self.a.tolerate_error("INVALID_RPC_CORRELATION_ID")
        self.a.tolerate_error("UNKNOWN_CORRELATION_ID")
        self.a.answer(self.rpc, "1")
        self.a.unprovide(self.rpc)
        self.a.provide(self.rpc)
        self.assertEqual(self.c.call(self.rpc, "2"), "2")


@for_each_pairing_and_codec
class RpcValueTests(PairScenario):
    """
    The first provides, the second calls.
    """

    options = QUICK
    config = PATIENT

    def test_values(self) -> None:
        """
        Every kind of value reaches the provider, and comes back, as what it was.
        """
        provider, caller = self.one(), self.other()
        rpc = self.name("echo")
        provider.provide(rpc)
        values = [value for value in VALUES if value != "undefined"]
        self.assertEqual([caller.call(rpc, value) for value in values], values)
        self.assertEqual(provider.requests(rpc), values)

    def test_no_value(self) -> None:
        """
        A call without data reaches the provider as undefined, and is answered with nothing.
        """
        provider, caller = self.one(), self.other()
        rpc = self.name("nothing")
        provider.provide(rpc)
        self.assertEqual(caller.call(rpc), "undefined")
        self.assertEqual(provider.requests(rpc), ["undefined"])

    def test_provider_killed(self) -> None:
        """
        The provider's process dies with a call in flight, without a word: another one answers.
        """
        mortal, spare, caller = self.mortal(self.first, self.at), self.one(), self.other()
        rpc = self.name("risky")
        mortal.provide(rpc, "hold")
        call = caller.start_call(rpc, DATA)
        mortal.wait_for_report(1, "request", name=rpc)
        spare.provide(rpc)
        self.kill(mortal)
        self.assertEqual(call.wait(), DATA)
        self.assertEqual(caller.call(rpc, "1"), "1")


@for_each_pairing_and_codec
class RpcTimeoutTests(PairScenario):
    """
    The first provides and does not answer in time, the second calls.
    """

    options = QUICK
    config = HASTY

    def test_p5_no_response(self) -> None:
        """
        P5: The provider never answers: RESPONSE_TIMEOUT, and it was asked once; it is not asked for another's failure.
        """
        provider, caller = self.one(), self.other()
        rpc = self.name("never")
        provider.provide(rpc, "hold")
        self.assertEqual(caller.call(rpc, DATA), "RESPONSE_TIMEOUT")
        # A slow provider may hear of the call after its caller has given up.
        provider.wait_for_report(1, "request", name=rpc)
        self.assertEqual(provider.requests(rpc), [DATA])
        self.assertEqual(caller.call(rpc, DATA, "promise"), "RESPONSE_TIMEOUT")
        # An answer that comes too late is refused, and nobody hears of it but the provider.
        for error in ("UNSOLICITED_MESSAGE", "INVALID_RPC_CORRELATION_ID", "UNKNOWN_CORRELATION_ID"):
            provider.tolerate_error(error)
        provider.answer(rpc, "1")
        self.fence(provider, caller)

    def test_no_accept(self) -> None:
        """
        A provider that does not even accept: ACCEPT_TIMEOUT, which clients of v2 and v3 know as ACK_TIMEOUT.
        """
        server = self.server(config=UNACCEPTING)
        provider, caller = self.logged_in(self.first, server), self.logged_in(self.second, server)
        rpc = self.name("deaf")
        provider.provide(rpc, "silence")
        expected = {"v2": "ACK_TIMEOUT", "v7": "ACCEPT_TIMEOUT"}[self.second]
        self.assertEqual(caller.call(rpc, DATA), expected)
        provider.wait_for_report(1, "request", name=rpc)
        self.assertEqual(provider.requests(rpc), [DATA])


class RequestorTests(Scenario):
    """
    Who calls.
    """

    options = QUICK

    def test_name(self) -> None:
        """
        A v4+ provider is told who calls, if the configuration says so.
        """
        server = self.server(config=HERE / "requestor.yml")
        provider = self.logged_in("v7", server)
        rpc = self.name("who")
        provider.provide(rpc)
        for generation in ("v2", "v7"):
            caller = self.user(generation, server, f"ann-{generation}")
            self.assertEqual(caller.call(rpc, "1"), "1")
        told = [report["requestor"] for report in provider.filter("request", name=rpc)]
        for generation, requestor in zip(("v2", "v7"), told, strict=True):
            self.assertIn(f'"requestorName":"ann-{generation}"', requestor)
