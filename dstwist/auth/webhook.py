"""
A web service decides who may connect: C{auth: [{type: http, options: {endpointUrl: ...}}]}.

It is asked by POST, with JSON, for every login::

    {"connectionData": {"remoteAddress": "10.0.0.7", "headers": {...}}, "authData": {"username": "chris", ...}}

=====================  ===============================  ===========================================================
status of the answer   body                             outcome
=====================  ===============================  ===========================================================
permitted              JSON object                      accepted, with its C{id} (or C{username}), C{clientData},
                                                        C{serverData}, C{token}; refused if C{isValid} is not true
permitted              text/plain, or a JSON text       accepted, the user id being the whole text
permitted              none; JSON null, true, list,     accepted without a user id, with a line in the log
                       number; of a type that is no
                       text
permitted              another text, broken JSON,       refused, with a line in the log: it is a login page or
                       JSON false, an unusable id       an error page, or says no
to be retried          anything                         asked again, C{retryAttempts} times; so it is without an answer
any other              a text                           refused, the client is told C{{"error": <the text>}}
any other              JSON object that is not empty    refused, the client is told the object
any other              anything else                    refused
=====================  ===============================  ===========================================================

A usable C{id} is a number, or a printable text of 1 to L{MAX_ID} characters. The Node server takes true, a list or an
object for an id too, and the body C{false} for an acceptance.
With C{reportInvalidParameters: false}, every refusal is left to the next authenticator.
Source: C{security.md} section 1.6.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater
from zope.interface import implementer

from dstwist.auth.concurrency import ConcurrencyLimit
from dstwist.auth.credentials import MAX_ID, NOT_MINE, kind_of, refusal, user_id
from dstwist.auth.http_client import HttpClient, Response
from dstwist.config.auth import WebhookSettings
from dstwist.errors import AuthError
from dstwist.interfaces import HandshakeData, IAuthenticator, ILifecycle, Login
from dstwist.log import Logger, about, shown
from dstwist.protocol.constants import UNNAMED_USER
from dstwist.protocol.jsontext import dumps, loads

#: What of a text is passed on to the client.
MAX_ERROR = 4096

_EXPECTED = f"expected a number or a printable text of 1 to {MAX_ID} characters"
_HEADERS = {"Accept": "application/json", "Content-Type": "application/json; charset=utf-8"}
# RFC 9110, section 5.5: what may stand in a header's value, and not at its ends.
_HEADER_VALUE = re.compile("[\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?")


class _Unusable(Exception):
    """
    An answer that must not let anybody in; the text says why.
    """


@implementer(IAuthenticator, ILifecycle)
class WebhookAuthentication:
    """
    Asks a web service.
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
        # Connections are made when they are needed.
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
            answer = await self._ask(headers, body)
            if answer is not None and answer.status not in settings.retry_status_codes:
                return self._decide(answer)
            if attempts >= settings.retry_attempts:
                return refusal(settings.report_invalid_parameters, "AUTH_RETRY_ATTEMPTS_EXCEEDED")
            attempts += 1
            await deferLater(self._clock, settings.retry_interval)

    async def _ask(self, headers: dict[str, str], body: bytes) -> Response | None:
        """
        The answer; C{None} if there was none, which is logged.
        """

        def fetch() -> Deferred[Response | None]:
            return Deferred.fromCoroutine(request())

        async def request() -> Response | None:
            try:
                return await self._http_client.request("POST", self._settings.endpoint_url, headers, body)
            except AuthError as error:
                self._log.warn("AUTH_ERROR | http auth error: {error}", error=error, event="AUTH_ERROR")
                return None

        answer: Response | None = await self._limit.run(fetch)
        if answer is not None and answer.status >= 500:
            # Not its body: pages about errors like to show the request, and with it the password.
            self._log.warn(
                "AUTH_ERROR | http auth server error: status {status}", status=answer.status, event="AUTH_ERROR"
            )
        return answer

    def _headers(self, credentials: Any, handshake: HandshakeData) -> dict[str, str] | None:
        """
        The request's headers; C{None} if one of those that the client has a say in cannot be sent.
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

    def _decide(self, answer: Response) -> Login:
        report = self._settings.report_invalid_parameters
        if answer.status in self._settings.permitted_status_codes:
            try:
                login, body = _accepted(answer)
            except _Unusable as reason:
                self._log.warn(
                    "AUTH_ERROR | http auth server: status {status}, but {reason}",
                    status=answer.status,
                    reason=reason,
                    event="AUTH_ERROR",
                )
                login = Login(False)
            else:
                if body is not None:
                    self._log_unnamed(answer, body)
        else:
            login = _refused(answer)
        return login if login.accepted or report else NOT_MINE

    def _log_unnamed(self, answer: Response, body: str) -> None:
        """
        Have the log say that an answer was taken for an acceptance, although it may not have been meant as one.
        """
        # Services that only say yes or no may leave the body empty; any other body may be a mistake.
        log, event = (self._log.warn, "AUTH_ERROR") if answer.body else (self._log.info, "INFO")
        log(
            "{event} | http auth server: status {status}, its body is {body}: accepted as {user}, without a user id",
            event=event,
            status=answer.status,
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


def _is_json(answer: Response) -> bool:
    return answer.kind == "application/json" or answer.kind.endswith("+json")


def _accepted(answer: Response) -> tuple[Login, str | None]:
    """
    What an answer with a permitted status means; and what its body is, if that says nothing about the user.
    """
    if not answer.body:
        return Login(True), "empty"
    if _is_json(answer):
        try:
            value = loads(answer.body)
        except ValueError:
            raise _Unusable("its body is not JSON") from None
        return _accepted_json(value)
    if answer.kind == "text/plain":
        return Login(True, _text_id(answer.body.decode("utf-8", "surrogateescape"))), None
    if answer.kind.startswith("text/"):
        raise _Unusable(f"its body is {answer.kind}")
    return Login(True), f"of type {shown(answer.kind)}" if answer.kind else "of no type"


def _accepted_json(value: Any) -> tuple[Login, str | None]:
    if isinstance(value, dict):
        return _accepted_object(value), None
    if isinstance(value, str):
        return Login(True, _text_id(value)), None
    if value is False:
        # The Node server lets everybody in by it.
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


def _refused(answer: Response) -> Login:
    """
    What an answer with another status means.
    """
    value: Any = None
    if _is_json(answer):
        try:
            value = loads(answer.body)
        except ValueError:
            value = answer.body.decode("utf-8", "replace")
    elif answer.kind.startswith("text/"):
        value = answer.body.decode("utf-8", "replace")
    if isinstance(value, str) and value:
        return Login(False, client_data=dumps({"error": value[:MAX_ERROR]}))
    if isinstance(value, dict) and value:
        return Login(False, client_data=dumps(value))
    return Login(False)
