"""
A permission of your own: all clients may read at any time, and write during office hours.

In config.yml::

    permission:
      path: office_hours.py:OfficeHours
      options: {from: 8, until: 18}
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from zope.interface import implementer

from dstwist.interfaces import Change, IIdentity, IPermission
from dstwist.protocol.constants import RecordAction
from dstwist.protocol.message import Message

READS = {RecordAction.READ, RecordAction.HEAD, RecordAction.SUBSCRIBE, RecordAction.SUBSCRIBEANDREAD}


@implementer(IPermission)
class OfficeHours:
    """
    Made once, at start, with the options of the configuration.
    """

    def __init__(self, options: dict[str, Any], context: Any) -> None:
        # If this raises an exception, the server does not start, and shows it with the place in config.yml.
        self._hours = range(options["from"], options["until"])

    # Can return a Deferred, or be "async", if it has to wait for an answer. An exception denies the request, and is
    # logged.
    def allows(self, message: Message, identity: IIdentity, change: Change | None = None) -> bool:
        return message.action in READS or datetime.now().hour in self._hours
