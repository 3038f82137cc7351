"""
The parts that the commands of C{dstwist admin} share: the server that is asked, and the form of the output.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from dstwist.cli.admin_client import AdminClient, connect


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
        return click.command(name)(run)

    return decorate


def client_number(text: str) -> int:
    """
    The number of a connection, with or without the sign that it has in the log: C{17}, C{#17}.
    """
    try:
        return int(text.removeprefix("#"))
    except ValueError:
        raise click.BadParameter(f"{text} is not the number of a client") from None
