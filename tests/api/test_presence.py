"""
Tests for L{dstwist.api.presence}.
"""

from __future__ import annotations

from dstwist.api.errors import MessageDenied
from dstwist.api.presence import PresenceChange
from tests.api.stage import ApiTestCase, ignore, rules


class PresenceTests(ApiTestCase):
    """
    Users of both generations, as the application sees them.
    """

    def test_queries(self) -> None:
        """
        The users with a connection are online; a handle is none.
        """
        self.assertEqual(self.done(self.api.presence.online()), [])
        bob = self.api.as_user("bob")
        self.client("v3", "ann")
        self.client("v4", "carl")
        self.assertEqual(sorted(self.done(self.api.presence.online())), ["ann", "carl"])
        self.assertEqual(sorted(self.done(bob.presence.online())), ["ann", "carl"])
        self.assertEqual(self.done(self.api.as_user("ann").presence.online()), ["carl"])
        self.assertEqual(self.done(self.api.presence.are_online(["ann", "bob", "ann"])), {"ann": True, "bob": False})
        self.assertTrue(self.done(self.api.presence.is_online("carl")))
        self.assertFalse(self.done(self.api.presence.is_online("dora")))

    def test_subscriptions(self) -> None:
        """
        Comings and goings, of all users and of one.
        """
        everyone: list[PresenceChange] = []
        carl: list[PresenceChange] = []
        subscription = self.done(self.api.presence.subscribe(everyone.append))
        self.done(self.api.presence.subscribe(carl.append, user="carl"))
        clients = [self.client("v3", "ann"), self.client("v4", "carl")]
        for client in clients:
            client.transport.loseConnection()
        self.turn()
        joins = [PresenceChange("ann", True), PresenceChange("carl", True)]
        leaves = [PresenceChange("ann", False), PresenceChange("carl", False)]
        self.assertEqual(everyone, joins + leaves)
        self.assertEqual(carl, [joins[1], leaves[1]])
        self.done(subscription.close())
        self.client("v4", "ann")
        self.turn()
        self.assertEqual(len(everyone), 4)


class RuleTests(ApiTestCase):
    """
    Presence in the name of a user.
    """

    settings = rules({"presence": {"*": {"allow": "user.id === 'ann'"}}})

    def test_rules(self) -> None:
        """
        The rules decide about a user, and not about the server.
        """
        bob = self.api.as_user("bob")
        self.refused(bob.presence.online(), MessageDenied)
        self.refused(bob.presence.is_online("ann"), MessageDenied)
        self.refused(bob.presence.subscribe(ignore), MessageDenied)
        self.refused(bob.presence.subscribe(ignore, user="ann"), MessageDenied)
        self.done(self.api.as_user("ann").presence.subscribe(ignore))
        self.done(self.api.presence.subscribe(ignore))
