"""
The options that tell a command where the records are, as for the server.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import click

from dstwist.cli.failure import failed
from dstwist.config.load import find, load
from dstwist.config.settings import Settings
from dstwist.errors import ConfigError


def store_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """
    Give a command the options C{--config} and C{--data-dir}.
    """
    config = click.option(
        "-c",
        "--config",
        "config_file",
        metavar="FILE",
        help="The configuration of the server; found as by dstwist start.",
    )
    return config(click.option("-d", "--data-dir", metavar="DIR", help="The data directory of the server.")(command))


def read_settings(config_file: str | None, lib_dir: str | None = None) -> Settings:
    """
    The settings of the server.

    @param lib_dir: the directory of the operator's own modules.
    """
    if lib_dir is not None:
        if not os.path.isdir(lib_dir):
            raise failed(f"--lib-dir {lib_dir}: there is no such directory")
        sys.path.insert(0, os.path.abspath(lib_dir))
    try:
        return load(config_file if config_file is not None else find(os.environ), os.environ)
    except ConfigError as error:
        raise failed(str(error)) from None
