"""
The class that a section of the configuration names is found and called; the result is the plug-in.

======================  ======================================================================================
C{module}, C{path}      C{package.module:Class}: Python can import the module
C{path}                 C{file.py:Class}
C{name}                 an entry point, in a group for each kind of part; or a Twisted plug-in that makes the
                        plug-in, for kinds of parts that have an interface for that
======================  ======================================================================================

A file is executed once, like any module. The class is called with the C{options} of the section and a
L{PluginContext}. The result must provide the interface of its part. A function that returns such an object will do as
well.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from twisted.plugin import getPlugins
from zope.interface import Invalid
from zope.interface.verify import verifyObject

from dstwist.config.plugins import PluginSettings
from dstwist.errors import ConfigError
from dstwist.interfaces import IPlugin, IStore


@dataclass(frozen=True)
class PluginContext:
    """
    The parts of the server that a plug-in may use.

    @ivar reactor: the reactor of the server.
    @ivar storage: the storage of records, for authenticators and permissions; C{None} if there is none, and for others.
    @ivar plugins: for an entry of C{plugins}: the plug-ins above it, by name. They start before it, and stop after it.
    """

    reactor: Any
    storage: IStore | None = None
    plugins: Mapping[str, IPlugin] = field(default_factory=dict)


class NotInstalled(ConfigError):
    """
    The configuration refers to a plug-in by a name that no plug-in has.
    """


def find(settings: PluginSettings, group: str, makers: Any = None) -> Callable[..., Any]:
    """
    The class or function that C{settings} name.

    It runs code of the operator, which may raise any exception.

    @param group: the group of the entry points.
    @param makers: the interface of the Twisted plug-ins that make such plug-ins, for example
        L{IPluginMaker<dstwist.interfaces.IPluginMaker>}; C{None} if there is none.
    """
    if settings.kind == "name":
        name = settings.source
        found: list[Any] = []
        if makers is not None:
            found = [maker.make for maker in getPlugins(makers) if maker.name == name]
        found = found or [entry_point.load() for entry_point in entry_points(group=group, name=name)]
        if not found:
            twisted = "" if makers is None else "there is no Twisted plug-in of that name, and "
            raise NotInstalled(settings.where, f"{twisted}the entry point {name} of {group} is not installed")
        if len(found) > 1:
            raise ConfigError(settings.where, f"there are {len(found)} plug-ins of the name {name}")
        factory: Callable[..., Any] = found[0]
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
    makers: Any = None,
    called_as: Any = None,
) -> Any:
    """
    The plug-in that C{settings} name. It provides C{interface}, and has all methods of it.

    @param group: the group of the entry points; C{makers} is for Twisted plug-ins, see L{find}.
    @param called_as: an interface with the arguments that the plug-in is always called with, if these are more than
        C{interface} requires.
    @raise ConfigError: the plug-in cannot be found, made or used. The error has the key that named it.
    """
    try:
        plugin = find(settings, group, makers)(dict(settings.options), context)
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:
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
    # pickle and dataclasses look the module up by its name, so no other module may have the name. The name is the same
    # at each start: loggers have it as their namespace.
    stem = re.sub(r"\W", "_", Path(path).stem)
    name = f"dstwist_plugin_{stem}_{zlib.crc32(os.fsencode(path)):08x}"
    loaded = sys.modules.get(name)
    if loaded is not None and loaded.__file__ == os.path.abspath(path):
        # Several sections name classes of one file, or several nodes are in one process.
        return loaded
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
