"""
The owner's side of the directory: one partition.

The owner keeps, in memory, the entries of each member (L{dstwist.cluster.holdings}) and what it has told each of them.
A name is in one of these states::

    held --the last holder releases it, or dies--> in grace --its grace time is over--> asked about
      ^                                               |                                   |     |
      +-------------------a member holds it-----------+-----------------------------------+     |
                                                                every member has answered that it does not hold it
                                                                                                v
                                                                                              gone

Watchers are told that a name is there at once, and that it is gone only in the last state
(L{dstwist.cluster.absences}).

A new owner I{collects}: it asks each member for all its entries, and for the names that the clients of that member are
told are there. It says of no name that it is gone before all members have answered. A name that clients were told of,
but that no member holds, is in grace then. So nothing is announced because a partition has moved.

Always true: what is kept in C{told} of a member is what that member has if no message was lost; the digests
(L{OwnedPartition.sums}) show whether one was.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from dstwist.cluster import directory_messages as messages
from dstwist.cluster.absences import Absences
from dstwist.cluster.digest import GONE, DigestedStates, Entries, State, part_of
from dstwist.cluster.directory_messages import ALL_TOLD, HOLDS, WATCHES
from dstwist.cluster.messages import Item
from dstwist.cluster.slices import for_message, parts_for, slices
from dstwist.config.cluster import ClusterSettings

#: What a member believes of a name that it was told by another owner. It is equal to no other state.
_BELIEVED: State = (True, ("", ""))


#: Called with the partition and a name.
Observer = Callable[["OwnedPartition", str], object]


@dataclass(slots=True)
class _Member:
    """
    What is known of one member.

    @ivar last_message: when its last message arrived. Before the first: when it became a member, or this node the
        owner.
    @ivar is_heard: whether all parts of its entries have arrived.
    @ivar parts: how many parts there are.
    @ivar arrived: the numbers of those that have arrived.
    """

    last_message: float
    entries: Entries = field(default_factory=Entries)
    told: DigestedStates = field(default_factory=DigestedStates)
    is_heard: bool = False
    parts: int = 0
    arrived: set[int] = field(default_factory=set)


class OwnedPartition:
    """
    A partition that this node owns.

    @param node: this node.
    @param now: the time.
    @param exact: the kinds of names whose watchers are told the holders.
    @param send: sends an item to a member.
    @param observers: by kind; called with this partition and a name when the holders of the name may have changed, and
        when all members are heard. They are called only while this node may decide.
    @ivar is_complete: whether all members were heard once, so that the owner may say that a name is gone.
    """

    def __init__(
        self,
        number: int,
        token: int,
        node: str,
        now: Callable[[], float],
        settings: ClusterSettings,
        exact: Collection[str],
        send: Callable[[str, Item], object],
        observers: Mapping[str, Observer] = MappingProxyType({}),
    ) -> None:
        self.number = number
        self.token = token
        self._node = node
        self._now = now
        self._settings = settings
        self._exact = exact
        self._send = send
        self._observers = observers
        self._members: dict[str, _Member] = {}
        # The text of each key, which all of the following share: names may be long.
        self._keys: dict[str, str] = {}
        # Nodes that are no members any more, and have entries left.
        self._former: dict[str, _Member] = {}
        # Dicts are sets that keep their order. The member that was heard of first is the first holder.
        self._holders: dict[str, dict[str, None]] = {}
        # The members that watch a name, and all names of a kind.
        self._watchers: dict[str, dict[str, None]] = {}
        self._kind_watchers: dict[str, dict[str, None]] = {}
        # The names that had a holder, or of which clients were told, and that have none.
        self._absences = Absences(now, settings)
        # The names whose watchers may have to be told.
        self._changed: OrderedDict[str, None] = OrderedDict()
        self.is_complete = False

    # -- the members

    def set_members(self, nodes: Collection[str]) -> None:
        """
        These are the members now. The others are dead: they count no more, and L{forget} removes their entries.
        """
        for node in nodes:
            if node not in self._members:
                if node in self._former:
                    # A store that has gone back makes a node a member again.
                    for _ in self.forget():
                        pass
                self._members[node] = _Member(self._now())
        for node in [node for node in self._members if node not in nodes]:
            self._former[node] = self._members.pop(node)

    def forget(self) -> Iterator[None]:
        """
        Remove the entries of the nodes that are no members any more, one in each step. Until then their names count as
        held.
        """
        while self._former:
            node, member = next(iter(self._former.items()))
            for verb, key in list(member.entries):
                # If this is done a second time meanwhile, nothing is left.
                self._remove(node, member, verb, key)
                yield
            if self._former.get(node) is member:
                del self._former[node]

    @property
    def unheard(self) -> list[str]:
        """
        The members that have not sent all their entries yet.
        """
        return [node for node, member in self._members.items() if not member.is_heard]

    @property
    def absences(self) -> int:
        """
        How many names have no holder, and are not said to be gone yet.
        """
        return len(self._absences)

    @property
    def awaited(self) -> Collection[str]:
        """
        The members that have not sent their entries, or that have not answered the first question of this interval.
        """
        if not self.is_complete:
            return self.unheard
        answered = self._absences.first_answered()
        return () if answered is None else [node for node in self._members if node not in answered]

    def holders(self, key: str) -> Collection[str]:
        """
        The members that hold a name, in the order in which this node has heard of that.
        """
        return self._holders.get(key, _NO_NODES)

    def is_silent(self, node: str) -> bool:
        """
        Whether a member has sent nothing for C{absenceTimeout}, although another one has.
        """
        limit = self._now() - self._settings.absence_timeout
        return self._members[node].last_message <= limit and any(
            member.last_message > limit for other, member in self._members.items() if other not in (node, self._node)
        )

    # -- what members send; C{node} is one of them

    def reported(self, node: str, added: Iterable[str], removed: Iterable[str]) -> None:
        """
        Entries of a member have changed.
        """
        self._members[node].last_message = self._now()
        entries = self._members[node].entries
        # In this order: a member that ends one watch of a name and begins another one, in one turn, may have forgotten
        # what it was told, so it is told again.
        for entry in removed:
            self._remove(node, self._members[node], entry[0], entry[1:])
        for entry in added:
            verb, key = entry[0], entry[1:]
            if verb != HOLDS and entries.has(verb, key):
                # It has ended this watch and begun it anew.
                self._remove(node, self._members[node], verb, key)
            self._add(node, verb, key)

    def differs(self, node: str, digest: tuple[int, int]) -> bool:
        """
        Whether the entries of a member have another digest than the copy here. A member that is not heard yet is asked
        anyway.
        """
        member = self._members[node]
        member.last_message = self._now()
        return member.is_heard and member.entries.digest != digest

    def sent_whole(self, node: str, part: int, parts: int, entries: Iterable[str], told: Iterable[str]) -> None:
        """
        A member has sent a part of all its entries, and the names that its clients are told are there.
        """
        if part >= parts:
            return
        member = self._members[node]
        member.last_message = self._now()
        new = dict.fromkeys(entries)
        gone = [
            (verb, key)
            for verb, key in member.entries
            if (entry := verb + key) not in new and part_of(entry, parts) == part
        ]
        for verb, key in gone:
            self._remove(node, self._members[node], verb, key)
        for entry in new:
            self._add(node, entry[0], entry[1:])
        if not member.is_heard and self._collect(member, part, parts, told):
            member.is_heard = True
            for key in [key for key in member.told if not self._is_watched_by(node, key)]:
                member.told.drop(key)

    def answered(self, node: str, number: int, held: Iterable[str], released: Iterable[tuple[str, float]]) -> None:
        """
        A member has answered a question.

        @param released: names that it has released lately, and how many seconds ago.
        """
        for key in held:
            self._add(node, HOLDS, key)
        self._members[node].last_message = self._now()
        self._absences.answered(node, number, released)

    def send_all(self, node: str) -> None:
        """
        Send a member everything that it was told: it has something else.
        """
        member = self._members[node]
        if not member.is_heard or not self.is_complete:
            return
        told = member.told
        parts = parts_for(len(told), sum(map(len, told)), self._settings.names_per_item)
        sliced: list[list[Item]] = [[] for _ in range(parts)]
        for key, state in told.items():
            sliced[part_of(key, parts)].append(_row(key, state))
        for part, rows in enumerate(sliced):
            self._send(node, [messages.ALL, self.number, self.token, part, parts, rows])

    # -- what the owner decides; called only while this node may decide

    def decide(self, most: int) -> int:
        """
        Tell watchers what has changed.

        @param most: of how many names at most; the others wait for the next time (L{has_changes}).
        @return: the number of names that may have changed.
        """
        if not self.is_complete:
            if self._have_answered([node for node, member in self._members.items() if member.is_heard]):
                self.is_complete = True
                self._changed.update(dict.fromkeys(self._watchers))
                self._changed.update((key, None) for key in self._holders if key[0] in self._observers)
        if self.is_complete:
            self._changed.update(dict.fromkeys(self._absences.close(self._have_answered)))
        changed = self._take_changed(most)
        rows: dict[str, list[Item]] = {}
        for key in changed:
            observer = self._observers.get(key[0])
            if observer is not None:
                observer(self, key[1:])
            watchers = self._watchers.get(key, _NO_NODES)
            for node in watchers | self._kind_watchers.get(key[0], _NO_NODES):
                row = self._tell(node, key, node in watchers)
                if row is not None:
                    rows.setdefault(node, []).append(row)
        for node, states in rows.items():
            by_key = {row[0]: row for row in states}
            for keys in slices(list(by_key), self._settings.names_per_item):
                self._send(node, [messages.STATES, self.number, self.token, [by_key[key] for key in keys]])
        return len(changed)

    @property
    def has_changes(self) -> bool:
        """
        Whether watchers may have to be told more.
        """
        return bool(self._changed)

    def ask(self) -> None:
        """
        Ask the members about the names whose grace time is over. Called each interval.
        """
        self._forget_keys()
        for number, keys in self._absences.ask():
            asked = list(map(for_message, keys))
            for node in self._members:
                self._send(node, [messages.QUESTION, self.number, self.token, number, asked])

    def sums(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """
        The members that have been told everything, each with the digest of that.
        """
        if self.is_complete:
            for node, member in self._members.items():
                if member.is_heard:
                    yield node, member.told.digest

    # -- inside

    def _add(self, node: str, verb: str, key: str) -> None:
        member = self._members[node]
        key = self._shared(key)
        if not member.entries.add(verb, key):
            return
        if verb == HOLDS:
            self._holders.setdefault(key, {})[node] = None
            self._absences.end(key)
            self._changed[key] = None
        elif verb == WATCHES:
            self._watchers.setdefault(key, {})[node] = None
            self._changed[key] = None
        else:
            self._kind_watchers.setdefault(key, {})[node] = None
            for names in (self._holders, self._absences, member.told):
                self._changed.update((each, None) for each in names if each[0] == key)
            self._changed[ALL_TOLD + key] = None

    def _remove(self, node: str, member: _Member, verb: str, key: str) -> None:
        key = self._keys.get(key, key)
        if not member.entries.remove(verb, key):
            return
        if verb == HOLDS:
            holders = self._holders[key]
            del holders[node]
            if not holders:
                del self._holders[key]
                self._absences.begin(key)
            self._changed[key] = None
            return
        watchers = self._watchers if verb == WATCHES else self._kind_watchers
        del watchers[key][node]
        if not watchers[key]:
            del watchers[key]
        told = [key] if verb == WATCHES else [each for each in member.told if each[0] == key]
        for each in told:
            if not self._is_watched_by(node, each):
                member.told.drop(each)

    def _take_changed(self, most: int) -> list[str]:
        """
        Take the first of the names that have changed.
        """
        names: list[str] = []
        ends: list[str] = []
        while self._changed and len(names) < most:
            key, _ = self._changed.popitem(last=False)
            (ends if key[0] == ALL_TOLD else names).append(key)
        if not self._changed:
            return names + ends
        # They are told behind all names.
        self._changed.update(dict.fromkeys(ends))
        return names

    def _shared(self, key: str) -> str:
        """
        The text of C{key} that is in use already.
        """
        return self._keys.setdefault(key, key)

    def _forget_keys(self) -> None:
        """
        Forget the texts that are in use no more, if they may be half of all.
        """
        used: tuple[Collection[str], ...] = (self._holders, self._watchers, self._kind_watchers, self._absences)
        if len(self._keys) > 2 * sum(len(each) for each in used):
            self._keys = {key: key for keys in used for key in keys}

    def _is_watched_by(self, node: str, key: str) -> bool:
        return node in self._watchers.get(key, _NO_NODES) or node in self._kind_watchers.get(key[0], _NO_NODES)

    def _collect(self, member: _Member, part: int, parts: int, told: Iterable[str]) -> bool:
        """
        Take the names that the clients of a member are told are there.

        @return: whether all parts have arrived.
        """
        for key in map(self._shared, told):
            if not self.is_complete and key not in self._holders and key not in self._absences:
                self._absences.begin(key)
            if key not in member.told:
                member.told.put(key, _BELIEVED)
            self._changed[key] = None
        if member.parts != parts:
            member.parts = parts
            member.arrived.clear()
        member.arrived.add(part)
        return len(member.arrived) == parts

    def _have_answered(self, nodes: Collection[str]) -> bool:
        """
        Whether C{nodes} are all members that can be expected to answer.
        """
        return all(node in nodes or self._is_silent(member, nodes) for node, member in self._members.items())

    def _is_silent(self, member: _Member, answered: Collection[str]) -> bool:
        """
        Whether nothing has come from a member for C{absenceTimeout}, although others have answered.
        """
        silence = self._now() - member.last_message
        return silence >= self._settings.absence_timeout and any(node != self._node for node in answered)

    def _tell(self, node: str, key: str, singly: bool) -> Item | None:
        """
        What a watcher has to be told of C{key}; C{None}: nothing.

        @param singly: it watches this name, and perhaps all names of the kind; otherwise it watches only the kind.
        """
        member = self._members.get(node)
        if member is None:
            return None
        told = member.told
        before = told.get(key)
        holders = self._holders.get(key)
        if holders is not None:
            state: State = (True, tuple(sorted(holders)) if key[0] in self._exact else ())
        elif key in self._absences:
            state = (True, ())
        elif not self.is_complete:
            return None
        elif key[0] == ALL_TOLD and node not in self._kind_watchers.get(key[1:], _NO_NODES):
            # It has not arrived yet that this node watches the kind.
            return None
        elif not singly:
            if before is None or before == GONE:
                return None
            told.drop(key)
            return [for_message(key), -1, []]
        else:
            state = GONE
        if state == before:
            return None
        told.put(key, state)
        return _row(key, state)


_NO_NODES: dict[str, None] = {}


def _row(key: str, state: State) -> Item:
    there, holders = state
    return [for_message(key), 1 if there else 0, list(holders)]
