"""
From the bytes of a YAML or JSON file to a tree of sections, lists and scalars (L{dstwist.config.file}).

Only the parser of ruamel.yaml is used. This module builds the tree, so that no tag can create an object, and no %YAML
1.1 directive can turn the text C{yes} into C{true}. Sections and lists of YAML know their lines.

Always true: the outcome is a tree or a L{ConfigError}, even if the file is hostile or broken.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from dstwist.config.yaml_errors import explained
from dstwist.errors import ConfigError

# Far above any real configuration, and low enough that a hostile one costs at most some seconds and some memory.
MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_YAML_NODES = 1_000_000
MAX_YAML_DEPTH = 100

_STR = "tag:yaml.org,2002:str"
_COLLECTIONS = {None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}

_CORE_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_CORE_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_CORE_NUMBERS: tuple[tuple[re.Pattern[str], Callable[[str], int | float]], ...] = (
    # No option has a value of 400 digits, and Python refuses to convert 4301 digits.
    (re.compile(r"[-+]?[0-9](_*[0-9]){0,399}"), lambda text: int(text.replace("_", ""))),
    (re.compile(r"[-+]?0o[0-7](_*[0-7]){0,399}"), lambda text: int(text.replace("_", ""), 8)),
    (re.compile(r"[-+]?0x[0-9a-fA-F](_*[0-9a-fA-F]){0,399}"), lambda text: int(text.replace("_", ""), 16)),
    (re.compile(r"[-+]?0b[01](_*[01]){0,399}"), lambda text: int(text.replace("_", ""), 2)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9](_*[0-9])*(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), lambda t: float(t.replace("_", ""))),
    (re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"), lambda text: float(text.replace(".", ""))),
)


class Plain(str):
    """
    A text without quotes in a YAML file: it gets its type after its variables are expanded.
    """


def core_scalar(text: str) -> Any:
    """
    The value of C{text} without quotes, by the core schema of YAML 1.2.
    """
    if text in _CORE_WORDS:
        return _CORE_WORDS[text]
    for pattern, convert in _CORE_NUMBERS:
        if pattern.fullmatch(text):
            return convert(text)
    return text


class Section(dict[str, Any]):
    """
    A section, with the line of each key.
    """

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}


class Sequence(list[Any]):
    """
    A list, with the line of each item.
    """

    def __init__(self) -> None:
        self.lines: dict[int, int] = {}


def read_bytes(path: str) -> bytes:
    """
    The content of the file.

    @raise OSError: the file cannot be read, or the system does not accept its name.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except ValueError as error:
        raise OSError(None, str(error)) from None
    if len(content) > MAX_FILE_BYTES:
        raise OSError(None, f"larger than {MAX_FILE_BYTES} bytes")
    return content


def extension(path: str) -> str:
    """
    The format of the file: C{"json"} or C{"yml"}, or an empty text for other files.
    """
    extension = os.path.splitext(path)[1].lower()
    return {".json": "json", ".yml": "yml", ".yaml": "yml"}.get(extension, "")


def parse(path: str, content: bytes, else_text: bool = False) -> Any:
    """
    The tree in C{content}. A file of another format is parsed as YAML; with C{else_text}, the result is its text.
    """
    if path.lower().endswith((".js", ".mjs", ".cjs")):
        raise ConfigError("", f"{path}: JavaScript files are not run; write it as .yml or .json")
    try:
        # Some editors write a byte order mark.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError("", f"{path}: not UTF-8 (byte {error.start})") from None
    kind = extension(path)
    if not kind and else_text:
        return text
    try:
        return _parse_json(text) if kind == "json" else _YamlTree(text).build()
    except ConfigError as error:
        raise ConfigError("", f"{path}: {error.problem}") from None


def _parse_json(text: str) -> Any:
    def section(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise ValueError(f"the key {json.dumps(key)} is there twice")
            found[key] = value
        return found

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    try:
        return json.loads(text, object_pairs_hook=section, parse_constant=constant)
    except json.JSONDecodeError as error:
        raise ConfigError("", f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except ValueError as error:
        raise ConfigError("", str(error)) from None
    except RecursionError:
        raise ConfigError("", f"nested more than {MAX_YAML_DEPTH} levels deep") from None


class _YamlTree:
    """
    Builds the tree of one YAML document from the events of the parser. Keys are always texts, exactly as in the file.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._events = YAML(typ="safe", pure=True).parse(text)
        self._anchors: dict[str, Any] = {}
        self._nodes_left = MAX_YAML_NODES

    def build(self) -> Any:
        tree = None
        documents = 0
        while (event := self._next()) is not None:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _at(event.start_mark, "a second document begins; only one is allowed")
                tree = self._node(self._next(), 0)
        return tree

    def _next(self) -> Any:
        try:
            return next(self._events, None)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise _at(mark, explained(error.problem or "not YAML", mark, error.context_mark, self._text)) from None
        except Exception as error:
            # Also failures of the parser itself, which must not look like a failure of the server.
            raise ConfigError("", f"not YAML: {error}") from None

    def _node(self, event: Any, depth: int) -> Any:
        self._count(event)
        if depth > MAX_YAML_DEPTH:
            raise _at(event.start_mark, f"nested more than {MAX_YAML_DEPTH} levels deep")
        if isinstance(event, AliasEvent):
            # An anchor is known only after its value is complete, so no tree can contain itself.
            if event.anchor not in self._anchors:
                raise _at(event.start_mark, f"the alias *{event.anchor} refers to nothing complete before it")
            return self._anchors[event.anchor]
        if isinstance(event, ScalarEvent):
            tree = self._scalar(event)
        elif event.tag not in _COLLECTIONS:
            raise _at(event.start_mark, f"the tag {event.tag} is not allowed")
        elif isinstance(event, SequenceStartEvent):
            tree = self._sequence(depth)
        else:
            tree = self._mapping(depth)
        if event.anchor:
            self._anchors[event.anchor] = tree
        return tree

    def _count(self, event: Any) -> None:
        self._nodes_left -= 1
        if self._nodes_left < 0:
            raise _at(event.start_mark, f"more than {MAX_YAML_NODES} values")

    def _scalar(self, event: ScalarEvent) -> Any:
        if event.tag in (_STR, "!"):
            return event.value
        if event.tag is not None:
            raise _at(event.start_mark, f"the tag {event.tag} is not allowed")
        if event.style is not None:
            return event.value
        value = core_scalar(event.value)
        return Plain(value) if isinstance(value, str) else value

    def _sequence(self, depth: int) -> list[Any]:
        sequence = Sequence()
        while not isinstance(event := self._next(), SequenceEndEvent):
            sequence.lines[len(sequence)] = event.start_mark.line + 1
            sequence.append(self._node(event, depth + 1))
        return sequence

    def _mapping(self, depth: int) -> dict[str, Any]:
        own = Section()
        merged = Section()
        while not isinstance(event := self._next(), CollectionEndEvent):
            if not isinstance(event, ScalarEvent):
                raise _at(event.start_mark, "a key must be a text")
            self._scalar(event)
            key = event.value
            value = self._node(self._next(), depth + 1)
            if key == "<<" and event.style is None:
                self._merge(merged, value, event)
            elif key in own:
                raise _at(event.start_mark, f"the key {json.dumps(key)} is there twice")
            else:
                own[key] = value
                own.lines[key] = event.start_mark.line + 1
        for key, value in merged.items():
            if key not in own:
                own[key], own.lines[key] = value, merged.lines[key]
        return own

    def _merge(self, merged: Section, value: Any, event: ScalarEvent) -> None:
        for source in value if isinstance(value, list) else [value]:
            if not isinstance(source, Section):
                raise _at(event.start_mark, "<< takes a section, or a list of them")
            for key, inherited in source.items():
                self._count(event)
                if key not in merged:
                    merged[key], merged.lines[key] = inherited, source.lines[key]


def _at(mark: Any, problem: str) -> ConfigError:
    """
    An error with its place in the file.
    """
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    return ConfigError("", where + problem)
