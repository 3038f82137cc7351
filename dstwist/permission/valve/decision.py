"""
One decision by a rule that needs more than the name in the message: the data, a record, the time.

A rule is evaluated in passes. If it refers to a record that is not loaded, the record is loaded, and is C{undefined} in
that pass. The result of such a pass is ignored, even if it failed. When all records have arrived, the next pass begins.
So the rule

::

    _('a').ok && _('b').ok

takes three passes: the first loads a, the second loads b, the third decides. With more than C{maxRuleIterations} passes
the rule fails.

A record that is loaded at once saves waiting, but not a pass: the number of passes must not depend on what is in a
cache. Only the record that the caller passes in needs no pass.

Each record is loaded once per decision, and forgotten with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from dstwist.errors import RuleError
from dstwist.permission.valve.rules import Rule
from dstwist.permission.valve.scope import Scope
from dstwist.permission.valve.values import ActionName, Thrown, truthy, type_of
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.path_tokens import InvalidPath
from dstwist.protocol.typed import UNDEFINED, value_of
from dstwist.record import NO_RECORD, Change, Record

#: Loads the record of a name: C{None}, or a record of version -1, if there is none.
Loader = Callable[[str], Deferred[Record | None]]

_LOADING = object()
_WRITES = frozenset((RecordAction.UPDATE, RecordAction.PATCH, RecordAction.PATCH_MULTI))


class Decision:
    """
    One decision.

    @ivar passes: the number of passes so far.
    """

    __slots__ = (
        "_change",
        "_deferred",
        "_fresh",
        "_limit",
        "_load",
        "_message",
        "_over",
        "_own",
        "_pending",
        "_records",
        "_rule",
        "_running",
        "_scope",
        "_seconds",
        "_trouble",
        "passes",
    )

    def __init__(
        self,
        rule: Rule,
        scope: Scope,
        message: Message,
        change: Change | None,
        load: Loader,
        seconds: Callable[[], float],
        limit: int,
    ) -> None:
        self._rule = rule
        self._scope = scope
        self._message = message
        self._load = load
        self._seconds = seconds
        self._limit = limit
        self._records: dict[str, Any] = {}
        # The name of the record that the message is about.
        self._own = message.name if message.topic is Topic.RECORD else None
        self._change = change
        if change is not None and self._own is not None:
            self._records[self._own] = _data_of(change.old)
        self.passes = 0
        self._pending = 0
        self._fresh = False
        self._running = False
        self._over = False
        self._trouble: RuleError | None = None
        self._deferred: Deferred[bool] | None = None
        scope.reference = self._reference

    def decide(self) -> bool | Deferred[bool]:
        """
        The decision, at once or later.

        @raise RuleError: the rule fails. The Deferred may fail with the same.
        """
        decision = self._run()
        if decision is not None:
            return decision
        self._deferred = Deferred(self._cancelled)
        return self._deferred

    def _run(self) -> bool | None:
        """
        Evaluate pass after pass. The result is the decision, or C{None} if records must arrive first.
        """
        self._running = True
        try:
            while True:
                self._fresh = False
                problem: Thrown | None = None
                value = None
                try:
                    value = self._pass()
                except Thrown as error:
                    problem = error
                except RecursionError:
                    raise RuleError("the rule is nested too deeply") from None
                if self._pending:
                    return None
                if not self._fresh:
                    if problem is not None:
                        raise problem
                    return truthy(value)
        finally:
            self._running = False

    def _pass(self) -> Any:
        self.passes += 1
        if self.passes > self._limit:
            raise RuleError("Exceeded max iteration count")
        rule, scope = self._rule, self._scope
        scope.meter.spend(rule.size)
        reads = rule.reads
        if "data" in reads:
            scope.data = self._data()
        if "oldData" in reads and self._own is not None:
            scope.old_data = self._record(self._own)
        if "now" in reads:
            scope.now = float(int(self._seconds() * 1000))
        return rule.code(scope)

    # -- values that rules use

    def _data(self) -> Any:
        """
        The data of the message; for a write, the data of the record after it.
        """
        message = self._message
        try:
            if message.topic is not Topic.RECORD:
                return value_of(message.data)
            if message.action not in _WRITES:
                return UNDEFINED
            change = self._changed()
            return UNDEFINED if change is None else change.apply()
        except InvalidPath as error:
            raise RuleError(str(error)) from None
        except ValueError:
            if message.action is RecordAction.PATCH_MULTI:
                raise RuleError(f"Invalid MultiPatch Data {self._own}") from None
            raise RuleError("the data of the message cannot be decoded") from None

    def _changed(self) -> Change | None:
        """
        The change that the message makes to the record; C{None} while the record is loaded.
        """
        message, change = self._message, self._change
        if change is None:
            change = Change(NO_RECORD, message)
            if change.action is RecordAction.UPDATE:
                return change
            change.changes  # noqa: B018  # fails if the write makes no sense; then nothing is loaded
            assert self._own is not None
            base = self._record(self._own)
            if base is UNDEFINED:
                return None
            if base is not None:
                return Change(Record(0, base), message)
        # A request that may create the record is checked with its own action as original_action.
        if change.old.version < 0 and change.action is not RecordAction.UPDATE and message.original_action is None:
            raise RuleError(f"Tried to apply patch to non-existant record {self._own}")
        return change

    def _reference(self, name: Any) -> Any:
        if isinstance(name, ActionName):
            name = str(name)
        if name is UNDEFINED:
            return UNDEFINED
        if not isinstance(name, str):
            raise RuleError(f"crossreference got unsupported type {type_of(name)}")
        return UNDEFINED if "undefined" in name else self._record(name)

    def _record(self, name: str) -> Any:
        """
        The data of a record; undefined while it is loaded.
        """
        records = self._records
        if name in records:
            data = records[name]
            return UNDEFINED if data is _LOADING else data
        records[name] = _LOADING
        self._fresh = True
        self._pending += 1
        self._load(name).addCallbacks(
            self._loaded, self._not_loaded, callbackArgs=(name,), errbackArgs=(name,)
        ).addErrback(self._broken)
        if self._trouble is not None:
            raise self._trouble
        return UNDEFINED

    def _loaded(self, record: Record | None, name: str) -> None:
        self._records[name] = _data_of(record)
        self._pending -= 1
        deferred = self._deferred
        if self._over or self._running or self._pending or deferred is None:
            return
        try:
            decision = self._run()
        except RuleError as error:
            self._over = True
            deferred.errback(error)
            return
        if decision is not None:
            self._over = True
            deferred.callback(decision)

    def _not_loaded(self, failure: Failure, name: str) -> None:
        self._end(RuleError(f"failed to load record {name} for permissioning: {failure.getErrorMessage()}"))

    def _broken(self, failure: Failure) -> Failure | None:
        # A mistake in this server: the caller that waits receives it as it is.
        if self._deferred is not None and not self._over:
            self._over = True
            self._deferred.errback(failure)
            return None
        return failure

    def _end(self, error: RuleError) -> None:
        if self._over:
            return
        self._trouble = error
        if self._deferred is not None and not self._running:
            self._over = True
            self._deferred.errback(error)

    def _cancelled(self, deferred: Deferred[bool]) -> None:
        self._over = True


def _data_of(record: Record | None) -> Any:
    return None if record is None or record.version < 0 else record.content
