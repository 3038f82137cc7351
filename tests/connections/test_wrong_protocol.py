"""
Clients on the path of the other generation, as the log shows them.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.connections.wrong_protocol import SILENCE_SECONDS, log_silence
from dstwist.interfaces import HandshakeData
from dstwist.protocol import json_messages, protobuf, text
from dstwist.protocol.dialect import JSON, PROTOBUF, TEXT
from tests.connections.stage import CHALLENGE, LOGIN, ConnectionTestCase
from tests.logs import Lines

V4_ON_TEXT = (
    "INVALID_MESSAGE | client (192.0.2.1, /old, #7) sends binary frames, as clients of v4 and later do, to /old, which "
    "is of type ws-text: connect it to a path of type ws-binary, or give /old both types (connectionEndpoints)"
)
V3_ON_BINARY = (
    "INVALID_MESSAGE | client (192.0.2.1, /new, #7) sends text frames, as clients of v2 and v3 do, to /new, which is "
    "of type ws-binary: connect it to a path of type ws-text, or give /new both types (connectionEndpoints)"
)
V4_ON_JSON = (
    "INVALID_MESSAGE | client (192.0.2.1, /json, #7) sends binary frames, as clients of v4 and later do, to /json, "
    "which is of type ws-json: connect it to a path of type ws-binary"
)
SILENT_ON_JSON = (
    "INVALID_MESSAGE | client (192.0.2.1, /json, #7) has said nothing for 90 s on /json, which is of type ws-json; "
    "if it is a client of v2 or v3, which waits for the server to speak, connect it to a path of type ws-text"
)
SILENT = (
    "INVALID_MESSAGE | client (192.0.2.1, /new, #7) has said nothing for 90 s on /new, which is of type ws-binary; "
    "if it is a client of v2 or v3, which waits for the server to speak, connect it to a path of type ws-text, or give "
    "/new both types (connectionEndpoints)"
)


class TextPathTests(ConnectionTestCase):
    """
    A client of v4 or later on a path of type C{ws-text}.
    """

    dialect = TEXT
    server = text.SERVER
    client = text.CLIENT

    def setUp(self) -> None:
        super().setUp()
        self.lines = Lines(self)
        self.connect(url_path="/old")

    def test_challenge(self) -> None:
        """
        Its first message has it closed, and the log says why, and what to change.
        """
        self.connection.receive(protobuf.CLIENT.encode(CHALLENGE))
        self.assertTrue(self.connection.closed)
        self.assertEqual(self.lines.of("warn"), [V4_ON_TEXT])

    def test_no_utf8(self) -> None:
        """
        The same if that is no UTF-8.
        """
        self.connection.receive(b"\x08\xff\xfe")
        self.assertEqual((self.link.closed, self.lines.of("warn")), ((1007, "invalid UTF-8"), [V4_ON_TEXT]))

    def test_text_in_binary_frames(self) -> None:
        """
        A text client may use binary frames.
        """
        self.connection.receive(text.CLIENT.encode(CHALLENGE))
        self.assertEqual((self.connection.closed, self.lines.of("warn")), (False, []))

    def test_garbage(self) -> None:
        """
        Text that is no message is just that.
        """
        self.connection.receive("garbage\x1e")
        self.assertEqual(
            self.lines.of("warn"),
            ["MESSAGE_PARSE_ERROR | error parsing connection message from client (192.0.2.1, /old, #7)"],
        )

    def test_silence(self) -> None:
        """
        A client that is silent here is none of the other generation.
        """
        self.clock.advance(90)
        self.connection.lost("gone")
        self.assertNotIn("has said nothing", str(self.lines.of("info")))


class BinaryPathTests(ConnectionTestCase):
    """
    A client of v2 or v3 on a path of type C{ws-binary}.
    """

    def setUp(self) -> None:
        super().setUp()
        self.lines = Lines(self)
        self.connect(url_path="/new")
        self.lines.clear()

    def test_text(self) -> None:
        """
        The log says so when it sends text.
        """
        self.connection.receive(text.CLIENT.encode(CHALLENGE).decode())
        self.assertEqual(self.lines.of("warn"), [V3_ON_BINARY])

    def test_silence(self) -> None:
        """
        Official clients wait for the server to speak, and leave in the end: then the log says what they may be.
        """
        self.clock.advance(90)
        self.connection.lost("gone")
        ended = "CLIENT_DISCONNECTED | client (192.0.2.1, /new, #7) after 90.0 s: gone"
        self.assertEqual(self.lines.of("info"), [SILENT, ended])

    def test_too_late(self) -> None:
        """
        The same when the time for the login is over.
        """
        self.connect(url_path="/new", unauthenticated_client_timeout=90)
        self.lines.clear()
        self.clock.pump([30] * 3)
        self.assertIn(SILENT, self.lines.of("info"))

    def test_spoken(self) -> None:
        """
        A client that has sent a challenge, or anything else of its generation, is not taken for one of the other.
        """
        self.say(CHALLENGE)
        self.clock.advance(90)
        self.connection.lost("gone")
        self.assertNotIn("has said nothing", str(self.lines.of("info") + self.lines.of("warn")))


class JsonPathTests(ConnectionTestCase):
    """
    Other clients on a path of type C{ws-json}.
    """

    dialect = JSON
    server = json_messages.SERVER
    client = json_messages.CLIENT

    def setUp(self) -> None:
        super().setUp()
        self.lines = Lines(self)
        self.connect(url_path="/json")
        self.lines.clear()

    def test_binary(self) -> None:
        """
        A client of v4 or later that is not in JSON mode is closed, and the log says why.
        """
        self.connection.receive(protobuf.CLIENT.encode(CHALLENGE))
        self.assertEqual((self.link.closed, self.lines.of("warn")), ((1007, "not a JSON object"), [V4_ON_JSON]))

    def test_json_in_binary_frames(self) -> None:
        """
        A client may send its JSON in binary frames.
        """
        self.connection.receive(json_messages.CLIENT.encode(CHALLENGE))
        self.assertEqual((self.connection.closed, self.lines.of("warn")), (False, []))

    def test_garbage(self) -> None:
        """
        Text that is no JSON is just that.
        """
        self.connection.receive("garbage")
        self.assertEqual(self.link.closed, (1007, "not a JSON object"))
        self.assertEqual(
            self.lines.of("warn"), ["INVALID_MESSAGE | not a JSON object from client (192.0.2.1, /json, #7)"]
        )

    def test_silence(self) -> None:
        """
        A client of v2 or v3 waits for the server to speak.
        """
        self.clock.advance(90)
        self.connection.lost("gone")
        self.assertIn(SILENT_ON_JSON, self.lines.of("info"))

    def test_wrong_order(self) -> None:
        """
        The answer to a message that comes too early names it.
        """
        self.connection.receive('{"topic":4,"action":2,"name":"e"}')
        self.connection.receive('{"topic":4,"action":99}')
        self.say(CHALLENGE)
        self.connection.receive('{"topic":4,"action":2,"name":"e"}')
        heard = [frame for frame in self.link.frames if b"101" in frame]
        self.assertEqual(
            heard,
            [
                b'{"topic":2,"action":101,"originalTopic":4,"originalAction":2}',
                b'{"topic":2,"action":101,"originalTopic":4,"originalAction":99}',
                b'{"topic":3,"action":101,"originalTopic":4,"originalAction":2}',
            ],
        )

    def test_open(self) -> None:
        """
        A client that has logged in and then sends something else than JSON is closed as well.
        """
        self.say(CHALLENGE, LOGIN)
        self.connection.receive("garbage")
        self.assertEqual(self.link.closed, (1007, "not a JSON object"))


class SilenceTests(SynchronousTestCase):
    """
    L{log_silence}.
    """

    def test_short(self) -> None:
        """
        A client that leaves at once, as monitors do, is no line.
        """
        lines = Lines(self)
        log_silence(HandshakeData("192.0.2.1", path="/new"), SILENCE_SECONDS - 0.01, PROTOBUF)
        self.assertEqual(lines.of("info"), [])
