"""
Tests for L{dstwist.config.endpoints}.
"""

from __future__ import annotations

from dstwist.config import settings
from dstwist.config.load import load
from tests.config.helpers import ConfigCase


class EndpointTests(ConfigCase):
    """
    C{connectionEndpoints}.
    """

    def paths(self, settings: settings.Settings) -> list[tuple[str, str]]:
        return [(endpoint.type, endpoint.url_path) for endpoint in settings.endpoints]

    def test_default_paths(self) -> None:
        """
        Without C{connectionEndpoints} both generations are served on the path to which their clients connect by
        default, v2/v3 clients on a path of their own too, and JSON clients on theirs.
        """
        for found in (load(None, {}), self.load("rpc: {ackTimeout: 5}")):
            self.assertEqual(
                [
                    ("ws-binary", "/deepstream"),
                    ("ws-text", "/deepstream"),
                    ("ws-text", "/deepstream-v3"),
                    ("ws-json", "/deepstream-json"),
                ],
                self.paths(found),
            )

    def test_listed_paths(self) -> None:
        """
        A file that lists endpoints gets these, and no others.
        """
        binary = "connectionEndpoints: [{type: ws-binary}]"
        self.assertEqual([("ws-binary", "/deepstream")], self.paths(self.load(binary)))
        exchanged = (
            "connectionEndpoints: [{type: ws-text, options: {urlPath: /deepstream}}, "
            "{type: ws-binary, options: {urlPath: /deepstream-v4}}]"
        )
        self.assertEqual(
            [("ws-text", "/deepstream"), ("ws-binary", "/deepstream-v4")], self.paths(self.load(exchanged))
        )

    def test_endpoint_defaults(self) -> None:
        """
        An endpoint without options is served on its generation's path, with the same limits as by default.
        """
        settings = self.load("connectionEndpoints: [{type: ws-binary}, {type: ws-text, options: }, {type: ws-json}]")
        binary, _, *others = load(None, {}).endpoints
        self.assertEqual((binary, *others), settings.endpoints)
        endpoint = settings.endpoints[1]
        self.assertEqual(
            (
                "ws-text",
                "/deepstream-v3",
                30.0,
                0.0,
                100000,
                180.0,
                3,
                False,
                1048576,
                (),
                16777216,
                65536,
                100,
                None,
                None,
                None,
                False,
                0.3,
                0.01,
            ),
            tuple(vars(endpoint).values()),
        )

    def test_endpoint(self) -> None:
        """
        Every option of a WebSocket endpoint is taken from the file.
        """
        options = {
            "urlPath": "/x",
            "heartbeatInterval": 1,
            "outgoingBufferTimeout": 20,
            "maxBufferByteSize": 3,
            "unauthenticatedClientTimeout": 4000,
            "maxAuthAttempts": 5,
            "logInvalidAuthData": True,
            "maxMessageSize": 6,
            "headers": ["cookie"],
            "maxOutgoingBufferSize": 7,
            "maxMessageSizeBeforeLogin": 9,
            "maxMessagesBeforeLogin": 8,
            "maxMessageRate": 10,
            "maxByteRate": 11,
            "redirectUrl": "wss://other.example/x",
            "rejectClients": False,
            "detectionTimeout": 9,
            "greetingDelay": 0,
        }
        settings = self.load_tree(connectionEndpoints=[{"type": "ws-text", "options": options}])
        self.assertEqual(
            (
                "ws-text",
                "/x",
                0.001,
                0.02,
                3,
                4.0,
                5,
                True,
                6,
                ("cookie",),
                7,
                9,
                8,
                10,
                11,
                "wss://other.example/x",
                False,
                0.009,
                0.0,
            ),
            tuple(vars(settings.endpoints[0]).values()),
        )

    def test_endless_login(self) -> None:
        """
        With false or null a client may stay without logging in.
        """
        for nothing in ("false", "null", "", '"${NOTHING}"'):
            content = f"connectionEndpoints: [{{type: ws-text, options: {{unauthenticatedClientTimeout: {nothing}}}}}]"
            self.assertIsNone(self.load(content).endpoints[0].unauthenticated_client_timeout)

    def test_shared_path(self) -> None:
        """
        The two generations may share a path; null entries of the list are not there.
        """
        entries = [{"type": "ws-binary"}, None, {"type": "ws-text", "options": {"urlPath": "/deepstream"}}]
        settings = self.load_tree(connectionEndpoints=entries)
        self.assertEqual(["/deepstream"] * 2, [endpoint.url_path for endpoint in settings.endpoints])

    def test_refused(self) -> None:
        """
        Endpoints that could not work are refused.
        """
        ws = "connectionEndpoints: [{type: ws-text, options: {%s}}]"
        at = "connectionEndpoints[0].options."
        self.assert_refused(
            (ws % "heartbeatInterval: 30s", at + 'heartbeatInterval: expected a whole number, got "30s"'),
            (ws % "heartbeatInterval: 0", at + "heartbeatInterval: expected a number from 1 to 2147483647, got 0"),
            (ws % "unauthenticatedClientTimeout: true", at + "unauthenticatedClientTimeout: expected a whole number"),
            (ws % "redirectUrl: 'ws://x', rejectClients: true", at + "redirectUrl: clients cannot be both"),
            ("connectionEndpoints: []", "connectionEndpoints: No connection endpoints configured"),
            ("connectionEndpoints: [null, ]", "connectionEndpoints: No connection endpoints configured"),
            ("connectionEndpoints: 5", "connectionEndpoints: expected a list, got 5"),
            ("connectionEndpoints: [{type: http}]", "connectionEndpoints: none of these is built yet"),
            (
                "connectionEndpoints: [{type: ws-bin}]",
                "connectionEndpoints[0].type: expected one of ws-binary, ws-text",
            ),
            ("connectionEndpoints: [{}]", "connectionEndpoints[0].type: expected one of ws-binary, ws-text"),
            ("connectionEndpoints: [{path: ./x}]", "connectionEndpoints[0].path: expected one of ws-binary, ws-text"),
            (
                "connectionEndpoints: [{type: ws-text}, {type: ws-text}]",
                at.replace("0", "1") + "urlPath: another ws-text endpoint has the path /deepstream-v3",
            ),
            (
                "connectionEndpoints: [{type: ws-binary}, {type: ws-json, options: {urlPath: /deepstream}}]",
                at.replace("0", "1") + "urlPath: a ws-json endpoint needs a path of its own: ws-binary has /deepstream",
            ),
            (
                "connectionEndpoints: [{type: ws-json, options: {greetingDelay: 5}}]",
                at + "greetingDelay: belongs to a ws-text endpoint",
            ),
            (
                "connectionEndpoints: [{type: ws-binary, options: {detectionTimeout: 5}}]",
                at + "detectionTimeout: belongs to the ws-text endpoint on the same path",
            ),
            (
                "connectionEndpoints: [{type: ws-binary, options: {greetingDelay: 5}}]",
                at + "greetingDelay: belongs to a ws-text endpoint: clients of v4 and later are not greeted",
            ),
            (
                "connectionEndpoints: [{type: ws-text}, {type: http, options: {requestTimeout: x}}]",
                'connectionEndpoints[1].options.requestTimeout: expected a whole number, got "x"',
            ),
        )
