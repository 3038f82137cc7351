"""
Reading records, and subscribing to them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred

from dstwist.errors import RuleError
from dstwist.interfaces import Record
from dstwist.limits.outgoing_bytes import LARGE_FRAME_BYTES
from dstwist.protocol.message import Message
from dstwist.scheduling.time_slices import NAMES_PER_STEP
from dstwist.services.record.held_discards import DISCARD_DELAY_SECONDS
from dstwist.services.record.pending import REQUEST_BYTES
from tests.requesters import for_each_requester
from tests.services.record.stage import (
    A,
    RecordTestCase,
    ask,
    read_response,
    update,
    wanting_ack,
    written,
)
from tests.services.record.test_write_permission import ValveTestCase


@for_each_requester
class ReadTests(RecordTestCase):
    """
    READ, HEAD and HAS.
    """

    def test_there(self) -> None:
        """
        What a record holds, its version, and that it is there.
        """
        self.have("a", 3, {"x": [1]})
        ann, cat = self.young(), self.old()
        self.assertEqual(self.say(ann, ask(A.READ, "a")), [read_response("a", 3, {"x": [1]})])
        self.assertEqual(self.say(ann, ask(A.HEAD, "a")), [ask(A.HEAD_RESPONSE, "a", version=3)])
        self.assertEqual(self.say_text(cat, "R|SN|a+R|HD|a+R|H|a+"), ['R|R|a|3|{"x":[1]}+', "R|HD|a|3+", "R|H|a|T+"])

    def test_w51_not_there(self) -> None:
        """
        W51: that a record is not there is told in the form that ends the wait of a client of either generation.
        """
        ann, cat = self.young(), self.old()
        read = ask(A.READ, "a")
        self.assertEqual(self.say(ann, read), [read.error(A.RECORD_NOT_FOUND)])
        self.assertEqual(self.say(ann, ask(A.HEAD, "a")), [ask(A.HEAD_RESPONSE, "a", version=-1)])
        answers = ["R|E|SN|a|RECORD_NOT_FOUND+", "R|HD|a|-1+", "R|H|a|F+"]
        self.assertEqual(self.say_text(cat, "R|SN|a+R|HD|a+R|H|a+"), answers)
        self.assert_gone("a")

    def test_large(self) -> None:
        """
        All clients that read a large record are sent the same frame, for as long as the record stays as it is; each
        dialect has its own.
        """
        text = "x" * LARGE_FRAME_BYTES
        self.have("a", 3, {"x": text})
        readers = [self.young() for _ in range(3)]
        for reader in readers:
            self.assertEqual(self.say(reader, ask(A.READ, "a")), [read_response("a", 3, {"x": text})])
        self.assertEqual(self.wire.encoded, 1)
        self.assertEqual(self.say_text(self.old(), "R|SN|a+"), [f'R|R|a|3|{{"x":"{text}"}}+'])
        self.service.handle(update("a", 4, {"x": text}), self.young())
        for _ in range(2):
            self.assertEqual(self.say(readers[0], ask(A.READ, "a")), [read_response("a", 4, {"x": text})])
        self.assertEqual(self.wire.encoded, 2)
        self.have("b", 4, {"x": text})
        self.assertEqual(self.say(readers[0], ask(A.READ, "b")), [read_response("b", 4, {"x": text})])
        readers[0].close("gone")
        readers[0].take()
        self.assertEqual(self.say(readers[0], ask(A.READ, "b")), [])

    def test_from_storage(self) -> None:
        """
        What the cache does not have is read from the storage, and into the cache.
        """
        self.storage.put("a", 3, {})
        for _ in range(2):
            self.assertEqual(self.say(self.young(), ask(A.READ, "a")), [read_response("a", 3, {})])
        self.assertEqual(self.storage.calls, [("get", "a")])
        self.assert_stored("a", 3, {})

    def test_excluded(self) -> None:
        """
        What is excluded from the storage is not looked for there.
        """
        self.serve(storage_exclusion_prefixes=("tmp/", "a"))
        self.storage.put("ab", 3, {})
        read = ask(A.READ, "ab")
        self.assertEqual(self.say(self.young(), read), [read.error(A.RECORD_NOT_FOUND)])
        self.assertEqual(self.storage.calls, [])

    def test_timeouts(self) -> None:
        """
        Cache and storage each have their time; what comes later is ignored.
        """
        ann, read = self.young(), ask(A.READ, "a")
        self.storage.delay = 2.5
        self.say(ann, read)
        self.clock.advance(1.9)
        self.assertEqual(ann.take(), [])
        self.clock.advance(0.2)
        self.assertEqual(ann.take(), [read.error(A.STORAGE_RETRIEVAL_TIMEOUT, detail="a")])
        self.clock.advance(5)
        self.assertEqual(ann.take(), [])

    def test_foreign_failure(self) -> None:
        """
        A store that fails in a way of its own is logged as broken; the client gets an error all the same.
        """
        self.patch(self.cache, "get", lambda name: _failing(KeyError("oops")))
        (answer,) = self.say(self.young(), ask(A.READ, "a"))
        self.assertEqual(answer.action, A.RECORD_LOAD_ERROR)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_waits_its_turn(self) -> None:
        """
        A read behind a write of the same record gets what was written.
        """
        self.have("a", 0, {})
        self.storage.delay = 1.0
        ann, bob = self.young(), self.young()
        self.say(bob, update("a", 1, {"x": 1}))
        self.assertEqual(self.say(ann, ask(A.READ, "a"), ask(A.READ, "b")), [])
        self.clock.pump([1.0] * 2)
        self.assertEqual(ann.take()[0], read_response("a", 1, {"x": 1}))

    def test_w19_promotion_is_no_write(self) -> None:
        """
        W19: what is read from a slow storage never replaces something newer in the cache.
        """
        self.storage.put("a", 3, {"x": 3})
        self.storage.delay = 1.0
        ann, bob = self.young(), self.young()
        self.say(ann, ask(A.READ, "a"))
        self.say(bob, update("a", 4, {"x": 4}), ask(A.READ, "a"))
        self.clock.pump([0.5] * 10)
        self.assertEqual(ann.take(), [read_response("a", 3, {"x": 3})])
        self.assertEqual(bob.take(), [read_response("a", 4, {"x": 4})])
        self.assert_stored("a", 4, {"x": 4})

    def test_promotion_failed(self) -> None:
        """
        A cache that does not take what was read from the storage is logged; the client has its answer.
        """
        self.storage.put("a", 3, {})
        self.cache.behave = lambda operation, name: (0.0, "ok" if operation == "get" else "fails")
        self.assertEqual(self.say(self.young(), ask(A.READ, "a")), [read_response("a", 3, {})])


@for_each_requester
class SubscribeTests(RecordTestCase):
    """
    The requests that subscribe.
    """

    def test_create(self) -> None:
        """
        getRecord of what is not there makes it: version 0, and nothing in it. Others hear nothing of that.
        """
        bob = self.young("a")
        request = ask(A.SUBSCRIBECREATEANDREAD, names=("a",), correlation_id="0")
        self.assertEqual(self.say(self.young(), request), [request.ack(), read_response("a", 0, {})])
        self.assertEqual(self.say_text(self.old(), "R|CR|b+"), ["R|A|S|b+", "R|R|b|0|{}+"])
        self.assert_stored("a", 0, {})
        self.assert_stored("b", 0, {})
        self.assertEqual(bob.take(), [])

    def test_several(self) -> None:
        """
        A request for several records has one acknowledgement, which names them, and an answer for each.
        """
        self.have("b", 5, {})
        ann = self.young()
        request = ask(A.SUBSCRIBECREATEANDREAD, names=("a", "b"), correlation_id="0")
        answers = [request.ack(), read_response("a", 0, {}), read_response("b", 5, {})]
        self.assertEqual(self.say(ann, request), answers)
        for name in ("a", "b"):
            self.assertEqual(self.subscriptions.subscribers(name), [ann])

    def test_again(self) -> None:
        """
        Who is subscribed already is told so, and gets the data; text clients get no acknowledgement then.
        """
        request = ask(A.SUBSCRIBECREATEANDREAD, names=("a",))
        repeated = ask(A.MULTIPLE_SUBSCRIPTIONS, "a", original_action=A.SUBSCRIBE)
        self.assertEqual(self.say(self.young("a"), request), [request.ack(), repeated, read_response("a", 0, {})])
        answers = ["R|E|MULTIPLE_SUBSCRIPTIONS|a+", "R|R|a|0|{}+"]
        self.assertEqual(self.say_text(self.old("a"), "R|CR|a+"), answers)

    def test_permissions(self) -> None:
        """
        Reading needs the permission to read what is there; creating needs that to create as well. Refusals of this
        request go without correlation id: v4+ clients would not find what to stop waiting for. A requester in the
        process finds it.
        """
        self.have("b", 5, {"x": 1})
        request = ask(A.SUBSCRIBECREATEANDREAD, names=("a", "b"), correlation_id="0")

        def denied(name: str, part: A) -> Message:
            if self.in_process:
                return ask(A.MESSAGE_DENIED, name, original_action=part, correlation_id="0", is_error=True)
            return ask(A.MESSAGE_DENIED, name, original_action=request.action, is_error=True)

        ann, cat = self.young(), self.old()
        self.rules.rule = lambda message, record: message.action is not A.CREATE
        answers = [request.ack(), denied("a", A.CREATE), read_response("b", 5, {"x": 1})]
        self.assertEqual(self.say(ann, request), answers)
        self.assertEqual(self.say_text(cat, "R|CR|a+"), ["R|E|MESSAGE_DENIED|a|C+"])
        self.assertEqual(self.rules.asked[1], (A.READ, Record(5, {"x": 1})))
        self.assert_gone("a")
        self.rules.rule = lambda message, record: message.action is not A.READ
        self.assertEqual(self.say(ann, request), [request.ack(), denied("a", A.READ), denied("b", A.READ)])
        self.assertEqual(self.say_text(cat, "R|CR|a+"), ["R|E|MESSAGE_DENIED|a|R+"])
        self.assertEqual(self.subscriptions.subscribers("a"), [])

    def test_broken_rule(self) -> None:
        """
        A rule that fails refuses.
        """
        self.rules.rule = lambda message, record: _failing(RuleError("no"))
        answer = self.say(self.young(), ask(A.SUBSCRIBECREATEANDREAD, names=("a",)))[1]
        self.assertEqual(answer.action, A.MESSAGE_PERMISSION_ERROR)
        self.assertEqual(
            self.say_text(self.old(), "R|CR|a+"),
            ["R|E|MESSAGE_DENIED|a|R+R|E|MESSAGE_PERMISSION_ERROR|MESSAGE_PERMISSION_ERROR+"],
        )

    def test_w20_created_once(self) -> None:
        """
        W20: two that get a missing record at the same time make it once; a write in between stays.
        """
        self.storage.delay = self.cache.delay = 0.5
        ann, bob = self.young(), self.young()
        request = ask(A.SUBSCRIBECREATEANDREAD, names=("a",))
        self.say(ann, request, wanting_ack(update("a", 1, {"x": 1})))
        self.say(bob, request)
        self.clock.pump([0.25] * 40)
        self.assertEqual(ann.take(), [read_response("a", 0, {}), written("a")])
        self.assertEqual(bob.take(), [read_response("a", 1, {"x": 1})])
        self.assert_stored("a", 1, {"x": 1})

    def test_w21_one_load(self) -> None:
        """
        W21: version and data of the answer belong together, and the first news after it is the next version, whatever
        is written while the permission is looked up.
        """
        self.have("a", 1, {"x": 1})
        decision: Deferred[bool] = Deferred()
        self.rules.rule = lambda message, record: decision if message.action is A.READ else True
        ann, bob = self.young(), self.young()
        request = ask(A.SUBSCRIBECREATEANDREAD, names=("a",))
        self.say(ann, request)
        self.say(bob, update("a", 2, {"x": 2}), update("a", 3, {"x": 3}))
        decision.callback(True)
        self.assertEqual(
            ann.take(), [read_response("a", 1, {"x": 1}), update("a", 2, {"x": 2}), update("a", 3, {"x": 3})]
        )

    def test_create_failed(self) -> None:
        """
        If a record cannot be made, its getter is told, and nobody is subscribed to it.
        """
        self.storage.outcome = "fails"
        self.cache.behave = lambda operation, name: (0.0, "ok")
        self.storage.behave = lambda operation, name: (0.0, "fails" if operation == "set" else "ok")
        request = ask(A.SUBSCRIBECREATEANDREAD, names=("a",))
        _, error = self.say(self.young(), request)
        self.assertEqual(error, request.error(A.RECORD_CREATE_ERROR, "a", error.detail))
        self.assertEqual(self.say_text(self.old(), "R|CR|a+"), ["R|E|RECORD_CREATE_ERROR|a+"])
        self.assertNotIn("a", self.subscriptions)
        self.assert_gone("a")

    def test_w55_gone_meanwhile(self) -> None:
        """
        W55: who has left while a record was loaded is subscribed to nothing.
        """
        self.cache.delay = 0.5
        names = ("a", "b")
        for action in (A.SUBSCRIBECREATEANDREAD, A.SUBSCRIBEANDREAD, A.SUBSCRIBEANDHEAD, A.SUBSCRIBE):
            blocker, ann = self.young(), self.young()
            self.say(blocker, ask(A.READ, "a"), ask(A.READ, "b"))
            self.say(ann, ask(action, names=names))
            ann.close()
            self.clock.pump([0.5] * 6)
            self.assertEqual([name for name in names if name in self.subscriptions], [])

    def test_read_if_there(self) -> None:
        """
        SUBSCRIBEANDREAD creates nothing: what is not there has version -1.
        """
        self.have("b", 5, {"x": 1})
        ann = self.young()
        request = ask(A.SUBSCRIBEANDREAD, names=("a", "b"), correlation_id="0")
        answers = [request.ack(), read_response("a", -1, {}), read_response("b", 5, {"x": 1})]
        self.assertEqual(self.say(ann, request), answers)
        self.assert_gone("a")
        self.assertEqual(self.subscriptions.subscribers("a"), [ann])

    def test_heads(self) -> None:
        """
        SUBSCRIBEANDHEAD tells at once what is known at once, acknowledges, and then tells of what is not there.
        """
        self.have("b", 5, {})
        ann = self.young()
        request = ask(A.SUBSCRIBEANDHEAD, names=("a", "b"), correlation_id="0")
        bulk = ask(A.HEAD_RESPONSE_BULK, versions={"b": 5})
        self.assertEqual(self.say(ann, request), [bulk, request.ack(), ask(A.HEAD_RESPONSE, "a", version=-1)])
        repeated = [ask(A.MULTIPLE_SUBSCRIPTIONS, name, original_action=A.SUBSCRIBEANDHEAD) for name in "ab"]
        self.assertEqual(self.say(ann, request)[:3], [*repeated, bulk])

    def test_slow_heads(self) -> None:
        """
        Versions that are known later are told one by one.
        """
        self.have("a", 5, {})
        self.cache.delay = 0.5
        ann = self.young()
        request = ask(A.SUBSCRIBEANDHEAD, names=("a", "b"), correlation_id="0")
        self.assertEqual(self.say(ann, request), [ask(A.HEAD_RESPONSE_BULK, versions={}), request.ack()])
        self.clock.pump([0.5] * 2)
        self.assertEqual(ann.take(), [ask(A.HEAD_RESPONSE, "a", version=5), ask(A.HEAD_RESPONSE, "b", version=-1)])

    def test_w53_heads_failed(self) -> None:
        """
        W53: if versions cannot be found out, each is an error; the request is acknowledged, and its names subscribed.
        """
        self.cache.outcome = "fails"
        ann = self.young()
        request = ask(A.SUBSCRIBEANDHEAD, names=("a", "b"), correlation_id="0")
        answers = self.say(ann, request)
        self.assertEqual(
            [(answer.action, answer.name) for answer in answers],
            [
                (A.RECORD_LOAD_ERROR, "a"),
                (A.RECORD_LOAD_ERROR, "b"),
                (A.HEAD_RESPONSE_BULK, None),
                (A.SUBSCRIBEANDHEAD, None),
            ],
        )
        self.assertEqual(self.subscriptions.subscribers("a"), [ann])

    def test_subscribe(self) -> None:
        """
        SUBSCRIBE is subscribing and nothing else.
        """
        ann = self.young()
        request = ask(A.SUBSCRIBE, names=("a", "a"), correlation_id="0")
        repeated = ask(A.MULTIPLE_SUBSCRIPTIONS, "a", original_action=A.SUBSCRIBE)
        self.assertEqual(self.say(ann, request), [repeated, request.ack()])
        self.assertEqual(self.cache.calls, [])

    def test_unsubscribe(self) -> None:
        """
        The end of subscriptions is acknowledged once, also of those that never were.
        """
        ann = self.young("a", "b")
        request = ask(A.UNSUBSCRIBE, names=("a", "c"), correlation_id="a")
        self.assertEqual(self.say(ann, request), [request.ack()])
        self.assertEqual(self.subscriptions.subscribers("b"), [ann])
        self.assertNotIn("a", self.subscriptions)

    def test_w50_not_subscribed(self) -> None:
        """
        W50: so it is for text clients. The end of a subscription that never was is acknowledged a little later.
        """
        ann = self.old("a")
        self.assertEqual(self.say_text(ann, "R|US|a+R|US|a+"), ["R|A|US|a+"])
        self.clock.advance(DISCARD_DELAY_SECONDS)
        self.assertEqual(ann.take(), ["R|A|US|a+"])
        self.clock.advance(10)
        self.assertEqual(ann.take(), [])

    def test_discarded_offline(self) -> None:
        """
        A text client that comes back discards what it discarded while it was offline, and subscribes to it: it is not
        subscribed, nor is the record made, and all it gets is the acknowledgement of the discard. After that it may
        have the record like any other client.
        """
        for delay in (0.0, 0.5):
            self.cache.delay = delay
            ann = self.old()
            heard = self.say_text(ann, "R|US|a+R|CR|a+")
            self.clock.pump([0.5] * 4)
            self.assertEqual(heard + ann.take(), ["R|A|US|a+"])
            self.assertNotIn("a", self.subscriptions)
            self.assertNotIn("a", self.cache.records)
            heard = self.say_text(ann, "R|CR|b+R|CR|a+")
            self.clock.pump([0.5] * 8)
            self.assertEqual(heard + ann.take(), ["R|A|S|b+", "R|R|b|0|{}+", "R|A|S|a+", "R|R|a|0|{}+"])
            self.assertEqual(self.subscriptions.subscribers("a"), [ann])
            for name in "ab":
                self.subscriptions.discard(name, ann)
                self.cache.records.pop(name)
                self.storage.records.pop(name, None)

    def test_discarded_by_others(self) -> None:
        """
        A held acknowledgement is of one client and of one record, and v4+ clients have theirs at once.
        """
        ann, bob, cat = self.old(), self.old(), self.young()
        self.say_text(ann, "R|US|a+")
        self.assertEqual(self.say_text(bob, "R|CR|a+"), ["R|A|S|a+", "R|R|a|0|{}+"])
        self.assertEqual(self.say_text(ann, "R|CR|b+"), ["R|A|S|b+", "R|R|b|0|{}+"])
        request = ask(A.UNSUBSCRIBE, names=("c",), correlation_id="a")
        self.assertEqual(self.say(cat, request), [request.ack()])

    def test_get_and_discard(self) -> None:
        """
        A record that is discarded before it was there is discarded, in that order.
        """
        self.cache.delay = 0.5
        ann = self.young()
        get, discard = ask(A.SUBSCRIBECREATEANDREAD, names=("a",)), ask(A.UNSUBSCRIBE, names=("a",), correlation_id="a")
        self.assertEqual(self.say(ann, get, discard), [get.ack()])
        self.clock.pump([0.5] * 4)
        self.assertEqual(ann.take(), [read_response("a", 0, {}), discard.ack()])
        self.assertNotIn("a", self.subscriptions)

    def test_nothing(self) -> None:
        """
        Requests about no record are acknowledged.
        """
        for action in (A.SUBSCRIBECREATEANDREAD, A.SUBSCRIBEANDREAD, A.SUBSCRIBE, A.UNSUBSCRIBE):
            request = ask(action, correlation_id="0")
            self.assertEqual(self.say(self.young(), request), [request.ack()])
        request = ask(A.SUBSCRIBEANDHEAD, correlation_id="0")
        bulk = ask(A.HEAD_RESPONSE_BULK, versions={})
        self.assertEqual(self.say(self.young(), request), [bulk, request.ack()])

    def test_provided(self) -> None:
        """
        Who subscribes to a record that is provided is told so before anything else, whatever the request.
        """
        pat = self.young("a")
        listen = ask(A.LISTEN, "^a$")
        self.say(pat, listen, ask(A.LISTEN_ACCEPT, "^a$", subscription="a"))
        provided = ask(A.SUBSCRIPTION_HAS_PROVIDER, "a")
        for action in (A.SUBSCRIBECREATEANDREAD, A.SUBSCRIBEANDREAD, A.SUBSCRIBEANDHEAD, A.SUBSCRIBE):
            answers = self.say(self.young(), ask(action, names=("a",)))
            self.assertEqual([answer for answer in answers if not answer.is_ack][0], provided)
        self.assertEqual(self.say_text(self.old(), "R|CR|a+"), ["R|SH|a|T+", "R|A|S|a+", "R|R|a|0|{}+"])


def _failing(error: Exception) -> Deferred[bool]:
    failing: Deferred[bool] = Deferred()
    failing.errback(error)
    return failing


@for_each_requester
class ManyTests(RecordTestCase):
    """
    Requests about many records: a few in each turn.
    """

    names = tuple(f"n{number}" for number in range(3 * NAMES_PER_STEP))

    def steps(self, action: A, **fields: Any) -> list[list[Any]]:
        """
        What a client is sent that asks about many records, turn by turn; it is subscribed to as many after each.
        """
        self.ann = self.young()
        self.ann.turns = True
        self.request = ask(action, names=self.names, correlation_id="0", **fields)
        heard = [self.say(self.ann, self.request)]
        while True:
            more = self.ann.turn()
            heard.append(self.ann.take())
            if not more:
                return heard

    def test_reading(self) -> None:
        """
        What subscribes and reads is acknowledged first, once, and then each record is told.
        """
        for action, version in ((A.SUBSCRIBECREATEANDREAD, 0), (A.SUBSCRIBEANDREAD, -1)):
            self.serve()
            first, *others = self.steps(action)
            answers = [read_response(name, version, {}) for name in self.names]
            self.assertEqual(first, [self.request.ack(), *answers[:NAMES_PER_STEP]])
            self.assertEqual(others, [answers[NAMES_PER_STEP : 2 * NAMES_PER_STEP], answers[2 * NAMES_PER_STEP :]])
            self.assertEqual(len(self.subscriptions.names_of(self.ann)), len(self.names))

    def test_expensive_rules(self) -> None:
        """
        If a rule takes long for each name, fewer are dealt with in each turn.
        """

        def allows(*arguments: Any) -> bool:
            self.clock.rightNow += 0.0004
            return True

        for action in (A.SUBSCRIBE, A.SUBSCRIBEANDREAD, A.SUBSCRIBEANDHEAD):
            self.serve()
            self.rules.rule = allows
            self.assertEqual(len(self.steps(action)), len(self.names) // 3)
            self.assertEqual(len(self.subscriptions.names_of(self.ann)), len(self.names))

    def test_heads(self) -> None:
        """
        The versions are told in parts, each with its missing ones behind; the one acknowledgement follows the first.
        """
        for name in self.names[1:]:
            self.have(name, 7, {})
        self.cache.delay = 0.0
        first, second, third = self.steps(A.SUBSCRIBEANDHEAD)
        parts = [
            self.names[1:NAMES_PER_STEP],
            self.names[NAMES_PER_STEP : 2 * NAMES_PER_STEP],
            self.names[2 * NAMES_PER_STEP :],
        ]
        bulks = [ask(A.HEAD_RESPONSE_BULK, versions=dict.fromkeys(part, 7)) for part in parts]
        self.assertEqual(first, [bulks[0], self.request.ack(), ask(A.HEAD_RESPONSE, "n0", version=-1)])
        self.assertEqual((second, third), ([bulks[1]], [bulks[2]]))

    def test_subscribing(self) -> None:
        """
        What only subscribes, or ends that, is acknowledged once, behind the last; so is NOTIFY.
        """
        for action in (A.SUBSCRIBE, A.UNSUBSCRIBE, A.NOTIFY):
            self.serve()
            self.assertEqual(self.steps(action), [[], [], [self.request.ack()]])

    def test_waits_for_all(self) -> None:
        """
        The acknowledgement waits for those whose turn has not come when all others are done.
        """
        self.cache.delay = 0.5
        blocker = self.young()
        self.say(blocker, ask(A.READ, "n1"))
        self.assertEqual(self.steps(A.SUBSCRIBE), [[], [], []])
        self.clock.pump([0.5] * 3)
        self.assertEqual(self.ann.take(), [self.request.ack()])

    def test_pending(self) -> None:
        """
        If the stores are slow, only so many records of one client wait for them at a time; all are served in the end.
        """
        for action in (A.SUBSCRIBECREATEANDREAD, A.SUBSCRIBEANDREAD, A.SUBSCRIBEANDHEAD, A.SUBSCRIBE, A.NOTIFY):
            self.serve(max_pending_bytes=NAMES_PER_STEP * REQUEST_BYTES)
            self.cache.delay = self.storage.delay = 0.5
            names = tuple(f"n{number}" for number in range(10 * NAMES_PER_STEP))
            ann = self.young()
            if action is A.SUBSCRIBE:
                # By itself it waits for nothing but what was asked before.
                self.say(self.young(), *(ask(A.READ, name) for name in names))
            before = len(self.clock.getDelayedCalls())
            request = ask(action, names=names, correlation_id="0")
            answers = self.say(ann, request)
            self.assertTrue(ann.paused)
            # Two steps of records that are being loaded, each with a time-out.
            self.assertEqual(
                len(self.clock.getDelayedCalls()) - before, 0 if action is A.SUBSCRIBE else 4 * NAMES_PER_STEP
            )
            for _ in range(100):
                self.clock.advance(0.5)
                answers += ann.take()
            self.assertFalse(ann.paused)
            self.assertEqual([answer for answer in answers if answer.is_ack], [request.ack()])
            told = {answer.name for answer in answers if not answer.is_ack and answer.name is not None}
            self.assertEqual(told, set() if action in (A.SUBSCRIBE, A.NOTIFY) else set(names))

    def test_gone(self) -> None:
        """
        Who leaves in the midst of it is subscribed to nothing, and nothing more is made for him.
        """
        for action in (A.SUBSCRIBECREATEANDREAD, A.SUBSCRIBEANDREAD, A.SUBSCRIBEANDHEAD, A.SUBSCRIBE):
            self.serve()
            ann = self.young()
            ann.turns = True
            self.say(ann, ask(action, names=self.names, correlation_id="0"))
            ann.turn()
            ann.close()
            self.assertFalse(ann.turn())
            self.assertEqual(list(self.subscriptions.names()), [])
            self.assertLessEqual(len(self.cache.records), 2 * NAMES_PER_STEP)


@for_each_requester
class ReadTurnTests(ValveTestCase):
    """
    Reads are judged when they are served.
    """

    #: The rule lets everybody read what is open.
    RULE = "oldData.open === true"

    READS: tuple[Message, ...] = (
        ask(A.READ, "a"),
        ask(A.HEAD, "a"),
        ask(A.HAS, "a"),
        ask(A.SUBSCRIBE, names=("a",), correlation_id="1"),
        ask(A.SUBSCRIBEANDHEAD, names=("a",), correlation_id="1"),
        ask(A.SUBSCRIBEANDREAD, names=("a",), correlation_id="1"),
        ask(A.SUBSCRIBECREATEANDREAD, names=("a",), correlation_id="1"),
    )

    def test_closed_meanwhile(self) -> None:
        """
        A client that asks for a record while its owner closes it, and writes a secret into it, sees nothing of that.
        """
        for request in self.READS:
            self.guard(read=self.RULE)
            self.have("a", 1, {"open": True})
            self.storage.delay = 1.0
            owner, eve = self.young(), self.young()
            self.service.handle(update("a", 2, {"secret": 1}), owner)
            self.service.handle(request, eve)
            self.clock.advance(1.0)
            self.clock.advance(1.0)
            answers = eve.take()
            self.assertIn(A.MESSAGE_DENIED, [answer.action for answer in answers], request)
            self.assertNotIn("secret", str([answer.data for answer in answers]))
            self.assertFalse(self.subscriptions.is_subscribed("a", eve), request)
            self.assertNotIn(2, [answer.version for answer in answers], request)

    def test_opened_meanwhile(self) -> None:
        """
        What its owner opens by a write under way may be read behind it.
        """
        self.guard(read=self.RULE)
        self.storage.delay = 1.0
        eve = self.young()
        self.service.handle(update("a", 2, {"open": True}), self.young())
        self.service.handle(ask(A.READ, "a"), eve)
        self.clock.advance(1.0)
        self.assertEqual(eve.take(), [read_response("a", 2, {"open": True})])

    def test_denied(self) -> None:
        """
        Each read that is denied is answered with its own name, and nothing is served.
        """
        for request in self.READS:
            self.guard(read=False)
            eve = self.young()
            answers = self.say(eve, request)
            (denial,) = [answer for answer in answers if answer.action is A.MESSAGE_DENIED]
            # A requester in the process is told which part of the request is denied.
            part = A.READ if self.in_process and request.action is A.SUBSCRIBECREATEANDREAD else request.action
            self.assertEqual((denial.name, denial.original_action), ("a", part))
            self.assertTrue(denial.is_error)
            self.assertFalse(self.subscriptions.is_subscribed("a", eve))
            self.assertFalse({A.READ_RESPONSE, A.HEAD_RESPONSE, A.HAS_RESPONSE} & {each.action for each in answers})

    def test_some_denied(self) -> None:
        """
        Of several names those that are permitted are served.
        """
        self.guard(read="name !== 'b'")
        self.have("b", 1, {"open": True})
        for request in self.READS[3:]:
            eve = self.young()
            request = replace(request, names=("a", "b", "c"))
            answers = self.say(eve, request)
            self.assertEqual([each.name for each in answers if each.action is A.MESSAGE_DENIED], ["b"], request)
            self.assertEqual([name for name in "abc" if self.subscriptions.is_subscribed(name, eve)], ["a", "c"])

    def test_rule_fails(self) -> None:
        """
        A rule that cannot be evaluated denies, in other words.
        """
        self.guard(read="oldData.x.y")
        (answer,) = self.say(self.young(), ask(A.READ, "a"))
        self.assertEqual(answer.action, A.MESSAGE_PERMISSION_ERROR)
