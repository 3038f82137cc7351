"""
Long turns, floods of log lines, and clients that come back again and again: what one or a few clients can cause.
"""

from __future__ import annotations

import shutil
import subprocess
import time

from dstwist.protocol.constants import AuthAction, EventAction, PresenceAction, RecordAction, RpcAction, Topic
from dstwist.protocol.message import Message
from tests.e2e.clients import HERE
from tests.hostile.attacks import CHALLENGE, told
from tests.hostile.attacks_records import together, write
from tests.hostile.campaign import users_file
from tests.hostile.intruder import Intruder, close_all, frame, head_of
from tests.hostile.measured import Measured, MeasuredStage
from tests.hostile.readers import reading

#: A rule that fails on events without data.a.
_RULES = """
event: {"*": {publish: true, subscribe: true}, failing: {publish: "data.a.b.c === 1"}}
record: {"*": {read: true}}
rpc: {"*": {provide: true}}
presence: {"*": {allow: true}}
"""
FAILING_RULES = "permission: {type: config, options: {permissions: fileLoad(permissions.yml)}}\n"
FULL_DISK = "storage: {type: sqlite, options: {path: full.sqlite, maxBytes: 1000000}}\n"
CLOSED_DOOR = "auth: [{type: file, options: {users: fileLoad(users.yml)}}]\n"


def _questions(stage: MeasuredStage, count: int) -> str:
    crowd = [Intruder(stage.port).log_in(f"{number:04}{'n' * 50}") for number in range(2000)]
    with Intruder(stage.port).log_in("curious") as curious, reading([curious]) as received:
        stage.begin()
        question = Message(Topic.PRESENCE, PresenceAction.QUERY_ALL)
        curious.send(together(curious, [question] * count), read=False)
        received.settle()
    close_all(crowd)
    return f"{received.bytes / 1e6:.0f} MB; {'closed' if received.ended else 'served on'}"


def questions_who_is_there(stage: MeasuredStage) -> str:
    """
    1000 QUERY_ALL in one payload, when 2000 users are there.
    """
    return _questions(stage, 1000)


def a_storm_of_logins(stage: MeasuredStage) -> str:
    """
    2000 clients that log in at the same time, while 20 want to know who comes.
    """
    watchers = [Intruder(stage.port).log_in(f"watcher{number}") for number in range(20)]
    for watcher in watchers:
        watcher.say(Message(Topic.PRESENCE, PresenceAction.SUBSCRIBE_ALL))
        watcher.until("SUBSCRIBE_ALL")
    clients = [Intruder(stage.port).open() for _ in range(2000)]
    for client in clients:
        client.say(CHALLENGE)
        client.until("ACCEPT")
    logins = [
        together(client, [Message(Topic.AUTH, AuthAction.REQUEST, data=b'{"username":"u%d"}' % number)])
        for number, client in enumerate(clients)
    ]
    with reading(watchers):
        stage.begin()
        for client, login in zip(clients, logins, strict=True):
            client.send(login, read=False)
        outcomes = told("in" if client.until("AUTH_SUCCESSFUL") else client.outcome() for client in clients)
        stage.look()
        waited = time.monotonic()
        close_all(clients)
        _wait_for_an_answer(stage, waited)
    close_all(watchers)
    return outcomes


def _wait_for_an_answer(stage: MeasuredStage, since: float) -> None:
    with Intruder(stage.port).log_in("last") as last:
        last.outcome()
    # Clients that are gone are cleared away in turns of their own.
    time.sleep(max(0.0, since + 1 - time.monotonic()))


_SUBSCRIBE = {
    Topic.EVENT: EventAction.SUBSCRIBE,
    Topic.RECORD: RecordAction.SUBSCRIBE,
    Topic.RPC: RpcAction.PROVIDE,
    Topic.PRESENCE: PresenceAction.SUBSCRIBE,
}


def _holding(stage: MeasuredStage, topic: Topic, count: int, user: str) -> Intruder:
    """
    A client with C{count} names of a topic.
    """
    holder = Intruder(stage.port).log_in(user)
    action = _SUBSCRIBE[topic]
    for start in range(0, count, 5000):
        names = tuple(f"name/{number}" for number in range(start, start + 5000))
        holder.say(Message(topic, action, names=names, correlation_id="1"))
    holder.outcome()
    return holder


def _end_of_holders(stage: MeasuredStage, *holders: Intruder) -> str:
    with Intruder(stage.port).log_in("listener") as listener:
        for topic, action in ((Topic.EVENT, EventAction.LISTEN), (Topic.RECORD, RecordAction.LISTEN)):
            listener.say(Message(topic, action, "never/.*"))
        listener.outcome()
        stage.begin()
        began = time.monotonic()
        close_all(holders)
        _wait_for_an_answer(stage, began)
    return ""


def end_of_100000_events(stage: MeasuredStage) -> str:
    """
    The end of a client that is subscribed to 100,000 events.
    """
    return _end_of_holders(stage, _holding(stage, Topic.EVENT, 100_000, "holder"))


def end_of_100000_records(stage: MeasuredStage) -> str:
    """
    Records.
    """
    return _end_of_holders(stage, _holding(stage, Topic.RECORD, 100_000, "holder"))


def end_of_100000_procedures(stage: MeasuredStage) -> str:
    """
    Procedures that it provides.
    """
    return _end_of_holders(stage, _holding(stage, Topic.RPC, 100_000, "holder"))


def end_of_100000_users(stage: MeasuredStage) -> str:
    """
    Users whose presence it wants to know.
    """
    return _end_of_holders(stage, _holding(stage, Topic.PRESENCE, 100_000, "holder"))


def end_of_ten_holders(stage: MeasuredStage) -> str:
    """
    The end of ten clients at a time that are subscribed to 50,000 events each.
    """
    return _end_of_holders(stage, *[_holding(stage, Topic.EVENT, 50_000, f"holder{number}") for number in range(10)])


def failing_rules(stage: MeasuredStage) -> str:
    """
    20,000 events that a rule fails on.
    """
    with Intruder(stage.port).log_in("emitter") as emitter, reading([emitter]) as received:
        stage.begin()
        event = Message(Topic.EVENT, EventAction.EMIT, "failing", b"{}")
        emitter.send(together(emitter, [event] * 20_000), read=False)
        received.settle()
    return f"{received.bytes / 1e6:.0f} MB; {'closed' if received.ended else 'served on'}"


def writes_on_a_full_disk(stage: MeasuredStage) -> str:
    """
    1000 writes that a storage without space refuses.
    """
    with Intruder(stage.port).log_in("writer") as writer:
        stage.begin()
        for number in range(1000):
            writer.say(write(RecordAction.CREATEANDUPDATE, f"full{number}", b'{"a":"%s"}' % (b"x" * 5000)))
        return writer.outcome()


def refused_handshakes(stage: MeasuredStage) -> str:
    """
    500 requests for a WebSocket on a path that there is not, and 500 with a version that is not spoken.
    """
    stage.begin()
    outcomes = []
    for data in (head_of("/nowhere"), head_of("/deepstream").replace(b": 13", b": 7")):
        for _ in range(500):
            with Intruder(stage.port) as intruder:
                intruder.send(data)
                deadline = time.monotonic() + 2
                while not intruder.heard and not intruder.ended(0.01) and time.monotonic() < deadline:
                    pass
                outcomes.append(", ".join(intruder.heard) or intruder.fate or "no answer")
    return told(outcomes)


def refused_logins(stage: MeasuredStage) -> str:
    """
    1500 logins without a name, three by connection.
    """
    intruders = [Intruder(stage.port).open() for _ in range(500)]
    stage.begin()
    login = Message(Topic.AUTH, AuthAction.REQUEST, data=b'{"password":"no"}')
    for intruder in intruders:
        intruder.say(CHALLENGE, *[login] * 3)
    outcomes = ["ended" if intruder.ended(1) else "still there" for intruder in intruders]
    close_all(intruders)
    return told(outcomes)


_LARGE = """
const { DeepstreamClient } = require('@deepstream/client')
const client = new DeepstreamClient('ws://127.0.0.1:%d/deepstream', { maxReconnectAttempts: 1e9 })
client.on('error', () => {})
client.login({ username: 'large' })
const record = client.record.getRecord('large')
record.whenReady(() => record.set('a', 'x'.repeat(1500000)))
setTimeout(() => process.exit(0), %d)
"""
_WRONG_PATH = """
const { DeepstreamClient } = require('@deepstream/client')
const client = new DeepstreamClient('ws://127.0.0.1:%d/deepstream-v3', { maxReconnectAttempts: 1e9 })
client.on('error', () => {})
client.login({ username: 'lost' })
setTimeout(() => process.exit(0), %d)
"""
_SECONDS = 10


def _official(stage: MeasuredStage, program: str) -> str:
    node = shutil.which("node")
    assert node is not None, "the official client needs Node.js"
    stage.begin()
    logins, connections = stage.log_lines("AUTH_SUCCESSFUL"), stage.log_lines("INCOMING_CONNECTION")
    program %= (stage.port, _SECONDS * 1000)
    subprocess.run(
        [node, "-e", program],
        cwd=HERE,
        timeout=_SECONDS * 3,
        check=False,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    time.sleep(0.5)
    logins, connections = (
        stage.log_lines("AUTH_SUCCESSFUL") - logins,
        stage.log_lines("INCOMING_CONNECTION") - connections,
    )
    return f"{logins} logins, {connections} connections in {_SECONDS} s"


def a_large_message_again(stage: MeasuredStage) -> str:
    """
    Client 7.x writes a record in a message over maxMessageSize, and again whenever it has come back.
    """
    return _official(stage, _LARGE)


def the_wrong_path(stage: MeasuredStage) -> str:
    """
    Client 7.x on the path for older clients.
    """
    return _official(stage, _WRONG_PATH)


def large_events_unread(stage: MeasuredStage) -> str:
    """
    60 events of 500 KB to 40 subscribers that do not read, from 60 connections at a time.
    """
    return _large_events(stage, 60, 40)


def large_events_to_many(stage: MeasuredStage) -> str:
    """
    24 events of 500 KB to 150 subscribers that do not read: each of them stays below its own limit.
    """
    return _large_events(stage, 24, 150)


def _large_events(stage: MeasuredStage, events: int, subscribers: int) -> str:
    readers = [Intruder(stage.port, buffer=4096).log_in(f"reader{number}") for number in range(subscribers)]
    for reader in readers:
        reader.say(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("large",), correlation_id="1"))
        reader.until("SUBSCRIBE")
    emitters = [Intruder(stage.port).log_in(f"emitter{number}") for number in range(events)]
    event = frame(emitters[0].codec.encode(Message(Topic.EVENT, EventAction.EMIT, "large", b'"%s"' % (b"x" * 500_000))))
    stage.begin()
    for emitter in emitters:
        emitter.send(event, read=False)
    outcomes = told(emitter.outcome() for emitter in emitters)
    stage.look()
    ends = told((reader.fate or reader.outcome(1)).rpartition("; ")[2] for reader in readers)
    close_all([*readers, *emitters])
    return f"emitters: {outcomes}; subscribers: {ends}"


ATTACKS = [
    Measured(large_events_unread),
    Measured(large_events_to_many),
    Measured(questions_who_is_there),
    Measured(a_storm_of_logins),
    Measured(end_of_100000_events),
    Measured(end_of_100000_records),
    Measured(end_of_100000_procedures),
    Measured(end_of_100000_users),
    Measured(end_of_ten_holders),
    Measured(failing_rules, FAILING_RULES, {"permissions.yml": _RULES}, writes=False),
    Measured(writes_on_a_full_disk, FULL_DISK, writes=False),
    Measured(refused_handshakes),
    Measured(refused_logins, CLOSED_DOOR, {"users.yml": users_file()}),
    Measured(a_large_message_again),
    Measured(the_wrong_path),
]
