"""
Which texts may be rules: the checks of the Node server, with its messages, in its order. They look at the text alone,
so they see what stands in quotes and comments as well.
"""

from __future__ import annotations

import re
from typing import Any

from dstwist.errors import RuleError
from dstwist.permission.valve.parser import METHODS, parse
from dstwist.permission.valve.tree import Node
from dstwist.protocol.typed import JS_SPACE

#: The rules of each section. What a rule may look at: d the data, o the old data.
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
    Something that is no rule.
    """


def checked(rule: Any, section: str, kind: str) -> bool | Node:
    """
    A rule, as it is in the file, if it may be one: what it always decides, or its tree.

    @param kind: which of the section's rules it is: C{write}.
    @raise RuleError: why it may not.
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
