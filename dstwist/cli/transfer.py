"""
The commands C{dstwist export} and C{dstwist import}: records as lines of JSON, from any store to any store.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import pwd
import signal
import stat
import sys
import zlib
from collections.abc import Callable, Coroutine, Iterator
from typing import IO, Any, cast

import click
from twisted.internet.task import react
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)

from dstwist.cli.failure import failed
from dstwist.cli.progress import Progress, number, size
from dstwist.cli.store_options import read_settings, store_options
from dstwist.config.settings import Settings
from dstwist.errors import DstwistError
from dstwist.transfer.exporting import Exporter
from dstwist.transfer.importing import Importer, read_first_line
from dstwist.transfer.new_file import new_file
from dstwist.transfer.state_file import StateFile
from dstwist.transfer.stores import Destination, export_parts, sqlite_file

#: Stands for the standard input or output.
STANDARD = "-"

#: The compression of files whose names end in C{.gz}: a higher level is much slower, and little smaller.
_GZIP_LEVEL = 6

_LIB_DIR = click.option(
    "--lib-dir", metavar="DIR", help="Directory of Python modules of your own that the config names."
)


@click.command("export")
@click.argument("file", metavar="FILE")
@store_options
@_LIB_DIR
@click.option("-f", "--force", is_flag=True, help="Replace FILE if it exists.")
@click.option("-k", "--keep-going", is_flag=True, help="Leave out records that cannot be read, and go on.")
def export_command(
    file: str, config_file: str | None, data_dir: str | None, lib_dir: str | None, force: bool, keep_going: bool
) -> None:
    """
    Write all records to FILE, as lines of JSON; - is the standard output. If the name ends in .gz, FILE is compressed.

    A server may run meanwhile. Each record is exported as it is at some moment of the export.
    """
    settings = read_settings(config_file, lib_dir)
    progress = Progress()

    def shown(exporter: Exporter) -> str:
        return number(exporter.records)

    async def work(reactor: Any) -> None:
        parts, notes = export_parts(settings, data_dir, reactor)
        for note in notes:
            progress.tell(note)
        with _output(file, force) as stream:
            exporter = Exporter(stream.write, keep_going, progress.tell, lambda: progress.show(lambda: shown(exporter)))
            exporter.begin()
            for part in parts:
                await part.source.start()
                try:
                    await exporter.export(part.source, part.wanted)
                finally:
                    await part.source.stop()
            exporter.end()
        place = "the standard output" if file == STANDARD else file
        progress.tell(f"{shown(exporter)} exported to {place}.")
        if exporter.failed:
            raise failed(f"{number(exporter.failed)} could not be read.")

    _run(work, progress)


@click.command("import")
@click.argument("file", metavar="FILE")
@store_options
@_LIB_DIR
@click.option("--overwrite", is_flag=True, help="Replace records that have the same version, or a higher one.")
@click.option("-k", "--keep-going", is_flag=True, help="Report lines that are wrong or cannot be written, and go on.")
@click.option("--state", "state_path", metavar="STATE", help="Remember in this file how far the import has come.")
def import_command(
    file: str,
    config_file: str | None,
    data_dir: str | None,
    lib_dir: str | None,
    overwrite: bool,
    keep_going: bool,
    state_path: str | None,
) -> None:
    """
    Write the records in FILE to the stores of the configuration; - is the standard input. If the name ends in .gz, FILE
    is compressed. The server must be stopped.

    Records that are there with the same version, or a higher one, are skipped. So an import that was interrupted can be
    started again; with --state it goes on behind the last line that is done.
    """
    if state_path is not None and file == STANDARD:
        raise click.UsageError("--state needs a FILE; the standard input may be another one each time")
    settings = read_settings(config_file, lib_dir)
    progress = Progress()

    async def work(reactor: Any) -> None:
        with _input(file) as (stream, position):
            try:
                read_first_line(stream)
            except (EOFError, zlib.error) as error:
                raise failed(_damaged(error)) from None
            state_file = None if state_path is None else StateFile(state_path, file)
            target = await _started_target(settings, data_dir, reactor)
            importer = Importer(
                target, overwrite, keep_going, progress.tell, lambda: progress.show(lambda: shown(importer)), state_file
            )

            def shown(importer: Importer) -> str:
                return f"{position()}line {importer.line}, {number(importer.written)} written"

            try:
                await importer.run(stream)
            except (DstwistError, EOFError, zlib.error) as error:
                progress.tell(_counts(importer))
                problem = error if isinstance(error, DstwistError) else _damaged(error)
                hint = f"The lines up to {importer.line} are done. Start the command again when the problem is solved."
                raise failed(f"{problem}\n{hint}" if importer.line else str(problem)) from None
            finally:
                await target.stop()
        progress.tell(_counts(importer))
        if importer.failed:
            raise failed(f"{number(importer.failed, 'line')} could not be imported.")

    _run(work, progress)


def _damaged(error: Exception) -> str:
    return f"the compressed file is damaged: {error}"


async def _started_target(settings: Settings, data_dir: str | None, reactor: Any) -> Destination:
    if data_dir is not None:
        os.makedirs(data_dir, mode=0o750, exist_ok=True)
    _check_owner(settings, data_dir)
    target = Destination.from_settings(settings, data_dir, reactor)
    try:
        await target.start()
    except BaseException:
        with contextlib.suppress(Exception):
            await target.stop()
        raise
    return target


def _check_owner(settings: Settings, data_dir: str | None) -> None:
    """
    Check that the server can write to the files that an import makes: those of root are of no use to it.
    """
    try:
        directory = os.path.dirname(os.path.realpath(sqlite_file(settings, data_dir, "import")))
        owner = os.stat(directory).st_uid
    except (DstwistError, OSError):
        # The storage is of another kind, or has a problem that it tells itself.
        return
    if os.geteuid() == 0 != owner:
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = f"#{owner}"
        raise failed(f"{directory} belongs to the user {name}: run the command as that user (runuser -u {name} -- ...)")


def _counts(importer: Importer) -> str:
    text = f"{number(importer.written)} written."
    if importer.skipped:
        text += f" {importer.skipped} skipped: the store has them, with the same or a higher version."
    if importer.excluded:
        text += f" {importer.excluded} left out: record.storageExclusionPrefixes keeps them in memory only."
    return text


def _run(work: Callable[[Any], Coroutine[Any, Any, None]], progress: Progress) -> None:
    """
    Run C{work} with a reactor, and end the process.
    """

    async def guarded(reactor: Any) -> None:
        reactor.callWhenRunning(_adapt_process)
        try:
            await work(reactor)
        except DstwistError as error:
            progress.clear()
            raise failed(str(error)) from None
        except OSError as error:
            progress.clear()
            raise failed(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from None

    react(guarded)


def _adapt_process() -> None:
    """
    Log warnings of stores to the standard error. End the process at once when it is interrupted, also while it waits
    for its input: all records that were written are safe.
    """
    warnings = FilteringLogObserver(textFileLogObserver(sys.stderr), [LogLevelFilterPredicate(LogLevel.warn)])
    globalLogBeginner.beginLoggingTo([warnings], redirectStandardIO=False)
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _end)


def _end(number: int, frame: object) -> None:
    click.echo("\nInterrupted.", err=True)
    os._exit(128 + number)


@contextlib.contextmanager
def _output(file: str, force: bool) -> Iterator[IO[bytes]]:
    if file == STANDARD:
        stream = sys.stdout.buffer
        try:
            yield stream
            stream.flush()
        except BrokenPipeError:
            # Python flushes the stream once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise failed("the reader of the standard output has ended before the export") from None
        return
    with new_file(file, force) as partial, open(partial, "wb") as raw:
        if file.endswith(".gz"):
            with gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, 0) as packed:
                yield cast(IO[bytes], packed)
        else:
            yield raw


@contextlib.contextmanager
def _input(file: str) -> Iterator[tuple[Any, Callable[[], str]]]:
    """
    The stream to import, and a function for how much of it is read.
    """
    if file == STANDARD:
        yield sys.stdin.buffer, lambda: ""
        return
    with open(file, "rb") as raw:
        found = os.fstat(raw.fileno())
        total = found.st_size if stat.S_ISREG(found.st_mode) else 0

        def position() -> str:
            return f"{100 * raw.tell() // total} % of {size(total)}, " if total else ""

        if file.endswith(".gz"):
            with gzip.open(raw, "rb") as unpacked:
                yield unpacked, position
        else:
            yield raw, position
