"""
Classes of settings that read themselves: each field of a dataclass says how the option of its name is checked.

::

    @dataclass(frozen=True)
    class ListenSettings:
        # How long a provider may take to accept or reject.
        response_timeout: float = milliseconds(500)

    from_mapping(ListenSettings, {"responseTimeout": 250}, "listen", reading)     # response_timeout=0.25

Problems are collected in C{reading.problems}, each with the full path of its key, so that one start shows all of them.
A field with C{built=False} or C{no_effect} is read and checked like any other. A value other than the default is
reported in C{reading.notes}, because it has no effect.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

from dstwist.config.file import UNREADABLE, AlreadyReported, FromVariable, Reading, join
from dstwist.config.ignored_keys import note_on
from dstwist.config.tree import core_scalar
from dstwist.errors import ConfigError

T = TypeVar("T")

# (value, path of its key, reading) -> value of the field; raises ConfigError if the value cannot be used
Reader = Callable[[Any, str, Reading], Any]

# The longest time of JavaScript's timers, about 24 days.
MAX_MILLISECONDS = 2**31 - 1
MAX_INTEGER = 2**53


def option(
    read: Reader, default: Any, *, key: str | None = None, built: bool = True, no_effect: str | None = None
) -> Any:
    """
    A field whose option is read by C{read}.

    @param key: the name of the option, if it is not the name of the field in camelCase.
    @param built: False if the option is known, but has no effect yet.
    @param no_effect: why the option is known, but has no effect here.
    """
    metadata = {"read": read, "key": key, "built": built, "no_effect": no_effect}
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def flag(default: bool, **kwargs: Any) -> Any:
    """
    A field for C{true} or C{false}.
    """
    return option(read_flag, default, **kwargs)


def text(default: str | None, **kwargs: Any) -> Any:
    """
    A field for a text that is not empty. Without a default, C{null} means that there is no text.
    """
    return option(optional(read_text) if default is None else read_text, default, **kwargs)


def texts(**kwargs: Any) -> Any:
    """
    A field for a list of texts, empty by default. A list whose lines are all commented out is C{null} in the file.
    """
    return option(lambda value, path, reading: () if value is None else read_texts(value, path), (), **kwargs)


def integer(default: int, minimum: int = 1, maximum: int = MAX_INTEGER, **kwargs: Any) -> Any:
    """
    A field for a whole number.
    """
    return option(integer_reader(minimum, maximum), default, **kwargs)


def limit(default: int | None, **kwargs: Any) -> Any:
    """
    A field for a limit. C{null} means no limit.
    """
    return option(optional(integer_reader(1, MAX_INTEGER)), default, **kwargs)


def milliseconds(default: int, minimum: int = 1, **kwargs: Any) -> Any:
    """
    A field for a duration: whole milliseconds in the file and in C{default}, seconds in the settings.
    """
    return option(milliseconds_reader(minimum), default / 1000, **kwargs)


def section(cls: type, runs: bool = True, **kwargs: Any) -> Any:
    """
    A field for a section with settings of its own.
    """
    return option(lambda value, path, reading: from_mapping(cls, value, path, reading, runs=runs), cls, **kwargs)


def component(cls: type, *types: str, **kwargs: Any) -> Any:
    """
    A field for a section with C{type} and C{options} that has no effect in dstwist.
    """

    def read(value: Any, path: str, reading: Reading) -> Any:
        found = read_component(value, path, reading, runs=False)
        if found.type not in (types or ("default",)):
            raise ConfigError(found.where, one_of(found.type, types or ("default",)))
        return from_mapping(cls, found.options, join(path, "options"), reading, runs=False)

    return option(read, cls, **kwargs)


def from_mapping(cls: type[T], mapping: Any, path: str, reading: Reading, runs: bool = True, **fallbacks: Any) -> T:
    """
    An instance of C{cls} with the options of a section. Options that are not in the section have their defaults.

    @param runs: whether the section has an effect in dstwist. If not, unknown keys are noted and are no errors.
    @param fallbacks: defaults that depend on the section.
    """
    # Fields without a reader are no options: other code fills them.
    known = {key_of(field): field for field in dataclasses.fields(cls) if "read" in field.metadata}  # type: ignore[arg-type]
    values = dict(fallbacks)
    for key, value in as_section(mapping, path).items():
        where = join(path, key)
        with reading.collecting():
            if key not in known:
                unknown_option(where, suggestion(key, known), reading, runs)
                continue
            field = known[key]
            values[field.name] = field.metadata["read"](value, where, reading)
            if values[field.name] == _default(field):
                continue
            if not field.metadata["built"]:
                not_built(where, reading)
            elif field.metadata["no_effect"] is not None:
                reading.notes.append(f"CONFIG | {where} has no effect: {field.metadata['no_effect']}")
    return cls(**values)


def unknown_option(path: str, hint: str, reading: Reading, runs: bool = True) -> None:
    """
    Note a key that a release of deepstream.io shipped, or that is in a section without effect.

    @param hint: the option that is probably meant, see L{suggestion}.
    @raise ConfigError: the key is neither.
    """
    told = note_on(path)
    if told is not None:
        reading.notes.append(f"CONFIG | {path} has no effect: {told}")
    elif runs:
        raise ConfigError(path, f"unknown option{hint}")
    else:
        reading.notes.append(f"CONFIG | {path} has no effect: there is no such option{hint}")


def not_built(path: str, reading: Reading) -> None:
    """
    Note that an option has no effect.
    """
    reading.notes.append(f"CONFIG | {path} is known but not built yet and has no effect")


_COMPONENT_KEYS = ("type", "name", "path", "options")


class Component(NamedTuple):
    """
    A section that selects a part of the server by its C{type}: C{{type, options}}.

    @ivar where: the path of the key with the type.
    """

    type: str
    where: str
    options: dict[str, Any]


def read_component(value: Any, path: str, reading: Reading, default: str = "default", runs: bool = True) -> Component:
    """
    The type and the options of a section. A plug-in of the Node server (C{name} or C{path}) has the type
    C{plug-in <name or path>}; the name C{default}, as in v3, is no plug-in.

    @param runs: whether the section has an effect in dstwist. If not, any options are accepted; options that are no
        section are noted and ignored.
    @raise ConfigError: among others, the section names a class in Python.
    """
    found = as_section(value, path)
    refuse_class(found, path)
    for key in found:
        if key not in _COMPONENT_KEYS:
            unknown_option(join(path, key), suggestion(key, _COMPONENT_KEYS), reading, runs)
    where, options = join(path, "options"), found.get("options")
    if not runs and not isinstance(options, dict | None):
        reading.notes.append(f"CONFIG | {where} has no effect: it is no section (key: value)")
        options = None
    options = as_section(options, where)
    for key in ("path", "name"):
        where = join(path, key)
        if found.get(key) is not None and (key, found[key]) != ("name", "default"):
            return Component(f"plug-in {read_text(found[key], where)}", where, options)
    where = join(path, "type")
    return Component(read_text(found.get("type", default), where), where, options)


def refuse_class(section: dict[str, Any], path: str) -> None:
    """
    Refuse a section that names a class in Python. The operator would wait for it in vain.
    """
    for key in ("module", "path"):
        if isinstance(section.get(key), str) and (key == "module" or is_python(section[key])):
            problem = "this part takes no class of your own; the section plugins does, see docs/plugins.rst"
            raise ConfigError(join(path, key), problem)


def is_python(source: str) -> bool:
    """
    Whether the C{path} of a plug-in is meant as a class in Python, perhaps with a mistake.
    """
    return source.endswith(".py") or bool(re.fullmatch(r"(.*\.py|[A-Za-z_][\w.]*):\w*", source, re.DOTALL))


def as_section(value: Any, path: str) -> dict[str, Any]:
    """
    The content of a section. A section whose lines are all commented out is C{null} in the file.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(path, f"expected a section (key: value), got {shown(value)}{_meant(value)}")
    return value


def _meant(value: Any) -> str:
    """
    A correction for the error text of a value that should be a section.
    """
    if not isinstance(value, str):
        return ""
    if re.fullmatch(r"[^\s()]+\.(ya?ml|json)", value):
        return f"; to load that file write fileLoad({value})"
    if re.fullmatch(r"[A-Za-z]+:[^\s/].*", value):
        return "; put a space behind the colon"
    if re.fullmatch(r"[A-Za-z]+\s+\S+", value):
        return "; is there a colon missing?"
    return ""


def as_list(value: Any, path: str) -> list[Any]:
    """
    The content of a list.
    """
    if not isinstance(value, list):
        raise ConfigError(path, f"expected a list, got {shown(value)}")
    return value


def read_flag(value: Any, path: str, reading: Reading | None = None) -> bool:
    value = typed(value)
    if not isinstance(value, bool):
        raise ConfigError(path, f"expected true or false, got {shown(value)}{_quoted(value, bool)}")
    return value


def read_text(value: Any, path: str, reading: Reading | None = None) -> str:
    if not isinstance(value, str):
        hint = "" if value is None or isinstance(value, (dict, list)) else "; put it in quotes"
        raise ConfigError(path, f"expected a text, got {shown(value)}{hint}")
    if not value:
        raise ConfigError(path, "expected a text, got an empty one")
    return str(value)


def read_texts(value: Any, path: str, reading: Reading | None = None) -> tuple[str, ...]:
    return tuple(read_text(item, join(path, i)) for i, item in enumerate(as_list(value, path)))


def read_anything(value: Any, path: str, reading: Reading | None = None) -> Any:
    return value


def integer_reader(minimum: int, maximum: int) -> Reader:
    def read(value: Any, path: str, reading: Reading | None = None) -> int:
        value = typed(value)
        # In JavaScript, 1000 and 1e3 are the same.
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ConfigError(path, f"expected a whole number, got {shown(value)}{_quoted(value, int)}")
        if not minimum <= value <= maximum:
            raise ConfigError(path, f"expected a number from {minimum} to {maximum}, got {shown(value)}")
        return value

    return read


def milliseconds_reader(minimum: int, maximum: int = MAX_MILLISECONDS) -> Reader:
    read_integer = integer_reader(minimum, maximum)
    return lambda value, path, reading: read_integer(value, path, reading) / 1000


def optional(read: Reader, *nothing: Any) -> Reader:
    """
    A reader that gives None for C{null}, and for each value of C{nothing}.
    """

    def read_optional(value: Any, path: str, reading: Reading) -> Any:
        found = typed(value)
        return None if found is None or any(found is item for item in nothing) else read(value, path, reading)

    return read_optional


def one_of(value: str, known: Iterable[str]) -> str:
    """
    The error text for a value that is not one of the known values.
    """
    return f"expected one of {', '.join(known)}, got {shown(value)}{suggestion(value, known)}"


def suggestion(word: str, known: Iterable[str]) -> str:
    matches = difflib.get_close_matches(word[:100], list(known), n=1)
    return f"; did you mean {matches[0]}?" if matches else ""


def shown(value: Any) -> str:
    """
    A value for an error text: short, on one line.
    """
    if value is UNREADABLE:
        raise AlreadyReported("", "not loaded")
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list):
        return "a list"
    quoted = json.dumps(value)
    return quoted if len(quoted) <= 80 else quoted[:77] + "..."


def _quoted(value: Any, kind: type) -> str:
    """
    A correction for a text that would be a value of C{kind} without its quotes.
    """
    return "; leave out the quotes" if isinstance(value, str) and type(core_scalar(value)) is kind else ""


def typed(value: Any) -> Any:
    """
    The value. A text in quotes that comes from a variable gets the type that it would have without the quotes.
    """
    return core_scalar(value) if isinstance(value, FromVariable) else value


def key_of(field: dataclasses.Field[Any]) -> str:
    """
    The name of an option in the file: C{max_auth_attempts} is C{maxAuthAttempts}.
    """
    if field.metadata["key"]:
        return str(field.metadata["key"])
    first, *others = field.name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
