"""
News of records from other nodes: what is passed on to the subscribers of this node.

The bus may lose news, and news of several nodes may arrive in any order. The versions of a record show this: each write
makes the version one higher, and so does the creation after a deletion. The subscribers of a node all have the same
version; the node remembers it and lets news through a gate:

==========================================  ===========================================================================
news                                        is
==========================================  ===========================================================================
of the next version                         passed on, and then early news that follows it
of a later version: early                   kept for a short time. If the news in between does not come, the record is
                                            read again
of an older version, that was not skipped   not passed on, and the record is read again: the store may have gone back
of an older version, that was skipped       dropped
of the next version, while the record is    not passed on, and the record is read again
in doubt, since the store has lost writes
that is kept when the store has gone back   dropped, and the record is read again
that has come before a reading that does    dropped: the store has gone back
not show it
of the deletion of this or a later version  passed on, and the record has no subscribers any more
of the deletion of an older version         not passed on, and the record is read again
that says only: look                        a reason to read the record again
==========================================  ===========================================================================

If a record that is read again is not what the subscribers have, they are sent the whole of it. They are, too, if it
shows when the record is read for another reason (L{NewsGate.seen}). Versions between that of the subscribers and that
of the record are I{skipped}. A write of this node that skips versions, because it was decided on a record of which the
news has not come yet, is sent as a whole, too: L{NewsGate.follows}.

A record is read from the arbiter, and in its turn: no write of this node comes in between. While it is read, news is
kept, as it is while the first subscriber waits for the record (L{NewsGate.begin}).

If the record could not be read when the first subscriber came, the version is L{UNKNOWN}: all news is early then.

Always true: subscribers are sent no version twice, and no version before an earlier one, unless the store has gone
back. When no news is lost any more, they have the version of the arbiter after the next comparison
(L{dstwist.cluster.comparison}).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import Enum
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from dstwist.cluster.reading_causes import ANOTHER_READING, Cause, NewsCounts
from dstwist.config.cluster import ClusterSettings
from dstwist.record import Record
from dstwist.scheduling.deadlines import Deadlines

#: The version of a record that does not exist.
MISSING = -1

#: The version that subscribers have if the record could not be read.
UNKNOWN = -2


class Change(Enum):
    """
    The reason of news.
    """

    WRITTEN = "written"
    DELETED = "deleted"
    LOOK = "look"


class News(NamedTuple):
    """
    News of one record.

    @ivar version: the version that was written, or that was deleted; L{UNKNOWN}, if the news says only: look.
    @ivar message: what subscribers are sent.
    """

    name: str
    change: Change
    version: int
    message: Any = None


class NewsGate:
    """
    The records that have subscribers on this node.

    @param pass_on: sends news to the subscribers of this node. If it is that of a deletion, they are subscribers no
        more.
    @ivar counts: what has come so far.
    @ivar in_doubt: the records of which subscribers may have a version that the store has lost.
    @ivar read_failed: called with the name of a record that could not be read.
    @param read: reads a record from the arbiter, in its turn. It watches the time.
    @param tell: sends the subscribers of this node a whole record; C{None}: it does not exist, and they are subscribers
        no more. It is called in the turn of the record.
    @param went_back: called with the name, the version of the subscribers and that of the store, if the latter is
        lower.
    """

    def __init__(
        self,
        clock: IReactorTime,
        settings: ClusterSettings,
        pass_on: Callable[[News], object],
        read: Callable[[str], Deferred[Record | None]],
        tell: Callable[[str, Record | None], object],
        went_back: Callable[[str, int, int], object],
    ) -> None:
        self.counts = NewsCounts()
        self.read_failed: Callable[[str], object] = _compared_later
        self._max_early = settings.max_early_news
        self._pass_on = pass_on
        self._read = read
        self._tell = tell
        self._went_back = went_back
        # The version that subscribers have.
        self._versions: dict[str, int] = {}
        # The news that is kept: of records that wait for the first subscriber or are read, and early news.
        self._kept: dict[str, list[News]] = {}
        self._held: set[str] = set()
        # The records that are to be read again when they have been read.
        self._again: set[str] = set()
        # The news that had come before each record was read again.
        self._known: dict[str, list[News]] = {}
        # Why each record is being read again.
        self._causes: dict[str, Cause] = {}
        # The records that subscribers are sent whatever version they have.
        self._forced: set[str] = set()
        self.in_doubt: set[str] = set()
        # The versions that subscribers have not been sent.
        self._skipped: dict[str, set[int]] = {}
        self._waiting: Deadlines[str] = Deadlines(settings.early_news_time, clock, self._missing)

    def __len__(self) -> int:
        return len(self._versions)

    @property
    def names(self) -> Collection[str]:
        """
        The records that have subscribers.
        """
        return self._versions.keys()

    def version(self, name: str) -> int | None:
        """
        The version that the subscribers of C{name} have; C{None} if it has no subscribers.
        """
        return self._versions.get(name)

    # -- the subscribers of this node

    def begin(self, name: str) -> None:
        """
        The first subscriber waits for C{name}: keep its news. The bus has the subject, and the record is read next.
        """
        self._held.add(name)

    def opened(self, name: str, version: int) -> None:
        """
        The subscriber was sent this version. Called in the turn of the record, after L{begin}.
        """
        self._versions[name] = version
        self._release(name)

    def closed(self, name: str) -> None:
        """
        C{name} has no subscribers any more, or the first could not be served.
        """
        self._versions.pop(name, None)
        self._kept.pop(name, None)
        self._skipped.pop(name, None)
        self._held.discard(name)
        self._again.discard(name)
        self._known.pop(name, None)
        self._causes.pop(name, None)
        self._forced.discard(name)
        self.in_doubt.discard(name)
        self._waiting.remove(name)

    def follows(self, name: str, version: int) -> bool:
        """
        Whether subscribers have the version before C{version}, so that they can be sent the change that led to it;
        otherwise they are to be sent the whole record.
        """
        before = self._versions.get(name)
        return before is None or (version == before + 1 and name not in self.in_doubt)

    def doubt_all(self) -> None:
        """
        The store may have lost writes, and may give their versions to others: subscribers are sent whole records until
        L{trust_all}.
        """
        self.in_doubt = {*self._versions, *self._held}
        # News that was kept may be that of lost writes.
        self._again.update(self._held & self._kept.keys())
        self._kept.clear()

    def trust_all(self) -> None:
        """
        Records of the same version are the same again.
        """
        self.in_doubt.clear()

    def distrust(self, name: str) -> None:
        """
        Another node may have given the version of the subscribers to another write: they are sent the record when it is
        read next.
        """
        self._forced.add(name)

    def differs_from(self, name: str, version: int) -> bool:
        """
        Whether subscribers of C{name} are to be sent the record, if the store has C{version}.
        """
        have = self._versions.get(name)
        return have is not None and (have != version or name in self._forced)

    def written(self, name: str, version: int) -> None:
        """
        Subscribers were sent C{version}, which this node has written, or all of the record. Called in the turn of the
        record.
        """
        before = self._versions.get(name)
        if before is None or before == version:
            return
        self._versions[name] = version
        if version < before:
            if self._drop(name) and name not in self._held:
                self.look(name)
        elif version != before + 1:
            self._skip(name, before, version)
        if name in self._kept and name not in self._held:
            self._sort(name)

    def seen(self, name: str, record: Record | None) -> None:
        """
        The arbiter has this record; C{None}: it does not exist. Called in the turn of the record.
        """
        have = self._versions.get(name)
        if have is None:
            return
        version = MISSING if record is None else record.version
        if version == have and name not in self._forced:
            return
        self._forced.discard(name)
        self.in_doubt.discard(name)
        cause = self._causes.get(name)
        self.counts.differed[ANOTHER_READING if cause is None else cause.value] += 1
        if record is None:
            self._tell(name, None)
            self.closed(name)
            return
        if version < have:
            self._went_back(name, have, version)
            if self._drop(name):
                self._again.add(name)
        else:
            self._skip(name, have, version + 1)
        self._versions[name] = version
        self._tell(name, record)
        if name not in self._held:
            self._release(name)

    # -- news

    def received(self, news: News) -> None:
        """
        News of another node has come.
        """
        name = news.name
        if name in self._held:
            if news.version == UNKNOWN or name in self.in_doubt:
                self._again.add(name)
            else:
                self._keep(news)
        elif name in self._versions:
            if news.change is Change.WRITTEN and news.version > self._versions[name] + 1:
                self.counts.early += 1
            self._sort_one(news)

    def differs(self, name: str) -> None:
        """
        The arbiter has another version than subscribers: read C{name} again.
        """
        self._look_for(name, Cause.COMPARISON)

    def _look_for(self, name: str, cause: Cause) -> None:
        if name in self._versions:
            self._causes.setdefault(name, cause)
            self.look(name)

    def look(self, name: str, force: bool = False) -> None:
        """
        Read C{name} again, if it has subscribers: they may not have what the store has.

        @param force: send subscribers the record even if they have its version: the store has another past.
        """
        if name not in self._versions:
            return
        if force:
            self._forced.add(name)
        if name in self._held:
            self._again.add(name)
            return
        self._waiting.remove(name)
        self._causes.setdefault(name, Cause.NOTIFY if force else Cause.NEWS)
        self._held.add(name)
        if name in self._kept:
            self._known[name] = self._kept[name].copy()
        self._read(name).addCallbacks(self._was_read, self._not_read, (name,), errbackArgs=(name,))

    def stop(self) -> None:
        """
        Read nothing any more.
        """
        self._waiting.stop()
        self._versions.clear()

    def _sort_one(self, news: News) -> None:
        name, change, version, _ = news
        have = self._versions[name]
        if change is Change.DELETED and version >= have:
            self._pass_on(news)
            self.closed(name)
        elif change is Change.WRITTEN and version == have + 1 and name not in self.in_doubt:
            self._versions[name] = version
            self._pass_on(news)
            if name in self._kept:
                self._sort(name)
        elif change is Change.WRITTEN and version > have and name in self.in_doubt:
            self.look(name)
        elif change is Change.WRITTEN and version > have:
            self._keep(news)
            if have < 0:
                self.look(name)  # What is before the first version is not worth a wait.
            elif name not in self._waiting:
                self._waiting.add(name)
        elif change is not Change.DELETED and version in self._skipped.get(name, ()):
            self._skipped[name].discard(version)
        elif change is Change.LOOK:
            self.look(name)
        else:
            self.counts.old += 1
            if name in self.in_doubt:
                self.distrust(name)
            self._look_for(name, Cause.OLD)

    def _missing(self, name: str) -> None:
        """
        The news before early news has not come in time.
        """
        self.counts.gaps += 1
        self._look_for(name, Cause.GAP)

    def _keep(self, news: News) -> None:
        kept = self._kept.setdefault(news.name, [])
        if len(kept) < self._max_early:
            kept.append(news)
        else:
            self._again.add(news.name)

    def _sort(self, name: str) -> None:
        """
        Subscribers have another version now: look at the news that was kept.
        """
        kept = self._kept.pop(name, [])
        self._waiting.remove(name)
        for news in sorted(kept, key=_version_of):
            if name in self._held:
                self._keep(news)
            elif name in self._versions:
                self._sort_one(news)
        if name in self._again and name not in self._held:
            self._again.discard(name)
            self.look(name)

    def _drop(self, name: str) -> bool:
        """
        The store has gone back: drop all news of C{name}. It may be that of writes that the store has lost, and the
        next write would have the version before it.

        @return: whether there was any. Some of it may be news of later writes, so the record is to be read again.
        """
        self._skipped.pop(name, None)
        self._waiting.remove(name)
        return self._kept.pop(name, None) is not None

    def _release(self, name: str) -> None:
        """
        The record was read. News that was kept may be older than that.
        """
        self._held.discard(name)
        kept = self._kept.get(name)
        if kept is not None:
            version = self._versions[name]
            kept[:] = [news for news in kept if news.version + (news.change is Change.DELETED) > version]
        self._sort(name)

    def _was_read(self, record: Record | None, name: str) -> None:
        self.seen(name, record)
        self._causes.pop(name, None)
        known = self._known.pop(name, None)
        if name in self._versions:
            if known is not None and name in self._kept:
                # A write is in the arbiter before there is news of it: the record contains all of these, or the store
                # has gone back and lost them.
                self._kept[name] = [news for news in self._kept[name] if news not in known]
            self._release(name)

    def _not_read(self, failure: Failure, name: str) -> None:
        self._causes.pop(name, None)
        self._known.pop(name, None)
        if name in self._versions:
            # What was kept is of no use without the news before it; the next comparison shows what is missing.
            self._kept.pop(name, None)
            self._again.discard(name)
            self._held.discard(name)
            self.read_failed(name)

    def _skip(self, name: str, before: int, version: int) -> None:
        """
        Subscribers will not be sent the versions between these two, for which news may still come.
        """
        skipped = self._skipped.setdefault(name, set())
        skipped.update(range(max(before + 1, version - self._max_early), version))
        while len(skipped) > self._max_early:
            skipped.discard(min(skipped))


def _compared_later(name: str) -> None:
    """
    Without anything else, a record that could not be read is compared in the next interval.
    """


def _version_of(news: News) -> int:
    return news.version
