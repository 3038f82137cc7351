"""
A form of a message of the text protocol. L{dstwist.protocol.text_forms} lists all forms.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from dstwist.protocol.constants import Topic
from dstwist.protocol.message import Message
from dstwist.protocol.text_fields import FIELD_SEPARATOR, FIELDS, MESSAGE_END, TextField, Values, literal
from dstwist.protocol.typed import has_separators

#: The letter of each topic.
LETTERS: dict[Topic, str] = {
    Topic.PARSER: "X",
    Topic.CONNECTION: "C",
    Topic.AUTH: "A",
    Topic.EVENT: "E",
    Topic.RECORD: "R",
    Topic.RPC: "P",
    Topic.PRESENCE: "U",
}

TOPICS: dict[str, Topic] = {letter: topic for topic, letter in LETTERS.items()}


class Form:
    """
    One form of a message.

    @ivar actions: the actions that are written in this form. A message that is read in this form has the first of them.
    @ivar ack: whether it is the acknowledgement of the action.
    @ivar verbatim: whether a message in this form may be forwarded unchanged.
    @ivar reads: whether the form is used for reading.
    @ivar writes: whether the form is used for writing.
    @ivar constants: attributes of every message that is read in this form.
    """

    def __init__(
        self,
        pattern: str,
        *actions: IntEnum,
        example: str = "",
        ack: bool = False,
        verbatim: bool = False,
        reads: bool = True,
        writes: bool = True,
        fields: dict[str, TextField] = FIELDS,
        **constants: Any,
    ) -> None:
        letter, self.code, *parts = pattern.split("|")
        self.pattern = pattern
        self.example = example
        self.letter = letter
        self.topic = TOPICS[letter]
        self.actions = actions
        self.ack = ack
        self.verbatim = verbatim
        self.reads = reads
        self.writes = writes
        self.constants: Values = {"is_ack": ack or None, "is_error": self.code == "E" or None, **constants}
        self.open = bool(parts) and parts[-1] == "..."
        if self.open:
            del parts[-1]
        self.fields = [fields[part[1:-1]] if part.startswith("<") else literal(part) for part in parts]
        # The text before the first variable field. In nearly all forms, only fields follow.
        fixed = next((at for at, part in enumerate(parts) if part.startswith("<")), len(parts))
        self._head = FIELD_SEPARATOR.join((letter, self.code, *parts[:fixed])).replace("+", MESSAGE_END)
        self._varying = self.fields[fixed:]
        self._bulk = parts[fixed:] == ["<names>"]

    def read(self, fields: list[str], raw: str, verbatim: object) -> Message | None:
        """
        The message with these fields; C{None} if it does not have this form.
        """
        surplus = len(fields) - len(self.fields)
        if surplus < 0 or (surplus and not self.open and not (self.fields and self.fields[-1].greedy)):
            return None
        values: Values = {"raw": raw, "verbatim": verbatim if self.verbatim else None, **self.constants}
        for at, field in enumerate(self.fields):
            text = FIELD_SEPARATOR.join(fields[at:]) if field.greedy else fields[at]
            if not field.read(text, values):
                return None
        return Message(self.topic, self.actions[0], **values)

    def write(self, message: Message) -> str | None:
        """
        The message in this form, with its terminator; C{None} if it cannot be written in this form.
        """
        if self._bulk and message.names:
            # The text protocol has no bulk messages: write a message for each name.
            return "".join(
                [
                    f"{self._head}{FIELD_SEPARATOR}{name}{MESSAGE_END}"
                    for name in message.names
                    if not has_separators(name)
                ]
            )
        written = self._head
        for field in self._varying:
            text = field.write(message)
            if text is None:
                return None
            written += FIELD_SEPARATOR + text
        return written + MESSAGE_END
