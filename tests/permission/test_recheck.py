"""
Tests for L{dstwist.permission.recheck}.
"""

from __future__ import annotations

import functools
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from dstwist.errors import RuleError
from dstwist.permission.recheck import MAX_WAITING_CHECKS, GrantType, Recheck
from dstwist.protocol.constants import EventAction, PresenceAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.scheduling.time_slices import WORK_SLICE
from tests.fakes import FakeConnection, FakePermission
from tests.logs import Lines, limit_lines
from tests.requesters import RequesterTestCase, for_each_requester

SUBSCRIBE = EventAction.SUBSCRIBE

#: The number of decisions that fill a time slice, if L{RecheckTests.fill_turns} says so.
IN_A_TURN = 200


def denied(name: str) -> Message:
    return Message(Topic.EVENT, EventAction.MESSAGE_DENIED, name, original_action=SUBSCRIBE, is_error=True)


class SlowPermission(FakePermission):
    """
    One that takes its time by the clock.
    """

    def __init__(self, clock: Clock, takes: float) -> None:
        super().__init__()
        self.clock = clock
        self.takes = takes

    def allows(self, *args: Any, **kwargs: Any) -> bool | Deferred[bool]:
        self.clock.rightNow += self.takes
        return super().allows(*args, **kwargs)


@for_each_requester
class RecheckTests(RequesterTestCase):
    """
    L{Recheck}, of the subscriptions to events.
    """

    def setUp(self) -> None:
        self.lines = Lines(self)
        self.clock = Clock()
        self.registry = SubscriptionRegistry(Topic.EVENT)
        self.ann = self.connect("ann")
        self.permission = FakePermission()

    def recheck(self, **decisions: Any) -> Recheck:
        self.permission.decisions = decisions
        recheck = Recheck(self.permission, [GrantType(self.registry, Topic.EVENT, SUBSCRIBE, SUBSCRIBE)], self.clock)
        recheck.run()
        return recheck

    def fill_turns(self) -> None:
        self.permission = SlowPermission(self.clock, WORK_SLICE / (IN_A_TURN - 0.5))

    def subscribe(self, *names: str, to: FakeConnection | None = None) -> None:
        for name in names:
            self.registry.add(name, to or self.ann)

    def turn(self) -> None:
        """
        One turn of the reactor: what is due now, and nothing of what that asks for.
        """
        due: Any = self.clock.getDelayedCalls()
        for call in due:
            run = functools.partial(call.func, *call.args, **call.kw)
            call.cancel()
            run()

    def said(self) -> str:
        return self.lines.last("info").removeprefix("RELOAD | permission: ")

    def test_ended(self) -> None:
        """
        A denied grant ends, and its client is told. All other grants stay, without a message.
        """
        bob = self.connect("bob")
        self.subscribe("news", "secret")
        self.subscribe("news", "secret", "more", to=bob)
        self.recheck(secret=False)
        self.clock.advance(0)
        for connection in (self.ann, bob):
            self.assertEqual(connection.take(), [denied("secret")])
        self.assertEqual(sorted(self.registry.names()), ["more", "news"])
        self.assertEqual(
            self.said(),
            "5 subscriptions checked by the new rules, 2 ended, 0 of them because their rule failed",
        )

    def test_request(self) -> None:
        """
        The rules receive the request that the client would send now; the presence of all users has no name.
        """
        asked: list[Message] = []

        class Asked(FakePermission):
            def allows(self, message: Message, *args: Any) -> bool:
                asked.append(message)
                return False

        everybody = SubscriptionRegistry(Topic.PRESENCE)
        everybody.add("everyone", self.ann)
        all_ = PresenceAction.SUBSCRIBE_ALL
        Recheck(Asked(), [GrantType(everybody, Topic.PRESENCE, all_, all_, named=False)], self.clock).run()
        self.clock.advance(0)
        self.assertEqual(asked, [Message(Topic.PRESENCE, all_)])
        (answer,) = self.ann.take()
        self.assertEqual((answer.action, answer.name), (PresenceAction.MESSAGE_DENIED, None))
        self.assertEqual(answer.original_action, all_)

    def test_later_turn(self) -> None:
        """
        No grant is checked in the turn in which the rules change, so that other log lines about the reload come first.
        """
        self.subscribe("secret")
        self.recheck(secret=False)
        self.assertEqual((self.permission.asked, self.ann.take()), ([], []))

    def test_share_of_turn(self) -> None:
        """
        One turn checks as many subscriptions as fill a slice, and clients are served in between. In the end all are
        checked.
        """
        self.fill_turns()
        self.subscribe(*map(str, range(3 * IN_A_TURN)))
        self.recheck()
        for turn in (1, 2, 3):
            self.turn()
            self.assertEqual(len(self.permission.asked), turn * IN_A_TURN)
        self.turn()
        self.assertEqual(len(set(self.permission.asked)), 3 * IN_A_TURN)
        self.assertTrue(self.said().startswith(f"{3 * IN_A_TURN} subscriptions checked"))
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_slow_rules(self) -> None:
        """
        One turn asks fewer rules if they take long.
        """
        self.permission = SlowPermission(self.clock, WORK_SLICE / 3.5)
        self.subscribe(*"abcdefgh")
        self.recheck()
        self.turn()
        self.assertEqual(len(self.permission.asked), 4)

    def test_names_of_one(self) -> None:
        """
        A grant that its client ends between two turns is not checked any more, nor are those of a client that leaves.
        """
        bob = self.connect("bob")
        self.fill_turns()
        self.subscribe(*map(str, range(IN_A_TURN)), "late", "later")
        self.subscribe("late", to=bob)
        self.recheck(late=False, later=False)
        self.turn()
        left = [name for name in self.registry.names_of(self.ann) if name not in self.permission.asked]
        self.registry.discard(left[0], self.ann)
        bob.close()
        self.turn()
        self.turn()
        self.assertNotIn(left[0], self.permission.asked)
        self.assertNotIn(denied(left[0]), self.ann.take())
        self.assertEqual(bob.take(), [])

    def test_waits(self) -> None:
        """
        A rule that needs data is waited for, and then its subscription stays or ends.
        """
        decisions: dict[str, Deferred[bool]] = {"good": Deferred(), "bad": Deferred()}
        self.subscribe("good", "bad", "gone", "plain")
        gone: Deferred[bool] = Deferred()
        self.recheck(**decisions, gone=gone)
        self.clock.advance(0)
        self.registry.discard("gone", self.ann)
        for decision, result in ((decisions["good"], True), (decisions["bad"], False), (gone, False)):
            self.assertEqual(self.lines.of("info"), [])
            decision.callback(result)
        self.clock.advance(0)
        self.assertEqual(self.ann.take(), [denied("bad")])
        self.assertEqual(sorted(self.registry.names()), ["good", "plain"])
        self.assertTrue(self.said().startswith("4 subscriptions checked by the new rules, 1 ended"))

    def test_many_wait(self) -> None:
        """
        Only so many rules wait for data at a time, so that the storage is not asked for everything at once.
        """
        decisions: dict[str, Deferred[bool]] = {str(number): Deferred() for number in range(MAX_WAITING_CHECKS + 5)}
        self.subscribe(*decisions)
        self.recheck(**decisions)
        self.clock.advance(0)
        asked = self.permission.asked
        self.assertEqual(len(asked), MAX_WAITING_CHECKS)
        decisions[str(asked[0])].callback(True)
        self.clock.advance(0)
        self.assertEqual(len(asked), MAX_WAITING_CHECKS + 1)
        for decision in decisions.values():
            if not decision.called:
                decision.callback(False)
                self.clock.advance(0)
        self.assertEqual(len(asked), MAX_WAITING_CHECKS + 5)
        self.assertEqual(list(self.registry.names()), [asked[0]])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_rule_fails(self) -> None:
        """
        A rule that fails denies, at once or later. Why is in the log, but not ten thousand times.
        """
        limit_lines(self, max_log_lines_per_client=10)
        names = [str(number) for number in range(12)]
        later: Deferred[bool] = Deferred()
        self.subscribe("later", *names)
        self.recheck(later=later, **{name: fail(RuleError(f"no value for {name}")) for name in names})
        self.clock.advance(0)
        later.errback(RuleError("no value for later"))
        self.clock.advance(0)
        self.assertEqual(len(self.ann.take()), len(names) + 1)
        self.assertEqual(list(self.registry.names()), [])
        warned = self.lines.of("warn")
        self.assertEqual(len(warned), 10)
        self.assertTrue(warned[0].startswith(f"MESSAGE_PERMISSION_ERROR | {self.shown_client('ann')}: no value for "))
        self.assertEqual(
            self.said(),
            f"{len(names) + 1} subscriptions checked by the new rules, {len(names) + 1} ended, "
            f"{len(names) + 1} of them because their rule failed",
        )

    def test_again(self) -> None:
        """
        When the rules change once more, all grants are checked anew, and decisions by the rules in between are ignored.
        """
        between: Deferred[bool] = Deferred()
        self.subscribe("a", "b")
        recheck = self.recheck(a=between)
        self.clock.advance(0)
        self.permission.decisions = {"b": False}
        recheck.run()
        self.clock.advance(0)
        between.callback(False)
        self.assertEqual(self.ann.take(), [denied("b")])
        self.assertEqual(list(self.registry.names()), ["a"])
        self.assertEqual(len(self.lines.of("info")), 1)

    def test_stop(self) -> None:
        """
        When the server stops, no grant is checked any more.
        """
        decision: Deferred[bool] = Deferred()
        self.fill_turns()
        self.subscribe("a", *map(str, range(2 * IN_A_TURN)))
        recheck = self.recheck(a=decision)
        self.turn()
        recheck.stop()
        recheck.stop()
        asked = len(self.permission.asked)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        decision.callback(False)
        self.assertEqual((len(self.permission.asked), self.ann.take()), (asked, []))

    def test_nothing(self) -> None:
        """
        The log line is written even if there are no grants.
        """
        self.recheck()
        self.clock.advance(0)
        self.assertTrue(self.said().startswith("0 subscriptions checked"))

    def test_mistake(self) -> None:
        """
        A mistake of ours ends the run, with its traceback in the log.
        """

        class Broken(FakePermission):
            def allows(self, *args: Any) -> bool:
                raise ZeroDivisionError

        self.subscribe("a")
        self.permission = Broken()
        self.recheck()
        self.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(list(self.registry.names()), ["a"])
