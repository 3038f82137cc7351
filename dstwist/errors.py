"""
The exceptions that dstwist raises.

::

    DstwistError
     +-- ConfigError       the configuration cannot be used; names the key's path
     +-- StoreError        a cache or storage failed or did not answer in time
     |    +-- StoreFull    it has no room for what a write adds; it is as it was before
     +-- AuthError         an authenticator failed (not: refused) or did not answer in time
     |    +-- BusyError    there are too many logins at the moment
     +-- RuleError         a permission rule has no value: it failed, or took too much
     +-- StartError        the server cannot start: a port is taken, a store cannot be opened

What a *client* does wrong is data, not an exception: see L{dstwist.protocol.message.Malformed}.
"""

from __future__ import annotations


class DstwistError(Exception):
    """
    The root of all exceptions raised by dstwist.
    """


class ConfigError(DstwistError):
    """
    A configuration that cannot be used.

    @ivar path: where in the file the offending key is, e.g. C{httpServer.options.port}; empty if the file as a whole
        is meant.
    @param place: the file and the line, if they are to be told.
    """

    def __init__(self, path: str, problem: str, place: str = "") -> None:
        super().__init__(": ".join(part for part in (place, path, problem) if part))
        self.path = path
        self.problem = problem


class StoreError(DstwistError):
    """
    A cache or a storage failed, or did not answer in time.
    """


class StoreFull(StoreError):
    """
    A cache or a storage has no room for what a write adds. The write changed nothing.
    """


class AuthError(DstwistError):
    """
    An authenticator could not decide: its back end failed or did not answer in time.
    """


class BusyError(AuthError):
    """
    There are too many logins at the moment. The client may come back.
    """


class RuleError(DstwistError):
    """
    A permission rule could not be evaluated.
    """


class StartError(DstwistError):
    """
    The server cannot start, for a reason that is not in its configuration.

    @ivar event: deepstream's name for it, for the log.
    """

    def __init__(self, reason: str, event: str = "PLUGIN_INITIALIZATION_ERROR") -> None:
        super().__init__(reason)
        self.event = event
