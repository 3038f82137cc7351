"""
The crash test of a Redis as the store. In each round one of three things happens:

================================  =====================================================================================
SIGKILL for the server            as with other stores
SIGKILL for the Redis             it stays away for a while, and has what is on its disk: it writes each change there
                                  before it answers (C{appendfsync always})
SIGSTOP for the Redis             it answers nothing for a while, and then finds what the server has sent before it gave
                                  up the connection: writes that take effect late
================================  =====================================================================================

When the Redis fails, the server goes on: it lets requests wait, or refuses them. Afterwards it has to heal by itself.
Then nothing may be lost, and subscribers have to know what there is.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
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

#: The configuration, by what the Redis is. The server connects again soon, and gives up a silent connection soon, so
#: that a round is short.
CONFIG = """
{tier}:
  type: redis
  options: {{host: 127.0.0.1, port: {port}, maxReconnectDelay: 100, commandTimeout: 400, probeInterval: 200}}
"""

#: What happens in turn.
KINDS = 3


class RedisCrashTest(CrashTest):
    """
    Rounds with a Redis. The server is killed, the Redis is killed, and the Redis is stopped in turn.

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
        kind = self._rounds % KINDS
        self._rounds += 1
        if kind == 0:
            super().round()
        else:
            self._round_with_outage(self._kill if kind == 1 else self._pause)

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self._redis.destroy()

    def _kill(self) -> None:
        self._redis.kill()
        time.sleep(self._random.choice((0, self._random.uniform(0, MOST_SECONDS_AWAY))))
        self._redis.start()

    def _pause(self) -> None:
        self._redis.pause()
        time.sleep(self._random.uniform(0, MOST_SECONDS_AWAY))
        self._redis.resume()

    def _round_with_outage(self, outage: Callable[[], None]) -> None:
        self._server.start()
        self._compare()
        actors = self._load()
        self._wait()
        outage()
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
        What subscribers were told last is what there is. A subscription that was refused does not count.
        """
        for subscriber in (actor for actor in actors if isinstance(actor, Subscriber)):
            late = time.monotonic() + PATIENCE
            while wrong := self._unknown_to(subscriber):
                if time.monotonic() > late:
                    for name in wrong:
                        told = subscriber.versions.get(name)
                        self.book.complain(f"{name} is at {self._versions[name]}, but subscribers believe in {told}")
                    break
                time.sleep(0.005)

    def _unknown_to(self, subscriber: Subscriber) -> list[str]:
        """
        The records of which a subscriber knows another version than there is, or none.
        """
        told, refused = subscriber.versions, subscriber.refusals
        return [name for name in subscriber.names if told.get(name) != self._versions[name] and name not in refused]
