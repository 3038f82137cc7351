"""
The entry point of C{twistd dstwist}: its options, and the service that they describe.

==================  =================================================================================================
exit status         reason
==================  =================================================================================================
0                   SIGTERM or SIGINT has stopped the server
1                   the server cannot start at present: a port is taken, a store cannot be opened; or a store was lost
                    (C{exitOnFatalError})
71                  no memory is left, see L{dstwist.process.out_of_memory}
78                  the options or the configuration cannot be used: another start does not help (C{EX_CONFIG})
128 + n             signal n came again while the server was stopping
==================  =================================================================================================
"""

from __future__ import annotations

import atexit
import faulthandler
import os
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.logger import globalLogBeginner, globalLogPublisher
from twisted.python.usage import Options as TwistedOptions
from twisted.python.usage import UsageError

from dstwist.config.load import load
from dstwist.config.settings import Settings
from dstwist.config.values import generate_uid
from dstwist.endpoints import endpoints_for
from dstwist.errors import ConfigError, StartError
from dstwist.limits.log_lines import limit_all
from dstwist.limits.open_files import raise_limit
from dstwist.log import LEVEL_NAMES, LEVELS, Logger, change_level
from dstwist.memory_limits import allocations_can_fail
from dstwist.node import Node
from dstwist.process import background, signals
from dstwist.process.collector import Collector
from dstwist.process.log_file import keep_log_file
from dstwist.process.log_format import format_log
from dstwist.process.log_priorities import write_error
from dstwist.process.out_of_memory import Shortage, grow_stack
from dstwist.process.polling import light_polls
from dstwist.process.server import Server, make_files
from dstwist.process.service_manager import ServiceManager
from dstwist.process.steady_timers import steady_timers
from dstwist.process.waking import light_wakes
from dstwist.scheduling.turn_ends import TurnEnds

#: The exit status if the options or the configuration cannot be used.
CONFIG_STATUS = 78


class Options(TwistedOptions):
    """
    The command line of C{twistd dstwist}.
    """

    synopsis = "[options]"
    longdesc = (
        "A realtime data server: records, events, RPC and presence for deepstream clients of all generations. "
        "Without --config it serves them on port 6020: all clients on /deepstream, v2/v3 clients on /deepstream-v3 "
        "too, and clients that speak JSON on /deepstream-json."
    )
    optParameters = [
        ["config", "c", None, "Configuration file: a config.yml of deepstream.io v2 to v10."],
        ["host", None, None, "Address to listen on, in the place of httpServer.options.host."],
        ["port", "p", None, "TCP port, in the place of httpServer.options.port."],
        ["data-dir", "d", None, "Directory for what is to survive a restart."],
        ["log-level", None, None, "What to log: debug, info, warn, error or off. [default: logLevel of the config]"],
        ["server-name", None, None, "The node's name, in the place of serverName."],
        ["lib-dir", None, None, "Directory with Python modules of your own that the configuration names."],
    ]

    optFlags = [
        ["disable-auth", None, "Accept all clients, in the place of auth in the config."],
        ["disable-permissions", None, "Permit everything, in the place of permission in the config."],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["listen"] = []

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Read the words after C{twistd dstwist}.

        @raise UsageError: one cannot be used.
        @raise SystemExit: the same, for C{twistd}, which would end with status 0.
        """
        try:
            super().parseOptions(options)
        except UsageError as error:
            if self.parent is None:
                raise
            raise _refused(CONFIG_STATUS, error) from None

    def opt_listen(self, endpoint: str) -> None:
        """
        Twisted endpoint to listen on, e.g. tcp:6020:interface=127.0.0.1, or with TLS
        tls:6020:privateKey=key.pem:certKey=chain.pem; may be given several times.
        [default: httpServer.options of the config]
        """
        self["listen"].append(endpoint)

    opt_l = opt_listen

    def postOptions(self) -> None:
        level = self["log-level"]
        if level is not None and level.upper() not in LEVELS:
            raise UsageError("--log-level must be one of debug, info, warn, error, off")
        for option in ("config", "data-dir", "host", "port", "server-name", "lib-dir"):
            if self[option] == "":
                # Mostly, a variable of a script is not set. The default would not be what the operator wants.
                raise UsageError(f"--{option} needs a value, got an empty one")
            if option in ("host", "port") and self[option] is not None and self["listen"]:
                raise UsageError(f"--listen says all of where to listen; leave --{option} out")
        name = self["server-name"]
        if name is not None and not name.isprintable():
            raise UsageError("--server-name must be a text without control characters")
        directory = self["lib-dir"]
        if directory is not None and not os.path.isdir(directory):
            raise UsageError(f"--lib-dir {directory}: there is no such directory")
        port = self["port"]
        if port is not None and not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
            raise UsageError(f"--port must be a number from 1 to 65535, got {port}")


def _start_collector(reactor: Any) -> None:
    """
    Make the garbage collector scan few objects: see L{dstwist.process.collector}.
    """
    Collector(reactor).start()


def makeService(options: Mapping[str, Any]) -> Server:
    """
    Prepare this process, and return the server that C{options} describe.

    @raise SystemExit: the options or the configuration cannot be used; nothing has been opened. C{twistd} shows a
        traceback for all other exceptions.
    """
    from twisted.internet import reactor as installed

    reactor: Any = installed
    signals.hold()
    twistd: MutableMapping[str, Any] = getattr(options, "parent", None) or {}
    try:
        # First, so that all that begins to measure time has the same clock.
        steady_timers(reactor)
        make_files(twistd, options["data-dir"])
        raise_limit()
        node = build_node(options, reactor, os.environ)
    except UsageError as error:
        raise _refused(CONFIG_STATUS, error) from None
    except StartError as error:
        raise _refused(1, error) from None
    limit_all(globalLogBeginner)
    reopen: list[Callable[[], object]] = []
    keep_log_file(globalLogBeginner, node.settings.logger, reopen)
    format_log(globalLogBeginner, node.settings.logger, twistd, os.environ)
    light_polls(reactor)
    light_wakes(reactor)
    TurnEnds.of(reactor).watch()
    background.install()
    server = Server(node, reactor, twistd, ServiceManager(os.environ, reactor), background.report, reopen)
    _log_crashes(server)
    # With the handlers of Twisted, twistd would kill itself with the signal in the end, and service managers would see
    # a crash. Twisted installs them when the reactor begins to run.
    server.signals.take_stops()
    reactor.callWhenRunning(server.signals.take_stops)
    reactor.callWhenRunning(_start_collector, reactor)
    atexit.register(server.at_exit)
    return server


def _refused(status: int, error: Exception) -> SystemExit:
    write_error(f"dstwist: {error}", sys.stderr, os.environ)
    return SystemExit(status)


def build_node(options: Mapping[str, Any], reactor: Any, environ: Mapping[str, str] = os.environ) -> Node:
    """
    The node that C{options} describe.

    @raise UsageError: the options or the configuration cannot be used; nothing has been opened.
    """
    path = options["config"]
    if path is not None:
        # A reload reads it again, after twistd has changed the directory (--rundir, or the background).
        path = os.path.abspath(path)

    directory = options["lib-dir"]
    if directory is not None and (directory := os.path.abspath(directory)) not in sys.path:
        sys.path.insert(0, directory)

    def read() -> Settings:
        return overridden(load(path, environ), options)

    try:
        settings = read()
    except ConfigError as error:
        option = "--config: " if path is not None and not os.path.exists(path) else ""
        raise UsageError(f"{option}{error}") from None
    level = options["log-level"]
    Logger.set_level(level.upper() if level is not None else LEVEL_NAMES[settings.log_level])
    data_dir = options["data-dir"]
    if data_dir is not None:
        try:
            os.makedirs(data_dir, mode=0o750, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--data-dir {data_dir}: {error.strerror}") from None
    try:
        endpoints = endpoints_for(options["listen"], settings.http, reactor, environ, "--listen")
        reread = read if path is not None else None
        node = Node.from_settings(settings, reactor, data_dir, endpoints, environ, reread=reread)
    except ConfigError as error:
        raise UsageError(str(error)) from None
    node.reloads.add_section("log_level", partial(_change_level, level))
    return node


def overridden(settings: Settings, options: Mapping[str, Any]) -> Settings:
    """
    The settings of the configuration, with those of the command line in their place.
    """
    if options["host"] is not None:
        settings = replace(settings, http=replace(settings.http, host=options["host"]))
    if options["port"] is not None:
        settings = replace(settings, http=replace(settings.http, port=int(options["port"])))
    if options["server-name"] is not None:
        name = options["server-name"]
        settings = replace(settings, server_name=generate_uid() if name == "UUID" else name)
    if options["disable-auth"]:
        settings = replace(settings, auth=Settings().auth)
    if options["disable-permissions"]:
        settings = replace(settings, permission=Settings().permission)
    return settings


def _change_level(fixed: str | None, settings: Settings) -> str:
    """
    Log from the level of the settings on, or from that of C{--log-level}, if it is given.
    """
    if fixed is not None:
        change_level(fixed.upper())
        return f"{fixed.upper()}, by --log-level"
    name = LEVEL_NAMES[settings.log_level]
    change_level(name)
    return name


def _log_crashes(server: Server) -> None:
    """
    Make the process log its end if it has no memory left, or dies in code that is not Python.
    """
    Shortage(server.quit).install(globalLogPublisher)
    if allocations_can_fail():
        grow_stack()
    faulthandler.enable()
