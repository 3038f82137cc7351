"""
The commands of C{dstwist admin} that list clients and names, of one node or of all.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from dstwist.cli.admin_command import Server, client_number, command
from dstwist.cli.admin_tables import duration, errors, facts, page, size, table

_CLIENT = {"client": "CLIENT", "user": "USER", "address": "ADDRESS"}

_TIERS = ("cache", "storage")


def _paged(function: Callable[..., None]) -> Callable[..., None]:
    """
    Add the options of a long list.
    """
    function = click.option("--after", metavar="KEY", help="Begin after this one: the last line of a page has it.")(
        function
    )
    return click.option("--limit", type=click.IntRange(1, 1000), help="The most rows, 100 by default.")(function)


_of_all = click.option("--all", "of_all", is_flag=True, help="Those of all nodes of the cluster.")


def _show_page(
    server: Server, name: str, titles: dict[str, str], answer: dict[str, Any], rows: list[dict[str, Any]] | None = None
) -> None:
    """
    Print a page of the list C{name}, and the nodes that have not answered.

    @param rows: the rows for people, if they differ from those of the answer.
    """
    missing = answer.get("missing")
    if missing is not None:
        titles = {**titles, "node": "NODE"}
    server.show(answer, lambda: [*page(titles, answer[name] if rows is None else rows, answer), *errors(missing or {})])


@command("clients")
@click.option("--user", metavar="USER", help="Only the connections of this user.")
@_of_all
@_paged
def clients(server: Server, user: str | None, of_all: bool, limit: int | None, after: str | None) -> None:
    """
    List the clients, streams included, in the order of their connections.
    """
    answer = server.client.get("clients", {"user": user, "all": of_all, "limit": limit, "after": after})
    rows = [
        {**row, "time": duration(row["seconds"]), "waiting": size(row["waitingBytes"])} for row in answer["clients"]
    ]
    titles = {**_CLIENT, "path": "PATH", "protocol": "PROTOCOL", "time": "CONNECTED", "waiting": "WAITING"}
    _show_page(server, "clients", titles, answer, rows)


@command("subscriptions")
@click.argument("name", required=False)
@click.option("--client", type=client_number, metavar="N", help="The names of the client with this number.")
@_of_all
@_paged
def subscriptions(
    server: Server, name: str | None, client: int | None, of_all: bool, limit: int | None, after: str | None
) -> None:
    """
    List the clients that are subscribed to NAME, or provide it; with --client all names of one client.
    """
    values = {"name": name, "client": client, "all": of_all, "limit": limit, "after": after}
    answer = server.client.get("subscriptions", values)
    titles = {"topic": "TOPIC", "kind": "KIND", **(_CLIENT if client is None else {"name": "NAME"})}
    _show_page(server, "subscriptions", titles, answer)


@command("records")
@click.argument("name")
@click.option("--data", is_flag=True, help="Print the data, too, as this node reads them.")
@click.option("--all", "of_all", is_flag=True, help="On all nodes of the cluster.")
def records(server: Server, name: str, data: bool, of_all: bool) -> None:
    """
    Print where the record NAME is held, its versions there, and its subscribers.
    """
    answer = server.client.get("records", {"name": name, "data": data, "all": of_all})
    server.show(answer, lambda: _record(answer) if "nodes" not in answer else _record_of_nodes(answer))


def _record(answer: dict[str, Any]) -> list[str]:
    pairs = [("subscribers", answer["subscribers"]), ("provider", _provider(answer)), ("arbiter", answer["arbiter"])]
    pairs += [("in doubt", answer["inDoubt"])]
    pairs += [(tier, _held(answer[tier])) for tier in _TIERS if tier in answer]
    return [*facts(pairs), *_data(answer)]


def _record_of_nodes(answer: dict[str, Any]) -> list[str]:
    nodes = {answer["node"]: answer, **answer["nodes"]}
    rows = [
        {
            **each,
            "node": node,
            "provider": _provider(each),
            **{tier: _held(each[tier]) for tier in _TIERS if tier in each},
        }
        for node, each in nodes.items()
        if "error" not in each
    ]
    titles = {"node": "NODE", "subscribers": "SUBSCRIBERS", "provider": "PROVIDER", "inDoubt": "IN DOUBT"}
    titles |= {tier: tier.upper() for tier in _TIERS if tier in answer}
    missing = {node: each["error"] for node, each in nodes.items() if "error" in each}
    return [f"arbiter: {answer['arbiter']}", *table(titles, rows), *_data(answer), *errors(missing)]


def _provider(record: dict[str, Any]) -> str | None:
    provider = record["provider"]
    return None if provider is None else f"{provider['user']} (#{provider['client']})"


def _data(record: dict[str, Any]) -> list[str]:
    return [f"{tier}: {json.dumps(record[tier]['data'])}" for tier in _TIERS if "data" in record.get(tier, ())]


def _held(tier: dict[str, Any]) -> str:
    if "error" in tier:
        return f"not known: {tier['error']}"
    return "no record" if tier["version"] is None else f"version {tier['version']}"


@command("providers")
@click.argument("name", required=False)
@_of_all
@_paged
def providers(server: Server, name: str | None, of_all: bool, limit: int | None, after: str | None) -> None:
    """
    List the names that have a provider, or the providers of NAME.
    """
    answer = server.client.get("providers", {"name": name, "all": of_all, "limit": limit, "after": after})
    _show_page(server, "providers", {"topic": "TOPIC", "name": "NAME", **_CLIENT}, answer)


@command("patterns")
@_of_all
@_paged
def patterns(server: Server, of_all: bool, limit: int | None, after: str | None) -> None:
    """
    List the patterns that clients listen to.
    """
    answer = server.client.get("patterns", {"all": of_all, "limit": limit, "after": after})
    titles = {"topic": "TOPIC", "pattern": "PATTERN", **_CLIENT, "provides": "PROVIDES"}
    _show_page(server, "patterns", titles, answer)


#: The commands.
LISTS = (clients, subscriptions, records, providers, patterns)
