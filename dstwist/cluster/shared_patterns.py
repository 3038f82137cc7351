"""
The patterns of the listeners of one topic, on all nodes.

Patterns are few, and each node knows those of all others. A node tells the others its own patterns when they change.
Each interval it tells them a digest of its patterns, and a node that has others asks for all of them. The patterns of a
node that has left, or is dead, are forgotten.

=========================  ============================================================================================
kind, and fields           meaning
=========================  ============================================================================================
C{patterns} + -            entries that the sender has now, and entries that it has no more
C{patterns-sum} n x        the digest of all entries of the sender
C{patterns-ask}            the digest differs: send C{patterns-all}
C{patterns-all} i n +      part i of n of all entries
=========================  ============================================================================================

The kinds of a topic end with its letter: C{patterns.r}. An I{entry} is the number of the latest registration for a
pattern, a space, and the pattern. So the other nodes also learn that one more client listens to a pattern.

Patterns are compiled in slices, so a new pattern may match names a little later.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from dstwist.cluster.digest import DigestedSet, part_of
from dstwist.cluster.fields import list_of, number
from dstwist.cluster.node import ClusterNode
from dstwist.cluster.slices import parts_for, slices
from dstwist.log import Logger, shown
from dstwist.patterns.javascript import InvalidPattern, compile_pattern
from dstwist.patterns.table import PatternTable
from dstwist.scheduling.time_slices import TimeSlices

CHANGES = "patterns"
SUM = "patterns-sum"
ASK = "patterns-ask"
ALL = "patterns-all"

#: The most digits of the number of a registration.
_MAX_DIGITS = 15


def entry(value: Any) -> bool:
    """
    A number, a space, and a pattern; a check for a field of a message.
    """
    if not isinstance(value, str):
        return False
    digits, space, _ = value.partition(" ")
    return bool(space) and len(digits) <= _MAX_DIGITS and digits.isascii() and digits.isdigit()


class _NodePatterns:
    """
    The patterns of one node.

    @ivar numbers: the number of the latest registration, by pattern.
    """

    def __init__(self) -> None:
        self.entries = DigestedSet()
        self.numbers: dict[str, int] = {}

    def add(self, line: str) -> str | None:
        """
        @return: the pattern, if the entry is new.
        """
        if not self.entries.add(line):
            return None
        digits, _, text = line.partition(" ")
        self.numbers[text] = int(digits)
        return text

    def remove(self, line: str) -> str | None:
        """
        @return: the pattern, if the entry was here.
        """
        if not self.entries.remove(line):
            return None
        digits, _, text = line.partition(" ")
        if self.numbers.get(text) == int(digits):
            del self.numbers[text]
        return text


#: By node, the number of its latest registration for one pattern.
_Nodes = dict[str, int]


class SharedPatterns:
    """
    The patterns of one topic.

    @param letter: that of the topic.
    @param max_length: that of a pattern. Longer patterns of other nodes match nothing.
    """

    _log = Logger()

    def __init__(self, letter: str, cluster: ClusterNode, max_length: int) -> None:
        self._letter = letter
        self._membership = membership = cluster.membership
        self._peers = peers = cluster.peers
        self._clock = cluster.clock
        self._settings = cluster.settings
        self._max_length = max_length
        self._time_slices = TimeSlices(cluster.clock)
        self._table: PatternTable[_Nodes] = PatternTable()
        # This node has another name each time when it joins: here it has none.
        self._own = _NodePatterns()
        self._nodes: dict[str, _NodePatterns] = {"": self._own}
        # The changes of this turn, and whether each entry was added.
        self._changes: dict[str, bool] = {}
        # The patterns of nodes that the table does not have as they are now.
        self._outdated: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._updating = False
        self._members: dict[str, None] = {}
        self._call: IDelayedCall | None = None
        self._timer: IDelayedCall | None = None
        self._stopped = False
        self._on_new_pattern: list[Callable[[], object]] = []
        self._on_new_listener: list[Callable[[], object]] = []
        self._on_gone_pattern: list[Callable[[], object]] = []
        peers.handle(self._kind(CHANGES), (list_of(entry), list_of(entry)), self._changed)
        peers.handle(self._kind(SUM), (number, number), self._summed)
        peers.handle(self._kind(ASK), (), self._asked)
        peers.handle(self._kind(ALL), (number, number, list_of(entry)), self._told_all)
        membership.observe(self._membership_changed)

    def observe(
        self,
        new_pattern: Callable[[], object] | None = None,
        new_listener: Callable[[], object] | None = None,
        gone_pattern: Callable[[], object] | None = None,
    ) -> None:
        """
        Have these called when names match a pattern that they did not match before, when a client has begun to listen
        to any pattern, and when no client listens to a pattern any more.
        """
        for callback, callbacks in (
            (new_pattern, self._on_new_pattern),
            (new_listener, self._on_new_listener),
            (gone_pattern, self._on_gone_pattern),
        ):
            if callback is not None:
                callbacks.append(callback)

    # -- which nodes have listeners

    def matches(self, name: str) -> bool:
        """
        Whether a client of any node listens to a pattern that C{name} matches.
        """
        return bool(len(self._table)) and bool(self._table.matching(name))

    def listeners(self, name: str) -> dict[str, int]:
        """
        The nodes with a matching pattern, each with the number of its latest registration for such a pattern.
        """
        found: dict[str, int] = {}
        if len(self._table):
            for nodes in self._table.matching(name):
                for node, latest in nodes.items():
                    node = node or self._membership.node
                    found[node] = max(found.get(node, 0), latest)
        return found

    # -- the patterns of this node

    def put(self, text: str, latest: int) -> None:
        """
        A client of this node has begun to listen.

        @param latest: the number of its registration.
        """
        self.remove(text)
        line = f"{latest} {text}"
        self._own.add(line)
        self._change(text, line, True)

    def remove(self, text: str) -> None:
        """
        No client of this node listens to this pattern any more.
        """
        latest = self._own.numbers.get(text)
        if latest is not None:
            line = f"{latest} {text}"
            self._own.remove(line)
            self._change(text, line, False)

    def _change(self, text: str, line: str, added: bool) -> None:
        self._outdate("", (text,))
        self._changes[line] = added
        if self._call is None and not self._stopped:
            self._call = self._clock.callLater(0, self._send_changes)

    def _send_changes(self) -> None:
        self._call = None
        changes, self._changes = self._changes, {}
        for lines in slices(list(changes), self._settings.names_per_item):
            added = [line for line in lines if changes[line]]
            removed = [line for line in lines if not changes[line]]
            for node in self._others():
                self._peers.send(node, [self._kind(CHANGES), added, removed])

    def _others(self) -> list[str]:
        return [node for node in self._membership.members if node != self._membership.node]

    # -- each interval

    def _tick(self) -> None:
        self._timer = self._clock.callLater(self._settings.lease_interval, self._tick)
        for node in self._others():
            self._send_sum(node)

    def _send_sum(self, node: str) -> None:
        self._peers.send(node, [self._kind(SUM), *self._own.entries.digest])

    def stop(self) -> None:
        """
        Send nothing any more.
        """
        self._stopped = True
        self._time_slices.stop()
        for call in (self._timer, self._call):
            if call is not None and call.active():
                call.cancel()

    # -- the patterns of the other nodes

    def _membership_changed(self) -> None:
        members = dict.fromkeys(self._others())
        for node in members:
            if node not in self._members:
                self._send_sum(node)
        self._members = members
        for node in [node for node in self._nodes if node and node not in members]:
            self._outdate(node, self._nodes.pop(node).numbers)
        if self._timer is None and self._membership.is_member and not self._stopped:
            self._tick()

    def _changed(self, sender: str, added: list[str], removed: list[str]) -> None:
        node = self._of(sender)
        texts = [node.remove(line) for line in removed] + [node.add(line) for line in added]
        self._outdate(sender, [text for text in texts if text is not None])

    def _summed(self, sender: str, count: int, xor: int) -> None:
        if self._of(sender).entries.digest != (count, xor):
            self._peers.send(sender, [self._kind(ASK)])

    def _asked(self, sender: str) -> None:
        entries = list(self._own.entries)
        parts = parts_for(len(entries), sum(map(len, entries)), self._settings.names_per_item)
        sliced: list[list[str]] = [[] for _ in range(parts)]
        for line in entries:
            sliced[part_of(line, parts)].append(line)
        for part, some in enumerate(sliced):
            self._peers.send(sender, [self._kind(ALL), part, parts, some])

    def _told_all(self, sender: str, part: int, parts: int, lines: list[str]) -> None:
        if part < parts:
            told = set(lines)
            old = [line for line in self._of(sender).entries if line not in told and part_of(line, parts) == part]
            self._changed(sender, lines, old)

    def _of(self, sender: str) -> _NodePatterns:
        node = self._nodes.get(sender)
        if node is None:
            node = self._nodes[sender] = _NodePatterns()
        return node

    # -- the table

    def _outdate(self, node: str, texts: Iterable[str]) -> None:
        """
        The table does not have these patterns of a node as they are now.
        """
        for text in texts:
            self._outdated[node, text] = None
        if self._outdated and not self._updating:
            self._updating = True
            self._time_slices.do(self._update())

    def _update(self) -> Iterator[None]:
        try:
            while self._outdated:
                news = set()
                while self._outdated:
                    (node, text), _ = self._outdated.popitem(last=False)
                    known = self._nodes.get(node)
                    news.add(self._put_in_table(node, text, None if known is None else known.numbers.get(text)))
                    yield
                self._tell(news)
        finally:
            self._updating = False

    def _put_in_table(self, node: str, text: str, latest: int | None) -> str:
        """
        @return: what has changed.
        """
        nodes = self._table.get(text)
        if latest is None:
            if nodes is None or nodes.pop(node, None) is None or nodes:
                return ""
            self._table.remove(text)
            return "gone pattern"
        if nodes is not None:
            before = nodes.get(node, 0)
            nodes[node] = latest
            return "new listener" if latest > before else ""
        try:
            pattern = compile_pattern(text, self._max_length)
        except InvalidPattern as reason:
            self._log.warn(
                "CLUSTER | {node} listens to a pattern that this node cannot use: {pattern}: {reason}",
                node=shown(node),
                pattern=shown(text),
                reason=reason,
                event="CLUSTER",
                once="patterns",
            )
            return ""
        self._table.add(text, pattern, {node: latest})
        return "new pattern"

    def _tell(self, news: set[str]) -> None:
        callbacks: list[Callable[[], object]] = []
        if "gone pattern" in news:
            callbacks += self._on_gone_pattern
        if "new pattern" in news:
            callbacks += self._on_new_pattern
        if "new pattern" in news or "new listener" in news:
            callbacks += self._on_new_listener
        for callback in callbacks:
            callback()

    def _kind(self, kind: str) -> str:
        return f"{kind}.{self._letter}"
