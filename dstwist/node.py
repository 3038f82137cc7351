"""
The composition root: builds all parts of one server and wires them, once.

A node is an object of the program that it runs in: that program owns the process, its reactor, its log and its signals,
and may have several nodes. Always true: a node ends no process and stops no reactor, and it fails by a Deferred or an
exception of L{dstwist.errors}.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

from twisted.internet.interfaces import IStreamServerEndpoint

from dstwist.admin.all_commands import all_commands
from dstwist.admin.parts import NodeParts as AdminParts
from dstwist.admin.server import build_admin
from dstwist.api.api import Api
from dstwist.api.figures import Counting
from dstwist.api.hub import Hub
from dstwist.auth.methods import build_authentication
from dstwist.auth.methods import describe as describe_authentication
from dstwist.auth.reload import AuthReload
from dstwist.client_side import ClientSide
from dstwist.cluster.from_settings import build_cluster
from dstwist.config.load import ignored_in_programs, load
from dstwist.config.settings import Settings
from dstwist.connections.login import Logins
from dstwist.connections.request_logins import RequestLogins
from dstwist.connections.users import UserRegistry
from dstwist.counters.log_lines import LineCounts
from dstwist.dependencies import Dependencies, Dependency
from dstwist.endpoints import endpoints_for
from dstwist.errors import ConfigError
from dstwist.figures.monitoring import Monitoring
from dstwist.figures.node_parts import NodeParts
from dstwist.figures.reactor_lag import ReactorLag
from dstwist.http_api.charges import Charges
from dstwist.http_api.handlers import ApiParts
from dstwist.http_api.rates import RequestRates
from dstwist.http_side import HttpSide
from dstwist.interfaces import IRequester
from dstwist.lifecycle import Lifecycle, Watcher
from dstwist.limits.admission import Admission
from dstwist.limits.bans import Bans
from dstwist.limits.failed_logins import FailedLogins
from dstwist.limits.log_lines import LogLimit
from dstwist.limits.open_files import connections_within, open_file_limit
from dstwist.limits.outgoing_bytes import outgoing_bytes
from dstwist.limits.rates import UserRateLimits
from dstwist.log import Logger, about, labelled
from dstwist.node_service import NodeService
from dstwist.permission.denials import Denials
from dstwist.permission.open import OpenPermission
from dstwist.permission.reload import RuleReload
from dstwist.permission.selection import build_permission
from dstwist.plugins import PluginContext
from dstwist.plugins.hosting import Plugins
from dstwist.reload.on_sighup import Reloads
from dstwist.routing.router import Router
from dstwist.scheduling.clocks import steady_clock, steady_time, wall_time
from dstwist.scheduling.turns import Turns
from dstwist.services.topics import TopicBuilder
from dstwist.startup_checks import (
    tell_of_open_files,
    warn_of_open_doors,
    warn_of_open_tables,
    warn_of_unasked_certificates,
)
from dstwist.store.from_settings import build_stores
from dstwist.store.loss import LossWatch
from dstwist.store.tiers import TieredStore
from dstwist.streams.registry import Streams
from dstwist.tls.certificates import TlsEndpoint
from dstwist.transports.accept_rate import AcceptRate
from dstwist.transports.ports import Ports
from dstwist.transports.websocket_builder import WebSocketBuilder


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
        endpoints = list(endpoints)
        self._ports = ports = Ports(endpoints, reactor)
        self._certificates = [each.certificate for each in endpoints if isinstance(each, TlsEndpoint)]
        self.reloads = Reloads(settings, reread)
        for certificate in self._certificates:
            self.reloads.add("certificate", certificate.reload)
        self._stores = stores = build_stores(
            settings.cache, settings.storage, data_dir, reactor, settings.record, settings.cluster is not None
        )
        self._authenticator = build_authentication(settings.auth, reactor, stores.lasting)
        self._users = UserRegistry()
        failed_logins = FailedLogins(settings.limits, reactor)
        bans = Bans(steady_time(reactor))
        self.request_logins = RequestLogins(
            # Without the limits of users: a request is no connection.
            Logins(self._authenticator, failed_logins, UserRegistry(), reactor, bans=bans),
            settings.limits.request_login_cache_time,
            reactor,
        )
        logins = AuthReload(
            self._authenticator, settings.auth, self._count, self.kick, self.request_logins.forget, reactor
        )
        self.reloads.add_section("auth", lambda settings: logins.reload(settings.auth))
        self._files = open_file_limit()
        admission = Admission(settings.limits, reactor, connections_within(self._files), bans)
        tiers = TieredStore(stores.cache, stores.storage, settings.record, reactor)
        self._permission = build_permission(
            settings.permission, wall_time(reactor), tiers.load, PluginContext(reactor, stores.storage)
        )
        outgoing = outgoing_bytes(settings.limits, reactor)
        denials = Denials(self._permission, settings.logger.log_denied)
        plugins = Plugins(settings.plugins, reactor, label)
        if plugins:
            self._users.observe_connections(plugins.logged_in, plugins.logged_out)
        self._cluster = cluster = build_cluster(settings, stores.arbiter, reactor, steady_clock(reactor))
        topics = TopicBuilder(
            settings,
            reactor,
            cluster,
            self._users,
            outgoing,
            self._permission,
            # If everything is permitted, nothing needs a decision for each name.
            None if isinstance(self._permission, OpenPermission) else self._permission,
            tiers,
            denials,
        ).build_topics()
        router = Router(self._permission, topics.by_topic, settings.limits.max_name_length, reactor, denials)
        rules = RuleReload(self._permission, settings.permission, topics.grant_types, reactor, router.drain)
        self.reloads.add_section("permission", lambda settings: rules.reload(settings.permission))
        user_rates = UserRateLimits(settings.limits, reactor)
        web_sockets = WebSocketBuilder(
            settings,
            reactor,
            self._authenticator,
            router,
            self._users,
            user_rates,
            failed_logins,
            outgoing,
            self._departed if self._authenticator.departures else None,
            label,
            bans,
        )
        clients, self.web_sockets = web_sockets.build_factories()
        figures = Counting(self.web_sockets, self._users, topics, stores.cache, cluster)
        self._streams = streams = Streams(settings.limits)
        self._hub = hub = Hub(
            router,
            user_rates,
            reactor,
            self.request_logins,
            self.kick,
            figures.count,
            lambda: self.monitoring.values(),
            label,
        )
        self.api = Api(hub, hub.server)
        administered = AdminParts(
            settings,
            self.web_sockets,
            self._users,
            topics,
            stores,
            tiers,
            cluster,
            self.api.records,
            self.request_logins,
            hub.figures,
            self.not_ready,
            self._kick_others,
            streams.kicked_address,
            self.reload,
            lambda seconds: self.drain.begin(seconds),
            bans,
            reactor,
            label,
        )
        self._admin = build_admin(settings.admin, data_dir, all_commands(administered), reactor, label)
        charges = Charges(settings.limits.max_http_bytes)
        self.monitoring = Monitoring(
            settings.monitoring,
            NodeParts(
                summary=hub.figures,
                not_ready=self.not_ready,
                turns=Turns.of(reactor),
                admission=admission,
                endpoints=web_sockets.endpoints,
                request_logins=self.request_logins,
                router=router,
                denials=denials,
                permission=self._permission,
                topics=topics,
                tiers=tiers,
                outgoing=outgoing,
                incoming=web_sockets.incoming,
                charges=charges,
                lines=LineCounts(),
                lag=ReactorLag(reactor),
                cluster=cluster,
            ),
            reactor,
            label,
        )
        rate = settings.limits.max_connection_rate
        accept_rate = None if rate is None else AcceptRate(rate, ports.listening, reactor)
        self.http = http = HttpSide(
            settings,
            self.web_sockets,
            web_sockets.incoming,
            admission,
            None if accept_rate is None else accept_rate.arrived,
            ApiParts(
                router,
                self.request_logins,
                RequestRates(user_rates, reactor),
                charges,
                frozenset(topics.by_topic),
                settings.http.max_message_size,
                reactor,
                label,
            ),
            streams,
            outgoing,
            self.not_ready,
            self.monitoring.routes,
            reactor,
        )
        self.factory = http.factory
        ports.add(http.ports)
        for certificate in http.certificates:
            self._certificates.append(certificate)
            self.reloads.add("certificate", certificate.reload)
        self._client_side = ClientSide(
            settings,
            ports,
            self.web_sockets,
            clients,
            http,
            topics,
            admission,
            failed_logins,
            self.request_logins,
            accept_rate,
            hub,
            reactor,
            label,
        )
        self.drain = self._client_side.drain
        self._lifecycle = Lifecycle(
            settings,
            self._watchers(rules, logins, reactor),
            self._started_in_turn(self._dependencies(reactor), reactor),
            self._started_in_turn([Dependency(*part) for part in plugins.parts(self.api)], reactor),
            None if cluster is None else cluster.hand_over,
            self._check,
            self._client_side,
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

    def _watchers(self, rules: RuleReload, logins: AuthReload, reactor: Any) -> list[Watcher]:
        def run(section: str) -> bool:
            with labelled(self._label):
                return self.reloads.run_section(section)

        return [
            Watcher(self.monitoring.start, self.monitoring.stop),
            *(Watcher(partial(certificate.start, reactor), certificate.stop) for certificate in self._certificates),
            Watcher(partial(rules.start, partial(run, "permission")), rules.stop),
            Watcher(partial(logins.start, partial(run, "auth")), logins.stop),
        ]

    def _dependencies(self, reactor: Any) -> list[Dependency]:
        settings, stores = self._settings, self._stores
        found = [
            Dependency("storage", stores.storage, stores.describe_storage),
            Dependency("cache", stores.cache, lambda: stores.cache_description),
            Dependency("authentication", self._authenticator, lambda: describe_authentication(settings.auth)),
        ]
        cluster = self._cluster
        if cluster is not None:
            # A member that differs may be dead, which shows after leaseTime.
            waits = cluster.settings.lease_time + cluster.settings.join_timeout
            found.append(Dependency("cluster", cluster, lambda: cluster.description, waits))
        if settings.exit_on_fatal_error:
            watch = LossWatch(
                [("storage", stores.storage), ("cache", stores.cache)],
                settings.dependency_initialization_timeout,
                self._lost,
                reactor,
            )
            found.append(Dependency("exitOnFatalError", watch, lambda: watch.description))
        admin = self._admin
        if admin is not None:
            # The last to start, and the first to stop: its commands ask the others.
            found.append(Dependency("administration", admin, lambda: admin.description))
        return found

    def _started_in_turn(self, parts: Sequence[Dependency], reactor: Any) -> Dependencies:
        settings = self._settings
        return Dependencies(parts, settings.dependency_initialization_timeout, settings.shutdown_timeout, reactor)

    async def _check(self) -> None:
        settings = self._settings
        tell_of_open_files(self._files, settings.limits.max_connections)
        await warn_of_open_tables(settings.auth, self._permission)
        await warn_of_open_doors(settings.auth, self._permission, self._ports.hosts)
        warn_of_unasked_certificates(settings.auth, any(each.asks for each in self._certificates))

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

    def _departed(self, connection: IRequester) -> None:
        if connection.user is not None:
            self._authenticator.departed(connection.user)

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
        return self._users.count(user) + self._hub.count(user) + self._streams.count(user)

    def kick(self, user: str, reason: str) -> int:
        """
        Close all connections of C{user} on this node, with close code 1008 and C{reason}, and all streams and handles
        of the API that have logged in as C{user}.

        A kicked user can reconnect if the credentials are still valid. The official clients do so by themselves. The
        next single request of the user asks the authenticator again.

        @return: the number of connections, streams and handles.
        """
        self.request_logins.forget(user)
        connections = self._users.connections(user)
        for connection in connections:
            self._log.info("KICKED | {client}: {reason}", reason=reason, event="KICKED", **about(connection))
            connection.close(reason)
        return len(connections) + self._kick_others(user, reason)

    def _kick_others(self, user: str, reason: str) -> int:
        """
        Close all parties without a WebSocket that have logged in as C{user}.

        @return: how many.
        """
        return self._hub.kicked(user, reason) + self._streams.kicked(user, reason)

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
