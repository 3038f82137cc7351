"""
The section C{monitoring}, for a part of the Node server that dstwist does not have.

It is read and checked. A value other than the default is reported in C{reading.notes}, because it has no effect.
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
    return tuple(_read_type(entry, where, reading) for where, entry in entries)


def _read_type(value: Any, path: str, reading: Reading) -> str:
    found = read_component(value, path, reading, default="none", runs=False)
    if found.type not in ("none", "default"):
        not_built(path, reading)
    return found.type
