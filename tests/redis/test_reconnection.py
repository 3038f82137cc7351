"""
Tests for L{dstwist.redis.reconnection}, on a link.
"""

from __future__ import annotations

import gc
from typing import Any

from twisted.internet.task import Clock

from dstwist.errors import ConnectionBroken, StoreError, StoreUnreachable
from dstwist.redis.errors import RedisReplyError, TooManyCalls
from tests.logs import Lines
from tests.redis.stage import LinkTestCase


class AwayTests(LinkTestCase):
    """
    Calls while there is no connection.
    """

    def test_wait(self) -> None:
        """
        Calls wait for the connection, and are sent in their order.
        """
        self.connect()
        self.peer.close()
        self.submit("a", "GET", "a")
        self.submit("b", "GET", "b")
        self.reconnect()
        self.assertEqual(self.sent(), [])
        self.assertEqual(self.greetings[-1][-2:], [(b"GET", b"a"), (b"GET", b"b")])
        # They may wait for their answers longer than for a connection.
        self.pass_time(1)
        self.peer.answer(1, 2)
        self.assertEqual(self.outcomes, [("a", 1), ("b", 2)])

    def test_wait_too_long(self) -> None:
        """
        A call fails after reconnectWait, and is never sent.
        """
        self.connect()
        self.peer.close()
        self.endpoint.refuses = "refused"
        self.submit("a", "GET", "a")
        self.pass_time(0.4)
        self.assertEqual(self.outcomes, [])
        self.pass_time(0.2)
        self.assertEqual(self.kinds(), [("a", StoreUnreachable)])
        self.assertIn("here:6379", str(self.outcomes[0][1]))
        self.assertIn("refused", str(self.outcomes[0][1]))
        self.endpoint.refuses = None
        self.reconnect()
        self.assertNotIn((b"GET", b"a"), self.greetings[-1])

    def test_too_many(self) -> None:
        """
        No more calls wait than maxWaiting, whether to be sent or to be answered.
        """
        self.connect(max_waiting=3)
        self.submit("a", "GET", "a")
        self.submit("b", "GET", "b")
        self.submit("c", "GET", "c")
        self.submit("d", "GET", "d")
        self.assertEqual(self.kinds(), [("d", TooManyCalls)])
        self.turn()
        self.peer.answer(1)
        self.submit("e", "GET", "e")
        self.submit("f", "GET", "f")
        self.assertEqual(self.kinds(), [("d", TooManyCalls), ("a", 1), ("f", TooManyCalls)])

    def test_too_many_bytes(self) -> None:
        """
        No more bytes of calls wait than maxWaitingBytes.
        """
        self.connect(max_waiting_bytes=1000)
        self.peer.close()
        self.submit("a", "SET", "a", "x" * 800, name="a")
        self.submit("b", "SET", "b", "x" * 800, name="b")
        self.assertEqual(self.kinds(), [("b", TooManyCalls)])
        self.reconnect().answer("OK")
        self.submit("c", "SET", "c", "x" * 800, name="c")
        self.assertEqual(self.kinds()[1:], [("a", b"OK")])

    def test_back_off(self) -> None:
        """
        The waits between the attempts to connect become longer, up to maxReconnectDelay.
        """
        self.connect()
        self.endpoint.refuses = "refused"
        self.peer.close()
        times: list[float] = []
        while len(times) < 9:
            attempts = self.endpoint.attempts
            self.clock.advance(0.01)
            if self.endpoint.attempts > attempts:
                times.append(self.clock.seconds())
        waits = [round(second - first, 1) for first, second in zip(times, times[1:], strict=False)]
        self.assertEqual(waits, [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0])

    def test_bounces(self) -> None:
        """
        A server that ends each connection at once is asked less and less often.
        """
        self.connect()
        for _ in range(6):
            self.peer.close()
            self.reconnect()
        began = self.clock.seconds()
        self.peer.close()
        self.reconnect()
        self.assertGreater(self.clock.seconds() - began, 1.5)

    def test_start_too_long(self) -> None:
        """
        A start fails after connectTimeout, for the reason of the last attempt, and is not tried again.
        """
        self.endpoint.refuses = "it is away"
        started = self.link.start()
        self.pass_time(1.4)
        self.assertNoResult(started)
        # The last attempt is on its way at the end of the time.
        self.endpoint.refuses = ...
        self.pass_time(0.1)
        self.assertIn("it is away", str(self.failureResultOf(started, StoreError).value))
        attempts = self.endpoint.attempts
        self.successResultOf(self.link.stop())
        self.pass_time(5)
        self.assertEqual(self.endpoint.attempts, attempts)

    def test_start_late(self) -> None:
        """
        A server that can be reached shortly before the end of connectTimeout is reached.
        """
        self.endpoint.refuses = "it is away"
        started = self.link.start()
        self.pass_time(1.2)
        self.endpoint.refuses = None
        self.pass_time(0.25)
        self.greet()
        self.successResultOf(started)
        self.pass_time(5)
        self.assertIsNone(self.link.problem())

    def test_start_silent(self) -> None:
        """
        A start fails after connectTimeout if nothing comes back.
        """
        self.endpoint.refuses = ...
        started = self.link.start()
        self.pass_time(1.5)
        self.assertIn("it did not answer in time", str(self.failureResultOf(started, StoreError).value))

    def test_freed(self) -> None:
        """
        A link that is freed while it waits for the greeting leaves no error in the log.
        """
        self.make()
        self.link.start()
        self.turn()
        self.assertTrue(self.peer.take())
        del self.link
        self.endpoint.peers.clear()
        self.clock = Clock()
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_start_over(self) -> None:
        """
        A start that has failed leaves no further attempt and no line in the log, not even about the attempt that it
        has ended. The caller tells the reason.
        """
        lines = Lines(self)
        self.endpoint.refuses = "it is away"
        started = self.link.start()
        self.pass_time(1.4)
        self.assertEqual(len(lines.of("error")), 1)
        self.endpoint.refuses = ...
        self.pass_time(0.1)
        self.failureResultOf(started, StoreError)
        attempts = self.endpoint.attempts
        self.pass_time(5)
        self.assertEqual((self.endpoint.attempts, len(lines.of("error"))), (attempts, 1))

    def test_refusal(self) -> None:
        """
        A refusal at the start is told by the caller only, since it is not tried again.
        """
        lines = Lines(self)
        self.special["PING"] = RedisReplyError("NOAUTH Authentication required.")
        started = self.link.start()
        self.greet()
        self.failureResultOf(started, StoreError)
        self.assertEqual(lines.of("error"), [])

    def test_problem(self) -> None:
        """
        There is a problem while there is no connection. The log says each problem once, and its end.
        """
        lines = Lines(self)
        self.connect()
        self.assertIsNone(self.link.problem())
        self.assertEqual(len(lines.of("info")), 1)
        self.endpoint.refuses = "refused"
        self.peer.close()
        self.assertIn("lost", str(self.link.problem()))
        self.pass_time(10)
        self.assertIn("here:6379", str(self.link.problem()))
        self.assertIn("refused", str(self.link.problem()))
        self.assertEqual(len(lines.of("error")), 2)
        self.endpoint.refuses = None
        self.reconnect()
        self.assertIsNone(self.link.problem())
        self.assertIn("connected to Redis 7.0.15 at here:6379", lines.last("info"))

    def test_part(self) -> None:
        """
        The lines name the part of the server that has the connection: a server may have several to one Redis.
        """
        lines = Lines(self)
        self.connect(part="bus, publishing")
        connected = "REDIS_CONNECTION | connected to Redis 7.0.15 at here:6379 (bus, publishing)"
        self.assertEqual(connected, lines.last("info"))
        self.peer.close()
        self.assertTrue(lines.last("error").startswith("REDIS_CONNECTION | Redis at here:6379 (bus, publishing): "))

    def test_told(self) -> None:
        """
        Callbacks are told of each connection. If one of them fails, the others are called all the same.
        """
        servers: list[Any] = []
        self.link.on_connected += [lambda server: 1 / 0, servers.append]
        self.connect()
        self.peer.close()
        self.facts["run_id"] = "c" * 40
        self.reconnect()
        self.assertEqual([server.run_id[0] for server in servers], ["a", "c"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)


class FenceTests(LinkTestCase):
    """
    The fence.
    """

    def kills(self) -> list[Any]:
        return [words[3] for words in self.greetings[-1] if words[:2] == (b"CLIENT", b"KILL")][1:]

    def break_off(self) -> None:
        self.submit("a", "SET", "a", 1)
        self.turn()
        self.peer.close()

    def test_nothing_in_doubt(self) -> None:
        """
        If no call is in doubt, there is nothing to do, not even if a connection was lost.
        """
        self.connect()
        self.successResultOf(self.link.fence())
        self.peer.close()
        self.successResultOf(self.link.fence())

    def test_kill(self) -> None:
        """
        A connection that was lost with calls is ended at the server, before any other call is sent.
        """
        self.connect()
        self.break_off()
        fence = self.link.fence()
        self.assertNoResult(fence)
        self.submit("b", "GET", "b")
        self.reconnect()
        self.assertEqual(self.kills(), [b"101"])
        self.assertEqual(self.greetings[-1][-1], (b"GET", b"b"))
        self.successResultOf(fence)
        self.successResultOf(self.link.fence())

    def test_without_fence(self) -> None:
        """
        That is done even without a request for a fence: a call that waited must not be overtaken by an older one.
        """
        self.connect()
        self.break_off()
        self.reconnect()
        self.assertEqual(self.kills(), [b"101"])

    def test_given_up(self) -> None:
        """
        The same for a connection that was given up.
        """
        self.connect()
        self.submit("a", "SET", "a", 1)
        self.pass_time(5)
        self.greet()
        self.assertEqual(self.kills(), [b"101"])

    def test_again(self) -> None:
        """
        If the new connection is lost before the old one was ended, the next one does it.
        """
        self.connect()
        self.break_off()
        fence = self.link.fence()
        self.special["CLIENT KILL ID 101"] = RedisReplyError("LOADING")
        self.reconnect()
        self.assertNoResult(fence)
        self.assertTrue(self.peer.closed)
        self.special.clear()
        self.reconnect()
        self.assertEqual(self.kills(), [b"101"])
        self.successResultOf(fence)

    def test_other_process(self) -> None:
        """
        If Redis was restarted, its connections have ended with it.
        """
        self.connect()
        self.break_off()
        fence = self.link.fence()
        self.facts["run_id"] = "c" * 40
        self.reconnect()
        self.assertEqual(self.kills(), [])
        self.successResultOf(fence)

    def test_unreachable(self) -> None:
        """
        If there is no connection for too long, the fence fails; a later one may succeed.
        """
        self.connect()
        self.endpoint.refuses = "refused"
        self.break_off()
        fence = self.link.fence()
        self.pass_time(1)
        self.assertNoResult(fence)
        self.pass_time(1)
        self.assertIn("refused", str(self.failureResultOf(fence, StoreUnreachable).value))
        self.endpoint.refuses = None
        self.reconnect()
        self.successResultOf(self.link.fence())

    def test_forbidden(self) -> None:
        """
        A user that may not end connections is refused at the start: doubt could never be resolved.
        """
        self.special["CLIENT KILL"] = RedisReplyError("NOPERM this user has no permissions to run 'client|kill'")
        started = self.link.start()
        self.greet()
        self.assertIn("+client|kill", str(self.failureResultOf(started, StoreError).value))


class StopTests(LinkTestCase):
    """
    The stop.
    """

    def test_idle(self) -> None:
        """
        Without calls the connection ends at once, and nothing is left.
        """
        self.connect()
        self.successResultOf(self.link.stop())
        self.assertTrue(self.peer.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_calls(self) -> None:
        """
        The calls so far get their answers; later ones are refused.
        """
        self.connect()
        self.submit("a", "GET", "a")
        stopped = self.link.stop()
        self.submit("b", "GET", "b")
        self.turn()
        self.assertNoResult(stopped)
        self.peer.answer(1)
        self.successResultOf(stopped)
        self.assertEqual(self.kinds(), [("b", StoreUnreachable), ("a", 1)])

    def test_no_answer(self) -> None:
        """
        The stop waits for answers only for a while.
        """
        self.connect()
        self.submit("a", "GET", "a")
        stopped = self.link.stop()
        self.pass_time(5)
        self.successResultOf(stopped)
        self.assertEqual(self.kinds(), [("a", ConnectionBroken)])
        self.clock.advance(10)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_away(self) -> None:
        """
        Without a connection, the calls that wait have their usual time; then they fail.
        """
        self.connect()
        self.endpoint.refuses = "refused"
        self.break_off()
        self.submit("b", "GET", "b")
        fence = self.link.fence()
        stopped = self.link.stop()
        self.assertNoResult(stopped)
        self.pass_time(1)
        self.successResultOf(stopped)
        self.failureResultOf(fence, StoreUnreachable)
        self.assertEqual(self.kinds()[1:], [("b", StoreUnreachable)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def break_off(self) -> None:
        self.submit("a", "SET", "a", 1)
        self.turn()
        self.peer.close()

    def test_at_once(self) -> None:
        """
        The link may be stopped in the moment in which it has started.
        """
        started = self.link.start()
        started.addCallback(lambda ignored: self.link.stop())
        self.greet()
        self.successResultOf(started)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_during_start(self) -> None:
        """
        A start that is going on fails.
        """
        self.endpoint.refuses = ...
        started = self.link.start()
        self.successResultOf(self.link.stop())
        self.failureResultOf(started, StoreError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_never_started(self) -> None:
        """
        A link that was not started stops at once.
        """
        self.successResultOf(self.link.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])
