"""
Tests for L{dstwist.store.redis_status}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.redis import RedisSettings
from dstwist.errors import ConnectionBroken, StoreError
from dstwist.redis.errors import RedisReplyError
from dstwist.store.redis_layout import layout_of
from dstwist.store.redis_status import LOOK_SECONDS, RedisStatus
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
        "table": 0,
        "leases": 0,
    } | changed
    return {
        "INFO memory": found["memory"],
        "INFO persistence": found["persistence"],
        "CONFIG GET appendfsync": found["fsync"],
        "DBSIZE": found["keys"],
        "GET !store": found["id"],
        "heads !store": found["script"],
        "STRLEN !store": 32 if found["id"] else 0,
        "STRLEN !{cluster}table": found["table"],
        "STRLEN !{cluster}leases": found["leases"],
    }


class StatusTests(SynchronousTestCase):
    """
    The state of a Redis.
    """

    def setUp(self) -> None:
        self.lines = Lines(self)
        self.clock = Clock()

    def status(self, arbiter: bool = True, ttl: int | None = None, **changed: Any) -> RedisStatus:
        self.redis = RecordingRedis(answers(**changed))
        settings = RedisSettings(ttl=ttl)
        return RedisStatus(self.redis, settings, layout_of("", False, False), arbiter, "storage", self.clock)

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
        self.assertEqual("3 keys", self.started().contents)
        self.assertEqual("nothing yet", self.started(keys=1).contents)
        self.assertEqual([], self.lines.of("warn") + self.lines.of("critical"))

    def test_own_keys(self) -> None:
        """
        The keys of the server itself, and those of a cluster, do not count.
        """
        leases = RedisReplyError("WRONGTYPE Operation against a key holding the wrong kind of value")
        self.assertEqual("nothing yet", self.started(keys=3, table=100, leases=leases).contents)
        self.assertEqual("1 key", self.started(keys=4, table=100, leases=leases).contents)
        forbidden = RedisReplyError("NOPERM this user has no permissions to run the 'strlen' command")
        self.assertEqual("4 keys", self.started(keys=5, table=forbidden, leases=forbidden).contents)

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

    def look(self) -> list[str]:
        """
        The calls of the next look while the connection stays.
        """
        self.redis.take()
        self.clock.advance(LOOK_SECONDS)
        return [" ".join(words) for words in self.redis.take()]

    def test_looks(self) -> None:
        """
        A look takes two small commands. If nothing has changed, it has no effect. There is none before it is time.
        """
        reasons = self.reconnections(self.started())
        for _ in range(2):
            self.assertEqual(["INFO memory", "GET !store"], self.look())
        self.clock.advance(LOOK_SECONDS / 2)
        self.assertEqual([], self.redis.take())
        self.assertEqual(([], []), (reasons, self.lines.of("warn") + self.lines.of("critical")))

    def test_flushed(self) -> None:
        """
        If the number of the store is missing, it is written again, a line tells it, and the callbacks get the reason,
        each time.
        """
        reasons = self.reconnections(self.started())
        for count, made in enumerate((b"new", b"newer"), 1):
            self.redis.answers = answers()
            del self.redis.answers["GET !store"]
            self.look()
            self.redis.answer(None)
            command, key, _, condition = self.redis.take()[0]
            self.assertEqual(("SET", "!store", "NX"), (command, key, condition))
            self.redis.answers = answers(id=made)
            self.redis.answer(b"OK")
            self.assertEqual(["Redis at 127.0.0.1:6379 has other data than before"] * count, reasons)
            self.assertIn("has lost its data, or has other data", self.lines.last("critical"))
            self.look()
            self.assertEqual((count, count), (len(reasons), len(self.lines.of("critical"))))

    def test_other_number(self) -> None:
        """
        Another number is a sign as well: another server has written it after a loss.
        """
        reasons = self.reconnections(self.started())
        self.redis.answers = answers(id=b"other")
        self.assertEqual(["INFO memory", "GET !store"], self.look())
        self.assertEqual(["Redis at 127.0.0.1:6379 has other data than before"], reasons)
        self.assertEqual(1, len(self.lines.of("critical")))

    def test_flushed_and_full(self) -> None:
        """
        A Redis that takes no number is told once. The number is written when there is room.
        """
        reasons = self.reconnections(self.started())
        self.redis.answers = answers(id=None)
        for _ in range(2):
            self.assertEqual("SET", self.look()[-1].split()[0])
            self.redis.answer(RedisReplyError("OOM full"))
        self.redis.answers = answers(id=b"new")
        self.look()
        self.assertEqual((1, 1), (len(reasons), len(self.lines.of("critical"))))

    def test_evicted_number(self) -> None:
        """
        A cache that may evict records may evict the number. It is written again without a line.
        """
        reasons = self.reconnections(self.started(arbiter=False, memory=EVICTING))
        self.redis.answers = answers(memory=EVICTING)
        del self.redis.answers["GET !store"]
        self.look()
        self.redis.answer(None)
        self.redis.answers = answers(memory=EVICTING, id=b"new")
        self.redis.answer(b"OK")
        self.look()
        self.assertEqual(([], []), (reasons, self.lines.of("critical")))
        self.redis.answers = answers(memory=EVICTING, id=b"other")
        self.look()
        self.assertEqual((1, 1), (len(reasons), len(self.lines.of("critical"))))

    def test_policy_changed(self) -> None:
        """
        A policy that is changed at run time is noticed. The line is not repeated, neither later nor at a connection.
        """
        status = self.started()
        self.redis.answers = answers(memory=EVICTING)
        for happens in (self.look, self.look, self.redis.connect):
            happens()
            self.assertIn("may forget records", str(status.problem))
            (line,) = self.lines.of("critical")
            self.assertIn("REDIS | storage: its maxmemory-policy is allkeys-lru", line)
        self.redis.answers = answers()
        self.look()
        self.assertIsNone(status.problem)

    def test_not_connected(self) -> None:
        """
        A Redis that cannot be used is not looked at. A look that fails changes nothing, and later ones go on.
        """
        status = self.started()
        reasons = self.reconnections(status)
        self.redis.trouble = "it is a replica now"
        self.assertEqual([], self.look())
        self.redis.trouble = None
        for error in (ConnectionBroken("gone"), RedisReplyError("LOADING its data")):
            self.redis.answers = answers(memory=error, id=error)
            self.assertEqual(["INFO memory"], self.look())
            self.redis.answers = answers(id=error)
            self.assertEqual(["INFO memory", "GET !store"], self.look())
        self.redis.answers = answers()
        self.assertEqual(["INFO memory", "GET !store"], self.look())
        self.assertEqual(([], None, []), (reasons, status.problem, self.lines.of("critical")))

    def test_slow_answer(self) -> None:
        """
        A look waits for the answers to the one before.
        """
        self.started()
        del self.redis.answers["INFO memory"]
        self.assertEqual(["INFO memory"], self.look())
        self.assertEqual([], self.look())
        self.redis.answer(b"maxmemory_policy:noeviction\r\n")
        self.assertEqual(["INFO memory"], self.look())

    def test_stop(self) -> None:
        """
        There is no look after the stop, and an answer that comes later has no effect.
        """
        status = self.started()
        reasons = self.reconnections(status)
        del self.redis.answers["GET !store"]
        self.look()
        self.successResultOf(status.stop())
        self.assertTrue(self.redis.stopped)
        self.redis.take()
        self.redis.answer(None)
        self.assertEqual([], self.redis.take())
        self.assertEqual([], self.look())
        self.assertEqual(([], [], []), (reasons, self.lines.of("critical"), self.clock.getDelayedCalls()))
