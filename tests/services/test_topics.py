"""
Tests for L{dstwist.services.topics}.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.task import Clock

from dstwist.config.settings import Settings
from dstwist.connections.users import UserRegistry
from dstwist.limits.outgoing_bytes import OutgoingBytes
from dstwist.permission.denials import Denials
from dstwist.permission.open import OpenPermission
from dstwist.protocol.constants import PresenceAction, RpcAction, Topic
from dstwist.protocol.message import Message
from dstwist.services.topics import TopicBuilder, Topics
from dstwist.store.memory import MemoryStore
from dstwist.store.tiers import TieredStore
from tests.requesters import RequesterTestCase, for_each_requester


@for_each_requester
class TopicBuilderTests(RequesterTestCase):
    """
    L{TopicBuilder} and the L{Topics} that it builds.
    """

    def build(self, settings: Settings | None = None) -> Topics:
        settings = settings or Settings()
        self.clock = Clock()
        self.users = UserRegistry()
        permission = OpenPermission()
        return TopicBuilder(
            settings,
            self.clock,
            None,
            self.users,
            OutgoingBytes(self.clock),
            permission,
            None,
            TieredStore(MemoryStore(), None, settings.record, self.clock),
            Denials(permission),
        ).build_topics()

    def test_all(self) -> None:
        """
        By default there is a service for each topic of applications, and new rules can take subscriptions of each.
        """
        topics = self.build()
        expected = {Topic.EVENT, Topic.RECORD, Topic.RPC, Topic.PRESENCE}
        self.assertEqual(topics.by_topic.keys(), expected)
        self.assertEqual({grant_type.topic for grant_type in topics.grant_types}, expected)

    def test_switched_off(self) -> None:
        """
        A topic that is switched off has no service and no grants.
        """
        for name, topic in (
            ("event", Topic.EVENT),
            ("record", Topic.RECORD),
            ("rpc", Topic.RPC),
            ("presence", Topic.PRESENCE),
        ):
            settings = Settings()
            topics = self.build(replace(settings, features=replace(settings.features, **{name: False})))
            self.assertNotIn(topic, topics.by_topic)
            self.assertNotIn(topic, {grant_type.topic for grant_type in topics.grant_types})
            self.assertEqual(len(topics.by_topic), 3)

    def test_disconnecting(self) -> None:
        """
        When the server is about to close all connections, no client is told that other users leave.
        """
        topics = self.build()
        watcher, bob = self.connect("ann"), self.connect("bob")
        self.users.add(bob)
        topics.by_topic[Topic.PRESENCE].handle(Message(Topic.PRESENCE, PresenceAction.SUBSCRIBE_ALL), watcher)
        watcher.take()
        topics.disconnecting()
        bob.close("the server stops")
        self.users.remove(bob)
        self.clock.advance(60)
        self.assertEqual(watcher.take(), [])

    def test_calls_are_not_rerouted(self) -> None:
        """
        Nor are calls given to other providers then.
        """
        topics = self.build()
        rpc = topics.by_topic[Topic.RPC]
        providers = [self.connect("one"), self.connect("two")]
        for provider in providers:
            rpc.handle(Message(Topic.RPC, RpcAction.PROVIDE, names=("add",)), provider)
            provider.take()
        requestor = self.connect("ann")
        rpc.handle(Message(Topic.RPC, RpcAction.REQUEST, "add", correlation_id="1"), requestor)
        (asked,) = (provider for provider in providers if provider.take())
        topics.disconnecting()
        asked.close("the server stops")
        self.assertEqual([provider.take() for provider in providers], [[], []])
