"""
Tests for L{dstwist.redis.cluster} and L{dstwist.redis.held}. C{tests.e2e.test_redis_cluster} has real servers.
"""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from dstwist.errors import ConnectionBroken, StoreUnreachable
from dstwist.redis.errors import RedisReplyError, TooManyCalls
from dstwist.redis.interface import IRedis
from dstwist.redis.slots import SLOTS, slot_of
from tests.logs import Lines
from tests.redis.cluster_stage import HALF, ClusterTestCase

#: Keys of the first node, the second one in the same slot as the first, and of the second node.
LOW, LOW_TOO, OTHER, HIGH = "{b}", "{b}too", "c", "a"
MOVED = RedisReplyError(f"MOVED {slot_of(LOW)} h:2")
ASK = RedisReplyError(f"ASK {slot_of(LOW)} h:2")
TRYAGAIN = RedisReplyError("TRYAGAIN Multiple keys request during rehashing of slot")


class CallTests(ClusterTestCase):
    """
    Calls in a cluster at rest.
    """

    def test_interface(self) -> None:
        """
        A cluster provides L{IRedis}.
        """
        verifyObject(IRedis, self.cluster)
        self.assertTrue(slot_of(LOW) < HALF > slot_of(OTHER) and slot_of(HIGH) >= HALF)

    def test_owner(self) -> None:
        """
        Each call goes to the primary of the slot of its key.
        """
        self.start()
        self.submit(LOW, "GET", LOW)
        self.submit(HIGH, "GET", HIGH)
        self.assertEqual((self.sent(1), self.sent(2)), (["GET {b}"], ["GET a"]))
        self.answer(2, 2)
        self.answer(1, 1)
        self.assertEqual(self.outcomes, [(HIGH, 2), (LOW, 1)])

    def test_any(self) -> None:
        """
        A call without a key goes to any node that is there.
        """
        self.start()
        self.lose(1, "refused")
        self.submit(None, "TIME")
        self.assertEqual(self.sent(2), ["TIME"])
        self.answer(2, 5)
        self.assertEqual(self.outcomes, [("TIME", 5)])

    def test_too_many(self) -> None:
        """
        The limit is for all nodes together.
        """
        self.start(max_waiting=2)
        for key in (LOW, HIGH, OTHER):
            self.submit(key, "GET", key)
        self.assertEqual(self.kinds(), [(OTHER, TooManyCalls)])

    def test_bad_callback(self) -> None:
        """
        A caller that fails does not keep others from their answers.
        """
        self.start()

        def fail(argument: Any, error: Any, reply: Any) -> None:
            raise ZeroDivisionError

        self.cluster.submit(LOW, ("GET", LOW), fail, None)
        self.submit(LOW, "GET", LOW)
        self.answer(1, 1, 2)
        self.assertEqual(self.outcomes, [(LOW, 2)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class RedirectionTests(ClusterTestCase):
    """
    A slot that moves from the first node to the second one.
    """

    def write(self, *values: int, key: str = LOW) -> None:
        for value in values:
            self.submit(key, "SET", key, value)

    def test_moved(self) -> None:
        """
        All calls of the slot are sent again in their order, when all are answered, and later ones follow them. Other
        slots go on.
        """
        self.start()
        self.write(1, 2, 3)
        self.serve()
        self.ranges = [(0, slot_of(LOW), 2), (slot_of(LOW) + 1, HALF - 1, 1), (HALF, SLOTS - 1, 2)]
        self.answer(1, MOVED, MOVED)
        self.write(4)
        self.write(9, key=OTHER)
        self.assertEqual(self.sent(2), [])
        self.assertEqual(self.sent(1), ["SET {b} 3", "SET c 9"])
        self.answer(1, MOVED)
        self.assertEqual(self.sent(2), ["SET {b} 1", "SET {b} 2", "SET {b} 3"])
        self.answer(2, "OK", "OK", "OK")
        self.assertEqual(self.sent(2), ["SET {b} 4"])
        self.answer(2, "OK")
        self.answer(1, "OK")
        self.assertEqual([name for name, _ in self.outcomes], [1, 2, 3, 4, 9])

    def test_map(self) -> None:
        """
        A call that has moved leads to a new map.
        """
        self.start()
        self.write(1)
        self.ranges = [(0, SLOTS - 1, 2)]
        self.answer(1, MOVED)
        self.assertEqual(self.maps, 2)
        self.answer(2, "OK")
        self.submit(OTHER, "GET", OTHER)
        self.assertEqual(self.sent(2), ["GET c"])
        self.assertTrue(self.nodes.ports[1].peers[-1].closed)

    def test_new_node(self) -> None:
        """
        A node that was not known before is connected to.
        """
        self.start()
        self.write(1)
        self.serve()
        self.ranges = [(0, HALF - 1, 3), (HALF, SLOTS - 1, 2)]
        self.answer(1, RedisReplyError(f"MOVED {slot_of(LOW)} h:3"))
        self.until(lambda: self.sent(3))
        self.answer(3, "OK")
        self.assertEqual(self.kinds(), [(1, b"OK")])

    def test_ask(self) -> None:
        """
        A call whose key has moved already goes to the other node, which is told so. The next call is asked about anew.
        """
        self.start()
        self.write(1)
        self.answer(1, ASK)
        self.assertEqual(self.sent(2), ["ASKING", "SET {b} 1"])
        self.write(2)
        self.assertEqual(self.sent(1), [])
        self.answer(2, "OK", "OK")
        self.assertEqual(self.sent(1), ["SET {b} 2"])
        self.answer(1, ASK)
        self.assertEqual(self.sent(2), ["ASKING", "SET {b} 2"])

    def test_overtaken(self) -> None:
        """
        If a later call on the same key was executed, the earlier one fails, and had no effect. Other keys of the slot
        do not matter.
        """
        self.start()
        self.write(1)
        self.write(2, key=LOW_TOO)
        self.write(3)
        self.answer(1, ASK, ASK, "OK")
        self.assertEqual(self.kinds(), [(1, StoreUnreachable), (3, b"OK")])
        self.assertEqual(self.sent(2), ["ASKING", "SET {b}too 2"])

    def test_doubtful(self) -> None:
        """
        The same if the later call is in doubt.
        """
        self.start()
        self.write(1, 2)
        self.answer(1, ASK)
        self.lose(1)
        self.assertEqual(self.kinds(), [(1, StoreUnreachable), (2, ConnectionBroken)])

    def test_failed(self) -> None:
        """
        The same if the later call has failed, and may have had an effect: its answer is too large, for example.
        """
        for text in ("TOOLARGE an answer", "ERR in a script"):
            self.outcomes.clear()
            self.make()
            self.start()
            self.write(1, 2)
            self.answer(1, ASK, RedisReplyError(text))
            self.assertEqual(self.kinds(), [(1, StoreUnreachable), (2, RedisReplyError)], text)

    def test_refused(self) -> None:
        """
        A later call that was refused had no effect, so the earlier one is sent again.
        """
        self.start()
        self.write(1, 2)
        self.answer(1, ASK, RedisReplyError("OOM no room"))
        self.assertEqual(self.sent(2), ["ASKING", "SET {b} 1"])

    def test_try_again(self) -> None:
        """
        A call whose keys are at two nodes is sent again after a moment.
        """
        self.start()
        self.write(1)
        self.answer(1, TRYAGAIN)
        self.assertEqual(self.sent(1), [])
        self.pass_time(0.1)
        self.assertEqual(self.sent(1), ["SET {b} 1"])
        self.answer(1, "OK")
        self.assertEqual(self.kinds(), [(1, b"OK")])

    def test_never(self) -> None:
        """
        A call that no node executes fails in the end, without effect.
        """
        self.start()
        self.write(1)
        tries = 0
        while not self.outcomes:
            self.pass_time(0.05)
            for port in (1, 2):
                if self.sent(port):
                    tries += 1
                    self.answer(port, RedisReplyError(f"MOVED {slot_of(LOW)} h:{3 - port}"))
        self.assertLess(tries, 20)
        self.assertEqual(self.kinds(), [(1, StoreUnreachable)])

    def test_down(self) -> None:
        """
        A cluster that does not work is a problem. Its calls are tried for a while.
        """
        self.start()
        self.write(1)
        self.state = "fail"
        self.answer(1, RedisReplyError("CLUSTERDOWN The cluster is down"))
        self.assertIn("the cluster does not work", str(self.cluster.problem()))
        while not self.outcomes:
            self.pass_time(0.1)
            if self.sent(1):
                self.answer(1, RedisReplyError("CLUSTERDOWN The cluster is down"))
        self.assertEqual(self.kinds(), [(1, StoreUnreachable)])
        self.assertLess(self.clock.seconds(), 5)
        self.state = "ok"
        self.submit(LOW, "GET", LOW)
        self.pass_time(1)
        self.assertIsNone(self.cluster.problem())

    def test_map_changes(self) -> None:
        """
        If a map shows another owner while calls are at the old one, later calls wait for their answers.
        """
        self.start()
        self.submit(OTHER, "GET", OTHER)
        self.write(1)
        self.assertEqual(self.sent(1), ["GET c", "SET {b} 1"])
        self.ranges = [(0, SLOTS - 1, 2)]
        self.answer(1, RedisReplyError(f"MOVED {slot_of(OTHER)} h:2"))
        self.write(2)
        self.assertEqual(self.sent(2), ["GET c"])
        self.answer(1, "OK")
        self.assertEqual(self.sent(2), ["GET c", "SET {b} 2"])

    def test_last_answers(self) -> None:
        """
        A node that has lost all slots is kept until it has answered all calls.
        """
        self.start()
        self.submit(OTHER, "GET", OTHER)
        self.write(1)
        self.serve()
        self.ranges = [(0, SLOTS - 1, 2)]
        self.answer(1, RedisReplyError(f"MOVED {slot_of(OTHER)} h:2"))
        self.answer(1, "OK")
        self.assertEqual(self.kinds(), [(1, b"OK")])

    def test_disagree(self) -> None:
        """
        A node that is named as the owner is asked for the map first, so that an older map of another node does no harm.
        """
        self.start()
        self.write(1)
        self.serve()
        self.ranges_of[3] = [(0, HALF - 1, 3), (HALF, SLOTS - 1, 2)]
        self.answer(1, RedisReplyError(f"MOVED {slot_of(LOW)} h:3"))
        self.until(lambda: self.sent(3))
        self.write(2)
        self.answer(3, "OK")
        self.assertEqual(self.sent(3), ["SET {b} 2"])


class AwayTests(ClusterTestCase):
    """
    Nodes that are away.
    """

    def test_wait(self) -> None:
        """
        The calls for a node that is away wait; those for others do not.
        """
        self.start()
        self.lose(1)
        for key in (LOW, HIGH, OTHER, LOW):
            self.submit(key, "GET", key)
        self.assertEqual(self.sent(2), ["GET a"])
        self.until(lambda: self.sent(1))
        self.assertEqual(self.sent(1), ["GET {b}", "GET {b}", "GET c"])

    def test_wait_too_long(self) -> None:
        """
        After reconnectWait they fail, and are never sent.
        """
        self.start()
        self.lose(1, "refused")
        self.submit(LOW, "GET", LOW)
        self.pass_time(0.4)
        self.assertEqual(self.outcomes, [])
        self.pass_time(0.2)
        self.assertEqual(self.kinds(), [(LOW, StoreUnreachable)])
        self.nodes.ports[1].refuses = None
        self.pass_time(5)
        self.assertEqual(self.sent(1), [])
        self.assertIsNone(self.cluster.problem())

    def test_replica_takes_over(self) -> None:
        """
        The calls that wait go to the node that takes the place of the other.
        """
        self.start(reconnect_wait=10.0)
        self.submit(LOW, "SET", LOW, 1)
        self.serve()
        self.lose(1, "refused")
        self.assertEqual(self.kinds(), [(1, ConnectionBroken)])
        fence = self.cluster.fence()
        self.submit(LOW, "SET", LOW, 2)
        self.pass_time(1)
        self.assertNoResult(fence)
        self.ranges = [(0, HALF - 1, 4), (HALF, SLOTS - 1, 2)]
        self.until(lambda: self.sent(4))
        self.assertEqual(self.sent(4), ["SET {b} 2"])
        self.assertIsNone(self.cluster.problem())
        # The old node has lost its slots, so its calls have no effect any more.
        self.successResultOf(fence)
        self.successResultOf(self.cluster.fence())

    def test_doubt(self) -> None:
        """
        A call in doubt is a sign that the map may have changed.
        """
        self.start()
        self.submit(LOW, "SET", LOW, 1)
        self.serve()
        self.lose(1, "refused")
        self.serve()
        self.assertEqual(self.maps, 2)

    def test_fence(self) -> None:
        """
        The fence ends the connection in doubt at its node.
        """
        self.start()
        self.submit(LOW, "SET", LOW, 1)
        self.serve()
        self.lose(1)
        fence = self.cluster.fence()
        self.assertNoResult(fence)
        self.until(lambda: fence.called)
        self.successResultOf(fence)

    def test_fence_fails(self) -> None:
        """
        The fence fails while that node is away and has its slots.
        """
        self.start()
        self.submit(LOW, "SET", LOW, 1)
        self.serve()
        self.lose(1, "refused")
        fence = self.cluster.fence()
        self.pass_time(3)
        self.failureResultOf(fence, StoreUnreachable)


class StopTests(ClusterTestCase):
    """
    The stop.
    """

    def test_calls(self) -> None:
        """
        The calls so far get their answers. Then nothing is left.
        """
        self.start()
        self.submit(LOW, "GET", LOW)
        stopped = self.cluster.stop()
        self.submit(HIGH, "GET", HIGH)
        self.serve()
        self.assertNoResult(stopped)
        self.answer(1, 1)
        self.successResultOf(stopped)
        self.assertEqual(self.kinds(), [(HIGH, StoreUnreachable), (LOW, 1)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_held(self) -> None:
        """
        Held calls have their usual time.
        """
        self.start()
        self.lose(1, "refused")
        self.submit(LOW, "GET", LOW)
        stopped = self.cluster.stop()
        self.pass_time(5)
        self.successResultOf(stopped)
        self.assertEqual(self.kinds(), [(LOW, StoreUnreachable)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_answer(self) -> None:
        """
        Calls without an answer fail in the end.
        """
        self.start()
        self.submit(LOW, "SET", LOW, 1)
        self.submit(LOW, "SET", LOW, 2)
        self.answer(1, TRYAGAIN)
        stopped = self.cluster.stop()
        self.pass_time(10)
        self.successResultOf(stopped)
        self.assertEqual({name for name, _ in self.outcomes}, {1, 2})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_map(self) -> None:
        """
        A question for the map that is not answered ends, and is no problem for the log.
        """
        self.start()
        self.submit(LOW, "SET", LOW, 1)
        self.sent(1)
        self.lose(1)
        lines = Lines(self)
        self.successResultOf(self.cluster.stop())
        self.clock.advance(0)
        self.assertEqual(lines.of("critical") + lines.of("error"), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
