"""
Tests for L{dstwist.redis.sentinel}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.redis import RedisConnectionSettings
from dstwist.config.redis_nodes import RedisAddress
from dstwist.errors import StoreError
from dstwist.redis.errors import RedisReplyError
from dstwist.redis.primary import Endpoints, Place
from dstwist.redis.sentinel import SentinelPrimary
from tests.redis.stage import Endpoint, Peer

#: The epochs of the answers of three Sentinels, and the ports of the primaries.
Answers = dict[int, Any]


class FakeEndpoints(Endpoints):
    """
    Sentinels at the ports 1 to 3 of one host.
    """

    def __init__(self) -> None:
        self.sentinels = {port: Endpoint() for port in (1, 2, 3)}
        self.servers: list[tuple[str, int]] = []

    def sentinel(self, host: str, port: int) -> Endpoint:
        return self.sentinels[port]

    def server(self, host: str, port: int) -> Endpoint:
        self.servers.append((host, port))
        return Endpoint()


def described(epoch: int, port: int) -> list[Any]:
    """
    The answer of a Sentinel.
    """
    return ["name", "mymaster", "ip", "10.0.0.1", "port", str(port), "config-epoch", str(epoch), "flags", "master"]


class SentinelTests(SynchronousTestCase):
    """
    Three Sentinels.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.endpoints = FakeEndpoints()
        self.moves: list[str] = []
        self.primary = self.make()

    def make(self, **options: Any) -> SentinelPrimary:
        settings = RedisConnectionSettings(
            sentinels=tuple(RedisAddress("s", port) for port in (1, 2, 3)), name="mymaster", **options
        )
        self.primary = SentinelPrimary(settings, self.clock, self.endpoints)
        return self.primary

    def find(self) -> Deferred[Place]:
        found = Deferred.fromCoroutine(self.primary.find())
        self.clock.advance(0)
        return found

    def peer(self, number: int) -> Peer:
        return self.endpoints.sentinels[number].peers[-1]

    def answer(self, answers: Answers) -> None:
        """
        Some Sentinels answer: with an epoch and a port, or with an error.
        """
        for number, answer in answers.items():
            self.assertEqual(self.peer(number).take(), [(b"SENTINEL", b"MASTER", b"mymaster")])
            self.peer(number).answer(described(*answer) if isinstance(answer, tuple) else answer)

    def found(self, answers: Answers) -> str:
        """
        Where the primary is found.
        """
        found = self.find()
        self.answer(answers)
        place: Place = self.successResultOf(found)
        return place.address

    def test_most(self) -> None:
        """
        The answers of more than half of the Sentinels are enough. The connections are kept.
        """
        found = self.find()
        self.answer({2: (5, 7000)})
        self.assertNoResult(found)
        self.answer({3: (5, 7000)})
        self.assertEqual(self.successResultOf(found).address, "10.0.0.1:7000")
        self.assertEqual(self.endpoints.servers, [("10.0.0.1", 7000)])
        again = self.find()
        self.peer(1).take()
        self.peer(2).answer(described(6, 7001))
        self.peer(3).answer(described(6, 7001))
        self.assertEqual(self.successResultOf(again).address, "10.0.0.1:7001")
        self.assertEqual([len(endpoint.peers) for endpoint in self.endpoints.sentinels.values()], [1, 1, 1])

    def test_highest_epoch(self) -> None:
        """
        The last fail-over counts.
        """
        self.assertEqual(self.found({1: (6, 7001), 2: (5, 7000)}), "10.0.0.1:7001")

    def test_cut_off(self) -> None:
        """
        A Sentinel that was cut off from the others does not lead back to the old primary.
        """
        self.assertEqual(self.found({1: (6, 7001), 2: (6, 7001)}), "10.0.0.1:7001")
        for number in (1, 2):
            self.endpoints.sentinels[number].refuses = "refused"
            self.peer(number).close()
        self.answer({3: (5, 7000)})
        self.assertEqual(self.found({3: (5, 7000)}), "10.0.0.1:7001")

    def test_refused(self) -> None:
        """
        Sentinels that cannot be reached, or do not know the name, are passed over.
        """
        self.endpoints.sentinels[1].refuses = "refused"
        unknown = RedisReplyError("ERR No such master with that name")
        self.assertEqual(self.found({2: unknown, 3: (5, 7000)}), "10.0.0.1:7000")

    def test_silent(self) -> None:
        """
        Sentinels that do not answer are waited for only for a while.
        """
        self.endpoints.sentinels[1].refuses = ...
        found = self.find()
        self.answer({3: (5, 7000)})
        self.clock.advance(1)
        self.assertNoResult(found)
        self.clock.advance(1)
        self.assertEqual(self.successResultOf(found).address, "10.0.0.1:7000")
        self.assertTrue(self.peer(2).closed)

    def test_no_answer(self) -> None:
        """
        If there is no answer, the text has the problem of each Sentinel.
        """
        for endpoint in self.endpoints.sentinels.values():
            endpoint.refuses = "refused"
        text = str(self.failureResultOf(self.find(), StoreError).value)
        self.assertIn("mymaster", text)
        self.assertIn("s:1: ", text)
        self.assertIn("refused", text)

    def test_login(self) -> None:
        """
        Sentinels have a user and a password of their own.
        """
        self.make(sentinel_username="ann", sentinel_password="secret")
        found = self.find()
        for number in (1, 2):
            self.assertEqual(self.peer(number).take(), [(b"AUTH", b"ann", b"secret")])
        self.peer(1).answer("OK")
        self.peer(2).answer(RedisReplyError("WRONGPASS invalid"))
        self.clock.advance(0)
        self.assertEqual(self.peer(1).take(), [(b"SENTINEL", b"MASTER", b"mymaster")])
        self.assertTrue(self.peer(2).closed)
        self.primary.stop()
        self.failureResultOf(found, StoreError)

    def test_moved(self) -> None:
        """
        While a server is in use, the Sentinels are asked whether it is still the primary.
        """
        self.found({1: (5, 7000), 2: (5, 7000), 3: (5, 7000)})
        self.primary.watch(self.moves.append)
        for _ in range(3):
            self.clock.advance(1)
            self.clock.advance(0)
            self.answer({1: (5, 7000), 2: (5, 7000), 3: (5, 7000)})
        self.assertEqual(self.moves, [])
        self.clock.advance(1)
        self.clock.advance(0)
        self.answer({1: (4, 7001), 2: (6, 7002)})
        (reason,) = self.moves
        self.assertIn("10.0.0.1:7002", reason)

    def test_older(self) -> None:
        """
        An older answer moves nothing.
        """
        self.found({1: (5, 7000), 2: (5, 7000), 3: (5, 7000)})
        self.primary.watch(self.moves.append)
        self.clock.advance(1)
        self.clock.advance(0)
        self.answer({1: (4, 7001), 2: (4, 7001)})
        self.assertEqual(self.moves, [])

    def test_stop(self) -> None:
        """
        After the stop no connection and no timer is left.
        """
        self.found({1: (5, 7000), 2: (5, 7000)})
        self.primary.watch(self.moves.append)
        self.primary.stop()
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertTrue(all(self.peer(number).closed for number in (1, 2, 3)))
