"""
The member's side of the directory: the names that this node holds and watches, and what the owners have told it.

For each partition this node has I{entries} (the names it holds and watches) and I{states} (what its owner has told of
the names it watches). Both outlive an owner. The owner has a copy of the entries, and this node has a copy of what the
owner has told it; each copy is compared by digests and, if it differs, sent as a whole::

    this node                              owner
    report: entries that changed   ----->
    digests, each interval         ----->  differs from the copy
                                   <-----  ask
    whole                          ----->  replaces the copy

                                   <-----  states that changed
    differs from the copy          <-----  sums, each interval
    unequal                        ----->
    replaces the copy              <-----  all

A part of a whole replaces the entries, or states, that fall into this part (L{dstwist.cluster.digest.part_of}). So the
parts may arrive at different times, and changes may arrive between them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.cluster import directory_messages as messages
from dstwist.cluster.digest import GONE, DigestedStates, Entries, State, part_of
from dstwist.cluster.directory_messages import ALL_TOLD, HOLDS, WATCHES, WATCHES_ALL
from dstwist.cluster.members import Membership
from dstwist.cluster.partition_room import PartitionRoom
from dstwist.cluster.peers import Peers
from dstwist.cluster.slices import for_message, parts_for, slices
from dstwist.cluster.table import partition_of
from dstwist.config.cluster import ClusterSettings

#: A released name is remembered for the longest grace time and this many lease intervals. The answers to one question
#: are given within one interval, which may be a little longer, and the owner allows for the way of messages.
RELEASED_INTERVALS = 1.75

#: A name with its state, as in a message.
Row = tuple[str, int, list[str]]

#: Called with the kind and the name of a name that this node watches, and its state.
Told = Callable[[str, str, State], object]


class Holdings:
    """
    The names that this node holds and watches, and the states that owners have told it.

    @param told: called when a state changes.
    @ivar digests_differed: how often an owner had told other states than this node has.
    """

    def __init__(
        self, membership: Membership, peers: Peers, clock: IReactorTime, settings: ClusterSettings, told: Told
    ) -> None:
        self._membership = membership
        self._peers = peers
        self._clock = clock
        self._settings = settings
        self._told = told
        self._entries = [Entries() for _ in range(settings.partitions)]
        self._room = PartitionRoom(settings)
        self._states = [DigestedStates() for _ in range(settings.partitions)]
        # In how many partitions the end of each kind has been told.
        self._ends: dict[str, int] = {}
        # The changes of this turn, as they are in messages, and whether each entry was added.
        self._changes: dict[int, dict[str, bool]] = {}
        self._call: IDelayedCall | None = None
        # The names that this node has released lately, and when.
        self._released: OrderedDict[str, float] = OrderedDict()
        self.digests_differed = 0
        self._longest_grace = max(settings.grace.values(), default=0.0)

    # -- what this node holds and watches

    def hold(self, kind: str, name: str) -> None:
        """
        This node holds C{name} from now on.
        """
        self._released.pop(kind + name, None)
        self._change(HOLDS, kind + name, True)

    def release(self, kind: str, name: str) -> None:
        """
        This node does not hold C{name} any more.
        """
        if self._change(HOLDS, kind + name, False) and self._longest_grace:
            self._released[kind + name] = self._clock.seconds()

    def watch(self, kind: str, name: str) -> None:
        """
        Have the state of C{name} told.
        """
        self._change(WATCHES, kind + name, True)

    def unwatch(self, kind: str, name: str) -> None:
        """
        Have it told no more.
        """
        if self._change(WATCHES, kind + name, False):
            self._forget_unwatched(kind + name)

    def watch_all(self, kind: str) -> None:
        """
        Have the states of all names of C{kind} told that are there.
        """
        for partition in range(self._settings.partitions):
            self._change_in(partition, WATCHES_ALL, kind, True)
            self._change_in(partition, WATCHES, ALL_TOLD + kind, True)

    def unwatch_all(self, kind: str) -> Iterator[list[str]]:
        """
        Have them told no more, one partition in each step.

        @return: in each step, the names that were there, and of which nothing is known from now on.
        """
        for partition, states in enumerate(self._states):
            self._change_in(partition, WATCHES_ALL, kind, False)
            self._change_in(partition, WATCHES, ALL_TOLD + kind, False)
            if ALL_TOLD + kind in states:
                states.drop(ALL_TOLD + kind)
                self._ends[kind] -= 1
            forgotten = []
            for key, state in [(key, state) for key, state in states.items() if key[0] == kind]:
                if not self._watches(partition, key):
                    states.drop(key)
                    if state[0]:
                        forgotten.append(key[1:])
            yield forgotten

    @property
    def most_bytes(self) -> int:
        """
        How many bytes the names may have that this node holds and watches in one partition.
        """
        return self._room.most

    def has_room(self, kind: str, name: str) -> bool:
        """
        Whether a client may cause this node to hold or watch C{name}, which it did not before.
        """
        return self._room.has_room(self._partition(kind + name), kind + name)

    def state(self, kind: str, name: str) -> State | None:
        """
        The state of C{name}, as its owner has told this node.
        """
        return self._states[self._partition(kind + name)].get(kind + name)

    def all_told(self, kind: str) -> bool:
        """
        Whether all owners have told the names of C{kind}, so that all other names are gone.
        """
        return self._ends.get(kind) == len(self._states)

    def known(self, kind: str) -> Iterator[str]:
        """
        The names of C{kind} that are there, as far as this node has been told.
        """
        for states in self._states:
            for key, state in states.items():
                if key[0] == kind and state[0]:
                    yield key[1:]

    def _partition(self, key: str) -> int:
        # Without the kind: all that concerns one name is known to one owner.
        return partition_of(key[1:], self._settings.partitions)

    def _change(self, verb: str, key: str, added: bool) -> bool:
        return self._change_in(self._partition(key), verb, key, added)

    def _change_in(self, partition: int, verb: str, key: str, added: bool) -> bool:
        entries = self._entries[partition]
        if not (entries.add(verb, key) if added else entries.remove(verb, key)):
            return False
        (self._room.take if added else self._room.give)(partition, key)
        self._changes.setdefault(partition, {})[verb + key] = added
        if self._call is None:
            self._call = self._clock.callLater(0, self.flush)
        return True

    def _forget_unwatched(self, key: str) -> None:
        partition = self._partition(key)
        if not self._watches(partition, key):
            self._states[partition].drop(key)

    def _watches(self, partition: int, key: str) -> bool:
        entries = self._entries[partition]
        return entries.has(WATCHES, key) or entries.has(WATCHES_ALL, key[0])

    # -- to the owners

    def flush(self) -> None:
        """
        Send the owners what has changed in this turn.
        """
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
        changes, self._changes = self._changes, {}
        for partition, entries in changes.items():
            owner, token = self._membership.assignments[partition]
            if owner is None:
                continue
            for some in slices(list(entries), self._settings.names_per_item):
                added = [entry for entry in some if entries[entry]]
                removed = [entry for entry in some if not entries[entry]]
                self._peers.send(owner, [messages.REPORT, partition, token, added, removed])

    def send_digests(self) -> None:
        """
        Send the owners the digests of all entries.
        """
        self.flush()
        rows: dict[str, list[tuple[int, int, int, int]]] = {}
        for partition, (owner, token) in enumerate(self._membership.assignments):
            if owner is not None:
                rows.setdefault(owner, []).append((partition, token, *self._entries[partition].digest))
        for owner, digests in rows.items():
            size = self._settings.names_per_item
            for start in range(0, len(digests), size):
                self._peers.send(owner, [messages.DIGESTS, [list(row) for row in digests[start : start + size]]])
        limit = self._clock.seconds() - self._longest_grace - RELEASED_INTERVALS * self._settings.lease_interval
        while self._released and next(iter(self._released.values())) < limit:
            self._released.popitem(last=False)

    def asked(self, owner: str, partition: int, token: int) -> None:
        """
        C{owner} owns a partition: send it everything.
        """
        if not self._membership.heard(partition, owner, token):
            return
        self.flush()
        entries, states = self._entries[partition], self._states[partition]
        there = [key for key, state in states.items() if state[0]]
        characters = sum(1 + len(key) for _, key in entries) + sum(map(len, there))
        parts = parts_for(len(entries) + len(there), characters, self._settings.names_per_item)
        sliced: list[tuple[list[str], list[str]]] = [([], []) for _ in range(parts)]
        for verb, key in entries:
            entry = verb + key
            sliced[part_of(entry, parts)][0].append(entry)
        for key in there:
            sliced[part_of(key, parts)][1].append(for_message(key))
        for part, (some, told) in enumerate(sliced):
            self._peers.send(owner, [messages.WHOLE, partition, token, part, parts, some, told])

    def questioned(self, owner: str, partition: int, token: int, question: int, keys: Iterable[str]) -> None:
        """
        C{owner} asks which of C{keys} this node holds.
        """
        if not self._membership.heard(partition, owner, token):
            return
        self.flush()
        entries = self._entries[partition]
        now = self._clock.seconds()
        held, released = [], []
        for key in keys:
            if entries.has(HOLDS, key):
                held.append(key)
            elif key in self._released:
                released.append([key, round((now - self._released[key]) * 1000)])
        self._peers.send(owner, [messages.ANSWER, partition, token, question, held, released])

    # -- from the owners

    def told_states(self, owner: str, partition: int, token: int, rows: Iterable[Row]) -> None:
        """
        C{owner} tells the states of some names.
        """
        if self._membership.heard(partition, owner, token):
            for row in rows:
                self._put(partition, *row)

    def told_all(self, owner: str, partition: int, token: int, part: int, parts: int, rows: list[Row]) -> None:
        """
        C{owner} tells a part of all states.
        """
        if not parts or not self._membership.heard(partition, owner, token):
            return
        told = {row[0] for row in rows}
        states = self._states[partition]
        entries = self._entries[partition]
        for key in [key for key in states if key not in told and part_of(key, parts) == part]:
            # If the owner does not know yet that this node watches the name itself, it tells the state later.
            if not entries.has(WATCHES, key):
                self._put(partition, key, -1, ())
        for row in rows:
            self._put(partition, *row)

    def summed(self, owner: str, partition: int, token: int, digest: tuple[int, int]) -> None:
        """
        C{owner} has told this node states with C{digest}.
        """
        if self._membership.heard(partition, owner, token) and self._states[partition].digest != digest:
            self.digests_differed += 1
            self._peers.send(owner, [messages.UNEQUAL, partition, token])

    def _put(self, partition: int, key: str, code: int, holders: Iterable[str]) -> None:
        states = self._states[partition]
        if not self._watches(partition, key):
            states.drop(key)
            return
        before = states.get(key)
        if code == -1 and not self._entries[partition].has(WATCHES, key):
            states.drop(key)
            if before is not None and before[0]:
                self._told(key[0], key[1:], GONE)
            return
        state: State = (code == 1, tuple(holders))
        if state != before:
            states.put(self._entries[partition].shared(key), state)
            if before is None and key[0] == ALL_TOLD:
                self._ends[key[1:]] = self._ends.get(key[1:], 0) + 1
            self._told(key[0], key[1:], state)

    def stop(self) -> None:
        """
        Send nothing any more.
        """
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
