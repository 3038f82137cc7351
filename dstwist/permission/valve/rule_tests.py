"""
Tests of a permissions file: the operator's table of requests, with the decision that is expected for each.

::

    permissions: permissions.yml            # relative to this file
    user: ann                               # the default for all cases
    records:
      game/1: {players: [ann, bob]}

    cases:
      - why: players may speak              # optional
        action: event EMIT
        name: game/1/chat
        data: hello
        expect: allow                       # or deny, or error: the rule has no value

A case may have C{user}, C{serverData}, C{records}, C{now}, C{action}, C{name}, C{data}, C{path}, C{expect} and C{why}.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from dstwist.config.fields import as_list, as_section, one_of, read_text, suggestion, typed
from dstwist.config.file import Reading, join
from dstwist.errors import ConfigError
from dstwist.permission.valve.actions import GUARDS
from dstwist.permission.valve.explain import Answer, Question, answer
from dstwist.permission.valve.lint import warnings_of
from dstwist.permission.valve.rules import Rules, load_permissions
from dstwist.protocol.constants import ACTIONS, Topic

# The path of a permissions file's content, for the error texts of the reading.
_CONTENT = "permissions"

DECISIONS = ("allow", "deny", "error")
_TOP = ("permissions", "user", "serverData", "records", "now", "cases")
_CASE = ("why", "user", "serverData", "records", "now", "action", "name", "data", "path", "expect")


@dataclass
class Result:
    """
    The result of one case.
    """

    title: str
    expected: str
    answer: Answer

    @property
    def met(self) -> bool:
        return self.answer.decision == self.expected


def load_rules(path: str, environ: Mapping[str, str]) -> Rules:
    """
    The rules in a permissions file.

    @raise ConfigError: the file cannot be used.
    """
    return load_with_warnings(path, environ)[0]


def load_with_warnings(path: str, environ: Mapping[str, str]) -> tuple[Rules, list[str]]:
    """
    The rules in a permissions file, and the warnings about them.

    @raise ConfigError: the file cannot be used.
    """
    reading = Reading(os.path.dirname(os.path.abspath(path)), environ)
    content = reading.load(os.path.basename(path), _CONTENT)
    _raise_all(reading)
    within = reading.places_within(_CONTENT)

    def place(where: str) -> str:
        return within(f"{_CONTENT}.{where}")

    rules = load_permissions(content, place=place)
    return rules, warnings_of(rules, place=place)


def check(path: str, environ: Mapping[str, str], permissions: str | None = None) -> list[Result]:
    """
    The results of all cases in a table.

    @param permissions: the file with the rules, in the place of the one that the table names.
    @raise ConfigError: the table or the rules cannot be used.
    """
    reading = Reading(os.path.dirname(os.path.abspath(path)), environ)
    table = as_section(reading.read(path), "")
    _raise_all(reading)
    _known(table, _TOP, "")
    if permissions is None:
        permissions = reading.absolute(read_text(table.get("permissions"), "permissions"), "permissions")
    rules = load_rules(permissions, environ)
    cases = [as_section(case, join("cases", i)) for i, case in enumerate(as_list(table.get("cases"), "cases"))]
    if not cases:
        raise ConfigError("cases", "there are none")
    return [_result(rules, case, table, join("cases", i)) for i, case in enumerate(cases)]


def _result(rules: Rules, case: dict[str, Any], table: dict[str, Any], where: str) -> Result:
    _known(case, _CASE, where)
    given = {key: value for key, value in table.items() if key in _CASE} | case
    expected = read_text(given.get("expect"), join(where, "expect"))
    if expected not in DECISIONS:
        raise ConfigError(join(where, "expect"), one_of(expected, DECISIONS))
    question = _question(given, where)
    title = given.get("why") or f"{given['action']} {given.get('name', '')} by {question.user or 'nobody'}"
    return Result(str(title), expected, answer(rules, question))


def _question(given: dict[str, Any], where: str) -> Question:
    topic, action = read_action(read_text(given.get("action"), join(where, "action")), join(where, "action"))
    texts = {
        key: None if given.get(key) is None else read_text(given[key], join(where, key))
        for key in ("name", "user", "path")
    }
    now = typed(given.get("now", 0))
    if not isinstance(now, (int, float)) or isinstance(now, bool):
        raise ConfigError(join(where, "now"), "expected milliseconds since 1970")
    return Question(
        topic,
        action,
        texts["name"],
        texts["user"],
        given.get("serverData"),
        json.dumps(given["data"]).encode() if "data" in given else None,
        texts["path"],
        as_section(given.get("records"), join(where, "records")),
        float(now),
    )


def read_action(text: str, where: str) -> tuple[Topic, IntEnum]:
    """
    The topic and the action in a text such as C{record UPDATE}.
    """
    topic_name, _, name = text.strip().partition(" ")
    topics = {topic.name: topic for topic in GUARDS}
    topic = topics.get(topic_name.upper())
    if topic is None:
        raise ConfigError(where, f"expected a topic and an action, such as record UPDATE; {_one(topic_name, topics)}")
    actions = {action.name: action for action in ACTIONS[topic]}
    action = actions.get(name.strip().upper())
    if action is None:
        guarded = ", ".join(sorted(each.name for each in GUARDS[topic]))
        meant = suggestion(name.strip().upper(), actions) or f"; rules decide about {guarded}"
        raise ConfigError(where, f"unknown action of {topic.name}{meant}")
    return topic, action


def _one(value: str, known: Mapping[str, Any]) -> str:
    return one_of(value, [name.lower() for name in known])


def _known(section: dict[str, Any], keys: tuple[str, ...], where: str) -> None:
    for key in section:
        if key not in keys:
            raise ConfigError(join(where, key), f"unknown key{suggestion(key, keys)}")


def _raise_all(reading: Reading) -> None:
    if len(reading.problems) > 1:
        raise ConfigError("", "\n".join(str(problem) for problem in reading.problems))
    for problem in reading.problems:
        raise problem
