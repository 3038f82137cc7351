"""
What authenticators have in common: reading what the client sent, and judging what is to be a user id.
"""

from __future__ import annotations

from typing import Any

from dstwist.config.users import is_printable
from dstwist.interfaces import Login
from dstwist.protocol.jsontext import dumps

#: Not this authenticator's business: the next one is asked.
NOT_MINE = Login(False, final=False)


def name_and_password(credentials: Any) -> tuple[str | None, str | None]:
    """
    User name and password; C{None} for what is not a text.
    """
    if not isinstance(credentials, dict):
        return None, None
    name, password = credentials.get("username"), credentials.get("password")
    return (name if isinstance(name, str) else None), (password if isinstance(password, str) else None)


def refusal(final: bool, error: str | None = None) -> Login:
    """
    A refusal, with C{{"error": ...}} for the client.

    @param final: what C{reportInvalidParameters} says: otherwise the next authenticator is asked.
    """
    if not final:
        return NOT_MINE
    return Login(False, client_data=None if error is None else dumps({"error": error}))


#: The longest user id. Each login writes it to the log, and presence to everybody who watches.
MAX_ID = 256


def user_id(value: Any) -> str | None:
    """
    The user id that C{value}, out of an answer or a token, stands for: a text or a number. C{None} if it cannot be one.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = dumps(value).decode("ascii")
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID or not is_printable(value):
        return None
    return value


def kind_of(value: Any) -> str:
    """
    What C{value}, out of JSON, is, for a line of the log. Not its content, which may be a secret.
    """
    if value is None or isinstance(value, bool):
        return dumps(value).decode("ascii")
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "an object" if isinstance(value, dict) else "a number"
