"""
Tests for L{dstwist.permission.valve.actions}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.permission.valve.actions import GUARDS, NAMELESS, SECTIONS, action_name
from dstwist.permission.valve.checks import RULES
from dstwist.protocol.constants import EventAction, PresenceAction, RecordAction, Topic


class GuardTests(SynchronousTestCase):
    """
    Which rule guards which action.
    """

    def test_rules(self) -> None:
        """
        Each rule of a permissions file guards an action, and no action is guarded by a rule that cannot be written.
        """
        for topic, guards in GUARDS.items():
            self.assertEqual(set(guards.values()), set(RULES[SECTIONS[topic]]), topic)

    def test_nameless(self) -> None:
        """
        An action without a name is guarded all the same.
        """
        for topic, action in NAMELESS:
            self.assertIn(action, GUARDS[topic])


class ActionNameTests(SynchronousTestCase):
    """
    The value of C{action} in a rule.
    """

    def test_both_generations(self) -> None:
        """
        Rules may compare C{action} with the number of v4 and later, or with the name of any generation.
        """
        action = action_name(Topic.EVENT, EventAction.EMIT)
        for value in (int(EventAction.EMIT), "EMIT", "EVENT"):
            self.assertTrue(action == value, value)
        for other in ("SUBSCRIBE", int(EventAction.SUBSCRIBE), None):
            self.assertFalse(action == other, other)
        self.assertTrue(action_name(Topic.PRESENCE, PresenceAction.QUERY_ALL) == "QUERY")

    def test_has(self) -> None:
        """
        v4+ clients ask with HEAD whether a record exists, so HAS has the number of HEAD.
        """
        action = action_name(Topic.RECORD, RecordAction.HAS)
        self.assertTrue(action == int(RecordAction.HEAD))
        self.assertTrue(action == "HAS")
