"""
The messages that nodes send each other about calls.

An I{attempt} is one try of the requestor's node to have a call answered by another node. It has an id, which the
requestor's node uses for no other attempt. A message about an attempt that has ended is dropped.

=====================================  ===============  ===============================================================
kind, and fields                       to               meaning
=====================================  ===============  ===============================================================
C{rpc-request} a n i d u c t           provider's node  give the call to a provider of yours: procedure C{n},
                                                        correlation id C{i}, data C{d}; name C{u} and client data C{c}
                                                        of the requestor, if it is to be told; C{t}: the time until the
                                                        answer that the requestor allows, in milliseconds
C{rpc-cancel} a e                      provider's node  the attempt has ended; C{e}: a later answer is an error
C{rpc-accept} a                        requestor's      a provider has accepted
C{rpc-response} a d                    requestor's      the answer; it ends the attempt
C{rpc-error} a d                       requestor's      the error of the procedure; it ends the attempt
C{rpc-reject} a                        requestor's      no provider is left; it ends the attempt
C{rpc-lost} a                          requestor's      the provider has gone after it had accepted, and no other one is
                                                        to be asked; it ends the attempt
C{rpc-another} a                       requestor's      another provider of the same node is asked: the times start anew
=====================================  ===============  ===============================================================

Data travels as it came from its client: C{null} for "no value", the letter C{J} and a JSON text, or a typed value of
the text protocol. The node of the client has read it. Only short data is read again: a long JSON text takes up to 50 ms
a megabyte, and one of a client is read in parts.
"""

from __future__ import annotations

from typing import Any

from dstwist.cluster.fields import flag, key, number, text, text_or_none
from dstwist.protocol.jsontext import READ_IN_PARTS_LENGTH, is_json
from dstwist.protocol.message import Data
from dstwist.protocol.typed import has_separators, is_typed

REQUEST = "rpc-request"
CANCEL = "rpc-cancel"
ACCEPT = "rpc-accept"
RESPONSE = "rpc-response"
ERROR = "rpc-error"
REJECT = "rpc-reject"
LOST = "rpc-lost"
ANOTHER = "rpc-another"

#: The letter before a JSON text; no typed value begins with it.
_JSON = "J"

#: The first letters of data whose check reads a JSON text.
_READ = (_JSON, "O")


def pack(data: Data) -> str | None:
    """
    The data of a message as a field.
    """
    return _JSON + data.decode("utf-8") if isinstance(data, bytes) else data


def unpack(field: str | None) -> Data:
    """
    The data in a field, which is checked.
    """
    return field[1:].encode("utf-8") if field is not None and field[0] == _JSON else field


def is_data(value: Any) -> bool:
    """
    The check of a field with data.
    """
    if value is None:
        return True
    if not isinstance(value, str):
        return False
    # A separator would end the message of a text client.
    if has_separators(value):
        return False
    if len(value) >= READ_IN_PARTS_LENGTH and value[0] in _READ:
        return True
    return is_json(value[1:]) if value[:1] == _JSON else is_typed(value)


def is_json_or_none(value: Any) -> bool:
    """
    The check of a field with a JSON text.
    """
    return value is None or (isinstance(value, str) and is_json(value))


#: A text client may call with an empty correlation id.
REQUEST_FIELDS = (key, key, text, is_data, text_or_none, is_json_or_none, number)
CANCEL_FIELDS = (key, flag)
ATTEMPT_FIELDS = (key,)
ANSWER_FIELDS = (key, is_data)
