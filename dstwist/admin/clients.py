"""
The commands about clients: C{clients}, C{kick} and C{subscriptions}.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from twisted.internet.defer import Deferred

from dstwist.admin.commands import Answer, Command, CommandError, Parameters
from dstwist.admin.nodes import OtherNodes
from dstwist.admin.pages import PAGED, make_page, merged, page_size
from dstwist.admin.parts import NodeParts
from dstwist.interfaces import IRequester
from dstwist.limits.addresses import key_of
from dstwist.log import Logger, about
from dstwist.permission.recheck import GrantType
from dstwist.protocol.closing import POLICY_VIOLATION
from dstwist.scheduling.time_slices import TurnPause
from dstwist.scheduling.turns import Turns
from dstwist.transports.websocket import WebSocketLink

#: The close reason of a kicked client, if the operator gives no other.
KICKED = "kicked by the operator"

#: How a client may hold a name, by the action that the permission is asked about.
_KINDS = {"SUBSCRIBE": "subscribed", "READ": "subscribed", "PROVIDE": "provides", "LISTEN": "listens"}


class Clients:
    """
    Commands about the WebSockets of one node.
    """

    _log = Logger()

    def __init__(self, parts: NodeParts, nodes: OtherNodes) -> None:
        self._parts = parts
        self._nodes = nodes
        self._turns = Turns.of(parts.clock)
        nodes.serve("clients", self._of_node)
        nodes.serve("kick", self._kick_for_other)

    def commands(self) -> list[Command]:
        """
        The commands.
        """
        return [
            Command("clients", self.clients, ("user", "all", *PAGED)),
            Command("kick", self.kick, ("user", "client", "reason", "here"), changes=True),
            Command("subscriptions", self.subscriptions, ("name", "client", *PAGED)),
        ]

    # -- clients

    def clients(self, parameters: Parameters) -> Deferred[Answer]:
        """
        The clients in the order of their connections, of this node or of all.
        """
        if parameters.flag("all"):
            return Deferred.fromCoroutine(self._of_all_nodes(parameters))
        return Deferred.fromCoroutine(self._page(parameters, lambda link: link.number))

    def _page(self, parameters: Parameters, key_of_link: Callable[[WebSocketLink], Any]) -> Coroutine[Any, Any, Answer]:
        user = parameters.text("user")

        def key(link: WebSocketLink) -> Any:
            return key_of_link(link) if link.connection is not None and (user is None or link.user == user) else None

        return make_page("clients", self._links(), key, _row, parameters, self._turns)

    def _of_node(self, parameters: Parameters) -> Deferred[Answer]:
        """
        The clients of this node, by keys that are those of this node only.
        """
        here = self._nodes.here
        return Deferred.fromCoroutine(self._page(parameters, lambda link: (link.number, here)))

    async def _of_all_nodes(self, parameters: Parameters) -> Answer:
        values = {name: parameters.text(name) for name in ("user", *PAGED)}
        # Before the own page, which takes some turns.
        asked = self._nodes.ask_all("clients", values)
        own = await self._of_node(parameters)
        return merged("clients", {self._nodes.here: own, **(await asked)}, page_size(parameters))

    def _links(self) -> Iterator[WebSocketLink]:
        for factory in self._parts.web_sockets.values():
            # A copy: clients come and go meanwhile.
            yield from list(factory.links)

    async def _find(self, number: int) -> WebSocketLink:
        pause = TurnPause(self._turns)
        for link in self._links():
            if pause.due():
                await pause.wait()
            if link.number == number and link.connection is not None:
                return link
        raise CommandError(f"there is no client #{number}", 404)

    # -- kick

    def kick(self, parameters: Parameters) -> Deferred[Answer]:
        """
        Close all connections of a user, or one client.
        """
        user, number = parameters.text("user"), parameters.number("client", 0)
        reason = parameters.text("reason") or KICKED
        if (user is None) == (not number):
            raise CommandError("expected either user or client")
        if user is None:
            return Deferred.fromCoroutine(self._kick_client(number, reason))
        return self._nodes.everywhere("kick", {"user": user, "reason": reason}, parameters.flag("here"))

    async def _kick_client(self, number: int, reason: str) -> Answer:
        self._close((await self._find(number)).connection, reason)
        return {"kicked": 1}

    def _kick_for_other(self, parameters: Parameters) -> Deferred[Answer]:
        return Deferred.fromCoroutine(self._kick_user(parameters.needed("user"), parameters.text("reason") or KICKED))

    async def _kick_user(self, user: str, reason: str) -> Answer:
        return {"kicked": await self.kick_user(user, reason)}

    async def kick_user(self, user: str, reason: str) -> int:
        """
        Close all connections of C{user}, as L{dstwist.node.Node.kick} does, in time slices.

        @return: the number of connections and handles.
        """
        self._parts.request_logins.forget(user)
        pause = TurnPause(self._turns)
        kicked = 0
        for connection in self._parts.users.connections(user):
            if pause.due():
                await pause.wait()
            if not connection.closed:
                self._close(connection, reason)
                kicked += 1
        return kicked + self._parts.kick_handles(user, reason)

    async def kick_address(self, key: str, reason: str) -> int:
        """
        Close all connections and streams from an address (L{dstwist.limits.addresses}), in time slices.

        @return: the number of connections and streams.
        """
        pause = TurnPause(self._turns)
        kicked = 0
        for link in self._links():
            if pause.due():
                await pause.wait()
            if link.connection is not None and key_of(link.address) == key:
                self._close(link.connection, reason)
                kicked += 1
        return kicked + self._parts.kick_streams(key, reason)

    def _close(self, connection: Any, reason: str) -> None:
        if IRequester.providedBy(connection):
            self._log.info("KICKED | {client}: {reason}", reason=reason, event="KICKED", **about(connection))
        connection.close(reason, POLICY_VIOLATION)

    # -- subscriptions

    def subscriptions(self, parameters: Parameters) -> Deferred[Answer]:
        """
        The clients that hold a name, or the names that a client holds.
        """
        name, number = parameters.text("name"), parameters.number("client", 0)
        if (name is None) == (not number):
            raise CommandError("expected either name or client")
        work = self._names_of(number, parameters) if name is None else self._holders(name, parameters)
        return Deferred.fromCoroutine(work)

    async def _holders(self, name: str, parameters: Parameters) -> Answer:
        def holders() -> Iterator[tuple[GrantType, IRequester]]:
            grants = {id(grant.registry): grant for grant in self._grants()}
            for registry in self._parts.topics.subscriptions.values():
                for connection in registry.subscribers(name):
                    yield grants[id(registry)], connection

        def key(holder: tuple[GrantType, IRequester]) -> tuple[int, str]:
            return holder[1].number, holder[0].topic.name

        def row(holder: tuple[GrantType, IRequester]) -> dict[str, Any]:
            grant, connection = holder
            return {"topic": grant.topic.name, "kind": kind_of(grant), **client_of(connection)}

        return await make_page("subscriptions", holders(), key, row, parameters, self._turns)

    async def _names_of(self, number: int, parameters: Parameters) -> Answer:
        client: Any = (await self._find(number)).connection

        def names() -> Iterator[tuple[GrantType, str]]:
            for grant in self._grants():
                for name in grant.registry.names_of(client):
                    yield grant, name

        def key(held: tuple[GrantType, str]) -> tuple[str, str, str]:
            return held[1], held[0].topic.name, kind_of(held[0])

        def row(held: tuple[GrantType, str]) -> dict[str, Any]:
            grant, name = held
            return {"topic": grant.topic.name, "kind": kind_of(grant), "name": name if grant.named else None}

        page = await make_page("subscriptions", names(), key, row, parameters, self._turns)
        return {"client": number, "user": client.user, **page}

    def _grants(self) -> list[GrantType]:
        return self._parts.topics.grant_types


def kind_of(grant: GrantType) -> str:
    """
    How a client holds the names of a kind of grants.
    """
    if grant.denied_as is None:
        return "offered"
    return _KINDS.get(grant.checked_as.name, "subscribed")


def client_of(connection: IRequester) -> dict[str, Any]:
    """
    The fields of a row about a client.
    """
    return {"client": connection.number, "user": connection.user, "address": connection.address}


def _row(link: WebSocketLink) -> dict[str, Any]:
    connection: Any = link.connection
    wire = getattr(connection, "wire", None)
    return {
        "client": link.number,
        "user": link.user,
        "address": link.address,
        "path": link.path,
        "protocol": None if wire is None else wire.codec.name,
        "seconds": int(link.factory.reactor.seconds() - link.opened_at),
        "waitingBytes": link.waiting_bytes,
    }
