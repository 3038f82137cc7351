"""
The way of a message from an open connection to its topic.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from dstwist.errors import RuleError
from dstwist.interfaces import IIdentity, IPermission
from dstwist.permission.open import OpenPermission
from dstwist.protocol.constants import BULK_ACTIONS, FROM_CLIENT, EventAction, ParserAction, Topic
from dstwist.protocol.dialect import TEXT
from dstwist.protocol.message import Message
from dstwist.record import Change
from dstwist.routing.router import Router
from dstwist.scheduling.time_slices import NAMES_PER_STEP
from tests.fakes import FakePermission, FakeService
from tests.requesters import RequesterTestCase, for_each_requester


def emit(name: str) -> Message:
    return Message(Topic.EVENT, EventAction.EMIT, name, b"1")


def subscribe(*names: str) -> Message:
    return Message(Topic.EVENT, EventAction.SUBSCRIBE, names=names, correlation_id="3")


def refusal(action: EventAction, name: str, original: EventAction, correlation_id: str | None = None) -> Message:
    return Message(Topic.EVENT, action, name, original_action=original, correlation_id=correlation_id, is_error=True)


@for_each_requester
class RouterTests(RequesterTestCase):
    """
    L{Router}: permission, then topic, in order.
    """

    def setUp(self) -> None:
        self.service = FakeService()
        self.ann = self.connect("ann")

    def router(self, **decisions: Any) -> Router:
        self.permission = FakePermission(**decisions)
        return Router(self.permission, {Topic.EVENT: self.service})

    def test_open_permission(self) -> None:
        """
        Without rules everything is permitted.
        """
        permission = OpenPermission()
        verifyObject(IPermission, permission)
        Router(permission, {Topic.EVENT: self.service}).route(emit("a"), self.ann)
        self.assertEqual(self.service.handled, [emit("a")])

    def test_judged(self) -> None:
        """
        A request that the service authorizes itself reaches it without a question to the permission, a bulk request as
        a whole.
        """
        self.service.authorizes_itself = frozenset({EventAction.EMIT, EventAction.SUBSCRIBE})
        router = self.router(a=False)
        router.route(emit("a"), self.ann)
        router.route(subscribe("a", "b"), self.ann)
        self.assertEqual(self.service.handled, [emit("a"), subscribe("a", "b")])
        self.assertEqual(self.permission.asked, [])

    def test_repeated_names(self) -> None:
        """
        Each name of a long bulk request is served once, and once more if it was repeated: however often that was, its
        sender is told once.
        """
        several = [f"n{number}" for number in range(100)]
        router = self.router()
        router.route(subscribe("a", *several, *["b"] * 10000, "a"), self.ann)
        self.assertEqual(self.service.handled, [subscribe("a", *several, "b", "a", "b")])
        self.service.authorizes_itself = frozenset({EventAction.SUBSCRIBE})
        self.router().route(subscribe(*several, *["b"] * 10000), self.ann)
        self.assertEqual(self.service.handled[1:], [subscribe(*several, "b", "b")])
        self.router().route(subscribe(*several, "a"), self.ann)
        self.assertEqual(self.service.handled[2:], [subscribe(*several, "a")])

    def test_received(self) -> None:
        """
        Each request counts once, permitted or not, whatever way it takes.
        """
        self.service.authorizes_itself = frozenset({EventAction.UNSUBSCRIBE})
        router = self.router(no=False)
        router.route(emit("a"), self.ann)
        router.route(emit("no"), self.ann)
        router.route(subscribe("a", "no"), self.ann)
        router.route(Message(Topic.EVENT, EventAction.UNSUBSCRIBE, names=("a",)), self.ann)
        router.route(subscribe(*(f"n{number}" for number in range(6000))), self.ann)
        router.route(Message(Topic.RPC, EventAction.EMIT, "a"), self.ann)
        self.assertEqual(router.received.named(), {"EVENT": {"EMIT": 2, "SUBSCRIBE": 2, "UNSUBSCRIBE": 1}})

    def test_very_many_names(self) -> None:
        """
        Very many names are compared in steps, before the first is judged.
        """
        self.ann.turns = True
        names = tuple(f"n{number}" for number in range(6000))
        router = self.router()
        router.route(subscribe(*names, "n7", "n3", "n7"), self.ann)
        self.assertEqual(self.permission.asked, [])
        while self.ann.turn():
            pass
        self.assertEqual(self.service.handled, [subscribe(*names, "n3", "n7")])
        self.assertEqual(len(self.permission.asked), 6002)

    def test_w1_stray_names(self) -> None:
        """
        W1: what is asked of one name is permitted by that name, whatever names a client sends beside it.
        """
        for decision in (False, succeed(False)):
            stray = Message(Topic.EVENT, EventAction.EMIT, "secret", b"1", names=("public",))
            self.router(secret=decision).route(stray, self.ann)
            self.assertEqual(self.permission.asked, ["secret"])
            self.assertEqual(self.service.handled, [])
            self.assertEqual(self.ann.take(), [refusal(EventAction.MESSAGE_DENIED, "secret", EventAction.EMIT)])

    def test_bulks(self) -> None:
        """
        Bulk requests are those that services serve name by name, of what clients may send.
        """
        for topic, actions in BULK_ACTIONS.items():
            self.assertLessEqual(actions, FROM_CLIENT[topic])
        names = {action.name for actions in BULK_ACTIONS.values() for action in actions}
        self.assertEqual(
            names,
            {"SUBSCRIBE", "UNSUBSCRIBE", "SUBSCRIBEANDHEAD", "SUBSCRIBEANDREAD", "SUBSCRIBECREATEANDREAD", "NOTIFY"}
            | {"PROVIDE", "UNPROVIDE", "QUERY"},
        )

    def test_denied(self) -> None:
        """
        A denied request is not served, and its sender is told.
        """
        self.router(a=False).route(emit("a"), self.ann)
        self.assertEqual(self.service.handled, [])
        self.assertEqual(self.ann.take(), [refusal(EventAction.MESSAGE_DENIED, "a", EventAction.EMIT)])

    def test_unknown_topic(self) -> None:
        """
        A topic without a service, or one that is switched off, is answered so.
        """
        self.router().route(Message(Topic.RPC, EventAction.EMIT, "a"), self.ann)
        (answer,) = self.ann.take()
        self.assertEqual(
            (answer.topic, answer.action, answer.original_topic), (Topic.PARSER, ParserAction.UNKNOWN_TOPIC, Topic.RPC)
        )

    def test_w1_bulk(self) -> None:
        """
        W1: of a bulk request exactly the refused names are refused, and exactly the others are served.
        """
        for names in (("ok", "no"), ("no", "ok"), ("no", "ok", "no2")):
            self.service.handled.clear()
            self.router(no=False, no2=False).route(subscribe(*names), self.ann)
            self.assertEqual([message.names for message in self.service.handled], [("ok",)])
            self.assertEqual(
                self.ann.take(),
                [
                    refusal(EventAction.MESSAGE_DENIED, name, EventAction.SUBSCRIBE, "3")
                    for name in names
                    if name != "ok"
                ],
            )
            self.assertEqual(self.permission.asked, list(names))

    def test_refused_once(self) -> None:
        """
        Text clients, whose refusals repeat the whole request, are told once of a request about several users, however
        many of them are refused; the others are served. Why each rule failed is in the log.
        """
        failed: list[Deferred[bool]] = [fail(RuleError("no value")), fail(RuleError("no value"))]
        for first, decisions in (
            (EventAction.MESSAGE_DENIED, {"no": False, "no2": False}),
            (EventAction.MESSAGE_DENIED, {"no": False, "no2": failed[0]}),
            (EventAction.MESSAGE_PERMISSION_ERROR, {"no": failed[1], "no2": False}),
        ):
            bob = self.connect("bob", dialect=TEXT)
            self.service.handled.clear()
            self.router(**decisions).route(subscribe("no", "ok", "no2"), bob)
            self.assertEqual(bob.take(), [refusal(first, "no", EventAction.SUBSCRIBE, "3")])
            self.assertEqual([message.names for message in self.service.handled], [("ok",)])

    def test_w1_nothing_left(self) -> None:
        """
        W1: a bulk request of which nothing is left is not served at all, so there is no acknowledgement.
        """
        self.router(a=False, b=False).route(subscribe("a", "b"), self.ann)
        self.assertEqual((self.service.handled, len(self.ann.take())), ([], 2))

    def test_empty_bulk(self) -> None:
        """
        A bulk request without names is served: it has an acknowledgement to get.
        """
        self.router().route(subscribe(), self.ann)
        self.assertEqual(self.service.handled, [subscribe()])

    def test_later(self) -> None:
        """
        While a permission is looked up the connection waits, and no other does.
        """
        decision: Deferred[bool] = Deferred()
        router = self.router(a=decision)
        router.route(emit("a"), self.ann)
        router.route(emit("c"), self.connect("bob"))
        self.assertEqual((self.service.handled, self.ann.paused), ([emit("c")], True))
        decision.callback(True)
        self.assertEqual((self.service.handled, self.ann.paused), ([emit("c"), emit("a")], False))

    def test_denied_later(self) -> None:
        """
        A request that is denied later is not served, and its sender is told.
        """
        decision: Deferred[bool] = Deferred()
        self.router(a=decision).route(emit("a"), self.ann)
        decision.callback(False)
        self.assertEqual(self.service.handled, [])
        self.assertEqual(self.ann.take(), [refusal(EventAction.MESSAGE_DENIED, "a", EventAction.EMIT)])

    def test_later_bulk(self) -> None:
        """
        A bulk request waits for all its names.
        """
        decision: Deferred[bool] = Deferred()
        self.router(a=decision, b=False).route(subscribe("a", "b", "c"), self.ann)
        self.assertEqual(self.service.handled, [])
        decision.callback(True)
        self.assertEqual([message.names for message in self.service.handled], [("a", "c")])

    def test_long_bulk(self) -> None:
        """
        The names of a long bulk request are judged a few in each turn; when all are, the permitted ones are served.
        """
        self.ann.turns = True
        names = tuple(f"n{number}" for number in range(4 * NAMES_PER_STEP))
        router = self.router(**{names[1]: False, names[-1]: False})
        router.route(subscribe(*names), self.ann)
        turns = 1
        while not self.service.handled:
            self.assertEqual(len(self.permission.asked), turns * NAMES_PER_STEP)
            self.ann.turn()
            turns += 1
        self.assertEqual(turns, 4)
        self.assertEqual(self.permission.asked, list(names))
        self.assertEqual(self.service.handled, [subscribe(*names[:1], *names[2:-1])])
        self.assertEqual([message.name for message in self.ann.take()], [names[1], names[-1]])

    def test_expensive_rules(self) -> None:
        """
        If a rule takes long for each name, the step is over earlier.
        """
        clock = Clock()
        self.ann.turns = True

        class Expensive(FakePermission):
            def allows(self, message: Message, identity: IIdentity, change: Change | None = None) -> Any:
                clock.rightNow += 0.0004
                return super().allows(message, identity, change)

        permission = Expensive()
        router = Router(permission, {Topic.EVENT: self.service}, clock=clock)
        names = tuple(f"n{number}" for number in range(7))
        router.route(subscribe(*names), self.ann)
        self.assertEqual(len(permission.asked), 3)
        self.ann.turn()
        self.assertEqual(len(permission.asked), 6)
        self.ann.turn()
        self.assertEqual(self.service.handled, [subscribe(*names)])

    def test_long_bulk_later(self) -> None:
        """
        If decisions are not at hand, those of a few names are awaited before others are asked for.
        """
        names = tuple(f"n{number}" for number in range(2 * NAMES_PER_STEP))
        decisions: dict[str, Deferred[bool]] = {name: Deferred() for name in names}
        self.router(**decisions).route(subscribe(*names), self.ann)
        self.assertEqual(self.permission.asked, list(names[:NAMES_PER_STEP]))
        for name in names[1:NAMES_PER_STEP]:
            decisions[name].callback(True)
        self.assertEqual(self.permission.asked, list(names[:NAMES_PER_STEP]))
        decisions[names[0]].callback(False)
        self.assertEqual(self.permission.asked, list(names))
        for name in names[NAMES_PER_STEP:]:
            self.assertEqual(self.service.handled, [])
            decisions[name].callback(True)
        self.assertEqual(self.service.handled, [subscribe(*names[1:])])

    def test_long_bulk_refused(self) -> None:
        """
        W1: a long bulk request of which nothing is permitted is not served at all, so there is no acknowledgement.
        """
        names = tuple(f"n{number}" for number in range(2 * NAMES_PER_STEP))
        self.router(**dict.fromkeys(names, False)).route(subscribe(*names), self.ann)
        self.assertEqual((self.service.handled, len(self.ann.take())), ([], 2 * NAMES_PER_STEP))

    def test_settled(self) -> None:
        """
        A caller that changes the rules can wait for the end of the bulk requests that are in flight, and does not wait
        for later ones.
        """
        router = self.router()
        self.assertEqual(self.successResultOf(router.drain()), None)
        self.ann.turns = True
        names = [f"n{number}" for number in range(2 * NAMES_PER_STEP)]
        self.service.then = lambda: self.ann.do(iter((None, None, None)))
        router.route(subscribe(*names), self.ann)
        drained = router.drain()
        bob = self.connect("bob")
        bob.turns = True
        router.route(subscribe(*names), bob)
        served = 0
        while self.ann.turn():
            self.assertNoResult(drained)
            served += len(self.service.handled)
        self.assertGreater(served, 1)
        self.successResultOf(drained)

    def test_settled_by_leaving(self) -> None:
        """
        A request that is given up because its sender has gone is not waited for.
        """
        for turns in range(3):
            ann = self.connect("ann")
            ann.turns = True
            router = self.router()
            self.service.then = lambda ann=ann: ann.do(iter((None, None, None)))
            router.route(subscribe(*(f"n{number}" for number in range(2 * NAMES_PER_STEP))), ann)
            for _ in range(turns):
                ann.turn()
            drained = router.drain()
            self.assertNoResult(drained)
            ann.close()
            self.successResultOf(drained)

    def test_rule_fails(self) -> None:
        """
        A rule that cannot be evaluated denies, with an error of its own.
        """
        decision: Deferred[bool] = Deferred()
        self.router(a=decision).route(emit("a"), self.ann)
        decision.errback(ValueError("no such record"))
        self.assertEqual(self.ann.take(), [refusal(EventAction.MESSAGE_PERMISSION_ERROR, "a", EventAction.EMIT)])
        self.assertEqual(self.service.handled, [])

    def test_rule_fails_in_bulk(self) -> None:
        """
        A rule that fails for one name of a bulk request refuses that name only.
        """
        decision: Deferred[bool] = Deferred()
        self.router(a=decision).route(subscribe("a", "b"), self.ann)
        decision.errback(ValueError("no such record"))
        self.assertEqual([message.names for message in self.service.handled], [("b",)])
        self.assertEqual([message.action for message in self.ann.take()], [EventAction.MESSAGE_PERMISSION_ERROR])

    def test_w55_gone_meanwhile(self) -> None:
        """
        W55: what is permitted after its sender has gone is not served.
        """
        for request in (emit("a"), subscribe("a", "b")):
            decision: Deferred[bool] = Deferred()
            ann = self.connect("ann")
            self.router(a=decision).route(request, ann)
            ann.close()
            decision.callback(True)
            self.assertEqual((self.service.handled, ann.take()), ([], []))
