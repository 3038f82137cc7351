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

from dstwist.config.plugins import CustomSettings
from dstwist.errors import ConfigError
from dstwist.interfaces import IAuthenticator
from dstwist.plugins import Services, find

GROUP = "dstwist.authentication"


def load(settings: CustomSettings, services: Services) -> IAuthenticator:
    """
    The authenticator that C{settings} name.

    @raise ConfigError: it cannot be found, or made, or is no authenticator.
    """
    # This is somebody else's code: it may raise anything, which has to be said of the key that named it.
    try:
        factory = find(settings, GROUP)
        authenticator = factory(dict(settings.options), services)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(settings.where, f"cannot load {settings.source}: {type(error).__name__}: {error}") from error
    if not IAuthenticator.providedBy(authenticator):
        raise ConfigError(settings.where, f"{settings.source} does not provide dstwist.interfaces.IAuthenticator")
    found: IAuthenticator = authenticator
    return found
