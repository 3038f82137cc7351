"""
A web application with a node of its own. It takes orders by HTTP, and cooks them when a client says so::

    python embedded.py tcp:8080:interface=127.0.0.1 tcp:6020:interface=127.0.0.1 [DIRECTORY]

With a DIRECTORY for its data, the orders survive a restart::

    POST /orders         a new order, as JSON: {"dish": "soup"}; the answer is the name of its record
    GET /orders          the orders, as JSON

Clients subscribe to the list C{orders} and to the records C{order/1}, C{order/2} and so on. A waiter sets C{state} of
an order to C{confirmed}. The application reacts: it sets C{state} to C{cooking}, and emits the event C{kitchen}.
Clients call the procedure C{menu}.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import react
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from dstwist.api import Api, ApiError, Request, Snapshot
from dstwist.node import Node

MENU = {"soup": 5, "tea": 2}


class Restaurant:
    """
    The business: orders are records.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    async def open(self) -> None:
        """
        Serve clients, and go on with the orders from before a restart.
        """
        await self._api.rpc.provide("menu", self._menu)
        for name in await self._api.lists.entries("orders"):
            await self._api.records.subscribe(name, self._changed)

    def _menu(self, request: Request) -> dict[str, int]:
        return MENU

    async def order(self, dish: str) -> str:
        """
        Take an order.

        @return: the name of its record.
        """
        if dish not in MENU:
            raise ValueError(f"there is no {dish}")
        # The last number is a record, so it survives what the orders survive.
        last = await self._api.records.update("last-order", lambda data: {"number": data.get("number", 0) + 1})
        name = f"order/{last.data['number']}"
        await self._api.records.set(name, {"dish": dish, "state": "ordered"}, expected=-1)
        await self._api.records.subscribe(name, self._changed)
        await self._api.lists.add("orders", name)
        return name

    async def _changed(self, order: Snapshot) -> None:
        if order.exists and order.data["state"] == "confirmed":
            await self._api.records.patch(order.name, "state", "cooking")
            await self._api.events.emit("kitchen", {"order": order.name, "dish": order.data["dish"]})

    async def orders(self) -> dict[str, Any]:
        """
        All orders, by name.
        """
        names = await self._api.lists.entries("orders")
        return {name: (await self._api.records.get(name)).data for name in names}


class Orders(Resource):
    """
    The page C{/orders}.
    """

    isLeaf = True

    def __init__(self, restaurant: Restaurant) -> None:
        super().__init__()
        self._restaurant = restaurant

    def render_GET(self, request: Any) -> int:
        return self._answer(request, self._restaurant.orders())

    def render_POST(self, request: Any) -> int:
        return self._answer(request, self._order(request.content.read()))

    async def _order(self, body: bytes) -> str:
        return await self._restaurant.order(json.loads(body)["dish"])

    def _answer(self, request: Any, coroutine: Any) -> int:
        def succeeded(result: Any) -> None:
            request.setHeader("Content-Type", "application/json")
            request.write(json.dumps(result).encode())
            request.finish()

        def failed(failure: Any) -> None:
            failure.trap(ApiError, ValueError, KeyError, TypeError)
            request.setResponseCode(400)
            request.write(str(failure.value).encode())
            request.finish()

        Deferred.fromCoroutine(coroutine).addCallbacks(succeeded, failed)
        return NOT_DONE_YET


async def main(reactor: Any, web: str, listen: str, data_dir: str | None = None) -> None:
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)])
    config = {"auth": {"type": "none"}, "permission": {"type": "none"}}
    node = Node.from_config(config, reactor=reactor, listen=[listen], data_dir=data_dir)
    await node.start()
    # Stop the node before the reactor stops, so that its clients are told.
    reactor.addSystemEventTrigger("before", "shutdown", node.stop)
    restaurant = Restaurant(node.api)
    await restaurant.open()
    root = Resource()
    root.putChild(b"orders", Orders(restaurant))
    await serverFromString(reactor, web).listen(Site(root))
    ended: Deferred[None] = Deferred()
    await ended


if __name__ == "__main__":
    react(lambda reactor, *words: Deferred.fromCoroutine(main(reactor, *words)), sys.argv[1:])
