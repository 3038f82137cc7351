"""
Tests for L{dstwist.services.record.replicas}.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.settings import RecordSettings
from dstwist.protocol.dialect import JAVASCRIPT
from dstwist.record import Change, Record
from dstwist.services.record.reminders import (
    COPY_MEMORY_SECONDS,
    MAX_REMINDERS,
    QUIET_SECONDS,
    REFUSALS_BEFORE_SENDING,
)
from dstwist.services.record.replicas import Replicas
from tests.fakes import FakeConnection
from tests.requesters import for_each_requester
from tests.services.record.stage import (
    A,
    RecordTestCase,
    ask,
    exists,
    failed,
    patch,
    update,
    wanting_ack,
)


def change(before: object, after: object) -> Change:
    """
    A write of a whole record.
    """
    return Change(Record(2, before), update("a", 3, after))


class TableTests(SynchronousTestCase):
    """
    The table of C{refused} and C{unsure} in the docstring of L{dstwist.services.record.replicas}.
    """

    def setUp(self) -> None:
        self.ann = FakeConnection("ann")

    def begin(self, state: str) -> None:
        """
        Have a copy in C{state}.
        """
        self.clock = Clock()
        self.reminded: list[str] = []
        self.replicas = Replicas(RecordSettings(), self.clock, lambda name, connection: self.reminded.append(name))
        if state != "neither":
            self.replicas.refused("a", self.ann)
        if state == "unsure":
            self.replicas.made_unsure("a", self.ann)

    def state(self) -> str:
        self.replicas.left("a", self.ann)  # ends resubscribed
        if self.replicas.may_differ("a", self.ann):
            return "unsure"
        return "refused" if self.replicas.unsettled else "neither"

    def accept(self, before: object = 1, after: object = 2, version: int = 3) -> None:
        self.replicas.accepted("a", self.ann, version, change({"x": before}, {"x": after}))

    def subscribe_after_read(self, version: int) -> None:
        self.replicas.read("a", self.ann, 1)
        self.replicas.subscribed("a", self.ann, version)

    def refuse_often(self) -> None:
        for _ in range(REFUSALS_BEFORE_SENDING + 1):
            self.replicas.refused("a", self.ann, 3, 2)

    def accept_after_sent(self) -> None:
        """
        The writer had version 3, when the record was at 2. It writes 3 again after it was sent the record.
        """
        self.assertTrue(self.replicas.refused("a", self.ann, 3, 2))
        self.accept(version=3)

    def test_refused_and_unsure(self) -> None:
        """
        Each event leads from neither, refused and unsure to the states in the table.
        """
        replicas, ann = lambda: self.replicas, self.ann
        rows: list[tuple[str, Callable[[], object], tuple[str, str, str]]] = [
            ("refused", lambda: replicas().refused("a", ann), ("refused", "refused", "refused")),
            ("too many", self.refuse_often, ("unsure", "unsure", "unsure")),
            ("after sent", self.accept_after_sent, ("neither", "neither", "neither")),
            ("no change", lambda: self.accept(1, 1), ("neither", "refused", "unsure")),
            ("accepted", self.accept, ("neither", "unsure", "unsure")),
            ("resubscribed", lambda: replicas().resubscribed("a", ann, False), ("neither", "unsure", "unsure")),
            ("was subscribed", lambda: replicas().resubscribed("a", ann, True), ("neither", "refused", "unsure")),
            ("read another", lambda: self.subscribe_after_read(2), ("unsure", "unsure", "unsure")),
            ("read the same", lambda: self.subscribe_after_read(1), ("neither", "unsure", "unsure")),
            ("made unsure", lambda: replicas().made_unsure("a", ann), ("unsure", "unsure", "unsure")),
            ("not reminded", lambda: replicas().not_reminded("a", ann), ("unsure", "unsure", "unsure")),
            ("sent", lambda: replicas().sent("a", ann), ("neither", "refused", "unsure")),
            ("left", lambda: replicas().left("a", ann), ("neither", "refused", "unsure")),
            ("quiet", lambda: self.clock.advance(QUIET_SECONDS), ("neither", "refused", "refused")),
            ("forgotten", lambda: self.clock.pump([QUIET_SECONDS, COPY_MEMORY_SECONDS]), ("neither",) * 3),
        ]
        for event, happen, after in rows:
            for state, expected in zip(("neither", "refused", "unsure"), after, strict=True):
                self.begin(state)
                happen()
                self.assertEqual(self.state(), expected, (event, state))
                self.assertEqual(self.reminded, ["a"] * (state == "unsure" and event in ("quiet", "forgotten")))
                self.replicas.stop()

    def test_merges_on_news(self) -> None:
        """
        A write that does not change the record makes the copy of a client that merges on news unsure.
        """
        self.ann.dialect = JAVASCRIPT
        self.begin("refused")
        self.accept(1, 1)
        self.assertEqual(self.state(), "unsure")

    def test_last_reminder(self) -> None:
        """
        After the last reminder, the next event forgets the copy.
        """
        self.begin("unsure")
        for number in range(MAX_REMINDERS):
            self.assertEqual(self.state(), "unsure")
            self.clock.advance(QUIET_SECONDS * 2**number)
            self.accept()
        self.assertEqual(self.state(), "neither")
        self.assertEqual(self.reminded, ["a"] * MAX_REMINDERS)


class ResubscribedTests(SynchronousTestCase):
    """
    Clients that subscribed without being told what the record holds.
    """

    def setUp(self) -> None:
        self.replicas = Replicas(RecordSettings(), Clock(), lambda name, connection: None)
        self.ann, self.bob = FakeConnection("ann"), FakeConnection("bob")

    def may_differ(self) -> list[bool]:
        return [self.replicas.may_differ("a", connection) for connection in (self.ann, self.bob)]

    def test_until_a_write_is_accepted(self) -> None:
        """
        The copy of such a client may be wrong until a write of its is accepted; to read is not enough.
        """
        self.replicas.resubscribed("a", self.ann, was_subscribed=False)
        self.replicas.sent("a", self.ann)
        anything = change({}, {"x": 1})
        self.replicas.accepted("b", self.ann, 1, anything)
        self.replicas.accepted("a", self.bob, 1, anything)
        self.assertEqual(self.may_differ(), [True, False])
        self.replicas.accepted("a", self.ann, 1, anything)
        self.assertEqual(self.may_differ(), [False, False])

    def test_any_version(self) -> None:
        """
        A client that writes whatever is the next version does not know which one that is.
        """
        self.replicas.resubscribed("a", self.ann, was_subscribed=False)
        for connection in (self.ann, self.bob):
            self.replicas.accepted("a", connection, -1, change({}, {"x": 1}))
        self.assertEqual(self.may_differ(), [True, False])
        self.assertFalse(self.replicas.is_resubscribed("a", self.ann))

    def test_refused_as_missing(self) -> None:
        """
        Only a client that may have a copy is reminded that there is no record.
        """
        self.replicas.resubscribed("a", self.ann, was_subscribed=False)
        for connection in (self.ann, self.bob):
            self.replicas.refused_as_missing("a", connection)
            self.replicas.left("a", connection)
        self.assertEqual(self.may_differ(), [True, False])

    def test_subscribed_all_the_time(self) -> None:
        """
        A client that was subscribed already has heard all news.
        """
        self.replicas.resubscribed("a", self.ann, was_subscribed=True)
        self.assertEqual(self.may_differ(), [False, False])

    def test_left(self) -> None:
        """
        A client that is not subscribed any more, for any reason, has no copy.
        """
        for end in (
            lambda: self.replicas.left("a", self.ann),
            lambda: self.replicas.ended("a", [self.bob, self.ann]),
            self.ann.close,
        ):
            self.replicas.resubscribed("a", self.ann, was_subscribed=False)
            end()
            self.assertEqual(self.may_differ(), [False, False])
        self.assertEqual(len(self.replicas.resubscribers), 0)

    def test_predecessor(self) -> None:
        """
        It may hold a record of that name that was deleted before it came back, until it is told of the new one.
        """
        self.replicas.deleted("a", 7, [self.bob])
        self.replicas.resubscribed("a", self.ann, was_subscribed=True)
        for connection in (self.ann, self.bob):
            self.assertTrue(self.replicas.may_hold_predecessor("a", connection))
            self.assertFalse(self.replicas.is_first_write("a", connection, 8))
            self.replicas.sent("a", connection)
            self.assertFalse(self.replicas.may_hold_predecessor("a", connection))
            self.assertTrue(self.replicas.is_first_write("a", connection, 8))

    def test_created_anew(self) -> None:
        """
        A node that hears of a deletion when it creates the record anew knows as much. Clients that may hold the old
        record remain.
        """
        self.replicas.created_anew("a", 7)
        self.assertTrue(self.replicas.is_first_write("a", self.ann, 8))
        self.assertFalse(self.replicas.is_first_write("a", self.ann, 9))
        self.replicas.deleted("a", 8, [self.bob])
        self.replicas.created_anew("a", 8)
        self.assertTrue(self.replicas.may_hold_predecessor("a", self.bob))
        self.assertFalse(self.replicas.may_hold_predecessor("a", self.ann))


@for_each_requester
class WrongCopyTests(RecordTestCase):
    """
    A record service repairs the copies that may be wrong.
    """

    def test_conflict_of_who_came_back(self) -> None:
        """
        A client that comes back and subscribes without reading may believe anything, also after it has read the record:
        in a conflict it gets VERSION_EXISTS and what is true, until a write of its own is accepted, and that not soon
        after one that was not.
        """
        self.have("a", 3, {"x": 1})
        ann = self.young()
        ann.dialect = JAVASCRIPT
        late = update("a", 3, {"x": 2})
        truth = update("a", 3, {"x": 1})
        for subscription in (A.SUBSCRIBE, A.SUBSCRIBEANDHEAD):
            self.say(ann, ask(subscription, names=("a",)))
            self.assertEqual(self.say(ann, late), [exists(late, 3, '{"x":1}'), truth])
            self.assertEqual(self.say(ann, late), [exists(late, 3, '{"x":1}'), truth])
            self.say(ann, ask(A.READ, "a"))
            self.assertEqual(self.say(ann, late), [exists(late, 3, '{"x":1}'), truth])
            self.clock.advance(COPY_MEMORY_SECONDS)
            self.say(ann, update("a", 4, {"x": 1}))
            self.assertEqual(self.say(ann, late), [])
            self.say(ann, ask(A.UNSUBSCRIBE, names=("a",)))
            self.have("a", 3, {"x": 1})

    def test_insists_on_a_deleted_record(self) -> None:
        """
        A client that comes back, and merges its copy with the deletion, may keep its data. When it has not written for
        a while, it gets to know that the record does not exist, and is not subscribed any more.
        """
        allow = self.rules.rule
        mine = update("a", -1, {"ann": 1})
        for denied in (False, True):
            ann = self.young()
            ann.dialect = JAVASCRIPT
            self.say(ann, ask(A.SUBSCRIBEANDHEAD, names=("a",)))
            self.rules.rule = (lambda message, record: False) if denied else allow
            self.assertEqual(self.say(ann, mine), [self.denied(mine, A.UPDATE) if denied else failed(mine)])
            self.rules.rule = allow
            # It goes on from version -1. The conflict does not end the wait.
            later = wanting_ack(update("a", 0, {"ann": 2}))
            self.assertEqual(self.say(ann, later)[0], exists(later, 0, "{}"))
            self.clock.advance(QUIET_SECONDS)
            self.assertEqual(ann.take(), [ask(A.DELETED, "a")])
            self.assertFalse(self.subscriptions.is_subscribed("a", ann))
            self.clock.advance(COPY_MEMORY_SECONDS)
            self.assertEqual(ann.take(), [])

    def test_insists_while_the_stores_fail(self) -> None:
        """
        So it is if its write fails in the stores, and would have created the record.
        """
        ann = self.young()
        ann.dialect = JAVASCRIPT
        self.say(ann, ask(A.SUBSCRIBEANDHEAD, names=("a",)))
        mine = wanting_ack(update("a", -1, {"ann": 1}))
        self.storage.behave = lambda operation, name: (0.0, "fails" if operation == "set" else "ok")
        self.assertEqual(self.say(ann, mine), [failed(mine), ask(A.DELETED, "a")])
        self.assertFalse(self.subscriptions.is_subscribed("a", ann))
        self.expect_complaints()

    def test_insists_while_others_create(self) -> None:
        """
        If another client creates the record meanwhile, the client is told of that instead.
        """
        ann, bob = self.young(), self.young()
        ann.dialect = JAVASCRIPT
        self.say(ann, ask(A.SUBSCRIBEANDHEAD, names=("a",)))
        self.say(ann, update("a", -1, {"ann": 1}))
        self.say(bob, ask(A.SUBSCRIBECREATEANDREAD, names=("a",)))
        self.assertEqual(ann.take(), [])
        self.clock.advance(QUIET_SECONDS)
        self.assertEqual(ann.take(), [update("a", 0, {})])
        self.assertTrue(self.subscriptions.is_subscribed("a", ann))

    def test_insists_after_others_created(self) -> None:
        """
        If another client has created the record before, the write is accepted. The client is told the version that it
        has made: without it, the next write of the client would be lost to a conflict of which no news tell.
        """
        ann, bob = self.young(), self.young()
        ann.dialect = JAVASCRIPT
        self.say(ann, ask(A.SUBSCRIBEANDHEAD, names=("a",)))
        self.say(bob, ask(A.SUBSCRIBECREATEANDREAD, names=("a",)))
        self.assertEqual(self.say(ann, update("a", -1, {"ann": 1})), [])
        late = update("a", 0, {"ann": 2})
        self.assertEqual(self.say(ann, late), [exists(late, 1, '{"ann":1}'), update("a", 1, {"ann": 1})])
        self.say(ann, update("a", -1, {"ann": 3}))
        self.clock.advance(QUIET_SECONDS)
        self.assertEqual(ann.take(), [update("a", 2, {"ann": 3})])

    def test_subscribed_before_there_was_a_record(self) -> None:
        """
        A client that has read that there is no record has no copy. It stays subscribed when a write of it is refused.
        """
        ann = self.young()
        self.say(ann, ask(A.SUBSCRIBEANDREAD, names=("a",)))
        self.say(ann, update("a", 1, {"ann": 1}))
        self.clock.advance(QUIET_SECONDS)
        self.assertEqual(ann.take(), [])
        self.assertTrue(self.subscriptions.is_subscribed("a", ann))

    def test_won_by_accident(self) -> None:
        """
        A client lost, and what it had sent right behind was accepted as the next version. By the news of the winner it
        gives up both: so when it has not written for a while it is told what is true. Others are told as ever.
        """
        self.have("a", 1, {"start": 1})
        ann, bob = self.young("a"), self.young("a")
        ann.dialect = JAVASCRIPT
        self.say(bob, update("a", 2, {"bob": 1}))
        self.assertEqual(ann.take(), [update("a", 2, {"bob": 1})])
        self.assertEqual(self.say(ann, update("a", 2, {"ann": 1}), update("a", 3, {"ann": 2})), [])
        self.assertEqual(bob.take(), [update("a", 3, {"ann": 2})])
        self.clock.advance(QUIET_SECONDS)
        self.assertEqual(ann.take(), [update("a", 3, {"ann": 2})])
        self.clock.advance(COPY_MEMORY_SECONDS)
        self.assertEqual(ann.take() + bob.take(), [])

    def test_won_by_accident_and_lost_again(self) -> None:
        """
        While it is not sure what such a client believes, the news do not tell it why its next write is refused.
        """
        self.have("a", 1, {"start": 1})
        ann, bob = self.young("a"), self.young("a")
        ann.dialect = JAVASCRIPT
        self.say(bob, update("a", 2, {"bob": 1}))
        self.say(ann, update("a", 2, {"ann": 1}), update("a", 3, {"ann": 2}))
        late = update("a", 3, {"ann": 3})
        ann.take()
        self.assertEqual(self.say(ann, late), [exists(late, 3, '{"ann":2}'), update("a", 3, {"ann": 2})])
        self.clock.advance(QUIET_SECONDS + COPY_MEMORY_SECONDS)
        self.assertEqual(ann.take(), [])

    def test_won_by_accident_after_other_failures(self) -> None:
        """
        It does not matter why the first of the two writes was not done.
        """
        for refused, rule in (
            (update("a", 2, {"ann": 1}), lambda message, record: message.version != 2),
            (patch("a", 2, "", 1), lambda message, record: True),
            (update("a", 9, {"ann": 1}), lambda message, record: True),
        ):
            self.have("a", 1, {"start": 1})
            ann, bob = self.young("a"), self.young()
            self.rules.rule = rule
            self.say(ann, refused)
            self.rules.rule = lambda message, record: True
            self.say(bob, update("a", 2, {"bob": 1}))
            self.say(ann, update("a", 3, {"ann": 2}))
            ann.take()
            self.clock.advance(QUIET_SECONDS)
            self.assertEqual(ann.take(), [update("a", 3, {"ann": 2})])

    def test_wrote_before_it_was_back(self) -> None:
        """
        A v4+ client that comes back may write before it subscribes again. It takes the refusal for agreement, and so
        does the version that it is told then: so a moment later it is told what is true.
        """
        for action in (A.SUBSCRIBE, A.SUBSCRIBEANDHEAD):
            self.have("a", 5, {"bob": 5})
            ann = self.young()
            ann.dialect = JAVASCRIPT
            late = update("a", 3, {"ann": 3})
            self.assertEqual(self.say(ann, late), [exists(late, 5, '{"bob":5}')])
            self.say(ann, ask(action, names=("a",)))
            self.clock.advance(QUIET_SECONDS)
            self.assertEqual(ann.take(), [update("a", 5, {"bob": 5})])
            self.clock.advance(QUIET_SECONDS + COPY_MEMORY_SECONDS)
            self.assertEqual(ann.take(), [])

    def test_wrote_between_two_answers(self) -> None:
        """
        A text client that asks twice for a record, and writes between the answers, goes back to the second: a moment
        later it is told that its write stands.
        """
        self.have("a", 5, {"bob": 5})
        ann = self.old()
        self.say_text(ann, "R|CR|a+R|CR|a+")
        self.assertEqual(self.say_text(ann, 'R|U|a|6|{"ann":6}+'), [])
        self.clock.advance(QUIET_SECONDS)
        self.assertEqual(ann.take(), ['R|U|a|6|{"ann":6}+'])

    def test_won_by_accident_and_left(self) -> None:
        """
        Who does not hold the record any more is told nothing of it.
        """
        self.have("a", 1, {})
        ann, bob = self.young("a"), self.young("a")
        for client in (ann, bob):
            self.say(client, update("a", 1, {}), update("a", self.cache.records["a"].version + 1, {}))
        self.say(ann, ask(A.UNSUBSCRIBE, names=("a",)))
        bob.close()
        ann.take()
        self.clock.advance(QUIET_SECONDS)
        self.assertEqual(ann.take(), [])

    def test_stop_with_losers(self) -> None:
        """
        A server that stops waits for nobody to be told.
        """
        self.have("a", 1, {})
        self.say(self.young("a"), update("a", 1, {}), update("a", 2, {}))
        self.successResultOf(self.service.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_who_came_back_is_forgotten(self) -> None:
        """
        Who unsubscribed, or whose record was deleted, holds nothing any more: VERSION_EXISTS alone tells of a conflict.
        """
        ann, bob = self.young(), self.young()
        for ending in (ask(A.UNSUBSCRIBE, names=("a",)), ask(A.DELETE, "a")):
            self.have("a", 3, {"x": 1})
            self.say(ann, ask(A.SUBSCRIBE, names=("a",)))
            self.say(ann if ending.names else bob, ending)
            ann.take()
            self.have("a", 3, {"x": 1})
            late = update("a", 3, {"x": 2})
            self.assertEqual(self.say(ann, late), [exists(late, 3, '{"x":1}')])
        self.say(ann, ask(A.SUBSCRIBE, names=("a",)))
        ann.close()


@for_each_requester
class InstantWrongCopyTests(WrongCopyTests):
    """
    The same with a cache that answers at once.
    """

    instant = True
