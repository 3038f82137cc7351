"""
Configuration files of v2, v3 and v4, converted to the form of v5 and later before they are read.

=============================================  ====================================================================
in the file                                    becomes
=============================================  ====================================================================
C{rpcAckTimeout} and others, at the top        the option of a section, by the table L{MOVED_KEYS}
C{connectionEndpoints: {websocket, http}}      a list; C{websocket} is C{ws-text}, by default on C{/deepstream}
C{port}, C{host}, C{healthCheckPath} of one    C{httpServer.options}, if there is no such section
C{sslKey}, C{sslCert} and others of one        C{httpServer.options.ssl}
C{heartbeatInterval} and others, at the top    options of that C{websocket}; they override its own
C{plugins: {message, cache, storage}}          C{clusterNode}, C{cache}, C{storage}; a Redis among them is read as the
                                               connectors for v2 and v3 have written it
C{type: ws-websocket}, C{node-http}, ...       the name of the type in v5 and later, by the table L{_OLD_TYPES}
C{externalUrl} and others                      nothing
=============================================  ====================================================================

Nothing is dropped silently: each conversion is noted, and an option that cannot be converted without a change of its
meaning is refused. Errors tell the name that an option has in the file, see L{Reading.renamed}. An old option with the
value C{null} is ignored, because those files contain such options.
"""

from __future__ import annotations

from typing import Any

from dstwist.config.fields import as_section, one_of, read_flag, shown
from dstwist.config.file import Reading, join
from dstwist.errors import ConfigError

#: By the name of an option of the top level: the places that it has now.
MOVED_KEYS: dict[str, tuple[str, ...]] = {
    "sslKey": ("httpServer.options.ssl.key",),
    "sslCert": ("httpServer.options.ssl.cert",),
    "sslCa": ("httpServer.options.ssl.ca",),
    "sslDHParams": ("httpServer.options.ssl.dhParams",),
    "sslPassphrase": ("httpServer.options.ssl.passphrase",),
    "host": ("httpServer.options.host",),
    "port": ("httpServer.options.port",),
    "healthCheckPath": ("httpServer.options.healthCheckPath",),
    "allowAllOrigins": ("httpServer.options.allowAllOrigins",),
    "origins": ("httpServer.options.origins",),
    "colors": ("logger.options.colors",),
    "rpcAckTimeout": ("rpc.ackTimeout",),
    "rpcTimeout": ("rpc.responseTimeout",),
    "provideRPCRequestorDetails": ("rpc.provideRequestorName", "rpc.provideRequestorData"),
    "cacheRetrievalTimeout": ("record.cacheRetrievalTimeout",),
    "storageRetrievalTimeout": ("record.storageRetrievalTimeout",),
    "storageExclusionPrefixes": ("record.storageExclusionPrefixes",),
    "storageHotPathPatterns": ("record.storageHotPathPrefixes",),
    "storageHotPathPrefixes": ("record.storageHotPathPrefixes",),
    "dependencyInitialisationTimeout": ("dependencyInitializationTimeout",),
    "listenResponseTimeout": ("listen.responseTimeout",),
    "shuffleListenProviders": ("listen.shuffleProviders",),
    "lockTimeout": ("locks.options.holdTimeout",),
    "lockRequestTimeout": ("locks.options.requestTimeout",),
    "clusterKeepAliveInterval": ("clusterRegistry.options.keepAliveInterval",),
    "clusterActiveCheckInterval": ("clusterRegistry.options.activeCheckInterval",),
    "clusterNodeInactiveTimeout": ("clusterRegistry.options.nodeInactiveTimeout",),
    "stateReconciliationTimeout": ("clusterStates.options.reconciliationTimeout",),
}

#: Options of the top level that have no successor.
REMOVED_KEYS = (
    "externalUrl",
    "webServerEnabled",
    "tcpServerEnabled",
    "tcpHost",
    "tcpPort",
    "rpcProviderQueryTimeout",
    "rpcProviderCacheTime",
    "broadcastTimeout",
)

#: Options of the top level that override those of the websocket endpoint.
WEBSOCKET_KEYS = (
    "urlPath",
    "heartbeatInterval",
    "outgoingBufferTimeout",
    "maxBufferByteSize",
    "unauthenticatedClientTimeout",
    "maxAuthAttempts",
    "logInvalidAuthData",
    "maxMessageSize",
)

# Options that are often found at the top of files of v5, too, so that they do not show the version of a file.
_KEYS_OF_ALL_VERSIONS = ("host", "port", "healthCheckPath", "allowAllOrigins", "origins", "colors", *WEBSOCKET_KEYS)

_PORT_KEYS = ("host", "port", "healthCheckPath")
_TLS_KEYS = ("sslKey", "sslCert", "sslCa", "sslDHParams", "sslPassphrase")
# Options of an HTTP endpoint in v3 and v4, which was a server of its own.
_HTTP_SERVER_KEYS = ("healthCheckPath", "origins", "maxMessageSize", "headers")
#: The HTTP API of v3 and v4 had a port and paths of its own.
_OLD_HTTP = {"port": 8080, "postPath": "/", "authPath": "/auth", "getPath": "/", "enableAuthEndpoint": False}
_OLD_TYPES = {"ws-websocket": "ws-binary", "uws-websocket": "ws-binary", "node-http": "http", "uws-http": "http"}
_WEBSOCKETS = ("ws-binary", "ws-text", "ws-json")
_CONNECTORS = {"message": "clusterNode", "cache": "cache", "storage": "storage"}
# Names of parts that came with the Node server. They stand where a plug-in would be named.
_OWN_NAMES = (None, "uws", "ws", "http", "default")


def convert(found: dict[str, Any], reading: Reading) -> dict[str, Any]:
    """
    The content of a file of any version, in the form of v5 and later.
    """
    return _Converter(found, reading).convert()


class _Converter:
    """
    One file that is converted.
    """

    def __init__(self, found: dict[str, Any], reading: Reading) -> None:
        self._tree = dict(found)
        self._reading = reading
        # A file with this section is of v5 or later, where endpoints have no options for the port.
        self._has_port = found.get("httpServer") is not None
        # By the name in v5 and later: the old option that has set it.
        self._said: dict[str, str] = {}

    def convert(self) -> dict[str, Any]:
        tree, reading = self._tree, self._reading
        old = any(tree.get(key) is not None for key in (*MOVED_KEYS, *REMOVED_KEYS) if key not in _KEYS_OF_ALL_VERSIONS)
        for key in REMOVED_KEYS:
            if tree.pop(key, None) is not None:
                reading.notes.append(f"CONFIG | {key} is an option of v2 or v3 that does not exist any more; no effect")
        if tree.pop("storageExclusion", None) is not None:
            problem = "regular expressions are not taken; use record.storageExclusionPrefixes, a list of prefixes"
            reading.problems.append(ConfigError("storageExclusion", problem))
        for key, places in MOVED_KEYS.items():
            value = tree.pop(key, None)
            if value is not None:
                with reading.collecting():
                    for place in places:
                        self._move(place, key, value)
        with reading.collecting():
            self._move_endpoints(old)
        with reading.collecting():
            self._move_connectors()
        return tree

    def _move(self, place: str, path: str, value: Any) -> None:
        """
        Put C{value} at its place in v5 and later.

        @param path: the path of the value in the file.
        """
        *sections, name = place.split(".")
        section, where = self._tree, ""
        for key in sections:
            where = join(where, key)
            if section.get(key) is None:
                section[key] = {}
            section = as_section(section[key], where)
        if section.get(name) is not None:
            raise ConfigError(path, f"this is the old name of {place}, which is there too; leave it out")
        section[name] = value
        self._said[place] = path
        self._reading.renamed[place] = path
        self._note(path, place)

    def _note(self, path: str, place: str) -> None:
        self._reading.notes.append(f"CONFIG | {path} is taken for {place}, its name in v5 and later")

    # -- connectionEndpoints

    def _move_endpoints(self, old: bool) -> None:
        tree = self._tree
        overrides = {key: tree.pop(key) for key in WEBSOCKET_KEYS if tree.get(key) is not None}
        for key in WEBSOCKET_KEYS:
            tree.pop(key, None)
        endpoints = tree.get("connectionEndpoints")
        if "connectionEndpoints" not in tree and old:
            # The default of v2 and v3.
            endpoints = {"websocket": {}}
        if isinstance(endpoints, dict):
            tree["connectionEndpoints"] = self._listed(endpoints, overrides)
        elif overrides:
            self._reading.problems += [
                ConfigError(key, "this belongs to the options of an entry of connectionEndpoints") for key in overrides
            ]
        if isinstance(tree.get("connectionEndpoints"), list):
            for i, entry in enumerate(tree["connectionEndpoints"]):
                if isinstance(entry, dict):
                    with self._reading.collecting():
                        path = self._reading.written(join("connectionEndpoints", i))
                        self._convert_endpoint(entry, path)

    def _listed(self, endpoints: dict[str, Any], overrides: dict[str, Any]) -> list[dict[str, Any]]:
        """
        The list of endpoints for a section of v2 and v3, which has at most one endpoint of each kind.
        """
        entries: list[dict[str, Any]] = []
        for name, value in endpoints.items():
            path = join("connectionEndpoints", name)
            with self._reading.collecting():
                if name not in ("websocket", "http"):
                    raise ConfigError(path, one_of(name, ("websocket", "http")))
                section = as_section(value, path)
                if value is None:
                    continue
                for key in section:
                    if key not in ("name", "type", "path", "options"):
                        raise ConfigError(join(path, key), "unknown option")
                if section.get("path") is not None or section.get("name") not in _OWN_NAMES:
                    raise ConfigError(path, "plug-ins of the Node server cannot run here")
                options = dict(as_section(section.get("options"), join(path, "options")))
                kind = "http"
                if name == "http":
                    options = _OLD_HTTP | {"errorEventFormat": "name"} | options
                if name == "websocket":
                    kind = "ws-text"
                    options = {"urlPath": "/deepstream"} | options | overrides
                    for key in overrides:
                        self._reading.renamed[f"connectionEndpoints[{len(entries)}].options.{key}"] = key
                self._reading.renamed[join("connectionEndpoints", len(entries))] = path
                self._reading.notes.append(f"CONFIG | {path}, as v2 and v3 have it, is taken for one of type {kind}")
                entries.append({"type": kind, "options": options})
        return entries

    def _convert_endpoint(self, entry: dict[str, Any], path: str) -> None:
        kind = entry.get("type")
        if isinstance(kind, str) and kind in _OLD_TYPES:
            entry["type"] = _OLD_TYPES[kind]
            if entry["type"] == "http" and isinstance(entry.get("options"), dict | None):
                entry["options"] = _OLD_HTTP | (entry.get("options") or {})
            self._reading.notes.append(f"CONFIG | {join(path, 'type')}: {kind} is the v4 name of {_OLD_TYPES[kind]}")
        options = entry.get("options")
        if not isinstance(options, dict):
            return
        where = join(path, "options")
        self._move_tls(options, where)
        if entry.get("type") in _WEBSOCKETS:
            self._convert_websocket(options, where)
        elif entry.get("type") == "http":
            self._convert_http(options, where)

    def _convert_websocket(self, options: dict[str, Any], path: str) -> None:
        for key in _PORT_KEYS:
            value = options.pop(key, None)
            if value is not None:
                with self._reading.collecting():
                    self._move_to_port(key, join(path, key), value)
        for key, wanted, problem in (
            ("noDelay", True, "messages are never held back by TCP"),
            ("perMessageDeflate", False, "there is no compression"),
        ):
            value = options.pop(key, None)
            if value is not None and value is not wanted:
                self._reading.notes.append(f"CONFIG | {join(path, key)} has no effect: {problem}")

    def _move_to_port(self, key: str, path: str, value: Any) -> None:
        """
        Move an option of an endpoint that had a port of its own. Now all endpoints share one port.
        """
        place = f"httpServer.options.{key}"
        if self._has_port:
            self._no_effect(path, place)
        elif place not in self._said:
            self._move(place, path, value)
        elif self._said[place] in _KEYS_OF_ALL_VERSIONS:
            self._reading.notes.append(f"CONFIG | {path} has no effect: {self._said[place]} at the top overrides it")
        elif value != (used := self._tree["httpServer"]["options"][key]):
            problem = f"all endpoints are on one port, and {self._said[place]} says {shown(used)}"
            if key == "host":
                # The operator may have meant that the endpoint is not reachable from the other network.
                raise ConfigError(path, f"{problem}; for more ports use --listen")
            self._reading.notes.append(f"CONFIG | {path} has no effect: {problem}; for more ports use --listen")

    def _move_tls(self, options: dict[str, Any], path: str) -> None:
        """
        Move the keys and certificates of an endpoint. Now all endpoints share one port.
        """
        for key in _TLS_KEYS:
            value = options.pop(key, None)
            if value is None:
                continue
            where, (place,) = join(path, key), MOVED_KEYS[key]
            used: Any = self._tree
            for name in place.split("."):
                used = used.get(name) if isinstance(used, dict) else None
            with self._reading.collecting():
                if used is None:
                    self._move(place, where, value)
                elif used == value:
                    self._no_effect(where, place)
                else:
                    problem = f"all endpoints are on one port, and {self._said.get(place, place)} says something else"
                    raise ConfigError(where, problem)

    def _convert_http(self, options: dict[str, Any], path: str) -> None:
        allowed = options.pop("allowAllOrigins", None)
        if allowed is not None:
            where = join(path, "allowAllOrigins")
            if not read_flag(allowed, where):
                raise ConfigError(where, "use httpServer.options.allowAllOrigins, which is for all endpoints")
        for key in _HTTP_SERVER_KEYS:
            if options.pop(key, None) is not None:
                self._no_effect(join(path, key), f"httpServer.options.{key}")

    def _no_effect(self, path: str, place: str) -> None:
        self._reading.notes.append(f"CONFIG | {path} has no effect: {place} is for all endpoints")

    # -- plugins

    def _move_connectors(self) -> None:
        plugins = self._tree.get("plugins")
        if not isinstance(plugins, dict):
            return
        for name, place in _CONNECTORS.items():
            value = plugins.pop(name, None)
            if value is not None:
                with self._reading.collecting():
                    path = join("plugins", name)
                    self._move(place, path, self._with_old_layout(value, path) if name != "message" else value)

    def _with_old_layout(self, connector: Any, path: str) -> Any:
        """
        The connector with the option for the layout of the records that v2 and v3 had in a Redis.
        """
        if not isinstance(connector, dict) or "redis" not in (connector.get("name"), connector.get("type")):
            return connector
        options = connector.get("options")
        options = {"url": options} if isinstance(options, str) else as_section(options, join(path, "options"))
        if options.get("legacyLayout") is None:
            options = {**options, "legacyLayout": True}
            where = join(join(path, "options"), "legacyLayout")
            self._reading.notes.append(f"CONFIG | {where} is true, because this is a connector for v2 and v3")
        return {**connector, "options": options}
