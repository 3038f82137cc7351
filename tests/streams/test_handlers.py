"""
Tests for L{dstwist.streams.handlers}: a node in memory, asked over HTTP.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed

from dstwist.config.endpoints import HttpEndpoint, WebSocketEndpoint
from dstwist.config.limits import LimitSettings
from dstwist.config.settings import FeatureSettings, Settings
from dstwist.connections.login import LoginDecision, Outcome
from dstwist.interfaces import HandshakeData, Login
from tests.http_api.stage import rules, users
from tests.streams.stage import StreamTestCase
from tests.transports.http_helpers import Answer


class PathTests(StreamTestCase):
    """
    A server that permits everything.
    """

    def test_head(self) -> None:
        """
        The headers that browsers and proxies need.
        """
        reader = self.ask_for("/api/events/news")
        headers = reader.head().headers
        self.assertEqual(headers["content-type"], "text/event-stream")
        self.assertEqual(headers["cache-control"], "no-store")
        self.assertEqual(headers["x-accel-buffering"], "no")
        self.assertEqual(headers["access-control-allow-origin"], "*")
        self.assertEqual(reader.read(), ["retry: 3000"])

    def test_head_only(self) -> None:
        """
        HEAD gets the same head, or the same error, and leaves no stream.
        """
        for target, status in (("/api/events/news", 200), ("/api/records/none", 404)):
            data = self.ask_for(target, method="HEAD").transport.take()
            answer = Answer(data, of_head=True)
            self.assertEqual((answer.status, answer.rest), (status, b""))
            self.assertEqual(len(self.node.http.streams), 0)
            self.assertEqual(list(self.node.http.streams.all()), [])

    def test_names(self) -> None:
        """
        The name is the rest of the path, percent-decoded.
        """
        client = self.client()
        for path, name in (("a/b", "a/b"), ("a%2Fb", "a/b"), ("h%C3%A4%20x+y", "hä x+y"), ("q%3F?token=t", "q?")):
            reader = self.open(f"/api/events/{path}")
            reader.read()
            self.emit(client, name, b"1")
            self.assertEqual(reader.read(), ["event: emit\ndata: 1"], path)
            reader.go()

    def test_no_names(self) -> None:
        """
        Paths that are none.
        """
        for path, text in (
            ("", "There is no name in the path."),
            ("%", "The name in the path is not percent-encoded."),
            ("a%4", "The name in the path is not percent-encoded."),
            ("%FF", "The name in the path is not UTF-8."),
        ):
            self.assertEqual(self.refused(f"/api/events/{path}"), (400, "INVALID_MESSAGE", text))
            self.assertEqual(self.refused(f"/api/records/{path}"), (400, "INVALID_MESSAGE", text))

    def test_long_names(self) -> None:
        """
        The limit of names applies.
        """
        for kind in ("events", "records"):
            status, event, _ = self.refused(f"/api/{kind}/{'x' * 4097}")
            self.assertEqual((status, event), (400, "INVALID_MESSAGE_DATA"))
            self.assertEqual(self.refused(f"/api/{kind}/")[0], 400)

    def test_no_record(self) -> None:
        """
        A record that does not exist is not created.
        """
        expected = (404, "RECORD_NOT_FOUND", 'Record read failed. Record "none" could not be found.')
        self.assertEqual(self.refused("/api/records/none"), expected)
        self.assertEqual(self.refused("/api/records/none"), expected)

    def test_other_methods(self) -> None:
        """
        Nothing else is served there.
        """
        answer = Answer(self.ask_for("/api/events/x", method="PUT").transport.take())
        self.assertEqual(answer.status, 405)

    def test_hint(self) -> None:
        """
        GET on other paths gets the hint.
        """
        answer = Answer(self.ask_for("/api/others/x").transport.take())
        self.assertEqual(answer.status, 400)
        self.assertIn(b"not yet implemented", answer.body)

    def test_gone_while_asking(self) -> None:
        """
        A client that goes before the answer leaves nothing behind.
        """
        reader = self.ask_for("/api/events/x")
        reader.go()
        other = self.node.http.streams
        self.assertEqual(len(other), 0)
        reader = self.ask_for("/api/events/x")
        reader.go()
        self.turn()
        self.assertEqual((len(other), list(other.all())), (0, []))


class EndpointTests(StreamTestCase):
    """
    Other options of the endpoint.
    """

    options: dict[str, Any] = {"get_path": "/", "reconnect_time": 0.5, "error_event_format": "name"}

    def test_options(self) -> None:
        """
        Below another path, with another time, and names of errors.
        """
        self.assertEqual(self.open("/events/x").read(), ["retry: 500"])
        self.assertEqual(self.refused("/records/x")[:2], (404, "RECORD_NOT_FOUND"))


class OffTests(StreamTestCase):
    """
    A server without streams.
    """

    options: dict[str, Any] = {"enable_streams": False}

    def test_off(self) -> None:
        """
        There is nothing but the hint.
        """
        answer = Answer(self.ask_for("/api/events/x").transport.take())
        self.assertIn(b"not yet implemented", answer.body)


class TopicTests(StreamTestCase):
    """
    A server without events.
    """

    def make_settings(self) -> Settings:
        return Settings(
            endpoints=(WebSocketEndpoint("ws-binary", "/deepstream"), HttpEndpoint()),
            features=FeatureSettings(event=False),
        )

    def test_switched_off(self) -> None:
        """
        A topic that is switched off.
        """
        expected = (404, "UNKNOWN_TOPIC", 'Topic "event" is disabled on this server.')
        self.assertEqual(self.refused("/api/events/x"), expected)


class LoginTests(StreamTestCase):
    """
    A server whose clients have to log in, with rules.
    """

    def make_settings(self) -> Settings:
        return Settings(
            endpoints=(WebSocketEndpoint("ws-binary", "/deepstream"), HttpEndpoint()),
            auth=(users(),),
        )

    def test_refused(self) -> None:
        """
        Without a token, with a wrong one, and with an empty one.
        """
        expected = (401, "AUTH_UNSUCCESSFUL", "Unsuccessful authentication attempt.")
        self.assertEqual(self.refused("/api/events/x"), expected)
        self.assertEqual(self.refused("/api/events/x?token=no"), expected)
        self.assertEqual(self.refused("/api/events/x", "Authorization: Bearer no"), expected)
        answer = Answer(self.ask_for("/api/events/x").transport.take())
        self.assertEqual(answer.headers["www-authenticate"], "Bearer")
        for target, header in (("/api/events/x?token=", "A: b"), ("/api/events/x", "Authorization: bearer  ")):
            self.assertEqual(
                self.refused(target, header), (400, "INVALID_MESSAGE", "The token must be a non-empty string.")
            )
        self.assertEqual(len(self.node.http.streams), 0)

    def test_tokens(self) -> None:
        """
        The token of a header, or else of the query. Other schemes are for proxies.
        """
        asked = []

        def login(client: HandshakeData, credentials: bytes) -> Deferred[LoginDecision]:
            asked.append(credentials)
            return succeed(LoginDecision(Outcome.ACCEPTED, Login(True, "ann"), "ann"))

        self.patch(self.node.request_logins, "login", login)
        self.open("/api/events/x", "Authorization: Bearer ab.c")
        self.open("/api/events/x?token=a%20b&x=y")
        self.open("/api/events/x?token=other", "authorization: bearer  mine")
        self.open("/api/events/x?token=t", "Authorization: Basic dTpw")
        self.open("/api/events/x", "Authorization: Basic dTpw")
        self.assertEqual(asked, [b'{"token":"%b"}' % token for token in (b"ab.c", b"a b", b"mine", b"t")] + [b"{}"])
        self.assertEqual(self.node.http.streams.count("ann"), 5)

    def test_undecided(self) -> None:
        """
        A login that cannot be decided now; a client that goes before the decision; a server that stops before it.
        """
        waiting: list[Deferred[LoginDecision]] = []

        def login(client: HandshakeData, credentials: bytes) -> Deferred[LoginDecision]:
            waiting.append(Deferred())
            return waiting[-1]

        self.patch(self.node.request_logins, "login", login)
        reader = self.ask_for("/api/events/x")
        waiting[-1].callback(LoginDecision(Outcome.UNDECIDED))
        self.turn()
        self.assertEqual(reader.head().status, 503)
        reader = self.ask_for("/api/events/x")
        self.assertEqual(len(self.node.http.streams), 1)
        reader.go()
        self.assertTrue(waiting[-1].called)
        self.assertEqual(len(self.node.http.streams), 0)
        reader = self.ask_for("/api/events/x")
        self.node.http.refuse_clients("Too late.")
        waiting[-1].callback(LoginDecision(Outcome.ACCEPTED, Login(True, "ann"), "ann"))
        self.turn()
        self.assertEqual(reader.head().status, 503)
        self.assertEqual(self.refused("/api/events/x"), (503, "UNAVAILABLE", "Too late."))


class RuleTests(StreamTestCase):
    """
    A server whose rules forbid some names.
    """

    def make_settings(self) -> Settings:
        return Settings(
            endpoints=(WebSocketEndpoint("ws-binary", "/deepstream"), HttpEndpoint()),
            permission=rules(
                {
                    "event": {"forbidden": {"subscribe": False}},
                    "record": {"forbidden": {"read": False, "create": True, "write": True}},
                }
            ),
        )

    def test_denied(self) -> None:
        """
        The permission decides as for clients.
        """
        status, event, text = self.refused("/api/events/forbidden")
        self.assertEqual((status, event), (403, "MESSAGE_DENIED"))
        status, event, text = self.refused("/api/records/forbidden")
        self.assertEqual((status, event), (403, "MESSAGE_DENIED"))
        self.assertEqual(len(self.node.http.streams), 0)
        self.open("/api/events/other")


class LimitTests(StreamTestCase):
    """
    A server with few streams.
    """

    def make_settings(self) -> Settings:
        return Settings(
            endpoints=(WebSocketEndpoint("ws-binary", "/deepstream"), HttpEndpoint()),
            limits=LimitSettings(max_streams=3, max_streams_per_address=2),
        )

    def test_limits(self) -> None:
        """
        Further streams are refused until others have ended.
        """
        readers = [self.open("/api/events/x") for _ in range(2)]
        self.assertEqual(
            self.refused("/api/events/x"), (429, "TOO_MANY_REQUESTS", "There are more than 2 streams of one address.")
        )
        self.open("/api/events/x", address="192.0.2.10")
        self.assertEqual(
            self.refused("/api/events/x", address="192.0.2.11"), (503, "UNAVAILABLE", "There are more than 3 streams.")
        )
        readers[0].go()
        self.open("/api/events/x")

    def test_refusals(self) -> None:
        """
        Streams that are refused for other reasons do not count.
        """
        for _ in range(4):
            self.assertEqual(self.refused("/api/records/none")[0], 404)
        self.open("/api/events/x")
