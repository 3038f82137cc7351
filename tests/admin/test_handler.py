"""
Commands as handlers of routes.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.admin.commands import Command, CommandError, Parameters
from dstwist.admin.handler import CommandHandler, routes
from dstwist.interfaces import HandshakeData, HttpAnswer, HttpRequest, IHttpHandler
from tests.logs import Lines

TOKEN = "a token of some length"


def request(
    method: str = "GET", query: str = "", body: bytes = b"", headers: dict[str, str] | None = None
) -> HttpRequest:
    return HttpRequest(method, f"/x?{query}", "/x", query, headers or {}, body, HandshakeData("192.0.2.7"))


class HandlerTests(SynchronousTestCase):
    """
    L{CommandHandler}.
    """

    def setUp(self) -> None:
        self.lines = Lines(self)
        self.asked: list[Parameters] = []

    def run_it(self, parameters: Parameters) -> Any:
        self.asked.append(parameters)
        return {"name": parameters.text("name")}

    def handler(self, changes: bool = False, token: str | None = None) -> CommandHandler:
        return CommandHandler(Command("x", self.run_it, ("name", "user"), changes), token)

    def answer(self, handler: CommandHandler, request: HttpRequest) -> tuple[int, Any]:
        answer = handler.handle(request)
        assert isinstance(answer, HttpAnswer)
        self.assertEqual(answer.headers["Cache-Control"], "no-store")
        return answer.status, json.loads(answer.body)

    def test_interface(self) -> None:
        """
        L{CommandHandler} provides L{IHttpHandler}.
        """
        verifyObject(IHttpHandler, self.handler())

    def test_query(self) -> None:
        """
        The parameters of a GET are in the query, in any encoding of URLs.
        """
        self.assertEqual(self.answer(self.handler(), request(query="name=a%2Fb+%C3%A9")), (200, {"name": "a/b \u00e9"}))

    def test_body(self) -> None:
        """
        Those of a POST are a JSON object; no body is one without parameters.
        """
        handler = self.handler(changes=True)
        self.assertEqual(self.answer(handler, request("POST", body=b'{"name": "\\ud800"}')), (200, {"name": "\ud800"}))
        self.assertEqual(self.answer(handler, request("POST")), (200, {"name": None}))

    def test_no_parameters(self) -> None:
        """
        Anything else is refused, and the command is not done.
        """
        handler = self.handler(changes=True)
        for body in (b"[]", b"1", b"{", b"\xff", b"[" * 60_000, b'{"other": 1}'):
            self.assertEqual(self.answer(handler, request("POST", body=body))[0], 400)
        self.assertEqual(self.asked, [])
        self.assertEqual(
            self.answer(self.handler(), request(query="nam=x")),
            (400, {"error": "unknown parameter nam; there are: name, user"}),
        )

    def test_refused(self) -> None:
        """
        A command that cannot be done has its own status, at once or later.
        """
        error = CommandError("there is none", 404)

        def fails(parameters: Parameters) -> Any:
            raise error

        self.assertEqual(self.answer(CommandHandler(Command("x", fails)), request()), (404, {"error": "there is none"}))
        late: Deferred[Any] = Deferred()
        outcome = CommandHandler(Command("x", lambda parameters: late)).handle(request())
        assert isinstance(outcome, Deferred)
        self.assertNoResult(outcome)
        late.errback(error)
        answer = self.successResultOf(outcome)
        assert isinstance(answer, HttpAnswer)
        self.assertEqual((answer.status, json.loads(answer.body)), (404, {"error": "there is none"}))

    def test_mistake(self) -> None:
        """
        A mistake of ours is not hidden.
        """
        late: Deferred[Any] = Deferred()
        outcome = CommandHandler(Command("x", lambda parameters: late)).handle(request())
        late.errback(ZeroDivisionError())
        assert isinstance(outcome, Deferred)
        self.failureResultOf(outcome, ZeroDivisionError)

    def test_token(self) -> None:
        """
        Where a token is needed, nothing is done without it.
        """
        handler = self.handler(token=TOKEN)
        for headers in (
            {},
            {"authorization": "Bearer"},
            {"authorization": f"Basic {TOKEN}"},
            {"authorization": "Bearer \u00e9"},
        ):
            self.assertEqual(self.answer(handler, request(headers=headers))[0], 401)
        self.assertEqual(self.asked, [])
        self.assertEqual(self.answer(handler, request(headers={"authorization": f"Bearer {TOKEN}"}))[0], 200)

    def test_log(self) -> None:
        """
        The log has a line about each command that changes the server, and none about others.
        """
        self.answer(self.handler(), request(query="name=a"))
        self.assertEqual(self.lines.of("info"), [])
        self.answer(self.handler(changes=True), request("POST", body=b'{"user": "ann\\n", "name": "secret"}'))
        self.assertEqual(self.lines.of("info"), ["ADMIN | x user=ann? (192.0.2.7)"])

    def test_routes(self) -> None:
        """
        Only a POST can change the server.
        """
        commands = [Command("a", self.run_it), Command("b", self.run_it, changes=True)]
        found = {route.path: route.methods for route in routes(commands)}
        self.assertEqual(found, {"/a": frozenset({"GET"}), "/b": frozenset({"POST"})})
