"""
What C{twistd dstwist} calls: its options, and the service made of them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from twisted.internet.endpoints import SSL4ServerEndpoint, TCP4ServerEndpoint, TCP6ServerEndpoint, serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.python.usage import Options as TwistedOptions
from twisted.python.usage import UsageError

from dstwist import config
from dstwist.errors import ConfigError
from dstwist.log import LEVELS, Logger
from dstwist.node import Node
from dstwist.settings import Settings


class Options(TwistedOptions):  # type: ignore[misc]
    """
    The command line of C{twistd dstwist}.
    """

    synopsis = "[options]"
    longdesc = (
        "A realtime data server: records, events, RPC and presence for deepstream clients of all generations. "
        "Without --config it serves v4+ clients on /deepstream and v2/v3 clients on /deepstream-v3, port 6020."
    )
    optParameters = [
        ["config", "c", None, "Configuration file, as of deepstream.io v10 (config.yml)."],
        ["data-dir", "d", None, "Directory for what is to survive a restart."],
        ["log-level", None, None, "What to log: debug, info, warn, error or off. [default: logLevel of the config]"],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["listen"] = []

    def opt_listen(self, endpoint: str) -> None:
        """
        Twisted endpoint to listen on, e.g. tcp:6020:interface=127.0.0.1 or tls:6020:privateKey=key.pem:certKey=chain.pem.
        May be given several times. [default: httpServer.options of the config]
        """
        self["listen"].append(endpoint)

    opt_l = opt_listen

    def postOptions(self) -> None:
        level = self["log-level"]
        if level is not None and level.upper() not in LEVELS:
            raise UsageError("--log-level must be one of debug, info, warn, error, off")


def makeService(options: Mapping[str, Any], reactor: Any = None, environ: Mapping[str, str] = os.environ) -> Node:
    """
    The server that C{options} ask for.

    @raise UsageError: the options or the configuration cannot be used; nothing has been opened.
    """
    if reactor is None:
        from twisted.internet import reactor
    try:
        settings = config.load(options["config"], environ)
    except ConfigError as error:
        raise UsageError(str(error)) from None
    Logger.set_level((options["log-level"] or settings.log_level).upper())
    data_dir = options["data-dir"]
    if data_dir is not None:
        try:
            os.makedirs(data_dir, mode=0o750, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--data-dir {data_dir}: {error.strerror}") from None
    return Node(settings, _endpoints(options["listen"], settings, reactor), reactor)


def _endpoints(descriptions: list[str], settings: Settings, reactor: Any) -> list[IStreamServerEndpoint]:
    if not descriptions:
        return [_configured_endpoint(settings, reactor)]
    endpoints = []
    for description in descriptions:
        # Twisted's own name for a TLS server is older than TLS.
        spelled = "ssl:" + description[4:] if description.startswith("tls:") else description
        try:
            endpoints.append(serverFromString(reactor, spelled))
        except Exception as error:
            # Endpoint parsers are plugins and raise whatever they like.
            raise UsageError(f"--listen {description}: {error}") from None
    return endpoints


def _configured_endpoint(settings: Settings, reactor: Any) -> IStreamServerEndpoint:
    http = settings.http
    if http.ssl is None:
        kind = TCP6ServerEndpoint if ":" in http.host else TCP4ServerEndpoint
        return kind(reactor, http.port, interface=http.host)
    return SSL4ServerEndpoint(reactor, http.port, http.ssl.context_factory(), interface=http.host)
