"""
Errors in the form that triggers the callbacks of v2 and v3 clients.

Client 2.3.4 raises most errors as its C{error} event and nothing more: it calls the callback of the request only if the
error has one certain form. Clients 2.1 and 2.2 know the same forms, but take that of R|H for the answer to a snapshot,
so that their C{has} gets no error at all::

    request                     form for the callback
    R|SN, R|H, R|HD             R|E|<SN, H or HD>|<name>|<error>
    R|CR                        R|E|MESSAGE_DENIED|<name>|R             it has none, but the record stops to wait
    R|D                         R|E|MESSAGE_DENIED|<name>|D             likewise
    P|REQ                       P|E|<error>|<name>|<id>                 not if the error is MESSAGE_PERMISSION_ERROR
    U|Q                         nothing: the callback takes an answer for a list of users

The server sends this form first, and then the error as such, as server 3.2 does. A client whose C{error} event has no
listener throws, and does not read the rest of the frame.
"""

from __future__ import annotations

from dstwist.protocol.message import Message
from dstwist.protocol.text_fields import END, SEPARATOR, Field
from dstwist.protocol.text_form import Form

#: The codes of reads. A client looks for the callback of a read under this code; other errors have their own code
#: there.
READS = ("SN", "H", "HD")


class HeardForm(Form):
    """
    The form of an error. It is written behind the same error in the form that the callback of the request hears.
    """

    def write(self, message: Message) -> str | None:
        written = super().write(message)
        return written if written is None else _heard(message) + written


def _heard(message: Message) -> str:
    if not isinstance(message.raw, str):
        return ""  # it answers no request
    letter, code, *fields = message.raw.split(SEPARATOR, 4)
    error = message.action.name
    # With more fields, one of them is a part of the name, and the client looks for the whole name.
    if letter == "R" and len(fields) == 1 and fields[0]:
        if code in READS:
            return _error(letter, code, fields[0], error)
        if code == "CR" and error != "MESSAGE_DENIED":
            return _error(letter, "MESSAGE_DENIED", fields[0], "R")
        if code == "D" and error != "MESSAGE_DENIED":
            return _error(letter, "MESSAGE_DENIED", fields[0], code)
    elif letter == "P" and code == "REQ" and len(fields) > 1 and error == "MESSAGE_PERMISSION_ERROR":
        return _error(letter, "MESSAGE_DENIED", fields[0], code, fields[1])
    return ""


def _error(letter: str, *fields: str) -> str:
    return SEPARATOR.join((letter, "E", *fields)) + END


def _write_caller(message: Message) -> str | None:
    """
    The name and the id of an invalid call.
    """
    if not isinstance(message.raw, str):
        return None
    letter, code, *fields = message.raw.split(SEPARATOR, 4)
    return SEPARATOR.join(fields[:2]) if code == "REQ" and len(fields) > 1 and all(fields[:2]) else None


#: To be written only: it reads like the echo of any other request.
CALLER = Field(lambda text, values: False, _write_caller)
