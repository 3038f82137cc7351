"""
Tests for L{dstwist.counters.messages}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.counters.messages import MessageCounts, action_counts, named
from dstwist.protocol.constants import ACTIONS, EventAction, RecordAction, Topic


class MessageCountTests(SynchronousTestCase):
    """
    L{MessageCounts}.
    """

    def test_named(self) -> None:
        """
        Topics and actions have their names. Actions without a message are left out, and so are topics.
        """
        counts = MessageCounts()
        self.assertEqual(counts.named(), {})
        counts.by_topic[Topic.EVENT][EventAction.EMIT] += 2
        counts.by_topic[Topic.RECORD][RecordAction.HAS] += 1
        self.assertEqual(counts.named(), {"EVENT": {"EMIT": 2}, "RECORD": {"HAS": 1}})

    def test_all_actions(self) -> None:
        """
        Each action of each topic has a count, also those of the text protocol alone.
        """
        for topic, actions in ACTIONS.items():
            counts = action_counts(topic)
            for action in actions:
                counts[action] += action + 1
            self.assertEqual(named({topic: counts})[topic.name], {action.name: action + 1 for action in actions})
