"""
Permission by Valve rules: C{permission: {type: config}}.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure
from zope.interface import implementer

from dstwist.config.fields import shown
from dstwist.counters.histogram import SHORT_SECONDS, Histogram
from dstwist.errors import RuleError, StoreError
from dstwist.interfaces import Change, IDecider, IIdentity, ISimplePermission, Record
from dstwist.permission.valve.actions import SECTIONS
from dstwist.permission.valve.decision import Decision, Loader
from dstwist.permission.valve.rules import NO_USER, Found, Guard, Rule, Rules
from dstwist.permission.valve.scope import Scope
from dstwist.permission.valve.values import Meter, truthy
from dstwist.protocol.constants import NAMELESS_USERS, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.patched import plain
from dstwist.protocol.typed import UNDEFINED
from dstwist.scheduling.drain import InFlight

#: The time of one in so many decisions is measured; it is a power of 2. To measure all of them would take a tenth of
#: the time of a short rule.
MEASURED_SHARE = 64

_ANYBODY = NAMELESS_USERS | {None}


def no_records(name: str) -> Deferred[Record | None]:
    """
    The loader of a server that has no records.
    """
    return fail(StoreError("there are no records"))


@implementer(ISimplePermission, IDecider)
class ValvePermission:
    """
    Decides by the rules.

    @ivar guards: the rules, by topic and action.
    @ivar warnings: the warnings about the first rules.
    @ivar evaluated: how many decisions took the evaluation of a rule.
    @ivar times: how long the evaluation of some of these rules took. The time that a decision waits for a record is not
        in here.
    @ivar waits: how long the decisions took that had to wait for a record.
    """

    def __init__(
        self,
        rules: Rules,
        seconds: Callable[[], float],
        *,
        load: Loader = no_records,
        max_iterations: int = 3,
        max_steps: int = 200_000,
        max_remembered: int = 100_000,
        interval: float = 60.0,
        log_values: bool = False,
        warnings: Sequence[str] = (),
    ) -> None:
        """
        @param seconds: the time, in seconds since 1970.
        @param load: loads the records that rules refer to. If its Deferreds have fired already, the decision is made at
            once. It has a time-out, and fails if a record cannot be loaded.
        @param max_iterations: the most passes of a decision, see L{dstwist.permission.valve.decision}.
        @param max_steps: the highest cost of a decision, see L{dstwist.permission.valve.values.Meter}.
        @param max_remembered: the most names whose rules are remembered.
        @param interval: how long a rule is remembered at least after it was last used, in seconds.
        @param log_values: whether the error text of a failed rule may contain the values that the rule used.
        @param warnings: warnings about the rules, logged when they come into force.
        """
        self._load = load
        self._seconds = seconds
        self._max_iterations = max_iterations
        self._max_steps = max_steps
        self._max_remembered = max_remembered
        self._interval = interval
        self._log_values = log_values
        self.warnings = warnings
        self.evaluated = 0
        self.times = Histogram(SHORT_SECONDS)
        self.waits = Histogram()
        self._undecided = InFlight()
        self.replace(rules)

    def replace(self, rules: Rules) -> Deferred[None]:
        """
        Decide by other rules from now on. Decisions that wait for a record end by the old rules; the Deferred fires
        after the last of them.
        """
        rules.remember(self._max_remembered, self._interval, self._seconds)
        self.guards = rules.guards
        return self._undecided.drain()

    def allows(self, message: Message, identity: IIdentity, change: Change | None = None) -> bool | Deferred[bool]:
        """
        The decision of the rule. Never raises: if the rule fails, the Deferred has failed with a L{RuleError} that
        tells the log which rule failed and why. Clients must not see this text.
        """
        guards = self.guards.get(message.topic)
        guard = guards.get(message.action) if guards is not None else None
        if guard is None:
            return True
        name = message.name
        found = guard.find(name) if name is not None and guard.named else guard.rules.nameless
        if found is None:
            return identity.is_server
        known = found.decision
        if known is not None:
            return known or identity.is_server
        if identity.is_server:
            return True
        self.evaluated = number = self.evaluated + 1
        if number % MEASURED_SHARE:
            return self.evaluate(guard, found, message, identity, change)
        begin = time.perf_counter()
        decision = self.evaluate(guard, found, message, identity, change)
        self.times.observe(time.perf_counter() - begin)
        return decision

    def permits_all(self, topic: Topic, action: IntEnum, name: str) -> bool:
        guards = self.guards.get(topic)
        guard = guards.get(action) if guards is not None else None
        if guard is None:
            return True
        found = guard.rule_of(name)
        return found is not None and found.rule.constant is True

    def decider(self, message: Message, name: str | None) -> str:
        guard = self.guards.get(message.topic, {}).get(message.action)
        if guard is None:
            return "no rule"
        found = guard.rule_of(name)
        if found is None:
            return f"default: no {guard.kind} rule of {SECTIONS[message.topic]} matches"
        rule = found.rule
        return f"{rule.where}{rule.place}: {_shortened(rule.text)}"

    def evaluate(
        self, guard: Guard, found: Found, message: Message, identity: IIdentity, change: Change | None = None
    ) -> bool | Deferred[bool]:
        """
        The decision of one rule.
        """
        rule = found.rule
        if rule.by_name:
            scope = Scope(NO_USER, None, found.name, found.groups, Meter(self._max_steps))
        else:
            data = identity.server_data
            user = {
                "isAuthenticated": identity.user not in _ANYBODY,
                "id": identity.user,
                "data": data if truthy(data) else None,
            }
            scope = Scope(user, guard.action, found.name, found.groups, Meter(self._max_steps))
            if rule.waits:
                return self._decide(rule, scope, message, change)
        try:
            decision = truthy(rule.code(scope))
        except (RuleError, RecursionError) as error:
            return fail(self._failed(error, rule, scope))
        if rule.by_name:
            found.decision = decision
        return decision

    def _decide(self, rule: Rule, scope: Scope, message: Message, change: Change | None) -> bool | Deferred[bool]:
        load, seconds = self._load, self._seconds
        try:
            decision = Decision(rule, scope, message, change, load, seconds, self._max_iterations).decide()
        except RuleError as error:
            return fail(self._failed(error, rule, scope))
        if isinstance(decision, Deferred):
            decision.addErrback(self._failed_later, rule, scope)
            decision.addBoth(self._waited, time.perf_counter())
            self._undecided.group.add(decision)
        return decision

    def _waited(self, result: Any, begin: float) -> Any:
        self.waits.observe(time.perf_counter() - begin)
        return result

    def _failed_later(self, failure: Failure, rule: Rule, scope: Scope) -> Failure:
        failure.trap(RuleError)
        assert failure.value is not None
        return Failure(self._failed(failure.value, rule, scope))

    def _failed(self, error: BaseException, rule: Rule, scope: Scope) -> RuleError:
        """
        The error, with everything that helps to find the cause.
        """
        name = "all users" if scope.name is UNDEFINED else shown(scope.name)
        text = f"error when executing {rule.where}{rule.place} ({_shortened(rule.text)}) for {name}: {error}"
        if self._log_values:
            text += f"; with {_shortened(self._values(rule, scope), 2000)}"
        return RuleError(text)

    def _values(self, rule: Rule, scope: Scope) -> str:
        known = {"user": scope.user, "data": scope.data, "oldData": scope.old_data, "now": scope.now}
        values = {name: known[name] for name in known if name in rule.reads}
        variables = rule.pattern.variables
        values |= {name: scope.variables[place] for name, place in variables.items() if name in rule.reads}
        return ", ".join(f"{name} = {json.dumps(plain(value), default=repr)}" for name, value in values.items())


def _shortened(text: str, limit: int = 500) -> str:
    return text if len(text) <= limit else f"{text[:limit]}..."
