"""
What the configuration says about what clients may do, and about parts of which only the default exists.

Of permissions only the simplest is built: everybody may do everything (C{permission} C{none}). A file that asks for
more is refused rather than noted: a server that ignored it would open what the file closes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dstwist.config_fields import (
    Component,
    as_section,
    from_mapping,
    integer,
    milliseconds,
    not_built,
    one_of,
    option,
    read_anything,
    read_component,
    read_text,
    shown,
    suggestion,
)
from dstwist.config_file import Reading, join
from dstwist.errors import ConfigError

_PERMISSION_TYPES = ("none", "config")

# Valve's sections, and the rules that must stand under "*" for all to be open. "notify" came with v4: older files,
# which open everything they know of, lack it.
_RULES: dict[str, tuple[str, ...]] = {
    "record": ("create", "read", "write", "delete", "listen", "notify"),
    "event": ("publish", "subscribe", "listen"),
    "rpc": ("provide", "request"),
    "presence": ("allow",),
}
_OPTIONAL_RULES = {"notify"}


@dataclass(frozen=True)
class PermissionOptions:
    """
    C{permission.options}.
    """

    # The Valve rules.
    permissions: Any = option(read_anything, None)
    # v2 to v4: the file with the rules.
    path: Any = option(read_anything, None)
    # How often a decision may be begun anew because a rule needs another record.
    max_rule_iterations: int = integer(3, built=False)
    # How often decisions are forgotten.
    cache_evacuation_interval: float = milliseconds(60000, built=False)


def read_permission(value: Any, path: str, reading: Reading) -> str:
    """
    The type of the permissions, after making sure that they permit everything.
    """
    found = _required_component(value, path)
    if found.type.startswith("plug-in "):
        raise ConfigError(found.where, f"{found.type} is not built yet; the server would let everybody do everything")
    if found.type not in _PERMISSION_TYPES:
        raise ConfigError(found.where, one_of(found.type, _PERMISSION_TYPES))
    where = join(path, "options")
    options = from_mapping(PermissionOptions, found.options, where, reading)
    if found.type == "config":
        _check_source(found.options, options.permissions, where, reading)
    return found.type


def _check_source(given: dict[str, Any], permissions: Any, path: str, reading: Reading) -> None:
    if ("permissions" in given) == ("path" in given):
        raise ConfigError(path, "expected the rules, as permissions: fileLoad(permissions.yml)")
    where = join(path, "permissions" if "permissions" in given else "path")
    if "path" in given:
        permissions = reading.load(read_text(given["path"], where), where)
    _check_open(permissions, where, reading)


def _check_open(permissions: Any, path: str, reading: Reading) -> None:
    """
    Makes sure that these Valve rules say no more than "everybody may do everything".

    In Valve nothing is permitted that no rule permits: a missing section, pattern or rule closes too.
    """
    sections = as_section(permissions, path)
    for name in sections:
        if name not in _RULES:
            reading.problems.append(ConfigError(join(path, name), f"unknown section{suggestion(name, _RULES)}"))
    for name, rules in _RULES.items():
        with reading.collecting():
            if name not in sections:
                raise ConfigError(join(path, name), "a missing section closes it; only open permissions are supported")
            _check_open_section(sections[name], rules, join(path, name), reading)


def _check_open_section(value: Any, rules: tuple[str, ...], path: str, reading: Reading) -> None:
    patterns = as_section(value, path)
    if "*" not in patterns:
        problem = 'without a pattern "*" it is closed; only open permissions are supported so far'
        reading.problems.append(ConfigError(path, problem))
    for pattern, value in patterns.items():
        where = join(path, pattern)
        with reading.collecting():
            found = as_section(value, where)
            for name, rule in found.items():
                if name not in rules:
                    problem = f"unknown rule{suggestion(name, rules)}"
                    reading.problems.append(ConfigError(join(where, name), problem))
                elif rule is not True and rule != "true":
                    problem = f"only the rule true is supported so far, got {shown(rule)}"
                    reading.problems.append(ConfigError(join(where, name), problem))
            missing = [name for name in rules if name not in found and name not in _OPTIONAL_RULES]
            if pattern == "*" and missing:
                problem = f"no rule for {', '.join(missing)} closes it; only the rule true is supported so far"
                raise ConfigError(where, problem)


def _required_component(value: Any, path: str) -> Component:
    """
    A component whose type must be said: an empty value may be a slip, and would open the server.
    """
    found = read_component(value, path, default="unsaid")
    if found.type == "unsaid":
        raise ConfigError(join(path, "type"), "missing; say none if that is what is meant")
    return found


def read_monitoring(value: Any, path: str, reading: Reading) -> tuple[str, ...]:
    """
    The types of the monitoring.
    """
    entries = [(join(path, i), entry) for i, entry in enumerate(value)] if isinstance(value, list) else [(path, value)]
    return tuple(_read_ignored(entry, where, reading, ("none", "default")) for where, entry in entries)


def read_ignored(value: Any, path: str, reading: Reading) -> str:
    """
    The type of a part of which only the default exists.
    """
    return _read_ignored(value, path, reading, ("default",))


def _read_ignored(value: Any, path: str, reading: Reading, silent: tuple[str, ...]) -> str:
    found = read_component(value, path, default=silent[0])
    if found.type not in silent:
        not_built(path, reading)
    return found.type


def read_plugins(value: Any, path: str, reading: Reading) -> tuple[str, ...]:
    """
    The names of the plug-ins. v2 and v3 had the connectors in here.
    """
    plugins = as_section(value, path)
    moved = {"message": "clusterNode", "cache": "cache", "storage": "storage"}
    for name, section in moved.items():
        if name in plugins:
            raise ConfigError(join(path, name), f"this is the v2/v3 name; use {section} at the top level")
    for name in plugins:
        read_component(plugins[name], join(path, name))
        not_built(join(path, name), reading)
    return tuple(plugins)
