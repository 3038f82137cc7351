"""
News of records: what subscribers are told of a write that is done.

=====================================  =====================================================================
the change                             the news
=====================================  =====================================================================
a whole record                         UPDATE
one path                               PATCH; UPDATE with the whole record if not all clients would make the
                                       same of it, and on wires whose clients take no PATCH
several paths                          PATCH_MULTI on wires whose clients know that; UPDATE with the whole
                                       record on all others
=====================================  =====================================================================

The message of the writer is forwarded as it came if it says just that.
"""

from __future__ import annotations

from dstwist.interfaces import ICluster, IConnection
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.record import Change, Record
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.record import answers
from dstwist.services.record.acks import Acknowledgements
from dstwist.services.record.replicas import Replicas

_RECORD = Topic.RECORD
_UPDATE = RecordAction.UPDATE
_PATCH = RecordAction.PATCH
_PATCH_MULTI = RecordAction.PATCH_MULTI


class RecordNews:
    """
    Tells of writes.
    """

    def __init__(
        self, subscriptions: SubscriptionRegistry, replicas: Replicas, acks: Acknowledgements, cluster: ICluster
    ) -> None:
        self._subscriptions = subscriptions
        self._send_news = subscriptions.publish
        self._replicas = replicas
        self._suspect_copies = replicas.suspect_copies
        self._resubscribers = replicas.resubscribers
        self._done = acks.accepted
        # A call that does nothing would cost each write some per cent.
        self._publish_remote = None if cluster.is_single else cluster.publish

    def publish(self, name: str, message: Message, sender: IConnection, state: Record, change: Change) -> None:
        """
        Tell all subscribers, and the writer, that C{message} of C{sender} has made C{state}, by C{change}.
        """
        if self._suspect_copies or self._resubscribers:
            self._replicas.accepted(name, sender, message.version, change)  # type: ignore[arg-type]  # a write has one
        path = message.path
        action = message.action
        alike = change.alike
        if (
            message.verbatim is not None
            and alike
            and message.version == state.version
            and action is (_UPDATE if path is None else _PATCH)
        ):
            news = message
        elif action is _PATCH_MULTI:
            self._publish_many(name, message, sender, state)
            return
        elif not alike:
            news = answers.update(name, state)
            if sender.dialect.has_its_own_paths and self._subscriptions.wants(name, sender):
                self._replicas.made_unsure(name, sender)
        elif path is None:
            news = Message(_RECORD, _UPDATE, name, message.data, version=state.version)
        else:
            news = Message(
                _RECORD, _PATCH, name, message.data, None, None, (), None, None, None, None, None, None,
                path, state.version,
            )  # fmt: skip
        if self._publish_remote is not None:
            self._publish_remote(news)
        if news.action is _UPDATE or self._subscriptions.all_take_patches:
            self._send_news(news, sender)
        else:
            self._subscriptions.publish_either(news, lambda: answers.update(name, state), sender)
        if message.is_write_ack:
            self._done(name, message, sender)

    def _publish_many(self, name: str, message: Message, sender: IConnection, state: Record) -> None:
        news = Message(_RECORD, _PATCH_MULTI, name, message.data, version=state.version)
        if self._publish_remote is not None:
            self._publish_remote(news)
        self._subscriptions.publish_either(news, lambda: answers.update(name, state), sender)
        if message.is_write_ack:
            self._done(name, message, sender)
