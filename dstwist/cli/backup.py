"""
The commands C{dstwist backup} and C{dstwist restore}: copies of the SQLite file with the records.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import click

from dstwist.cli.failure import failed
from dstwist.cli.progress import Progress, number, size
from dstwist.cli.store_options import read_settings, store_options
from dstwist.errors import DstwistError
from dstwist.transfer.backup import back_up
from dstwist.transfer.restore import check_backup
from dstwist.transfer.restore import restore as put_back
from dstwist.transfer.stores import sqlite_file


@click.command()
@click.argument("file", metavar="FILE")
@store_options
@click.option("-f", "--force", is_flag=True, help="Replace FILE if it exists.")
def backup(file: str, config_file: str | None, data_dir: str | None, force: bool) -> None:
    """
    Write a backup of the SQLite storage to FILE, also while a server runs.

    The backup has all records as they were at one moment, with every write that was acknowledged before the command
    began. FILE gets its name when the backup is complete, checked, and on the disk. Only its owner can read it.
    """
    began = time.monotonic()
    progress = Progress()
    try:
        store = sqlite_file(read_settings(config_file), data_dir, "export")
        records = back_up(store, file, force, _showing(progress))
    except DstwistError as error:
        progress.clear()
        raise failed(str(error)) from None
    progress.clear()
    length = size(os.path.getsize(file))
    click.echo(f"{file} is a backup of {store}: {number(records)}, {length}, {time.monotonic() - began:.1f} s.")


@click.command()
@click.argument("file", metavar="FILE")
@store_options
def restore(file: str, config_file: str | None, data_dir: str | None) -> None:
    """
    Put the backup in FILE in the place of the SQLite storage. The server must be stopped.

    The replaced file is kept beside the storage, under another name.
    """
    progress = Progress()
    try:
        store = sqlite_file(read_settings(config_file), data_dir, "import")
        check_backup(file)
        if data_dir is not None:
            os.makedirs(data_dir, mode=0o750, exist_ok=True)
        records, replaced = put_back(file, store, _showing(progress))
    except DstwistError as error:
        progress.clear()
        raise failed(str(error)) from None
    except OSError as error:
        raise failed(f"--data-dir {data_dir}: {error.strerror}") from None
    progress.clear()
    click.echo(f"{store} has the {number(records)} of {file} now.")
    if replaced is not None:
        click.echo(f"The file that was there is {replaced} now.")


def _showing(progress: Progress) -> Callable[[int, int], None]:
    def show(copied: int, total: int) -> None:
        progress.show(lambda: f"{100 * copied // max(total, 1)} % copied" if copied < total else "Checking the copy")

    return show
