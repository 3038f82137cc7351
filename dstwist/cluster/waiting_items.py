"""
The items that wait until they are sent to one other node.

There are two queues: items that clients wait for, such as calls, do not wait behind a long list of names. Each message
takes those first, and then others; one of the others at least, so that they do not wait for ever.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from dstwist.cluster.messages import Item
from dstwist.cluster.slices import CHARACTERS_PER_MESSAGE, characters_of
from dstwist.protocol.weights import weigh_name

#: The bytes of memory of a list, and of one of its fields.
_LIST_BYTES = 88
_FIELD_BYTES = 8


class WaitingItems:
    """
    The items for one node.

    @param most_items: how many items one message may have.
    @param most_names: after so many names in lists no further item is put into a message.
    @ivar size: the bytes of memory that all items take.
    """

    __slots__ = ("_most_items", "_most_names", "_ordinary", "_urgent", "size")

    def __init__(self, most_items: int, most_names: int) -> None:
        self._most_items = most_items
        self._most_names = most_names
        self._urgent: deque[Item] = deque()
        self._ordinary: deque[Item] = deque()
        self.size = 0

    def __len__(self) -> int:
        return len(self._urgent) + len(self._ordinary)

    def add(self, item: Item, urgent: bool) -> None:
        """
        Put C{item} at the end of its queue.
        """
        self.size += size_of(item)
        (self._urgent if urgent else self._ordinary).append(item)

    def add_row(self, kind: str, row: Item) -> None:
        """
        Add C{row} to the last item that is not urgent, if that is a list of rows of C{kind} with room; otherwise in an
        item of its own.
        """
        queue = self._ordinary
        if queue and queue[-1][0] == kind and len(queue[-1][1]) < self._most_names:
            queue[-1][1].append(row)
            self.size += _FIELD_BYTES + size_of(row)
        else:
            self.add([kind, [row]], False)

    def take(self) -> list[Item]:
        """
        Take the items of one message: so many that the receiver handles them in a short turn.
        """
        items: list[Item] = []
        names, characters = self._most_names, CHARACTERS_PER_MESSAGE
        for queue in (self._urgent, self._ordinary):
            is_first = queue is self._ordinary
            while queue and (is_first or (names > 0 and characters > 0 and len(items) < self._most_items)):
                is_first = False
                item = queue.popleft()
                items.append(item)
                self.size -= size_of(item)
                for field in item:
                    if type(field) is list:
                        names -= len(field)
                    characters -= characters_of(field)
        return items


def size_of(field: Any) -> int:
    """
    About how many bytes of memory a field takes, or a whole item. Short texts, such as the kinds, count as well: they
    make up for what is not counted.
    """
    if type(field) is str:
        # Not that of the text now: it is longer when it has been encoded for another node.
        return weigh_name(field)
    if type(field) is list:
        return _LIST_BYTES + _FIELD_BYTES * len(field) + sum(map(size_of, field))
    return 0
