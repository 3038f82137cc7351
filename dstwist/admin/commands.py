"""
Commands: their parameters, their results and their errors.

Parameters come from the query of a GET (texts), or from the JSON object in the body of a POST.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred

from dstwist.errors import DstwistError
from dstwist.interfaces import HttpStream

#: The answer to a command: an object for JSON.
Answer = dict[str, Any]

_TRUE, _FALSE = ("true", "1", ""), ("false", "0")


class CommandError(DstwistError):
    """
    A command that cannot be done.

    @ivar status: the HTTP status.
    """

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


class Parameters:
    """
    The parameters of one command.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def text(self, name: str) -> str | None:
        """
        A text; C{None} if it is not given.
        """
        value = self._values.get(name)
        if value is None:
            return None
        if type(value) is int:
            value = str(value)
        if not isinstance(value, str) or not value:
            raise CommandError(f"{name}: expected a text that is not empty")
        return value

    def needed(self, name: str) -> str:
        """
        A text that has to be given.
        """
        value = self.text(name)
        if value is None:
            raise CommandError(f"{name} is missing")
        return value

    def number(self, name: str, default: int, minimum: int = 0, maximum: int = 2**53) -> int:
        """
        A whole number.
        """
        value = self._values.get(name)
        if value is None:
            return default
        if isinstance(value, str) and len(value) <= 20 and value.isascii() and value.isdigit():
            value = int(value)
        if type(value) is not int or not minimum <= value <= maximum:
            raise CommandError(f"{name}: expected a whole number from {minimum} to {maximum}")
        return value

    def flag(self, name: str) -> bool:
        """
        True or false; false if it is not given.
        """
        value = self._values.get(name)
        if value is None or value is False or value in _FALSE:
            return False
        if value is True or value in _TRUE:
            return True
        raise CommandError(f"{name}: expected true or false")

    def mapping(self, name: str) -> Mapping[str, Any]:
        """
        An object; an empty one if it is not given.
        """
        value = self._values.get(name)
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class Command:
    """
    One command.

    @ivar name: the path of its route, after the slash.
    @ivar run: does it.
    @ivar parameters: the names of its parameters.
    @ivar changes: whether it changes the server. Then it is a POST, and the log has a line about it.
    """

    name: str
    run: Callable[[Parameters], Answer | HttpStream | Deferred[Answer]]
    parameters: tuple[str, ...] = ()
    changes: bool = False
