"""
Records and the other nodes: news is sent to them and received from them, in this order::

    first subscriber --> the node wants the subject --> the record is read from the arbiter --> the client is answered
                         and waits until it knows       news that comes meanwhile is kept, and sorted afterwards
                         whether there is a provider

    a write or a deletion --> the arbiter --> news to the other nodes and to the subscribers here --> the writer
    news of other nodes   --> in the turn of the record: the gate (L{dstwist.cluster.record_news}) --> the subscribers

===========================================  ===========================================================================
news of another node                         is
===========================================  ===========================================================================
PATCH, if not all clients here take it       a reason to read the record, which all are sent as a whole
for a record that is busy                    received in its turn; a write that is under way is not disturbed
that cannot be read                          dropped, with a line in the log
===========================================  ===========================================================================

All subscribers of a record on this node have the same version. The gate remembers it, for all parts of the topic
(L{dstwist.services.record.passed_on}). If the arbiter has shown another one in the turn of the record, for whatever
reason, the subscribers are sent the record: L{RecordNodes.seen}.

News may get lost. So versions are compared with the arbiter (L{dstwist.cluster.comparison}): now and then, and after
the bus was away. Records of which this node could not send news are named to the others when the bus is back
(L{dstwist.cluster.unsent_news}).

A store that has lost writes may give their versions to others. So after such a loss the nodes ask each other which
records they have written (L{dstwist.cluster.recent_writes}).

NOTIFY is sent to all nodes, because a program that changes the stores may leave the version as it was. A node that has
such a record in its memory forgets it. The comparison of versions does not find such a change. So if a node cannot be
told, because too many messages wait, the client gets an error, and can repeat its request.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from dstwist.cluster.comparison import Comparison
from dstwist.cluster.fields import list_of, text
from dstwist.cluster.figures import NewsFigures
from dstwist.cluster.kinds import RECORD
from dstwist.cluster.node import ClusterNode
from dstwist.cluster.recent_writes import RecentWrites
from dstwist.cluster.record_news import MISSING, UNKNOWN, Change, News, NewsGate
from dstwist.cluster.slices import slices
from dstwist.cluster.unsent_news import UnsentNews
from dstwist.interfaces import Record
from dstwist.log import Logger, shown
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.record import answers, node_news
from dstwist.services.record.failures import RecordError
from dstwist.services.record.queue import RecordQueue, Step

#: The kind of the direct message about records that another program has changed.
NOTIFY = "notify"

#: The request of the server itself.
_NEWS = Message(Topic.RECORD, RecordAction.NOTIFY)


class _Opening:
    """
    A record to which a client is about to subscribe.

    @ivar version: the version that the first subscriber is sent.
    @ivar is_late: news may have been missed.
    """

    __slots__ = ("is_late", "version")

    def __init__(self) -> None:
        self.version = UNKNOWN
        self.is_late = False


class RecordNodes:
    """
    The part of the topic that knows of other nodes.

    @ivar version: the version that the subscribers of a record have; C{None} if it has none.
    @ivar follows: L{NewsGate.follows}.
    @ivar seen: L{NewsGate.seen}. Called in the turn of a record, with what the arbiter has.
    @param load: reads a record from the arbiter, for a step of its queue.
    @param heads: the versions that the arbiters have.
    @param pass_on: sends the subscribers of this node news of another node, or the whole record.
    @param deleted: tells the subscribers of this node that another node has deleted the record, and ends their
        subscriptions. It is called with the version that was deleted, or with that of the subscribers.
    @param forget: forgets what this node knows of a record without the arbiter.
    @param wait_for_provider: waits until it is known whether a record has a provider
        (L{dstwist.routing.wanted_names.WantedNames.wait}).
    """

    _log = Logger()

    def __init__(
        self,
        cluster: ClusterNode,
        subscriptions: SubscriptionRegistry,
        queue: RecordQueue,
        clock: IReactorTime,
        load: Callable[[str], Any],
        heads: Callable[[Iterable[str]], Deferred[dict[str, int]]],
        pass_on: Callable[[Message], object],
        deleted: Callable[[str, int], object],
        forget: Callable[[str], object],
        wait_for_provider: Callable[[str], Deferred[None] | None] | None,
    ) -> None:
        self._wait_for_provider = wait_for_provider
        self._subscribed = subscriptions
        self._queue = queue
        self._load = load
        self._pass_on = pass_on
        self._deleted = deleted
        self._forget = forget
        self._bus = cluster.bus
        self._peers = cluster.peers
        self._membership = cluster.membership
        self._names_per_item = cluster.settings.names_per_item
        self._max_waiting = cluster.settings.max_early_news
        self._subjects = cluster.subjects(RECORD, self._received, self._late)
        self._gate = gate = NewsGate(clock, cluster.settings, self._passed, self._read, self._tell, _went_back)
        self._comparison = Comparison(gate, heads, clock, cluster.settings)
        self._unsent = UnsentNews(cluster.bus, clock, cluster.settings, self._tell_to_look)
        self._recent = RecentWrites(
            cluster.peers,
            cluster.membership,
            clock,
            cluster.settings,
            self._rewritten,
            self._all_rewritten,
            gate.trust_all,
        )
        self._openings: dict[str, _Opening] = {}
        # News of busy records, which waits for their turn.
        self._waiting: dict[str, list[News]] = {}
        self.version = gate.version
        self.follows = gate.follows
        self.seen = gate.seen
        subscriptions.observe(_ignore, self._left)
        cluster.peers.handle(NOTIFY, (list_of(text),), self._notified)
        self._comparison.start()
        cluster.figures.news = self._count

    # -- subscribers

    def subscribing(self, step: Step) -> Step:
        """
        C{step}, which may subscribe a client, in its order with the bus.
        """

        async def subscribe(name: str, message: Message, sender: Any) -> None:
            opening = self._openings[name] = _Opening()
            try:
                if self._gate.version(name) is None:
                    confirmed = self._subjects.want(name)
                    self._gate.begin(name)
                    known = None if self._wait_for_provider is None else self._wait_for_provider(name)
                    for each in (confirmed, known):
                        if each is not None:
                            await each
                await step(name, message, sender)
            finally:
                del self._openings[name]
                if self._gate.version(name) is None:
                    self._open(name, opening)

        return subscribe

    def _open(self, name: str, opening: _Opening) -> None:
        if name not in self._subscribed:
            self._left(name)
            return
        # The record may have been found to be deleted since. Then nothing is wanted any more, and nothing is held.
        if self._subjects.want(name) is not None:
            opening.is_late = True
        self._gate.begin(name)
        self._gate.opened(name, opening.version)
        if opening.is_late or opening.version == UNKNOWN:
            self._comparison.compare(name)

    def is_open(self, name: str) -> bool:
        """
        Whether the version that subscribers of the record have is known.
        """
        return self._gate.version(name) is not None

    def is_behind(self, name: str, record: Record | None) -> bool:
        """
        Whether the subscribers have another version than that of C{record}, which the arbiter has; C{None}: it has
        none.
        """
        version = self._gate.version(name)
        return version is not None and version != (MISSING if record is None else record.version)

    def note(self, name: str, version: int) -> None:
        """
        The subscribers have C{version} of the record, or are about to be sent it; -1: there is no record.
        """
        if self._gate.version(name) is not None:
            self._gate.written(name, version)
        elif name in self._openings:
            self._openings[name].version = version

    def _left(self, name: str) -> None:
        self._gate.closed(name)
        self._subjects.unwant(name)

    def _late(self, name: str) -> None:
        opening = self._openings.get(name)
        if opening is not None:
            opening.is_late = True
        else:
            self._comparison.compare(name)

    # -- news of this node

    def written(self, name: str, message: Message, version: int) -> None:
        """
        This node has written C{version}.

        @param message: UPDATE, PATCH or PATCH_MULTI, as for subscribers.
        """
        self._publish(name, node_news.written(message, version))

    def deleted(self, name: str, version: int) -> None:
        """
        This node has deleted a record that had C{version}; -1 if it did not exist.
        """
        self._publish(name, node_news.deleted(version))

    def changed(self, name: str) -> None:
        """
        The record may be another one than other nodes believe.
        """
        self._publish(name, node_news.look())

    def notify(self, names: Collection[str]) -> bool:
        """
        A client says that another program has changed records.

        @return: whether all other nodes are told. If not, too many messages wait for them, and nothing repeats this
            one.
        """
        return all(self._peers.send_all([NOTIFY, some]) for some in slices(list(names), self._names_per_item))

    def _publish(self, name: str, payload: bytes) -> None:
        self._unsent.published(name)
        self._recent.written(name)
        self._subjects.publish(name, payload)

    def _tell_to_look(self, name: str) -> None:
        if self._bus.is_lost:
            self._unsent.published(name)
        self._subjects.publish(name, node_news.look())

    # -- news of other nodes

    def _received(self, name: str, payload: bytes) -> None:
        try:
            news = node_news.decode(name, payload)
        except ValueError as error:
            self._log.warn(
                "CLUSTER | news of the record {name} cannot be read: {problem}",
                name=shown(name),
                problem=shown(str(error)),
                event="CLUSTER",
                once="news of records",
            )
            return
        if name not in self._queue.busy:
            self._receive(news)
            return
        waiting = self._waiting.get(name)
        if waiting is None:
            self._waiting[name] = [news]
            self._queue.submit(self._receive_in_turn, name, _NEWS, None, always=True)
        elif len(waiting) < self._max_waiting:
            waiting.append(news)
        else:
            waiting[-1] = News(name, Change.LOOK, UNKNOWN)

    async def _receive_in_turn(self, name: str, message: Message, sender: None) -> None:
        for news in self._waiting.pop(name):
            self._receive(news)

    def _receive(self, news: News) -> None:
        message = news.message
        if (
            news.change is Change.WRITTEN
            and message.action is RecordAction.PATCH
            and not self._subscribed.all_take_patches
        ):
            news = News(news.name, Change.LOOK, news.version)
        self._gate.received(news)

    def _notified(self, sender: str, names: list[str]) -> None:
        if sender != self._membership.node:
            for name in names:
                self._queue.submit(self._look_again, name, _NEWS, None, always=True)

    async def _look_again(self, name: str, message: Message, sender: None) -> None:
        self._forget(name)
        self._gate.look(name, force=True)

    # -- the store has lost writes

    def lost(self) -> None:
        """
        The store may have lost writes. The records are compared next.
        """
        self._gate.doubt_all()
        self._recent.lost()

    def compared(self) -> None:
        """
        All records have been compared with the store.
        """
        self._recent.ask()

    def _rewritten(self, name: str) -> None:
        if name in self._gate.in_doubt:
            self._gate.distrust(name)
            self._comparison.compare(name)

    def _all_rewritten(self) -> None:
        for name in list(self._gate.in_doubt):
            self._rewritten(name)

    # -- what the gate asks for

    def _passed(self, news: News) -> None:
        if news.change is Change.DELETED:
            self._deleted(news.name, news.version)
        else:
            self._pass_on(news.message)

    def _read(self, name: str) -> Deferred[Record | None]:
        answered: Deferred[Record | None] = Deferred()

        async def read(name: str, message: Message, sender: None) -> None:
            try:
                record = await self._load(name)
            except RecordError as error:
                answered.errback(error)
            else:
                answered.callback(record)

        self._queue.submit(read, name, _NEWS, None, always=True)
        return answered

    def _tell(self, name: str, record: Record | None) -> None:
        if record is None:
            version = self._gate.version(name)
            assert version is not None, "it has subscribers"
            self._deleted(name, version)
        else:
            self._pass_on(answers.update(name, record))

    def _count(self) -> NewsFigures:
        counts = self._gate.counts
        return NewsFigures(counts.early, counts.gaps, counts.old, dict(counts.differed), self._comparison.waiting)

    def stop(self) -> None:
        """
        Read and compare nothing any more.
        """
        self._gate.stop()
        self._comparison.stop()
        self._unsent.stop()
        self._recent.stop()


def _ignore(name: str) -> None:
    pass


def _went_back(name: str, have: int, version: int) -> None:
    """
    L{dstwist.services.record.comparison} has noticed it, and has told everyone.
    """
