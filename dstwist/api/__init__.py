"""
The interface for the application that runs in the process of the node: C{Node.api}.

The application imports the names below from here. It gets its first L{Api} from C{Node.api}, and all other objects from
that.
"""

from __future__ import annotations

from dstwist.api.api import Api
from dstwist.api.errors import (
    ApiError,
    CallError,
    CallRejected,
    HandleClosed,
    InvalidValue,
    LoginRefused,
    LoginUndecided,
    MessageDenied,
    NoRpcProvider,
    RecordNotFound,
    ResponseTimeout,
    SlowConsumer,
    TooManyRequests,
    VersionExists,
)
from dstwist.api.figures import Figures
from dstwist.api.listening import Listening
from dstwist.api.presence import PresenceChange
from dstwist.api.record_feed import Snapshot
from dstwist.api.rpc import Provision, Request
from dstwist.api.subscription import Subscription

__all__ = [
    "Api",
    "ApiError",
    "CallError",
    "CallRejected",
    "Figures",
    "HandleClosed",
    "InvalidValue",
    "Listening",
    "LoginRefused",
    "LoginUndecided",
    "MessageDenied",
    "NoRpcProvider",
    "PresenceChange",
    "Provision",
    "RecordNotFound",
    "Request",
    "ResponseTimeout",
    "SlowConsumer",
    "Snapshot",
    "Subscription",
    "TooManyRequests",
    "VersionExists",
]
