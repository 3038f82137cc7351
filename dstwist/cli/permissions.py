"""
The commands C{dstwist permissions}: try rules out without a server.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

import click

from dstwist.errors import ConfigError
from dstwist.permission.valve.explain import Answer, Question, answer
from dstwist.permission.valve.rule_tests import check as check_expectations
from dstwist.permission.valve.rule_tests import load_rules, load_with_warnings, read_action
from dstwist.protocol.jsontext import loads


@click.group()
def permissions() -> None:
    """
    Check permission rules, and try them out.
    """


@permissions.command("check")
@click.argument("file", metavar="FILE")
def check(file: str) -> None:
    """
    Check whether the server would accept the rules in FILE, and print the problems. Warns of rules that probably have
    a mistake.
    """
    try:
        rules, warnings = load_with_warnings(file, os.environ)
    except ConfigError as error:
        raise _Refused(error) from None
    for warning in warnings:
        click.echo(f"warning: {warning}")
    click.echo(f"{file} is fine: {rules.count} rules." if not warnings else f"{file} can be used: {rules.count} rules.")


@permissions.command("explain")
@click.argument("file", metavar="FILE")
@click.option("--action", required=True, metavar="A", help="Topic and action, e.g. 'record UPDATE' or 'event EMIT'.")
@click.option("--topic", metavar="T", help="The topic, if it is not in --action.")
@click.option("--name", metavar="N", help="The record, event, procedure or user it is about.")
@click.option("--user", metavar="U", help="The user id. Without it: a client without a name.")
@click.option("--server-data", metavar="JSON", help="The value of user.data.")
@click.option("--data", metavar="JSON", help="The data that is written, emitted or sent.")
@click.option("--path", metavar="P", help="The path in the record (PATCH).")
@click.option("--old-data", metavar="JSON", help="The data of the record. Without it there is no record.")
@click.option("--record", "records", multiple=True, metavar="NAME=JSON", help="Another record. Repeatable.")
@click.option("--now", type=int, metavar="MS", help="The time, in milliseconds since 1970.  [default: now]")
def explain(
    file: str,
    action: str,
    topic: str | None,
    name: str | None,
    user: str | None,
    server_data: str | None,
    data: str | None,
    path: str | None,
    old_data: str | None,
    records: tuple[str, ...],
    now: int | None,
) -> None:
    """
    Print the decision of the rules in FILE, the rule that decides, and the values of its parts.
    """
    known = {}
    for given in records:
        key, equals, text = given.partition("=")
        if not equals:
            raise click.BadParameter(f"expected NAME=JSON, got {given}", param_hint="--record")
        known[key] = _json(text, "--record")
    if old_data is not None:
        if name is None:
            raise click.UsageError("--old-data is the data of the record that --name names")
        known[name] = _json(old_data, "--old-data")
    try:
        rules = load_rules(file, os.environ)
        asked = read_action(f"{topic} {action}" if topic else action, "--action")
    except ConfigError as error:
        raise _Refused(error) from None
    question = Question(
        *asked,
        name,
        user,
        None if server_data is None else _json(server_data, "--server-data"),
        None if data is None else json.dumps(_json(data, "--data")).encode(),
        path,
        known,
        float(int(time.time() * 1000) if now is None else now),
    )
    click.echo(_described(answer(rules, question)))


@permissions.command("test")
@click.argument("file", metavar="CASES")
@click.option("--permissions", "rules", metavar="FILE", help="The rules, if not those that CASES names.")
@click.option("-v", "--verbose", is_flag=True, help="Show expectations that are met as well.")
def test(file: str, rules: str | None, verbose: bool) -> None:
    """
    Hold rules against the table of expectations in CASES.
    """
    try:
        results = check_expectations(file, os.environ, rules)
    except ConfigError as error:
        raise _Refused(error) from None
    for result in results:
        if not result.met:
            click.echo(f"FAILED  {result.title}: {result.answer.decision} instead of {result.expected}")
            click.echo("".join(f"        {line}\n" for line in _described(result.answer).splitlines()), nl=False)
        elif verbose:
            click.echo(f"ok      {result.title}: {result.expected}")
    failed = sum(not result.met for result in results)
    click.echo(f"{len(results)} expectations, {failed} not met.")
    if failed:
        raise SystemExit(1)


class _Refused(click.ClickException):
    """
    A file that cannot be used.
    """

    def __init__(self, error: ConfigError) -> None:
        super().__init__(str(error))

    def show(self, file: Any = None) -> None:
        click.echo(self.message, err=True)


def _json(text: str, option: str) -> Any:
    try:
        return loads(text)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint=option) from None


def _described(found: Answer) -> str:
    lines = [found.decision]
    if found.kind is None:
        lines.append("This action needs no permission.")
    elif found.rule is None:
        lines.append(f"No pattern that matches has a rule {found.kind}.")
    else:
        lines.append(f"by {found.rule.where}: {' '.join(found.rule.text.split())}")
        lines += [f"   {name} = {value}" for name, value in found.variables.items()]
        lines += [
            f"   rather than {other.where}, whose pattern is shorter, or earlier in the file" for other in found.others
        ]
    if found.error is not None:
        lines.append(found.error)
    width = min(max((len(part.text) + 2 * part.level for part in found.parts), default=0), 70)
    for part in found.parts:
        text = "  " * part.level + part.text
        lines.append(f"{text:{width}}  {'(not looked at)' if part.value is None else part.value}".rstrip())
    return "\n".join(lines)
