"""
The parts of a request.

::

    {"token": "<text>", "authData": {...}, "body": [<item>, ...]}

=================================================  ===================================================================
credentials in the request                         credentials of the login
=================================================  ===================================================================
C{authData}                                        these
C{token}, without C{authData}                      C{{"token": <token>}}
none                                               C{{}}
=================================================  ===================================================================
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dstwist.config.endpoints import HttpEndpoint
from dstwist.http_api.body import BadRequest
from dstwist.interfaces import HttpAnswer
from dstwist.protocol.jsontext import dumps

NO_CREDENTIALS = b"{}"


class Envelope(NamedTuple):
    """
    A request that is well formed, as far as its items were not looked at.

    @ivar credentials: JSON text.
    """

    credentials: bytes
    items: list[Any]


def open_envelope(value: Any, settings: HttpEndpoint) -> Envelope:
    """
    The parts of the request C{value}, the object or array of its body.

    @raise BadRequest: the request is not well formed.
    """
    given = value if isinstance(value, dict) else {}
    items = given.get("body")
    if not items and not isinstance(items, dict | list):
        raise _bad('Invalid message: the "body" parameter must exist.')
    if not items or not isinstance(items, list):
        raise _bad('Invalid message: the "body" parameter must be a non-empty array of Objects.')
    most = settings.max_batch_length
    if most and len(items) > most:
        raise _bad(f'Invalid message: the "body" parameter has {len(items)} items, more than {most}.')
    return Envelope(_credentials(given, settings), items)


def _credentials(given: dict[str, Any], settings: HttpEndpoint) -> bytes:
    if "authData" in given:
        if not settings.allow_auth_data:
            raise _bad("Authentication using authData is disabled. Try using a token instead.")
        if not isinstance(given["authData"], dict | list):
            raise _bad('Invalid message: the "authData" parameter must be an object')
        return dumps(given["authData"])
    if "token" in given:
        token = given["token"]
        if not isinstance(token, str) or not token:
            raise _bad('Invalid message: the "token" parameter must be a non-empty string')
        return dumps({"token": token})
    return NO_CREDENTIALS


def _bad(text: str) -> BadRequest:
    return BadRequest(HttpAnswer.text(400, text))
