"""
Tests for L{dstwist.routing.fan_out}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.limits.outgoing_bytes import LARGE_FRAME_BYTES, TurnBudget
from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing.fan_out import FanOut
from dstwist.scheduling import large_dict
from tests.fakes import FakeConnection, FakeWire


def emit(name: str = "news") -> Message:
    return Message(Topic.EVENT, EventAction.EMIT, name, b"1")


class FlushedBudget(TurnBudget):
    """
    A budget that counts how often it was used up.
    """

    flushed = 0
    then: Callable[[], object] = staticmethod(lambda: None)

    def make_room(self) -> None:
        super().make_room()
        self.flushed += 1
        self.then()


class Sized(FakeWire):
    """
    A wire whose frames have the length C{size}.
    """

    size = 1

    def encode(self, message: Message) -> Any:
        return b"x" * self.size


class FanOutTests(SynchronousTestCase):
    """
    L{FanOut}.
    """

    def setUp(self) -> None:
        self.fan_out = FanOut(TurnBudget(), Topic.EVENT)

    def subscriber(self, *names: str, wire: FakeWire | None = None) -> FakeConnection:
        connection = FakeConnection(wire=wire)
        for name in names:
            self.fan_out.add(name, connection)
        return connection

    def test_publish(self) -> None:
        """
        A message reaches all subscribers of its name but the excluded one.
        """
        ann, bob, cat = self.subscriber("news"), self.subscriber("news"), self.subscriber("other")
        self.fan_out.publish(emit(), exclude=ann)
        self.assertEqual([connection.take() for connection in (ann, bob, cat)], [[], [emit()], []])

    def test_is_heard(self) -> None:
        """
        A name is heard if it has a subscriber other than the excluded one, on the same wire or on another.
        """
        ann = self.subscriber("own", "shared", "mixed")
        self.subscriber("shared", wire=ann.wire)
        self.subscriber("mixed")
        heard = [self.fan_out.is_heard(name, ann) for name in ("own", "shared", "mixed", "none")]
        self.assertEqual(heard, [False, True, True, False])
        self.assertTrue(self.fan_out.is_heard("own", FakeConnection()))

    def test_sole_subscriber(self) -> None:
        """
        A message of the only subscriber of a wire is not encoded for that wire.
        """

        class Unused(FakeWire):
            def encode(self, message: Message) -> Any:
                raise AssertionError("nobody is to get it")

        ann, bob = self.subscriber("news", wire=Unused()), self.subscriber("news")
        self.fan_out.publish(emit(), exclude=ann)
        self.assertEqual((ann.take(), bob.take()), ([], [emit()]))
        self.assertEqual(self.fan_out.deliveries[EventAction.EMIT], 1)

    def test_no_form_for_some(self) -> None:
        """
        Subscribers whose protocol has no form for a message are not sent any; the others are.
        """

        class Mute(FakeWire):
            def encode(self, message: Message) -> bytes:
                return b""

        mute, other = self.subscriber("news", wire=Mute()), self.subscriber("news")
        self.fan_out.publish(emit())
        self.fan_out.publish_to("news", emit("about news"))
        self.fan_out.publish_either(emit(), emit)
        self.assertEqual((mute.take(), other.take()), ([], [emit(), emit("about news"), emit()]))

    def test_encoded_once_per_wire(self) -> None:
        """
        However many subscribers, a message is encoded once for each wire.
        """
        old, young = FakeWire(), FakeWire()
        for wire in (old, young, old, young):
            self.subscriber("news", wire=wire)
        old.encoded = young.encoded = 0
        self.fan_out.publish(emit())
        self.assertEqual((old.encoded, young.encoded), (1, 1))

    def test_no_form(self) -> None:
        """
        A message for which a wire has no form is not written to it.
        """

        class Mute(FakeWire):
            def encode(self, message: Message) -> object:
                return b""

        connection = self.subscriber("news", wire=Mute())
        self.fan_out.publish(emit())
        self.assertEqual(connection.take(), [])

    def test_counted(self) -> None:
        """
        A fan-out is counted once: the length of the frame for each subscriber. When the budget of the turn is used up
        it is flushed, after the frame was written to all.
        """
        budget = FlushedBudget(49)
        self.fan_out = FanOut(budget, Topic.RECORD)
        wire = Sized()
        ann, bob = self.subscriber("news", wire=wire), self.subscriber("news", wire=wire)
        wire.size = 12
        budget.then = lambda: self.assertEqual(len(ann.take() + bob.take()), 6)
        self.fan_out.publish(emit())
        self.assertEqual(budget.room, 49 - 24)
        self.fan_out.publish_to("news", emit("about news"))
        self.assertEqual((budget.room, budget.flushed), (1, 0))
        self.fan_out.publish(emit())
        self.assertEqual(budget.flushed, 1)
        self.fan_out.publish_either(emit(), emit)
        self.fan_out.publish_to("news", emit("about news"))
        self.assertEqual((budget.room, budget.flushed, budget.large), (1, 1, False))

    def test_large(self) -> None:
        """
        The budget is told of large frames, so that they are not copied for each subscriber.
        """
        for publish in (
            lambda fan_out: fan_out.publish(emit()),
            lambda fan_out: fan_out.publish_to("news", emit("about news")),
            lambda fan_out: fan_out.publish_either(emit(), emit),
        ):
            budget = FlushedBudget(1 << 30)
            self.fan_out = FanOut(budget, Topic.RECORD)
            wire = Sized()
            self.subscriber("news", wire=wire)
            wire.size = LARGE_FRAME_BYTES - 1
            publish(self.fan_out)
            self.assertFalse(budget.large)
            wire.size = LARGE_FRAME_BYTES
            publish(self.fan_out)
            self.assertTrue(budget.large)

    def test_very_many_names(self) -> None:
        """
        Names are served in the same way if there are more than one dict takes.
        """
        self.patch(large_dict, "FIRST_ITEMS", 2)
        names = [f"name{number}" for number in range(5)]
        connection = self.subscriber(*names)
        for name in names:
            self.fan_out.publish(emit(name))
        self.fan_out.publish(emit("other"))
        self.assertEqual([message.name for message in connection.take()], names)
        self.assertEqual((set(self.fan_out.names()), self.fan_out.count("name4")), (set(names), 1))
        self.assertTrue(self.fan_out.remove("name4", connection))
        self.fan_out.publish(emit("name4"))
        self.assertEqual((connection.take(), "name4" in self.fan_out), ([], False))

    def test_publish_to(self) -> None:
        """
        A message goes to the subscribers of another name than its own, encoded once for a wire, but not to excluded
        ones.
        """
        wire = FakeWire()
        ann, bob, cat = (self.subscriber("a", wire=wire) for _ in range(3))
        wire.encoded = 0
        self.fan_out.publish_to("a", emit("b"), exclude={bob})
        self.fan_out.publish_to("nobody", emit("b"))
        self.assertEqual([c.take() for c in (ann, bob, cat)], [[emit("b")], [], [emit("b")]])
        self.assertEqual(wire.encoded, 1)

    def test_one_by_one(self) -> None:
        """
        The subscribers of a name are not listed for a caller that looks only at the first: they can be many.
        """
        ann, bob = self.subscriber("news"), self.subscriber("news", wire=FakeWire())
        subscribers = self.fan_out.subscribers("news")
        self.assertIs(next(subscribers), ann)
        self.assertEqual(list(subscribers), [bob])

    def test_members(self) -> None:
        """
        A name is there while it has subscribers, whatever their wires.
        """
        ann, bob = self.subscriber("news", "other"), self.subscriber("news", wire=FakeWire())
        self.assertEqual((list(self.fan_out.names()), self.fan_out.count("news")), (["news", "other"], 2))
        self.assertEqual(list(self.fan_out.subscribers("news")), [ann, bob])
        self.assertEqual([self.fan_out.remove("news", ann) for _ in range(2)], [True, False])
        self.assertEqual(list(self.fan_out.subscribers("news")), [bob])
        self.assertTrue(self.fan_out.remove("news", bob))
        self.assertEqual(("news" in self.fan_out, self.fan_out.count("news")), (False, 0))
        self.assertFalse(self.fan_out.remove("news", bob))

    def test_remove_all(self) -> None:
        """
        All subscribers of a name are removed together, and returned.
        """
        ann, bob = self.subscriber("news", "other"), self.subscriber("news", wire=FakeWire())
        self.assertEqual([list(members) for members in self.fan_out.remove_all("news")], [[ann], [bob]])
        self.assertEqual((self.fan_out.remove_all("news"), list(self.fan_out.names())), ([], ["other"]))

    def test_patches(self) -> None:
        """
        A change at one path goes to wires that take patches, one at several paths to wires that take those; all others
        get the whole record, made once.
        """

        def wire(takes_patches: bool, patches_many: bool) -> FakeWire:
            made = FakeWire()
            made.takes_patches, made.patches_many = takes_patches, patches_many
            return made

        wires = [wire(False, False), wire(False, False), wire(True, False), wire(True, True)]
        connections = [self.subscriber("r", wire=each) for each in wires]
        one, several, whole = (
            Message(Topic.RECORD, RecordAction.PATCH, "r", path=path) for path in ("a", None, "whole")
        )
        made: list[Message] = []

        def make() -> Message:
            made.append(whole)
            return whole

        for message, expected in ((one, [whole, whole, one, one]), (several, [whole, whole, whole, several])):
            self.fan_out.publish_either(message, make)
            self.assertEqual([connection.take() for connection in connections], [[each] for each in expected])
        self.assertEqual(len(made), 2)

    def test_shared(self) -> None:
        """
        A large frame that is written for several connections is counted, unless its connection is closed.
        """
        budget = FlushedBudget(1 << 30)
        self.fan_out = FanOut(budget, Topic.RECORD)
        ann = FakeConnection()
        self.fan_out.write_shared(b"x" * LARGE_FRAME_BYTES, RecordAction.READ_RESPONSE, ann)
        self.assertEqual(
            (ann.take(), budget.limit - budget.room, budget.large),
            ([b"x" * LARGE_FRAME_BYTES], LARGE_FRAME_BYTES, True),
        )
        ann.close()
        self.fan_out.write_shared(b"x", RecordAction.READ_RESPONSE, ann)
        self.assertEqual((ann.take(), budget.limit - budget.room), ([], LARGE_FRAME_BYTES))
        self.assertEqual(self.fan_out.deliveries[RecordAction.READ_RESPONSE], 1)

    def test_deliveries(self) -> None:
        """
        Each subscriber that is sent a message counts, by the action of the message that it is sent.
        """
        self.fan_out = FanOut(TurnBudget(), Topic.RECORD)
        deliveries = self.fan_out.deliveries
        ann, bob, _ = (self.subscriber("a", wire=FakeWire()) for _ in range(3))
        patch = Message(Topic.RECORD, RecordAction.PATCH, "a", b"1", path="b", version=2)
        self.fan_out.publish(patch)
        self.fan_out.publish(patch, exclude=ann)
        self.fan_out.publish(patch, exclude=FakeConnection())
        self.assertEqual(deliveries[RecordAction.PATCH], 8)
        self.fan_out.publish_to("a", Message(Topic.RECORD, RecordAction.DELETED, "a"), (ann, bob))
        self.assertEqual(deliveries[RecordAction.DELETED], 1)
        several = Message(Topic.RECORD, RecordAction.PATCH_MULTI, "a", version=3)
        whole = Message(Topic.RECORD, RecordAction.UPDATE, "a", b"1", version=3)
        ann.wire.patches_many = True
        self.fan_out.publish_either(several, lambda: whole, exclude=bob)
        self.assertEqual((deliveries[RecordAction.PATCH_MULTI], deliveries[RecordAction.UPDATE]), (1, 1))
        self.fan_out.publish(Message(Topic.RECORD, RecordAction.PATCH, "other", b"1"))
        self.assertEqual(sum(deliveries), 11)
