"""
Reading a configuration file: from its bytes to plain dicts, lists and scalars.

==========================  ========================================================================
in the file                 in the tree
==========================  ========================================================================
C{42}, C{true}, C{~}, ...   YAML 1.2 core: C{yes}, C{no}, C{on} are texts, and so is every date. Node's reader takes
                            more for numbers, and so it is here: C{1_000}, C{0b11}, C{-0x10}
C{${NAME}}                  the environment variable, nothing if it is not set
C{${NAME:-default}}         the same, or C{default} if the variable is empty or not set
C{fileLoad(rules.yml)}      what is in that YAML or JSON file
C{fileLoad(key.pem)}        the text of any other file
C{file(key.pem)}            the absolute path of the file; C{path(key.pem)}, as v4 had it, is the same
==========================  ========================================================================

The Node server replaces in the file's text, before YAML sees it; we replace in the scalars, after. Therefore C{#} in
quotes is no comment, and no value of a variable can break the file. A scalar that is not in quotes gets its type after
the replacement (C{port: ${PORT}} is a number).

The files may be hostile or broken: whatever they hold, the outcome is a tree or a L{ConfigError}. Only ruamel.yaml's
parser is used. The tree is built here, so that no tag can create an object and no %YAML 1.1 directive can turn the text
C{yes} into an open door.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
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

from dstwist.errors import ConfigError

# Far above any real configuration, low enough that a hostile one costs some seconds and some memory at most.
MAX_BYTES = 16 * 1024 * 1024
MAX_NODES = 1_000_000
MAX_DEPTH = 100

_STR = "tag:yaml.org,2002:str"
_COLLECTIONS = {None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}

_CORE_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_CORE_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_CORE_NUMBERS: tuple[tuple[re.Pattern[str], Callable[[str], int | float]], ...] = (
    # 400 digits are no number anybody means, and Python refuses to convert 4301.
    (re.compile(r"[-+]?[0-9](_*[0-9]){0,399}"), int),
    (re.compile(r"[-+]?0o[0-7](_*[0-7]){0,399}"), lambda text: int(text.replace("_", ""), 8)),
    (re.compile(r"[-+]?0x[0-9a-fA-F](_*[0-9a-fA-F]){0,399}"), lambda text: int(text.replace("_", ""), 16)),
    (re.compile(r"[-+]?0b[01](_*[01]){0,399}"), lambda text: int(text.replace("_", ""), 2)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9](_*[0-9])*(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), lambda t: float(t.replace("_", ""))),
    (re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"), lambda text: float(text.replace(".", ""))),
)
_VARIABLE = re.compile(r"\$\{([^{}:]+)(?::-([^{}]*))?\}")
_MACRO = re.compile(r"(fileLoad|file|path)\((.*)\)", re.DOTALL)
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Plain(str):
    """
    A text that stood in the YAML file without quotes: it gets its type once its variables are expanded.
    """


class FromVariable(str):
    """
    A text in quotes that came out of variables. It is a text, but an option that wants a number may read it as one:
    JSON and YAML's C{{...}} have no other way to write a variable than in quotes.
    """


class FileText(str):
    """
    The text of a file, which knows where it came from: keys and certificates are read again while the server runs.
    """

    path: str

    def __new__(cls, text: str, path: str) -> FileText:
        made = super().__new__(cls, text)
        made.path = path
        return made


# Stands in for a scalar that could not be resolved. The problem is among the reading's already, and nothing is to be
# concluded from the value: whoever cannot take it raises AlreadyReported.
UNREADABLE = object()


class AlreadyReported(ConfigError):
    """
    A value is wrong because of a problem that is known already.
    """


def core_scalar(text: str) -> Any:
    """
    The value that YAML 1.2's core schema gives to C{text} without quotes.
    """
    if text in _CORE_WORDS:
        return _CORE_WORDS[text]
    for pattern, convert in _CORE_NUMBERS:
        if pattern.fullmatch(text):
            return convert(text)
    return text


def join(path: str, key: str | int) -> str:
    """
    The path of C{key} within C{path}: C{auth[0].type}, C{record["user/$id"].write}.
    """
    if isinstance(key, int):
        return f"{path}[{key}]"
    if _PLAIN_KEY.fullmatch(key):
        return f"{path}.{key}" if path else key
    return f"{path}[{json.dumps(key)}]"


class Reading:
    """
    One reading of one configuration: its surroundings, and what was noticed on the way.

    @ivar directory: where relative paths start: the configuration file's directory.
    @ivar problems: why the configuration cannot be used; all of them are to be shown together.
    @ivar notes: lines for the start-up log.
    @ivar files: of each key whose value was loaded from a file, which one.
    @ivar renamed: by the path of an option or a section: the path that it has in the file, if that is an old one.
    """

    def __init__(self, directory: str, environ: Mapping[str, str]) -> None:
        self.directory = os.path.abspath(directory)
        self.problems: list[ConfigError] = []
        self.notes: list[str] = []
        self.files: dict[str, str] = {}
        self.renamed: dict[str, str] = {}
        # By path: the variables in there that are not set.
        self.unset: dict[str, list[str]] = {}
        # By the path that its content has: each file, and its tree with the numbers of its lines.
        self._trees: dict[str, tuple[str, Any]] = {}
        self._environ = environ
        self._nodes_left = MAX_NODES

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """
        Turns a L{ConfigError} into one of the problems, and carries on after the block.
        """
        try:
            yield
        except AlreadyReported:
            pass
        except ConfigError as problem:
            self.problems.append(problem)

    def written(self, path: str) -> str:
        """
        C{path} as it is in the file.
        """
        known = next((above for above in _above(path) if above in self.renamed), None)
        return path if known is None else self.renamed[known] + path[len(known) :]

    def place(self, path: str) -> tuple[str, int | None]:
        """
        The file that says what is at C{path}, or would say it, and the line if that is known.
        """
        found, line = next((above for above in _above(path) if above in self._trees), ""), None
        file, tree = self._trees[found]
        while (below := _towards(path, found, tree)) is not None:
            line = getattr(tree, "lines", {}).get(below)
            found, tree = join(found, below), tree[below]
        return file, line

    def read(self, path: str) -> Any:
        """
        The content of the configuration file itself.
        """
        try:
            tree = _parse(path, read_bytes(path))
        except FileNotFoundError:
            raise ConfigError("", f"Configuration file not found at: {path}") from None
        except OSError as error:
            raise ConfigError("", f"cannot read {path}: {error.strerror}") from None
        self._trees[""] = path, tree
        return self._resolve(tree, "", 0, macros=True)

    def load(self, argument: str, path: str) -> Any:
        """
        The content of a file that the configuration refers to, by C{fileLoad(argument)} or by an option that names it.

        @param path: of the key that refers to it.
        """
        absolute = self.files[path] = self.absolute(argument, path)
        try:
            tree = _parse(absolute, read_bytes(absolute), else_text=True)
        except ConfigError as error:
            raise ConfigError(path, error.problem) from None
        except OSError as error:
            raise ConfigError(path, f"cannot load {absolute}: {error.strerror}") from None
        self.notes.append(f"CONFIG_TRANSFORM | Loaded content from {absolute} for fileLoad({argument})")
        if isinstance(tree, str) and not _extension(absolute):
            # A key file is taken as it is.
            return FileText(tree, absolute)
        self._trees[path] = absolute, tree
        return self._resolve(tree, path, 0, macros=False)

    def absolute(self, argument: str, path: str) -> str:
        """
        The absolute path of a file that the configuration names.
        """
        name = self._expand(argument, path).strip()
        if not name or "\0" in name:
            raise ConfigError(path, "expected the name of a file")
        return os.path.normpath(os.path.join(self.directory, name))

    def _resolve(self, tree: Any, path: str, depth: int, macros: bool) -> Any:
        """
        C{tree} with its variables and macros replaced, as a tree of its own that shares nothing.
        """
        # Counted here because aliases unfold only here: ten lines of them can stand for more than there is memory.
        self._nodes_left -= 1
        if self._nodes_left < 0:
            raise ConfigError(path, f"more than {MAX_NODES} values; do aliases refer to aliases?")
        if depth > MAX_DEPTH:
            raise ConfigError(path, f"nested more than {MAX_DEPTH} levels deep")
        if isinstance(tree, dict):
            section: dict[str, Any] = {}
            for name, value in tree.items():
                key = name
                with self.collecting():
                    key = self._expand(name, join(path, name))
                if key in section:
                    self.problems.append(ConfigError(join(path, key), "this key is there twice"))
                section[key] = self._resolve(value, join(path, key), depth + 1, macros)
            return section
        if isinstance(tree, list):
            return [self._resolve(value, join(path, i), depth + 1, macros) for i, value in enumerate(tree)]
        if isinstance(tree, str):
            try:
                return self._scalar(tree, path, macros)
            except ConfigError as problem:
                self.problems.append(problem)
                return UNREADABLE
        return tree

    def _scalar(self, text: str, path: str, macros: bool) -> Any:
        macro = _MACRO.fullmatch(text.strip()) if macros else None
        if macro:
            return self.load(macro[2], path) if macro[1] == "fileLoad" else self.absolute(macro[2], path)
        expanded = self._expand(text, path)
        if "${" not in text:
            return expanded
        return core_scalar(expanded) if isinstance(text, Plain) else FromVariable(expanded)

    def _value(self, variable: re.Match[str], path: str) -> str:
        value = self._environ.get(variable[1])
        if value is None and variable[2] is None:
            self.unset.setdefault(path, []).append(variable[1])
            self.notes.append(f"CONFIG | {path}: the variable {variable[1]} is not set, and counts as empty")
        return value or variable[2] or ""

    def _expand(self, text: str, path: str) -> str:
        if "${" in _VARIABLE.sub("", text):
            raise ConfigError(path, "write a variable as ${NAME} or ${NAME:-default}, not one within another")
        expanded = _VARIABLE.sub(lambda match: self._value(match, path), text)
        # Half a character can come out of \ud800 in the file, or out of a variable that is not UTF-8. It could not even
        # be logged later on.
        if not expanded.isascii() and expanded.encode("utf-8", "replace").decode() != expanded:
            raise ConfigError(path, "not a text: it holds half a character")
        return expanded


def _towards(path: str, found: str, tree: Any) -> Any:
    """
    Which key of C{tree}, whose own path is C{found}, leads to C{path}.
    """
    keys: Iterable[Any] = tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        below = join(found, key)
        if path == below or path.startswith((f"{below}.", f"{below}[")):
            return key
    return None


def _above(path: str) -> Iterator[str]:
    """
    C{path}, and the paths of the sections and lists that it is in, from the inside out.
    """
    while path:
        yield path
        path = path[: max(path.rfind("."), path.rfind("["), 0)]


class _Section(dict[str, Any]):
    """
    A section, and the line of each key.
    """

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}


class _List(list[Any]):
    """
    A list, and the line of each item.
    """

    def __init__(self) -> None:
        self.lines: dict[int, int] = {}


def read_bytes(path: str) -> bytes:
    """
    The content of the file. Raises L{OSError}, also for a name that the system cannot even spell.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except ValueError as error:
        raise OSError(None, str(error)) from None
    if len(content) > MAX_BYTES:
        raise OSError(None, f"larger than {MAX_BYTES} bytes")
    return content


def _extension(path: str) -> str:
    """
    C{"json"}, C{"yml"} or nothing: how to parse the file.
    """
    extension = os.path.splitext(path)[1].lower()
    return {".json": "json", ".yml": "yml", ".yaml": "yml"}.get(extension, "")


def _parse(path: str, content: bytes, else_text: bool = False) -> Any:
    """
    The tree in C{content}. A file of another kind counts as YAML, or, if C{else_text}, is its text.
    """
    if path.lower().endswith((".js", ".mjs", ".cjs")):
        raise ConfigError("", f"{path}: JavaScript files are not run; write it as .yml or .json")
    try:
        # Windows editors put a byte order mark in front.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError("", f"{path}: not UTF-8 (byte {error.start})") from None
    kind = _extension(path)
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
        raise ConfigError("", f"nested more than {MAX_DEPTH} levels deep") from None


class _YamlTree:
    """
    Builds the tree of one YAML document out of the parser's events. Keys are always texts, as they are written.
    """

    def __init__(self, text: str) -> None:
        self._events = YAML(typ="safe", pure=True).parse(text)
        self._anchors: dict[str, Any] = {}
        self._nodes_left = MAX_NODES

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
            problem = error.problem or "not YAML"
            if "'{'" in problem:
                problem += '; within { } or [ ] put quotes around "${NAME}"'
            raise _at(error.problem_mark or error.context_mark, problem) from None
        except Exception as error:
            # Also what the parser did not expect itself: it must not look like an error of ours.
            raise ConfigError("", f"not YAML: {error}") from None

    def _node(self, event: Any, depth: int) -> Any:
        self._count(event)
        if depth > MAX_DEPTH:
            raise _at(event.start_mark, f"nested more than {MAX_DEPTH} levels deep")
        if isinstance(event, AliasEvent):
            # Within itself an anchor is not known yet, so no tree can contain itself.
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
            raise _at(event.start_mark, f"more than {MAX_NODES} values")

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
        sequence = _List()
        while not isinstance(event := self._next(), SequenceEndEvent):
            sequence.lines[len(sequence)] = event.start_mark.line + 1
            sequence.append(self._node(event, depth + 1))
        return sequence

    def _mapping(self, depth: int) -> dict[str, Any]:
        own = _Section()
        merged = _Section()
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

    def _merge(self, merged: _Section, value: Any, event: ScalarEvent) -> None:
        for source in value if isinstance(value, list) else [value]:
            if not isinstance(source, _Section):
                raise _at(event.start_mark, "<< takes a section, or a list of them")
            for key, inherited in source.items():
                self._count(event)
                if key not in merged:
                    merged[key], merged.lines[key] = inherited, source.lines[key]


def _at(mark: Any, problem: str) -> ConfigError:
    """
    A problem with its place in the file.
    """
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    return ConfigError("", where + problem)
