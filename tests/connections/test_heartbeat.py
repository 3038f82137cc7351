"""
Heartbeats of many connections on one timer.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.connections.heartbeat import SLOTS_PER_INTERVAL, Heartbeat
from tests.fakes import BusyClock
from tests.turns import LONGEST, turn_lengths


class HeartbeatTests(SynchronousTestCase):
    """
    L{Heartbeat}, every thirty seconds.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.heartbeat = Heartbeat(30, self.clock)
        self.beats: list[tuple[float, object]] = []

    def add(self, key: object) -> None:
        self.heartbeat.add(key, lambda: self.beats.append((self.clock.seconds(), key)))

    def wait(self, seconds: float) -> list[tuple[float, object]]:
        """
        The beats of the next C{seconds}.
        """
        self.beats.clear()
        self.clock.pump([0.5] * int(seconds * 2))
        return list(self.beats)

    def test_interval(self) -> None:
        """
        A connection hears from the server once an interval, first one interval after it came.
        """
        self.add("ann")
        self.assertEqual(self.wait(95), [(30, "ann"), (60, "ann"), (90, "ann")])

    def test_broken(self) -> None:
        """
        A connection whose beat fails does not keep the others from theirs; the log tells.
        """

        def fail() -> None:
            raise ZeroDivisionError

        self.add("ann")
        self.heartbeat.add("broken", fail)
        self.add("bob")
        self.assertEqual(self.wait(30), [(30, "ann"), (30, "bob")])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_slots(self) -> None:
        """
        Connections that come at different times are not called at once, but each an interval after it came, give or
        take a slot.
        """
        came: dict[object, float] = {}
        for number in range(SLOTS_PER_INTERVAL):
            key: object = number
            came[key] = self.clock.seconds()
            self.add(key)
            self.wait(3)
        beats = self.wait(30)
        self.assertEqual(len({when for when, _ in beats}), SLOTS_PER_INTERVAL)
        for when, key in beats:
            self.assertIn((when - came[key]) % 30, (27, 0, 3))

    def test_first_beat(self) -> None:
        """
        Also a connection that comes between two ticks waits an interval, give or take a slot.
        """
        self.add("ann")
        self.wait(1)
        self.add("bob")
        ((_, first),) = [(key, when) for when, key in self.wait(35) if key == "bob"]
        self.assertTrue(27 <= first - 1 <= 33)

    def test_remove(self) -> None:
        """
        A connection that is gone is not called any more; the others are.
        """
        self.add("ann")
        self.add("bob")
        self.heartbeat.remove("ann")
        self.assertEqual([key for _, key in self.wait(31)], ["bob"])

    def test_remove_unknown(self) -> None:
        """
        A key that was never added can be removed.
        """
        self.heartbeat.remove("ann")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_idle(self) -> None:
        """
        Without connections no timer runs; it starts again with the next connection.
        """
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.add("ann")
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.heartbeat.remove("ann")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.add("bob")
        self.assertEqual([key for _, key in self.wait(31)], ["bob"])

    def test_one_timer(self) -> None:
        """
        However many connections, there is one timer.
        """
        for key in range(100):
            self.add(key)
            self.wait(0.5)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_remove_itself(self) -> None:
        """
        A connection found dead by its own beat is removed then and there, and no timer is left.
        """
        self.heartbeat.add("ann", lambda: self.heartbeat.remove("ann"))
        self.wait(31)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_remove_another(self) -> None:
        """
        A connection that is removed while another is called is not called any more, not even in this round.
        """
        self.heartbeat.add("ann", lambda: self.heartbeat.remove("bob"))
        self.add("bob")
        self.assertEqual(self.wait(31), [])

    def test_add_during_beat(self) -> None:
        """
        A connection that comes while another is called waits its interval like any other.
        """
        self.heartbeat.add("ann", lambda: self.add("bob"))
        self.assertEqual(self.wait(31), [])
        self.heartbeat.remove("ann")
        self.assertEqual(self.wait(30), [(60, "bob")])

    def test_add_again(self) -> None:
        """
        A connection that is added again is called once an interval, in the new way.
        """
        self.add("ann")
        self.wait(9)
        self.heartbeat.add("ann", lambda: self.beats.append((self.clock.seconds(), "new")))
        self.assertEqual(self.wait(31), [(39, "new")])
        self.heartbeat.remove("ann")
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ManyBeatsTests(SynchronousTestCase):
    """
    The heartbeats of very many connections.
    """

    def test_turns(self) -> None:
        """
        Thousands of beats that are due in one instant are spread over turns, each once.
        """
        clock = BusyClock()
        heartbeat = Heartbeat(10.0, clock)
        beats: list[int] = []

        def beat(number: int) -> Callable[[], None]:
            def beats_once() -> None:
                clock.rightNow += 2e-5
                beats.append(number)

            return beats_once

        for number in range(5000):
            heartbeat.add(number, beat(number))
        clock.rightNow += 9.5
        longest = 0.0
        while len(beats) < 5000:
            longest = max(longest, *turn_lengths(clock, list))
            clock.rightNow += 0.5
        self.assertLess(longest, LONGEST)
        self.assertEqual(beats, list(range(5000)))
