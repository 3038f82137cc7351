"""
What a section says of a class of the operator's own, which is to do the work of a part of the server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dstwist.config.fields import shown
from dstwist.config.file import Reading, join
from dstwist.errors import ConfigError


@dataclass(frozen=True)
class CustomSettings:
    """
    A class of the operator's own.
    """

    # Which key named it: module (package.module:Class), path (file.py:Class) or name (of an entry point).
    kind: str
    # What it said; a path is absolute.
    source: str
    # What the class is given.
    options: Mapping[str, Any]
    # Where that stands, for messages.
    where: str

    def __repr__(self) -> str:
        return f"<CustomSettings {self.kind} {self.source}>"


_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_FILE = re.compile(r"(.*\.py):([A-Za-z_]\w*)", re.DOTALL)


def read_custom(
    kind: str, source: str, options: dict[str, Any], path: str, reading: Reading, page: str
) -> CustomSettings:
    """
    What the key C{kind} of the section C{path} names.

    @param page: of the documentation, that tells how to write such a class.
    """
    where = join(path, kind)
    if source.endswith((".js", ".mjs", ".cjs")):
        raise ConfigError(where, f"JavaScript cannot run here; see docs/{page}.rst for the same in Python")
    if kind == "module" and not _MODULE.fullmatch(source):
        raise ConfigError(where, f"expected package.module:Class, got {shown(source)}")
    if kind == "path":
        if found := _FILE.fullmatch(source):
            source = f"{reading.absolute(found[1], where)}:{found[2]}"
        elif not _MODULE.fullmatch(source):
            raise ConfigError(where, f"expected file.py:Class or package.module:Class, got {shown(source)}")
    return CustomSettings(kind, source, options, where)
