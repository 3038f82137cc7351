"""
What the client generations expect of a server beyond the encoding of its messages.

A L{Dialect} is one frozen value of named behaviours. Code asks for a behaviour (C{dialect.server_pings}), never for a
generation. The handshake is a table: what was received, in which state, leads to which step;
L{dstwist.connections.handshake} carries the steps out. Sources: C{text-protocol.md} sections 5, 6 and 8 (L{TEXT}),
C{binary-protocol.md} sections 5 to 8 (L{PROTOBUF}).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto


class State(Enum):
    """
    How far a connection has come.
    """

    #: Nothing yet; the client's CHALLENGE is due.
    CHALLENGE = auto()
    #: Accepted; a login is due.
    LOGIN = auto()
    #: The authenticator is deciding; whatever arrives meanwhile waits.
    DECIDING = auto()
    #: Logged in.
    OPEN = auto()
    #: Gone, or going.
    CLOSED = auto()


class Received(Enum):
    """
    What a client's message is to a connection that is not open yet.
    """

    CHALLENGE = auto()
    PING = auto()
    PONG = auto()
    #: Of the CONNECTION topic, and none of the above.
    CONNECTION = auto()
    #: A login whose data is a JSON object or array.
    LOGIN = auto()
    #: Of the AUTH topic, and no usable login.
    AUTH = auto()
    #: Of another topic.
    OTHER = auto()
    #: Not a message at all.
    UNPARSABLE = auto()


class Step(Enum):
    """
    What a connection does with it.
    """

    IGNORE = auto()
    #: Answer PONG.
    PONG = auto()
    #: Answer ACCEPT (or REDIRECT, or REJECT); a login is due from now on.
    ADMIT = auto()
    #: Ask the authenticator.
    LOGIN = auto()
    #: CONNECTION INVALID_MESSAGE; stay.
    NOT_A_CHALLENGE = auto()
    #: CONNECTION UNKNOWN_ACTION; stay.
    UNKNOWN_ACTION = auto()
    #: CONNECTION MESSAGE_PARSE_ERROR with the payload; close.
    PARSE_ERROR = auto()
    #: AUTH INVALID_MESSAGE; stay.
    NOT_A_LOGIN = auto()
    #: AUTH INVALID_MESSAGE_DATA; close.
    INVALID_LOGIN = auto()


@dataclass(frozen=True, eq=False)
class Dialect:
    """
    The behaviours in which client generations differ.

    @ivar server_speaks_first: the server sends CHALLENGE_REQUEST as soon as the socket is open.
    @ivar server_pings: the server sends PING, and the client answers; otherwise it is the other way round.
    @ivar empty_payload_is_unparsable: a payload without any message is an error while a CHALLENGE is due.
    @ivar acks_repeated_subscriptions: a subscription that is there already is acknowledged, after its
        MULTIPLE_SUBSCRIPTIONS; otherwise it gets that error alone.
    @ivar subscribes_to_what_it_discarded: a client that discarded a record while it was offline discards it when it is
        back, and subscribes to it right behind that (L{dstwist.services.record.held_discards}).
    @ivar complains_of_unasked_answers: a LISTEN_ACCEPT or LISTEN_REJECT that nobody asked for is an INVALID_MESSAGE;
        otherwise an accept gets SUBSCRIPTION_FOR_PATTERN_REMOVED, so that the client stops providing.
    @ivar counts_own_subscriptions: a listener that is subscribed to a name is asked about it, and provides it, also if
        no other client is subscribed; otherwise not (L{dstwist.routing.own_subscriptions}).
    @ivar forgets_calls_when_offline: a client whose connection ends never tells the callers of procedures that no
        answer will come; otherwise it tells them itself.
    @ivar acks_reading_at_once: a request to subscribe and read is acknowledged before anything is looked up; otherwise
        when it is permitted and subscribed, with the data right behind.
    @ivar names_inner_checks: what is refused of a request that does several things is the one (CREATE, READ, ...);
        otherwise the request.
    @ivar announces_load_errors: that a record could not be loaded is said by itself, before the request is answered.
    @ivar knows_writes_by_version: what answers a write repeats the version that was sent, and the acknowledgement
        tells of a failure as well; otherwise the correlation id is repeated, and a failure takes the place of the
        acknowledgement.
    @ivar merges_versions_ahead: a write with too high a version gets VERSION_EXISTS; otherwise INVALID_VERSION and an
        UPDATE with what is true.
    @ivar merges_on_news: a subscriber whose write came too late finds that out by the news of the write that won, and
        has merged the two when VERSION_EXISTS comes, which would take that back: it is not sent. (How client 7.0.5
        takes VERSION_EXISTS: it believes to be at that version, whatever it has sent since.)
    @ivar hears_by_update_errors: a client ignores RECORD_DELETE_ERROR, and the errors of stores about a record that it
        asks for. A RECORD_UPDATE_ERROR that names the request as the original action calls the callback of a deletion,
        and ends the wait of a record. The client goes on waiting for the deletion until that is acknowledged, after any
        error.
    @ivar lets_go_of_what_it_deletes: a client that asks to delete a record drops the record at once, even if the
        deletion fails: a refusal ends its subscription as well.
    @ivar reads_once: a client that asks for a record and for its subscription at the same time ignores the data that
        come with the subscription (L{dstwist.services.record.recent_reads}).
    @ivar has_its_own_paths: where a path leads is not the same to client and server in all records
        (L{dstwist.protocol.paths.write_at}).
    @ivar carries_every_name: a name may have the characters that end a field or message of the text protocol
        (L{dstwist.protocol.typed.has_separators}); otherwise the name cannot be sent.
    @ivar acked_writes_create: a write that wants an acknowledgement creates the record.
    @ivar erases_by_patching: a patch without a value is the only message that erases at a path, so the rule for writing
        judges it; otherwise there is ERASE, and the rule for deleting judges every erasure.
    @ivar takes_patches: the news of a change at one path may be PATCH; otherwise it is UPDATE with the whole record.
        (Clients 4.1 and 5.0 ignore all updates of a record after a PATCH that is not the next version for them. They do
        not name themselves.)
    @ivar patches_many: the news of several changes at once may be PATCH_MULTI. No official client knows that.
    @ivar hears_of_users_once: whoever is subscribed to everybody and to a user as well is told only once that the user
        comes or goes, since the message is the same; otherwise there is a message for each subscription.
    @ivar is_refused_once: a request about several names is refused once however many of them are, for the refusal
        repeats the request; otherwise each refused name is told.
    """

    name: str
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
    knows_writes_by_version: bool
    merges_versions_ahead: bool
    merges_on_news: bool
    hears_by_update_errors: bool
    lets_go_of_what_it_deletes: bool
    reads_once: bool
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
    knows_writes_by_version=True,
    merges_versions_ahead=True,
    merges_on_news=False,
    hears_by_update_errors=False,
    lets_go_of_what_it_deletes=True,
    reads_once=False,
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
    knows_writes_by_version=False,
    merges_versions_ahead=False,
    merges_on_news=False,
    hears_by_update_errors=False,
    lets_go_of_what_it_deletes=False,
    reads_once=True,
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
        # The Node server leaves a PING before login unanswered; the client then gives up on the connection.
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
    PROTOBUF, name="protobuf, javascript", merges_on_news=True, takes_patches=True, hears_by_update_errors=True
)

#: A client of somebody else's that names itself: it was written by the protocol, which has PATCH_MULTI.
FOREIGN = replace(PROTOBUF, name="protobuf, other", takes_patches=True, patches_many=True)


def refined(dialect: Dialect, sdk_type: str | None) -> Dialect:
    """
    The dialect of a client that has said which library it is.

    @param sdk_type: C{sdkType} of its CHALLENGE.
    """
    if dialect is not PROTOBUF or not sdk_type:
        return dialect
    return JAVASCRIPT if sdk_type == "javascript" else FOREIGN
