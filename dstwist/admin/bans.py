"""
The commands C{ban}, C{unban} and C{bans}: users and addresses whose clients are refused.

A ban closes the connections that there are. It is kept in memory: it ends with its time, with C{unban}, or with the
server. All nodes of a cluster have it; a node that comes later is told by the others.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from twisted.internet.defer import Deferred

from dstwist.admin.clients import Clients
from dstwist.admin.commands import Answer, Command, CommandError, Parameters
from dstwist.admin.nodes import OtherNodes
from dstwist.admin.parts import AdminParts
from dstwist.limits.addresses import key_of
from dstwist.limits.bans import BanTable

#: The close reason of a client that is banned.
BANNED = "banned by the operator"

#: The longest ban with an end, in seconds: ten years.
MAX_SECONDS = 10 * 366 * 86400


class BanCommands:
    """
    Commands about the bans of one node.
    """

    def __init__(self, parts: AdminParts, clients: Clients, nodes: OtherNodes) -> None:
        self._bans = parts.bans
        self._clients = clients
        self._nodes = nodes
        nodes.serve("ban", self._ban_here)
        nodes.serve("unban", self._unban_here)
        nodes.serve("bans", self._add)
        nodes.observe_new(self._tell)

    def commands(self) -> list[Command]:
        """
        The commands.
        """
        return [
            Command("ban", self.ban, ("user", "address", "seconds", "here"), changes=True),
            Command("unban", self.unban, ("user", "address", "here"), changes=True),
            Command("bans", self.bans),
        ]

    def ban(self, parameters: Parameters) -> Deferred[Answer]:
        """
        Refuse a user or an address, and close their connections.
        """
        return self._everywhere("ban", parameters)

    def unban(self, parameters: Parameters) -> Deferred[Answer]:
        """
        End a ban.
        """
        return self._everywhere("unban", parameters)

    def _everywhere(self, question: str, parameters: Parameters) -> Deferred[Answer]:
        # Other nodes would find the same mistakes in the parameters.
        self._banned(parameters)
        seconds = parameters.number("seconds", 0, 1, MAX_SECONDS) or None
        values = {"user": parameters.text("user"), "address": parameters.text("address"), "seconds": seconds}
        return self._nodes.everywhere(question, values, parameters.flag("here"))

    def _ban_here(self, parameters: Parameters) -> Deferred[Answer]:
        table, name = self._banned(parameters)
        seconds = parameters.number("seconds", 0, 1, MAX_SECONDS) or None
        if not table.add(name, seconds):
            raise CommandError("there are too many bans", 409)
        return Deferred.fromCoroutine(self._close(table, name, seconds))

    async def _close(self, table: BanTable, name: str, seconds: float | None) -> Answer:
        if table is self._bans.users:
            kicked = await self._clients.kick_user(name, BANNED)
        else:
            kicked = await self._clients.kick_address(name, BANNED)
        return {"banned": name, "seconds": seconds, "kicked": kicked}

    def _unban_here(self, parameters: Parameters) -> Answer:
        table, name = self._banned(parameters)
        return {"ended": table.discard(name)}

    def _tell(self, node: str) -> None:
        """
        A node has come: it has no bans yet.
        """
        values = {"users": self._bans.users.left(), "addresses": self._bans.addresses.left()}
        if any(values.values()):
            self._nodes.tell(node, "bans", values)

    def _add(self, parameters: Parameters) -> Answer:
        """
        Add the bans of another node to those that this one has.
        """
        for key, table in (("users", self._bans.users), ("addresses", self._bans.addresses)):
            for name, seconds in parameters.mapping(key).items():
                if name not in table and (seconds is None or type(seconds) in (int, float)):
                    table.add(name, seconds)
        return {}

    def bans(self, parameters: Parameters) -> Answer:
        """
        All bans.
        """
        rows: list[dict[str, Any]] = []
        for kind, table in (("user", self._bans.users), ("address", self._bans.addresses)):
            for name, seconds in sorted(table.left().items()):
                rows.append({"kind": kind, "name": name, "seconds": None if seconds is None else int(seconds)})
        return {"bans": rows}

    def _banned(self, parameters: Parameters) -> tuple[BanTable, str]:
        user, address = parameters.text("user"), parameters.text("address")
        if (user is None) == (address is None):
            raise CommandError("expected either user or address")
        if user is not None:
            return self._bans.users, user
        assert address is not None
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise CommandError("address: expected an address of IPv4 or IPv6") from None
        key = key_of(address)
        assert key is not None
        return self._bans.addresses, key
