"""
Tests for L{dstwist.figures.node_figures}: what happens on a node, and what its metrics say then.
"""

from __future__ import annotations

import platform

from twisted.internet.defer import Deferred

from dstwist import __version__
from dstwist.config.limits import LimitSettings
from dstwist.config.settings import FeatureSettings, Settings
from dstwist.figures.catalogue import METRICS
from dstwist.permission.valve.permission import MEASURED_SHARE
from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from tests.api.stage import ignore, rules
from tests.figures.stage import MonitoredTestCase
from tests.logs import Lines


class ClientFigureTests(MonitoredTestCase):
    """
    Clients and their messages.
    """

    def test_versions(self) -> None:
        """
        The versions.
        """
        (labels,) = self.values("dstwist_build_info")
        self.assertIn(f'version="{__version__}",python="{platform.python_version()}",twisted="', labels)

    def test_connections(self) -> None:
        """
        Clients count at their endpoint and path, as soon as the generation of the client is known; their logins count
        by the result.
        """
        for generation, user in (("v4", "ann"), ("v4", "ann"), ("v3", "bob")):
            self.client(generation, user)
        self.assertEqual(
            self.values("dstwist_connections"),
            {
                '{endpoint="ws-text",path="/deepstream"}': 0,
                '{endpoint="ws-binary",path="/deepstream"}': 2,
                '{endpoint="ws-text",path="/deepstream-v3"}': 1,
                '{endpoint="ws-json",path="/deepstream-json"}': 0,
            },
        )
        self.assertEqual((self.value("dstwist_sockets"), self.value("dstwist_users")), (3, 2))
        self.assertEqual((self.value("dstwist_online_users"), self.value("dstwist_handles")), (2, 1))
        logins = self.values("dstwist_logins_total")
        self.assertEqual(logins['{endpoint="ws-binary",result="accepted"}'], 2)
        self.assertEqual(logins['{endpoint="ws-text",result="accepted"}'], 1)
        self.assertEqual(sum(logins.values()), 3)

    def test_messages(self) -> None:
        """
        Requests, answers and deliveries.
        """
        ann, bob = self.client("v4", "ann"), self.client("v3", "bob")
        for client in (ann, bob):
            client.subscribe("news")
        for _ in range(3):
            ann.emit("news", b"1")
        self.done(self.api.events.emit("news", 2))
        self.assertEqual(
            self.values("dstwist_messages_received_total"),
            {'{topic="EVENT",action="SUBSCRIBE"}': 2, '{topic="EVENT",action="EMIT"}': 4},
        )
        self.assertEqual(self.values("dstwist_messages_broadcast_total"), {'{topic="EVENT",action="EMIT"}': 5})
        sent = self.values("dstwist_messages_sent_total")
        self.assertEqual(sent['{topic="EVENT",action="SUBSCRIBE"}'], 2)
        self.assertEqual(sent['{topic="AUTH",action="AUTH_SUCCESSFUL"}'], 2)

    def test_registries(self) -> None:
        """
        The names, patterns and users that the node knows.
        """
        ann, bob = self.client("v4", "ann"), self.client("v4", "bob")
        ann.subscribe("news")
        bob.say(Message(Topic.EVENT, EventAction.LISTEN, "^ne"))
        bob.say(Message(Topic.EVENT, EventAction.LISTEN_ACCEPT, "^ne", subscription="news"))
        self.done(self.api.presence.subscribe(ignore, "ann"))
        self.done(self.api.presence.subscribe(ignore))
        self.assertEqual(
            self.values("dstwist_registry_entries"),
            {
                '{registry="event_subscriptions"}': 1,
                '{registry="record_subscriptions"}': 0,
                '{registry="rpc_subscriptions"}': 0,
                '{registry="event_listen_patterns"}': 1,
                '{registry="event_published_subscriptions"}': 1,
                '{registry="record_listen_patterns"}': 0,
                '{registry="record_published_subscriptions"}': 0,
                '{registry="presence_subscriptions"}': 2,
                '{registry="online_users"}': 2,
            },
        )
        self.assertGreater(self.value("dstwist_subscription_bytes"), 1000)

    def test_presence(self) -> None:
        """
        The news of a user counts once for each subscriber, to the user or to all users.
        """
        self.done(self.api.presence.subscribe(ignore, "bob"))
        self.done(self.api.presence.subscribe(ignore))
        self.client("v4", "bob")
        self.assertEqual(
            self.values("dstwist_messages_broadcast_total"),
            {'{topic="PRESENCE",action="PRESENCE_JOIN"}': 1, '{topic="PRESENCE",action="PRESENCE_JOIN_ALL"}': 1},
        )

    def test_calls(self) -> None:
        """
        A call counts until it is answered.
        """
        self.done(self.api.rpc.provide("add", lambda request: Deferred()))
        call = self.api.rpc.call("add", 1)
        self.turn()
        self.assertEqual(self.value("dstwist_calls_running"), 1)
        self.assertGreater(self.value("dstwist_pending_bytes"), 0)
        call.addErrback(lambda failure: None)
        self.reactor.advance(20)
        self.assertEqual((self.value("dstwist_calls_running"), self.value("dstwist_pending_bytes")), (0, 0))

    def test_ready(self) -> None:
        """
        Whether clients should use the node.
        """
        self.assertEqual(self.value("dstwist_ready"), 1)
        stopped = self.node.stop()
        self.assertEqual(self.node.monitoring.values()["dstwist_ready"], 0)
        self.reactor.pump([1] * 20)
        self.successResultOf(stopped)

    def test_lines(self) -> None:
        """
        Warnings by their event, and exceeded limits by their name.
        """
        Lines(self)
        self.assertEqual(self.values("dstwist_limits_exceeded_total"), {})
        client = self.client("v4", "ann")
        for number in range(1001):
            client.say(Message(Topic.EVENT, EventAction.LISTEN, f"^{number}"))
        self.assertEqual(self.values("dstwist_limits_exceeded_total"), {'{limit="listen.maxPatterns"}': 1})
        self.assertEqual(self.values("dstwist_log_lines_total")['{event="LIMIT_EXCEEDED"}'], 1)

    def test_lag(self) -> None:
        """
        The reactor's lag is measured while the node runs.
        """
        self.reactor.advance(1.0)
        self.reactor.advance(1.2)
        found = self.api.metrics()
        self.assertEqual(found["dstwist_reactor_lag_seconds_count"], 2)
        self.assertAlmostEqual(found["dstwist_reactor_lag_seconds_sum"], 0.2)

    def test_bounded(self) -> None:
        """
        However many clients, names and events there are, there are no more values.
        """
        count = 0
        for number in range(20):
            client = self.client("v4", f"user{number}")
            client.subscribe(f"news{number}")
            client.emit(f"news{number + 1}", b"1")
            count = count or len(self.api.metrics())
        # The first delivery.
        self.assertLessEqual(len(self.api.metrics()), count + 2)


class NoMonitorTests(MonitoredTestCase):
    """
    A node without monitors.
    """

    settings = Settings(features=FeatureSettings(rpc=False, presence=False, record=False))

    def test_metrics(self) -> None:
        """
        The program around the node gets the metrics all the same, except those of topics that are switched off. The
        reactor is not woken up to measure its lag.
        """
        self.reactor.advance(3)
        found = self.api.metrics()
        self.assertEqual(found["dstwist_reactor_lag_seconds_count"], 0)
        for name in ("dstwist_calls_running", "dstwist_online_users", "dstwist_records_busy"):
            self.assertNotIn(name, found)


class PermissionFigureTests(MonitoredTestCase):
    """
    Decisions of rules.
    """

    settings = rules(
        {
            "event": {"*": {"publish": "data !== 'no'", "subscribe": "user.id === 'ann'"}},
            "record": {"*": {"read": False, "create": True, "write": "oldData.a.b.c === 1"}},
        }
    )

    def test_denied(self) -> None:
        """
        Denied requests count by topic and action, and so do rules that fail. The requests that are left passed.
        """
        Lines(self)
        bob = self.client("v4", "bob")
        bob.subscribe("news")
        bob.say(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("a", "b"), correlation_id="0"))
        bob.say(Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=("a",), correlation_id="1"))
        bob.emit("news", b"1")
        self.done(self.api.records.set("r", {}))
        bob.say(Message(Topic.RECORD, RecordAction.UPDATE, "r", b'{"a":1}', version=2))
        self.assertEqual(
            self.values("dstwist_messages_denied_total"),
            {
                '{topic="EVENT",action="SUBSCRIBE",reason="rule"}': 3,
                '{topic="RECORD",action="SUBSCRIBECREATEANDREAD",reason="rule"}': 1,
                '{topic="RECORD",action="UPDATE",reason="failure"}': 1,
            },
        )
        report = self.node.monitoring.totals()
        self.assertEqual(report.received["EVENT"], {"SUBSCRIBE": 0, "EMIT": 1})

    def test_rules(self) -> None:
        """
        The rules that are evaluated count, and the time of some of them is measured.
        """
        ann = self.client("v4", "ann")
        for _ in range(MEASURED_SHARE):
            ann.emit("news", b"1")
        self.assertEqual(self.value("dstwist_permission_rules_total"), MEASURED_SHARE)
        self.assertEqual(self.value("dstwist_permission_rule_seconds_count"), 1)
        self.assertEqual(self.value("dstwist_permission_wait_seconds_count"), 0)


class RecordFigureTests(MonitoredTestCase):
    """
    Records and their stores.
    """

    def test_cache(self) -> None:
        """
        The records in the cache, their memory, and how often they were found.
        """
        self.assertEqual((self.value("dstwist_cache_records"), self.value("dstwist_cache_hits_total")), (0, 0))
        self.done(self.api.records.set("a", {"b": 1}))
        before = self.value("dstwist_cache_hits_total")
        self.done(self.api.records.get("a"))
        found = self.api.metrics()
        self.assertEqual((found["dstwist_cache_records"], found["dstwist_records_busy"]), (1, 0))
        self.assertGreater(found["dstwist_cache_bytes"], 0)
        self.assertGreater(found["dstwist_cache_hits_total"], before)
        self.assertGreater(found["dstwist_cache_misses_total"], 0)

    def test_complete(self) -> None:
        """
        Each metric that a single node has is there, and none that the catalogue does not have. The permission of this
        node is open.
        """
        self.client("v4", "ann").subscribe("news")
        names = {key.partition("{")[0] for key in self.api.metrics()}
        known: set[str] = set()
        for metric in METRICS:
            known |= (
                {metric.name}
                if metric.kind != "histogram"
                else {f"{metric.name}_{end}" for end in ("bucket", "sum", "count")}
            )
        self.assertEqual(names - known, set())
        missing = {name for name in known - names if "_cluster_" not in name and "_permission_" not in name}
        self.assertEqual(
            missing - {"process_max_fds"},
            {
                "dstwist_messages_broadcast_total",
                "dstwist_messages_denied_total",
                "dstwist_limits_exceeded_total",
            },
        )


class LimitFigureTests(MonitoredTestCase):
    """
    A node with limits.
    """

    settings = Settings(limits=LimitSettings(max_connections=7, max_outgoing_bytes=12345))

    def test_limits(self) -> None:
        """
        The limits that a figure is compared with.
        """
        self.assertEqual(self.value("dstwist_max_sockets"), 7)
        self.assertEqual((self.value("dstwist_max_outgoing_bytes"), self.value("dstwist_outgoing_bytes")), (12345, 0))
