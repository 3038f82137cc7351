"""
The errors of the in-process API. C{ApiError.event} is deepstream's name for the error.

========================  ==================================================  =======================================
class                     C{event}                                            raised by
========================  ==================================================  =======================================
L{MessageDenied}          MESSAGE_DENIED, MESSAGE_PERMISSION_ERROR            any request: a rule denies it, or fails
L{RecordNotFound}         RECORD_NOT_FOUND                                    C{records.get}
L{VersionExists}          VERSION_EXISTS                                      a write that expects a version: the
                                                                              record has another
L{NoRpcProvider}          NO_RPC_PROVIDER                                     C{rpc.call}
L{CallError}              REQUEST_ERROR                                       C{rpc.call}: the error of the provider
L{CallRejected}           REJECT                                              the function of a provider
L{ResponseTimeout}        RESPONSE_TIMEOUT, ACCEPT_TIMEOUT                    any request
L{InvalidValue}           INVALID_MESSAGE_DATA                                any request: a value is no JSON, a
                                                                              name no text, a callback no function
L{LoginRefused}           AUTH_UNSUCCESSFUL, TOO_MANY_AUTH_ATTEMPTS           C{login}
L{LoginUndecided}         AUTH_ERROR                                          C{login}: try again later
L{SlowConsumer}           SLOW_CONSUMER                                       a subscription
L{TooManyRequests}        TOO_MANY_REQUESTS                                   any request
L{HandleClosed}           IS_CLOSED                                           any request
L{ApiError}               all others
========================  ==================================================  =======================================
"""

from __future__ import annotations

from typing import Any

from dstwist.errors import DstwistError
from dstwist.protocol.message import Message


class ApiError(DstwistError):
    """
    A request to the API failed.

    @ivar event: deepstream's name for the error.
    @ivar name: the name of the record, event or procedure, or the user; C{None} if the error is about none.
    @ivar detail: the reason, if more is known.
    """

    def __init__(self, event: str, name: str | None = None, detail: str | None = None) -> None:
        super().__init__(": ".join(part for part in (event, name, detail) if part))
        self.event = event
        self.name = name
        self.detail = detail


class MessageDenied(ApiError):
    """
    The permission rules do not allow the request. C{detail} is the action that they deny, such as C{READ} or C{UPDATE};
    some requests need the permission for several.
    """


class RecordNotFound(ApiError, LookupError):
    """
    The record does not exist.
    """


class VersionExists(ApiError):
    """
    Another write, or a deletion, came first.

    @ivar version: the version that the record has; -1 if it does not exist.
    @ivar data: its data; C{None} if it does not exist.
    """

    def __init__(self, name: str | None, version: int, data: Any) -> None:
        super().__init__(
            "VERSION_EXISTS", name, f"the version is {version}" if version >= 0 else "the record does not exist"
        )
        self.version = version
        self.data = data


class NoRpcProvider(ApiError):
    """
    There is no provider of the procedure, or all providers have rejected the call.
    """


class CallError(ApiError):
    """
    The provider answered with an error. The function of a provider raises it to answer so.

    @ivar data: the error, as the provider gave it: any JSON value.
    """

    def __init__(self, data: Any, name: str | None = None) -> None:
        super().__init__("REQUEST_ERROR", name, data if isinstance(data, str) else repr(data))
        self.data = data


class CallRejected(ApiError):
    """
    The function of a provider raises it if it does not want to serve a call. The server asks another provider.
    """

    def __init__(self, detail: str | None = None) -> None:
        super().__init__("REJECT", None, detail)


class ResponseTimeout(ApiError, TimeoutError):
    """
    No answer came in time. The request may have taken effect all the same.
    """


class InvalidValue(ApiError, ValueError):
    """
    A value cannot be sent.
    """

    def __init__(self, detail: str, name: str | None = None) -> None:
        super().__init__("INVALID_MESSAGE_DATA", name, detail)


class LoginRefused(ApiError):
    """
    The login is not accepted.

    @ivar client_data: the data of the authenticator for the client; C{None} if there are none.
    """

    def __init__(self, event: str, detail: str, client_data: Any) -> None:
        super().__init__(event, None, detail)
        self.client_data = client_data


class LoginUndecided(ApiError):
    """
    The authenticator could not decide, or is busy. The caller may try again.
    """

    def __init__(self, detail: str) -> None:
        super().__init__("AUTH_ERROR", None, detail)


class SlowConsumer(ApiError):
    """
    The subscription has ended, because the application did not take its messages as fast as they came.
    """

    def __init__(self, name: str) -> None:
        super().__init__("SLOW_CONSUMER", name, "too much waits for the application")


class TooManyRequests(ApiError):
    """
    Too many requests of this handle wait for their answers. The server did not get this one.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__("TOO_MANY_REQUESTS", name, "too many requests wait for their answers")


class HandleClosed(ApiError):
    """
    The handle is closed, or the node does not run. A request that was under way may have taken effect.
    """

    def __init__(self, detail: str) -> None:
        super().__init__("IS_CLOSED", None, detail)


_CLASSES: dict[str, type[ApiError]] = {
    "MESSAGE_DENIED": MessageDenied,
    "MESSAGE_PERMISSION_ERROR": MessageDenied,
    "RECORD_NOT_FOUND": RecordNotFound,
    "NO_RPC_PROVIDER": NoRpcProvider,
    "RESPONSE_TIMEOUT": ResponseTimeout,
    "ACCEPT_TIMEOUT": ResponseTimeout,
}


def make_error(event: str, name: str | None, detail: str | None = None) -> ApiError:
    """
    The error of the class for C{event}.
    """
    return _CLASSES.get(event, ApiError)(event, name, detail)


def error_of(message: Message, name: str | None = None) -> ApiError:
    """
    The error that the server has sent.

    @param name: of the subscription, if the error has ended one.
    """
    event, detail = message.action.name, message.detail
    if detail is None and message.original_action is not None and _CLASSES.get(event) is MessageDenied:
        detail = message.original_action.name
    return make_error(event, name or message.name, detail)
