"""
Reloads the rules while the server runs: on SIGHUP, and when their file has changed.

::

    the configuration --all of it is valid---> the new rules are in force, and the grants of clients are checked again
                      --something is wrong---> the old rules stay in force, and the log says why

Always true: the rules in force are those of one whole file.

Two kinds of requests can still be granted by the old rules after a reload: a decision that waits for a record ends by
the rules with which it began, and a request for many names is permitted before all of its names are served. When the
last of these is finished, all grants are checked once more.
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
    Brings new rules into force.

    @param settings: those that C{permission} was built from.
    @param grant_types: the grants that are checked again.
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
        Log the warnings about the rules, and call C{read_again} when their file has changed.
        """
        if isinstance(self._permission, ValvePermission):
            self._tell(self._permission.warnings)
        interval = self._settings.reload_interval
        if interval is not None and self._settings.file is not None:
            self._watch = FileWatch(self._files, read_again)
            self._watch.start(interval, self._clock)

    def stop(self) -> None:
        """
        Stop watching the file, and stop the check of grants.
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
        Use the rules of C{settings}; return the text for the log.

        @raise ConfigError: the rules cannot be used, or other options have changed. The rules in force stay.
        """
        old = self._settings
        if replace(settings, permissions=old.permissions, where=old.where, file=old.file) != old:
            raise ConfigError("permission", "options other than the rules have changed; that needs a restart")
        permission = self._permission
        if not isinstance(permission, ValvePermission):
            return "there are no rules"
        # repr, because the order of the patterns matters, too.
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
                # The caller that waits for the last decision acts on it only after this callback.
                undecided.addCallback(lambda _: self._clock.callLater(0, run))
        return f"{rules.count} rules in force"
