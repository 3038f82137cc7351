"""
The composition root: one server, whose parts are put together once, in the steps of L{dstwist.assembly}.

A node is an object of the program that it runs in: that program owns the process, its reactor, its log and its signals,
and may have several nodes. Always true: a node ends no process and stops no reactor, and it fails by a Deferred or an
exception of L{dstwist.errors}.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Self

from twisted.internet.interfaces import IStreamServerEndpoint

from dstwist.assembly.clients import ClientParts
from dstwist.assembly.logins import LoginParts
from dstwist.assembly.operation import OperationParts
from dstwist.assembly.ports import PortParts
from dstwist.assembly.requests import PermissionParts, RequestParts
from dstwist.assembly.start_and_stop import check, dependencies, started_in_turn, watchers
from dstwist.config.load import ignored_in_programs, load
from dstwist.config.settings import Settings
from dstwist.dependencies import Dependency
from dstwist.endpoints import endpoints_for
from dstwist.errors import ConfigError
from dstwist.http_api.charges import Charges
from dstwist.lifecycle import Lifecycle
from dstwist.limits.admission import Admission
from dstwist.limits.log_lines import LogLimit
from dstwist.limits.open_files import connections_within, open_file_limit
from dstwist.log import Logger, about, labelled
from dstwist.node_service import NodeService
from dstwist.plugins.hosting import Plugins
from dstwist.reload.on_sighup import Reloads
from dstwist.store.from_settings import build_stores
from dstwist.tls.certificates import ServerCertificate
from dstwist.tls.transport import TlsEndpoint
from dstwist.transports.ports import Ports


class Node(NodeService):
    """
    One server. L{from_config} and L{from_settings} make it.

    @param reread: reads the configuration again; C{None} without a configuration file.
    @param log_limit: the limit of log lines while the node runs.
    @param label: stands at the end of the log lines about this node, if a program has several.
    @ivar api: records, events and so on for the application that embeds the node.
    @ivar factory: the factory of all connections.
    @ivar http: the ports, and the requests that are no WebSockets.
    @ivar web_sockets: by path, the factory of the WebSockets that the connections become.
    @ivar monitoring: the figures of the node, and the monitors that read them.
    @ivar reloads: the parts that L{reload} reads again.
    @ivar drain: sends the clients away in small groups: C{drain.begin(seconds)}.
    @ivar request_logins: decides on logins of single requests. Requesters without a connection log in by
        C{request_logins.login(HandshakeData(...), credentials)}. The Deferred gives a
        L{dstwist.connections.login.LoginDecision}, and the requester cancels it if it goes before that.
    """

    _log = Logger()

    def __init__(
        self,
        settings: Settings,
        endpoints: Iterable[IStreamServerEndpoint],
        reactor: Any,
        data_dir: str | None = None,
        reread: Callable[[], Settings] | None = None,
        log_limit: LogLimit | None = None,
        label: str = "",
    ) -> None:
        self._settings = settings
        self._label = label
        self._on_fatal: Callable[[str], object] | None = None
        self.reloads = Reloads(settings, reread)
        self._certificates: list[ServerCertificate] = []
        endpoints = list(endpoints)
        self._ports = ports = Ports(endpoints, reactor)
        self._add_certificates(each.certificate for each in endpoints if isinstance(each, TlsEndpoint))

        self._stores = stores = build_stores(
            settings.cache, settings.storage, data_dir, reactor, settings.record, settings.cluster is not None
        )
        logins = LoginParts(settings, stores.lasting, self._count, self.kick, reactor)
        self._users = logins.users
        self.request_logins = logins.request_logins
        self.reloads.add_section("auth", lambda settings: logins.reload.reload(settings.auth))

        permitted = PermissionParts(settings, stores, reactor)
        # Plug-ins hear of a login before the topics do.
        plugins = Plugins(settings.plugins, reactor, label)
        if plugins:
            logins.users.observe_connections(plugins.logged_in, plugins.logged_out)
        requests = RequestParts(settings, stores, logins.users, permitted, reactor)
        self._cluster = cluster = requests.cluster
        self.reloads.add_section("permission", lambda settings: requests.rules.reload(settings.permission))

        self._clients = clients = ClientParts(
            settings, logins, requests, stores.cache, self.kick, lambda: self.monitoring.values(), reactor, label
        )
        self.web_sockets = clients.web_sockets
        self.api = clients.api

        files = open_file_limit()
        admission = Admission(settings.limits, reactor, connections_within(files), logins.bans)
        charges = Charges(settings.limits.max_http_bytes)
        operation = OperationParts(
            settings,
            stores,
            logins,
            permitted,
            requests,
            clients,
            admission,
            charges,
            self.not_ready,
            self.reload,
            lambda seconds: self.drain.begin(seconds),
            data_dir,
            reactor,
            label,
        )
        self.monitoring = operation.monitoring

        entry = PortParts(
            settings,
            ports,
            logins,
            requests,
            clients,
            admission,
            charges,
            self.not_ready,
            self.monitoring.routes,
            reactor,
            label,
        )
        self.http = entry.http
        self.factory = entry.http.factory
        self._add_certificates(entry.http.certificates)
        self._client_side = entry.client_side
        self.drain = entry.client_side.drain

        self._lifecycle = Lifecycle(
            settings,
            watchers(self.monitoring, self._certificates, requests, logins, self.reloads, reactor, label),
            dependencies(settings, stores, logins, requests, operation.admin, self._lost, reactor),
            started_in_turn([Dependency(*part) for part in plugins.parts(self.api)], settings, reactor),
            None if cluster is None else cluster.hand_over,
            partial(check, settings, permitted.permission, ports, self._certificates, files),
            entry.client_side,
            log_limit,
            reactor,
            label,
        )

    @classmethod
    def from_config(
        cls,
        config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        *,
        reactor: Any,
        data_dir: str | os.PathLike[str] | None = None,
        listen: str | Iterable[str | IStreamServerEndpoint] = (),
        environ: Mapping[str, str] = os.environ,
        label: str = "",
    ) -> Self:
        """
        A node as a configuration describes it. Nothing is opened before L{start}.

        @param config: the path of a configuration file, or the content of one. Relative paths in the content start at
            the working directory. Without it, all options have their defaults.
        @param reactor: the reactor of the program.
        @param data_dir: the directory for data that survives a restart. It is created if it does not exist.
        @param listen: where to listen, in the place of C{httpServer.options}: a description of an endpoint, such as
            C{tcp:6020:interface=127.0.0.1}, or several descriptions and endpoints.
        @param environ: the variables for C{${NAME}} in the configuration.
        @param label: stands at the end of the log lines about this node.
        @raise ConfigError: the configuration cannot be used. The error has the path of the key.
        """
        if config is not None and not isinstance(config, Mapping):
            # A reload reads it again, after the program may have changed the directory.
            config = os.path.abspath(config)
        read = partial(load, config, environ)
        settings = read()
        settings = replace(settings, notes=(*settings.notes, *ignored_in_programs(settings)))
        reread = None if config is None or isinstance(config, Mapping) else read
        listen = [listen] if isinstance(listen, str) else listen
        return cls.from_settings(settings, reactor, data_dir, listen, environ, label, reread)

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        reactor: Any,
        data_dir: str | os.PathLike[str] | None = None,
        listen: Iterable[str | IStreamServerEndpoint] = (),
        environ: Mapping[str, str] = os.environ,
        label: str = "",
        reread: Callable[[], Settings] | None = None,
    ) -> Self:
        """
        The same as L{from_config}, with settings that were read already.

        @param reread: reads the settings again; C{None} if only certificates, users and rules in files of their own
            can be read again.
        """
        if data_dir is not None:
            data_dir = os.fspath(data_dir)
            try:
                os.makedirs(data_dir, mode=0o750, exist_ok=True)
            except OSError as error:
                raise ConfigError("data_dir", f"cannot create {data_dir}: {error.strerror}") from None
        endpoints = endpoints_for(listen, settings.http, reactor, environ, "listen")
        log_limit = LogLimit(settings.limits, reactor, label)
        return cls(settings, endpoints, reactor, data_dir, reread, log_limit, label)

    def _add_certificates(self, certificates: Iterable[ServerCertificate]) -> None:
        for certificate in certificates:
            self._certificates.append(certificate)
            self.reloads.add("certificate", certificate.reload)

    def on_fatal_error(self, callback: Callable[[str], object]) -> None:
        """
        With C{exitOnFatalError}: have C{callback} called with the reason if a store is lost. The node goes on, and asks
        the program to end.
        """
        self._on_fatal = callback

    def _lost(self, reason: str) -> None:
        self._log.critical("PLUGIN_ERROR | {reason}; exitOnFatalError", reason=reason, event="PLUGIN_ERROR")
        if self._on_fatal is not None:
            self._on_fatal(reason)

    def log_figures(self) -> None:
        """
        Write a report of deepstream's monitoring to the log: the counts since the last one of this method.
        """
        self.monitoring.log_report()

    @property
    def settings(self) -> Settings:
        """
        The settings that the node was made from.
        """
        return self._settings

    def reload(self) -> bool:
        """
        Read certificates, users and permission rules again. Clients stay connected, but may lose subscriptions that
        the new rules do not permit.

        @return: whether everything could be used. A part that could not stays as it was, and the log says why.
        """
        with labelled(self._label):
            return self.reloads.run()

    def _count(self, user: str) -> int:
        """
        How many connections and streams C{user} has, and how many handles of the API that have logged in as C{user}.
        """
        return self._users.count(user) + self._clients.count_others(user)

    def kick(self, user: str, reason: str) -> int:
        """
        Close all connections of C{user} on this node, with close code 1008 and C{reason}, and all streams and handles
        of the API that have logged in as C{user}. Requests to the HTTP API that are under way get an error for each
        item without a result.

        A kicked user can reconnect if the credentials are still valid. The official clients do so by themselves. The
        next single request of the user asks the authenticator again.

        @return: the number of connections, streams, handles and requests.
        """
        self.request_logins.forget(user)
        connections = self._users.connections(user)
        for connection in connections:
            self._log.info("KICKED | {client}: {reason}", reason=reason, event="KICKED", **about(connection))
            connection.close(reason)
        return len(connections) + self._clients.kick_others(user, reason)

    def not_ready(self) -> str | None:
        """
        Why clients should connect to another server; C{None} if there is no reason. Any client may see the text.
        """
        problem = self._client_side.refusal
        if problem is None and self._cluster is not None:
            problem = self._cluster.not_ready()
        return problem or self._stores.not_ready()

    @property
    def hosts(self) -> list[Any]:
        """
        The addresses of the ports that are bound.
        """
        return self._ports.hosts
