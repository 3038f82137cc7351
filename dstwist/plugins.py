"""
Plug-ins: classes of the operator that do the work of a part of the server.

Stores, authenticators and permissions can be plug-ins. A section of the configuration names the class:

======================  ==============================================================
C{module}, C{path}      C{package.module:Class}: Python can import the module
C{path}                 C{file.py:Class}
C{name}                 an entry point, in a group for each kind of part
======================  ==============================================================

The class is called with the C{options} of the section and a L{PluginContext}. The result must provide the interface of
its part. A function that returns such an object will do as well.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from zope.interface import Invalid
from zope.interface.verify import verifyObject

from dstwist.config.plugins import PluginSettings
from dstwist.errors import ConfigError
from dstwist.interfaces import IStore


@dataclass(frozen=True)
class PluginContext:
    """
    The parts of the server that a plug-in may use.

    @ivar reactor: the reactor of the server.
    @ivar storage: the storage of records; C{None} if there is none, and for plug-ins that are stores.
    """

    reactor: Any
    storage: IStore | None = None


def find(settings: PluginSettings, group: str) -> Callable[..., Any]:
    """
    The class or function that C{settings} name.

    It runs code of the operator, which may raise any exception.

    @param group: the group of the entry points.
    """
    if settings.kind == "name":
        found = list(entry_points(group=group, name=settings.source))
        if len(found) != 1:
            problem = "is not installed" if not found else "is there more than once"
            raise ConfigError(settings.where, f"the entry point {settings.source} of {group} {problem}")
        factory: Callable[..., Any] = found[0].load()
        return factory
    place, _, name = settings.source.rpartition(":")
    module = _load_file(place) if place.endswith(".py") else importlib.import_module(place)
    factory = getattr(module, name)
    return factory


def load_plugin(
    settings: PluginSettings,
    group: str,
    interface: Any,
    context: PluginContext,
    find: Callable[[PluginSettings, str], Callable[..., Any]] = find,
    called_as: Any = None,
) -> Any:
    """
    The plug-in that C{settings} name. It provides C{interface}, and has all methods of it.

    @param group: the group of the entry points.
    @param find: for parts that are named in a further way.
    @param called_as: an interface with the arguments that the plug-in is always called with, if these are more than
        C{interface} requires.
    @raise ConfigError: the plug-in cannot be found, made or used. The error has the key that named it.
    """
    try:
        plugin = find(settings, group)(dict(settings.options), context)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(settings.where, f"cannot load {settings.source}: {type(error).__name__}: {error}") from error
    if not interface.providedBy(plugin):
        raise ConfigError(settings.where, f"{settings.source} does not provide dstwist.interfaces.{interface.__name__}")
    try:
        verifyObject(interface if called_as is None else called_as, plugin, tentative=True)
    except Invalid as error:
        problem = " ".join(str(error).split())
        raise ConfigError(
            settings.where, f"{settings.source} is not what {interface.__name__} asks for: {problem}"
        ) from None
    return plugin


def _load_file(path: str) -> Any:
    # pickle and dataclasses look the module up by its name, so no other module may have the name.
    name = f"dstwist_plugin_{abs(hash(path))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
