"""
The command C{dstwist}, for people.

C{dstwist start} is C{twistd --nodaemon dstwist} by a shorter name; whoever wants twistd's own options uses twistd.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from dstwist import __version__, config
from dstwist.errors import ConfigError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="dstwist")
def main() -> None:
    """
    A realtime data server, a drop-in for deepstream.io.
    """


@main.command()
@click.option("-c", "--config", "config_file", metavar="FILE", help="Configuration file, as of deepstream.io v10.")
@click.option("-l", "--listen", multiple=True, metavar="ENDPOINT", help="Twisted endpoint, e.g. tcp:6020. Repeatable.")
@click.option("-d", "--data-dir", metavar="DIR", help="Directory for what is to survive a restart.")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warn, error or off.")
def start(config_file: str | None, listen: Sequence[str], data_dir: str | None, log_level: str | None) -> None:
    """
    Run the server in the foreground, until it is interrupted.
    """
    arguments = []
    for option, values in (
        ("--config", [config_file]),
        ("--listen", listen),
        ("--data-dir", [data_dir]),
        ("--log-level", [log_level]),
    ):
        for value in values:
            if value is not None:
                arguments += [option, value]
    run_twistd(["--nodaemon", "--pidfile=", "dstwist", *arguments])


@main.command("check-config")
@click.argument("file", metavar="FILE")
def check_config(file: str) -> None:
    """
    Say whether the server would start with FILE, and if not, what is wrong with it. Opens no port.
    """
    try:
        settings = config.load(file, os.environ)
    except ConfigError as error:
        click.echo(str(error), err=True)
        raise SystemExit(1) from None
    for note in settings.notes:
        click.echo(note)
    click.echo(f"{file} is fine.")


def run_twistd(arguments: Sequence[str]) -> None:
    """
    Become C{twistd} with C{arguments}; comes back when the server has stopped.
    """
    # Imported here, because it is a second of work that the other commands need not wait for.
    from twisted.scripts import twistd

    sys.argv = ["twistd", *arguments]
    twistd.run()


if __name__ == "__main__":
    main()
