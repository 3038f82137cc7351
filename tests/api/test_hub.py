"""
Tests for L{dstwist.api.hub}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from dstwist.api.errors import HandleClosed
from dstwist.config.settings import Settings
from tests.api.stage import ApiTestCase


class StartAndStopTests(ApiTestCase):
    """
    The API of a node that does not run yet, or any more.
    """

    def test_not_started(self) -> None:
        """
        No requests are made before the start.
        """
        node = self.make_node(Settings())
        error = self.refused(node.api.records.get("a"), HandleClosed)
        self.assertEqual(str(error), "IS_CLOSED: the node has not started")
        self.assertRaises(HandleClosed, node.api.as_user, "ann")
        self.refused(node.api.login({}), HandleClosed)
        node.startService()
        self.done(node.api.records.set("a", {}))

    def test_stop(self) -> None:
        """
        A stop ends all that waits, with the reason.
        """
        waiting: Deferred[Any] = Deferred()
        ann = self.api.as_user("ann")
        self.done(self.api.rpc.provide("slow", lambda request: waiting))
        asked = [self.api.rpc.call("slow"), ann.rpc.call("slow")]
        subscription = self.done(self.api.events.subscribe("news"))

        async def read() -> None:
            async for _ in subscription:
                pass

        reading = self.started(read())
        self.done(self.node.stop())
        for each in (*asked, reading, self.api.records.get("a"), ann.records.get("a")):
            self.assertEqual(str(self.refused(each, HandleClosed)), "IS_CLOSED: the node has stopped")
        self.assertRaises(HandleClosed, self.api.as_user, "ann")
        self.assertTrue(ann.closed)
        self.turn()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
