"""
Answers the HTTP requests of monitors: C{monitoring: {type: http}} and C{{type: prometheus}}.

A request needs the header of the monitor, unless the configuration says otherwise. Without it the answer is that of a
path that does not exist.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

from zope.interface import implementer

from dstwist.config.monitoring import HttpMonitorSettings
from dstwist.figures.report import Reports
from dstwist.figures.samples import Samples
from dstwist.figures.text_format import CONTENT_TYPE, render
from dstwist.interfaces import HttpAnswer, HttpRequest, IHttpHandler
from dstwist.log import Logger, about
from dstwist.protocol.jsontext import dumps


@implementer(IHttpHandler)
class GuardedHandler:
    """
    Answers the requests that have the right header.

    @param answer: gives the answer.
    """

    _log = Logger()

    def __init__(self, settings: HttpMonitorSettings, answer: Callable[[], HttpAnswer]) -> None:
        self._key = (settings.header_key or "").lower()
        self._value = (settings.header_value or "").encode()
        self._is_open = settings.allow_open_permissions
        self._answer = answer

    def handle(self, request: HttpRequest) -> HttpAnswer:
        if self._is_open or self._has_header(request):
            return self._answer()
        self._log.warn(
            "AUTH_ERROR | Invalid monitoring data due to missing or invalid header values from {client.place}",
            event="AUTH_ERROR",
            **about(request.client),
        )
        return HttpAnswer.text(404, "Endpoint not found.")

    def _has_header(self, request: HttpRequest) -> bool:
        value = request.headers.get(self._key)
        return value is not None and hmac.compare_digest(value.encode("utf-8", "surrogatepass"), self._value)


def report_answer(reports: Reports) -> HttpAnswer:
    """
    The report about the time since the last one.
    """
    since, until, report = reports.take()
    return HttpAnswer.json(200, dumps({"from": since, "to": until, **report}), {"Cache-Control": "no-store"})


def metrics_answer(collect: Callable[[], Samples]) -> HttpAnswer:
    """
    All metrics, for Prometheus.
    """
    return HttpAnswer(200, render(collect()), CONTENT_TYPE, {"Cache-Control": "no-store"})
