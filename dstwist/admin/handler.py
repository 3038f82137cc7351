"""
A command as the handler of a route: parameters from the request, and the result as JSON.

==========================  ============================================================================================
status                      reason
==========================  ============================================================================================
200                         the command is done
400, 404, 409, 503          it cannot be done: C{{"error": text}}
401                         the token is missing, or is another one
==========================  ============================================================================================
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from dstwist.admin.commands import Answer, Command, CommandError, Parameters
from dstwist.interfaces import HttpAnswer, HttpOutcome, HttpRequest, HttpStream, IHttpHandler, Route
from dstwist.log import Logger, shown
from dstwist.protocol.jsontext import dumps

_GET = frozenset(("GET",))
_POST = frozenset(("POST",))

#: The parameters that a log line about a command has.
_LOGGED = ("user", "address", "client", "seconds", "level")


def routes(commands: Iterable[Command], token: str | None = None) -> list[Route]:
    """
    The routes of C{commands}.

    @param token: the token that each request has to have; C{None}: none.
    """
    return [
        Route(
            _POST if command.changes else _GET,
            f"/{command.name}",
            CommandHandler(command, token),
            checks_origin=False,
            while_stopping=True,
        )
        for command in commands
    ]


@implementer(IHttpHandler)
class CommandHandler:
    """
    Answers the requests for one command.
    """

    _log = Logger()

    def __init__(self, command: Command, token: str | None = None) -> None:
        self._command = command
        self._token = token

    def handle(self, request: HttpRequest) -> HttpOutcome | Deferred[HttpOutcome]:
        if self._token is not None and not _has_token(request, self._token):
            return _json(401, {"error": "the token is missing, or is another one"}, {"WWW-Authenticate": "Bearer"})
        try:
            values = self._values(request)
            result = self._command.run(Parameters(values))
        except CommandError as error:
            return _refused(error)
        if self._command.changes:
            self._log_command(values, request)
        if isinstance(result, Deferred):
            return result.addCallbacks(_outcome, _failed)
        return _outcome(result)

    def _values(self, request: HttpRequest) -> Mapping[str, Any]:
        if request.method == "GET":
            values: Any = dict(parse_qsl(request.query, keep_blank_values=True))
        else:
            try:
                values = json.loads(request.body or b"{}")
            except (ValueError, RecursionError):
                raise CommandError("the body is no JSON") from None
            if not isinstance(values, dict):
                raise CommandError("the body is no JSON object")
        for name in values:
            if name not in self._command.parameters:
                known = ", ".join(self._command.parameters) or "none"
                raise CommandError(f"unknown parameter {shown(name, 50)}; there are: {known}")
        return dict(values)

    def _log_command(self, values: Mapping[str, Any], request: HttpRequest) -> None:
        told = [f"{name}={shown(str(values[name]))}" for name in _LOGGED if values.get(name) is not None]
        self._log.info(
            "ADMIN | {command} ({place})",
            command=" ".join([self._command.name, *told]),
            place=request.client.address,
            event="ADMIN",
            node=request.client.node,
        )


def _has_token(request: HttpRequest, token: str) -> bool:
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode())


def _outcome(result: Answer | HttpStream) -> HttpOutcome:
    return _json(200, result) if isinstance(result, dict) else result


def _failed(failure: Failure) -> HttpOutcome:
    failure.trap(CommandError)
    error = failure.value
    assert isinstance(error, CommandError)
    return _refused(error)


def _refused(error: CommandError) -> HttpAnswer:
    return _json(error.status, {"error": str(error)})


def _json(status: int, value: Any, headers: Mapping[str, str] | None = None) -> HttpAnswer:
    more = {"Cache-Control": "no-store", **(headers or {})}
    return HttpAnswer(status, dumps(value) + b"\n", "application/json; charset=utf-8", more)
