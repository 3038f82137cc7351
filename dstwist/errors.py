"""
The exceptions that dstwist raises.

::

    DstwistError
     +-- ConfigError        the configuration cannot be used; names the key's path
     +-- StoreError         a cache or storage failed or did not answer in time
     |    +-- StoreRefusal  it did not execute an operation, which had no effect
     |    |    +-- StoreFull         it has no room for a write
     |    |    +-- StoreUnreachable  the operation was not sent to it
     |    +-- ConnectionBroken  an operation was sent to it, and no answer came
     +-- TransferError      records cannot be copied out of a store, or into one
     +-- AuthError          an authenticator failed (not: refused) or did not answer in time
     |    +-- BusyError     there are too many logins at the moment
     +-- RuleError          a permission rule has no value: it failed, or took too many steps
     +-- StartError         the server cannot start: a port is taken, a store cannot be opened
          +-- StoppedError  it was stopped

A mistake of a *client* is data, not an exception: see L{dstwist.protocol.message.Malformed}.
"""

from __future__ import annotations


class DstwistError(Exception):
    """
    The root of all exceptions raised by dstwist.
    """


class ConfigError(DstwistError):
    """
    A configuration that cannot be used.

    @ivar path: the path of the key, such as C{httpServer.options.port}; empty if the error is about the file.
    @param place: the file and the line; empty if they are not known.
    """

    def __init__(self, path: str, problem: str, place: str = "") -> None:
        super().__init__(": ".join(part for part in (place, path, problem) if part))
        self.path = path
        self.problem = problem


class StoreError(DstwistError):
    """
    A cache or a storage failed, or did not answer in time.
    """


class StoreRefusal(StoreError):
    """
    A cache or a storage did not execute an operation, for a reason that does not depend on the operation. The operation
    had no effect, and will have none.
    """


class StoreFull(StoreRefusal):
    """
    A cache or a storage has no room for a write.
    """


class StoreUnreachable(StoreRefusal):
    """
    An operation could not be sent to a cache or a storage.
    """


class ConnectionBroken(StoreError):
    """
    An operation was sent to a cache or a storage, and its answer did not come. It may have taken effect, and may take
    effect later.
    """


class TransferError(DstwistError):
    """
    Records cannot be copied out of a store or into one. The text is for the operator.
    """


class AuthError(DstwistError):
    """
    An authenticator could not decide: its source of users failed or did not answer in time.
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

    event = "PLUGIN_INITIALIZATION_ERROR"

    def __init__(self, reason: str, event: str = event) -> None:
        super().__init__(reason)
        self.event = event


class StoppedError(StartError):
    """
    The server was stopped, so it does not start.
    """
