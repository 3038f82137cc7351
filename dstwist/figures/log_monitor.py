"""
Reports in the log: C{monitoring: {type: log}}, and SIGUSR2 (C{operations.md} section 7.3)::

    LOG_MONITORING | Monitoring stats for 1795519275434 to 1795519277435 | {"LOG_MONITORING":{"clusterSize":1, ...
"""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.figures.report import Reports
from dstwist.log import OperatorLogger
from dstwist.protocol.jsontext import dumps


class ReportLog:
    """
    Writes reports.

    @param key: the name of the monitor in its lines.
    @param node: the label of the node.
    """

    _log = OperatorLogger()

    def __init__(self, reports: Reports, key: str, node: str = "") -> None:
        self._reports = reports
        self._key = key
        self._node = node

    def write(self) -> None:
        """
        Write a report about the time since the last one.
        """
        since, until, report = self._reports.take()
        self._log.info(
            "{key} | Monitoring stats for {since} to {until} | {report}",
            key=self._key,
            since=since,
            until=until,
            report=dumps({self._key: report, "from": since, "to": until}).decode(),
            event="MONITORING",
            node=self._node,
        )


class LogMonitor:
    """
    Writes a report each interval.
    """

    def __init__(self, report_log: ReportLog, interval: float, clock: IReactorTime) -> None:
        self._report_log = report_log
        self._interval = interval
        self._clock = clock
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """
        Write from now on.
        """
        self._timer = self._clock.callLater(self._interval, self._write)

    def stop(self) -> None:
        """
        Write no more.
        """
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _write(self) -> None:
        self.start()
        self._report_log.write()
