"""
A Redis Cluster: one link to each primary, and for each call the link to the primary of its slot.

============================  ==========================================================================================
a node answers, or            then
============================  ==========================================================================================
MOVED                         the slot belongs to the node that it names; the whole map is asked for again
ASK                           that one call goes to the other node: its key has moved there already
TRYAGAIN                      the call is sent again in a moment: some of its keys have moved
CLUSTERDOWN                   the same, with the map that is asked for again
is away, before it was sent   the call waits for the node, or for the one that takes its place
is away, after it was sent    the call is in doubt
============================  ==========================================================================================

In all cases but the last the call was not executed. It is sent again for up to C{command_timeout}, and C{MAX_TRIES}
times; then it fails with L{StoreUnreachable}. Meanwhile the other calls of its slot are held (L{dstwist.redis.held}).

If a map shows that a node has no slots any more, the link to it ends, and its calls in doubt count as resolved: such a
node refuses them, or has lost the slots to a replica that never gets their effect.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure
from zope.interface import implementer

from dstwist.config.redis import RedisConnectionSettings
from dstwist.errors import ConnectionBroken, StoreUnreachable
from dstwist.log import Logger
from dstwist.redis.call import Call, pack
from dstwist.redis.cluster_links import ClusterCallbacks, ClusterLinks
from dstwist.redis.errors import RedisReplyError, TooManyCalls
from dstwist.redis.held import HeldSlot, SlotCall
from dstwist.redis.interface import Done, IRedis, ServerIdentity, Word
from dstwist.redis.link import RedisLink
from dstwist.redis.primary import Endpoints
from dstwist.redis.scripts import Script
from dstwist.redis.slots import SLOTS, read_address, slot_of
from dstwist.scheduling.deadlines import Deadlines
from dstwist.scheduling.firing import fire

#: How often a call is sent, and how often of that without a pause.
MAX_TRIES = 16
QUICK_TRIES = 4

#: How long a slot waits before calls are sent again to the same node, in seconds.
PAUSE = 0.05

#: How often the map is asked for while calls are held, in seconds.
REFRESH_INTERVAL = 0.25

#: The place of calls without a key, which any node executes.
_ANYWHERE = SLOTS

_AGAIN = ("TRYAGAIN", "CLUSTERDOWN")


@implementer(IRedis)
class RedisCluster:
    """
    The links to the primaries. For the parameters see L{RedisLink}.
    """

    _log = Logger()

    def __init__(
        self,
        settings: RedisConnectionSettings,
        reactor: Any,
        client_name: str = "dstwist",
        endpoints: Endpoints | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._reactor = reactor
        self._jitter = jitter
        self.on_connected: list[Callable[[ServerIdentity], object]] = []
        callbacks = ClusterCallbacks(self._moves, self._release_all, self._connected)
        self._links = ClusterLinks(settings, reactor, client_name, endpoints, callbacks, jitter)
        # How many calls of each slot are at a link.
        self._sent = [0] * (SLOTS + 1)
        self._held: dict[int, HeldSlot] = {}
        self._waiting: Deadlines[SlotCall] = Deadlines(settings.reconnect_wait, reactor, self._waited_too_long)
        # The calls without an outcome, and their bytes.
        self._count = 0
        self._bytes = 0
        self._timer: IDelayedCall | None = None
        self._stopped: Deferred[None] | None = None
        self._stop_call: IDelayedCall | None = None
        self._ending = False

    # -- start and stop

    def start(self) -> Deferred[None]:
        return self._links.start()

    def stop(self) -> Deferred[None]:
        stopped = self._stopped = Deferred()
        self._stop_call = self._reactor.callLater(self._settings.command_timeout, self._end)
        self._stop_if_done()
        return stopped

    def _stop_if_done(self) -> None:
        if self._stopped is not None and not self._ending and not self._count:
            self._end()

    def _end(self) -> None:
        """
        End everything, whether there are calls or not.
        """
        stopped, self._ending = self._stopped, True
        assert stopped is not None and self._stop_call is not None
        for timer in (self._stop_call, self._timer):
            if timer is not None and timer.active():
                timer.cancel()
        while self._held:
            _, held = self._held.popitem()
            held.stop_pause()
            for call in (*held.redirected.take(), *held.waiting):
                self._finish(call, self._unreachable("the server stops"), None)
        self._waiting.stop()
        self._links.stop().addCallback(stopped.callback)

    # -- calls

    def call(self, key: Word | None, *words: Word) -> Deferred[Any]:
        outcome: Deferred[Any] = Deferred()
        self._take(key, pack(words), fire, outcome)
        return outcome

    def submit(self, key: Word | None, words: Sequence[Word], done: Done, argument: Any) -> None:
        self._take(key, pack(tuple(words)), done, argument)

    def run(self, script: Script, keys: Sequence[Word], arguments: Sequence[Word], done: Done, argument: Any) -> None:
        data = pack(("EVALSHA", script.sha, len(keys), *keys, *arguments))
        self._take(keys[0], data, done, argument, script)

    def _take(self, key: Word | None, data: bytes, done: Done, argument: Any, script: Script | None = None) -> None:
        settings, size = self._settings, len(data)
        if self._stopped is not None:
            done(argument, self._unreachable("the server stops"), None)
            return
        if self._count >= settings.max_waiting or self._bytes + size > settings.max_waiting_bytes:
            reason = "too many operations wait (maxWaiting, maxWaitingBytes)"
            done(argument, TooManyCalls(self._links.text(reason)), None)
            return
        slot = _ANYWHERE if key is None else slot_of(key)
        call = SlotCall(key, slot, data, done, argument, script)
        self._count += 1
        self._bytes += size
        held = self._held.get(slot)
        if held is None:
            link = self._owner(slot)
            if link is not None and link.ready:
                self._send(call, link)
                return
            held = self._hold(slot)
        held.waiting[call] = None
        self._waiting.add(call)

    def _owner(self, slot: int) -> RedisLink | None:
        if slot != _ANYWHERE:
            return self._links.owner(slot)
        return next((link for link in self._links.all if link.ready), None)

    def _finish(self, call: SlotCall, error: Exception | None, reply: Any) -> None:
        self._count -= 1
        self._bytes -= len(call.data)
        try:
            call.done(call.argument, error, reply)
        except Exception:
            self._log.failure("the outcome of a call to Redis was not taken")
        if not self._count:
            self._stop_if_done()

    # -- answers

    def _answered(self, call: SlotCall, error: Exception | None, reply: Any) -> None:
        slot = call.slot
        self._sent[slot] -= 1
        held = self._held.get(slot)
        if error is not None and self._not_executed(error) and not self._ending:
            if held is None:
                held = self._hold(slot)
            self._redirect(call, error, held)
        else:
            if held is not None and not (isinstance(error, RedisReplyError) and error.refused):
                for earlier in held.redirected.executed(call):
                    text = "a later operation on the same key was executed while the slot moved"
                    self._finish(earlier, self._unreachable(text), None)
            if isinstance(error, ConnectionBroken):
                self._links.refresh()
            self._finish(call, error, reply)
        if held is not None and not self._sent[slot]:
            self._release(slot, held)

    def _not_executed(self, error: Exception) -> bool:
        if isinstance(error, RedisReplyError):
            return error.code in ("MOVED", "ASK", *_AGAIN)
        return isinstance(error, StoreUnreachable)

    def _redirect(self, call: SlotCall, error: Exception, held: HeldSlot) -> None:
        """
        Note where a call that was not executed goes next.
        """
        now = self._reactor.seconds()
        if call.since is None:
            call.since = now
        call.tries += 1
        if call.tries > MAX_TRIES or now - call.since > self._settings.command_timeout:
            self._finish(call, self._unreachable(f"it was not executed: {error}"), None)
            return
        held.redirected.refused(call)
        came_from, call.asks = call.asks or self._owner(call.slot), None
        code = error.code if isinstance(error, RedisReplyError) else ""
        if code in ("MOVED", "ASK"):
            address = read_address(str(error), self._links.host_of(came_from))
            if address is not None:
                link = self._links.link_to(address)
                if code == "ASK":
                    call.asks = link
                elif call.slot != _ANYWHERE:
                    self._links.moved(call.slot, link)
                    self._links.refresh(address)
        elif code != "TRYAGAIN":
            self._links.refresh()
        # Nodes that name each other need a moment until they agree.
        if (code in _AGAIN or call.tries > QUICK_TRIES) and held.pause is None:
            held.pause = self._reactor.callLater(PAUSE, self._pause_over, call.slot)

    def _pause_over(self, slot: int) -> None:
        held = self._held.get(slot)
        if held is not None:
            held.pause = None
            self._release(slot, held)

    # -- held slots

    def _moves(self, slot: int) -> None:
        # Calls for the new owner wait until the old one has answered.
        if self._sent[slot] and slot not in self._held:
            self._hold(slot)

    def _connected(self, server: ServerIdentity) -> None:
        for notice in list(self.on_connected):
            notice(server)
        self._release_all()

    def _hold(self, slot: int) -> HeldSlot:
        held = self._held[slot] = HeldSlot()
        if self._timer is None and not self._ending:
            self._timer = self._reactor.callLater(REFRESH_INTERVAL, self._look)
        return held

    def _look(self) -> None:
        """
        As long as calls are held, ask for the map again and again.
        """
        self._timer = None
        if self._held:
            self._timer = self._reactor.callLater(REFRESH_INTERVAL * (1 + self._jitter()), self._look)
            self._links.refresh()
            self._release_all()

    def _release_all(self) -> None:
        for slot, held in list(self._held.items()):
            self._release(slot, held)

    def _release(self, slot: int, held: HeldSlot) -> None:
        """
        Send what is held, as far as it can be sent: first the redirected calls, and the others when those are answered.
        """
        if self._sent[slot] or held.pause is not None or self._held.get(slot) is not held:
            return
        owner = self._owner(slot)
        redirected = self._in_time(held.redirected.take())
        targets = [call.asks or owner for call in redirected]
        if not all(target is not None and target.ready for target in targets):
            for call in redirected:
                held.redirected.refused(call)
            return
        for call, target in zip(redirected, targets, strict=True):
            assert target is not None
            self._send(call, target)
        if redirected or owner is None or not owner.ready:
            return
        del self._held[slot]
        for call in held.waiting:
            self._waiting.remove(call)
            self._send(call, owner)

    def _send(self, call: SlotCall, link: RedisLink) -> None:
        self._sent[call.slot] += 1
        sent = Call(call.key, call.data, self._answered, call, call.script)
        if call.asks is None:
            link.take(sent)
        else:
            link.take_asking(sent)

    def _in_time(self, calls: list[SlotCall]) -> list[SlotCall]:
        """
        The calls that may be sent again. The others fail.
        """
        last = self._reactor.seconds() - self._settings.command_timeout
        left = []
        for call in calls:
            if call.since is not None and call.since < last:
                self._finish(call, self._unreachable(self._links.problem() or "it was not executed in time"), None)
            else:
                left.append(call)
        return left

    def _waited_too_long(self, call: SlotCall) -> None:
        held = self._held[call.slot]
        del held.waiting[call]
        self._finish(call, self._unreachable(self._links.problem() or "it is busy"), None)

    # -- doubt, and problems

    def fence(self) -> Deferred[None]:
        done: Deferred[Any] = gatherResults([self._fence(link) for link in self._links.all], consumeErrors=True)
        return done.addCallbacks(lambda ignored: None, lambda failure: failure.value.subFailure)

    def _fence(self, link: RedisLink) -> Deferred[Any]:
        def failed(failure: Failure) -> Failure | None:
            # The node may have lost its slots meanwhile.
            return failure if link in self._links else None

        fence: Deferred[Any] = link.fence()
        return fence.addErrback(failed)

    def problem(self) -> str | None:
        return self._links.problem()

    def _unreachable(self, reason: str) -> StoreUnreachable:
        return StoreUnreachable(self._links.text(reason))
