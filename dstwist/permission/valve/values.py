"""
JavaScript's values, and its operators on them.

==============  ==========================  =====================================================================
JavaScript      here                        remarks
==============  ==========================  =====================================================================
undefined       L{UNDEFINED}
null            C{None}
boolean         C{bool}
number          C{float}                    an C{int} from JSON counts as the nearest C{float}
string          C{str}                      two adjacent halves of a character are always one character
object          C{dict}                     from JSON or an object literal; equal only to itself
                L{PatchedObject}            from a record
array           C{list}                     from JSON or an array literal; equal only to itself
                L{PatchedArray}             from a record
function        L{Function}                 a method that is not called
regex           L{dstwist.permission.valve.regex.Regex}
==============  ==========================  =====================================================================

Texts are counted and compared in UTF-16 units, as in JavaScript. Operations whose time grows with the size of their
values are charged to a L{Meter}.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from dstwist.errors import RuleError
from dstwist.permission.valve.utf16 import characters
from dstwist.protocol.patched import PatchedArray, PatchedObject, plain
from dstwist.protocol.typed import JS_SPACE, UNDEFINED, format_number

#: The longest text that a rule may make, in characters.
MAX_TEXT_CHARACTERS = 1 << 20

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_RADIX = re.compile(r"0(?:[xX](?P<x>[0-9a-fA-F]+)|[oO](?P<o>[0-7]+)|[bB](?P<b>[01]+))")
_INFINITIES = {"Infinity": math.inf, "+Infinity": math.inf, "-Infinity": -math.inf}


class Thrown(RuleError):
    """
    An exception in JavaScript: the rule fails.
    """


class TooMuch(RuleError):
    """
    A rule exceeds a limit: the decision ends.
    """


class Meter:
    """
    The steps that a decision may still take. A step is one operation of a rule, one element of an array that is looked
    at, or some characters of a text.
    """

    __slots__ = ("left",)

    def __init__(self, steps: int) -> None:
        self.left = steps

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise TooMuch("the rule takes more steps than maxRuleSteps")

    def read(self, text: str) -> None:
        """
        Charge for reading a whole text.
        """
        if len(text) > 256:
            self.spend(len(text) >> 8)


class Function:
    """
    A method that is not called. A rule can only check that it exists.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return f"function {self.name}() {{ [native code] }}"


class ActionName:
    """
    The value of C{action}. Rules for v4+ compare it with a number, and rules for v2/v3 with a name: it equals both.
    """

    __slots__ = ("names", "number")

    def __init__(self, number: int, *names: str) -> None:
        self.number = float(number)
        self.names = names

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            return other in self.names
        if isinstance(other, (int, float)) and not isinstance(other, bool):
            return other == self.number
        return self is other

    def __hash__(self) -> int:
        return hash(self.names)

    def __str__(self) -> str:
        return self.names[0]


def concatenated(left: str, right: str, meter: Meter) -> str:
    """
    The two texts as one.
    """
    if len(left) + len(right) > MAX_TEXT_CHARACTERS:
        raise TooMuch(f"RangeError: a text of more than {MAX_TEXT_CHARACTERS} characters")
    meter.read(left)
    meter.read(right)
    # Two halves of a character may become neighbours.
    if left and right and "\ud800" <= left[-1] <= "\udbff" and "\udc00" <= right[0] <= "\udfff":
        return left[:-1] + characters(left[-1] + right[0]) + right[1:]
    return left + right


# -- conversions


def truthy(value: Any) -> bool:
    if isinstance(value, (dict, list, PatchedObject, PatchedArray)):
        return True
    if isinstance(value, float):
        # NaN is false, and equal to nothing.
        return value == value and value != 0
    return bool(value)


def as_float(number: int | float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def to_number(value: Any, meter: Meter) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, int):
        return as_float(value)
    if isinstance(value, str):
        meter.read(value)
        return number_of_text(value)
    if value is None:
        return 0.0
    if value is UNDEFINED:
        return math.nan
    if isinstance(value, ActionName):
        return value.number
    return number_of_text(to_text(value, meter))


def number_of_text(text: str) -> float:
    """
    The number that a whole text stands for, or NaN.
    """
    text = text.strip(JS_SPACE)
    if not text:
        return 0.0
    if _DECIMAL.fullmatch(text):
        return float(text)
    if found := _RADIX.fullmatch(text):
        kind = found.lastgroup or ""
        return as_float(int(found[kind], {"x": 16, "o": 8, "b": 2}[kind]))
    return _INFINITIES.get(text, math.nan)


def to_text(value: Any, meter: Meter) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return _text_of_array(value, meter)
    if isinstance(value, PatchedArray):
        return _text_of_array(plain(value), meter)
    return _text_of_single(value)


def _text_of_single(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return format_number(value)
    if value is None:
        return "null"
    if value is UNDEFINED:
        return "undefined"
    if isinstance(value, (dict, PatchedObject)):
        # JavaScript would call a member of this name.
        if "toString" in value:
            raise Thrown("TypeError: Cannot convert object to primitive value")
        return "[object Object]"
    return str(value)


def _text_of_array(array: list[Any], meter: Meter) -> str:
    """
    The elements, joined with commas, with those of nested arrays. Not recursive, because arrays can be nested deeply.
    """
    pieces: list[str] = []
    size = 0
    stack = [iter(array)]
    first = True
    while stack:
        for item in stack[-1]:
            meter.spend(1)
            if not first:
                pieces.append(",")
                size += 1
            if isinstance(item, list):
                stack.append(iter(item))
                first = True
                break
            first = False
            text = "" if item is None or item is UNDEFINED else _text_of_single(item)
            meter.read(text)
            pieces.append(text)
            size += len(text)
            if size > MAX_TEXT_CHARACTERS:
                raise TooMuch(f"RangeError: a text of more than {MAX_TEXT_CHARACTERS} characters")
        else:
            stack.pop()
            first = False
    return characters("".join(pieces))


def to_primitive(value: Any, meter: Meter) -> Any:
    """
    The value as a primitive: objects become texts.
    """
    if value is None or value is UNDEFINED or isinstance(value, (str, bool, int, float)):
        return value
    return to_text(value, meter)


def to_key(value: Any, meter: Meter) -> str:
    """
    The key for the member C{[value]}.
    """
    return value if isinstance(value, str) else to_text(value, meter)


def type_of(value: Any) -> str:
    if isinstance(value, (str, ActionName)):
        return "string"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if value is UNDEFINED:
        return "undefined"
    return "function" if isinstance(value, Function) else "object"


# -- operators


def strict_equals(left: Any, right: Any) -> bool:
    """
    C{===}
    """
    if isinstance(left, (str, ActionName)) or isinstance(right, ActionName):
        return bool(left == right)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return as_float(left) == as_float(right)
    return left is right


def loose_equals(left: Any, right: Any, meter: Meter) -> bool:
    """
    C{==}
    """
    nothing = left is None or left is UNDEFINED
    if nothing or right is None or right is UNDEFINED:
        return nothing and (right is None or right is UNDEFINED)
    if isinstance(left, ActionName) or isinstance(right, ActionName):
        return bool(left == right)
    left_type, right_type = type_of(left), type_of(right)
    if left_type == right_type or {left_type, right_type} == {"object", "function"}:
        return strict_equals(left, right)
    left, right = to_primitive(left, meter), to_primitive(right, meter)
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    return to_number(left, meter) == to_number(right, meter)


def same_value_zero(left: Any, right: Any) -> bool:
    """
    Equality for C{includes} of an array: C{===}, but NaN equals NaN.
    """
    return strict_equals(left, right) or (left != left and right != right)


def add(left: Any, right: Any, meter: Meter) -> Any:
    """
    C{+}
    """
    if isinstance(left, float) and isinstance(right, float):
        return left + right
    left, right = to_primitive(left, meter), to_primitive(right, meter)
    if isinstance(left, str) or isinstance(right, str):
        return concatenated(_text_of_single(left), _text_of_single(right), meter)
    return to_number(left, meter) + to_number(right, meter)


def divide(left: float, right: float) -> float:
    if right:
        return left / right
    if not left or left != left or right != right:
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def remainder(left: float, right: float) -> float:
    if math.isinf(left) or not right:
        return math.nan
    return math.fmod(left, right)


def power(base: float, exponent: float) -> float:
    if exponent != exponent or (abs(base) == 1 and math.isinf(exponent)):
        return math.nan
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and math.fmod(exponent, 2) else math.inf
    except ValueError:
        if base:
            return math.nan
        odd = math.fmod(exponent, 2) != 0
        return math.copysign(math.inf, base) if odd else math.inf


def _uint32(number: float) -> int:
    return int(number) & 0xFFFFFFFF if math.isfinite(number) else 0


def _int32(number: int) -> float:
    return float((number & 0xFFFFFFFF ^ 0x80000000) - 0x80000000)


def bitwise_not(number: float) -> float:
    return _int32(~_uint32(number))


#: The operators that convert both sides to numbers.
ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": divide,
    "%": remainder,
    "**": power,
    "|": lambda left, right: _int32(_uint32(left) | _uint32(right)),
    "^": lambda left, right: _int32(_uint32(left) ^ _uint32(right)),
    "&": lambda left, right: _int32(_uint32(left) & _uint32(right)),
    "<<": lambda left, right: _int32(_uint32(left) << (_uint32(right) & 31)),
    ">>": lambda left, right: _int32(int(_int32(_uint32(left))) >> (_uint32(right) & 31)),
    ">>>": lambda left, right: float(_uint32(left) >> (_uint32(right) & 31)),
}

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda left, right: left < right,
    ">": lambda left, right: left > right,
    "<=": lambda left, right: left <= right,
    ">=": lambda left, right: left >= right,
}


def compare(operator: str, left: Any, right: Any, meter: Meter) -> bool:
    """
    C{<}, C{>}, C{<=} and C{>=}: two texts by their UTF-16 units, other values as numbers.
    """
    if not isinstance(left, ActionName) and not isinstance(right, ActionName):
        left, right = to_primitive(left, meter), to_primitive(right, meter)
    if isinstance(left, str) and isinstance(right, str):
        if not (left.isascii() and right.isascii()):
            meter.read(left)
            meter.read(right)
            left = left.encode("utf-16-be", "surrogatepass")
            right = right.encode("utf-16-be", "surrogatepass")
    else:
        left, right = to_number(left, meter), to_number(right, meter)
    return _ORDER[operator](left, right)
