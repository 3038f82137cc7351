"""
The users who are online on any node, as far as the clients of this node ask for them.

The directory (L{dstwist.cluster.directory}) knows the users of all nodes. This node I{holds} the users who are logged
in here, and I{watches} those that its own clients ask for::

    a client here logs in  --> hold         first subscription, or a query --> watch
    the last one logs out  --> release      no subscription any more       --> unwatch, a while later
                                            subscriptions to all users, and queries for all, likewise: watch all

======================================================  =====================================================
event                                                   the clients here are told
======================================================  =====================================================
a user logs in here                                     at once that the user joins, unless the user is online
another node holds a watched user                       the same
no node holds a watched user, and the grace time is     that the user leaves, unless the user is logged in here
over, and all members were asked
a user has logged out here                              nothing: the directory decides
a partition has a new owner, or the bus is lost         nothing
======================================================  =====================================================

If the directory has never told of a user who logged out here, because nothing could be sent to the owner or the
connection was very short, it will not tell that the user is gone. Such a user leaves after L{_time_to_be_told}, counted
anew when the bus is back.

Always true: the roster has the users who are logged in here, the watched users that the directory has told are there,
and those of whom the directory has yet to tell. Only the latter two may be users that no client here asks for any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.cluster.digest import State
from dstwist.cluster.kinds import USER
from dstwist.cluster.node import ClusterNode
from dstwist.config.settings import PresenceSettings
from dstwist.connections.users import UserRegistry
from dstwist.limits.lingering import LingeringNames
from dstwist.scheduling.deadlines import Deadlines
from dstwist.scheduling.time_slices import TimeSlices
from dstwist.services.roster import Roster

#: For how long all users are watched after the last client that wanted them, in seconds. To learn them anew costs the
#: owners and this node one row for each user, so that queries that are repeated each minute are better served by this.
ALL_LINGER = 120.0

#: How many lease intervals the owner may take to tell of a user, if it has to be asked by a digest.
INTERVALS_TO_BE_TOLD = 3


@dataclass(eq=False, slots=True)
class _Waiting:
    """
    A request that waits for the owners.

    @ivar unknown: the users of whom they have not told yet; C{None}: all users.
    """

    unknown: set[str] | None
    told: Deferred[None]
    timer: IDelayedCall


class OnlineAnywhere:
    """
    The users who are online on this node or another.

    @param joins: called with each user that has come online, and was not.
    @param leaves: called with each user that is online no more. For each user these calls alternate, as long as the
        user is subscribed to.
    @ivar roster: the users who have joined and not left.
    """

    def __init__(
        self,
        users: UserRegistry,
        settings: PresenceSettings,
        clock: IReactorTime,
        joins: Callable[[str], object],
        leaves: Callable[[str], object],
        cluster: ClusterNode,
    ) -> None:
        self.roster = Roster()
        self._users = users
        self._clock = clock
        self._joins = joins
        self._leaves = leaves
        self._max_unheard = settings.max_users_in_grace
        self._directory = cluster.directory
        self._bus = cluster.bus
        # The users with a subscription, those who are watched without one, and those whom requests wait for.
        self._subscribed: set[str] = set()
        self._lingering = LingeringNames(cluster.settings.linger, clock, self._end_watch)
        self._waited_for: dict[str, dict[_Waiting, None]] = {}
        self._waiting_for_all: dict[_Waiting, None] = {}
        self._watches_all = False
        self._all_subscribed = False
        self._all_timer: IDelayedCall | None = None
        self._time_slices = TimeSlices(clock)
        # The users who have logged out here, of whom the directory has not told.
        self._unheard: Deadlines[str] = Deadlines(_time_to_be_told(cluster), clock, self._not_told)
        self._stopped = False
        users.observe(self._logged_in, self._logged_out)
        cluster.directory.on_told(USER, self._told)
        cluster.directory.on_all_told(USER, self._all_told)
        cluster.bus.observe(self._bus_lost, self._bus_back)

    def stop(self) -> None:
        """
        Announce no more joins and leaves. The users who are logged in here are held until this node leaves the cluster:
        within the grace time from then on they may log in elsewhere.
        """
        self._stopped = True
        self._lingering.stop()
        self._unheard.stop()
        self._time_slices.stop()
        self._stop_all_timer()
        for _ in self._stop_waiting():
            pass

    # -- what clients ask for

    def subscribed(self, user: str) -> None:
        """
        C{user} has its first subscription.
        """
        if user not in self._waited_for and not self._lingering.remove(user):
            self._directory.watch(USER, user)
        self._subscribed.add(user)

    def unsubscribed(self, user: str) -> None:
        """
        The last subscription to C{user} has ended.
        """
        self._subscribed.discard(user)
        if user not in self._waited_for:
            self._linger(user)

    def all_subscribed(self) -> None:
        """
        There is a first subscription to all users.
        """
        self._all_subscribed = True
        self._stop_all_timer()
        self._watch_all()

    def all_unsubscribed(self) -> None:
        """
        The last subscription to all users has ended.
        """
        self._all_subscribed = False
        self._linger_all()

    def is_known(self, user: str) -> bool:
        """
        Whether the roster tells if C{user} is online: the owner has told, or the user is here.
        """
        return user in self.roster or self._directory.state(USER, user) is not None or self._directory.all_told(USER)

    def learn(self, users: Iterable[str], until: float) -> Deferred[None] | None:
        """
        Have the owners tell of some users.

        @param until: the time at which this ends, whatever is known then.
        @return: fires when they have; C{None}: everything is known, or cannot be learned now.
        """
        if self._cannot_learn(until):
            return None
        unknown = {user for user in users if not self.is_known(user)}
        if not unknown:
            return None
        waiting = self._wait(unknown, until)
        for user in unknown:
            others = self._waited_for.get(user)
            if others is None:
                others = self._waited_for[user] = {}
                if user not in self._subscribed and not self._lingering.remove(user):
                    self._directory.watch(USER, user)
            others[waiting] = None
        return waiting.told

    def learn_all(self, until: float) -> Deferred[None] | None:
        """
        Have all owners tell of all users.

        @return: as of L{learn}.
        """
        if self._stopped:
            return None
        self._watch_all()
        self._linger_all()
        if self._directory.all_told(USER) or self._cannot_learn(until):
            return None
        waiting = self._wait(None, until)
        self._waiting_for_all[waiting] = None
        return waiting.told

    # -- watching

    def _is_watched(self, user: str) -> bool:
        return self._watches_all or user in self._subscribed or user in self._lingering or user in self._waited_for

    def _linger(self, user: str) -> None:
        if not self._stopped:
            self._lingering.add(user)

    def _end_watch(self, user: str) -> None:
        self._directory.unwatch(USER, user)
        if not self._watches_all and not self._is_there(user):
            self._forget(user)

    def _forget(self, user: str) -> None:
        """
        The directory tells no more of C{user}.
        """
        if user in self.roster and user not in self._users:
            self._unheard.remove(user)
            self.roster.remove(user)

    def _watch_all(self) -> None:
        if not self._watches_all:
            self._watches_all = True
            self._directory.watch_all(USER)

    def _linger_all(self) -> None:
        self._stop_all_timer()
        if not self._all_subscribed and not self._stopped:
            self._all_timer = self._clock.callLater(ALL_LINGER, self._end_watch_of_all)

    def _stop_all_timer(self) -> None:
        if self._all_timer is not None and self._all_timer.active():
            self._all_timer.cancel()

    def _end_watch_of_all(self) -> None:
        self._watches_all = False
        self._time_slices.do(self._unwatching_all())

    def _unwatching_all(self) -> Iterator[None]:
        for users in self._directory.unwatch_all(USER):
            for user in users:
                self._forget(user)
            yield
            if self._watches_all:
                # They are wanted again.
                return

    # -- waiting

    def _cannot_learn(self, until: float) -> bool:
        return self._stopped or self._bus.is_lost or self._clock.seconds() >= until

    def _wait(self, unknown: set[str] | None, until: float) -> _Waiting:
        timer = self._clock.callLater(until - self._clock.seconds(), lambda: self._end_waiting(waiting))
        waiting = _Waiting(unknown, Deferred(), timer)
        return waiting

    def _end_waiting(self, waiting: _Waiting) -> None:
        if waiting.told.called:
            return
        if waiting.timer.active():
            waiting.timer.cancel()
        if waiting.unknown is None:
            del self._waiting_for_all[waiting]
        else:
            for user in list(waiting.unknown):
                self._waits_no_more(waiting, user)
        waiting.told.callback(None)

    def _waits_no_more(self, waiting: _Waiting, user: str) -> None:
        others = self._waited_for[user]
        del others[waiting]
        if not others:
            del self._waited_for[user]
            if user not in self._subscribed:
                self._linger(user)

    def _learned(self, user: str) -> None:
        if user in self._waited_for:
            self._time_slices.do(self._learning(user))

    def _learning(self, user: str) -> Iterator[None]:
        for waiting in list(self._waited_for.get(user, ())):
            if waiting.unknown is not None and user in waiting.unknown:
                waiting.unknown.discard(user)
                self._waits_no_more(waiting, user)
                if not waiting.unknown:
                    self._end_waiting(waiting)
            yield

    def _stop_waiting(self) -> Iterator[None]:
        waiting = dict.fromkeys(self._waiting_for_all)
        for others in self._waited_for.values():
            waiting.update(others)
        for each in waiting:
            self._end_waiting(each)
            yield

    def _all_told(self) -> None:
        # All users that requests wait for are known as well.
        self._time_slices.do(self._stop_waiting())

    # -- who comes and goes

    def _logged_in(self, user: str) -> None:
        if self._stopped:
            return
        self._unheard.remove(user)
        self._directory.hold(USER, user)
        self._join(user)
        self._learned(user)

    def _logged_out(self, user: str) -> None:
        if self._stopped:
            return
        self._directory.release(USER, user)
        if self._is_there(user):
            return
        if not self._is_watched(user):
            self.roster.remove(user)
        else:
            self._unheard.add(user)
            if len(self._unheard) > self._max_unheard:
                self._unheard.expire_first()

    def _is_there(self, user: str) -> bool:
        state = self._directory.state(USER, user)
        return state is not None and state[0]

    def _told(self, user: str, state: State) -> None:
        if self._stopped:
            return
        if state[0]:
            self._unheard.remove(user)
            self._join(user)
        elif user in self.roster and user not in self._users and user not in self._unheard:
            self._leave(user)
        self._learned(user)

    def _not_told(self, user: str) -> None:
        # If there are too many of them, those leave first who have been away longest.
        if self._bus.is_lost and len(self._unheard) < self._max_unheard:
            self._unheard.add(user)
        else:
            self._leave(user)

    def _join(self, user: str) -> None:
        if user not in self.roster:
            self.roster.add(user)
            self._joins(user)

    def _leave(self, user: str) -> None:
        self.roster.remove(user)
        self._leaves(user)

    def _bus_lost(self) -> None:
        # Nothing can be learned now.
        self._time_slices.do(self._stop_waiting())

    def _bus_back(self) -> None:
        for user in list(self._unheard):
            self._unheard.remove(user)
            self._unheard.add(user)


def _time_to_be_told(cluster: ClusterNode) -> float:
    """
    How long the directory takes to tell of a user who was here: if it does not tell within this time, it never will.
    """
    settings = cluster.settings
    return settings.grace.get(USER, 0.0) + INTERVALS_TO_BE_TOLD * settings.lease_interval
