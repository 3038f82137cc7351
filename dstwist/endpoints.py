"""
Where the server listens: the endpoints that the command line or the configuration ask for.

==========================================  ===========================================================================
C{--listen}                                 what comes of it
==========================================  ===========================================================================
C{tls:6020:privateKey=...:certKey=...}      ours, with every option of C{httpServer.options.ssl} by its name
C{ssl:...}                                  the same; it is Twisted's older name for it
C{haproxy:tls:...}                          a PROXY header in clear, as HAProxy and others send it, and then TLS
any other                                   Twisted's: C{tcp:}, C{unix:}, C{systemd:}, C{haproxy:tcp:}, plug-ins
==========================================  ===========================================================================

The ports of all are bound, and listen when the node says so (L{dstwist.transports.ports}).

Where a description does not say how many connections may wait to be taken (C{backlog}), it is L{BACKLOG} of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint, quoteStringArgument, serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.protocols.haproxy import proxyEndpoint

from dstwist.config.file import FromVariable, Reading
from dstwist.config.http_server import HttpSettings, SslSettings, read_ssl
from dstwist.errors import ConfigError
from dstwist.tls.certificates import ServerCertificate, TlsEndpoint
from dstwist.transports.ports import binding

#: How many connections may wait to be taken. With Twisted's 50 nearly all clients that come back at once after a
#: restart have to try again a second later.
BACKLOG = 1024

#: Twisted's names of what has another one in the configuration.
_OLD_NAMES = {"privateKey": "key", "certKey": "cert", "extraCertChain": "ca", "dhParameters": "dhParams"}
_TWISTED_NAMES = {key: name for name, key in _OLD_NAMES.items()}
#: What is said of the port rather than of TLS.
_OF_TCP = ("interface", "backlog")

#: The kinds of port that have a backlog, and its place among what is said without a name, the kind being the first.
_BACKLOG_AT = {"tcp": 3, "tcp6": 2, "unix": 3}

#: The kinds of port that people use.
_KINDS = ("tcp", "tcp6", "tls", "ssl", "unix", "systemd", "haproxy")

_WORD = re.compile(r"(?:[^:\\]|\\.)*", re.DOTALL)
_NAMED = re.compile(r"(?:[^=\\]|\\.)*=", re.DOTALL)


def configured_endpoint(http: HttpSettings, reactor: Any) -> IStreamServerEndpoint:
    """
    What C{httpServer.options} ask for.

    @raise ConfigError: its certificate cannot be used.
    """
    kind = TCP6ServerEndpoint if ":" in http.host else TCP4ServerEndpoint
    endpoint: IStreamServerEndpoint = kind(binding(reactor), http.port, BACKLOG, http.host)
    if http.ssl is None:
        return endpoint
    return TlsEndpoint(endpoint, ServerCertificate(http.ssl, "httpServer.options.ssl"), reactor)


def described_endpoint(description: str, reactor: Any, environ: Mapping[str, str]) -> IStreamServerEndpoint:
    """
    What C{--listen description} asks for.

    @raise ConfigError: it cannot be had.
    """
    path = _path(description)
    inner = description.removeprefix("haproxy:")
    try:
        if inner.partition(":")[0] not in ("tls", "ssl"):
            endpoint: IStreamServerEndpoint = serverFromString(binding(reactor), _with_backlog(description))
            return endpoint
        of_tcp, options = _split(inner)
        endpoint = serverFromString(binding(reactor), _with_backlog(of_tcp))
    except Exception as error:
        # Endpoint parsers are plugins and raise whatever they like.
        problem = "the port is no number" if "invalid literal for int()" in str(error) else str(error)
        raise ConfigError(path, problem + _meant(description)) from None
    settings = _tls(options, description, environ)
    if inner is not description:
        # Outside in: TCP, then the header, then TLS.
        endpoint = proxyEndpoint(endpoint)
    return TlsEndpoint(endpoint, ServerCertificate(settings, path), reactor)


def _meant(description: str) -> str:
    """
    The error text for an invalid description: mostly it is a port, or an address and a port.
    """
    found = re.fullmatch(r"(?:(\[[0-9a-fA-F:]+\]|[^:]*):)?(\d+)", description)
    if found is None or (found[1] or "").lower() in _KINDS:
        kind = description.partition(":")[0]
        return "" if kind in _KINDS else f"; expected one of {', '.join(_KINDS)}, such as tcp:6020"
    host, port = (found[1] or "").strip("[]"), found[2]
    if ":" in host:
        return f"; did you mean tcp6:{port}:interface={quoteStringArgument(host)}?"
    if host == "localhost":
        host = "127.0.0.1"
    return f"; did you mean tcp:{port}{f':interface={host}' if host else ''}?"


def _path(description: str) -> str:
    """
    What to call it in errors and in the log.
    """
    return "--listen " + re.sub(r"(:passphrase)=(?:[^:\\]|\\.)*", r"\1=...", description)


def _split(description: str) -> tuple[str, dict[str, str]]:
    """
    The description of the port below TLS, and the options of TLS.
    """
    words = [re.sub(r"\\(.)", r"\1", word) for word in _words(description)]
    of_tcp, options = words[1:2], {}
    for word in words[2:]:
        key, equals, value = word.partition("=")
        if not equals or key in _OF_TCP:
            of_tcp.append(word)
        else:
            options[_OLD_NAMES.get(key, key)] = value
    kind = "tcp6" if any(word.startswith("interface=") and ":" in word for word in of_tcp) else "tcp"
    return ":".join([kind, *map(quoteStringArgument, of_tcp)]), options


def _with_backlog(description: str) -> str:
    """
    The description, saying in any case how many connections may wait if that is to be said.
    """
    words = _words(description.removeprefix("haproxy:"))
    unnamed = [word for word in words if not _NAMED.match(word)]
    place = _BACKLOG_AT.get(words[0])
    if place is None or len(unnamed) > place or any(word.startswith("backlog=") for word in words):
        return description
    return f"{description}:backlog={BACKLOG}"


def _words(description: str) -> list[str]:
    """
    The parts of an endpoint's description, between colons that have no backslash before them.
    """
    words, position = [], 0
    while position <= len(description):
        found = _WORD.match(description, position)
        assert found is not None
        words.append(found[0])
        position = found.end() + 1
    return words


def _tls(options: dict[str, str], description: str, environ: Mapping[str, str]) -> SslSettings:
    path = _path(description)
    reading = Reading(os.getcwd(), environ)
    # As from the environment: a text, but also a number or a flag where that is wanted.
    given: dict[str, Any] = {key: FromVariable(value) for key, value in options.items()}
    # Twisted's way of saying that both are in one file.
    if "key" in given:
        given.setdefault("cert", given["key"])
    settings = None
    with reading.collecting():
        settings = read_ssl(given, path, reading)
    for problem in reading.problems:
        # The option's own name: it is not glued to what names the port.
        key = problem.path.removeprefix(f"{path}.")
        raise ConfigError(f"{path}: {_TWISTED_NAMES.get(key, key)}" if key != problem.path else path, problem.problem)
    if settings is None:
        raise ConfigError(path, "TLS needs privateKey and certKey")
    return settings
