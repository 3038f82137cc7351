"""
The command C{dstwist admin}: the administration of a running server.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from typing import Any

import click

from dstwist.cli.admin_command import Server, client_number, command
from dstwist.cli.admin_lists import LISTS
from dstwist.cli.admin_tables import duration, errors, facts, size, table, traced
from dstwist.log import shown


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
@click.option("--client", type=client_number, metavar="N", help="Close only the client with this number.")
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
            if not isinstance(value, list | dict) and (name != "reason" or value is not None)
        ]
        pairs += [
            (f"{_words(name)}: {_words(inner)}", value)
            for name, values in answer.items()
            if isinstance(values, dict)
            for inner, value in values.items()
            if not isinstance(value, dict)
        ]
        rows = [{**row, "well": _well(row)} for row in answer["members"]]
        return [*table({**titles, "partitions": "PARTITIONS"}, rows), "", *facts(pairs)]

    server.show(answer, lines)


def _well(member: dict[str, Any]) -> str:
    if member["well"]:
        return "yes"
    return f"{'not known' if member['well'] is None else 'no'}: {member['problem']}"


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


@click.group()
def admin() -> None:
    """
    Look at a running server, and steer it.
    """


for each in (status, kick, ban, unban, bans, cluster, reload, log_level, drain, trace, check, *LISTS):
    admin.add_command(each)
