"""
The paths of the API.

===========================  ==========================================================================================
path                         answer
===========================  ==========================================================================================
POST C{postPath}...          200 with the results of all items, also if each of them failed; another status if no item
                             was begun
POST C{authPath}...          200 with the token and the data of the user, or 401
POST on any other path       404, if the request is well formed
GET C{getPath}...            400: a hint
GET postPath/openapi.json    the description of the API (L{dstwist.http_api.document})
===========================  ==========================================================================================

=========  ==========================================================================================================
status     reason
=========  ==========================================================================================================
400        the request is not well formed
401        the login is refused
415        the body is not JSON
429        the user, or the address, has exceeded a limit
503        no decision about the login; too many requests under way; the server stops
=========  ==========================================================================================================
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from dstwist.config.endpoints import HttpEndpoint
from dstwist.connections.login import LoginDecision, Outcome
from dstwist.connections.request_logins import RequestLogins
from dstwist.http_api.batch import Batch, BatchRequester
from dstwist.http_api.batches import Batches
from dstwist.http_api.body import TOO_MUCH, BadRequest, charset_of, read_body
from dstwist.http_api.charges import Charge, Charges
from dstwist.http_api.document import Template
from dstwist.http_api.envelope import Envelope, open_envelope
from dstwist.http_api.items import BadItem, parse_item
from dstwist.http_api.rates import RequestRates
from dstwist.http_api.results import Results
from dstwist.interfaces import HandshakeData, HttpAnswer, HttpOutcome, HttpRequest, IHttpHandler, Route
from dstwist.log import Client, Logger, about, shown
from dstwist.protocol.constants import Topic
from dstwist.protocol.jsontext import dumps
from dstwist.protocol.weights import weigh_json
from dstwist.routing.router import Router
from dstwist.scheduling.deadlines import Deadlines
from dstwist.scheduling.time_slices import TurnPause
from dstwist.scheduling.turns import Turns

_log = Logger()

_POST, _GET = frozenset(("POST",)), frozenset(("GET",))
_NOT_FOUND = HttpAnswer.text(404, "Endpoint not found.")
_NO_READS = "Reading records via HTTP GET is not yet implemented, please use a post request instead."
_UNDECIDED = HttpAnswer.text(503, "The login could not be decided. Try again later.", {"Retry-After": "1"})

#: How many items are looked at before the clock is.
_ITEMS_PER_LOOK = 20


#: Answers a POST whose memory is counted.
Work = Callable[[HttpRequest, Charge], Awaitable[HttpAnswer]]


@dataclass(frozen=True)
class ApiParts:
    """
    The parts of the node that requests need.

    @ivar topics: the topics that are served.
    @ivar max_body: the most bytes of a body.
    @ivar node: the label of the node, for logs.
    """

    router: Router
    logins: RequestLogins
    rates: RequestRates
    charges: Charges
    batches: Batches
    topics: frozenset[Topic]
    max_body: int
    clock: IReactorTime
    node: str = ""


class HttpApi:
    """
    One endpoint of the API.

    @param template: makes the description of the endpoint.
    @ivar routes: its paths.
    """

    def __init__(self, settings: HttpEndpoint, parts: ApiParts, template: Template) -> None:
        self._settings = settings
        self._parts = parts
        self._turns = Turns.of(parts.clock)
        self._results = Results(settings.error_event_format == "name")
        self._deadlines: Deadlines[Batch] = Deadlines(settings.request_timeout, parts.clock, self._too_late)
        self.routes = self._routes(template.make_document(settings))

    def _routes(self, document: bytes) -> list[Route]:
        settings = self._settings
        description = HttpAnswer(200, document, "application/json; charset=utf-8")
        routes = [
            Route(_POST, settings.post_path, self._handler(self._post), is_prefix=True),
            Route(_GET, settings.get_path, _Handler(self._refuse_get), is_prefix=True),
            Route(_GET, f"{settings.post_path.rstrip('/')}/openapi.json", _Handler(lambda request: description)),
        ]
        if settings.enable_auth_endpoint:
            routes.append(Route(_POST, settings.auth_path, self._handler(self._log_in), is_prefix=True))
        if settings.post_path != "/" and not (settings.enable_auth_endpoint and settings.auth_path == "/"):
            routes.append(Route(_POST, "/", self._handler(self._find_nothing), is_prefix=True))
        return routes

    def stop(self) -> None:
        """
        Cancel the timer.
        """
        self._deadlines.stop()

    # -- the paths

    def _refuse_get(self, request: HttpRequest) -> HttpAnswer:
        _log.warn("READ | {client}: {problem}", problem=_NO_READS, event="READ", **about(request.client))
        return HttpAnswer.text(400, _NO_READS)

    async def _find_nothing(self, request: HttpRequest, charge: Charge) -> HttpAnswer:
        await self._read(request, charge)
        return _NOT_FOUND

    async def _log_in(self, request: HttpRequest, charge: Charge) -> HttpAnswer:
        credentials = dumps(await self._read(request, charge))
        decision = await self.decide(request.client, credentials, "Invalid authentication data.")
        parts = []
        if decision.login is not None and decision.login.token is not None:
            parts.append(b'"token":' + dumps(decision.login.token))
        if decision.client_data not in (None, b"null"):
            parts.append(b'"clientData":%b' % decision.client_data)
        return HttpAnswer.json(200, b"{%b}" % b",".join(parts))

    async def _post(self, request: HttpRequest, charge: Charge) -> HttpAnswer:
        pause = TurnPause(self._turns)
        value = await self._read(request, charge, pause)
        try:
            envelope = open_envelope(value, self._settings)
        except BadRequest as problem:
            reason = problem.answer.body.decode().strip()
            _log.warn(
                "INVALID_MESSAGE | {client}: {reason}", reason=reason, event="INVALID_MESSAGE", **about(request.client)
            )
            raise
        del value
        decision = await self.decide(request.client, envelope.credentials, "Unsuccessful authentication attempt.")
        client = Client(decision.user, request.client.address, request.client.path, 0, self._parts.node)
        wait = self._parts.rates.spend(client, len(envelope.items), len(request.body))
        if wait:
            raise BadRequest(HttpAnswer.text(429, "Too many requests. Try again later.", {"Retry-After": str(wait)}))
        parts = self._parts
        batch = Batch(self._results, parts.topics, self._settings.max_answer_size, charge, parts.clock)
        parts.batches.add(batch, client)
        try:
            await self._parse(batch, envelope, request.client, pause)
            del envelope
            return await self._run(batch, client, decision, pause)
        finally:
            parts.batches.remove(batch)

    # -- the steps of a request

    async def _read(self, request: HttpRequest, charge: Charge, pause: TurnPause | None = None) -> Any:
        pause = pause or TurnPause(self._turns)
        return await read_body(request.headers, request.body, self._parts.max_body, pause, charge.take)

    async def decide(self, client: HandshakeData, credentials: bytes, refusal: str) -> LoginDecision:
        """
        Log in.

        @param refusal: the text of the answer to a refused login.
        @raise BadRequest: the login is not accepted.
        """
        login = self._parts.logins.login(client, credentials)
        if not login.called:
            # An authenticator of the operator's own may never decide.
            login.addTimeout(self._settings.request_timeout, self._parts.clock)
        try:
            decision = await login
        except TimeoutError:
            raise BadRequest(_UNDECIDED) from None
        outcome = decision.outcome
        if outcome is Outcome.ACCEPTED:
            return decision
        if outcome is Outcome.REFUSED:
            if self._settings.log_invalid_auth_data:
                _log.info(
                    "AUTH_UNSUCCESSFUL | {client} sent {credentials}",
                    credentials=shown(credentials.decode(), 2000),
                    event="AUTH_UNSUCCESSFUL",
                    **about(client),
                )
            raise BadRequest(HttpAnswer.text(401, refusal))
        if outcome is Outcome.EXCEEDED:
            raise BadRequest(HttpAnswer.text(429, decision.reason))
        raise BadRequest(_UNDECIDED)

    async def _parse(self, batch: Batch, envelope: Envelope, client: HandshakeData, pause: TurnPause) -> None:
        """
        Add the items of a request to C{batch}; none of them begins.

        @raise BadRequest: an item is not well formed.
        """
        for index, value in enumerate(envelope.items):
            if not index % _ITEMS_PER_LOOK and pause.due():
                await pause.wait()
            try:
                item = parse_item(index, value)
            except BadItem as problem:
                _log.debug(
                    "MESSAGE_PARSE_ERROR | {client}: {reason}",
                    reason=str(problem),
                    event="MESSAGE_PARSE_ERROR",
                    **about(client),
                )
                text = f"Failed to parse JIF object at index {index}. Reason: {problem}"
                raise BadRequest(HttpAnswer.text(400, text)) from None
            batch.add(item)

    async def _run(self, batch: Batch, client: Client, decision: LoginDecision, pause: TurnPause) -> HttpAnswer:
        parts = self._parts
        server_data = None if decision.login is None else decision.login.server_data
        batch.start(
            lambda receive, served: BatchRequester(
                client, decision.client_data, server_data, parts.router, parts.clock, receive, served
            )
        )
        self._deadlines.add(batch)
        try:
            while batch.begin_some():
                if pause.due():
                    await pause.wait()
            if batch.open:
                await batch.wait()
            return HttpAnswer.json(200, batch.answer())
        finally:
            self._deadlines.remove(batch)
            batch.end()

    def _too_late(self, batch: Batch) -> None:
        _log.warn(
            "HTTP_REQUEST_TIMEOUT | HTTP Request timeout: {open} of {count} items have no result",
            open=batch.open,
            count=len(batch),
            event="HTTP_REQUEST_TIMEOUT",
            node=self._parts.node,
        )
        batch.time_out()

    # -- every POST

    def _handler(self, work: Work) -> _Handler:
        return _Handler(partial(self._answer, work))

    def _answer(self, work: Work, request: HttpRequest) -> HttpOutcome | Deferred[HttpOutcome]:
        """
        Do C{work} if there is memory for it.
        """
        try:
            # Before the body is looked at.
            charset_of(request.headers)
        except BadRequest as problem:
            return problem.answer
        charge = self._parts.charges.enter(weigh_json(request.body))
        if charge is None:
            _log.warn(
                "LIMIT_EXCEEDED | {limit}: the requests under way take {size} bytes, a request of {client} is refused",
                limit="maxHttpBytes",
                size=self._parts.charges.used,
                event="LIMIT_EXCEEDED",
                **about(request.client),
            )
            return TOO_MUCH
        return Deferred.fromCoroutine(_charged(charge, work(request, charge)))


async def _charged(charge: Charge, work: Awaitable[HttpAnswer]) -> HttpOutcome:
    """
    Do C{work}, and give back its memory when the client has its answer.
    """
    kept = False
    try:
        answer = await work
        kept = True
    except BadRequest as problem:
        answer = problem.answer
    finally:
        if not kept:
            charge.give()
    return HttpAnswer(answer.status, answer.body, answer.content_type, answer.headers, charge.give if kept else None)


@implementer(IHttpHandler)
class _Handler:
    def __init__(self, answer: Callable[[HttpRequest], HttpOutcome | Deferred[HttpOutcome]]) -> None:
        self.handle = answer
