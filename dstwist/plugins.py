"""
Classes of the operator's own: found by what the configuration says of them.

======================  ======================================================
C{module}, C{path}      C{package.module:Class}, of what Python can import
C{path}                 C{file.py:Class}
C{name}                 an entry point of a group of the part's own
======================  ======================================================
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from dstwist.config.plugins import CustomSettings
from dstwist.errors import ConfigError
from dstwist.interfaces import IStore


@dataclass(frozen=True)
class Services:
    """
    What such a class may use.

    @ivar reactor: the server's.
    @ivar storage: where records are kept for good; C{None} if they are not.
    """

    reactor: Any
    storage: IStore | None = None


def find(settings: CustomSettings, group: str) -> Any:
    """
    What C{settings} name: a class or a function. Somebody else's code is run for it, so anything may be raised.

    @param group: of the entry points.
    """
    if settings.kind == "name":
        found = list(entry_points(group=group, name=settings.source))
        if len(found) != 1:
            problem = "is not installed" if not found else "is there more than once"
            raise ConfigError(settings.where, f"the entry point {settings.source} of {group} {problem}")
        return found[0].load()
    place, _, name = settings.source.rpartition(":")
    module = _load_file(place) if place.endswith(".py") else importlib.import_module(place)
    return getattr(module, name)


def _load_file(path: str) -> Any:
    # Under a name that nothing else can have; pickle and dataclasses want to find it in there.
    name = f"dstwist_custom_{abs(hash(path))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
