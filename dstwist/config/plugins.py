"""
The keys of a section that name a plug-in: C{module}, C{path} or C{name}, and C{options}.

L{dstwist.plugins} loads the plug-in. For C{cache}, C{storage}, C{auth} and C{permission}, the section itself names the
plug-in. C{plugins} has a section for each plug-in:

==========================================  ===========================================================================
an entry of C{plugins}                      is
==========================================  ===========================================================================
C{{module: package.module:Class}}           a plug-in of dstwist
C{{path: file.py:Class}}                    a plug-in of dstwist
C{{name: anything}}                         a plug-in of dstwist, unless it is the name of one that comes with the Node
                                            server
all others, such as C{{path: ./file.js}}    a plug-in of the Node server, which is noted and has no effect
==========================================  ===========================================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dstwist.config.fields import as_section, is_python, read_component, read_text, shown, suggestion
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

_KEYS = ("module", "path", "name", "options")
# Names for C{plugins} that come with the Node server.
_NODE_NAMES = ("aws", "default", "heap-snapshot")
# Names of npm packages: C{@scope/package}, C{deepstream.io-...}, C{deepstream-...}.
_NPM_NAME = re.compile(r"@|deepstream[.-]")


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


def read_plugins(value: Any, path: str, reading: Reading) -> dict[str, PluginSettings]:
    """
    The plug-ins of dstwist in the section C{plugins}, by name, in the order of the file.
    """
    if isinstance(value, list):
        reading.notes.append(f"CONFIG | {path} has no effect: plug-ins of the Node server cannot run here")
        return {}
    found: dict[str, PluginSettings] = {}
    for name, entry in as_section(value, path).items():
        with reading.collecting():
            plugin = _read_entry(entry, join(path, name), reading)
            if plugin is not None:
                found[name] = plugin
    return found


def _read_entry(value: Any, path: str, reading: Reading) -> PluginSettings | None:
    section = as_section(value, path)
    kind = next((key for key in ("module", "path", "name") if section.get(key) is not None), None)
    source = "" if kind is None else read_text(section[kind], join(path, kind))
    known = (kind or "type", "options")
    if kind is not None and not _is_ours(kind, source):
        read_component(value, path, reading, runs=False)
    else:
        for key in section:
            if key not in known:
                problem = f"unknown option beside {kind}" if key in _KEYS else f"unknown option{suggestion(key, _KEYS)}"
                raise ConfigError(join(path, key), problem)
        if kind is not None:
            options = as_section(section.get("options"), join(path, "options"))
            return read_plugin(kind, source, options, path, reading, "plugins")
    problem = "plug-ins of the Node server cannot run here; see docs/plugins.rst for plug-ins in Python"
    reading.notes.append(f"CONFIG | {path} has no effect: {problem}")
    return None


def _is_ours(kind: str, source: str) -> bool:
    """
    Whether an entry of C{plugins} is meant for dstwist, perhaps with a mistake.
    """
    if kind == "name":
        return source not in _NODE_NAMES and _NPM_NAME.match(source) is None
    return kind == "module" or is_python(source)
