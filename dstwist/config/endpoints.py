"""
C{connectionEndpoints}: the paths that clients connect to, and what clients may do there. A list of C{{type, options}}.

==============  =================================  =============================
C{type}         clients                            settings
==============  =================================  =============================
C{ws-binary}    v4 and later                       L{WebSocketEndpoint}
C{ws-text}      v2 and v3                          L{WebSocketEndpoint}
C{ws-json}      v4 and later in JSON mode, others  L{WebSocketEndpoint}
C{http}         read and checked, has no effect    L{HttpEndpointOptions}
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
    limit,
    milliseconds,
    milliseconds_reader,
    not_built,
    one_of,
    option,
    optional,
    read_anything,
    read_component,
    text,
    texts,
)
from dstwist.config.file import Reading, join
from dstwist.config.values import read_url_path, read_websocket_url
from dstwist.errors import ConfigError


@dataclass(frozen=True)
class HttpEndpointOptions:
    """
    The options of a connection endpoint of type C{http}.
    """

    allow_auth_data: bool = flag(True)
    enable_auth_endpoint: bool = flag(True)
    auth_path: str = option(read_url_path, "/api/auth")
    post_path: str = option(read_url_path, "/api")
    get_path: str = option(read_url_path, "/api")
    log_invalid_auth_data: bool = flag(False)
    request_timeout: float = milliseconds(20000)


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


# The clients of most languages connect to /deepstream by default, whatever their generation.
DEFAULT_ENDPOINTS = (
    WebSocketEndpoint("ws-binary", "/deepstream"),
    WebSocketEndpoint("ws-text", "/deepstream"),
    WebSocketEndpoint("ws-text", "/deepstream-v3"),
    WebSocketEndpoint("ws-json", "/deepstream-json"),
)
# The path of an endpoint in a file that does not say one.
_DEFAULT_PATHS = {"ws-binary": "/deepstream", "ws-text": "/deepstream-v3", "ws-json": "/deepstream-json"}
_ONLY_TEXT = {
    "detectionTimeout": "belongs to the ws-text endpoint on the same path",
    "greetingDelay": "belongs to a ws-text endpoint: clients of v4 and later are not greeted",
}
_OTHER_ENDPOINTS = {"http": HttpEndpointOptions, "mqtt": MqttEndpointOptions}


def read_endpoints(value: Any, path: str, reading: Reading) -> tuple[WebSocketEndpoint, ...]:
    entries = [(join(path, i), entry) for i, entry in enumerate(as_list(value, path)) if entry is not None]
    if not entries:
        raise ConfigError(path, "No connection endpoints configured")
    endpoints: list[WebSocketEndpoint] = []
    problems_before = len(reading.problems)
    for where, entry in entries:
        with reading.collecting():
            endpoint = _read_endpoint(entry, where, reading)
            for other in endpoints:
                if endpoint and (endpoint.type, endpoint.url_path) == (other.type, other.url_path):
                    problem = f"another {other.type} endpoint has the path {other.url_path}"
                    raise ConfigError(f"{where}.options.urlPath", problem)
                if endpoint and endpoint.url_path == other.url_path and "ws-json" in (endpoint.type, other.type):
                    problem = f"a ws-json endpoint needs a path of its own: {other.type} has {other.url_path}"
                    raise ConfigError(f"{where}.options.urlPath", problem)
            endpoints += [endpoint] if endpoint else []
    if not endpoints and len(reading.problems) == problems_before:
        raise ConfigError(path, "none of these is built yet; there must be one of type ws-binary, ws-text or ws-json")
    return tuple(endpoints)


def _read_endpoint(value: Any, path: str, reading: Reading) -> WebSocketEndpoint | None:
    found = read_component(value, path, reading)
    where = join(path, "options")
    if found.type in _OTHER_ENDPOINTS:
        from_mapping(_OTHER_ENDPOINTS[found.type], found.options, where, reading, runs=False)
        not_built(f"{path} (type {found.type})", reading)
        return None
    if found.type not in _DEFAULT_PATHS:
        raise ConfigError(found.where, one_of(found.type, (*_DEFAULT_PATHS, *_OTHER_ENDPOINTS)))
    for key, problem in _ONLY_TEXT.items():
        if found.type != "ws-text" and key in found.options:
            raise ConfigError(join(where, key), problem)
    url_path = _DEFAULT_PATHS[found.type]
    endpoint = from_mapping(WebSocketEndpoint, found.options, where, reading, type=found.type, url_path=url_path)
    if endpoint.redirect_url and endpoint.reject_clients:
        raise ConfigError(join(where, "redirectUrl"), "clients cannot be both redirected and rejected (rejectClients)")
    return endpoint
