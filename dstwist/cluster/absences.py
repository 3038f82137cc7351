"""
The names of one partition that have no holder, until they are gone.

::

    begin --> in grace --its grace time is over--> asked about --every member has answered--> gone
                 ^                                      |
                 +--a member has released the name later-+

Each interval there are new questions: all members have to answer the same one, so that their answers are about nearly
the same time. A member that has released the name lately says so in its answer. If that was after the grace time began,
the owner has not heard that this member held it, and the grace time begins anew. So no name is said to be gone that is
held again and again, with pauses that are shorter than the grace time, by whatever members, and whatever messages are
lost.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from dstwist.cluster.slices import slices
from dstwist.config.cluster import ClusterSettings

#: How much later than the owner a member may seem to have released a name, in lease intervals.
SLACK_INTERVALS = 0.25


@dataclass(slots=True)
class _Question:
    """
    One question to all members.

    @ivar answered: the members that have answered.
    """

    keys: set[str]
    asked: float
    answered: set[str] = field(default_factory=set)


class Absences:
    """
    The absent names.

    @param now: the time.
    """

    def __init__(self, now: Callable[[], float], settings: ClusterSettings) -> None:
        self._now = now
        self._settings = settings
        # Messages are on their way for some time. A release that a member tells of is the one that is known if it is
        # not later than this, and the grace time is as much longer.
        self._slack = SLACK_INTERVALS * settings.lease_interval
        # When the grace time of a name without a holder began.
        self._since: dict[str, float] = {}
        # The questions of this interval.
        self._questions: dict[int, _Question] = {}
        self._last_question = 0

    def __contains__(self, key: object) -> bool:
        return key in self._since

    def __iter__(self) -> Iterator[str]:
        return iter(self._since)

    def __len__(self) -> int:
        return len(self._since)

    def begin(self, key: str) -> None:
        """
        C{key} has no holder from now on.
        """
        self._since[key] = self._now()

    def end(self, key: str) -> None:
        """
        C{key} has a holder.
        """
        self._since.pop(key, None)

    def ask(self) -> list[tuple[int, list[str]]]:
        """
        Have all members asked about the names whose grace time is over. The questions before these are over.

        @return: the number and the names of each question.
        """
        now = self._now()
        due = [key for key in self._since if self._is_due(key, now)]
        self._questions.clear()
        asked = []
        for keys in slices(due, self._settings.names_per_item):
            self._last_question += 1
            self._questions[self._last_question] = _Question(set(keys), now)
            asked.append((self._last_question, keys))
        return asked

    def answered(self, node: str, number: int, released: Iterable[tuple[str, float]]) -> None:
        """
        A member has answered a question. The names that it holds have ended before.

        @param released: names that it has released lately, and how many seconds ago.
        """
        question = self._questions.get(number)
        now = self._now()
        for key, age in released:
            if key in self._since and now - age > self._since[key] + self._slack:
                self._since[key] = now - age
                if question is not None:
                    question.keys.discard(key)
        if question is not None:
            question.answered.add(node)

    def first_answered(self) -> Collection[str] | None:
        """
        The members that have answered the first question of this interval; C{None}: there is none.
        """
        for question in self._questions.values():
            return question.answered
        return None

    def close(self, is_answered: Callable[[Collection[str]], bool]) -> list[str]:
        """
        Close the questions that are answered.

        @param is_answered: whether it is enough that these members have answered.
        @return: the names that are gone. They are absent no more.
        """
        gone = []
        for number, question in list(self._questions.items()):
            if is_answered(question.answered):
                del self._questions[number]
                for key in sorted(question.keys):
                    # It may have got a holder, and lost it again, since it was asked about.
                    if self._is_due(key, question.asked):
                        del self._since[key]
                        gone.append(key)
        return gone

    def _is_due(self, key: str, now: float) -> bool:
        """
        Whether C{key} has no holder, and its grace time was over at C{now}.
        """
        began = self._since.get(key)
        return began is not None and began + self._settings.grace.get(key[0], 0.0) + self._slack <= now
