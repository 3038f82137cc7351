"""
Sections for parts of the Node server that dstwist does not have: C{monitoring} and C{clusterNode}.

They are read and checked. A value other than the default is reported in C{reading.notes}, because it has no effect.
"""

from __future__ import annotations

from typing import Any

from dstwist.config.fields import not_built, read_component
from dstwist.config.file import Reading, join


def read_monitoring(value: Any, path: str, reading: Reading) -> tuple[str, ...]:
    """
    The types of the section.
    """
    entries = [(join(path, i), entry) for i, entry in enumerate(value)] if isinstance(value, list) else [(path, value)]
    return tuple(_read_ignored(entry, where, reading, ("none", "default")) for where, entry in entries)


def read_ignored(value: Any, path: str, reading: Reading) -> str:
    """
    The type of a section that supports only the default.
    """
    return _read_ignored(value, path, reading, ("default",))


def _read_ignored(value: Any, path: str, reading: Reading, silent: tuple[str, ...]) -> str:
    found = read_component(value, path, reading, default=silent[0], runs=False)
    if found.type not in silent:
        not_built(path, reading)
    return found.type
