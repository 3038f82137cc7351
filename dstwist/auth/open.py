"""
All clients may log in, under any name: C{auth: [{type: none}]}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from dstwist.auth.credentials import MAX_USER_ID_CHARACTERS
from dstwist.config.users import is_printable
from dstwist.interfaces import HandshakeData, IAuthenticator, Login
from dstwist.protocol.constants import OPEN_USER
from dstwist.protocol.jsontext import dumps

_TOO_LONG = b'{"error":"the username must not have more than %d characters"}' % MAX_USER_ID_CHARACTERS


@implementer(IAuthenticator)
class OpenAuthentication:
    """
    Accepts every login (C{security.md} section 1.4). The user id is the name that the client gives; it proves nothing.
    """

    def login(self, handshake: HandshakeData, credentials: Any) -> Deferred[Login]:
        name = credentials.get("username") if isinstance(credentials, dict) else None
        if isinstance(name, dict | list):
            return succeed(Login(False, client_data=b'{"error":"the username must be a text"}'))
        if not name:
            return succeed(Login(True, OPEN_USER))
        # For numbers and booleans, the JSON text is the user id. JavaScript's String() gives the same.
        user = name if isinstance(name, str) else dumps(name).decode()
        if not is_printable(user):
            return succeed(Login(False, client_data=b'{"error":"the username must be printable"}'))
        if len(user) > MAX_USER_ID_CHARACTERS:
            return succeed(Login(False, client_data=_TOO_LONG))
        return succeed(Login(True, user))
