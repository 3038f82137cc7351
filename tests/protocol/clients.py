"""
What the published clients send, call by call: recorded from them, one row for each set of fields.

L{dstwist.protocol.schema} and L{dstwist.protocol.text_forms} let through what is here and refuse the rest, so a row
that is taken out has to be one that no client sends any more.

L{BINARY} was recorded from C{@deepstream/client} 4.1.3, 5.0.1, 5.1.10, 5.2.7, 6.0.1, 6.0.5, 7.0.1 and 7.0.5: all public
calls, with and without callbacks, on records that were open, not yet ready, and not open at all; two clients that write
one record at the same time; the offline queue and what follows a reconnection; read-only records; offline storage. All
eight send the same fields, except in CHALLENGE. C{record.setMulti} is new in 7.1 and stands here as its protocol
describes it.

L{TEXT} was recorded in the same way from C{deepstream.io-client-js} 2.1.1, 2.1.5, 2.2.1, 2.3.0 and 2.3.4. The rows of
L{OTHER_TEXT} come from descriptions of older clients and of those in other languages.
"""

from __future__ import annotations

#: The call of the application; topic and action; the fields besides the action.
BINARY: list[tuple[str, str, str]] = [
    ("constructor, before 5.1", "CONNECTION CHALLENGE", "url protocol_version"),
    ("constructor", "CONNECTION CHALLENGE", "url protocol_version sdk_version sdk_type"),
    ("heartbeat", "CONNECTION PING", ""),
    ("login, with and without credentials", "AUTH REQUEST", "data"),
    ("event.emit(name, data)", "EVENT EMIT", "name data"),
    ("event.emit(name)", "EVENT EMIT", "name"),
    ("event.subscribe, reconnection", "EVENT SUBSCRIBE", "names correlation_id"),
    ("event.unsubscribe", "EVENT UNSUBSCRIBE", "names correlation_id"),
    ("event.listen, reconnection", "EVENT LISTEN", "name"),
    ("event.unlisten", "EVENT UNLISTEN", "name"),
    ("response.accept", "EVENT LISTEN_ACCEPT", "name subscription"),
    ("response.reject", "EVENT LISTEN_REJECT", "name subscription"),
    ("getRecord, getList, setName", "RECORD SUBSCRIBECREATEANDREAD", "names correlation_id"),
    ("getRecord, read only", "RECORD SUBSCRIBEANDREAD", "names correlation_id"),
    ("reconnection", "RECORD SUBSCRIBEANDHEAD", "names correlation_id"),
    ("discard", "RECORD UNSUBSCRIBE", "names correlation_id"),
    ("record.delete, list.delete", "RECORD DELETE", "name"),
    ("snapshot, reconnection, merging", "RECORD READ", "name"),
    ("head, has", "RECORD HEAD", "name"),
    ("notify(names)", "RECORD NOTIFY", "names correlation_id"),
    ("notify([])", "RECORD NOTIFY", "correlation_id"),
    ("record.set(data), list.setEntries, addEntry, ...", "RECORD UPDATE", "name version data"),
    ("the same with a callback, setWithAck", "RECORD UPDATE", "name version data correlation_id is_write_ack"),
    ("record.set(data) of what JSON cannot say", "RECORD UPDATE", "name version"),
    ("record.set(path, value)", "RECORD PATCH", "name version path data"),
    (
        "record.set(path, value, callback), setWithAck",
        "RECORD PATCH",
        "name version path data correlation_id is_write_ack",
    ),
    ("record.erase, set(path, undefined)", "RECORD ERASE", "name version path"),
    ("setData(name, path, undefined)", "RECORD ERASE", "name version path"),
    ("record.eraseWithAck", "RECORD ERASE", "name version path correlation_id is_write_ack"),
    ("setData(name, data), first write after a creation offline", "RECORD CREATEANDUPDATE", "name version data"),
    (
        "setData(name, data, callback), setDataWithAck",
        "RECORD CREATEANDUPDATE",
        "name version data correlation_id is_write_ack",
    ),
    ("setData(name, data) of what JSON cannot say", "RECORD CREATEANDUPDATE", "name version"),
    ("setData(name, path, value)", "RECORD CREATEANDPATCH", "name version path data"),
    (
        "setData(name, path, value, callback), setDataWithAck",
        "RECORD CREATEANDPATCH",
        "name version path data correlation_id is_write_ack",
    ),
    ("setData(name, path, value) of what JSON cannot say", "RECORD CREATEANDPATCH", "name version path"),
    ("record.setMulti, from 7.1 on", "RECORD PATCH_MULTI", "name version data"),
    (
        "record.setMulti with a callback, from 7.1 on",
        "RECORD PATCH_MULTI",
        "name version data correlation_id is_write_ack",
    ),
    ("record.listen, reconnection", "RECORD LISTEN", "name"),
    ("record.unlisten", "RECORD UNLISTEN", "name"),
    ("response.accept", "RECORD LISTEN_ACCEPT", "name subscription"),
    ("response.reject", "RECORD LISTEN_REJECT", "name subscription"),
    ("rpc.provide, reconnection", "RPC PROVIDE", "names correlation_id"),
    ("rpc.unprovide", "RPC UNPROVIDE", "names correlation_id"),
    ("rpc.make(name, data)", "RPC REQUEST", "name correlation_id data"),
    ("rpc.make(name, undefined)", "RPC REQUEST", "name correlation_id"),
    ("response.accept, response.send", "RPC ACCEPT", "name correlation_id"),
    ("response.send(data)", "RPC RESPONSE", "name correlation_id data"),
    ("response.send()", "RPC RESPONSE", "name correlation_id"),
    ("response.error(data)", "RPC REQUEST_ERROR", "name correlation_id data"),
    ("response.error()", "RPC REQUEST_ERROR", "name correlation_id"),
    ("response.reject, a request without a provider", "RPC REJECT", "name correlation_id"),
    ("presence.getAll()", "PRESENCE QUERY_ALL", ""),
    ("presence.getAll(users)", "PRESENCE QUERY", "names correlation_id"),
    ("presence.getAll([])", "PRESENCE QUERY", "correlation_id"),
    ("presence.subscribe(user), reconnection", "PRESENCE SUBSCRIBE", "names correlation_id"),
    ("presence.unsubscribe(user)", "PRESENCE UNSUBSCRIBE", "names correlation_id"),
    ("presence.subscribe(), reconnection", "PRESENCE SUBSCRIBE_ALL", ""),
    ("presence.unsubscribe()", "PRESENCE UNSUBSCRIBE_ALL", ""),
]

#: Requests that no published client sends and that are served all the same: subscribing without reading is in the
#: protocol for clients that have the record already, and a PONG is harmless.
UNSENT: list[tuple[str, str]] = [
    ("RECORD SUBSCRIBE", "names correlation_id"),
    ("CONNECTION PONG", ""),
]

#: The call of the application, and what it sends: C{|} stands for U+001F.
TEXT: list[tuple[str, str]] = [
    ("constructor", "C|CHR|ws://localhost:6020/deepstream"),
    ("heartbeat", "C|PO"),
    ("login", 'A|REQ|{"username":"ann"}'),
    ("login without credentials", "A|REQ|{}"),
    ("event.emit(name, data)", 'E|EVT|news|O{"x":1}'),
    ("event.emit(name)", "E|EVT|news|U"),
    ("event.subscribe", "E|S|news"),
    ("event.unsubscribe", "E|US|news"),
    ("event.listen", "E|L|^news/.*"),
    ("event.unlisten", "E|UL|^news/.*"),
    ("response.accept", "E|LA|^news/.*|news/a"),
    ("response.reject", "E|LR|^news/.*|news/a"),
    ("getRecord, getList, setName, reconnection", "R|CR|r1"),
    ("discard", "R|US|r1"),
    ("record.delete, list.delete", "R|D|r1"),
    ("snapshot, merging", "R|SN|r1"),
    ("has", "R|H|r1"),
    ("head, from 2.3 on", "R|HD|r1"),
    ("record.set(data), list.setEntries, addEntry, ...", 'R|U|r1|2|{"a":1}'),
    ("the same with a callback, setWithAck", 'R|U|r1|2|{"a":1}|{"writeSuccess":true}'),
    ("record.set(path, value)", "R|P|r1|2|a.b|N1"),
    ("record.set(path, value, callback), setWithAck", 'R|P|r1|2|a.b|Sx|{"writeSuccess":true}'),
    ("record.set(path, undefined)", "R|P|r1|2|a.b|U"),
    ("record.set(path, undefined, callback)", 'R|P|r1|2|a.b|U|{"writeSuccess":true}'),
    ("setData(name, data), from 2.2 on", 'R|CU|r1|-1|{"a":1}|{}'),
    ("setData(name, data, callback), setDataWithAck, from 2.2 on", 'R|CU|r1|-1|{"a":1}|{"writeSuccess":true}'),
    ("setData(name, path, value), from 2.2 on", "R|CU|r1|-1|a|N1|{}"),
    ("setData(name, path, value, callback), from 2.2 on", 'R|CU|r1|-1|a|N1|{"writeSuccess":true}'),
    ("setData(name, path, undefined), from 2.2 on", "R|CU|r1|-1|a|U|{}"),
    ("record.listen", "R|L|^r/.*"),
    ("record.unlisten", "R|UL|^r/.*"),
    ("response.accept", "R|LA|^r/.*|r/1"),
    ("response.reject", "R|LR|^r/.*|r/1"),
    ("rpc.provide", "P|S|add"),
    ("rpc.unprovide", "P|US|add"),
    ("rpc.make(name, data)", "P|REQ|add|id1|N1"),
    ("rpc.make(name, undefined)", "P|REQ|add|id1|U"),
    ("response.ack, response.send", "P|A|REQ|add|id1"),
    ("response.send(data)", "P|RES|add|id1|N1"),
    ("response.send()", "P|RES|add|id1|U"),
    ("response.error(text)", "P|E|no|add|id1"),
    ("response.error()", "P|E||add|id1"),
    ("response.reject, a request without a provider", "P|REJ|add|id1"),
    ("presence.getAll(callback)", "U|Q|Q"),
    ("presence.getAll(users), from 2.3 on", 'U|Q|1|["ann"]'),
    ("presence.subscribe(callback)", "U|S|S"),
    ("presence.subscribe(user), from 2.3 on", 'U|S|1|["ann"]'),
    ("presence.unsubscribe(callback)", "U|US|US"),
    ("presence.unsubscribe(user), from 2.3 on", 'U|US|1|["ann"]'),
]

OTHER_TEXT: list[tuple[str, str]] = [
    ("a challenge without a URL", "C|CHR"),
    ("emit without data", "E|EVT|news"),
    ("a request without data", "P|REQ|add|id1"),
    ("a response without data", "P|RES|add|id1"),
    ("everybody's presence by its own letter", "U|S|U"),
    ("everybody's presence by nothing", "U|S"),
]
