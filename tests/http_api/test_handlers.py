"""
Tests for L{dstwist.http_api.handlers}: a node in memory, asked over HTTP.
"""

from __future__ import annotations

import gzip
import json
from typing import Any

from dstwist.config.endpoints import HttpEndpoint, WebSocketEndpoint
from dstwist.config.settings import FeatureSettings, Settings
from dstwist.protocol.constants import RpcAction, Topic
from dstwist.protocol.message import Message
from tests.http_api.stage import CALL, END, EVENT, HttpApiTestCase, Program, body, rules, users
from tests.logs import Lines
from tests.turns import next_turn


class PathTests(HttpApiTestCase):
    """
    Which requests are answered, and how.
    """

    def test_prefixes(self) -> None:
        """
        A path has all targets that start with it.
        """
        for target in ("/api", "/api/", "/apix", "/api/x?y", "/api?auth"):
            self.assertEqual(self.post({"body": [EVENT]}, target)[0], 200, target)
        for target in ("/api/auth", "/api/auth/", "/api/authx/y"):
            self.assertEqual(self.post({}, target), (200, {}), target)

    def test_other_paths(self) -> None:
        """
        Elsewhere, a request that is well formed is not found; the mistake of any other comes first.
        """
        for target in ("/", "/ap", "/API", "/%61pi", "/health-check", "/deepstream"):
            self.assertEqual(self.post({}, target), (404, "Endpoint not found."), target)
            self.assertEqual(self.ask(target, b"{", headers=("Content-Type: application/json",)).status, 400)
            self.assertEqual(self.ask(target, b"{}", headers=("Content-Type: text/plain",)).status, 415)

    def test_get(self) -> None:
        """
        GET gets a hint, or the description.
        """
        lines = Lines(self)
        answer = self.ask("/api/x", method="GET")
        self.assertEqual(
            (answer.status, answer.body),
            (
                400,
                b"Reading records via HTTP GET is not yet implemented, please use a post request instead." + END,
            ),
        )
        self.assertIn("READ | client (192.0.2.9, /api/x): Reading records", lines.last("warn"))
        answer = self.ask("/api/openapi.json", method="GET")
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/json; charset=utf-8"))
        self.assertEqual(json.loads(answer.body)["openapi"], "3.0.3")

    def test_methods(self) -> None:
        """
        Every other method is refused on every path.
        """
        for target in ("/api", "/api/auth", "/api/openapi.json", "/x"):
            for method in ("PUT", "DELETE", "PATCH", "TRACE"):
                answer = self.ask(target, b"{}", method)
                self.assertEqual(answer.status, 405, (method, target))

    def test_bad_bodies(self) -> None:
        """
        On each path, a body of the wrong type, size, depth, encoding or charset is refused.
        """
        json_type = "Content-Type: application/json"
        for target in ("/api", "/api/auth", "/x"):
            for content, headers, status in [
                (b"{}", ("Content-Type: text/plain",), 415),
                (b"{}", ("X: y",), 415),
                (b"", ("X: y",), 415),
                (b"{", (json_type,), 400),
                (b'"x"', (json_type,), 400),
                (b"[" * 1000 + b"]" * 1000, (json_type,), 400),
                (b'{"a":' * 1000 + b"1" + b"}" * 1000, (json_type,), 400),
                (b"{}", (json_type, "Content-Encoding: br"), 415),
                (b"{}", (json_type, "Content-Encoding: gzip"), 400),
                (gzip.compress(b" " * 2000000), (json_type, "Content-Encoding: gzip"), 400),
                (b"{}", ("Content-Type: application/json; charset=latin1",), 400),
                (b'{"a":"\xff"}', (json_type,), 400),
            ]:
                answer = self.ask(target, content, headers=headers)
                self.assertEqual(answer.status, status, (target, content[:20], headers))
                self.assertEqual(answer.headers["content-type"], "text/plain; charset=utf-8")
                self.assertTrue(answer.body.endswith(END))
            self.program.send(target, headers=(json_type, "Content-Length: 1048577"))
            (answer,) = self.program.answers()
            self.assertEqual(
                (answer.status, answer.body),
                (400, b"Failed to parse body of request: request entity too large" + END),
            )
            self.program = Program(self.node.factory)
        self.assertEqual(self.node.http.charges.used, 0)

    def test_no_length(self) -> None:
        """
        A POST without a body and without a length is an empty object. (It ends the process of the Node server.)
        """
        answer = self.ask("/api")
        self.assertEqual(
            (answer.status, answer.body), (400, b'Invalid message: the "body" parameter must exist.' + END)
        )
        self.assertEqual(self.ask("/api/auth").body, b"{}" + END)

    def test_compressed(self) -> None:
        """
        A body may be compressed, and in chunks.
        """
        content = gzip.compress(body(EVENT))
        answer = self.ask("/api", content, headers=("Content-Type: application/json", "Content-Encoding: gzip"))
        self.assertEqual(answer.status, 200)
        self.program.connection.dataReceived(
            b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"%x\r\n%b\r\n0\r\n\r\n" % (len(body(EVENT)), body(EVENT))
        )
        self.turn()
        self.assertEqual([answer.status for answer in self.program.answers()], [200])

    def test_pipeline(self) -> None:
        """
        Requests that come at once are answered in order, also if each has to wait.
        """
        provider = self.client("provider")
        provider.say(Message(Topic.RPC, RpcAction.PROVIDE, names=("slow",), correlation_id="0"))
        self.turn()
        provider.heard()
        for number in range(3):
            self.program.send(body=body({**CALL, "data": number}))
            self.program.send(body=body(EVENT, EVENT))
        answers = []
        for _ in range(3):
            self.turn()
            (call,) = provider.heard()
            provider.say(Message(Topic.RPC, RpcAction.RESPONSE, "slow", call.data, correlation_id=call.correlation_id))
            self.turn()
            answers += [json.loads(answer.body)["body"] for answer in self.program.answers()]
        done = {"success": True}
        expected = [[[{"data": number, "success": True}], [done, done]] for number in range(3)]
        self.assertEqual(answers, sum(expected, []))


class NoApiTests(HttpApiTestCase):
    """
    A server without the API.
    """

    def make_settings(self) -> Settings:
        return Settings(endpoints=(WebSocketEndpoint("ws-binary", "/deepstream"),))

    def test_off(self) -> None:
        """
        None of its paths is there.
        """
        for method, target in (("POST", "/api"), ("POST", "/api/auth"), ("GET", "/api"), ("GET", "/api/openapi.json")):
            self.assertEqual(self.ask(target, b"{}", method).status, 404)


class NoAuthPathTests(HttpApiTestCase):
    """
    A server whose API has no path for logins, and takes every POST.
    """

    options = {"post_path": "/", "enable_auth_endpoint": False}

    def test_everything(self) -> None:
        """
        Each POST is a request.
        """
        for target in ("/", "/x", "/api/auth"):
            self.assertEqual(self.post({"body": [EVENT]}, target)[0], 200)
        self.assertEqual(self.ask("/openapi.json", method="GET").status, 200)


class ItemTests(HttpApiTestCase):
    """
    Items of all kinds in one request.
    """

    def test_many(self) -> None:
        """
        A batch of 5,000 events is published in order, in many turns of the reactor.
        """
        client = self.client()
        client.subscribe("e")
        self.turn()
        client.heard()
        self.reactor.tick = 0.0001
        self.program.send(body=body(*({**EVENT, "data": number} for number in range(5000))))
        turns = 0
        heard: list[Any] = []
        answers: list[Any] = []
        while not answers:
            self.assertLess(turns, 10000)
            turns += 1
            next_turn(self.reactor)
            heard += client.heard()
            answers = self.program.answers()
        self.assertGreater(turns, 10)
        self.assertEqual([event.data for event in heard], [b"%d" % number for number in range(5000)])
        found = json.loads(answers[0].body)
        self.assertEqual((found["result"], len(found["body"])), ("SUCCESS", 5000))

    def test_same_names(self) -> None:
        """
        Answers to many items about one record belong to their items.
        """
        record = {"topic": "record", "recordName": "r"}
        results = self.items(
            {**record, "action": "read"},
            {**record, "action": "head"},
            {**record, "action": "write", "data": {"a": 1}},
            {**record, "action": "read"},
            {**record, "action": "write", "data": {"a": 2}},
            {**record, "action": "head"},
            {**record, "action": "read"},
            {**record, "action": "delete"},
            {**record, "action": "read"},
        )
        self.assertEqual([result["success"] for result in results], [False, *[True] * 7, False])
        self.assertEqual([results[place].get("version") for place in (1, 3, 5, 6)], [-1, 1, 2, 2])
        self.assertEqual((results[3]["data"], results[6]["data"]), ({"a": 1}, {"a": 2}))

    def test_numbers(self) -> None:
        """
        Texts and numbers arrive as they were written.
        """
        record = {"topic": "record", "action": "write", "recordName": "r", "data": {"a": [1.5, -0.0, 10**15, "\u00e9"]}}
        self.items(record)
        (read,) = self.items({"topic": "record", "action": "read", "recordName": "r"})
        self.assertEqual(read["data"], {"a": [1.5, 0.0, 10**15, "\u00e9"]})

    def test_long_names(self) -> None:
        """
        Names have the limit of all clients.
        """
        name = "n" * 5000
        results = self.items(
            {**EVENT, "eventName": name},
            {"topic": "record", "action": "read", "recordName": name},
            {"topic": "rpc", "action": "make", "rpcName": name},
            {"topic": "record", "action": "notify", "recordNames": ["ok", name]},
            EVENT,
        )
        self.assertEqual([result["success"] for result in results], [False, False, False, False, True])
        self.assertEqual(
            [result.get("errorEventName") for result in results[:4]],
            ["INVALID_MESSAGE_DATA", "INVALID_MESSAGE_DATA", None, "INVALID_MESSAGE_DATA"],
        )
        self.assertEqual(results[2]["error"], "INVALID_MESSAGE_DATA")

    def test_nothing_left(self) -> None:
        """
        When a request is answered, nothing of it is left.
        """
        self.post({"authData": {"username": "ann"}, "body": [EVENT, CALL]})
        self.assertEqual(self.node.http.charges.used, 0)
        (query,) = self.items({"topic": "presence", "action": "query"})
        self.assertEqual(query["users"], [])


class FeatureTests(HttpApiTestCase):
    """
    A server without some topics.
    """

    def make_settings(self) -> Settings:
        return Settings(
            endpoints=(HttpEndpoint(),), features=FeatureSettings(rpc=False, record=False, event=False, presence=False)
        )

    def test_switched_off(self) -> None:
        """
        An item of a topic that is switched off fails alone. (It ends the process of the Node server.)
        """
        results = self.items(
            CALL, EVENT, {"topic": "list", "action": "read", "listName": "l"}, {"topic": "presence", "action": "query"}
        )
        self.assertEqual(
            [(result["errorTopic"], result["errorEvent"], result["error"]) for result in results],
            [
                (topic, 1, f'Topic "{topic}" is disabled on this server.')
                for topic in ("rpc", "event", "record", "presence")
            ],
        )


class PermissionTests(HttpApiTestCase):
    """
    The rules apply to the user of the request.
    """

    def make_settings(self) -> Settings:
        return Settings(
            endpoints=(WebSocketEndpoint("ws-binary", "/deepstream"), HttpEndpoint()),
            auth=(users(),),
            permission=rules(
                {
                    "event": {
                        "mine": {"publish": "user.id === 'userA' && user.data.role === 'admin'"},
                        "stored": {"publish": "_('switch').on === true"},
                        "broken": {"publish": "data.x.y.z === 1"},
                    },
                    "presence": {"*": {"allow": False}},
                    "rpc": {"secret": {"request": False, "provide": True}},
                }
            ),
        )

    def ask_as(self, *items: Any) -> list[Any]:
        login = {"username": "userA", "password": "password"}
        status, answer = self.post({"authData": login, "body": items})
        self.assertEqual(status, 200)
        results: list[Any] = answer["body"]
        return results

    def test_user(self) -> None:
        """
        Rules see the user's name and data.
        """
        self.assertEqual(self.ask_as({**EVENT, "eventName": "mine"}), [{"success": True}])

    def test_rules_with_records(self) -> None:
        """
        A rule that has to read a record is waited for, also behind all other items. (The Node server never answers.)
        """
        switch = {"topic": "record", "action": "write", "recordName": "switch"}
        stored = {**EVENT, "eventName": "stored"}
        self.assertEqual([result["success"] for result in self.ask_as(stored)], [False])
        self.ask_as({**switch, "data": {"on": True}})
        self.assertEqual([result["success"] for result in self.ask_as(EVENT, stored)], [True, True])

    def test_failing_rule(self) -> None:
        """
        If a rule fails, the event is denied.
        """
        results = self.ask_as({**EVENT, "eventName": "broken", "data": 1})
        self.assertEqual(results[0]["errorEvent"], "MESSAGE_DENIED")

    def test_other_topics(self) -> None:
        """
        Denials of procedures and of presence.
        """
        call, query, some = self.ask_as(
            {**CALL, "rpcName": "secret"},
            {"topic": "presence", "action": "query"},
            {"topic": "presence", "action": "query", "names": ["x"]},
        )
        self.assertEqual((call["errorEvent"], call["action"]), (107, 2))
        self.assertEqual((query["errorEvent"], query["action"]), (102, 2))
        self.assertEqual((some["errorEvent"], some["action"]), (102, 4))
        self.assertEqual(query["error"], 'Message denied. Action "QUERY_ALL" is not permitted.')


class OwnPortTests(HttpApiTestCase):
    """
    A second endpoint with a port of its own.
    """

    def make_settings(self) -> Settings:
        old = HttpEndpoint(port=8080, post_path="/", auth_path="/auth", get_path="/", error_event_format="name")
        return Settings(endpoints=(WebSocketEndpoint("ws-binary", "/deepstream"), HttpEndpoint(), old))

    def test_ports(self) -> None:
        """
        Each port has its own paths; the checks are on both.
        """
        shared, own = self.reactor.tcpServers
        self.assertEqual((shared[0], own[0], own[3]), (6020, 8080, "0.0.0.0"))
        program = Program(own[1])
        read = {"topic": "record", "action": "read", "recordName": "r"}
        answer = self.ask("/", body(read), program=program)
        self.assertEqual(json.loads(answer.body)["body"][0]["errorEvent"], "RECORD_NOT_FOUND")
        self.assertEqual(self.ask("/auth", b"{}", program=program).body, b"{}" + END)
        self.assertEqual(self.ask("/health-check", None, "GET", program=program).status, 200)
        self.assertEqual(self.post({"body": [read]})[1]["body"][0]["errorEvent"], 107)
        self.assertEqual(self.post({"body": [read]}, "/")[0], 404)

    def test_no_web_sockets(self) -> None:
        """
        The port is not for WebSockets.
        """
        program = Program(self.reactor.tcpServers[1][1])
        answer = self.ask(
            "/deepstream",
            None,
            "GET",
            ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
            program,
        )
        self.assertEqual(answer.status, 400)

    def test_stop(self) -> None:
        """
        A stop refuses requests on both ports.
        """
        programs = [Program(port[1]) for port in self.reactor.tcpServers]
        for program in programs:
            self.ask("/health-check", None, "GET", program=program)
        self.client()
        self.node.stop()
        for program in programs:
            self.assertEqual(self.ask("/", b"{}", program=program).status, 503)
