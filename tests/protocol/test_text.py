"""
Tests for L{dstwist.protocol.text} and the tables it is driven by.

Section numbers are those of the text protocol's specification.
"""

from __future__ import annotations

import json
import tracemalloc
from enum import IntEnum
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.constants import ACTIONS, EVERYONE, Topic
from dstwist.protocol.constants import AuthAction as A
from dstwist.protocol.constants import ConnectionAction as C
from dstwist.protocol.constants import EventAction as E
from dstwist.protocol.constants import ParserAction as X
from dstwist.protocol.constants import PresenceAction as U
from dstwist.protocol.constants import RecordAction as R
from dstwist.protocol.constants import RpcAction as P
from dstwist.protocol.message import Fault, Malformed, Message
from dstwist.protocol.text import CLIENT, SERVER, TextCodec
from dstwist.protocol.text_forms import FROM_CLIENT_FORMS, FROM_SERVER_FORMS, SPELLINGS
from dstwist.protocol.text_layout import LETTERS, Form
from tests.wire import readable, wire

TOPIC_OF = {enumeration: topic for topic, enumeration in ACTIONS.items()}


def m(action: IntEnum, **values: Any) -> Message:
    """
    A message about the topic that the action belongs to; what repeats a client's message is in L{wire}'s notation.
    """
    for key in ("detail", "raw"):
        if isinstance(values.get(key), str):
            values[key] = wire(values[key])
    return Message(TOPIC_OF[type(action)], action, **values)


def read(payload: str) -> list[Message]:
    """
    The messages of a client's payload, which is in L{wire}'s notation and in order.
    """
    messages = [message for message in SERVER.decode(wire(payload)) if isinstance(message, Message)]
    assert messages, payload
    return messages


def e(action: IntEnum, **values: Any) -> Message:
    """
    An error.
    """
    return m(action, is_error=True, **values)


def ack(action: IntEnum, **values: Any) -> Message:
    """
    An acknowledgement.
    """
    return m(action, is_ack=True, **values)


ACK = '{"writeSuccess":true}'

#: What clients send: read by servers and written by clients.
REQUESTS: list[tuple[Message, str]] = [
    (m(C.CHALLENGE, url="ws://localhost:6020/deepstream"), "C|CHR|ws://localhost:6020/deepstream+"),
    (m(C.CHALLENGE), "C|CHR+"),
    (m(C.PING), "C|PI+"),
    (m(C.PONG), "C|PO+"),
    (m(A.REQUEST, data=b'{"username":"A"}'), 'A|REQ|{"username":"A"}+'),
    (m(A.REQUEST, data=b" []"), "A|REQ| []+"),
    (m(E.SUBSCRIBE, names=("news",)), "E|S|news+"),
    (m(E.UNSUBSCRIBE, names=("news",)), "E|US|news+"),
    (m(E.EMIT, name="\xe9", data="S\xfc"), "E|EVT|\xe9|S\xfc+"),
    (m(E.EMIT, name="news", data="N1.50"), "E|EVT|news|N1.50+"),
    (m(E.EMIT, name="news", data="U"), "E|EVT|news|U+"),
    (m(E.EMIT, name="news", data='O{"x":1}'), 'E|EVT|news|O{"x":1}+'),
    (m(E.LISTEN, name="a.*"), "E|L|a.*+"),
    (m(E.UNLISTEN, name="a.*"), "E|UL|a.*+"),
    (m(E.LISTEN_ACCEPT, name="a.*", subscription="abc"), "E|LA|a.*|abc+"),
    (m(E.LISTEN_REJECT, name="a.*", subscription="abc"), "E|LR|a.*|abc+"),
    (m(R.SUBSCRIBECREATEANDREAD, names=("user/1",)), "R|CR|user/1+"),
    (m(R.UNSUBSCRIBE, names=("user/1",)), "R|US|user/1+"),
    (m(R.READ, name="user/1"), "R|SN|user/1+"),
    (m(R.HAS, name="user/1"), "R|H|user/1+"),
    (m(R.HEAD, name="user/1"), "R|HD|user/1+"),
    (m(R.DELETE, name="user/1"), "R|D|user/1+"),
    (m(R.UPDATE, name="q1", version=1, data=b'{"a":1}'), 'R|U|q1|1|{"a":1}+'),
    (m(R.UPDATE, name="l", version=-1, data=b'["a"]'), 'R|U|l|-1|["a"]+'),
    (m(R.UPDATE, name="q1", version=1, data=b"{}", is_write_ack=True), "R|U|q1|1|{}|" + ACK + "+"),
    (m(R.PATCH, name="r1", version=2, path="a", data="N1.5"), "R|P|r1|2|a|N1.5+"),
    (m(R.PATCH, name="q1", version=3, path="a", data="U"), "R|P|q1|3|a|U+"),
    (
        m(R.PATCH, name="q1", version=2, path="b[1].c", data="Sv", is_write_ack=True),
        "R|P|q1|2|b[1].c|Sv|" + ACK + "+",
    ),
    (m(R.CREATEANDUPDATE, name="sd", version=-1, data=b'{"z":1}'), 'R|CU|sd|-1|{"z":1}|{}+'),
    (
        m(R.CREATEANDUPDATE, name="sd", version=-1, data=b'{"k":1}', is_write_ack=True),
        'R|CU|sd|-1|{"k":1}|' + ACK + "+",
    ),
    (m(R.CREATEANDPATCH, name="sd", version=-1, path="p.q", data="N5"), "R|CU|sd|-1|p.q|N5|{}+"),
    (
        m(R.CREATEANDPATCH, name="sd", version=-1, path="p.q", data="N5", is_write_ack=True),
        "R|CU|sd|-1|p.q|N5|" + ACK + "+",
    ),
    (m(R.LISTEN, name="q[0-9]"), "R|L|q[0-9]+"),
    (m(R.UNLISTEN, name="q[0-9]"), "R|UL|q[0-9]+"),
    (m(R.LISTEN_ACCEPT, name="q[0-9]", subscription="q2"), "R|LA|q[0-9]|q2+"),
    (m(R.LISTEN_REJECT, name="q[0-9]", subscription="q2"), "R|LR|q[0-9]|q2+"),
    (m(P.PROVIDE, names=("add",)), "P|S|add+"),
    (m(P.UNPROVIDE, names=("add",)), "P|US|add+"),
    (m(P.REQUEST, name="add", correlation_id="mwuljzpr-1ahf", data="Sx"), "P|REQ|add|mwuljzpr-1ahf|Sx+"),
    (m(P.ACCEPT, name="add", correlation_id="id1"), "P|A|REQ|add|id1+"),
    (m(P.RESPONSE, name="add", correlation_id="id1", data="N7"), "P|RES|add|id1|N7+"),
    (m(P.REJECT, name="add", correlation_id="id3"), "P|REJ|add|id3+"),
    (e(P.REQUEST_ERROR, name="add", correlation_id="id2", data="SAn Error"), "P|E|An Error|add|id2+"),
    (m(U.SUBSCRIBE_ALL), "U|S|S+"),
    (m(U.UNSUBSCRIBE_ALL), "U|US|US+"),
    (m(U.QUERY_ALL), "U|Q|Q+"),
    (m(U.SUBSCRIBE, correlation_id="1", names=("u1", "u2")), 'U|S|1|["u1","u2"]+'),
    (m(U.UNSUBSCRIBE, correlation_id="2", names=("u1",)), 'U|US|2|["u1"]+'),
    (m(U.QUERY, correlation_id="3", names=("B", "zz")), 'U|Q|3|["B","zz"]+'),
    (m(U.QUERY, correlation_id="4", names=()), "U|Q|4|[]+"),
]

_LATE = "Sconnection has not authenticated successfully in the expected time"

#: What servers send: written by servers and read by clients. All rows of section 14 are here.
ANSWERS: list[tuple[Message, str]] = [
    (e(X.UNKNOWN_TOPIC, original_topic=Topic.AUTH), "X|E|UNKNOWN_TOPIC|A+"),
    (e(X.UNKNOWN_TOPIC, detail="Z"), "X|E|UNKNOWN_TOPIC|Z+"),
    (e(X.MESSAGE_PARSE_ERROR), "X|E|MESSAGE_PARSE_ERROR|null+"),
    (m(C.CHALLENGE_REQUEST), "C|CH+"),
    (m(C.ACCEPT), "C|A+"),
    (m(C.REDIRECT, url="ws://other:6020"), "C|RED|ws://other:6020+"),
    (m(C.REJECT), "C|REJ+"),
    (m(C.PING), "C|PI+"),
    (m(C.PONG), "C|PO+"),
    (e(C.MESSAGE_PARSE_ERROR, detail="junk|more"), "C|E|MESSAGE_PARSE_ERROR|junk|more+"),
    (e(C.INVALID_MESSAGE), "C|E|INVALID_MESSAGE|invalid connection message+"),
    (e(C.UNKNOWN_ACTION, detail="unknown action US"), "C|E|UNKNOWN_ACTION|unknown action US+"),
    (e(C.AUTHENTICATION_TIMEOUT), f"C|E|CONNECTION_AUTHENTICATION_TIMEOUT|{_LATE}+"),
    (m(A.AUTH_SUCCESSFUL), "A|A+"),
    (m(A.AUTH_SUCCESSFUL, data='O{"x":1}'), 'A|A|O{"x":1}+'),
    (m(A.AUTH_SUCCESSFUL, data="L"), "A|A|L+"),
    (e(A.AUTH_UNSUCCESSFUL, data="U"), "A|E|INVALID_AUTH_DATA|U+"),
    (e(A.AUTH_UNSUCCESSFUL, data="Sno"), "A|E|INVALID_AUTH_DATA|Sno+"),
    (e(A.TOO_MANY_AUTH_ATTEMPTS), "A|E|TOO_MANY_AUTH_ATTEMPTS|Stoo many authentication attempts+"),
    (e(A.INVALID_MESSAGE_DATA), "A|E|INVALID_AUTH_MSG|invalid authentication message+"),
    (m(E.EMIT, name="news", data="N1.5"), "E|EVT|news|N1.5+"),
    (ack(E.SUBSCRIBE, names=("news",)), "E|A|S|news+"),
    (ack(E.UNSUBSCRIBE, names=("news",)), "E|A|US|news+"),
    (ack(E.LISTEN, name="a.*"), "E|A|L|a.*+"),
    (ack(E.UNLISTEN, name="a.*"), "E|A|UL|a.*+"),
    (m(E.SUBSCRIPTION_FOR_PATTERN_FOUND, name="a.*", subscription="abc"), "E|SP|a.*|abc+"),
    (m(E.SUBSCRIPTION_FOR_PATTERN_REMOVED, name="a.*", subscription="abc"), "E|SR|a.*|abc+"),
    (e(E.INVALID_MESSAGE_DATA, detail="E|S"), "E|E|INVALID_MESSAGE_DATA|E|S+"),
    (e(E.INVALID_MESSAGE, detail="E|LA|a|b"), "E|E|INVALID_MESSAGE|E|LA|a|b+"),
    (e(E.MULTIPLE_SUBSCRIPTIONS, name="x"), "E|E|MULTIPLE_SUBSCRIPTIONS|x+"),
    (e(E.NOT_SUBSCRIBED, name="x"), "E|E|NOT_SUBSCRIBED|x+"),
    (e(E.UNKNOWN_ACTION, detail="unknown action WA"), "E|E|UNKNOWN_ACTION|unknown action WA+"),
    (e(E.MESSAGE_DENIED, name="x", original_action=E.EMIT, raw="E|EVT|x|Sd"), "E|E|MESSAGE_DENIED|x|EVT|Sd+"),
    (
        e(E.MESSAGE_PERMISSION_ERROR, name="", original_action=E.SUBSCRIBE, raw="E|S"),
        "E|E|MESSAGE_PERMISSION_ERROR||S+",
    ),
    (ack(R.SUBSCRIBECREATEANDREAD, names=("q1",)), "R|A|S|q1+"),
    (ack(R.UNSUBSCRIBE, names=("q1",)), "R|A|US|q1+"),
    (ack(R.LISTEN, name="q[0-9]"), "R|A|L|q[0-9]+"),
    (ack(R.UNLISTEN, name="q[0-9]"), "R|A|UL|q[0-9]+"),
    (m(R.DELETE_SUCCESS, name="q1"), "R|A|D|q1+"),
    (m(R.READ_RESPONSE, name="q1", version=0, data=b"{}"), "R|R|q1|0|{}+"),
    (m(R.HAS_RESPONSE, name="q1", data="T"), "R|H|q1|T+"),
    (m(R.HAS_RESPONSE, name="q1", data="F"), "R|H|q1|F+"),
    (m(R.HEAD_RESPONSE, name="q1", version=7), "R|HD|q1|7+"),
    (m(R.HEAD_RESPONSE, name="q1", version=-1), "R|HD|q1|-1+"),
    (m(R.UPDATE, name="q1", version=1, data=b'{"a":1}'), 'R|U|q1|1|{"a":1}+'),
    (m(R.PATCH, name="q1", version=2, path="b[1].c", data="Sv"), "R|P|q1|2|b[1].c|Sv+"),
    (m(R.WRITE_ACKNOWLEDGEMENT, name="r1", version=2, is_write_ack=True), "R|WA|r1|[2]|L+"),
    (
        m(R.WRITE_ACKNOWLEDGEMENT, name="c1", version=-1, is_write_ack=True, detail="no such record"),
        "R|WA|c1|[-1]|Sno such record+",
    ),
    (m(R.SUBSCRIPTION_HAS_PROVIDER, name="q2"), "R|SH|q2|T+"),
    (m(R.SUBSCRIPTION_HAS_NO_PROVIDER, name="q2"), "R|SH|q2|F+"),
    (m(R.SUBSCRIPTION_FOR_PATTERN_FOUND, name="q.", subscription="q2"), "R|SP|q.|q2+"),
    (m(R.SUBSCRIPTION_FOR_PATTERN_REMOVED, name="q.", subscription="q2"), "R|SR|q.|q2+"),
    (e(R.VERSION_EXISTS, name="r1", version=7, data=b'{"x":7}'), 'R|E|VERSION_EXISTS|r1|7|{"x":7}+'),
    (
        e(R.VERSION_EXISTS, name="r1", version=7, data=b'{"x":7}', is_write_ack=True),
        'R|E|VERSION_EXISTS|r1|7|{"x":7}|' + ACK + "+",
    ),
    (e(R.INVALID_VERSION, name="r1"), "R|E|INVALID_VERSION|r1|NaN+"),
    (e(R.RECORD_UPDATE_ERROR, version=5), "R|E|RECORD_UPDATE_ERROR|5+"),
    (e(R.RECORD_CREATE_ERROR, name="r1"), "R|E|RECORD_CREATE_ERROR|r1+"),
    (e(R.RECORD_DELETE_ERROR, detail="cache timeout"), "R|E|RECORD_DELETE_ERROR|cache timeout+"),
    (e(R.RECORD_LOAD_ERROR, detail="error while loading r1"), "R|E|RECORD_LOAD_ERROR|error while loading r1+"),
    (e(R.CACHE_RETRIEVAL_TIMEOUT, name="r1"), "R|E|CACHE_RETRIEVAL_TIMEOUT|r1+"),
    (e(R.STORAGE_RETRIEVAL_TIMEOUT, name="r1"), "R|E|STORAGE_RETRIEVAL_TIMEOUT|r1+"),
    (e(R.RECORD_NOT_FOUND, name="r1"), "R|E|RECORD_NOT_FOUND|r1+"),
    (e(R.RECORD_NOT_FOUND, name="r1", original_action=R.READ), "R|E|SN|r1|RECORD_NOT_FOUND+"),
    (e(R.RECORD_LOAD_ERROR, name="r1", original_action=R.HAS), "R|E|H|r1|RECORD_LOAD_ERROR+"),
    (e(R.CACHE_RETRIEVAL_TIMEOUT, name="r1", original_action=R.HEAD), "R|E|HD|r1|CACHE_RETRIEVAL_TIMEOUT+"),
    (e(R.STORAGE_RETRIEVAL_TIMEOUT, name="r1", original_action=R.READ), "R|E|SN|r1|STORAGE_RETRIEVAL_TIMEOUT+"),
    (e(R.INVALID_MESSAGE_DATA, detail="r1|1"), "R|E|INVALID_MESSAGE_DATA|r1|1+"),
    (e(R.INVALID_MESSAGE, detail="R|LA|nopat|nosub"), "R|E|INVALID_MESSAGE|R|LA|nopat|nosub+"),
    (e(R.MULTIPLE_SUBSCRIPTIONS, name="r1"), "R|E|MULTIPLE_SUBSCRIPTIONS|r1+"),
    (e(R.NOT_SUBSCRIBED, name="r1"), "R|E|NOT_SUBSCRIBED|r1+"),
    (e(R.UNKNOWN_ACTION, detail="unknown action S"), "R|E|UNKNOWN_ACTION|unknown action S+"),
    (e(R.MESSAGE_DENIED, name="r1", original_action=R.DELETE, raw="R|D|r1"), "R|E|MESSAGE_DENIED|r1|D+"),
    (ack(P.PROVIDE, names=("add",)), "P|A|S|add+"),
    (ack(P.UNPROVIDE, names=("add",)), "P|A|US|add+"),
    (m(P.REQUEST, name="add", correlation_id="id1", data="Sx"), "P|REQ|add|id1|Sx+"),
    (m(P.ACCEPT, name="add", correlation_id="id1"), "P|A|REQ|add|id1+"),
    (m(P.RESPONSE, name="add", correlation_id="id1", data="Sx"), "P|RES|add|id1|Sx+"),
    (e(P.REQUEST_ERROR, name="add", correlation_id="id2", data="SAn Error"), "P|E|An Error|add|id2+"),
    (e(P.NO_RPC_PROVIDER, name="add", correlation_id="id3"), "P|E|NO_RPC_PROVIDER|add|id3+"),
    (e(P.ACCEPT_TIMEOUT, name="add", correlation_id="id3"), "P|E|ACK_TIMEOUT|add|id3+"),
    (e(P.RESPONSE_TIMEOUT, name="add", correlation_id="id3"), "P|E|RESPONSE_TIMEOUT|add|id3+"),
    (e(P.MULTIPLE_ACCEPT, name="add", correlation_id="id3"), "P|E|MULTIPLE_ACK|add|id3+"),
    (
        e(P.INVALID_RPC_CORRELATION_ID, detail="unexpected state for rpc add with action RES"),
        "P|E|INVALID_RPC_CORRELATION_ID|unexpected state for rpc add with action RES+",
    ),
    (e(P.INVALID_MESSAGE_DATA, detail="P|S"), "P|E|INVALID_MESSAGE_DATA|P|S+"),
    (e(P.MULTIPLE_PROVIDERS, name="add"), "P|E|MULTIPLE_SUBSCRIPTIONS|add+"),
    (e(P.NOT_PROVIDED, name="add"), "P|E|NOT_SUBSCRIBED|add+"),
    (e(P.UNKNOWN_ACTION, detail="unknown action L"), "P|E|UNKNOWN_ACTION|unknown action L+"),
    (
        e(P.MESSAGE_DENIED, name="x", original_action=P.REQUEST, raw="P|REQ|x|u1|Sd"),
        "P|E|MESSAGE_DENIED|x|REQ|u1|Sd+",
    ),
    (
        e(P.MESSAGE_PERMISSION_ERROR, name="x", original_action=P.PROVIDE, raw="P|S|x"),
        "P|E|MESSAGE_PERMISSION_ERROR|x|S+",
    ),
    (ack(U.SUBSCRIBE, correlation_id="1"), "U|A|S|1+"),
    (ack(U.UNSUBSCRIBE, correlation_id="2"), "U|A|US|2+"),
    (m(U.PRESENCE_JOIN, name="C"), "U|PNJ|C+"),
    (m(U.PRESENCE_LEAVE, name="C"), "U|PNL|C+"),
    (m(U.QUERY_ALL_RESPONSE), "U|Q+"),
    (m(U.QUERY_ALL_RESPONSE, names=("u1",)), "U|Q|u1+"),
    (m(U.QUERY_ALL_RESPONSE, names=("u1", "u2", "u3")), "U|Q|u1|u2|u3+"),
    (m(U.QUERY_RESPONSE, correlation_id="1", data=b'{"u1":true,"u2":false}'), 'U|Q|1|{"u1":true,"u2":false}+'),
    (
        e(U.INVALID_PRESENCE_USERS),
        "U|E|INVALID_PRESENCE_USERS|users are required to be a json array of usernames+",
    ),
    (e(U.MULTIPLE_SUBSCRIPTIONS, name=EVERYONE), "U|E|MULTIPLE_SUBSCRIPTIONS|U+"),
    (e(U.NOT_SUBSCRIBED, name="ann"), "U|E|NOT_SUBSCRIBED|ann+"),
    (e(U.UNKNOWN_ACTION, detail="unknown action EVT"), "U|E|UNKNOWN_ACTION|unknown action EVT+"),
    (
        e(U.MESSAGE_DENIED, name="1", original_action=U.SUBSCRIBE_ALL, raw='U|S|1|["b"]'),
        'U|E|MESSAGE_DENIED|1|S|["b"]+',
    ),
    (
        e(U.MESSAGE_PERMISSION_ERROR, name="Q", original_action=U.QUERY_ALL, raw="U|Q|Q"),
        "U|E|MESSAGE_PERMISSION_ERROR|Q|Q+",
    ),
]

#: What servers understand and no client of ours would send.
TOLERATED: list[tuple[str, Message]] = [
    ("C|CHR|ws://a|b|c+", m(C.CHALLENGE, url="ws://a")),
    ("C|PO|x+", m(C.PONG)),
    ("E|EVT|news+", m(E.EMIT, name="news")),
    ("E|EVT|news|Onull+", m(E.EMIT, name="news", data="Onull")),
    ("E|S|a+E|S|b", m(E.SUBSCRIBE, names=("a",))),
    ('R|U|n|1|{}|{"writeSuccess": true}+', m(R.UPDATE, name="n", version=1, data=b"{}")),
    ("R|U|n|1|{}|{}+", m(R.UPDATE, name="n", version=1, data=b"{}")),
    ("R|U|n|-07| {} +", m(R.UPDATE, name="n", version=-7, data=b" {} ")),
    ("R|P|n|1||Sx|{}+", m(R.PATCH, name="n", version=1, path="", data="Sx")),
    ("R|CU|n|5|{}|{what+", m(R.CREATEANDUPDATE, name="n", version=5, data=b"{}")),
    ("P|REQ|add|id1+", m(P.REQUEST, name="add", correlation_id="id1")),
    ("P|RES|add|id1+", m(P.RESPONSE, name="add", correlation_id="id1", data="U")),
    ("U|S+", m(U.SUBSCRIBE_ALL)),
    ("U|S|U+", m(U.SUBSCRIBE_ALL)),
    ("U|US|Q+", m(U.UNSUBSCRIBE_ALL)),
    ("U|Q+", m(U.QUERY_ALL)),
    ('U|S|S|["b"]+', m(U.SUBSCRIBE, correlation_id="S", names=("b",))),
    ('U|S|1|["b",""]+', m(U.SUBSCRIBE, correlation_id="1", names=("b", ""))),
]

#: What servers write for messages that clients of the text protocol did not send, or that are told in fewer words.
WRITTEN: list[tuple[Message, str]] = [
    (m(E.EMIT, name="news"), "E|EVT|news|U+"),
    (m(E.EMIT, name="news", data=b'"x"'), "E|EVT|news|Sx+"),
    (m(E.EMIT, name="n", data=b'"x\\u001e\\u001fy"'), 'E|EVT|n|O"x\\u001e\\u001fy"+'),
    (m(R.PATCH, name="n", version=1, path="a", data=b'"\\u001f"'), 'R|P|n|1|a|O"\\u001f"+'),
    (m(P.REQUEST_ERROR, name="add", correlation_id="1", data=b'"\\u001e"'), 'P|E|"\\u001e"|add|1+'),
    (
        m(R.WRITE_ACKNOWLEDGEMENT, name="r1", version=2, detail="a\x1f", is_write_ack=True),
        'R|WA|r1|[2]|O"a\\u001f"+',
    ),
    (m(E.EMIT, name="\ud800", data=b'"\\ud800"'), "E|EVT|\ufffd|S\ufffd+"),
    (ack(E.SUBSCRIBE, names=("a", "b\x1f", "c"), correlation_id="9"), "E|A|S|a+E|A|S|c+"),
    (ack(E.SUBSCRIBE, name="a"), "E|A|S|a+"),
    (e(E.INVALID_LISTEN_REGEX, detail="SyntaxError: [/x/]"), "E|E|INVALID_MESSAGE_DATA|SyntaxError: [/x/]+"),
    (e(E.INVALID_MESSAGE_DATA, raw=b"\x00", name="n"), "E|E|INVALID_MESSAGE_DATA|n+"),
    (e(E.INVALID_MESSAGE_DATA), "E|E|INVALID_MESSAGE_DATA|+"),
    (e(E.MULTIPLE_SUBSCRIPTIONS, names=("x",)), "E|E|MULTIPLE_SUBSCRIPTIONS|x+"),
    (e(E.UNKNOWN_ACTION, detail="unknown\x1e action"), "E|E|UNKNOWN_ACTION|unknown\\u001e action+"),
    (e(C.MESSAGE_PARSE_ERROR, raw="junk+"), "C|E|MESSAGE_PARSE_ERROR|junk++"),
    (e(C.MESSAGE_PARSE_ERROR, raw=b"\xff"), "C|E|MESSAGE_PARSE_ERROR|+"),
    (e(X.UNKNOWN_TOPIC, original_topic=Topic.PARSER), "X|E|UNKNOWN_TOPIC|X+"),
    (e(X.UNKNOWN_TOPIC, original_topic=Topic.MONITORING), "X|E|UNKNOWN_TOPIC|MONITORING+"),
    (e(X.UNKNOWN_TOPIC), "X|E|UNKNOWN_TOPIC|+"),
    (m(A.AUTH_SUCCESSFUL, data=b'{"x":1}'), 'A|A|O{"x":1}+'),
    (m(A.AUTH_UNSUCCESSFUL), "A|E|INVALID_AUTH_DATA|U+"),
    (m(A.AUTH_UNSUCCESSFUL, data=b'"no"'), "A|E|INVALID_AUTH_DATA|Sno+"),
    (m(A.INVALID_MESSAGE), "A|E|INVALID_AUTH_MSG|invalid authentication message+"),
    (m(R.DELETED, name="q1"), "R|A|D|q1+"),
    (m(R.HAS_RESPONSE, name="q1", data=b"true"), "R|H|q1|T+"),
    (m(R.ERASE, name="q1", version=3, path="a"), "R|P|q1|3|a|U+"),
    (m(R.PATCH, name="q1", version=3, path="a"), "R|P|q1|3|a|U+"),
    (m(R.PATCH, name="q1", version=3, path="a", data=b"1.0", is_write_ack=True), "R|P|q1|3|a|N1+"),
    (m(R.UPDATE, name="q1", version=3, data=b"{}", is_write_ack=True), "R|U|q1|3|{}+"),
    (m(R.UPDATE, name="q1", version=3, data='O{"a":1}'), 'R|U|q1|3|{"a":1}+'),
    (m(R.WRITE_ACKNOWLEDGEMENT, name="r1", version=2, data=b"null"), "R|WA|r1|[2]|L+"),
    (m(R.WRITE_ACKNOWLEDGEMENT, name="r1", version=2, data=b'"broken"'), "R|WA|r1|[2]|Sbroken+"),
    (m(R.WRITE_ACKNOWLEDGEMENT, name="r1", version=2, data=b'{"a":1}'), 'R|WA|r1|[2]|S{"a":1}+'),
    (e(R.INVALID_LISTEN_REGEX, detail="bad"), "R|E|INVALID_MESSAGE_DATA|bad+"),
    (m(P.REQUEST, name="add", correlation_id="1"), "P|REQ|add|1|U+"),
    (m(P.RESPONSE, name="add", correlation_id="1"), "P|RES|add|1|U+"),
    (m(P.RESPONSE, name="add", correlation_id="1", data=b"[1]"), "P|RES|add|1|O[1]+"),
    (m(P.REQUEST_ERROR, name="add", correlation_id="1", data=b'"no"'), "P|E|no|add|1+"),
    (m(P.REQUEST_ERROR, name="add", correlation_id="1", data=b'{"a": 1}'), 'P|E|{"a":1}|add|1+'),
    (m(P.REQUEST_ERROR, name="add", correlation_id="1"), "P|E|null|add|1+"),
    (
        e(P.INVALID_RPC_CORRELATION_ID, name="add", original_action=P.ACCEPT),
        "P|E|INVALID_RPC_CORRELATION_ID|unexpected state for rpc add with action A+",
    ),
    (ack(U.SUBSCRIBE_ALL), "U|A|S|S+U|A|S|U+"),
    (ack(U.UNSUBSCRIBE_ALL), "U|A|US|US+U|A|US|U+"),
    (ack(U.SUBSCRIBE, names=("a", "b"), correlation_id="1"), "U|A|S|1+"),
    (m(U.PRESENCE_JOIN_ALL, name="C"), "U|PNJ|C+"),
    (m(U.PRESENCE_LEAVE_ALL, name="C"), "U|PNL|C+"),
    (m(U.QUERY_ALL_RESPONSE, names=("a\x1f", "b")), "U|Q|b+"),
    (m(U.QUERY_ALL_RESPONSE, names=("a", "\x1eb")), "U|Q|a+"),
    (m(U.QUERY_ALL_RESPONSE, names=("\x1f",)), "U|Q+"),
    (e(U.MESSAGE_DENIED, name="a\x1f", original_action=U.SUBSCRIBE), "U|E|MESSAGE_DENIED|a\\u001f|S+"),
    (e(U.NOT_SUBSCRIBED), "U|E|NOT_SUBSCRIBED|U+"),
    # denials of requests that were not made in text
    (e(E.MESSAGE_DENIED, name="x", original_action=E.EMIT), "E|E|MESSAGE_DENIED|x|EVT+"),
    (e(P.MESSAGE_DENIED, name="x", original_action=P.REQUEST, correlation_id="1"), "P|E|MESSAGE_DENIED|x|REQ|1+"),
    (e(R.MESSAGE_DENIED, name="x", original_action=R.SUBSCRIBEANDREAD), "R|E|MESSAGE_DENIED|x|SUBSCRIBEANDREAD+"),
    (e(R.MESSAGE_DENIED, name="x"), "R|E|MESSAGE_DENIED|x|+"),
    # what new rules end, told like the denial of a request
    (e(R.MESSAGE_DENIED, name="x", original_action=R.SUBSCRIBECREATEANDREAD), "R|E|MESSAGE_DENIED|x|R+"),
    (e(U.MESSAGE_DENIED, name="b", original_action=U.SUBSCRIBE), "U|E|MESSAGE_DENIED|b|S+"),
    (e(U.MESSAGE_DENIED, original_action=U.SUBSCRIBE_ALL), "U|E|MESSAGE_DENIED|S|S+"),
    (e(R.MESSAGE_PERMISSION_ERROR, name="x", original_action=R.HEAD), "R|E|MESSAGE_PERMISSION_ERROR|x|HD+"),
]

#: What the text protocol cannot say.
UNSPEAKABLE: list[Message] = [
    m(E.LISTEN_RESPONSE_TIMEOUT, name="a"),
    m(R.LISTEN_RESPONSE_TIMEOUT, name="a"),
    m(R.PATCH_MULTI, name="a", version=1, data=b"[]"),
    m(R.HEAD_RESPONSE_BULK, versions={"a": 1}),
    m(P.MULTIPLE_RESPONSE, name="a", correlation_id="1"),
    m(X.INVALID_MESSAGE),
    m(C.CLOSING),
    ack(R.PATCH, name="a", version=1),
    ack(E.EMIT, name="a"),
    ack(E.LISTEN),
    ack(U.SUBSCRIBE, names=("a",)),
    m(R.UPDATE, name="a", version=1),
    m(R.UPDATE, name="a", data=b"{}"),
    # No field can hold a separator, and without it the name would be another one.
    m(E.EMIT, name="a\x1eb", data=b"1"),
    m(E.SUBSCRIPTION_FOR_PATTERN_FOUND, name="a.*", subscription="a\x1fb"),
    m(R.UPDATE, name="a\x1fb", version=1, data=b"{}"),
    m(R.PATCH, name="a", version=1, path="b\x1ec", data=b"1"),
    m(P.REQUEST, name="a", correlation_id="\x1f", data=b"1"),
    m(U.PRESENCE_JOIN_ALL, name="a\x1f"),
    ack(E.SUBSCRIBE, names=("a\x1f",)),
    m(R.WRITE_ACKNOWLEDGEMENT, name="a"),
    m(R.RECORD_DELETE_ERROR),
    Message(Topic.MONITORING, E.UNKNOWN),
    Message(Topic.UNKNOWN, E.EMIT, name="a"),
]

_USERS = "U|E|INVALID_PRESENCE_USERS|users are required to be a json array of usernames+"

#: What is no message: payload, fault, topic, action as written, and what an open connection answers.
MALFORMED: list[tuple[str, Fault, Topic | None, str | None, str]] = [
    ("onlyone+", Fault.UNPARSABLE, None, None, "X|E|MESSAGE_PARSE_ERROR|null+"),
    ("E|XYZ|a+", Fault.UNPARSABLE, None, None, "X|E|MESSAGE_PARSE_ERROR|null+"),
    ("E||x+", Fault.UNPARSABLE, None, None, "X|E|MESSAGE_PARSE_ERROR|null+"),
    ("C|RED|ws://x+", Fault.UNPARSABLE, None, None, "X|E|MESSAGE_PARSE_ERROR|null+"),
    ("P|I|x+", Fault.UNPARSABLE, None, None, "X|E|MESSAGE_PARSE_ERROR|null+"),
    ("Z|S|x+", Fault.UNKNOWN_TOPIC, None, "S", "X|E|UNKNOWN_TOPIC|Z+"),
    ("|S|x+", Fault.UNKNOWN_TOPIC, None, "S", "X|E|UNKNOWN_TOPIC|+"),
    ("PRIVATE/x|S|x+", Fault.UNKNOWN_TOPIC, None, "S", "X|E|UNKNOWN_TOPIC|PRIVATE/x+"),
    ("X|E|x+", Fault.UNKNOWN_TOPIC, Topic.PARSER, "E", "X|E|UNKNOWN_TOPIC|X+"),
    ("C|A+", Fault.UNKNOWN_ACTION, Topic.CONNECTION, "A", "X|E|UNKNOWN_TOPIC|C+"),
    ("C|US|x+", Fault.UNKNOWN_ACTION, Topic.CONNECTION, "US", "X|E|UNKNOWN_TOPIC|C+"),
    ("A|E+", Fault.UNKNOWN_ACTION, Topic.AUTH, "E", "X|E|UNKNOWN_TOPIC|A+"),
    ("E|WA|x+", Fault.UNKNOWN_ACTION, Topic.EVENT, "WA", "E|E|UNKNOWN_ACTION|unknown action WA+"),
    ("R|S|x+", Fault.UNKNOWN_ACTION, Topic.RECORD, "S", "R|E|UNKNOWN_ACTION|unknown action S+"),
    ("R|R|x+", Fault.UNKNOWN_ACTION, Topic.RECORD, "R", "R|E|UNKNOWN_ACTION|unknown action R+"),
    ("R|C|x+", Fault.UNKNOWN_ACTION, Topic.RECORD, "C", "R|E|UNKNOWN_ACTION|unknown action C+"),
    ("R|LSN|x+", Fault.UNKNOWN_ACTION, Topic.RECORD, "LSN", "R|E|UNKNOWN_ACTION|unknown action LSN+"),
    ("R|A|D|x+", Fault.UNKNOWN_ACTION, Topic.RECORD, "A", "R|E|UNKNOWN_ACTION|unknown action A+"),
    ("P|L|x+", Fault.UNKNOWN_ACTION, Topic.RPC, "L", "P|E|UNKNOWN_ACTION|unknown action L+"),
    ("U|EVT|x+", Fault.UNKNOWN_ACTION, Topic.PRESENCE, "EVT", "U|E|UNKNOWN_ACTION|unknown action EVT+"),
    ("A|REQ+", Fault.INVALID_DATA, Topic.AUTH, "REQ", "X|E|UNKNOWN_TOPIC|A+"),
    ("A|REQ|{}|x+", Fault.INVALID_DATA, Topic.AUTH, "REQ", "X|E|UNKNOWN_TOPIC|A+"),
    ("A|REQ|null+", Fault.INVALID_DATA, Topic.AUTH, "REQ", "X|E|UNKNOWN_TOPIC|A+"),
    ('A|REQ|"x"+', Fault.INVALID_DATA, Topic.AUTH, "REQ", "X|E|UNKNOWN_TOPIC|A+"),
    ("A|REQ|{x+", Fault.INVALID_DATA, Topic.AUTH, "REQ", "X|E|UNKNOWN_TOPIC|A+"),
    ("E|EVT|x|Sa|Sb+", Fault.INVALID_DATA, Topic.EVENT, "EVT", "E|E|INVALID_MESSAGE_DATA|E|EVT|x|Sa|Sb+"),
    ("E|L|a|b+", Fault.INVALID_DATA, Topic.EVENT, "L", "E|E|INVALID_MESSAGE_DATA|E|L|a|b+"),
    ("R|UL|a|b+", Fault.INVALID_DATA, Topic.RECORD, "UL", "R|E|INVALID_MESSAGE_DATA|R|UL|a|b+"),
    ("R|CR|n|x|y+", Fault.INVALID_DATA, Topic.RECORD, "CR", "R|E|INVALID_MESSAGE_DATA|R|CR|n|x|y+"),
    ("R|H|n|+", Fault.INVALID_DATA, Topic.RECORD, "H", "R|E|INVALID_MESSAGE_DATA|R|H|n|+"),
    ("P|S|add|x+", Fault.INVALID_DATA, Topic.RPC, "S", "P|E|INVALID_MESSAGE_DATA|P|S|add|x+"),
    # A text with a separator, of which the record would get the first part only.
    ("R|P|n|1|a|Sx|y+", Fault.INVALID_DATA, Topic.RECORD, "P", "R|E|INVALID_MESSAGE_DATA|R|P|n|1|a|Sx|y+"),
    ("R|U|n|1|{}|what+", Fault.INVALID_DATA, Topic.RECORD, "U", "R|E|INVALID_MESSAGE_DATA|R|U|n|1|{}|what+"),
    ("P|REQ|a|1|Q+", Fault.INVALID_DATA, Topic.RPC, "REQ", "P|E|INVALID_MESSAGE_DATA|a|1+"),
    ("P|REQ|a|1|+", Fault.INVALID_DATA, Topic.RPC, "REQ", "P|E|INVALID_MESSAGE_DATA|a|1+"),
    ("P|REQ|add|1|Sx|y+", Fault.INVALID_DATA, Topic.RPC, "REQ", "P|E|INVALID_MESSAGE_DATA|add|1+"),
    ('U|S|1|["b"]|x+', Fault.INVALID_DATA, Topic.PRESENCE, "S", _USERS),
    ('A|REQ|{"a":1e400}+', Fault.INVALID_DATA, Topic.AUTH, "REQ", "X|E|UNKNOWN_TOPIC|A+"),
    ("E|EVT|x|O[1e400]+", Fault.INVALID_DATA, Topic.EVENT, "EVT", "E|E|INVALID_MESSAGE_DATA|E|EVT|x|O[1e400]+"),
    ("R|U|n|1|[1e400]+", Fault.INVALID_DATA, Topic.RECORD, "U", "R|E|INVALID_MESSAGE_DATA|R|U|n|1|[1e400]+"),
    ("R|P|n|1|p|O[1e400]+", Fault.INVALID_DATA, Topic.RECORD, "P", "R|E|INVALID_MESSAGE_DATA|R|P|n|1|p|O[1e400]+"),
    (
        "R|CU|n|-1|[-1e400]|{}+",
        Fault.INVALID_DATA,
        Topic.RECORD,
        "CU",
        "R|E|INVALID_MESSAGE_DATA|R|CU|n|-1|[-1e400]|{}+",
    ),
    ("P|REQ|x|1|O[1e400]+", Fault.INVALID_DATA, Topic.RPC, "REQ", "P|E|INVALID_MESSAGE_DATA|x|1+"),
    ("P|RES|x|1|O[1e400]+", Fault.INVALID_DATA, Topic.RPC, "RES", "P|E|INVALID_MESSAGE_DATA|P|RES|x|1|O[1e400]+"),
    ("R|S+", Fault.INVALID_DATA, Topic.RECORD, "S", "R|E|INVALID_MESSAGE_DATA|R|S+"),
    ("R|U+", Fault.INVALID_DATA, Topic.RECORD, "U", "R|E|INVALID_MESSAGE_DATA|R|U+"),
    ("R|U|n|1+", Fault.INVALID_DATA, Topic.RECORD, "U", "R|E|INVALID_MESSAGE_DATA|n|1+"),
    ("R|U|n|1|{}|{}|x+", Fault.INVALID_DATA, Topic.RECORD, "U", "R|E|INVALID_MESSAGE_DATA|n|1|{}|{}|x+"),
    ("R|P|n|x|p+", Fault.INVALID_DATA, Topic.RECORD, "P", "R|E|INVALID_MESSAGE_DATA|n|x|p+"),
    ("R|U|n|1.5|{}+", Fault.INVALID_DATA, Topic.RECORD, "U", "R|E|INVALID_VERSION|n|NaN+"),
    ("R|U|n||{}+", Fault.INVALID_DATA, Topic.RECORD, "U", "R|E|INVALID_VERSION|n|NaN+"),
    ("R|U|n|1\n|{}+", Fault.INVALID_DATA, Topic.RECORD, "U", "R|E|INVALID_VERSION|n|NaN+"),
    ("R|U|n|\u0661|{}+", Fault.INVALID_DATA, Topic.RECORD, "U", "R|E|INVALID_VERSION|n|NaN+"),
    (f"R|U|n|{'1' * 16}|{{}}+", Fault.INVALID_DATA, Topic.RECORD, "U", "R|E|INVALID_VERSION|n|NaN+"),
    ("R|P|n|x|p|Q+", Fault.INVALID_DATA, Topic.RECORD, "P", "R|E|INVALID_VERSION|n|NaN+"),
    ("R|CU|n|x|{}|{}+", Fault.INVALID_DATA, Topic.RECORD, "CU", "R|E|INVALID_VERSION|n|NaN+"),
    ("R|CU|n|-1|{}+", Fault.INVALID_DATA, Topic.RECORD, "CU", "R|E|INVALID_MESSAGE_DATA|n+"),
    (
        "R|CU||-1|{}|{}+",
        Fault.INVALID_DATA,
        Topic.RECORD,
        "CU",
        "R|E|INVALID_MESSAGE_DATA|record name must have non-zero length+",
    ),
    ("R|CU|n|-1|p|S|{}|x+", Fault.INVALID_DATA, Topic.RECORD, "CU", "R|E|INVALID_MESSAGE_DATA|n|-1|p|S|{}|x+"),
    ('U|S|1|"ann"+', Fault.INVALID_DATA, Topic.PRESENCE, "S", _USERS),
    ("U|S|1|[1]+", Fault.INVALID_DATA, Topic.PRESENCE, "S", _USERS),
    ("U|S|1|{}+", Fault.INVALID_DATA, Topic.PRESENCE, "S", _USERS),
    ("U|US|1|x+", Fault.INVALID_DATA, Topic.PRESENCE, "US", _USERS),
    ("U|Q|1+", Fault.INVALID_DATA, Topic.PRESENCE, "Q", _USERS),
    ('U|S|1|["\\ud800"]+', Fault.INVALID_DATA, Topic.PRESENCE, "S", _USERS),
]
# All these are echoed whole.
MALFORMED += [
    (f"{raw}+", Fault.INVALID_DATA, topic, raw.split("|")[1], f"{letter}|E|INVALID_MESSAGE_DATA|{raw}+")
    for topic, letter, raws in [
        (
            Topic.EVENT,
            "E",
            "E|S E|S| E|S|a|b E|US E|US| E|US|a|b E|EVT E|EVT| E|EVT||Sx E|EVT||a|b E|EVT|x| E|EVT|x|Q1 E|EVT|x|O{bad "
            "E|EVT|x|O E|L E|L| E|L|a|b|c E|UL E|LA E|LA|a E|LA|a| E|LA||b E|LR|a|b|c",
        ),
        (
            Topic.RECORD,
            "R",
            "R|CR R|CR| R|US R|US| R|SN R|SN| R|H R|H| R|HD R|HD| R|D R|D| R|P R|CU R|L R|L| R|LA|a R|U||1|{} "
            "R|U|n|1|null R|U|n|1|5 R|U|n|1|x R|U|n|1|{x} R|U|n|1|true R|P|n|1|p|Q1 R|P|n|1|p| R|P|n|1|p|O{ "
            "R|P||1|p|Sx R|CU|n|-1|5|{} R|CU|n|-1|p|Q|{}",
        ),
        (
            Topic.RPC,
            "P",
            "P|S P|S| P|US P|US| P|REQ P|REQ|a P|REQ||1|Sx P|RES|a P|RES|a|1|O{ P|RES||1 P|A "
            "P|A|S|x P|A|REQ|a P|REJ P|REJ|a P|E P|E|t|a P|E|t||1",
        ),
    ]
    for raw in raws.split(" ")
]

#: Section 7.4: a request, the error that its service answers with, and how it is told.
DENIALS: list[tuple[str, str, IntEnum | None, str]] = [
    ("E|S|x+", "MESSAGE_DENIED", None, "E|E|MESSAGE_DENIED|x|S+"),
    ("E|EVT|x|Sd+", "MESSAGE_DENIED", None, "E|E|MESSAGE_DENIED|x|EVT|Sd+"),
    ("E|L|x+", "MESSAGE_DENIED", None, "E|E|MESSAGE_DENIED|x|L+"),
    ("P|S|x+", "MESSAGE_DENIED", None, "P|E|MESSAGE_DENIED|x|S+"),
    ("P|REQ|x|u1|Sd+", "MESSAGE_DENIED", None, "P|E|MESSAGE_DENIED|x|REQ|u1|Sd+"),
    (
        "P|REQ|x|u1|Sd+",
        "MESSAGE_PERMISSION_ERROR",
        None,
        "P|E|MESSAGE_DENIED|x|REQ|u1+P|E|MESSAGE_PERMISSION_ERROR|x|REQ|u1|Sd+",
    ),
    ("P|REQ|x|u1|Sd+", "INVALID_MESSAGE_DATA", None, "P|E|INVALID_MESSAGE_DATA|x|u1+"),
    ("U|S|S+", "MESSAGE_DENIED", None, "U|E|MESSAGE_DENIED|S|S+"),
    ("U|S+", "MESSAGE_DENIED", None, "U|E|MESSAGE_DENIED||S+"),
    ('U|S|1|["b"]+', "MESSAGE_DENIED", None, 'U|E|MESSAGE_DENIED|1|S|["b"]+'),
    ("U|Q|Q+", "MESSAGE_DENIED", None, "U|E|MESSAGE_DENIED|Q|Q+"),
    ('U|Q|2|["b"]+', "MESSAGE_DENIED", None, 'U|E|MESSAGE_DENIED|2|Q|["b"]+'),
    ("R|SN|n+", "MESSAGE_DENIED", None, "R|E|SN|n|MESSAGE_DENIED+R|E|MESSAGE_DENIED|n|SN+"),
    ("R|H|n+", "MESSAGE_DENIED", None, "R|E|H|n|MESSAGE_DENIED+R|E|MESSAGE_DENIED|n|H+"),
    ("R|HD|n+", "MESSAGE_DENIED", None, "R|E|HD|n|MESSAGE_DENIED+R|E|MESSAGE_DENIED|n|HD+"),
    ("R|SN|n+", "INVALID_MESSAGE_DATA", None, "R|E|SN|n|INVALID_MESSAGE_DATA+R|E|INVALID_MESSAGE_DATA|R|SN|n+"),
    (
        "R|HD|n+",
        "MESSAGE_PERMISSION_ERROR",
        None,
        "R|E|HD|n|MESSAGE_PERMISSION_ERROR+R|E|MESSAGE_PERMISSION_ERROR|n|HD+",
    ),
    ("R|D|n+", "MESSAGE_DENIED", None, "R|E|MESSAGE_DENIED|n|D+"),
    ("R|D|n+", "MESSAGE_PERMISSION_ERROR", None, "R|E|MESSAGE_DENIED|n|D+R|E|MESSAGE_PERMISSION_ERROR|n|D+"),
    ("R|L|p+", "MESSAGE_DENIED", None, "R|E|MESSAGE_DENIED|p|L+"),
    (f'R|U|n|1|{{"a":1}}|{ACK}+', "MESSAGE_DENIED", None, f'R|E|MESSAGE_DENIED|n|U|1|{{"a":1}}|{ACK}+'),
    ("R|P|n|1|a|Sb+", "MESSAGE_DENIED", None, "R|E|MESSAGE_DENIED|n|P|1|a|Sb+"),
    ("R|P|n|1|a|Sb+", "MESSAGE_PERMISSION_ERROR", None, "R|E|MESSAGE_PERMISSION_ERROR|n|P|1|a|Sb+"),
    ("R|CR|n+", "MESSAGE_DENIED", None, "R|E|MESSAGE_DENIED|n|R+"),
    ("R|CR|n+", "MESSAGE_DENIED", R.CREATE, "R|E|MESSAGE_DENIED|n|C+"),
    ("R|CR|n+", "MESSAGE_DENIED", R.READ, "R|E|MESSAGE_DENIED|n|R+"),
    ("R|CR|n+", "MESSAGE_DENIED", R.DELETE, "R|E|MESSAGE_DENIED|n|CR+"),
    ("R|CU|n|-1|{}|{}+", "MESSAGE_DENIED", None, "R|E|MESSAGE_DENIED|n|U+"),
    ("R|CU|n|-1|{}|{}+", "MESSAGE_DENIED", R.CREATE, "R|E|MESSAGE_DENIED|n|C+"),
    ("R|CU|n|-1|a|Sb|{}+", "MESSAGE_DENIED", None, "R|E|MESSAGE_DENIED|n|P+"),
    (
        "R|CR|n+",
        "MESSAGE_PERMISSION_ERROR",
        None,
        "R|E|MESSAGE_DENIED|n|R+R|E|MESSAGE_PERMISSION_ERROR|MESSAGE_PERMISSION_ERROR+",
    ),
    ("R|CR|n+", "INVALID_MESSAGE_DATA", None, "R|E|MESSAGE_DENIED|n|R+R|E|INVALID_MESSAGE_DATA|R|CR|n+"),
]

BOTH = [(message, payload, SERVER, CLIENT) for message, payload in REQUESTS] + [
    (message, payload, CLIENT, SERVER) for message, payload in ANSWERS
]

NEIGHBOUR = m(R.SUBSCRIBECREATEANDREAD, names=("neighbour",)), wire("R|CR|neighbour+")


class CaseTests(SynchronousTestCase):
    """
    Each message has one spelling, for those who write it and those who read it.
    """

    def test_read(self) -> None:
        """
        A payload is read as the message it stands for, be it text or bytes, ended or not.
        """
        for message, payload, reader, _ in BOTH:
            expected = [message]
            self.assertEqual(reader.decode(wire(payload)), expected, payload)
            self.assertEqual(reader.decode(wire(payload).encode("utf-8")), expected, payload)
            self.assertEqual(reader.decode(wire(payload)[:-1]), expected, payload)

    def test_write(self) -> None:
        """
        A message is written as its payload.
        """
        for message, payload, _, writer in BOTH:
            self.assertEqual(readable(writer.encode(message)), payload)

    def test_neighbours(self) -> None:
        """
        Messages joined in one payload are read one by one.
        """
        payloads = [wire(payload) for _, payload in REQUESTS]
        self.assertEqual(SERVER.decode("".join(payloads)), [message for message, _ in REQUESTS])
        answers = [wire(payload) for _, payload in ANSWERS]
        self.assertEqual(CLIENT.decode("".join(answers)), [message for message, _ in ANSWERS])

    def test_cut(self) -> None:
        """
        A message cut anywhere does not take its neighbours with it.
        """
        message, whole = NEIGHBOUR
        for payload in [*(payload for _, payload in REQUESTS), *(row[0] for row in MALFORMED)]:
            payload = wire(payload)
            for at in range(len(payload) + 1):
                self.assertEqual(SERVER.decode(whole + payload[:at])[0], message)
                self.assertEqual(SERVER.decode(f"{payload[at:]}\x1e{whole}")[-1], message)
        for _, payload in ANSWERS:
            for at in range(len(payload)):
                CLIENT.decode(wire(payload)[:at])
                CLIENT.decode(wire(payload)[at:])

    def test_tolerated(self) -> None:
        """
        Unusual spellings are understood, and remembered as they came.
        """
        for payload, message in TOLERATED:
            found = SERVER.decode(wire(payload))[0]
            self.assertEqual(found, message, payload)
            self.assertEqual(found.raw, wire(payload).split("\x1e")[0])

    def test_written(self) -> None:
        """
        Messages of other origin reach text clients in their language.
        """
        for message, payload in WRITTEN:
            self.assertEqual(readable(SERVER.encode(message)), payload)

    def test_unspeakable(self) -> None:
        """
        A message without a form in the text protocol is not sent.
        """
        for message in UNSPEAKABLE:
            self.assertEqual(SERVER.encode(message), b"", message)

    def test_acknowledged_twice(self) -> None:
        """
        A client of either generation reads the acknowledgement of a subscription to all users.
        """
        for action in (U.SUBSCRIBE_ALL, U.UNSUBSCRIBE_ALL):
            self.assertEqual(CLIENT.decode(SERVER.encode(ack(action))), [ack(action), ack(action)])

    def test_bulk(self) -> None:
        """
        A client that wants several names asks for one after the other.
        """
        self.assertEqual(readable(CLIENT.encode(m(E.SUBSCRIBE, names=("a", "b")))), "E|S|a+E|S|b+")

    def test_roles(self) -> None:
        """
        A codec made without arguments is a server's, and neither side reads what it is to write.
        """
        self.assertEqual(TextCodec().decode(wire("E|S|a+")), SERVER.decode(wire("E|S|a+")))
        self.assertEqual(SERVER.name, "text")
        self.assertIsInstance(SERVER.decode(wire("E|A|S|a+"))[0], Malformed)
        self.assertIsInstance(CLIENT.decode(wire("E|S|a+"))[0], Malformed)
        self.assertEqual(SERVER.encode(m(E.SUBSCRIBE, names=("a",))), b"")

    def test_surrogates(self) -> None:
        """
        A payload given as text with half a character in it is read as a browser would send it.
        """
        (message,) = read("E|EVT|a\ud800|Sx+")
        self.assertEqual(message, m(E.EMIT, name="a\ufffd", data="Sx"))
        self.assertEqual(readable(SERVER.encode(message)), "E|EVT|a\ufffd|Sx+")


class VerbatimTests(SynchronousTestCase):
    """
    Section 9: events reach text clients as their sender wrote them.
    """

    def test_forwarded(self) -> None:
        """
        Every event is forwarded unchanged.
        """
        for payload in ("E|EVT|x|N1.50+", "E|EVT|x+", "E|EVT|\xe9|S\xfc+", 'E|EVT|x|O {"a" : 1}+'):
            (message,) = read(payload)
            self.assertIs(message.verbatim, SERVER)
            self.assertEqual(readable(SERVER.encode(message)), payload)

    def test_writes_forwarded(self) -> None:
        """
        A write that is just that is forwarded unchanged; one that asks for an acknowledgement is not.
        """
        for payload in ('R|U|n|1|{"a" : 1}+', "R|P|n|2|a . b|N1.50+", "R|P|n|3|a|U+"):
            (message,) = read(payload)
            self.assertIs(message.verbatim, SERVER)
            self.assertEqual(readable(SERVER.encode(message)), payload)
        for payload in ('R|U|n|1|{}|{"writeSuccess":true}+', "R|P|n|2|a|N1|{}+", "R|CU|n|1|{}|{}+"):
            self.assertIsNone(read(payload)[0].verbatim)

    def test_no_numbers(self) -> None:
        """
        A number that JSON cannot hold is null for all receivers, and in the record.
        """
        for number in ("NNaN", "NInfinity", "N-Infinity", "N1e400", "Nx"):
            for payload in ("E|EVT|x|%s+", "R|P|n|2|a|%s+", "P|REQ|x|1|%s+", "P|RES|x|1|%s+"):
                (message,) = read(payload % number)
                self.assertEqual((message.data, message.verbatim), ("L", None))
                self.assertEqual(readable(SERVER.encode(message)), payload % "L")
            for payload in ('R|P|n|2|a|%s|{"writeSuccess":true}+', "R|CU|n|-1|a|%s|{}+"):
                self.assertEqual(read(payload % number)[0].data, "L")

    def test_request_without_data(self) -> None:
        """
        A request without data reaches its provider without; a response without data does not, since 2.3.4 chokes on it.
        """
        for payload, forwarded in [("P|REQ|x|1+", "P|REQ|x|1+"), ("P|RES|x|1+", "P|RES|x|1|U+")]:
            (message,) = read(payload)
            self.assertEqual(readable(SERVER.encode(message)), forwarded)

    def test_others(self) -> None:
        """
        A codec forwards only what it read itself; all else is written anew.
        """
        (message,) = read("E|EVT|x+")
        self.assertEqual(readable(CLIENT.encode(message)), "E|EVT|x|U+")
        for payload in ("R|SN|n+", "E|S|x+", "P|REQ|x|1|Sx+"):
            self.assertIsNone(SERVER.decode(wire(payload))[0].verbatim)


class MalformedTests(SynchronousTestCase):
    """
    A part that is no message is reported with its fault, and with the answer that a client expects.
    """

    def test_malformed(self) -> None:
        """
        Each kind of nonsense has its fault and its answer.
        """
        for payload, fault, topic, action, answer in MALFORMED:
            (found,) = SERVER.decode(wire(payload))
            self.assertIsInstance(found, Malformed, payload)
            raw = wire(payload.split("+")[0])
            self.assertEqual((found.fault, found.topic, found.action, found.raw), (fault, topic, action, raw), payload)
            assert found.answer is not None
            self.assertEqual(readable(SERVER.encode(found.answer)), answer)
            self.assertTrue(found.answer.is_error)

    def test_not_text(self) -> None:
        """
        Bytes that are no UTF-8 are not text at all.
        """
        for payload in (b"\xff", b"E\x1fS\x1f\xc3\x1e", b"\xed\xa0\x80"):
            self.assertEqual(SERVER.decode(payload), [Malformed(Fault.NOT_TEXT, raw=payload)])

    def test_denials(self) -> None:
        """
        Section 7.4: a denial repeats the request, its first field moved to the front.
        """
        for payload, code, action, answer in DENIALS:
            (request,) = SERVER.decode(wire(payload))
            error = request.error(code)
            if action is not None:
                error.original_action = action
            self.assertEqual(readable(SERVER.encode(error)), answer)

    def test_load_error_in_check(self) -> None:
        """
        Section 7.4: a check inside CR that could not load the record says so.
        """
        (request,) = SERVER.decode(wire("R|CR|n+"))
        error = request.error("MESSAGE_PERMISSION_ERROR", detail="RECORD_LOAD_ERROR")
        denied, told = readable(SERVER.encode(error)).split("+")[:2]
        self.assertEqual(denied, "R|E|MESSAGE_DENIED|n|R")
        self.assertEqual(told, "R|E|MESSAGE_PERMISSION_ERROR|RECORD_LOAD_ERROR")

    def test_client_reads_denials(self) -> None:
        """
        A client can tell from a denial what it had asked for.
        """
        for payload, code, action, answer in DENIALS:
            *heard, found = CLIENT.decode(wire(answer))
            self.assertEqual(found.action.name, code)
            for each in (*heard, found):
                self.assertTrue(each.is_error)
            if action is None and not payload.startswith(("R|C", "U")) and code != "INVALID_MESSAGE_DATA":
                (request,) = SERVER.decode(wire(payload))
                self.assertEqual((found.original_action, found.raw), (request.action, request.raw))

    def test_errors_echo(self) -> None:
        """
        An error about a request gives it back, its separators kept.
        """
        (request,) = SERVER.decode(wire("R|LA|nopat|nosub+"))
        self.assertEqual(
            readable(SERVER.encode(request.error("INVALID_MESSAGE"))), "R|E|INVALID_MESSAGE|R|LA|nopat|nosub+"
        )

    def test_client(self) -> None:
        """
        A client survives what it does not understand, too.
        """
        for payload in (
            "X|E|NEVER|x+",
            "U|A|X|1+",
            "U|E|NEVER+",
            "A|A|Q+",
            "C|SN+",
            "R|E|X|n|RECORD_NOT_FOUND+",
            "junk+",
        ):
            (found,) = CLIENT.decode(wire(payload))
            self.assertIsInstance(found, Malformed, payload)
        for payload in ("R|WA|n|[1,2]|L+", "R|WA|n|1|L+", "R|WA|n|[1]|T+", "R|H|n|S+"):
            self.assertIsInstance(CLIENT.decode(wire(payload))[0], Malformed, payload)


class VectorTests(SynchronousTestCase):
    """
    Sections 2.3, 2.6 and 20.1: the vectors of the specification.
    """

    def test_frames(self) -> None:
        """
        Segments shorter than three characters do not count, whatever they are.
        """
        for payload, count in [
            ("", 0),
            ("+", 0),
            ("++++", 0),
            ("C|", 0),
            ("C|+ab+x", 0),
            ("E|S|a+E|S|b", 2),
            ("U|Q+", 1),
        ]:
            self.assertEqual(len(SERVER.decode(wire(payload))), count, payload)

    def test_bytes(self) -> None:
        """
        The bytes on the wire are these.
        """
        for message, octets in [
            (m(C.CHALLENGE_REQUEST), "43 1F 43 48 1E"),
            (m(C.PING), "43 1F 50 49 1E"),
            (
                m(R.PATCH, name="r1", version=2, path="a", data=b"1.5"),
                "52 1F 50 1F 72 31 1F 32 1F 61 1F 4E 31 2E 35 1E",
            ),
            (m(R.WRITE_ACKNOWLEDGEMENT, name="r1", version=2), "52 1F 57 41 1F 72 31 1F 5B 32 5D 1F 4C 1E"),
            (m(E.EMIT, name="\xe9", data="S\xfc"), "45 1F 45 56 54 1F C3 A9 1F 53 C3 BC 1E"),
            (ack(U.SUBSCRIBE_ALL), "55 1F 41 1F 53 1F 53 1E 55 1F 41 1F 53 1F 55 1E"),
        ]:
            self.assertEqual(SERVER.encode(message), bytes.fromhex(octets))


CHARACTERS = st.characters(codec="utf-8", exclude_characters="\x1e\x1f[{")
TEXT = st.text(CHARACTERS, max_size=8)
NAME = st.text(CHARACTERS, min_size=2, max_size=8)
ID = st.from_regex(r"[0-9a-z]{4,8}-[0-9a-z]{4}", fullmatch=True)
VERSION = st.integers(-(10**15) + 1, 10**15 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
OBJECT = st.dictionaries(st.text(max_size=3), JSON, max_size=3).map(lambda value: json.dumps(value).encode())
DATA = st.one_of(
    TEXT.map(lambda text: "S" + text),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda number: f"N{number}"),
    OBJECT.map(lambda text: "O" + text.decode()),
    st.sampled_from("TFLU"),
)


def fields_of(form: Form) -> dict[str, st.SearchStrategy[Any]]:
    """
    The attributes that vary in the messages of a row.
    """
    strategies: dict[str, dict[str, st.SearchStrategy[Any]]] = {
        "name": {"name": NAME},
        "names": {"names": NAME.map(lambda name: (name,))},
        "subscription": {"subscription": NAME},
        "id": {"correlation_id": ID},
        "path": {"path": TEXT},
        "url": {"url": TEXT},
        "detail": {"detail": TEXT},
        "version": {"version": VERSION},
        "versions": {"version": VERSION},
        "data": {"data": DATA},
        "given": {"data": DATA},
        "json": {"data": OBJECT},
        "record": {"data": OBJECT},
        "change": {"data": DATA},
        "flag": {"data": st.sampled_from("TF")},
        "config": {"is_write_ack": st.sampled_from([True, None])},
        "ack": {"is_write_ack": st.just(True)},
        "failure": {"data": NAME.map(lambda text: "S" + text)},
        "outcome": {"detail": st.none() | TEXT},
        "users": {"names": st.lists(NAME, max_size=3).map(tuple)},
        "online": {"names": st.lists(NAME, min_size=1, max_size=3).map(tuple)},
        "user": {"name": st.just(EVERYONE) | NAME},
        "echo": {"detail": TEXT},
        "frame": {"detail": TEXT},
        "topic": {"original_topic": st.sampled_from(list(LETTERS))},
        "asked": {"original_action": st.sampled_from([R.READ, R.HAS, R.HEAD])},
        "unexpected": {"detail": TEXT},
        "denied": {"name": NAME},
        "unverifiable": {"name": NAME},
    }
    fixed = {key: st.just(value) for key, value in form.constants.items()}
    varying = {key: s for part in form.pattern.split("|") for key, s in strategies.get(part.strip("<>"), {}).items()}
    if "name" in varying and form.actions[0].name in ("MESSAGE_DENIED", "MESSAGE_PERMISSION_ERROR"):
        # The code of a topic's first action with that spelling, which is the one that is read.
        varying["original_action"] = st.just(next(action for topic, action in SPELLINGS if topic is form.topic))
    return {**fixed, **varying}


class ManyUsersTests(SynchronousTestCase):
    """
    Presence requests whose users are read little by little.
    """

    def read(self, users: Any, head: str = "U\x1fS\x1f1\x1f") -> list[Any]:
        return list(SERVER.names_apart(head + (users if isinstance(users, str) else json.dumps(users)) + "\x1e"))

    def test_same_request(self) -> None:
        """
        The result is the request that decode() reads; each repeated user comes once more at the end.
        """
        distinct = [f"user{number}" for number in range(20_000)]
        for users, read in ((distinct, distinct), ([*distinct, "user7", "user5"], [*distinct, "user7", "user5"])):
            found = self.read(users)
            ((rest, names, raw),) = [each for each in found if each is not None]
            self.assertGreater(found.index((rest, names, raw)), 5)
            self.assertEqual((list(names), names.longest), (read, 9))
            self.assertEqual(raw, "U\x1fS\x1f1\x1f" + json.dumps(users))
            (message,) = SERVER.decode(rest)
            assert isinstance(message, Message)
            self.assertEqual((message.action, message.correlation_id, message.names), (U.SUBSCRIBE, "1", ("user0",)))

    def test_nothing(self) -> None:
        """
        A payload that is anything else is left to be read in one go.
        """
        many = [f"user{number}" for number in range(20_000)]
        text = json.dumps(many)
        for users in (many[:10], [*many, 1], [*many, "\ud800"], {"a": many}, text[:-1], text[:-1] + ",]", "1" * 70_000):
            self.assertEqual([each for each in self.read(users) if each is not None], [])
        for head in ("U\x1fS\x1f", "U\x1fX\x1f1\x1f", "E\x1fS\x1f1\x1f", "U\x1fS\x1f1\x1f2\x1f", "U\x1f"):
            self.assertEqual([each for each in self.read(many, head) if each is not None], [])


class FuzzTests(SynchronousTestCase):
    """
    Every message is read as it was written, and no input does harm.
    """

    def test_separators(self) -> None:
        """
        A message of very many separators is refused as a whole, and is not split at each of them.
        """
        for head in ("E\x1fEVT\x1f", "E\x1fS\x1f", "R\x1fP\x1f", "U\x1fS\x1f"):
            payload = head + "\x1f" * 300_000
            tracemalloc.start()
            self.addCleanup(tracemalloc.stop)
            found = SERVER.decode(payload + "\x1e")
            SERVER.json_apart(payload)
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            (malformed,) = found
            assert isinstance(malformed, Malformed)
            self.assertIs(malformed.fault, Fault.INVALID_DATA)
            self.assertEqual(malformed.raw, payload)
            self.assertLess(most, 6 * len(payload))

    @settings(deadline=None, derandomize=True)
    @given(st.text("E\x1e\x1fVTa|S1é"), st.integers(1, 30))
    def test_pieces(self, text: str, size: int) -> None:
        """
        A payload in pieces says the same as in one; pieces end where messages do, and no sooner than they have to, but
        for those in front of a message that is long by itself.
        """
        for payload in (text, text.encode()):
            pieces: list[Any] = SERVER.pieces(payload, size)
            self.assertEqual(type(payload)().join(pieces), payload)
            self.assertEqual([found for piece in pieces for found in SERVER.decode(piece)], SERVER.decode(payload))
            for piece, following in zip(pieces, pieces[1:], strict=False):
                end: Any = "\x1e" if isinstance(payload, str) else b"\x1e"
                self.assertTrue(len(piece) > size or len((following + end).partition(end)[0]) >= size, pieces)
            longest = max(len(part.encode()) for part in text.split("\x1e"))
            self.assertTrue(all(len(piece) <= size + longest + 1 for piece in pieces), pieces)

    def test_round_trip(self) -> None:
        """
        Messages of every topic and action come back as they were, in both directions.
        """
        covered = set()
        for forms, reader, writer in ((FROM_CLIENT_FORMS, SERVER, CLIENT), (FROM_SERVER_FORMS, CLIENT, SERVER)):
            for form in forms:
                if form.reads and form.writes:
                    covered.add((form.topic, form.actions[0], form.ack))
                    self._round_trip(form, reader, writer)
        written = {(form.topic, form.actions[0], form.ack) for form in (*FROM_CLIENT_FORMS, *FROM_SERVER_FORMS)}
        # These two are written as two messages, and have a test of their own.
        self.assertEqual(
            written - covered, {(Topic.PRESENCE, U.SUBSCRIBE_ALL, True), (Topic.PRESENCE, U.UNSUBSCRIBE_ALL, True)}
        )

    def _round_trip(self, form: Form, reader: TextCodec, writer: TextCodec) -> None:
        @settings(max_examples=12, deadline=None, derandomize=True, database=None)
        @given(st.fixed_dictionaries(fields_of(form)))
        def check(values: dict[str, Any]) -> None:
            message = Message(form.topic, form.actions[0], **values)
            self.assertEqual(reader.decode(writer.encode(message)), [message])

        check()

    @settings(max_examples=300, deadline=None, derandomize=True, database=None)
    @given(st.binary(max_size=60) | st.text(max_size=60) | st.text('\x1e\x1fERPUXCASQTLNO{}[]"1-a', max_size=40))
    def test_anything(self, payload: str | bytes) -> None:
        """
        No payload brings a codec down, and each fault has an answer that can be sent.
        """
        for codec in (SERVER, CLIENT):
            for found in codec.decode(payload):
                self._use(found)

    @settings(max_examples=600, deadline=None, derandomize=True, database=None)
    @given(
        st.sampled_from([row[1] for row in (*REQUESTS, *ANSWERS)]),
        st.integers(0, 60),
        st.integers(0, 6),
        st.text(st.sampled_from('|+SNOTFLU{}[]"1-\x00\xe9') | st.characters(), max_size=5),
    )
    def test_mutated(self, payload: str, at: int, length: int, text: str) -> None:
        """
        Nor does a message with something cut out of it, or put into it.
        """
        for codec in (SERVER, CLIENT):
            for found in codec.decode(wire(payload[:at] + text + payload[at + length :])):
                self._use(found)

    def _use(self, found: Message | Malformed) -> None:
        if isinstance(found, Malformed):
            if found.fault is not Fault.NOT_TEXT:
                assert found.answer is not None
                self.assertTrue(SERVER.encode(found.answer).endswith(b"\x1e"))
        else:
            for codec in (SERVER, CLIENT):
                codec.encode(found)
            found.verbatim = None
            SERVER.encode(found)
            SERVER.encode(found.ack())
            for code in ("MESSAGE_DENIED", "INVALID_MESSAGE_DATA"):
                if code in ACTIONS[found.topic].__members__:
                    self.assertTrue(SERVER.encode(found.error(code)).endswith(b"\x1e"))
