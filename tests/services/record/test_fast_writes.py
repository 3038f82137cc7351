"""
Tests for L{dstwist.services.record.fast_writes}. C{test_write} has what comes of writes, whichever way they are served.
"""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer
from zope.interface.verify import verifyObject

from dstwist.interfaces import ISimplePermission
from dstwist.protocol.constants import Topic
from dstwist.protocol.dialect import JAVASCRIPT
from dstwist.protocol.jsontext import dumps
from dstwist.protocol.message import Message
from dstwist.services.record.acks import ACK_DELAY_SECONDS
from dstwist.services.record.write import RecordWriter
from tests.requesters import for_each_requester
from tests.services.record.stage import (
    A,
    RecordTestCase,
    Rules,
    ask,
    patch,
    read_response,
    update,
    wanting_ack,
    written,
)


@implementer(ISimplePermission)
class SimpleRules(Rules):
    """
    Rules that decide by the action.
    """

    def permits_all(self, topic: Topic, action: IntEnum, name: str) -> bool:
        return self.rule(Message(topic, action, name), None) is True


@for_each_requester
class SameOutcomeTests(RecordTestCase):
    """
    The fast paths, and the coroutine.
    """

    def outcome(
        self,
        instant: bool,
        write: Message,
        kind: str,
        denied: tuple[Any, ...],
        state: str,
        storage: bool = False,
        simple: bool = False,
    ) -> tuple[Any, ...]:
        """
        All that comes of a write: the messages to its sender and to a subscriber, the questions to the permission, and
        the record. The record is at version 3.

        @param simple: whether the permission says at once what is permitted to all.
        """
        self.callbacks = storage
        self.rules_class = SimpleRules if simple else Rules
        self.serve(storage=storage, max_size=1000, storage_hot_path_prefixes=("hot/",))
        self.cache.instant = instant
        name = write.name
        assert name is not None
        names = () if "stranger" in kind else (name,)
        sender = self.old(*names) if "old" in kind else self.young(*names)
        if "javascript" in kind:
            sender.dialect = JAVASCRIPT
        if state == "created anew":
            self.have(name, 3, {"x": 0})
            self.say(self.young(), ask(A.DELETE, name))
            if names:
                self.say(sender, ask(A.SUBSCRIBE, names=names))
        if state == "removed":
            self.have(name, 3, {"x": 0})
            self.say(self.young(), ask(A.DELETE, name))
        elif state != "missing":
            self.have(name, 3, {"x": 1})
        late: Deferred[bool] = Deferred()
        if "waits" in denied:
            self.rules.rule = lambda message, record: late if message.action is A.CREATE else True
        else:
            self.rules.rule = lambda message, record: message.action not in denied
        self.rules.asked.clear()
        subscriber = self.young(name)
        sender.take()
        told = self.say(sender, replace(write))
        if "waits" in denied:
            late.callback(True)
        self.clock.advance(ACK_DELAY_SECONDS)
        return told + sender.take(), subscriber.take(), self.rules.asked, self.cache.records.get(name)

    def test_same_outcome(self) -> None:
        """
        A write has the same outcome on all three: accepted or refused, for each reason.
        """
        writes = []
        for version in (-1, 3, 4, 5):
            for write in (
                update("a", version, {"x": 2}),
                ask(A.CREATEANDUPDATE, "hot/a", b'{"x":2}', version=version),
                patch("a", version, "x", 2),
                patch("a", version, "x[", 2),
                patch("hot/a", version, "x", 2),
                ask(A.PATCH, "a", b"{", path="x", version=version),
                ask(A.PATCH, "a", None, path="x", version=version),
                update("a", version, "x" * 2000),
                update("a", version, 5),
            ):
                writes += [write, wanting_ack(replace(write))]
        kinds = ("young", "young stranger", "javascript", "old", "old stranger")
        situations: list[tuple[tuple[Any, ...], str]] = [
            ((), "there"),
            ((A.READ,), "there"),
            ((A.UPDATE, A.PATCH), "there"),
            ((), "missing"),
            ((), "created anew"),
        ]
        for denied, state in situations:
            for kind in kinds:
                for write in writes:
                    case = (write, kind, denied, state)
                    expected = self.outcome(False, *case)
                    self.assertEqual(self.outcome(True, *case), expected, case)
                    self.assertEqual(self.outcome(True, *case, storage=True), expected, case)

    def test_same_outcome_of_upserts(self) -> None:
        """
        The same for writes that create the record, also if it was removed before, if a rule forbids a part of the
        write or decides later, and if the permission tells at once what is permitted to all.
        """
        plain = (
            ask(A.CREATEANDUPDATE, "a", b'{"x":2}', version=-1),
            ask(A.CREATEANDPATCH, "a", b"2", path="x", version=-1),
        )
        writes = (
            *plain,
            *(wanting_ack(replace(write)) for write in plain),
            *(replace(write, version=4) for write in plain),
            ask(A.CREATEANDUPDATE, "hot/a", b'{"x":2}', version=-1),
            ask(A.CREATEANDPATCH, "hot/a", b"2", path="x", version=-1),
            ask(A.CREATEANDPATCH, "a", None, path="x", version=-1),
            ask(A.CREATEANDPATCH, "a", "U", path="x", version=-1),
            ask(A.CREATEANDPATCH, "a", "N2", path="x", version=-1),
            ask(A.CREATEANDPATCH, "a", b"2", path="x[", version=-1),
            ask(A.CREATEANDUPDATE, "a", b"5", version=-1),
            wanting_ack(ask(A.CREATEANDUPDATE, "a", dumps({"x": "x" * 2000}), version=-1)),
        )
        situations: list[tuple[tuple[Any, ...], str]] = [
            ((), "there"),
            ((), "missing"),
            ((), "created anew"),
            ((), "removed"),
            ((A.CREATE,), "missing"),
            ((A.UPDATE, A.PATCH), "there"),
            ((A.UPDATE, A.PATCH), "missing"),
            (("waits",), "there"),
            (("waits",), "missing"),
        ]
        for denied, state in situations:
            for kind in ("young", "old stranger"):
                for write in writes:
                    case = (write, kind, denied, state)
                    expected = self.outcome(False, *case)
                    self.assertEqual(self.outcome(True, *case), expected, case)
                    self.assertEqual(self.outcome(True, *case, storage=True), expected, case)
                    told, heard, _, record = self.outcome(True, *case, simple=True)
                    self.assertEqual((told, heard, record), (expected[0], expected[1], expected[3]), case)


@for_each_requester
class UpsertTests(RecordTestCase):
    """
    Writes that may create their record, with a cache in memory.
    """

    instant = True

    def setUp(self) -> None:
        self.serve(storage=False)

    def test_interface(self) -> None:
        """
        The stand-in has the shape of the permission it stands in for.
        """
        verifyObject(ISimplePermission, SimpleRules())

    def test_no_coroutine(self) -> None:
        """
        Neither a new record nor one that exists takes a coroutine.
        """
        self.patch(RecordWriter, "serve", None)
        ann, bob = self.young(), self.young("a")
        for number in (1, 2):
            write = wanting_ack(ask(A.CREATEANDUPDATE, "a", dumps({"x": number}), version=-1))
            self.assertEqual(self.say(ann, write), [written("a")])
        self.say(ann, ask(A.CREATEANDPATCH, "a", b"3", path="x", version=-1))
        self.assertEqual(bob.take(), [update("a", 1, {"x": 1}), update("a", 2, {"x": 2}), patch("a", 3, "x", 3)])

    def test_busy(self) -> None:
        """
        While a rule about the new record waits, all that follows waits behind it.
        """
        late: Deferred[bool] = Deferred()
        self.rules.rule = lambda message, record: late if message.data == b'{"x":1}' else True
        ann, bob = self.young(), self.young()
        self.say(ann, ask(A.CREATEANDUPDATE, "a", b'{"x":1}', version=-1))
        self.assertEqual(self.say(bob, ask(A.CREATEANDUPDATE, "a", b'{"x":2}', version=-1), ask(A.READ, "a")), [])
        self.rules.rule = lambda message, record: True
        late.callback(True)
        self.assertEqual(bob.take(), [read_response("a", 2, {"x": 2})])

    def test_excluded(self) -> None:
        """
        With a storage, a new record that is not stored takes no coroutine; one that is stored is looked for there.
        """
        self.serve(storage_exclusion_prefixes=("tmp/",))
        ann = self.young()
        self.storage.put("a", 7, {"y": 0})
        self.say(ann, ask(A.CREATEANDPATCH, "a", b"1", path="x", version=-1))
        self.assert_stored("a", 8, {"y": 0, "x": 1})
        self.patch(RecordWriter, "serve", None)
        self.say(ann, ask(A.CREATEANDUPDATE, "tmp/a", b"{}", version=-1))
        self.assertEqual(self.cache.records["tmp/a"].version, 1)
        self.assertNotIn("tmp/a", self.storage.records)
