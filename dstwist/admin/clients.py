"""
The commands about clients: C{clients}, C{kick} and C{subscriptions}.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred

from dstwist.admin.commands import Command, CommandError, Parameters, Result
from dstwist.admin.pages import PAGED, make_page
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

    def __init__(self, parts: NodeParts) -> None:
        self._parts = parts
        self._turns = Turns.of(parts.clock)

    def commands(self) -> list[Command]:
        """
        The commands.
        """
        return [
            Command("clients", self.clients, ("user", *PAGED)),
            Command("kick", self.kick, ("user", "client", "reason"), changes=True),
            Command("subscriptions", self.subscriptions, ("name", "client", *PAGED)),
        ]

    # -- clients

    def clients(self, parameters: Parameters) -> Deferred[Result]:
        """
        The clients in the order of their connections.
        """
        user = parameters.text("user")

        def key(link: WebSocketLink) -> int | None:
            wanted = link.connection is not None and (user is None or link.user == user)
            return link.number if wanted else None

        return Deferred.fromCoroutine(make_page("clients", self._links(), key, _row, parameters, self._turns))

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

    def kick(self, parameters: Parameters) -> Deferred[Result]:
        """
        Close all connections of a user, or one client.
        """
        user, number = parameters.text("user"), parameters.number("client", 0)
        reason = parameters.text("reason") or KICKED
        if (user is None) == (not number):
            raise CommandError("expected either user or client")
        return Deferred.fromCoroutine(self._kick(user, number, reason))

    async def _kick(self, user: str | None, number: int, reason: str) -> Result:
        if user is not None:
            return {"kicked": await self.kick_user(user, reason)}
        self._close((await self._find(number)).connection, reason)
        return {"kicked": 1}

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
        Close all connections from an address (L{dstwist.limits.addresses}), in time slices.

        @return: the number of connections.
        """
        pause = TurnPause(self._turns)
        kicked = 0
        for link in self._links():
            if pause.due():
                await pause.wait()
            if link.connection is not None and key_of(link.address) == key:
                self._close(link.connection, reason)
                kicked += 1
        return kicked

    def _close(self, connection: Any, reason: str) -> None:
        if IRequester.providedBy(connection):
            self._log.info("KICKED | {client}: {reason}", reason=reason, event="KICKED", **about(connection))
        connection.close(reason, POLICY_VIOLATION)

    # -- subscriptions

    def subscriptions(self, parameters: Parameters) -> Deferred[Result]:
        """
        The clients that hold a name, or the names that a client holds.
        """
        name, number = parameters.text("name"), parameters.number("client", 0)
        if (name is None) == (not number):
            raise CommandError("expected either name or client")
        work = self._names_of(number, parameters) if name is None else self._holders(name, parameters)
        return Deferred.fromCoroutine(work)

    async def _holders(self, name: str, parameters: Parameters) -> Result:
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

    async def _names_of(self, number: int, parameters: Parameters) -> Result:
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
