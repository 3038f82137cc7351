"""
Tests for L{dstwist.routing.offers}: which names listeners are told.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail
from zope.interface.verify import verifyObject

from dstwist.errors import RuleError
from dstwist.interfaces import IRevocable
from dstwist.protocol.constants import ACTIONS, Topic
from dstwist.protocol.dialect import PROTOBUF, TEXT
from dstwist.protocol.message import Message
from dstwist.routing.offers import DECISION_TIMEOUT
from dstwist.scheduling.time_slices import NAMES_PER_STEP
from dstwist.scheduling.turns import TIME_SLICE
from tests.fakes import BusyClock
from tests.requesters import RequesterTestCase, for_each_requester
from tests.routing.stage import PermissionCase, Stage


@for_each_requester
class OfferTests(PermissionCase):
    """
    L{OfferRules}, as listeners come to feel it.
    """

    def test_only_permitted_names(self) -> None:
        """
        A pattern that is wider than the rule brings its listener no more than the rule permits, in both topics and
        generations, whether the names or the listener came first.
        """
        for topic in (Topic.EVENT, Topic.RECORD):
            for dialect in (TEXT, PROTOBUF):
                stage = self.make(lambda user, name: str(name).startswith("game/"), topic=topic)
                stage.subscriber("game/1"), stage.subscriber("secret/1")
                listener = self.connect(dialect=dialect)
                stage.listen(listener, "game/.*|secret/.*")
                stage.subscriber("game/2"), stage.subscriber("secret/2")
                self.assertEqual(
                    stage.heard(listener),
                    [
                        "ACK LISTEN game/.*|secret/.*",
                        "FOUND game/.*|secret/.* game/1",
                        "FOUND game/.*|secret/.* game/2",
                    ],
                )

    def test_what_the_rule_sees(self) -> None:
        """
        The rule is asked about LISTEN, with the name that is to be offered as the name.
        """
        for topic in (Topic.EVENT, Topic.RECORD):
            stage = self.make(lambda user, name: True, topic=topic)
            listener = self.listener(stage, "ann", "a.*")
            stage.subscriber("abc")
            ((message, sender),) = self.rule.asked
            self.assertEqual(message, Message(topic, ACTIONS[topic]["LISTEN"], "abc"))
            self.assertIs(sender, listener)

    def test_next_listener(self) -> None:
        """
        A listener that is passed over is as if it did not match: the next one is asked, and subscribers hear of no
        provider before that one accepts.
        """
        stage = self.make(lambda user, name: user == "bob")
        ann, bob = self.listener(stage, "ann", "a.*"), self.listener(stage, "bob", "a.*")
        subscriber = stage.subscriber("abc")
        self.assertEqual(stage.heard(bob), ["FOUND a.* abc"])
        self.assertFalse(stage.listeners.provided("abc"))
        stage.accept(bob, "a.*", "abc")
        self.assertEqual(stage.heard(subscriber), ["PROVIDED abc"])
        bob.close()
        self.assertEqual(stage.heard(subscriber), ["UNPROVIDED abc"])
        self.assertEqual(stage.heard(ann), [])

    def test_order(self) -> None:
        """
        Those that may hear of a name are asked in the order in which they began to listen; with C{shuffleProviders}
        the first one is chosen among all that may.
        """
        for choose, expected in ((None, "bob"), (lambda places: places[-1], "dan")):
            stage = self.make(lambda user, name: user not in ("ann", "eve"), choose=choose)
            users = ("ann", "bob", "dan", "eve")
            listeners = {user: self.listener(stage, user, "a.*") for user in users}
            stage.subscriber("abc")
            self.assertEqual([user for user in users if stage.heard(listeners[user])], [expected])

    def test_names_with_separators(self) -> None:
        """
        A text client is not offered a name that the text protocol cannot carry; the next listener is asked.
        """
        for topic in (Topic.EVENT, Topic.RECORD):
            for name in ("a\x1eb", "a\x1fb"):
                stage = self.make(lambda user, name: True, topic=topic)
                old = self.listener(stage, "old", "a.*", dialect=TEXT)
                stage.subscriber(name)
                stage.subscriber("ab")
                self.assertEqual(stage.heard(old), ["FOUND a.* ab"])
                stage.accept(old, "a.*", "ab")
                young = self.connect("young")
                stage.listen(young, ".*")
                self.assertIn(f"FOUND .* {name}", stage.heard(young))

    def test_unasked(self) -> None:
        """
        A listener that accepts a name of which it was not allowed to hear gets the answer of one that was not asked.
        """
        for dialect, answer in ((TEXT, "INVALID_MESSAGE a.*"), (PROTOBUF, "REMOVED a.* abc")):
            pending: Deferred[bool] = Deferred()
            for decision in (False, pending):
                stage = self.make(lambda user, name, decision=decision: decision)  # type: ignore[misc]
                listener = self.listener(stage, "ann", "a.*", dialect=dialect)
                stage.subscriber("abc")
                stage.accept(listener, "a.*", "abc")
                (message,) = listener.take()
                self.assertTrue(f"{stage._short(message)} abc".startswith(answer))
                self.assertFalse(stage.listeners.provided("abc"))

    def test_rule_fails(self) -> None:
        """
        A rule that fails refuses, at once or later; the reason is in the log alone.
        """
        later: Deferred[bool] = Deferred()
        for decision in (fail(RuleError("no luck")), later):
            stage = self.make(lambda user, name, decision=decision: user == "bob" or decision)  # type: ignore[misc]
            ann, bob = self.listener(stage, "ann", "a.*"), self.listener(stage, "bob", "a.*")
            stage.subscriber("abc")
            if decision is later:
                later.errback(RuleError("no luck"))
            self.assertEqual((stage.heard(ann), stage.heard(bob)), ([], ["FOUND a.* abc"]))
            expected = f"MESSAGE_PERMISSION_ERROR | {self.shown_client('ann')}: no luck"
            self.assertEqual(self.lines.last("warn"), expected)

    def test_other_than_true(self) -> None:
        """
        Only C{True} permits, not what happens to be true.
        """
        stage = self.make(lambda user, name: "yes")
        ann = self.listener(stage, "ann", "a.*")
        stage.subscriber("abc")
        self.assertEqual(stage.heard(ann), [])

    def test_said_once(self) -> None:
        """
        The log says once for a listener that it is not told all names that match.
        """
        stage = self.make(lambda user, name: False)
        self.listener(stage, "ann", "a.*|\n")
        for name in ("abc", "abd"):
            stage.subscriber(name)
        self.assertEqual(
            self.lines.of("info"),
            [
                f"MESSAGE_DENIED | {self.shown_client('ann')} listens to a.*|? of RECORD, but may not listen to all "
                "names that match: abc is the first that is not offered, by the permission"
            ],
        )

    def test_rematch(self) -> None:
        """
        A name that a listener was not allowed to hear of is offered later, when a rule has come to permit it.
        """
        permitted = False
        stage = self.make(lambda user, name: permitted, rematch_interval=30.0, match_cooldown=10.0)
        ann = self.listener(stage, "ann", "a.*")
        stage.subscriber("abc")
        permitted = True
        stage.clock.advance(30)
        self.assertEqual(stage.heard(ann), ["FOUND a.* abc"])

    def test_one_question_a_connection(self) -> None:
        """
        However many patterns of a connection match, the rule is asked once whether it may hear of the name.
        """
        stage = self.make(lambda user, name: False)
        self.listener(stage, "ann", *("a" * number for number in range(20)))
        stage.subscriber("a" * 20)
        self.assertEqual(len(self.rule.asked), 1)

    def test_many_refused(self) -> None:
        """
        Past very many listeners that may not hear of a name, the one that may is found in turns that end in time.
        """
        clock = BusyClock()
        stage = self.make(lambda user, name: user == "bob", clock=clock, choose=None)
        for number in range(10 * NAMES_PER_STEP):
            self.listener(stage, f"user{number}", "a.*")
        bob = self.listener(stage, "bob", "a.*")
        clock.advance(0)
        clock.tick = TIME_SLICE / 20
        self.rule.asked.clear()
        stage.subscriber("abc")
        # One that comes now is tried as well.
        late = self.listener(stage, "bob", "b")
        turns = [len(self.rule.asked)]
        for _ in range(100):
            clock.advance(0)
            turns.append(len(self.rule.asked))
        self.assertEqual(stage.heard(bob), ["FOUND a.* abc"])
        self.assertEqual(stage.heard(late), [])
        steps = [after - before for before, after in zip([0, *turns], turns, strict=False)]
        self.assertLess(max(steps), 2 * NAMES_PER_STEP)

    def test_new_listener_past_many(self) -> None:
        """
        A listener that comes while very many others are passed over is asked after them.
        """
        clock = BusyClock()
        stage = self.make(lambda user, name: user == "bob", clock=clock)
        for number in range(10 * NAMES_PER_STEP):
            self.listener(stage, f"user{number}", "a.*")
        clock.advance(0)
        clock.tick = TIME_SLICE / 20
        stage.subscriber("abc")
        bob = self.listener(stage, "bob", "a.*")
        for _ in range(100):
            clock.advance(0)
        self.assertEqual(stage.heard(bob), ["FOUND a.* abc"])

    def test_forgotten_past_many(self) -> None:
        """
        The search past very many listeners ends when the name has no subscriber any more, or those listeners leave.
        """
        clock = BusyClock()
        stage = self.make(lambda user, name: False, clock=clock, rematch_interval=None)
        listeners = [self.listener(stage, f"user{number}", "a.*") for number in range(10 * NAMES_PER_STEP)]
        clock.advance(0)
        clock.tick = TIME_SLICE / 20
        stage.subscriber("abc").close()
        stage.subscriber("abd")
        for listener in listeners:
            listener.close()
        for _ in range(1000):
            clock.advance(0)
        self.assertLess(len(self.rule.asked), 10 * NAMES_PER_STEP)
        self.assertEqual(clock.getDelayedCalls(), [])


@for_each_requester
class LaterTests(PermissionCase):
    """
    Rules that need a moment: for a record that they refer to.
    """

    def setUp(self) -> None:
        super().setUp()
        self.decisions: dict[str | None, Deferred[bool]] = {}
        self.stage = self.make(lambda user, name: self.decisions.setdefault(user, Deferred()), choose=None)
        self.ann = self.listener(self.stage, "ann", "a.*")
        self.bob = self.listener(self.stage, "bob", "a.*")

    def heard(self) -> tuple[list[str], list[str]]:
        return self.stage.heard(self.ann), self.stage.heard(self.bob)

    def test_permitted(self) -> None:
        """
        The listener is asked when the decision is there, and has its time from then on.
        """
        self.stage.subscriber("abc")
        self.stage.clock.advance(1)
        self.assertEqual(self.heard(), ([], []))
        self.decisions["ann"].callback(True)
        self.assertEqual(self.heard(), (["FOUND a.* abc"], []))
        self.stage.clock.advance(0.4)
        self.assertEqual(self.heard(), ([], []))
        self.stage.accept(self.ann, "a.*", "abc")
        self.assertTrue(self.stage.listeners.provided("abc"))

    def test_refused(self) -> None:
        """
        The next one is tried.
        """
        self.stage.subscriber("abc")
        self.decisions["ann"].callback(False)
        self.decisions["bob"].callback(True)
        self.assertEqual(self.heard(), ([], ["FOUND a.* abc"]))

    def test_name_gone(self) -> None:
        """
        A name is not offered if it has no subscriber any more, or is searched anew.
        """
        subscriber = self.stage.subscriber("abc")
        first = self.decisions.pop("ann")
        subscriber.close()
        self.stage.subscriber("abc")
        first.callback(True)
        self.assertEqual(self.heard(), ([], []))
        self.decisions["ann"].callback(True)
        self.assertEqual(self.heard(), (["FOUND a.* abc"], []))

    def test_listener_gone(self) -> None:
        """
        If the listener leaves the next one is tried at once; the decision comes to nothing.
        """
        for leave in (lambda: self.stage.unlisten(self.ann, "a.*"), lambda: self.ann.close()):
            self.setUp()
            self.stage.subscriber("abc")
            leave()
            self.decisions["bob"].callback(True)
            self.assertEqual(self.stage.heard(self.bob), ["FOUND a.* abc"])
            self.decisions["ann"].callback(True)
            self.assertNotIn("FOUND a.* abc", self.stage.heard(self.ann))

    def test_listens_again(self) -> None:
        """
        A listener that leaves and comes again while a decision is awaited is tried as a new one.
        """
        self.bob.close()
        self.stage.subscriber("abc")
        first = self.decisions.pop("ann")
        self.stage.unlisten(self.ann, "a.*")
        self.stage.listen(self.ann, "a.*")
        self.ann.take()
        first.callback(True)
        self.assertEqual(self.stage.heard(self.ann), [])
        self.decisions["ann"].callback(True)
        self.assertEqual(self.stage.heard(self.ann), ["FOUND a.* abc"])

    def test_too_late(self) -> None:
        """
        A decision that does not come counts as a refusal.
        """
        self.stage.subscriber("abc")
        self.stage.clock.advance(DECISION_TIMEOUT)
        self.assertIn("MESSAGE_PERMISSION_ERROR", self.lines.last("warn"))
        self.decisions["bob"].callback(True)
        self.assertEqual(self.heard(), ([], ["FOUND a.* abc"]))

    def test_late_answer(self) -> None:
        """
        A listener that answers too late gets the name if it may still hear of it.
        """
        for decision, answer in ((True, []), (False, ["REMOVED a.* abc"])):
            self.setUp()
            self.bob.close()
            self.stage.subscriber("abc")
            self.decisions.pop("ann").callback(True)
            self.stage.clock.advance(0.5)
            self.ann.take()
            self.stage.accept(self.ann, "a.*", "abc")
            self.assertEqual(self.stage.heard(self.ann), [])
            self.decisions["ann"].callback(decision)
            self.assertEqual(self.stage.heard(self.ann), answer)
            self.assertEqual(self.stage.listeners.provided("abc"), decision)

    def test_late_answer_of_one_that_leaves(self) -> None:
        """
        A listener that has left when the decision on its late answer comes provides nothing.
        """
        self.bob.close()
        self.stage.subscriber("abc")
        self.decisions.pop("ann").callback(True)
        self.stage.clock.advance(0.5)
        self.stage.accept(self.ann, "a.*", "abc")
        self.stage.unlisten(self.ann, "a.*")
        self.ann.take()
        self.decisions["ann"].callback(True)
        self.assertFalse(self.stage.listeners.provided("abc"))
        self.assertEqual(self.stage.heard(self.ann), [])

    def test_stop(self) -> None:
        """
        After the end no listener is asked.
        """
        self.stage.subscriber("abc")
        self.stage.listeners.stop()
        self.decisions["ann"].callback(False)
        self.assertEqual((self.heard(), self.stage.clock.getDelayedCalls()), (([], []), []))


@for_each_requester
class OfferedTests(PermissionCase):
    """
    L{OfferedNames}: what new rules take away.
    """

    def setUp(self) -> None:
        super().setUp()
        self.refused: set[str | None] = set()
        self.stage = self.make(lambda user, name: user not in self.refused, choose=None)
        self.ann = self.listener(self.stage, "ann", "a.*", "z")
        self.bob = self.listener(self.stage, "bob", "a.*")
        self.offered = self.stage.listeners.offered

    def test_interface(self) -> None:
        """
        L{OfferedNames} provides L{IRevocable}.
        """
        verifyObject(IRevocable, self.offered)

    def test_names(self) -> None:
        """
        A listener has the names that it provides and those that it is asked about.
        """
        self.assertEqual(self.offered.names_of(self.ann), [])
        for name in ("a1", "a2"):
            self.stage.subscriber(name)
        self.stage.accept(self.ann, "a.*", "a1")
        self.assertEqual(set(self.offered.names_of(self.ann)), {"a1", "a2"})
        self.assertEqual(list(self.offered.connections()), [self.ann, self.bob])
        self.assertEqual(
            [self.offered.holds(name, who) for name in ("a1", "a2", "a3") for who in (self.ann, self.bob)],
            [True, False, True, False, False, False],
        )
        self.assertEqual(self.offered.names_of(self.connect()), [])

    def test_provider(self) -> None:
        """
        A provider is told to stop, subscribers hear of it, and the next listener is asked.
        """
        subscriber = self.stage.subscriber("abc")
        self.stage.accept(self.ann, "a.*", "abc")
        self.ann.take(), subscriber.take()
        self.refused.add("ann")
        self.assertTrue(self.offered.revoke("abc", self.ann))
        self.assertEqual(self.stage.heard(self.ann), ["REMOVED a.* abc"])
        self.assertEqual(self.stage.heard(subscriber), ["UNPROVIDED abc"])
        self.assertEqual(self.stage.heard(self.bob), ["FOUND a.* abc"])
        self.assertFalse(self.offered.revoke("abc", self.ann))
        self.assertFalse(self.offered.revoke("none", self.ann))

    def test_being_asked(self) -> None:
        """
        A listener that is being asked is asked no more. If it accepts all the same it is told to stop.
        """
        self.stage.subscriber("abc")
        self.ann.take()
        self.refused.add("ann")
        self.assertTrue(self.offered.revoke("abc", self.ann))
        self.assertEqual(self.stage.heard(self.bob), ["FOUND a.* abc"])
        self.stage.reject(self.bob, "a.*", "abc")
        self.stage.accept(self.ann, "a.*", "abc")
        self.assertEqual(self.stage.heard(self.ann), ["REMOVED a.* abc"])
        self.assertFalse(self.stage.listeners.provided("abc"))

    def test_waiting_for_its_decision(self) -> None:
        """
        The same while the decision is awaited.
        """
        decision: Deferred[bool] = Deferred()
        self.rule.decide = lambda user, name: decision if user == "ann" else True
        self.stage.subscriber("abc")
        self.assertTrue(self.offered.revoke("abc", self.ann))
        self.assertEqual(self.stage.heard(self.bob), ["FOUND a.* abc"])
        decision.callback(True)
        self.assertEqual(self.stage.heard(self.ann), [])


@for_each_requester
class OpenTests(RequesterTestCase):
    """
    A permission that permits everything.
    """

    def test_nothing_asked(self) -> None:
        """
        No message is made to ask with.
        """
        stage = Stage(connect=self.connect)
        listener = stage.listener(".*")
        stage.subscriber("abc")
        self.assertEqual(stage.heard(listener), ["FOUND .* abc"])
        self.assertIsNone(stage.listeners._assignment._rules._allows)
