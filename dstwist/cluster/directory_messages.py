"""
The messages of the directory (L{dstwist.cluster.directory}).

C{p} is the number of a partition, C{t} its token. A key is the kind of a name (one letter) and the name.

======================  ==========  ===================================================================================
kind, and fields        to          meaning
======================  ==========  ===================================================================================
C{report} p t + -       owner       entries that the sender has now, and entries that it has no more
C{digests} [p t n x]    owner       the digest of all entries of the sender in some partitions
C{ask} [p t]            all         the sender owns these partitions: send C{whole}
C{whole} p t i n + k    owner       part i of n of all entries, and the keys that the sender is told are there
C{question} p t q k     all         which of these keys do you hold?
C{answer} p t q k r     owner       these; and those that the sender has released lately, with their age in ms
C{states} p t [k s h]   watcher     keys with their states: 1 there, 0 gone, -1 gone and forgotten; and the holders
C{sums} [p t n x]       watcher     the digest of all states that the sender has told the receiver
C{unequal} p t          owner       the digest differs: send C{all}
C{all} p t i n [k s h]  watcher     part i of n of all states
======================  ==========  ===================================================================================

An I{entry} is a verb and a key: C{h} the node holds the name, C{w} it watches the name; or the verb C{a} and a kind: it
watches all names of that kind in the partition. A node that watches all names of a kind also watches the name whose key
is C{*} and the kind. No node holds it, and the owner says so after the states of all names of the kind: from then on
the watcher knows all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dstwist.cluster.fields import Check, key, list_of, number, row, text

HOLDS = "h"
WATCHES = "w"
WATCHES_ALL = "a"

#: The kind of the names that tell the end of all names of a kind.
ALL_TOLD = "*"

REPORT = "report"
DIGESTS = "digests"
ASK = "ask"
WHOLE = "whole"
QUESTION = "question"
ANSWER = "answer"
STATES = "states"
SUMS = "sums"
UNEQUAL = "unequal"
ALL = "all"


def _entry(value: Any) -> bool:
    return isinstance(value, str) and len(value) > 1 and value[0] in (HOLDS, WATCHES, WATCHES_ALL)


def _state(value: Any) -> bool:
    return type(value) is int and -1 <= value <= 1


_keys = list_of(key)
_entries = list_of(_entry)
_states = list_of(row(key, _state, list_of(text)))
_digests = list_of(row(number, number, number, number))

#: The fields of each kind.
FIELDS: dict[str, Sequence[Check]] = {
    REPORT: (number, number, _entries, _entries),
    DIGESTS: (_digests,),
    ASK: (list_of(row(number, number)),),
    WHOLE: (number, number, number, number, _entries, _keys),
    QUESTION: (number, number, number, _keys),
    ANSWER: (number, number, number, _keys, list_of(row(key, number))),
    STATES: (number, number, _states),
    SUMS: (_digests,),
    UNEQUAL: (number, number),
    ALL: (number, number, number, number, _states),
}
