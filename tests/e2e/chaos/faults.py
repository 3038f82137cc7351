"""
The faults of the chaos test.

==============  =======================================================================================================
fault           effect
==============  =======================================================================================================
kill            SIGKILL for a node, which starts again after a while
restart         SIGTERM for a node, which starts again
restart all     the same for all nodes, one after the other
pause           SIGSTOP for a node, often for longer than its lease, then SIGCONT
delay           what the node and the Redis send each other arrives later
stall           nothing arrives for a while, then all of it
cut             the connections end, with FIN or with RST; new ones can be made
refuse          the same, and new ones cannot be made for a while
half-open       what is sent on the connections is lost, and no side learns of that; new ones can be made
no network      the same, and new ones lose everything, too, for a while
kill redis      SIGKILL for the Redis, which starts again with its data
empty redis     the same without its data
pause redis     SIGSTOP for the Redis, then SIGCONT
drop clients    the Redis ends the connections of all subscribers of its bus, or of all other clients
==============  =======================================================================================================

The faults of connections are those of a node or of all nodes, to the bus, the store, or both. All of them end: a fault
is over when everything works again.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from tests.e2e.chaos.cluster import LEASE_TIME, LINKS, Cluster
from tests.redis_server import start_in_thread
from tests.tcp_proxy import TCPProxy


@dataclass(frozen=True)
class Fault:
    """
    What happens to what.

    @ivar node: the node, or C{"all"}; empty for a fault of the Redis.
    @ivar link: C{"bus"}, C{"store"} or C{"both"}, for a fault of connections.
    @ivar seconds: how long it lasts.
    @ivar amount: another number, from 0 to 1.
    @ivar wait: when it begins, if another fault has begun.
    """

    kind: str
    node: str = ""
    link: str = ""
    seconds: float = 0.0
    amount: float = 0.0
    wait: float = 0.0

    def doubtful(self, names: tuple[str, ...]) -> set[str]:
        """
        The nodes that others may find dead.
        """
        if self.kind == "restart all":
            return set(names)
        # A node that alone is cut off from the store cannot renew its lease there.
        is_cut_off = bool(self.link) and self.node != "all" and self.link != "bus"
        return {self.node} if self.kind in _OF_PROCESSES or is_cut_off else set()

    def __str__(self) -> str:
        parts = [self.kind, self.node, self.link and f"({self.link})", f"for {self.seconds:.2f} s"]
        if self.kind in ("delay", "cut", "refuse"):
            parts.append(f"amount {self.amount:.2f}")
        if self.wait:
            parts.append(f"after {self.wait:.2f} s")
        return " ".join(part for part in parts if part)


def plan(rng: random.Random, names: tuple[str, ...], kinds: tuple[str, ...] | None = None) -> list[Fault]:
    """
    The faults of one round: one, or two at a time, of which at most one is of processes.

    @param kinds: only these; C{None}: all.
    """
    weights = {kind: weight for kind, (weight, _) in KINDS.items() if kinds is None or kind in kinds}
    first = _fault(rng, names, rng.choices([*weights], [*weights.values()])[0])
    others = {kind: weight for kind, weight in weights.items() if kind not in _OF_PROCESSES | _OF_REDIS}
    if rng.random() < 0.3 and others and first.kind != "restart all":
        second = _fault(rng, names, rng.choices([*others], [*others.values()])[0], rng.uniform(0.0, 1.0))
        if second.kind != first.kind:
            return [first, second]
    return [first]


def _fault(rng: random.Random, names: tuple[str, ...], kind: str, wait: float = 0.0) -> Fault:
    node = rng.choice(names)
    is_of_link = kind in _OF_LINKS
    if is_of_link and rng.random() < 0.3:
        node = "all"
    link = rng.choice((*LINKS, "both")) if is_of_link else ""
    longest = LEASE_TIME * 1.5 if kind in ("pause", "stall", "refuse", "no network") else LEASE_TIME
    seconds = rng.choice((rng.uniform(0.0, 0.3), rng.uniform(0.0, longest), rng.uniform(LEASE_TIME, longest)))
    if kind in _OF_REDIS or kind == "restart all":
        node = ""
    return Fault(kind, node, link, seconds, rng.random(), wait)


async def run(cluster: Cluster, faults: list[Fault], reactor: Any) -> None:
    """
    Have the faults happen, and come back when they are over.
    """

    async def one(fault: Fault) -> None:
        await deferLater(reactor, fault.wait)
        await KINDS[fault.kind][1](cluster, fault, _Sleep(reactor, fault.seconds))

    await gatherResults([Deferred.fromCoroutine(one(fault)) for fault in faults], consumeErrors=True)


@dataclass(frozen=True)
class _Sleep:
    """
    Waits as long as a fault lasts.
    """

    reactor: Any
    seconds: float

    def __call__(self) -> Deferred[None]:
        return deferLater(self.reactor, self.seconds)


async def _kill(cluster: Cluster, fault: Fault, sleep: _Sleep) -> None:
    cluster.kill_node(fault.node)
    await sleep()
    await cluster.start_node(fault.node)


async def _restart(cluster: Cluster, fault: Fault, sleep: _Sleep) -> None:
    await cluster.stop_node(fault.node)
    await sleep()
    await cluster.start_node(fault.node)


async def _restart_all(cluster: Cluster, fault: Fault, sleep: _Sleep) -> None:
    for name in cluster.names:
        await cluster.stop_node(name)
        await cluster.start_node(name)


async def _pause(cluster: Cluster, fault: Fault, sleep: _Sleep) -> None:
    server = cluster.server(fault.node)
    server.pause()
    await sleep()
    server.resume()


async def _delay(cluster: Cluster, fault: Fault, sleep: _Sleep) -> None:
    await _of_links(cluster, fault, sleep, lambda proxy: proxy.delay(fault.amount * 0.3), lambda proxy: proxy.delay(0))


async def _stall(cluster: Cluster, fault: Fault, sleep: _Sleep) -> None:
    await _of_links(cluster, fault, sleep, TCPProxy.stall, TCPProxy.resume)


async def _cut(cluster: Cluster, fault: Fault, sleep: _Sleep) -> None:
    await _of_links(cluster, fault, sleep, lambda proxy: proxy.cut(rst=fault.amount < 0.5))


async def _refuse(cluster: Cluster, fault: Fault, sleep: _Sleep) -> None:
    async def begin(proxy: TCPProxy) -> None:
        await proxy.refuse()
        proxy.cut(rst=fault.amount < 0.5)

    await _of_links(cluster, fault, sleep, begin, TCPProxy.listen)


async def _half_open(cluster: Cluster, fault: Fault, sleep: _Sleep) -> None:
    await _of_links(cluster, fault, sleep, lambda proxy: proxy.swallow(later=False))


async def _no_network(cluster: Cluster, fault: Fault, sleep: _Sleep) -> None:
    await _of_links(cluster, fault, sleep, TCPProxy.swallow, TCPProxy.heal)


async def _of_links(
    cluster: Cluster,
    fault: Fault,
    sleep: _Sleep,
    begin: Callable[[TCPProxy], Awaitable[None] | None],
    end: Callable[[TCPProxy], object] | None = None,
) -> None:
    """
    A fault of connections.

    @param end: C{None} for a fault that is over at once.
    """
    proxies = list(cluster.links(fault.node, fault.link))
    for proxy in proxies:
        begun = begin(proxy)
        if begun is not None:
            await begun
    if end is not None:
        await sleep()
        for proxy in proxies:
            end(proxy)


async def _kill_redis(cluster: Cluster, fault: Fault, sleep: _Sleep) -> None:
    cluster.redis.kill()
    await sleep()
    await start_in_thread(cluster.redis)


async def _empty_redis(cluster: Cluster, fault: Fault, sleep: _Sleep) -> None:
    cluster.redis.kill()
    await sleep()
    await start_in_thread(cluster.redis, empty=True)


async def _pause_redis(cluster: Cluster, fault: Fault, sleep: _Sleep) -> None:
    cluster.redis.pause()
    await sleep()
    cluster.redis.resume()


async def _drop_clients(cluster: Cluster, fault: Fault, sleep: _Sleep) -> None:
    cluster.redis.command("CLIENT", "KILL", "TYPE", "pubsub" if fault.amount < 0.5 else "normal", "SKIPME", "yes")


#: By name: how often, compared with the others, and what happens.
KINDS: dict[str, tuple[float, Callable[[Cluster, Fault, _Sleep], Awaitable[None]]]] = {
    "kill": (5, _kill),
    "restart": (2, _restart),
    "restart all": (0.5, _restart_all),
    "pause": (4, _pause),
    "delay": (1, _delay),
    "stall": (2, _stall),
    "cut": (2, _cut),
    "refuse": (2, _refuse),
    "half-open": (2, _half_open),
    "no network": (2, _no_network),
    "kill redis": (2, _kill_redis),
    "empty redis": (0.5, _empty_redis),
    "pause redis": (2, _pause_redis),
    "drop clients": (1, _drop_clients),
}

_OF_PROCESSES = frozenset({"kill", "restart", "restart all", "pause"})
_OF_REDIS = frozenset({"kill redis", "empty redis", "pause redis", "drop clients"})
_OF_LINKS = frozenset(KINDS) - _OF_PROCESSES - _OF_REDIS
