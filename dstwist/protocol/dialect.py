"""
The behaviour that each client generation expects of a server, beyond the encoding of its messages.

A L{Dialect} is one frozen value of named behaviours. Code asks for a behaviour (C{dialect.server_pings}), never for a
generation. The handshake is a table from the state and the kind of message to the step;
L{dstwist.connections.handshake} performs the steps. Sources: C{text-protocol.md} sections 5, 6 and 8 (L{TEXT}),
C{binary-protocol.md} sections 5 to 8 (L{PROTOBUF}).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto


class State(Enum):
    """
    The state of a connection.
    """

    #: The server waits for the CHALLENGE of the client.
    CHALLENGE = auto()
    #: The client is accepted; the server waits for its login.
    LOGIN = auto()
    #: The authenticator is deciding; other messages of the client wait.
    DECIDING = auto()
    #: The client has logged in.
    OPEN = auto()
    #: The connection is closed, or closing.
    CLOSED = auto()


class Received(Enum):
    """
    The kind of a message that arrives before the connection is open.
    """

    CHALLENGE = auto()
    PING = auto()
    PONG = auto()
    #: Another message of the topic CONNECTION.
    CONNECTION = auto()
    #: A login whose data is a JSON object or array.
    LOGIN = auto()
    #: A message of the topic AUTH that is no usable login.
    AUTH = auto()
    #: A message of another topic.
    OTHER = auto()
    #: Not a message at all.
    UNPARSABLE = auto()


class Step(Enum):
    """
    The reaction of the connection to such a message.
    """

    IGNORE = auto()
    #: Answer PONG.
    PONG = auto()
    #: Answer ACCEPT (or REDIRECT, or REJECT), and wait for a login.
    ADMIT = auto()
    #: Ask the authenticator.
    LOGIN = auto()
    #: Answer CONNECTION INVALID_MESSAGE; stay in this state.
    NOT_A_CHALLENGE = auto()
    #: Answer CONNECTION UNKNOWN_ACTION; stay in this state.
    UNKNOWN_ACTION = auto()
    #: Answer CONNECTION MESSAGE_PARSE_ERROR with the payload; close.
    PARSE_ERROR = auto()
    #: Answer AUTH INVALID_MESSAGE; stay in this state.
    NOT_A_LOGIN = auto()
    #: Answer AUTH INVALID_MESSAGE_DATA; close.
    INVALID_LOGIN = auto()


@dataclass(frozen=True, eq=False)
class Dialect:
    """
    The behaviours in which client generations differ.

    @ivar endpoint: the type of the connection endpoints on which clients speak it, for logs.
    @ivar server_speaks_first: the server sends CHALLENGE_REQUEST as soon as the socket is open.
    @ivar server_pings: the server sends PING, and the client answers PONG; otherwise the client sends PING.
    @ivar empty_payload_is_unparsable: a payload without any message is an error while the server waits for a CHALLENGE.
    @ivar acks_repeated_subscriptions: a repeated subscription is answered by MULTIPLE_SUBSCRIPTIONS and an
        acknowledgement; otherwise by MULTIPLE_SUBSCRIPTIONS alone.
    @ivar subscribes_to_what_it_discarded: a client that discarded a record while it was offline discards it when it is
        back, and subscribes to it right behind that (L{dstwist.services.record.held_discards}).
    @ivar complains_of_unasked_answers: a LISTEN_ACCEPT or LISTEN_REJECT that the listener was not asked for is answered
        by INVALID_MESSAGE; otherwise an accept is answered by SUBSCRIPTION_FOR_PATTERN_REMOVED, so that the client
        stops providing.
    @ivar counts_own_subscriptions: a listener that is itself the only subscriber of a name is asked to provide it;
        otherwise not (L{dstwist.routing.sole_subscribers}).
    @ivar forgets_calls_when_offline: a client whose connection closes never fails its pending calls; otherwise the
        client fails them itself.
    @ivar acks_reading_at_once: a request to subscribe and read is acknowledged before the record is loaded; otherwise
        when it is permitted and subscribed, directly before the data.
    @ivar names_inner_checks: if a part of a request that does several things is denied, the denial names the part
        (CREATE, READ, ...); otherwise it names the request.
    @ivar announces_load_errors: an error of loading a record is sent as a message of its own, before the answer to the
        request.
    @ivar hears_other_versions: if a write of version 1 has made another version, the acknowledgement has that one.
    @ivar knows_writes_by_version: answers to a write repeat its version, and a failed write is acknowledged with the
        error; otherwise answers repeat the correlation id, and an error is sent in the place of the acknowledgement.
    @ivar merges_versions_ahead: a write with too high a version is answered by VERSION_EXISTS; otherwise by
        INVALID_VERSION and an UPDATE with the record.
    @ivar merges_on_news: a subscriber whose write lost a race detects this by the update with the winning write, and
        has merged both when VERSION_EXISTS arrives. VERSION_EXISTS would undo the merge, so it is not sent. (On
        VERSION_EXISTS, client 7.0.5 assumes that it is at that version, even if it has written since.)
    @ivar hears_by_update_errors: the client ignores RECORD_DELETE_ERROR, and errors of stores about a record that it
        requests. A RECORD_UPDATE_ERROR that names the request as the original action calls the callback of a deletion,
        and ends the wait for a record. After any error, the client waits for the acknowledgement of the deletion.
    @ivar lets_go_of_what_it_deletes: a client that requests the deletion of a record discards the record at once, even
        if the deletion fails. So a refusal ends its subscription, too.
    @ivar reads_once: a client that requests a record and its subscription at the same time ignores the data that
        come with the subscription (L{dstwist.services.record.recent_reads}).
    @ivar drops_copies_ahead: a client that resubscribes, and has written meanwhile, takes a version that is lower than
        that of its copy for the sign of a deletion, and drops the record. An answer without a version makes it read the
        record (L{dstwist.services.record.early_writes}).
    @ivar has_its_own_paths: in some records, a path leads to another place for the client than for the server
        (L{dstwist.protocol.paths.write_at}).
    @ivar carries_every_name: a name may contain the characters that end a field or a message of the text protocol
        (L{dstwist.protocol.typed.has_separators}); otherwise the name cannot be sent.
    @ivar acked_writes_create: a write that requests an acknowledgement creates the record.
    @ivar erases_by_patching: a patch without a value is the only message that erases at a path, so the rule for writing
        decides about it; otherwise there is ERASE, and the rule for deleting decides about every erasure.
    @ivar takes_patches: the update after a change at one path may be PATCH; otherwise it is UPDATE with the whole
        record. (Clients 4.1 and 5.0 ignore all updates of a record after a PATCH that is not the next version for them.
        They do not send their library's name.)
    @ivar patches_many: the update after several changes at once may be PATCH_MULTI. No official client supports this.
    @ivar hears_of_users_once: a client that is subscribed to all users and to one user receives one message when that
        user comes or goes, because both subscriptions have the same message; otherwise it receives one for each.
    @ivar is_refused_once: a request for several names gets one refusal, which repeats the request; otherwise it gets a
        refusal for each refused name.
    """

    name: str
    endpoint: str
    server_speaks_first: bool
    server_pings: bool
    empty_payload_is_unparsable: bool
    acks_repeated_subscriptions: bool
    subscribes_to_what_it_discarded: bool
    complains_of_unasked_answers: bool
    counts_own_subscriptions: bool
    forgets_calls_when_offline: bool
    acks_reading_at_once: bool
    names_inner_checks: bool
    announces_load_errors: bool
    hears_other_versions: bool
    knows_writes_by_version: bool
    merges_versions_ahead: bool
    merges_on_news: bool
    hears_by_update_errors: bool
    lets_go_of_what_it_deletes: bool
    reads_once: bool
    drops_copies_ahead: bool
    has_its_own_paths: bool
    carries_every_name: bool
    acked_writes_create: bool
    erases_by_patching: bool
    takes_patches: bool
    patches_many: bool
    hears_of_users_once: bool
    is_refused_once: bool
    handshake: Mapping[tuple[State, Received], Step]


#: Clients of the v2/v3 generation.
TEXT = Dialect(
    name="text",
    endpoint="ws-text",
    server_speaks_first=True,
    server_pings=True,
    empty_payload_is_unparsable=True,
    acks_repeated_subscriptions=False,
    subscribes_to_what_it_discarded=True,
    complains_of_unasked_answers=True,
    counts_own_subscriptions=False,
    forgets_calls_when_offline=True,
    acks_reading_at_once=False,
    names_inner_checks=True,
    announces_load_errors=True,
    hears_other_versions=False,
    knows_writes_by_version=True,
    merges_versions_ahead=True,
    merges_on_news=False,
    hears_by_update_errors=False,
    lets_go_of_what_it_deletes=True,
    reads_once=False,
    drops_copies_ahead=False,
    has_its_own_paths=True,
    carries_every_name=False,
    acked_writes_create=False,
    erases_by_patching=True,
    takes_patches=True,
    patches_many=False,
    hears_of_users_once=True,
    is_refused_once=True,
    handshake={
        (State.CHALLENGE, Received.CHALLENGE): Step.ADMIT,
        (State.CHALLENGE, Received.PING): Step.PONG,
        (State.CHALLENGE, Received.PONG): Step.IGNORE,
        (State.CHALLENGE, Received.CONNECTION): Step.UNKNOWN_ACTION,
        (State.CHALLENGE, Received.LOGIN): Step.NOT_A_CHALLENGE,
        (State.CHALLENGE, Received.AUTH): Step.NOT_A_CHALLENGE,
        (State.CHALLENGE, Received.OTHER): Step.NOT_A_CHALLENGE,
        (State.CHALLENGE, Received.UNPARSABLE): Step.PARSE_ERROR,
        (State.LOGIN, Received.CHALLENGE): Step.INVALID_LOGIN,
        (State.LOGIN, Received.PING): Step.PONG,
        (State.LOGIN, Received.PONG): Step.IGNORE,
        (State.LOGIN, Received.CONNECTION): Step.INVALID_LOGIN,
        (State.LOGIN, Received.LOGIN): Step.LOGIN,
        (State.LOGIN, Received.AUTH): Step.INVALID_LOGIN,
        (State.LOGIN, Received.OTHER): Step.INVALID_LOGIN,
        (State.LOGIN, Received.UNPARSABLE): Step.INVALID_LOGIN,
    },
)

#: Clients of the v4+ generation.
PROTOBUF = Dialect(
    name="protobuf",
    endpoint="ws-binary",
    server_speaks_first=False,
    server_pings=False,
    empty_payload_is_unparsable=False,
    acks_repeated_subscriptions=True,
    subscribes_to_what_it_discarded=False,
    complains_of_unasked_answers=False,
    counts_own_subscriptions=True,
    forgets_calls_when_offline=False,
    acks_reading_at_once=True,
    names_inner_checks=False,
    announces_load_errors=False,
    hears_other_versions=False,
    knows_writes_by_version=False,
    merges_versions_ahead=False,
    merges_on_news=False,
    hears_by_update_errors=False,
    lets_go_of_what_it_deletes=False,
    reads_once=True,
    drops_copies_ahead=False,
    has_its_own_paths=False,
    carries_every_name=True,
    acked_writes_create=True,
    erases_by_patching=False,
    takes_patches=False,
    patches_many=False,
    hears_of_users_once=False,
    is_refused_once=False,
    handshake={
        (State.CHALLENGE, Received.CHALLENGE): Step.ADMIT,
        # The Node server does not answer a PING before the login, and the client then closes the connection.
        (State.CHALLENGE, Received.PING): Step.PONG,
        (State.CHALLENGE, Received.PONG): Step.IGNORE,
        (State.CHALLENGE, Received.CONNECTION): Step.IGNORE,
        (State.CHALLENGE, Received.LOGIN): Step.NOT_A_CHALLENGE,
        (State.CHALLENGE, Received.AUTH): Step.NOT_A_CHALLENGE,
        (State.CHALLENGE, Received.OTHER): Step.NOT_A_CHALLENGE,
        (State.CHALLENGE, Received.UNPARSABLE): Step.NOT_A_CHALLENGE,
        (State.LOGIN, Received.CHALLENGE): Step.NOT_A_LOGIN,
        (State.LOGIN, Received.PING): Step.PONG,
        (State.LOGIN, Received.PONG): Step.NOT_A_LOGIN,
        (State.LOGIN, Received.CONNECTION): Step.NOT_A_LOGIN,
        (State.LOGIN, Received.LOGIN): Step.LOGIN,
        (State.LOGIN, Received.AUTH): Step.INVALID_LOGIN,
        (State.LOGIN, Received.OTHER): Step.NOT_A_LOGIN,
        (State.LOGIN, Received.UNPARSABLE): Step.NOT_A_LOGIN,
    },
)

#: The official JavaScript client of the v4+ generation.
JAVASCRIPT = replace(
    PROTOBUF,
    name="protobuf, javascript",
    merges_on_news=True,
    takes_patches=True,
    hears_by_update_errors=True,
    drops_copies_ahead=True,
)

#: A client of a third party that sends its library's name: it was written from the protocol, which has PATCH_MULTI.
FOREIGN = replace(PROTOBUF, name="protobuf, other", takes_patches=True, patches_many=True)

#: The API of the node, in the same process (L{dstwist.api}). It finds the request of each error by the correlation id,
#: so it needs the id in each denial. It ignores no data. It tells the application which version its write has made.
IN_PROCESS = replace(
    PROTOBUF,
    name="in process",
    names_inner_checks=True,
    reads_once=False,
    takes_patches=True,
    patches_many=True,
    hears_other_versions=True,
)

#: The HTTP API (L{dstwist.http_api}). A write whose version is too high is answered by VERSION_EXISTS, with the record
#: if the client may see it. A call that the server forgets when it stops is answered.
HTTP = replace(PROTOBUF, name="http", reads_once=False, merges_versions_ahead=True, forgets_calls_when_offline=True)

#: A stream of server-sent events (L{dstwist.streams}). It only subscribes, and ignores no data.
STREAM = replace(PROTOBUF, name="stream", reads_once=False)


#: The v4+ generation in JSON: the same behaviour, in another encoding.
JSON, JSON_JAVASCRIPT, JSON_FOREIGN = (
    replace(dialect, name=dialect.name.replace("protobuf", "json"), endpoint="ws-json")
    for dialect in (PROTOBUF, JAVASCRIPT, FOREIGN)
)

#: By the dialect of a client before its CHALLENGE: the one of the official client, and the one of all other clients
#: that send the name of their library.
_REFINED = {PROTOBUF: (JAVASCRIPT, FOREIGN), JSON: (JSON_JAVASCRIPT, JSON_FOREIGN)}


def refined(dialect: Dialect, sdk_type: str | None) -> Dialect:
    """
    The dialect of a client that has sent the name of its library.

    @param sdk_type: C{sdkType} of the CHALLENGE.
    """
    if dialect not in _REFINED or not sdk_type:
        return dialect
    official, foreign = _REFINED[dialect]
    return official if sdk_type == "javascript" else foreign
