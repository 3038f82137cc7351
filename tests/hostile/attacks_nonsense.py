"""
What hostile clients say: messages that are none, and values that nobody would send in good faith.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import islice

from dstwist.protocol.constants import FIRST_TEXT_ONLY_ACTION, FROM_CLIENT, EventAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.schema import FIELDS, REQUESTS, Kind
from dstwist.protocol.text_forms import FROM_CLIENT_FORMS
from tests.hostile.attacks import CHALLENGE, told
from tests.hostile.intruder import Intruder, frame
from tests.hostile.stage import MIB, Stage

DEEP = 100_000

#: What a field may hold instead of what it should.
NASTY_TEXTS = [
    b"",
    b"\0",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xc0\x80",
    b"\xf4\x90\x80\x80",
    "\u202e\ufeff\U000e0001".encode(),
    b"__proto__",
    b"x" * 65536,
    b"-1",
    b"9" * 400,
    b"NaN",
    b"\x1b[2J",
    b"{}{}%s%d{0.__class__}",
    b"S" + b"\\u0000",
]
NASTY_JSON = [
    b"[" * DEEP,
    b"[" * DEEP + b"]" * DEEP,
    b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    b"[" * 300 + b"]" * 300,
    b"1e999999",
    b"-1e-999999",
    b"9" * 100_000,
    b"0." + b"1" * 100_000,
    b"1" + b"0" * 400,
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"nul",
    b"",
    b" ",
    b"{'a':1}",
    b'{"a":1,"a":2}',
    b'"\\ud800"',
    b'["\\ud800","\\udc00\\ud800"]',
    b'{"\\ud800":1}',
    b'"\xff"',
    b'"\xed\xa0\x80"',
    b'"\x00"',
    b"\xef\xbb\xbf{}",
    b'{"__proto__":{"x":1},"constructor":{"prototype":{"x":1}}}',
    b"01",
    b"1_000",
    b"[1,]",
    b'{"username":{"toString":1},"password":[[]]}',
    b'{"username":1e400}',
    b'{"username":"\\ud800"}',
]
NASTY_PATHS = [
    b"__proto__.x",
    b"a.__proto__",
    b"constructor.prototype.x",
    b"a[4294967295]",
    b"a[99999999999999999999]",
    b"a[-1]",
    b"a[65535]",
    b"a[1e9]",
    b"a[0x7fffffff]",
    b"[0][0][0][0]",
    b".".join([b"a"] * 5000),
    b"[0]" * 5000,
    b"." * 100_000,
    b"[" * 100_000,
    b"a" * 100_000,
    b"a[Infinity]",
    b"",
    b" ",
    b"\0",
    b"a.\xff",
]


def varint(number: int) -> bytes:
    """
    A number as protobuf writes it.
    """
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    written.append(number)
    return bytes(written)


def binary(topic: int, body: bytes) -> bytes:
    """
    The envelope of a message.
    """
    inside = b"\x10" + varint(topic) + b"\x1a" + varint(len(body)) + body
    return varint(len(inside)) + inside


def bad_fields_of_v4() -> Iterator[bytes]:
    """
    Each message that a v4+ client may send, with each of its fields in turn of a nasty value.
    """
    for topic, actions in FROM_CLIENT.items():
        for action in sorted(actions):
            if action >= FIRST_TEXT_ONLY_ACTION:
                continue
            good: dict[int, bytes] = {}
            known = (*REQUESTS[topic, action].required, *REQUESTS[topic, action].optional)
            for field in FIELDS[topic]:
                if field.attribute not in known:
                    continue
                value = _GOOD.get(field.attribute)
                if field.kind in (Kind.TEXT, Kind.JSON, Kind.NAMES) and value is not None:
                    good[field.tag] = varint(len(value)) + value
                elif field.attribute == "version":
                    good[field.tag] = b"\x01"
            good[8] = varint(action)
            for field in FIELDS[topic]:
                if field.attribute == "action":
                    continue
                if field.kind in (Kind.TEXT, Kind.JSON, Kind.NAMES, Kind.VERSIONS):
                    nasty = {Kind.JSON: NASTY_JSON}.get(field.kind, NASTY_TEXTS)
                    if field.attribute == "path":
                        nasty = NASTY_PATHS
                    values = [varint(len(value)) + value for value in nasty]
                else:
                    values = [varint(number) for number in (0, 1, 127, 2**31, 2**32, 2**63, 2**64 - 1)]
                for value in values:
                    fields = {**good, field.tag: value}
                    yield binary(topic, b"".join(bytes((tag,)) + content for tag, content in fields.items()))


_GOOD = {"name": b"nasty", "names": b"nasty", "data": b'{"a":1}', "correlation_id": b"1", "path": b"a"}


def bad_fields_of_v3() -> Iterator[bytes]:
    """
    The same of the text protocol.
    """
    nasty = [
        *NASTY_TEXTS,
        *NASTY_PATHS,
        *(letter + value for letter in (b"", b"O", b"N", b"S") for value in NASTY_JSON),
    ]
    for form in FROM_CLIENT_FORMS:
        parts = form.example.rstrip("+").encode().split(b"|")
        for at in range(len(parts)):
            for value in nasty:
                yield b"\x1f".join([*parts[:at], value, *parts[at + 1 :]]) + b"\x1e"


def malformed_protobuf() -> Iterator[bytes]:
    """
    Bytes that are no protobuf, or that no other protobuf is like.
    """
    emit = b"\x08\x02\x12\x02{}\x32\x01e"
    yield b"\xff" * 20
    yield b"\x80" * 100_000
    yield b"\x80" * 9 + b"\x01"
    yield b"\xff\xff\xff\xff\x0f" + emit
    yield b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
    yield varint(2**63) + emit
    yield binary(4, emit)[:-1]
    yield binary(4, emit) + b"\x05"
    yield binary(4, emit) * 2
    yield binary(4, b"\x08\x82\x80\x80\x80\x80\x00" + emit)
    yield binary(4, b"\x08" + b"\x80" * 9 + b"\x02" + emit)
    yield binary(4, emit + b"\x12\xff\xff\xff\xff\x7f")
    yield binary(4, b"\x0b" * 50_000 + emit)
    yield binary(4, b"\x0b\x0c" * 1000 + emit)
    yield binary(4, b"\x0c")
    yield binary(4, emit + b"\xfa\xff\xff\xff\x0f\x01x")
    yield binary(4, emit + b"\x06\x00")
    yield binary(4, b"\x00\x00")
    yield binary(4, b"\x09" + bytes(7))
    yield binary(4, emit * 10_000)
    yield binary(0, emit)
    yield binary(2**32 + 4, emit)
    yield binary(255, emit)
    yield binary(4, b"")
    yield b"\x00" * 1000
    yield b"\x02\x10\x04"
    yield b"\x04\x1a\x02\x08\x02"
    yield b"\x10" * 100
    nested = emit
    for _ in range(500):
        nested = b"\x0a" + varint(len(nested)) + nested
    yield binary(5, b"\x08\x09\x72" + varint(len(nested)) + nested)
    yield binary(5, b"\x08\x07\x72\x06\x0a\x01a\x10\xff" + b"\x72\x02\x0a\x00" * 10_000)
    yield binary(8, b"\x08\x01")
    for topic in (*range(12), 100, 127, 128, 2**31):
        for action in (0, 1, 3, 99, 100, 127, 255, 1000, 2**31, 2**64 - 1):
            yield binary(topic, b"\x08" + varint(action))


def _spoken(stage: Stage, generation: str, payloads: Iterable[bytes], name: str) -> str:
    """
    Say it all, on as many connections as it takes; C{b""} among the endings is a connection that is served on.
    """
    endings: list[str] = []
    heard = 0
    intruder = Intruder(stage.port, generation).log_in(name)
    for number, payload in enumerate(payloads):
        if intruder.fate:
            endings.append(intruder.fate)
            intruder.close()
            intruder = Intruder(stage.port, generation).log_in(name)
        intruder.payload(payload)
        # A connection ends in the turn after what ended it.
        if number % 64 == 0 or b"\xff" in payload or b"\xed" in payload or b"\xc0" in payload or b"\xf4" in payload:
            intruder.heard.pop("PONG", None)
            intruder.outcome()
    endings.append(intruder.outcome())
    heard += sum(intruder.heard.values())
    intruder.close()
    return told(endings)


def nasty_fields(stage: Stage) -> str:
    """
    Each field of each message of both generations with what nobody would send. Small runs take every so many of them.
    """
    return " | ".join(
        f"{generation}: {_spoken(stage, generation, islice(payloads, 0, None, step), 'nasty')}"
        for generation, payloads, step in (
            ("v4", bad_fields_of_v4(), 1 if stage.scale > 1 else 7),
            ("v3", bad_fields_of_v3(), 1 if stage.scale > 1 else 61),
        )
    )


def protobuf_that_is_none(stage: Stage) -> str:
    """
    Overlong numbers, lengths beyond the end, groups, recursion.
    """
    return _spoken(stage, "v4", malformed_protobuf(), "malformed")


def nasty_logins(stage: Stage) -> str:
    """
    The same before the login, as its data and in its place.
    """
    outcomes = []
    for generation in ("v4", "v3", "json"):
        for data in NASTY_JSON:
            with Intruder(stage.port, generation).open() as intruder:
                intruder.say(CHALLENGE)
                login = (
                    binary(3, b"\x08\x02\x12" + varint(len(data)) + data)
                    if generation == "v4"
                    else b'{"topic":3,"action":2,"parsedData":' + data + b"}"
                    if generation == "json"
                    else b"A\x1fREQ\x1f" + data + b"\x1e"
                )
                intruder.payload(login)
                outcomes.append(intruder.outcome().rpartition("; ")[2])
    return told(outcomes)


def too_early(stage: Stage) -> str:
    """
    Thousands of messages before the login, and a megabyte of them in one.
    """
    outcomes = []
    for generation in ("v4", "v3", "json"):
        emit = Message(Topic.EVENT, EventAction.EMIT, "x", b'"x"')
        for first in ([], [CHALLENGE]):
            with Intruder(stage.port, generation).open() as intruder:
                intruder.say(*first, *[emit] * 5000)
                outcomes.append(intruder.outcome())
            with Intruder(stage.port, generation).open() as intruder:
                intruder.say(*first)
                one = intruder.codec.encode(emit)
                intruder.payload(one * (MIB // len(one)))
                outcomes.append(intruder.outcome())
    return told(outcomes)


def mixed_frames(stage: Stage) -> str:
    """
    Text where binary belongs, binary where text does, and both in turn.
    """
    outcomes = []
    for generation in ("v4", "v3", "json"):
        with Intruder(stage.port, generation).log_in("mixed") as intruder:
            emit = intruder.codec.encode(Message(Topic.EVENT, EventAction.EMIT, "x", b"1"))
            for number in range(500 * stage.scale):
                intruder.send(frame(emit, 1 + number % 2))
            outcomes.append(f"{generation}: {intruder.outcome()}")
        with Intruder(stage.port, generation).log_in("mixed") as intruder:
            intruder.send(frame(emit[:3], intruder.opcode, 0) + frame(emit[3:], 3 - intruder.opcode))
            outcomes.append(f"{generation}, in one message: {intruder.outcome()}")
    return " | ".join(outcomes)


def mutations(stage: Stage) -> str:
    """
    Messages with bytes changed, pieces cut out and put in twice.
    """
    generator = random.Random(stage.scale)
    pool: dict[str, list[bytes]] = {"v4": list(bad_fields_of_v4())[::7], "v3": list(bad_fields_of_v3())[::50]}
    spoken = []
    for generation, payloads in pool.items():
        short = [payload for payload in payloads if 8 < len(payload) < 126]
        mutated = [mutate(generator, generator.choice(short)) for _ in range(500 * stage.scale)]
        if generation == "v4":
            # What is wrong is to be within the message: the envelope around it is made anew.
            mutated = [binary(payload[2] & 15, payload[5:]) if len(payload) > 5 else payload for payload in mutated]
        spoken.append(f"{generation}: {_spoken(stage, generation, mutated, 'mutant')}")
    return " | ".join(spoken)


def mutate(generator: random.Random, payload: bytes) -> bytes:
    """
    A payload that is not quite the same.
    """
    data = bytearray(payload)
    for _ in range(generator.randint(1, 3)):
        at, length = generator.randrange(len(data) + 1), generator.randint(1, 8)
        kind = generator.randrange(4)
        if kind == 0:
            del data[at : at + length]
        elif kind == 1:
            data[at:at] = data[at : at + length]
        elif kind == 2:
            data[at : at + 1] = generator.randbytes(1)
        else:
            data[at:at] = generator.randbytes(2)
    return bytes(data)


ATTACKS = [nasty_fields, protobuf_that_is_none, nasty_logins, too_early, mixed_frames, mutations]
