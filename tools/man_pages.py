"""
Writes the manual pages as reStructuredText, which C{rst2man} turns into pages: C{python tools/man_pages.py DIRECTORY}.

C{dstwist(1)} is made from the commands themselves, as C{--help} shows them; C{dstwist-config(5)} and
C{dstwist-permissions(5)} are C{docs/configuration.rst} and C{docs/permissions.rst}.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from dstwist import __version__
from dstwist.cli.main import main as dstwist

TOP = Path(__file__).resolve().parent.parent

#: Page of the manual, its section, the file in docs/ it is made of, and its line in the index of the manual.
FROM_DOCS = [
    ("dstwist-config", 5, "configuration.rst", "configuration of the realtime data server dstwist"),
    ("dstwist-permissions", 5, "permissions.rst", "permission rules of the realtime data server dstwist"),
]


def title(name: str, section: int, line: str) -> Iterator[str]:
    """
    The lines that C{rst2man} makes the head of a page from.
    """
    for text, mark in ((name, "="), (line, "-")):
        yield from (mark * len(text), text, mark * len(text), "")
    yield from (f":Manual section: {section}", ":Manual group: dstwist", f":Version: {__version__}", "")


def from_docs(file: str) -> Iterator[str]:
    """
    The lines of a file in docs/ without its title.
    """
    lines = (TOP / "docs" / file).read_text().splitlines()
    assert set(lines[1]) == {"="}, f"{file} does not begin with a title"
    yield from lines[2:]


def page_of_file(file: str) -> Iterator[str]:
    """
    The same as a page about a kind of file: with a section for the text before the first title, and with references.
    """
    yield from ("", "Description", "-----------", "")
    yield from from_docs(file)
    yield from ("", "See also", "--------", "")
    yield "``dstwist(1)``. Files whose names end in ``.rst`` are in ``/usr/share/doc/dstwist/docs``."


def command_page() -> Iterator[str]:
    """
    The lines of C{dstwist(1)}: C{docs/command.rst}, with all commands in the place of its line C{.. commands}, and with
    what C{docs/operations.rst} says of the process.
    """
    for line in from_docs("command.rst"):
        if line == ".. commands":
            for path, command in commands("dstwist", dstwist):
                yield from section(path, command)
        elif line == ".. exit statuses and signals":
            lines = list(from_docs("operations.rst"))
            yield from lines[
                lines.index("The exit status says how the server ended:") : lines.index("The other commands:")
            ]
        else:
            yield line


def commands(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """
    All commands below C{command} that do something, with the words that call them.
    """
    if isinstance(command, click.Group):
        for name, inner in sorted(command.commands.items()):
            yield from commands(f"{path} {name}", inner)
    elif not command.hidden:
        yield path, command


def section(path: str, command: click.Command) -> Iterator[str]:
    """
    The output of C{--help} of one command.
    """
    context = click.Context(command, info_name=path)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    yield from (f"``{usage}``", "~" * (len(usage) + 4), "")
    for paragraph in (command.help or "").split("\n\n"):
        yield from (" ".join(paragraph.split()).replace("*", "\\*"), "")
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option):
            yield from (f"``{record[0]}``", f"    {record[1]}", "")


def main(directory: str) -> None:
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    pages = [(name, number, line, list(page_of_file(file))) for name, number, file, line in FROM_DOCS]
    pages.append(("dstwist", 1, "realtime data server, a drop-in for deepstream.io", list(command_page())))
    for name, number, line, body in pages:
        (folder / f"{name}.{number}.rst").write_text("\n".join([*title(name, number, line), *body]) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
