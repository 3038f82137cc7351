"""
Denied requests, for all parts of the server that ask the permission: their number, and lines in the log.

=====================  ========================================  ===================================================
decision                line                                      level
=====================  ========================================  ===================================================
``False``              MESSAGE_DENIED, with the rule             debug; info with C{logger.options.logDenied}
a rule that failed     MESSAGE_PERMISSION_ERROR, with the        warn
                       reason
=====================  ========================================  ===================================================

The rule is looked up again for the line. So only denied requests whose line is written cost more.
"""

from __future__ import annotations

from typing import Any

from twisted.python.failure import Failure

from dstwist.counters.messages import MessageCounts
from dstwist.interfaces import IDecider, IPermission, IRequester
from dstwist.log import LEVELS, Logger, about, shown
from dstwist.protocol.message import Message

#: The longest error text of a rule in a log line, in characters.
MAX_ERROR_CHARACTERS = 1000


class Denials:
    """
    Counts denied requests, and writes these lines.

    @ivar denied: the requests that a rule denied, by topic and action. Each denied name of a bulk request counts.
    @ivar failed: the requests that were denied because a rule failed.
    @param permission: the permission that refused; C{None} if everything is permitted.
    @param at_info: whether denied requests are logged at level info.
    """

    _log = Logger()

    def __init__(self, permission: IPermission | None, at_info: bool = False) -> None:
        self._decider = permission if IDecider.providedBy(permission) else None
        self._level: Any = LEVELS["INFO" if at_info else "DEBUG"]
        self.denied = MessageCounts()
        self.failed = MessageCounts()

    def tell(
        self,
        decision: object,
        request: Message,
        sender: IRequester,
        name: str | None = None,
        part_of: Message | None = None,
    ) -> None:
        """
        Count C{request}, which was refused, and log that.

        @param decision: the L{Failure} of the rule, or anything else that is not C{True}.
        @param request: the request that the permission was asked about; for a bulk request, C{name} is the refused
            name.
        @param part_of: the request of the client, if C{request} is only a part of it.
        """
        counted = self.failed if isinstance(decision, Failure) else self.denied
        of = request if part_of is None else part_of
        counted.by_topic[of.topic][of.action] += 1
        if isinstance(decision, Failure):
            self._log.warn(
                "MESSAGE_PERMISSION_ERROR | {client}: {error}",
                # The text may contain names that the rule made of what the client sent.
                error=shown(decision.getErrorMessage(), MAX_ERROR_CHARACTERS),
                event="MESSAGE_PERMISSION_ERROR",
                **about(sender),
            )
        elif Logger.writes(self._level):
            name = request.name if name is None else name
            self._log.emit(
                self._level,
                "MESSAGE_DENIED | {client}: {topic} {action}{name} is denied by {rule}",
                topic=request.topic.name,
                action=request.action.name,
                name="" if name is None else f" of {shown(name)}",
                rule=self.rule(request, name),
                event="MESSAGE_DENIED",
                **about(sender),
            )

    def rule(self, request: Message, name: str | None) -> str:
        """
        The rule that decides about C{request}.
        """
        return "the permission" if self._decider is None else self._decider.decider(request, name)
