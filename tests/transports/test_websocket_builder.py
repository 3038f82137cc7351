"""
Tests for L{dstwist.transports.websocket_builder}: WebSockets as the settings say, from bytes to bytes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.endpoints import WebSocketEndpoint
from dstwist.config.limits import LimitSettings
from dstwist.config.settings import Settings
from dstwist.connections.users import UserRegistry
from dstwist.interfaces import IRequester, Login
from dstwist.limits.failed_logins import FailedLogins
from dstwist.limits.outgoing_bytes import OutgoingBytes
from dstwist.limits.rates import UserRateLimits
from dstwist.permission.open import OpenPermission
from dstwist.protocol import json_messages, protobuf
from dstwist.protocol.constants import AuthAction, ConnectionAction, RpcAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing.router import Router
from dstwist.transports.websocket_builder import WebSocketBuilder
from dstwist.transports.websocket_factory import WebSocketFactory
from tests.fakes import FakeAuthenticator, FakeService
from tests.transports.helpers import BINARY, TEXT, Client, frame
from tests.wire import wire

CHALLENGE = Message(Topic.CONNECTION, ConnectionAction.CHALLENGE, url="ws://h/x", protocol_version="0.1a")
LOGIN = Message(Topic.AUTH, AuthAction.REQUEST, data=b'{"username":"ann"}')


def messages(data: bytes) -> list[Any]:
    """
    The actions of the protobuf messages in short frames.
    """
    actions: list[Any] = []
    while data:
        length, data = data[1], data[2:]
        actions += [message.action for message in protobuf.CLIENT.decode(data[:length])]
        data = data[length:]
    return actions


class WebSocketBuilderTests(SynchronousTestCase):
    """
    L{WebSocketBuilder}.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.authenticator = FakeAuthenticator()
        self.left: list[str | None] = []

    def build(self, *endpoints: WebSocketEndpoint, **limits: Any) -> tuple[dict[str, str], dict[str, WebSocketFactory]]:
        settings = Settings(endpoints=endpoints, limits=LimitSettings(**limits))
        return WebSocketBuilder(
            settings,
            self.reactor,
            self.authenticator,
            Router(OpenPermission(), {Topic.EVENT: FakeService()}),
            UserRegistry(),
            UserRateLimits(settings.limits, self.reactor),
            FailedLogins(settings.limits, self.reactor),
            OutgoingBytes(self.reactor),
            self.departed,
        ).build_factories()

    def departed(self, connection: IRequester) -> None:
        self.left.append(connection.user)

    def say(self, client: Client, *sent: Message) -> list[Any]:
        """
        Send protobuf messages; the actions of the answers.
        """
        client.send(*(frame(BINARY, protobuf.CLIENT.encode(message)) for message in sent))
        return messages(client.taken())

    def test_paths(self) -> None:
        """
        Each path has one factory, and a text for the log about the clients that it is for.
        """
        spoken, factories = self.build(
            WebSocketEndpoint(url_path="/new"),
            WebSocketEndpoint(type="ws-text", url_path="/old"),
            WebSocketEndpoint(url_path="/both"),
            WebSocketEndpoint(type="ws-text", url_path="/both"),
            WebSocketEndpoint(type="ws-json", url_path="/json"),
        )
        self.assertEqual(
            spoken,
            {
                "/new": "protobuf, for clients of v4 and later",
                "/old": "text, for clients of v2 and v3",
                "/both": "protobuf and text, told apart by who speaks first",
                "/json": "JSON, for clients of v4 and later in JSON mode, and others",
            },
        )
        self.assertEqual(factories.keys(), spoken.keys())

    def test_binary(self) -> None:
        """
        A client of v4 logs in on a path for its generation.
        """
        _, factories = self.build(WebSocketEndpoint(url_path="/new"))
        client = Client(factories["/new"])
        self.assertEqual(self.say(client, CHALLENGE, LOGIN), [ConnectionAction.ACCEPT, AuthAction.AUTH_SUCCESSFUL])

    def test_text(self) -> None:
        """
        A client of v2 is greeted on a path for its generation.
        """
        _, factories = self.build(WebSocketEndpoint(type="ws-text", url_path="/old", greeting_delay=0.0))
        self.assertIn(wire("C|CH+").encode(), Client(factories["/old"]).greeting)

    def test_json(self) -> None:
        """
        A client that speaks JSON logs in on a path for that, and gets text frames. Official clients get the data of a
        requestor as a text, others as a value.
        """
        _, factories = self.build(WebSocketEndpoint(type="ws-json", url_path="/json"))
        request = Message(Topic.RPC, RpcAction.REQUEST, "a", correlation_id="1", requestor_data=b"{}")
        for sdk_type, data in (("javascript", '"{}"'), ("cobol", "{}"), (None, "{}")):
            client = Client(factories["/json"])
            challenge = replace(CHALLENGE, sdk_type=sdk_type)
            client.send(*(frame(TEXT, json_messages.CLIENT.encode(message)) for message in (challenge, LOGIN)))
            accept, login = b'{"topic":2,"action":4}', b'{"topic":3,"action":3}'
            head = bytes((TEXT | 0x80, len(accept)))
            self.assertEqual(client.taken(), head + accept + head + login)
            self.assertIn(f'"requestorData":{data}'.encode(), client.connection.wire.encode(request))

    def test_both(self) -> None:
        """
        On a path for both generations, a silent client is greeted in text after the time for the detection, and a
        client that speaks at once in binary is served in binary.
        """
        _, factories = self.build(
            WebSocketEndpoint(url_path="/both"),
            WebSocketEndpoint(type="ws-text", url_path="/both", detection_timeout=0.3, greeting_delay=0.3),
        )
        silent, fast = Client(factories["/both"]), Client(factories["/both"])
        self.assertEqual(self.say(fast, CHALLENGE), [ConnectionAction.ACCEPT])
        self.reactor.advance(0.29)
        self.assertEqual(silent.taken(), b"")
        self.reactor.advance(0.02)
        self.assertEqual(silent.taken(), bytes((TEXT | 0x80, 5)) + wire("C|CH+").encode())

    def test_departed(self) -> None:
        """
        The end of each connection is told, with its user.
        """
        _, factories = self.build(WebSocketEndpoint(url_path="/new"))
        client = Client(factories["/new"])
        self.say(client, CHALLENGE, LOGIN)
        client.lose()
        self.assertEqual(self.left, ["ann"])

    def test_shared_limits(self) -> None:
        """
        Failed logins and connections of a user are counted over all paths.
        """
        _, factories = self.build(
            WebSocketEndpoint(url_path="/one"), WebSocketEndpoint(url_path="/two"), max_connections_per_user=1
        )
        self.authenticator.decisions = [Login(True, "ann")] * 2
        first, second = Client(factories["/one"]), Client(factories["/two"])
        self.assertEqual(self.say(first, CHALLENGE, LOGIN)[-1], AuthAction.AUTH_SUCCESSFUL)
        self.assertEqual(self.say(second, CHALLENGE, LOGIN)[-1], AuthAction.AUTH_UNSUCCESSFUL)
