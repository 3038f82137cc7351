"""
The names that a rule may use, and their values in one decision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from dstwist.permission.valve.regex import Regex
from dstwist.permission.valve.values import Function, Meter
from dstwist.protocol.patched import PatchedArray, PatchedObject
from dstwist.protocol.typed import UNDEFINED


class Scope:
    """
    The values of the names in a rule, in one decision.

    @ivar user: the object C{user}.
    @ivar variables: the values of the path variables, in their order.
    @ivar reference: the function C{_}, which gives the data of a record.
    """

    __slots__ = ("action", "data", "meter", "name", "now", "old_data", "reference", "user", "variables")

    def __init__(
        self,
        user: dict[str, Any],
        action: Any,
        name: Any,
        variables: tuple[Any, ...],
        meter: Meter,
        reference: Callable[[Any], Any] | None = None,
    ) -> None:
        self.user = user
        self.action = action
        self.name = name
        self.variables = variables
        self.meter = meter
        self.reference = reference
        self.data: Any = UNDEFINED
        self.old_data: Any = UNDEFINED
        self.now = 0.0


Code = Callable[[Scope], Any]

NAMES: dict[str, Code] = {
    "user": lambda scope: scope.user,
    "data": lambda scope: scope.data,
    "oldData": lambda scope: scope.old_data,
    "now": lambda scope: scope.now,
    "action": lambda scope: scope.action,
    "name": lambda scope: scope.name,
}
CONSTANTS: dict[str, Any] = {"undefined": UNDEFINED, "NaN": math.nan, "Infinity": math.inf, "_": Function("_")}
NAMESPACES: dict[str, dict[str, float]] = {
    "Math": {
        "E": math.e,
        "LN10": math.log(10),
        "LN2": math.log(2),
        "LOG10E": 0.4342944819032518,
        "LOG2E": 1.4426950408889634,
        "PI": math.pi,
        "SQRT1_2": math.sqrt(0.5),
        "SQRT2": math.sqrt(2),
    },
    "Number": {
        "EPSILON": 2.0**-52,
        "MAX_SAFE_INTEGER": 2.0**53 - 1,
        "MIN_SAFE_INTEGER": 1 - 2.0**53,
        "MAX_VALUE": 1.7976931348623157e308,
        "MIN_VALUE": 5e-324,
        "POSITIVE_INFINITY": math.inf,
        "NEGATIVE_INFINITY": -math.inf,
        "NaN": math.nan,
    },
}
KINDS: dict[str, Callable[[Any], bool]] = {
    "Array": lambda value: isinstance(value, (list, PatchedArray)),
    "Object": lambda value: isinstance(value, (dict, list, PatchedObject, PatchedArray, Regex, Function)),
    "RegExp": lambda value: isinstance(value, Regex),
    "Function": lambda value: isinstance(value, Function),
    # Rules cannot make instances of these: texts, numbers and booleans are none.
    "String": lambda value: False,
    "Number": lambda value: False,
    "Boolean": lambda value: False,
}
