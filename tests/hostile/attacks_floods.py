"""
What hostile clients do within the protocols: too much of it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from dstwist.protocol.constants import AuthAction, EventAction, PresenceAction, RecordAction, RpcAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.schema import REQUESTS
from tests.hostile.attacks import CHALLENGE, told
from tests.hostile.intruder import Intruder, close_all, frame
from tests.hostile.stage import MIB, Stage

#: Patterns that keep naive matchers busy for ever, or fill their memory.
BOMBS = [
    "(a+)+$",
    "(a|a)*b",
    "(a*)*(b*)*(c*)*$",
    "((((((((((a*)*)*)*)*)*)*)*)*)*)*$",
    "(x+x+)+y",
    "a{1000}{1000}",
    "(a{1000}){1000}",
    "(((a{100}){100}){100}){100}",
    "[\\s\\S]{1,1000}" * 20,
    "|".join("a" * 9 for _ in range(90)),
    "(" * 400 + ")" * 400,
    "(?=a)+",
    "\\1(a)",
    "[[:alpha:]",
    "\\p{Greek}{999}",
    ".*" * 400,
    "(?:.?){900}a{900}",
    "\ud7ff[^\x00-\U0010ffff]",
    "a" * 100_000,
]


def message(topic: Topic, action: object, name: str = "flood", data: bytes | str | None = None) -> Message:
    """
    A request with an id and a version, if requests of this kind have them: others are refused.
    """
    request = Message(topic, action, name, data)  # type: ignore[arg-type]
    fields = [*REQUESTS[topic, action].required, *REQUESTS[topic, action].optional]  # type: ignore[index]
    if "correlation_id" in fields:
        request.correlation_id = "1"
    if "version" in fields:
        request.version = -1
    return request


def burst(intruder: Intruder, one: Message, size: int = MIB) -> None:
    """
    As often as it fits into one payload.
    """
    encoded = intruder.codec.encode(one)
    intruder.payload(encoded * (size // len(encoded)))


def login_floods(stage: Stage) -> str:
    """
    Wrong passwords, from many connections at a time, each of which costs a good part of a second to check.
    """
    intruders = [Intruder(stage.port, generation).open() for generation in ("v4", "v3") * (20 * stage.scale)]
    for number, intruder in enumerate(intruders):
        intruder.say(CHALLENGE)
        login = Message(Topic.AUTH, AuthAction.REQUEST, data=b'{"username":"u%d","password":"no"}' % number)
        intruder.say(*[login] * 50)
    outcomes = [intruder.outcome() for intruder in intruders]
    close_all(intruders)
    return told(outcomes)


def subscription_floods(stage: Stage) -> str:
    """
    Subscriptions to hundreds of thousands of names, of each topic, from one connection each: more than it may have.
    """
    outcomes = []
    count = 110_000 if stage.scale > 1 else 20_000
    for topic, action in (
        (Topic.EVENT, EventAction.SUBSCRIBE),
        (Topic.RECORD, RecordAction.SUBSCRIBE),
        (Topic.RPC, RpcAction.PROVIDE),
        (Topic.PRESENCE, PresenceAction.SUBSCRIBE),
    ):
        with Intruder(stage.port).log_in("subscriber") as intruder:
            for start in range(0, count, 1000):
                names = tuple(f"name/{number}" for number in range(start, start + 1000))
                intruder.say(Message(topic, action, names=names, correlation_id="1"))
            outcomes.append(f"{topic.name}: {intruder.outcome()}")
    return " | ".join(outcomes)


def the_same_again(stage: Stage) -> str:
    """
    One name, tens of thousands of times in one request.
    """
    outcomes = []
    for topic, action in (
        (Topic.EVENT, EventAction.SUBSCRIBE),
        (Topic.RECORD, RecordAction.SUBSCRIBEANDREAD),
        (Topic.RPC, RpcAction.PROVIDE),
        (Topic.PRESENCE, PresenceAction.SUBSCRIBE),
        (Topic.PRESENCE, PresenceAction.QUERY),
    ):
        with Intruder(stage.port).log_in("repeater") as intruder:
            intruder.say(Message(topic, action, names=("a",) * 30_000, correlation_id="1"))
            outcomes.append(f"{topic.name}.{action.name}: {intruder.outcome()}")
    return " | ".join(outcomes)


def long_names(stage: Stage) -> str:
    """
    Names of 64 KB, wherever there is a name.
    """
    outcomes = []
    for generation in ("v4", "v3"):
        with Intruder(stage.port, generation).log_in("longwinded") as intruder:
            for number in range(50 * stage.scale):
                name = f"{number:05}" + "n" * 65531
                bulk = Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=(name,), correlation_id="1")
                intruder.say(
                    message(Topic.EVENT, EventAction.EMIT, name, b"1" if generation == "v4" else "N1"),
                    bulk,
                    Message(Topic.RECORD, RecordAction.UNSUBSCRIBE, names=(name,), correlation_id="1"),
                    message(Topic.RECORD, RecordAction.DELETE, name),
                    message(Topic.RPC, RpcAction.REQUEST, name, b"1" if generation == "v4" else "N1"),
                    message(Topic.EVENT, EventAction.LISTEN, name),
                )
            outcomes.append(f"{generation}: {intruder.outcome()}")
    return " | ".join(outcomes)


def pattern_bombs(stage: Stage) -> str:
    """
    Patterns that would keep a backtracking matcher busy for ever, and names for them; and as many as there may be.
    """
    outcomes = []
    with Intruder(stage.port).log_in("provider") as provider, Intruder(stage.port).log_in("consumer") as consumer:
        for topic, listen in ((Topic.EVENT, EventAction.LISTEN), (Topic.RECORD, RecordAction.LISTEN)):
            provider.say(*(message(topic, listen, bomb.encode("utf-8", "replace").decode()) for bomb in BOMBS))
        provider.outcome()
        for length in (30, 1000, 2000, 60_000):
            for name in ("a" * length + "!", "x" * length, "ab" * length):
                consumer.say(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=(name,), correlation_id="1"))
        outcomes.append(f"bombs: {provider.outcome()}")
    with Intruder(stage.port).log_in("provider") as provider, Intruder(stage.port).log_in("consumer") as consumer:
        for start in range(30 * stage.scale):
            names = tuple(f"many/{start}/{number}" for number in range(10))
            consumer.say(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=names, correlation_id="1"))
        consumer.outcome()
        for number in range(1100):
            provider.say(message(Topic.EVENT, EventAction.LISTEN, f"many/.*[^{number}]$"))
        outcomes.append(f"many patterns: {provider.outcome()}")
    return " | ".join(outcomes)


def call_floods(stage: Stage) -> str:
    """
    Calls that nobody ever answers, and answers to calls of others.
    """
    count = 15_000
    provider = Intruder(stage.port).log_in("provider")
    provider.say(Message(Topic.RPC, RpcAction.PROVIDE, names=("sink",), correlation_id="1"))
    provider.until("PROVIDE")
    caller, forger = Intruder(stage.port).log_in("caller"), Intruder(stage.port).log_in("forger")
    stop = threading.Event()

    def swallow() -> None:
        while not stop.is_set() and not provider.ended(0.1):
            pass

    reading = threading.Thread(target=swallow)
    reading.start()
    for number in range(count):
        call = Message(Topic.RPC, RpcAction.REQUEST, "sink", b'"%s"' % (b"x" * 2000), correlation_id=str(number))
        caller.say(call)
        if number % 100 == 0:
            for action in (RpcAction.ACCEPT, RpcAction.RESPONSE, RpcAction.REJECT, RpcAction.REQUEST_ERROR):
                data = b"1" if action in (RpcAction.RESPONSE, RpcAction.REQUEST_ERROR) else None
                forger.say(Message(Topic.RPC, action, "sink", data, correlation_id=str(number)))
    outcomes = [f"caller: {caller.outcome()}", f"forger: {forger.outcome()}"]
    stop.set()
    reading.join()
    close_all((provider, caller, forger))
    return " | ".join(outcomes)


def amplified_reads(stage: Stage) -> str:
    """
    A record of a megabyte, and a payload full of requests to read it; from one who reads and one who does not.
    """
    outcomes = []
    with Intruder(stage.port).log_in("writer") as writer:
        data = b'{"a":"%s"}' % (b"x" * 1_000_000)
        writer.say(message(Topic.RECORD, RecordAction.CREATEANDUPDATE, "big", data))
        writer.outcome()
        for generation, buffer in (("v4", None), ("v3", None), ("v4", 4096), ("v3", 4096)):
            with Intruder(stage.port, generation, buffer).log_in("reader") as reader:
                encoded = reader.codec.encode(message(Topic.RECORD, RecordAction.READ, "big"))
                payload = frame(encoded * (MIB // len(encoded)), reader.opcode)
                reader.send(payload, read=buffer is None)
                outcomes.append(f"{generation}{', deaf' if buffer else ''}: {reader.outcome()}")
        writer.say(message(Topic.RECORD, RecordAction.DELETE, "big"))
        writer.outcome()
    return " | ".join(outcomes)


def amplified_queries(stage: Stage) -> str:
    """
    Payloads full of questions who is there, when many are.
    """
    # As many names as it takes, each as long as may be.
    crowd = [Intruder(stage.port).log_in(f"{number:03}{'n' * 250}") for number in range(400)]
    assert all(member.heard["AUTH_SUCCESSFUL"] for member in crowd)
    outcomes = []
    for generation in ("v4", "v3"):
        with Intruder(stage.port, generation).log_in("curious") as curious:
            # A small part of a payload has thousands of questions already, and hundreds of megabytes of answers.
            size = MIB if stage.scale > 1 else MIB // 16
            burst(curious, Message(Topic.PRESENCE, PresenceAction.QUERY_ALL), size)
            outcomes.append(f"{generation}: {curious.outcome()}")
    close_all(crowd)
    return " | ".join(outcomes)


def growing_records(stage: Stage) -> str:
    """
    Small patches that make a record large: gaps in arrays, many keys; and what each further patch costs then.
    """
    outcomes = []
    with Intruder(stage.port).log_in("grower") as intruder:
        name = "growing"
        intruder.say(message(Topic.RECORD, RecordAction.CREATEANDUPDATE, name, b"{}"))

        def patches() -> Iterator[Message]:
            for number in range(500):
                patch = message(Topic.RECORD, RecordAction.PATCH, name, b"1")
                patch.path = f"k{number}[900]"
                yield patch

        for patch in patches():
            intruder.say(patch)
            if intruder.fate:
                break
        outcomes.append(f"gaps: {intruder.outcome()}")
    with Intruder(stage.port).log_in("cleaner") as cleaner:
        cleaner.say(message(Topic.RECORD, RecordAction.DELETE, name))
        cleaner.outcome()
    return " | ".join(outcomes)


def costly_patches(stage: Stage) -> str:
    """
    A payload full of patches to a record of a megabyte, each of which has to be made into text anew.
    """
    with Intruder(stage.port).log_in("patcher") as intruder:
        values = ",".join(f'"k{number}":{number}' for number in range(60_000))
        name = "costly"
        intruder.say(message(Topic.RECORD, RecordAction.CREATEANDUPDATE, name, f"{{{values}}}".encode()))
        intruder.outcome()
        patch = message(Topic.RECORD, RecordAction.PATCH, name, b"1")
        patch.path = "k1"
        burst(intruder, patch, 10_000)
        outcome = intruder.outcome()
        intruder.say(message(Topic.RECORD, RecordAction.DELETE, name))
        intruder.outcome()
    return outcome


def event_floods(stage: Stage) -> str:
    """
    Megabytes of events as fast as they go, from several clients, for themselves.
    """
    outcomes = []
    intruders = [Intruder(stage.port, generation).log_in("flooder") for generation in ("v4", "v3") * 2]
    for intruder in intruders:
        intruder.say(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("flood",), correlation_id="1"))
        intruder.until("SUBSCRIBE")
    for _ in range(min(stage.scale, 4)):
        for intruder in intruders:
            burst(
                intruder, message(Topic.EVENT, EventAction.EMIT, "flood", b"1" if intruder.generation == "v4" else "N1")
            )
    outcomes = [intruder.outcome().rpartition("; ")[2] for intruder in intruders]
    close_all(intruders)
    return told(outcomes)


#: These need a server that asks for passwords.
LOGIN_ATTACKS = [login_floods]

ATTACKS = [
    subscription_floods,
    the_same_again,
    long_names,
    pattern_bombs,
    call_floods,
    amplified_reads,
    amplified_queries,
    growing_records,
    costly_patches,
    event_floods,
]
