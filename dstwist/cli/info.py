"""
The command C{dstwist info}: versions, for bug reports.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distributions, requires, version

import click

from dstwist import __version__
from dstwist.config.load import find


@click.command()
@click.option("-c", "--config", "config_file", metavar="FILE", help="The configuration file to name.")
@click.option("-l", "--lib-dir", metavar="DIR", help="Not needed: what is installed is listed.")
def info(config_file: str | None, lib_dir: str | None) -> None:
    """
    Print the versions of dstwist and of what it uses, as JSON.
    """
    found = {
        "dstwistVersion": __version__,
        "platform": platform.system().lower(),
        "arch": platform.machine(),
        "pythonVersion": platform.python_version(),
        "config": config_file if config_file is not None else find(os.environ),
        "libs": sorted(_libraries()),
    }
    click.echo(json.dumps(found, indent=2))


def _libraries() -> Iterator[str]:
    """
    The distributions that dstwist needs, and those that extend it.
    """
    try:
        needed = requires("dstwist") or []
    except PackageNotFoundError:
        # It runs from a checkout.
        needed = []
    for requirement in needed:
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        if "extra ==" not in requirement:
            yield f"{name}:{version(name)}"
    for distribution in distributions():
        if any(entry.group.startswith("dstwist.") for entry in distribution.entry_points):
            yield f"{distribution.name}:{distribution.version}"
