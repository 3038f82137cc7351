"""
Tests for L{dstwist.api.handle}: the end of a handle in the middle of each request.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from dstwist.api.api import Api
from dstwist.api.calls import REQUEST_TIMEOUT
from dstwist.api.errors import HandleClosed, MessageDenied, ResponseTimeout
from tests.api.stage import ApiTestCase, ignore

#: Each kind of request.
REQUESTS: dict[str, Callable[[Api], Deferred[Any]]] = {
    "emit": lambda api: api.events.emit("a", 1),
    "subscribe to an event": lambda api: api.events.subscribe("a", ignore),
    "listen to events": lambda api: api.events.listen("a", ignore),
    "get": lambda api: api.records.get("a"),
    "head": lambda api: api.records.head("a"),
    "set": lambda api: api.records.set("a", {"n": 2}),
    "patch": lambda api: api.records.patch("a", "n", 2),
    "erase": lambda api: api.records.erase("a", "n"),
    "delete": lambda api: api.records.delete("a"),
    "update": lambda api: api.records.update("a", lambda data: {"n": 2}),
    "subscribe to a record": lambda api: api.records.subscribe("a"),
    "listen to records": lambda api: api.records.listen("a", ignore),
    "add to a list": lambda api: api.lists.add("b", "x"),
    "call": lambda api: api.rpc.call("a"),
    "provide": lambda api: api.rpc.provide("b", ignore),
    "online": lambda api: api.presence.online(),
    "is online": lambda api: api.presence.is_online("ann"),
    "subscribe to all users": lambda api: api.presence.subscribe(ignore),
    "subscribe to a user": lambda api: api.presence.subscribe(ignore, user="ann"),
}


class EndTests(ApiTestCase):
    """
    A request that waits for its permission, with another one that waits for it to be served.
    """

    def setUp(self) -> None:
        super().setUp()
        self.done(self.api.records.set("a", {"n": 1}))
        self.done(self.api.rpc.provide("a", lambda request: 1))

    def ask(self, request: Callable[[Api], Deferred[Any]]) -> tuple[Api, list[Deferred[Any]]]:
        self.waits = True
        api = self.api.as_user("ann")
        asked = [request(api), api.records.get("a"), api.events.emit("a")]
        self.turn()
        for each in asked:
            self.assertNoResult(each)
        return api, asked

    def test_close(self) -> None:
        """
        If the handle is closed meanwhile, the requests fail, and a later decision does no harm.
        """
        for name, request in REQUESTS.items():
            api, asked = self.ask(request)
            api.close()
            for each in asked:
                self.assertNoResult(each)
            self.turn()
            for each in asked:
                self.assertEqual(self.failureResultOf(each, HandleClosed).value.event, "IS_CLOSED", name)
            self.permit()
            self.assertEqual(self.api.figures().handles, 1)

    def test_cancel(self) -> None:
        """
        If the caller gives up, the server's answer is dropped. The requests behind it are served.
        """
        for name, request in REQUESTS.items():
            api, (first, *others) = self.ask(request)
            first.cancel()
            self.failureResultOf(first, CancelledError)
            self.permit()
            self.permit()
            self.successResultOf(others[1])
            others[0].addErrback(lambda failure: None)  # it may have been deleted
            self.turn()
            self.assertTrue(others[0].called, name)
            api.close()
            self.turn()
            self.done(self.api.records.set("a", {"n": 1}))
        # Nothing is left of what was cancelled.
        figures = self.api.figures()
        self.assertEqual((figures.events, figures.records, figures.procedures), (0, 0, 1))

    def test_cancel_leaves_nothing(self) -> None:
        """
        A subscription that the server begins for a caller that has given up is ended, while the handle goes on.
        """
        api = self.api.as_user("ann")
        for name, request in REQUESTS.items():
            if "subscribe" in name or "provide" in name:
                self.waits = True
                asked = request(api)
                asked.cancel()
                self.failureResultOf(asked, CancelledError)
                self.permit()
                self.permit()
        figures = self.api.figures()
        self.assertEqual((figures.events, figures.records, figures.procedures), (0, 0, 1))
        # They can be begun again.
        for name, request in REQUESTS.items():
            if "subscribe" in name or "provide" in name or "listen" in name:
                self.done(request(api))

    def test_timeout(self) -> None:
        """
        If there is no answer for too long, the request fails. A subscription that the server begins after that is
        ended.
        """
        api = self.api.as_user("ann")
        for name, request in REQUESTS.items():
            if "subscribe" in name or "provide" in name or "listen" in name:
                self.waits = True
                asked = request(api)
                self.reactor.advance(REQUEST_TIMEOUT)
                self.refused(asked, ResponseTimeout)
                self.permit()
                self.permit()
        figures = self.api.figures()
        self.assertEqual((figures.events, figures.records, figures.procedures), (0, 0, 1))

    def test_stop(self) -> None:
        """
        If the node stops meanwhile, the requests fail.
        """
        everything = [each for request in REQUESTS.values() for each in self.ask(request)[1]]
        stopped = self.node.stop()
        self.permit()
        self.done(stopped)
        for each in everything:
            self.failureResultOf(each, HandleClosed)
        # The stores have timers of their own.
        self.reactor.advance(5)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_freed(self) -> None:
        """
        A handle that is closed is freed at once, without the garbage collector.
        """

        async def use() -> weakref.ref[Any]:
            with self.api.as_user("ann") as api:
                for name, request in REQUESTS.items():
                    if name != "delete":
                        await request(api)
                handle: Any = api._handle
                return weakref.ref(handle)

        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        reference = self.done(use())
        self.turn()
        self.assertIsNone(reference())

    def test_denied(self) -> None:
        """
        Each request may be denied late.
        """
        for name, request in REQUESTS.items():
            _, asked = self.ask(request)
            self.permit(False)
            if not asked[0].called:
                self.permit(False)
            self.assertEqual(self.failureResultOf(asked[0], MessageDenied).value.event, "MESSAGE_DENIED", name)
            for each in asked[1:]:
                each.addErrback(lambda failure: None)
