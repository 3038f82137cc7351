"""
Messages by topic and action.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dstwist.protocol.constants import ACTIONS, Topic


def action_counts(topic: Topic) -> list[int]:
    """
    A count for each action of C{topic}, with the number of the action as the index. To increase an item of a list costs
    half as much as to increase a value of a dictionary.
    """
    return [0] * (max(ACTIONS[topic]) + 1)


class MessageCounts:
    """
    The counts of all topics.

    @ivar by_topic: the counts of each topic, see L{action_counts}. Code that counts increases them directly::

        counts.by_topic[message.topic][message.action] += 1
    """

    __slots__ = ("by_topic",)

    def __init__(self) -> None:
        self.by_topic: dict[Topic, list[int]] = {topic: action_counts(topic) for topic in ACTIONS}

    def named(self) -> dict[str, dict[str, int]]:
        """
        The counts that are not 0, by the names of topic and action.
        """
        return named(self.by_topic)


def named(by_topic: Mapping[Topic, list[int]]) -> dict[str, dict[str, int]]:
    """
    The counts that are not 0, by the names of topic and action.
    """
    return {topic.name: found for topic, counts in by_topic.items() if (found := dict(_named(topic, counts)))}


def _named(topic: Topic, counts: list[int]) -> Iterator[tuple[str, int]]:
    for action in ACTIONS[topic]:
        if counts[action]:
            yield action.name, counts[action]
