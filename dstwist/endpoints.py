"""
Where the server listens: the endpoints of the command line, of a program with a node, or of the configuration.

==========================================  ===========================================================================
C{--listen}                                 endpoint
==========================================  ===========================================================================
C{tls:6020:privateKey=...:certKey=...}      ours; it has each option of C{httpServer.options.ssl} by its name
C{ssl:...}                                  the same, by the older name of Twisted
C{haproxy:tls:...}                          a PROXY header in clear, as HAProxy and others send it, and then TLS
any other                                   Twisted's: C{tcp:}, C{unix:}, C{systemd:}, C{haproxy:tcp:}, plug-ins
==========================================  ===========================================================================

The ports of all endpoints are bound first, and listen later (L{dstwist.transports.ports}). The default of C{backlog},
the number of connections that may wait to be accepted, is L{DEFAULT_BACKLOG}.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint, quoteStringArgument, serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.protocols.haproxy import proxyEndpoint

from dstwist.config.file import FromVariable, Reading
from dstwist.config.http_server import HttpSettings, SslSettings, read_ssl
from dstwist.errors import ConfigError
from dstwist.tls.certificates import ServerCertificate
from dstwist.tls.transport import TlsEndpoint
from dstwist.transports.ports import binding

#: How many connections may wait to be accepted. With the 50 of Twisted, nearly all clients that reconnect at once after
#: a restart have to try again a second later.
DEFAULT_BACKLOG = 1024

#: Twisted's names of options that have another name in the configuration.
_OLD_NAMES = {"privateKey": "key", "certKey": "cert", "extraCertChain": "ca", "dhParameters": "dhParams"}
_TWISTED_NAMES = {key: name for name, key in _OLD_NAMES.items()}
#: Options of the port; all others are options of TLS.
_TCP_OPTIONS = ("interface", "backlog")

#: By kind of port: the place of the backlog among the arguments without a name. The kind itself has place 0.
_BACKLOG_AT = {"tcp": 3, "tcp6": 2, "unix": 3}

#: The kinds of port for error texts.
_KINDS = ("tcp", "tcp6", "tls", "ssl", "unix", "systemd", "haproxy")

_WORD = re.compile(r"(?:[^:\\]|\\.)*", re.DOTALL)
_NAMED = re.compile(r"(?:[^=\\]|\\.)*=", re.DOTALL)


def endpoints_for(
    listen: Iterable[str | IStreamServerEndpoint],
    http: HttpSettings,
    reactor: Any,
    environ: Mapping[str, str],
    option: str,
) -> list[IStreamServerEndpoint]:
    """
    The endpoints C{listen}, or their descriptions; without any, the endpoint of C{httpServer.options}.

    @param option: the name of the option that gives C{listen}, for errors.
    @raise ConfigError: a description is invalid, or a certificate cannot be used.
    """
    endpoints = [
        described_endpoint(each, reactor, environ, option) if isinstance(each, str) else each for each in listen
    ]
    return endpoints or [configured_endpoint(http, reactor)]


def configured_endpoint(http: HttpSettings, reactor: Any) -> IStreamServerEndpoint:
    """
    The endpoint of C{httpServer.options}.

    @raise ConfigError: the certificate cannot be used.
    """
    kind = TCP6ServerEndpoint if ":" in http.host else TCP4ServerEndpoint
    endpoint: IStreamServerEndpoint = kind(binding(reactor), http.port, DEFAULT_BACKLOG, http.host)
    if http.ssl is None:
        return endpoint
    return TlsEndpoint(endpoint, ServerCertificate(http.ssl, "httpServer.options.ssl"), reactor)


def described_endpoint(
    description: str, reactor: Any, environ: Mapping[str, str], option: str = "--listen"
) -> IStreamServerEndpoint:
    """
    The endpoint of C{--listen description}.

    @param option: the name of the option, for errors.
    @raise ConfigError: the description is invalid, or the certificate cannot be used.
    """
    path = _name_of(description, option)
    inner = description.removeprefix("haproxy:")
    try:
        if inner.partition(":")[0] not in ("tls", "ssl"):
            endpoint: IStreamServerEndpoint = serverFromString(binding(reactor), _with_backlog(description))
            return endpoint
        of_tcp, options = _split(inner)
        endpoint = serverFromString(binding(reactor), _with_backlog(of_tcp))
    except Exception as error:
        # Endpoint parsers are plug-ins, which may raise any exception.
        problem = "the port is no number" if "invalid literal for int()" in str(error) else str(error)
        raise ConfigError(path, problem + _suggestion(description)) from None
    settings = _tls(options, path, environ)
    if inner is not description:
        # From outside to inside: TCP, then the header, then TLS.
        endpoint = proxyEndpoint(endpoint)
    return TlsEndpoint(endpoint, ServerCertificate(settings, path), reactor)


def _suggestion(description: str) -> str:
    """
    A suggestion for an invalid description. Most of them are a port, or an address and a port.
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


def _name_of(description: str, option: str) -> str:
    """
    The name of the endpoint in errors and in the log, without a passphrase.
    """
    return f"{option} " + re.sub(r"(:passphrase)=(?:[^:\\]|\\.)*", r"\1=...", description)


def _split(description: str) -> tuple[str, dict[str, str]]:
    """
    The description of the port below TLS, and the options of TLS.
    """
    words = [re.sub(r"\\(.)", r"\1", word) for word in _words(description)]
    of_tcp, options = words[1:2], {}
    for word in words[2:]:
        key, equals, value = word.partition("=")
        if not equals or key in _TCP_OPTIONS:
            of_tcp.append(word)
        else:
            options[_OLD_NAMES.get(key, key)] = value
    kind = "tcp6" if any(word.startswith("interface=") and ":" in word for word in of_tcp) else "tcp"
    return ":".join([kind, *map(quoteStringArgument, of_tcp)]), options


def _with_backlog(description: str) -> str:
    """
    The description with a backlog, if the kind of port has one.
    """
    words = _words(description.removeprefix("haproxy:"))
    unnamed = [word for word in words if not _NAMED.match(word)]
    place = _BACKLOG_AT.get(words[0])
    if place is None or len(unnamed) > place or any(word.startswith("backlog=") for word in words):
        return description
    return f"{description}:backlog={DEFAULT_BACKLOG}"


def _words(description: str) -> list[str]:
    """
    The parts of a description between colons. A colon with a backslash before it is part of a part.
    """
    words, position = [], 0
    while position <= len(description):
        found = _WORD.match(description, position)
        assert found is not None
        words.append(found[0])
        position = found.end() + 1
    return words


def _tls(options: dict[str, str], path: str, environ: Mapping[str, str]) -> SslSettings:
    reading = Reading(os.getcwd(), environ)
    # The values are texts, as those of environment variables are. They are read as numbers or flags where needed.
    given: dict[str, Any] = {key: FromVariable(value) for key, value in options.items()}
    # In Twisted, a description without certKey has key and certificate in one file.
    if "key" in given:
        given.setdefault("cert", given["key"])
    settings = None
    with reading.collecting():
        settings = read_ssl(given, path, reading)
    for problem in reading.problems:
        # The error names the option, after the description of the port.
        key = problem.path.removeprefix(f"{path}.")
        raise ConfigError(f"{path}: {_TWISTED_NAMES.get(key, key)}" if key != problem.path else path, problem.problem)
    if settings is None:
        raise ConfigError(path, "TLS needs privateKey and certKey")
    return settings
