"""
All monitors of a node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from twisted.internet.interfaces import IReactorTime

from dstwist.config.monitoring import HttpMonitorSettings, LogMonitorSettings, MonitorSettings
from dstwist.figures.handlers import GuardedHandler, metrics_answer, report_answer
from dstwist.figures.log_monitor import LogMonitor, ReportLog
from dstwist.figures.node_figures import collect_node
from dstwist.figures.node_parts import NodeParts
from dstwist.figures.report import Reports
from dstwist.figures.text_format import values
from dstwist.figures.totals import Totals, count_states, count_totals
from dstwist.interfaces import HttpAnswer, Route
from dstwist.log import count_lines, count_no_lines
from dstwist.scheduling.clocks import wall_time

#: The name in the lines of L{Monitoring.log_report}.
SIGNAL_KEY = "MONITORING"


class Monitoring:
    """
    The figures of one node, and the monitors that its configuration names.

    @param node: the label of the node, for logs.
    @ivar routes: the routes of the monitors that answer HTTP requests.
    """

    def __init__(
        self, settings: Sequence[MonitorSettings], parts: NodeParts, clock: IReactorTime, node: str = ""
    ) -> None:
        self._settings = settings
        self._parts = parts
        self._clock = clock
        self._node = node
        self._on_demand = ReportLog(self._reports(), SIGNAL_KEY, node)
        self._log_monitors = [
            LogMonitor(ReportLog(self._reports(), each.monitoring_key, node), each.log_interval, clock)
            for each in settings
            if isinstance(each, LogMonitorSettings)
        ]
        self.routes = [self._route(each) for each in settings if isinstance(each, HttpMonitorSettings)]

    def start(self) -> None:
        """
        The node starts.
        """
        count_lines(self._parts.lines.count, self._node)
        if self._settings:
            self._parts.lag.start()
        for monitor in self._log_monitors:
            monitor.start()

    def stop(self) -> None:
        """
        The node stops.
        """
        for monitor in self._log_monitors:
            monitor.stop()
        self._parts.lag.stop()
        count_no_lines(self._parts.lines.count)

    def values(self) -> dict[str, float]:
        """
        All values of this moment, by name and labels: C{dstwist_users}.
        """
        return values(collect_node(self._parts))

    def totals(self) -> Totals:
        """
        The counts of reports since the start.
        """
        return count_totals(self._parts)

    def states(self) -> dict[str, int]:
        """
        The entries of each registry at this moment.
        """
        return count_states(self._parts)

    def log_report(self) -> None:
        """
        Write a report about the time since the last call to the log.
        """
        self._on_demand.write()

    def _route(self, settings: HttpMonitorSettings) -> Route:
        answer: Callable[[], HttpAnswer]
        assert settings.url is not None
        is_report = settings.type == "http"
        if is_report:
            answer = partial(report_answer, self._reports())
        else:
            answer = partial(metrics_answer, partial(collect_node, self._parts))
        # Prometheus has no origin, and its requests are exactly those of its configuration.
        return Route(
            frozenset({"GET"}),
            settings.url,
            GuardedHandler(settings, answer),
            is_prefix=is_report,
            checks_origin=is_report,
            while_stopping=True,
        )

    def _reports(self) -> Reports:
        return Reports(self.totals, self.states, self._size, wall_time(self._clock))

    def _size(self) -> int:
        cluster = self._parts.cluster
        return 1 if cluster is None else len(cluster.membership.members)
