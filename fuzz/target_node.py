"""
A client of a whole node: what it sends ends in answers or in its own end, and in no mistake logged.

The first byte is how it begins: its lowest bit is the generation, then come whether it logs in, whether what follows is
put in frames, and whether the frames are of the right kind, whether it stays for time-outs, and whether it speaks JSON.
The rest are payloads with 00 fe 00 between them.
"""

from __future__ import annotations

from dstwist.protocol.constants import AuthAction, ConnectionAction, Topic
from dstwist.protocol.message import Message
from fuzz import target_json, target_protobuf, target_text
from fuzz.memory import world
from tests.hostile.attacks_nonsense import NASTY_JSON, NASTY_PATHS, binary, varint
from tests.hostile.intruder import frame, head_of
from tests.nodes.client import GENERATIONS

_CHALLENGE = Message(Topic.CONNECTION, ConnectionAction.CHALLENGE, url="ws://x")
_LOGIN = Message(Topic.AUTH, AuthAction.REQUEST, data=b'{"username":"f"}')

BETWEEN = b"\x00\xfe\x00"


def _conversations() -> list[bytes]:
    found = []
    for first, payloads in ((6, target_text.SEEDS), (7, target_protobuf.SEEDS), (0x26, target_json.SEEDS)):
        for start in range(0, len(payloads), 4):
            found.append(bytes((first,)) + BETWEEN.join(payloads[start : start + 8]))
    short_json = [data for data in NASTY_JSON if len(data) < 500]
    short_paths = [path for path in NASTY_PATHS if len(path) < 500]
    for path in short_paths:
        found.append(b"\x06R\x1fCU\x1fr\x1f-1\x1f" + path + b"\x1fN1\x1f{}\x1e")
    for data in short_json:
        found.append(b"\x06R\x1fCU\x1fr\x1f-1\x1f" + data + b"\x1f{}\x1e" + BETWEEN + b"R\x1fCR\x1fr\x1e")
        found.append(b"\x07" + binary(3, b"\x08\x02\x12" + varint(len(data)) + data))
    rpc = [b"P\x1fS\x1fadd\x1e", b"P\x1fREQ\x1fadd\x1f1\x1fSx\x1e", b"P\x1fA\x1fREQ\x1fadd\x1f1\x1e"]
    rpc += [b"P\x1fRES\x1fadd\x1f1\x1fSx\x1e", b"P\x1fREJ\x1fadd\x1f1\x1e", b"P\x1fE\x1foh\x1fadd\x1f1\x1e"]
    listening = [b"E\x1fL\x1fa.*\x1e", b"E\x1fS\x1fabc\x1e", b"E\x1fLA\x1fa.*\x1fabc\x1e", b"E\x1fUS\x1fabc\x1e"]
    records = [b"R\x1fCR\x1fr\x1e", b'R\x1fU\x1fr\x1f1\x1f{"a":[1]}\x1e', b"R\x1fP\x1fr\x1f2\x1fa[0]\x1fU\x1e"]
    records += [b"R\x1fD\x1fr\x1e", b"R\x1fL\x1fr.*\x1e", b"R\x1fUS\x1fr\x1e"]
    return [*found, *(b"\x06" + BETWEEN.join(payloads) for payloads in (rpc, listening, records, rpc + records))]


SEEDS = _conversations()


def attempt(data: bytes) -> None:
    """
    Hold the conversation, and check that the other client is still served.
    """
    if not data:
        return
    there = world()
    first = data[0]
    path, codec, opcode = GENERATIONS["json" if first & 0x20 else "v4" if first & 1 else "v3"]
    client = there.connect()
    client.send(head_of(path))
    log_in = [codec.encode(_CHALLENGE), codec.encode(_LOGIN)]
    payloads = data[1:].split(BETWEEN)
    frames = [frame(payload, opcode) for payload in log_in] if first & 2 else []
    if first & 4:
        frames += [frame(payload, 3 - opcode if first & 8 else opcode) for payload in payloads]
    else:
        frames += payloads
    for piece in frames:
        client.send(piece)
        there.reactor.advance(0)
    # Time-outs find what is left of it.
    if first & 16:
        there.reactor.advance(11)
    client.drop()
    there.check()
