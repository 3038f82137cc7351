"""
Rules that change while the server runs: read again on SIGHUP, and when their file has changed.

::

    the configuration --all of it is right--> the new rules decide, and what clients have is judged again
                      --anything is wrong---> the old ones stay, and the log says why

Always true: the rules in force are those of one whole file. A decision that waits for a record ends by the rules with
which it began, and what is asked of many names is judged before all of it is done; when the last of these is through,
what clients have is judged once more, since they may have let in somebody in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, succeed

from dstwist.config.permission import PermissionSettings
from dstwist.errors import ConfigError
from dstwist.interfaces import IPermission
from dstwist.log import OperatorLogger
from dstwist.permission.recheck import GrantType, Recheck
from dstwist.permission.selection import load_rules
from dstwist.permission.valve.permission import ValvePermission
from dstwist.reload.files import FileWatch


class RuleReload:
    """
    Takes new rules into force.

    @param settings: those that C{permission} was built from.
    @param grant_types: what clients have that is to be judged again.
    @param drain: L{dstwist.routing.router.Router.drain}.
    """

    _log = OperatorLogger()

    def __init__(
        self,
        permission: IPermission,
        settings: PermissionSettings,
        grant_types: Sequence[GrantType],
        clock: Any,
        drain: Callable[[], Deferred[None]] = lambda: succeed(None),
    ) -> None:
        self._permission = permission
        self._settings = settings
        self._clock = clock
        self._drain = drain
        self._recheck = Recheck(permission, grant_types, clock) if settings.recheck_subscriptions else None
        self._watch: FileWatch | None = None

    def start(self, read_again: Callable[[], object]) -> None:
        """
        Say in the log what is doubtful about the rules, and have C{read_again} called when the file has changed.
        """
        if isinstance(self._permission, ValvePermission):
            self._tell(self._permission.warnings)
        interval = self._settings.reload_interval
        if interval is not None and self._settings.file is not None:
            self._watch = FileWatch(self._files, read_again)
            self._watch.start(interval, self._clock)

    def stop(self) -> None:
        """
        Look after nothing any more.
        """
        if self._watch is not None:
            self._watch.stop()
        if self._recheck is not None:
            self._recheck.stop()

    def _tell(self, warnings: Iterable[str]) -> None:
        for warning in warnings:
            self._log.warn("CONFIG | {problem}", problem=warning, event="CONFIG")

    def _files(self) -> list[str]:
        return [] if self._settings.file is None else [self._settings.file]

    def reload(self, settings: PermissionSettings) -> str:
        """
        Have the rules of C{settings} decide; what to say about it in the log.

        @raise ConfigError: they cannot be used, or something else has changed, too. The rules in force stay.
        """
        old = self._settings
        if replace(settings, permissions=old.permissions, where=old.where, file=old.file) != old:
            raise ConfigError("permission", "more than the rules has changed; that takes a restart")
        permission = self._permission
        if not isinstance(permission, ValvePermission):
            return "there are no rules"
        # Their order counts, too.
        if repr(settings.permissions) == repr(old.permissions):
            self._settings = settings
            return "the rules have not changed"
        rules, warnings = load_rules(settings)
        undecided = gatherResults([permission.replace(rules), self._drain()])
        self._settings = settings
        self._tell(warnings)
        if self._recheck is not None:
            run = self._recheck.run
            run()
            if not undecided.called:
                # Who asked acts on the last decision only when this returns.
                undecided.addCallback(lambda _: self._clock.callLater(0, run))
        return f"{rules.count} rules in force"
