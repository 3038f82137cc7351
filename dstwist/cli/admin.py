"""
The command C{dstwist admin}: the administration of a running server.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from typing import Any

import click

from dstwist.cli.admin_client import AdminClient, connect
from dstwist.cli.admin_tables import duration, errors, facts, page, size, table, traced
from dstwist.log import shown

_CLIENT = {"client": "CLIENT", "user": "USER", "address": "ADDRESS"}


def _client_number(text: str) -> int:
    """
    The number of a connection, with or without the sign that it has in the log: C{17}, C{#17}.
    """
    try:
        return int(text.removeprefix("#"))
    except ValueError:
        raise click.BadParameter(f"{text} is not the number of a client") from None


@click.group()
def admin() -> None:
    """
    Look at a running server, and steer it.
    """


class Server:
    """
    The server that a command asks, and the form of the output.
    """

    def __init__(self, as_json: bool, client: AdminClient) -> None:
        self.as_json = as_json
        self.client = client

    def show(self, answer: Any, lines: Callable[[], list[str]]) -> None:
        """
        Print C{answer}: as JSON, or C{lines} for people.
        """
        if self.as_json:
            click.echo(json.dumps(answer))
        else:
            for line in lines():
                click.echo(line)


def command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """
    A command with the options that say which server is meant. Its function gets a L{Server} first.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        def run(
            as_json: bool,
            socket_path: str | None,
            url: str | None,
            token_file: str | None,
            data_dir: str | None,
            config_file: str | None,
            **arguments: Any,
        ) -> None:
            function(Server(as_json, connect(socket_path, url, token_file, data_dir, config_file)), **arguments)

        run.__doc__ = function.__doc__
        run.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        for option in (
            click.option("-c", "--config", "config_file", metavar="FILE", help="Its configuration file."),
            click.option("-d", "--data-dir", metavar="DIR", help="Its data directory."),
            click.option("--token-file", metavar="FILE", help="The file with the token for --url."),
            click.option("--url", metavar="URL", help="Its TCP endpoint: http://HOST:PORT."),
            click.option("--socket", "socket_path", metavar="PATH", help="Its socket."),
            click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON."),
        ):
            run = option(run)
        return admin.command(name)(run)

    return decorate


def paged(function: Callable[..., None]) -> Callable[..., None]:
    """
    Add the options of a long list.
    """
    function = click.option("--after", metavar="KEY", help="Begin after this one: the last line of a page has it.")(
        function
    )
    return click.option("--limit", type=click.IntRange(1, 1000), help="The most rows, 100 by default.")(function)


@command("status")
def status(server: Server) -> None:
    """
    Print the state of the server, and its figures.
    """
    answer = server.client.get("status", {})
    names: tuple[str, ...] = (
        "name",
        "version",
        "pid",
        "uptime",
        "ready",
        "logLevel",
        "memory",
        "nodes",
        "connections",
        "streams",
        "users",
    )
    names += ("handles", "events", "records", "procedures", "cachedRecords", "storage", "cache")
    forms: dict[str, Callable[[Any], Any]] = {
        "uptime": duration,
        "memory": size,
        "ready": lambda ready: "yes" if ready else f"no: {answer['reason']}",
        "storage": _store,
        "cache": _store,
    }
    server.show(
        answer,
        lambda: facts((_words(name), forms.get(name, lambda value: value)(answer[name])) for name in names),
    )


def _store(store: dict[str, Any]) -> str:
    problem = "" if store["problem"] is None else f"; cannot write: {store['problem']}"
    return f"{store['description']}{problem}"


def _words(name: str) -> str:
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).replace("_", " ")


@command("clients")
@click.option("--user", metavar="USER", help="Only the connections of this user.")
@click.option("--all", "of_all", is_flag=True, help="Those of all nodes of the cluster.")
@paged
def clients(server: Server, user: str | None, of_all: bool, limit: int | None, after: str | None) -> None:
    """
    List the clients, in the order of their connections.
    """
    answer = server.client.get("clients", {"user": user, "all": of_all, "limit": limit, "after": after})
    rows = [
        {**row, "time": duration(row["seconds"]), "waiting": size(row["waitingBytes"])} for row in answer["clients"]
    ]
    titles = {**_CLIENT, "path": "PATH", "protocol": "PROTOCOL", "time": "CONNECTED", "waiting": "WAITING"}
    if of_all:
        titles["node"] = "NODE"
    server.show(answer, lambda: [*page(titles, rows, answer), *errors(answer.get("missing", {}))])


_here = click.option("--here", is_flag=True, help="Not on the other nodes of the cluster.")


def _sum(answer: dict[str, Any], field: str) -> int:
    """
    A number of this node and of those that have answered.
    """
    return sum(each.get(field, 0) for each in (answer, *answer.get("nodes", {}).values()))


def _check_nodes(server: Server, answer: dict[str, Any]) -> None:
    """
    Fail if a node has not answered.
    """
    missing = {node: each["error"] for node, each in answer.get("nodes", {}).items() if "error" in each}
    if missing:
        if not server.as_json:
            for line in errors(missing):
                click.echo(line)
        raise SystemExit(1)


@command("kick")
@click.argument("user", required=False)
@click.option("--client", type=_client_number, metavar="N", help="Close only the connection with this number.")
@click.option("--reason", metavar="TEXT", help="The reason that the clients are told.")
@_here
def kick(server: Server, user: str | None, client: int | None, reason: str | None, here: bool) -> None:
    """
    Close the connections of USER. They may come back: see ban.
    """
    values = {"user": user, "client": client, "reason": reason, "here": here or None}
    answer = server.client.post("kick", values)
    server.show(answer, lambda: [f"closed: {_sum(answer, 'kicked')}"])
    _check_nodes(server, answer)


def _target(target: str, user: bool) -> dict[str, str]:
    """
    The parameter for a user, or for an address.
    """
    if not user:
        try:
            ipaddress.ip_address(target)
        except ValueError:
            pass
        else:
            return {"address": target}
    return {"user": target}


@command("ban")
@click.argument("target", metavar="USER|ADDRESS")
@click.option("--for", "seconds", type=int, metavar="SECONDS", help="How long; otherwise until the server ends.")
@click.option("--user", is_flag=True, help="It is a user, although it looks like an address.")
@_here
def ban(server: Server, target: str, seconds: int | None, user: bool, here: bool) -> None:
    """
    Refuse a user, or all clients of an address, and close their connections.
    """
    answer = server.client.post("ban", {**_target(target, user), "seconds": seconds, "here": here or None})
    server.show(answer, lambda: [f"banned: {shown(answer['banned'])}; closed: {_sum(answer, 'kicked')}"])
    _check_nodes(server, answer)


@command("unban")
@click.argument("target", metavar="USER|ADDRESS")
@click.option("--user", is_flag=True, help="It is a user, although it looks like an address.")
@_here
def unban(server: Server, target: str, user: bool, here: bool) -> None:
    """
    End a ban.
    """
    answer = server.client.post("unban", {**_target(target, user), "here": here or None})
    server.show(answer, lambda: ["ended" if _sum(answer, "ended") else "there was no such ban"])
    _check_nodes(server, answer)


@command("bans")
def bans(server: Server) -> None:
    """
    List the bans, and how long each still lasts.
    """
    answer = server.client.get("bans", {})
    rows = [{**row, "left": duration(row["seconds"])} for row in answer["bans"]]
    server.show(answer, lambda: table({"kind": "KIND", "name": "NAME", "left": "LEFT"}, rows))


@command("subscriptions")
@click.argument("name", required=False)
@click.option("--client", type=_client_number, metavar="N", help="The names of the client with this number.")
@paged
def subscriptions(server: Server, name: str | None, client: int | None, limit: int | None, after: str | None) -> None:
    """
    List the clients that are subscribed to NAME, or provide it; with --client all names of one client.
    """
    values = {"name": name, "client": client, "limit": limit, "after": after}
    answer = server.client.get("subscriptions", values)
    titles = {"topic": "TOPIC", "kind": "KIND", **(_CLIENT if client is None else {"name": "NAME"})}
    server.show(answer, lambda: page(titles, answer["subscriptions"], answer))


@command("records")
@click.argument("name")
@click.option("--data", is_flag=True, help="Print the data, too.")
def records(server: Server, name: str, data: bool) -> None:
    """
    Print where the record NAME is held, its versions there, and its subscribers.
    """
    answer = server.client.get("records", {"name": name, "data": data})

    def lines() -> list[str]:
        provider = answer["provider"]
        told = None if provider is None else f"{provider['user']} (#{provider['client']})"
        pairs = [("subscribers", answer["subscribers"]), ("provider", told), ("arbiter", answer["arbiter"])]
        pairs += [("in doubt", answer["inDoubt"])]
        pairs += [(tier, _held(answer[tier])) for tier in ("cache", "storage") if tier in answer]
        found = facts(pairs)
        for tier in ("cache", "storage"):
            if "data" in answer.get(tier, ()):
                found.append(f"{tier}: {json.dumps(answer[tier]['data'])}")
        return found

    server.show(answer, lines)


def _held(tier: dict[str, Any]) -> str:
    if "error" in tier:
        return f"not known: {tier['error']}"
    return "no record" if tier["version"] is None else f"version {tier['version']}"


@command("providers")
@click.argument("name", required=False)
@paged
def providers(server: Server, name: str | None, limit: int | None, after: str | None) -> None:
    """
    List the names that have a provider on this node, or the providers of NAME.
    """
    answer = server.client.get("providers", {"name": name, "limit": limit, "after": after})
    server.show(answer, lambda: page({"topic": "TOPIC", "name": "NAME", **_CLIENT}, answer["providers"], answer))


@command("patterns")
@paged
def patterns(server: Server, limit: int | None, after: str | None) -> None:
    """
    List the patterns that clients of this node listen to.
    """
    answer = server.client.get("patterns", {"limit": limit, "after": after})
    titles = {"topic": "TOPIC", "pattern": "PATTERN", **_CLIENT, "provides": "PROVIDES"}
    server.show(answer, lambda: page(titles, answer["patterns"], answer))


@command("cluster")
def cluster(server: Server) -> None:
    """
    List the nodes of the cluster, and the figures of this one.
    """
    answer = server.client.get("cluster", {})

    def lines() -> list[str]:
        titles = {"node": "NODE", "this": "THIS", "version": "VERSION", "well": "WELL", "leaving": "LEAVING"}
        pairs = [
            (_words(name), value)
            for name, value in answer.items()
            if not isinstance(value, list | dict) and name != "reason"
        ]
        pairs += [
            (f"{_words(name)}: {_words(inner)}", value)
            for name, values in answer.items()
            if isinstance(values, dict)
            for inner, value in values.items()
            if not isinstance(value, dict)
        ]
        return [*table({**titles, "partitions": "PARTITIONS"}, answer["members"]), "", *facts(pairs)]

    server.show(answer, lines)


@command("reload")
def reload(server: Server) -> None:
    """
    Read certificates, users, rules and the configuration again, as on SIGHUP.
    """
    answer = server.client.post("reload", {})
    told = "reloaded" if answer["fine"] else "some parts could not be reloaded and stay as they were: see the log"
    server.show(answer, lambda: [told])
    if not answer["fine"]:
        raise SystemExit(1)


@command("log-level")
@click.argument("level")
def log_level(server: Server, level: str) -> None:
    """
    Log from LEVEL on, until the next reload or restart: debug, info, warn, error or off.
    """
    answer = server.client.post("log-level", {"level": level})
    server.show(answer, lambda: [f"{answer['level']}; before: {answer['before']}"])


@command("drain")
@click.argument("seconds", type=int, required=False)
def drain(server: Server, seconds: int | None) -> None:
    """
    Refuse new clients, and send those that are there away in small groups, within SECONDS. It cannot be taken back.
    """
    answer = server.client.post("drain", {"seconds": seconds})
    server.show(answer, lambda: [f"{answer['clients']} clients are sent away within {answer['seconds']} s"])


@command("trace")
@click.argument("user")
@click.option("--values", is_flag=True, help="Print data, too.")
def trace(server: Server, user: str, values: bool) -> None:
    """
    Print the messages of USER while they come and go, until it is interrupted. Data are left out.
    """
    try:
        for line in server.client.lines("trace", {"user": user, "values": values}):
            click.echo(line if server.as_json else traced(json.loads(line)))
    except KeyboardInterrupt:
        # That is how it ends.
        pass


@command("check")
def check(server: Server) -> None:
    """
    Write a record of its own, and look whether all nodes and the stores have it. Harmless; takes some seconds at most.
    """
    answer = server.client.post("check", {})
    titles = {"step": "STEP", "place": "PLACE", "seconds": "SECONDS", "result": "RESULT"}
    told = "fine" if answer["fine"] else f"{answer['problems']} problems with the record {answer['name']}"
    server.show(answer, lambda: [*table(titles, answer["steps"]), told])
    if not answer["fine"]:
        raise SystemExit(1)
