"""
The parts that tests of connections share: a connection, its client of one generation, and the client's messages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from dstwist.config.endpoints import WebSocketEndpoint
from dstwist.config.limits import LimitSettings
from dstwist.connections.connection import Connection
from dstwist.connections.endpoint import EndpointContext, login_deadlines
from dstwist.connections.heartbeat import Heartbeat
from dstwist.connections.login import Logins
from dstwist.connections.users import UserRegistry
from dstwist.interfaces import HandshakeData, ICodecWire, IPermission
from dstwist.limits.failed_logins import FailedLogins
from dstwist.permission.open import OpenPermission
from dstwist.protocol import protobuf
from dstwist.protocol.constants import AuthAction, ConnectionAction, EventAction, Topic
from dstwist.protocol.dialect import PROTOBUF, TEXT, Dialect
from dstwist.protocol.message import Malformed, Message
from dstwist.routing.router import Router
from tests.fakes import FakeAuthenticator, FakeLink, FakeService, FakeWire
from tests.turns import next_turn

CHALLENGE = Message(Topic.CONNECTION, ConnectionAction.CHALLENGE, url="ws://h/deepstream", protocol_version="0.1a")
PING = Message(Topic.CONNECTION, ConnectionAction.PING)
PONG = Message(Topic.CONNECTION, ConnectionAction.PONG)
LOGIN = Message(Topic.AUTH, AuthAction.REQUEST, data=b'{"username":"ann"}')
EMIT = Message(Topic.EVENT, EventAction.EMIT, "news", b"1")
HEARTBEAT = 30.0
CLOSE_DELAY = LimitSettings().close_delay


@implementer(ICodecWire)
class CodecWire(FakeWire):
    """
    A wire whose frames are payloads.
    """

    def encode(self, message: Message) -> bytes:
        payload: bytes = self.codec.encode(message)
        return payload

    encode_constant = encode


class ConnectionTestCase(SynchronousTestCase):
    """
    A client of one generation in front of a connection, by payloads.
    """

    dialect: Dialect = PROTOBUF
    server: Any = protobuf.SERVER
    client: Any = protobuf.CLIENT

    def setUp(self) -> None:
        self.clock = Clock()
        self.link = FakeLink()
        self.service = FakeService()
        self.authenticator = FakeAuthenticator()
        self.users = UserRegistry()
        self.failed_logins = FailedLogins(LimitSettings(), self.clock)
        self.permission: IPermission = OpenPermission()
        self.max_name_length: int | None = None
        self.limits: dict[str, Any] = {}
        self.connection = self.connect()

    def connect(self, handshake: HandshakeData | None = None, **settings: Any) -> Connection:
        # Most tests are not about the time of the greeting.
        settings.setdefault("greeting_delay", 0.0)
        endpoint = WebSocketEndpoint(heartbeat_interval=HEARTBEAT, **settings)
        self.router = Router(self.permission, {Topic.EVENT: self.service}, self.max_name_length)
        context = EndpointContext(
            endpoint,
            Logins(
                self.authenticator,
                self.failed_logins,
                self.users,
                self.clock,
                self.limits.get("max_connections_per_user"),
                endpoint.log_invalid_auth_data,
            ),
            self.router,
            Heartbeat(HEARTBEAT, self.clock),
            self.clock,
            self.users,
            login_deadlines(endpoint, self.clock),
        )
        if handshake is None:
            handshake = HandshakeData(self.link.address, {"referer": "http://shop"}, path=endpoint.url_path, number=7)
        self.link = FakeLink()
        self.connection = Connection(self.link, CodecWire(self.server), self.dialect, handshake, context)
        self.connection.open()
        return self.connection

    def say(self, *messages: Message) -> None:
        for message in messages:
            self.receive(self.client.encode(message))

    def receive(self, payload: bytes | str) -> None:
        if self.dialect is TEXT and isinstance(payload, bytes):
            payload = payload.decode()
        self.connection.receive(payload)

    def heard(self) -> list[Message]:
        """
        The messages that the server sent since the last call.
        """
        return [message for frame in self.link.take() for message in self.client.decode(frame)]

    def actions(self) -> list[Any]:
        return [message.action for message in self.heard()]

    def pass_time(self, seconds: float) -> None:
        """
        Let time pass within a turn: no timer fires.
        """
        self.clock.rightNow += seconds

    def next_turn(self) -> None:
        """
        Make the calls that are due, and not those that become due by them.
        """
        next_turn(self.clock)

    def limit_names(self, length: int) -> None:
        """
        Set the longest name that connections accept from now on.
        """
        self.max_name_length = length

    def count_decoded(self) -> list[int]:
        """
        The length of each payload that the connection decodes from now on.
        """
        decoded: list[int] = []
        decode = self.connection.decode

        def counted(payload: bytes | str) -> list[Message | Malformed]:
            decoded.append(len(payload))
            return decode(payload)

        self.connection.decode = counted
        return decoded

    def serve_by(self, serve: Callable[[], None]) -> None:
        """
        Call C{serve} for every message that the service gets.
        """
        self.service.then = serve

    def keep_alive(self, seconds: float) -> None:
        """
        Let time pass while the client is heard.
        """
        end = self.clock.seconds() + seconds
        while (left := end - self.clock.seconds()) > 0:
            self.connection.heard = True
            self.clock.advance(min(HEARTBEAT, left))

    def written(self) -> str:
        """
        The text that the server wrote since the last call.
        """
        return b"".join(self.link.take()).decode()

    def log_in(self) -> None:
        self.say(CHALLENGE, LOGIN)
        self.heard()

    def assert_closed_later(self, code: int, reason: str) -> None:
        """
        The client is closed with that code and reason, but only when the delay is over.
        """
        self.assertFalse(self.connection.closed)
        self.clock.advance(CLOSE_DELAY - 0.01)
        self.assertIsNone(self.link.closed)
        self.clock.advance(0.02)
        self.assertEqual(self.link.closed, (code, reason))
