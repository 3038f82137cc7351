"""
Tests for L{dstwist.protocol.constants}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.constants import (
    ACTIONS,
    BULK_ACTIONS,
    FIRST_TEXT_ONLY_ACTION,
    FROM_CLIENT,
    NAMELESS_USERS,
    OPEN_USER,
    UNNAMED_USER,
    Topic,
)


class ActionTests(SynchronousTestCase):
    """
    Topics and actions.
    """

    def test_numbers(self) -> None:
        """
        No two actions of a topic have one number, and every number of v4 and later fits into one byte.
        """
        for topic, actions in ACTIONS.items():
            self.assertEqual(len(actions), len(actions.__members__), topic)
            self.assertTrue(all(action < 128 or action >= FIRST_TEXT_ONLY_ACTION for action in actions), topic)

    def test_from_client(self) -> None:
        """
        A client may only send actions of the topic it addresses, and requests for several names are among them.
        """
        for topic, sent in FROM_CLIENT.items():
            self.assertTrue(sent and sent <= frozenset(ACTIONS[topic]), topic)
        for topic, bulks in BULK_ACTIONS.items():
            self.assertLessEqual(bulks, FROM_CLIENT[topic], topic)

    def test_not_addressed(self) -> None:
        """
        Clients cannot address the topics that only servers use.
        """
        self.assertEqual(set(FROM_CLIENT) & {Topic.UNKNOWN, Topic.PARSER, Topic.MONITORING}, set())

    def test_errors(self) -> None:
        """
        The errors that the server names by text are there in each topic with requests.
        """
        for topic in (Topic.EVENT, Topic.RECORD, Topic.RPC, Topic.PRESENCE):
            for name in ("MESSAGE_DENIED", "MESSAGE_PERMISSION_ERROR", "UNKNOWN_ACTION"):
                self.assertIn(name, ACTIONS[topic].__members__, topic)

    def test_nameless_users(self) -> None:
        """
        The ids of users without a name differ: an open login is no login without a user id.
        """
        self.assertEqual(NAMELESS_USERS, {OPEN_USER, UNNAMED_USER})
        self.assertNotEqual(OPEN_USER, UNNAMED_USER)
