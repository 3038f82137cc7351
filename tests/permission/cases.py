"""
The table of decisions in C{valve_cases.json}, and how to take one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from dstwist.errors import StoreError
from dstwist.interfaces import Record
from dstwist.permission.valve.permission import ValvePermission
from dstwist.permission.valve.rules import load_permissions
from dstwist.protocol.constants import ACTIONS, Topic
from dstwist.protocol.message import Message
from tests.fakes import FakeConnection

TABLE: dict[str, Any] = json.loads(Path(__file__).with_name("valve_cases.json").read_text(encoding="utf-8"))
NOW: int = TABLE["base_now"]


def permissions(case: Mapping[str, Any]) -> Any:
    """
    The rules of a case, laid over those that all have in common.
    """
    given = case.get("permissions", {})
    if case.get("replace"):
        return given
    laid = {section: dict(entries) for section, entries in TABLE["base_permissions"].items()}
    for section, entries in given.items():
        laid.setdefault(section, {}).update(entries)
    return laid


def message_of(case: Mapping[str, Any]) -> Message:
    """
    The request of a case.
    """
    given = case["message"]
    topic = Topic[given["topic"]]
    data = None
    if "rawData" in given:
        data = given["rawData"].encode()
    elif "data" in given:
        data = json.dumps(given["data"]).encode()
    return Message(
        topic,
        ACTIONS[topic][given["action"]],
        given.get("name"),
        data,
        path=given.get("path"),
        version=given.get("version"),
        correlation_id=given.get("correlationId"),
    )


def sender_of(case: Mapping[str, Any], connect: Callable[[str], FakeConnection] = FakeConnection) -> FakeConnection:
    """
    The client of a case, made by C{connect}.
    """
    user = case.get("user", TABLE["base_user"])
    sender = connect(user["id"])
    sender.server_data = user["data"]
    return sender


class Records:
    """
    The records of a case.

    @ivar loaded: the names that were asked for.
    """

    def __init__(self, case: Mapping[str, Any]) -> None:
        self.records = {name: Record(1, data) for name, data in case.get("records", {}).items()}
        self.failing = set(case.get("failing_records", ()))
        self.loaded: list[str] = []
        self.waiting: list[tuple[Deferred[Record | None], str]] = []

    def answer(self, name: str) -> Deferred[Record | None]:
        return fail(StoreError("out of order")) if name in self.failing else succeed(self.records.get(name))

    def at_once(self, name: str) -> Deferred[Record | None]:
        """
        A loader that knows all.
        """
        self.loaded.append(name)
        return self.answer(name)

    def later(self, name: str) -> Deferred[Record | None]:
        """
        A loader that takes until L{arrive}.
        """
        self.loaded.append(name)
        deferred: Deferred[Record | None] = Deferred()
        self.waiting.append((deferred, name))
        return deferred

    def arrive(self) -> None:
        """
        All that is waited for is there.
        """
        while self.waiting:
            deferred, name = self.waiting.pop(0)
            self.answer(name).chainDeferred(deferred)


def permission_of(
    case: Mapping[str, Any], load: Callable[[str], Deferred[Record | None]], rules: Any
) -> ValvePermission:
    """
    A permission by the rules of a case.
    """
    options = {**TABLE["base_options"], **case.get("options", {})}
    now = case.get("now", NOW) / 1000
    return ValvePermission(
        load_permissions(rules),
        lambda: now,
        load=load,
        max_iterations=options["maxRuleIterations"],
        interval=options["cacheEvacuationInterval"] / 1000,
    )
