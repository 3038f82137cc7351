"""
The examples of the specification (C{operations.md} section 1.17), byte for byte.

Where dstwist differs, the table has the answer of dstwist: C{errorEventName} is added to each error with a number,
reasons of malformed items are about the real problem, errors have the names of their own topic, and a read sees the
writes before it in the same request.
"""

from __future__ import annotations

from typing import Any

from dstwist.config.endpoints import HttpEndpoint, WebSocketEndpoint
from dstwist.config.settings import RpcSettings, Settings
from dstwist.protocol.constants import EventAction, RpcAction, Topic
from dstwist.protocol.message import Message
from tests.http_api.stage import END, HttpApiTestCase, rules, users

A = b'"authData":{"username":"userA","password":"password"}'


def request(*items: bytes) -> bytes:
    """
    A request of C{userA}.
    """
    return b'{%b,"body":[%b]}' % (A, b",".join(items))


def success(*results: bytes) -> bytes:
    return b'{"result":"SUCCESS","body":[%b]}' % b",".join(results)


def failure(*results: bytes) -> bytes:
    return b'{"result":"FAILURE","body":[%b]}' % b",".join(results)


_DONE = b'{"success":true}'
_FORBIDDEN = (
    b'{"success":false,"error":"Message denied. Action \'emit\' is not permitted.","errorEvent":"MESSAGE_DENIED",'
    b'"errorAction":"emit","errorTopic":"event"}'
)
_NOT_FOUND = (
    b'{"errorTopic":"record","errorEvent":107,"errorEventName":"RECORD_NOT_FOUND","success":false,'
    b'"error":"Record read failed. Record \\"%b\\" could not be found."}'
)


def denied(action: int, name: bytes) -> bytes:
    return (
        b'{"errorTopic":"record","errorEvent":115,"errorEventName":"MESSAGE_DENIED","success":false,"action":%d,'
        b'"error":"Message denied. Action \\"%b\\" is not permitted."}' % (action, name)
    )


def of_record(action: bytes, name: bytes, more: bytes = b"") -> bytes:
    return b'{"topic":"record","action":"%b","recordName":"%b"%b}' % (action, name, more)


def write(name: bytes, more: bytes) -> bytes:
    return of_record(b"write", name, b"," + more)


def make(name: bytes, more: bytes = b"") -> bytes:
    return b'{"topic":"rpc","action":"make","rpcName":"%b"%b}' % (name, more)


#: Number, request, status and answer; one after the other on one server.
RECORDS: list[tuple[int, bytes, int, bytes]] = [
    (1, request(b'{"topic":"event","action":"emit","eventName":"e1","data":{"a":1}}'), 200, success(_DONE)),
    (2, request(b'{"topic":"event","action":"emit","eventName":"e1"}'), 200, success(_DONE)),
    (
        3,
        request(
            b'{"topic":"event","action":"emit","eventName":"forbidden","data":1}',
            b'{"topic":"event","action":"emit","eventName":"ok"}',
        ),
        200,
        b'{"result":"PARTIAL_SUCCESS","body":[%b,%b]}' % (_FORBIDDEN, _DONE),
    ),
    (4, request(of_record(b"read", b"r1")), 200, failure(_NOT_FOUND % b"r1")),
    (5, request(of_record(b"head", b"r1")), 200, success(b'{"version":-1,"success":true}')),
    (6, request(write(b"r1", b'"data":{"a":1}')), 200, success(_DONE)),
    (
        6,
        request(of_record(b"read", b"r1"), of_record(b"head", b"r1")),
        200,
        success(b'{"version":1,"data":{"a":1},"success":true}', b'{"version":1,"success":true}'),
    ),
    (7, request(write(b"r1", b'"path":"b.c","data":[1,2]')), 200, success(_DONE)),
    (
        7,
        request(of_record(b"read", b"r1")),
        200,
        success(b'{"version":2,"data":{"a":1,"b":{"c":[1,2]}},"success":true}'),
    ),
    (
        8,
        request(write(b"r1", b'"data":{"x":1},"version":1')),
        200,
        failure(
            b'{"errorTopic":"record","errorEvent":102,"errorEventName":"VERSION_EXISTS","success":false,'
            b'"error":"Record update failed. Version 2 exists for record \\"r1\\".","currentVersion":2,'
            b'"currentData":{"a":1,"b":{"c":[1,2]}}}'
        ),
    ),
    (
        9,
        request(write(b"r1", b'"data":{"x":1},"version":99')),
        200,
        failure(
            b'{"errorTopic":"record","errorEvent":108,"errorEventName":"INVALID_VERSION","success":false,'
            b'"error":"Record update failed. Version 2 is not valid for record \\"r1\\".","currentVersion":2,'
            b'"currentData":{"a":1,"b":{"c":[1,2]}}}'
        ),
    ),
    (
        10,
        request(write(b"r1", b'"data":"str"')),
        400,
        b"Failed to parse JIF object at index 0. Reason: property 'data' must be object or array for topic 'record' "
        b"without a path",
    ),
    (
        11,
        request(write(b"r1", b'"path":"__proto__.x","data":"str"')),
        200,
        failure(
            b'{"errorTopic":"record","errorEvent":116,"errorEventName":"INVALID_MESSAGE_DATA","success":false,'
            b'"error":"An error occurred: INVALID_MESSAGE_DATA.","errorParams":"r1"}'
        ),
    ),
    (12, request(of_record(b"delete", b"r1")), 200, success(_DONE)),
    (12, request(of_record(b"delete", b"r1")), 200, success(_DONE)),
    (13, request(write(b"private/x", b'"data":{}')), 200, failure(denied(16, b"CREATEANDUPDATE"))),
    (13, request(write(b"private/x", b'"path":"a","data":1')), 200, failure(denied(17, b"CREATEANDPATCH"))),
    (13, request(of_record(b"read", b"private/x")), 200, failure(denied(3, b"READ"))),
    (13, request(of_record(b"head", b"private/x")), 200, failure(denied(5, b"HEAD"))),
    (13, request(of_record(b"delete", b"private/x")), 200, failure(denied(9, b"DELETE"))),
    (
        14,
        request(b'{"topic":"record","action":"notify","recordNames":["new","other"]}'),
        200,
        success(_DONE),
    ),
    (
        15,
        request(b'{"topic":"record","action":"notify","recordNames":["ok","private/x"]}'),
        200,
        failure(denied(2, b"NOTIFY")),
    ),
    (
        16,
        request(b'{"topic":"list","action":"write","listName":"l1","data":["a","b"]}'),
        200,
        success(_DONE),
    ),
    (
        16,
        request(b'{"topic":"list","action":"read","listName":"l1"}'),
        200,
        success(b'{"version":1,"data":["a","b"],"success":true}'),
    ),
    (
        17,
        request(b'{"topic":"list","action":"write","listName":"l1","data":["a",1]}'),
        400,
        b"Failed to parse JIF object at index 0. Reason: property 'data' must be array of string",
    ),
    (
        17,
        request(b'{"topic":"list","action":"head","listName":"l1"}'),
        400,
        b"Failed to parse JIF object at index 0. Reason: property 'action' must be one of read, delete, write for "
        b"topic 'list'",
    ),
    (
        21,
        request(b'{"topic":"presence","action":"query"}'),
        200,
        success(b'{"users":["bob"],"success":true}'),
    ),
    (
        21,
        request(b'{"topic":"presence","action":"query","names":["userA","bob"]}'),
        200,
        success(b'{"users":{"userA":false,"bob":true},"success":true}'),
    ),
    (
        21,
        request(b'{"topic":"presence","action":"query","names":[]}'),
        200,
        success(b'{"users":{},"success":true}'),
    ),
    (
        22,
        request(
            write(b"cc", b'"data":{"n":1}'),
            write(b"cc", b'"data":{"n":2}'),
            write(b"cc", b'"path":"k","data":5'),
            of_record(b"read", b"cc"),
        ),
        200,
        success(_DONE, _DONE, _DONE, b'{"version":3,"data":{"n":2,"k":5},"success":true}'),
    ),
    (
        24,
        request(b'{"topic":"event","action":"emit","eventName":"e1"}', b'{"topic":"x"}'),
        400,
        b"Failed to parse JIF object at index 1. Reason: property 'action' is required for topic 'x'",
    ),
]


class ExampleTests(HttpApiTestCase):
    """
    A server whose rules forbid some names.
    """

    def make_settings(self) -> Settings:
        return Settings(
            endpoints=(WebSocketEndpoint("ws-binary", "/deepstream"), HttpEndpoint()),
            permission=rules(
                {
                    "event": {"forbidden": {"publish": False}},
                    "record": {"private/*": dict.fromkeys(("create", "write", "read", "delete", "notify"), False)},
                }
            ),
            rpc=RpcSettings(ack_timeout=1.0, response_timeout=10.0),
        )

    def check(self, number: int, body: bytes, status: int, expected: bytes) -> None:
        """
        Ask, and compare the answer.
        """
        answer = self.ask(body=body)
        self.assertEqual((answer.status, answer.body), (status, expected + END), f"example {number}")
        kind = "application/json" if status == 200 else "text/plain"
        self.assertEqual(answer.headers["content-type"], f"{kind}; charset=utf-8")
        self.assertEqual(answer.headers["access-control-allow-origin"], "*")

    def test_records(self) -> None:
        """
        The examples without a provider.
        """
        self.client("bob")
        for example in RECORDS:
            self.check(*example)

    def test_subscribers(self) -> None:
        """
        Examples 1 and 2: what a subscriber gets. No data is not null.
        """
        client = self.client()
        client.subscribe("e1")
        self.turn()
        client.heard()
        for data, expected in ((b',"data":{"a":1}', b'{"a":1}'), (b"", None), (b',"data":null', b"null")):
            self.ask(body=request(b'{"topic":"event","action":"emit","eventName":"e1"%b}' % data))
            (event,) = client.heard()
            self.assertEqual((event.action, event.name, event.data), (EventAction.EMIT, "e1", expected))

    def provide(self, *names: str) -> Any:
        """
        A client that provides procedures.
        """
        client = self.client("provider")
        client.say(Message(Topic.RPC, RpcAction.PROVIDE, names=names, correlation_id="0"))
        self.turn()
        client.heard()
        return client

    def answer_to(self, body: bytes, provider: Any, *answers: tuple[RpcAction, bytes | None]) -> bytes:
        """
        The answer to a call, if the provider gives C{answers}.
        """
        self.program.send(body=body)
        self.turn()
        (call,) = provider.heard()
        for action, data in answers:
            provider.say(Message(Topic.RPC, action, call.name, data, correlation_id=call.correlation_id))
            self.turn()
        (answer,) = self.program.answers()
        self.assertEqual(answer.status, 200)
        return answer.body

    def test_calls(self) -> None:
        """
        Examples 18 and 19: responses and errors of a provider.
        """
        provider = self.provide("add")
        call = request(make(b"add", b',"data":{"a":1,"b":2}'))
        accept: tuple[RpcAction, bytes | None] = (RpcAction.ACCEPT, None)
        examples: list[tuple[list[tuple[RpcAction, bytes | None]], bytes]] = [
            ([accept, (RpcAction.RESPONSE, b"3")], success(b'{"data":3,"success":true}')),
            ([(RpcAction.RESPONSE, None)], success(_DONE)),
            ([(RpcAction.RESPONSE, b"null")], success(b'{"data":null,"success":true}')),
            (
                [accept, (RpcAction.REQUEST_ERROR, b'"bad thing"')],
                failure(b'{"errorTopic":"rpc","error":"bad thing","success":false}'),
            ),
            (
                [accept, (RpcAction.REQUEST_ERROR, b'{"code":4}')],
                failure(b'{"errorTopic":"rpc","error":{"code":4},"success":false}'),
            ),
            (
                [(RpcAction.REJECT, None)],
                failure(
                    b'{"errorTopic":"rpc","errorEvent":100,"errorEventName":"NO_RPC_PROVIDER","success":false,'
                    b'"error":"No provider was available to handle the RPC \\"add\\"."}'
                ),
            ),
        ]
        for answers, expected in examples:
            self.assertEqual(self.answer_to(call, provider, *answers), expected + END)

    def test_no_provider(self) -> None:
        """
        Example 19: nobody provides the procedure.
        """
        self.check(
            19,
            request(make(b"none")),
            200,
            failure(
                b'{"errorTopic":"rpc","errorEvent":100,"errorEventName":"NO_RPC_PROVIDER","success":false,'
                b'"error":"No provider was available to handle the RPC \\"none\\"."}'
            ),
        )

    def test_late_providers(self) -> None:
        """
        Examples 19 and 20: a provider that does not accept, and one that does not respond.
        """
        provider = self.provide("noack")
        self.program.send(body=request(make(b"noack")))
        self.turn(1.0)
        (answer,) = self.program.answers()
        self.assertEqual(
            answer.body,
            failure(
                b'{"errorTopic":"rpc","errorEvent":101,"errorEventName":"ACCEPT_TIMEOUT","success":false,'
                b'"error":"An error occurred: ACCEPT_TIMEOUT.","errorParams":"noack"}'
            )
            + END,
        )
        provider.heard()
        self.program.send(body=request(make(b"noack")))
        self.turn()
        (call,) = provider.heard()
        provider.say(Message(Topic.RPC, RpcAction.ACCEPT, "noack", correlation_id=call.correlation_id))
        self.turn(10.0)
        (answer,) = self.program.answers()
        self.assertEqual(
            answer.body,
            failure(
                b'{"errorTopic":"rpc","errorEvent":104,"errorEventName":"RESPONSE_TIMEOUT","success":false,'
                b'"error":"The RPC response timeout was exceeded by the provider."}'
            )
            + END,
        )

    def test_preflight(self) -> None:
        """
        Example 27.
        """
        answer = self.ask(
            method="OPTIONS",
            headers=(
                "Access-Control-Request-Method: POST",
                "Access-Control-Request-Headers: content-type,X-Requested-With",
            ),
        )
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.assertEqual(answer.headers["access-control-allow-methods"], "GET, POST, OPTIONS")


class SlowTests(HttpApiTestCase):
    """
    Example 19: a server whose C{requestTimeout} is shorter than the time of a procedure.
    """

    options = {"request_timeout": 0.5}

    def test_timeout(self) -> None:
        """
        An item without a result has an error in its place.
        """
        client = self.client("provider")
        client.say(Message(Topic.RPC, RpcAction.PROVIDE, names=("slow",), correlation_id="0"))
        self.turn()
        self.program.send(body=request(make(b"slow")))
        self.turn(0.5)
        (answer,) = self.program.answers()
        self.assertEqual(
            answer.body,
            failure(
                b'{"success":false,"error":"Request exceeded timeout before a response was received.",'
                b'"errorTopic":"connection","errorEvent":"HTTP_REQUEST_TIMEOUT"}'
            )
            + END,
        )


class LoginTests(HttpApiTestCase):
    """
    Examples 23 and 25: a server whose clients have to log in.
    """

    def make_settings(self) -> Settings:
        return Settings(endpoints=(HttpEndpoint(**self.options),), auth=(users(),))

    def test_logins(self) -> None:
        """
        Requests with and without good credentials.
        """
        event = b'"body":[{"topic":"event","action":"emit","eventName":"e1"}]'
        for body, status, text in [
            (b"{%b,%b}" % (A, event), 200, success(_DONE)),
            (
                b'{"authData":{"username":"userA","password":"x"},%b}' % event,
                401,
                b"Unsuccessful authentication attempt.",
            ),
            (b'{"token":"fiwueeb-3942",%b}' % event, 401, b"Unsuccessful authentication attempt."),
            (b"{%b}" % event, 401, b"Unsuccessful authentication attempt."),
        ]:
            answer = self.ask(body=body)
            self.assertEqual((answer.status, answer.body), (status, text + END))

    def test_auth(self) -> None:
        """
        The path for logins.
        """
        for body, status, text in [
            (b'{"username":"userA","password":"password"}', 200, b'{"clientData":{"favouriteColor":"red"}}'),
            (b'{"username":"userA","password":"bad"}', 401, b"Invalid authentication data."),
        ]:
            answer = self.ask("/api/auth", body)
            self.assertEqual((answer.status, answer.body), (status, text + END))


class NoCredentialsTests(LoginTests):
    """
    Example 23: a server that takes only tokens with requests.
    """

    options = {"allow_auth_data": False}

    def test_logins(self) -> None:
        """
        Credentials in a request are refused, whatever they are.
        """
        answer = self.ask(body=b'{"authData":{"username":"bob"},"body":[1]}')
        self.assertEqual(
            (answer.status, answer.body),
            (400, b"Authentication using authData is disabled. Try using a token instead." + END),
        )
