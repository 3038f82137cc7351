"""
Reading a configuration file: from its bytes to plain dicts, lists and scalars.

==========================  ========================================================================
in the file                 in the tree
==========================  ========================================================================
C{42}, C{true}, C{~}, ...   YAML 1.2 core: C{yes}, C{no}, C{on} are texts, and so is every date. As in Node's reader,
                            C{1_000}, C{0b11} and C{-0x10} are numbers, too
C{${NAME}}                  the environment variable, nothing if it is not set
C{${NAME:-default}}         the same, or C{default} if the variable is empty or not set
C{fileLoad(rules.yml)}      the content of that YAML or JSON file
C{fileLoad(key.pem)}        the text of any other file
C{file(key.pem)}            the absolute path of the file; C{path(key.pem)}, as v4 had it, is the same
==========================  ========================================================================

The Node server replaces variables and macros in the text of the file, before YAML is parsed. This module replaces them
in the scalars, after that. So C{#} in quotes is no comment, and no value of a variable can break the file. A scalar
without quotes gets its type after the replacement (C{port: ${PORT}} is a number).

Always true: the outcome is a tree or a L{ConfigError}, whatever the files contain.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dstwist.config.tree import MAX_YAML_DEPTH, MAX_YAML_NODES, Plain, core_scalar, extension, parse, read_bytes
from dstwist.errors import ConfigError

_VARIABLE = re.compile(r"\$\{([^{}:]+)(?::-([^{}]*))?\}")
_MACRO = re.compile(r"(fileLoad|file|path)\((.*)\)", re.DOTALL)
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class FromVariable(str):
    """
    A text in quotes that contains variables. It is a text, but an option for a number may read it as a number, because
    in JSON and in YAML's C{{...}} a variable must be in quotes.
    """


class FileText(str):
    """
    The text of a file, with the path of the file: keys and certificates are read again while the server runs.
    """

    path: str

    def __new__(cls, text: str, path: str) -> FileText:
        made = super().__new__(cls, text)
        made.path = path
        return made


class JoinedText(str):
    """
    A text joined from several texts, which are kept because some may come from files.
    """

    parts: tuple[str, ...]

    def __new__(cls, parts: Iterable[str]) -> JoinedText:
        parts = tuple(parts)
        made = super().__new__(cls, "\n".join(parts))
        made.parts = parts
        return made


def files_of(text: str | None) -> tuple[str, ...]:
    """
    The files that C{text} comes from.
    """
    if isinstance(text, JoinedText):
        return tuple(path for part in text.parts for path in files_of(part))
    return (text.path,) if isinstance(text, FileText) else ()


# Replaces a scalar that could not be resolved. The problem is reported already, and the value means nothing. Code that
# cannot use it raises AlreadyReported.
UNREADABLE = object()


class AlreadyReported(ConfigError):
    """
    A value is wrong because of a problem that is reported already.
    """


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
    One reading of a configuration: its files and variables, and the problems that were found.

    @ivar directory: the directory of the configuration file, where relative paths start.
    @ivar problems: the reasons why the configuration cannot be used. They are shown together.
    @ivar notes: lines for the start-up log.
    @ivar files: by the path of each key whose value was loaded from a file: the file.
    @ivar renamed: by the path of an option or a section: its path in the file, if the file uses an old name.
    """

    def __init__(self, directory: str, environ: Mapping[str, str]) -> None:
        self.directory = os.path.abspath(directory)
        self.problems: list[ConfigError] = []
        self.notes: list[str] = []
        self.files: dict[str, str] = {}
        self.renamed: dict[str, str] = {}
        # By path: the variables in the value that are not set.
        self.unset: dict[str, list[str]] = {}
        # By the path of the content: the file, and its tree with line numbers.
        self._trees: dict[str, tuple[str, Any]] = {}
        self._environ = environ
        self._nodes_left = MAX_YAML_NODES

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """
        Add a L{ConfigError} of this block to the problems, and go on after the block.
        """
        try:
            yield
        except AlreadyReported:
            pass
        except ConfigError as problem:
            self.problems.append(problem)

    def written(self, path: str) -> str:
        """
        The path that C{path} has in the file.
        """
        known = next((above for above in _above(path) if above in self.renamed), None)
        return path if known is None else self.renamed[known] + path[len(known) :]

    def place(self, path: str) -> tuple[str, int | None]:
        """
        The file that contains C{path}, or should contain it, and the line if it is known.
        """
        file, tree, found = self._file_of(path)
        return file, _line(path, found, tree)

    def places_within(self, path: str) -> Callable[[str], str]:
        """
        A function that tells the file and the line of a path within C{path}, for error texts after the reading has
        ended. The function keeps only the tree of that file in memory.
        """
        file, tree, found = self._file_of(path)

        def place(path: str) -> str:
            line = _line(path, found, tree)
            return file if line is None else f"{file}: line {line}"

        return place

    def _file_of(self, path: str) -> tuple[str, Any, str]:
        found = next((above for above in _above(path) if above in self._trees), "")
        return *self._trees[found], found

    def read(self, path: str) -> Any:
        """
        The content of the configuration file itself.
        """
        try:
            tree = parse(path, read_bytes(path))
        except FileNotFoundError:
            raise ConfigError("", f"Configuration file not found at: {path}") from None
        except OSError as error:
            raise ConfigError("", f"cannot read {path}: {error.strerror}") from None
        self._trees[""] = path, tree
        return self._resolve(tree, "", 0, macros=True)

    def take(self, content: Mapping[str, Any]) -> Any:
        """
        The content of a configuration that is in no file.
        """
        tree = _plain(content)
        self._trees[""] = "", tree
        return self._resolve(tree, "", 0, macros=True)

    def load(self, argument: str, path: str) -> Any:
        """
        The content of a file that the configuration refers to, by C{fileLoad(argument)} or by an option that names it.

        @param path: of the key that refers to it.
        """
        absolute = self.files[path] = self.absolute(argument, path)
        try:
            tree = parse(absolute, read_bytes(absolute), else_text=True)
        except ConfigError as error:
            raise ConfigError(path, error.problem) from None
        except OSError as error:
            raise ConfigError(path, f"cannot load {absolute}: {error.strerror}") from None
        self.notes.append(f"CONFIG_TRANSFORM | Loaded content from {absolute} for fileLoad({argument})")
        if isinstance(tree, str) and not extension(absolute):
            # A key file is not changed.
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
        A copy of C{tree} with its variables and macros replaced. It shares no sections or lists with C{tree}.
        """
        # Values are counted here because aliases are expanded here: ten lines of aliases can need more than all memory.
        self._nodes_left -= 1
        if self._nodes_left < 0:
            raise ConfigError(path, f"more than {MAX_YAML_NODES} values; do aliases refer to aliases?")
        if depth > MAX_YAML_DEPTH:
            raise ConfigError(path, f"nested more than {MAX_YAML_DEPTH} levels deep")
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
        # Half a character can come from \ud800 in the file, or from a variable that is not UTF-8. It could not be
        # logged.
        if not expanded.isascii() and expanded.encode("utf-8", "replace").decode() != expanded:
            raise ConfigError(path, "not a text: it holds half a character")
        return expanded


def _plain(tree: Any) -> Any:
    """
    C{tree} as a file would have it.
    """
    if isinstance(tree, Mapping):
        return {str(key): _plain(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_plain(value) for value in tree]
    return os.fspath(tree) if isinstance(tree, os.PathLike) else tree


def _line(path: str, found: str, tree: Any) -> int | None:
    """
    The line of C{path}, or of the innermost section around it that exists.

    @param found: the path of C{tree}, the content of the file.
    """
    line = None
    while (below := _towards(path, found, tree)) is not None:
        line = getattr(tree, "lines", {}).get(below)
        found, tree = join(found, below), tree[below]
    return line


def _towards(path: str, found: str, tree: Any) -> Any:
    """
    The key of C{tree} that leads to C{path}; C{None} if there is none.

    @param found: the path of C{tree}.
    """
    keys: Iterable[Any] = tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        below = join(found, key)
        if path == below or path.startswith((f"{below}.", f"{below}[")):
            return key
    return None


def _above(path: str) -> Iterator[str]:
    """
    C{path}, and the paths of the sections and lists around it, from the inside out.
    """
    while path:
        yield path
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
