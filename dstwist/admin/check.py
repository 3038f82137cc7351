r"""
The command C{check}: whether a record that is written here is what all nodes and the stores have.

::

    write 1 --> read here, in the stores, at each other node --> write 2 --> the same --> delete --> read in the arbiter
        \--- it fails --> read in the arbiter: does it hang? --> delete ...

=================  =====================================================================================================
problem            meaning
=================  =====================================================================================================
C{lost}            there is no record, or it is still there after its deletion
C{stale}           an earlier version
C{forked}          other data under the same version, or a version that was not written
C{no answer}       within L{STEP_TIMEOUT}
C{failed}          an error
=================  =====================================================================================================

Always true: the record has a name of its own, so no other record is touched; each step ends in time; the record is
deleted at the end, also after a failure. If that fails as well, the answer has its name.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError

from dstwist.admin.commands import Answer, Command, CommandError, Parameters
from dstwist.admin.nodes import OtherNodes
from dstwist.admin.parts import AdminParts
from dstwist.api.errors import RecordNotFound
from dstwist.protocol.constants import Topic
from dstwist.protocol.patched import plain

#: The names of the records begin with this.
PREFIX = "dstwist/check/"

#: How long one step may take, in seconds.
STEP_TIMEOUT = 5.0

_HERE = "this node"


class Check:
    """
    The command, and its question to other nodes.
    """

    def __init__(self, parts: AdminParts, nodes: OtherNodes) -> None:
        self._parts = parts
        self._nodes = nodes
        self._busy = False
        nodes.serve("read", self._read_for_other)

    def commands(self) -> list[Command]:
        """
        The command.
        """
        return [Command("check", self.check, changes=True)]

    def check(self, parameters: Parameters) -> Deferred[Answer]:
        """
        Write a record, and read it everywhere.
        """
        if Topic.RECORD not in self._parts.topics.by_topic:
            raise CommandError("records are switched off", 409)
        if self._busy:
            raise CommandError("a check is under way", 409)
        self._busy = True
        return Deferred.fromCoroutine(self._check()).addBoth(self._over)

    def _over(self, result: Any) -> Any:
        self._busy = False
        return result

    async def _check(self) -> Answer:
        run = _Run(self._parts, self._nodes, f"{PREFIX}{secrets.token_hex(8)}")
        try:
            for number in (1, 2):
                if not await run.round(number):
                    break
        finally:
            await run.remove()
        problems = sum(step["result"] != "ok" for step in run.steps)
        return {"name": run.name, "fine": not problems, "problems": problems, "steps": run.steps}

    def _read_for_other(self, parameters: Parameters) -> Deferred[dict[str, Any]]:
        return Deferred.fromCoroutine(self._read(parameters.needed("name")))

    async def _read(self, name: str) -> dict[str, Any]:
        if not name.startswith(PREFIX):
            raise CommandError("that is no record of a check")
        try:
            found = await self._parts.records.get(name).addTimeout(STEP_TIMEOUT, self._parts.clock)
        except RecordNotFound:
            return {"version": -1, "data": None}
        except TimeoutError:
            raise CommandError(f"no answer within {STEP_TIMEOUT:g} s") from None
        return {"version": found.version, "data": found.data}


class _Run:
    """
    One check.

    @ivar steps: the steps that are done, with their results.
    """

    def __init__(self, parts: AdminParts, nodes: OtherNodes, name: str) -> None:
        self.name = name
        self.steps: list[dict[str, Any]] = []
        self._parts = parts
        self._nodes = nodes
        # The version of the last write; it is read here first.
        self._version = -1

    async def round(self, number: int) -> bool:
        """
        Write, and read everywhere.

        @return: whether the record was written.
        """
        data = {"check": self.name, "round": number}
        records, tiers = self._parts.records, self._parts.tiers
        arbiter, tier = tiers.arbiter(self.name)
        if not await self._step(f"write {number}", _HERE, lambda: records.set(self.name, data), _done):
            # The error of a write does not tell a store that hangs from one that fails.
            await self._step(f"read {number}", tier, lambda: arbiter.get(self.name), _done)
            return False
        before = self._version

        def judge_own(found: Any) -> str:
            self._version = found.version
            if found.version <= before:
                return f"stale: version {found.version}"
            return "ok" if found.data == data else f"forked: other data under version {found.version}"

        await self._step(f"read {number}", _HERE, lambda: records.get(self.name), judge_own)
        if self._version < 0:
            return True
        expected = self._version

        def judge_arbiter(record: Any) -> str:
            if record is None:
                return "lost: there is no record"
            return _judged(record.version, plain(record.content), expected, data)

        await self._step(f"read {number}", tier, lambda: arbiter.get(self.name), judge_arbiter)
        if tier != "cache" and self._parts.cluster is None:
            # In a cluster nothing is read from a cache in front of a storage.
            await self._step(
                f"read {number}",
                "cache",
                lambda: tiers.cache.get(self.name),
                lambda record: "ok" if record is None else judge_arbiter(record),
            )
        await self._read_elsewhere(number, expected, data)
        return True

    async def _read_elsewhere(self, number: int, expected: int, data: Any) -> None:
        clock = self._parts.clock
        began = clock.seconds()
        answers = await self._nodes.ask_all("read", {"name": self.name})
        for node, answer in sorted(answers.items()):
            if "error" in answer:
                result = f"failed: {answer['error']}"
            elif answer.get("version") == -1:
                result = "lost: there is no record"
            else:
                result = _judged(answer.get("version"), answer.get("data"), expected, data)
            self._add(f"read {number}", node, began, result)

    async def remove(self) -> None:
        """
        Delete the record.
        """
        records, tiers = self._parts.records, self._parts.tiers
        if not await self._step("delete", _HERE, lambda: records.delete(self.name), _done):
            return
        arbiter, tier = tiers.arbiter(self.name)
        await self._step(
            "read after the deletion",
            tier,
            lambda: arbiter.get(self.name),
            lambda record: "ok" if record is None else f"lost deletion: version {record.version} is there",
        )

    async def _step(self, step: str, place: str, ask: Callable[[], Deferred[Any]], judge: Callable[[Any], str]) -> bool:
        """
        @return: whether it succeeded.
        """
        began = self._parts.clock.seconds()
        try:
            result = judge(await ask().addTimeout(STEP_TIMEOUT, self._parts.clock))
        except TimeoutError:
            result = f"no answer within {STEP_TIMEOUT:g} s"
        except RecordNotFound:
            # There is none to delete if nothing was written.
            result = "ok" if step == "delete" else "lost: there is no record"
        except Exception as error:
            # A store may be a class of the operator, with any mistake.
            result = f"failed: {type(error).__name__}: {error}"
        self._add(step, place, began, result)
        return result == "ok"

    def _add(self, step: str, place: str, began: float, result: str) -> None:
        seconds = round(self._parts.clock.seconds() - began, 3)
        self.steps.append({"step": step, "place": place, "seconds": seconds, "result": result})


def _done(answer: Any) -> str:
    return "ok"


def _judged(version: Any, data: Any, expected: int, written: Any) -> str:
    if type(version) is not int:
        return "failed: the answer has no version"
    if version < expected:
        return f"stale: version {version}, not {expected}"
    if version > expected:
        return f"forked: version {version}, not {expected}"
    return "ok" if data == written else f"forked: other data under version {version}"
