"""
The permission of writes: which rules a write needs, and its refusal if one of them forbids it.

The rules that a write needs follow from its effect (C{services.md} section 1):

- I{create}, if the write may create the record;
- I{write}, if the write sets a value;
- I{delete}, if a v4+ client erases the value at a path, by any message. Text clients have no message to erase a value:
  they patch with "no value", for which every deepstream server asks for I{write}.

A write that only sets a value in an existing record needs one rule. L{dstwist.services.record.decide} asks the
permission about it without this module, because nearly all writes are such.
"""

from __future__ import annotations

from enum import IntEnum
from functools import partial

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from dstwist.interfaces import IRequester
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.record import NO_RECORD, Change
from dstwist.services.record import answers
from dstwist.services.record.parts import RecordParts
from dstwist.services.record.refusals import SendRefusal

_UPDATE = RecordAction.UPDATE
_PATCH = RecordAction.PATCH
_ERASE = RecordAction.ERASE

#: The decisions about a write, in the order of its checks, as far as the permission was asked.
Decided = tuple[bool | Deferred[bool], ...]

#: The writes that create a record that does not exist, and need the permission to.
UPSERTS = (RecordAction.CREATEANDUPDATE, RecordAction.CREATEANDPATCH)


class WritePermission:
    """
    Asks the rules about writes.
    """

    def __init__(self, parts: RecordParts) -> None:
        self._allows = parts.permission.allows
        self._refusals = parts.refusals
        self._is_subscribed = parts.refusals.is_subscribed
        self._hot_path_prefixes = parts.settings.storage_hot_path_prefixes
        self._denials = parts.denials

    async def check_effect(
        self, name: str, message: Message, sender: IRequester, change: Change, decided: Decided = ()
    ) -> SendRefusal | None:
        """
        The refusal of a write if a part of its effect is not permitted.

        @param decided: the decisions that were asked for already.
        """
        if name.startswith(self._hot_path_prefixes) and message.action in UPSERTS and change.action is not _UPDATE:
            return partial(self._refusals.not_on_hot_path, name, message, sender, change.old)
        may_create = message.action in UPSERTS or (change.old is NO_RECORD and creates(message, sender))
        # It tells the rules that this write creates the record if it does not exist.
        original = message.action if may_create else None
        check: IntEnum
        for place, check in enumerate(_checks(change, may_create, sender)):
            if place < len(decided):
                decision = decided[place]
            else:
                decision = self._allows(message.acting_as(check, original), sender, change)
            if decision is not True:
                refusal = await self.check_decision(name, message, sender, change, decision, check)
                if refusal is not None:
                    return refusal
        return None

    async def check_decision(
        self,
        name: str,
        message: Message,
        sender: IRequester,
        change: Change,
        decision: bool | Deferred[bool],
        check: IntEnum | None = None,
    ) -> SendRefusal | None:
        """
        The refusal that follows from a decision which is not C{True}; C{None} if the write is permitted after all.

        @param check: the action that stands for the part of the write; C{None}: the whole write.
        """
        result = await answers.decided(decision)
        if result is True:
            return None
        return partial(self._refusals.denied, name, message, sender, change.old, result, check or message.action)

    async def may_see(self, name: str, sender: IRequester, change: Change) -> bool:
        """
        Whether the answer to a conflict may contain the record.
        """
        if self._is_subscribed(name, sender) or change.old is NO_RECORD:
            return True
        read = Message(Topic.RECORD, RecordAction.READ, name)
        decision = await answers.decided(self._allows(read, sender, Change(change.old, read)))
        if isinstance(decision, Failure):
            self._denials.tell(decision, read, sender)
        return decision is True


def is_plain(message: Message) -> bool:
    """
    Whether a write only sets a value, so that one rule decides about it.
    """
    action = message.action
    return (action is _PATCH or action is _UPDATE) and message.data is not None


def creates(message: Message, sender: IRequester) -> bool:
    """
    Whether a write creates its record if that does not exist.
    """
    return message.action in UPSERTS or bool(message.is_write_ack and sender.dialect.acked_writes_create)


def _checks(change: Change, may_create: bool, sender: IRequester) -> list[RecordAction]:
    """
    The actions for which a change needs permission. Each stands for its rule.
    """
    effect = change.action
    try:
        erases = change.erases and not sender.dialect.erases_by_patching
    except ValueError:
        erases = False  # The write is invalid, and is refused as such.
    checks = [RecordAction.CREATE] if may_create else []
    if effect is not _ERASE:
        checks.append(effect)
    elif may_create or not erases:
        checks.append(_PATCH)
    if erases:
        checks.append(_ERASE)
    return checks
