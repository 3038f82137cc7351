"""
A class of the operator's own decides who may connect; see C{docs/authentication.rst}.

======================  ======================================================
C{module}, C{path}      C{package.module:Class}, of what Python can import
C{path}                 C{file.py:Class}
C{name}                 an entry point of the group C{dstwist.authentication}
======================  ======================================================

The class is called with its C{options} and a L{Services}; what comes out provides L{IAuthenticator}, and may provide
L{dstwist.interfaces.ILifecycle} and L{dstwist.interfaces.IDepartures}. Its C{login} may as well be C{async}, or give a
L{dstwist.interfaces.Login} as it is.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from dstwist.config_auth import CustomSettings
from dstwist.errors import ConfigError
from dstwist.interfaces import IAuthenticator, IStore

GROUP = "dstwist.authentication"


@dataclass(frozen=True)
class Services:
    """
    What such a class may use.

    @ivar reactor: the server's.
    @ivar storage: where records are kept for good; C{None} if they are not.
    """

    reactor: Any
    storage: IStore | None


def load(settings: CustomSettings, services: Services) -> IAuthenticator:
    """
    The authenticator that C{settings} name.

    @raise ConfigError: it cannot be found, or made, or is no authenticator.
    """
    # This is somebody else's code: it may raise anything, which has to be said of the key that named it.
    try:
        factory = _find(settings)
        authenticator = factory(dict(settings.options), services)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(settings.where, f"cannot load {settings.source}: {type(error).__name__}: {error}") from error
    if not IAuthenticator.providedBy(authenticator):
        raise ConfigError(settings.where, f"{settings.source} does not provide dstwist.interfaces.IAuthenticator")
    found: IAuthenticator = authenticator
    return found


def _find(settings: CustomSettings) -> Any:
    if settings.kind == "name":
        found = list(entry_points(group=GROUP, name=settings.source))
        if len(found) != 1:
            problem = "is not installed" if not found else "is there more than once"
            raise ConfigError(settings.where, f"the entry point {settings.source} of {GROUP} {problem}")
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
