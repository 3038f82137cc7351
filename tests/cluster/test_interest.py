"""
Tests for L{dstwist.cluster.interest}.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from dstwist.cluster.interest import Interest, Phase
from dstwist.config.cluster import ClusterSettings
from dstwist.interfaces import IBus
from dstwist.limits import lingering
from tests.fakes import BusyClock


@implementer(IBus)
class ManualBus:
    """
    A bus that confirms when the test says so.

    @ivar asked: the operations that are not confirmed.
    """

    is_lost = False
    dropped = 0
    round_trips = None

    def __init__(self) -> None:
        self.asked: dict[tuple[str, str], Deferred[None]] = {}
        self.receivers: dict[str, Callable[[bytes], object]] = {}

    def start(self) -> Deferred[None]:
        return succeed(None)

    def stop(self) -> Deferred[None]:
        return succeed(None)

    def publish(self, subject: str, payload: bytes) -> None:
        self.receivers[subject](payload)

    def subscribe(self, subject: str, received: Callable[[bytes], object]) -> Deferred[None]:
        self.receivers[subject] = received
        return self.asked.setdefault(("subscribe", subject), Deferred())

    def unsubscribe(self, subject: str) -> Deferred[None]:
        return self.asked.setdefault(("unsubscribe", subject), Deferred())

    def send(self, address: str, payload: bytes) -> None:
        pass

    def listen(self, address: str, received: Callable[[bytes], object]) -> None:
        pass

    def observe(self, lost: Callable[[], object], back: Callable[[], object]) -> None:
        self.observers = (lost, back)

    def confirm(self, operation: str, subject: str) -> None:
        self.asked.pop((operation, subject)).callback(None)

    def lose(self) -> list[Deferred[None]]:
        """
        @return: the operations that are never confirmed now, in order to be confirmed all the same.
        """
        asked = list(self.asked.values())
        self.asked.clear()
        self.is_lost = True
        self.observers[0]()
        return asked

    def come_back(self) -> None:
        self.is_lost = False
        self.observers[1]()


class InterestTests(SynchronousTestCase):
    """
    L{Interest}.
    """

    def setUp(self) -> None:
        self.clock: Clock = Clock()
        self.bus = ManualBus()
        self.received: list[tuple[str, bytes]] = []
        self.late: list[str] = []
        settings = ClusterSettings(subscribe_window=2)
        self.interest = Interest(
            self.bus,
            self.clock,
            settings,
            lambda subject, payload: self.received.append((subject, payload)),
            self.late.append,
            random.Random(1),
        )

    def phases(self, *subjects: str) -> list[Phase | None]:
        return [self.interest.phase(subject) for subject in subjects]

    def waiting(self, subject: str) -> Deferred[None]:
        """
        A client wants C{subject}, and waits.
        """
        waiter = self.interest.want(subject)
        assert waiter is not None
        return waiter

    def in_force(self, subject: str) -> None:
        self.interest.want(subject)
        self.bus.confirm("subscribe", subject)

    def leaving(self, subject: str) -> None:
        self.in_force(subject)
        self.interest.unwant(subject)
        self.clock.advance(10)

    def test_interface(self) -> None:
        """
        The bus of these tests provides L{IBus}.
        """
        verifyObject(IBus, self.bus)

    def test_want(self) -> None:
        """
        The first client waits until the subject is in force; the next one does not.
        """
        waiting = self.waiting("a")
        self.assertEqual(self.phases("a"), [Phase.ASKED])
        self.assertNoResult(waiting)
        self.bus.confirm("subscribe", "a")
        self.successResultOf(waiting)
        self.assertEqual(self.phases("a"), [Phase.IN_FORCE])
        self.assertIsNone(self.interest.want("a"))
        self.assertEqual(self.late, [])

    def test_received(self) -> None:
        """
        Payloads come with their subject.
        """
        self.in_force("a")
        self.bus.publish("a", b"1")
        self.assertEqual(self.received, [("a", b"1")])

    def test_timeout(self) -> None:
        """
        A client waits for subscribeTimeout at most. If the subject is in force later, the caller hears of it.
        """
        waiting = self.waiting("a")
        self.clock.advance(1)
        self.successResultOf(waiting)
        self.assertEqual(self.late, [])
        self.bus.confirm("subscribe", "a")
        self.assertEqual(self.late, ["a"])

    def test_window(self) -> None:
        """
        Only so many subscriptions are unconfirmed at a time.
        """
        for subject in "abcd":
            self.interest.want(subject)
        self.assertEqual(self.phases(*"abcd"), [Phase.ASKED, Phase.ASKED, Phase.QUEUED, Phase.QUEUED])
        self.assertEqual(self.interest.unconfirmed, 2)
        self.bus.confirm("subscribe", "b")
        self.assertEqual(self.phases(*"abcd"), [Phase.ASKED, Phase.IN_FORCE, Phase.ASKED, Phase.QUEUED])

    def test_linger(self) -> None:
        """
        A subject stays in force for some time after its last client has gone.
        """
        self.in_force("a")
        self.interest.unwant("a")
        self.clock.advance(9)
        self.assertIsNone(self.interest.want("a"))
        self.clock.advance(9)
        self.assertEqual(self.phases("a"), [Phase.IN_FORCE])
        self.interest.unwant("a")
        self.clock.advance(10)
        self.assertEqual(self.phases("a"), [Phase.LEAVING])
        self.bus.confirm("unsubscribe", "a")
        self.assertEqual((self.phases("a"), self.interest.unconfirmed), ([None], 0))

    def test_many_linger(self) -> None:
        """
        Only so many subjects linger. Those that have done so for longest are left first, in whatever phase they are.
        """
        self.patch(lingering, "MAX_LINGERING", 1)
        self.in_force("a")
        for subject in "bcd":
            self.interest.want(subject)
        for subject in "abdc":
            self.interest.unwant(subject)
        self.assertEqual(self.phases(*"abcd"), [Phase.LEAVING, Phase.ASKED, Phase.ASKED, None])
        self.bus.confirm("subscribe", "b")
        self.assertEqual(self.phases("b"), [Phase.LEAVING])
        for subject in "ab":
            self.bus.confirm("unsubscribe", subject)
        self.assertEqual(self.phases(*"abcd"), [None, None, Phase.ASKED, None])

    def test_unwanted_while_queued(self) -> None:
        """
        A subject that is not wanted any more leaves the queue.
        """
        for subject in "abc":
            self.interest.want(subject)
        self.interest.unwant("c")
        self.clock.advance(10)
        self.assertEqual(self.phases("c"), [None])
        self.bus.confirm("subscribe", "a")
        self.assertEqual(list(self.bus.asked), [("subscribe", "b")])

    def test_unwanted_while_asked(self) -> None:
        """
        A subject that comes in force when it has not been wanted for long is left at once.
        """
        self.interest.want("a")
        self.interest.unwant("a")
        self.clock.advance(10)
        self.assertEqual(self.phases("a"), [Phase.ASKED])
        self.bus.confirm("subscribe", "a")
        self.assertEqual((self.phases("a"), self.late), ([Phase.LEAVING], []))

    def test_wanted_while_leaving(self) -> None:
        """
        A subject that is wanted while it is left is asked for again, after that.
        """
        self.leaving("a")
        waiting = self.waiting("a")
        self.assertEqual(self.phases("a"), [Phase.LEAVING])
        self.bus.confirm("unsubscribe", "a")
        self.assertEqual(self.phases("a"), [Phase.ASKED])
        self.assertNoResult(waiting)
        self.bus.confirm("subscribe", "a")
        self.successResultOf(waiting)

    def test_lost(self) -> None:
        """
        When the bus is lost, clients that wait are answered, and confirmations that still come do not count.
        """
        self.in_force("a")
        waiting = self.waiting("b")
        late = self.bus.lose()
        self.successResultOf(waiting)
        late[0].callback(None)
        self.assertEqual(self.phases("a", "b"), [Phase.QUEUED, Phase.QUEUED])
        self.assertIsNone(self.interest.want("c"))
        self.assertEqual(self.phases("c"), [Phase.QUEUED])

    def test_lost_unwanted(self) -> None:
        """
        Subjects that no client wants are not asked for again.
        """
        self.leaving("a")
        self.in_force("b")
        self.interest.unwant("b")
        self.bus.lose()
        self.assertEqual(self.phases("a", "b"), [None, None])
        self.clock.advance(20)

    def test_back(self) -> None:
        """
        When the bus is back, the subjects are asked for after a random time, the last wanted first, and the caller
        hears of each that is in force.
        """
        for subject in "abc":
            self.in_force(subject)
        self.interest.want("a")
        self.bus.lose()
        self.bus.come_back()
        self.assertEqual(list(self.bus.asked), [])
        self.clock.advance(1)
        self.assertEqual(list(self.bus.asked), [("subscribe", "a"), ("subscribe", "c")])
        self.bus.confirm("subscribe", "a")
        self.bus.confirm("subscribe", "c")
        self.bus.confirm("subscribe", "b")
        self.assertEqual(self.late, ["a", "c", "b"])

    def test_lost_again(self) -> None:
        """
        If the bus is lost before the random time is over, nothing is asked for.
        """
        self.in_force("a")
        self.bus.lose()
        self.bus.come_back()
        self.bus.lose()
        self.clock.advance(1)
        self.assertEqual(list(self.bus.asked), [])

    def test_stop(self) -> None:
        """
        At the end the clients that wait are answered, and no timer is left.
        """
        waiting = self.waiting("a")
        self.interest.want("b")
        self.interest.unwant("b")
        self.interest.stop()
        self.successResultOf(waiting)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_back_with_many(self) -> None:
        """
        Very many subjects that are in force when the bus is lost are asked for again over several turns: the last
        wanted first, and none before all are known to be lost. Those that nobody wants are not.
        """
        self.clock = clock = BusyClock()
        self.bus = ManualBus()
        self.interest = Interest(self.bus, self.clock, ClusterSettings(), lambda *payload: None, self.late.append)
        names = [f"e{number}" for number in range(1000)]
        for name in names:
            self.in_force(name)
        unwanted = names[::-10]
        for name in unwanted:
            self.interest.unwant(name)
        clock.tick = 0.0001
        lost, back = self.bus.observers
        lost()
        self.assertTrue(800 < self.phases(*names).count(Phase.IN_FORCE) < 1000)
        clock.advance(ClusterSettings().linger)
        back()
        # The random time is over at once.
        assert self.interest._recovery is not None
        self.interest._recovery.reset(0)
        most = count = 0
        for _ in range(2000):
            clock.advance(0)
            most, count = max(most, len(self.bus.asked) - count), len(self.bus.asked)
        self.assertTrue(0 < most < 200)
        expected = [("subscribe", name) for name in reversed(names) if name not in unwanted]
        self.assertEqual(list(self.bus.asked), expected)

    def test_lost_again_with_many(self) -> None:
        """
        If the bus is lost again before the work on very many subjects has its turn, nothing is asked for until the bus
        is back.
        """
        self.clock = clock = BusyClock()
        self.bus = ManualBus()
        self.interest = Interest(self.bus, self.clock, ClusterSettings(), lambda *payload: None, self.late.append)
        names = [f"e{number}" for number in range(1000)]
        for name in names:
            self.in_force(name)
        clock.tick = 0.0001
        for turns in range(4):
            self.bus.lose()
            self.bus.come_back()
            assert self.interest._recovery is not None
            self.interest._recovery.reset(0)
            for _ in range(turns):
                clock.advance(0)
            self.bus.lose()
            for _ in range(1000):
                clock.advance(0)
            self.assertEqual(list(self.bus.asked), [])
        self.bus.come_back()
        clock.advance(1)
        for _ in range(2000):
            clock.advance(0)
        self.assertEqual(len(self.bus.asked), len(names))

    def test_lost_with_many(self) -> None:
        """
        When the bus is lost, very many clients that wait are answered over several turns.
        """
        self.clock = clock = BusyClock()
        self.bus = ManualBus()
        self.interest = Interest(self.bus, self.clock, ClusterSettings(), lambda *payload: None, self.late.append)
        answers = [self.waiting(f"e{number}") for number in range(1000)]
        clock.tick = 0.0001
        lost, _ = self.bus.observers
        lost()
        at_once = sum(answer.called for answer in answers)
        self.assertTrue(0 < at_once < 200)
        for _ in range(1000):
            self.clock.advance(0)
        self.assertTrue(all(answer.called for answer in answers))
