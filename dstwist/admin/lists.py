"""
The long lists of one node, or of all nodes of the cluster.

::

    clients --> the page of this node
    clients --all--> this node, and each other node --> a page of each of them, with keys --> one page of these

A key of C{--all} ends with the name of the node. So the first rows of all nodes are in these pages, however the rows
are spread, and no node sends more than one page.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from dstwist.admin.commands import Answer, Parameters
from dstwist.admin.nodes import OtherNodes
from dstwist.admin.pages import PAGED, Listing, make_page, merged, page_size
from dstwist.scheduling.turns import Turns

#: The parameters of a command whose list may be that of all nodes.
OF_NODES = ("all", *PAGED)

#: Makes the list that the parameters ask for.
MakeListing = Callable[[Parameters], Listing[Any]]


class Lists:
    """
    Lists that other nodes may ask for.
    """

    def __init__(self, nodes: OtherNodes, turns: Turns) -> None:
        self._nodes = nodes
        self._turns = turns
        self._lists: dict[str, tuple[MakeListing, tuple[str, ...]]] = {}

    def add(self, name: str, make: MakeListing, parameters: tuple[str, ...] = ()) -> None:
        """
        Add a list.

        @param name: of the list, and of the field of an answer that has the rows.
        @param parameters: the names of the parameters that C{make} takes.
        """
        self._lists[name] = make, parameters
        self._nodes.serve(name, partial(self._serve, name))

    def answer(self, name: str, parameters: Parameters) -> Deferred[Answer]:
        """
        A page of the list of this node, or of those of all nodes.
        """
        make, names = self._lists[name]
        listing = make(parameters)
        if not parameters.flag("all"):
            return Deferred.fromCoroutine(make_page(name, listing, parameters, self._turns))
        values = {each: parameters.text(each) for each in (*names, *PAGED)}
        return Deferred.fromCoroutine(self._of_all(name, listing, values, parameters))

    async def _of_all(
        self, name: str, listing: Listing[Any], values: dict[str, str | None], parameters: Parameters
    ) -> Answer:
        size = page_size(parameters)
        # Before the own page, which takes some turns.
        asked = self._nodes.ask_all(name, values)
        own = await self._of_node(name, listing, parameters)
        return merged(name, {self._nodes.here: own, **(await asked)}, size)

    def _serve(self, name: str, parameters: Parameters) -> Deferred[Answer]:
        return Deferred.fromCoroutine(self._of_node(name, self._lists[name][0](parameters), parameters))

    async def _of_node(self, name: str, listing: Listing[Any], parameters: Parameters) -> Answer:
        return await make_page(name, listing, parameters, self._turns, self._nodes.here)
