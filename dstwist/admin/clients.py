"""
The commands about clients: C{clients}, C{kick} and C{subscriptions}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred

from dstwist.admin.commands import Answer, Command, CommandError, Parameters
from dstwist.admin.lists import OF_NODES, Lists
from dstwist.admin.nodes import OtherNodes
from dstwist.admin.pages import Listing, make_page
from dstwist.admin.parts import AdminParts
from dstwist.interfaces import IRequester
from dstwist.limits.addresses import key_of
from dstwist.log import LoggedClient, Logger, about
from dstwist.permission.recheck import GrantType
from dstwist.protocol.closing import POLICY_VIOLATION
from dstwist.scheduling.time_slices import TurnPause
from dstwist.scheduling.turns import Turns
from dstwist.streams.stream import Stream
from dstwist.transports.websocket import WebSocketLink

#: The close reason of a kicked client, if the operator gives no other.
KICKED = "kicked by the operator"

#: The protocol of a stream: server-sent events.
STREAM_PROTOCOL = "sse"

#: How a client may hold a name, by the action that the permission is asked about.
_KINDS = {"SUBSCRIBE": "subscribed", "READ": "subscribed", "PROVIDE": "provides", "LISTEN": "listens"}

#: A client of the list. Both kinds have the fields of a row.
ListedClient = WebSocketLink | Stream


class Clients:
    """
    Commands about the WebSockets and the streams of one node.
    """

    _log = Logger()

    def __init__(self, parts: AdminParts, nodes: OtherNodes, lists: Lists) -> None:
        self._parts = parts
        self._nodes = nodes
        self._lists = lists
        self._turns = Turns.of(parts.clock)
        nodes.serve("kick", self._kick_for_other)
        lists.add("clients", self._clients, ("user",))
        lists.add("subscriptions", self._holders, ("name",))

    def commands(self) -> list[Command]:
        """
        The commands.
        """
        return [
            Command("clients", self.clients, ("user", *OF_NODES)),
            Command("kick", self.kick, ("user", "client", "reason", "here"), changes=True),
            Command("subscriptions", self.subscriptions, ("name", "client", *OF_NODES)),
        ]

    # -- clients

    def clients(self, parameters: Parameters) -> Deferred[Answer]:
        """
        The clients in the order of their connections, of this node or of all.
        """
        return self._lists.answer("clients", parameters)

    def _clients(self, parameters: Parameters) -> Listing[ListedClient]:
        user, clock = parameters.text("user"), self._parts.clock

        def key(client: ListedClient) -> tuple[int] | None:
            return (client.number,) if user is None or client.user == user else None

        def row(client: ListedClient) -> dict[str, Any]:
            return {
                **client_of(client),
                "path": client.path,
                "protocol": _protocol(client),
                "seconds": int(clock.seconds() - client.opened_at),
                "waitingBytes": client.waiting_bytes,
            }

        return Listing(self._all(), key, row)

    def _all(self) -> Iterator[ListedClient]:
        # Copies: clients come and go meanwhile.
        for factory in self._parts.web_sockets.values():
            yield from (link for link in list(factory.links) if link.connection is not None)
        yield from list(self._parts.streams.all())

    async def _find(self, number: int) -> ListedClient:
        pause = TurnPause(self._turns)
        for client in self._all():
            if pause.due():
                await pause.wait()
            if client.number == number and party_of(client) is not None:
                return client
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
        self._close(party_of(await self._find(number)), reason)
        return {"kicked": 1}

    def _kick_for_other(self, parameters: Parameters) -> Deferred[Answer]:
        return Deferred.fromCoroutine(self._kick_user(parameters.needed("user"), parameters.text("reason") or KICKED))

    async def _kick_user(self, user: str, reason: str) -> Answer:
        return {"kicked": await self.kick_user(user, reason)}

    async def kick_user(self, user: str, reason: str) -> int:
        """
        Close all connections of C{user}, as L{dstwist.node.Node.kick} does, in time slices.

        @return: the number of connections, streams, handles and requests.
        """
        parts = self._parts
        parts.request_logins.forget(user)
        pause = TurnPause(self._turns)
        kicked = 0
        for connection in (*parts.users.connections(user), *parts.streams.of_user(user)):
            if pause.due():
                await pause.wait()
            if not connection.closed:
                self._close(connection, reason)
                kicked += 1
        kicked += parts.kick_handles(user, reason)
        return kicked + await self._refuse(lambda client: client.user == user, reason, pause)

    async def kick_address(self, key: str, reason: str) -> int:
        """
        Close all connections from an address (L{dstwist.limits.addresses}), in time slices.

        @return: the number of connections, streams and requests.
        """
        pause = TurnPause(self._turns)
        kicked = 0
        for client in self._all():
            if pause.due():
                await pause.wait()
            party = party_of(client)
            if party is not None and key_of(client.address) == key:
                self._close(party, reason)
                kicked += 1
        return kicked + await self._refuse(lambda client: key_of(client.address) == key, reason, pause)

    async def _refuse(self, fits: Callable[[LoggedClient], bool], reason: str, pause: TurnPause) -> int:
        """
        Refuse the requests under way of the clients for which C{fits} is true.
        """
        batches = self._parts.batches
        kicked = 0
        for batch, client in batches.under_way():
            if pause.due():
                await pause.wait()
            if fits(client):
                kicked += batches.kick(batch, reason)
        return kicked

    def _close(self, party: Any, reason: str) -> None:
        if IRequester.providedBy(party):
            self._log.info("KICKED | {client}: {reason}", reason=reason, event="KICKED", **about(party))
        if isinstance(party, Stream):
            party.close(reason)
        else:
            party.close(reason, POLICY_VIOLATION)

    # -- subscriptions

    def subscriptions(self, parameters: Parameters) -> Deferred[Answer]:
        """
        The clients that hold a name, or the names that a client of this node holds.
        """
        name, number = parameters.text("name"), parameters.number("client", 0)
        if (name is None) == (not number):
            raise CommandError("expected either name or client")
        if name is not None:
            return self._lists.answer("subscriptions", parameters)
        if parameters.flag("all"):
            raise CommandError("a client has its number on one node: expected client without all")
        return Deferred.fromCoroutine(self._names_of(number, parameters))

    def _holders(self, parameters: Parameters) -> Listing[tuple[GrantType, IRequester]]:
        name = parameters.needed("name")

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

        return Listing(holders(), key, row)

    async def _names_of(self, number: int, parameters: Parameters) -> Answer:
        client: Any = party_of(await self._find(number))

        def names() -> Iterator[tuple[GrantType, str]]:
            for grant in self._grants():
                for name in grant.registry.names_of(client):
                    yield grant, name

        def key(held: tuple[GrantType, str]) -> tuple[str, str, str]:
            return held[1], held[0].topic.name, kind_of(held[0])

        def row(held: tuple[GrantType, str]) -> dict[str, Any]:
            grant, name = held
            return {"topic": grant.topic.name, "kind": kind_of(grant), "name": name if grant.named else None}

        page = await make_page("subscriptions", Listing(names(), key, row), parameters, self._turns)
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


def client_of(client: LoggedClient) -> dict[str, Any]:
    """
    The fields of a row about a client.
    """
    return {"client": client.number, "user": client.user, "address": client.address}


def party_of(client: ListedClient) -> Any:
    """
    The party that makes the requests of a client; C{None} if it has ended.
    """
    if isinstance(client, Stream):
        return None if client.closed else client
    return client.connection


def _protocol(client: ListedClient) -> str | None:
    if isinstance(client, Stream):
        return STREAM_PROTOCOL
    wire = getattr(client.connection, "wire", None)
    return None if wire is None else wire.codec.name
