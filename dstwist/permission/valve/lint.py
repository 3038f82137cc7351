"""
Warnings about rules that are valid, but probably wrong: L{warnings_of}.

=======================================  ==============================================================================
in a rule                                problem
=======================================  ==============================================================================
C{yes}, C{usr.id}, C{$name} for C{$id}   the name is not defined: the rule fails when it is evaluated
C{user.Id}, C{user.role}                 no user has this member: it is undefined
C{data} where there is none              undefined
C{action === 'WRITE'}, C{$id === 5}      never true
C{_('user/$id')}                         a plain text: C{$id} is not replaced
C{'no'}                                  a text that is not empty, which permits
C{name === 'a/.*'}, in C{listen}         never true for a name that is offered to the listener
all rules of C{user/admin}               never used if C{user/$identifier} exists: the longer pattern decides
=======================================  ==============================================================================

These are no errors, because the Node server accepts such files, and the wrong part of a rule may never be evaluated.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from dstwist.config.file import join
from dstwist.errors import ConfigError, RuleError
from dstwist.permission.valve.checks import RULES
from dstwist.permission.valve.comparisons import comparisons
from dstwist.permission.valve.compiler import nodes_of
from dstwist.permission.valve.kinds import USER, key_of
from dstwist.permission.valve.parser import METHODS
from dstwist.permission.valve.rules import Rule, Rules
from dstwist.permission.valve.scope import CONSTANTS, KINDS, NAMES, NAMESPACES
from dstwist.permission.valve.shadowing import Shape, covers, shape_of
from dstwist.permission.valve.tree import Binary, Chain, Conditional, Literal, Logical, Name, Node, Reference, Unary
from dstwist.permission.valve.values import ActionName

#: The most warnings about one file.
MAX_WARNINGS = 100
#: The most pairs of patterns that are compared for each kind of rule.
MAX_PATTERN_PAIRS = 20_000

_SECTION = re.compile("[a-z]+")
_NUMBER = re.compile("[0-9]+$")
_BOOLEANS = {"yes": "true", "y": "true", "on": "true", "no": "false", "n": "false", "off": "false"}
_CONSTANTS = {"true": "true", "false": "false", "null": "null", "none": "null", "nil": "null"}
_USER_WORDS = {
    **dict.fromkeys(("id", "username", "userid", "uid"), "id"),
    **dict.fromkeys(("serverdata", "authdata"), "data"),
    **dict.fromkeys(("authenticated", "isauth", "isauthenticated", "isloggedin"), "isAuthenticated"),
}
# A text that is probably a pattern of a listener, and not a name.
_PATTERN = re.compile(r"[.\])][*+?]|[\^$|\[\\]")
_GROUP = re.compile(r"(?<!\\)\((?!\?)")


def warnings_of(rules: Rules, path: str = "", place: Callable[[str], str] | None = None) -> list[str]:
    """
    The warnings about rules, one line each.

    @param path: the path of the key in the configuration that has the rules.
    @param place: tells the file and the line of a path in the configuration.
    """
    found: list[ConfigError] = []
    for rule, problem in _warnings(rules):
        if len(found) > MAX_WARNINGS:
            break
        section = _SECTION.match(rule.where)
        assert section is not None, "a rule's place begins with its section"
        where = join(path, section[0]) + rule.where[section.end() :]
        found.append(ConfigError(where, problem, "" if place is None else place(where)))
    if place is not None:
        found.sort(key=lambda warning: _line(place(warning.path)))
    told = [str(warning) for warning in found[:MAX_WARNINGS]]
    return (
        told
        if len(found) <= MAX_WARNINGS
        else [*told, f"more than {MAX_WARNINGS} rules look wrong; the others are not listed"]
    )


def _line(place: str) -> int:
    found = _NUMBER.search(place)
    return 0 if found is None else int(found[0])


def _warnings(rules: Rules) -> Iterator[tuple[Rule, str]]:
    for (section, kind), kept in rules.sets.items():
        actions = [guard.action for guards in rules.guards.values() for guard in guards.values() if guard.rules is kept]
        for rule in kept:
            if rule.tree is not None:
                for problem in dict.fromkeys(_in_rule(rule, rule.tree, section, kind, actions)):
                    yield rule, problem
        yield from _hidden(list(kept))


def _in_rule(rule: Rule, tree: Node, section: str, kind: str, actions: list[ActionName]) -> Iterator[str]:
    if isinstance(tree, Literal) and isinstance(tree.value, str) and tree.value:
        yield f"{rule.text.strip()} is a text that is not empty, and so permits everything; write true or false"
    nodes = sorted(nodes_of(tree), key=lambda node: node.start)
    yield from _names(rule, nodes)
    yield from _members(rule, nodes)
    yield from _data(rule, section, kind)
    yield from _references(rule, nodes)
    yield from _groups(rule)
    if kind == "listen":
        yield from _listened(rule, nodes)
    yield from comparisons(rule, nodes, actions)
    if rule.reads <= CONSTANTS.keys():
        try:
            rule.decide_nothing()
        except (RuleError, RecursionError) as error:
            yield f"it always fails: {error}"


# -- names


def _names(rule: Rule, nodes: list[Node]) -> Iterator[str]:
    excused = {id(node) for node in _excused(nodes)}
    bases = {id(node.base): node for node in nodes if isinstance(node, Chain)}
    for node in nodes:
        if not isinstance(node, Name) or id(node) in excused:
            continue
        name = node.name
        if name in rule.pattern.variables or name in NAMES or name in CONSTANTS:
            continue
        yield f"{name} is not defined, so the rule fails when it gets there{_meant(name, rule, bases.get(id(node)))}"


def _excused(nodes: Iterable[Node]) -> Iterator[Node]:
    """
    The nodes whose names are allowed where they are, although they are not defined elsewhere.
    """
    for node in nodes:
        if isinstance(node, Chain) and isinstance(node.base, Name) and node.base.name in NAMESPACES:
            link = node.links[0]
            if isinstance(link.key, str) and link.arguments is None:
                yield node.base
        elif isinstance(node, Unary) and node.operator == "typeof":
            yield node.operand
        elif isinstance(node, Binary):
            for operator, operand in node.rest:
                if operator == "instanceof" and isinstance(operand, Name) and operand.name in KINDS:
                    yield operand


def _meant(name: str, rule: Rule, chain: Chain | None) -> str:
    variables = list(rule.pattern.variables)
    if name.startswith("$"):
        close = difflib.get_close_matches(name, variables, n=1) or variables[:1]
        if not variables:
            return f"; the pattern {rule.pattern.text} declares no path variables"
        return f"; the pattern {rule.pattern.text} declares {', '.join(variables)}; did you mean {close[0]}?"
    if f"${name}" in variables:
        return f"; did you mean ${name}?"
    lower = name.lower()
    if lower in _BOOLEANS:
        return f"; did you mean {_BOOLEANS[lower]}? In YAML 1.2 {name} is a text"
    if lower in _CONSTANTS:
        return f"; did you mean {_CONSTANTS[lower]}?"
    if name in METHODS:
        return f"; it is a method: write name.{name}(...)"
    if name == "Date":
        return "; did you mean now?"
    if lower in _USER_WORDS:
        return f"; did you mean user.{_USER_WORDS[lower]}?"
    known = [*NAMES, *NAMESPACES, "undefined"]
    same = [each for each in known if each.lower() == lower] or difflib.get_close_matches(name, known, n=1)
    if not same:
        return ""
    key = key_of(chain.links[0]) if chain is not None and chain.links[0].arguments is None else None
    member = f".{key}" if key is not None and (same[0] != "user" or key in USER) else ""
    return f"; did you mean {same[0]}{member}?"


# -- members


def _members(rule: Rule, nodes: Iterable[Node]) -> Iterator[str]:
    for node in nodes:
        if not isinstance(node, Chain) or not isinstance(node.base, Name):
            continue
        name, link = node.base.name, node.links[0]
        key = key_of(link)
        if key is None:
            continue
        if name == "user" and link.arguments is not None:
            yield f"user has no method {key}; did you mean user.id.{key}(...)?"
        elif name == "user" and key not in USER:
            yield f"user.{key} is always undefined; {_member_meant(key)}"
        elif name in NAMESPACES and link.arguments is None and key not in NAMESPACES[name]:
            close = difflib.get_close_matches(key.upper(), NAMESPACES[name], n=1)
            hint = f"; did you mean {name}.{close[0]}?" if close else ""
            yield f"{name}.{key} is always undefined{hint}"


def _member_meant(key: str) -> str:
    member = _USER_WORDS.get(key.lower(), {"name": "id", "data": "data"}.get(key.lower()))
    if member is not None:
        return f"did you mean user.{member}?"
    close = difflib.get_close_matches(key, USER, n=1)
    if close:
        return f"did you mean user.{close[0]}?"
    return f"did you mean user.data.{key}? What the authenticator tells the rules of a user is in user.data"


def _data(rule: Rule, section: str, kind: str) -> Iterator[str]:
    # checks.py refuses data in most rules that never have it. This is for the rules where it accepts the name.
    if "data" in rule.reads and ("d" not in RULES[section][kind] or (section, kind) == ("event", "subscribe")):
        yield f"data is always undefined in rules {kind} of {section}"
    if "oldData" in rule.reads and section != "record":
        yield f"oldData is always undefined in rules of {section}; only records have it"


def _groups(rule: Rule) -> Iterator[str]:
    text = rule.pattern.text
    group = _GROUP.search(text)
    if group is not None:
        for variable in rule.pattern.variables:
            if variable in rule.reads and group.start() < text.rfind(variable):
                yield (
                    f"{variable} is not what it seems: the group in parentheses in {text} counts as a path variable; "
                    "write (?:...) for the group"
                )


def _references(rule: Rule, nodes: Iterable[Node]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, Reference) and node.arguments and isinstance(node.arguments[0], Literal):
            name = node.arguments[0].value
            for variable in rule.pattern.variables:
                if isinstance(name, str) and variable in name:
                    before = name.split(variable)[0]
                    yield (
                        f"_('{name}') asks for a record of just this name: in quotes {variable} is not replaced; "
                        f"did you mean _('{before}' + {variable})?"
                    )


def _listened(rule: Rule, nodes: Iterable[Node]) -> Iterator[str]:
    """
    Rules that permit the pattern of a listener, but none of the names that would be offered to the listener.
    """
    for node in nodes:
        if isinstance(node, Conditional) or (isinstance(node, Logical) and node.operator != "&&"):
            return  # Another branch may permit the names.
    for node in nodes:
        if isinstance(node, Binary) and len(node.rest) == 1 and node.rest[0][0] in ("===", "=="):
            sides = (node.first, node.rest[0][1])
            texts = [side.value for side in sides if isinstance(side, Literal) and isinstance(side.value, str)]
            names = [side.name for side in sides if isinstance(side, Name)]
            if names and texts and names[0] == "name" and _PATTERN.search(texts[0]):
                yield (
                    f"it permits to listen to '{texts[0]}', but to none of the names that match: the rule has to hold "
                    "for each name that is offered, too"
                )


# -- patterns


def _hidden(kept: list[Rule]) -> Iterator[tuple[Rule, str]]:
    """
    Rules that never decide, because a rule that precedes them matches all of their names.
    """
    # By the prefix of the names that they match.
    earlier: dict[str, list[tuple[Rule, Shape]]] = {}
    pairs = 0
    for rule in kept:
        shape = shape_of(rule.pattern.text)
        if shape is None:
            continue
        begins = [shape.prefix[:length] for length in range(len(shape.prefix) + 1)]
        for other, wide in chain.from_iterable(earlier.get(prefix, ()) for prefix in begins):
            pairs += 1
            if pairs > MAX_PATTERN_PAIRS:
                return
            if other.pattern.match(shape.sample) is not None and covers(wide, shape):
                longer = "longer" if other.pattern.weight > rule.pattern.weight else "as long, and later in the file"
                yield (
                    rule,
                    f"it never decides: {other.where} matches every name that this pattern matches, and is {longer}; "
                    "the longest pattern decides, so shorten the names of its variables",
                )
                break
        earlier.setdefault(shape.prefix, []).append((rule, shape))
