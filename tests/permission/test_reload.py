"""
Rules that change while the server runs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from dstwist.config.permission import PermissionSettings
from dstwist.config.settings import ListenSettings
from dstwist.errors import ConfigError
from dstwist.interfaces import IPermission, Record
from dstwist.permission.recheck import GrantType
from dstwist.permission.reload import RuleReload
from dstwist.permission.selection import build_permission
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing.listeners import ListenerRegistry
from dstwist.routing.router import Router
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.scheduling.time_slices import NAMES_PER_STEP
from dstwist.services.event import EventService
from tests.logs import Lines
from tests.requesters import RequesterTestCase, for_each_requester

SUBSCRIBE = EventAction.SUBSCRIBE


def settings(subscribe: Any, **options: Any) -> PermissionSettings:
    rules = {"record": {"*": {}}, "event": {"*": {"subscribe": subscribe}}, "rpc": {"*": {}}, "presence": {"*": {}}}
    return PermissionSettings(permissions=rules, type="config", where="permission.options.permissions", **options)


@for_each_requester
class RuleReloadTests(RequesterTestCase):
    """
    L{RuleReload}.
    """

    def setUp(self) -> None:
        self.lines = Lines(self)
        self.clock = Clock()
        self.loads: list[Deferred[Record | None]] = []
        self.subscriptions = SubscriptionRegistry(Topic.EVENT)
        self.ann = self.connect("ann")

    def load(self, name: str) -> Deferred[Record | None]:
        self.loads.append(Deferred())
        return self.loads[-1]

    def reload(self, old: PermissionSettings) -> RuleReload:
        self.permission: IPermission = build_permission(old, self.clock.seconds, self.load)
        listeners = ListenerRegistry(Topic.EVENT, self.subscriptions, ListenSettings(), self.clock)
        service = EventService(self.subscriptions, listeners, None)
        self.router = Router(self.permission, {Topic.EVENT: service})
        grant_types = [GrantType(self.subscriptions, Topic.EVENT, SUBSCRIBE, SUBSCRIBE)]
        return RuleReload(self.permission, old, grant_types, self.clock, self.router.drain)

    def subscribe(self, *names: str) -> None:
        self.router.route(Message(Topic.EVENT, SUBSCRIBE, names=names), self.ann)

    def subscribed(self) -> list[str]:
        self.clock.advance(0)
        return sorted(self.subscriptions.names_of(self.ann))

    def test_new_rules(self) -> None:
        """
        New rules decide at once, and what they do not permit ends.
        """
        reload = self.reload(settings(True))
        self.subscribe("a", "b")
        self.assertEqual(reload.reload(settings("name === 'b'")), "1 rules in force")
        self.subscribe("c")
        self.assertEqual(self.subscribed(), ["b"])
        self.assertEqual(reload.reload(settings(True)), "1 rules in force")
        self.subscribe("c")
        self.assertEqual(self.subscribed(), ["b", "c"])

    def test_doubtful(self) -> None:
        """
        The log warns of rules that hardly do what they are meant to do: at the start, and when they are read again.
        """
        warning = (
            'CONFIG | permission.options.permissions.event["*"].subscribe: usr is not defined, so the rule fails when '
            "it gets there; did you mean user.id?"
        )
        old, new = settings("usr.id === 'a'"), settings("'a' === usr.id")
        reload = self.reload(old)
        self.assertEqual(self.lines.of("warn"), [])
        reload.start(lambda: None)
        self.assertEqual(self.lines.of("warn"), [warning])
        reload.reload(old)
        self.assertEqual(self.lines.of("warn"), [warning])
        reload.reload(new)
        self.assertEqual(self.lines.of("warn"), [warning, warning])
        reload.reload(settings(True))
        self.assertEqual(self.lines.of("warn"), [warning, warning])

    def test_broken(self) -> None:
        """
        Rules that cannot be used change nothing, and the error names the key.
        """
        reload = self.reload(settings("name === 'a'"))
        self.subscribe("a")
        error = self.assertRaises(ConfigError, reload.reload, settings("alert(1)"))
        self.assertEqual(
            str(error), 'permission.options.permissions.event["*"].subscribe: function alert is not supported'
        )
        self.subscribe("b")
        self.assertEqual(self.subscribed(), ["a"])
        self.assertEqual(reload.reload(settings(True)), "1 rules in force")

    def test_unchanged(self) -> None:
        """
        Nothing is judged again if the rules are the same; their order is a part of them.
        """
        reload = self.reload(settings(True))
        self.assertEqual(reload.reload(settings(True)), "the rules have not changed")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        other = settings(True)
        other.permissions["event"] = {"a.": {"subscribe": True}, ".b": {"subscribe": False}, "*": {}}
        self.assertEqual(reload.reload(other), "2 rules in force")
        turned = replace(other, permissions={**other.permissions})
        turned.permissions["event"] = {".b": {"subscribe": False}, "a.": {"subscribe": True}, "*": {}}
        self.assertEqual(reload.reload(turned), "2 rules in force")

    def test_not_wanted(self) -> None:
        """
        With C{recheckSubscriptions: false} subscriptions stay.
        """
        reload = self.reload(settings(True, recheck_subscriptions=False))
        self.subscribe("a")
        reload.reload(settings(False, recheck_subscriptions=False))
        self.subscribe("b")
        self.assertEqual(self.subscribed(), ["a"])

    def test_restart(self) -> None:
        """
        What takes a restart is refused, and the rules stay as well: nobody is to believe that all of it is in force.
        """
        for old, new in (
            (settings(True), settings(False, max_rule_iterations=9)),
            (settings(True), PermissionSettings()),
            (PermissionSettings(), settings(False)),
        ):
            reload = self.reload(old)
            error = self.assertRaises(ConfigError, reload.reload, new)
            self.assertEqual(str(error), "permission: options other than the rules have changed; that needs a restart")
            message = Message(Topic.EVENT, SUBSCRIBE, "a")
            self.assertIs(self.permission.allows(message, self.ann), True)

    def test_no_rules(self) -> None:
        """
        Without rules there is nothing to reload.
        """
        reload = self.reload(PermissionSettings())
        self.assertEqual(reload.reload(PermissionSettings()), "there are no rules")

    def test_decided_late(self) -> None:
        """
        A request that the old rules let in after the new ones came into force does not stay: what was subscribed by it
        is judged again when it is.
        """
        reload = self.reload(settings("name === 'quick' || _('slow') === null"))
        self.subscribe("quick", "slow")
        reload.reload(settings(False))
        self.clock.advance(0)
        self.assertEqual(len(self.lines.of("info")), 1)
        self.loads[0].callback(None)
        self.assertEqual(sorted(self.subscriptions.names_of(self.ann)), ["quick", "slow"])
        self.assertEqual(self.subscribed(), [])
        denied = [message.name for message in self.ann.take() if message.action is EventAction.MESSAGE_DENIED]
        self.assertEqual(sorted(denied, key=str), ["quick", "slow"])
        self.assertEqual(len(self.lines.of("info")), 2)

    def test_under_way(self) -> None:
        """
        A request about many names of which the old rules have judged some when the new ones come, or all but it is not
        served to its end, does not leave anything that is not permitted.
        """
        names = [f"n{number}" for number in range(4 * NAMES_PER_STEP)]
        for turns in range(9):
            self.ann = self.connect("ann")
            reload = self.reload(settings(True))
            self.ann.turns = True
            self.subscribe(*names)
            for _ in range(turns):
                self.ann.turn()
            reload.reload(settings("name === 'n0'"))
            self.clock.pump([0] * 20)
            while self.ann.turn():
                pass
            self.clock.pump([0] * 20)
            self.assertEqual(self.subscribed(), ["n0"])

    def test_watch(self) -> None:
        """
        When the file changes, the callback that reads the configuration is called.
        """
        path = self.mktemp()
        reload = self.reload(settings(True, file=path, reload_interval=5.0))
        changes: list[bool] = []
        reload.start(lambda: changes.append(True))
        with open(path, "w", encoding="utf-8"):
            pass
        self.clock.pump([5.0, 5.0, 5.0])
        self.assertEqual(changes, [True])
        reload.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_watch(self) -> None:
        """
        Nothing is looked at if that is not wanted, or if the rules have no file of their own.
        """
        for options in ({"file": "rules.yml", "reload_interval": None}, {"file": None, "reload_interval": 5.0}):
            reload = self.reload(settings(True, **options))
            reload.start(lambda: None)
            self.assertEqual(self.clock.getDelayedCalls(), [])
            reload.stop()

    def test_stop(self) -> None:
        """
        When the server stops nothing is judged any more.
        """
        reload = self.reload(settings(True))
        self.subscribe("a")
        reload.reload(settings(False))
        reload.stop()
        self.assertEqual(self.subscribed(), ["a"])
