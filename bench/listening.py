"""
Listening with very many names: how long one turn of the reactor takes at most, all turns together, and how many timers
there are then; in CPU time. Clients cost as much as it takes to encode what they are sent.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.selectreactor import SelectReactor

from dstwist.config.settings import ListenSettings
from dstwist.interfaces import IPermission
from dstwist.patterns.javascript import compile_pattern
from dstwist.patterns.table import PatternTable
from dstwist.permission.valve.permission import ValvePermission
from dstwist.permission.valve.rules import load_permissions
from dstwist.protocol import protobuf
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing.listeners import ListenerRegistry
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.transports.wire import WebSocketWire
from tests.fakes import FakeConnection

NAMES = 100_000


class WorkReactor(SelectReactor):
    """
    A reactor whose clock goes by the CPU time of this process, and by what is skipped besides.
    """

    skipped = 0.0

    def seconds(self) -> float:
        return self.skipped + time.process_time()


class Deaf(FakeConnection):
    """
    A connection that forgets what it was sent.
    """

    def write(self, frame: object) -> None:
        pass


class Topics:
    """
    The records of one node.
    """

    def __init__(self, response_timeout: float = 1000.0, permission: IPermission | None = None) -> None:
        self.clock = WorkReactor()
        self.subscriptions = SubscriptionRegistry(Topic.RECORD)
        settings = ListenSettings(response_timeout=response_timeout)
        self.listeners = ListenerRegistry(
            Topic.RECORD, self.subscriptions, settings, self.clock, announce=True, permission=permission
        )

    def connection(self) -> Deaf:
        return Deaf(wire=WebSocketWire(protobuf.SERVER, binary=True))

    def subscribed(self, names: list[str]) -> None:
        connection = self.connection()
        for name in names:
            self.subscriptions.add(name, connection)

    def listen(self, connection: Deaf, pattern: str) -> None:
        self.listeners.handle(Message(Topic.RECORD, RecordAction.LISTEN, pattern), connection)

    def listener(self, *patterns: str) -> Deaf:
        connection = self.connection()
        for pattern in patterns:
            self.listen(connection, pattern)
        return connection

    def finish(self) -> list[float]:
        """
        Run all turns that are due, and return the time of each.
        """
        turns = []
        while self.clock.timeout() == 0:
            turns.append(elapsed(self.clock.runUntilCurrent))
        return turns

    def report(self, what: str, deed: Callable[[], object]) -> None:
        gc.collect()
        gc.freeze()
        turns = [elapsed(deed), *self.finish()]
        timers = len(self.clock.getDelayedCalls())
        print(f"{what:58} {max(turns) * 1e3:9.1f} ms a turn {sum(turns):8.2f} s together {timers:7} timers")
        self.listeners.stop()


def elapsed(deed: Callable[[], object]) -> float:
    before = time.process_time()
    deed()
    return time.process_time() - before


def names(count: int) -> list[str]:
    return [f"sensors/room{number % 997}/value{number}" for number in range(count)]


def others(count: int) -> list[str]:
    """
    Patterns that none of the names match.
    """
    return [f"^shelves/room{number}/.*" for number in range(count)]


def rematch(count: int, patterns: int) -> None:
    topics = Topics()
    topics.subscribed(names(count))
    topics.listener(*others(patterns))
    topics.finish()
    topics.clock.skipped += 30
    topics.report(f"rematch, {count} names that match none of {patterns} patterns", lambda: None)


def rematch_failed(count: int) -> None:
    topics = Topics(response_timeout=1.0)
    topics.subscribed(names(count))
    topics.listener(".*")
    for _ in range(3):
        topics.clock.skipped += 10
        topics.finish()
    topics.clock.skipped += 30
    topics.report(f"rematch, {count} names without a provider", lambda: None)


def leaving(count: int, patterns: int) -> None:
    topics = Topics()
    topics.listener(*others(patterns))
    provider = topics.listener(".*")
    topics.subscribed(names(count))
    for name in names(count):
        accept = Message(Topic.RECORD, RecordAction.LISTEN_ACCEPT, ".*", subscription=name)
        topics.listeners.handle(accept, provider)
    topics.listener(".*")
    topics.finish()
    topics.report(f"a provider of {count} names leaves, {patterns} other patterns", provider.close)


def new_listener(count: int, patterns: int) -> None:
    topics = Topics()
    topics.listener(*others(patterns))
    topics.subscribed(names(count))
    topics.finish()
    connection = topics.connection()
    topics.report(f"LISTEN .* with {count} names, {patterns} other patterns", lambda: topics.listen(connection, ".*"))


def silence(count: int) -> None:
    topics = Topics(response_timeout=1000.0)
    topics.listener(".*")
    topics.listener(".*")
    topics.subscribed(names(count))
    topics.finish()
    topics.clock.skipped += 1000
    topics.report(f"{count} questions unanswered, the next one is asked", lambda: None)


def subscribing(count: int, patterns: int) -> None:
    topics = Topics()
    listened = others(patterns)
    random.Random(1).shuffle(listened)
    topics.listener(*listened)
    topics.finish()
    topics.report(f"{count} names subscribed, {patterns} patterns", lambda: topics.subscribed(names(count)))


def judged(count: int, rules: dict[str, Any] | None) -> None:
    """
    Names that are offered to one listener, by rules for listening; without any, nothing is judged.
    """
    permission: IPermission | None = None
    if rules is not None:
        sections: dict[str, Any] = {each: {"*": {}} for each in ("record", "event", "rpc", "presence")}
        permission = ValvePermission(load_permissions({**sections, "record": rules}), time.time)
    topics = Topics(permission=permission)
    topics.listener(".*")
    topics.finish()
    topics.report(f"{count} names offered, rules {rules}", lambda: topics.subscribed(names(count)))


def matching(patterns: int) -> None:
    table: PatternTable[int] = PatternTable()
    compiled = [compile_pattern(text, 1000) for text in others(patterns)]
    for number, pattern in enumerate(compiled):
        table.add(str(number), pattern, number)
    some = names(2000)
    singly = elapsed(lambda: [pattern.matches(name) for name in some for pattern in compiled]) / len(some)
    together = elapsed(lambda: [table.matching(name) for name in some]) / len(some)
    print(f"a name and {patterns} patterns: {singly * 1e6:.1f} us one by one, {together * 1e6:.1f} us in one pass")


def main() -> None:
    for patterns in (1, 10, 100, 1000):
        matching(patterns)
    rematch(30_000, 50)
    rematch(NAMES, 100)
    rematch_failed(30_000)
    leaving(NAMES, 0)
    leaving(NAMES, 100)
    new_listener(NAMES, 0)
    new_listener(NAMES, 100)
    silence(30_000)
    subscribing(NAMES, 1)
    subscribing(NAMES, 100)
    judged(30_000, None)
    judged(30_000, {"*": {"listen": True}})
    judged(30_000, {"*": {}, "sensors/$room/$value": {"listen": "user.id !== $room"}})
    judged(30_000, {"*": {"listen": False}})


if __name__ == "__main__":
    main()
