"""
The records of the chaos test, and what clients were told of them.

=================  ============================================  ======================================================
records            are written                                   a record of version V is
=================  ============================================  ======================================================
of one writer      with the versions 1, 2, 3, ...                C{{"n": V}}
shared             by all writers, by path, "the next version"   V entries, one for each write: no write got lost, and
                                                                 none was done twice
made and deleted   created, written once, deleted, again and     newer than before each time
                   again
=================  ============================================  ======================================================

After a few rounds there are new records. The acknowledged writes to the older ones stay in the book.
"""

from __future__ import annotations

import json
import random
from typing import Any

from tests.e2e.chaos.book import Book
from tests.e2e.chaos.cluster import Cluster

#: How many records there are at a time.
OWN_COUNT = 2
SHARED_COUNT = 2

#: How many of the older records are looked at after a fault.
_OLDER_COUNT = 20

Found = tuple[int, Any]

NOT_THERE: Found = (-1, None)


class RecordBook:
    """
    The records, and their states that a client may see.

    @ivar names: the records that there are now.
    @ivar truth: by record, its version and its data in the Redis.
    @ivar gone: the records whose deletion was acknowledged, and that were not made anew.
    @ivar losses: how often the Redis has lost its data.
    @ivar was_emptied: whether the Redis has lost its data in this round. Then versions go back.
    """

    def __init__(self, book: Book, cluster: Cluster, writers: tuple[str, ...], seed: int) -> None:
        self._book = book
        self._cluster = cluster
        self._writers = writers
        self._random = random.Random(seed)
        self._epoch = 0
        self._versions: dict[str, int] = {}
        self._entries: dict[str, set[str]] = {}
        self._seen: dict[str, int] = {}
        self.truth: dict[str, Found] = {}
        self.gone: set[str] = set()
        self.losses = 0
        self.was_emptied = False
        self.begin_epoch()

    def lose(self) -> None:
        """
        The Redis loses its data in this round.
        """
        self.losses += 1
        self.was_emptied = True

    def begin_epoch(self) -> None:
        """
        Have new records.
        """
        self._epoch += 1
        if self.was_emptied:
            self._versions.clear()
            self._entries.clear()
            self._seen.clear()
            self.was_emptied = False
        self.truth.clear()
        own = tuple(name for writer in self._writers for name in self.own(writer))
        self.names = own + self.shared

    def own(self, writer: str) -> tuple[str, ...]:
        """
        The records of one writer.
        """
        return tuple(f"e{self._epoch}/own/{writer}/{number}" for number in range(OWN_COUNT))

    @property
    def shared(self) -> tuple[str, ...]:
        return tuple(f"e{self._epoch}/shared/{number}" for number in range(SHARED_COUNT))

    def acknowledge(self, name: str, version: int, entry: str | None) -> None:
        """
        A write was acknowledged.

        @param entry: what was written to a shared record.
        """
        self._book.count("writes acknowledged")
        if entry is None:
            self._versions[name] = max(version, self._versions.get(name, 0))
        else:
            entries = self._entries.setdefault(name, set())
            entries.add(entry)
            self._versions[name] = len(entries)

    def least(self, name: str) -> int:
        """
        The version of a record is at least this.
        """
        return max(self._versions.get(name, -1), self._seen.get(name, -1))

    def acknowledged(self, name: str) -> int:
        """
        The version that was acknowledged is at least this.
        """
        return self._versions.get(name, -1)

    def see(self, who: str, name: str, version: int, data: Any) -> None:
        """
        A client was shown a version.
        """
        self._book.count("versions seen")
        self._seen[name] = max(version, self._seen.get(name, -1))
        if version > 0 and not right(name, version, data):
            self._book.complain(f"{who} is shown {data} as version {version} of {name}")

    def look(self) -> None:
        """
        Look into the Redis.
        """
        older = [name for name in self._versions if name not in self.names]
        names = [*self.names, *self.gone, *self._random.sample(older, min(_OLDER_COUNT, len(older)))]
        values = self._cluster.redis.command("MGET", *(f"{name}_{key}" for name in names for key in "vd"))
        self.truth = {
            name: (int(version), json.loads(data)) if version is not None else NOT_THERE
            for name, version, data in zip(names, values[::2], values[1::2], strict=True)
        }

    def wrong(self) -> list[str]:
        """
        What is wrong with what is in the Redis.
        """
        if self.was_emptied:
            return []
        problems = []
        for name, (version, data) in self.truth.items():
            if name in self.gone:
                if version >= 0:
                    problems.append(f"{name} is there, but its deletion was acknowledged")
            elif version < self.least(name):
                problems.append(
                    f"{name} is at {version}, but {self.acknowledged(name)} was acknowledged, and "
                    f"{self._seen.get(name)} was seen"
                )
            elif version > 0 and not right(name, version, data):
                problems.append(f"{name} has version {version}, and holds {data}")
            elif is_shared(name) and (missing := self._entries.get(name, set()) - entries_of(data)):
                problems.append(f"{name} lacks {sorted(missing)}, which were acknowledged")
        return problems


def is_shared(name: str) -> bool:
    return "/shared/" in name


def entries_of(data: Any) -> set[str]:
    """
    The entries of a shared record.
    """
    return {f"{writer}.{entry}" for writer, entries in (data or {}).items() for entry in entries}


def right(name: str, version: int, data: Any) -> bool:
    """
    Whether C{data} is what a record of that version holds.
    """
    if is_shared(name):
        return isinstance(data, dict) and len(entries_of(data)) == version
    return bool(data == {"n": version})
