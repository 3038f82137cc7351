"""
Questions of one node to the administrations of the others.

::

    ask_all("kick", {...}) --admin.ask--> each other node --> its answer
             <-- {node: answer}, within ANSWER_TIMEOUT --admin.answer--

====================================  ==================================================================================
kind, and fields                      meaning
====================================  ==================================================================================
C{admin.ask} id, question, values     a question; C{values} is a JSON object, as a text
C{admin.answer} id, answer            the answer, as a text of JSON: an object, which may be C{{"error": text}}
====================================  ==================================================================================

Always true: each question ends within L{ANSWER_TIMEOUT}, whatever message is lost; a node that does not answer by then
has an error in the place of its answer. Any member of the cluster may ask: programs with access to the bus are trusted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from dstwist.admin.commands import Answer, CommandError, Parameters
from dstwist.cluster.fields import number, text
from dstwist.cluster.node import ClusterNode
from dstwist.log import Logger

#: How long other nodes may take to answer, in seconds.
ANSWER_TIMEOUT = 8.0

#: How many questions may be under way.
MAX_QUESTIONS = 100

#: How many questions of other nodes are answered at a time.
MAX_ANSWERING = 100

_ASK = "admin.ask"
_ANSWER = "admin.answer"

AnswerFunction = Callable[[Parameters], Deferred[Answer] | Answer]


class _Question:
    """
    One question, until all nodes have answered.
    """

    def __init__(self, nodes: list[str], cancel: Callable[[Deferred[Any]], None]) -> None:
        self.missing = set(nodes)
        self.answers: dict[str, Answer] = {}
        self.done: Deferred[dict[str, Answer]] = Deferred(cancel)
        self.timeout: IDelayedCall | None = None


class OtherNodes:
    """
    The other nodes of the cluster; none without one.
    """

    _log = Logger()

    def __init__(self, cluster: ClusterNode | None, clock: IReactorTime) -> None:
        self._cluster = cluster
        self._clock = clock
        self._answers: dict[str, AnswerFunction] = {}
        self._questions: dict[int, _Question] = {}
        self._last = 0
        self._answering = 0
        self._members: set[str] = set()
        if cluster is not None:
            cluster.peers.handle(_ASK, (number, text, text), self._asked)
            cluster.peers.handle(_ANSWER, (number, text), self._answered)

    @property
    def here(self) -> str:
        """
        The name of this node; empty without a cluster.
        """
        return "" if self._cluster is None else self._cluster.membership.node

    def serve(self, question: str, answer: AnswerFunction) -> None:
        """
        Answer a question of other nodes.
        """
        self._answers[question] = answer

    def observe_new(self, joined: Callable[[str], object]) -> None:
        """
        Call C{joined} with each node that comes.
        """
        if self._cluster is not None:
            membership = self._cluster.membership

            def changed() -> None:
                members = set(membership.members)
                new, self._members = members - self._members - {membership.node}, members
                for node in new:
                    joined(node)

            membership.observe(changed)

    def tell(self, node: str, question: str, values: Mapping[str, Any]) -> None:
        """
        Ask one node, and wait for no answer.
        """
        if self._cluster is not None:
            self._cluster.peers.send(node, [_ASK, 0, question, json.dumps(values)])

    def ask_all(self, question: str, values: Mapping[str, Any]) -> Deferred[dict[str, Answer]]:
        """
        The answers of all other nodes.
        """
        cluster = self._cluster
        if cluster is None:
            return succeed({})
        nodes = [node for node in cluster.membership.members if node != cluster.membership.node]
        if not nodes:
            return succeed({})
        if len(self._questions) >= MAX_QUESTIONS:
            raise CommandError("too many questions to other nodes are under way", 503)
        self._last += 1
        identity = self._last
        asked = _Question(nodes, lambda done: self._cancelled(identity))
        asked.timeout = self._clock.callLater(ANSWER_TIMEOUT, self._late, identity)
        self._questions[identity] = asked
        for node in nodes:
            cluster.peers.send(node, [_ASK, identity, question, json.dumps(values)])
        return asked.done

    def everywhere(self, question: str, values: Mapping[str, Any], only_here: bool) -> Deferred[Answer]:
        """
        The answer of this node to a question that it serves, and in C{nodes} those of the others.
        """
        return Deferred.fromCoroutine(self._everywhere(question, values, only_here))

    async def _everywhere(self, question: str, values: Mapping[str, Any], only_here: bool) -> Answer:
        asked = None if only_here or self._cluster is None else self.ask_all(question, values)
        given = {name: value for name, value in values.items() if value is not None}
        own = self._answers[question](Parameters(given))
        answer = await own if isinstance(own, Deferred) else own
        return answer if asked is None else {**answer, "nodes": await asked}

    def _answered(self, sender: str, identity: int, answer: str) -> None:
        asked = self._questions.get(identity)
        if asked is None or sender not in asked.missing:
            return
        try:
            read = json.loads(answer)
        except (ValueError, RecursionError):
            read = None
        asked.missing.discard(sender)
        asked.answers[sender] = read if isinstance(read, dict) else {"error": "its answer cannot be read"}
        if not asked.missing:
            self._finish(identity)

    def _late(self, identity: int) -> None:
        asked = self._questions[identity]
        asked.timeout = None
        for node in sorted(asked.missing):
            asked.answers[node] = {"error": f"no answer within {ANSWER_TIMEOUT:g} s"}
        self._finish(identity)

    def _finish(self, identity: int) -> None:
        asked = self._forget(identity)
        asked.done.callback(asked.answers)

    def _cancelled(self, identity: int) -> None:
        self._forget(identity)

    def _forget(self, identity: int) -> _Question:
        asked = self._questions.pop(identity)
        if asked.timeout is not None:
            asked.timeout.cancel()
        return asked

    # -- questions of other nodes

    def _asked(self, sender: str, identity: int, question: str, values: str) -> None:
        if self._answering >= MAX_ANSWERING:
            self._reply(sender, identity, {"error": "it answers too many questions"})
            return
        self._answering += 1
        done: Deferred[Answer] = Deferred.fromCoroutine(self._answer(question, values))
        done.addErrback(self._failed)
        done.addCallback(lambda answer: self._reply(sender, identity, answer))
        done.addBoth(self._over)

    async def _answer(self, question: str, values: str) -> Answer:
        function = self._answers.get(question)
        if function is None:
            raise CommandError("it does not know this question; it may have an earlier release")
        try:
            read = json.loads(values)
        except (ValueError, RecursionError):
            read = None
        if not isinstance(read, dict):
            raise CommandError("it cannot read the question")
        answer = function(Parameters(read))
        return await answer if isinstance(answer, Deferred) else answer

    def _failed(self, failure: Failure) -> Answer:
        if failure.check(CommandError):
            return {"error": failure.getErrorMessage()}
        self._log.failure("a question of another node failed", failure)
        return {"error": "it failed; its log has the reason"}

    def _reply(self, node: str, identity: int, answer: Answer) -> None:
        if identity and self._cluster is not None:
            self._cluster.peers.send(node, [_ANSWER, identity, json.dumps(answer)])

    def _over(self, result: Any) -> Any:
        self._answering -= 1
        return result
