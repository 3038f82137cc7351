"""
C{monitoring}: where operators read the figures of the server. One C{{type, options}}, or a list of them.

====================  ==================================================================================================
C{type}               settings
====================  ==================================================================================================
C{none}, C{default}   none: there is nothing to set
C{http}               L{HttpMonitorSettings}: reports as JSON, as the Node server has them
C{prometheus}         L{HttpMonitorSettings}: metrics for Prometheus. An addition of dstwist
C{log}                L{LogMonitorSettings}: reports in the log
====================  ==================================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dstwist.config.fields import (
    flag,
    from_mapping,
    milliseconds,
    not_built,
    one_of,
    option,
    optional,
    read_component,
    text,
)
from dstwist.config.file import Reading, join
from dstwist.config.values import read_url_path
from dstwist.errors import ConfigError

_TYPES = ("none", "default", "http", "prometheus", "log")


@dataclass(frozen=True)
class HttpMonitorSettings:
    """
    A monitor that answers HTTP requests.
    """

    # http or prometheus.
    type: str = "http"
    # The path that is asked. A monitor of type http has no default.
    url: str | None = option(optional(read_url_path), None)
    # The name of a header that each request must have.
    header_key: str | None = text(None)
    # Its value, a secret.
    header_value: str | None = text(None)
    # Whether requests without that header are answered.
    allow_open_permissions: bool = flag(False)

    def __repr__(self) -> str:
        # Settings may be logged; the secret must not be.
        return f"<HttpMonitorSettings {self.type} {self.url}>"


@dataclass(frozen=True)
class LogMonitorSettings:
    """
    A monitor that writes to the log.
    """

    # The time between two reports.
    log_interval: float = milliseconds(15000)
    # The name of the monitor in its lines.
    monitoring_key: str = text("LOG_MONITORING")


MonitorSettings = HttpMonitorSettings | LogMonitorSettings


def read_monitoring(value: Any, path: str, reading: Reading) -> tuple[MonitorSettings, ...]:
    """
    The monitors.
    """
    entries = [(join(path, i), entry) for i, entry in enumerate(value)] if isinstance(value, list) else [(path, value)]
    found: list[MonitorSettings] = []
    for where, entry in entries:
        with reading.collecting():
            monitor = _read_monitor(entry, where, reading)
            if isinstance(monitor, HttpMonitorSettings):
                urls = [other.url for other in found if isinstance(other, HttpMonitorSettings)]
                if monitor.url in urls:
                    raise ConfigError(f"{where}.options.url", f"another monitor has the path {monitor.url}")
            found += [monitor] if monitor is not None else []
    return tuple(found)


def _read_monitor(value: Any, path: str, reading: Reading) -> MonitorSettings | None:
    found = read_component(value, path, reading, default="none", runs=False)
    where = join(path, "options")
    if found.type in ("none", "default"):
        return None
    if found.type == "log":
        return from_mapping(LogMonitorSettings, found.options, where, reading)
    if found.type in ("http", "prometheus"):
        return _read_http(found.type, found.options, where, reading)
    if found.type.startswith("plug-in"):
        not_built(path, reading)
        return None
    raise ConfigError(found.where, one_of(found.type, _TYPES))


def _read_http(kind: str, options: dict[str, Any], path: str, reading: Reading) -> HttpMonitorSettings:
    problems = len(reading.problems)
    url = "/metrics" if kind == "prometheus" else None
    settings = from_mapping(HttpMonitorSettings, options, path, reading, type=kind, url=url)
    if len(reading.problems) > problems:
        return settings
    if settings.url is None:
        raise ConfigError(join(path, "url"), 'Missing "url" for HTTP Monitoring')
    guarded = settings.header_key is not None and settings.header_value is not None
    if settings.allow_open_permissions:
        reading.notes.append(
            f'CONFIG | {path}: "allowOpenPermissions" is set. Try not to deploy to production: every client that can '
            "reach the port may read the figures"
        )
    elif not guarded:
        raise ConfigError(
            path, 'Missing "headerKey" and/or "headerValue", or "allowOpenPermissions" for figures that all may read'
        )
    return settings
