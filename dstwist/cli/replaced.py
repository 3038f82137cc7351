"""
Commands of the Node server that do not exist here. They print what to do in their place.
"""

from __future__ import annotations

import os
import sys

import click

from dstwist.cli.failure import failed

_DAEMON = """\
dstwist daemon does not exist: it would start the server again when it ends, and so does your system.

With systemd (see "As a service" in docs/operations.rst):
    dstwist service add --config /etc/dstwist/config.yml
    systemctl enable --now dstwist

Without it, in the background:
    twistd --pidfile=dstwist.pid --logfile=dstwist.log dstwist --config config.yml
"""

_INSTALL = """\
dstwist install does not exist: connectors of the Node server cannot be loaded.

The built-in stores and authenticators (docs/configuration.rst) need no installation. Every other store or
authenticator is a Python package (docs/stores.rst, docs/authentication.rst):
    {pip} install PACKAGE
"""


def _instead(name: str, text: str) -> click.Command:
    """
    A command that prints the alternative, for any options.
    """

    @click.command(name, hidden=True, context_settings={"ignore_unknown_options": True})
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    def instead(words: tuple[str, ...]) -> None:
        raise failed(text.rstrip("\n"))

    instead.help = text.partition("\n")[0]
    return instead


daemon = _instead("daemon", _DAEMON)
install = _instead("install", _INSTALL.format(pip=os.path.join(os.path.dirname(sys.executable), "pip")))
