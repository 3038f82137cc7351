"""
How long a name may be.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.limits.names import NameLimit
from dstwist.protocol.constants import (
    ACTIONS,
    BULK_ACTIONS,
    FROM_CLIENT,
    ConnectionAction,
    EventAction,
    PresenceAction,
    RecordAction,
    RpcAction,
    Topic,
)
from dstwist.protocol.message import Fault, Malformed, Message
from dstwist.protocol.name_parts import DistinctNames
from dstwist.protocol.schema import REFUSALS

FITS, LONG, LONGER = "ä" * 10, "b" * 11, "c" * 12


class NameLimitTests(SynchronousTestCase):
    """
    L{NameLimit}, of ten characters.
    """

    def fitting(self, *messages: Message | Malformed, told_once: bool = False) -> list[Any]:
        return NameLimit(10).fitting(messages, told_once)

    def refusal(self, message: Message, name: str | None, reason: str, told_once: bool = False) -> None:
        """
        Check that C{message} is refused for C{reason}, in the name of C{name}.
        """
        (malformed,) = self.fitting(message, told_once=told_once)
        self.check(malformed, message, name, reason)

    def check(self, malformed: Malformed, message: Message, name: str | None, reason: str) -> None:
        answer = malformed.answer
        assert answer is not None
        call = message.action is RpcAction.REQUEST
        self.assertEqual((malformed.fault, malformed.topic), (Fault.INVALID_DATA, message.topic))
        action = RpcAction.REQUEST_ERROR if call else REFUSALS[message.topic]
        self.assertEqual(
            (answer.action, answer.name, answer.original_action, answer.is_error, answer.correlation_id),
            (action, name, message.action, True, message.correlation_id),
        )
        if call:
            # The callers of both generations are shown this.
            self.assertEqual(answer.data, b'"INVALID_MESSAGE_DATA"')
            return
        reason = f"{message.action.name}: {reason} characters, more than 10"
        self.assertEqual((answer.detail, answer.data), (reason, f'"{reason}"'.encode()))

    def test_requests(self) -> None:
        """
        Whatever a client may ask about one name is refused if the name is too long, and not if it is just short enough.
        """
        for topic in REFUSALS:
            for action in FROM_CLIENT[topic] - BULK_ACTIONS[topic]:
                fits = Message(topic, action, FITS, correlation_id=FITS)
                self.assertEqual(self.fitting(fits), [fits])
                if "LISTEN" not in action.name:
                    self.refusal(Message(topic, action, LONG, correlation_id="7"), LONG, "a name of 11")

    def test_patterns(self) -> None:
        """
        Patterns have a limit of their own.
        """
        for topic in (Topic.EVENT, Topic.RECORD):
            for name in ("LISTEN", "UNLISTEN", "LISTEN_ACCEPT", "LISTEN_REJECT"):
                message = Message(topic, ACTIONS[topic][name], LONG, subscription="x")
                self.assertEqual(self.fitting(message), [message])

    def test_bulks(self) -> None:
        """
        Names of a bulk request that are too long are refused one by one, each once, and the others are served.
        """
        for topic, actions in BULK_ACTIONS.items():
            for action in actions:
                fits = Message(topic, action, names=("a", FITS), correlation_id="7")
                self.assertEqual(self.fitting(fits), [fits])
                message = Message(topic, action, names=(LONG, "a", LONGER, LONG, FITS), correlation_id="7")
                first, second, *denials, rest = self.fitting(message)
                self.assertEqual(bool(denials), "READ" in action.name or "HEAD" in action.name)
                self.check(first, message, LONG, "a name of 11")
                self.check(second, message, LONGER, "a name of 12")
                self.assertEqual(rest, fits)

    def test_longest_known(self) -> None:
        """
        If it is known how long the longest name is, the names are not looked at again.
        """
        names = DistinctNames(("a", "x" * 99))
        names.longest = 1
        message = Message(Topic.EVENT, EventAction.SUBSCRIBE, names=names, correlation_id="1")
        self.assertEqual(NameLimit(9).fitting([message], False), [message])
        names.longest = 99
        refusal, rest = NameLimit(9).fitting([message], False)
        self.assertIsInstance(refusal, Malformed)
        assert isinstance(rest, Message)
        self.assertEqual(rest.names, ("a",))

    def test_getting(self) -> None:
        """
        A client that wants to get a record is denied the name as well: v4+ clients hear nothing else.
        """
        message = Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=(LONG,), correlation_id="7")
        refusal, denial = self.fitting(message)
        self.check(refusal, message, LONG, "a name of 11")
        answer = denial.answer
        self.assertEqual(
            (answer.action, answer.name, answer.original_action, answer.correlation_id),
            (RecordAction.MESSAGE_DENIED, LONG, message.action, None),
        )
        self.assertEqual(len(self.fitting(message, told_once=True)), 1)

    def test_nothing_left(self) -> None:
        """
        If there are no others nothing is served, so that there is no acknowledgement.
        """
        self.refusal(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=(LONG,)), LONG, "a name of 11")

    def test_told_once(self) -> None:
        """
        A client whose refusals repeat the request gets one refusal.
        """
        message = Message(Topic.PRESENCE, PresenceAction.SUBSCRIBE, names=(LONG, LONGER), correlation_id="7")
        self.refusal(message, LONG, "a name of 11", told_once=True)

    def test_stray_names(self) -> None:
        """
        Names that a request is not about do not matter.
        """
        for message in (
            Message(Topic.EVENT, EventAction.EMIT, "a", names=(LONG,)),
            Message(Topic.EVENT, EventAction.SUBSCRIBE, LONG, names=("a",)),
            Message(Topic.EVENT, EventAction.SUBSCRIBE, names=()),
        ):
            self.assertEqual(self.fitting(message), [message])

    def test_correlation_ids(self) -> None:
        """
        A correlation id is no longer than a name.
        """
        for message in (
            Message(Topic.RPC, RpcAction.REQUEST, "a", correlation_id=LONG),
            Message(Topic.RECORD, RecordAction.DELETE, "a", correlation_id=LONG),
        ):
            self.refusal(message, "a", "a correlation id of 11")
        self.refusal(
            Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("a", LONG), correlation_id=LONG),
            None,
            "a correlation id of 11",
        )

    def test_writes(self) -> None:
        """
        The refusal of a write says which one it was, so that its callback is called.
        """
        message = Message(Topic.RECORD, RecordAction.UPDATE, LONG, b"{}", version=3, is_write_ack=True)
        (malformed,) = self.fitting(message)
        self.assertEqual((malformed.answer.version, malformed.answer.is_write_ack), (3, True))

    def test_others(self) -> None:
        """
        Messages that are no requests stay as and where they are.
        """
        ping = Message(Topic.CONNECTION, ConnectionAction.PING)
        broken = Malformed(Fault.UNPARSABLE)
        found = self.fitting(ping, Message(Topic.EVENT, EventAction.EMIT, LONG), broken)
        self.assertEqual((found[0], found[2], len(found)), (ping, broken, 3))

    def test_no_limit(self) -> None:
        """
        Without a limit nothing is too long.
        """
        message = Message(Topic.EVENT, EventAction.EMIT, "x" * 1_000_000)
        self.assertEqual(NameLimit(None).fitting([message], False), [message])
