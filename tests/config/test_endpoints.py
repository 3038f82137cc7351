"""
Tests for L{dstwist.config.endpoints}.
"""

from __future__ import annotations

from dstwist.config import settings
from dstwist.config.endpoints import HttpEndpoint
from dstwist.config.load import load
from tests.config.helpers import ConfigCase


class EndpointTests(ConfigCase):
    """
    C{connectionEndpoints}.
    """

    def paths(self, settings: settings.Settings) -> list[tuple[str, str]]:
        return [(endpoint.type, endpoint.url_path) for endpoint in settings.web_sockets]

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
        binary, _, *others = load(None, {}).web_sockets
        self.assertEqual((binary, *others), settings.endpoints)
        endpoint = settings.web_sockets[1]
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
            self.assertIsNone(self.load(content).web_sockets[0].unauthenticated_client_timeout)

    def test_shared_path(self) -> None:
        """
        The two generations may share a path; null entries of the list are not there.
        """
        entries = [{"type": "ws-binary"}, None, {"type": "ws-text", "options": {"urlPath": "/deepstream"}}]
        settings = self.load_tree(connectionEndpoints=entries)
        self.assertEqual(["/deepstream"] * 2, [endpoint.url_path for endpoint in settings.web_sockets])

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
            ("connectionEndpoints: [{type: mqtt}]", "connectionEndpoints: none of these is built yet"),
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


class HttpTests(ConfigCase):
    """
    C{connectionEndpoints} of type C{http}.
    """

    def test_default(self) -> None:
        """
        Without C{connectionEndpoints} there is one, on the paths of the Node server. A file that lists others has
        none.
        """
        for found in (load(None, {}), self.load("rpc: {ackTimeout: 5}")):
            self.assertEqual([HttpEndpoint()], found.http_apis)
        self.assertEqual([], self.load("connectionEndpoints: [{type: ws-binary}]").http_apis)

    def test_alone(self) -> None:
        """
        A server may have no other endpoints, and has the same defaults then.
        """
        found = self.load("connectionEndpoints: [{type: http}]")
        self.assertEqual(((HttpEndpoint(),), []), (found.endpoints, found.web_sockets))
        self.assertEqual(
            (
                True,
                True,
                "/api/auth",
                "/api",
                "/api",
                False,
                20.0,
                None,
                None,
                "number",
                10000,
                16777216,
                True,
                15.0,
                3.0,
            )
            + (16777216,),
            tuple(vars(found.http_apis[0]).values()),
        )
        self.assertEqual((), found.notes)

    def test_options(self) -> None:
        """
        Every option is taken from the file.
        """
        options = {
            "allowAuthData": False,
            "enableAuthEndpoint": False,
            "authPath": "/a",
            "postPath": "/b",
            "getPath": "/c",
            "logInvalidAuthData": True,
            "requestTimeout": 1,
            "port": 8080,
            "host": "127.0.0.1",
            "errorEventFormat": "name",
            "maxBatchLength": 0,
            "maxAnswerSize": 2,
            "enableStreams": False,
            "heartbeatInterval": 3,
            "reconnectTime": 4,
            "maxOutgoingBufferSize": 5,
        }
        (found,) = self.load_tree(connectionEndpoints=[{"type": "http", "options": options}]).http_apis
        self.assertEqual(
            (False, False, "/a", "/b", "/c", True, 0.001, 8080, "127.0.0.1", "name", 0, 2, False, 0.003, 0.004, 5),
            tuple(vars(found).values()),
        )

    def test_several(self) -> None:
        """
        There may be several endpoints, with other paths or ports.
        """
        entry = "{type: http, options: {port: 8080, postPath: /, authPath: /auth}}"
        both = "connectionEndpoints: [{type: http}, %s]"
        found = self.load(both % entry)
        self.assertEqual([(None, "/api"), (8080, "/")], [(each.port, each.post_path) for each in found.http_apis])
        entry = "{type: http, options: {postPath: /x, enableAuthEndpoint: false}}"
        self.assertEqual(2, len(self.load(both % entry).http_apis))

    def test_refused(self) -> None:
        """
        Endpoints that could not work are refused.
        """
        http = "connectionEndpoints: [{type: http, options: {%s}}]"
        at = "connectionEndpoints[0].options."
        self.assert_refused(
            (http % "requestTimeout: 0", at + "requestTimeout: expected a number from 1"),
            (http % "postPath: api", at + "postPath: expected the path of a URL"),
            (http % "port: 70000", at + "port: expected a number from 1 to 65535, got 70000"),
            (http % "errorEventFormat: names", at + 'errorEventFormat: expected one of number, name, got "names"'),
            (http % "authPath: /api", at + "authPath: it is the same path as postPath"),
            (http % "host: 127.0.0.1", at + "host: belongs to a port of its own, and there is no port"),
            (http % "maxBatchLength: -1", at + "maxBatchLength: expected a number from 0"),
            (
                "connectionEndpoints: [{type: http}, {type: http, options: {authPath: /b}}]",
                at.replace("0", "1") + "postPath: another http endpoint of the same port has the path /api",
            ),
            (
                "connectionEndpoints: [{type: http}, {type: http, options: {postPath: /api/auth, authPath: /b}}]",
                at.replace("0", "1") + "postPath: another http endpoint of the same port has the path /api/auth",
            ),
        )
