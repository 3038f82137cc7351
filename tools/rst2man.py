"""
Turns reStructuredText into a page of the manual: C{rst2man.py FILE.rst PAGE}. It is docutils' own writer, except that a
table becomes a list of its rows, since pages of the manual are too narrow for ours. Needs docutils alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from docutils import nodes
from docutils.core import publish_file
from docutils.readers.standalone import Reader
from docutils.transforms import Transform
from docutils.writers.manpage import Writer


class RowsOfTables(Transform):
    """
    Each row becomes an item: its first cell with what is in the last one, and before that the cells between them, named
    by the head of the table.
    """

    default_priority = 800

    def apply(self) -> None:
        for table in list(self.document.findall(nodes.table)):
            heads = [cell.astext() for row in self._rows(table, nodes.thead) for cell in row]
            items = nodes.definition_list()
            for first, *others in self._joined(self._rows(table, nodes.tbody)):
                term = nodes.term("", "", *(child for part in first.children for child in part.children))
                items += nodes.definition_list_item("", term, nodes.definition("", *self._described(heads[1:], others)))
            table.replace_self(items)

    @staticmethod
    def _rows(table: nodes.table, part: type[nodes.Element]) -> Iterator[list[nodes.entry]]:
        for body in table.findall(part):
            yield from (list(row.findall(nodes.entry)) for row in body.findall(nodes.row))

    @staticmethod
    def _joined(rows: Iterator[list[nodes.entry]]) -> Iterator[list[nodes.entry]]:
        """
        The rows, with one whose first cell ends in a comma joined to the next: both names have one description.
        """
        open_row: list[nodes.entry] = []
        for row in rows:
            if open_row:
                for cell, more in zip(open_row, row, strict=True):
                    paragraph = next(cell.findall(nodes.paragraph), None)
                    for part in more.findall(nodes.paragraph):
                        if paragraph is None:
                            cell += part
                        else:
                            paragraph.extend([nodes.Text(" "), *part.children])
            else:
                open_row = row
            if not open_row[0].astext().endswith(","):
                yield open_row
                open_row = []
        if open_row:
            yield open_row

    @staticmethod
    def _described(heads: list[str], cells: list[nodes.entry]) -> Iterator[nodes.Node]:
        *between, last = cells
        named = [f"{head}: {cell.astext()}" for head, cell in zip(heads, between, strict=False) if cell.astext()]
        if named:
            yield nodes.paragraph("", "; ".join(named))
        yield from last.children


class TableReader(Reader):  # type: ignore[type-arg, unused-ignore]
    def get_transforms(self) -> list[type[Transform]]:
        return [*super().get_transforms(), RowsOfTables]


def main(source: str, page: str) -> None:
    publish_file(
        source_path=source,
        destination_path=page,
        reader=TableReader(),
        writer=Writer(),
        settings_overrides={"report_level": 2, "halt_level": 2, "smart_quotes": False},
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
