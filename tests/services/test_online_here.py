"""
Tests for L{dstwist.services.online_here}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.settings import PresenceSettings
from dstwist.connections.users import UserRegistry
from dstwist.services.online_here import OnlineHere
from tests.fakes import FakeConnection


class OnlineHereTests(SynchronousTestCase):
    """
    L{OnlineHere}. The tests of L{dstwist.services.presence} have the rest of it.
    """

    def test_alternate(self) -> None:
        """
        Joins and leaves of a user alternate, and the roster has the users who have joined and not left.
        """
        clock, users = Clock(), UserRegistry()
        told: list[str] = []
        online = OnlineHere(
            users,
            PresenceSettings(grace_period=2.0),
            clock,
            lambda user: told.append(f"+{user}"),
            lambda user: told.append(f"-{user}"),
        )
        for seconds, left in ((1, []), (2, ["-ann"]), (1, []), (3, ["-ann"])):
            joins = [] if "ann" in online.roster else ["+ann"]
            connections = [FakeConnection("ann") for _ in range(2)]
            for connection in connections:
                users.add(connection)
            for connection in connections:
                users.remove(connection)
            clock.advance(seconds)
            self.assertEqual((told, "ann" in online.roster), (joins + left, not left))
            told.clear()
