"""
Functions that authenticators share: they read credentials, and check user ids.
"""

from __future__ import annotations

from typing import Any

from dstwist.config.users import is_printable
from dstwist.interfaces import Login
from dstwist.protocol.jsontext import dumps

#: This authenticator is not responsible for the client; the next one is asked.
NOT_MINE = Login(False, final=False)


def name_and_password(credentials: Any) -> tuple[str | None, str | None]:
    """
    User name and password; C{None} for each that is not a text.
    """
    if not isinstance(credentials, dict):
        return None, None
    name, password = credentials.get("username"), credentials.get("password")
    return (name if isinstance(name, str) else None), (password if isinstance(password, str) else None)


def refusal(final: bool, error: str | None = None) -> Login:
    """
    A refusal, with C{{"error": ...}} for the client.

    @param final: C{reportInvalidParameters} of the authenticator. If it is false, the next authenticator is asked.
    """
    if not final:
        return NOT_MINE
    return Login(False, client_data=None if error is None else dumps({"error": error}))


#: The longest user id, in characters. Each login writes it to the log and sends it to all subscribers of presence.
MAX_USER_ID_CHARACTERS = 256


def user_id(value: Any) -> str | None:
    """
    The user id for C{value}, a text or a number from a response or a token; C{None} if the value is no valid user id.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = dumps(value).decode("ascii")
    if not isinstance(value, str) or not 0 < len(value) <= MAX_USER_ID_CHARACTERS or not is_printable(value):
        return None
    return value


def kind_of(value: Any) -> str:
    """
    The kind of a JSON value, for the log. The content may be a secret and is left out.
    """
    if value is None or isinstance(value, bool):
        return dumps(value).decode("ascii")
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "an object" if isinstance(value, dict) else "a number"
