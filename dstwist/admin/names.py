"""
The commands about names: C{records}, C{providers} and C{patterns}.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError

from dstwist.admin.clients import client_of
from dstwist.admin.commands import Answer, Command, CommandError, Parameters
from dstwist.admin.lists import OF_NODES, Lists
from dstwist.admin.nodes import OtherNodes
from dstwist.admin.pages import Listing
from dstwist.admin.parts import AdminParts
from dstwist.interfaces import IRequester, IStore
from dstwist.protocol.constants import Topic
from dstwist.protocol.patched import plain
from dstwist.routing.registrations import Registration

#: How long a command waits for a store, in seconds.
STORE_TIMEOUT = 5.0


class Names:
    """
    Commands about the names of one node.
    """

    def __init__(self, parts: AdminParts, nodes: OtherNodes, lists: Lists) -> None:
        self._parts = parts
        self._nodes = nodes
        self._lists = lists
        nodes.serve("records", self._record_for_other)
        lists.add("providers", self._all_provided, ("name",))
        lists.add("patterns", self._all_patterns)

    def commands(self) -> list[Command]:
        """
        The commands.
        """
        return [
            Command("records", self.records, ("name", "data", "all")),
            Command("providers", self.providers, ("name", *OF_NODES)),
            Command("patterns", self.patterns, OF_NODES),
        ]

    # -- records

    def records(self, parameters: Parameters) -> Deferred[Answer]:
        """
        A record as the cache and the storage have it, and its subscribers, here or on all nodes.
        """
        name, with_data = parameters.needed("name"), parameters.flag("data")
        if parameters.flag("all"):
            return Deferred.fromCoroutine(self._record_of_all(name, with_data))
        return Deferred.fromCoroutine(self._record(name, with_data))

    async def _record_of_all(self, name: str, with_data: bool) -> Answer:
        # Data do not go from node to node: those of this node are enough to look at.
        asked = self._nodes.ask_all("records", {"name": name})
        own = await self._record(name, with_data)
        return {"node": self._nodes.here, **own, "nodes": await asked}

    def _record_for_other(self, parameters: Parameters) -> Deferred[Answer]:
        return Deferred.fromCoroutine(self._record(parameters.needed("name"), False))

    async def _record(self, name: str, with_data: bool) -> Answer:
        parts, tiers = self._parts, self._parts.tiers
        registry = parts.topics.subscriptions.get(Topic.RECORD)
        if registry is None:
            raise CommandError("records are switched off", 409)
        provider = self._provider(Topic.RECORD, name)
        answer: dict[str, Any] = {
            "name": name,
            "subscribers": len(registry.subscribers(name)),
            "provider": None if provider is None else client_of(provider.connection),
            "arbiter": tiers.arbiter(name)[1],
            "inDoubt": name in tiers.unresolved,
        }
        # Both at once: one that hangs does not delay the other.
        asked = [(tier, self._ask(store, name, with_data)) for tier, store in self._tiers(name)]
        for tier, found in asked:
            answer[tier] = await found
        return answer

    def _tiers(self, name: str) -> list[tuple[str, IStore]]:
        tiers = self._parts.tiers
        stores: list[tuple[str, IStore]] = [("cache", tiers.cache)]
        if tiers.storage is not None and tiers.is_stored(name):
            stores.append(("storage", tiers.storage))
        return stores

    def _ask(self, store: IStore, name: str, with_data: bool) -> Deferred[dict[str, Any]]:
        return Deferred.fromCoroutine(self._answer(store, name, with_data))

    async def _answer(self, store: IStore, name: str, with_data: bool) -> dict[str, Any]:
        try:
            record = await store.get(name).addTimeout(STORE_TIMEOUT, self._parts.clock)
        except TimeoutError:
            return {"error": f"no answer within {STORE_TIMEOUT:g} s"}
        except Exception as error:
            # A store may be a class of the operator, with any mistake.
            return {"error": f"{type(error).__name__}: {error}"}
        if record is None:
            return {"version": None}
        return {"version": record.version, "data": plain(record.content)} if with_data else {"version": record.version}

    def _provider(self, topic: Topic, name: str) -> Registration | None:
        for listeners in self._parts.topics.listeners.values():
            if listeners.topic is topic:
                return listeners.provider_of(name)
        return None

    # -- providers and patterns

    def providers(self, parameters: Parameters) -> Deferred[Answer]:
        """
        The names that have a provider, with their providers, of this node or of all.
        """
        return self._lists.answer("providers", parameters)

    def _all_provided(self, parameters: Parameters) -> Listing[tuple[Topic, str, IRequester]]:
        wanted = parameters.text("name")

        def key(provided: tuple[Topic, str, IRequester]) -> tuple[str, str, int] | None:
            topic, name, connection = provided
            return (name, topic.name, connection.number) if wanted is None or name == wanted else None

        def row(provided: tuple[Topic, str, IRequester]) -> dict[str, Any]:
            topic, name, connection = provided
            return {"topic": topic.name, "name": name, **client_of(connection)}

        return Listing(self._provided(), key, row)

    def _provided(self) -> Iterator[tuple[Topic, str, IRequester]]:
        procedures = self._parts.topics.subscriptions.get(Topic.RPC)
        if procedures is not None:
            for name in list(procedures.names()):
                for connection in procedures.subscribers(name):
                    yield Topic.RPC, name, connection
        for topic, registration in self._registrations():
            for name in list(registration.provides):
                yield topic, name, registration.connection

    def patterns(self, parameters: Parameters) -> Deferred[Answer]:
        """
        The patterns that clients listen to, of this node or of all.
        """
        return self._lists.answer("patterns", parameters)

    def _all_patterns(self, parameters: Parameters) -> Listing[tuple[Topic, Registration]]:
        def key(found: tuple[Topic, Registration]) -> tuple[str, str, int]:
            topic, registration = found
            return registration.pattern.text, topic.name, registration.connection.number

        def row(found: tuple[Topic, Registration]) -> dict[str, Any]:
            topic, registration = found
            return {
                "topic": topic.name,
                "pattern": registration.pattern.text,
                **client_of(registration.connection),
                "provides": len(registration.provides),
            }

        return Listing(self._registrations(), key, row)

    def _registrations(self) -> Iterator[tuple[Topic, Registration]]:
        for listeners in self._parts.topics.listeners.values():
            for registration in listeners.registrations():
                yield listeners.topic, registration
