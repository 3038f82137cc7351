"""
A web service decides about logins: C{auth: [{type: http, options: {endpointUrl: ...}}]}.

For each login the server sends it a POST request with JSON::

    {"connectionData": {"remoteAddress": "10.0.0.7", "headers": {...}}, "authData": {"username": "chris", ...}}

======================  ===============================  ===========================================================
status of the response  body                             outcome
======================  ===============================  ===========================================================
permitted               JSON object                      accepted, with its C{id} (or C{username}), C{clientData},
                                                         C{serverData}, C{token}; refused if C{isValid} is not true
permitted               text/plain, or a JSON text       accepted; the user id is the whole text
permitted               none; JSON null, true, list,     accepted without a user id, and logged
                        number; a media type other than
                        text
permitted               another text type, broken JSON,  refused, and logged: it is a login page or an error page, or
                        JSON false, an unusable id       it means no
to be retried, or no    anything                         the request is repeated, up to C{retryAttempts} times
response at all
any other               a text                           refused, the client receives C{{"error": <the text>}}
any other               JSON object that is not empty    refused, the client receives the object
any other               anything else                    refused
======================  ===============================  ===========================================================

A usable C{id} is a number, or a printable text of 1 to L{MAX_USER_ID_CHARACTERS} characters. The Node server also
accepts true, a list or an object as an id, and the body C{false} as an acceptance. With C{reportInvalidParameters:
false}, the next authenticator is asked after each refusal. Source: C{security.md} section 1.6.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater
from zope.interface import implementer

from dstwist.auth.concurrency import ConcurrencyLimit
from dstwist.auth.credentials import MAX_USER_ID_CHARACTERS, NOT_MINE, kind_of, refusal, user_id
from dstwist.auth.http_client import HttpClient, Response
from dstwist.config.auth import WebhookSettings
from dstwist.errors import AuthError
from dstwist.interfaces import HandshakeData, IAuthenticator, ILifecycle, Login
from dstwist.log import Logger, about, shown
from dstwist.protocol.constants import UNNAMED_USER
from dstwist.protocol.jsontext import dumps, loads

#: The longest error text that is passed on to the client, in characters.
MAX_ERROR_CHARACTERS = 4096

_EXPECTED = f"expected a number or a printable text of 1 to {MAX_USER_ID_CHARACTERS} characters"
_HEADERS = {"Accept": "application/json", "Content-Type": "application/json; charset=utf-8"}
# The value of a header by RFC 9110, section 5.5: no control characters, and no blanks at its ends.
_HEADER_VALUE = re.compile("[\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?")


class _Unusable(Exception):
    """
    A response with a permitted status that must not be taken for an acceptance. The text says why.
    """


@implementer(IAuthenticator, ILifecycle)
class WebhookAuthentication:
    """
    Asks a web service about each login.
    """

    _log = Logger()

    def __init__(self, settings: WebhookSettings, http_client: HttpClient, clock: Any) -> None:
        self._settings = settings
        self._http_client = http_client
        self._clock = clock
        self._limit = ConcurrencyLimit(
            settings.max_concurrent_requests,
            settings.max_queued_requests,
            "too many logins wait for the web service",
        )

    def start(self) -> Deferred[None]:
        # The HTTP client connects when it is needed.
        return succeed(None)

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._http_client.stop())

    def login(self, handshake: HandshakeData, credentials: Any) -> Deferred[Login]:
        return Deferred.fromCoroutine(self._login(handshake, credentials))

    async def _login(self, handshake: HandshakeData, credentials: Any) -> Login:
        settings = self._settings
        headers = self._headers(credentials, handshake)
        if headers is None:
            return refusal(settings.report_invalid_parameters)
        body = dumps({"connectionData": _connection_data(handshake), "authData": credentials})
        attempts = 0
        while True:
            response = await self._ask(headers, body)
            if response is not None and response.status not in settings.retry_status_codes:
                return self._decide(response)
            if attempts >= settings.retry_attempts:
                return refusal(settings.report_invalid_parameters, "AUTH_RETRY_ATTEMPTS_EXCEEDED")
            attempts += 1
            await deferLater(self._clock, settings.retry_interval)

    async def _ask(self, headers: dict[str, str], body: bytes) -> Response | None:
        """
        The response; C{None} if there was none, which is logged.
        """

        def fetch() -> Deferred[Response | None]:
            return Deferred.fromCoroutine(request())

        async def request() -> Response | None:
            try:
                return await self._http_client.request("POST", self._settings.endpoint_url, headers, body)
            except AuthError as error:
                self._log.warn("AUTH_ERROR | http auth error: {error}", error=error, event="AUTH_ERROR")
                return None

        response: Response | None = await self._limit.run(fetch)
        if response is not None and response.status >= 500:
            # The body is not logged: error pages often show the request, and with it the password.
            self._log.warn(
                "AUTH_ERROR | http auth server error: status {status}", status=response.status, event="AUTH_ERROR"
            )
        return response

    def _headers(self, credentials: Any, handshake: HandshakeData) -> dict[str, str] | None:
        """
        The headers of the request; C{None} if a value that the client sent cannot be a header.
        """
        headers = dict(_HEADERS)
        for key in self._settings.promote_to_header:
            value = credentials.get(key) if isinstance(credentials, dict) else None
            if not value:
                continue
            text = value if isinstance(value, str) else "" if isinstance(value, dict | list) else dumps(value).decode()
            if not _HEADER_VALUE.fullmatch(text):
                self._log.info(
                    "AUTH_ERROR | {client}: {key} cannot be sent as a header",
                    key=key,
                    event="AUTH_ERROR",
                    **about(handshake),
                )
                return None
            headers[key] = text
        return headers

    def _decide(self, response: Response) -> Login:
        report = self._settings.report_invalid_parameters
        if response.status in self._settings.permitted_status_codes:
            try:
                login, body = _accepted(response)
            except _Unusable as reason:
                self._log.warn(
                    "AUTH_ERROR | http auth server: status {status}, but {reason}",
                    status=response.status,
                    reason=reason,
                    event="AUTH_ERROR",
                )
                login = Login(False)
            else:
                if body is not None:
                    self._log_unnamed(response, body)
        else:
            login = _refused(response)
        return login if login.accepted or report else NOT_MINE

    def _log_unnamed(self, response: Response, body: str) -> None:
        """
        Log that a response without a user id was taken for an acceptance, although it may not have been meant as one.
        """
        # A service that only accepts or refuses may leave the body empty. Any other body may be a mistake.
        log, event = (self._log.warn, "AUTH_ERROR") if response.body else (self._log.info, "INFO")
        log(
            "{event} | http auth server: status {status}, its body is {body}: accepted as {user}, without a user id",
            event=event,
            status=response.status,
            body=body,
            user=UNNAMED_USER,
        )


def _connection_data(handshake: HandshakeData) -> dict[str, Any]:
    found: dict[str, Any] = {"remoteAddress": handshake.address, "headers": dict(handshake.headers)}
    if handshake.referer is not None:
        found["referer"] = handshake.referer
    if handshake.url is not None:
        found["url"] = handshake.url
    return found


def _is_json(response: Response) -> bool:
    return response.kind == "application/json" or response.kind.endswith("+json")


def _accepted(response: Response) -> tuple[Login, str | None]:
    """
    The decision in a response with a permitted status; and a description of its body if that has no user id.
    """
    if not response.body:
        return Login(True), "empty"
    if _is_json(response):
        try:
            value = loads(response.body)
        except ValueError:
            raise _Unusable("its body is not JSON") from None
        return _accepted_json(value)
    if response.kind == "text/plain":
        return Login(True, _text_id(response.body.decode("utf-8", "surrogateescape"))), None
    if response.kind.startswith("text/"):
        raise _Unusable(f"its body is {response.kind}")
    return Login(True), f"of type {shown(response.kind)}" if response.kind else "of no type"


def _accepted_json(value: Any) -> tuple[Login, str | None]:
    if isinstance(value, dict):
        return _accepted_object(value), None
    if isinstance(value, str):
        return Login(True, _text_id(value)), None
    if value is False:
        # The Node server takes this for an acceptance.
        raise _Unusable("its body is false")
    return Login(True), kind_of(value)


def _accepted_object(value: dict[str, Any]) -> Login:
    client_data = dumps(value["clientData"]) if "clientData" in value else None
    if value.get("isValid", True) is not True:
        return Login(False, client_data=client_data)
    user = None
    # v2 to v4 called it username.
    given = value.get("id", value.get("username"))
    if given is not None:
        user = user_id(given)
        if user is None:
            raise _Unusable(f"its user id is {kind_of(given)}; {_EXPECTED}")
    return Login(True, user, client_data, value.get("serverData"), token=value.get("token"))


def _text_id(text: str) -> str:
    user = user_id(text)
    if user is None:
        raise _Unusable(f"its text is not a user id; {_EXPECTED}")
    return user


def _refused(response: Response) -> Login:
    """
    The refusal in a response with another status.
    """
    value: Any = None
    if _is_json(response):
        try:
            value = loads(response.body)
        except ValueError:
            value = response.body.decode("utf-8", "replace")
    elif response.kind.startswith("text/"):
        value = response.body.decode("utf-8", "replace")
    if isinstance(value, str) and value:
        return Login(False, client_data=dumps({"error": value[:MAX_ERROR_CHARACTERS]}))
    if isinstance(value, dict) and value:
        return Login(False, client_data=dumps(value))
    return Login(False)
