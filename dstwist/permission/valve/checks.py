"""
Which texts may be rules: the checks of the Node server, with its error texts and in its order. The checks search the
text, so they also find words in quotes and in comments.
"""

from __future__ import annotations

import re
from typing import Any

from dstwist.errors import RuleError
from dstwist.permission.valve.parser import METHODS, parse
from dstwist.permission.valve.tree import Node
from dstwist.protocol.typed import JS_SPACE

#: The rules of each section, and what each may use: d for the data, o for the old data.
RULES: dict[str, dict[str, str]] = {
    "record": {"create": "", "read": "o", "write": "do", "delete": "o", "listen": "", "notify": ""},
    "event": {"publish": "d", "subscribe": "d", "listen": ""},
    "rpc": {"provide": "", "request": "d"},
    "presence": {"allow": ""},
}

_NEW = re.compile(r"(?:^|[^\w$])new[^\w$]", re.A)
_FUNCTION = re.compile(r"[^\w$]function[^\w$]|=>", re.A)
_CALL = re.compile(rf"""([\w]++(?:['"`]\])?)[{JS_SPACE}]*\(""", re.A)
_OLD_DATA = re.compile(r"(?:^|[^\w~])oldData[^\w~]", re.A)
_DATA = re.compile(r"(?:^|[^\w.~])data(?:\Z|[^\w~])", re.A)


class BadRule(RuleError):
    """
    A value that cannot be a rule.
    """


def checked(rule: Any, section: str, kind: str) -> bool | Node:
    """
    A rule of the file: its syntax tree, or, for C{true} and C{false}, its constant decision.

    @param kind: the name of the rule: C{write}.
    @raise RuleError: the value cannot be a rule; the text says why.
    """
    if isinstance(rule, bool):
        return rule
    if not isinstance(rule, str):
        raise BadRule("rule must be a string")
    if not rule:
        raise BadRule("rule can't be empty")
    if _NEW.search(rule):
        raise BadRule("rule can't contain the new keyword")
    if _FUNCTION.search(rule):
        raise BadRule("rule can't contain user functions")
    for call in _CALL.finditer(rule):
        if call[1] != "_" and call[1] not in METHODS:
            raise BadRule(f"function {call[1]} is not supported")
    tree = parse(rule)
    sees = RULES[section][kind]
    if "o" not in sees and _OLD_DATA.search(rule):
        raise BadRule(f"rule {kind} for {section} does not support oldData")
    if "d" not in sees and _DATA.search(rule):
        raise BadRule(f"rule {kind} for {section} does not support data")
    return tree
