"""
The server that C{twistd dstwist} runs: one node in a process of its own.

::

    twistd: makeService, [background], privilegedStartService, [--uid], startService, reactor ... stopService
    from outside:              signals, the pipe to the terminal, systemd, the pid file

The node never ends the process; this module does, with status 0 after a request to stop, and with status 1 if the node
does not start, or has lost a store (C{exitOnFatalError}).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from dstwist.errors import StartError, StoppedError
from dstwist.log import OperatorLogger
from dstwist.node import Node
from dstwist.process import signals
from dstwist.process.background import Report
from dstwist.process.file_owner import Owner
from dstwist.process.pid_file import keep_pid_file, remove_pid_file
from dstwist.process.service_manager import ServiceManager
from dstwist.process.signals import Signals

#: The time for all parts but stores and authentication to start or to stop, in seconds.
OTHER_PARTS_SECONDS = 30.0


class Server(Service):
    """
    The node, and the parts of the process around it.

    @param options: the options of twistd: C{pidfile}, C{nodaemon}, C{logfile} and so on; empty without twistd.
    @param reopen: functions that reopen the log file.
    @param quit: ends the process at once.
    """

    _log = OperatorLogger()

    def __init__(
        self,
        node: Node,
        reactor: Any,
        options: MutableMapping[str, Any],
        manager: ServiceManager,
        report: Report,
        reopen: Sequence[Callable[[], object]],
        quit: Callable[[int], object] = os._exit,
    ) -> None:
        self._node = node
        self._reactor = reactor
        self._options = options
        self._manager = manager
        self._report = report
        self._quit = quit
        self._stopping = False
        # Why the server ends without a request to stop.
        self._reason: str | None = None
        node.on_fatal_error(self._lost)
        self.signals = Signals(reactor, self._reload, self._stop, self.quit, reopen, node.log_figures)

    # -- the life of a service

    def privilegedStartService(self) -> None:
        self._manager.starting(self._node.longest_start + OTHER_PARTS_SECONDS)
        path = self._options.get("pidfile")
        if path and keep_pid_file(path, Owner.of(self._options)):
            # Otherwise twistd would try to remove it at the end, and report an error.
            self._options["pidfile"] = ""
        try:
            self._node.bind()
        except StartError as error:
            reason = f"{error} (--host, --port and --listen say where to listen)"
            self._log.critical("{event} | {reason}", event="PLUGIN_INITIALIZATION_ERROR", reason=reason)
            self._give_up(reason)

    def startService(self) -> None:
        super().startService()
        self._node.start().addCallbacks(self._started, self._not_started)
        if self._reason is not None:
            self._give_up(self._reason)

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self._stopping = True
        self._manager.stopping(self._node.longest_stop + OTHER_PARTS_SECONDS)
        stopped = self._node.stop()
        stopped.addBoth(self._stopped)
        return stopped

    def _stopped(self, result: Any) -> Any:
        self._manager.stop()
        return result

    def _started(self, result: None) -> None:
        self._report.ready()
        self._manager.ready("serving clients")
        self.signals.take_all()

    def _not_started(self, failure: Failure) -> None:
        if failure.check(StoppedError):
            self._report.failed("the server was stopped before it was ready")
            return
        self._reason = reason = failure.getErrorMessage()
        self._report.failed(reason)
        self._stop_reactor()

    def _lost(self, reason: str) -> None:
        """
        Stop in order, because a store is lost.
        """
        if not self._stopping:
            self._reason = reason
            self._stop_reactor()

    def _give_up(self, reason: str) -> None:
        """
        End the process before its reactor runs.
        """
        self._report.failed(reason)
        self._reason = reason
        self.remove_pid_file()
        raise SystemExit(1)

    # -- signals

    def _reload(self) -> None:
        if self._stopping:
            return
        self._manager.reloading()
        fine = self._node.reload()
        self._manager.ready("serving clients" if fine else "serving clients; the last reload had problems, see the log")

    def _stop(self, name: str) -> None:
        self._log.info("INFO | {signal}: dstwist is stopping", signal=name, event="INFO")
        self._stop_reactor()

    def _stop_reactor(self) -> None:
        if self._reactor.running and not self._stopping:
            self._stopping = True
            self._reactor.stop()

    # -- the end

    def quit(self, status: int) -> None:
        """
        End the process at once.
        """
        self.remove_pid_file()
        self._quit(status)

    def at_exit(self) -> None:
        """
        The last thing that the process does. twistd ends it with status 0 however its reactor was stopped.
        """
        signals.ignore()
        self.remove_pid_file()
        if self._reason is not None:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            # The log has the reason further up; here it is the last line.
            self._tell(self._reason)
            self._quit(1)

    def remove_pid_file(self) -> None:
        """
        Remove the pid file of this process.
        """
        path = self._options.get("pidfile")
        if path:
            remove_pid_file(path, os.getpid())

    def _tell(self, reason: str) -> None:
        """
        Print on the terminal why the server does not run. In the background, L{Report} does.
        """
        if self._options.get("nodaemon") and sys.__stderr__ is not None:
            for line in reason.splitlines():
                sys.__stderr__.write(f"dstwist: {line}\n")
            sys.__stderr__.flush()


def make_files(options: Mapping[str, Any], data_dir: str | None) -> None:
    """
    Create missing directories, and the log file if another user will write to it.

    @param options: twistd's.
    @raise StartError: one of them cannot be created.
    """
    owner = Owner.of(options)
    log_file, pid_file = options.get("logfile"), options.get("pidfile")
    if log_file == "-" or options.get("syslog") or options.get("logger"):
        log_file = None
    elif not log_file and not options.get("nodaemon", True):
        log_file = "twistd.log"
    tasks: list[tuple[str, str | None, Callable[[str], None]]] = [
        ("--data-dir", data_dir, owner.make_directory),
        ("--logfile", log_file, owner.make_file),
        ("--pidfile", pid_file, lambda path: owner.make_directory(os.path.dirname(os.path.abspath(path)), 0o755)),
    ]
    for option, path, make in tasks:
        if path:
            try:
                make(path)
            except OSError as error:
                raise StartError(f"{option} {path}: {error.strerror}") from None
