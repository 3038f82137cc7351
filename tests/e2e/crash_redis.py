"""
The crash test of a Redis as the store. In each round the server is killed, or the Redis.

The Redis writes each change to its disk before it answers (C{appendfsync always}). When it was killed, it stays away
for a while. The server goes on meanwhile: it refuses requests, or lets them wait. When the Redis is back, the server
has to heal by itself; then nothing may be lost, and subscribers have to know what there is.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from tests.e2e.crash import CrashTest
from tests.e2e.crash_clients import Actor, Subscriber, Writer
from tests.e2e.raw import RawClient
from tests.e2e.server import PATIENCE
from tests.redis_server import RedisServer

#: The longest time without a Redis. Requests wait for half a second before they are refused.
MOST_SECONDS_AWAY = 1.5

#: The configuration, by what the Redis is. The server connects again soon, so that a round is short.
CONFIG = "{tier}: {{type: redis, options: {{host: 127.0.0.1, port: {port}, maxReconnectDelay: 100}}}}\n"


class RedisCrashTest(CrashTest):
    """
    Rounds with a Redis, in which the server and the Redis are killed in turn.

    @param directory: for the configuration file.
    @param tier: C{"storage"} or C{"cache"}: what the Redis is.
    @param durable: whether the Redis writes each change to its disk.
    """

    outages = True
    expected = re.compile(r"#error\] (REDIS_CONNECTION|RECORD_(LOAD|UPDATE|DELETE)_ERROR|\w+_RETRIEVAL_TIMEOUT) \|")

    def __init__(self, directory: Path, seed: int, tier: str = "storage", durable: bool = True) -> None:
        self._redis = RedisServer(durable=durable)
        config = directory / "config.yml"
        config.write_text(CONFIG.format(tier=tier, port=self._redis.port), encoding="utf-8")
        super().__init__(seed, config)
        self._rounds = 0

    def round(self) -> None:
        if not self._redis.running:
            self._redis.start()
        self._rounds += 1
        if self._rounds % 2:
            super().round()
        else:
            self._round_with_outage()

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self._redis.destroy()

    def _round_with_outage(self) -> None:
        self._server.start()
        self._compare()
        actors = self._load()
        self._wait()
        self._redis.kill()
        time.sleep(self._random.choice((0, self._random.uniform(0, MOST_SECONDS_AWAY))))
        self._redis.start()
        self._heal()
        self._wait()
        for actor in actors:
            if isinstance(actor, Writer):
                actor.enough = True
        self._join([actor for actor in actors if isinstance(actor, Writer)])
        self._compare()
        if not self.book.problems:
            self._compare_subscribers(actors)
        for actor in actors:
            actor.end()
        self._join(actors)
        self._check_log()
        self._server.kill()

    def _heal(self) -> None:
        """
        Come back when the server writes again.
        """
        late = time.monotonic() + PATIENCE
        client = RawClient(self._server.port, "v4", "healer")
        ends = frozenset(RecordAction) - {RecordAction.VERSION_EXISTS}
        while time.monotonic() < late:
            request = Message(
                Topic.RECORD, RecordAction.CREATEANDUPDATE, "healed", b"{}", version=-1, is_write_ack=True
            )
            request.correlation_id = "1"
            if client.answer(request, *ends).action is RecordAction.WRITE_ACKNOWLEDGEMENT:
                break
            time.sleep(0.005)
        else:
            self.book.complain("the server does not write again")
        client.close()

    def _compare_subscribers(self, actors: list[Actor]) -> None:
        """
        What subscribers were told last is what there is.
        """
        for subscriber in (actor for actor in actors if isinstance(actor, Subscriber)):
            late = time.monotonic() + PATIENCE
            while wrong := [
                name for name in subscriber.names if subscriber.versions.get(name, 0) != self._versions[name]
            ]:
                if time.monotonic() > late:
                    for name in wrong:
                        told = subscriber.versions.get(name)
                        self.book.complain(f"{name} is at {self._versions[name]}, but subscribers believe in {told}")
                    break
                time.sleep(0.005)
