"""
The keys of a section that name a plug-in: C{module}, C{path} or C{name}, and C{options}.

L{dstwist.plugins} loads the plug-in.
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
class PluginSettings:
    """
    A plug-in.
    """

    # Which key named it: module (package.module:Class), path (file.py:Class) or name (of an entry point).
    kind: str
    # Its value; a path is absolute.
    source: str
    # The argument for the class.
    options: Mapping[str, Any]
    # The path of the key, for messages.
    where: str

    def __repr__(self) -> str:
        return f"<PluginSettings {self.kind} {self.source}>"


_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_FILE = re.compile(r"(.*\.py):([A-Za-z_]\w*)", re.DOTALL)


def read_plugin(
    kind: str, source: str, options: dict[str, Any], path: str, reading: Reading, page: str
) -> PluginSettings:
    """
    The plug-in that the key C{kind} of the section C{path} names.

    @param page: the page of the documentation about such plug-ins.
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
    return PluginSettings(kind, source, options, where)
