"""
L{dstwist.protocol.protobuf} against Google's runtime, with the schema compiled from C{deepstream.proto}.
C{tests.e2e.test_npm_codec} compares it with the library of the official clients.
"""

from __future__ import annotations

import io
from enum import IntEnum
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, proto
from google.protobuf.message import DecodeError
from grpc_tools import protoc
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.constants import ACTIONS, FIRST_TEXT_ONLY_ACTION, Topic
from dstwist.protocol.message import Malformed, Message
from dstwist.protocol.protobuf import CLIENT, SERVER
from dstwist.protocol.schema import FIELDS, REQUESTS, Kind
from tests.protocol.test_protobuf import CONTENTS, DECLARED, EVERY_ACTION, FRAMES, fill

HERE = Path(__file__).parent


def camel_case(attribute: str) -> str:
    """
    The name a field of L{Message} has in the schema.
    """
    first, *others = attribute.split("_")
    return first + "".join(word.title() for word in others)


def scalars(message: Message) -> dict[str, Any]:
    """
    The fields of a message by the names of the schema, as plain numbers and text.
    """
    said: dict[str, Any] = {}
    for field in FIELDS[message.topic]:
        value = getattr(message, field.attribute)
        if value is not None and value != ():
            if isinstance(value, IntEnum):
                value = int(value)
            said[camel_case(field.attribute)] = value.decode() if isinstance(value, bytes) else value
    return said


class GoogleTests(SynchronousTestCase):
    """
    The same bytes mean the same to Google's runtime.
    """

    def setUp(self) -> None:
        output = Path(self.mktemp()).absolute()
        self.assertEqual(
            protoc.main(["protoc", f"-I{HERE}", f"--descriptor_set_out={output}", str(HERE / "deepstream.proto")]), 0
        )
        pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes()).file:
            pool.Add(file)
        self.pool = pool

    def type_of(self, name: str) -> Any:
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))

    def encode(self, message: Message) -> bytes:
        inner = self.type_of(f"{message.topic.name.title()}Message")()
        for name, value in scalars(message).items():
            if isinstance(value, dict):
                getattr(inner, name).update(value)
            elif isinstance(value, tuple):
                getattr(inner, name).extend(value)
            else:
                setattr(inner, name, value)
        envelope = self.type_of("Message")(topic=message.topic, message=inner.SerializeToString(deterministic=True))
        stream = io.BytesIO()
        proto.serialize_length_prefixed(envelope, stream)
        return stream.getvalue()

    def decode(self, payload: bytes) -> tuple[int, dict[str, Any]]:
        envelope = proto.parse_length_prefixed(self.type_of("Message"), io.BytesIO(payload))
        assert envelope is not None
        inner = self.type_of(f"{Topic(envelope.topic).name.title()}Message").FromString(envelope.message)
        said: dict[str, Any] = {}
        for field, value in inner.ListFields():
            if field.name == "versions":
                said[field.name] = dict(value)
            elif field.name == "names":
                said[field.name] = tuple(value)
            else:
                said[field.name] = value
        return envelope.topic, said

    def test_fields(self) -> None:
        """
        The tables have the numbers, names and types of the schema; no peer sets the fields that they leave out.
        """
        unused = set()
        for topic, fields in FIELDS.items():
            declared = dict(self.pool.FindMessageTypeByName(f"{topic.name.title()}Message").fields_by_number)
            for field in fields:
                theirs = declared.pop(field.number)
                self.assertEqual(theirs.name, camel_case(field.attribute))
                kind = {
                    theirs.TYPE_BOOL: Kind.BOOLEAN,
                    theirs.TYPE_INT32: Kind.INTEGER,
                    theirs.TYPE_ENUM: Kind.INTEGER,
                    theirs.TYPE_STRING: Kind.TEXT,
                    theirs.TYPE_MESSAGE: Kind.VERSIONS,
                }[theirs.type]
                if theirs.name == "originalAction":
                    kind = Kind.ORIGINAL_ACTION
                elif theirs.name in ("data", "requestorData"):
                    kind = Kind.JSON
                elif theirs.name == "names":
                    kind = Kind.NAMES
                self.assertIs(field.kind, kind, (topic, theirs.name))
            unused |= {(topic, field.name) for field in declared.values()}
        self.assertEqual(
            unused,
            {
                (Topic.PARSER, "originalTOPIC"),
                (Topic.PARSER, "originalAction"),
                (Topic.EVENT, "originalTOPIC"),
                (Topic.RECORD, "pattern"),
                (Topic.PRESENCE, "originalTOPIC"),
            },
        )

    def test_actions(self) -> None:
        """
        Our actions have the names and numbers of the schema, and none is missing.
        """
        for topic, actions in ACTIONS.items():
            declared = self.pool.FindEnumTypeByName(f"{topic.name}_ACTION").values_by_name
            self.assertEqual(
                {name: value.number for name, value in declared.items()},
                {f"{topic.name}_{action.name}": int(action) for action in actions if action < FIRST_TEXT_ONLY_ACTION},
            )

    @EVERY_ACTION
    @given(CONTENTS)
    def test_same_bytes(self, contents: dict[str, Any]) -> None:
        """
        Both write a message in the same bytes, and read them with the same fields present.
        """
        for topic, action in DECLARED:
            message = fill(topic, action, contents)
            payload = SERVER.encode(message)
            if len(message.versions or ()) < 2:  # maps have no order to agree on
                self.assertEqual(payload, self.encode(message))
            self.assertEqual(CLIENT.decode(self.encode(message)), [message])
            self.assertEqual(self.decode(payload), (topic, scalars(message)))

    @EVERY_ACTION
    @given(CONTENTS)
    def test_requests(self, contents: dict[str, Any]) -> None:
        """
        A server understands what Google's runtime wrote.
        """
        for topic, action in REQUESTS:
            message = fill(topic, action, contents, request=True)
            self.assertEqual(SERVER.decode(self.encode(message)), [message])

    @settings(derandomize=True, deadline=None, max_examples=300)
    @given(st.sampled_from(FRAMES), st.data())
    def test_strictness(self, case: tuple[str, Message, str], data: st.DataObject) -> None:
        """
        Where a byte was changed on the way, we and Google's runtime read the same message, or one of us none.
        """
        payload = bytearray.fromhex(case[2])
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
        [ours, *_] = CLIENT.decode(bytes(payload))
        if isinstance(ours, Malformed):
            return
        try:
            topic, theirs = self.decode(bytes(payload))
        except DecodeError:
            return
        declared = {camel_case(field.attribute) for field in FIELDS[ours.topic]}
        known = {name: value for name, value in theirs.items() if name in declared}
        if ours.original_action is None:
            known.pop("originalAction", None)  # a number that is no action
        self.assertEqual((ours.topic, scalars(ours)), (topic, known))
