"""
Every message of the text protocol, each form once.

A L{Form} is a row: the pattern on the wire, the action (of the topic whose letter begins the pattern), and a byte-exact
example. In patterns and examples, C{|} stands for U+001F and C{+} for U+001E. L{dstwist.protocol.text_fields} explains
each C{<field>}; with a final C{...}, further fields are ignored. Clients send L{FROM_CLIENT_FORMS}, servers send
L{FROM_SERVER_FORMS}. If several rows have the same topic and code, or the same action, the first one that fits is used.

The formats are those of server 3.2.4. Where they differ from what client 2.3.4 needs, the client decides: presence
acknowledgements, C{{"writeSuccess":true}} repeated in each VERSION_EXISTS, -1 as the version of a missing record.
"""

from __future__ import annotations

from enum import IntEnum

from dstwist.protocol.constants import (
    ACTIONS,
    AuthAction,
    ConnectionAction,
    EventAction,
    ParserAction,
    PresenceAction,
    RecordAction,
    RpcAction,
    Topic,
)
from dstwist.protocol.message import Message
from dstwist.protocol.text_callbacks import CALLER_FIELD, HeardForm
from dstwist.protocol.text_fields import FIELDS, TextField, Values, origin_fields
from dstwist.protocol.text_layout import LETTERS, TOPICS, Form
from dstwist.protocol.typed import without_separators

#: Messages that both sides send in the same form.
_HEARTBEAT = [
    Form("C|PI|...", ConnectionAction.PING, example="C|PI+"),
    Form("C|PO|...", ConnectionAction.PONG, example="C|PO+"),
]

_EMIT = [
    Form("E|EVT|<name>|<data>", EventAction.EMIT, example='E|EVT|news|O{"x":1}+', verbatim=True),
    Form("E|EVT|<name>", EventAction.EMIT, example="E|EVT|news+", verbatim=True, writes=False),
]

_WRITES = [
    Form("R|U|<name>|<version>|<record>", RecordAction.UPDATE, example='R|U|r1|2|{"a":1}+', verbatim=True),
    Form(
        "R|P|<name>|<version>|<path>|<change>",
        RecordAction.PATCH,
        RecordAction.ERASE,
        example="R|P|r1|2|a|N1.5+",
        verbatim=True,
    ),
]

_CALLS = [
    Form("P|REQ|<name>|<id>|<data>", RpcAction.REQUEST, example="P|REQ|add|id1|Sx+"),
    Form("P|REQ|<name>|<id>", RpcAction.REQUEST, example="P|REQ|add|id1+", verbatim=True, writes=False),
    Form("P|A|REQ|<name>|<id>", RpcAction.ACCEPT, example="P|A|REQ|add|id1+"),
    Form("P|RES|<name>|<id>|<data>", RpcAction.RESPONSE, example="P|RES|add|id1|Sx+"),
    # Client 2.3.4 stops working when it receives a response without data, so the response gets "no value" as its data.
    Form("P|RES|<name>|<id>", RpcAction.RESPONSE, example="P|RES|add|id1+", writes=False, data="U"),
]

# This form must be tried last, because the error of an application may be any text.
_CALL_ERROR = Form("P|E|<failure>|<name>|<id>", RpcAction.REQUEST_ERROR, example="P|E|An Error|add|id1+")


def _listening_requests(topic: Topic) -> list[Form]:
    t, action = LETTERS[topic], ACTIONS[topic]
    return [
        Form(f"{t}|L|<name>", action["LISTEN"], example=f"{t}|L|a.*+"),
        Form(f"{t}|UL|<name>", action["UNLISTEN"], example=f"{t}|UL|a.*+"),
        Form(f"{t}|LA|<name>|<subscription>", action["LISTEN_ACCEPT"], example=f"{t}|LA|a.*|abc+"),
        Form(f"{t}|LR|<name>|<subscription>", action["LISTEN_REJECT"], example=f"{t}|LR|a.*|abc+"),
    ]


_EVENT_REQUESTS = [
    *_EMIT,
    Form("E|S|<names>", EventAction.SUBSCRIBE, example="E|S|news+"),
    Form("E|US|<names>", EventAction.UNSUBSCRIBE, example="E|US|news+"),
    *_listening_requests(Topic.EVENT),
]

_RECORD_REQUESTS = [
    Form("R|CR|<names>", RecordAction.SUBSCRIBECREATEANDREAD, example="R|CR|user/1+"),
    Form("R|US|<names>", RecordAction.UNSUBSCRIBE, example="R|US|user/1+"),
    Form("R|SN|<name>", RecordAction.READ, example="R|SN|user/1+"),
    Form("R|H|<name>", RecordAction.HAS, example="R|H|user/1+"),
    Form("R|HD|<name>", RecordAction.HEAD, example="R|HD|user/1+"),
    Form("R|D|<name>", RecordAction.DELETE, example="R|D|user/1+"),
    Form("R|U|<name>|<version>|<record>|<ack>", RecordAction.UPDATE, example='R|U|r1|2|{"a":1}|{"writeSuccess":true}+'),
    Form("R|P|<name>|<version>|<path>|<change>|<ack>", RecordAction.PATCH, RecordAction.ERASE,
         example='R|P|r1|2|b[1].c|Sv|{"writeSuccess":true}+'),
    *_WRITES,
    Form("R|CU|<name>|<version>|<record>|<config>", RecordAction.CREATEANDUPDATE, example='R|CU|r1|-1|{"z":1}|{}+'),
    Form("R|CU|<name>|<version>|<path>|<change>|<config>", RecordAction.CREATEANDPATCH,
         example='R|CU|r1|-1|p.q|N5|{"writeSuccess":true}+'),
    *_listening_requests(Topic.RECORD),
]  # fmt: skip

_RPC_REQUESTS = [
    Form("P|S|<names>", RpcAction.PROVIDE, example="P|S|add+"),
    Form("P|US|<names>", RpcAction.UNPROVIDE, example="P|US|add+"),
    *_CALLS,
    Form("P|REJ|<name>|<id>", RpcAction.REJECT, example="P|REJ|add|id1+"),
    _CALL_ERROR,
]


def _presence_requests(code: str, all_users: IntEnum, some: IntEnum) -> list[Form]:
    return [
        Form(f"U|{code}|{code}", all_users, example=f"U|{code}|{code}+"),
        # Each of these forms is sent by some client.
        Form(f"U|{code}|<everyone>", all_users, example=f"U|{code}|U+", writes=False),
        Form(f"U|{code}", all_users, example=f"U|{code}+", writes=False),
        Form(f"U|{code}|<id>|<users>", some, example=f'U|{code}|1|["u1","u2"]+'),
    ]


FROM_CLIENT_FORMS: list[Form] = [
    Form("C|CHR|<url>|...", ConnectionAction.CHALLENGE, example="C|CHR|ws://127.0.0.1:6020/deepstream+"),
    Form("C|CHR", ConnectionAction.CHALLENGE, example="C|CHR+"),
    *_HEARTBEAT,
    Form("A|REQ|<json>", AuthAction.REQUEST, example='A|REQ|{"username":"A"}+'),
    *_EVENT_REQUESTS,
    *_RECORD_REQUESTS,
    *_RPC_REQUESTS,
    *_presence_requests("S", PresenceAction.SUBSCRIBE_ALL, PresenceAction.SUBSCRIBE),
    *_presence_requests("US", PresenceAction.UNSUBSCRIBE_ALL, PresenceAction.UNSUBSCRIBE),
    *_presence_requests("Q", PresenceAction.QUERY_ALL, PresenceAction.QUERY),
]

#: The code of each action that a client may send.
SPELLINGS: dict[tuple[Topic, IntEnum], str] = {
    (form.topic, action): form.code for form in FROM_CLIENT_FORMS for action in form.actions
}


def _listening_answers(topic: Topic) -> list[Form]:
    t, action = LETTERS[topic], ACTIONS[topic]
    return [
        Form(f"{t}|A|L|<name>", action["LISTEN"], example=f"{t}|A|L|a.*+", ack=True),
        Form(f"{t}|A|UL|<name>", action["UNLISTEN"], example=f"{t}|A|UL|a.*+", ack=True),
        Form(f"{t}|SP|<name>|<subscription>", action["SUBSCRIPTION_FOR_PATTERN_FOUND"], example=f"{t}|SP|a.*|abc+"),
        Form(f"{t}|SR|<name>|<subscription>", action["SUBSCRIPTION_FOR_PATTERN_REMOVED"], example=f"{t}|SR|a.*|abc+"),
        HeardForm(f"{t}|E|INVALID_MESSAGE_DATA|<echo>", action["INVALID_MESSAGE_DATA"], action["INVALID_LISTEN_REGEX"],
             example=f"{t}|E|INVALID_MESSAGE_DATA|{t}|L+"),
        Form(f"{t}|E|INVALID_MESSAGE|<echo>", action["INVALID_MESSAGE"],
             example=f"{t}|E|INVALID_MESSAGE|{t}|LA|a|b+"),
    ]  # fmt: skip


def _errors(topic: Topic, again: str = "MULTIPLE_SUBSCRIPTIONS", never: str = "NOT_SUBSCRIBED") -> list[Form]:
    t, action = LETTERS[topic], ACTIONS[topic]
    origins = {**FIELDS, **origin_fields(t, topic, SPELLINGS)}
    name = "<user>" if topic is Topic.PRESENCE else "<name>"
    return [
        HeardForm(f"{t}|E|MESSAGE_DENIED|<denied>", action["MESSAGE_DENIED"], fields=origins,
             example=f"{t}|E|MESSAGE_DENIED|x|S+"),
        HeardForm(f"{t}|E|MESSAGE_PERMISSION_ERROR|<unverifiable>", action["MESSAGE_PERMISSION_ERROR"], fields=origins,
             example=f"{t}|E|MESSAGE_PERMISSION_ERROR|x|S+"),
        Form(f"{t}|E|MULTIPLE_SUBSCRIPTIONS|{name}", action[again], example=f"{t}|E|MULTIPLE_SUBSCRIPTIONS|x+"),
        Form(f"{t}|E|NOT_SUBSCRIBED|{name}", action[never], example=f"{t}|E|NOT_SUBSCRIBED|x+"),
        Form(f"{t}|E|UNKNOWN_ACTION|<detail>", action["UNKNOWN_ACTION"],
             example=f"{t}|E|UNKNOWN_ACTION|unknown action WA+"),
    ]  # fmt: skip


def _read_topic(text: str, values: Values) -> bool:
    topic = TOPICS.get(text)
    values["detail" if topic is None else "original_topic"] = text if topic is None else topic
    return True


def _write_topic(message: Message) -> str:
    topic = message.original_topic
    return without_separators(message.detail or "") if topic is None else LETTERS.get(topic, topic.name)


_TOPIC = {"topic": TextField(_read_topic, _write_topic)}

_HANDSHAKE = [
    Form("X|E|UNKNOWN_TOPIC|<topic>", ParserAction.UNKNOWN_TOPIC, example="X|E|UNKNOWN_TOPIC|Z+", fields=_TOPIC),
    Form("X|E|MESSAGE_PARSE_ERROR|null", ParserAction.MESSAGE_PARSE_ERROR, example="X|E|MESSAGE_PARSE_ERROR|null+"),
    Form("C|CH", ConnectionAction.CHALLENGE_REQUEST, example="C|CH+"),
    Form("C|A", ConnectionAction.ACCEPT, example="C|A+"),
    Form("C|RED|<url>", ConnectionAction.REDIRECT, example="C|RED|ws://127.0.0.1:6021/deepstream+"),
    Form("C|REJ", ConnectionAction.REJECT, example="C|REJ+"),
    *_HEARTBEAT,
    # The whole payload, terminators included.
    Form("C|E|MESSAGE_PARSE_ERROR|<frame>", ConnectionAction.MESSAGE_PARSE_ERROR,
         example="C|E|MESSAGE_PARSE_ERROR|junk+"),
    Form("C|E|INVALID_MESSAGE|invalid connection message", ConnectionAction.INVALID_MESSAGE,
         example="C|E|INVALID_MESSAGE|invalid connection message+"),
    Form("C|E|UNKNOWN_ACTION|<detail>", ConnectionAction.UNKNOWN_ACTION,
         example="C|E|UNKNOWN_ACTION|unknown action US+"),
    Form("C|E|CONNECTION_AUTHENTICATION_TIMEOUT"
         "|Sconnection has not authenticated successfully in the expected time",
         ConnectionAction.AUTHENTICATION_TIMEOUT,
         example="C|E|CONNECTION_AUTHENTICATION_TIMEOUT"
         "|Sconnection has not authenticated successfully in the expected time+"),
    Form("A|A|<given>", AuthAction.AUTH_SUCCESSFUL, example='A|A|O{"x":1}+'),
    Form("A|A", AuthAction.AUTH_SUCCESSFUL, example="A|A+"),
    Form("A|E|INVALID_AUTH_DATA|<data>", AuthAction.AUTH_UNSUCCESSFUL, example="A|E|INVALID_AUTH_DATA|U+"),
    Form("A|E|TOO_MANY_AUTH_ATTEMPTS|Stoo many authentication attempts", AuthAction.TOO_MANY_AUTH_ATTEMPTS,
         example="A|E|TOO_MANY_AUTH_ATTEMPTS|Stoo many authentication attempts+"),
    Form("A|E|INVALID_AUTH_MSG|invalid authentication message",
         AuthAction.INVALID_MESSAGE_DATA, AuthAction.INVALID_MESSAGE,
         example="A|E|INVALID_AUTH_MSG|invalid authentication message+"),
]  # fmt: skip

_EVENT_ANSWERS = [
    *_EMIT,
    Form("E|A|S|<names>", EventAction.SUBSCRIBE, example="E|A|S|news+", ack=True),
    Form("E|A|US|<names>", EventAction.UNSUBSCRIBE, example="E|A|US|news+", ack=True),
    *_listening_answers(Topic.EVENT),
    *_errors(Topic.EVENT),
]

_READ_ERRORS = [
    form
    for action in (
        RecordAction.RECORD_NOT_FOUND,
        RecordAction.CACHE_RETRIEVAL_TIMEOUT,
        RecordAction.STORAGE_RETRIEVAL_TIMEOUT,
        RecordAction.RECORD_LOAD_ERROR,
    )
    for form in (
        # The code of the request in the place of the error's code triggers the callback of the client.
        Form(f"R|E|<asked>|<name>|{action.name}", action, example=f"R|E|SN|user/1|{action.name}+",
             fields={**FIELDS, **origin_fields("R", Topic.RECORD, SPELLINGS)}),
        Form(f"R|E|{action.name}|<detail>", action, example=f"R|E|{action.name}|error while loading r1+")
        if action is RecordAction.RECORD_LOAD_ERROR
        else Form(f"R|E|{action.name}|<name>", action, example=f"R|E|{action.name}|user/1+"),
    )
]  # fmt: skip

#: The same for reads that are denied (L{dstwist.protocol.text_callbacks}).
_READ_REFUSALS = [
    Form(f"R|E|<asked>|<name>|{action.name}", action, example=f"R|E|SN|user/1|{action.name}+", writes=False,
         fields={**FIELDS, **origin_fields("R", Topic.RECORD, SPELLINGS)})
    for action in (
        RecordAction.MESSAGE_DENIED,
        RecordAction.MESSAGE_PERMISSION_ERROR,
        RecordAction.INVALID_MESSAGE_DATA,
    )
]  # fmt: skip

_RECORD_ANSWERS = [
    Form("R|A|S|<names>", RecordAction.SUBSCRIBECREATEANDREAD, example="R|A|S|user/1+", ack=True),
    Form("R|A|US|<names>", RecordAction.UNSUBSCRIBE, example="R|A|US|user/1+", ack=True),
    # To the client that deleted the record, and to all subscribers.
    Form("R|A|D|<name>", RecordAction.DELETE_SUCCESS, RecordAction.DELETED, example="R|A|D|user/1+"),
    Form("R|R|<name>|<version>|<json>", RecordAction.READ_RESPONSE, example="R|R|user/1|0|{}+"),
    Form("R|H|<name>|<flag>|...", RecordAction.HAS_RESPONSE, example="R|H|user/1|T+"),
    Form("R|HD|<name>|<version>|...", RecordAction.HEAD_RESPONSE, example="R|HD|user/1|-1+"),
    # Without the config field, even if the writer has requested an acknowledgement.
    *_WRITES,
    Form("R|WA|<name>|<versions>|<outcome>", RecordAction.WRITE_ACKNOWLEDGEMENT, example="R|WA|r1|[2]|L+",
         is_write_ack=True),
    Form("R|SH|<name>|T", RecordAction.SUBSCRIPTION_HAS_PROVIDER, example="R|SH|user/1|T+"),
    Form("R|SH|<name>|F", RecordAction.SUBSCRIPTION_HAS_NO_PROVIDER, example="R|SH|user/1|F+"),
    Form("R|E|VERSION_EXISTS|<name>|<version>|<json>|<ack>", RecordAction.VERSION_EXISTS,
         example='R|E|VERSION_EXISTS|r1|7|{"x":7}|{"writeSuccess":true}+'),
    Form("R|E|VERSION_EXISTS|<name>|<version>|<json>", RecordAction.VERSION_EXISTS,
         example='R|E|VERSION_EXISTS|r1|7|{"x":7}+'),
    Form("R|E|INVALID_VERSION|<name>|NaN", RecordAction.INVALID_VERSION, example="R|E|INVALID_VERSION|r1|NaN+"),
    Form("R|E|RECORD_UPDATE_ERROR|<version>", RecordAction.RECORD_UPDATE_ERROR, example="R|E|RECORD_UPDATE_ERROR|5+"),
    Form("R|E|RECORD_CREATE_ERROR|<name>", RecordAction.RECORD_CREATE_ERROR, example="R|E|RECORD_CREATE_ERROR|r1+"),
    HeardForm("R|E|RECORD_DELETE_ERROR|<detail>", RecordAction.RECORD_DELETE_ERROR,
         example="R|E|RECORD_DELETE_ERROR|cache timeout+"),
    *_READ_ERRORS,
    *_READ_REFUSALS,
    Form("R|E|INVALID_MESSAGE_DATA|unable to patch record data on hot path", RecordAction.INVALID_PATCH_ON_HOTPATH,
         example="R|E|INVALID_MESSAGE_DATA|unable to patch record data on hot path+"),
    *_listening_answers(Topic.RECORD),
    *_errors(Topic.RECORD),
]  # fmt: skip

_RPC_ANSWERS = [
    Form("P|A|S|<names>", RpcAction.PROVIDE, example="P|A|S|add+", ack=True),
    Form("P|A|US|<names>", RpcAction.UNPROVIDE, example="P|A|US|add+", ack=True),
    *_CALLS,
    Form("P|E|NO_RPC_PROVIDER|<name>|<id>", RpcAction.NO_RPC_PROVIDER, example="P|E|NO_RPC_PROVIDER|add|id1+"),
    Form("P|E|ACK_TIMEOUT|<name>|<id>", RpcAction.ACCEPT_TIMEOUT, example="P|E|ACK_TIMEOUT|add|id1+"),
    Form("P|E|RESPONSE_TIMEOUT|<name>|<id>", RpcAction.RESPONSE_TIMEOUT, example="P|E|RESPONSE_TIMEOUT|add|id1+"),
    Form("P|E|MULTIPLE_ACK|<name>|<id>", RpcAction.MULTIPLE_ACCEPT, example="P|E|MULTIPLE_ACK|add|id1+"),
    Form("P|E|INVALID_RPC_CORRELATION_ID|<unexpected>", RpcAction.INVALID_RPC_CORRELATION_ID,
         fields={**FIELDS, **origin_fields("P", Topic.RPC, SPELLINGS)},
         example="P|E|INVALID_RPC_CORRELATION_ID|unexpected state for rpc add with action RES+"),
    *_errors(Topic.RPC, again="MULTIPLE_PROVIDERS", never="NOT_PROVIDED"),
    Form("P|E|INVALID_MESSAGE_DATA|<caller>", RpcAction.INVALID_MESSAGE_DATA,
         fields={"caller": CALLER_FIELD}, reads=False,
         example="P|E|INVALID_MESSAGE_DATA|add|1+"),
    Form("P|E|INVALID_MESSAGE_DATA|<echo>", RpcAction.INVALID_MESSAGE_DATA, example="P|E|INVALID_MESSAGE_DATA|P|S+"),
    _CALL_ERROR,
]  # fmt: skip


def _presence_acks(code: str, all_users: IntEnum, some: IntEnum) -> list[Form]:
    new, old = f"U|A|{code}|{code}", f"U|A|{code}|U"
    return [
        # Clients up to 2.2 wait for the second form, later clients for the first one; each ignores the other form.
        Form(f"{new}+{old}", all_users, example=f"{new}+{old}+", ack=True, reads=False),
        Form(new, all_users, example=f"{new}+", ack=True, writes=False),
        Form(old, all_users, example=f"{old}+", ack=True, writes=False),
        Form(f"U|A|{code}|<id>", some, example=f"U|A|{code}|1+", ack=True),
    ]


_PRESENCE_ANSWERS = [
    *_presence_acks("S", PresenceAction.SUBSCRIBE_ALL, PresenceAction.SUBSCRIBE),
    *_presence_acks("US", PresenceAction.UNSUBSCRIBE_ALL, PresenceAction.UNSUBSCRIBE),
    Form("U|PNJ|<name>", PresenceAction.PRESENCE_JOIN, PresenceAction.PRESENCE_JOIN_ALL, example="U|PNJ|ann+"),
    Form("U|PNL|<name>", PresenceAction.PRESENCE_LEAVE, PresenceAction.PRESENCE_LEAVE_ALL, example="U|PNL|ann+"),
    Form("U|Q|<id>|<json>", PresenceAction.QUERY_RESPONSE, example='U|Q|1|{"u1":true,"u2":false}+'),
    Form("U|Q|<online>", PresenceAction.QUERY_ALL_RESPONSE, example="U|Q|u1|u2+"),
    Form("U|Q", PresenceAction.QUERY_ALL_RESPONSE, example="U|Q+"),
    Form("U|E|INVALID_PRESENCE_USERS|users are required to be a json array of usernames",
         PresenceAction.INVALID_PRESENCE_USERS,
         example="U|E|INVALID_PRESENCE_USERS|users are required to be a json array of usernames+"),
    *_errors(Topic.PRESENCE),
]  # fmt: skip

FROM_SERVER_FORMS: list[Form] = [
    *_HANDSHAKE,
    *_EVENT_ANSWERS,
    *_RECORD_ANSWERS,
    *_RPC_ANSWERS,
    *_PRESENCE_ANSWERS,
]

_CODES = frozenset(form.code for form in (*FROM_CLIENT_FORMS, *FROM_SERVER_FORMS))

#: The codes that a server knows. A message with a known code that has no form is invalid, but not unparsable.
SERVER_CODES = (_CODES - {"RED"}) | {"C", "LSN", "SF", "ST", "RM", "LV", "LRQ", "LRP", "LRL"}
#: The codes that a client knows.
CLIENT_CODES = _CODES | {"C", "I", "PU"}
