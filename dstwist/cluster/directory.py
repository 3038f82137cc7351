"""
The directory: which nodes hold a name, and which nodes are told so.

A node I{holds} a name: a user is online there, or a client there provides a procedure. A node I{watches} names, and is
told whether they are there. The names are spread over partitions, and the owner of a partition
(L{dstwist.cluster.members}) knows who holds and who watches its names.

====================  =================================================================================================
L{.holdings}          what this node holds and watches, and what it has been told
L{.owned}             one partition that this node owns
L{.peers}             the messages between them; a node that is its own owner sends them to itself
====================  =================================================================================================

States are sent, not events, and both sides repeat digests of them each interval. So a lost message, a new owner, or a
node that comes back leads to no wrong state that lasts.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.cluster import directory_messages as messages
from dstwist.cluster.digest import State
from dstwist.cluster.holdings import Holdings
from dstwist.cluster.members import Membership
from dstwist.cluster.owned import Observer, OwnedPartition
from dstwist.cluster.peers import Peers
from dstwist.config.cluster import ClusterSettings
from dstwist.scheduling.time_slices import TimeSlices


class Directory:
    """
    The directory as one node takes part in it.

    @param exact: the kinds of names whose watchers are told the holders.
    """

    def __init__(
        self,
        membership: Membership,
        peers: Peers,
        clock: IReactorTime,
        settings: ClusterSettings,
        exact: Collection[str] = (),
        rng: random.Random | None = None,
    ) -> None:
        self._membership = membership
        self._clock = clock
        self._settings = settings
        self._exact = exact
        self._random = rng if rng is not None else random.Random()
        self._node = membership.node
        self._members: dict[str, None] = {}
        self._owned: dict[int, OwnedPartition] = {}
        self._owner_observers: dict[str, Observer] = {}
        # The partitions in which something has changed in this turn.
        self._changed: dict[int, None] = {}
        # They are so many that some of them wait for a later turn.
        self._is_behind = False
        self._call: IDelayedCall | None = None
        self._timer: IDelayedCall | None = None
        self._peers = peers
        self._observers: dict[str, Callable[[str, State], object]] = {}
        self._on_all_told: dict[str, Callable[[], object]] = {}
        self._digests_differed = 0
        self._time_slices = TimeSlices(clock)
        # Work on one partition each, which is done in this order: what is sent, to whom, the partition and its token.
        self._due: OrderedDict[tuple[Callable[[str, int, int], object], str, int, int], None] = OrderedDict()
        self._serving = False
        # Not all partitions have had their turn in this interval.
        self._repeating = False
        self._holdings = holdings = Holdings(membership, peers, clock, settings, self._told)
        self.hold, self.release = holdings.hold, holdings.release
        self.watch, self.unwatch = holdings.watch, holdings.unwatch
        self.has_room, self.most_bytes = holdings.has_room, holdings.most_bytes
        self.watch_all, self.unwatch_all = holdings.watch_all, holdings.unwatch_all
        handlers: dict[str, Callable[..., None]] = {
            messages.REPORT: self._reported,
            messages.DIGESTS: self._digested,
            messages.ASK: self._asked,
            messages.WHOLE: self._sent_whole,
            messages.QUESTION: holdings.questioned,
            messages.ANSWER: self._answered,
            messages.STATES: holdings.told_states,
            messages.SUMS: self._summed,
            messages.UNEQUAL: self._unequal,
            messages.ALL: holdings.told_all,
        }
        for kind, handler in handlers.items():
            peers.handle(kind, messages.FIELDS[kind], partial(self._received, handler))
        membership.observe(self._membership_changed)

    def on_told(self, kind: str, callback: Callable[[str, State], object]) -> None:
        """
        Have C{callback} called with each watched name of C{kind} whose state changes, and the state.
        """
        self._observers[kind] = callback

    def on_all_told(self, kind: str, callback: Callable[[], object]) -> None:
        """
        Have C{callback} called when L{all_told} has become true.
        """
        self._on_all_told[kind] = callback

    def _told(self, kind: str, name: str, state: State) -> None:
        callback = self._observers.get(kind)
        if callback is not None:
            callback(name, state)
        elif kind == messages.ALL_TOLD and name in self._on_all_told and self.all_told(name):
            self._on_all_told[name]()

    def state(self, kind: str, name: str) -> State | None:
        """
        Whether C{name}, which this node watches, is there, and the nodes that hold it; C{None}: nothing is known yet.
        """
        return self._holdings.state(kind, name)

    def all_told(self, kind: str) -> bool:
        """
        Whether this node watches all names of C{kind}, and all owners have told theirs.
        """
        return self._holdings.all_told(kind)

    def known(self, kind: str) -> Iterator[str]:
        """
        The watched names of C{kind} that are there.
        """
        return self._holdings.known(kind)

    def observe_owned(self, kind: str, changed: Observer) -> None:
        """
        Call C{changed} with the partition and the name, whenever this node owns the partition of a name, may decide
        about it, and the holders of the name as one of C{kind} may have changed. Called before the start.
        """
        self._owner_observers[kind] = changed

    def owned(self, number: int) -> OwnedPartition | None:
        """
        A partition; C{None} if this node does not own it.
        """
        return self._owned.get(number)

    @property
    def digests_differed(self) -> int:
        """
        How often this node and another one had different copies, as owner or as member.
        """
        return self._digests_differed + self._holdings.digests_differed

    def absences(self) -> tuple[int, Collection[str]]:
        """
        How many names of this node's partitions have no holder and are not gone yet, and the members whose answers are
        missing.
        """
        awaited: dict[str, None] = {}
        for partition in self._owned.values():
            awaited.update(dict.fromkeys(partition.awaited))
        return sum(partition.absences for partition in self._owned.values()), awaited.keys()

    def start(self) -> None:
        """
        Take part, as long as this node is a member.
        """
        self._tick()

    def stop(self) -> None:
        """
        Send nothing any more.
        """
        self._holdings.stop()
        self._time_slices.stop()
        for call in (self._timer, self._call):
            if call is not None and call.active():
                call.cancel()

    # -- each interval

    def _tick(self) -> None:
        delay = self._settings.lease_interval * self._random.uniform(0.9, 1.1)
        self._timer = self._clock.callLater(delay, self._tick)
        if not self._membership.is_member:
            return
        self._holdings.send_digests()
        if not self._repeating:
            self._repeating = True
            self._time_slices.do(self._repeat())

    def _repeat(self) -> Iterator[None]:
        """
        Repeat what this node has told and asked as an owner, one partition in each step.
        """
        try:
            for number, partition in list(self._owned.items()):
                if self._owned.get(number) is not partition:
                    continue
                # If this node is behind with it, it tells of it in a later turn, and repeats nothing before that.
                is_behind = self._is_behind and number in self._changed
                if not is_behind and self._membership.may_decide(number):
                    partition.decide(self._settings.names_per_item)
                    if partition.has_changes:
                        self._touch(number)
                    partition.ask()
                    for node, digest in partition.sums():
                        # Nothing else is told of the partition between its states and their digest.
                        self._peers.send_row(node, messages.SUMS, [number, partition.token, *digest])
                for node in partition.unheard:
                    self._peers.send_row(node, messages.ASK, [number, partition.token])
                yield
        finally:
            self._repeating = False

    def _collect(self, numbers: Collection[int]) -> None:
        """
        Ask the members that have not sent their entries yet.
        """
        rows: dict[str, list[list[int]]] = {}
        for number in numbers:
            partition = self._owned[number]
            for node in partition.unheard:
                rows.setdefault(node, []).append([number, partition.token])
        for node, asked in rows.items():
            self._send_sliced(node, messages.ASK, asked)

    def _send_sliced(self, node: str, kind: str, rows: list[list[int]]) -> None:
        size = self._settings.names_per_item
        for start in range(0, len(rows), size):
            self._peers.send(node, [kind, rows[start : start + size]])

    # -- which partitions this node owns

    def _membership_changed(self) -> None:
        membership = self._membership
        if membership.node != self._node:
            self._node = membership.node
            self._owned.clear()
        members = dict.fromkeys(membership.members)
        others = members != self._members
        self._members = members
        collected = []
        for number, (owner, token) in enumerate(membership.assignments):
            partition = self._owned.get(number)
            if owner != self._node or self._node not in members:
                self._owned.pop(number, None)
            elif partition is None or partition.token != token:
                self._owned[number] = OwnedPartition(
                    number,
                    token,
                    self._node,
                    self._clock.seconds,
                    self._settings,
                    self._exact,
                    self._peers.send,
                    self._owner_observers,
                )
                self._owned[number].set_members(members)
                collected.append(number)
            elif others:
                partition.set_members(members)
                collected.append(number)
                self._time_slices.do(self._forget(partition))
        self._collect(collected)

    def _forget(self, partition: OwnedPartition) -> Iterator[None]:
        """
        Forget what the nodes held that are no members any more.
        """
        yield from partition.forget()
        if self._owned.get(partition.number) is partition:
            self._touch(partition.number)

    def _touch(self, number: int) -> None:
        """
        Tell watchers, at the end of the turn, what has changed in a partition.
        """
        self._changed[number] = None
        if self._call is None:
            self._call = self._clock.callLater(0, self._decide)

    def _decide(self) -> None:
        self._call = None
        room = self._settings.names_per_item
        while self._changed and room > 0:
            number = next(iter(self._changed))
            del self._changed[number]
            partition = self._owned.get(number)
            if partition is not None and self._membership.may_decide(number):
                room -= partition.decide(room)
                if partition.has_changes:
                    # Clients can choose names that are all in one partition.
                    self._changed[number] = None
        self._is_behind = bool(self._changed)
        if self._is_behind and self._call is None:
            self._call = self._clock.callLater(0, self._decide)

    # -- messages

    def _received(self, handler: Callable[..., None], sender: str, first: Any, *rest: Any) -> None:
        # Most kinds begin with the number of a partition.
        if isinstance(first, list) or first < self._settings.partitions:
            handler(sender, first, *rest)

    def _partition(self, sender: str, number: int, token: int) -> OwnedPartition | None:
        """
        The partition that a message is about, if this node still owns it.
        """
        partition = self._owned.get(number)
        if partition is None or partition.token != token or sender not in self._members:
            if number < self._settings.partitions and token > self._membership.assignments[number].token:
                self._membership.look()
            return None
        return partition

    def _reported(self, sender: str, number: int, token: int, added: list[str], removed: list[str]) -> None:
        partition = self._partition(sender, number, token)
        if partition is not None:
            partition.reported(sender, added, removed)
            self._touch(number)

    def _digested(self, sender: str, rows: list[list[int]]) -> None:
        asked = []
        for number, token, count, xor in rows:
            partition = self._partition(sender, number, token)
            if partition is not None and partition.differs(sender, (count, xor)):
                self._digests_differed += 1
                asked.append([number, token])
        if asked:
            self._peers.send(sender, [messages.ASK, asked])

    def _asked(self, sender: str, rows: list[list[int]]) -> None:
        for number, token in rows:
            if number < self._settings.partitions:
                self._serve(self._holdings.asked, sender, number, token)

    def _sent_whole(
        self, sender: str, number: int, token: int, part: int, parts: int, entries: list[str], told: list[str]
    ) -> None:
        partition = self._partition(sender, number, token)
        if partition is not None:
            partition.sent_whole(sender, part, parts, entries, told)
            self._touch(number)

    def _answered(
        self, sender: str, number: int, token: int, question: int, held: list[str], released: list[tuple[str, int]]
    ) -> None:
        partition = self._partition(sender, number, token)
        if partition is not None:
            partition.answered(sender, question, held, [(key, age / 1000) for key, age in released])
            self._touch(number)

    def _summed(self, sender: str, rows: list[list[int]]) -> None:
        for number, token, count, xor in rows:
            if number < self._settings.partitions:
                self._holdings.summed(sender, number, token, (count, xor))

    def _unequal(self, sender: str, number: int, token: int) -> None:
        if self._partition(sender, number, token) is not None:
            self._serve(self._send_all, sender, number, token)

    def _send_all(self, sender: str, number: int, token: int) -> None:
        partition = self._partition(sender, number, token)
        if partition is not None:
            partition.send_all(sender)

    # -- wholes, of which many may be asked for at once

    def _serve(self, send_whole: Callable[[str, int, int], object], node: str, number: int, token: int) -> None:
        """
        Send something of a partition as a whole, in its turn. A node that asks for it again meanwhile gets it once.
        """
        self._due[send_whole, node, number, token] = None
        if not self._serving:
            self._serving = True
            self._time_slices.do(self._work())

    def _work(self) -> Iterator[None]:
        try:
            while self._due:
                (send_whole, node, number, token), _ = self._due.popitem(last=False)
                send_whole(node, number, token)
                yield
        finally:
            self._serving = False
