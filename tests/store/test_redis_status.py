"""
Tests for L{dstwist.store.redis_status}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.redis import RedisSettings
from dstwist.errors import ConnectionBroken, StoreError
from dstwist.redis.errors import RedisReplyError
from dstwist.store.redis_layout import layout_of
from dstwist.store.redis_status import RedisStatus
from tests.logs import Lines
from tests.store.recorder import SERVER, RecordingRedis

EVICTING = b"maxmemory:1\r\nmaxmemory_policy:allkeys-lru\r\n"


def answers(**changed: Any) -> dict[str, Any]:
    """
    The answers of a Redis that is fit for records.
    """
    found = {
        "memory": b"# Memory\r\nmaxmemory_policy:noeviction\r\n",
        "persistence": b"aof_enabled:1\r\n",
        "fsync": [b"appendfsync", b"always"],
        "keys": 4,
        "id": b"abc",
        "script": [b""],
    } | changed
    return {
        "INFO memory": found["memory"],
        "INFO persistence": found["persistence"],
        "CONFIG GET appendfsync": found["fsync"],
        "DBSIZE": found["keys"],
        "GET !store": found["id"],
        "heads !store": found["script"],
    }


class StatusTests(SynchronousTestCase):
    """
    The state of a Redis.
    """

    def setUp(self) -> None:
        self.lines = Lines(self)

    def status(self, arbiter: bool = True, ttl: int | None = None, **changed: Any) -> RedisStatus:
        self.redis = RecordingRedis(answers(**changed))
        settings = RedisSettings(ttl=ttl)
        return RedisStatus(self.redis, settings, layout_of("", False, False), arbiter, "storage")

    def started(self, **options: Any) -> RedisStatus:
        status = self.status(**options)
        self.successResultOf(Deferred.fromCoroutine(status.start()))
        return status

    def refused(self, **options: Any) -> str:
        status = self.status(**options)
        failure = self.failureResultOf(Deferred.fromCoroutine(status.start()), StoreError)
        self.assertTrue(self.redis.stopped)
        return str(failure.value)

    def test_fit(self) -> None:
        """
        A Redis that loses nothing needs no line, but tells its content.
        """
        self.assertEqual("4 keys", self.started().contents)
        self.assertEqual("nothing yet", self.started(keys=0).contents)
        self.assertEqual([], self.lines.of("warn") + self.lines.of("critical"))

    def test_evicting(self) -> None:
        """
        A Redis that may forget records is refused, unless another store has them.
        """
        problem = self.refused(memory=EVICTING)
        self.assertTrue(problem.startswith("Redis at 127.0.0.1:6379: its maxmemory-policy is allkeys-lru, so it may"))
        self.assertIsNone(self.started(arbiter=False, memory=EVICTING, persistence=b"").problem)
        self.assertEqual([], self.lines.of("warn") + self.lines.of("critical"))

    def test_no_scripts(self) -> None:
        """
        A Redis that refuses scripts is refused.
        """
        problem = self.refused(script=RedisReplyError("NOPERM this user has no permissions to run 'evalsha'"))
        self.assertIn("it executes no scripts, which need +evalsha and +script|load: NOPERM", problem)
        self.assertEqual("gone", self.refused(script=ConnectionBroken("gone")))

    def test_not_durable(self) -> None:
        """
        The log tells what a failure of Redis could cost.
        """
        for changed, expected in (
            ({"persistence": b"aof_enabled:0\r\n"}, "Redis has no append-only file"),
            ({"fsync": [b"appendfsync", b"everysec"]}, "Redis writes to the disk once a second or less"),
            ({"ttl": 60}, "records are forgotten 60 s after their last write"),
        ):
            self.started(**changed)
            self.assertIn(f"REDIS | storage: {expected}", self.lines.last("warn"))

    def test_not_told(self) -> None:
        """
        A Redis that does not tell its configuration, or takes no key of the server, is used all the same.
        """
        self.started(fsync=RedisReplyError("ERR unknown command 'CONFIG'"))
        self.started(fsync=[])
        status = self.status(id=None)
        started = Deferred.fromCoroutine(status.start())
        self.assertEqual("SET", self.redis.calls[-1][0])
        self.redis.answer(RedisReplyError("OOM full"))
        self.successResultOf(started)
        self.assertEqual([], self.lines.of("warn") + self.lines.of("critical"))

    def test_forbidden(self) -> None:
        """
        If the user may not do what is needed, the server does not start, and the text says which Redis it is and what
        the user needs.
        """
        error = RedisReplyError("NOPERM this user has no permissions to run the 'x' command")
        for forbidden in ("keys", "id"):
            text = self.refused(**{forbidden: error})
            self.assertTrue(text.startswith("Redis at 127.0.0.1:6379: NOPERM this user"), text)
            self.assertIn("docs/redis.rst", text)

    def test_read_only_user(self) -> None:
        """
        A user who may only read is refused.
        """
        status = self.status(id=None)
        started = Deferred.fromCoroutine(status.start())
        self.assertEqual("SET", self.redis.calls[-1][0])
        self.redis.answer(RedisReplyError("NOPERM this user has no permissions to run the 'set' command"))
        self.assertIn("NOPERM", str(self.failureResultOf(started, StoreError).value))

    def test_lost(self) -> None:
        """
        A connection that is lost during the checks fails the start.
        """
        self.assertEqual("gone", self.refused(memory=ConnectionBroken("gone"), persistence=ConnectionBroken("gone")))

    def test_later(self) -> None:
        """
        Each later connection is looked at again. The same line is not repeated.
        """
        status = self.started(persistence=b"aof_enabled:0\r\n")
        self.redis.connect()
        self.assertEqual(1, len(self.lines.of("warn")))
        self.redis.answers = answers(memory=EVICTING)
        self.redis.connect()
        self.assertIn("may forget records", str(status.problem))
        self.assertIn("REDIS | storage: its maxmemory-policy is allkeys-lru", self.lines.last("critical"))
        self.redis.answers = answers()
        self.redis.connect()
        self.assertIsNone(status.problem)
        self.redis.answers = answers(keys=ConnectionBroken("gone"))
        self.redis.connect()

    def test_other_data(self) -> None:
        """
        If the data are not those of before, a line tells it once.
        """
        self.started()
        self.redis.answers = answers(id=b"other")
        self.redis.connect()
        self.redis.connect()
        (line,) = self.lines.of("critical")
        self.assertIn("has lost its data, or has other data than before", line)

    def reconnections(self, status: RedisStatus) -> list[str | None]:
        """
        The reasons that are told from now on.
        """
        reasons: list[str | None] = []
        status.on_reconnected(reasons.append)
        return reasons

    def test_back(self) -> None:
        """
        Each later connection is told, with the reason if Redis may have less than before.
        """
        reasons = self.reconnections(self.started())
        self.redis.connect()
        self.redis.connect(SERVER._replace(run_id="c" * 40))
        self.redis.connect(SERVER._replace(run_id="c" * 40))
        self.redis.connect(SERVER._replace(run_id="c" * 40, replication_id="d" * 40))
        self.redis.connect(SERVER._replace(address="127.0.0.1:6380"))
        self.redis.answers = answers(id=b"other")
        self.redis.connect(SERVER._replace(address="127.0.0.1:6380"))
        self.assertEqual(
            reasons,
            [
                None,
                "127.0.0.1:6379 was restarted",
                None,
                "127.0.0.1:6379 has been a replica",
                "another server answers, 127.0.0.1:6380",
                "Redis at 127.0.0.1:6379 has other data than before",
            ],
        )

    def test_first_server_again(self) -> None:
        """
        A server that was the primary before another one may have less than that one.
        """
        reasons = self.reconnections(self.started())
        other = SERVER._replace(address="127.0.0.1:6380")
        for server in (other, other, SERVER):
            self.redis.connect(server)
        self.assertEqual(
            reasons, ["another server answers, 127.0.0.1:6380", None, "another server answers, 127.0.0.1:6379"]
        )

    def test_lost_again(self) -> None:
        """
        If the connection is lost again before Redis was looked at, the reason is told with the next connection.
        """
        reasons = self.reconnections(self.started())
        self.redis.answers = answers(keys=ConnectionBroken("gone"))
        self.redis.connect(SERVER._replace(run_id="c" * 40))
        self.assertEqual(reasons, [])
        self.redis.answers = answers()
        self.redis.connect(SERVER._replace(run_id="c" * 40))
        self.assertEqual(reasons, ["127.0.0.1:6379 was restarted"])

    def test_not_looked_at(self) -> None:
        """
        A Redis that refuses to tell its state is told as well.
        """
        reasons = self.reconnections(self.started())
        self.redis.answers = answers(keys=RedisReplyError("BUSY a script runs"))
        self.redis.connect()
        self.assertEqual(reasons, [None])
