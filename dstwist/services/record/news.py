"""
News of records: the messages that tell subscribers of a change.

=====================================  =====================================================================
the change                             the news
=====================================  =====================================================================
a write of a whole record              UPDATE
a write of one path                    PATCH; UPDATE with the whole record if some clients would read the
                                       path in another way, and on wires whose clients take no PATCH
a write of several paths               PATCH_MULTI on wires whose clients know it; UPDATE with the whole
                                       record on all others
a deletion                             DELETED, which ends all subscriptions to the record
a record that was read anew            UPDATE; DELETED if it does not exist
=====================================  =====================================================================

If the news of a write equals the message of the writer, that message is forwarded as it came.
"""

from __future__ import annotations

from dataclasses import replace

from dstwist.interfaces import IRequester
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.record import Change, Record
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.record import answers
from dstwist.services.record.acks import Acknowledgements
from dstwist.services.record.held_conflicts import HeldConflicts
from dstwist.services.record.nodes import RecordNodes
from dstwist.services.record.passed_on import Versions
from dstwist.services.record.replicas import Replicas

_RECORD = Topic.RECORD
_UPDATE = RecordAction.UPDATE
_PATCH = RecordAction.PATCH
_PATCH_MULTI = RecordAction.PATCH_MULTI


class RecordNews:
    """
    Tells the subscribers of this node and the other nodes what has changed.

    @param nodes: C{None} if there are no other nodes.
    @param passed_on: C{None} if the versions that subscribers have are not needed.
    """

    def __init__(
        self,
        subscriptions: SubscriptionRegistry,
        replicas: Replicas,
        acks: Acknowledgements,
        conflicts: HeldConflicts,
        nodes: RecordNodes | None,
        passed_on: Versions | None = None,
    ) -> None:
        self._subscriptions = subscriptions
        self._send_news = subscriptions.publish
        self._is_heard = subscriptions.is_heard
        self._replicas = replicas
        self._unsettled = replicas.unsettled
        self._resubscribers = replicas.resubscribers
        self._acks = acks
        self._accepted = acks.accepted
        self._conflicts = conflicts
        self._nodes = nodes
        # With one node there is nothing to publish. Even a call that does nothing would cost each write some per cent.
        self._publish_remote = None if nodes is None else nodes.written
        self._follows = None if nodes is None else nodes.follows
        self._note = None if passed_on is None else passed_on.note

    def written(self, name: str, message: Message, sender: IRequester, state: Record, change: Change) -> None:
        """
        C{message} of C{sender} was written: C{change} led to C{state}. Tell all other subscribers, and acknowledge the
        write.
        """
        if self._unsettled or self._resubscribers:
            self._replicas.accepted(name, sender, message.version, change)  # type: ignore[arg-type]  # a write has one
        follows = True
        if self._note is not None:
            if self._follows is not None:
                follows = self._follows(name, state.version)
            self._note(name, state.version)
        path = message.path
        action = message.action
        alike = change.alike
        if message.version == 1 != state.version:
            # The client has created a record whose name had a record before. It does not know the version.
            if self._subscriptions.is_subscribed(name, sender):
                sender.send(answers.update(name, state))
            if message.is_write_ack and sender.dialect.hears_other_versions:
                sender.send(replace(answers.acknowledgement(name, message, sender), version=state.version))
                message = replace(message, is_write_ack=None)
        if message.verbatim is None and self._publish_remote is None and alike and not self._is_heard(name, sender):
            # Many records have one client, which writes and is the only one to hear of it. To make the news would take
            # a tenth of the time of the write.
            if message.is_write_ack:
                self._accepted(name, message, sender)
            return
        if (
            message.verbatim is not None
            and alike
            and message.version == state.version
            and action is (_UPDATE if path is None else _PATCH)
        ):
            news = message
        elif action is _PATCH_MULTI:
            self._publish_many(name, message, sender, state, follows)
            if message.is_write_ack:
                self._accepted(name, message, sender)
            return
        elif not alike:
            news = answers.update(name, state)
            if sender.dialect.has_its_own_paths and self._subscriptions.is_subscribed(name, sender):
                self._replicas.made_unsure(name, sender)
        elif path is None:
            news = Message(_RECORD, _UPDATE, name, message.data, version=state.version)
        else:
            news = Message(
                _RECORD, _PATCH, name, message.data, None, None, (), None, None, None, None, None, None,
                path, state.version,
            )  # fmt: skip
        if self._publish_remote is not None:
            self._publish_remote(name, news, state.version)
            if not follows:
                news = answers.update(name, state)
        if news.action is _UPDATE or self._subscriptions.all_take_patches:
            self._send_news(news, sender)
        else:
            self._subscriptions.publish_either(news, lambda: answers.update(name, state), sender)
        if message.is_write_ack:
            self._accepted(name, message, sender)

    def _publish_many(self, name: str, message: Message, sender: IRequester, state: Record, follows: bool) -> None:
        news = Message(_RECORD, _PATCH_MULTI, name, message.data, version=state.version)
        if self._publish_remote is not None:
            self._publish_remote(name, news, state.version)
            if not follows:
                self._send_news(answers.update(name, state), sender)
                return
        self._subscriptions.publish_either(news, lambda: answers.update(name, state), sender)

    def deleted(self, name: str, version: int, sender: IRequester) -> None:
        """
        Tell all nodes and all subscribers but C{sender} that C{sender} has deleted a record.

        @param version: its last one; -1 if it did not exist.
        """
        if self._nodes is not None:
            self._nodes.deleted(name, version)
        self.received(Message(_RECORD, RecordAction.DELETED, name), sender)

    def resolved(self, name: str, record: Record | None) -> None:
        """
        Tell all nodes and all subscribers what an unresolved record turned out to hold; C{None}: it does not exist.
        """
        if self._nodes is not None:
            self._nodes.changed(name)
        self.refreshed(name, record)

    def found(self, name: str, record: Record | None) -> None:
        """
        Tell the subscribers on this node what the arbiter has of a record instead of what was believed; C{None}: it
        does not exist.
        """
        if self._nodes is None:
            self.refreshed(name, record)
        else:
            self._nodes.seen(name, record)

    def refreshed(self, name: str, record: Record | None) -> None:
        """
        Tell the subscribers on this node what a record holds; C{None}: it does not exist.
        """
        if record is None:
            # Their late writes are meant for the record that is gone. Its last version is not known here.
            self._replicas.deleted(name, -1, self._subscriptions.subscribers(name))
        self.received(_state(name, record))

    def received(self, news: Message, exclude: IRequester | None = None) -> None:
        """
        Tell the subscribers on this node, but C{exclude}, news that no other node needs.
        """
        if news.action is not RecordAction.DELETED:
            if self._note is not None:
                self._note(news.name, news.version)  # type: ignore[arg-type]  # such news has both
            self._send_news(news, exclude)
            return
        name = news.name
        assert name is not None
        # The subscriptions end with the record. Messages that are held for subscribers are sent before.
        if self._conflicts:
            self._conflicts.deleted(name)
        if self._acks:
            self._acks.deleted(name, exclude)
        self._send_news(news, exclude)
        if self._resubscribers:
            self._replicas.ended(name, self._subscriptions.subscribers(name))
        self._subscriptions.end(name)


def _state(name: str, record: Record | None) -> Message:
    return Message(_RECORD, RecordAction.DELETED, name) if record is None else answers.update(name, record)
