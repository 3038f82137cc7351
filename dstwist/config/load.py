"""
Reads the settings from a configuration file of deepstream.io (v2 to v10), YAML or JSON.

::

    settings = load("/etc/dstwist/config.yml", os.environ)
    settings.http.port, settings.web_sockets[0].url_path

The input is the path or the content, and the environment; the output is a L{Settings}, or a L{ConfigError} that names
all problems. No other module reads configuration files or environment variables, and no port or store is opened before
all of it is read.

==============================  ==================================================
module                          reads
==============================  ==================================================
L{dstwist.config.tree}          the file's text: YAML, JSON
L{dstwist.config.file}          C{${NAME}}, C{fileLoad()}, and line numbers
L{dstwist.config.legacy}        files of v2 to v4
L{dstwist.config.fields}        a section, by its class of settings
L{dstwist.config.settings}      all sections; it has the small ones itself
L{dstwist.config.endpoints}     C{connectionEndpoints}
L{dstwist.config.http_server}   C{httpServer}
L{dstwist.config.limits}        C{limits}
L{dstwist.config.auth}          C{auth}; L{dstwist.config.users}: users.yml
L{dstwist.config.permission}    C{permission}
L{dstwist.config.stores}        C{cache}, C{storage}; L{dstwist.config.redis}: a Redis
L{dstwist.config.plugins}       C{plugins}
L{dstwist.config.cluster}       C{clusterNode}, C{cluster}
L{dstwist.config.monitoring}    C{monitoring}
==============================  ==================================================
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from dstwist.config.cluster import INACTIVE_TIMEOUT, NODE_DEFAULT, ClusterSettings, check_shared, settled
from dstwist.config.fields import as_section, from_mapping, key_of
from dstwist.config.file import Reading, join
from dstwist.config.http_server import HttpSettings
from dstwist.config.legacy import convert
from dstwist.config.limits import LimitSettings
from dstwist.config.redis import RedisSettings, check_apart, check_record_size
from dstwist.config.settings import (
    CLUSTER_GRACE_PERIOD,
    ListenSettings,
    PresenceSettings,
    RecordSettings,
    RpcSettings,
    Settings,
)
from dstwist.config.users import PasswordSettings, read_hash_options
from dstwist.errors import ConfigError

# By the name of an option: its section. Such an option at the top level probably lacks its indent.
_SECTION_OF_OPTION = {
    key_of(field): name
    for name, cls in (
        ("httpServer.options", HttpSettings),
        ("cluster", ClusterSettings),
        ("limits", LimitSettings),
        ("presence", PresenceSettings),
        ("record", RecordSettings),
        ("listen", ListenSettings),
        ("rpc", RpcSettings),
    )
    for field in fields(cls)
    if "read" in field.metadata
}

# The most problems in one error.
_MAX_PROBLEMS = 100

#: The directories that are searched for a configuration, in this order; the last is that of the Node server.
DIRECTORIES = ("conf", "/etc/dstwist", "/etc/deepstream")
_NAMES = ("config.yml", "config.yaml", "config.json")


def find(environ: Mapping[str, str]) -> str | None:
    """
    The configuration file to use if none is named: the file that a variable names, whether it exists or not, or the
    first file that is found; C{None} if there is none.
    """
    for name in ("DSTWIST_CONFIG", "DEEPSTREAM_CONFIG_DIRECTORY"):
        named = environ.get(name)
        if named:
            # In the Node server the second variable is a file, in spite of its name.
            return (_file_in(named) or os.path.join(named, _NAMES[0])) if os.path.isdir(named) else named
    return next(filter(None, map(_file_in, DIRECTORIES)), None)


def _file_in(directory: str) -> str | None:
    paths = (os.path.join(directory, name) for name in _NAMES)
    return next(filter(os.path.exists, paths), None)


def load(config: str | Mapping[str, Any] | None, environ: Mapping[str, str]) -> Settings:
    """
    The settings in the file with the path C{config}, or in C{config} itself if it is the content of a file; without
    either, the defaults.

    @raise ConfigError: the configuration cannot be used. The error lists all problems, one per line.
    """
    if config is None:
        return Settings()
    if isinstance(config, str):
        source = os.path.abspath(config)
        reading = Reading(os.path.dirname(source), environ)
        # An error here names the file already.
        tree = reading.read(source)
    else:
        source = ""
        reading = Reading(os.getcwd(), environ)
        tree = reading.take(config)
    settings = Settings()
    with reading.collecting():
        converted = convert(as_section(tree, ""), reading)
        settings = from_mapping(Settings, converted, "", reading)
        _check_paths(settings)
        if isinstance(settings.cache, RedisSettings) and isinstance(settings.storage, RedisSettings):
            check_apart(settings.cache, settings.storage)
        for store in (settings.cache, settings.storage):
            if isinstance(store, RedisSettings):
                check_record_size(store, settings.record.max_size)
        settings = _with_cluster(settings, converted, reading)
    _raise_all(reading, source)
    if settings.logger.log_level is not None:
        settings = replace(settings, log_level=settings.logger.log_level)
    return replace(settings, source=source or None, notes=tuple(reading.notes))


def _with_cluster(settings: Settings, tree: Mapping[str, Any], reading: Reading) -> Settings:
    """
    The settings with those that are others in a cluster, if there is one.

    @param tree: the content of the file.
    @raise ConfigError: the nodes would not share their records, or times do not fit together.
    """
    bus, inactive_timeout = settings.cluster_node, settings.cluster_registry.node_inactive_timeout
    if bus is None:
        for path, is_set in (
            ("cluster", bool(tree.get("cluster"))),
            (reading.written(INACTIVE_TIMEOUT), inactive_timeout not in (None, NODE_DEFAULT)),
        ):
            if is_set:
                reading.notes.append(f"CONFIG | {path} has no effect: clusterNode names no bus, so there is one node")
        return settings
    if reading.problems:
        # They may be about these very sections, which have their defaults then.
        return settings
    record = settings.record
    check_shared(settings.cache, settings.storage, record.storage_exclusion_prefixes)
    for store in (settings.cache, settings.storage):
        if isinstance(store, RedisSettings) and (store.prefix or store.db) and not bus.channel_prefix:
            where = join(bus.where, "channelPrefix")
            reading.notes.append(
                f"CONFIG | {where} is empty: another cluster on the same Redis needs another one, because channels "
                "belong to no database and have no prefix of the records"
            )
            break
    given = as_section(tree.get("cluster"), "cluster")
    times = settled(settings.cluster_settings, bus, inactive_timeout, given, reading)
    presence = settings.presence
    if "gracePeriod" not in as_section(tree.get("presence"), "presence"):
        presence = replace(presence, grace_period=CLUSTER_GRACE_PERIOD)
    return replace(settings, cluster_settings=times, presence=presence)


def ignored_in_programs(settings: Settings) -> list[str]:
    """
    Notes about options that have no effect in a node of another program, because the program decides about its log.
    """
    default = Settings()
    ignored = {
        "logLevel": settings.log_level != default.log_level,
        "logger.options": settings.logger.max_file_size != default.logger.max_file_size
        or settings.logger.max_files != default.logger.max_files,
        "logger.type json": settings.logger.json,
    }
    return [
        f"CONFIG | {key} has no effect: the program that the node is part of decides about the log"
        for key, is_set in ignored.items()
        if is_set
    ]


def load_hashing(path: str, environ: Mapping[str, str]) -> PasswordSettings | None:
    """
    The options for hashing of the first authenticator with passwords in the file C{path}; C{None} if there is no such
    authenticator. The rest of the configuration is not checked: the file with the users may not exist yet.
    """
    source = os.path.abspath(path)
    reading = Reading(os.path.dirname(source), environ)
    auth = as_section(reading.read(source), "").get("auth")
    entries = [(join("auth", i), entry) for i, entry in enumerate(auth)] if isinstance(auth, list) else [("auth", auth)]
    for where, entry in entries:
        if isinstance(entry, dict) and entry.get("type") in ("file", "storage"):
            where = join(where, "options")
            return read_hash_options(as_section(entry.get("options"), where), where, reading)
    return None


def _check_paths(settings: Settings) -> None:
    """
    Check that no path has two meanings, because one port serves all paths.
    """
    if settings.http.health_check_path in [endpoint.url_path for endpoint in settings.web_sockets]:
        problem = f"a connection endpoint has the path {settings.http.health_check_path} too"
        raise ConfigError("httpServer.options.healthCheckPath", problem)


def _raise_all(reading: Reading, source: str) -> None:
    """
    Raise one error for all problems.
    """
    problems = reading.problems
    told = [_placed(problem, reading, source, alone=len(problems) == 1) for problem in problems[:_MAX_PROBLEMS]]
    if len(problems) > 1:
        lines = "".join(f"\n  {problem}" for problem in told)
        more = f"\n  and {len(problems) - _MAX_PROBLEMS} more" if len(problems) > _MAX_PROBLEMS else ""
        raise ConfigError("", f"{len(problems)} problems in {source or 'the configuration'}:{lines}{more}")
    for problem in told:
        raise problem


def _placed(problem: ConfigError, reading: Reading, source: str, alone: bool) -> ConfigError:
    """
    The problem with its place in the file, and with the name of the option in the file.
    """
    path = reading.written(problem.path)
    file, line = reading.place(path)
    place = ([file] if alone or file != source else []) + ([f"line {line}"] if line is not None else [])
    text = problem.problem
    if text.startswith("unknown option") and path in _SECTION_OF_OPTION:
        text = f"unknown option; it is an option of {_SECTION_OF_OPTION[path]}: indent it below that"
    for key, names in reading.unset.items():
        # An option of a section is missing if the variable for it is not set.
        if key == path or key.startswith(f"{path}."):
            text += "".join(f"; the variable {name} is not set" for name in names)
    return ConfigError(path, text, ": ".join(place))
