"""
Errors in the form that triggers the callbacks of v2 and v3 clients.

For most errors, client 2.3.4 raises only its C{error} event. It calls the callback of the request only if the error has
the form below. Clients 2.1 and 2.2 have the same forms, but take the form of R|H for the answer to a snapshot, so that
their C{has} gets no error at all::

    request                     form for the callback
    R|SN, R|H, R|HD             R|E|<SN, H or HD>|<name>|<error>
    R|CR                        R|E|MESSAGE_DENIED|<name>|R             no callback, but the record stops waiting
    R|D                         R|E|MESSAGE_DENIED|<name>|D             no callback, but the record stops waiting
    P|REQ                       P|E|<error>|<name>|<id>                 not if the error is MESSAGE_PERMISSION_ERROR
    U|Q                         none: the callback takes every answer for a list of users

The server sends this form first, and then the error itself, as server 3.2 does. This order matters: a client whose
C{error} event has no listener throws, and does not read the rest of the frame.
"""

from __future__ import annotations

from dstwist.protocol.message import Message
from dstwist.protocol.text_fields import FIELD_SEPARATOR, MESSAGE_END, TextField
from dstwist.protocol.text_layout import Form

#: The codes of reads. A client finds the callback of a read by this code, which stands where other errors have their
#: own code.
READ_CODES = ("SN", "H", "HD")


class HeardForm(Form):
    """
    The form of an error. It is written after the same error in the form that triggers the callback of the request.
    """

    def write(self, message: Message) -> str | None:
        written = super().write(message)
        return written if written is None else _heard(message) + written


def _heard(message: Message) -> str:
    if not isinstance(message.raw, str):
        return ""  # the error answers no request
    letter, code, *fields = message.raw.split(FIELD_SEPARATOR, 4)
    error = message.action.name
    # If there are more fields, the name contained a separator, and the client would search for the whole name.
    if letter == "R" and len(fields) == 1 and fields[0]:
        if code in READ_CODES:
            return _error(letter, code, fields[0], error)
        if code == "CR" and error != "MESSAGE_DENIED":
            return _error(letter, "MESSAGE_DENIED", fields[0], "R")
        if code == "D" and error != "MESSAGE_DENIED":
            return _error(letter, "MESSAGE_DENIED", fields[0], code)
    elif letter == "P" and code == "REQ" and len(fields) > 1 and error == "MESSAGE_PERMISSION_ERROR":
        return _error(letter, "MESSAGE_DENIED", fields[0], code, fields[1])
    return ""


def _error(letter: str, *fields: str) -> str:
    return FIELD_SEPARATOR.join((letter, "E", *fields)) + MESSAGE_END


def _write_caller(message: Message) -> str | None:
    """
    The name and the id of an invalid call.
    """
    if not isinstance(message.raw, str):
        return None
    letter, code, *fields = message.raw.split(FIELD_SEPARATOR, 4)
    return FIELD_SEPARATOR.join(fields[:2]) if code == "REQ" and len(fields) > 1 and all(fields[:2]) else None


#: This field is only written. It is read as the echo of a request.
CALLER_FIELD = TextField(lambda text, values: False, _write_caller)
