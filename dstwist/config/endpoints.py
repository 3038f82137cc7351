"""
C{connectionEndpoints}: the paths that clients connect to, and what clients may do there. A list of C{{type, options}}.

==============  =================================  =============================
C{type}         clients                            settings
==============  =================================  =============================
C{ws-binary}    v4 and later                       L{WebSocketEndpoint}
C{ws-text}      v2 and v3                          L{WebSocketEndpoint}
C{ws-json}      v4 and later in JSON mode, others  L{WebSocketEndpoint}
C{http}         programs without a connection      L{HttpEndpoint}
C{mqtt}         read and checked, has no effect    L{MqttEndpointOptions}
==============  =================================  =============================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dstwist.config.fields import (
    as_list,
    flag,
    from_mapping,
    integer,
    integer_reader,
    limit,
    milliseconds,
    milliseconds_reader,
    not_built,
    one_of,
    option,
    optional,
    read_anything,
    read_component,
    read_text,
    text,
    texts,
)
from dstwist.config.file import Reading, join
from dstwist.config.values import read_url_path, read_websocket_url
from dstwist.errors import ConfigError


def _read_error_event_format(value: Any, path: str, reading: Reading) -> str:
    found = read_text(value, path)
    if found not in ("number", "name"):
        raise ConfigError(path, one_of(found, ("number", "name")))
    return found


@dataclass(frozen=True)
class HttpEndpoint:
    """
    An entry of C{connectionEndpoints} of type C{http}: the HTTP API.
    """

    # Whether requests may have credentials with them (authData), and not only a token.
    allow_auth_data: bool = flag(True)
    # Whether there is a path where clients get a token, or data about their user, for their credentials.
    enable_auth_endpoint: bool = flag(True)
    # That path. POST requests whose target starts with it are served, and so are those of the next two paths.
    auth_path: str = option(read_url_path, "/api/auth")
    # The path of requests.
    post_path: str = option(read_url_path, "/api")
    # GET on this path is answered by a hint; below it are the streams of events and records.
    get_path: str = option(read_url_path, "/api")
    # Whether the credentials of failed logins are logged: passwords in clear.
    log_invalid_auth_data: bool = flag(False)
    # How long the items of a request may take; the others are answered then.
    request_timeout: float = milliseconds(20000)
    # A port of its own; None: the port of httpServer. An addition of dstwist, like all below.
    port: int | None = option(optional(integer_reader(1, 65535)), None)
    # The network interface of that port; None: that of httpServer.
    host: str | None = text(None)
    # Errors have their number (number), as by the Node server since v4, or their name (name), as by v3.
    error_event_format: str = option(_read_error_event_format, "number")
    # The most items of a request; 0: any number.
    max_batch_length: int = integer(10000, minimum=0)
    # The most bytes of the results of a request. Items beyond it fail.
    max_answer_size: int = integer(16777216)
    # Whether there are streams of events and records (server-sent events).
    enable_streams: bool = flag(True)
    # How often a comment is sent on a stream, so that lost clients are found.
    heartbeat_interval: float = milliseconds(15000)
    # How long a browser waits before it opens a stream again that has ended.
    reconnect_time: float = milliseconds(3000)
    # A client of a stream for which more bytes of events are waiting is too slow, and its stream ends.
    max_outgoing_buffer_size: int = integer(16777216)

    def paths(self) -> dict[str, str]:
        """
        By their options: the paths of POST requests.
        """
        return {"postPath": self.post_path, **({"authPath": self.auth_path} if self.enable_auth_endpoint else {})}


@dataclass(frozen=True)
class MqttEndpointOptions:
    """
    The options of a connection endpoint of type C{mqtt}.
    """

    host: str = text("0.0.0.0")
    port: int = integer(1883, maximum=65535)
    idle_timeout: float = milliseconds(180000)
    unauthenticated_client_timeout: float | None = option(optional(milliseconds_reader(1), False), 180.0)
    max_auth_attempts: int = integer(3)
    log_invalid_auth_data: bool = flag(False)
    ssl: Any = option(read_anything, None)


@dataclass(frozen=True)
class WebSocketEndpoint:
    """
    An entry of C{connectionEndpoints}: clients of one generation on one path.
    """

    # ws-binary (clients of v4 and later), ws-text (clients of v2 and v3) or ws-json (clients that speak JSON).
    type: str = "ws-binary"
    # The path of the URL that clients connect to. A ws-binary and a ws-text endpoint may share one; the server then
    # detects the generation of each client.
    url_path: str = option(read_url_path, "/deepstream")
    # How often the server pings the client (text), or the client pings the server (binary, JSON). A client that is
    # silent for two intervals is disconnected.
    heartbeat_interval: float = milliseconds(30000)
    # How long messages are held back so that they are sent together; 0: until all received messages are handled.
    outgoing_buffer_timeout: float = milliseconds(0, minimum=0)
    # Held back messages are sent at once if they have more bytes.
    max_buffer_byte_size: int = integer(100000)
    # How long a client may stay connected without a login, from the start or from the last refusal. None (false or null
    # in the file): for ever.
    unauthenticated_client_timeout: float | None = option(optional(milliseconds_reader(1), False), 180.0)
    # The number of failed logins after which a client is disconnected.
    max_auth_attempts: int = integer(3)
    # Whether the credentials of failed logins are logged: passwords in clear.
    log_invalid_auth_data: bool = flag(False)
    # The largest WebSocket message that is accepted from a client.
    max_message_size: int = integer(1048576)
    # uws: the request headers that authenticators receive; here they receive all.
    headers: tuple[str, ...] = texts(built=False)
    # A client for which more bytes are waiting is too slow, and is disconnected. An addition of dstwist, like all
    # below.
    max_outgoing_buffer_size: int = integer(16777216)
    # The largest message that is accepted from a client before its login.
    max_message_size_before_login: int = integer(65536)
    # How many messages a client may send before its login.
    max_messages_before_login: int = integer(100)
    # How many messages and bytes per second are read from one client; the others wait. None (null): no limit.
    max_message_rate: int | None = limit(None)
    max_byte_rate: int | None = limit(None)
    # A WebSocket URL to which every client is redirected.
    redirect_url: str | None = option(optional(read_websocket_url), None)
    # Whether every client is rejected.
    reject_clients: bool = flag(False)
    # ws-text on the path of a ws-binary endpoint: a client that is silent for so long is greeted as a text client.
    detection_timeout: float = milliseconds(300)
    # ws-text: how long the server waits after the WebSocket handshake before it greets the client.
    greeting_delay: float = milliseconds(10, minimum=0)


Endpoint = WebSocketEndpoint | HttpEndpoint

# The clients of most languages connect to /deepstream by default, whatever their generation.
DEFAULT_ENDPOINTS: tuple[Endpoint, ...] = (
    WebSocketEndpoint("ws-binary", "/deepstream"),
    WebSocketEndpoint("ws-text", "/deepstream"),
    WebSocketEndpoint("ws-text", "/deepstream-v3"),
    WebSocketEndpoint("ws-json", "/deepstream-json"),
    HttpEndpoint(),
)
# The path of an endpoint in a file that does not say one.
_DEFAULT_PATHS = {"ws-binary": "/deepstream", "ws-text": "/deepstream-v3", "ws-json": "/deepstream-json"}
_ONLY_TEXT = {
    "detectionTimeout": "belongs to the ws-text endpoint on the same path",
    "greetingDelay": "belongs to a ws-text endpoint: clients of v4 and later are not greeted",
}
_OTHER_ENDPOINTS = {"mqtt": MqttEndpointOptions}


def read_endpoints(value: Any, path: str, reading: Reading) -> tuple[Endpoint, ...]:
    entries = [(join(path, i), entry) for i, entry in enumerate(as_list(value, path)) if entry is not None]
    if not entries:
        raise ConfigError(path, "No connection endpoints configured")
    endpoints: list[Endpoint] = []
    problems_before = len(reading.problems)
    for where, entry in entries:
        with reading.collecting():
            endpoint = _read_endpoint(entry, where, reading)
            for other in endpoints:
                if endpoint is not None:
                    _check_difference(endpoint, other, where)
            endpoints += [endpoint] if endpoint else []
    if not endpoints and len(reading.problems) == problems_before:
        types = "ws-binary, ws-text, ws-json or http"
        raise ConfigError(path, f"none of these is built yet; there must be one of type {types}")
    return tuple(endpoints)


def _check_difference(endpoint: Endpoint, other: Endpoint, where: str) -> None:
    """
    Check that two endpoints do not serve the same requests.
    """
    if isinstance(endpoint, WebSocketEndpoint) and isinstance(other, WebSocketEndpoint):
        if (endpoint.type, endpoint.url_path) == (other.type, other.url_path):
            problem = f"another {other.type} endpoint has the path {other.url_path}"
            raise ConfigError(f"{where}.options.urlPath", problem)
        if endpoint.url_path == other.url_path and "ws-json" in (endpoint.type, other.type):
            problem = f"a ws-json endpoint needs a path of its own: {other.type} has {other.url_path}"
            raise ConfigError(f"{where}.options.urlPath", problem)
    elif isinstance(endpoint, HttpEndpoint) and isinstance(other, HttpEndpoint) and endpoint.port == other.port:
        for name, used in endpoint.paths().items():
            if used in other.paths().values():
                problem = f"another http endpoint of the same port has the path {used}"
                raise ConfigError(f"{where}.options.{name}", problem)


def _read_endpoint(value: Any, path: str, reading: Reading) -> Endpoint | None:
    found = read_component(value, path, reading)
    where = join(path, "options")
    if found.type == "http":
        return _read_http_endpoint(found.options, where, reading)
    if found.type in _OTHER_ENDPOINTS:
        from_mapping(_OTHER_ENDPOINTS[found.type], found.options, where, reading, runs=False)
        not_built(f"{path} (type {found.type})", reading)
        return None
    if found.type not in _DEFAULT_PATHS:
        raise ConfigError(found.where, one_of(found.type, (*_DEFAULT_PATHS, "http", *_OTHER_ENDPOINTS)))
    for key, problem in _ONLY_TEXT.items():
        if found.type != "ws-text" and key in found.options:
            raise ConfigError(join(where, key), problem)
    url_path = _DEFAULT_PATHS[found.type]
    endpoint = from_mapping(WebSocketEndpoint, found.options, where, reading, type=found.type, url_path=url_path)
    if endpoint.redirect_url and endpoint.reject_clients:
        raise ConfigError(join(where, "redirectUrl"), "clients cannot be both redirected and rejected (rejectClients)")
    return endpoint


def _read_http_endpoint(options: Any, where: str, reading: Reading) -> HttpEndpoint:
    endpoint = from_mapping(HttpEndpoint, options, where, reading)
    if endpoint.enable_auth_endpoint and endpoint.auth_path == endpoint.post_path:
        raise ConfigError(join(where, "authPath"), "it is the same path as postPath")
    if endpoint.host is not None and endpoint.port is None:
        raise ConfigError(join(where, "host"), "belongs to a port of its own, and there is no port")
    return endpoint
