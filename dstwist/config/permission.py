"""
C{permission}: which requests of clients are allowed.

This module finds the Valve rules, but does not read them: L{dstwist.permission.valve} does that, before any port is
opened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from dstwist.config.fields import (
    MAX_INTEGER,
    Component,
    as_section,
    flag,
    from_mapping,
    integer,
    integer_reader,
    milliseconds,
    milliseconds_reader,
    one_of,
    option,
    optional,
    read_anything,
    read_component,
    read_text,
)
from dstwist.config.file import UNREADABLE, AlreadyReported, Reading, join
from dstwist.config.plugins import PluginSettings, read_plugin
from dstwist.errors import ConfigError

_PERMISSION_TYPES = ("none", "config")


def read_iterations(value: Any, path: str, reading: Reading) -> int:
    """
    C{maxRuleIterations}. A number that is too small is refused with the text of the Node server.
    """
    iterations: int = integer_reader(-MAX_INTEGER, MAX_INTEGER)(value, path, reading)
    if iterations < 1:
        raise ConfigError(path, "Maximum rule iteration has to be at least one")
    return iterations


@dataclass(frozen=True)
class PermissionSettings:
    """
    C{permission.options}.
    """

    # The Valve rules, as in their file.
    permissions: Any = option(read_anything, None)
    # v2 to v4: the file with the rules.
    path: Any = option(read_anything, None)
    # The most passes of a decision, which a rule takes when it refers to other records.
    max_rule_iterations: int = option(read_iterations, 3)
    # How long the rule for a name is remembered, at least, after it was last used.
    cache_evacuation_interval: float = milliseconds(60000)
    # The most names whose rules are remembered. An addition of dstwist, like all below.
    max_cached_names: int = integer(100_000)
    # The highest cost of a decision, in operations, elements of arrays, and lengths of texts.
    max_rule_steps: int = integer(200_000, minimum=100)
    # Whether the log may contain the values that a failed rule has used.
    log_rule_values: bool = flag(False)
    # How often the server checks whether the file with the rules has changed. None (false or null in the file): it is
    # read again only on SIGHUP.
    reload_interval: float | None = option(optional(milliseconds_reader(100, 86400000), False), 60.0)
    # Whether new rules end the subscriptions, listeners and provisions that they do not permit.
    recheck_subscriptions: bool = flag(True)

    # none: everything is allowed; config: the rules decide; plugin: a plug-in decides.
    type: str = "none"
    # That class.
    plugin: PluginSettings | None = None
    # The path of the key with the rules.
    where: str = ""
    # The file with the rules; None if they are in the configuration file itself.
    file: str | None = None
    # Tells the file and the line of a path within the rules.
    place: Callable[[str], str] | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return f"<PermissionSettings {self.type}>"


def read_permission(value: Any, path: str, reading: Reading) -> PermissionSettings:
    """
    The settings of the permission, with the rules if there are rules.
    """
    section = as_section(value, path)
    for kind in ("module", "path", "name"):
        if section.get(kind) is not None:
            return _read_plugin(kind, section, path, reading)
    found = _required_component(value, path, reading)
    if found.type not in _PERMISSION_TYPES:
        raise ConfigError(found.where, one_of(found.type, _PERMISSION_TYPES))
    where = join(path, "options")
    settings = from_mapping(PermissionSettings, found.options, where, reading)
    if found.type == "none":
        return replace(settings, type="none", permissions=None, path=None)
    if ("permissions" in found.options) == ("path" in found.options):
        raise ConfigError(where, "expected the rules, as permissions: fileLoad(permissions.yml)")
    key = "path" if "path" in found.options else "permissions"
    where = join(where, key)
    rules = settings.permissions
    if key == "path":
        rules = reading.load(read_text(settings.path, where), where)
    if rules is UNREADABLE:
        raise AlreadyReported(where, "not loaded")
    file, place = reading.files.get(where), reading.places_within(where)
    return replace(settings, type="config", permissions=rules, path=None, where=where, file=file, place=place)


def _read_plugin(kind: str, section: dict[str, Any], path: str, reading: Reading) -> PermissionSettings:
    for key in section:
        if key not in ("type", kind, "options"):
            raise ConfigError(join(path, key), f"unknown option beside {kind}")
    options = as_section(section.get("options"), join(path, "options"))
    source = read_text(section[kind], join(path, kind))
    return PermissionSettings(type="plugin", plugin=read_plugin(kind, source, options, path, reading, "permissions"))


def _required_component(value: Any, path: str, reading: Reading) -> Component:
    """
    A component that must have a type: an empty value may be a mistake, and would open the server to all clients.
    """
    found = read_component(value, path, reading, default="unsaid")
    if found.type == "unsaid":
        raise ConfigError(join(path, "type"), "missing; say none if that is what is meant")
    return found
